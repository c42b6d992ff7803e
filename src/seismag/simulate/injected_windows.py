"""Emissions injected into single windows: the day files are prepared as in ``prepare``, with and without an emission.

No file is written. The bytes of the day file are changed in memory (``seismag.recordings.additions``), so rounding,
gaps, artefacts and quality rules affect an injected emission as they would a real one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.survey import assess_stored_day, cut_day, load_day, unusable_windows
from seismag.arrays import FloatArray
from seismag.config import DataConfig, EmissionConfig
from seismag.domain import DataError, Station, UsageError
from seismag.recordings import Recording, read_recording
from seismag.recordings.additions import add_to_file
from seismag.simulate.emission import Emission, plan_emissions
from seismag.simulate.inject import emission_of_file
from seismag.simulate.survey import band_power_nt2
from seismag.spectrograms.decibels import window_spectra


@dataclass(frozen=True)
class Target:
    """A window into which an emission is injected.

    Attributes:
        sample_id: in the store.
        station: of the window.
        start_utc, end_utc: of the window, within one UTC day.
        paths: the files of that day.
        sha256: of these files, as the store's samples.parquet has it.
    """

    sample_id: str
    station: Station
    start_utc: np.datetime64
    end_utc: np.datetime64
    paths: tuple[Path, ...]
    sha256: str

    @property
    def day(self) -> np.datetime64:
        """UTC date."""
        return self.start_utc.astype("M8[D]")


@dataclass(frozen=True)
class Twins:
    """One window without an emission (index 0) and with it, at several strengths.

    Attributes:
        power_db: (1 + S, 3, F, T) float16, as in a store.
        phasors: (1 + S, 3, 2, F, T) float16, or None where the store has none.
        reasons: why ``prepare`` would reject the window; "" where it would not.
    """

    power_db: NDArray[np.float16]
    phasors: NDArray[np.float16] | None
    reasons: tuple[str, ...]


def window_stream(seed: int, sample_id: str) -> np.random.Generator:
    """Return the random generator of one window."""
    return np.random.default_rng([seed, 21, zlib.crc32(sample_id.encode())])


def background_of_day(target: Target, band_hz: tuple[float, float]) -> FloatArray:
    """Return the horizontal power in a band, nT², in the 600 s segments of the day of a target; NaN where unknown.

    Raises:
        DataError: a file is missing, cannot be read, or differs from that of the store.
    """
    absent = [path for path in target.paths if not path.is_file()]
    if absent:
        raise DataError(
            f"{absent[0]}: not there, but {target.sample_id} was made of it. --archive names the folder that the "
            "store was prepared from."
        )
    held = load_day(list(target.paths), target.station, target.day)
    if "+".join(held.sha256) != target.sha256:
        raise DataError(
            f"{target.paths[0]}: is not the file that {target.sample_id} was made of (its sha256 differs). --archive "
            "names the folder that the store was prepared from."
        )
    return band_power_nt2(held.field_nt, band_hz).ravel()


def emission_over(
    target: Target, event: pd.DataFrame, reference_nt2: float, spec: EmissionConfig, rng: np.random.Generator
) -> Emission:
    """Move an earthquake in time so that its emission covers a window, as far as its duration allows.

    Args:
        target: the window.
        event: one row of the catalogue, in range of the station.
        reference_nt2: background of the station, to which ``spec.snr`` refers.
        spec: section ``simulate.emission``; its exponents give the strength at this magnitude and distance.
        rng: chooses the part of the emission that the window contains.

    Raises:
        UsageError: an emission would exceed the range of magnetometers.
    """
    lead, duration = (np.timedelta64(round(h * 3600), "s") for h in (spec.lead_h, spec.duration_h))
    start, end = target.start_utc.astype("M8[s]"), target.end_utc.astype("M8[s]")
    first, last = end + lead - duration, start + lead  # origins with which the emission covers the window
    if first >= last:  # shorter than the window: in the middle of it
        origin = start + (end - start) // 2 + lead - duration // 2
    else:
        origin = first + np.timedelta64(int(rng.integers(int((last - first) / np.timedelta64(1, "s")) + 1)), "s")
    settings = spec.model_copy(update={"mainshocks_only": False})
    planned = plan_emissions(settings, event.assign(origin_utc=origin), target.station, reference_nt2)
    if len(planned) != 1:
        raise UsageError(f"{target.sample_id}: {event['event_id'].iloc[0]} has no emission there (out of range).")
    return planned[0]


def make_twins(
    target: Target, emission: Emission, relative: Sequence[float], spec: DataConfig, waves: tuple[EmissionConfig, int]
) -> Twins:
    """Prepare a window without an emission and with it.

    Args:
        target: the window.
        emission: its power counts as 1.
        relative: (S,) powers to inject, relative to it.
        spec: section ``data`` of the store.
        waves: section ``simulate.emission`` and the seed of the waveform.

    Raises:
        DataError: a file cannot be read, or the changed values exceed the range of its format.
    """
    recordings = [read_recording(path) for path in target.paths]
    added = [emission_of_file(recording, target.station, (emission,), *waves) for recording in recordings]
    raws = [path.read_bytes() for path in target.paths]
    versions = [recordings]
    for power in relative:
        sources = zip(raws, target.paths, recordings, added, strict=True)
        versions.append([
            add_to_file(raw, path, recording, np.sqrt(power) * field).recording
            for raw, path, recording, field in sources
        ])  # fmt: skip
    prepared = [_prepare(version, target, spec) for version in versions]
    phasors = None if prepared[0][1] is None else np.stack([part[1] for part in prepared if part[1] is not None])
    return Twins(np.stack([part[0] for part in prepared]), phasors, tuple(part[2] for part in prepared))


def _prepare(
    recordings: list[Recording], target: Target, spec: DataConfig
) -> tuple[NDArray[np.float16], NDArray[np.float16] | None, str]:
    held = cut_day(recordings, target.station, target.day)
    slot = int((target.start_utc - target.day.astype("M8[ms]")) // np.timedelta64(spec.window_h, "h"))
    reason = unusable_windows(assess_stored_day(held, target.station, target.day, spec), spec)[slot]
    spectra = window_spectra(held.field_nt, spec, slice(slot, slot + 1), cross=spec.cross_spectra)
    return spectra.power_db[0], None if spectra.phasors is None else spectra.phasors[0], reason
