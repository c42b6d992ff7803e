"""Trailing baseline: each window is scaled by the windows of the same station before it, and by nothing later.

A level that a station has had for weeks (its noise, its season, its instrument) says nothing about an earthquake;
what is left is the change against it, as in the classical polarisation analysis.

The baseline of a window is the median, and 1.4826 times the median absolute deviation, of each component and
frequency row over the cells of all windows of its station that start within the last ``train.trailing_days`` and end
before it starts. To keep that affordable each window is first summarised row by row by the midpoints of its octiles:
eight numbers, each standing for an eighth of the row's cells. Each window so counts the same.

A window with fewer than ``train.trailing_min`` windows before it has no baseline, and is left out of training and
predictions (with its reason) rather than scaled in another way: how many windows a store holds before a window
depends on its label (event windows come in rows of eight, controls are scattered), so that a visibly different
scaling would tell the label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import IntArray
from seismag.config import TrainConfig
from seismag.training.dataset import StoreLike, iterate_power
from seismag.training.scaling import MIN_STD_DB, Scaling

MAD_TO_STD = 1.4826  # of a normal distribution
_OCTILE_MIDPOINTS = (np.arange(8) + 0.5) / 8


def summarise_windows(power_db: NDArray[Any]) -> NDArray[np.float16]:
    """Summarise each row of each window by the midpoints of its octiles.

    Args:
        power_db: (n, 3, F, T) dB; NaN masked.

    Returns:
        (n, 3, F, 8) dB, ascending; NaN for a row without any value.
    """
    ascending = np.sort(power_db.astype(np.float32), axis=-1)  # NaN last
    counts = np.isfinite(ascending).sum(axis=-1, keepdims=True)
    places = np.maximum(counts - 1, 0) * _OCTILE_MIDPOINTS  # (n, 3, F, 8)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    low, high = (np.take_along_axis(ascending, index, axis=-1) for index in (below, above))
    return (low + (high - low) * (places - below)).astype(np.float16)


def median_and_spread(octiles: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Level and spread of each row over summarised windows.

    Args:
        octiles: (m, 3, F, 8) dB; NaN for rows without value.

    Returns:
        Median (3, F), and 1.4826 times the median absolute deviation from it (3, F), both in dB. A row that does not
        vary has spread 1, so that it scales to 0.
    """
    values = np.moveaxis(octiles.astype(np.float32), 0, -2)  # (3, F, m, 8)
    values = values.reshape(*values.shape[:2], -1)
    median = np.nanmedian if np.isnan(values).any() else np.median
    level = median(values, axis=-1)
    spread = np.float32(MAD_TO_STD) * median(np.abs(values - level[..., None]), axis=-1)
    return level, np.where(spread < MIN_STD_DB, np.float32(1), spread)


def past_windows(samples: pd.DataFrame, indices: IntArray, pool: IntArray, days: float) -> list[IntArray]:
    """Find the windows of the same station that lie wholly before each window, and start at most ``days`` before it.

    Args:
        samples: the store's table.
        indices: positions of the windows.
        pool: positions that may serve. For training windows these are training windows, so that no second of data of
            another role reaches the training; for predictions, all.
        days: how far back.

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


def trailing_scaling(store: StoreLike, past: list[IntArray], minimum: int) -> tuple[Scaling, NDArray[np.bool_]]:
    """Estimate the baseline of windows; each window of the past is read once.

    Args:
        store: where they lie.
        past: of each window the positions of ``past_windows``.
        minimum: a window has a baseline if at least so many of these have values in every component.

    Returns:
        The scaling (n, 3, F) of each window, and (n,) whether it has one. Where it has none, the scaling is NaN.
    """
    needed = np.unique(np.concatenate([np.empty(0, np.int64), *(places for places in past if len(places) >= minimum)]))
    shape = store.power.shape[1:3]
    octiles = np.empty((len(needed), *shape, len(_OCTILE_MIDPOINTS)), dtype=np.float16)
    done = 0
    for chunk in iterate_power(store.power, needed):
        octiles[done : done + len(chunk)] = summarise_windows(chunk)
        done += len(chunk)
    mean = np.full((len(past), *shape), np.nan, dtype=np.float32)
    std = mean.copy()
    for window, places in enumerate(past):
        if len(places) >= minimum:
            before = octiles[np.searchsorted(needed, places)]  # (m, 3, F, 8)
            if np.isfinite(before[..., 0]).sum(axis=0).min() >= minimum:
                mean[window], std[window] = median_and_spread(before)
    return Scaling(mean, std), np.asarray(np.isfinite(mean).all(axis=(1, 2)), dtype=bool)


def describe_normalisation(config: TrainConfig) -> dict[str, Any]:
    """How windows are scaled, as the model's card says it."""
    if config.normalisation == "training":
        return {"method": "training"}
    return {"method": "trailing", "trailing_days": config.trailing_days, "trailing_min": config.trailing_min}


def no_past_reason(normalisation: dict[str, Any]) -> str:
    """Why a window without baseline is not predicted; ``normalisation`` as on the card."""
    return (
        f"fewer than {normalisation['trailing_min']} windows of this station within the "
        f"{normalisation['trailing_days']:g} days before it, which this model scales it by. "
        "Prepare more of the station's days into the store."
    )
