"""Quality of a day of recordings: gaps, artefacts, and the main field as a plausibility check.

A wrong decoder, a wrong unit or swapped components give plausible-looking numbers. So the medians of H, D and Z are
compared, sign included, with the International Geomagnetic Reference Field, and a day that disagrees is refused.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.domain import COMPONENTS, Station
from seismag.spectrograms.artefacts import (
    FLAT_S,
    JUMP_NT,
    SMALL_SPIKE_NT,
    SMALL_STEP_NT,
    Artefacts,
    find_artefacts,
    finite_median,
    usual_change,
)
from seismag.spectrograms.compute import bridge_short_gaps

NO_BASELINE = 0.05  # a total field below this fraction of the main field: variations without a baseline


@dataclass(frozen=True)
class MainField:
    """Main field (H, D, Z and total) at a place and time in the frame of a sensor, nT; declination in degrees."""

    hdz: tuple[float, float, float]
    f_nt: float
    declination_deg: float


_NO_ARTEFACTS = Artefacts(*(np.empty((0, width), dtype=np.int64) for width in (2, 2, 3)))


@dataclass(frozen=True)
class DayQuality:
    """Assessment of one stretch of data of one station.

    Attributes:
        verdict: "good", "usable" (with remarks) or "refused".
        plausible: True or False by the main field; None where it cannot be assessed.
        reasons: sentences, empty when good.
        median_nt, min_nt, max_nt: (3,), NaN where everything is missing.
        missing: (3,) samples without a value.
        spikes, steps: counts over the three components.
        flat_s: (3,) longest stuck stretch of at least 600 s, s; 0: none.
        artefacts: jumps and stuck stretches, after short gaps are bridged.
    """

    verdict: str
    plausible: bool | None
    reasons: tuple[str, ...]
    median_nt: NDArray[np.float64]
    min_nt: NDArray[np.float64]
    max_nt: NDArray[np.float64]
    missing: NDArray[np.int64]
    spikes: int
    steps: int
    flat_s: NDArray[np.int64]
    artefacts: Artefacts


def main_field(station: Station, day: np.datetime64, h_axis_deg: float = np.nan) -> MainField:
    """Compute the main field at a station in the frame of its H axis.

    Args:
        day: any time; the middle of its month is used (the main field changes by some nT a month).
        h_axis_deg: azimuth of the H axis from geographic north; NaN: magnetic north.

    Source: IGRF-14 coefficients as shipped with ppigrf; the model: Alken et al. (2021) on IGRF-13,
    doi:10.1186/s40623-020-01288-x.
    """
    month = day.astype("datetime64[M]").item()
    east, north, up = _igrf(station.longitude_deg, station.latitude_deg, station.elevation_m, month.year, month.month)
    declination = float(np.degrees(np.arctan2(east, north)))
    angle = np.radians(declination - (declination if np.isnan(h_axis_deg) else h_axis_deg))
    horizontal = float(np.hypot(east, north))
    hdz = horizontal * float(np.cos(angle)), horizontal * float(np.sin(angle)), -up
    return MainField(hdz, float(np.hypot(horizontal, up)), declination)


@lru_cache(maxsize=4096)
def _igrf(longitude: float, latitude: float, elevation_m: float, year: int, month: int) -> tuple[float, float, float]:
    import ppigrf

    components = ppigrf.igrf(longitude, latitude, elevation_m / 1000, datetime.datetime(year, month, 15))
    east, north, up = (float(np.squeeze(value)) for value in components)
    return east, north, up


def assess_day(
    field_nt: NDArray[np.float64], spec: DataConfig, expected: MainField | None, where: str, rate_hz: float = 1.0
) -> DayQuality:
    """Assess one stretch of data (usually a day).

    Args:
        field_nt: (3, n), NaN missing.
        expected: main field in the frame of the data; None where the position is unknown.
        rate_hz: samples per second; jumps and stuck values are searched at 1 Hz only.
    """
    missing = np.isnan(field_nt).sum(axis=1)
    reasons: list[str] = []
    if missing.max() == field_nt.shape[1]:
        dead = ", ".join(name for name, count in zip(COMPONENTS, missing, strict=True) if count == field_nt.shape[1])
        median, lowest, highest = (
            np.array([function(c[np.isfinite(c)]) if np.isfinite(c).any() else np.nan for c in field_nt])
            for function in (np.median, np.min, np.max)
        )
        return DayQuality(
            "refused", None, (f"{where}: no value at all in {dead}.",), median, lowest, highest, missing, 0, 0,
            np.zeros(3, np.int64), _NO_ARTEFACTS,
        )  # fmt: skip
    median = np.array([finite_median(component) for component in field_nt])
    plausible, sentence = compare_with_main_field(median, spec, expected, where)
    if sentence:
        reasons.append(sentence)
    if missing.any():
        fraction = missing.max() / field_nt.shape[1]
        reasons.append(f"{where}: {missing.max() / rate_hz:.0f} s missing ({fraction:.2%}).")
    if rate_hz == 1.0 and (usual := float(np.nan_to_num(usual_change(field_nt)).max())) > JUMP_NT:
        plausible = False
        reasons.append(
            f"{where}: not the Earth's field: its median change in one second is {usual:.0f} nT "
            f"(limit {JUMP_NT:g} nT). Wrong decoder?"
        )
    artefacts, flat = _NO_ARTEFACTS, np.zeros(3, dtype=np.int64)
    if rate_hz == 1.0:
        artefacts = find_artefacts(bridge_short_gaps(field_nt, spec.max_interpolated_gap_s))
        np.maximum.at(flat, artefacts.stuck[:, 0], artefacts.stuck[:, 2] - artefacts.stuck[:, 1])
    if len(artefacts.spikes) or len(artefacts.steps):
        reasons.append(
            f"{where}: {len(artefacts.spikes)} spikes and {len(artefacts.steps)} steps (above {SMALL_SPIKE_NT:g} and "
            f"{SMALL_STEP_NT:g} nT and the day's noise)."
        )
    for name, seconds in zip(COMPONENTS, flat, strict=True):
        if seconds:
            reasons.append(f"{where}: {name} does not change for {seconds} s (limit {FLAT_S} s).")
    return DayQuality(
        verdict="refused" if plausible is False else ("usable" if reasons else "good"),
        plausible=plausible,
        reasons=tuple(reasons),
        median_nt=median,
        min_nt=np.nanmin(field_nt, axis=1),
        max_nt=np.nanmax(field_nt, axis=1),
        missing=missing,
        spikes=len(artefacts.spikes),
        steps=len(artefacts.steps),
        flat_s=flat,
        artefacts=artefacts,
    )


def compare_with_main_field(
    median_nt: NDArray[np.float64], spec: DataConfig, expected: MainField | None, where: str
) -> tuple[bool | None, str]:
    """Compare medians with the main field; returns plausible (None: cannot be assessed) and a sentence.

    Args:
        median_nt: (3,) median H, D, Z, nT.
        spec: ``main_field_tolerance``, a fraction of the total field.
        expected: main field in the same frame; None where the position is unknown.
    """
    if expected is None:
        return None, f"{where}: the station's position is unknown, so the level is not checked."
    total = float(np.linalg.norm(median_nt))
    if total < NO_BASELINE * expected.f_nt:
        return None, f"{where}: variations without a baseline (total {total:.0f} nT), so the level is not checked."
    limit = spec.main_field_tolerance * expected.f_nt
    wrong = [
        f"{name} {value:.0f} nT where the main field has {should:.0f}"
        for name, value, should in zip(COMPONENTS, median_nt, expected.hdz, strict=True)
        if not abs(value - should) <= limit
    ]
    if not wrong:
        return True, ""
    return False, (
        f"{where}: not the Earth's field at this station: {'; '.join(wrong)} "
        f"(limit ±{limit:.0f} nT). Wrong decoder, unit, component order or station position?"
    )
