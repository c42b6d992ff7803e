"""Molchan diagram, area skill score, probability gain and their chance distributions, as functions of arrays.

Each window has an alarm fraction: the fraction of background time that scores at least as high. It is alarmed at tau
where its alarm fraction is at most tau. Background time is weighted by a reference measure: uniform, or an earthquake
rate from non-magnetic data. An earthquake cluster counts as hit by the fraction of its windows that are alarmed: under
chance this has the mean tau whatever its windows have in common, while "any of its windows" would be hit more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, irwinhall

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.scoring.metrics import resampled_counts

TAU_TOLERANCE = 1e-9  # alarm fractions are sums of weights; closer ones are the same threshold


@dataclass(frozen=True)
class AlarmRows:
    """Windows on which alarms are evaluated, one row each.

    Attributes:
        score: (n,) higher means a stronger alarm.
        fold: (n,) model that gave the score, from 0: scores are compared within a fold only.
        station: (n,) station, from 0.
        start_h: (n,) start of the window, hours since any epoch.
        event: (n,) earthquake cluster of the window, from 0; -1: none.
        background: (n,) whether the window belongs to the sample of background time.
        block: (n,) group of a background window; the bootstrap resamples whole groups.
    """

    score: FloatArray
    fold: IndexArray
    station: IndexArray
    start_h: FloatArray
    event: IndexArray
    background: BoolArray
    block: IndexArray

    @property
    def n_events(self) -> int:
        """Number of earthquake clusters."""
        return len(np.unique(self.event[self.event >= 0]))

    @property
    def stratum(self) -> IndexArray:
        """Station and fold of each row as one index, (n,)."""
        return np.unique(self.fold * (self.station.max() + 1) + self.station, return_inverse=True)[1]

    def event_weight(self) -> FloatArray:
        """Weight of each row in the hit rate, (n,): 1 / N for each of N clusters, divided among its windows."""
        weight = np.zeros(len(self.event))
        rows = np.flatnonzero(self.event >= 0)
        clusters, index, sizes = np.unique(self.event[rows], return_inverse=True, return_counts=True)
        weight[rows] = 1.0 / (len(clusters) * sizes[index])
        return weight


@dataclass(frozen=True)
class AlarmFractions:
    """Alarm fraction of each row: ``high`` with all rows of its score, ``low`` with none of them, (n,)."""

    low: FloatArray
    high: FloatArray


def alarm_fractions(score: FloatArray, measure: FloatArray, fold: IndexArray) -> AlarmFractions:
    """Fraction of the measure of a row's own fold that scores higher, and at least as high.

    ``measure`` (n,) is the weight of each row in the background time, 0 for rows outside it. The fractions are NaN in a
    fold whose measure is 0.
    """
    return _Ranking(score, fold).fractions(measure, np.arange(len(score)))


def area_skill(fractions: AlarmFractions, weight: FloatArray) -> float:
    """Area above the Molchan curve: 1 for perfect alarms, 1/2 by chance, ties in random order.

    Under chance and without ties its variance is 1 / (12 N) for N events of one window each, and at most that for
    events of several windows.

    Source: Zechar & Jordan (2008), doi:10.1111/j.1365-246X.2007.03676.x.
    """
    return float(weight @ (1.0 - (fractions.low + fractions.high) / 2))


def miss_rate(fractions: AlarmFractions, weight: FloatArray, tau: FloatArray) -> FloatArray:
    """Molchan curve: fraction nu of the events missed when the fraction tau is alarmed, (len(tau),).

    Source: Molchan (1991), doi:10.1016/0040-1951(91)90336-Q.
    """
    order = np.argsort(fractions.high)
    hit = np.concatenate([[0.0], np.cumsum(weight[order])])
    n_alarmed = np.searchsorted(fractions.high[order], np.asarray(tau) + TAU_TOLERANCE, side="right")
    return np.clip(1.0 - hit[n_alarmed], 0.0, 1.0)


def binomial_tail(hits: float, n_events: int, tau: float) -> float:
    """P(at least ``hits`` of N) = sum of C(N, i) tau^i (1 - tau)^(N - i); fractional hits are rounded down.

    Exact for independent events that are hit or missed as a whole.

    Source: Zechar & Jordan (2008), doi:10.1111/j.1365-246X.2007.03676.x.
    """
    least = np.floor(hits + TAU_TOLERANCE)
    return float(np.clip(binom.sf(least - 1, n_events, min(max(tau, 0.0), 1.0)), 0.0, 1.0))


def binomial_bound(n_events: int, tau: FloatArray, alpha: float) -> FloatArray:
    """Largest miss rate at each tau that chance reaches or undercuts with a probability of at most alpha.

    NaN where even no miss at all is likelier than alpha.
    """
    tau = np.asarray(tau, dtype=float)
    least = binom.isf(alpha, n_events, np.clip(tau, 0.0, 1.0)) + 1
    least = np.where(tau <= 0, 1, least)
    return np.where(least <= n_events, 1.0 - least / n_events, np.nan)


def area_p_value(area: float, n_events: int) -> float:
    """P(area skill of at least ``area``) for N independent events under chance: the mean of N uniform numbers.

    Source: Irwin-Hall distribution, Hall (1927), doi:10.1093/biomet/19.3-4.240.
    """
    return float(np.clip(irwinhall.sf(n_events * area, n_events), 0.0, 1.0))


def information_gain_nat(tau: float, nu: float) -> float | None:
    """Information gain per earthquake of alarms over the reference measure, in nats; None where tau is 0 or 1.

    H ln(H / tau) + (1 - H) ln((1 - H) / (1 - tau)) with the hit rate H = 1 - nu: the mean log probability gain of the
    best two-valued rate on these alarms. Fitted to the same N events, it is too high by about 1 / (2 N). It is negative
    where H is below tau.

    Source: Kagan (2009), doi:10.1111/j.1365-246X.2008.04064.x; Harte & Vere-Jones (2005),
    doi:10.1007/s00024-004-2667-2.
    """
    if not 0 < tau < 1:
        return None
    hit = min(max(1.0 - nu, 0.0), 1.0)
    parts = [rate * np.log(rate / base) for rate, base in ((hit, tau), (1 - hit, 1 - tau)) if rate > 0]
    return float(np.copysign(sum(parts), hit - tau))


def randomise_events(
    rows: AlarmRows, measure: FloatArray, tau: FloatArray, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Evaluate the alarms on earthquake clusters at random times at the same stations (Monte Carlo null).

    Each cluster is moved as a whole to the time of a random background window of the station and fold of its first
    window; each of its windows takes the score of the background window of its station nearest to its new time. This
    keeps the stations, the numbers of windows and their correlation in time and space. Where background time is only a
    sample, its blocks are resampled as well, because tau is estimated on them. Windows beside a gap are nearest more
    often than others; the draws are shifted to the mean under equal chances of the background windows of a station.

    Args:
        rows: the windows; each station and fold with an event window has a background window.
        measure: (n,) weight of the background rows, 0 elsewhere; as for ``alarm_fractions``.
        tau: alarm fractions at which the miss rate is wanted.
        draws: number of randomised sets of events.
        rng: random numbers.

    Returns:
        Area skill (draws,), and miss rate at ``tau`` (draws, len(tau)).
    """
    times = _EventTimes(rows)
    weight = rows.event_weight()[times.event_rows]
    ranking = _Ranking(rows.score, rows.fold)
    is_sample = not rows.background.all()
    background = np.flatnonzero(rows.background)
    blocks = np.unique(rows.block[background], return_inverse=True)[1]
    n_blocks = blocks.max() + 1
    area, nu = np.empty(draws), np.empty((draws, len(tau)))
    for draw in range(draws):
        replacements = times.random_rows(rng)
        resampled = measure
        if is_sample:
            resampled = measure.copy()
            resampled[background] *= resampled_counts(1, n_blocks, rng)[0, blocks]
        fractions = ranking.fractions(resampled, replacements)
        known = np.isfinite(fractions.high)  # NaN in a fold of which no block was sampled
        total = weight[known].sum()
        if total <= 0:
            area[draw], nu[draw] = 0.5, 1.0 - tau
            continue
        kept = AlarmFractions(fractions.low[known], fractions.high[known])
        area[draw] = area_skill(kept, weight[known] / total)
        nu[draw] = miss_rate(kept, weight[known] / total, tau)
    expected_area, expected_nu = _expected(times, ranking.fractions(measure, times.rows), weight, tau)
    return area + (expected_area - area.mean()), np.clip(nu + (expected_nu - nu.mean(axis=0)), 0.0, 1.0)


