"""Permutation importance of bands and components: loss of score, with intervals by event cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, find_clusters
from seismag.scoring.predictions import TASK_CLASSES, truth_index

_SCORES = ("log_score", "balanced_accuracy")


def measure_importance(
    rows: pd.DataFrame,
    plain: Mapping[str, FloatArray],
    occluded: Sequence[Mapping[str, FloatArray]],
    spec: EvaluateConfig,
) -> list[dict[str, Any]]:
    """Loss of each score after a part of the input is replaced; positive: the model uses it.

    Args:
        rows: n windows: y_magnitude, y_azimuth, split_group.
        plain: ``magnitude`` (n, 4) and ``azimuth`` (n, 9), probabilities of the original windows.
        occluded: for each replaced part the same with R repeats, (R, n, 4) and (R, n, 9).
        spec: replicates, confidence and seed of the bootstrap by cluster.

    Returns:
        For each part, by task (magnitude, azimuth, detection) and score (log score in nats, balanced accuracy)
        ``value``, ``low``, ``high``: mean over the repeats, interval by cluster for these repeats.

    Raises:
        ValueError: there is no window.
    """
    if rows.empty:
        raise ValueError("the importance of a band needs a window")
    clusters = find_clusters(rows)
    truth = {task: truth_index(rows["y_magnitude"], rows["y_azimuth"], task) for task in TASK_CLASSES}
    before = {task: probs[None] for task, probs in add_detection(plain).items()}
    parts = [add_detection(part) for part in occluded]
    result: list[dict[str, Any]] = [{} for _ in parts]
    for task, y_true in truth.items():
        forecasts = [before[task], *(part[task] for part in parts)]
        drops = {
            "log_score": _drops_of_log_score(forecasts, y_true, clusters, spec),
            "balanced_accuracy": _drops_of_balanced_accuracy(forecasts, y_true, clusters, spec),
        }
        for index, entry in enumerate(result):
            entry[task] = {score: drops[score][index] for score in _SCORES}
    return result


def skill_of_study(rows: pd.DataFrame, plain: Mapping[str, FloatArray], spec: EvaluateConfig) -> dict[str, Any]:
    """Balanced accuracy of each task in the windows of the study, and that of a constant prediction.

    Returns:
        By task ``value``, ``low``, ``high``, ``chance`` (one over the number of classes that occur), ``shown`` (the
        interval lies above chance).
    """
    clusters = find_clusters(rows)
    result = {}
    for task, probs in add_detection(plain).items():
        y_true = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
        confusion = m.cluster_confusion(y_true, probs.argmax(axis=-1), clusters.index, probs.shape[-1])
        replicates = m.balanced_accuracy(clusters.bootstrap(confusion, spec.bootstrap, spec.seed))
        chance = 1.0 / len(np.unique(y_true))
        entry = _with_interval(float(m.balanced_accuracy(confusion.sum(axis=0))), replicates, spec)
        low = entry["low"]
        result[task] = {**entry, "chance": chance, "shown": None if low is None else bool(low > chance)}
    return result


def add_detection(probs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Add P(Normal) and P(Event) (..., 2), which follow from the magnitude."""
    normal = probs["magnitude"][..., :1]
    return {"magnitude": probs["magnitude"], "azimuth": probs["azimuth"],
            "detection": np.concatenate([normal, 1 - normal], axis=-1)}  # fmt: skip


def _drops_of_log_score(
    forecasts: Sequence[FloatArray], y_true: Any, clusters: Clusters, spec: EvaluateConfig
) -> list[dict[str, Any]]:
    rows = [np.mean([m.row_log_scores(probs, y_true) for probs in repeats], axis=0) for repeats in forecasts]
    sums = np.stack([np.ones(len(y_true)), *(rows[0] - after for after in rows[1:])], axis=1)
    by_cluster = np.stack([clusters.sum(column) for column in sums.T], axis=1)  # (n_clusters, 1 + K)
    replicates = clusters.bootstrap(by_cluster, spec.bootstrap, spec.seed)
    values = by_cluster.sum(axis=0)
    means = replicates[:, 1:] / replicates[:, :1]
    return [_with_interval(float(values[1 + k] / values[0]), means[:, k], spec) for k in range(len(forecasts) - 1)]


def _drops_of_balanced_accuracy(
    forecasts: Sequence[FloatArray], y_true: Any, clusters: Clusters, spec: EvaluateConfig
) -> list[dict[str, Any]]:
    confusion = np.stack([_mean_confusion(repeats, y_true, clusters) for repeats in forecasts], axis=1)
    values = m.balanced_accuracy(confusion.sum(axis=0))
    replicates = m.balanced_accuracy(clusters.bootstrap(confusion, spec.bootstrap, spec.seed))  # (replicates, 1 + K)
    return [
        _with_interval(float(values[0] - values[k]), replicates[:, 0] - replicates[:, k], spec)
        for k in range(1, len(forecasts))
    ]


def _mean_confusion(repeats: FloatArray, y_true: Any, clusters: Clusters) -> FloatArray:
    k = repeats.shape[-1]
    each = [m.cluster_confusion(y_true, probs.argmax(axis=-1), clusters.index, k) for probs in repeats]
    return np.asarray(np.mean(each, axis=0))


def _with_interval(value: float, replicates: FloatArray, spec: EvaluateConfig) -> dict[str, Any]:
    low, high = m.percentile_interval(replicates, spec.confidence)
    return {"value": value, "low": None if np.isnan(low) else low, "high": None if np.isnan(high) else high}
