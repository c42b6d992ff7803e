"""Molchan diagram, area skill score, probability gain and their chance distributions, as functions of arrays.

Each window has an alarm fraction: the fraction of background time that scores at least as high. It is alarmed at tau
where its alarm fraction is at most tau. Background time is weighted by a reference measure: uniform, or an earthquake
rate from non-magnetic data. An earthquake cluster counts as hit by the fraction of its windows that are alarmed: under
chance this has the mean tau whatever its windows have in common, while "any of its windows" would be hit more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio

TAU_TOLERANCE = 1e-9  # alarm fractions are sums of weights; closer ones are the same threshold
BLOCK_DAYS = 54.0  # two rotations of the Sun
_SMOOTHING_DAYS = 27.0
_PHASES = 6  # positions of the edges of blocks


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
        block: (n,) group of a background window.
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
    """Evaluate the alarms on earthquake clusters at random times near their own (Monte Carlo null).

    Time is divided into blocks of 54 days. All clusters whose last window lies in a block are moved by one common
    circular time shift within it. The axis of the shift is the running sum of the reference measure over the windows of
    the station, so that a cluster ends anywhere in the block in proportion to the measure, and events of a swarm stay
    together. The measure is multiplied by the smoothed rate of clusters relative to it, so that a season or a trend
    within a block is kept as well. All windows of a cluster move with its last one, and each takes the score of the
    window of its station nearest to its new time. Each draw takes one of six positions of the blocks' edges.

    Scores and earthquakes with a common season, trend or slow variation, and swarms, are thereby kept; skill is
    what depends on the time within 54 days.

    Args:
        rows: the windows.
        measure: (n,) reference measure of all windows, those outside the background as well.
        tau: alarm fractions at which the miss rate is wanted.
        draws: number of randomised sets of events.
        rng: random numbers.

    Returns:
        Area skill (draws,), and miss rate at ``tau`` (draws, len(tau)).

    Source: pattern jitter, Amarasingham et al. (2012), doi:10.1152/jn.00633.2011.
    """
    times = _EventTimes(rows, measure)
    weight = rows.event_weight()[times.event_rows]
    fractions = _Ranking(rows.score, rows.fold).fractions(measure * rows.background, np.arange(len(rows.score)))
    area, nu = np.empty(draws), np.empty((draws, len(tau)))
    for draw in range(draws):
        replacements = times.random_rows(rng)
        low, high = fractions.low[replacements], fractions.high[replacements]
        known = np.isfinite(high)  # NaN in a fold of which the measure is 0
        total = weight[known].sum()
        if total <= 0:
            area[draw], nu[draw] = 0.5, 1.0 - tau
            continue
        moved = AlarmFractions(low[known], high[known])
        area[draw] = area_skill(moved, weight[known] / total)
        nu[draw] = miss_rate(moved, weight[known] / total, tau)
    return area, nu


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


class _Blocks:
    """One division of time into blocks: the cell (station and block) of each cluster's last window."""

    def __init__(self, cell: IndexArray, cell_of_last: IndexArray, block_of_last: IndexArray) -> None:
        self.first = np.searchsorted(cell, cell_of_last, side="left")  # (n_clusters,) in the rows ordered by time
        self.end = np.searchsorted(cell, cell_of_last, side="right")
        self.block = np.unique(block_of_last, return_inverse=True)[1]


class _EventTimes:
    """Windows of each station in order of time, and the event windows as times after the last one of their cluster."""

    def __init__(self, rows: AlarmRows, measure: FloatArray) -> None:
        station, start_h = rows.station, rows.start_h
        self.rows = np.lexsort((start_h, station))  # (n,)
        self.start_h = start_h[self.rows]
        events = np.flatnonzero(rows.event >= 0)
        self.event_rows = events[np.lexsort((station[events], -start_h[events], rows.event[events]))]  # (m,)
        self.cluster = np.unique(rows.event[self.event_rows], return_inverse=True)[1]
        last = self.event_rows[np.flatnonzero(np.diff(self.cluster, prepend=-1))]  # (n_clusters,)
        self.last_h = start_h[last]
        self.after_last_h = start_h[self.event_rows] - self.last_h[self.cluster]

        origin = float(start_h.min())
        span = float(start_h.max()) - origin
        self.measure = measure[self.rows] * _smoothed_rate(self.last_h, self.start_h, measure[self.rows])
        self.running = np.concatenate([[0.0], np.cumsum(self.measure)])
        position = np.empty(len(self.rows), dtype=np.intp)
        position[self.rows] = np.arange(len(self.rows))
        self.last = position[last]
        self.blocks = []
        for phase in np.arange(_PHASES) / _PHASES:
            block = ((start_h - origin) / (24.0 * BLOCK_DAYS) + phase).astype(np.intp)
            cell = station * (block.max() + 1) + block
            self.blocks.append(_Blocks(cell[self.rows], cell[last], block[last]))

        # one sorted axis for all stations: each lies two spans behind the one before
        self.origin_h = station[self.event_rows] * 2 * (span + 1.0) - origin
        self.axis_h = station[self.rows] * 2 * (span + 1.0) + (self.start_h - origin)
        self.within = origin - (span + 1.0) / 2, origin + span + (span + 1.0) / 2
        edges = np.searchsorted(station[self.rows], np.arange(int(station.max()) + 2))
        self.low, self.high = edges[station[self.event_rows]], edges[station[self.event_rows] + 1]

    def random_rows(self, rng: np.random.Generator) -> IndexArray:
        """Rows whose scores the event windows take, (m,)."""
        blocks = self.blocks[rng.integers(_PHASES)]
        before = self.running[blocks.first]
        total = self.running[blocks.end] - before
        within = rng.random(len(self.last)) * self.measure[self.last]  # anywhere in the step of the own window
        own = (self.running[self.last] - before + within) / np.where(total > 0, total, 1.0)
        wanted = (own + rng.random(blocks.block.max() + 1)[blocks.block]) % 1.0
        ends = np.searchsorted(self.running, before + wanted * total, side="right") - 1
        ends = np.where(total > 0, np.clip(ends, blocks.first, blocks.end - 1), self.last)
        return self._nearest(self.start_h[ends][self.cluster] + self.after_last_h)

    def _nearest(self, time_h: FloatArray) -> IndexArray:
        """Row of the event windows' stations nearest to a time, (m,)."""
        wanted = np.clip(time_h, *self.within) + self.origin_h
        right = np.clip(np.searchsorted(self.axis_h, wanted), self.low, self.high - 1)
        left = np.maximum(right - 1, self.low)
        nearer = np.abs(self.axis_h[right] - wanted) < np.abs(self.axis_h[left] - wanted)
        return self.rows[np.where(nearer, right, left)]


def _smoothed_rate(last_h: FloatArray, time_h: FloatArray, measure: FloatArray) -> FloatArray:
    """Rate of clusters by the measure at times in hours, both smoothed by a Gaussian kernel of 27 days, (n,)."""
    width_h = 24.0 * _SMOOTHING_DAYS
    origin = float(time_h.min())
    grid = np.arange(origin, float(time_h.max()) + width_h, width_h / 3)
    of_grid = np.bincount(np.rint((time_h - origin) / (width_h / 3)).astype(np.intp), measure, len(grid))

    def kernel(centres: FloatArray) -> FloatArray:
        density: FloatArray = np.exp(-0.5 * ((grid[:, None] - centres) / width_h) ** 2)
        return density

    rate = np.nan_to_num(ratio(kernel(last_h).sum(axis=1), kernel(grid) @ of_grid))
    return np.interp(time_h, grid, rate)
