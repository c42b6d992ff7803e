"""Does a split keep apart what belongs together? Asked of the tables, not of the way it was drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seismag.arrays import FloatArray
from seismag.audit.checks.labels import NORMAL
from seismag.audit.checks.permutation import FIRST_DRAWS, GroupedLabels, Index, shuffled_labels
from seismag.config import AuditConfig
from seismag.estimate import CheckResult

_LEARNING = ("train", "val")  # what the test role must not be known from


def check_shared_events(samples: pd.DataFrame, split: pd.DataFrame) -> CheckResult:
    """Count windows of training and validation that know an earthquake or a group of the test role."""
    indexed = samples.set_index("sample_id")
    windows, groups = 0, 0
    for _, rows in split.groupby("fold"):
        learning, test = (
            indexed.loc[rows.loc[rows["role"].isin(role), "sample_id"]] for role in (_LEARNING, ("test",))
        )
        tested = set(test["event_id"].dropna())
        windows += sum(not tested.isdisjoint(ids) for ids in learning["event_ids"])
        groups += len(set(learning["split_group"]) & set(test["split_group"]))
    return CheckResult(
        "shared_events",
        f"{windows} windows of training or validation hold an earthquake that the test role is labelled by, and "
        f"{groups} groups stand on two sides ({_folds(split)}).",
        statistic=float(windows + groups),
        statistic_name="windows and groups on two sides",
        gates=True,
        verdict="fail" if windows + groups else "pass",
    )


def check_overlapping_seconds(samples: pd.DataFrame, split: pd.DataFrame) -> CheckResult:
    """Count windows of training and validation that share seconds of a station with the test role, or are sealed."""
    indexed = samples.set_index("sample_id")
    station = indexed["station"].to_numpy()
    start, end = (
        indexed[name].to_numpy().astype("datetime64[s]").astype(np.int64) for name in ("start_utc", "end_utc")
    )
    found = 0
    for _, rows in split.groupby("fold"):
        # a window may have two roles: in a naive split the test fold validates as well
        learns, tests = (
            indexed.index.isin(rows.loc[rows["role"].isin(role), "sample_id"]) for role in (_LEARNING, ("test",))
        )
        for code in np.unique(station):
            learning, test = learns & (station == code), tests & (station == code)
            found += _count_overlapping(start[learning], end[learning], start[test], end[test])
    sealed = set(split.loc[split["role"] == "sealed", "sample_id"])
    used = split.loc[(split["role"] != "sealed") & split["sample_id"].isin(sealed), "sample_id"].nunique()
    sentence = f"{found} windows of training or validation share seconds of their station with test windows."
    if sealed:
        sentence += f" {used} of {len(sealed)} sealed windows have another role in some fold."
    return CheckResult(
        "overlapping_seconds",
        sentence,
        statistic=float(found + used),
        statistic_name="windows",
        gates=True,
        verdict="fail" if found + used else "pass",
    )


def check_same_utc_day(samples: pd.DataFrame, split: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Measure what training windows of the same UTC day, at other stations, tell of a test window's class.

    A leave-one-event-out split leaves such days on two sides; the result is a note. The information gain of the day's
    class frequencies in training, over the test windows that have such a day, stands beside that of classes shuffled
    between groups.
    """
    y = (samples["magnitude_class"] != NORMAL).to_numpy().astype(np.intp)
    group = pd.factorize(samples["split_group"].astype(str), sort=True)[0].astype(np.intp)
    day = pd.factorize(pd.DatetimeIndex(samples["start_utc"]).floor("D"))[0].astype(np.intp)
    split = split[split["role"].isin(["train", "test"])]
    roles = split.pivot(index="sample_id", columns="fold", values="role").reindex(samples["sample_id"]).to_numpy()
    shared = _shared_days(day, roles)
    n_shared, n_test = sum(len(test) for test, _ in shared), int((roles == "test").sum())
    name, noun = "same_utc_day", "information gain (nat a window)"
    if not n_shared:
        text = f"No UTC day stands on two sides ({n_test} test windows, {_folds(split)})."
        return CheckResult(name, text, 0.0, noun, verdict="pass")
    labels = GroupedLabels(y, group, 2)
    gain, balanced = (values[0] for values in _day_scores(shared, day, y[None]))
    shuffled = shuffled_labels(labels, FIRST_DRAWS, np.random.default_rng(spec.seed))
    null, null_balanced = _day_scores(shared, day, shuffled)
    low, high = np.quantile(null, [0.025, 0.975])
    return CheckResult(
        name,
        f"{n_shared} of {n_test} test windows share their UTC day with training windows; the class of those alone "
        f"predicts theirs with balanced accuracy {balanced:.3f}, classes shuffled between groups with "
        f"{np.nanmean(null_balanced):.3f}.",
        statistic=float(gain),
        statistic_name=noun,
        null={"mean": float(null.mean()), "low": float(low), "high": float(high)},
        p_value=float((1 + (null >= gain - 1e-9).sum()) / (1 + len(null))),
        details={"test_windows": n_test, "sharing_a_day": n_shared, "balanced_accuracy": float(balanced)},
    )


def _count_overlapping(start: Index, end: Index, other_start: Index, other_end: Index) -> int:
    """Intervals [start, end) that share a second with any of the others."""
    if not len(other_start):
        return 0
    order = np.argsort(other_start)
    latest_end = np.maximum.accumulate(other_end[order])
    before = np.searchsorted(other_start[order], end, side="left")  # others that begin before the end
    return int(((before > 0) & (latest_end[np.maximum(before - 1, 0)] > start)).sum())


def _shared_days(day: Index, roles: NDArray[np.object_]) -> list[tuple[Index, Index]]:
    """By fold, test rows whose day is in training, and the rows of training."""
    result = []
    for fold in range(roles.shape[1]):
        train = np.flatnonzero(roles[:, fold] == "train")
        test = np.flatnonzero(roles[:, fold] == "test")
        result.append((test[np.isin(day[test], day[train])], train))
    return result


def _day_scores(shared: list[tuple[Index, Index]], day: Index, y: Index) -> tuple[FloatArray, FloatArray]:
    """Information gain and balanced accuracy (draws,) of the training's class frequencies of the day."""
    n_days = int(day.max()) + 1
    total, rows = np.zeros(len(y)), 0
    hits, of_class = np.zeros((2, len(y))), np.zeros((2, len(y)))
    for test, train in shared:
        if not len(test):
            continue
        by_day = csr_array((np.ones(len(train)), (day[train], np.arange(len(train)))), shape=(n_days, len(train)))
        events, n = by_day @ y[:, train].T.astype(float), by_day.sum(axis=1)[:, None]
        q = (y[:, train].sum(axis=1) + 1) / (len(train) + 2)  # (draws,) Laplace's rule
        lift = (events / q + 2) / (n + 2), ((n - events) / (1 - q) + 2) / (n + 2)
        is_event = y[:, test].T == 1
        event_lift, normal_lift = lift[0][day[test]], lift[1][day[test]]
        total += np.log(np.where(is_event, event_lift, normal_lift)).sum(axis=0)
        rows += len(test)
        for c, right in enumerate((normal_lift > event_lift, event_lift > normal_lift)):
            hits[c] += (right & (is_event == bool(c))).sum(axis=0)
            of_class[c] += (is_event == bool(c)).sum(axis=0)
    recall = np.divide(hits, of_class, out=np.full(hits.shape, np.nan), where=of_class > 0)
    return total / rows, recall.mean(axis=0)


def _folds(split: pd.DataFrame) -> str:
    n = split["fold"].nunique()
    return f"{n} fold{'s' if n > 1 else ''}"
