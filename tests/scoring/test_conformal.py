"""Conformal prediction sets: p-values by definition, nominal coverage, and stations without a guarantee."""

import numpy as np
import pandas as pd
import pytest

from seismag.config import EvaluateConfig
from seismag.scoring.clusters import find_clusters
from seismag.scoring.conformal import conformal_sets, conformal_threshold, score_sets
from seismag.scoring.predictions import probability_columns

CONFIG = EvaluateConfig(bootstrap=200, coverage=0.9)


def build_rows(n: int, seed: int, start: str = "2021-01-01") -> pd.DataFrame:
    """Independent windows of two stations; the second one is harder."""
    rng = np.random.default_rng(seed)
    station = rng.choice(["EASY", "HARD"], n)
    event = rng.random(n) < 0.4
    noise = np.where(station == "EASY", 0.7, 3.0)
    p_event = 1 / (1 + np.exp(-rng.normal(np.where(event, 1.5, -1.5), noise)))
    table = pd.DataFrame(
        {
            "fold": 1, "station": station, "split_group": np.arange(n) // 2,
            "start_utc": pd.Timestamp(start) + pd.to_timedelta(rng.integers(0, 1000, n), "h"),
            "y_magnitude": np.where(event, "Medium", "Normal"), "y_azimuth": np.where(event, "N", "Normal"),
        }
    )  # fmt: skip
    table[probability_columns("magnitude")] = np.column_stack([1 - p_event, 0 * p_event, p_event, 0 * p_event])
    return table


@pytest.mark.parametrize("n", [0, 1, 8, 9, 10, 11, 50, 199])
@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_the_threshold_gives_the_sets_of_the_p_values_by_definition(n: int, coverage: float) -> None:
    rng = np.random.default_rng(n)
    scores = np.round(rng.random(n), 2)  # with ties
    tried = np.append(np.linspace(0, 1, 101), 2.0)
    inside = tried <= conformal_threshold(scores, coverage)
    for score, is_inside in zip(tried, inside, strict=True):
        n_as_large = sum(1 for other in scores if other >= score)
        assert is_inside == ((n_as_large + 1) / (n + 1) >= 1 - coverage - 1e-12)


def test_sets_have_the_nominal_coverage_at_each_station_where_windows_are_in_random_order() -> None:
    rows, validation = build_rows(4000, 1), build_rows(2000, 2)
    scores, warnings = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
    assert [entry.station for entry in scores.by_station] == ["EASY", "HARD"]
    for entry in scores.by_station:
        # 1000 windows calibrate: standard error 0.0095, and 0.0067 of the 2000 evaluated
        assert entry.coverage.value == pytest.approx(0.9, abs=0.035)
        assert entry.note is None
    easy, hard = (entry.mean_set_size for entry in scores.by_station)
    assert easy < 1.0 < hard
    assert warnings == []


def test_a_station_without_validation_windows_gets_every_class() -> None:
    rows, validation = build_rows(60, 1), build_rows(200, 2)
    validation = validation[validation["station"] == "EASY"]
    sets = conformal_sets("magnitude", rows, validation, 0.9)
    hard = (rows["station"] == "HARD").to_numpy()
    assert sets.contains[hard].all()
    assert (sets.n_calibration[hard] == 0).all()
    scores, warnings = score_sets("magnitude", rows, validation, find_clusters(rows), CONFIG)
    assert "0 calibration windows (in a fold) exclude no class" in scores.by_station[1].note
    assert any("at 1 of 2 stations: HARD" in sentence for sentence in warnings)


def test_windows_outside_the_period_of_validation_have_no_guarantee() -> None:
    rows, validation = build_rows(300, 1, "2022-01-01"), build_rows(300, 2)
    warnings = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)[1]
    assert any("100 % of the evaluated windows lie outside the period" in sentence for sentence in warnings)


def test_a_coverage_below_the_nominal_one_is_warned_of() -> None:
    rows, validation = build_rows(2000, 1), build_rows(1000, 2)
    columns = probability_columns("magnitude")
    rows[columns] = rows[columns].to_numpy()[:, [2, 1, 0, 3]]  # the model is reversed
    warnings = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)[1]
    assert any("validation and test windows differ in distribution" in s for s in warnings)
