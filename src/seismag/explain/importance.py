"""Permutation importance of bands and components: loss of score, with intervals by event cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray, IntArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, Sums, find_clusters
from seismag.scoring.estimates import IntervalEstimate, Scored
from seismag.scoring.predictions import truth_index

LossInterval = dict[str, float | None]  # value, low and high; None where there is no interval
Losses = dict[str, dict[str, LossInterval]]  # by task (magnitude, azimuth, detection) and score


def measure_importance(
    rows: pd.DataFrame,
    plain: Mapping[str, FloatArray],
    occluded: Sequence[Mapping[str, FloatArray]],
    spec: EvaluateConfig,
) -> list[Losses]:
    """Loss of log score (nat) and balanced accuracy after a part of the input is replaced; positive: the model uses it.

    Args:
        rows: n windows: y_magnitude, y_azimuth, split_group.
        plain: ``magnitude`` (n, 4) and ``azimuth`` (n, 9), probabilities of the original windows.
        occluded: the same for each replaced part.
    """
    clusters = find_clusters(rows)
    forecasts = [_add_detection(probs) for probs in (plain, *occluded)]
    result: list[Losses] = [{} for _ in occluded]
    for task in forecasts[0]:
        y_true = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
        of_task = [probs[task] for probs in forecasts]
        log_score = _drops_of_log_score(of_task, y_true, clusters, spec)
        balanced = _drops_of_balanced_accuracy(of_task, y_true, clusters, spec)
        for entry, of_log_score, of_balanced in zip(result, log_score, balanced, strict=True):
            entry[task] = {"log_score": of_log_score, "balanced_accuracy": of_balanced}
    return result


def skill_of_study(
    rows: pd.DataFrame, plain: Mapping[str, FloatArray], spec: EvaluateConfig
) -> dict[str, LossInterval]:
    """Balanced accuracy of each task in the windows of the study.

    Returns:
        By task value, low and high; ``chance``, one over the number of classes that occur; and ``shown``, whether the
        interval lies above chance (None without an interval).
    """
    clusters = find_clusters(rows)
    result = {}
    for task, probs in _add_detection(plain).items():
        y_true = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
        chance = 1.0 / len(np.unique(y_true))
        entry = _entry(_scored(probs, y_true, clusters).estimate("balanced_accuracy", spec.confidence))
        low = entry["low"]
        result[task] = {**entry, "chance": chance, "shown": None if low is None else low > chance}
    return result


def _add_detection(probs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    normal = probs["magnitude"][:, :1]
    return {**probs, "detection": np.concatenate([normal, 1 - normal], axis=1)}


def _drops_of_log_score(
    forecasts: list[FloatArray], y_true: IntArray, clusters: Clusters, spec: EvaluateConfig
) -> list[LossInterval]:
    before, *after = (clusters.sum(m.row_log_scores(probs, y_true)) for probs in forecasts)
    rows = clusters.sum(np.ones(len(y_true)))
    return [_entry(IntervalEstimate.of_mean(before - sums, rows, clusters, spec.confidence)) for sums in after]


def _drops_of_balanced_accuracy(
    forecasts: list[FloatArray], y_true: IntArray, clusters: Clusters, spec: EvaluateConfig
) -> list[LossInterval]:
    before, *after = (_scored(probs, y_true, clusters) for probs in forecasts)
    result = []
    for scored in after:
        value, left_out = before.minus(scored, "balanced_accuracy")
        result.append(_entry(IntervalEstimate.jackknifed(value, left_out, spec.confidence)))
    return result


def _scored(probs: FloatArray, y_true: IntArray, clusters: Clusters) -> Scored:
    confusion = m.cluster_confusion(y_true, probs.argmax(axis=1), clusters.index, probs.shape[1])
    return Scored.of(Sums(confusion, {}), clusters.has_event, ("balanced_accuracy",))


def _entry(estimate: IntervalEstimate) -> LossInterval:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
