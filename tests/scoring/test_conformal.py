"""Conformal sets: the p-values of crepes, the promised coverage, and the places where nothing is promised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from crepes import ConformalClassifier

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
def test_the_threshold_says_what_the_p_values_of_crepes_say(n: int, coverage: float) -> None:
    rng = np.random.default_rng(n)
    scores = np.round(rng.random(n), 2)  # with ties
    tried = np.append(np.linspace(0, 1, 101), 2.0)
    inside = tried <= conformal_threshold(scores, coverage)
    if n:
        p_values = ConformalClassifier().fit(scores).predict_p(tried[:, None], smoothing=False)[:, 0]
        assert np.array_equal(inside, p_values >= 1 - coverage - 1e-12)
    else:
        assert inside.all()


def test_sets_cover_as_promised_at_each_station_where_windows_are_exchangeable() -> None:
    rows, validation = build_rows(4000, 1), build_rows(2000, 2)
    result = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
    assert [entry["station"] for entry in result["by_station"]] == ["EASY", "HARD"]
    for entry in result["by_station"]:
        # 1000 windows calibrate: standard error 0.0095, and 0.0067 of the 2000 judged
        assert entry["coverage"]["value"] == pytest.approx(0.9, abs=0.035)
        assert entry["note"] is None
    easy, hard = (entry["mean_set_size"] for entry in result["by_station"])
    assert easy < 1.0 < hard
    assert result["warnings"] == []


def test_a_station_that_validation_does_not_know_gets_every_class() -> None:
    rows, validation = build_rows(60, 1), build_rows(200, 2)
    validation = validation[validation["station"] == "EASY"]
    sets, behind = conformal_sets("magnitude", rows, validation, 0.9)
    hard = (rows["station"] == "HARD").to_numpy()
    assert sets[hard].all()
    assert (behind[hard] == 0).all()
    result = score_sets("magnitude", rows, validation, find_clusters(rows), CONFIG)
    assert "0 calibration windows (in a fold) exclude nothing" in result["by_station"][1]["note"]
    assert any("at 1 of 2 stations: HARD" in sentence for sentence in result["warnings"])


def test_windows_outside_the_period_of_validation_have_no_promise() -> None:
    rows, validation = build_rows(300, 1, "2022-01-01"), build_rows(300, 2)
    result = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
    assert any("100 % of the judged windows lie outside the period" in sentence for sentence in result["warnings"])


def test_a_coverage_that_is_missed_is_said() -> None:
    rows, validation = build_rows(2000, 1), build_rows(1000, 2)
    columns = probability_columns("magnitude")
    rows[columns] = rows[columns].to_numpy()[:, [2, 1, 0, 3]]  # the model has turned round
    result = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
    assert any("validation and test windows are not exchangeable" in s for s in result["warnings"])
