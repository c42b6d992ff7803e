"""Reliability of one probability: forecast probability against observed frequency, and what chance alone gives.

Calibration error is never negative: in a small table it is mostly chance. It is compared with the errors of a
perfectly calibrated forecast with the same probabilities and the same groups, whose truth is simulated.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import norm

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters

BRIER_PARTS = ("reliability", "resolution", "uncertainty", "within_bin")
HISTOGRAM_BINS = 20
_CORRELATIONS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)  # tried, of outcomes within a group
_NODES = np.arange(-6, 6.01, 0.25)  # of the integral over the effect of a group
_MAX_FITTED_ROWS = 20_000  # more rows do not make the correlation more exact than its steps
_MIN_DRAWS, _MAX_DRAWS, _DRAWN_OUTCOMES = 199, 999, 10_000_000
_CHUNK_OUTCOMES = 2_000_000  # in memory at once
_TIE = 1e-9


@dataclass(frozen=True)
class ReliabilityBin:
    """Mean forecast probability and observed frequency of a bin."""

    n: int
    n_groups: int
    mean_probability: float
    observed: float


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error (ECE).

    Attributes:
        value: of the table.
        by_chance: mean of a calibrated forecast with the same probabilities and groups.
        corrected: the true error of which ``value`` is the expected one; negative where it is below chance.
    """

    value: float
    by_chance: float
    corrected: float


@dataclass(frozen=True)
class Reliability:
    """Reliability of one probability.

    Attributes:
        of: which probability.
        ece: expected calibration error.
        outcome_correlation: of the outcomes within a group, 0 to 1 in steps.
        brier_parts: parts of the Brier score of detection; None for the other tasks.
        histogram: windows in 20 equal steps of the probability.
        bins: bins of equal mass.
    """

    of: str
    ece: CalibrationError
    outcome_correlation: float
    brier_parts: dict[str, float] | None
    histogram: list[int]
    bins: list[ReliabilityBin]

    def to_json(self) -> dict[str, object]:
        """The document, without ``brier_parts`` where there are none."""
        document = dataclasses.asdict(self)
        return {key: value for key, value in document.items() if value is not None}


def evaluated_probability(task: str, probs: FloatArray, truth: IndexArray) -> tuple[FloatArray, BoolArray]:
    """The probability whose reliability is evaluated, and whether it came true, (n,) each.

    For detection that of an event, for the other tasks that of the likeliest class.
    """
    if task == "detection":
        return probs[:, 1], truth == 1
    return probs.max(axis=1), probs.argmax(axis=1) == truth


def score_reliability(
    task: str, p: FloatArray, happened: BoolArray, clusters: Clusters, config: EvaluateConfig
) -> Reliability:
    """Compare forecast probabilities with observed frequencies in bins of equal mass, and with chance."""
    index = m.equal_mass_bins(p, config.reliability_bins)
    sums = m.cluster_bin_sums(p, happened, index, clusters.index, clusters.n)
    whole, n_groups = sums.sum(axis=0), np.count_nonzero(sums[..., m.N], axis=0)
    n, sum_p = whole[:, m.N], whole[:, m.SUM_P]
    rng = np.random.default_rng(config.seed)
    correlation = outcome_correlation(p, happened, clusters.index, rng)
    drawn = simulate_frequencies(p, index, clusters.index, correlation, rng)
    error = float(m.expected_calibration_error(whole))
    errors = np.abs(drawn - sum_p / n) @ n / n.sum()
    gap, spread = np.abs(whole[:, m.SUM_Y] - sum_p) / n, drawn.std(axis=0)
    ece = CalibrationError(
        value=error,
        by_chance=float(errors.mean()),
        corrected=corrected_error(gap, spread, n / n.sum(), float(errors.mean())),
    )
    bins = [
        ReliabilityBin(int(n[k]), int(n_groups[k]), float(sum_p[k] / n[k]), float(whole[k, m.SUM_Y] / n[k]))
        for k in range(len(n))
    ]
    parts = m.brier_decomposition(whole)
    return Reliability(
        of="the probability of an event" if task == "detection" else "the probability of the likeliest class",
        ece=ece,
        outcome_correlation=correlation,
        brier_parts={name: float(parts[name]) for name in BRIER_PARTS} if task == "detection" else None,
        histogram=np.histogram(p, bins=HISTOGRAM_BINS, range=(0, 1))[0].tolist(),
        bins=bins,
    )


