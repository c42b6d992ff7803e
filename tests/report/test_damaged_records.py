"""Records of a run and of a cross-validation with anything in them are refused, or read as before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fixtures.damage import damaged_bytes, damaged_documents, damaged_tables, faults, outcome
from seismag.audit.result import AuditDocument, require_closed
from seismag.documents import read_document, read_embeddings
from seismag.files import write_checked_json
from seismag.report.evidence import history_document, mcc_document
from seismag.report.recompute import require_equal
from seismag.runs import read_run
from seismag.scoring.predictions import evaluated_rows, read_predictions, read_run_predictions, task_probabilities
from seismag.scoring.study import read_metrics, require_same_sources
from seismag.splits import load_or_assign_split
from seismag.training.crossval import FoldResult, final_document
from seismag.training.finished import SplitFacts, final_results
from seismag.training.run import headline, reach_h
from seismag.training.tried import list_configurations
from seismag.windows.store import Store, open_store

CASES = 120

FACTS = SplitFacts(path="a", sha256="b", method="loeo", n_folds=2, n_groups=3, proof=None)


@pytest.fixture
def store(folder: Path, run: Path) -> Store:
    assert run.is_dir()
    return open_store(folder / "store")


def require_no_fault(path: Path, read: Callable[[], object], levels: int, *, signed: bool) -> None:
    assert outcome(read) == "read"
    document = json.loads(path.read_bytes())
    write = write_checked_json if signed else (lambda file, content: file.write_text(json.dumps(content)))
    assert faults(damaged_documents(document, levels, CASES), lambda content: write(path, content), read) == []
    write(path, document)
    assert faults(damaged_bytes(path), path.write_bytes, read) == []


def test_metrics(copy: Path, run: Path, store: Store):
    path, recorded = copy / "metrics.json", json.loads((run / "metrics.json").read_bytes())

    def read() -> None:
        metrics: Any = read_metrics(path, "Evaluate again.")
        models = {run.name: copy / "best_model.pth"}
        final_document(
            [FoldResult(1, FACTS, metrics)] * 2,
            metrics,
        )
        headline(metrics)
        mcc_document(metrics, {})
        require_same_sources(path, metrics, copy / "predictions.parquet", store, models)
        require_equal(str(path), metrics, recorded)

    require_no_fault(path, read, 3, signed=True)


def test_provenance(copy: Path, store: Store):
    require_no_fault(copy / "provenance.json", lambda: read_run(copy).provenance(), 2, signed=False)
    (copy / "provenance.json").write_text("[" * 5000)
    (copy / "config.yaml").write_text("split: [1]")
    assert list_configurations(copy.parent, store)["runs"] == []


def test_final_results(tmp_path: Path):
    split = {"path": "a", "sha256": "b", "method": "loeo", "n_folds": 2, "n_groups": 3, "proof": {"groups": 0}}
    document = {"dataset_id": "d", "run_ids": ["r"], "split_certificate": split, "folds": [{"fold": 1}]}
    path = tmp_path / "loeo_convnext_final_results.json"
    (tmp_path / "predictions.parquet").touch()
    write_checked_json(path, document)
    require_no_fault(path, lambda: SplitFacts(**final_results(tmp_path)["split_certificate"]), 2, signed=True)


def test_audit(tmp_path: Path):
    test = {
        "name": "a", "sentence": "s", "verdict": "pass", "p_value": 0.5, "material": True, "gates": True,
        "details": {"adjusted_p": 0.5, "smallest_p": 0.001},
    }  # fmt: skip
    document = {
        "gate": "pass", "subject": {"run_ids": ["r"]}, "tests": [test], "family_wise_error": 0.05, "notes": [],
        "configurations_tried": 1, "settings": {"audit": {}, "evaluate": {}}, "made_from": {"models_sha256": {}},
    }  # fmt: skip
    path = tmp_path / "audit.json"
    write_checked_json(path, document)
    require_no_fault(
        path, lambda: require_closed(path, read_document(path, AuditDocument, "", signed=True)), 5, signed=True
    )


def test_split(folder: Path, store: Store, run: Path, tmp_path: Path):
    copy = shutil.copytree(folder / "splits", tmp_path / "splits")
    spec = read_run(run).config().split

    def read() -> None:
        load_or_assign_split(store.samples, spec, reach_h(store), str(store.attributes["dataset_id"]), copy)

    require_no_fault(copy / "loeo.json", read, 2, signed=False)
    shutil.copyfile(folder / "splits" / "loeo.json", copy / "loeo.json")
    path = copy / "loeo.parquet"
    assert faults(damaged_tables(pd.read_parquet(path)), path_writer(path), read) == []


def test_predictions(copy: Path):
    path = copy / "predictions.parquet"
    table = pd.read_parquet(path)

    def read() -> None:
        task_probabilities(evaluated_rows(read_predictions(path)), "magnitude")
        read_run_predictions(path)

    assert faults(damaged_tables(table), path_writer(path), read) == []
    table.to_parquet(path)
    assert faults(damaged_bytes(path), path.write_bytes, read) == []


def test_history(copy: Path):
    path = copy / "history.csv"
    table = pd.read_csv(path)
    cases = damaged_tables(table)
    assert faults(cases, lambda changed: changed.to_csv(path, index=False), lambda: history_document(path)) == []


def test_embeddings(copy: Path):
    path = copy / "embeddings.npy"
    rows = len(pd.read_parquet(copy / "predictions.parquet"))
    assert outcome(lambda: read_embeddings(path, rows, "Again.")) == "read"
    assert faults(damaged_bytes(path), path.write_bytes, lambda: read_embeddings(path, rows, "Again.")) == []
    for array in (np.zeros(rows), np.zeros((rows, 2), object), np.zeros((rows, 2), int), np.full((rows, 2), np.nan)):
        np.save(path, array, allow_pickle=True)
        assert outcome(lambda: read_embeddings(path, rows, "Again.")) == "refused"


def path_writer(path: Path) -> Callable[[pd.DataFrame], None]:
    return lambda table: table.to_parquet(path, index=False)
