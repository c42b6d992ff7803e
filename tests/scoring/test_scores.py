"""The content of metrics.json: keys, limits, intervals, skill, and sentences where scores are undefined."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    roc_auc_score,
)

from fixtures.prediction_table import as_validation, build_table
from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.scoring.baselines import ORACLE
from seismag.scoring.baselines.frequencies import BASE_RATES, COUNTING_BASELINES, base_rates
from seismag.scoring.clusters import Sums
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.estimates import Scored
from seismag.scoring.predictions import TASK_CLASSES, probability_columns
from seismag.scoring.text import format_summary

pytestmark = pytest.mark.usefixtures("counting_rules_only")  # these tests do not test logistic baselines

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
CONFIG = EvaluateConfig(bootstrap=300, confidence=0.95, seed=1)


def evaluate(
    table: pd.DataFrame,
    samples: pd.DataFrame | None = None,
    split: pd.DataFrame | None = None,
    config: EvaluateConfig = CONFIG,
) -> dict[str, Any]:
    return evaluate_predictions(table, samples, split, config).to_json()


def with_probabilities(table: pd.DataFrame, magnitude: np.ndarray, azimuth: np.ndarray) -> pd.DataFrame:
    columns = {f"p_magnitude_{name}": magnitude[:, i] for i, name in enumerate(MAGNITUDE_CLASSES)}
    columns |= {f"p_azimuth_{name}": azimuth[:, i] for i, name in enumerate(AZIMUTH_CLASSES)}
    return table.assign(**columns)


def truth_one_hot(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    magnitude = np.eye(4)[pd.Index(MAGNITUDE_CLASSES).get_indexer(table["y_magnitude"])]
    azimuth = np.eye(9)[pd.Index(AZIMUTH_CLASSES).get_indexer(table["y_azimuth"])]
    return magnitude, azimuth


def samples_and_split(table: pd.DataFrame, train: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = pd.concat([table.assign(role="test"), train.assign(role="train", sample_id="t" + train["sample_id"])])
    samples = rows.rename(columns={"y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class"})
    samples.attrs["dataset_id"] = "abc123"
    return samples, rows[["sample_id", "fold", "role", "split_group"]]


def test_scores_agree_with_scikit_learn() -> None:
    table = build_table(hit=0.1)
    result = evaluate(table)
    for task, classes, y in (
        ("magnitude", MAGNITUDE_CLASSES, table["y_magnitude"]),
        ("azimuth", AZIMUTH_CLASSES, table["y_azimuth"]),
    ):
        probs = table[[f"p_{task}_{name}" for name in classes]].to_numpy()
        predicted = np.array(classes)[probs.argmax(axis=1)]
        got = result[task]
        assert got["classes"] == list(classes)
        assert got["accuracy"]["value"] == pytest.approx(np.mean(predicted == y))
        assert got["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(y, predicted))
        assert got["macro_f1"]["value"] == pytest.approx(f1_score(y, predicted, average="macro"))
        assert got["mcc"]["value"] == pytest.approx(matthews_corrcoef(y, predicted))
        assert got["confusion"] == confusion_matrix(y, predicted, labels=list(classes)).tolist()
        assert sum(got["prevalence"].values()) == pytest.approx(1)
        for score in SCORES:
            assert (got[score]["n"], got[score]["n_clusters"]) == (96, 24)
            if score in ("accuracy", "mcc"):
                assert got[score]["low"] <= got[score]["value"] <= got[score]["high"]
            else:  # each class of an event is in four clusters, or in fewer
                assert got[score]["low"] is got[score]["high"] is None


def test_keys_that_others_rely_on_are_there() -> None:
    result = evaluate(build_table())
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["run_id"] == "run_a"
    assert result["role"] == "test"
    assert (result["n"], result["n_events"]) == (96, 12)
    assert result["intervals"]["strata"] == ["event clusters", "control blocks"]
    assert result["baselines_fitted"] == "out of fold within the table"
    for task in TASK_CLASSES:
        expected = {*COUNTING_BASELINES, BASE_RATES} - ({ORACLE} if task == "detection" else set())
        assert set(result[task]["baselines"]) == expected
        for baseline in result[task]["baselines"].values():
            assert {*SCORES, "log_score"} <= set(baseline)
        for score in ("balanced_accuracy", "log_score"):
            assert {"value", "low", "high", "baseline"} <= set(result[task]["skill_above_best_baseline"][score])
        for entry in result[task]["per_class"].values():
            assert {"recall", "precision", "f1", "n"} <= set(entry)


def test_intervals_depend_on_no_random_number() -> None:
    table = build_table()
    assert evaluate(table) == evaluate(table)
    other = EvaluateConfig(bootstrap=300, confidence=0.95, seed=2)
    first, second = (evaluate(table, config=c)["magnitude"]["mcc"] for c in (CONFIG, other))
    assert first == second


def test_row_order_does_not_matter() -> None:
    table = build_table()
    shuffled = table.sample(frac=1, random_state=0)
    first, second = evaluate(table), evaluate(shuffled)
    assert first["azimuth"]["confusion"] == second["azimuth"]["confusion"]
    assert first["azimuth"]["mcc"] == second["azimuth"]["mcc"]


def test_all_correct_leaves_what_as_many_groups_without_an_error_leave() -> None:
    table = build_table(n_events=80, n_blocks=12)
    result = evaluate(with_probabilities(table, *truth_one_hot(table)))
    low = 0.025 ** (1 / 12)  # Clopper and Pearson's lower limit of 12 of 12
    for task in TASK_CLASSES:
        for score in SCORES:
            entry = result[task][score]
            expected = 2 * low - 1 if score == "mcc" else low
            assert [entry["value"], entry["low"], entry["high"]] == pytest.approx([1, expected, 1])
        assert result[task]["log_score"]["value"] == 0
        assert result[task]["skill_above_best_baseline"]["balanced_accuracy"]["low"] > 0


def test_a_constant_model_has_zero_skill_and_a_balanced_accuracy_without_spread() -> None:
    table = build_table(n_events=80, n_blocks=80)
    n = len(table)
    constant = with_probabilities(table, np.tile(np.eye(4)[0], (n, 1)), np.tile(np.eye(9)[0], (n, 1)))
    result = evaluate(constant)
    for task, k in (("magnitude", 4), ("azimuth", 9), ("detection", 2)):
        entry = result[task]["balanced_accuracy"]
        assert [entry["value"], entry["low"], entry["high"]] == pytest.approx([1 / k] * 3)
        assert result[task]["mcc"]["value"] == 0
        skill = result[task]["skill_above_best_baseline"]["balanced_accuracy"]
        assert skill["value"] <= 1e-12
        assert result[task]["baselines"]["all_normal"]["accuracy"] == pytest.approx(0.5)


def test_the_oracle_is_never_the_best_baseline() -> None:
    result = evaluate(build_table())
    baselines = result["magnitude"]["baselines"]
    assert baselines[ORACLE]["accuracy"] == max(entry["accuracy"] for entry in baselines.values())
    assert baselines[ORACLE]["uses_truth"]
    for score in ("balanced_accuracy", "log_score"):
        assert result["magnitude"]["skill_above_best_baseline"][score]["baseline"] != ORACLE


def test_baselines_are_fitted_on_the_training_set_where_a_split_is_given() -> None:
    table = build_table()
    train = build_table(n_events=3, n_blocks=20, seed=5)
    samples, split = samples_and_split(table, train)
    result = evaluate(table, samples, split)
    assert result["baselines_fitted"] == "training set of the split"
    assert result["dataset_id"] == "abc123"
    # training: 80 Normal and 4 each of Moderate, Medium, Large, 92 rows; test: 48 Normal, 16 of each
    expected = (48 * np.log(81 / 96) + 48 * np.log(5 / 96)) / 96
    assert result["magnitude"]["baselines"]["majority"]["log_score"] == pytest.approx(expected)


def test_the_origin_of_the_evaluated_windows_is_given_where_it_is_known() -> None:
    table = build_table()
    assert evaluate(table)["data_origin"] is None
    assert "data:" not in format_summary(evaluate(table))
    mixed = table.assign(origin=["simulated"] + ["observed"] * (len(table) - 1))
    result = evaluate(mixed)
    assert result["data_origin"] == ["observed", "simulated"]
    assert "data: observed and simulated (signals were injected" in format_summary(result)
    with_training = pd.concat([table.assign(origin="observed"), mixed.iloc[:1].assign(role="train")])
    assert evaluate(with_training)["data_origin"] == ["observed"]


def test_each_fold_is_compared_with_its_own_training() -> None:
    first, second = build_table(), build_table(seed=1)
    second = second.assign(sample_id="u" + second["sample_id"], fold=2, run_id="run_b")
    samples, split_1 = samples_and_split(first, build_table(n_events=0, n_blocks=5, seed=5))
    samples_2, split_2 = samples_and_split(second, build_table(n_events=6, n_blocks=0, seed=6).assign(station="XXX"))
    samples_2["sample_id"] = samples_2["sample_id"].str.replace("^t", "v", regex=True)
    split_2["sample_id"] = split_2["sample_id"].str.replace("^t", "v", regex=True)
    split = pd.concat([split_1, split_2.assign(fold=2)])
    samples = pd.concat([samples, samples_2])
    result = evaluate(pd.concat([first, second]), samples, split)
    assert result["run_id"] is None
    assert result["run_ids"] == ["run_a", "run_b"]
    assert result["folds"] == [1, 2]
    # fold 1 trains on Normal only, fold 2 on events only: majority is right on the Normal half, then on the others
    assert result["detection"]["baselines"]["majority"]["accuracy"] == pytest.approx(0.5)
    assert np.array(result["detection"]["confusion"]).sum() == 192
    with pytest.raises(DataError, match="fold 2 of the predictions is not in it"):
        evaluate(pd.concat([first, second]), samples, split_1)
    with pytest.raises(DataError, match="without the samples"):
        evaluate(first, split=split_1)


def limits_in(document: Any) -> list[tuple[float | None, float | None]]:
    """Ends of all intervals, and p-values twice, at any depth of a document; reliability counts groups in all."""
    if isinstance(document, list):
        return [pair for entry in document for pair in limits_in(entry)]
    if not isinstance(document, dict):
        return []
    own = [(document["low"], document["high"])] if {"value", "low"} <= set(document) else []
    own += [(document["p_value"], document["p_value"])] if "p_value" in document else []
    own += [tuple(pair) for pair in document.get("intervals", {}).values()] if "uses_truth" in document else []
    return own + [pair for key, entry in document.items() if key != "reliability" for pair in limits_in(entry)]


def test_no_interval_and_no_p_where_there_are_fewer_than_ten_clusters_everywhere_alike() -> None:
    for n_events, n_blocks in ((1, 0), (1, 1), (1, 30), (0, 1), (9, 30), (60, 9)):
        result = evaluate(build_table(n_events=n_events, n_blocks=n_blocks))
        for score in ("accuracy", "log_score"):
            assert result["magnitude"][score]["value"] is not None
        without_classes = {task: {**result[task], "per_class": {}} for task in TASK_CLASSES}
        found = limits_in([without_classes, result["tables"]])
        assert len(found) > 40
        assert set(found) == {(None, None)}
        reason = f"inconclusive ({n_events} event clusters, {n_blocks} control blocks; at least 10 of each are needed)"
        assert f"No interval can be given: {reason}." in result["warnings"]
        assert {entry["note"] for entry in result["detection"]["skill_above_best_baseline"].values()} == {reason}
        json.dumps(result, allow_nan=False)
        assert "No interval can be given" in format_summary(result)
        assert "better" not in format_summary(result)


def test_one_class_leaves_scores_undefined_rather_than_zero() -> None:
    result = evaluate(build_table(n_events=0))
    for task in TASK_CLASSES:
        for score in ("balanced_accuracy", "macro_f1", "mcc"):
            assert result[task][score]["value"] is None
        assert result[task]["skill_above_best_baseline"]["balanced_accuracy"]["value"] is None
        assert result[task]["accuracy"]["value"] is not None
        assert result[task]["baselines"]["station"]["mcc"] is None
        assert any(s.startswith(f"{task}: the truth is Normal in every window") for s in result["warnings"])
    assert result["magnitude"]["per_class"]["Large"]["recall"]["value"] is None
    json.dumps(result, allow_nan=False)
    assert "undefined" in format_summary(result)


def test_absent_and_thin_classes_and_few_groups_are_warned_of() -> None:
    result = evaluate(build_table(n_events=2, n_blocks=3))
    text = " ".join(result["warnings"])
    assert "No interval can be given: inconclusive (2 event clusters, 3 control blocks; at least 10 of each" in text
    assert "magnitude: no window of Large" in text
    assert "Moderate (1), Medium (1)" in text
    entry = result["magnitude"]["per_class"]["Moderate"]
    assert entry["recall"]["value"] is not None
    assert entry["recall"]["low"] is None
    assert "differences in balanced accuracy have none either" in text
    table = build_table(n_events=120, n_blocks=20)
    quiet = evaluate(table.assign(is_mainshock=table["event_id"].notna()))
    assert quiet["warnings"] == []


def test_validation_rows_and_disagreeing_truths_are_warned_of() -> None:
    table = build_table().assign(role="val")
    table.loc[0, "y_azimuth"] = "Normal"
    result = evaluate(table)
    assert result["role"] == "val"
    assert any("they have served to choose the epoch" in sentence for sentence in result["warnings"])
    assert any("1 windows are Normal by magnitude but not by azimuth" in sentence for sentence in result["warnings"])


def test_intervals_shrink_with_groups_not_with_rows() -> None:
    """Copies of the rows of a group are no new events."""

    def width(table: pd.DataFrame) -> float:
        entry = evaluate(table)["magnitude"]["balanced_accuracy"]
        return float(entry["high"] - entry["low"])

    few = build_table(n_events=30, n_blocks=30, hit=0.1)
    copies = pd.concat([few.assign(sample_id=few["sample_id"] + f"_{i}") for i in range(9)])
    assert width(copies) == pytest.approx(width(few), rel=1e-3)
    many = pd.concat(
        [few.assign(sample_id=few["sample_id"] + f"_{i}", split_group=few["split_group"] + f"_{i}") for i in range(9)]
    )
    assert width(many) == pytest.approx(width(few) / 3, rel=0.25)


def test_interval_of_the_balanced_accuracy_covers_the_truth() -> None:
    """30 event groups and 30 Normal blocks of 6 rows, right with a probability drawn for each group.

    Detection is right with mean probability 0.6 (Beta(3, 2)) for events and 0.75 (Beta(6, 2)) for
    Normal, so balanced accuracy is 0.675.
    """
    rng = np.random.default_rng(5)
    event = np.arange(60) < 30
    trials, covered = 400, 0
    for _ in range(trials):
        right = rng.binomial(6, np.where(event, rng.beta(3, 2, 60), rng.beta(6, 2, 60)))
        cm = np.zeros((60, 2, 2))
        cm[np.arange(60), event.astype(int), event.astype(int)] = right
        cm[np.arange(60), event.astype(int), 1 - event] = 6 - right
        sums = Sums(cm, {"log": np.zeros(60)})
        interval = Scored.of(sums, event).estimate("balanced_accuracy", 0.9)
        covered += interval.low <= 0.675 <= interval.high
    assert 0.865 <= covered / trials <= 0.945  # 0.90 expected, standard error 0.015


def test_ten_clusters_and_blocks_have_intervals_without_random_numbers() -> None:
    result = evaluate(build_table(n_events=10, n_blocks=10))
    for score in ("accuracy", "mcc", "log_score", "brier"):
        entry = result["detection"][score]
        assert entry["low"] < entry["value"] < entry["high"]
    skill = result["detection"]["skill_above_best_baseline"]["log_score"]
    assert (skill["note"], skill["classes"]) == (None, None)
    assert 0 < skill["p_value"] < 1


def test_one_window_of_an_absent_class_moves_macro_f1_but_does_not_blow_up_its_interval() -> None:
    """Without the group of that window the class keeps its F1 of 0, as an absent class keeps its recall."""
    table = build_table(n_events=40, n_blocks=40, hit=0.6)
    table["y_magnitude"] = np.where(table["y_magnitude"] == "Normal", "Normal", "Moderate")
    names = [f"p_magnitude_{name}" for name in MAGNITUDE_CLASSES]
    table[names] = table[names].to_numpy() * [1, 1, 1e-9, 1e-9]
    table[names] = table[names].div(table[names].sum(axis=1), axis=0)
    before = evaluate(table)["magnitude"]["macro_f1"]
    table.loc[table.index[0], names] = [0.1, 0.1, 0.1, 0.7]
    after = evaluate(table)["magnitude"]["macro_f1"]
    predicted = np.array(MAGNITUDE_CLASSES)[most_likely(table)]
    assert after["value"] == pytest.approx(f1_score(table["y_magnitude"], predicted, average="macro"), abs=1e-12)
    assert after["value"] == pytest.approx(before["value"] * 2 / 3, abs=0.01)
    assert after["low"] < after["value"] < after["high"]
    assert after["high"] - after["low"] < before["high"] - before["low"]


def test_a_perfect_forecast_of_few_groups_has_a_wide_interval_of_skill() -> None:
    """12 + 12 groups without a failure: up to 1 - 0.025^(1/12) of them could fail."""
    cm = np.zeros((24, 2, 2))
    event = np.arange(24) < 12
    cm[np.arange(24), event.astype(int), event.astype(int)] = 5
    constant = np.zeros((24, 2, 2))
    constant[np.arange(24), event.astype(int), 0] = 5
    noise = 1e-8 * np.random.default_rng(1).normal(size=24)  # sums by group are in single precision
    model = Scored.of(Sums(cm, {"log": np.log(0.9) * 5 + noise}), event)
    baseline = Scored.of(Sums(constant, {"log": np.full(24, np.log(0.5) * 5)}), event)
    value, left_out = model.minus(baseline, "balanced_accuracy")
    reach = 1 - 0.025 ** (1 / 12)
    own, difference = model.estimate("balanced_accuracy", 0.95), left_out.interval(float(value), 0.95)
    assert (own.value, own.low, own.high) == (1.0, pytest.approx(1 - reach), 1.0)
    assert difference == (pytest.approx(0.5 - reach), pytest.approx(0.5 + reach))
    assert left_out.p_value(0.5) == pytest.approx(0.5**12)
    assert left_out.p_value(reach) == pytest.approx(0.025)  # where the interval would end at 0
    assert left_out.two_sided_p_value(-0.5) == pytest.approx(2 * 0.5**12)
    value, left_out = model.minus(baseline, "log_score")
    assert value == pytest.approx(np.log(0.9 / 0.5))
    assert np.isnan(left_out.interval(float(value), 0.95)).all()  # a score without limits has no such reach
    assert np.isnan(left_out.p_value(float(value)))


def test_a_class_in_few_clusters_takes_no_part_in_skill_and_this_is_stated() -> None:
    table = build_table(n_events=40, n_blocks=40)
    large = table["split_group"].isin(["cluster_2", "cluster_5"])
    medium = (table["y_magnitude"] == "Large") & ~large
    table.loc[medium, "y_magnitude"] = "Medium"
    result = evaluate(table)["magnitude"]
    assert result["balanced_accuracy"]["value"] == pytest.approx(
        balanced_accuracy_score(table["y_magnitude"], np.array(MAGNITUDE_CLASSES)[most_likely(table)])
    )
    assert result["balanced_accuracy"]["low"] is None
    skill = result["skill_above_best_baseline"]["balanced_accuracy"]
    assert skill["classes"] == ["Normal", "Moderate", "Medium"]
    recall = [result["per_class"][name]["recall"]["value"] for name in skill["classes"]]
    confusion = np.array(result["baselines"][skill["baseline"]]["balanced_accuracy"])
    assert skill["value"] < np.mean(recall) < 1
    assert confusion <= 1
    assert skill["note"] is None
    assert (
        "magnitude: classes in fewer than 10 groups: Large (2). Their recall, balanced accuracy and macro-F1 have no "
        "interval; differences in balanced accuracy are over Normal, Moderate, Medium."
    ) in evaluate(table)["warnings"]
    assert result["mcc"]["low"] is not None


def most_likely(table: pd.DataFrame) -> np.ndarray:
    return table[[f"p_magnitude_{name}" for name in MAGNITUDE_CLASSES]].to_numpy().argmax(axis=1)


def test_summary_begins_with_skill_and_never_shows_accuracy_alone() -> None:
    result: dict[str, Any] = evaluate(build_table(n_events=80))
    lines = format_summary(result).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("magnitude"))
    labels = [line.partition("  ")[0] for line in lines[start : start + 7]]
    assert labels[1:5] == ["Δ balanced accuracy", "Δ log score, nat", "balanced accuracy", "MCC"]
    assert "better" in lines[start + 1]
    for line in lines:
        if line.startswith("accuracy"):
            assert re.search(r"  \w+ 0\.\d+$", line)  # of the best baseline
    assert all(len(line) <= 80 for line in lines)


def with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Every third event an aftershock; azimuths 10 degrees clockwise of the sectors' centres."""
    sector = pd.Index(AZIMUTH_CLASSES).get_indexer(table["y_azimuth"])
    number = table["event_id"].str.extract(r"(\d+)")[0].astype(float)
    return table.assign(
        is_mainshock=number.notna() & (number % 3 != 0),
        is_aftershock=number.notna() & (number % 3 == 0),
        azimuth_deg=np.where(sector > 0, (45.0 * (sector - 1) + 10) % 360, np.nan),
    )


