"""Conformal prediction sets, calibrated by class on groups of validation windows, and their measured coverage.

A set contains every class that the window's nonconformity does not exclude among the validation windows of this class
(Vovk, Gammerman & Shafer, 2005, Algorithmic Learning in a Random World, chapter 4; Mondrian categories: the true
classes), so that windows of a rare class are covered as often as those of a frequent one. Windows of a group are
alike, so groups are calibrated, not windows (Lee, Barber & Willett, 2023, arXiv:2306.06342). The nominal coverage is
guaranteed only for validation and test groups in random order. Time moves on, so the coverage is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.config import EvaluateConfig
from seismag.domain import FEW_CLUSTERS
from seismag.scoring.clusters import Clusters
from seismag.scoring.estimates import IntervalEstimate
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities, truth_index
from seismag.scoring.proportions import proportion_interval

MIN_TIME_OVERLAP = 0.5  # of the test windows, inside the period of the validation windows


@dataclass(frozen=True)
class ClassCoverage:
    """Coverage and size of the sets of the windows of one true class, in the folds in which it is calibrated.

    Attributes:
        n, n_groups: windows of these folds, and their groups.
        coverage: fraction of them whose set contains the class; None where there are none.
        mean_set_size: of their sets.
        n_calibration_groups: validation groups of the class in the fold with the fewest.
        note: why no set excludes the class, or why the coverage has no interval.
    """

    n: int
    n_groups: int
    coverage: IntervalEstimate
    mean_set_size: float | None
    n_calibration_groups: int
    note: str | None


@dataclass(frozen=True)
class ConformalScores:
    """Coverage by true class, and size, of the conformal prediction sets of one task.

    ``always_contained`` are the classes that no set of some fold excludes, for want of calibration groups.
    """

    coverage_aimed: float
    n: int
    n_classes: int
    mean_set_size: float
    share_empty: float
    share_whole: float
    least_calibration_groups: int
    always_contained: list[str]
    by_class: dict[str, ClassCoverage]


@dataclass(frozen=True)
class ConformalSets:
    """The conformal prediction set of each evaluated row."""

    contains: BoolArray  # (n, k) whether the class belongs to the set
    n_groups: IndexArray  # (n, k) calibration groups of the class in the row's fold


def least_groups(coverage: float) -> int:
    """Groups of a class without which nothing can exclude it: coverage / (1 - coverage), rounded up."""
    return int(np.ceil(coverage / (1 - coverage) - 1e-9))


def conformal_threshold(scores: FloatArray, groups: IndexArray, coverage: float) -> float:
    """Largest nonconformity score that belongs to the set.

    K groups and the new one are interchangeable and weigh 1 / (K + 1) each, divided among their windows. The threshold
    is the smallest calibration score up to which the weights sum to the coverage.

    Args:
        scores: (n,) nonconformity of the calibration windows of a class, 1 - probability of the class.
        groups: (n,) group of each.
        coverage: nominal coverage.

    Returns:
        The threshold; infinity, which excludes no window, for fewer than ``least_groups(coverage)`` groups.

    Source: Lee, Barber & Willett (2023), arXiv:2306.06342, hierarchical conformal prediction.

    Example:
        >>> conformal_threshold(np.array([0.1, 0.4, 0.2, 0.9]), np.array([0, 0, 1, 2]), 0.5)
        0.4
    """
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    weight_up_to = np.cumsum(1 / counts[index[order]]) / (len(counts) + 1)
    position = int(np.searchsorted(weight_up_to, coverage - 1e-9))
    return float(scores[order[position]]) if position < len(scores) else float("inf")


def conformal_sets(task: str, rows: pd.DataFrame, validation: pd.DataFrame, coverage: float) -> ConformalSets:
    """Find the classes of the set of each evaluated row, fold by fold and class by class."""
    n_classes = len(TASK_CLASSES[task])
    contains, n_groups = np.ones((len(rows), n_classes), dtype=bool), np.zeros((len(rows), n_classes), dtype=np.intp)
    truth = truth_index(validation["y_magnitude"], validation["y_azimuth"], task)
    scores, groups = 1 - task_probabilities(validation, task), pd.factorize(validation["split_group"])[0]
    calibration = validation.groupby("fold").indices
    for fold, positions in rows.groupby("fold").indices.items():
        nonconformity = 1 - task_probabilities(rows, task, positions)
        of_fold = calibration.get(fold, np.empty(0, dtype=np.intp))
        for k in range(n_classes):
            own = of_fold[truth[of_fold] == k]
            contains[positions, k] = nonconformity[:, k] <= conformal_threshold(scores[own, k], groups[own], coverage)
            n_groups[positions, k] = len(np.unique(groups[own]))
    return ConformalSets(contains, n_groups)


def score_sets(
    task: str, rows: pd.DataFrame, validation: pd.DataFrame, clusters: Clusters, config: EvaluateConfig
) -> tuple[ConformalScores, list[str]]:
    """Measure coverage and size of the sets by true class; with sentences on doubtful coverages."""
    sets = conformal_sets(task, rows, validation, config.coverage)
    truth = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
    by_class = {
        name: _class_coverage(k, truth == k, sets, clusters, config) for k, name in enumerate(TASK_CLASSES[task])
    }
    n_classes, size, least = sets.contains.shape[1], sets.contains.sum(axis=1), least_groups(config.coverage)
    result = ConformalScores(
        coverage_aimed=config.coverage,
        n=len(rows),
        n_classes=n_classes,
        mean_set_size=float(size.mean()),
        share_empty=float((size == 0).mean()),
        share_whole=float((size == n_classes).mean()),
        least_calibration_groups=least,
        always_contained=[name for name, entry in by_class.items() if entry.n_calibration_groups < least],
        by_class=by_class,
    )
    return result, [*_missed(task, result, config), *_outside(rows, validation)]


def _class_coverage(
    k: int, is_class: BoolArray, sets: ConformalSets, clusters: Clusters, config: EvaluateConfig
) -> ClassCoverage:
    fewest, least = int(sets.n_groups[:, k].min()), least_groups(config.coverage)
    calibrated = is_class & (sets.n_groups[:, k] >= least)
    n, covered = (clusters.sum(values) for values in (calibrated, calibrated & sets.contains[:, k]))
    present, n_rows = n > 0, int(calibrated.sum())
    n_groups = int(present.sum())
    note = None
    if fewest < least:
        note = f"{fewest} calibration groups (in a fold) exclude the class from no set; at least {least} are needed."
    elif 0 < n_groups < FEW_CLUSTERS:
        note = f"Coverage has no interval ({n_groups} groups; at least {FEW_CLUSTERS} are needed)."
    low = high = None
    if n_groups >= FEW_CLUSTERS:
        low, high = proportion_interval(covered[present], n[present], config.confidence)
    return ClassCoverage(
        n=n_rows,
        n_groups=n_groups,
        coverage=IntervalEstimate(float(covered.sum() / n_rows) if n_rows else None, low, high),
        mean_set_size=float(sets.contains[calibrated].sum(axis=1).mean()) if n_rows else None,
        n_calibration_groups=fewest,
        note=note,
    )


def _missed(task: str, result: ConformalScores, config: EvaluateConfig) -> list[str]:
    """A sentence for each class whose coverage is below the nominal one by more than the numbers of groups explain.

    Given the calibration windows the coverage varies around its nominal value like a fraction of as many samples (Vovk,
    2012, arXiv:1209.2673); groups are counted here, since windows of a group are alike. The confidence holds for all
    classes together (Bonferroni).
    """
    nominal, quantile = result.coverage_aimed, norm.ppf(0.5 + config.confidence / 2)
    of_all = norm.ppf(1 - (1 - config.confidence) / (2 * result.n_classes))
    sentences = []
    for name, entry in result.by_class.items():
        value, high = entry.coverage.value, entry.coverage.high
        if value is None or high is None:
            continue
        of_calibration = np.sqrt(nominal * (1 - nominal) / max(1, entry.n_calibration_groups))
        if nominal - value > of_all * np.hypot((high - value) / quantile, of_calibration):
            sentences.append(
                f"{task}: {100 * nominal:g} % conformal prediction sets: coverage of {name} {value:.2f}, which the "
                "number of groups does not explain: validation and test windows differ in distribution."
            )
    return sentences


def _outside(rows: pd.DataFrame, validation: pd.DataFrame) -> list[str]:
    inside = 0
    for fold, positions in rows.groupby("fold").indices.items():
        start = validation.loc[validation["fold"] == fold, "start_utc"]
        inside += int(rows["start_utc"].iloc[positions].between(start.min(), start.max()).sum())
    if (overlap := inside / len(rows)) >= MIN_TIME_OVERLAP:
        return []
    return [
        f"{100 * (1 - overlap):.0f} % of the evaluated windows lie outside the period of their validation windows: the "
        "coverage of conformal sets is not guaranteed."
    ]
