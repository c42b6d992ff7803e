"""Sanity tests of attribution maps: dependence on weights and labels, and relevance of the marked bins.

Source: Adebayo et al. (2018), arXiv:1810.03292; Petsiuk, Das & Saenko (2018), arXiv:1806.07421.
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

# Largest mean rank correlation with maps of a randomised model. At 0.5 a quarter of the rank variance does not depend
# on training; a single random network on some tens of coarse bins reaches 0.3 by chance.
CORRELATION_LIMIT = 0.5
MIN_BINS = 9  # of a coarse map; rank correlations of fewer bins are not informative
MIN_CLUSTERS = 10  # event clusters and control blocks; with fewer the intervals are too narrow


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


def correlation_between_windows(maps: NDArray[np.floating]) -> float | None:
    """Mean rank correlation between maps of different windows; near 1 the maps do not depend on the window."""
    pairs = [rank_correlations(maps[:-shift], maps[shift:]) for shift in range(1, min(len(maps), 6))]
    values = np.concatenate(pairs) if pairs else np.empty(0)
    return None if np.isnan(values).all() else float(np.nanmean(values))


def check_random_weights(
    task: str, stages: Sequence[str], correlations: FloatArray, n_bins: int, between: float | None
) -> CheckResult:
    """Test that maps change when the weights are randomised, from the heads to the stem.

    Args:
        task: which maps.
        stages: S names, in order of randomisation.
        correlations: (R, S, n) rank correlation with the original map, by seed, stage and window.
        n_bins: of a coarse map.
        between: ``correlation_between_windows`` of the original maps.
    """
    name = f"random_weights_{task}"
    draws = [[_mean(values) for values in draw] for draw in correlations]
    by_stage = [{"stage": stage, "correlation": _mean(correlations[:, s])} for s, stage in enumerate(stages)]
    last = [draw[-1] for draw in draws if draw[-1] is not None]
    details = {
        "stages": by_stage, "draws": len(draws), "limit": CORRELATION_LIMIT, "coarse_cells": n_bins,
        "last_stage_by_draw": [draw[-1] for draw in draws], "between_windows": between,
        "undefined_share": float(np.isnan(correlations[:, -1]).mean()),
    }  # fmt: skip
    if (reason := _too_few(n_bins, np.isnan(correlations[:, -1]).mean())) is not None:
        return CheckResult(name, f"{task}: {reason}", verdict="inconclusive", details=details)
    statistic = float(np.mean(last))
    fails = statistic > CORRELATION_LIMIT
    says = (
        f"the maps do not depend on the trained weights (limit {CORRELATION_LIMIT:g}) and must not be interpreted"
        if fails
        else f"below the limit of {CORRELATION_LIMIT:g}, so the maps depend on the weights"
    )
    alike = "" if between is None else f" Maps of different windows correlate at {between:.2f}."
    return CheckResult(
        name,
        f"{task}: with random weights the maps correlate at {statistic:.2f} with those of the model; {says}.{alike}",
        statistic=statistic,
        statistic_name="mean rank correlation with random weights",
        null=NullInterval(statistic, float(min(last)), float(max(last))),
        verdict="fail" if fails else "pass",
        details=details,
    )


def check_random_labels(
    task: str, shuffled: FloatArray, true: FloatArray | None, n_bins: int, control: str
) -> CheckResult:
    """Test that maps differ from those of a model that was trained on shuffled labels.

    Args:
        task: which maps.
        shuffled: (R, n) rank correlation of the original maps with those of the control, by seed and window.
        true: (R, n) the same for heads retrained on the true labels; None if the control is a run.
        n_bins: of a coarse map.
        control: description of the model trained on shuffled labels.
    """
    name = f"random_labels_{task}"
    reference = None if true is None else _mean(true)
    details = {
        "control": control, "limit": CORRELATION_LIMIT, "draws": len(shuffled), "coarse_cells": n_bins,
        "true_labels": reference, "undefined_share": float(np.isnan(shuffled).mean()),
    }  # fmt: skip
    if (reason := _too_few(n_bins, np.isnan(shuffled).mean())) is not None:
        return CheckResult(name, f"{task}: {reason}", verdict="inconclusive", details=details)
    statistic = float(np.nanmean(shuffled))
    verdict: Verdict = "pass"
    says = f"below the limit of {CORRELATION_LIMIT:g}, so the maps depend on the labels"
    if statistic > CORRELATION_LIMIT:
        verdict = "fail"
        says = f"above the limit of {CORRELATION_LIMIT:g}, so the maps do not depend on the labels"
    elif true is not None and (reference is None or reference <= statistic):
        verdict = "inconclusive"
        says = "not less than for heads retrained on the true labels, so the test is inconclusive"
    compared = "" if reference is None else f" (heads retrained on the true labels: {reference:.2f})"
    return CheckResult(
        name,
        f"{task}: maps of {control} correlate at {statistic:.2f} with those of the model{compared}; {says}.",
        statistic=statistic,
        statistic_name="mean rank correlation with the maps of shuffled labels",
        verdict=verdict,
        details=details,
    )


def check_curves(
    kind: str, task: str, areas: tuple[FloatArray, FloatArray], rows: pd.DataFrame, spec: EvaluateConfig
) -> CheckResult:
    """Test that the bins with large attribution affect the prediction more than bins in random order.

    Args:
        kind: ``deletion`` (a small area is better) or ``insertion`` (a large one).
        task: which maps.
        areas: (n,) area under the curve in order of attribution; (R, n) in random orders.
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
        verdict, says = (
            "inconclusive",
            f"inconclusive: {n_clusters} event clusters and control blocks, at least {MIN_CLUSTERS} are needed",
        )
    elif high < 0:
        verdict, says = "fail", "worse than a random order"
    elif low <= 0:
        verdict, says = "fail", "no better than a random order"
    else:
        says = "better than a random order"
    interval = "no interval" if low is None or high is None else f"{low:+.3f}, {high:+.3f}"
    verb = "removed" if kind == "deletion" else "inserted"
    return CheckResult(
        f"{kind}_{task}",
        f"{task}: bins {verb} in order of attribution change the area under the probability curve by {value:+.3f} "
        f"[{interval}] relative to a random order (positive is better), {len(rows)} windows; {says}.",
        statistic=value,
        statistic_name="gain of area over random orders",
        verdict=verdict,
        details=details,
    )


def area_under(curves: FloatArray, fractions: FloatArray) -> FloatArray:
    """Area under curves (..., S) over the fractions (S,) from 0 to 1, by trapezoids."""
    return np.asarray(np.trapezoid(curves, fractions, axis=-1))


def _too_few(n_bins: int, undefined: Any) -> str | None:
    if n_bins < MIN_BINS:
        return (
            f"inconclusive: the feature map has {n_bins} bins, too few to compare maps (at least {MIN_BINS}). Use a "
            "store with more frequency bins and time frames."
        )
    if undefined > 0.5:
        return f"inconclusive: {100 * undefined:.0f} % of the maps are empty."
    return None


def _mean(values: FloatArray) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _cluster_mean(
    values: FloatArray, clusters: Clusters, spec: EvaluateConfig
) -> tuple[float, float | None, float | None]:
    sums = np.stack([clusters.sum(values), clusters.sum(np.ones(len(values)))], axis=1)
    replicates = clusters.bootstrap(sums, spec.bootstrap, spec.seed)
    low, high = percentile_interval(replicates[:, 0] / replicates[:, 1], spec.confidence)
    value = float(values.mean())
    return (value, None, None) if np.isnan(low) or clusters.n < 2 else (value, low, high)
