"""What a report may quote of a run and of a cross-validation, and what stands in its way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef

from fixtures.study_store import make_store
from seismag.audit.compute import audit_predictions, write_audit
from seismag.audit.result import require_closed
from seismag.config import EvaluateConfig, load_config
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import write_checked_json
from seismag.report.evidence import Evidence, read_evidence
from seismag.report.recompute import require_own_records, require_same_crossval, split_again
from seismag.runs import Run
from seismag.scoring.predictions import read_predictions
from seismag.scoring.study import read_own_embeddings
from seismag.training.finished import metrics_of_fold, store_of
from seismag.training.run import evaluate_table_in_store
from seismag.windows.tried import read_tried

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def evidence(run: Path) -> Evidence:
    return read_evidence(run)


def test_run_is_known_by_its_id(evidence: Evidence, run: Path) -> None:
    assert (evidence.kind, evidence.subject) == ("run", run.name)
    assert set(evidence.documents) == {"metrics.json", "runs.json", "data.json", "mcc.json", "split_report.json"}


def test_what_was_not_run_is_missing_with_its_command(evidence: Evidence) -> None:
    assert set(evidence.missing) == {"audit.json", "recovery.json", "explanation.json", "crossval.json"}
    assert str(evidence.path / "predictions.parquet") in evidence.missing["audit.json"]


def test_counts_of_the_store(evidence: Evidence) -> None:
    data = evidence.documents["data.json"]
    assert (data["windows"], data["events"], data["event_groups"], data["normal_groups"]) == (192, 24, 24, 24)
    assert data["magnitude_windows"] == {"Normal": 96, "Moderate": 32, "Medium": 32, "Large": 32}
    assert sum(data["azimuth_windows"].values()) == 192
    assert data["by_station"] == {"GTO": {"windows": 192, "events": 96}}
    assert data["grid"]["lowest_mhz"] == pytest.approx(1000 / 120)


def test_history_in_short_names_the_kept_epoch(evidence: Evidence) -> None:
    run = evidence.documents["runs.json"]["runs"][0]
    assert run["history"]["epochs"] == run["history"]["best"]["epoch"] == 1
    assert run["history"]["best"]["val_loss"] == pytest.approx(run["card"]["val_loss"])


def test_mcc_is_that_of_the_confusion_matrix_and_of_each_fold(crossval: Evidence) -> None:
    assert crossval.kind == "crossval"
    folds = crossval.documents["mcc.json"]["folds"]
    assert list(folds) == crossval.documents["metrics.json"]["run_ids"]
    assert len(folds) == crossval.documents["crossval.json"]["n_folds"] == 2
    entry = crossval.documents["mcc.json"]["magnitude"]
    rows, columns = np.indices((4, 4)).reshape(2, -1)
    counts = np.array(entry["confusion"], dtype=int).ravel()
    expected = matthews_corrcoef(np.repeat(rows, counts), np.repeat(columns, counts))
    assert entry["mcc"]["value"] == pytest.approx(expected, abs=1e-12)
    assert entry["mcc"]["low"] <= entry["mcc"]["value"] <= entry["mcc"]["high"]


def test_folds_are_compared_by_number_whatever_the_order_of_their_names(crossval: Evidence) -> None:
    """With ten folds the name of fold 10 comes before that of fold 1, while predictions are in order of folds."""
    metrics, final = crossval.documents["metrics.json"], crossval.documents["crossval.json"]
    store = store_of(crossval.runs[0], metrics["dataset_id"], None)
    split = split_again(store, crossval.runs[0].config())
    found = require_same_crossval(crossval.path, final, metrics, crossval.runs[::-1], store, split)
    assert list(found) == [run.run_id for run in crossval.runs]


def test_run_without_results_is_named(copy: Path) -> None:
    (copy / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"has no metrics\.json, so there is nothing to report.*seismag train --resume"):
        read_evidence(copy)


def test_another_store_is_refused(run: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", dataset_id="two")
    with pytest.raises(DataError, match=r"is data set two, the predictions of .* are of one"):
        read_evidence(run, data=other)


def test_absent_store_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data names a store that does not exist"):
        read_evidence(run, data=tmp_path / "nowhere")


@pytest.fixture(scope="module")
def audited(run: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with audit.json of the run."""
    out = tmp_path_factory.mktemp("audited")
    config = load_config(None, ["audit.permutations=999", "audit.partitions=2", "audit.placebos=20"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_audit(audit_predictions(run / "predictions.parquet", folder / "store", None, config), out)
    return out


def test_documents_of_other_folders_are_found(evidence: Evidence, audited: Path) -> None:
    found = read_evidence(evidence.path, extras=[audited])
    assert found.documents["audit.json"]["made_from"] == found.documents["metrics.json"]["made_from"]
    assert "audit.json" not in found.missing


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"subject": {"run_ids": ["other_1"]}}, "is of other_1, not of"),
        ({"subject": {"kind": "store"}}, "does not name its run"),
        ({"subject": [1]}, r"audit\.json: subject is \[1\], expected is a valid dictionary"),
    ],
)
def test_document_of_another_run_is_refused(
    evidence: Evidence, tmp_path: Path, document: dict[str, object], words: str
) -> None:
    others = {"gate": "pass", "tests": [], "family_wise_error": 0.05, "configurations_tried": 1}
    settings = {"audit": {}, "evaluate": {}}
    write_checked_json(tmp_path / "audit.json", {**others, "settings": settings, **document})
    with pytest.raises(DataError, match=words):
        read_evidence(evidence.path, extras=[tmp_path])


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"dataset_id": "two"}, r"recovery\.json: is of data set two, the predictions of this report are of one"),
        ({"sha256": "0" * 64}, r"recovery\.json: is of a model .* with the checksum 000000000000; that of .* is"),
    ],
)
def test_a_study_of_other_data_or_weights_is_refused(
    evidence: Evidence, tmp_path: Path, facts: dict[str, str], words: str
) -> None:
    def write(dataset_id: str, sha256: str | None) -> None:
        models = [{"run_id": evidence.path.name, "sha256": sha256}]
        document = {"sentence": "No limit.", "models": models, "dataset_id": dataset_id}
        write_checked_json(tmp_path / "recovery.json", document)

    write("one", None)  # of an earlier version
    assert "recovery.json" in read_evidence(evidence.path, extras=[tmp_path]).documents
    write(facts.get("dataset_id", "one"), facts.get("sha256"))
    with pytest.raises(DataError, match=words):
        read_evidence(evidence.path, extras=[tmp_path])


