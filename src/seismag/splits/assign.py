"""Assignment of windows to training, validation and test in every fold, with exclusions and the locked hold-out set."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import BoolArray
from seismag.config import SplitConfig
from seismag.domain import UsageError
from seismag.splits.exclusions import dependent_on, utc_days, within_embargo
from seismag.splits.folds import folds_of_windows, group_table

_VAL_STARTS = 10  # starts of the validation stretch of a blocked fold that are compared


def assign_split(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> pd.DataFrame:
    """Assign windows to training, validation and test in all folds of a split.

    Args:
        samples: sample_id, station, start_utc, split_group, cluster_ids, magnitude_class.
        reach_h: window length plus horizon; two windows of a station that start this close have raw seconds or an
            event's horizon in common.

    Returns:
        One row per fold and sample: sample_id, fold (from 1), role, split_group. With the method naive the windows of
        the test fold have a second row, role val.

    Raises:
        UsageError: fewer groups, stations, regions or days than folds.
    """
    locked = _lock_holdout(samples, spec, reach_h)
    is_open = locked == ""
    open_samples = samples if is_open.all() else samples[is_open].reset_index(drop=True)
    if open_samples.empty:
        raise UsageError(
            f"split.sealed_fraction {spec.sealed_fraction:g}: all {len(samples)} windows are locked, or have an "
            "earthquake or time in common with locked ones. Lower it, or prepare a longer archive."
        )
    fold_of = folds_of_windows(open_samples, spec)
    groups = group_table(open_samples)
    tables = []
    for fold in range(1, int(fold_of.max()) + 1):
        role = locked.copy()
        role[is_open] = _assign_fold(open_samples, groups, fold_of == fold, spec, reach_h, fold)
        table = pd.DataFrame(
            {
                "sample_id": samples["sample_id"].to_numpy(),
                "fold": fold,
                "role": role,
                "split_group": samples["split_group"].to_numpy(),
            }
        )
        tables.append(table)
        if spec.method == "naive":  # the error of earlier systems: the test fold chooses the epoch
            tables.append(table[table["role"] == "test"].assign(role="val"))
    return pd.concat(tables, ignore_index=True)


def locked_from(samples: pd.DataFrame, spec: SplitConfig) -> int:
    """Return the first locked UTC day, in days since 1970-01-01.

    The last ``split.sealed_fraction`` of the days is locked, rounded up.
    """
    days = utc_days(samples)
    first, end = int(days.min()), int(days.max()) + 1
    return end - math.ceil(spec.sealed_fraction * (end - first))


def _lock_holdout(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> NDArray[np.object_]:
    """Return what holds in every fold: locked for the last days, excluded near them, "" for the rest.

    The border is a midnight (UTC). Excluded are windows that have a cluster, a Normal block, an eligible event of such
    a cluster, or seconds of a station in common with a locked window; with the method blocked also the embargo.
    """
    role = np.full(len(samples), "", dtype=object)
    if not spec.sealed_fraction:
        return role
    locked = utc_days(samples) >= locked_from(samples, spec)
    near = dependent_on(samples, locked, reach_h)
    near |= samples["split_group"].isin(samples.loc[locked, "split_group"]).to_numpy()
    if spec.method == "blocked":
        near |= within_embargo(samples, locked, spec.embargo_d)
    role[near] = "purged"
    role[locked] = "sealed"
    return role


def _assign_fold(
    samples: pd.DataFrame, groups: pd.DataFrame, test: BoolArray, spec: SplitConfig, reach_h: float, fold: int
) -> NDArray[np.object_]:
    """Assign the windows of one fold: test as given, validation at random, dependent windows excluded."""
    role = np.full(len(samples), "train", dtype=object)
    role[test] = "test"
    if spec.method == "naive":
        return role
    excluded = dependent_on(samples, test, reach_h)
    if spec.method == "blocked":
        excluded |= within_embargo(samples, test, spec.embargo_d)
    role[(role == "train") & excluded] = "purged"
    rng = np.random.default_rng([spec.seed, fold])
    if spec.method == "blocked":
        val = _val_stretch(samples, role == "train", spec, reach_h, rng)
    else:
        val = _val_groups(samples, groups, role == "train", spec, rng)
    role[val] = "val"
    role[(role == "train") & dependent_on(samples, val, reach_h)] = "purged"
    return role


def _val_groups(
    samples: pd.DataFrame, groups: pd.DataFrame, left: BoolArray, spec: SplitConfig, rng: np.random.Generator
) -> BoolArray:
    """Choose whole groups of each class at random, up to the validation fraction; one group at least trains on."""
    names = samples["split_group"].to_numpy()
    val_groups: list[str] = []
    for _, rows in groups.loc[sorted(set(names[left]))].groupby("label", sort=True):
        shuffled = rows.iloc[rng.permutation(len(rows))]
        before = np.cumsum(shuffled["n"].to_numpy()) - shuffled["n"].to_numpy()
        wanted = before < spec.val_fraction * shuffled["n"].sum()
        if len(shuffled) > 1:
            wanted &= np.arange(len(shuffled)) < len(shuffled) - 1
            val_groups += list(shuffled.index[wanted])
    return np.asarray(left & np.isin(names, val_groups), dtype=bool)


def _val_stretch(
    samples: pd.DataFrame, left: BoolArray, spec: SplitConfig, reach_h: float, rng: np.random.Generator
) -> BoolArray:
    """Choose a stretch of the days that are left, cut at midnights.

    Of some starts spread over the days, in random order, the first is chosen for which validation and training both
    contain events and Normal windows and most training windows stay.
    """
    days = utc_days(samples)
    present, counts = np.unique(days[left], return_counts=True)
    if present.size < 2:
        return np.zeros(len(samples), dtype=bool)
    is_event = (samples["magnitude_class"] != "Normal").to_numpy()
    before = np.cumsum(counts) - counts
    target = spec.val_fraction * counts.sum()
    latest = int(np.searchsorted(before, counts.sum() - target, side="right"))
    starts = np.unique(np.linspace(0, max(0, min(latest, present.size) - 1), _VAL_STARTS).astype(int))
    best, best_score = np.zeros(len(samples), dtype=bool), (-1, -1)
    for start in rng.permutation(starts):
        inside = (before >= before[start]) & (before < before[start] + target)
        val = left & np.isin(days, present[inside])
        train = left & ~val & ~dependent_on(samples, val, reach_h)
        score = (sum(len(set(is_event[part])) for part in (val, train)), int(train.sum()))
        if score > best_score:
            best, best_score = val, score
    return best
