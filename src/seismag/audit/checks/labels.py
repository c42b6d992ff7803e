"""Plausibility checks of labels: impossible values, classes against numbers, and swapped columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import Geod
from scipy.stats import rankdata

from seismag.arrays import FloatArray
from seismag.audit.checks.permutation import ENOUGH_EXCEEDANCES, FIRST_DRAWS
from seismag.config import AuditConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, azimuth_classes, magnitude_classes
from seismag.estimate import CheckResult, Verdict
from seismag.scoring.null import Null

NORMAL = "Normal"
MINIMUM_RANK_CORRELATION = 0.5
AZIMUTH_TOLERANCE_DEG = 2.0  # coordinates rounded to 0.1 degree change an azimuth by this much at 300 km
_MIN_EVENTS = 12  # of a class, for a rank correlation
_MAX_STARTS = 6
_GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class LabelTable:
    """Earthquake labels by row; a column that the table lacks is all missing (NaN, None, NaT)."""

    magnitude: FloatArray  # (n,)
    azimuth_deg: FloatArray  # (n,) station to epicentre, clockwise from north
    magnitude_class: NDArray[np.object_]  # (n,) names
    azimuth_class: NDArray[np.object_]  # (n,) names
    time: NDArray[np.datetime64]  # (n,) UTC
    hour: FloatArray  # (n,)
    event: NDArray[np.object_]  # (n,) identifiers of earthquakes; the rows of one are one observation
    positions: FloatArray  # (n, 4) station latitude, longitude, epicentre latitude, longitude in degrees


def count_check(name: str, sentence: str, count: int, noun: str, details: dict[str, int] | None = None) -> CheckResult:
    """Blocking check that fails where something was counted."""
    verdict: Verdict = "fail" if count else "pass"
    return CheckResult(name, sentence, float(count), noun, blocking=True, verdict=verdict, details=details or {})


def check_labels(table: LabelTable, spec: AuditConfig) -> list[CheckResult | None]:
    """``label_values``, ``azimuth_geometry`` and ``azimuth_follows_magnitude``; None where a check does not apply."""
    return [check_label_values(table), check_azimuth_geometry(table), check_azimuth_follows_magnitude(table, spec)]


def check_label_values(table: LabelTable) -> CheckResult:
    """Count rows with impossible or contradictory labels; one is enough to fail."""
    problems = {text: rows for text, rows in _impossible(table) if rows.any()}
    counted = [f"{int(rows.sum())} rows {text} (first: row {int(np.flatnonzero(rows)[0]) + 1})"
               for text, rows in problems.items()]  # fmt: skip
    sentence = f"Impossible labels: {'; '.join(counted)}." if counted else "No impossible value among the labels."
    n_bad = int(np.any(list(problems.values()), axis=0).sum()) if problems else 0
    details = {text: int(rows.sum()) for text, rows in problems.items()}
    return count_check("label_values", sentence, n_bad, "rows with an impossible label", details)


def check_azimuth_geometry(table: LabelTable) -> CheckResult | None:
    """Compare azimuths with the geodesic from station to epicentre; None where no row has both."""
    known = np.isfinite(table.positions).all(axis=1) & np.isfinite(table.azimuth_deg)
    if not known.any():
        return None
    latitude, longitude, event_latitude, event_longitude = table.positions[known].T
    geodesic_deg = _GEOD.inv(longitude, latitude, event_longitude, event_latitude)[0]
    difference = np.abs((table.azimuth_deg[known] - geodesic_deg + 180) % 360 - 180)
    off = int((difference > AZIMUTH_TOLERANCE_DEG).sum())
    sentence = (
        f"{off} of {int(known.sum())} azimuths differ from the geodesic between station and epicentre by more than "
        f"{AZIMUTH_TOLERANCE_DEG:g} degrees (median {np.median(difference):.1f})."
    )
    return count_check("azimuth_geometry", sentence, off, "azimuths off the geodesic")


def check_azimuth_follows_magnitude(table: LabelTable, spec: AuditConfig) -> CheckResult | None:
    """Test whether an azimuth column contains values that belong to magnitudes.

    Within an azimuth class, azimuths and magnitudes of earthquakes should be uncorrelated. The statistic is the
    largest rank correlation over classes, and within a class over the rows from some day on (a column slips from some
    time on). The null distribution permutes magnitudes within the class and repeats the scan over starting days.

    Returns:
        The result, or None where no class has 12 earthquakes.

    Source: Spearman (1904), doi:10.2307/1412159.
    """
    scans = list(_scans(table))
    if not scans:
        return None
    rng = np.random.default_rng(spec.seed)
    strongest = max(scans, key=lambda scan: (scan.observed, scan.class_name, scan.first_day))
    largest = np.max([scan.permuted(FIRST_DRAWS, rng) for scan in scans], axis=0)
    if Null(largest).count_extreme(strongest.observed) < ENOUGH_EXCEEDANCES and spec.permutations > FIRST_DRAWS:
        rest = np.max([scan.permuted(spec.permutations - FIRST_DRAWS, rng) for scan in scans], axis=0)
        largest = np.concatenate([largest, rest])
    rho, class_name = strongest.correlation, strongest.class_name
    in_class = table.azimuth_class == class_name
    n_rows = int((in_class & (table.time >= strongest.first_day)).sum())
    day, n_events = str(strongest.first_day.astype("datetime64[D]")), len(strongest.magnitude_rank)
    return CheckResult(
        "azimuth_follows_magnitude",
        f"In class {class_name}, azimuth and magnitude have the rank correlation {rho:.2f} over {n_rows} of "
        f"{int(in_class.sum())} rows, from {day} on ({n_events} earthquakes), the strongest of all classes"
        + (": these azimuths are computed from magnitudes." if abs(rho) >= MINIMUM_RANK_CORRELATION else "."),
        statistic=rho,
        statistic_name="rank correlation of azimuth and magnitude within a class",
        p_value=Null(largest, tolerance=1e-9).p_value(strongest.observed),
        above_minimum=abs(rho) >= MINIMUM_RANK_CORRELATION,
        blocking=True,
        details={"class": class_name, "rows": n_rows, "first_day": day, "draws": len(largest)},
    )


def _impossible(table: LabelTable) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    azimuth, magnitude = table.azimuth_deg, table.magnitude
    has_azimuth, has_magnitude = np.isfinite(azimuth), np.isfinite(magnitude)
    mag_class, azi_class = table.magnitude_class, table.azimuth_class
    yield "have an azimuth outside 0 to 360 degrees", has_azimuth & ~((azimuth >= 0) & (azimuth <= 360))
    yield "have a magnitude outside -1 to 10", has_magnitude & ~((magnitude >= -1) & (magnitude <= 10))
    yield "have an hour outside 0 to 24", np.isfinite(table.hour) & ~((table.hour >= 0) & (table.hour < 24))
    is_normal = (mag_class == NORMAL) | (azi_class == NORMAL)
    yield "are Normal, yet have a magnitude or an azimuth", is_normal & (has_azimuth | has_magnitude)
    both = np.isin(mag_class, MAGNITUDE_CLASSES) & np.isin(azi_class, AZIMUTH_CLASSES)
    yield "are Normal by one label and not by the other", both & ((mag_class == NORMAL) != (azi_class == NORMAL))
    event = np.isin(mag_class, MAGNITUDE_CLASSES[1:]) & has_magnitude
    small = event & (magnitude < 4)
    yield "are of a magnitude class, yet of a magnitude below 4", small
    expected = np.full(len(magnitude), None, dtype=object)
    expected[event & ~small] = magnitude_classes(magnitude[event & ~small]) if (event & ~small).any() else []
    yield "have a magnitude class that is not that of their magnitude", event & ~small & (expected != mag_class)
    event = np.isin(azi_class, AZIMUTH_CLASSES[1:]) & has_azimuth
    expected = np.full(len(azimuth), None, dtype=object)
    expected[event] = azimuth_classes(azimuth[event]) if event.any() else []
    yield "have an azimuth class that is not that of their azimuth", event & (expected != azi_class)


@dataclass(frozen=True)
class _Scan:
    """Earthquakes of one azimuth class from some day on."""

    class_name: str
    first_day: np.datetime64
    azimuth_rank: FloatArray
    magnitude_rank: FloatArray
    correlation: float

    @property
    def scale(self) -> float:
        return float(np.sqrt(len(self.magnitude_rank) - 1))  # unit variance under independence

    @property
    def observed(self) -> float:
        return abs(self.correlation) * self.scale

    def permuted(self, n_draws: int, rng: np.random.Generator) -> FloatArray:
        ranks = rng.permuted(np.tile(self.magnitude_rank, (n_draws, 1)), axis=1)
        return np.abs(_correlate(ranks, self.azimuth_rank)) * self.scale


def _scans(table: LabelTable) -> Iterator[_Scan]:
    frame = pd.DataFrame(
        {"event": table.event, "class": table.azimuth_class, "time": table.time,
         "azimuth": table.azimuth_deg, "magnitude": table.magnitude}
    ).dropna()  # fmt: skip
    frame = frame[frame["class"] != NORMAL].drop_duplicates(["event", "class"]).sort_values("time", kind="stable")
    for name, rows in frame.groupby("class", sort=True):
        last = len(rows) - _MIN_EVENTS
        if last < 0:
            continue
        for start in sorted({0, 1, 2, 3, *np.linspace(0, last, _MAX_STARTS).astype(int)} & set(range(last + 1))):
            part = rows.iloc[start:]
            if start and part["time"].iloc[0] == rows["time"].iloc[start - 1]:
                continue
            azimuth, magnitude = rankdata(part["azimuth"]), rankdata(part["magnitude"])
            rho = float(_correlate(magnitude[None], azimuth)[0])
            yield _Scan(str(name), part["time"].to_numpy()[0], azimuth, magnitude, rho)


def _correlate(ranks: FloatArray, other: FloatArray) -> FloatArray:
    a, b = ranks - ranks.mean(axis=1, keepdims=True), other - other.mean()
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum())
    return np.divide(a @ b, norm, out=np.zeros(len(a)), where=norm > 0)
