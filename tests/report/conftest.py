"""A folder with a finished run and a finished cross-validation, which all tests of the report share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemBytecodeCache

from fixtures.finished_study import make_crossval, make_run
from seismag.report.evidence import Evidence, read_evidence


@pytest.fixture(autouse=True, scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile each template of the texts once, and not in each report."""
    kept = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seismag.report.texts.Environment", partial(Environment, bytecode_cache=kept))
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in that folder, where splits/ and the runs lie."""
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def run(folder: Path) -> Path:
    return make_run(folder).path


@pytest.fixture(scope="session")
def crossval(folder: Path, run: Path) -> Evidence:
    """Its first fold is the run."""
    assert run.is_relative_to(folder)
    results = make_crossval(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return read_evidence(results)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(run, tmp_path / run.name))
