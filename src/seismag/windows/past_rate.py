"""The rate of aftershocks expected from past earthquakes, known at the end of the window."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import DataConfig

# The generic aftershock sequence: rate of aftershocks of at least M, t days after a mainshock of magnitude Mm,
# 10^(A + B (Mm - M)) (t + C_D)^-P a day. Reasenberg & Jones (1989), doi:10.1126/science.243.4895.1173.
A, B, P, C_D = -1.67, 0.91, 1.08, 0.05
_DAY_MS = 86_400_000
_CHUNK_PAIRS = 4_000_000  # pairs of window and event in memory: 32 MB


def smallest_counting_magnitude(
    distance_km: NDArray[np.float64], hypocentral_km: NDArray[np.float64], spec: DataConfig
) -> NDArray[np.float64]:
    """Return the smallest magnitude that counts at a distance: the magnitude-distance criterion, solved for magnitude.

    For ``es`` it is that of a single earthquake at the threshold; infinite beyond a fixed radius. Never below
    ``data.min_magnitude``.
    """
    if spec.range_rule == "dobrovolsky":
        smallest = np.log10(np.maximum(distance_km, 1e-3)) / 0.43
    elif spec.range_rule == "hattori":
        smallest = 4.5 + 0.025 * distance_km
    elif spec.range_rule == "es":
        smallest = (np.log10(spec.es_threshold) + 2 * np.log10(np.maximum(hypocentral_km, 1.0)) - 4.8) / 1.5
    else:
        smallest = np.where(distance_km <= spec.range_km, spec.min_magnitude, np.inf)
    return np.maximum(smallest, spec.min_magnitude)


def past_rate(ends: NDArray[np.datetime64], near: pd.DataFrame, spec: DataConfig) -> NDArray[np.float64]:
    """Return the rate of aftershocks that count at the station, from all past earthquakes that count there.

    The rate is 10^(a + b (M - m)) (t + c)^-p, added over the earthquakes before the end of a window, t days before it,
    m the smallest magnitude that counts at their distance: a spatial kernel with the reach of the magnitude-distance
    criterion. Each earthquake is treated as a mainshock, so the rate ranks windows; it is not a calibrated forecast.

    Args:
        ends: (n,) end of each window; earthquakes at or after it do not contribute.
        near: origin_utc, magnitude, distance_km, hypocentral_km of the events that count at the station.

    Returns:
        (n,) aftershocks per day; 0 without past earthquakes.

    Source: Reasenberg & Jones (1989), doi:10.1126/science.243.4895.1173, its generic parameters.
    """
    smallest = smallest_counting_magnitude(near["distance_km"].to_numpy(), near["hypocentral_km"].to_numpy(), spec)
    magnitude = near["magnitude"].to_numpy()
    counts = magnitude >= smallest  # es: a daily sum may include later events, so it does not count
    origins = near["origin_utc"].to_numpy().astype("datetime64[ms]").astype(np.int64)[counts]
    productivity = 10.0 ** (A + B * (magnitude - smallest)[counts])
    end_ms = ends.astype("datetime64[ms]").astype(np.int64)
    rate = np.zeros(len(end_ms))
    step = max(1, _CHUNK_PAIRS // max(1, len(origins)))
    for first in range(0, len(end_ms), step):
        days = (end_ms[first : first + step, None] - origins[None, :]) / _DAY_MS
        decay = np.where(days > 0, (np.maximum(days, 0) + C_D) ** -P, 0.0)
        rate[first : first + step] = decay @ productivity
    return rate