def test_named_folder_without_documents_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"contains none of audit.json, recovery.json, explanation.json"):
        read_evidence(evidence.path, extras=[tmp_path])


Change = Callable[[dict[str, Any]], None]


def rewrite(path: Path, change: Change) -> None:
    """Change a document, and its own checksum with it: what somebody can do who reads this code."""
    document = json.loads(path.read_text())
    change(document)
    write_checked_json(path, document)


def put(pointer: str, value: Any) -> Change:
    """Return what sets the value at a pointer."""

    def change(document: Any) -> None:
        *parents, last = pointer.split("/")
        for part in parents:
            document = document[int(part) if part.isdigit() else part]
        document[last] = value

    return change


def test_a_changed_digit_is_found_by_the_checksum_of_the_document(copy: Path) -> None:
    text = (copy / "metrics.json").read_text()
    (copy / "metrics.json").write_text(text.replace('"n_events": 12', '"n_events": 13', 1))
    with pytest.raises(DataError, match=r"metrics\.json: was changed after it was written"):
        read_evidence(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("magnitude/mcc/value", 0.99), r"magnitude/mcc/value is 0\.99, which lies outside its own interval, but"),
        (put("detection/skill_above_best_baseline/brier/low", 0.01), r"detection/.*/brier/low is 0\.01 but"),
        (put("azimuth/log_score/high", -0.1), r"azimuth/log_score/high is -0\.1 but"),
        (put("detection/baselines/station/auc_within_station", 0.3), r"detection/baselines/station/.* is 0\.3 but"),
        (put("n_event_groups", 120), r"n_event_groups is 120 but"),
        (put("alarms/windows", 4), r"alarms/windows is 4 but"),
        (put("settings/seed", 7), r"more values differ"),
        (lambda document: document["detection"].pop("mcc"), r"detection/mcc is missing\. Make it again"),
        (lambda document: document.pop("made_from"), r"contains no checksum of the predictions"),
    ],
    ids=["outside", "skill", "interval", "baseline", "groups", "alarms", "seed", "removed", "sources"],
)
def test_a_record_that_its_predictions_do_not_give_is_refused(copy: Path, change: Change, words: str) -> None:
    rewrite(copy / "metrics.json", change)
    with pytest.raises(DataError, match=words):
        read_evidence(copy)


