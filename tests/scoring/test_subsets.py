"""Scores of parts of the table: those of the part alone, with intervals only where groups carry them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from fixtures.prediction_table import build_table
from seismag.config import EvaluateConfig
from seismag.scoring.compute import evaluate_predictions

pytestmark = pytest.mark.usefixtures("counting_rules_only")  # these tests do not test logistic baselines

CONFIG = EvaluateConfig(bootstrap=200, seed=1)


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """Add magnitudes and distances by event."""
    event = table["event_id"].str.extract(r"(\d+)")[0].astype(float)
    return table.assign(
        magnitude=4.0 + (event % 6) / 2, distance_km=200.0 * (1 + event % 4),
        in_dobrovolsky=event.notna(), in_hattori=(event % 2 == 0) & event.notna(),
    )  # fmt: skip


def test_a_station_is_scored_as_if_it_were_alone() -> None:
    table = build_table(n_events=30, n_blocks=30, hit=0.2)
    result = evaluate_predictions(table, config=CONFIG).to_json()
    entries = {entry["subset"]: entry for entry in result["tables"]["by_station"]}
    assert list(entries) == ["ALR", "GTO", "TRT"]
    assert sum(entry["n"] for entry in entries.values()) == len(table)
    for station, entry in entries.items():
        part = table[table["station"] == station]
        alone = evaluate_predictions(part, config=CONFIG).to_json()
        for task in ("magnitude", "azimuth", "detection"):
            assert entry[task]["balanced_accuracy"]["value"] == pytest.approx(alone[task]["balanced_accuracy"]["value"])
        assert entry["detection"]["auc_within_station"]["value"] == pytest.approx(
            alone["detection"]["auc_within_station"]["value"]
        )
        assert (entry["n_events"], entry["n_event_groups"]) == (alone["n_events"], alone["n_event_groups"])
        limits = entry["detection"]["balanced_accuracy"]
        assert limits["low"] <= limits["value"] <= limits["high"]
        assert entry["note"] is None


def test_events_of_a_magnitude_stand_beside_all_normal_windows() -> None:
    table = labelled(build_table(n_events=72, n_blocks=12, hit=0.2))
    result = evaluate_predictions(table, config=CONFIG).to_json()
    entries = result["tables"]["by_magnitude"]
    assert [entry["subset"] for entry in entries] == [
        "M 4.0-4.5", "M 4.5-5.0", "M 5.0-5.5", "M 5.5-6.0", "M 6.0-6.5", "M 6.5-7.0",
    ]  # fmt: skip
    chosen = table[(table["magnitude"] == 4.5) | (table["y_magnitude"] == "Normal")]
    event = chosen["y_magnitude"] != "Normal"
    expected = balanced_accuracy_score(event, 1 - chosen["p_magnitude_Normal"] > 0.5)
    assert entries[1]["detection"]["balanced_accuracy"]["value"] == pytest.approx(expected)
    assert (entries[1]["n_event_groups"], entries[1]["n_normal_groups"]) == (12, 12)


def test_distance_rules_divide_the_events() -> None:
    table = labelled(build_table(n_events=40, n_blocks=12))
    entries = {e["subset"]: e for e in evaluate_predictions(table, config=CONFIG).to_json()["tables"]["by_distance"]}
    assert "beyond dobrovolsky" not in entries  # no event there
    assert entries["within hattori"]["n_events"] + entries["beyond hattori"]["n_events"] == 40
    assert entries["within 500 km"]["n_events"] == 20
    wide = evaluate_predictions(table, config=EvaluateConfig(bootstrap=100, distance_km=700.0)).to_json()
    assert {e["subset"]: e["n_events"] for e in wide["tables"]["by_distance"]}["within 700 km"] == 30


def test_below_ten_groups_there_is_a_note_and_no_interval() -> None:
    entry = evaluate_predictions(build_table(n_events=8), config=CONFIG).to_json()["tables"]["by_station"][0]
    assert entry["note"].endswith("at least 10 of each are needed).")
    assert entry["detection"]["balanced_accuracy"]["value"] is not None
    assert entry["detection"]["balanced_accuracy"]["low"] is None
    assert entry["detection"]["skill_balanced_accuracy"]["low"] is None


def test_what_the_columns_do_not_tell_is_said() -> None:
    tables = evaluate_predictions(build_table(), config=CONFIG).to_json()["tables"]
    assert tables["by_magnitude"] is None
    assert tables["by_distance"] is None
    assert tables["missing"][0].startswith("by_magnitude: the table has no magnitude of its events")


def test_skill_in_a_part_is_against_the_rule_that_is_best_on_the_whole() -> None:
    result = evaluate_predictions(build_table(n_events=30, n_blocks=30), config=CONFIG).to_json()
    best = result["detection"]["skill_above_best_baseline"]["log_score"]["baseline"]
    parts = [entry["detection"]["skill_log_score"] for entry in result["tables"]["by_station"]]
    assert {part["baseline"] for part in parts} == {best}
    n = [entry["n"] for entry in result["tables"]["by_station"]]
    whole = np.average([part["value"] for part in parts], weights=n)
    assert whole == pytest.approx(result["detection"]["skill_above_best_baseline"]["log_score"]["value"], abs=1e-6)
