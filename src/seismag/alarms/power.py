"""What a study of a given size can see, computed before its result is looked at.

An event counts as hit with the probability tau where the alarms say nothing, and gain x tau where they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm

from seismag.arrays import FloatArray, IndexArray

MOST_EVENTS = 100_000  # searched for; an effect that needs more is not seen by any catalogue


def binomial_power(n_events: int, tau: float, gain: float, alpha: float) -> float:
    """Probability that a gain is seen by the exact one-sided binomial test.

    The test rejects from the smallest number of hits on that has a probability of at most ``alpha`` under
    Binomial(n, tau); its power is the probability of as many under Binomial(n, gain tau).

    Args:
        n_events: independent events.
        tau: alarmed fraction, between 0 and 1.
        gain: hit rate over tau, from 1 to 1 / tau.
        alpha: error of the test.

    Raises:
        ValueError: tau or alpha not inside (0, 1), or gain x tau above 1.
    """
    _require_tau(tau, alpha)
    if not 0 <= gain * tau <= 1 + 1e-12:
        raise ValueError(f"gain {gain} at tau {tau}: a hit rate of {gain * tau:.3g} is no probability.")
    return float(_power(np.array([n_events]), tau, min(1.0, gain * tau), alpha)[0])


def events_needed(tau: float, gain: float, alpha: float, power: float = 0.8) -> int | None:
    """Number of independent events from which on a gain is seen with the given power, whatever is added.

    The power of an exact test is a saw: the answer is one more than the last number that falls short.

    Returns:
        None where more than 100,000 are needed.
    """
    _require_tau(tau, alpha)
    hit_rate = min(1.0, gain * tau)
    if hit_rate <= tau:
        return None
    # the normal approximation bounds the search: beyond four times its answer no tooth falls short
    spread = norm.isf(alpha) * np.sqrt(tau * (1 - tau)) + norm.isf(1 - power) * np.sqrt(hit_rate * (1 - hit_rate))
    about = (spread / (hit_rate - tau)) ** 2
    last = int(4 * about + 200)
    if about > MOST_EVENTS:
        return None
    sizes = np.arange(1, last + 1)
    short = np.flatnonzero(_power(sizes, tau, hit_rate, alpha) < power)
    return int(sizes[short[-1]]) + 1 if short.size else 1


def smallest_gain(n_events: int, tau: float, alpha: float, power: float = 0.8) -> float | None:
    """Smallest gain that this many independent events show with the given power.

    Returns:
        None where even hits only (gain 1 / tau) would not be told from chance.
    """
    _require_tau(tau, alpha)
    if n_events < 1 or _power(np.array([n_events]), tau, 1.0, alpha)[0] < power:
        return None
    return float(
        brentq(lambda gain: _power(np.array([n_events]), tau, gain * tau, alpha)[0] - power, 1.0, 1 / tau, xtol=1e-6)
    )


def smallest_area_skill(n_events: int, alpha: float, power: float = 0.8) -> float:
    """Smallest area skill score that this many independent events show: 1/2 + (z_alpha + z_power) sqrt(1 / 12N).

    Source: mean and variance of the score under chance, Zechar & Jordan (2008), doi:10.1111/j.1365-246X.2007.03676.x;
    a normal approximation with the variance of chance.
    """
    return float(min(1.0, 0.5 + (norm.isf(alpha) + norm.isf(1 - power)) * np.sqrt(1 / (12 * n_events))))


@dataclass(frozen=True)
class GroupedRows:
    """How the windows of a table hang together.

    Attributes:
        event_group: (n_event_rows,) number of each event window's cluster, from 0.
        normal_group: (n_normal_rows,) number of each Normal window's block, from 0.
    """

    event_group: IndexArray
    normal_group: IndexArray


def group_correlation(score: FloatArray, group: IndexArray) -> float:
    """Share of a score's variance that windows of a group have in common, 0 to 1.

    The estimator of one-way analysis of variance on normal scores (van der Waerden), so that a monotone change of
    the score changes nothing; 0 where there is one group, or no group of two windows.

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
    rows: GroupedRows, correlation: float, alpha: float, rng: np.random.Generator, draws: int = 400
) -> dict[str, list[float]]:
    """Power to see that event windows are ranked above Normal ones, in this table's own groups.

    Scores are normal, with ``correlation`` in common within a group; event windows stand higher by a shift. The
    tested statistics are the AUC in which each cluster counts once and the balanced accuracy at the best fixed
    threshold; their critical values come from the draws without shift.

    Args:
        rows: the groups.
        correlation: as ``group_correlation`` estimates it.
        alpha: error of the one-sided test.
        rng: source of the draws.
        draws: simulated tables.

    Returns:
        ``auc`` and ``balanced_accuracy`` that the shifts mean for a single pair or window, and the power of both
        tests: ``power_auc``, ``power_balanced_accuracy``; a list entry for each shift.

    Raises:
        ValueError: there is no event row or no Normal row.
    """
    if not len(rows.event_group) or not len(rows.normal_group):
        raise ValueError("power of a ranking needs event rows and Normal rows")
    shifts = norm.ppf(np.array([0.5, 0.52, 0.54, 0.56, 0.58, 0.60, 0.63, 0.66, 0.70, 0.75, 0.80])) * np.sqrt(2)
    event_index = np.unique(rows.event_group, return_inverse=True)[1]
    sizes = np.bincount(event_index)
    weight = 1.0 / (len(sizes) * sizes[event_index])  # each cluster counts once
    auc, balanced, null_balanced = (np.empty((draws, len(shifts))) for _ in range(3))
    for draw in range(draws):
        normal = np.sort(_correlated(rows.normal_group, correlation, rng))
        event = _correlated(rows.event_group, correlation, rng)[:, None]
        auc[draw] = weight @ (np.searchsorted(normal, event + shifts) / len(normal))
        specificity = np.searchsorted(normal, shifts / 2) / len(normal)  # the best threshold lies half way
        balanced[draw] = (weight @ (event + shifts > shifts / 2) + specificity) / 2
        null_balanced[draw] = (weight @ (event > shifts / 2) + specificity) / 2  # same threshold, no shift
    critical_auc = np.quantile(auc[:, 0], 1 - alpha)
    critical_balanced = np.quantile(null_balanced, 1 - alpha, axis=0)
    return {
        "auc": norm.cdf(shifts / np.sqrt(2)).tolist(),
        "balanced_accuracy": norm.cdf(shifts / 2).tolist(),
        "power_auc": (auc > critical_auc).mean(axis=0).tolist(),
        "power_balanced_accuracy": (balanced > critical_balanced).mean(axis=0).tolist(),
    }