def test_the_headline_evaluates_mainshocks_and_normal_windows_only() -> None:
    table = with_labels(build_table(n_events=36, n_blocks=12))
    result = evaluate(table)
    kept = table[table["is_mainshock"] | (table["y_magnitude"] == "Normal")]
    alone = evaluate(kept)
    assert (result["events"], result["n"], result["n_events"]) == ("mainshocks", 4 * 36, 24)
    for task in TASK_CLASSES:
        assert result[task] == alone[task]
    whole = evaluate(table, config=CONFIG.model_copy(update={"events": "all"}))
    assert (whole["events"], whole["n"], whole["all_events"]) == ("all", 4 * 48, None)
    short = result["all_events"]
    assert (short["n"], short["n_events"], short["n_event_groups"]) == (192, 36, 36)
    for task in TASK_CLASSES:
        assert all(short[task][key] == whole[task][key] for key in short[task])
        assert {"balanced_accuracy", "skill_above_best_baseline", "per_class"} <= set(short[task])


def test_samples_say_which_events_are_mainshocks() -> None:
    table = build_table(n_events=36, n_blocks=12)
    samples = with_labels(table)[["sample_id", "is_mainshock", "is_aftershock"]].sample(frac=1, random_state=1)
    assert evaluate(table, samples)["n_events"] == 24


