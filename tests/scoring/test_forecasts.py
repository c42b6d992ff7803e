"""Forecasts scored fold by fold give the sums of the whole table, and only baselines are candidates."""

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import build_table
from seismag.scoring.baselines import ORACLE, folds_within_table
from seismag.scoring.clusters import find_truth
from seismag.scoring.forecasts import BaselineData, Forecasts, score_forecasts
from seismag.scoring.predictions import probability_columns

pytestmark = pytest.mark.usefixtures("counting_rules_only")  # these tests do not test logistic baselines


def test_sums_of_the_folds_are_those_of_the_whole_table() -> None:
    table = build_table()
    truth = find_truth(table)
    forecasts = score_forecasts(table, truth, BaselineData())
    parts = list(folds_within_table(table))
    positions = np.concatenate([rows for rows, _ in parts])
    assert np.sort(positions).tolist() == list(range(len(table)))
    for task in ("magnitude", "azimuth"):
        columns = probability_columns(task)
        for name in parts[0][1]:
            probs = np.empty((len(table), len(columns)))
            probs[positions] = pd.concat([tables[name] for _, tables in parts])[columns]
            whole = Forecasts(truth, groups={name: "no_signal"})
            whole.add_rows((task, name), probs, np.arange(len(table)))
            direct = whole.sums(task, name)
            assert np.array_equal(forecasts.sums(task, name).cm, direct.cm)
            for kind, values in forecasts.sums(task, name).sums.items():
                assert values == pytest.approx(direct.sums[kind]), kind


def test_an_extra_forecast_is_shown_but_never_a_candidate() -> None:
    table = build_table()
    perfect = pd.DataFrame(
        np.eye(2)[(table["y_magnitude"] != "Normal").astype(int)],
        columns=probability_columns("detection"),
        index=pd.Index(table["sample_id"]),
    )
    forecasts = score_forecasts(table, find_truth(table), BaselineData(extra={"ratio": perfect.sample(frac=1)}))
    assert forecasts.groups["ratio"] == "classical"
    assert np.trace(forecasts.sums("detection", "ratio").total().cm) == len(table)
    assert "ratio" in forecasts.names("detection")
    assert "ratio" not in forecasts.names("azimuth")
    names = {"all_normal", "majority", "base_rates", "station", "station_balanced"}
    assert set(forecasts.candidates("detection")) == names
    assert ORACLE not in forecasts.candidates("magnitude")


def test_baselines_for_mainshocks_are_fitted_without_the_aftershocks_of_the_training_set() -> None:
    table = build_table()
    samples = pd.DataFrame(
        {
            "sample_id": table["sample_id"],
            "magnitude_class": table["y_magnitude"],
            "is_mainshock": table["event_id"].isin(["event_1"]),
        }
    )
    split = pd.DataFrame({"sample_id": table["sample_id"], "fold": 1, "role": "train"})
    split.loc[:3, "role"] = "test"  # event_0: not of training, so not touched
    kept = BaselineData(samples, split).of_mainshocks().split
    events = set(table.loc[table["sample_id"].isin(kept["sample_id"]), "event_id"].dropna())
    assert events == {"event_0", "event_1"}
    assert len(kept) == 4 + 4 + 48
    assert BaselineData(samples, None).of_mainshocks().split is None
