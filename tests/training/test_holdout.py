"""A look at sealed windows: recorded first, counted for good, visible in every later report."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

from fixtures.study_store import make_store
from fixtures.training_settings import settings
from seismag.domain import DataError, UsageError
from seismag.scoring.predictions import check_predictions, evaluated_rows
from seismag.scoring.text import format_summary
from seismag.splits import assign_split
from seismag.splits.access_log import LEDGER_FILE, read_ledger
from seismag.training import holdout as sealed
from seismag.training.holdout import look, make_folder, open_question, write_unblinding
from seismag.training.run import evaluate_model, run_training

SPLIT, EVALUATE = settings().split, settings().evaluate


def draw_sealed(samples: pd.DataFrame, spec, reach_h: float) -> pd.DataFrame:
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
        run = run_training(settings(1), store, progress=False)
    return run, store


@pytest.fixture
def question(study, tmp_path, monkeypatch):
    """A question at a fresh copy of the store: no one has looked yet."""
    run, _ = study
    monkeypatch.setattr(sealed, "draw_split", draw_sealed)
    make_store(tmp_path / "store")
    return open_question(run.best_model, tmp_path / "store", " final test ", SPLIT)


def test_a_look_is_on_the_disk_before_a_window_is_predicted(question, monkeypatch) -> None:
    def fail(*_arguments, **_options):
        (entry,) = read_ledger(question.store.path)
        assert entry["kind"] == "look"
        raise RuntimeError("the machine died")

    monkeypatch.setattr(sealed, "predict_with_embeddings", fail)
    with pytest.raises(RuntimeError):
        look(question, EVALUATE)
    monkeypatch.undo()
    given = look(question, EVALUATE)
    assert given.metrics["sealed"]["looks"] == 2  # the one that broke off counts
    assert given.metrics["sealed"]["history"][0]["p_values"] is None


def test_the_ledger_says_who_looked_with_what_at_what_and_why(question) -> None:
    look(question, EVALUATE)
    entry, result = read_ledger(question.store.path)
    assert entry["purpose"] == "final test"
    assert entry["model_sha256"] == question.loaded.card["sha256"]
    assert entry["run_id"] == question.loaded.card["run_id"]
    assert entry["split_certificate_sha256"] == question.loaded.card["split_certificate_sha256"]
    assert entry["n_sealed"] == len(question.sealed_ids)
    assert {"seismag_version", "git", "utc", "dataset_id", "sealed_ids_sha256"} <= set(entry)
    assert result["look"] == 1
    assert 0 < result["p_values"]["area_skill"] <= 1


def test_exactly_the_sealed_windows_are_judged(question) -> None:
    given = look(question, EVALUATE)
    assert set(given.predictions["sample_id"]) == set(question.sealed_ids)
    assert given.metrics["role"] == "sealed"
    assert given.metrics["n"] == len(question.sealed_ids)


def test_a_second_look_is_visible_and_widens_what_is_claimed(question, study) -> None:
    first, second = look(question, EVALUATE), look(question, EVALUATE)
    assert (first.metrics["confidence"], second.metrics["confidence"]) == (0.95, pytest.approx(0.975))
    p_values = [entry["p_values"]["area_skill"] for entry in second.metrics["sealed"]["history"]]
    assert all(entry["adjusted"] == pytest.approx(min(1, 2 * entry["p"])) for entry in p_values)
    assert "Look 2 of 2" in second.metrics["warnings"][0]
    assert "2 looks so far; this is look 2" in format_summary(second.metrics)
    ordinary, _ = evaluate_model(study[0].best_model, question.store.path, EVALUATE)
    assert ordinary["sealed"]["looks"] == 2
    assert "look 1, " in format_summary(ordinary)


def test_a_report_before_any_look_says_none(study) -> None:
    metrics = json.loads((study[0].path / "metrics.json").read_text())
    assert metrics["sealed"]["looks"] == 0
    assert "sealed" not in format_summary(metrics)


def test_the_written_table_is_no_test_table(question, tmp_path) -> None:
    make_folder(tmp_path / "out")
    write_unblinding(look(question, EVALUATE), tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    check_predictions(table)
    with pytest.raises(DataError, match="only by `seismag evaluate --sealed`"):
        evaluated_rows(table)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["sealed"]["looks"] == 1


def test_a_look_without_a_purpose_is_refused_and_not_recorded(question, study) -> None:
    for purpose in (None, "  "):
        with pytest.raises(UsageError, match="say why with --purpose"):
            open_question(study[0].best_model, question.store.path, purpose, SPLIT)
    assert not (question.store.path / LEDGER_FILE).exists()


def test_without_sealed_windows_the_way_to_seal_some_is_named(study) -> None:
    with pytest.raises(UsageError, match=r"no window is sealed.*split\.sealed_fraction=0\.2"):
        open_question(study[0].best_model, study[1], "why", SPLIT)


def test_a_model_that_has_seen_a_sealed_window_gets_no_look(question, study, monkeypatch) -> None:
    seen = dataclasses.replace(question.loaded, trained_on=(question.sealed_ids.iloc[0],))
    monkeypatch.setattr(sealed, "load_checkpoint", lambda _path: seen)
    with pytest.raises(DataError, match=r"1 of the .* sealed windows of .* were in its training"):
        open_question(study[0].best_model, question.store.path, "why", SPLIT)
    unknown = dataclasses.replace(question.loaded, card={**question.loaded.card, "training_data": "unknown"})
    monkeypatch.setattr(sealed, "load_checkpoint", lambda _path: unknown)
    with pytest.raises(DataError, match="training data are unknown"):
        open_question(study[0].best_model, question.store.path, "why", SPLIT)
    assert not (question.store.path / LEDGER_FILE).exists()


def test_a_damaged_ledger_stops_every_report_of_the_store(question, study) -> None:
    look(question, EVALUATE)
    path = question.store.path / LEDGER_FILE
    path.write_text(path.read_text().replace("final test", "first trial"))
    with pytest.raises(DataError, match="entry 1 was changed"):
        look(question, EVALUATE)
    with pytest.raises(DataError, match="entry 1 was changed"):
        evaluate_model(study[0].best_model, question.store.path, EVALUATE)


def test_a_folder_that_cannot_be_made_is_named_before_the_look(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Choose another --out"):
        make_folder(tmp_path / "file" / "out")
