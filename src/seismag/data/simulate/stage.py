"""A small archive in real formats whose truth is known: day files, stations, catalogue, Kp, Dst, truth.

The background is simple on purpose: main field, daily variation, ring current, coloured noise partly shared
by the stations, sensor noise. Before chosen earthquakes a band-limited emission is added, linearly polarised
along the azimuth to the epicentre, with Z in quadrature, at a stated power ratio to the local background.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from seismag import __version__
from seismag.config import SimulateConfig
from seismag.data.archive import DAY_S, SIMULATION_FILE
from seismag.data.parallel import Progress, open_pool, silent
from seismag.data.quality import main_field
from seismag.data.recordings.frg604rc import encode_day
from seismag.data.stations import read_stations
from seismag.data.windows import EARTH, dobrovolsky_km
from seismag.domain import Station, UsageError
from seismag.runs import write_json_atomic

EMISSION_HZ = (0.010, 0.040)
NOISE_PSD_AT_20_MHZ = 0.05  # nT²/Hz at Kp 2, H component; Pc3 rms of 0.05-0.1 nT as on quiet real days
NOISE_SLOPE = 2.2  # power falls with frequency to this exponent ...
NOISE_CORNER_HZ = 5e-4  # ... and is flat below this
COMPONENT_SHARE = (1.0, 0.7, 0.5)  # amplitude of H, D, Z
SHARED_SHARE = 0.7  # of the noise power, common to all stations
SENSOR_NOISE_NT = 0.012
MARGIN_D = 30  # the catalogue and the indices reach this far beyond the recordings


@dataclass(frozen=True)
class Emission:
    """A precursor at a station: when, from where, how strong (power ratio in the band)."""

    station: str
    event_id: str
    start_utc: np.datetime64
    end_utc: np.datetime64
    azimuth_deg: float
    snr: float


def simulate_archive(spec: SimulateConfig, out: Path, workers: int = 1, progress: Progress = silent) -> Path:
    """Write an archive; the same seed gives the same bytes, whatever the number of workers.

    Args:
        spec: section ``simulate``.
        out: folder, created; must be empty.
        workers: processes.
        progress: called with stage, done, total.

    Raises:
        UsageError: the folder is not empty, or a station is not one of the shipped ones.
    """
    stations = _choose_stations(spec)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is not empty. Choose another --out, or delete it.")
    out.mkdir(parents=True, exist_ok=True)
    write_json_atomic(out / SIMULATION_FILE, {"seismag": __version__, "simulate": spec.model_dump(mode="json")})
    first = np.datetime64(spec.start, "D")
    kp = _simulate_kp(spec)
    catalog, emissions = _simulate_earthquakes(spec, stations, first)
    _write_tables(out, stations, catalog, kp, first)
    tasks = [
        (
            spec,
            station,
            index,
            first + day,
            _kp_of_day(kp, day),
            [e for e in emissions if e.station == station.code],
            out,
        )
        for index, station in enumerate(stations)
        for day in range(spec.days)
    ]
    with open_pool(workers, None) as pool:
        pool.run(_write_day, tasks, "simulate", progress)
    pd.DataFrame([vars(e) for e in emissions], columns=list(Emission.__annotations__)).to_parquet(out / "truth.parquet")
    return out


def _choose_stations(spec: SimulateConfig) -> list[Station]:
    shipped = read_stations(None)
    unknown = [code for code in spec.stations if code not in shipped]
    if unknown:
        raise UsageError(f"simulate.stations: {', '.join(unknown)} not among {', '.join(sorted(shipped))}.")
    return [shipped[code] for code in spec.stations]


def _simulate_kp(spec: SimulateConfig) -> NDArray[np.float64]:
    """Three-hourly Kp, in thirds, over the recordings and the margins: an autoregressive series."""
    rng = np.random.default_rng([spec.seed, 1])
    n = (spec.days + 2 * MARGIN_D) * 8
    series = np.empty(n)
    level = 0.0
    for index, push in enumerate(rng.normal(0, 1, n)):
        level = 0.9 * level + 0.44 * push
        series[index] = level
    return np.round(np.clip(2.0 + 1.3 * series, 0, 9) * 3) / 3


def _kp_of_day(kp: NDArray[np.float64], day: int) -> NDArray[np.float64]:
    return kp[(day + MARGIN_D) * 8 : (day + MARGIN_D + 1) * 8]


def _simulate_earthquakes(
    spec: SimulateConfig, stations: list[Station], first: np.datetime64
) -> tuple[pd.DataFrame, list[Emission]]:
    """Draw mainshocks near the stations with a few aftershocks, and a distant background."""
    rng = np.random.default_rng([spec.seed, 2])
    rows: list[dict[str, object]] = []
    emissions: list[Emission] = []
    for station in stations:
        slots = (np.arange(spec.events_per_station) + rng.uniform(0.2, 0.8, spec.events_per_station)) / max(
            1, spec.events_per_station
        )
        for slot in slots:
            magnitude = float(np.round(rng.choice([4.6, 5.4, 6.2], p=[0.4, 0.4, 0.2]) + rng.uniform(-0.3, 0.3), 1))
            azimuth = float(rng.uniform(0, 360))
            distance = float(rng.uniform(0.2, 0.7) * dobrovolsky_km(np.array([magnitude]))[0])
            origin = first.astype("datetime64[ms]") + np.timedelta64(
                round((3 + slot * (spec.days - 3)) * 86_400_000), "ms"
            )
            name = f"sim{len(rows):05d}"
            rows.append(_event(name, origin, station, azimuth, distance, magnitude, rng))
            emissions.append(
                Emission(station.code, name, origin - np.timedelta64(48, "h"), origin, azimuth, spec.emission_snr)
            )
            for _ in range(int(rng.integers(0, 3))):
                delay = np.timedelta64(round(rng.exponential(12.0) * 3_600_000) + 60_000, "ms")
                smaller = float(np.round(max(4.0, magnitude - rng.uniform(0.8, 1.6)), 1))
                rows.append(_event(f"sim{len(rows):05d}", origin + delay, station, azimuth, distance, smaller, rng))
    rows += _background(spec, stations, first, rng, len(rows))
    catalog = pd.DataFrame(rows).sort_values("origin_utc", ignore_index=True)
    return catalog, [e for e in emissions if e.snr > 0]


def _event(
    name: str,
    origin: np.datetime64,
    station: Station,
    azimuth: float,
    distance: float,
    magnitude: float,
    rng: np.random.Generator,
) -> dict[str, object]:
    longitude, latitude, _ = EARTH.fwd(station.longitude_deg, station.latitude_deg, azimuth, distance * 1000)
    return {
        "event_id": name, "origin_utc": origin, "latitude_deg": round(float(latitude), 4),
        "longitude_deg": round(float(longitude), 4), "depth_km": round(float(rng.uniform(10, 60)), 1),
        "magnitude": magnitude,
    }  # fmt: skip


def _background(
    spec: SimulateConfig, stations: list[Station], first: np.datetime64, rng: np.random.Generator, count: int
) -> list[dict[str, object]]:
    """Small earthquakes out of range of every station, every few hours, so that the catalogue has no hole."""
    rows: list[dict[str, object]] = []
    hours = np.arange(0, (spec.days + 2 * MARGIN_D) * 24, 8)
    for hour in hours:
        origin = first.astype("datetime64[ms]") + np.timedelta64(
            int((hour - MARGIN_D * 24) * 3_600_000 + rng.integers(0, 3_600_000)), "ms"
        )
        magnitude = float(np.round(4.0 + rng.exponential(0.25), 1))
        longitude, latitude = float(rng.uniform(94, 142)), float(rng.uniform(-12, 8))
        distances = [EARTH.inv(s.longitude_deg, s.latitude_deg, longitude, latitude)[2] / 1000 for s in stations]
        if magnitude < 5.5 and min(distances) > 1.2 * dobrovolsky_km(np.array([magnitude]))[0]:
            rows.append(
                {
                    "event_id": f"sim{count + len(rows):05d}", "origin_utc": origin, "latitude_deg": round(latitude, 4),
                    "longitude_deg": round(longitude, 4), "depth_km": 33.0, "magnitude": magnitude,
                }
            )  # fmt: skip
    return rows


def _write_tables(
    out: Path,
    stations: list[Station],
    catalog: pd.DataFrame,
    kp: NDArray[np.float64],
    first: np.datetime64,
) -> None:
    pd.DataFrame([vars(s) for s in stations])[["code", "latitude_deg", "longitude_deg", "name"]].to_csv(
        out / "stations.csv", index=False
    )
    catalog.assign(origin_utc=_iso(catalog["origin_utc"].to_numpy())).to_csv(out / "catalogue.csv", index=False)
    start = first.astype("datetime64[s]") - np.timedelta64(MARGIN_D, "D")
    times = start + np.arange(len(kp)) * np.timedelta64(3, "h")
    pd.DataFrame({"time_utc": _iso(times), "kp": np.round(kp, 3)}).to_csv(out / "kp.csv", index=False)
    hours = start + np.arange(len(kp) * 3) * np.timedelta64(1, "h")
    pd.DataFrame({"time_utc": _iso(hours), "dst_nt": np.round(_dst_nt(np.repeat(kp, 3)), 1)}).to_csv(
        out / "dst.csv", index=False
    )


def _iso(times: NDArray[np.datetime64]) -> list[str]:
    return [f"{text}Z" for text in np.datetime_as_string(times.astype("datetime64[s]"))]


def _dst_nt(kp: NDArray[np.float64]) -> NDArray[np.float64]:
    return 5.0 - 12.0 * np.maximum(kp - 1.5, 0.0)


def _write_day(
    spec: SimulateConfig, station: Station, index: int, day: np.datetime64, kp: NDArray[np.float64],
    emissions: list[Emission], out: Path,
) -> None:  # fmt: skip
    rng = np.random.default_rng([spec.seed, 3, index, int(day.astype(int))])
    if rng.uniform() < spec.missing_day_fraction:
        return
    field = simulate_day(spec, station, day, kp, emissions, rng)
    date = day.astype(object)  # datetime.date
    folder = out / station.code
    folder.mkdir(exist_ok=True)
    payload = encode_day(station.code, date, station.latitude_deg, station.longitude_deg, field)
    (folder / f"S{date:%y%m%d}.{station.code}.gz").write_bytes(gzip.compress(payload, compresslevel=1, mtime=0))


def simulate_day(
    spec: SimulateConfig, station: Station, day: np.datetime64, kp: NDArray[np.float64], emissions: list[Emission],
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Simulate one day of one station.

    Args:
        spec: seed of the noise that the stations share.
        station, day: place and UTC date.
        kp: (8,) of the day.
        emissions: precursors at this station; those outside the day are ignored.
        rng: drives the station's own noise.

    Returns:
        (3, 86400) H, D, Z in nT along magnetic north, magnetic east and down.
    """
    expected = main_field(station, day)
    seconds = np.arange(DAY_S)
    local = 2 * np.pi * (seconds / DAY_S + station.longitude_deg / 360)
    activity = np.interp(seconds, (np.arange(8) + 0.5) * 10_800, 10 ** (0.13 * (kp - 2.0)))  # amplitude
    shared = _coloured_noise(np.random.default_rng([spec.seed, 4, int(day.astype(int))])) * np.sqrt(SHARED_SHARE)
    own = _coloured_noise(rng) * np.sqrt(1 - SHARED_SHARE)
    field = (shared + own) * activity
    field[0] += expected.h_nt - 20.0 * np.cos(local) + np.interp(seconds, (np.arange(8) + 0.5) * 10_800, _dst_nt(kp))
    field[1] += expected.d_nt + 10.0 * np.sin(local)
    field[2] += expected.z_nt - 8.0 * np.cos(local)
    for emission in emissions:
        _add_emission(field, emission, day, expected.declination_deg, activity, rng)
    field += rng.normal(0, SENSOR_NOISE_NT, field.shape)
    return field


