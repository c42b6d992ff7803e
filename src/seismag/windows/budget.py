"""What a preparation will cost on this machine, and whether its windows can lead to a conclusion, said before it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.survey import survey_file
from seismag.config import DataConfig
from seismag.domain import FEW_CLUSTERS
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra
from seismag.text import describe_bytes
from seismag.windows.inputs import Inputs

log = logging.getLogger(__name__)

_TIMED_FILES = 3
_PROCESS_BYTES = 0.5e9  # a worker, or this process beside several, whatever the size of the archive
_WRITING = 1.5  # of decibels, noise floor and writing, as a part of the spectrograms' time


@dataclass(frozen=True)
class PreparationBudget:
    """Estimated cost of a preparation, at most: as if each file were a day of which all windows are kept.

    Attributes:
        files: of the archive.
        seconds: of all files.
        store_bytes: of the arrays, before compression.
        memory_bytes: of all processes.
    """

    files: int
    seconds: float
    store_bytes: float
    memory_bytes: float


def estimate_preparation(files: Sequence[Path], inputs: Inputs, spec: DataConfig, workers: int) -> PreparationBudget:
    """Read a few files and transform a day of noise on this machine, and multiply.

    Args:
        files: of the archive, at least one.
        inputs: archive and stations.
        spec: section data.
        workers: processes.
    """
    timed = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _TIMED_FILES).astype(int))]
    started = time.monotonic()
    for path in timed:
        survey_file(path, inputs.archive, inputs.stations, spec)
    reading_s = (time.monotonic() - started) / len(timed)
    at_once = max(1, min(workers, os.cpu_count() or 1))
    return PreparationBudget(
        files=len(files),
        seconds=len(files) * (2 * reading_s + (1 + _WRITING) * _seconds_per_day(spec)) / at_once,
        store_bytes=len(files) * (24 // spec.window_h) * window_bytes(spec),
        memory_bytes=(at_once + (at_once > 1)) * _PROCESS_BYTES,
    )


def _seconds_per_day(spec: DataConfig) -> float:
    """Time the spectrograms of a day of white noise, in s; the first time is not counted."""
    field_nt = np.random.default_rng(1).normal(size=(3, 86_400))
    window_spectra(field_nt, spec, cross=spec.cross_spectra)
    started = time.monotonic()
    window_spectra(field_nt, spec, cross=spec.cross_spectra)
    return time.monotonic() - started


def window_bytes(spec: DataConfig) -> int:
    """Size of a window in a store before compression: float16, 3 powers and, with cross-spectra, 6 parts of phasors.

    Example:
        >>> window_bytes(DataConfig.model_validate({"step_s": 600, "frequency_rows": "log", "n_log_rows": 48}))
        7344
    """
    grid = make_grid(spec)
    return 2 * (9 if spec.cross_spectra else 3) * len(grid.frequency_hz) * len(grid.time_s)


def describe_preparation(budget: PreparationBudget, workers: int) -> str:
    """Return the estimate as one sentence."""
    return (
        f"estimate: {budget.files} files, {workers} at a time: at most {describe_duration(budget.seconds)}, "
        f"{describe_bytes(budget.store_bytes)} of disk and {describe_bytes(budget.memory_bytes)} of memory on this "
        "machine"
    )


def describe_duration(seconds: float) -> str:
    """Return a duration in words.

    Example:
        >>> describe_duration(45.0), describe_duration(600.0), describe_duration(9000.0)
        ('1 minute', '10 minutes', '2.5 hours')
    """
    minutes = seconds / 60
    if minutes < 1.5:
        return "1 minute"
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.2g} hours"


def independent_groups(samples: pd.DataFrame) -> tuple[int, int]:
    """Count event clusters and control blocks in a table with split_group and magnitude_class."""
    has_event = samples.groupby("split_group")["magnitude_class"].agg(lambda names: (names != "Normal").any())
    return int(has_event.sum()), int((~has_event.astype(bool)).sum())


def shortage(event_clusters: int, control_blocks: int) -> str | None:
    """Say why no conclusion is possible, whatever the scores will be; None: nothing is known against one.

    Example:
        >>> print(shortage(7, 12)[:51])
        7 event clusters and 12 control blocks are independ
        >>> shortage(10, 10) is None
        True
    """
    if min(event_clusters, control_blocks) >= FEW_CLUSTERS:
        return None
    return (
        f"{event_clusters} event clusters and {control_blocks} control blocks are independent of each other; below "
        f"{FEW_CLUSTERS} of either no score has an interval, so that this study cannot lead to a conclusion. Add "
        "stations, years or smaller magnitudes (data.min_magnitude)."
    )


def log_plan(plan: pd.DataFrame, spec: DataConfig) -> None:
    """Log how many windows are transformed, and a warning where no conclusion is possible."""
    clusters, blocks = independent_groups(plan)
    days = len(plan[["station", "day"]].drop_duplicates())
    log.info(
        f"{len(plan)} windows of {days} station-days, {clusters} event clusters and {blocks} control blocks; "
        f"at most {describe_bytes(len(plan) * window_bytes(spec))} of disk"
    )
    if (sentence := shortage(clusters, blocks)) is not None:
        log.warning(sentence)
