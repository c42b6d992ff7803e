"""Alarms as pure functions on arrays: Molchan diagram, area skill, gain, and what chance gives.

A window is alarmed at the alarmed fraction tau where its *level*, the share of ordinary time that scores at least
as high, is at most tau. The ordinary time is weighed by a reference measure: uniform, or a rate of earthquakes
that is known without the field. An earthquake counts as hit by the share of its windows that are alarmed. Where
the alarms say nothing, that share has the mean tau whatever the windows of an earthquake have in common; "any of
its windows" would be hit far more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb
from scipy.stats import binom, norm

from seismag.arrays import FloatArray, IndexArray

_EXACT_EVENTS = 20  # beyond, the alternating sum of Irwin and Hall loses digits and the normal is close enough
_SAME_PLACE = 1e-9  # levels are sums of weights; those closer than this are the same threshold


@dataclass(frozen=True)
class AlarmRows:
    """Windows on which alarms are judged, one row each.

    Attributes:
        score: (n,) higher means a stronger alarm.
        fold: (n,) model that gave the score, from 0: scores are compared within a fold only.
        station: (n,) station, from 0.
        start_h: (n,) start of the window, hours since any epoch.
        event: (n,) earthquake cluster of the window, from 0; -1: none.
        ordinary: (n,) whether the window belongs to the sample of ordinary time.
        block: (n,) group of an ordinary window that is drawn whole.
    """

    score: FloatArray
    fold: IndexArray
    station: IndexArray
    start_h: FloatArray
    event: IndexArray
    ordinary: NDArray[np.bool_]
    block: IndexArray

    @property
    def n_events(self) -> int:
        """Earthquake clusters."""
        return len(np.unique(self.event[self.event >= 0]))

    def event_weight(self) -> FloatArray:
        """Weight of each row in the hit rate, (n,): windows of a cluster share one N-th; the sum is 1."""
        weight = np.zeros(len(self.event))
        rows = np.flatnonzero(self.event >= 0)
        clusters, index, sizes = np.unique(self.event[rows], return_inverse=True, return_counts=True)
        weight[rows] = 1.0 / (len(clusters) * sizes[index])
        return weight


@dataclass(frozen=True)
class Levels:
    """Alarmed fraction that alarms a row: ``high`` with all rows of its score, ``low`` with none of them, (n,)."""

    low: FloatArray
    high: FloatArray

    @property
    def middle(self) -> FloatArray:
        """Mean alarmed fraction when tied rows are alarmed in random order."""
        return (self.low + self.high) / 2


def alarm_levels(score: FloatArray, measure: FloatArray, fold: IndexArray, asked: IndexArray | None = None) -> Levels:
    """Share of the measure of a row's own fold that scores higher, and at least as high.

    Args:
        score: (n,).
        measure: (n,) weight of each row in the ordinary time; 0 for rows outside it.
        fold: (n,) numbers from 0.
        asked: rows to give levels of; None: all.

    Returns:
        Levels of the asked rows; NaN in a fold whose measure is 0.
    """
    return _Ranking(score, fold).levels(measure, np.arange(len(score)) if asked is None else asked)


def area_skill(levels: Levels, weight: FloatArray) -> float:
    """Area above the Molchan curve: 1 for perfect alarms, 1/2 by chance, ties in random order.

    Under chance and without ties its variance is 1 / (12 N) for N events of one window each; with several windows
    an event it is at most that.

    Source: Zechar & Jordan (2008), doi:10.1111/j.1365-246X.2007.03676.x.
    """
    return float(weight @ (1.0 - levels.middle))


def miss_rate(levels: Levels, weight: FloatArray, tau: FloatArray) -> FloatArray:
    """Molchan curve: share nu of the events missed when the fraction tau is alarmed, (len(tau),).

    Source: Molchan (1991), doi:10.1016/0040-1951(91)90336-Q.
    """
    order = np.argsort(levels.high)
    hit = np.concatenate([[0.0], np.cumsum(weight[order])])
    place = np.searchsorted(levels.high[order], np.asarray(tau) + _SAME_PLACE, side="right")
    return np.clip(1.0 - hit[place], 0.0, 1.0)


def binomial_tail(hits: float, n_events: int, tau: float) -> float:
    """P(at least ``hits`` of N) = sum of C(N, i) tau^i (1 - tau)^(N - i); shares of a hit are rounded down.

    Exact for independent events that are hit or missed as a whole.

    Source: Zechar & Jordan (2008), doi:10.1111/j.1365-246X.2007.03676.x.
    """
    least = np.floor(hits + _SAME_PLACE)
    return float(np.clip(binom.sf(least - 1, n_events, min(max(tau, 0.0), 1.0)), 0.0, 1.0))


def binomial_bound(n_events: int, tau: FloatArray, alpha: float) -> FloatArray:
    """Largest miss rate at each tau that chance reaches or undercuts with a probability of at most alpha.

    NaN where even no miss at all is likelier than alpha.
    """
    tau = np.asarray(tau, dtype=float)
    least = binom.isf(alpha, n_events, np.clip(tau, 0.0, 1.0)) + 1
    least = np.where(tau <= 0, 1, least)
    return np.where(least <= n_events, 1.0 - least / n_events, np.nan)


def area_tail(area: float, n_events: int) -> float:
    """P(area skill of at least ``area``) for N independent events under chance.

    The mean of N uniform numbers: exact to N = 20, normal with variance 1 / (12 N) beyond.

    Source: Hall (1927), doi:10.1093/biomet/19.3-4.240, for the exact sum; Zechar & Jordan (2008) for the variance.
    """
    if n_events > _EXACT_EVENTS:
        return float(norm.sf((area - 0.5) * np.sqrt(12 * n_events)))
    below = n_events * (1.0 - area)  # by symmetry: P(sum >= N a) = P(sum <= N (1 - a))
    k = np.arange(int(np.floor(np.clip(below, 0, n_events))) + 1)
    terms = (-1.0) ** k * comb(n_events, k) * (np.clip(below, 0, n_events) - k) ** n_events
    return float(np.clip(terms.sum() / np.prod(np.arange(1.0, n_events + 1)), 0.0, 1.0))


def gain(tau: float, nu: float) -> float | None:
    """Probability gain (1 - nu) / tau; None where nothing is alarmed.

    Source: Aki (1981), doi:10.1029/ME004p0566.
    """
    return (1.0 - nu) / tau if tau > 0 else None


def information_gain_nat(tau: float, nu: float) -> float | None:
    """Information gain per earthquake of alarms over the reference measure, in nats.

    H ln(H / tau) + (1 - H) ln((1 - H) / (1 - tau)) with the hit rate H = 1 - nu: the mean log probability gain of
    the best two-valued rate on these alarms. Fitted to the same N events, it is too high by about 1 / (2 N). It
    counts information in either direction: H below tau has some too, and a sign of its own, minus.

    Returns:
        None where tau is 0 or 1.

    Source: Kagan (2009), doi:10.1111/j.1365-246X.2008.04064.x; Harte & Vere-Jones (2005),
    doi:10.1007/s00024-004-2667-2.
    """
    if not 0 < tau < 1:
        return None
    hit = min(max(1.0 - nu, 0.0), 1.0)
    parts = [share * np.log(share / base) for share, base in ((hit, tau), (1 - hit, 1 - tau)) if share > 0]
    return float(np.copysign(sum(parts), hit - tau))


@dataclass(frozen=True)
class ChanceDraws:
    """What alarms without knowledge of time give: area skill (draws,) and miss rate at ``tau`` (draws, len(tau))."""

    tau: FloatArray
    area: FloatArray
    nu: FloatArray


def draw_chance(
    rows: AlarmRows, measure: FloatArray, tau: FloatArray, draws: int, rng: np.random.Generator
) -> ChanceDraws:
    """Move each earthquake's windows, all together, to another time at the same stations, and judge again.

    Each cluster gets a time of its own: that of a random ordinary window of its fold at the station of its first
    window. Every window of it takes the score of the ordinary window nearest to its new time at its station. So
    stations, numbers of windows and what neighbours in time and stations have in common stay; the tie between time
    and earthquake is cut. Where ordinary time is a sample (some row is not ordinary), its blocks are drawn anew as
    well, because tau is only estimated on them. Times beside a gap are then nearest more often than others; the
    draws are shifted to the mean of choosing every ordinary window of the station alike.

    Args:
        rows: the windows; each station and fold with an event window has an ordinary one.
        measure: (n,) weight of the ordinary rows, 0 elsewhere; as for ``alarm_levels``.
        tau: alarmed fractions at which the miss rate is wanted.
        draws: number of draws.
        rng: source of the draws.
    """
    moves = _Moves.of(rows)
    weight = rows.event_weight()[moves.event_rows]
    ranking = _Ranking(rows.score, rows.fold)
    sampled = not rows.ordinary.all()
    blocks = np.unique(rows.block[rows.ordinary], return_inverse=True)[1]
    ordinary = np.flatnonzero(rows.ordinary)
    area, nu = np.empty(draws), np.empty((draws, len(tau)))
    for draw in range(draws):
        places = moves.draw(rng)
        drawn = measure
        if sampled:
            times = np.bincount(rng.integers(0, blocks.max() + 1, blocks.max() + 1), minlength=blocks.max() + 1)
            drawn = measure.copy()
            drawn[ordinary] *= times[blocks]
        levels = ranking.levels(drawn, places)
        known = np.isfinite(levels.high)  # a fold whose blocks were not drawn says nothing in this draw
        total = weight[known].sum()
        if total <= 0:
            area[draw], nu[draw] = 0.5, 1.0 - tau
            continue
        kept = Levels(levels.low[known], levels.high[known])
        area[draw] = area_skill(kept, weight[known] / total)
        nu[draw] = miss_rate(kept, weight[known] / total, tau)
    expected_area, expected_nu = _expected(moves, ranking.levels(measure, moves.places), weight, tau)
    return ChanceDraws(
        np.asarray(tau),
        area + (expected_area - area.mean()),
        np.clip(nu + (expected_nu - nu.mean(axis=0)), 0.0, 1.0),
    )


def _expected(moves: _Moves, place_levels: Levels, weight: FloatArray, tau: FloatArray) -> tuple[float, FloatArray]:
    """Mean area skill and miss rate where each event window takes any ordinary window of its station and fold alike."""
    n_strata = len(moves.first) - 1
    counts = np.diff(moves.first)
    stratum_weight = np.bincount(moves.stratum, weights=weight, minlength=n_strata)
    place_weight = np.repeat(np.divide(stratum_weight, counts, out=np.zeros(n_strata), where=counts > 0), counts)
    used = np.flatnonzero(place_weight > 0)
    levels = Levels(place_levels.low[used], place_levels.high[used])
    return area_skill(levels, place_weight[used]), miss_rate(levels, place_weight[used], tau)


def tail_fraction(drawn: FloatArray, observed: float) -> float:
    """p-value, (1 + draws at least as large) / (1 + draws); Phipson & Smyth (2010), doi:10.2202/1544-6115.1585."""
    return float((1 + np.count_nonzero(drawn >= observed - _SAME_PLACE)) / (1 + len(drawn)))


class _Ranking:
    """Rows in order of fold and falling score, sorted once; levels under any measure are then running sums."""

    def __init__(self, score: FloatArray, fold: IndexArray) -> None:
        self._order = np.lexsort((-score, fold))
        ordered_score, ordered_fold = score[self._order], fold[self._order]
        n = len(score)
        fold_changes = np.flatnonzero(np.diff(ordered_fold)) + 1
        tie_changes = np.union1d(fold_changes, np.flatnonzero(np.diff(ordered_score)) + 1)
        place = np.empty(n, dtype=np.intp)
        place[self._order] = np.arange(n)
        self._tie_start, self._tie_end = _surroundings(tie_changes, place, n)
        self._fold_start, self._fold_end = _surroundings(fold_changes, place, n)

    def levels(self, measure: FloatArray, asked: IndexArray) -> Levels:
        """Levels of the asked rows."""
        running = np.concatenate([[0.0], np.cumsum(measure[self._order])])
        start = running[self._fold_start[asked]]
        total = running[self._fold_end[asked]] - start
        safe = np.where(total > 0, total, np.nan)
        return Levels((running[self._tie_start[asked]] - start) / safe, (running[self._tie_end[asked]] - start) / safe)


def _surroundings(changes: IndexArray, place: IndexArray, n: int) -> tuple[IndexArray, IndexArray]:
    """First place, and the place behind the last, of the run that each row stands in."""
    edges = np.concatenate([[0], changes, [n]])
    run = np.searchsorted(changes, place, side="right")
    return edges[run], edges[run + 1]


@dataclass(frozen=True)
class _Moves:
    """Where an earthquake's windows may go: the ordinary windows of each station and fold, in order of time."""

    event_rows: IndexArray  # (m,) rows of event windows
    cluster: IndexArray  # (m,) cluster of each, from 0
    after_first_h: FloatArray  # (m,) hours after the cluster's first window
    stratum: IndexArray  # (m,) station and fold of each
    anchor: IndexArray  # (n_clusters,) station and fold of the cluster's first window
    places: IndexArray  # (k,) ordinary rows by stratum and time
    place_h: FloatArray  # (k,) their time
    first: IndexArray  # (n_strata + 1,) where each stratum begins in places

    @classmethod
    def of(cls, rows: AlarmRows) -> _Moves:
        stratum = np.unique(np.column_stack([rows.fold, rows.station]), axis=0, return_inverse=True)[1].ravel()
        ordinary = np.flatnonzero(rows.ordinary)
        places = ordinary[np.lexsort((rows.start_h[ordinary], stratum[ordinary]))]
        counts = np.bincount(stratum[places], minlength=int(stratum.max()) + 1)
        events = np.flatnonzero(rows.event >= 0)
        events = events[np.lexsort((rows.station[events], rows.start_h[events], rows.event[events]))]
        cluster = np.unique(rows.event[events], return_inverse=True)[1]
        begin = np.flatnonzero(np.diff(cluster, prepend=-1))
        if not counts[stratum[events]].all():
            raise ValueError("an event window's station and fold has no ordinary window")
        return cls(
            events, cluster, rows.start_h[events] - rows.start_h[events][begin][cluster], stratum[events],
            stratum[events][begin], places, rows.start_h[places], np.concatenate([[0], np.cumsum(counts)]),
        )  # fmt: skip

    def draw(self, rng: np.random.Generator) -> IndexArray:
        """Rows whose scores the event windows take, (m,)."""
        low, high = self.first[self.anchor], self.first[self.anchor + 1]
        time_h = self.place_h[rng.integers(low, high)][self.cluster] + self.after_first_h
        return self.places[self._nearest(time_h)]

    def _nearest(self, time_h: FloatArray) -> IndexArray:
        low, high = self.first[self.stratum], self.first[self.stratum + 1]
        # one sorted axis for all strata: each lies a span behind the one before
        span = float(self.place_h.max() - self.place_h.min()) + float(self.after_first_h.max()) + 1.0
        origin = self.place_h.min()
        place_stratum = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        axis = place_stratum * 2 * span + (self.place_h - origin)
        wanted = self.stratum * 2 * span + (time_h - origin)
        right = np.clip(np.searchsorted(axis, wanted), low, high - 1)
        left = np.maximum(right - 1, low)
        nearest: IndexArray = np.where(np.abs(axis[right] - wanted) < np.abs(axis[left] - wanted), right, left)
        return nearest
