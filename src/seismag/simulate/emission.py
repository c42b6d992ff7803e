"""The injected precursor: a band-limited emission, linearly polarised towards the epicentre.

Its Z leads the horizontal field along the azimuth by a quarter period. Power alone does not distinguish an azimuth from
its reverse, the phases of the cross-spectra do. It is not induced: no part of Z is in phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from seismag.config import EmissionConfig
from seismag.domain import Station, UsageError
from seismag.recordings.days import DAY_S
from seismag.windows.criteria import EARTH, dobrovolsky_km

STRONGEST_NT = 1000.0  # rms amplitude; several times that still fits into the day files
WINDOW_H = 6  # truth is written for windows of this length
EDGE_S = 300  # length of the taper at both ends, which keeps the emission within its band


@dataclass(frozen=True)
class Emission:
    """One precursor at one station.

    Attributes:
        station, event_id: codes of the station and the earthquake.
        magnitude, distance_km: of the earthquake, and its distance from the station.
        azimuth_deg: station to epicentre, from geographic north.
        origin_utc: of the earthquake.
        start_utc, end_utc: of the emission.
        power_nt2: mean power of its horizontal field in the band.
    """

    station: str
    event_id: str
    magnitude: float
    distance_km: float
    azimuth_deg: float
    origin_utc: np.datetime64
    start_utc: np.datetime64
    end_utc: np.datetime64
    power_nt2: float


def events_in_range(events: pd.DataFrame, station: Station) -> pd.DataFrame:
    """Return the events within the Dobrovolsky radius of a station, with distance_km and azimuth_deg."""
    n = len(events)
    azimuth, _, metres = EARTH.inv(
        np.full(n, station.longitude_deg), np.full(n, station.latitude_deg),
        events["longitude_deg"].to_numpy(), events["latitude_deg"].to_numpy(),
    )  # fmt: skip
    table = events.assign(distance_km=np.asarray(metres) / 1000, azimuth_deg=np.mod(azimuth, 360.0))
    return table[table["distance_km"] <= dobrovolsky_km(table["magnitude"].to_numpy())]


def plan_emissions(
    spec: EmissionConfig, events: pd.DataFrame, station: Station, reference_nt2: float
) -> list[Emission]:
    """Return the precursors of the earthquakes in range of a station.

    Args:
        spec: section ``simulate.emission``; none where snr is 0.
        events: the catalogue, with parent_id ("" for a mainshock).
        reference_nt2: horizontal background in the band at Kp 2, to which ``snr`` refers.

    Raises:
        UsageError: an emission would exceed the range of magnetometers.
    """
    if spec.snr == 0:
        return []
    chosen = events_in_range(events, station)
    if spec.mainshocks_only:
        chosen = chosen[chosen["parent_id"] == ""]
    emissions = []
    for event in chosen.itertuples():
        origin: np.datetime64 = np.datetime64(event.origin_utc, "ms")
        start: np.datetime64 = origin - np.timedelta64(round(spec.lead_h * 3_600_000), "ms")
        end: np.datetime64 = start + np.timedelta64(round(spec.duration_h * 3_600_000), "ms")
        decades = spec.magnitude_exponent * (event.magnitude - 5.0)
        decades -= spec.distance_exponent * np.log10(max(event.distance_km, 1.0) / 100.0)
        if np.log10(spec.snr * reference_nt2) + decades > 2 * np.log10(STRONGEST_NT):
            raise UsageError(
                f"simulate.emission: that of {event.event_id} (M {event.magnitude:g}, {event.distance_km:.0f} km from "
                f"{station.code}) would exceed {STRONGEST_NT:g} nT. Lower snr ({spec.snr:g}), magnitude_exponent "
                f"({spec.magnitude_exponent:g}) or distance_exponent ({spec.distance_exponent:g})."
            )
        emissions.append(
            Emission(
                station.code,
                str(event.event_id),
                float(event.magnitude),
                float(event.distance_km),
                float(event.azimuth_deg),
                origin,
                start,
                end,
                float(spec.snr * reference_nt2 * 10**decades),
            )
        )
    return emissions


def add_emission(
    field_nt: NDArray[np.float64], day: np.datetime64, emission: Emission, h_axis_deg: float, spec: EmissionConfig,
    rng: np.random.Generator, rng_before: np.random.Generator,
) -> None:  # fmt: skip
    """Add the part of an emission that falls on a day, in place.

    Args:
        field_nt: (3, 86400) H, D, Z of the day.
        h_axis_deg: azimuth of the H axis from geographic north.
        rng: generator of the waveform.
        rng_before: generator of the day before; its waveform fades out after midnight, so that there is no step.
    """
    envelope = emission_envelope(day, emission, spec)
    if not envelope.any():
        return
    waves = _waveform(spec, rng)
    if envelope[0] > 0:
        phase = np.pi / 2 * np.arange(EDGE_S) / EDGE_S
        before = _waveform(spec, rng_before)[:, :EDGE_S]  # periodic: the continuation of yesterday's
        waves[:, :EDGE_S] = np.sin(phase) * waves[:, :EDGE_S] + np.cos(phase) * before
    along, quadrature = waves * envelope
    angle = np.radians(emission.azimuth_deg - h_axis_deg)
    field_nt[0] += np.cos(angle) * along
    field_nt[1] += np.sin(angle) * along
    field_nt[2] += spec.z_ratio * quadrature


def _waveform(spec: EmissionConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Periodic noise (2, 86400) of unit variance in the band, and the same a quarter period ahead."""
    frequency = fft.rfftfreq(DAY_S, 1.0)
    band = (frequency >= spec.low_mhz / 1000) & (frequency < spec.high_mhz / 1000)
    spectrum = np.zeros(frequency.size, complex)
    normals = rng.standard_normal((2, int(band.sum())))
    spectrum[band] = (normals[0] + 1j * normals[1]) * (DAY_S / 2 / np.sqrt(band.sum()))
    waves: NDArray[np.float64] = fft.irfft(np.stack([spectrum, 1j * spectrum]), n=DAY_S, axis=-1)
    return waves


