"""Scores of days: a signal at every station is found better by all of them, and nothing else has skill."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from fixtures.network_table import network_table
from fixtures.prediction_table import build_table
from seismag.config import EvaluateConfig
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.forecasts import MODEL
from seismag.scoring.network import compute
from seismag.scoring.network.combine import RULES, Units
from seismag.scoring.network.compute import NetworkScores, NoNetwork, score_network
from seismag.scoring.network.days import find_days
from seismag.scoring.text import format_summary

CONFIG = EvaluateConfig(bootstrap=100)


def score(table: pd.DataFrame, samples: pd.DataFrame | None = None) -> NetworkScores | NoNetwork:
    return score_network(table, np.ones(len(table), dtype=bool), samples, CONFIG)


@pytest.fixture
def numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two baselines, base rates and the numbers of windows and stations: with fewer, skill is easier."""
    monkeypatch.setattr(compute, "baseline_columns", lambda _: {})


@pytest.mark.parametrize("log_odds", ["noise", "counts", "station"])
@pytest.mark.usefixtures("numbers_only")
def test_noise_counts_and_stations_have_no_skill_in_a_store_of_matched_controls(log_odds: str) -> None:
    results = [score(network_table(seed, log_odds)) for seed in range(6)]
    assert {result.skill["log_score"].baseline for result in results} == {"windows_and_stations"}
    assert all(result.scores["roc_auc"].value > 0.75 for result in results)  # by the numbers of windows
    for gains in ([result.skill["log_score"] for result in results], [result.over_one_station for result in results]):
        assert sum(gain.low > 0 for gain in gains) <= 1  # 2.5 % expected by chance
        assert np.mean([gain.value for gain in gains]) < 0.005


@pytest.mark.usefixtures("numbers_only")
def test_a_signal_at_every_station_is_found_better_by_all_of_them() -> None:
    result = score(network_table(1, "signal", strength=1.0, n_events=80, n_blocks=40))
    assert result.skill["log_score"].low > 0
    assert result.over_one_station.low > 0
    assert result.over_one_station.p_value < 0.01
    assert result.over_one_station_where_several.value > result.over_one_station.value
    assert result.over_one_station_where_several.n == result.n_several < result.n
    areas = result.roc_auc_at_stations
    assert areas.difference.low > 0
    assert areas.difference.value == pytest.approx(areas.network.value - areas.one_station.value)
    assert result.detected.network.value > result.detected.one_station.value
    assert result.detected.difference.value > 0
    assert sum(result.rules["network"].values()) == sum(result.rules["one_station"].values()) == 5
    assert set(result.rules["network"]) == set(RULES)


@pytest.mark.usefixtures("numbers_only")
def test_scores_agree_with_scikit_learn_and_with_their_differences() -> None:
    table = network_table(2, "signal")
    days = find_days(table, np.ones(len(table), dtype=bool))
    units = Units.of_stations(days)
    forecasts, p_one, _ = compute._forecast(days, units)
    truth, result = days.is_event_day, score(table)
    assert result.scores["log_score"].value == pytest.approx(-log_loss(truth, forecasts[MODEL]))
    assert result.scores["roc_auc"].value == pytest.approx(roc_auc_score(truth, forecasts[MODEL]))
    log_one = np.log(np.where(truth[units.day], p_one, 1 - p_one))
    of_days = pd.Series(log_one).groupby(units.day).mean()  # one station: averaged over those of the day
    assert result.one_station["log_score"].value == pytest.approx(of_days.mean())
    gain = result.scores["log_score"].value - result.one_station["log_score"].value
    assert result.over_one_station.value == pytest.approx(gain)
    assert sum(entry.gain.n for entry in result.by_station) == len(units.day)
    weighted = [entry.gain.value * entry.gain.n for entry in result.by_station]
    network = np.log(np.where(truth, forecasts[MODEL], 1 - forecasts[MODEL]))
    assert sum(weighted) == pytest.approx((network[units.day] - log_one).sum())


def test_all_baselines_of_days_are_fitted_where_their_columns_are_known() -> None:
    table = network_table(3)
    rng = np.random.default_rng(0)
    samples = pd.DataFrame({
        "sample_id": table["sample_id"], "kp_max": rng.uniform(0, 9, len(table)),
        "dst_min_nt": rng.normal(-20, 10, len(table)), "past_rate": rng.exponential(1.0, len(table)),
    })  # fmt: skip
    result = score(table, samples)
    assert set(result.baselines) == {
        "windows_and_stations", "stations", "clock", "space_weather", "catalogue_rate", "all_no_signal", "base_rates"
    }  # fmt: skip
    prevalence = result.n_event_days / result.n
    constant = prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence)
    assert result.baselines["base_rates"]["log_score"].value == pytest.approx(constant)
    assert result.baselines["base_rates"]["roc_auc"].value == pytest.approx(0.5)


def test_the_reason_is_given_where_days_cannot_be_evaluated() -> None:
    table = network_table(0)
    assert score(table.assign(station="GTO")) == NoNetwork("the table has one station")
    alone = table[~table["start_utc"].dt.floor("D").duplicated()]
    assert score(alone) == NoNetwork("no UTC day has windows at two stations")
    few = table[~table["split_group"].isin([f"normal:{b}" for b in range(20)])]
    assert score(few).reason.startswith("inconclusive (40 event clusters, 4 control blocks")
    assert "naive" in score(table.assign(split_method="naive")).reason
    days = table["start_utc"].dt.floor("D")
    with_event = days[table["y_magnitude"] != "Normal"].unique()
    assert score(table[days.isin(with_event)]).reason == "every UTC day has an event window"
    assert score(table[table["y_magnitude"] == "Normal"]).reason == "no event window"
    assert score(few).to_json().keys() == {"reason"}


@pytest.mark.usefixtures("numbers_only")
def test_metrics_contain_the_network_and_the_summary_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seismag.scoring.baselines.LOGISTIC_BASELINES", ())
    metrics = evaluate_predictions(network_table(1, "signal"), config=CONFIG).to_json()
    network = metrics["network"]
    assert json.loads(json.dumps(network, allow_nan=False)) == network
    assert network["reason"] is None
    assert {"value", "low", "high", "p_value", "n", "n_clusters"} == set(network["over_one_station"])
    text = " ".join(format_summary(metrics).split())
    assert f"network of 5 stations, {network['n']} days ({network['n_event_days']} event days" in text
    assert f"over one station {network['over_one_station']['value']:+.3f} [" in text
    few = evaluate_predictions(build_table(n_events=2, n_blocks=2), config=CONFIG).to_json()
    assert few["network"]["reason"].startswith("inconclusive (2 event clusters, 2 control blocks")
    assert "days not evaluated: inconclusive (2 event clusters" in " ".join(format_summary(few).split())


def test_days_of_mainshocks_are_evaluated_and_those_before_aftershocks_are_left_out() -> None:
    table = network_table(4, n_events=30, n_blocks=20)
    number = table["split_group"].str.partition(":")[2].astype(int)
    is_event = table["y_magnitude"] != "Normal"
    labelled = table.assign(is_mainshock=is_event & (number < 20), is_aftershock=is_event & (number >= 20))
    result = evaluate_predictions(labelled, config=CONFIG).network
    assert result.n_event_groups == 20
    aftershock_days = labelled.loc[labelled["is_aftershock"], "start_utc"].dt.floor("D").nunique()
    assert result.days_left_out == aftershock_days
