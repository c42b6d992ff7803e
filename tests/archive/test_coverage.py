from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seismag.archive.coverage import Coverage, coverage_of, lost_month_ends


def utc(text: str) -> np.datetime64:
    return np.datetime64(text, "ms")


TWO = Coverage(((utc("2021-01-01"), utc("2021-07-01")), (utc("2021-08-01"), utc("2022-01-01"))))


def daily(first: str, last: str, per_day: int = 6) -> np.ndarray:
    """Events spread evenly over the days from first to last, last included."""
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1).astype("datetime64[ms]")
    return (days[:, None] + np.arange(per_day) * np.timedelta64(24 // per_day, "h")).ravel()


@pytest.mark.parametrize(
    ("start", "end", "covered"),
    [
        ("2021-01-01", "2021-07-01", True),
        ("2021-06-30T20:00", "2021-07-01T00:00", True),
        ("2021-06-30T20:00", "2021-07-01T00:01", False),
        ("2021-06-30", "2021-08-02", False),
        ("2021-07-10", "2021-07-11", False),
        ("2020-12-31", "2021-01-02", False),
        ("2022-01-01", "2022-01-01", True),
        ("2022-01-01", "2022-01-02", False),
        ("NaT", "2021-02-01", False),
    ],
)
def test_a_window_is_covered_only_wholly_inside_one_interval(start: str, end: str, covered: bool) -> None:
    assert TWO.covers([utc(start)], [utc(end)]).tolist() == [covered]


def test_nothing_is_covered_by_no_interval() -> None:
    assert not Coverage(()).covers([utc("2021-01-01")] * 2, [utc("2021-01-02")] * 2).any()


def test_holes_lie_between_the_intervals_and_read_as_dates() -> None:
    assert TWO.holes == [(utc("2021-07-01"), utc("2021-08-01"))]
    assert TWO.describe_holes() == ["2021-07-01 .. 2021-08-01"]
    odd = Coverage(((utc("2021-01-01"), utc("2021-02-03T05:30")), (utc("2021-03-01"), utc("2021-04-01"))))
    assert odd.describe_holes() == ["2021-02-03T05:30 .. 2021-03-01"]


def test_overlapping_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match="sorted and disjoint"):
        Coverage(((utc("2021-01-01"), utc("2021-03-01")), (utc("2021-02-01"), utc("2021-04-01"))))


HOURS = st.integers(min_value=0, max_value=400)


@given(st.lists(HOURS, unique=True, max_size=6).map(sorted), st.lists(st.tuples(HOURS, HOURS).map(sorted)))
def test_coverage_agrees_with_hour_by_hour_bookkeeping(edges: list[int], windows: list[tuple[int, int]]) -> None:
    origin, hour = utc("2021-01-01"), np.timedelta64(1, "h")
    intervals = list(zip(edges[::2], edges[1::2], strict=False))
    coverage = Coverage(tuple((origin + a * hour, origin + b * hour) for a, b in intervals))
    complete = np.zeros(400, dtype=bool)
    for a, b in intervals:
        complete[a:b] = True
    for a, b in windows:
        if a < b:
            inside = coverage.covers([origin + a * hour], [origin + b * hour])[0]
            assert inside == complete[a:b].all()


def test_an_empty_month_in_a_busy_catalogue_is_a_hole() -> None:
    times = np.concatenate([daily("2021-05-03", "2021-06-30"), daily("2021-08-01", "2021-09-10")])
    coverage, notes = coverage_of(times)
    assert coverage.describe_holes() == ["2021-07-01 .. 2021-08-01"]
    assert coverage.intervals[0][0] == utc("2021-05-03")
    assert coverage.intervals[-1][1] == utc("2021-09-10T20:00")
    assert notes == []


def test_empty_months_of_a_sparse_catalogue_stay_covered_with_a_warning() -> None:
    # Six events in a month with events: exp(-6) = 0.0025, not below 0.001.
    times = np.concatenate([daily("2021-05-01", "2021-05-01", 6), daily("2021-08-02", "2021-08-02", 6)])
    coverage, notes = coverage_of(times)
    assert coverage.holes == []
    assert "2 months have no event (2021-06, 2021-07)" in notes[0]
    historical = np.concatenate([daily("1900-05-01", "1900-05-01", 6), daily("2021-08-02", "2021-08-02", 6)])
    assert "and 1430 more)" in coverage_of(historical)[1][0]


def test_seven_events_in_a_usual_month_make_an_empty_one_a_hole() -> None:
    # exp(-7) = 0.0009
    days = [f"2021-{month:02d}-{day:02d}" for month in (1, 2, 4) for day in (1, 5, 9, 13, 17, 21, 25)]
    coverage, _ = coverage_of(np.array(days, dtype="datetime64[ms]"))
    assert coverage.describe_holes() == ["2021-03-01 .. 2021-04-01"]


def test_a_hole_grows_over_an_improbable_silence_at_its_edges() -> None:
    times = np.concatenate([daily("2024-12-01", "2025-08-10"), daily("2025-11-20", "2026-02-01")])
    coverage, _ = coverage_of(times)
    assert coverage.describe_holes() == ["2025-08-10T20:00 .. 2025-11-20"]


def test_lost_last_days_of_months_are_found() -> None:
    times = daily("2021-01-01", "2021-06-20")
    next_day = (times.astype("datetime64[D]") + 1).astype("datetime64[M]")
    kept = times[next_day == times.astype("datetime64[M]")]
    coverage, _ = coverage_of(kept)
    lost = lost_month_ends(kept, coverage)
    assert [str(start)[:10] for start, _ in lost] == [
        "2021-01-31",
        "2021-02-28",
        "2021-03-31",
        "2021-04-30",
        "2021-05-31",
    ]


def test_a_complete_or_a_sparse_catalogue_has_no_lost_month_ends(rng: np.random.Generator) -> None:
    full = daily("2021-01-01", "2021-06-20")
    assert lost_month_ends(full, coverage_of(full)[0]) == []
    sparse = np.sort(utc("2010-01-01") + rng.integers(0, 3650, 200) * np.timedelta64(1, "D"))
    assert lost_month_ends(sparse, coverage_of(sparse)[0]) == []
    one = full[:1]
    assert lost_month_ends(one, coverage_of(one)[0]) == []