def _coloured_noise(rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise (3, 86400) with the background's spectrum."""
    frequency = fft.rfftfreq(DAY_S, 1.0)
    shape = np.sqrt(NOISE_PSD_AT_20_MHZ * (np.maximum(frequency, NOISE_CORNER_HZ) / 0.02) ** -NOISE_SLOPE / 2)
    shape[0] = 0.0
    spectrum = fft.rfft(rng.standard_normal((3, DAY_S)), axis=-1) * shape
    noise: NDArray[np.float64] = fft.irfft(spectrum, n=DAY_S, axis=-1) * np.array(COMPONENT_SHARE)[:, None]
    return noise


def band_rms_nt(band_hz: tuple[float, float] = EMISSION_HZ) -> float:
    """Rms of the background H in a band at Kp 2, nT, by integrating its power density."""
    low, high = band_hz
    slope = 1 - NOISE_SLOPE
    return float(np.sqrt(NOISE_PSD_AT_20_MHZ * 0.02**NOISE_SLOPE * (high**slope - low**slope) / slope))


def _add_emission(
    field: NDArray[np.float64], emission: Emission, day: np.datetime64, declination_deg: float,
    activity: NDArray[np.float64], rng: np.random.Generator,
) -> None:  # fmt: skip
    offset = (day.astype("datetime64[ms]") - emission.start_utc) / np.timedelta64(1, "s")
    inside = np.arange(DAY_S) + offset
    active = (inside >= 0) & (inside < (emission.end_utc - emission.start_utc) / np.timedelta64(1, "s"))
    if not active.any():
        return
    frequency = fft.rfftfreq(DAY_S, 1.0)
    band = (frequency >= EMISSION_HZ[0]) & (frequency < EMISSION_HZ[1])
    spectrum = fft.rfft(rng.standard_normal(DAY_S)) * band / np.sqrt(2 * (EMISSION_HZ[1] - EMISSION_HZ[0]))
    in_phase = fft.irfft(spectrum, n=DAY_S)  # unit variance
    quadrature = fft.irfft(spectrum * 1j, n=DAY_S)
    amplitude = np.sqrt(emission.snr) * band_rms_nt() * activity * active
    angle = np.radians(emission.azimuth_deg - declination_deg)
    field[0] += amplitude * np.cos(angle) * in_phase
    field[1] += amplitude * np.sin(angle) * in_phase
    field[2] += 0.5 * amplitude * quadrature
