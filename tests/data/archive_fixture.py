"""Builders of small archives for the tests of the data stages: days, tables, broken files. No test in here."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import DataConfig, SimulateConfig
from seismag.data.inputs import read_inputs
from seismag.data.prepare import Prepared, prepare_store
from seismag.data.quality import main_field
from seismag.data.simulate.stage import simulate_archive
from seismag.data.stations import read_stations
from seismag.domain import Station
from seismag.recordings.frg604rc import encode_day

DAY_S = 86_400
STATIONS = read_stations()
GTO, ALR = STATIONS["GTO"], STATIONS["ALR"]
FIRST = np.datetime64("2021-03-01")
# every Normal window is kept and no guard time is asked for: which windows are used depends on the files alone
KEEP_ALL = DataConfig(controls="all", guard_ahead_d=0.0, guard_behind_d=0.0)
# simulate.dirt with every rate at zero
CLEAN = {
    "missing_day_fraction": 0.0, "missing_blocks_per_year": 0.0, "gaps_per_day": 0.0, "spikes_per_day": 0.0,
    "steps_per_day": 0.0, "drift_nt_per_day": 0.0, "dead_component_fraction": 0.0, "relevels_per_year": 0.0,
    "clock_error_s": 0.0, "cultural_noise": 0.0,
}  # fmt: skip


def quiet_day(station: Station, day: np.datetime64, seed: int = 0) -> NDArray[np.float64]:
    """Main field, daily variation, red noise of 0.02 nT a second and sensor noise: (3, 86400), 0.01 nT steps."""
    rng = np.random.default_rng([seed, int(day.astype("datetime64[D]").astype(int))])
    level = np.array(main_field(station, day).hdz)[:, None]
    noise = np.cumsum(rng.normal(0, 0.02, (3, DAY_S)), axis=1) + rng.normal(0, 0.012, (3, DAY_S))
    return np.round(level + 20 * np.sin(2 * np.pi * np.arange(DAY_S) / DAY_S) + noise, 2)


def day_name(station: Station, day: np.datetime64) -> str:
    date: dt.date = day.astype("datetime64[D]").astype(object)
    return f"S{date:%y%m%d}.{station.code}"


def day_bytes(station: Station, day: np.datetime64, field_nt: NDArray[np.float64], **options: Any) -> bytes:
    date: dt.date = day.astype("datetime64[D]").astype(object)
    return encode_day(station.code, date, station.latitude_deg, station.longitude_deg, field_nt, **options)


def write_days(archive: Path, station: Station, days: Iterable[np.datetime64], packed: bool = False) -> None:
    """Write quiet days as day files below ``archive/<STATION>``."""
    folder = archive / station.code
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        payload = day_bytes(station, day, quiet_day(station, day))
        if packed:
            (folder / f"{day_name(station, day)}.gz").write_bytes(gzip.compress(payload, 1))
        else:
            (folder / day_name(station, day)).write_bytes(payload)


def write_iaga(path: Path, code: str, start: np.datetime64, field_nt: NDArray[np.float64], step_s: int = 1) -> None:
    """Write H, E, Z, F with E in nT (an IAGA-2002 file of the USGS kind)."""
    head = {
        "Format": "IAGA-2002", "Source of Data": "test", "Station Name": code, "IAGA CODE": code,
        "Geodetic Latitude": "0.664", "Geodetic Longitude": "122.858", "Elevation": "0", "Reported": "HEZF",
        "Sensor Orientation": "HEZF", "Digital Sampling": "0.01 second", "Data Interval Type": f"{step_s} second",
        "Data Type": "variation",
    }  # fmt: skip
    lines = [f" {key:<23}{value:<45}|" for key, value in head.items()]
    lines.append(f"DATE       TIME         DOY     {code}H      {code}E      {code}Z      {code}F   |")
    times = start.astype("datetime64[ms]") + np.arange(field_nt.shape[1]) * np.timedelta64(step_s * 1000, "ms")
    days = times.astype("datetime64[D]")
    doys = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    for text, doy, values in zip(np.datetime_as_string(times), doys, field_nt.T, strict=True):
        cells = " ".join(f"{99999.0 if np.isnan(v) else v:9.2f}" for v in (*values, 99999.0))
        lines.append(f"{text[:10]} {text[11:]} {doy:03d}    {cells}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_catalogue(path: Path, days: int = 120, hole: tuple[str, str] | None = None) -> Path:
    """Write a catalogue without a label event: a small earthquake far from GTO every eight hours."""
    origins = np.datetime64("2021-01-01T01:00") + np.arange(days * 3) * np.timedelta64(8, "h")
    if hole:
        origins = origins[(origins < np.datetime64(hole[0])) | (origins >= np.datetime64(hole[1]))]
    corners = np.resize([[-12.0, 94.0], [8.0, 142.0]], (len(origins), 2))
    pd.DataFrame(
        {
            "event_id": [f"far{i:04d}" for i in range(len(origins))],
            "origin_utc": [f"{text}Z" for text in np.datetime_as_string(origins.astype("datetime64[s]"))],
            "latitude_deg": corners[:, 0],
            "longitude_deg": corners[:, 1],
            "depth_km": 33.0,
            "magnitude": 4.0,
        }
    ).to_csv(path, index=False)
    return path


def prepare_days(
    archive: Path, tmp_path: Path, spec: DataConfig = KEEP_ALL, **catalogue: Any
) -> tuple[Prepared, pd.DataFrame, pd.DataFrame]:
    """Prepare an archive with the quiet catalogue; gives the result, samples and rejected rows."""
    events = write_catalogue(tmp_path / "catalogue.csv", **catalogue)
    result = prepare_store(read_inputs(archive, None, [events], None, None), tmp_path / "store", spec)
    samples = pd.read_parquet(result.store / "samples.parquet")
    rejected = pd.read_csv(result.store / "rejected.csv", parse_dates=["start_utc", "end_utc"])
    return result, samples, rejected


def window_counts(samples: pd.DataFrame, rejected: pd.DataFrame) -> pd.Series:
    """How often each dated window (station, start) occurs in samples and rejected together."""
    starts = [samples[["station", "start_utc"]]] if len(samples) else []
    dated = rejected[rejected["start_utc"].notna()][["station", "start_utc"]]
    table = pd.concat([*starts, dated.assign(start_utc=dated["start_utc"].dt.tz_localize(None))], ignore_index=True)
    return table.assign(start_utc=table["start_utc"].astype("datetime64[ms]")).value_counts().sort_index()


def small_simulation(out: Path, **settings: Any) -> Path:
    """Simulate 7 days of GTO and ALR without dirt: a mainshock every two days, each with a strong emission."""
    spec = {
        "days": 7, "stations": ["GTO", "ALR"], "emission": {"snr": 20.0}, "dirt": CLEAN,
        "earthquakes": {"per_station_year": 180.0},
    } | settings  # fmt: skip
    return simulate_archive(SimulateConfig(**spec), out)
