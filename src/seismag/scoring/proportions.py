"""Interval of a proportion of rows that are alike within groups."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, expit
from scipy.stats import f

from seismag.arrays import FloatArray, IndexArray

_LOGITS = (-7.0, 7.0)  # range of tried proportions, 0.0009 to 0.9991
_TRIED, _ROUNDS = 71, 3  # proportions a round, each between the limits of the round before
_CORRELATIONS = np.array([0.001, 0.03, 0.07, 0.12, 0.2, 0.3, 0.45, 0.6, 0.8, 0.97])  # tried, within a group


def proportion_interval(hits: FloatArray, n: FloatArray, confidence: float) -> tuple[float, float]:
    """Interval of a proportion from its counts by group.

    The counts are beta-binomial: hits of a group are correlated. The limits are the proportions at which the profile
    likelihood over the correlation falls below that of the best one by half a quantile of F(1, 2 groups). Groups that
    all have only hits leave the correlation open: they count as one row each. ``benchmarks/coverage_calibration.py``
    measures the coverage.

    Args:
        hits: (groups,) rows that count. n: (groups,) all rows, at least 1.
        confidence: nominal coverage.

    Returns:
        Lower and upper limit.

    Source: Williams (1975), doi:10.2307/2529820, for the model.
    """
    (hits, n), counts = np.unique(np.stack([hits, n]), axis=1, return_counts=True)
    least, most = _LOGITS
    for _ in range(_ROUNDS):
        logits = np.linspace(least, most, _TRIED)
        profile = _profile_log_likelihood(expit(logits), hits, n, counts)
        inside = logits[2 * (profile.max() - profile) <= f.ppf(confidence, 1, 2 * counts.sum())]
        step = logits[1] - logits[0]
        least, most = max(_LOGITS[0], inside[0] - step), min(_LOGITS[1], inside[-1] + step)
    low = float(expit(inside[0])) if hits.any() else 0.0
    return low, 1.0 if np.array_equal(hits, n) else float(expit(inside[-1]))


def _profile_log_likelihood(means: FloatArray, hits: FloatArray, n: FloatArray, counts: IndexArray) -> FloatArray:
    """Largest log-likelihood over the correlations, (means,), of ``counts`` groups with these hits."""
    size = (1 - _CORRELATIONS) / _CORRELATIONS
    alpha, beta = means[:, None] * size, (1 - means[:, None]) * size  # (means, correlations)
    total = np.zeros(alpha.shape)
    for of_group, all_rows, count in zip(hits, n, counts, strict=True):
        total += count * (betaln(alpha + of_group, beta + all_rows - of_group) - betaln(alpha, beta))
    return np.asarray(total.max(axis=1))
