"""Can the maps be believed? Tests of an attribution that can fail.

A picture that looks reasonable proves nothing: an edge detector gives reasonable pictures without reading a model. So
the maps must change with the weights and with the labels, and the cells that they mark must matter to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.estimate import CheckResult, NullInterval, Verdict
from seismag.scoring.clusters import Clusters, find_clusters
from seismag.scoring.metrics import percentile_interval

CORRELATION_LIMIT = 0.5
"""Largest mean rank correlation that maps of a model without the trained weights may have with those of the model.
At 0.5 a quarter of the order of the cells would not come of what was learnt; a single random network on some tens of
coarse cells reaches 0.3 by chance."""
MIN_CELLS = 9  # of a coarse map: rank correlations of fewer are hardly more than signs
MIN_CLUSTERS = 10  # below, an interval by cluster is too narrow to decide (as in every judgement)


def rank_correlations(a: NDArray[np.floating], b: NDArray[np.floating]) -> FloatArray:
    """Spearman's rank correlation of each pair of maps, (n,); NaN where one of them is constant.

    Args:
        a: (n, F', T') maps.
        b: (n, F', T') maps.
    """
    result = np.full(len(a), np.nan)
    for i, (one, other) in enumerate(zip(a.reshape(len(a), -1), b.reshape(len(b), -1), strict=True)):
        if np.ptp(one) > 0 and np.ptp(other) > 0:
            result[i] = spearmanr(one, other).statistic
    return result


def likeness_between_windows(maps: NDArray[np.floating]) -> float | None:
    """Mean rank correlation of the maps of different windows: near 1, the maps hardly depend on the window."""
    pairs = [rank_correlations(maps[:-shift], maps[shift:]) for shift in range(1, min(len(maps), 6))]
    values = np.concatenate(pairs) if pairs else np.empty(0)
    return None if np.isnan(values).all() else float(np.nanmean(values))


def check_random_weights(
    task: str, stages: Sequence[str], correlations: FloatArray, n_cells: int, between: float | None
) -> CheckResult:
    """Maps must forget the model as its weights are replaced by random ones, from the heads down.

    Args:
        task: which maps.
        stages: S names, in the order in which they were replaced.
        correlations: (R, S, n) rank correlation with the original map, of each draw, stage and window.
        n_cells: of a coarse map.
        between: ``likeness_between_windows`` of the original maps.
    """
    name = f"random_weights_{task}"
    draws = [[_mean(values) for values in draw] for draw in correlations]
    by_stage = [{"stage": stage, "correlation": _mean(correlations[:, s])} for s, stage in enumerate(stages)]
    last = [draw[-1] for draw in draws if draw[-1] is not None]
    details = {
        "stages": by_stage, "draws": len(draws), "limit": CORRELATION_LIMIT, "coarse_cells": n_cells,
        "last_stage_by_draw": [draw[-1] for draw in draws], "between_windows": between,
        "undefined_share": float(np.isnan(correlations[:, -1]).mean()),
    }  # fmt: skip
    if (reason := _too_few(n_cells, np.isnan(correlations[:, -1]).mean())) is not None:
        return CheckResult(name, f"{task}: {reason}", verdict="inconclusive", details=details)
    statistic = float(np.mean(last))
    fails = statistic > CORRELATION_LIMIT
    says = (
        f"they hardly depend on what was learnt (limit {CORRELATION_LIMIT:g}): do not read them"
        if fails
        else f"below the limit of {CORRELATION_LIMIT:g}, so they depend on the weights"
    )
    alike = "" if between is None else f" Maps of different windows correlate at {between:.2f}."
    return CheckResult(
        name,
        f"{task}: with all weights at random the maps correlate at {statistic:.2f} with those of the model; {says}."
        f"{alike}",
        statistic=statistic,
        statistic_name="mean rank correlation with all weights at random",
        null=NullInterval(statistic, float(min(last)), float(max(last))),
        verdict="fail" if fails else "pass",
        details=details,
    )


def check_random_labels(
    task: str, shuffled: FloatArray, true: FloatArray | None, n_cells: int, control: str
) -> CheckResult:
    """Maps of a model that learnt shuffled labels must not be those of the model.

    Args:
        task: which maps.
        shuffled: (R, n) rank correlation of the original maps with those of the control, of each draw and window.
        true: (R, n) the same for heads trained anew on the true labels; None where the control is a run.
        n_cells: of a coarse map.
        control: what was trained on shuffled labels, in words.
    """
    name = f"random_labels_{task}"
    reference = None if true is None else _mean(true)
    details = {
        "control": control, "limit": CORRELATION_LIMIT, "draws": len(shuffled), "coarse_cells": n_cells,
        "true_labels": reference, "undefined_share": float(np.isnan(shuffled).mean()),
    }  # fmt: skip
    if (reason := _too_few(n_cells, np.isnan(shuffled).mean())) is not None:
        return CheckResult(name, f"{task}: {reason}", verdict="inconclusive", details=details)
    statistic = float(np.nanmean(shuffled))
    verdict: Verdict = "pass"
    says = f"below the limit of {CORRELATION_LIMIT:g}, so they depend on the labels"
    if statistic > CORRELATION_LIMIT:
        verdict = "fail"
        says = f"above the limit of {CORRELATION_LIMIT:g}: the maps look the same whatever the labels were"
    elif true is not None and (reference is None or reference <= statistic):
        verdict = "inconclusive"
        says = "no less than with true labels learnt anew, so this control cannot tell the two apart"
    beside = "" if reference is None else f" (true labels, learnt anew in the same way: {reference:.2f})"
    return CheckResult(
        name,
        f"{task}: maps of {control} correlate at {statistic:.2f} with those of the model{beside}; {says}.",
        statistic=statistic,
        statistic_name="mean rank correlation with the maps of shuffled labels",
        verdict=verdict,
        details=details,
    )


def check_curves(
    kind: str, task: str, areas: tuple[FloatArray, FloatArray], rows: pd.DataFrame, spec: EvaluateConfig
) -> CheckResult:
    """The marked cells must matter more to the model than cells in a random order.

    Args:
        kind: ``deletion`` (a small area is good) or ``insertion`` (a large one).
        task: which maps.
        areas: (n,) area under the curve by attribution; (R, n) by random orders.
        rows: n windows: split_group, y_magnitude.
        spec: replicates, confidence, seed of the bootstrap by cluster.
    """
    by_map, by_chance = areas
    gain = (by_chance.mean(axis=0) - by_map) * (1 if kind == "deletion" else -1)
    value, low, high = _cluster_mean(gain, find_clusters(rows), spec)
    n_clusters = rows["split_group"].nunique()
    details = {
        "area": float(by_map.mean()), "area_random": float(by_chance.mean()), "low": low, "high": high,
        "windows": len(rows), "groups": n_clusters, "random_orders": len(by_chance),
    }  # fmt: skip
    verdict: Verdict = "pass"
    if low is None or high is None or n_clusters < MIN_CLUSTERS:
        verdict, says = "inconclusive", f"{n_clusters} groups are too few to decide (at least {MIN_CLUSTERS})"
    elif high < 0:
        verdict, says = "fail", "worse than a random order: the marked cells matter less than others"
    elif low <= 0:
        verdict, says = "fail", "no better than a random order"
    else:
        says = "better than a random order"
    interval = "no interval" if low is None or high is None else f"{low:+.3f}, {high:+.3f}"
    verb = "taken away" if kind == "deletion" else "put in"
    return CheckResult(
        f"{kind}_{task}",
        f"{task}: cells {verb} in the order of the map change the area under the probability by {value:+.3f} "
        f"[{interval}] against a random order (positive is better), {len(rows)} windows; {says}.",
        statistic=value,
        statistic_name="gain of area over random orders",
        verdict=verdict,
        details=details,
    )


def area_under(curves: FloatArray, fractions: FloatArray) -> FloatArray:
    """Area under curves (..., S) over the fractions (S,) from 0 to 1, by trapezoids."""
    return np.asarray(np.trapezoid(curves, fractions, axis=-1))


def _too_few(n_cells: int, undefined: Any) -> str | None:
    if n_cells < MIN_CELLS:
        return (
            f"the feature map has {n_cells} cells, too few to compare maps (at least {MIN_CELLS}): Grad-CAM hardly "
            "says where. A store with more rows and columns would."
        )
    if undefined > 0.5:
        return f"{100 * undefined:.0f} % of the maps are empty, so they cannot be compared."
    return None


def _mean(values: FloatArray) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _cluster_mean(
    values: FloatArray, clusters: Clusters, spec: EvaluateConfig
) -> tuple[float, float | None, float | None]:
    sums = np.stack([clusters.sum(values), clusters.sum(np.ones(len(values)))], axis=1)
    drawn = clusters.bootstrap(sums, spec.bootstrap, spec.seed)
    low, high = percentile_interval(drawn[:, 0] / drawn[:, 1], spec.confidence)
    value = float(values.mean())
    return (value, None, None) if np.isnan(low) or clusters.n < 2 else (value, low, high)
