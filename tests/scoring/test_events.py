"""Detection scores of a table with y and p_event alone: scikit-learn's values, cluster intervals, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fixtures.prediction_table import build_table
from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.events import evaluate_events

CONFIG = EvaluateConfig(bootstrap=200, seed=1)


def event_table(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    y = rng.random(n) < 0.3
    return pd.DataFrame({"y": y, "p_event": 1 / (1 + np.exp(-rng.normal(2.0 * y - 1.5, 1)))})


def test_the_area_agrees_with_scikit_learn_and_every_score_has_an_interval() -> None:
    table = event_table()
    result = evaluate_events(table, CONFIG)
    assert result.scores["roc_auc"].value == pytest.approx(roc_auc_score(table["y"], table["p_event"]))
    for score in result.scores.values():
        assert score.low < score.value < score.high
        assert (score.n, score.n_clusters) == (400, 400)
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["n_events"] == table["y"].sum()


def test_classes_numbers_and_booleans_give_the_same_scores() -> None:
    table = event_table()
    names = table.assign(y=np.where(table["y"], "Large", "Normal"))
    assert evaluate_events(table, CONFIG) == evaluate_events(table.assign(y=table["y"].astype(int)), CONFIG)
    assert evaluate_events(table, CONFIG) == evaluate_events(names, CONFIG)


@pytest.mark.usefixtures("counting_rules_only")
def test_groups_and_stations_give_the_detection_scores_of_a_full_table() -> None:
    full = build_table(n_events=20, n_blocks=20)
    table = full.assign(y=full["y_magnitude"], p_event=1 - full["p_magnitude_Normal"])
    result = evaluate_events(table[["y", "p_event", "split_group", "station"]], CONFIG).to_json()
    expected = evaluate_predictions(full, config=CONFIG).to_json()["detection"]
    for name in ("accuracy", "balanced_accuracy", "mcc", "log_score", "brier", "auc_within_station"):
        assert result["scores"][name] == pytest.approx(expected[name], rel=1e-6)  # metrics.json in single precision
    assert result["notes"] == []


def test_few_rows_and_missing_groups_are_noted() -> None:
    notes = evaluate_events(event_table(12), CONFIG).notes
    assert notes[0].startswith("No column split_group: each row is a group")
    assert "inconclusive (" in notes[1]
    alone = evaluate_events(pd.DataFrame({"y": [1, 1], "p_event": [0.2, 0.9]}).assign(split_group="a"), CONFIG)
    assert alone.scores["accuracy"].low is None
    assert alone.scores["roc_auc"].value is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_event": 1.2}, r"p_event is 1\.2 in row 0, not a probability"),
        ({"p_event": np.nan}, "p_event is missing in row 0"),
        ({"y": 2}, "y is 2 in row 0. Write 0 or 1"),
        ({"y": "Large"}, "but no Normal"),
        ({"split_group": None}, "split_group is missing in row 0"),
    ],
)
def test_bad_values_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_events(event_table().assign(**change), CONFIG)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match=r"no column p_event\. Columns: y"):
        evaluate_events(event_table()[["y"]], CONFIG)
    with pytest.raises(DataError, match="no rows"):
        evaluate_events(event_table().head(0), CONFIG)
