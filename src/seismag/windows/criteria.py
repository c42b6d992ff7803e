"""Magnitude-distance criteria: the earthquakes that count at a station."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from seismag.config import DataConfig

EARTH = Geod(ellps="WGS84")


def range_km(magnitude: NDArray[np.float64], spec: DataConfig) -> NDArray[np.float64]:
    """Return the largest distance, km, at which an earthquake counts; not for ``es``.

    Source: Dobrovolsky et al. (1979), doi:10.1007/BF00876083: R = 10^(0.43 M), epicentral;
    Hattori et al. (2006), doi:10.1016/j.pce.2006.02.036: 0.025 R < M - 4.5; ``fixed``: data.range_km.
    """
    if spec.range_rule == "dobrovolsky":
        return dobrovolsky_km(magnitude)
    if spec.range_rule == "hattori":
        return hattori_km(magnitude)
    return np.full_like(magnitude, spec.range_km)


def dobrovolsky_km(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radius of the preparation zone, 10^(0.43 M) km."""
    return np.power(10.0, 0.43 * magnitude)


def hattori_km(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radius of Hattori's criterion, (M - 4.5) / 0.025 km, zero below M 4.5."""
    return np.maximum(magnitude - 4.5, 0.0) / 0.025


def energy_index(magnitude: NDArray[np.float64], hypocentral_km: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the seismic energy at the station, Es = 10^(4.8 + 1.5 M) / r^2, r hypocentral in km.

    Source: Hattori et al. (2006), doi:10.1016/j.pce.2006.02.036.
    """
    return np.power(10.0, 4.8 + 1.5 * magnitude) / np.maximum(hypocentral_km, 1.0) ** 2
