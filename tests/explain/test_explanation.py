"""The study of an explanation on a small store whose signal is known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.explained_study import few_draws
from fixtures.finished_study import training_in
from seismag.config import EvaluateConfig, build_config
from seismag.domain import DataError, UsageError
from seismag.explain import subject as explained_windows
from seismag.explain.compute import explain_model
from seismag.explain.subject import (
    ExplanationPlan,
    open_subject,
    order_windows,
    require_explainable,
    run_folder_of,
)
from seismag.training.checkpoint import load_checkpoint
from seismag.training.run import run_training
from seismag.windows.store import open_store

SPEC = EvaluateConfig(bootstrap=100, confidence=0.95, seed=1)


@pytest.fixture(scope="module")
def run(store_path):
    config = build_config(
        {
            "split": {"n_folds": 3, "name": "small"},
            "model": {"backbone": "convnext_atto"},
            "train": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "run_name": "small"},
            "evaluate": {"bootstrap": 100},
        }
    )
    with training_in(store_path.parent), pytest.MonkeyPatch.context() as patch:
        patch.setattr("seismag.scoring.baselines.LOGISTIC_BASELINES", ())
        return run_training(config, store_path)


@pytest.fixture(scope="module")
def study(run, store_path):
    with few_draws():
        return explain_model(open_subject(run.path, store_path), ExplanationPlan(4, study_least=32), SPEC)


def test_the_band_that_shines_before_events_is_found(study):
    parts = {(part["band"], part["component"]): part for part in study.document["band_importance"]["parts"]}
    shines, silent = parts["above_pc3", "all"], parts["pc3", "all"]  # injected in rows 20 to 39, from 175 mHz on
    assert shines["detection"]["log_score"]["value"] > 0.1
    assert shines["detection"]["log_score"]["low"] is None  # fewer than ten clusters
    assert shines["detection"]["log_score"]["value"] > 3 * abs(silent["detection"]["log_score"]["value"])
    assert parts["all", "all"]["detection"]["balanced_accuracy"]["value"] > 0
    assert (shines["low_mhz"], shines["high_mhz"]) == (100.0, None)


def test_the_windows_are_those_that_the_training_has_not_seen(study, run, store_path):
    predictions = pd.read_parquet(run.predictions)
    test = set(predictions.loc[predictions["role"] == "test", "sample_id"])
    assert {window.facts["sample_id"] for window in study.windows} <= test
    assert study.document["n_unseen_windows"] == len(test)
    first = study.windows[0].facts
    assert first["predicted_magnitude"] in ("Normal", "Moderate", "Medium", "Large")
    for window in study.windows:
        facts, of_class = window.facts, window.facts["p_magnitude"]
        if facts["predicted_magnitude"] == "Normal":
            assert facts["p_event"] == pytest.approx(1 - of_class, abs=1e-5)
        else:
            assert facts["p_event"] > of_class - 1e-5
    assert 0 < first["p_azimuth"] <= 1
    assert study.windows[0].maps["magnitude"].shape == open_store(store_path).power.shape[2:]


def test_a_map_of_one_bin_is_inconclusive(study):
    verdicts = {result["name"]: result for result in study.document["sanity"]}
    assert set(verdicts) == {
        f"{test}_{task}"
        for test in ("random_weights", "random_labels", "deletion", "insertion")
        for task in ("magnitude", "azimuth")
    }
    assert study.document["feature_map"] == [1, 1]
    assert verdicts["random_weights_magnitude"]["verdict"] == "inconclusive"
    assert "too few to compare" in verdicts["random_weights_magnitude"]["sentence"]


def test_the_document_says_where_it_comes_from_and_is_json(study, run):
    document = json.loads(json.dumps(study.document, allow_nan=False))
    assert document["model_run_id"] == run.run_id
    assert document["dataset_id"] == "one"
    assert document["data_origin"] == ["simulated"]
    assert any("simulated" in warning for warning in document["warnings"])
    assert document["embeddings"]["source"].startswith("embeddings.npy")
    assert document["embeddings"]["probes"]["station"]["balanced_accuracy"] is None  # one station only


def test_a_model_without_skill_is_said_to_explain_noise(untrained_study):
    document = untrained_study.document
    assert not document["skill"]["magnitude"]["shown"]
    assert any("explain noise" in warning for warning in document["warnings"])
    assert document["embeddings"]["source"] == "predicted now"


def test_a_run_of_shuffled_labels_can_be_the_control(untrained, run, store_path):
    plan = ExplanationPlan(2, "gradcam++", untrained.path, study_least=8)
    with few_draws():
        document = explain_model(open_subject(run.path, store_path), plan, SPEC).document
    (result,) = [entry for entry in document["sanity"] if entry["name"] == "random_labels_azimuth"]
    assert untrained.run_id in result["details"]["control"]
    assert document["method"] == "gradcam++"


def test_the_model_is_no_control_of_itself(run, store_path):
    with pytest.raises(UsageError, match=r"is the model itself\. Name a run that was trained on shuffled labels"):
        explain_model(open_subject(run.path, store_path), ExplanationPlan(1, "gradcam", run.path, 4), SPEC)


def test_windows_come_from_different_clusters_and_all_classes_first() -> None:
    samples = pd.DataFrame(
        {
            "split_group": ["a"] * 3 + ["b"] * 3 + ["q1"] * 4 + ["q2"] * 2,
            "magnitude_class": ["Large"] * 3 + ["Medium"] * 3 + ["Normal"] * 6,
        }
    )
    for seed in range(5):
        order = order_windows(samples, np.random.default_rng(seed))
        assert sorted(order) == list(range(12))
        first = samples.iloc[order[:4]]
        assert first["split_group"].nunique() == 4
        assert first["magnitude_class"].tolist()[:3] == ["Normal", "Medium", "Large"]
    assert order_windows(samples, np.random.default_rng(1)).tolist() != order.tolist()


def test_a_run_folder_is_found_from_its_checkpoint(run, tmp_path) -> None:
    assert run_folder_of(run.best_model) == run.path == run_folder_of(run.path)
    assert run_folder_of(tmp_path / "model.pth") is None


def test_what_cannot_be_explained_is_named(run, store_path, monkeypatch) -> None:
    with pytest.raises(UsageError, match="--samples 0"):
        ExplanationPlan(0)
    with pytest.raises(UsageError, match=r"--method lime: unknown; choose gradcam or gradcam\+\+"):
        ExplanationPlan(1, "lime")  # type: ignore[arg-type]
    store, loaded = open_store(store_path), load_checkpoint(run.best_model)
    shifted = dataclasses.replace(store, frequency_hz=store.frequency_hz * 2)
    with pytest.raises(DataError, match=r"its axis frequency_hz .* is not that of the training"):
        require_explainable(loaded, shifted)
    attributes = {**store.attributes, "preprocessing": {"kind": "legacy_image"}}
    with pytest.raises(UsageError, match="no axes in time and frequency"):
        require_explainable(loaded, dataclasses.replace(store, attributes=attributes))
    monkeypatch.setattr(type(loaded.model), "feature_map", lambda _, x: x.mean(dim=(2, 3)))
    with pytest.raises(UsageError, match="no axes of time and frequency"):
        require_explainable(loaded, store)
    monkeypatch.undo()
    monkeypatch.setattr(explained_windows, "unseen_windows", lambda *_: (np.empty(0, dtype=int), None))
    with pytest.raises(DataError, match="no window is left"):
        open_subject(Path(run.path), store_path)
