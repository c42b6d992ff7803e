"""What was tried on a data set, run by run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seismag.config import build_config
from seismag.runs import config_yaml
from seismag.training.tried import count_configurations, list_configurations


def write_run(runs_dir: Path, run_id: str, created: str, dataset_id: str = "d", **settings: Any) -> Path:
    folder = runs_dir / run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config_yaml(build_config(settings)))
    facts = {"run_id": run_id, "dataset_id": dataset_id, "created_utc": created, "status": "complete", "error": None}
    (folder / "provenance.json").write_text(json.dumps(facts))
    return folder


def test_folds_of_a_configuration_count_once(tmp_path: Path) -> None:
    write_run(tmp_path, "a_1", "2026-01-01", split={"fold": 1}, train={"run_name": "a_1"})
    write_run(tmp_path, "a_2", "2026-01-02", split={"fold": 2}, train={"run_name": "a_2"})
    write_run(tmp_path, "b", "2026-01-03", train={"learning_rate": 1e-3})
    write_run(tmp_path, "else", "2026-01-04", dataset_id="other")
    assert count_configurations(tmp_path, "d") == (2, 3)
    listed = list_configurations(tmp_path, "d")
    assert listed["configurations"] == 2
    assert [(run["run_id"], run["configuration"]) for run in listed["runs"]] == [("a_1", 1), ("a_2", 1), ("b", 2)]
    assert [run["differs_from_first"] for run in listed["runs"]] == [[], [], ["train.learning_rate=0.001"]]


def test_failed_run_is_listed_with_its_reason(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", "2026-01-01")
    facts = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**facts, "status": "failed", "error": "DataError: x"}))
    (run,) = list_configurations(tmp_path, "d")["runs"]
    assert (run["status"], run["error"], run["val_loss"], run["detection"]) == ("failed", "DataError: x", None, None)


def test_best_loss_and_scores_are_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", "2026-01-01")
    (folder / "history.csv").write_text("epoch,val_loss\n1,2.5\n2,1.5\n3,1.75\n")
    score = {"value": 0.6, "low": 0.5, "high": 0.7}
    detection = {"balanced_accuracy": score, "auc_within_station": score}
    (folder / "metrics.json").write_text(json.dumps({"detection": detection}))
    (run,) = list_configurations(tmp_path, "d")["runs"]
    assert run["val_loss"] == 1.5
    assert run["detection"] == detection


def test_folder_that_is_no_run_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "provenance.json").write_text("not JSON")
    assert list_configurations(tmp_path, "d")["runs"] == []