def _expected(
    times: _EventTimes, fractions: AlarmFractions, weight: FloatArray, tau: FloatArray
) -> tuple[float, FloatArray]:
    """Mean area skill and miss rate where all background windows of a station and fold are equally likely."""
    n_strata = len(times.first) - 1
    counts = np.diff(times.first)
    weights = np.bincount(times.stratum, weights=weight, minlength=n_strata)
    row_weight = np.repeat(weights / np.maximum(counts, 1), counts)
    used = np.flatnonzero(row_weight > 0)
    kept = AlarmFractions(fractions.low[used], fractions.high[used])
    return area_skill(kept, row_weight[used]), miss_rate(kept, row_weight[used], tau)


class _Ranking:
    """Rows in order of fold and falling score, sorted once; alarm fractions under any measure are running sums."""

    def __init__(self, score: FloatArray, fold: IndexArray) -> None:
        self._order = np.lexsort((-score, fold))
        ordered_score, ordered_fold = score[self._order], fold[self._order]
        n = len(score)
        fold_changes = np.flatnonzero(np.diff(ordered_fold)) + 1
        tie_changes = np.union1d(fold_changes, np.flatnonzero(np.diff(ordered_score)) + 1)
        position = np.empty(n, dtype=np.intp)
        position[self._order] = np.arange(n)
        self._tie_start, self._tie_end = _run_limits(tie_changes, position, n)
        self._fold_start, self._fold_end = _run_limits(fold_changes, position, n)

    def fractions(self, measure: FloatArray, rows: IndexArray) -> AlarmFractions:
        """Alarm fractions of the given rows."""
        running = np.concatenate([[0.0], np.cumsum(measure[self._order])])
        start = running[self._fold_start[rows]]
        total = running[self._fold_end[rows]] - start
        safe = np.where(total > 0, total, np.nan)
        low = (running[self._tie_start[rows]] - start) / safe
        return AlarmFractions(low, (running[self._tie_end[rows]] - start) / safe)


