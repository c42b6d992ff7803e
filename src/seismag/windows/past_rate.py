"""What past earthquakes alone say of the next ones: a rate that decays with time, known at the window's end."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import DataConfig

# The generic aftershock sequence: rate of aftershocks of at least M, t days after a mainshock of magnitude Mm,
# 10^(A + B (Mm - M)) (t + C_D)^-P a day. Reasenberg & Jones (1989), doi:10.1126/science.243.4895.1173.
A, B, P, C_D = -1.67, 0.91, 1.08, 0.05
_DAY_MS = 86_400_000
_CHUNK_CELLS = 4_000_000  # window-event pairs held at once: 32 MB


def smallest_counting_magnitude(
    distance_km: NDArray[np.float64], hypocentral_km: NDArray[np.float64], spec: DataConfig
) -> NDArray[np.float64]:
    """Smallest magnitude that counts at a station from this far away: the range rule, solved for the magnitude.

    For the rule ``es`` it is that of an earthquake which reaches the threshold alone; infinite beyond a fixed radius.
    Never below ``data.min_magnitude``.
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
    """Rate of aftershocks that would count at the station, from all earthquakes that count there and are past.

    For each window the sum of 10^(a + b (M - m)) (t + c)^-p over the earthquakes before its end, t days before it,
    m the smallest magnitude that counts from their distance: a kernel in space that falls as the range rule does.
    Every earthquake is taken for a mainshock, so the sum ranks windows; it is no calibrated forecast.

    Args:
        ends: (n,) end of each window; an earthquake at or after it adds nothing.
        near: origin_utc, magnitude, distance_km, hypocentral_km of the events that count at the station.
        spec: range rule and smallest magnitude.

    Returns:
        (n,) aftershocks a day; 0 where nothing has happened yet.

    Source: Reasenberg & Jones (1989), doi:10.1126/science.243.4895.1173, its generic parameters.
    """
    smallest = smallest_counting_magnitude(near["distance_km"].to_numpy(), near["hypocentral_km"].to_numpy(), spec)
    magnitude = near["magnitude"].to_numpy()
    counts = magnitude >= smallest  # under the rule es a day's sum, of which a part may be yet to come, counts nobody
    origins = near["origin_utc"].to_numpy().astype("datetime64[ms]").astype(np.int64)[counts]
    productivity = 10.0 ** (A + B * (magnitude - smallest)[counts])
    end_ms = ends.astype("datetime64[ms]").astype(np.int64)
    rate = np.zeros(len(end_ms))
    step = max(1, _CHUNK_CELLS // max(1, len(origins)))
    for first in range(0, len(end_ms), step):
        days = (end_ms[first : first + step, None] - origins[None, :]) / _DAY_MS
        decay = np.where(days > 0, (np.maximum(days, 0) + C_D) ** -P, 0.0)
        rate[first : first + step] = decay @ productivity
    return rate
