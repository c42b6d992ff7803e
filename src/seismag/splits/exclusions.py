"""Which windows cannot train beside held-out ones: shared earthquakes, shared raw time, too near in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
EVENT = "event:"


def windows_of_clusters(samples: pd.DataFrame, clusters: set[str]) -> Mask:
    """(n,) windows that hold an eligible event of one of the clusters."""
    return np.array([not clusters.isdisjoint(ids) for ids in samples["cluster_ids"]], dtype=bool)


def label_clusters(groups: pd.Series | NDArray[Any]) -> set[str]:
    """Clusters of the label events among names of groups; a Normal block has none."""
    return {str(name).removeprefix(EVENT) for name in groups if str(name).startswith(EVENT)}


def share_events(samples: pd.DataFrame, held_out: Mask) -> Mask:
    """(n,) windows that hold an eligible event of a cluster that ``held_out`` windows are labelled by."""
    return windows_of_clusters(samples, label_clusters(samples.loc[held_out, "split_group"].unique()))


def close_in_time(samples: pd.DataFrame, held_out: Mask, reach_h: float) -> Mask:
    """(n,) windows of the same station that start within ``reach_h`` of a held-out window."""
    reach = np.timedelta64(round(reach_h * 3600), "s")
    starts = start_times(samples)
    close = np.zeros(len(samples), dtype=bool)
    for rows in samples.groupby("station").indices.values():
        held = np.sort(starts[rows][held_out[rows]])
        if held.size:
            low = np.searchsorted(held, starts[rows] - reach, side="left")
            high = np.searchsorted(held, starts[rows] + reach, side="right")
            close[rows] = high > low
    return close


def within_embargo(samples: pd.DataFrame, held_out: Mask, embargo_d: float) -> Mask:
    """(n,) windows of any station that start within the stretch of the held-out windows, or ``embargo_d`` of it."""
    if not held_out.any():
        return np.zeros(len(samples), dtype=bool)
    starts = start_times(samples)
    held = starts[held_out]
    margin = np.timedelta64(round(embargo_d * 86_400), "s")
    return np.asarray((starts >= held.min() - margin) & (starts <= held.max() + margin), dtype=bool)


def touched(samples: pd.DataFrame, held_out: Mask, reach_h: float) -> Mask:
    """Windows that share an eligible event of a held-out cluster, or raw time of a station, with held-out ones."""
    return share_events(samples, held_out) | close_in_time(samples, held_out, reach_h)


def start_times(samples: pd.DataFrame) -> NDArray[np.datetime64]:
    """(n,) starts of the windows, datetime64[s]."""
    return samples["start_utc"].to_numpy().astype("datetime64[s]")


def utc_days(samples: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) UTC days, counted from 1970-01-01; a window lies within one (``data.window_h`` divides a day)."""
    return start_times(samples).astype("datetime64[D]").astype(np.int64)
