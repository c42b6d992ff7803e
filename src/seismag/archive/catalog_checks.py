"""Tests of where and when a catalogue puts its earthquakes: against the seismic regions of the Earth, and another one.

Latitudes with the wrong sign, swapped coordinates, or local time for UTC give a catalogue that reads well and labels
the wrong windows.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import Geod

from seismag.archive.same_earthquakes import SAME_KM, SAME_S
from seismag.arrays import FloatArray
from seismag.domain import DataError

SEISMIC_CELL_DEG = (
    2.5  # of seismic_cells.txt: cells with an earthquake of M >= 5 in 2013-2023, USGS, north-west corner first
)
LEAST_EVENTS = 20  # of both tests
OWN_FRACTION, OTHER_FRACTION = 0.85, 0.95  # in seismic cells: at most as given, at least where a sign is changed
_LARGEST = 2000  # earthquakes that are compared with the other catalogue
_SHIFT_S = 50 * 3600.0  # longest shift of a clock that is looked for: two days
_WGS84 = Geod(ellps="WGS84")

Place = tuple[FloatArray, FloatArray]
_ERRORS = {
    "the latitudes have the wrong sign": lambda latitude, longitude: (-latitude, longitude),
    "the longitudes have the wrong sign": lambda latitude, longitude: (latitude, -longitude),
    "both coordinates have the wrong sign": lambda latitude, longitude: (-latitude, -longitude),
    "latitude and longitude are swapped": lambda latitude, longitude: (longitude, latitude),
}


def require_seismic_places(events: pd.DataFrame, path: Path) -> None:
    """Refuse a catalogue whose epicentres lie in seismic regions only after a sign is changed.

    Args:
        events: latitude_deg, longitude_deg.

    Raises:
        DataError: at most 85 % of the epicentres lie in seismic cells as given, and 95 % or more after the change.
    """
    if len(events) < LEAST_EVENTS:
        return
    latitude, longitude = (events[name].to_numpy() for name in ("latitude_deg", "longitude_deg"))
    own = _in_seismic_cells(latitude, longitude)
    if own > OWN_FRACTION:
        return
    for error, change in _ERRORS.items():
        if (fraction := _in_seismic_cells(*change(latitude, longitude))) >= OTHER_FRACTION:
            raise DataError(
                f"{path}: {own:.0%} of the epicentres lie where earthquakes of M 5 occurred in 2013-2023, and "
                f"{fraction:.0%} if {error}. Correct the columns."
            )


def require_same_clock(events: pd.DataFrame, earlier: pd.DataFrame, path: Path) -> None:
    """Refuse a catalogue that has the earthquakes of an earlier one at shifted times.

    Args:
        events, earlier: origin_utc, latitude_deg, longitude_deg, magnitude.

    Raises:
        DataError: more of the largest earthquakes agree with the earlier catalogue at one shift of the clock, of up to
            50 h, than without (20 or more, twice as many, and ten times as many as by chance).
    """
    shifts = _shifts_of_near_events(events, earlier)
    if not len(shifts):
        return
    unshifted = int((np.abs(shifts) <= SAME_S).sum())
    ordered = np.sort(shifts)
    last = np.searchsorted(ordered, ordered + 2 * SAME_S, side="right")
    first = int(np.argmax(last - np.arange(len(ordered))))
    agreeing = int(last[first] - first)
    shift_s = float(np.median(ordered[first : last[first]]))
    by_chance = len(shifts) * SAME_S / _SHIFT_S  # in a stretch of this length; swarms have many pairs
    if abs(shift_s) <= 2 * SAME_S or agreeing < max(LEAST_EVENTS, 2 * unshifted, 10 * by_chance):
        return
    raise DataError(
        f"{path}: {agreeing} of its largest earthquakes are in an earlier catalogue {_hours(shift_s)} "
        f"{'earlier' if shift_s > 0 else 'later'}, {unshifted} at the same time. Are the times of one of them local, "
        "or of another day? Correct them."
    )


def _shifts_of_near_events(events: pd.DataFrame, earlier: pd.DataFrame) -> FloatArray:
    """Time differences, s, of the largest earthquakes and all those of another catalogue within 100 km and 50 h."""
    largest = events.nlargest(_LARGEST, "magnitude")
    other = earlier[earlier["magnitude"] >= largest["magnitude"].min() - 1].sort_values("origin_utc")
    own_s = largest["origin_utc"].to_numpy("datetime64[ms]").astype("int64") / 1000
    other_s = other["origin_utc"].to_numpy("datetime64[ms]").astype("int64") / 1000
    first = np.searchsorted(other_s, own_s - _SHIFT_S)
    counts = np.searchsorted(other_s, own_s + _SHIFT_S) - first
    rows = np.repeat(np.arange(len(largest)), counts)
    others = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows]
    place = ["longitude_deg", "latitude_deg"]
    ours, theirs = largest[place].to_numpy()[rows], other[place].to_numpy()[others]
    distance_km = _WGS84.inv(ours[:, 0], ours[:, 1], theirs[:, 0], theirs[:, 1])[2] / 1000
    near = distance_km <= SAME_KM
    difference: FloatArray = (own_s[rows] - other_s[others])[near]
    return difference


def _hours(seconds: float) -> str:
    size = abs(seconds)
    return f"{size / 86400:.2g} d" if size >= 86400 - 60 else f"{size / 3600:.3g} h"


@lru_cache
def _seismic_cells() -> NDArray[np.bool_]:
    text = (resources.files("seismag.archive") / "seismic_cells.txt").read_text("ascii")
    return np.array([[sign == "#" for sign in line] for line in text.splitlines()])


def _in_seismic_cells(latitude: FloatArray, longitude: FloatArray) -> float:
    """Fraction of places in cells with an earthquake of M >= 5; a place that is none counts as outside."""
    cells = _seismic_cells()
    possible = np.abs(latitude) <= 90
    row = np.clip(((90 - latitude) / SEISMIC_CELL_DEG).astype(int), 0, cells.shape[0] - 1)
    column = (((longitude + 180) % 360) / SEISMIC_CELL_DEG).astype(int) % cells.shape[1]
    return float((cells[row, column] & possible).mean())
