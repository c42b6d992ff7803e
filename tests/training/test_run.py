"""One run from store to judged predictions, on a small store with a signal that can be learned."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from fixtures.study_store import make_store, replace_samples
from fixtures.training_settings import fit_one_baseline, settings
from seismag.cards import ModelCard, read_card, write_card
from seismag.domain import DataError, UsageError
from seismag.runs import Run
from seismag.scoring.predictions import probability_columns
from seismag.scoring.reference import PredictionReference, place_prediction
from seismag.scoring.text import format_summary
from seismag.training import run as training_run
from seismag.training.checkpoint import LoadedModel, copy_checkpoint, load_checkpoint
from seismag.training.run import evaluate_model, evaluate_table_in_store, run_training, unseen_windows
from seismag.windows.store import open_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def store_path(folder):
    return make_store(folder / "store")


@pytest.fixture(scope="module")
def run(folder, store_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_training(settings(), store_path)


def test_a_run_learns_what_was_planted_and_says_by_how_much(run):
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert metrics["role"] == "test"
    assert metrics["detection"]["balanced_accuracy"]["value"] > 0.9
    skill = metrics["detection"]["skill_above_best_baseline"]["auc_within_station"]
    assert skill["value"] > 0.2
    assert skill["low"] is None
    assert skill["note"].startswith("inconclusive (")
    assert metrics["dataset_id"] == "one"
    assert metrics["alarms"]["references"]["uniform"]["area_skill"]["value"] > 0.9


def test_a_run_folder_holds_what_the_design_lists(run, store_path):
    names = {path.name for path in run.path.iterdir()}
    assert {
        "config.yaml", "provenance.json", "history.csv", "best_model.pth", "checkpoint_latest.pth", "metrics.json",
        "predictions.parquet", "embeddings.npy", "training_curves.png", "confusion_magnitude.png", "scores.png",
    } <= names  # fmt: skip
    assert run.config().data.store == str(store_path)
    assert run.provenance()["status"] == "complete"
    card = json.loads((run.path / "best_model.json").read_text())
    assert card["metrics"]["detection"]["balanced_accuracy"]["value"] > 0.9
    assert card["data_origin"] == ["simulated"]


def test_the_model_card_holds_the_controls_of_the_test_set_and_the_calibration(run, store_path):
    reference = PredictionReference.from_json(load_checkpoint(run.best_model).card.reference)
    table, metrics = pd.read_parquet(run.predictions), json.loads((run.path / "metrics.json").read_text())
    controls = table[(table["role"] == "test") & (table["y_magnitude"] == "Normal")]
    np.testing.assert_array_equal(reference.controls, np.sort(1 - controls["p_magnitude_Normal"]))
    assert reference.n_control_blocks == controls["split_group"].nunique()
    is_event = open_store(store_path).samples["magnitude_class"] != "Normal"
    assert reference.stations == {"GTO": (is_event.sum(), len(is_event))}
    (fold,) = metrics["detection"]["calibration"]["folds"]
    assert reference.calibrations["detection"].temperature == fold["temperature_and_prior"]["temperature"]
    probs = {
        task: table[probability_columns(task)].to_numpy()[table["role"] == "test"] for task in ("magnitude", "azimuth")
    }
    placed = [
        place_prediction(reference, {"magnitude": magnitude, "azimuth": azimuth}, "GTO")
        for magnitude, azimuth in zip(*probs.values(), strict=True)
    ]
    of_controls = (table.loc[table["role"] == "test", "y_magnitude"] == "Normal").to_numpy()
    percentiles = np.array([placement.percentile for placement in placed])
    assert percentiles[of_controls].mean() == pytest.approx(50)  # of each control window among all of them
    assert percentiles[~of_controls].mean() > 90  # the injected signal is found


def test_a_finished_run_of_an_earlier_version_gets_the_reference_when_it_is_resumed(
    run, store_path, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(training_run, "draw_figures", lambda *_: None)
    fit_one_baseline(monkeypatch)
    monkeypatch.chdir(folder)
    copy = Run(shutil.copytree(run.path, tmp_path / run.path.name))
    document = dict(read_card(copy.best_model).document)
    reference = document.pop("reference")
    write_card(copy.best_model, document)
    assert load_checkpoint(copy.best_model).card.reference is None
    run_training(settings(), store_path, resume=copy.path)
    again = read_card(copy.best_model).reference
    assert again["stations"] == reference["stations"]
    np.testing.assert_allclose(again["controls"], reference["controls"])


def test_a_stored_model_gives_the_judgement_of_its_run_again(run, store_path, folder, monkeypatch):
    fit_one_baseline(monkeypatch)
    copy_checkpoint(run.best_model, folder / "models" / "copy.pth")
    copy, out = folder / "models" / "copy.pth", folder / "out"
    metrics, predictions = evaluate_model(copy, store_path, settings().evaluate, out)
    recorded = json.loads((run.path / "metrics.json").read_text())
    assert metrics["magnitude"]["confusion"] == recorded["magnitude"]["confusion"]
    for task in ("magnitude", "azimuth", "detection"):  # calibrated on the validation set of its fold
        ours, then = metrics[task]["calibration"], recorded[task]["calibration"]
        assert ours["folds"][0]["n"] == then["folds"][0]["n"] > 0
        assert ours["log_score"]["temperature"]["value"] == pytest.approx(then["log_score"]["temperature"]["value"])
        assert metrics[task]["conformal"]["by_class"] == recorded[task]["conformal"]["by_class"]
    test = predictions[predictions["role"] == "test"]
    assert not set(test["sample_id"]) & set(load_checkpoint(run.best_model).trained_on)
    ours = pd.read_parquet(run.predictions)
    assert predictions[["role", "sample_id"]].equals(ours[["role", "sample_id"]])
    assert len(np.load(folder / "out" / "embeddings.npy")) == len(predictions)
    assert json.loads((folder / "models" / "copy.json").read_text())["file"] == "copy.pth"


def test_a_folder_that_cannot_be_made_is_found_before_anything_is_predicted(run, store_path, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(training_run, "predict_with_embeddings", None)
    with pytest.raises(DataError, match=r"file/out: cannot be made \(.*\)\. Choose another --out"):
        evaluate_model(run.best_model, store_path, settings().evaluate, tmp_path / "file" / "out")


def test_on_another_store_the_windows_of_the_training_are_left_out(run, tmp_path, monkeypatch):
    fit_one_baseline(monkeypatch)
    trained = set(load_checkpoint(run.best_model).trained_on)
    other = make_store(tmp_path / "other", seed=1, dataset_id="two")
    metrics, predictions = evaluate_model(run.best_model, other, settings().evaluate)
    samples = set(open_store(other).samples["sample_id"])
    assert set(predictions["sample_id"]) == samples - trained  # groups lie ten days apart, and are whole
    assert metrics["n"] == len(predictions)
    assert "not calibrated, no conformal prediction sets: No validation rows" in format_summary(metrics)


def test_another_store_of_the_same_identifier_is_refused(run, tmp_path):
    other = make_store(tmp_path / "other", start="2021-01-03")
    words = r"other: has the data set identifier of the training of .* \(one\), but .* windows .* were not in it"
    with pytest.raises(DataError, match=words):
        unseen_windows(load_checkpoint(run.best_model), open_store(other))


def test_on_another_store_relatives_of_the_training_are_left_out(store_path, tmp_path, caplog):
    store = open_store(store_path)
    samples = store.samples
    samples.at[40, "cluster_ids"] = ["e0", "e10"]  # the first window of another cluster also holds the event of e0
    # of e0; 2 h after normal:2, not in this store
    trained_on = (samples["sample_id"][1], "GTO-2021-01-21T05:00:00.000")
    loaded = LoadedModel(tmp_path / "m.pth", None, None, ModelCard(dataset_id="elsewhere"), trained_on)
    indices, split = unseen_windows(loaded, store)
    assert split is None
    assert set(range(len(samples))) - set(indices) == {0, 1, 2, 3, 8, 9, 10, 11, 40}
    assert "1 windows that the model was trained on, and 8 that have an earthquake cluster in common" in caplog.text


def test_an_interrupted_run_goes_on_and_ends_complete(store_path, folder, monkeypatch):
    monkeypatch.chdir(folder)

    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run, "predict_roles", stop)
    before = set((folder / "experiments_convnext").iterdir())
    with pytest.raises(KeyboardInterrupt):
        run_training(settings(1), store_path)
    (left,) = set((folder / "experiments_convnext").iterdir()) - before
    assert json.loads((left / "provenance.json").read_text())["status"] == "failed"
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(training_run, "draw_figures", lambda *_: None)
    fit_one_baseline(monkeypatch)
    resumed = run_training(settings(1), store_path, resume=left)
    assert resumed.provenance()["status"] == "complete"
    assert (left / "metrics.json").is_file()


def test_a_run_is_not_resumed_on_other_data(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = make_store(tmp_path / "other", dataset_id="two")
    with pytest.raises(UsageError, match="began on data set one, not on two"):
        run_training(settings(), other, resume=run.path)


def test_a_store_without_samples_says_where_the_reasons_are(tmp_path):
    path = make_store(tmp_path / "store")
    replace_samples(path, pd.read_parquet(path / "samples.parquet").iloc[:0])
    with pytest.raises(DataError, match=r"0 rows in samples\.parquet|no sample in it"):
        run_training(settings(), path)


def evaluated(table, store_path, tmp_path):
    table.to_parquet(tmp_path / "table.parquet", index=False)
    return evaluate_table_in_store(tmp_path / "table.parquet", store_path, settings().evaluate)


@pytest.mark.parametrize("change", [{"role": "test"}, {"fold": 7}])
def test_sets_and_folds_of_a_table_are_those_of_the_split_of_its_run(
    run, folder, store_path, tmp_path, monkeypatch, change
):
    monkeypatch.chdir(folder)
    with pytest.raises(DataError, match="rows are in another set than in the split"):
        evaluated(pd.read_parquet(run.predictions).assign(**change), store_path, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.iloc[:-1], "1 of .* test windows of the split are not among the predictions"),
        (lambda table: table.assign(run_id="theirs"), "the split of these predictions is not known"),
    ],
    ids=["a window less", "other runs"],
)
def test_what_of_the_split_cannot_be_compared_is_stated(run, folder, store_path, tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(folder)
    metrics = evaluated(change(pd.read_parquet(run.predictions)), store_path, tmp_path)
    assert any(re.search(words, sentence) for sentence in metrics["warnings"])


def test_a_table_of_a_run_has_the_scores_of_the_run(run, folder, store_path, monkeypatch):
    monkeypatch.chdir(folder)
    recorded = json.loads((run.path / "metrics.json").read_text())
    again = evaluate_table_in_store(run.predictions, store_path, settings().evaluate)
    assert again["made_from"] == recorded["made_from"]
    for task in ("magnitude", "azimuth", "detection"):
        assert json.loads(json.dumps(again[task])) == recorded[task]
