import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings.regular_grid import GRID_LIMIT, place_on_grid

START = 1_396_828_800_000  # 2014-04-07T00:00:00 UTC


def place(offsets_ms, values, declared_ms=None):
    warnings: list[str] = []
    times = START + np.asarray(offsets_ms, np.int64)
    grid = place_on_grid(times, np.atleast_2d(np.asarray(values, float)), declared_ms, "file", warnings)
    return grid, warnings


def refused(*arguments) -> str:
    with pytest.raises(DataError) as caught:
        place(*arguments)
    return caught.value.reason


def test_samples_without_a_gap_stay_as_they_are():
    grid, warnings = place([0, 1000, 2000], [1, np.nan, 3], 1000)
    np.testing.assert_array_equal(grid.values, [[1, np.nan, 3]])
    assert (grid.start_utc, grid.rate_hz) == (np.datetime64("2014-04-07T00:00:00.000"), 1.0)
    assert warnings == []


def test_a_gap_is_filled_with_nan_and_said():
    grid, warnings = place([0, 1000, 4000], [1, 2, 5])
    np.testing.assert_array_equal(grid.values, [[1, 2, np.nan, np.nan, 5]])
    assert warnings == ["2 of 5 time stamps are missing; their samples are NaN."]


def test_time_that_goes_backwards_is_sorted_and_said():
    grid, warnings = place([2000, 0, 1000], [3, 1, 2])
    np.testing.assert_array_equal(grid.values, [[1, 2, 3]])
    assert "backwards 1 times" in warnings[0]


def test_identical_doubles_are_kept_once():
    grid, warnings = place([0, 1000, 1000, 1000, 2000], [[1, 2, 2, 2, 3], [np.nan] * 5])
    np.testing.assert_array_equal(grid.values, [[1, 2, 3], [np.nan] * 3])
    assert "2 samples are doubled" in warnings[0]


@pytest.mark.parametrize("other", [2.01, np.nan])
def test_contradicting_doubles_are_refused(other):
    assert refused([0, 1000, 1000, 2000], [1, 2, other, 3]) == "contradicting_samples"


def test_the_time_stamps_outvote_the_header():
    grid, warnings = place([0, 60_000, 120_000], [1, 2, 3], 1000)
    assert grid.rate_hz == 1 / 60
    assert "the time stamps count" in warnings[0]


def test_the_header_decides_where_the_smallest_step_confirms_it():
    grid, _ = place([0, 1000, 3000, 5000, 7000], [0, 1, 3, 5, 7], 1000)
    assert grid.rate_hz == 1.0
    assert grid.values.shape == (1, 8)


def test_a_single_sample_needs_a_header():
    assert place([0], [1], 1000)[0].rate_hz == 1.0
    assert refused([0], [1]) == "irregular_sampling"


def test_stamps_between_the_grid_points_are_refused():
    assert refused([0, 1000, 2000, 3000, 3500, 4000], [1, 2, 3, 4, 5, 6]) == "irregular_sampling"


def test_one_wrong_stamp_does_not_fill_the_memory():
    assert refused([0, 1000, 2000, 1000 * (GRID_LIMIT + 1)], [1, 2, 3, 4]) == "irregular_sampling"


def test_milliseconds_are_kept():
    grid, _ = place([47_500, 47_600, 47_800], [1, 2, 4], None)
    assert grid.rate_hz == 10.0 or grid.rate_hz == 5.0
    assert grid.start_utc == np.datetime64("2014-04-07T00:00:47.500")


def test_no_sample_is_refused():
    assert refused([], np.empty((3, 0))) == "no_data"
