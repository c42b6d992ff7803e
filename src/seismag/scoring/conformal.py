"""Conformal prediction sets, calibrated at the window's own station, and their measured coverage.

A set contains every class whose p-value among the station's validation windows is at least ``1 - coverage`` (Vovk,
Gammerman & Shafer, 2005, Algorithmic Learning in a Random World, chapter 4; Mondrian categories: the stations). The
nominal coverage is guaranteed only for validation and test windows in random order. Windows of one earthquake are
alike and time moves on, so the coverage is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring.clusters import Clusters
from seismag.scoring.estimates import FEW_CLUSTERS, IntervalEstimate
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities, truth_index

MIN_TIME_OVERLAP = 0.5  # of the test windows, inside the period of the validation windows


@dataclass(frozen=True)
class StationSets:
    """Coverage and size of the sets at one station; ``note`` is a reason to doubt the coverage."""

    station: str
    n: int
    n_groups: int
    coverage: IntervalEstimate
    mean_set_size: float
    n_calibration: int
    n_calibration_groups: int
    note: str | None


@dataclass(frozen=True)
class ConformalScores:
    """Coverage and size of the conformal prediction sets of one task."""

    coverage_aimed: float
    n: int
    n_classes: int
    coverage: IntervalEstimate
    mean_set_size: float
    share_empty: float
    share_whole: float
    by_station: list[StationSets]
    n_calibration_groups: int


@dataclass(frozen=True)
class ConformalSets:
    """The conformal prediction set of each evaluated row."""

    contains: BoolArray  # (n, k) whether the class belongs to the set
    covered: BoolArray  # (n,) whether the true class does
    n_calibration: IndexArray  # (n,) calibration windows of the row's fold and station


def conformal_threshold(scores: FloatArray, coverage: float) -> float:
    """Largest nonconformity score that belongs to the set: a quantile of the sorted calibration scores.

    The p-value of a score is (number of calibration scores at least as large + 1) / (n + 1). It falls with the score,
    so that the classes with a p-value of at least 1 - coverage are those up to a threshold.

    Args:
        scores: (n,) nonconformity of the calibration windows, 1 - probability of the true class.
        coverage: nominal coverage.

    Returns:
        The threshold; infinity where ``n`` is at most ``coverage / (1 - coverage)``, which excludes no class.

    Example:
        >>> conformal_threshold(np.array([0.1, 0.4, 0.2, 0.9]), 0.5)
        0.4
    """
    n_above = int(np.ceil((1 - coverage - 1e-12) * (len(scores) + 1))) - 1  # scores at or above the threshold
    return float(np.sort(scores)[len(scores) - n_above]) if n_above > 0 else float("inf")


def conformal_sets(task: str, rows: pd.DataFrame, validation: pd.DataFrame, coverage: float) -> ConformalSets:
    """Find the classes of the set of each evaluated row, fold by fold and station by station."""
    contains = np.ones((len(rows), len(TASK_CLASSES[task])), dtype=bool)
    n_calibration = np.zeros(len(rows), dtype=np.intp)
    truth = truth_index(validation["y_magnitude"], validation["y_azimuth"], task)
    scores = 1 - task_probabilities(validation, task)[np.arange(len(validation)), truth]
    keys = ["fold", "station"]
    calibration = validation.groupby(keys, observed=True).indices
    for key, positions in rows.groupby(keys, observed=True).indices.items():
        own = scores[calibration.get(key, np.empty(0, dtype=np.intp))]
        contains[positions] = 1 - task_probabilities(rows, task, positions) <= conformal_threshold(own, coverage)
        n_calibration[positions] = len(own)
    truth = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
    return ConformalSets(contains, contains[np.arange(len(rows)), truth], n_calibration)


def score_sets(
    task: str, rows: pd.DataFrame, validation: pd.DataFrame, clusters: Clusters, config: EvaluateConfig
) -> tuple[ConformalScores, list[str]]:
    """Measure coverage and size of the sets, over all rows and by station; with sentences on doubtful coverage."""
    sets = conformal_sets(task, rows, validation, config.coverage)
    stations = _by_station(rows, validation, sets, clusters, config)
    n_classes, size = sets.contains.shape[1], sets.contains.sum(axis=1)
    result = ConformalScores(
        coverage_aimed=config.coverage,
        n=len(rows),
        n_classes=n_classes,
        coverage=_coverage(sets.covered, clusters, config),
        mean_set_size=float(size.mean()),
        share_empty=float((size == 0).mean()),
        share_whole=float((size == n_classes).mean()),
        by_station=stations,
        n_calibration_groups=int(validation.groupby("station", observed=True)["split_group"].nunique().sum()),
    )
    return result, [*_missed(task, result, config), *_doubts(result, rows, validation)]


def _coverage(covered: BoolArray, clusters: Clusters, config: EvaluateConfig) -> IntervalEstimate:
    sums = np.column_stack([clusters.sum(np.ones(len(covered))), clusters.sum(covered)])
    drawn = clusters.bootstrap(sums, config.bootstrap, config.seed)
    known = clusters.smallest >= FEW_CLUSTERS
    return IntervalEstimate.of(float(covered.mean()), ratio(drawn[:, 1], drawn[:, 0]), known, config.confidence)


def _by_station(
    rows: pd.DataFrame, validation: pd.DataFrame, sets: ConformalSets, clusters: Clusters, config: EvaluateConfig
) -> list[StationSets]:
    """Coverage and size at each station, all on the same bootstrap replicates of groups."""
    stations = sorted(rows.groupby("station", observed=True).indices.items())
    n_rows, n_covered = np.zeros((2, clusters.n, len(stations)))
    for i, (_, positions) in enumerate(stations):
        of_station = clusters.index[positions]
        n_rows[:, i] = np.bincount(of_station, minlength=clusters.n)
        n_covered[:, i] = np.bincount(of_station, weights=sets.covered[positions], minlength=clusters.n)
    n_groups = (n_rows > 0).sum(axis=0)
    drawn = clusters.bootstrap([n_rows, n_covered], config.bootstrap, config.seed)
    replicates = ratio(drawn[:, len(stations) :], drawn[:, : len(stations)])
    calibration_windows = validation["station"].value_counts()
    calibration_groups = validation.groupby("station", observed=True)["split_group"].nunique()
    result = []
    for i, (station, positions) in enumerate(stations):
        known = clusters.smallest > 1 and n_groups[i] >= FEW_CLUSTERS
        value = float(sets.covered[positions].mean())
        n_calibration_groups = int(calibration_groups.get(station, 0))
        entry = StationSets(
            station=str(station),
            n=len(positions),
            n_groups=int(n_groups[i]),
            coverage=IntervalEstimate.of(value, replicates[:, i], known, config.confidence),
            mean_set_size=float(sets.contains[positions].sum(axis=1).mean()),
            n_calibration=int(calibration_windows.get(station, 0)),
            n_calibration_groups=n_calibration_groups,
            note=_note(int(sets.n_calibration[positions].min()), n_calibration_groups, config.coverage),
        )
        result.append(entry)
    return result


def _note(fewest_windows: int, n_groups: int, coverage: float) -> str | None:
    least = coverage / (1 - coverage)
    if fewest_windows <= least + 1e-9:
        return f"{fewest_windows} calibration windows (in a fold) exclude no class; more than {least:.0f} are needed."
    if n_groups < FEW_CLUSTERS:
        return f"Coverage is inconclusive ({n_groups} calibration groups; at least {FEW_CLUSTERS} are needed)."
    return None


def _missed(task: str, result: ConformalScores, config: EvaluateConfig) -> list[str]:
    """A sentence where the coverage differs from the nominal one by more than the numbers of groups explain.

    Given the calibration windows the coverage varies around its nominal value like a fraction of as many samples (Vovk,
    2012, arXiv:1209.2673); groups are counted here, since windows of a group are alike.
    """
    coverage, nominal = result.coverage, result.coverage_aimed
    if coverage.value is None or coverage.low is None or coverage.high is None:
        return []
    quantile = norm.ppf(0.5 + config.confidence / 2)
    of_calibration = quantile * np.sqrt(nominal * (1 - nominal) / max(1, result.n_calibration_groups))
    if abs(coverage.value - nominal) <= np.hypot((coverage.high - coverage.low) / 2, of_calibration):
        return []
    return [
        f"{task}: {100 * nominal:g} % conformal prediction sets: coverage {coverage.value:.2f}, which the number of "
        "groups does not explain: validation and test windows differ in distribution."
    ]


def _doubts(result: ConformalScores, rows: pd.DataFrame, validation: pd.DataFrame) -> list[str]:
    warnings, inside = [], 0
    for fold, positions in rows.groupby("fold").indices.items():
        start = validation.loc[validation["fold"] == fold, "start_utc"]
        inside += int(rows["start_utc"].iloc[positions].between(start.min(), start.max()).sum())
    if (overlap := inside / len(rows)) < MIN_TIME_OVERLAP:
        warnings.append(
            f"{100 * (1 - overlap):.0f} % of the evaluated windows lie outside the period of their validation "
            "windows, so the coverage of conformal prediction sets is not guaranteed."
        )
    thin = [entry.station for entry in result.by_station if entry.note]
    if thin:
        warnings.append(
            f"Too few validation windows or groups for conformal prediction sets at {len(thin)} of "
            f"{len(result.by_station)} stations: {', '.join(thin[:6])}{' ...' if len(thin) > 6 else ''}."
        )
    return warnings
