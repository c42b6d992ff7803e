"""A simulated archive and its store, as several benchmarks make and read them."""

from __future__ import annotations

from pathlib import Path

from seismag.config import Config
from seismag.simulate import simulate_archive
from seismag.windows.inputs import Inputs, read_inputs
from seismag.windows.prepare import prepare_store


def archive_inputs(archive: Path) -> Inputs:
    """Stations, catalogue and indices that the simulation wrote beside the day files."""
    tables = [archive / file for file in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv")]
    return read_inputs(archive, tables[0], [tables[1]], tables[2], tables[3])


def make_store(config: Config, archive: Path, store: Path, workers: int = 1) -> None:
    """Simulate an archive and prepare its store, or find both from an earlier call."""
    if not (archive / "truth.parquet").exists():
        simulate_archive(config.simulate, archive, workers=workers)
    prepare_store(archive_inputs(archive), store, config.data, workers=workers)