def test_a_table_without_mainshocks_is_evaluated_as_a_whole_with_a_warning() -> None:
    result = evaluate(build_table())
    assert result["events"] == "all"
    assert result["all_events"] is None
    assert any("Which events are mainshocks is not known" in sentence for sentence in result["warnings"])
    of_all = evaluate(build_table(), config=CONFIG.model_copy(update={"events": "all"}))
    assert not any("mainshocks" in sentence for sentence in of_all["warnings"])


def test_proper_scores_ranking_and_direction_agree_with_scikit_learn_and_by_hand() -> None:
    table = with_labels(build_table(hit=0.1)).assign(station="GTO", is_mainshock=True)
    result = evaluate(table)
    event = (table["y_magnitude"] != "Normal").to_numpy()
    p_event = 1 - table["p_magnitude_Normal"].to_numpy()
    detection = result["detection"]
    assert detection["brier"]["value"] == pytest.approx(brier_score_loss(event, p_event))
    assert detection["auc_within_station"]["value"] == pytest.approx(roc_auc_score(event, p_event))
    assert detection["log_score"]["value"] == pytest.approx(-log_loss(event, p_event))
    parts = detection["reliability"]["brier_parts"]
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bin"]
    assert total == pytest.approx(detection["brier"]["value"])
    observed, said = calibration_curve(event, p_event, n_bins=10, strategy="quantile")
    assert [entry["observed"] for entry in detection["reliability"]["bins"]] == pytest.approx(observed)
    assert [entry["mean_probability"] for entry in detection["reliability"]["bins"]] == pytest.approx(said)
    probs = table[[f"p_magnitude_{name}" for name in MAGNITUDE_CLASSES]].to_numpy()
    truth = pd.Index(MAGNITUDE_CLASSES).get_indexer(table["y_magnitude"])
    assert result["magnitude"]["brier"]["value"] == pytest.approx(brier_score_loss(truth, probs))
    below = probs.cumsum(axis=1)[:, :3] - (truth[:, None] <= np.arange(3))
    assert result["magnitude"]["rps"]["value"] == pytest.approx((below**2).sum(axis=1).mean())
    directions = table[[f"p_azimuth_{name}" for name in AZIMUTH_CLASSES[1:]]].to_numpy().argmax(axis=1)
    difference = np.abs(45.0 * directions - table["azimuth_deg"])[event]
    assert result["azimuth"]["mean_error_deg"]["value"] == pytest.approx(
        np.minimum(difference, 360 - difference).mean()
    )


