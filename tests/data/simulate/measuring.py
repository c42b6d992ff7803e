"""Measures what simulated archives hold, from their files; settings and tables for them. No test in here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from archive_fixture import CLEAN
from numpy.typing import NDArray
from scipy import signal

from seismag.config import SimulateConfig
from seismag.data.simulate.sites import Site, make_site
from seismag.data.simulate.stage import simulate_archive
from seismag.data.stations import read_stations
from seismag.data.windows import EARTH
from seismag.domain import Station
from seismag.recordings import read_recording

DAY_S = 86_400
SEGMENT_S = 600
FREQUENCY_MHZ = np.fft.rfftfreq(SEGMENT_S) * 1000
START = "2021-03-01"
FIRST = np.datetime64(START)
ROUNDING_NT2_HZ = 0.01**2 / 6  # one-sided density of rounding to 0.01 nT: q²/12 over half a hertz
PLACES = {  # near the geomagnetic equator and at 48 degrees; TUC, 1000 km from BOU; BDT beside BOU
    "LOW": (0.0, 120.0), "BOU": (40.137, -105.237), "BDT": (40.137, -105.237), "TUC": (32.174, -110.734),
    "FRD": (38.210, -77.367),
}  # fmt: skip


def configuration(**settings: Any) -> SimulateConfig:
    """Settings of an archive without dirt, unless ``dirt`` is given."""
    return SimulateConfig(**{"start": START, "dirt": CLEAN} | settings)


def simulate(out: Path, workers: int = 1, **settings: Any) -> Path:
    return simulate_archive(configuration(**settings), out, workers)


def write_places(path: Path) -> str:
    rows = [f"{code},{latitude},{longitude}" for code, (latitude, longitude) in PLACES.items()]
    path.write_text("\n".join(["code,latitude_deg,longitude_deg", *rows]) + "\n")
    return str(path)


def write_index(path: Path, name: str, values: NDArray[np.float64]) -> str:
    """Write Kp (every 3 h) or Dst (every hour) from 30 days before the first day on."""
    step = np.timedelta64(3 if name == "kp" else 1, "h")
    times = (FIRST - 30).astype("M8[s]") + np.arange(values.size) * step
    pd.DataFrame({"time_utc": [f"{t}Z" for t in times], "kp" if name == "kp" else "dst_nt": values}).to_csv(
        path, index=False
    )
    return str(path)


def flat_kp(path: Path, kp: float, days: int) -> str:
    return write_index(path, "kp", np.full((days + 60) * 8, kp))


def write_events(path: Path, station: Station, events: list[tuple[float, float, float, float]]) -> str:
    """Write a catalogue: each event as (days after the first day, magnitude, distance in km, azimuth)."""
    rows = []
    for number, (at_d, magnitude, distance_km, azimuth_deg) in enumerate(events):
        longitude, latitude, _ = EARTH.fwd(station.longitude_deg, station.latitude_deg, azimuth_deg, distance_km * 1000)
        rows.append((f"e{number}", at_d, latitude, longitude, magnitude))
    for number, corner in enumerate((-8, 8)):  # out of range: the area of the catalogue holds the station
        rows.append((f"c{number}", 0.1 + number, station.latitude_deg + corner, station.longitude_deg + corner, 4.0))
    rows.sort(key=lambda row: row[1])
    table = pd.DataFrame(rows, columns=["event_id", "origin_utc", "latitude_deg", "longitude_deg", "magnitude"])
    origins = FIRST.astype("M8[ms]") + np.round(table["origin_utc"].to_numpy() * 86_400_000).astype("m8[ms]")
    table.assign(origin_utc=[f"{t}Z" for t in origins], depth_km=20.0).to_csv(path, index=False)
    return str(path)


def day_files(folder: Path, code: str = "*") -> list[Path]:
    return sorted(folder.glob(f"{code}/S*.gz"))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_days(folder: Path, code: str) -> NDArray[np.float64]:
    """The field of all days of a station, one after the other: (3, days * 86400)."""
    return np.concatenate([read_recording(path).field_nt for path in day_files(folder, code)], axis=1)


def site_of(folder: Path, code: str, seed: int = 7) -> Site:
    """The constants that the simulator gave to a station of an archive."""
    stations = read_stations(folder / "stations.csv")
    return make_site(stations[code], seed, list(stations).index(code))


def segment_spectra(field_nt: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Hann spectra (C, segments, F) of 600 s; the squared modulus is the one-sided power density."""
    segments = signal.detrend(field_nt.reshape(len(field_nt), -1, SEGMENT_S), axis=-1)
    taper = signal.get_window("hann", SEGMENT_S)
    spectra: NDArray[np.complex128] = np.fft.rfft(segments * taper, axis=-1) * np.sqrt(2 / np.sum(taper**2))
    return spectra


def in_band(low_mhz: float, high_mhz: float) -> NDArray[np.bool_]:
    band: NDArray[np.bool_] = (low_mhz <= FREQUENCY_MHZ) & (high_mhz > FREQUENCY_MHZ)
    return band


def band_width_hz(low_mhz: float, high_mhz: float) -> NDArray[np.float64]:
    """Weights (F,) that integrate a density over a band, linear between the lines of the segments."""
    knots = np.unique(np.clip(FREQUENCY_MHZ, low_mhz, high_mhz))  # its edges among them
    shares = np.stack([np.interp(knots, FREQUENCY_MHZ, row) for row in np.eye(FREQUENCY_MHZ.size)])
    weights: NDArray[np.float64] = np.trapezoid(shares, knots / 1000, axis=1)
    return weights


def band_power(field_nt: NDArray[np.float64], low_mhz: float, high_mhz: float) -> NDArray[np.float64]:
    """Power in a band, nT², of each component in each segment of 600 s: (C, segments)."""
    power: NDArray[np.float64] = np.abs(segment_spectra(field_nt)) ** 2 @ band_width_hz(low_mhz, high_mhz)
    return power


def seen_through_taper(density: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Expected density (..., F) at the lines of segments that lost their trend and were tapered."""
    frequency_hz, response = _line_response()
    return density(frequency_hz) @ response


@lru_cache(maxsize=1)
def _line_response() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies (n,), and the share (n, F) of the density there that each line of a segment shows."""
    step = 0.1 / SEGMENT_S
    frequency_hz = (np.arange(10 * FREQUENCY_MHZ.size) + 0.5) * step
    phase = 2 * np.pi * frequency_hz[:, None] * np.arange(SEGMENT_S)
    waves = np.stack([np.cos(phase), np.sin(phase)])  # of any phase, with a variance of one half
    return frequency_hz, (np.abs(segment_spectra(waves.reshape(2, -1))) ** 2).sum(axis=0) * step
