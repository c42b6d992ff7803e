"""Temperature and prior are found where they were put in, from validation rows alone."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from fixtures.prediction_table import as_validation, build_table
from seismag.config import EvaluateConfig
from seismag.domain import MAGNITUDE_CLASSES
from seismag.scoring import metrics as m
from seismag.scoring.calibration import Calibration, calibrate_folds, fit_calibration
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.predictions import probability_columns, task_probabilities

pytestmark = pytest.mark.usefixtures("counting_rules_only")  # these tests do not test logistic baselines


def calibrated_truth(n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Scores of three classes, and truth drawn with exactly these probabilities."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, (n, 3))
    truth = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return scores, truth


def test_a_temperature_that_was_put_in_is_found() -> None:
    scores, truth = calibrated_truth(20_000)
    found = fit_calibration(softmax(scores * 2.5, axis=1), truth, with_shift=False)
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    assert found.shift.tolist() == [0, 0, 0]


def test_temperature_and_prior_that_were_put_in_are_found() -> None:
    scores, truth = calibrated_truth(20_000)
    prior = np.array([1.0, -0.2, -0.8])
    probs = softmax((scores - prior) * 0.6, axis=1)
    found = fit_calibration(probs, truth, with_shift=True)
    assert found.temperature == pytest.approx(0.6, rel=0.05)
    assert found.shift == pytest.approx(prior, abs=0.08)
    tables = (probs, found.apply(probs), softmax(scores, axis=1))
    before, after, best = (m.row_log_scores(table, truth).mean() for table in tables)
    assert after == pytest.approx(best, abs=0.001)
    assert after > before + 0.05


def test_neutral_calibration_changes_nothing() -> None:
    probs = softmax(calibrated_truth(50)[0], axis=1)
    assert Calibration(1.0, np.zeros(3)).apply(probs) == pytest.approx(probs)


def test_one_window_or_an_absent_class_drives_nothing_to_infinity() -> None:
    sure = np.array([[0.98, 0.01, 0.01]])
    for truth in (0, 2):
        found = fit_calibration(sure, np.array([truth]), with_shift=True)
        assert 0.2 < found.temperature < 5
        assert np.abs(found.shift).max() < 2
    absent = fit_calibration(np.full((500, 3), 1 / 3), np.arange(500) % 2, with_shift=True)
    assert np.isfinite(absent.apply(sure)).all()
    assert -8 < absent.shift[2] < -2


def test_calibration_is_fitted_fold_by_fold_on_validation_alone() -> None:
    table = pd.concat([build_table(seed=fold).assign(fold=fold) for fold in (1, 2)], ignore_index=True)
    validation = pd.concat([build_table(seed=10 + fold, hit=0.1 * fold).assign(fold=fold) for fold in (1, 2)])
    found, fitted = calibrate_folds("magnitude", table, validation)
    assert [entry.fold for entry in fitted] == [1, 2]
    assert fitted[0].temperature != fitted[1].temperature
    for place, fold in enumerate((1, 2)):
        beside = validation[validation["fold"] == fold]
        truth = pd.Index(MAGNITUDE_CLASSES).get_indexer(beside["y_magnitude"])
        direct = fit_calibration(task_probabilities(beside, "magnitude"), truth, with_shift=True)
        assert found[place]["temperature_and_prior"].temperature == direct.temperature
        assert np.array_equal(found[place]["temperature_and_prior"].shift, direct.shift)


def test_a_model_for_equal_classes_pays_in_log_score_until_it_is_calibrated() -> None:
    """Probabilities of the truth times class weights, as training with balanced weights gives them."""
    weights = np.array([1.0, 6.0, 6.0, 6.0])

    def weighted(seed: int) -> pd.DataFrame:
        table = build_table(n_events=15, n_blocks=90, hit=0.0, seed=seed)
        rng = np.random.default_rng(seed)
        truth = (table["y_magnitude"] != "Normal").to_numpy()
        p_event = 1 / (1 + np.exp(-rng.normal(2 * (2 * truth - 1) * 0.5 - 1.8, 1)))
        probs = np.column_stack([1 - p_event, *[p_event / 3] * 3]) * weights
        table[probability_columns("magnitude")] = probs / probs.sum(axis=1, keepdims=True)
        return table

    both = pd.concat([weighted(1), as_validation(weighted(2))])
    result = evaluate_predictions(both, config=EvaluateConfig(bootstrap=200)).to_json()
    calibration = result["detection"]["calibration"]
    assert calibration["reason"] is None
    assert calibration["gain"]["temperature_and_prior"]["low"] > 0
    before, after = (calibration["log_score"][name]["value"] for name in ("before", "temperature_and_prior"))
    assert after - before == pytest.approx(calibration["gain"]["temperature_and_prior"]["value"])
    assert result["detection"]["log_score"]["value"] == pytest.approx(before)
    skill = result["detection"]["skill_above_best_baseline"]["log_score"]
    assert calibration["skill_above_best_baseline"]["before"]["value"] == pytest.approx(skill["value"])
    assert calibration["skill_above_best_baseline"]["before"]["low"] == pytest.approx(skill["low"])  # same draws
    ece = [part["ece"]["value"] for part in (result["detection"]["reliability"], calibration["reliability"])]
    assert ece[1] < ece[0] / 2


def test_without_validation_rows_nothing_is_calibrated_and_there_is_a_reason() -> None:
    result = evaluate_predictions(build_table(), config=EvaluateConfig(bootstrap=100)).to_json()
    assert result["detection"]["calibration"] == {
        "reason": "No validation rows (role val) in fold 1: nothing could be calibrated."
    }
    assert result["detection"]["conformal"] is None
