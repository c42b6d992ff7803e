"""Which days of an archive have files: all, or those that a study collects around earthquakes and for its controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray
from seismag.config import DataConfig, SimulateConfig
from seismag.domain import Station
from seismag.simulate.emission import events_in_range

STUDY_REACH_D = 2  # a study collects this many days before an event
STUDY_OTHERS = 3  # other days for each of them
STRETCH_D = 4  # length of a control stretch: event windows lie at either end of theirs in about a quarter, too
DAYS_A_STRETCH = 3  # days before events for each control stretch
_DAY = np.timedelta64(1, "D")


def days_before_events(events: pd.DataFrame, station: Station, first: np.datetime64, days: int) -> BoolArray:
    """Mark the days (days,) with a window that ends within 48 h before an event in range."""
    result = np.zeros(days, dtype=bool)
    origins = events_in_range(events, station)["origin_utc"].to_numpy().astype("datetime64[D]")
    for back in range(STUDY_REACH_D + 1):
        place = ((origins - first) / _DAY).astype(int) - back
        result[place[(place >= 0) & (place < days)]] = True
    return result


def collected_days(
    spec: SimulateConfig, events: pd.DataFrame, station: Station, index: int, before: BoolArray
) -> BoolArray:
    """Mark the days (days,) of a station that are collected.

    Args:
        events: the catalogue. index: of the station. before: its days before events.
    """
    if spec.collected == "all":
        return np.ones(spec.days, dtype=bool)
    rng = np.random.default_rng([spec.seed, 17, index])
    if spec.collected == "stretches":
        quiet = _days_without_events(spec, events, station)
        return before | control_stretches(quiet, int(before.sum()) // DAYS_A_STRETCH, rng)
    others = np.flatnonzero(~before)
    picks = rng.choice(others, min(STUDY_OTHERS * int(before.sum()), others.size), replace=False)
    return before | np.isin(np.arange(spec.days), picks)


def control_stretches(quiet: BoolArray, most: int, rng: np.random.Generator) -> BoolArray:
    """Choose stretches of ``STRETCH_D`` quiet days at random, at least a day apart: at most ``most`` of them."""
    chosen = np.zeros(quiet.size, dtype=bool)
    n_chosen = 0
    for start in rng.permutation(max(quiet.size - STRETCH_D + 1, 0)):
        end = start + STRETCH_D
        is_free = not chosen[max(start - 1, 0) : end + 1].any()
        if n_chosen < most and is_free and quiet[start:end].all():
            chosen[start:end] = True
            n_chosen += 1
    return chosen


def _days_without_events(spec: SimulateConfig, events: pd.DataFrame, station: Station) -> BoolArray:
    """Mark the days (days,) whose windows are all Normal by the default exclusion intervals of section data."""
    intervals = DataConfig.model_validate({})
    origins = events_in_range(events, station)["origin_utc"].to_numpy().astype("datetime64[ms]")
    starts = np.datetime64(spec.start, "ms") + np.arange(spec.days) * _DAY
    behind = np.timedelta64(round(intervals.guard_behind_d * 86_400_000), "ms")
    ahead = np.timedelta64(round(intervals.guard_ahead_d * 86_400_000), "ms")
    near = (origins >= (starts - behind)[:, None]) & (origins < (starts + _DAY + ahead)[:, None])
    return ~near.any(axis=1)
