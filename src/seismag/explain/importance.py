"""Permutation importance of bands and components: loss of score, with intervals by event cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray, IntArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, find_clusters
from seismag.scoring.predictions import TASK_CLASSES, truth_index

_SCORES = ("log_score", "balanced_accuracy")


@dataclass(frozen=True)
class LossInterval:
    """A value with its interval by event cluster; None where there is no interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class StudySkill:
    """Balanced accuracy of a task.

    Attributes:
        value, low, high: with interval.
        chance: one over the number of classes that occur.
        shown: the interval lies above chance; None without an interval.
    """

    value: float
    low: float | None
    high: float | None
    chance: float
    shown: bool | None


Losses = dict[str, dict[str, LossInterval]]  # by task (magnitude, azimuth, detection) and score


def measure_importance(
    rows: pd.DataFrame,
    plain: Mapping[str, FloatArray],
    occluded: Sequence[Mapping[str, FloatArray]],
    spec: EvaluateConfig,
) -> list[Losses]:
    """Loss of each score after a part of the input is replaced; positive: the model uses it.

    Args:
        rows: n windows: y_magnitude, y_azimuth, split_group.
        plain: ``magnitude`` (n, 4) and ``azimuth`` (n, 9), probabilities of the original windows.
        occluded: for each replaced part the same with R repeats, (R, n, 4) and (R, n, 9).
        spec: replicates, confidence and seed of the bootstrap by cluster.

    Returns:
        Of each part the loss of log score (nat) and balanced accuracy: mean over the repeats, interval by cluster for
        these repeats.

    Raises:
        ValueError: there is no window.
    """
    if rows.empty:
        raise ValueError("the importance of a band needs a window")
    clusters = find_clusters(rows)
    truth = {task: truth_index(rows["y_magnitude"], rows["y_azimuth"], task) for task in TASK_CLASSES}
    before = {task: probs[None] for task, probs in add_detection(plain).items()}
    parts = [add_detection(part) for part in occluded]
    result: list[Losses] = [{} for _ in parts]
    for task, y_true in truth.items():
        forecasts = [before[task], *(part[task] for part in parts)]
        drops = {
            "log_score": _drops_of_log_score(forecasts, y_true, clusters, spec),
            "balanced_accuracy": _drops_of_balanced_accuracy(forecasts, y_true, clusters, spec),
        }
        for index, entry in enumerate(result):
            entry[task] = {score: drops[score][index] for score in _SCORES}
    return result


def skill_of_study(rows: pd.DataFrame, plain: Mapping[str, FloatArray], spec: EvaluateConfig) -> dict[str, StudySkill]:
    """Balanced accuracy of each task in the windows of the study, and that of a constant prediction."""
    clusters = find_clusters(rows)
    result = {}
    for task, probs in add_detection(plain).items():
        y_true = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
        confusion = m.cluster_confusion(y_true, probs.argmax(axis=-1), clusters.index, probs.shape[-1])
        replicates = m.balanced_accuracy(clusters.bootstrap(confusion, spec.bootstrap, spec.seed))
        chance = 1.0 / len(np.unique(y_true))
        entry = _with_interval(float(m.balanced_accuracy(confusion.sum(axis=0))), replicates, spec)
        shown = None if entry.low is None else entry.low > chance
        result[task] = StudySkill(entry.value, entry.low, entry.high, chance, shown)
    return result


def add_detection(probs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Add P(Normal) and P(Event) (..., 2), which follow from the magnitude."""
    normal = probs["magnitude"][..., :1]
    return {"magnitude": probs["magnitude"], "azimuth": probs["azimuth"],
            "detection": np.concatenate([normal, 1 - normal], axis=-1)}  # fmt: skip


def _drops_of_log_score(
    forecasts: Sequence[FloatArray], y_true: IntArray, clusters: Clusters, spec: EvaluateConfig
) -> list[LossInterval]:
    rows = [np.mean([m.row_log_scores(probs, y_true) for probs in repeats], axis=0) for repeats in forecasts]
    sums = np.stack([np.ones(len(y_true)), *(rows[0] - after for after in rows[1:])], axis=1)
    by_cluster = np.stack([clusters.sum(column) for column in sums.T], axis=1)  # (n_clusters, 1 + K)
    replicates = clusters.bootstrap(by_cluster, spec.bootstrap, spec.seed)
    values = by_cluster.sum(axis=0)
    means = replicates[:, 1:] / replicates[:, :1]
    return [_with_interval(float(values[1 + k] / values[0]), means[:, k], spec) for k in range(len(forecasts) - 1)]


def _drops_of_balanced_accuracy(
    forecasts: Sequence[FloatArray], y_true: IntArray, clusters: Clusters, spec: EvaluateConfig
) -> list[LossInterval]:
    confusion = np.stack([_mean_confusion(repeats, y_true, clusters) for repeats in forecasts], axis=1)
    values = m.balanced_accuracy(confusion.sum(axis=0))
    replicates = m.balanced_accuracy(clusters.bootstrap(confusion, spec.bootstrap, spec.seed))  # (replicates, 1 + K)
    return [
        _with_interval(float(values[0] - values[k]), replicates[:, 0] - replicates[:, k], spec)
        for k in range(1, len(forecasts))
    ]


def _mean_confusion(repeats: FloatArray, y_true: IntArray, clusters: Clusters) -> FloatArray:
    k = repeats.shape[-1]
    each = [m.cluster_confusion(y_true, probs.argmax(axis=-1), clusters.index, k) for probs in repeats]
    return np.asarray(np.mean(each, axis=0))


def _with_interval(value: float, replicates: FloatArray, spec: EvaluateConfig) -> LossInterval:
    low, high = m.percentile_interval(replicates, spec.confidence)
    return LossInterval(value, None if np.isnan(low) else low, None if np.isnan(high) else high)
