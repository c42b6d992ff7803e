"""A small store and an untrained model on it, which the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.explained_study import few_draws, write_untrained_run
from fixtures.study_store import make_store
from fixtures.training_store import single_thread
from seismag.config import EvaluateConfig
from seismag.explain.compute import Explanation, explain_model
from seismag.explain.subject import ExplanationPlan, open_subject
from seismag.runs import Run

__all__ = ["single_thread"]


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("explained") / "store")


@pytest.fixture(scope="session")
def untrained(store_path: Path) -> Run:
    return write_untrained_run(store_path, store_path.parent / "untrained")


@pytest.fixture(scope="session")
def untrained_study(untrained: Run, store_path: Path) -> Explanation:
    spec = EvaluateConfig(bootstrap=100, confidence=0.95, seed=1)
    with few_draws():
        return explain_model(open_subject(untrained.best_model, store_path), ExplanationPlan(3, study_least=12), spec)
