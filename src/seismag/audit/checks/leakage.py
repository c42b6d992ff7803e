"""Leakage checks of a split: shared events, overlapping seconds, and shared UTC days."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from seismag.arrays import FloatArray
from seismag.audit.checks.labels import NORMAL, count_check
from seismag.audit.checks.out_of_fold import GroupedLabels, Index
from seismag.audit.checks.permutation import FIRST_DRAWS, permuted_classes
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.null import Null

_LEARNING = ("train", "val")


def check_shared_events(samples: pd.DataFrame, split: pd.DataFrame) -> CheckResult:
    """Count training and validation windows that contain a test earthquake, and groups on both sides of a fold."""
    indexed = samples.set_index("sample_id")
    windows, groups = 0, 0
    for _, rows in split.groupby("fold"):
        learning = indexed.loc[rows.loc[rows["role"].isin(_LEARNING), "sample_id"]]
        test = indexed.loc[rows.loc[rows["role"] == "test", "sample_id"]]
        test_events = set(test["event_id"].dropna())
        windows += sum(not test_events.isdisjoint(ids) for ids in learning["event_ids"])
        groups += len(set(learning["split_group"]) & set(test["split_group"]))
    sentence = (
        f"{windows} training or validation windows contain an earthquake that labels a test window, and {groups} "
        f"groups are on both sides ({_folds(split)})."
    )
    return count_check("shared_events", sentence, windows + groups, "windows and groups on both sides")


def check_overlapping_seconds(samples: pd.DataFrame, split: pd.DataFrame) -> CheckResult:
    """Count training and validation windows that overlap test windows of their station, and hold-out windows in use."""
    indexed = samples.set_index("sample_id")
    station = indexed["station"].to_numpy()
    start, end = (
        indexed[name].to_numpy().astype("datetime64[s]").astype(np.int64) for name in ("start_utc", "end_utc")
    )
    found = 0
    for _, rows in split.groupby("fold"):
        # a window may be in two subsets: in a naive split the test fold is the validation set as well
        is_learning = indexed.index.isin(rows.loc[rows["role"].isin(_LEARNING), "sample_id"])
        is_test = indexed.index.isin(rows.loc[rows["role"] == "test", "sample_id"])
        for code in np.unique(station):
            learning, test = is_learning & (station == code), is_test & (station == code)
            found += _count_overlapping(start[learning], end[learning], start[test], end[test])
    holdout = set(split.loc[split["role"] == "sealed", "sample_id"])
    used = split.loc[(split["role"] != "sealed") & split["sample_id"].isin(holdout), "sample_id"].nunique()
    sentence = f"{found} training or validation windows overlap test windows of their station."
    if holdout:
        sentence += f" {used} of {len(holdout)} windows of the locked hold-out set are in another subset of some fold."
    return count_check("overlapping_seconds", sentence, found + used, "windows")


def check_same_utc_day(samples: pd.DataFrame, split: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Test whether training windows of the same UTC day, at other stations, predict the class of test windows.

    A leave-one-event-out split leaves such days on both sides, so the check is informational. The statistic is the
    information gain of the day's class frequencies in training, over the test windows of such days.
    """
    y = (samples["magnitude_class"] != NORMAL).to_numpy().astype(np.intp)
    group = pd.factorize(samples["split_group"].astype(str), sort=True)[0].astype(np.intp)
    day = pd.factorize(pd.DatetimeIndex(samples["start_utc"]).floor("D"))[0].astype(np.intp)
    split = split[split["role"].isin(["train", "test"])]
    subsets = split.pivot(index="sample_id", columns="fold", values="role").reindex(samples["sample_id"]).to_numpy()
    shared = []  # by fold, the test rows whose day is in training, and the training rows
    for of_fold in subsets.T:
        train, test = np.flatnonzero(of_fold == "train"), np.flatnonzero(of_fold == "test")
        shared.append((test[np.isin(day[test], day[train])], train))
    n_shared, n_test = sum(len(test) for test, _ in shared), int((subsets == "test").sum())
    name, noun = "same_utc_day", "information gain (nat per window)"
    if not n_shared:
        text = f"No UTC day is on both sides ({n_test} test windows, {_folds(split)})."
        return CheckResult(name, text, 0.0, noun, verdict="pass")
    gain, balanced = (values[0] for values in _day_scores(shared, day, y[None]))
    permuted = permuted_classes(GroupedLabels(y, group, 2), FIRST_DRAWS, np.random.default_rng(spec.seed))
    null_gain, null_balanced = _day_scores(shared, day, permuted)
    null = Null(null_gain, tolerance=1e-9)
    return CheckResult(
        name,
        f"{n_shared} of {n_test} test windows share their UTC day with training windows; the classes of those windows "
        f"predict theirs with balanced accuracy {balanced:.3f}, classes permuted between groups with "
        f"{np.nanmean(null_balanced):.3f}.",
        statistic=float(gain),
        statistic_name=noun,
        null=null.interval(),
        p_value=null.p_value(gain),
        details={"test_windows": n_test, "sharing_a_day": n_shared, "balanced_accuracy": float(balanced)},
    )


def _count_overlapping(start: Index, end: Index, other_start: Index, other_end: Index) -> int:
    """Number of intervals [start, end) that overlap any of the others."""
    if not len(other_start):
        return 0
    order = np.argsort(other_start)
    latest_end = np.maximum.accumulate(other_end[order])
    before = np.searchsorted(other_start[order], end, side="left")  # others that begin before the end
    return int(((before > 0) & (latest_end[np.maximum(before - 1, 0)] > start)).sum())


def _day_scores(shared: list[tuple[Index, Index]], day: Index, y: Index) -> tuple[FloatArray, FloatArray]:
    """Information gain and balanced accuracy (draws,) of the class frequencies of the day in training."""
    n_days = int(day.max()) + 1
    total, rows = np.zeros(len(y)), 0
    hits, of_class = np.zeros((2, len(y))), np.zeros((2, len(y)))
    for test, train in shared:
        if not len(test):
            continue
        by_day = csr_array((np.ones(len(train)), (day[train], np.arange(len(train)))), shape=(n_days, len(train)))
        events, n = by_day @ y[:, train].T.astype(float), by_day.sum(axis=1)[:, None]
        q = (y[:, train].sum(axis=1) + 1) / (len(train) + 2)  # (draws,) Laplace's rule
        event_lift = ((events / q + 2) / (n + 2))[day[test]]
        normal_lift = (((n - events) / (1 - q) + 2) / (n + 2))[day[test]]
        is_event = y[:, test].T == 1
        total += np.log(np.where(is_event, event_lift, normal_lift)).sum(axis=0)
        rows += len(test)
        for c, predicted in enumerate((normal_lift > event_lift, event_lift > normal_lift)):
            hits[c] += (predicted & (is_event == bool(c))).sum(axis=0)
            of_class[c] += (is_event == bool(c)).sum(axis=0)
    recall = np.divide(hits, of_class, out=np.full(hits.shape, np.nan), where=of_class > 0)
    return total / rows, recall.mean(axis=0)


def _folds(split: pd.DataFrame) -> str:
    n = split["fold"].nunique()
    return f"{n} fold{'s' if n > 1 else ''}"