def smallest_seen(effect: list[float], power: list[float], wanted: float = 0.8) -> float | None:
    """Read from a power curve the effect that is seen with the wanted power; None where none of them is."""
    values, reached = np.asarray(effect), np.maximum.accumulate(np.asarray(power))
    if reached[-1] < wanted:
        return None
    after = int(np.flatnonzero(reached >= wanted)[0])
    if after == 0:
        return float(values[0])
    share = (wanted - reached[after - 1]) / (reached[after] - reached[after - 1])
    return float(values[after - 1] + share * (values[after] - values[after - 1]))


def _correlated(group: IndexArray, correlation: float, rng: np.random.Generator) -> FloatArray:
    common = rng.standard_normal(int(group.max()) + 1)[group]
    own = rng.standard_normal(len(group))
    values: FloatArray = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    return values


def _power(n_events: IndexArray, tau: float, hit_rate: float, alpha: float) -> FloatArray:
    least = binom.isf(alpha, n_events, tau) + 1  # fewest hits with P(hits >= least) <= alpha
    power: FloatArray = binom.sf(least - 1, n_events, min(1.0, hit_rate))
    return power


def _require_tau(tau: float, alpha: float) -> None:
    for name, value in (("tau", tau), ("alpha", alpha)):
        if not 0 < value < 1:
            raise ValueError(f"{name} {value}: it lies between 0 and 1.")
