"""Reliability of the probabilities: what happened in each bin, calibration error, and the parts of the Brier score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters
from seismag.scoring.estimates import FEW_CLUSTERS, number

PARTS = (
    "reliability", "resolution", "uncertainty", "within_bin",
    "reliability_corrected", "resolution_corrected", "uncertainty_corrected",
)  # fmt: skip
HISTOGRAM_BINS = 20


def stated(task: str, probs: FloatArray, truth: IndexArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Take the probability that is judged, and whether it came true, (n,) each.

    Of detection that of an event, of the other tasks that of the likeliest class.
    """
    if task == "detection":
        return probs[:, 1], truth == 1
    return probs.max(axis=1), probs.argmax(axis=1) == truth


def score_reliability(
    task: str, p: FloatArray, happened: NDArray[np.bool_], clusters: Clusters, config: EvaluateConfig
) -> dict[str, Any]:
    """Compare probabilities with what happened (see ``stated``), in bins of equal mass.

    Returns:
        ``of``, ``ece``, for detection ``brier_parts``, each number with its interval, ``histogram`` (windows in 20
        equal steps of the probability), and ``bins``: n, n_groups, mean_probability, and observed with its interval
        (None below 10 groups). ECE is never negative and its replicates lie above it, so that its interval may not
        hold its value.
    """
    bins = m.equal_mass_bins(p, config.reliability_bins)
    sums = m.cluster_bin_sums(p, happened, bins, clusters.index, clusters.n)
    drawn = clusters.bootstrap(sums, config.bootstrap, config.seed)
    whole = sums.sum(axis=0)
    known = clusters.smallest > 1

    def entry(value: FloatArray, replicates: FloatArray) -> dict[str, float | None]:
        low, high = m.percentile_interval(replicates, config.confidence) if known else (np.nan, np.nan)
        return {"value": number(value), "low": number(low), "high": number(high)}

    result: dict[str, Any] = {
        "of": "the probability of an event" if task == "detection" else "the probability of the likeliest class",
        "ece": entry(m.expected_calibration_error(whole), m.expected_calibration_error(drawn)),
    }
    if task == "detection":
        parts, drawn_parts = m.brier_decomposition(whole), m.brier_decomposition(drawn)
        result["brier_parts"] = {name: entry(parts[name], drawn_parts[name]) for name in PARTS}
    result["histogram"] = np.histogram(p, bins=HISTOGRAM_BINS, range=(0, 1))[0].tolist()
    result["bins"] = [_bin(sums[:, i], drawn[:, i], config) for i in range(sums.shape[1])]
    return result


def _bin(sums: FloatArray, drawn: FloatArray, config: EvaluateConfig) -> dict[str, Any]:
    n, sum_p, sum_y = sums.sum(axis=0)[:3]
    n_groups = int(np.count_nonzero(sums[:, 0]))
    low, high = np.nan, np.nan
    if n_groups >= FEW_CLUSTERS:
        low, high = m.percentile_interval(ratio(drawn[:, 2], drawn[:, 0]), config.confidence)
    observed = {"value": float(sum_y / n), "low": number(low), "high": number(high)}
    return {"n": int(n), "n_groups": n_groups, "mean_probability": float(sum_p / n), "observed": observed}
