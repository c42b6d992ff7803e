"""Files and page of an explanation, and the command that makes them."""

from __future__ import annotations

import copy
import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from fixtures.browser import open_page
from fixtures.explained_study import few_draws
from seismag.cli import app
from seismag.domain import UsageError
from seismag.explain import page as page_module
from seismag.explain.compute import NO_COMPONENTS, Explanation
from seismag.explain.figure import _edges, draw_sanity
from seismag.explain.page import conclude, prepare_folder, render_page, strongest_parts, write_explanation
from seismag.runs import Run


@pytest.fixture(scope="module")
def study(untrained_study: Explanation) -> Explanation:
    return untrained_study


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a word in place of each picture."""
    for name in ("draw_importance", "draw_sanity", "draw_embedding_view", "draw_window"):
        monkeypatch.setattr(page_module, name, lambda *arguments: arguments[-1].write_bytes(b"a picture"))


@pytest.fixture(scope="module")
def page(study: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explanation(study, tmp_path_factory.mktemp("gallery"))


def test_every_file_that_is_named_is_there_and_no_picture_is_empty(page: Path, study: Explanation) -> None:
    out = page.parent
    document = json.loads((out / "explanation.json").read_text())
    assert len(document["windows"]) == 3
    pictures = [*(window["file"] for window in document["windows"]), "band_importance.png", "sanity.png"]
    for name in (*pictures, "embedding_view.png"):
        with Image.open(out / name) as image:
            assert image.width >= 850
            assert len(image.convert("L").getcolors()) > 50, name
    table = pd.read_csv(out / "embedding_view.csv")
    assert study.view is not None
    assert len(table) == document["embeddings"]["n_drawn"] == len(study.view.table)


def test_the_page_opens_without_an_error_and_asks_nobody(page: Path) -> None:
    visit = open_page(page, "[...document.images].map(image => image.naturalWidth > 0)")
    assert visit.errors == []
    assert visit.requests == []
    assert visit.answer == [True] * 6  # sanity, importance, embeddings, three windows
    assert html.escape(NO_COMPONENTS) in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_a_second_explanation_leaves_no_picture_of_the_first(study: Explanation, tmp_path: Path) -> None:
    write_explanation(study, tmp_path)
    (tmp_path / "windows" / "mine.png").write_bytes(b"not ours")
    fewer = copy.copy(study.document) | {"windows": study.document["windows"][:1]}
    write_explanation(Explanation(**(vars(study) | {"document": fewer, "windows": study.windows[:1]})), tmp_path)
    names = {path.name for path in (tmp_path / "windows").iterdir()}
    assert names == {Path(study.windows[0].facts["file"]).name, "mine.png"}


def test_a_failed_sanity_test_comes_first_on_the_page(study: Explanation, page: Path) -> None:
    document = copy.deepcopy(study.document)
    document["sanity"][0] |= {"verdict": "fail", "sentence": "the maps ignore <the weights>"}
    assert conclude(document)["verdict"] == "fail"
    text = render_page(document, page.parent)
    assert "These maps must not be interpreted: sanity tests" in text
    assert "&lt;the weights&gt;" in text
    for entry in document["sanity"]:
        entry["verdict"] = "pass"
    for entry in document["skill"].values():
        entry["shown"] = False
    assert "explain noise" in conclude(document)["text"]
    for entry in document["skill"].values():
        entry["shown"] = True
    assert conclude(document)["verdict"] == "pass"


def test_parts_are_named_only_where_their_interval_is_above_zero(study: Explanation) -> None:
    document = copy.deepcopy(study.document)
    for part in document["band_importance"]["parts"]:
        part["detection"]["log_score"] = {"value": 0.3, "low": -0.1, "high": 0.7}
    assert strongest_parts(document) == []
    document["band_importance"]["parts"][0]["detection"]["log_score"]["low"] = 0.1
    assert [part["component"] for part in strongest_parts(document)] == ["H"]


def test_undefined_correlations_are_drawn_as_gaps(study: Explanation, tmp_path: Path) -> None:
    document = copy.deepcopy(study.document)
    for result in document["sanity"]:
        for stage in result["details"].get("stages", []):
            stage["correlation"] = None
    draw_sanity(document, tmp_path / "sanity.png")
    assert (tmp_path / "sanity.png").stat().st_size > 5000


def test_the_borders_of_cells_lie_half_way_between_their_middles() -> None:
    np.testing.assert_allclose(_edges(np.array([1.0, 3.0, 5.0]), logarithmic=False), [0, 2, 4, 6])
    np.testing.assert_allclose(_edges(np.array([1.0, 4.0]), logarithmic=True), [0.5, 2.0, 8.0])


@pytest.mark.usefixtures("undrawn")
def test_the_command_writes_into_the_run_folder_and_prints_one_document(
    untrained: Run, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEISMAG_SMALL", "1")
    arguments = ["explain", "--model", str(untrained.best_model), "--data", str(store_path), "--samples=2", "--json"]
    with few_draws():
        done = CliRunner().invoke(app, [*arguments, "--set", "evaluate.bootstrap=100"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["n_windows"] == 2
    assert (untrained.path / "explanation" / "gallery.html").is_file()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--out .*file: cannot be made"):
        prepare_folder(tmp_path / "file")
