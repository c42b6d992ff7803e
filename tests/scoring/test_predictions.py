"""Validation of tables of predictions, and its error messages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import as_validation, build_table
from seismag.audit.checks.skill import check_skill
from seismag.config import AuditConfig
from seismag.domain import DataError
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.predictions import (
    PREDICTION_COLUMNS,
    check_predictions,
    check_validation,
    evaluated_rows,
    read_predictions,
    task_probabilities,
    truth_index,
)
from seismag.scoring.text import format_summary


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_both_formats_give_the_same_table(tmp_path: Path, suffix: str) -> None:
    table = build_table()
    path = tmp_path / f"predictions{suffix}"
    table.to_parquet(path) if suffix == ".parquet" else table.to_csv(path, index=False)
    read = read_predictions(path)
    assert tuple(read.columns) == PREDICTION_COLUMNS
    assert read["sample_id"].tolist() == table["sample_id"].tolist()
    assert read["start_utc"].tolist() == table["start_utc"].tolist()
    assert read["event_id"].isna().tolist() == table["event_id"].isna().tolist()
    assert np.allclose(task_probabilities(read, "azimuth"), task_probabilities(table, "azimuth"))


def test_csv_keeps_identifiers_as_text_and_a_station_called_na(tmp_path: Path) -> None:
    table = build_table()
    table["station"] = "NA"
    table["sample_id"] = [f"{i:05d}" for i in range(len(table))]
    table["start_utc"] = table["start_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    table.to_csv(tmp_path / "p.csv", index=False)
    read = read_predictions(tmp_path / "p.csv")
    assert read["station"].unique().tolist() == ["NA"]
    assert read["sample_id"].iloc[7] == "00007"
    assert read["start_utc"].iloc[1] == pd.Timestamp("2021-03-01 06:00")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match=r"mine\.csv: columns missing: split_group, p_azimuth_SW"):
        check_predictions(build_table().drop(columns=["split_group", "p_azimuth_SW"]), "mine.csv")


def test_an_unknown_class_is_named_with_the_nearest_known() -> None:
    with pytest.raises(DataError, match=r"p_magnitude_Modrate names an unknown class Modrate.*did you mean Moderate"):
        check_predictions(build_table().rename(columns={"p_magnitude_Moderate": "p_magnitude_Modrate"}))
    table = build_table()
    table.loc[5, "y_azimuth"] = "NNE"
    with pytest.raises(DataError, match="y_azimuth in row 5 is the unknown class 'NNE'"):
        check_predictions(table)


def test_probabilities_off_one_are_named_by_row_and_sum() -> None:
    table = build_table()
    table.loc[3, "p_magnitude_Large"] += 0.0009
    check_predictions(table)
    table.loc[3, ["p_magnitude_Normal", "p_magnitude_Moderate", "p_magnitude_Medium", "p_magnitude_Large"]] = [
        0.4,
        0.4,
        0.1,
        0.05,
    ]
    with pytest.raises(DataError, match=r"magnitude in row 3 \(sample_id s0003\) sum to 0\.95, not 1"):
        check_predictions(table)


def test_logits_nan_and_text_are_refused() -> None:
    table = build_table()
    table.loc[2, "p_azimuth_N"] = np.nan
    with pytest.raises(DataError, match="p_azimuth_N is not a number in row 2"):
        check_predictions(table)
    table.loc[2, "p_azimuth_N"] = -3.5
    with pytest.raises(DataError, match=r"p_azimuth_N is -3\.5 in row 2"):
        check_predictions(table)
    words = build_table()
    words["p_azimuth_N"] = "high"
    with pytest.raises(DataError, match="a probability of azimuth is not a number"):
        check_predictions(words)


@pytest.mark.parametrize("fold", ["first", 1.5])
def test_a_fold_that_is_no_whole_number_is_named(fold: object) -> None:
    table = build_table()
    table["fold"] = table["fold"].astype(object)
    table.loc[2, "fold"] = fold
    with pytest.raises(DataError, match=r"fold in row 2 is .*not a whole number\. Number the folds from 1"):
        check_predictions(table)


def test_a_time_that_is_none_is_named_in_one_line(tmp_path: Path) -> None:
    build_table().assign(start_utc="yesterday").to_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"no ISO 8601 time \(.*yesterday.*\) Write for example") as refused:
        read_predictions(tmp_path / "p.parquet")
    assert "\n" not in str(refused.value)


def test_a_sample_twice_in_a_role_is_refused_but_not_in_two_folds() -> None:
    table = build_table()
    with pytest.raises(DataError, match="sample_id s0000 occurs twice in run run_a, fold 1, role test"):
        check_predictions(pd.concat([table, table.head(1)]))
    check_predictions(pd.concat([table, table.assign(fold=2)]))


def test_empty_tables_missing_groups_and_unknown_roles_are_refused() -> None:
    table = build_table()
    with pytest.raises(DataError, match="no rows"):
        check_predictions(table.head(0))
    with pytest.raises(DataError, match="split_group is missing in row 1"):
        check_predictions(table.assign(split_group=[table["split_group"][0], None, *table["split_group"][2:]]))
    with pytest.raises(DataError, match="unknown role 'holdout'"):
        check_predictions(table.assign(role="holdout"))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "absent.parquet")
    with pytest.raises(DataError, match=r"\.parquet or \.csv"):
        read_predictions(tmp_path / "predictions.xlsx")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"broken\.parquet: cannot be read \(ArrowInvalid"):
        read_predictions(broken)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty\.csv: cannot be read \(EmptyDataError"):
        read_predictions(tmp_path / "empty.csv")


def test_detection_is_normal_against_the_rest() -> None:
    table = build_table(n_events=1, n_blocks=1, rows_each=1)
    assert truth_index(table["y_magnitude"], table["y_azimuth"], "detection").tolist() == [1, 0]
    probs = task_probabilities(table, "detection")
    events = table[["p_magnitude_Moderate", "p_magnitude_Medium", "p_magnitude_Large"]].sum(axis=1)
    assert np.allclose(probs[:, 1], events)


def test_test_rows_are_evaluated_and_validation_rows_only_without_them() -> None:
    table = build_table()
    both = pd.concat([table, table.assign(role="val")])
    assert len(evaluated_rows(both)) == len(table)
    assert evaluated_rows(table.assign(role="val"))["role"].unique().tolist() == ["val"]
    with pytest.raises(DataError, match="Training rows are not evaluated"):
        evaluated_rows(table.assign(role="train"))
    with pytest.raises(DataError, match=r"s0000 occurs 2 times in role test \(run run_a fold 1, run run_b fold 1\)"):
        evaluated_rows(pd.concat([table, table.assign(run_id="run_b")]))


def dependent_validation(case: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validation rows of which the first depends on a test row, and the test rows."""
    table = build_table()
    validation = as_validation(table)
    first, last = validation.index[0], validation.index[-1]  # an event row and a Normal one
    match case:
        case "sample":
            validation.loc[first, "sample_id"] = table["sample_id"].iloc[5]
        case "window":
            validation.loc[first, ["station", "start_utc"]] = table[["station", "start_utc"]].iloc[5].tolist()
        case "shifted window":
            window = table[["station", "start_utc"]].iloc[5]
            validation.loc[first, "station"] = window["station"]
            validation.loc[first, "start_utc"] = window["start_utc"] + pd.Timedelta(minutes=1)
        case "earthquake":
            validation.loc[first, "event_id"] = table["event_id"].iloc[5]
        case "cluster":
            validation.loc[first, "split_group"] = table["split_group"].iloc[5]
        case "block":
            validation.loc[last, ["split_group", "station"]] = table[["split_group", "station"]].iloc[-1].tolist()
    return validation, table


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("sample", "validation row s0005 of fold 1 is a test row of it too"),
        ("window", r"vs0000 of fold 1 overlaps a test row at \w+ in time \(2021-03-02 06:00:00\)"),
        ("shifted window", r"vs0000 of fold 1 overlaps a test row at \w+ in time \(2021-03-02 06:01:00\) \(1 such"),
        ("earthquake", "vs0000 of fold 1 precedes the earthquake of a test row, event_1"),
        ("cluster", "vs0000 of fold 1 is of the cluster of a test row, cluster_1"),
        ("block", r"vs0095 of fold 1 is of the Normal block of a test row, block_23 at \w+ \(1 such rows\)"),
    ],
)
def test_a_validation_row_that_depends_on_a_test_row_is_refused_by_name(case: str, message: str) -> None:
    validation, table = dependent_validation(case)
    with pytest.raises(DataError, match=message):
        check_validation(validation, table)
    with pytest.raises(DataError, match="leave each window, earthquake and cluster in one set"):
        evaluate_predictions(pd.concat([table, validation]))


