"""Exclusion rules: windows that depend on held-out ones by a shared earthquake, shared seconds, or nearness in time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, IntArray, TimeArray

EVENT_PREFIX = "event:"  # of the names of groups


def windows_of_clusters(samples: pd.DataFrame, clusters: set[str]) -> BoolArray:
    """Return (n,) whether each window contains an eligible event of one of the clusters."""
    return np.array([not clusters.isdisjoint(ids) for ids in samples["cluster_ids"]], dtype=bool)


def label_clusters(groups: Iterable[object]) -> set[str]:
    """Return the clusters of the label events among names of groups; a Normal block has none."""
    return {str(name).removeprefix(EVENT_PREFIX) for name in groups if str(name).startswith(EVENT_PREFIX)}


def share_events(samples: pd.DataFrame, held_out: BoolArray) -> BoolArray:
    """Return (n,) whether each window contains an eligible event of a cluster that labels a held-out window."""
    return windows_of_clusters(samples, label_clusters(samples.loc[held_out, "split_group"].unique()))


def close_in_time(samples: pd.DataFrame, held_out: BoolArray, reach_h: float) -> BoolArray:
    """Return (n,) whether each window starts within ``reach_h`` of a held-out window of its station."""
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


def within_embargo(samples: pd.DataFrame, held_out: BoolArray, embargo_d: float) -> BoolArray:
    """Return (n,) whether each window, of any station, starts within the held-out time or ``embargo_d`` of it."""
    if not held_out.any():
        return np.zeros(len(samples), dtype=bool)
    starts = start_times(samples)
    held = starts[held_out]
    margin = np.timedelta64(round(embargo_d * 86_400), "s")
    return np.asarray((starts >= held.min() - margin) & (starts <= held.max() + margin), dtype=bool)


def dependent_on(samples: pd.DataFrame, held_out: BoolArray, reach_h: float) -> BoolArray:
    """Return (n,) whether each window shares an eligible event or seconds of its station with a held-out window."""
    return share_events(samples, held_out) | close_in_time(samples, held_out, reach_h)


def start_times(samples: pd.DataFrame) -> TimeArray:
    """Return the starts of the windows, (n,) datetime64[s]."""
    return samples["start_utc"].to_numpy().astype("datetime64[s]")


def utc_days(samples: pd.DataFrame) -> IntArray:
    """Return the UTC day of each window, (n,) days since 1970-01-01; ``data.window_h`` divides a day."""
    return start_times(samples).astype("datetime64[D]").astype(np.int64)
