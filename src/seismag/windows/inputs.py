"""The inputs of ``prepare`` and their checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from seismag.archive.catalogs import Catalog, read_catalogs
from seismag.archive.content import content_sha256
from seismag.archive.indices import SpaceWeatherIndex, read_index
from seismag.archive.stations import read_stations
from seismag.archive.survey import is_simulated
from seismag.config import DataConfig
from seismag.domain import Station
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


def fingerprint_of(inputs: Inputs, contents: Mapping[str, str], spec: DataConfig) -> str:
    """Return a checksum of what a store is made of: settings, tables, and the day files (``file_contents``).

    So an archive that was copied elsewhere, or whose files were touched, is the same archive.
    """
    digest = hashlib.sha256(json.dumps(spec.model_dump(mode="json", exclude={"store"}), sort_keys=True).encode())
    digest.update(json.dumps(checksums(inputs), sort_keys=True).encode())
    digest.update(f"{SCHEMA_VERSION}|{is_simulated(inputs.archive)}|".encode())
    digest.update(content_sha256(contents).encode())
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