def _run_limits(changes: IndexArray, position: IndexArray, n: int) -> tuple[IndexArray, IndexArray]:
    """Start and end (exclusive) of the run that each position lies in."""
    edges = np.concatenate([[0], changes, [n]])
    run = np.searchsorted(changes, position, side="right")
    return edges[run], edges[run + 1]


class _EventTimes:
    """Event windows, and the background windows of each station and fold (stratum) in order of time."""

    def __init__(self, rows: AlarmRows) -> None:
        stratum, background = rows.stratum, np.flatnonzero(rows.background)
        self.rows = background[np.lexsort((rows.start_h[background], stratum[background]))]  # (k,)
        self.start_h = rows.start_h[self.rows]
        counts = np.bincount(stratum[self.rows], minlength=int(stratum.max()) + 1)
        self.first = np.concatenate([[0], np.cumsum(counts)])  # (n_strata + 1,) where each stratum begins in ``rows``
        events = np.flatnonzero(rows.event >= 0)
        self.event_rows = events[np.lexsort((rows.station[events], rows.start_h[events], rows.event[events]))]  # (m,)
        self.stratum = stratum[self.event_rows]
        self.cluster = np.unique(rows.event[self.event_rows], return_inverse=True)[1]
        begin = np.flatnonzero(np.diff(self.cluster, prepend=-1))
        self.anchor = self.stratum[begin]  # (n_clusters,) station and fold of the cluster's first window
        time_h = rows.start_h[self.event_rows]
        self.after_first_h = time_h - time_h[begin][self.cluster]

    def random_rows(self, rng: np.random.Generator) -> IndexArray:
        """Rows whose scores the event windows take, (m,)."""
        low, high = self.first[self.anchor], self.first[self.anchor + 1]
        time_h = self.start_h[rng.integers(low, high)][self.cluster] + self.after_first_h
        low, high = self.first[self.stratum], self.first[self.stratum + 1]
        # one sorted axis for all strata: each lies a span behind the one before
        span = float(self.start_h.max() - self.start_h.min()) + float(self.after_first_h.max()) + 1.0
        origin = self.start_h.min()
        row_stratum = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        axis = row_stratum * 2 * span + (self.start_h - origin)
        wanted = self.stratum * 2 * span + (time_h - origin)
        right = np.clip(np.searchsorted(axis, wanted), low, high - 1)
        left = np.maximum(right - 1, low)
        return self.rows[np.where(np.abs(axis[right] - wanted) < np.abs(axis[left] - wanted), right, left)]
