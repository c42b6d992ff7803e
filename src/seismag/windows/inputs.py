"""The inputs of ``prepare`` and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from seismag.archive.catalogs import Catalog, read_catalogs
from seismag.archive.indices import SpaceWeatherIndex, read_index
from seismag.archive.stations import read_stations
from seismag.config import DataConfig
from seismag.domain import Station
from seismag.files import text_of_path
from seismag.windows.store import SCHEMA_VERSION


@dataclass(frozen=True)
class Inputs:
    """The inputs of ``prepare`` besides the configuration."""

    archive: Path
    stations: dict[str, Station]
    catalog: Catalog
    kp: SpaceWeatherIndex | None
    dst: SpaceWeatherIndex | None


def read_inputs(
    archive: Path, stations: Path | None, catalogs: list[Path], kp: Path | None, dst: Path | None
) -> Inputs:
    """Read stations, catalogue and indices.

    Raises:
        DataError: one of them cannot be used.
    """
    return Inputs(
        archive=archive,
        stations=read_stations(stations),
        catalog=read_catalogs(catalogs),
        kp=read_index(kp, "kp") if kp else None,
        dst=read_index(dst, "dst") if dst else None,
    )


def fingerprint_of(inputs: Inputs, files: list[Path], spec: DataConfig) -> str:
    """Return a checksum of the inputs; of the day files only names, sizes and modification times."""
    digest = hashlib.sha256(json.dumps(spec.model_dump(mode="json", exclude={"store"}), sort_keys=True).encode())
    digest.update(json.dumps(checksums(inputs), sort_keys=True).encode())
    digest.update(str(SCHEMA_VERSION).encode())
    for path in files:
        try:
            status = path.stat() if os.path.exists(path) else path.lstat()  # a broken link
            facts = f"{status.st_size}|{status.st_mtime_ns}"
        except OSError:  # not permitted, or gone since it was listed: refused by name when it is read
            facts = "unreadable"
        digest.update(f"{text_of_path(path.relative_to(inputs.archive))}|{facts}\n".encode())
    return digest.hexdigest()


def checksums(inputs: Inputs) -> dict[str, str | list[str] | None]:
    """Return the checksums of stations, catalogue and indices."""
    stations = json.dumps([asdict(inputs.stations[code]) for code in sorted(inputs.stations)], sort_keys=True)
    return {
        "stations": hashlib.sha256(stations.encode()).hexdigest(),
        "catalogs": sorted(inputs.catalog.sources.values()),
        "kp": inputs.kp.sha256 if inputs.kp else None,
        "dst": inputs.dst.sha256 if inputs.dst else None,
    }


def untested_inputs(inputs: Inputs, days: pd.DataFrame) -> list[str]:
    """Name what nothing was at hand to test: the clock of one catalogue, positions that files do not state."""
    sentences = []
    if len(inputs.catalog.sources) == 1:
        sentences.append("the clock of the catalogue: a second catalogue (--catalog) would show local times")
    unplaced = days.loc[days["verdict"] != "refused", "position_error_deg"].isna()
    if unplaced.any():
        sentences.append(f"the stations' positions on {unplaced.sum()} of {len(unplaced)} days: their files state none")
    return sentences
