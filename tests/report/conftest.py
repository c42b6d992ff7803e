"""A folder with one finished run, which the tests of a module share; each of them works in that folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures.finished_study import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in that folder, where splits/ and the runs lie."""
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    return make_run(folder).path


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(run, tmp_path / run.name))