def test_skill_is_positive_where_the_model_is_better_whichever_way_a_score_runs() -> None:
    good = evaluate(build_table(n_events=80, hit=0.8))
    bad = evaluate(build_table(n_events=80, hit=0.0))
    for task in TASK_CLASSES:
        for score, skill in good[task]["skill_above_best_baseline"].items():
            assert skill["low"] > 0, (task, score)
            assert skill["value"] > bad[task]["skill_above_best_baseline"][score]["value"]
    best = good["magnitude"]["skill_above_best_baseline"]["rps"]["baseline"]
    ratio = good["magnitude"]["rps"]["value"] / good["magnitude"]["baselines"][best]["rps"]
    assert good["magnitude"]["rps_skill"]["value"] == pytest.approx(1 - ratio)
    assert bad["magnitude"]["rps_skill"]["value"] < 0.05


def test_a_full_summary_has_at_most_60_lines_of_80_columns() -> None:
    table = with_labels(build_table(n_events=40, n_blocks=40))
    validation = with_labels(build_table(n_events=20, n_blocks=20, seed=4)).assign(origin="simulated")
    both = pd.concat([table.assign(origin="simulated"), as_validation(validation)])
    lines = format_summary(evaluate(both)).splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for words in (
        "RPS skill score",
        "chance 90",
        "station-stratified ROC",
        "calibration error (ECE; in brackets: by chance, and corrected for it)",
        " detection 0.",
        "calibrated 0.",
        "90 % conformal prediction sets: coverage by true class",
        "all events, 320",
    ):
        assert words in text
    assert [line.split()[0] if line else "" for line in lines].index("magnitude") < 8
    sets = " ".join(
        " ".join(lines[lines.index("90 % conformal prediction sets: coverage by true class") + 1 :]).split()
    )
    for task, document in ((task, evaluate(both)[task]["conformal"]) for task in TASK_CLASSES):
        part = sets[sets.index(f"{task}: ") :].partition("; mean size")[0]
        for name, entry in document["by_class"].items():
            in_every = name in document["always_contained"]
            assert (f"{name} {entry['coverage']['value'] or 0:.2f}" in part) == (not in_every and entry["n"] > 0)
            assert not in_every or f"{name}" in part.partition(" in every set")[0]


