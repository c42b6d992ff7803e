"""Trailing normalisation: each window is scaled by the earlier windows of its station.

A level that a station has had for weeks (noise, season, instrument) carries no information on an earthquake; what
remains is the change relative to it, as in classical polarisation analysis.

Level and spread are the median, and 1.4826 times the median absolute deviation, of each component and frequency bin
over all windows of the station that start within the last ``train.trailing_days`` and end before the window starts. For
speed each window is first summarised in each frequency bin by the midpoints of its octiles: eight numbers.

A window with fewer than ``train.trailing_min`` windows before it is left out of training and predictions, with its
reason, rather than scaled in another way: the number of windows before it depends on its label, so that another
scaling would reveal the label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import BoolArray, Float32Array, IntArray
from seismag.cards import Normalisation
from seismag.training.dataset import iterate_power
from seismag.training.scaling import MIN_STD_DB, Scaling
from seismag.windows.store import Store

_MAD_TO_STD = 1.4826  # of a normal distribution
_OCTILE_MIDPOINTS = (np.arange(8) + 0.5) / 8


def summarise_windows(power_db: NDArray[Any]) -> NDArray[np.float16]:
    """Summarise each frequency bin of each window by the midpoints of its octiles.

    Args:
        power_db: (n, 3, F, T) dB; NaN masked.

    Returns:
        (n, 3, F, 8) dB, ascending; NaN for a frequency bin without any value.
    """
    ascending = np.sort(power_db.astype(np.float32), axis=-1)  # NaN last
    counts = np.isfinite(ascending).sum(axis=-1, keepdims=True)
    ranks = np.maximum(counts - 1, 0) * _OCTILE_MIDPOINTS  # (n, 3, F, 8)
    below = np.floor(ranks).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    low, high = (np.take_along_axis(ascending, index, axis=-1) for index in (below, above))
    return (low + (high - low) * (ranks - below)).astype(np.float16)


def median_and_spread(octiles: NDArray[Any]) -> tuple[Float32Array, Float32Array]:
    """Return level and spread of each frequency bin over summarised windows.

    Args:
        octiles: (m, 3, F, 8) dB; NaN without value.

    Returns:
        Median (3, F), and 1.4826 times the median absolute deviation from it (3, F), both in dB. A frequency bin
        that does not vary has spread 1, so that it scales to 0.
    """
    values = np.moveaxis(octiles.astype(np.float32), 0, -2)  # (3, F, m, 8)
    values = values.reshape(*values.shape[:2], -1)
    median = np.nanmedian if np.isnan(values).any() else np.median
    level = median(values, axis=-1)
    spread = np.float32(_MAD_TO_STD) * median(np.abs(values - level[..., None]), axis=-1)
    return level, np.where(spread < MIN_STD_DB, np.float32(1), spread)


def past_windows(samples: pd.DataFrame, indices: IntArray, pool: IntArray, days: float) -> list[IntArray]:
    """Find the windows of the same station that end before each window and start at most ``days`` before it.

    Args:
        samples, indices: the store's table and the positions of the windows.
        pool: positions that may be used. For training windows these are training windows, so that no second of another
            set reaches the training; for predictions, all.
        days: longest time before the window.

    Returns:
        The positions for each window, ascending.
    """
    pool = np.unique(pool)
    station = pd.factorize(samples["station"])[0]
    start, end = (samples[name].to_numpy().astype("datetime64[ms]") for name in ("start_utc", "end_utc"))
    reach = np.timedelta64(round(days * 86_400_000), "ms")
    return [
        pool[(station[pool] == station[index]) & (end[pool] <= start[index]) & (start[pool] >= start[index] - reach)]
        for index in indices
    ]


def trailing_scaling(store: Store, past: list[IntArray], minimum: int) -> tuple[Scaling, BoolArray]:
    """Estimate the scaling of windows; each window of the past is read once.

    Args:
        store, past: of each window the positions of ``past_windows`` in the store.
        minimum: number of these windows that must have values in every component.

    Returns:
        The scaling (n, 3, F) of each window, NaN where it has none, and (n,) whether it has one.
    """
    needed = np.unique(np.concatenate([np.empty(0, np.int64), *(before for before in past if len(before) >= minimum)]))
    shape = store.power.shape[1:3]
    octiles = np.empty((len(needed), *shape, len(_OCTILE_MIDPOINTS)), dtype=np.float16)
    done = 0
    for chunk in iterate_power(store.power, needed):
        octiles[done : done + len(chunk)] = summarise_windows(chunk)
        done += len(chunk)
    mean = np.full((len(past), *shape), np.nan, dtype=np.float32)
    std = mean.copy()
    for window, before in enumerate(past):
        if len(before) >= minimum:
            summaries = octiles[np.searchsorted(needed, before)]  # (m, 3, F, 8)
            if np.isfinite(summaries[..., 0]).sum(axis=0).min() >= minimum:
                mean[window], std[window] = median_and_spread(summaries)
    return Scaling(mean, std), np.asarray(np.isfinite(mean).all(axis=(1, 2)), dtype=bool)


def no_past_reason(normalisation: Normalisation) -> str:
    """Return why a window without enough past is not predicted."""
    return (
        f"fewer than {normalisation.trailing_min} windows of this station within the "
        f"{normalisation.trailing_days:g} days before it, by which this model scales it. "
        "Prepare more of the station's days into the store."
    )
