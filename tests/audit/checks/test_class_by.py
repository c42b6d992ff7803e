"""Columns as bins, and how each family of them predicts the class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.class_by import (
    Feature,
    Labelled,
    category_codes,
    check_class_by,
    check_skill_above_station,
    epoch_codes,
    quantile_codes,
)
from seismag.config import AuditConfig

SPEC = AuditConfig(permutations=999, placebos=20, partitions=4)


def labelled(y: np.ndarray, group: np.ndarray) -> Labelled:
    return Labelled.build(y, group, ("Normal", "Event"), SPEC)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class, group and station of 80 groups of 3 rows: a class by group, and a station by group."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(80), 3)
    return rng.integers(0, 2, 80)[group], group, rng.integers(0, 6, 80)[group]


def test_missing_numbers_and_names_have_a_bin_of_their_own() -> None:
    assert quantile_codes(np.array([1.0, np.nan, 2.0, 1.0])).tolist() == [1, 0, 2, 1]
    assert np.bincount(quantile_codes(np.random.default_rng(0).normal(size=600), 6)).tolist() == [100] * 6
    code, names = category_codes(pd.Series(["b", None, "a"]))
    assert code.tolist() == [1, 2, 0]
    assert names == ("a", "b", "missing")


def test_a_short_time_is_one_epoch_and_a_long_one_eight() -> None:
    start = np.datetime64("2021-01-01", "s")
    assert epoch_codes(start + np.arange(100) * np.timedelta64(12, "h")).max() == 0  # 50 days
    assert epoch_codes(start + np.arange(1000) * np.timedelta64(1, "D")).max() == 7


def test_a_station_that_is_the_class_predicts_it_and_a_random_one_does_not(rows) -> None:
    y, group, station = rows
    names = tuple("ABCDEF")
    data = labelled(y, group)
    wrong = check_class_by("class_by_station", [Feature("station", "station", 3 * y + station % 3, names)], data)
    clean = check_class_by("class_by_station", [Feature("station", "station", station, names)], data)
    assert wrong.details["accuracy"] == 1.0
    assert (wrong.p_value, wrong.above_minimum, wrong.blocking) == (0.001, True, True)
    assert clean.p_value > 0.05
    assert "Normal" not in clean.sentence


def test_a_class_from_two_of_many_stations_is_named(rows) -> None:
    y, group, station = rows
    station = np.where(y == 0, station % 2, station)
    data = labelled(y, group)
    result = check_class_by("class_by_station", [Feature("station", "station", station, tuple("ABCDEF"))], data)
    n = int((y == 0).sum())
    assert f"Normal ({n} rows) comes from 2 of 6 stations: " in result.sentence


def test_what_a_column_adds_to_the_station_is_tested_within_stations(rows) -> None:
    y, group, station = rows
    place = Feature("station", "station", station, tuple("ABCDEF"))
    by_kp = check_skill_above_station(place, [Feature("kp_max", "space_weather", y.copy())], labelled(y, group))
    assert by_kp.p_value == 0.001
    y_of_station = (station > 2).astype(np.intp)  # the station is the class: nothing can be added
    beyond = check_skill_above_station(
        place, [Feature("kp_max", "space_weather", y_of_station)], labelled(y_of_station, group)
    )
    assert beyond.p_value == 1.0
    assert beyond.details["stations_where_the_class_varies"] == 0
