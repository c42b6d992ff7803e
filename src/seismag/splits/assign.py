"""All folds of a split: what is sealed, who tests, who validates, and who is purged for it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import SplitConfig
from seismag.domain import UsageError
from seismag.splits.exclusions import Mask, touched, utc_days, within_embargo
from seismag.splits.folds import folds_of_windows, group_table

Roles = NDArray[np.object_]
_VAL_PLACES = 10  # of the validation stretch of a blocked fold that are compared


def assign_split(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> pd.DataFrame:
    """Draw all folds of a split.

    Args:
        samples: sample_id, station, start_utc, split_group, cluster_ids, magnitude_class.
        spec: method, number of folds, validation share, seed, embargo, sealed share.
        reach_h: window length plus horizon; two windows of a station that start this close share raw seconds
            or an event's horizon.

    Returns:
        One row per fold and sample: sample_id, fold (from 1), role, split_group. By the method naive the windows of
        the test fold have a second row, role val.

    Raises:
        UsageError: fewer groups, stations, regions or days than folds.
    """
    sealing = seal(samples, spec, reach_h)
    is_open = sealing == ""
    open_samples = samples if is_open.all() else samples[is_open].reset_index(drop=True)
    if open_samples.empty:
        raise UsageError(
            f"split.sealed_fraction {spec.sealed_fraction:g}: all {len(samples)} windows are sealed, or share an "
            "earthquake or time with sealed ones. Lower it, or prepare a longer archive."
        )
    fold_of = folds_of_windows(open_samples, spec)
    groups = group_table(open_samples)
    tables = []
    for fold in range(1, int(fold_of.max()) + 1):
        role = sealing.copy()
        role[is_open] = _fold_roles(open_samples, groups, fold_of == fold, spec, reach_h, fold)
        table = pd.DataFrame(
            {
                "sample_id": samples["sample_id"].to_numpy(),
                "fold": fold,
                "role": role,
                "split_group": samples["split_group"].to_numpy(),
            }
        )
        tables.append(table)
        if spec.method == "naive":  # the fault that it stands for: the test fold chooses the epoch
            tables.append(table[table["role"] == "test"].assign(role="val"))
    return pd.concat(tables, ignore_index=True)


def seal(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> Roles:
    """Roles that hold in every fold: sealed for the last days, purged for what touches them, "" for the rest.

    The border is a midnight (UTC). Purged is what shares a cluster or a Normal block with a sealed window, an
    eligible event of such a cluster, or raw time of a station; by the method blocked also what lies within the embargo.
    """
    role = np.full(len(samples), "", dtype=object)
    if not spec.sealed_fraction:
        return role
    sealed = utc_days(samples) >= locked_from(samples, spec)
    near = touched(samples, sealed, reach_h)
    near |= samples["split_group"].isin(samples.loc[sealed, "split_group"]).to_numpy()
    if spec.method == "blocked":
        near |= within_embargo(samples, sealed, spec.embargo_d)
    role[near] = "purged"
    role[sealed] = "sealed"
    return role


def locked_from(samples: pd.DataFrame, spec: SplitConfig) -> int:
    """First sealed UTC day, counted from 1970-01-01: the last ``split.sealed_fraction`` of the days, rounded up."""
    days = utc_days(samples)
    first, end = int(days.min()), int(days.max()) + 1
    return end - math.ceil(spec.sealed_fraction * (end - first))


def _fold_roles(
    samples: pd.DataFrame, groups: pd.DataFrame, test: Mask, spec: SplitConfig, reach_h: float, fold: int
) -> Roles:
    """Roles of one fold: test as given, validation drawn from the rest, each purged from training."""
    role = np.full(len(samples), "train", dtype=object)
    role[test] = "test"
    if spec.method == "naive":
        return role
    lost = touched(samples, test, reach_h)
    if spec.method == "blocked":
        lost |= within_embargo(samples, test, spec.embargo_d)
    role[(role == "train") & lost] = "purged"
    rng = np.random.default_rng([spec.seed, fold])
    if spec.method == "blocked":
        val = _val_stretch(samples, role == "train", spec, reach_h, rng)
    else:
        val = _val_groups(samples, groups, role == "train", spec, rng)
    role[val] = "val"
    role[(role == "train") & touched(samples, val, reach_h)] = "purged"
    return role


def _val_groups(
    samples: pd.DataFrame, groups: pd.DataFrame, left: Mask, spec: SplitConfig, rng: np.random.Generator
) -> Mask:
    """Whole groups, class by class, until each class has its share; one group of a class at least goes on training."""
    names = samples["split_group"].to_numpy()
    val_groups: list[str] = []
    for _, rows in groups.loc[sorted(set(names[left]))].groupby("label", sort=True):
        drawn = rows.iloc[rng.permutation(len(rows))]
        before = np.cumsum(drawn["n"].to_numpy()) - drawn["n"].to_numpy()
        wanted = before < spec.val_fraction * drawn["n"].sum()
        if len(drawn) > 1:
            wanted &= np.arange(len(drawn)) < len(drawn) - 1
            val_groups += list(drawn.index[wanted])
    return np.asarray(left & np.isin(names, val_groups), dtype=bool)


def _val_stretch(
    samples: pd.DataFrame, left: Mask, spec: SplitConfig, reach_h: float, rng: np.random.Generator
) -> Mask:
    """A stretch of the days that are left, cut at midnights, at the place that leaves the most to train on.

    Of some places spread over the days, in drawn order, the first is taken for which validation and training
    both hold events and Normal windows and most training windows stay.
    """
    days = utc_days(samples)
    present, counts = np.unique(days[left], return_counts=True)
    if present.size < 2:
        return np.zeros(len(samples), dtype=bool)
    is_event = (samples["magnitude_class"] != "Normal").to_numpy()
    before = np.cumsum(counts) - counts
    target = spec.val_fraction * counts.sum()
    latest = int(np.searchsorted(before, counts.sum() - target, side="right"))
    places = np.unique(np.linspace(0, max(0, min(latest, present.size) - 1), _VAL_PLACES).astype(int))
    best, best_score = np.zeros(len(samples), dtype=bool), (-1, -1)
    for place in rng.permutation(places):
        inside = (before >= before[place]) & (before < before[place] + target)
        val = left & np.isin(days, present[inside])
        train = left & ~val & ~touched(samples, val, reach_h)
        score = (sum(len(set(is_event[part])) for part in (val, train)), int(train.sum()))
        if score > best_score:
            best, best_score = val, score
    return best