def outcome_correlation(p: FloatArray, happened: BoolArray, group: IndexArray, rng: np.random.Generator) -> float:
    """Estimate how far the outcomes of a group go together, for a calibrated forecast, by maximum likelihood.

    An outcome happens where sqrt(c) u + sqrt(1 - c) e is below the normal quantile of p, with u of the group and e of
    the row standard normal (a Gaussian copula): its probability is p whatever c is. c = 1 leaves the larger p of a
    group to happen first.

    Args:
        p: (n,) probabilities. happened: (n,). group: (n,) group of each row.
        rng: chooses groups in tables of more than 20,000 rows.

    Returns:
        c, one of ``_CORRELATIONS``.

    Source: one-factor model of Vasicek (2002), Risk 15(12), 160-162.
    """
    order = rng.permutation(int(group.max()) + 1)[group] if len(p) > _MAX_FITTED_ROWS else group
    rows = np.argsort(order, kind="stable")[:_MAX_FITTED_ROWS]
    starts = np.flatnonzero(np.diff(order[rows], prepend=-1))
    p, happened = np.clip(p[rows], m.LOG_SCORE_FLOOR, 1 - m.LOG_SCORE_FLOOR), happened[rows]
    sign, weight = np.where(happened, 1.0, -1.0)[:, None], norm.logpdf(_NODES) + np.log(0.25)
    log_likelihoods = []
    for c in _CORRELATIONS[:-1]:
        quantile = sign * (ndtri(p)[:, None] - np.sqrt(c) * _NODES) / np.sqrt(1 - c)
        of_group = np.add.reduceat(log_ndtr(quantile), starts) + weight  # (groups, nodes)
        log_likelihoods.append(np.logaddexp.reduce(of_group, axis=1).sum())
    below = np.minimum.reduceat(np.where(happened, p, 1.0), starts)  # all that happened lie above one limit
    above = np.maximum.reduceat(np.where(happened, 0.0, p), starts)
    log_likelihoods.append(np.log(np.maximum(below - above, 1e-12)).sum())
    return _CORRELATIONS[int(np.argmax(log_likelihoods))]


def simulate_frequencies(
    p: FloatArray, bins: NDArray[np.intp], group: IndexArray, correlation: float, rng: np.random.Generator
) -> FloatArray:
    """Observed frequency of each bin (draws, n_bins) where the forecast is calibrated, by ``outcome_correlation``.

    Source: consistency resampling of Bröcker & Smith (2007), doi:10.1175/WAF993.1, here with groups.
    """
    order = np.argsort(bins, kind="stable")
    starts, n_groups = np.flatnonzero(np.diff(bins[order], prepend=-1)), int(group.max()) + 1
    quantile, of_group = ndtri(p[order]).astype(np.float32), group[order]
    draws = int(np.clip(_DRAWN_OUTCOMES // len(p), _MIN_DRAWS, _MAX_DRAWS))
    chunk = max(1, _CHUNK_OUTCOMES // len(p))
    found = []
    for first in range(0, draws, chunk):
        k = min(chunk, draws - first)
        latent = np.float32(np.sqrt(correlation)) * rng.standard_normal((k, n_groups), dtype=np.float32)[:, of_group]
        if correlation < 1:
            latent += np.float32(np.sqrt(1 - correlation)) * rng.standard_normal((k, len(p)), dtype=np.float32)
        found.append(np.add.reduceat((latent < quantile).astype(np.float32), starts, axis=1))
    return np.concatenate(found).astype(float) / np.bincount(bins)


def corrected_error(gap: FloatArray, spread: FloatArray, weight: FloatArray, by_chance: float) -> float:
    """Find the true calibration error whose expected estimate is the estimated one.

    The true gaps of the bins are in proportion to the estimated ones; estimates scatter around them like those of a
    calibrated forecast, normally, so that their expected absolute values are those of the folded normal distribution.

    Args:
        gap: (n_bins,) |observed frequency - mean probability|.
        spread: (n_bins,) standard deviation of the observed frequency of a calibrated forecast.
        weight: (n_bins,) fraction of the rows in each bin.
        by_chance: expected estimate of a calibrated forecast.

    Returns:
        The error. Where the estimate is below that expected by chance it is as negative as one as far above would be
        positive, so that the mean over calibrated forecasts is 0.

    Source: Leone, Nelson & Nottingham (1961), doi:10.1080/00401706.1961.10489974, for the folded normal.
    """

    def expected(fraction: float) -> float:
        mean = fraction * gap
        shift = ratio(mean, spread)
        folded = spread * np.sqrt(2 / np.pi) * np.exp(-(shift**2) / 2) + mean * (1 - 2 * ndtr(-shift))
        return float(np.where(spread > 0, folded, mean) @ weight)

    estimated = float(gap @ weight)
    above = abs(estimated - by_chance)
    if min(above, estimated) <= _TIE:
        return 0.0
    wanted = expected(0.0) + above
    most = 1.001 * wanted / estimated  # expected(f) is at least f * estimated
    fraction = brentq(lambda tried: expected(tried) - wanted, 0.0, most)
    return min(float(np.copysign(fraction * estimated, estimated - by_chance)), estimated)
