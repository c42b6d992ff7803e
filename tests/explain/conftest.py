"""A small store and an untrained model on it, which the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.explained_study import write_untrained_run
from fixtures.study_store import make_store
from fixtures.training_store import single_thread
from seismag.runs import Run

__all__ = ["single_thread"]


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("explained") / "store")


@pytest.fixture(scope="session")
def untrained(store_path: Path) -> Run:
    return write_untrained_run(store_path, store_path.parent / "untrained")
