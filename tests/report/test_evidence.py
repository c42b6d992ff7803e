"""What a report may quote of a run and of a cross-validation, and what stands in its way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from fixtures.study_store import make_store
from seismag.domain import DataError, UsageError
from seismag.report.evidence import Evidence, read_evidence, require_consistent, require_same_skill
from seismag.report.quotation import MissingNumberError

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


def test_documents_of_other_folders_are_found(evidence: Evidence, tmp_path: Path) -> None:
    audit = {"gate": "pass", "tests": [], "subject": {"run_ids": [evidence.subject]}}
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    found = read_evidence(evidence.path, extras=[tmp_path])
    assert found.documents["audit.json"]["gate"] == "pass"
    assert "audit.json" not in found.missing


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"gate": "pass", "subject": {"run_ids": ["other_1"]}}, "is of other_1, not of"),
        ({"gate": "pass", "subject": {"kind": "store"}}, "does not name its run"),
    ],
)
def test_document_of_another_run_is_refused(
    evidence: Evidence, tmp_path: Path, document: dict[str, object], words: str
) -> None:
    (tmp_path / "audit.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=words):
        read_evidence(evidence.path, extras=[tmp_path])


def test_named_folder_without_documents_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"contains none of audit.json, recovery.json, explanation.json"):
        read_evidence(evidence.path, extras=[tmp_path])


Metrics = dict[str, Any]


@pytest.fixture
def metrics(run: Path) -> Metrics:
    found: Metrics = json.loads((run / "metrics.json").read_text())
    return found


def audit_of(metrics: Metrics) -> Metrics:
    skill = metrics["detection"]["skill_above_best_baseline"]["auc_within_station"]["value"]
    return {"tests": [{"name": "skill_above_no_signal", "statistic": skill}, {"name": "copies", "statistic": 7.0}]}


def test_record_agrees_with_itself(metrics: Metrics) -> None:
    assert require_consistent(metrics, "metrics.json") is None
    assert require_same_skill(audit_of(metrics), metrics, Path("audit.json")) is None


@pytest.mark.parametrize("score", ["accuracy", "mcc"])
def test_score_that_is_not_of_its_matrix_is_refused(metrics: Metrics, score: str) -> None:
    metrics["magnitude"][score]["value"] += 0.01
    with pytest.raises(DataError, match=rf"magnitude.{score} is .*, but its confusion matrix gives"):
        require_consistent(metrics, "metrics.json")


@pytest.mark.parametrize("score", ["brier", "auc_within_station"])
def test_skill_that_is_not_the_difference_of_its_scores_is_refused(metrics: Metrics, score: str) -> None:
    metrics["detection"]["skill_above_best_baseline"][score]["value"] += 0.1
    with pytest.raises(DataError, match=rf"detection.skill_above_best_baseline.{score} is .*, but the score less that"):
        require_consistent(metrics, "metrics.json")


def test_score_of_one_class_may_be_undefined(metrics: Metrics) -> None:
    metrics["magnitude"]["mcc"]["value"] = None
    assert require_consistent(metrics, "metrics.json") is None


@pytest.mark.parametrize("key", ["mcc", "baselines"])
def test_what_is_not_recorded_is_named(metrics: Metrics, key: str) -> None:
    del metrics["azimuth"][key]
    with pytest.raises(MissingNumberError, match=rf"metrics.json has no azimuth.{key}"):
        require_consistent(metrics, "metrics.json")


def test_audit_of_other_predictions_is_refused(metrics: Metrics) -> None:
    audit = audit_of(metrics)
    audit["tests"][0]["statistic"] += 0.2
    with pytest.raises(DataError, match=r"skill_above_no_signal tested a skill of .* Audit these again"):
        require_same_skill(audit, metrics, Path("audit.json"))
    audit["tests"][0]["statistic"] = None  # inconclusive: nothing to compare
    require_same_skill(audit, metrics, Path("audit.json"))