def test_changed_predictions_are_found(copy: Path) -> None:
    table = pd.read_parquet(copy / "predictions.parquet")
    names = [name for name in table if name.startswith("p_magnitude_")]
    table.loc[0, names] = [1.0, 0.0, 0.0, 0.0]
    table.to_parquet(copy / "predictions.parquet", index=False)
    with pytest.raises(DataError, match=r"its checksum is not that of the predictions"):
        read_evidence(copy)


def test_predictions_changed_and_evaluated_again_without_their_split_are_refused(copy: Path, folder: Path) -> None:
    table = pd.read_parquet(copy / "predictions.parquet")
    names = [name for name in table if name.startswith("p_magnitude_")]
    event = (table["y_magnitude"] != "Normal").to_numpy()
    table.loc[event, names] = [0.1, 0.3, 0.3, 0.3]
    table.to_parquet(copy / "predictions.parquet", index=False)
    spec = EvaluateConfig(bootstrap=100)
    evaluate_table_in_store(copy / "predictions.parquet", folder / "store", spec, out=copy)
    with pytest.raises(DataError, match="more values differ"):
        read_evidence(copy)


def test_another_model_in_the_run_is_found(copy: Path, crossval: Evidence) -> None:
    other = crossval.runs[1].path
    for name in ("best_model.pth", "best_model.json"):
        shutil.copyfile(other / name, copy / name)
    with pytest.raises(DataError, match="its checksum is not that of the model of"):
        read_evidence(copy)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["predictions.parquet"], r"its checksum is not that of the predictions .* Delete the run: the same command"),
        (["embeddings.npy"], r"its checksum is not that of the embeddings .*: those are others\. Delete the run"),
        (["best_model.pth", "best_model.json"], "its checksum is not that of the model of small_fold1_"),
        (["metrics.json"], "its checksum is not that of the predictions"),
    ],
)
def test_a_finished_fold_with_files_of_another_is_refused(
    crossval: Evidence, names: list[str], words: str, tmp_path: Path
) -> None:
    fold, other = crossval.runs
    moved = Run(shutil.copytree(fold.path, tmp_path / "renamed_20260101_000000"))
    assert metrics_of_fold(moved, crossval.store)["run_ids"] == [fold.run_id]
    for name in names:
        shutil.copyfile(other.path / name, moved.path / name)
    with pytest.raises(DataError, match=words):
        metrics_of_fold(moved, crossval.store)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("provenance.json", r"provenance\.json: is of small_fold2_.*, the model is of small_fold1_.*\. Restore it"),
        ("history.csv", r"history\.csv: the model of small_fold1_.* is that of epoch 1 .*: the history of another"),
    ],
)
def test_records_of_another_training_are_refused(copy: Path, crossval: Evidence, name: str, words: str) -> None:
    require_own_records(Run(copy), copy.name)
    shutil.copyfile(crossval.runs[1].path / name, copy / name)
    with pytest.raises(DataError, match=words):
        require_own_records(Run(copy), copy.name)


def test_embeddings_of_another_model_are_refused_beside_their_predictions(copy: Path) -> None:
    table, rows = copy / "predictions.parquet", len(read_predictions(copy / "predictions.parquet"))
    embeddings = read_own_embeddings(table, rows)
    np.save(copy / "embeddings.npy", embeddings[::-1])
    with pytest.raises(DataError, match=r"embeddings\.npy: those are others\. Delete it, or evaluate the model again"):
        read_own_embeddings(table, rows)
    (copy / "metrics.json").unlink()  # a table of others
    assert len(read_own_embeddings(table, rows)) == rows


def test_scores_in_a_model_card_are_those_of_the_run(copy: Path) -> None:
    rewrite(copy / "best_model.json", put("metrics/detection/accuracy/value", 0.2))
    with pytest.raises(DataError, match=r"model card of .*: detection/accuracy/value is 0\.2, which lies outside"):
        read_evidence(copy)


@pytest.mark.parametrize(
    ("key", "value"), [("val_loss", 0.001), ("split", {"method": "naive"}), ("dataset_id", "other")]
)
def test_a_model_card_is_that_of_its_weights(copy: Path, key: str, value: object) -> None:
    rewrite(copy / "best_model.json", put(key, value))
    with pytest.raises(
        SeismagError, match=rf"best_model\.json: was changed: {key} is not what the file of the weights"
    ):
        read_evidence(copy)


