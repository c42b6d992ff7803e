"""Stations, classes of magnitude and azimuth, and the errors that a user meets.

Times are UTC and naive (``datetime64``); intervals are ``[start, end)``; azimuths are degrees
clockwise from geographic north, from the station to the epicentre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAGNITUDE_CLASSES = ("Normal", "Moderate", "Medium", "Large")
AZIMUTH_CLASSES = ("Normal", "N", "NE", "E", "SE", "S", "SW", "W", "NW")
AZIMUTH_CENTRES_DEG = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)  # of the classes from N on
COMPONENTS = ("H", "D", "Z")
FEW_CLUSTERS = 10  # fewer event clusters, control blocks or groups with a class give no interval

MINIMUM_MAGNITUDE = 4.0
MAGNITUDE_EDGES = (MINIMUM_MAGNITUDE, 5.0, 6.0)  # lower edges of the classes from Moderate on
_SECTOR_DEG = 45.0


class SeismagError(Exception):
    """An error that a user can act on: the message states the object, the value, the limit and the remedy."""

    exit_code = 1


class UsageError(SeismagError):
    """An option or a setting that is impossible."""

    exit_code = 2


class DataError(SeismagError):
    """A file without the expected content. ``reason`` is a short word for tables of rejections."""

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Station:
    """A ground magnetometer. Latitude and longitude in degrees, north and east positive."""

    code: str
    latitude_deg: float
    longitude_deg: float
    name: str = ""
    elevation_m: float = 0.0


def magnitude_classes(magnitude: ArrayLike) -> NDArray[np.str_]:
    """Return the class of each magnitude: Moderate [4, 5), Medium [5, 6), Large [6, inf).

    Raises:
        ValueError: a magnitude is missing or below 4.0, so that it has no class.
    """
    values = np.atleast_1d(np.asarray(magnitude, dtype=float))
    if not np.all(values >= MINIMUM_MAGNITUDE):
        raise ValueError(f"magnitudes below {MINIMUM_MAGNITUDE} (or missing) have no class")
    index = np.searchsorted(MAGNITUDE_EDGES, values, side="right")
    return np.array(MAGNITUDE_CLASSES)[index]


def azimuth_classes(azimuth_deg: ArrayLike) -> NDArray[np.str_]:
    """Return the 45-degree sector of each azimuth: N is [337.5, 22.5), NE [22.5, 67.5), ...

    Raises:
        ValueError: an azimuth is not a finite number.
    """
    values = np.atleast_1d(np.asarray(azimuth_deg, dtype=float))
    if not np.all(np.isfinite(values)):
        raise ValueError("a missing azimuth has no class")
    sector = np.floor(np.mod(values + _SECTOR_DEG / 2, 360.0) / _SECTOR_DEG).astype(int) % 8
    return np.array(AZIMUTH_CLASSES)[1 + sector]