def emission_envelope(day: np.datetime64, emission: Emission, spec: EmissionConfig) -> NDArray[np.float64]:
    """Return the rms amplitude (86400,) of the horizontal emission on a day, nT; zero outside its interval."""
    since = (day.astype("datetime64[ms]") - emission.start_utc) / np.timedelta64(1, "s") + np.arange(DAY_S)
    until = (emission.end_utc - emission.start_utc) / np.timedelta64(1, "s") - since
    inside = (since >= 0) & (until > 0)
    if not inside.any():
        return np.zeros(DAY_S)
    swell = np.clip(np.minimum(since, until) / EDGE_S, 0, 1)
    phase = 2 * np.pi * since / (60 * spec.modulation_period_min)
    modulation = (1 + spec.modulation_depth * np.sin(phase)) / np.sqrt(1 + spec.modulation_depth**2 / 2)
    envelope: NDArray[np.float64] = np.sqrt(emission.power_nt2) * np.sin(np.pi / 2 * swell) * modulation * inside
    return envelope


def window_truth(
    emission: Emission, day: np.datetime64, background_nt2: NDArray[np.float64], spec: EmissionConfig
) -> list[dict[str, object]]:
    """Return the rows of ``truth.parquet``: one for each window of a day that an emission touches.

    The horizontal background in the band is given minute by minute (1440,).
    """
    per_day = 24 // WINDOW_H
    power = (emission_envelope(day, emission, spec) ** 2).reshape(per_day, -1)
    rows: list[dict[str, object]] = []
    for slot, window in enumerate(power):
        if not window.any():
            continue
        start = day.astype("datetime64[ms]") + np.timedelta64(slot * WINDOW_H, "h")
        end = start + np.timedelta64(WINDOW_H, "h")
        background = float(background_nt2.reshape(per_day, -1)[slot].mean())
        rows.append(
            {
                "station": emission.station,
                "start_utc": start,
                "end_utc": end,
                "event_id": emission.event_id,
                "magnitude": emission.magnitude,
                "distance_km": emission.distance_km,
                "azimuth_deg": emission.azimuth_deg,
                "lead_hours": (emission.origin_utc - end) / np.timedelta64(1, "h"),
                "emission_start_utc": max(emission.start_utc, start),
                "emission_end_utc": min(emission.end_utc, end),
                "low_mhz": spec.low_mhz,
                "high_mhz": spec.high_mhz,
                "emission_nt2": float(window.mean()),
                "background_nt2": background,
                "snr": float(window.mean()) / background,
            }
        )
    return rows


TRUTH_COLUMNS = {
    "station": "str", "start_utc": "datetime64[ms]", "end_utc": "datetime64[ms]", "event_id": "str",
    "magnitude": float, "distance_km": float, "azimuth_deg": float, "lead_hours": float,
    "emission_start_utc": "datetime64[ms]", "emission_end_utc": "datetime64[ms]", "low_mhz": float,
    "high_mhz": float, "emission_nt2": float, "background_nt2": float, "snr": float,
}  # fmt: skip