@pytest.mark.parametrize("case", ["sample", "window", "shifted window", "earthquake", "cluster", "block"])
def test_dependent_rows_of_other_folds_are_allowed(case: str) -> None:
    validation, table = dependent_validation(case)
    check_validation(validation.assign(fold=2), table)


def test_a_window_that_ends_where_a_test_row_begins_is_allowed() -> None:
    table = build_table().iloc[:2].assign(station="GTO", split_group=["a", "b"], event_id=["a", "b"])
    table["start_utc"] = pd.to_datetime(["2021-03-02 06:00", "2021-03-02 12:00"])
    other = as_validation(table).assign(split_group="c", event_id="c").iloc[:1]
    check_validation(other.assign(start_utc=pd.Timestamp("2021-03-02 00:00")), table)
    with pytest.raises(DataError, match="overlaps a test row at GTO"):
        check_validation(other.assign(start_utc=pd.Timestamp("2021-03-02 00:01")), table)


@pytest.mark.usefixtures("counting_rules_only")
@pytest.mark.parametrize("case", ["sample", "shifted window", "cluster"])
def test_a_table_that_declares_itself_naive_is_not_calibrated_and_shows_no_skill(case: str) -> None:
    validation, table = dependent_validation(case)
    both = pd.concat([table, validation]).assign(split_method="naive")
    metrics = evaluate_predictions(both).to_json()
    assert metrics["detection"]["calibration"]["reason"].startswith("No validation rows")
    assert metrics["detection"]["conformal"] is None
    plain = evaluate_predictions(table).to_json()
    assert " better " in format_summary(plain)
    assert " better " not in format_summary(metrics)
    assert " worse " not in format_summary(metrics)
    skill = check_skill("detection", evaluated_rows(both), metrics, 1, AuditConfig())
    assert skill.verdict == "inconclusive"
    assert "a naive split: the test fold chose the epoch" in skill.sentence


def test_independent_validation_rows_and_other_stations_of_a_block_are_allowed() -> None:
    table = build_table()
    validation = as_validation(table)
    check_validation(validation, table)
    check_validation(validation.iloc[:0], table)
    normal = validation["y_magnitude"] == "Normal"
    other = validation[normal].assign(split_group=table.loc[normal, "split_group"], station="KPG")
    check_validation(other, table)