def test_a_model_that_is_gone_is_named(copy: Path) -> None:
    (copy / "best_model.pth").unlink()
    with pytest.raises(DataError, match=r"best_model\.pth: the model of the run is not there"):
        read_evidence(copy)


def test_a_run_is_reported_under_another_name_of_its_folder(copy: Path) -> None:
    assert read_evidence(copy.rename(copy.with_name("best run"))).subject == "best%20run"  # no blanks in a source


def test_a_configuration_that_was_changed_after_the_training_is_refused(copy: Path) -> None:
    text = (copy / "config.yaml").read_text()
    assert "learning_rate: 0.001" in text
    (copy / "config.yaml").write_text(text.replace("learning_rate: 0.001", "learning_rate: 0.002"))
    with pytest.raises(DataError, match=r"config\.yaml: not the configuration that the access log of .* records"):
        read_evidence(copy)


def test_an_audit_cannot_count_fewer_configurations_than_the_log_had(
    run: Path, audited: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = read_tried(folder / "store", "one")
    earlier = {("deleted", "another configuration"): "2026-01-01T00:00:00Z", **tried.trainings}
    monkeypatch.setattr("seismag.report.recompute.read_tried", lambda *_: replace(tried, trainings=earlier))
    with pytest.raises(DataError, match=r"counts 1 configurations as tried; the access logs of .* had 2 when the run"):
        read_evidence(run, extras=[audited])
    later = {**tried.trainings, ("later", "another configuration"): "2126-01-01T00:00:00Z"}
    monkeypatch.setattr("seismag.report.recompute.read_tried", lambda *_: replace(tried, trainings=later))
    assert "audit.json" in read_evidence(run, extras=[audited]).documents


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda document: put(f"made_from/models_sha256/{document['subject']['run_ids'][0]}", None)(document),
            r"contains no checksum of the model of small_fold1_.*: it was made where the folder",
        ),
        (put("tests/0/verdict", "inconclusive"), r"skill_above_no_signal: verdict is inconclusive but"),
        (put("tests/0/p_value", 0.0001), r"skill_above_no_signal: p_value is 0\.0001 but"),
        (put("tests/0/sentence", "This is skill."), r"skill_above_no_signal: sentence is This is skill\. but"),
        (put("gate", "pass"), r"the audit is pass, but its checks make it fail"),  # the signal lies above 100 mHz
        (put("made_from/predictions_sha256", "0" * 64), r"its checksum is not that of the predictions"),
        (put("made_from/samples_sha256", None), r"contains no checksum of the labels"),
    ],
    ids=["no model", "verdict", "p", "sentence", "gate", "other predictions", "no store"],
)
def test_an_audit_that_the_predictions_do_not_give_is_refused(
    run: Path, audited: Path, tmp_path: Path, change: Change, words: str
) -> None:
    shutil.copyfile(audited / "audit.json", tmp_path / "audit.json")
    rewrite(tmp_path / "audit.json", change)
    with pytest.raises(DataError, match=words):
        read_evidence(run, extras=[tmp_path])


def test_a_failed_check_cannot_be_made_to_pass(audited: Path, tmp_path: Path) -> None:
    document = json.loads((audited / "audit.json").read_text())
    test = next(test for test in document["tests"] if "adjusted_p" in test["details"])
    test.update(p_value=1e-6, material=True, verdict="pass")
    with pytest.raises(DataError, match=rf"{test['name']} is pass, but its p-value makes it fail"):
        require_closed(tmp_path / "audit.json", document)


def test_folds_are_compared_with_their_runs(crossval: Evidence, folder: Path, tmp_path: Path) -> None:
    for name in ("experiments_convnext", crossval.path.name):
        shutil.copytree(folder / name, tmp_path / name)
    results = tmp_path / crossval.path.name
    final = next(results.glob("*_final_results.json"))
    rewrite(final, put("magnitude/mcc/mean", 0.9))
    with pytest.raises(DataError, match=r"final results: magnitude/mcc/mean is 0\.9 but"):
        read_evidence(results, data=folder / "store")
    run = tmp_path / "experiments_convnext" / crossval.runs[0].run_id
    rewrite(run / "metrics.json", put("magnitude/mcc/high", 0.999))
    with pytest.raises(DataError, match=r"metrics\.json: magnitude/mcc/high is 0\.999 but"):
        read_evidence(results, data=folder / "store")
