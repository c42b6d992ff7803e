"""Unblinding of the locked hold-out set: recorded first, counted for good, part of every later report."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pandas as pd
import pytest

from fixtures.study_store import make_store
from fixtures.training_settings import fit_one_baseline, settings
from seismag.domain import DataError, UsageError
from seismag.scoring.predictions import check_predictions, evaluated_rows
from seismag.scoring.text import format_summary
from seismag.splits import assign_split
from seismag.splits.holdout import holdout_log
from seismag.training import unblinding
from seismag.training.run import evaluate_model, run_training
from seismag.training.unblinding import request_unblinding, unblind, write_unblinding

SPLIT, EVALUATE = settings().split, settings().evaluate


def assign_locked(samples: pd.DataFrame, spec, reach_h: float) -> pd.DataFrame:
    """The drawn split, whose test windows of the first fold are sealed in all folds."""
    split = assign_split(samples, spec, reach_h)
    ids = split.loc[(split["fold"] == 1) & (split["role"] == "test"), "sample_id"]
    return split.assign(role=split["role"].mask(split["sample_id"].isin(ids), "sealed"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    store = make_store(folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("seismag.training.run.draw_figures", lambda *_: None)
        fit_one_baseline(patch)
        run = run_training(settings(1), store)
    return run, store


@pytest.fixture
def checked(study, tmp_path, monkeypatch):
    """A checked at a fresh copy of the store: no one has looked yet."""
    run, _ = study
    fit_one_baseline(monkeypatch)
    monkeypatch.setattr(unblinding, "assign_split", assign_locked)
    shutil.copytree(study[1], tmp_path / "store")
    return request_unblinding(run.best_model, tmp_path / "store", " final test ", SPLIT)


def test_an_unblinding_is_on_the_disk_before_a_window_is_predicted(checked, monkeypatch) -> None:
    def fail(*_arguments, **_options):
        (entry,) = holdout_log(checked.store.path).read()
        assert entry["kind"] == "look"
        raise RuntimeError("the machine died")

    monkeypatch.setattr(unblinding, "predict_with_embeddings", fail)
    with pytest.raises(RuntimeError):
        unblind(checked, EVALUATE)
    monkeypatch.undo()
    given = unblind(checked, EVALUATE)
    assert given.metrics["sealed"]["looks"] == 2  # the one that broke off counts
    assert given.metrics["sealed"]["history"][0]["p_values"] is None


def test_the_access_log_records_model_windows_and_purpose(checked) -> None:
    unblind(checked, EVALUATE)
    entry, result = holdout_log(checked.store.path).read()
    assert entry["purpose"] == "final test"
    assert entry["model_sha256"] == checked.loaded.card.sha256
    assert entry["run_id"] == checked.loaded.card.run_id
    assert entry["split_certificate_sha256"] == checked.loaded.card.split_certificate_sha256
    assert entry["n_sealed"] == len(checked.locked_ids)
    assert {"seismag_version", "git", "utc", "dataset_id", "sealed_ids_sha256"} <= set(entry)
    assert result["look"] == 1
    assert 0 < result["p_values"]["area_skill"] <= 1


def test_exactly_the_locked_windows_are_evaluated(checked) -> None:
    given = unblind(checked, EVALUATE)
    assert set(given.predictions["sample_id"]) == set(checked.locked_ids)
    assert given.metrics["role"] == "sealed"
    assert given.metrics["n"] == len(checked.locked_ids)


def test_a_second_unblinding_is_reported_and_widens_the_intervals(checked, study) -> None:
    first, second = unblind(checked, EVALUATE), unblind(checked, EVALUATE)
    assert (first.metrics["confidence"], second.metrics["confidence"]) == (0.95, pytest.approx(0.975))
    p_values = [entry["p_values"]["area_skill"] for entry in second.metrics["sealed"]["history"]]
    assert all(entry["adjusted"] == pytest.approx(min(1, 2 * entry["p"])) for entry in p_values)
    assert "Unblinding 2 of 2" in second.metrics["warnings"][0]
    assert "2 accesses so far; this is access 2" in format_summary(second.metrics)
    ordinary, _ = evaluate_model(study[0].best_model, checked.store.path, EVALUATE)
    assert ordinary["sealed"]["looks"] == 2
    assert "access 1, " in format_summary(ordinary)


def test_a_report_before_any_unblinding_counts_none(study) -> None:
    metrics = json.loads((study[0].path / "metrics.json").read_text())
    assert metrics["sealed"]["looks"] == 0
    assert "sealed" not in format_summary(metrics)


def test_the_written_table_is_no_test_table(checked, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("seismag.scoring.study.draw_figures", lambda *_: None)
    (tmp_path / "out").mkdir()
    write_unblinding(unblind(checked, EVALUATE), tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    check_predictions(table)
    with pytest.raises(DataError, match="only by `seismag unblind`"):
        evaluated_rows(table)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["sealed"]["looks"] == 1


def test_an_unblinding_without_a_purpose_is_refused_and_not_recorded(checked, study) -> None:
    for purpose in (None, "  "):
        with pytest.raises(UsageError, match="state the purpose with --purpose"):
            request_unblinding(study[0].best_model, checked.store.path, purpose, SPLIT)
    assert not (holdout_log(checked.store.path).path).exists()


def test_without_locked_windows_the_remedy_is_named(study) -> None:
    with pytest.raises(UsageError, match=r"no window is locked.*split\.sealed_fraction=0\.2"):
        request_unblinding(study[0].best_model, study[1], "why", SPLIT)


def test_a_model_trained_on_a_locked_window_is_refused(checked, study, monkeypatch) -> None:
    seen = dataclasses.replace(checked.loaded, trained_on=(checked.locked_ids.iloc[0],))
    monkeypatch.setattr(unblinding, "load_checkpoint", lambda _path: seen)
    with pytest.raises(DataError, match=r"1 of the .* locked windows of .* were in its training"):
        request_unblinding(study[0].best_model, checked.store.path, "why", SPLIT)
    card = checked.loaded.card.model_copy(update={"training_data": "unknown"})
    unknown = dataclasses.replace(checked.loaded, card=card)
    monkeypatch.setattr(unblinding, "load_checkpoint", lambda _path: unknown)
    with pytest.raises(DataError, match="training data are unknown"):
        request_unblinding(study[0].best_model, checked.store.path, "why", SPLIT)
    assert not (holdout_log(checked.store.path).path).exists()


def test_a_damaged_access_log_stops_every_report_of_the_store(checked, study) -> None:
    unblind(checked, EVALUATE)
    path = holdout_log(checked.store.path).path
    path.write_text(path.read_text().replace("final test", "first trial"))
    with pytest.raises(DataError, match="entry 1 was changed"):
        unblind(checked, EVALUATE)
    with pytest.raises(DataError, match="entry 1 was changed"):
        evaluate_model(study[0].best_model, checked.store.path, EVALUATE)
