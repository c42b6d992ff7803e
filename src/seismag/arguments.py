"""What callers of the public API give: paths, tables, recordings, stations; checked, with errors for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.stations import read_stations
from seismag.config import Config, load_config
from seismag.documents import read_frame
from seismag.domain import DataError, Station
from seismag.recordings import Recording, read_recording

PathLike = str | Path
WINDOW = ["station", "start_utc", "end_utc"]


def whole_config(config: object) -> Config:
    if config is None:
        return load_config()
    if not isinstance(config, Config):
        kind = type(config).__name__
        raise TypeError(f"config: give a whole configuration, as from seismag.load_config(), not {kind}.")
    return config


def path_of(value: object, name: str) -> Path:
    if not isinstance(value, (str, Path)):
        raise TypeError(f"{name}: give a path, not {type(value).__name__}.")
    return Path(value)


def recording_of(recording: object) -> Recording:
    if isinstance(recording, (str, Path)):
        return read_recording(recording)
    if not isinstance(recording, Recording):
        kind = type(recording).__name__
        raise TypeError(
            f"give a recording or its path, not {kind}. seismag.Recording.from_array makes one of an array."
        )
    return recording


def stations_of(stations: PathLike | Mapping[str, Station] | None) -> dict[str, Station]:
    if isinstance(stations, Mapping):
        return dict(stations)
    return read_stations(None if stations is None else path_of(stations, "stations"))


def read_table_file(path: PathLike, name: str) -> pd.DataFrame:
    file = path_of(path, name)
    if file.suffix not in (".parquet", ".csv"):
        raise DataError(f"{file}: give a .parquet or .csv file, not {file.suffix or 'one without an ending'}.")
    if not file.is_file():
        raise DataError(f"{file}: no such file.")
    return read_frame(file, {}, "Write it again.")


def require_columns(table: object, names: Sequence[str], what: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{what}: give a DataFrame, not {type(table).__name__}.")
    missing = [name for name in names if name not in table]
    if missing:
        raise DataError(f"{what}: no column {', '.join(missing)}. Columns: {', '.join(map(str, table.columns))}.")


def checked_windows(windows: pd.DataFrame, stations: Mapping[str, Station]) -> pd.DataFrame:
    """Station, start and end (naive UTC) of the windows of a caller, checked."""
    require_columns(windows, WINDOW, "windows")
    if windows.empty:
        raise DataError("windows: the table has no rows.")
    keys = windows[WINDOW].reset_index(drop=True)
    unknown = keys.loc[~keys["station"].isin(list(stations)), "station"]
    if len(unknown):
        raise DataError(f"windows: station {unknown.iloc[0]!r} is not among the stations: {', '.join(stations)}.")
    for name in ("start_utc", "end_utc"):
        if not pd.api.types.is_datetime64_any_dtype(keys[name]):
            raise DataError(f"windows: {name} is no time but {keys[name].dtype}. Convert it with pandas.to_datetime.")
        keys[name] = pd.to_datetime(keys[name], utc=True).dt.tz_localize(None).astype("datetime64[ms]")
    wrong = ~(keys["end_utc"] > keys["start_utc"]).to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        times = " to ".join(str(keys[name][row]) for name in ("start_utc", "end_utc"))
        raise DataError(f"windows: row {row} goes from {times}. Each window needs a start and a later end.")
    return keys
