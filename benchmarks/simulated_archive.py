"""A simulated archive and its store, as several benchmarks make and read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import Config, DataConfig
from seismag.simulate import simulate_archive
from seismag.windows.inputs import Inputs, read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import (
    DAYS_FILE,
    REJECTED_FILE,
    SHARD_SAMPLES,
    Store,
    create_arrays,
    finish_store,
    read_table,
    write_shard,
)


def archive_inputs(archive: Path) -> Inputs:
    """Stations, catalogue and indices that the simulation wrote beside the day files."""
    tables = [archive / file for file in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv")]
    return read_inputs(archive, tables[0], [tables[1]], tables[2], tables[3])


def make_store(config: Config, archive: Path, store: Path, workers: int = 1) -> None:
    """Simulate an archive and prepare its store, or find both from an earlier call."""
    if not (archive / "truth.parquet").exists():
        simulate_archive(config.simulate, archive, workers=workers)
    prepare_store(archive_inputs(archive), store, config.data, workers=workers)


def write_changed_store(source: Store, out: Path, samples: pd.DataFrame, power: NDArray[np.floating]) -> None:
    """Write a store like the source with other windows: power (n, 3, F, T) in dB, without cross-spectra."""
    spec = DataConfig.model_validate({**source.attributes["config"], "cross_spectra": False})
    out.mkdir(exist_ok=True)
    create_arrays(out, samples["sample_id"].tolist(), spec)
    for first in range(0, len(samples), SHARD_SAMPLES):
        write_shard(out, first, power[first : first + SHARD_SAMPLES].astype(np.float16), None)
    tables = (read_table(source.path, REJECTED_FILE), read_table(source.path, DAYS_FILE))
    kept = {key: value for key, value in source.attributes.items() if key != "schema_version"}
    finish_store(out, samples, *tables, {**kept, "config": spec.model_dump(mode="json"), "dataset_id": out.stem})