@pytest.mark.parametrize("kind", ["out of fold", "split"])
def test_a_constant_forecast_has_no_skill_over_frequencies_of_other_groups(kind: str) -> None:
    """The frequencies of the other folds are anticorrelated with the left-out fold, so a constant is better."""
    table = build_table(n_events=30, n_blocks=30)
    for task in ("magnitude", "azimuth"):
        normal = np.eye(len(TASK_CLASSES[task]))[0]
        table[probability_columns(task)] = 0.5 * normal + 0.5 * (1 - normal) / (len(normal) - 1)
    samples = split = None
    if kind == "split":
        samples = table.rename(columns={"y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class"})
        table["fold"] = 1 + pd.factorize(table["split_group"])[0] % 5
        split = pd.concat(
            table[["sample_id", "split_group"]].assign(fold=k, role=np.where(table["fold"] == k, "test", "train"))
            for k in range(1, 6)
        )
    result = evaluate_predictions(table, samples, split, EvaluateConfig()).to_json()
    over_majority = []
    for task in TASK_CLASSES:
        over_majority.append(result[task]["log_score"]["value"] - result[task]["baselines"]["majority"]["log_score"])
        for score in ("log_score", "brier"):
            skill = result[task]["skill_above_best_baseline"][score]
            assert skill["value"] <= 0, (task, score)
            assert skill["high"] is None or skill["high"] >= 0, (task, score)  # None: a difference without variance
            assert skill["p_value"] is None or skill["p_value"] >= 0.5, (task, score)
    assert max(over_majority) > 0.01  # nat


def test_base_rates_are_the_best_constant_by_hand() -> None:
    frequencies = base_rates(np.array([0, 0, 0, 1]), 2)
    assert frequencies.tolist() == [[0.75, 0.25]] * 4
    log_score = (3 * np.log(0.75) + np.log(0.25)) / 4
    for p in np.linspace(0.01, 0.99, 99):
        assert (3 * np.log(p) + np.log(1 - p)) / 4 <= log_score + 1e-12
