"""Power of a study from its sizes, computed before its result is evaluated.

An event counts as hit with the probability tau under chance, and with gain x tau under the alternative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm

from seismag.alarms.molchan import AlarmRows
from seismag.arrays import FloatArray, IndexArray
from seismag.config import EvaluateConfig

ERRORS = (0.05, 0.01)  # of a single test, and of the integrity checks of the audit
GAINS = (1.6, 2.0, 3.0)
WANTED_POWER = 0.8
_POWER_ROWS = 20_000_000  # rows times draws, above which there are fewer draws
_MOST_EVENTS = 100_000  # an effect that needs more is seen by no catalogue
_AUC = np.array([0.5, 0.52, 0.54, 0.56, 0.58, 0.60, 0.63, 0.66, 0.70, 0.75, 0.80])  # simulated effects
_SHIFTS = norm.ppf(_AUC) * np.sqrt(2)  # of normal scores


@dataclass(frozen=True)
class PowerAtError:
    """Smallest detectable effects at one error of the test; None: no such effect is detected."""

    events_needed: dict[str, int | None]
    smallest_gain: float | None
    smallest_area_skill: float
    smallest_auc: float | None
    smallest_balanced_accuracy: float | None


@dataclass(frozen=True)
class StudyPower:
    """What a table can show with the given power, by error of the test."""

    alarm_fraction: float
    power: float
    n_events: int
    group_correlation: float
    by_error: dict[str, PowerAtError]


def study_power(rows: AlarmRows, config: EvaluateConfig) -> StudyPower:
    """Detectable effects of a table at 80 % power, from its sizes and groups; labels and scores are not compared.

    Beside sizes it uses the correlation of the scores within a group, of event and Normal windows apart.
    """
    tau, n = config.alarm_fraction, rows.n_events
    event = rows.event >= 0
    groups = rows.event[event], np.unique(rows.block[~event], return_inverse=True)[1]
    correlation = max(
        group_correlation(rows.score[kind], group) for kind, group in zip((event, ~event), groups, strict=True)
    )
    by_error = {}
    for alpha in ERRORS:
        power_auc, power_balanced = ranking_power(*groups, correlation, alpha, np.random.default_rng(config.seed))
        by_error[f"{alpha:g}"] = PowerAtError(
            events_needed={f"{g:g}": events_needed(tau, g, alpha) for g in GAINS if g * tau <= 1},
            smallest_gain=smallest_gain(n, tau, alpha),
            smallest_area_skill=smallest_area_skill(n, alpha),
            smallest_auc=smallest_detected(norm.cdf(_SHIFTS / np.sqrt(2)), power_auc),
            smallest_balanced_accuracy=smallest_detected(norm.cdf(_SHIFTS / 2), power_balanced),
        )
    return StudyPower(tau, WANTED_POWER, n, correlation, by_error)


def events_needed(tau: float, gain: float, alpha: float) -> int | None:
    """Number of independent events from which on the exact binomial test detects a gain with 80 % power.

    The test rejects from the smallest number of hits that has a probability of at most ``alpha`` under
    Binomial(n, tau); its power is the probability of as many under Binomial(n, gain tau). The power of an exact test
    is a saw: the result is one more than the last number that falls short; None where more than 100,000 are needed.
    """
    hit_rate = min(1.0, gain * tau)
    # the normal approximation bounds the search: beyond four times its answer no tooth falls short
    spread = norm.isf(alpha) * np.sqrt(tau * (1 - tau)) + norm.isf(1 - WANTED_POWER) * np.sqrt(
        hit_rate * (1 - hit_rate)
    )
    about = (spread / (hit_rate - tau)) ** 2
    last = int(4 * about + 200)
    if about > _MOST_EVENTS:
        return None
    sizes = np.arange(1, last + 1)
    short = np.flatnonzero(_power(sizes, tau, hit_rate, alpha) < WANTED_POWER)
    return int(sizes[short[-1]]) + 1 if short.size else 1


def smallest_gain(n_events: int, tau: float, alpha: float) -> float | None:
    """Smallest gain that the exact binomial test detects in n events; None where chance explains even hits only."""

    def excess(gain: float) -> float:
        return float(_power(np.array([n_events]), tau, gain * tau, alpha)[0]) - WANTED_POWER

    return float(brentq(excess, 1.0, 1 / tau, xtol=1e-6)) if excess(1 / tau) >= 0 else None


def smallest_area_skill(n_events: int, alpha: float) -> float:
    """Smallest area skill score detected in N independent events: 1/2 + (z_alpha + z_power) sqrt(1 / 12N).

    Source: normal approximation with mean and variance under chance, Zechar & Jordan (2008),
    doi:10.1111/j.1365-246X.2007.03676.x.
    """
    return float(min(1.0, 0.5 + (norm.isf(alpha) + norm.isf(1 - WANTED_POWER)) * np.sqrt(1 / (12 * n_events))))


def group_correlation(score: FloatArray, group: IndexArray) -> float:
    """Intraclass correlation of a score: the fraction of its variance common to a group, 0 to 1.

    The estimator of one-way analysis of variance on normal scores (van der Waerden), invariant to monotone changes of
    the score; 0 where there is one group, or no group of two windows.

    Source: Donner (1986), doi:10.2307/1403259.
    """
    n, sizes = len(score), np.bincount(group)
    sizes = sizes[sizes > 0]
    k = len(sizes)
    if k < 2 or n <= k:
        return 0.0
    order = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    z = norm.ppf((order + 0.5) / n)
    index = np.unique(group, return_inverse=True)[1]
    means = np.bincount(index, weights=z) / sizes
    between = float(np.sum(sizes * (means - z.mean()) ** 2) / (k - 1))
    within = float(np.sum((z - means[index]) ** 2) / (n - k))
    typical = (n - np.sum(sizes**2) / n) / (k - 1)
    rho = (between - within) / (between + (typical - 1) * within) if between + within > 0 else 0.0
    return float(np.clip(rho, 0.0, 1.0))


def ranking_power(
    event_group: IndexArray, normal_group: IndexArray, correlation: float, alpha: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Simulate the power to detect that event windows rank above Normal ones, in this table's own groups.

    Scores are normal, with ``correlation`` within a group; those of event windows are shifted. The test statistics are
    the AUC in which each cluster counts once and the balanced accuracy at the best fixed threshold; their critical
    values come from the draws without shift.

    Args:
        event_group: (n_event_rows,) cluster of each event window, from 0.
        normal_group: (n_normal_rows,) block of each Normal window, from 0.
        correlation: as estimated by ``group_correlation``.
        alpha: error of the one-sided test.
        rng: random numbers.

    Returns:
        Power of the AUC and of balanced accuracy at each of the simulated effects, (K,) each.
    """
    draws = int(np.clip(_POWER_ROWS // (len(event_group) + len(normal_group)) // len(_AUC), 100, 400))
    event_index = np.unique(event_group, return_inverse=True)[1]
    sizes = np.bincount(event_index)
    weight = 1.0 / (len(sizes) * sizes[event_index])  # each cluster counts once
    auc, balanced, null_balanced = (np.empty((draws, len(_SHIFTS))) for _ in range(3))
    for draw in range(draws):
        normal = np.sort(_correlated(normal_group, correlation, rng))
        event = _correlated(event_group, correlation, rng)[:, None]
        auc[draw] = weight @ (np.searchsorted(normal, event + _SHIFTS) / len(normal))
        specificity = np.searchsorted(normal, _SHIFTS / 2) / len(normal)  # the best threshold lies half way
        balanced[draw] = (weight @ (event + _SHIFTS > _SHIFTS / 2) + specificity) / 2
        null_balanced[draw] = (weight @ (event > _SHIFTS / 2) + specificity) / 2  # same threshold, no shift
    critical_auc = np.quantile(auc[:, 0], 1 - alpha)
    critical_balanced = np.quantile(null_balanced, 1 - alpha, axis=0)
    return (auc > critical_auc).mean(axis=0), (balanced > critical_balanced).mean(axis=0)


def smallest_detected(effect: FloatArray, power: FloatArray) -> float | None:
    """Interpolate the effect that a power curve detects with 80 % power; None where none is detected."""
    reached = np.maximum.accumulate(power)
    if reached[-1] < WANTED_POWER:
        return None
    after = int(np.flatnonzero(reached >= WANTED_POWER)[0])
    if after == 0:
        return float(effect[0])
    step = (WANTED_POWER - reached[after - 1]) / (reached[after] - reached[after - 1])
    return float(effect[after - 1] + step * (effect[after] - effect[after - 1]))


def _correlated(group: IndexArray, correlation: float, rng: np.random.Generator) -> FloatArray:
    common = rng.standard_normal(int(group.max()) + 1)[group]
    own = rng.standard_normal(len(group))
    values: FloatArray = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    return values


def _power(n_events: IndexArray, tau: float, hit_rate: float, alpha: float) -> FloatArray:
    least = binom.isf(alpha, n_events, tau) + 1  # fewest hits with P(hits >= least) <= alpha
    power: FloatArray = binom.sf(least - 1, n_events, min(1.0, hit_rate))
    return power
