"""Intervals for which a catalogue is complete, and its holes.

A missing earthquake looks like quiet: a window gets a label, Normal included, only where the catalogue is complete.
Holes are derived from the rows, not from file names.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seismag.arrays import TimeArray

Interval = tuple[np.datetime64, np.datetime64]

IMPROBABLE_MONTH = 1e-3  # an empty month less probable than this is a hole, not chance
IMPROBABLE_EDGE = 1e-6  # stricter: both edges of every hole are tried, and events cluster
_SHOWN_MONTHS = 24
_MONTH_D = 30.44
_DAY = np.timedelta64(1, "D")
_MIN_EXPECTED_AT_MONTH_ENDS = 10.0
_LOST_FRACTION = 0.1  # of the expected events: below, the last days of months were lost


@dataclass(frozen=True)
class Coverage:
    """When a catalogue is complete: sorted, disjoint ``[start, end)`` in UTC, datetime64[ms]."""

    intervals: tuple[Interval, ...]

    def __post_init__(self) -> None:
        flat = [time for interval in self.intervals for time in interval]
        if any(later < earlier for earlier, later in pairwise(flat)):
            raise ValueError("intervals of a coverage are sorted and disjoint, each [start, end) with start <= end")

    def covers(self, starts: ArrayLike, ends: ArrayLike) -> NDArray[np.bool_]:
        """Mark each ``[start, end)`` that lies within one interval (NaT: False)."""
        first = np.atleast_1d(np.asarray(starts, dtype="datetime64[ms]"))
        last = np.atleast_1d(np.asarray(ends, dtype="datetime64[ms]"))
        if not self.intervals:
            return np.zeros(np.broadcast_shapes(first.shape, last.shape), dtype=bool)
        begins = np.array([interval[0] for interval in self.intervals], dtype="datetime64[ms]")
        finishes = np.array([interval[1] for interval in self.intervals], dtype="datetime64[ms]")
        index = np.searchsorted(begins, first, side="right") - 1
        inside: NDArray[np.bool_] = (index >= 0) & (first <= last) & (last <= finishes[np.maximum(index, 0)])
        return inside

    @property
    def holes(self) -> list[Interval]:
        """The times between the intervals."""
        return [(left[1], right[0]) for left, right in pairwise(self.intervals)]

    def describe_holes(self) -> list[str]:
        """Return the holes as text, for example ``2022-01-01 .. 2023-01-01`` (end excluded)."""
        return [f"{short_time(start)} .. {short_time(end)}" for start, end in self.holes]


def short_time(time: np.datetime64) -> str:
    """Return a time as its date, with hours and minutes only where it is not midnight."""
    midnight = time == time.astype("datetime64[D]")
    return str(np.datetime_as_string(time, unit="D" if midnight else "m"))


def coverage_of(origin_utc: TimeArray) -> tuple[Coverage, list[str]]:
    """Derive the coverage of a catalogue from the times of its rows, (n,) sorted; also sentences for the user.

    It begins at 00:00 UTC of the day of the first row and ends at the last row. A whole calendar month (UTC) between
    them without a row is a hole if chance is improbable: exp(-r) < 1e-3 (Poisson), r the median count of the months
    with rows. Otherwise the catalogue is sparse (M >= 6 only, for example): the month is covered, with a warning. A
    hole is extended to the last row before it, and to 00:00 UTC of the day of the first row after it, if the gap in
    between has a probability below 1e-6 at that rate. So a file that ends early in a month, merged with one that
    begins a year later, does not cover the rest of the month.
    """
    times = origin_utc.astype("datetime64[ms]")
    first = times[0].astype("datetime64[D]").astype("datetime64[ms]")
    span = Coverage(((first, times[-1]),))
    months = times.astype("datetime64[M]")
    counts = np.bincount((months - months[0]).astype(int))
    empty = np.flatnonzero(counts == 0)
    if not empty.size:
        return span, []
    rate = float(np.median(counts[counts > 0]))
    if np.exp(-rate) >= IMPROBABLE_MONTH:
        names = ", ".join(str(months[0] + offset) for offset in empty[:_SHOWN_MONTHS])
        names += f" and {empty.size - _SHOWN_MONTHS} more" if empty.size > _SHOWN_MONTHS else ""
        return span, [
            f"{empty.size} months have no event ({names}). With {rate:g} events in a usual month that may be "
            f"chance, so they count as covered; check that the catalogue is complete there."
        ]
    edges, per_day = [first], rate / _MONTH_D
    for run in np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1):
        start, end = ((months[0] + month).astype("datetime64[ms]") for month in (run[0], run[-1] + 1))
        before = times[np.searchsorted(times, start) - 1]
        after = times[np.searchsorted(times, end)].astype("datetime64[D]").astype("datetime64[ms]")
        if np.exp(-per_day * ((start - before) / _DAY)) < IMPROBABLE_EDGE:
            start = before
        if np.exp(-per_day * ((after - end) / _DAY)) < IMPROBABLE_EDGE:
            end = after
        edges += [start, end]
    edges.append(times[-1])
    pieces = zip(edges[::2], edges[1::2], strict=True)
    return Coverage(tuple((start, end) for start, end in pieces if start < end)), []


def lost_month_ends(origin_utc: TimeArray, coverage: Coverage) -> list[Interval]:
    """Find the last days that a download by months has lost, if it ended each month at 00:00 of the last day.

    Returns the empty last days ``[00:00, 24:00)`` of covered months, if all last days together contain less than a
    tenth of the events expected from the other days (and at least 10 are expected); else nothing. Times are sorted.
    """
    days = np.arange(origin_utc[0].astype("datetime64[D]"), origin_utc[-1].astype("datetime64[D]"))
    days = days[coverage.covers(days, days + _DAY)]
    if not days.size:
        return []
    counts = np.diff(np.searchsorted(origin_utc, np.stack([days, days + _DAY]).astype(origin_utc.dtype)), axis=0)[0]
    last = (days + _DAY).astype("datetime64[M]") > days.astype("datetime64[M]")
    if not last.any() or last.all():
        return []
    expected = counts[~last].mean() * last.sum()
    if expected < _MIN_EXPECTED_AT_MONTH_ENDS or counts[last].sum() > _LOST_FRACTION * expected:
        return []
    empty = days[last & (counts == 0)].astype("datetime64[ms]")
    return [(day, day + _DAY) for day in empty]
