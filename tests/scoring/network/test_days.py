"""Days of a table of predictions: their class, windows, groups, and which of them depend on each other."""

import numpy as np
import pandas as pd
import pytest

from fixtures.network_table import network_table
from seismag.scoring.network.days import find_days


def rows(*windows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Windows of (start, station, split_group, magnitude class), all with P(Event) 0.75."""
    table = pd.DataFrame(windows, columns=["start_utc", "station", "split_group", "y_magnitude"])
    return table.assign(
        run_id="a", fold=1, sample_id=[f"w{i}" for i in range(len(table))], p_magnitude_Normal=0.25,
        start_utc=pd.to_datetime(table["start_utc"]),
    )  # fmt: skip


WINDOWS = rows(
    ("2021-03-02T00", "GTO", "event:1", "Large"),
    ("2021-03-02T06", "GTO", "event:1", "Large"),
    ("2021-03-02T06", "ALR", "normal:7", "Normal"),
    ("2021-03-02T12", "TRT", "event:0", "Medium"),
    ("2021-03-01T18", "ALR", "normal:7", "Normal"),
    ("2021-03-04T18", "ALR", "normal:8", "Normal"),
)
ALL = np.ones(len(WINDOWS), dtype=bool)


def test_a_day_is_an_event_day_where_one_window_is_an_event_window() -> None:
    table = find_days(WINDOWS, ALL).table
    assert list(table["start_utc"].dt.strftime("%d")) == ["01", "02", "04"]
    assert list(table["is_event"]) == [False, True, False]
    assert list(table["n_windows"]) == [1, 4, 1]
    assert list(table["n_stations"]) == [1, 3, 1]
    assert list(table["split_group"]) == ["normal:7", "event:1", "normal:8"]  # of most event windows
    assert table[["at_ALR", "at_GTO", "at_TRT"]].to_numpy().tolist() == [[1, 0, 0], [1, 1, 1], [1, 0, 0]]


def test_log_odds_are_those_of_the_predictions() -> None:
    assert find_days(WINDOWS, ALL).log_odds == pytest.approx(np.log(3.0))
    certain = find_days(WINDOWS.assign(p_magnitude_Normal=0.0), ALL)
    assert certain.log_odds == pytest.approx(np.log(1e6 - 1))


def test_a_day_before_an_aftershock_alone_is_neither_event_day_nor_control_day() -> None:
    of_interest = np.array([False, False, True, False, True, True])  # 2 March: an aftershock, and a Normal window
    days = find_days(WINDOWS, of_interest)
    assert list(days.table["start_utc"].dt.strftime("%d")) == ["01", "04"]
    assert days.left_out == 1
    with_mainshock = find_days(WINDOWS, np.array([False, False, True, True, True, True]))
    assert list(with_mainshock.table["is_event"]) == [False, True, False]
    assert with_mainshock.left_out == 0
    assert len(with_mainshock.day) == 4


def test_kp_dst_and_past_rate_come_from_the_samples_by_window() -> None:
    samples = pd.DataFrame({
        "sample_id": [f"w{i}" for i in range(6)][::-1], "kp_max": [5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        "dst_min_nt": [-5.0, -4.0, -3.0, -2.0, -1.0, 0.0], "noise_floor_nt": 1.0,
    })  # fmt: skip
    table = find_days(WINDOWS, ALL, samples).table
    assert list(table["kp_max"]) == [4.0, 3.0, 5.0]
    assert list(table["dst_min_nt"]) == [-4.0, -3.0, -5.0]
    assert "past_rate" not in table
    assert "noise_floor_nt" not in table


def test_training_days_have_no_cluster_in_common_with_left_out_ones() -> None:
    days = find_days(table := network_table(3), np.ones(len(table), dtype=bool))
    folds = days.folds(np.ones(len(days.table), dtype=bool), 5)
    group = days.table["split_group"].to_numpy()
    assert np.sum([left_out for _, left_out in folds], axis=0).tolist() == [1] * len(group)
    for train, left_out in folds:
        assert not set(group[train]) & set(group[left_out])


def test_a_second_cluster_of_an_event_day_excludes_its_other_days_from_training() -> None:
    windows = rows(
        ("2021-03-01T00", "GTO", "event:0", "Large"), ("2021-03-01T06", "GTO", "event:0", "Large"),
        ("2021-03-01T00", "TRT", "event:1", "Large"), ("2021-03-02T00", "TRT", "event:1", "Large"),
        ("2021-03-01T00", "ALR", "normal:0", "Normal"), ("2021-03-05T00", "ALR", "normal:0", "Normal"),
    )  # fmt: skip
    days = find_days(windows, np.ones(len(windows), dtype=bool))
    assert list(days.table["split_group"]) == ["event:0", "event:1", "normal:0"]
    trained_on = {tuple(days.table["split_group"][left_out]): list(days.table["split_group"][train])
                  for train, left_out in days.folds(np.ones(3, dtype=bool), 3)}  # fmt: skip
    assert trained_on[("event:0",)] == ["normal:0"]  # its Normal window does not decide the class of the day
    assert trained_on[("event:1",)] == ["normal:0"]
    assert trained_on[("normal:0",)] == ["event:0", "event:1"]
