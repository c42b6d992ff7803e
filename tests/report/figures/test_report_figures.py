"""Each figure of a publication is drawn, readable, and honest about its axes; what cannot be drawn says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.drawn_text import assert_readable, draw_and_note
from seismag.alarms.figure import draw_molchan
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.report.figures.data_set import _DB_LIMITS, draw_class_balance, draw_examples
from seismag.report.figures.folds import draw_folds
from seismag.scoring.figure import draw_confusion, draw_reliability, draw_scores, draw_subsets, draw_training_curves
from seismag.windows.store import Store, open_store

TASKS = ("detection", "magnitude", "azimuth")


@pytest.fixture(scope="module")
def store(folder: Path, run: Path) -> Store:
    assert run.is_relative_to(folder)  # the store was made with the run
    return open_store(folder / "store")


@pytest.fixture(scope="module")
def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


@pytest.mark.parametrize(
    "draw",
    [
        draw_scores,
        draw_reliability,
        draw_subsets,
        lambda metrics, path: draw_confusion(metrics, "magnitude", path),
        lambda metrics, path: draw_confusion(metrics, "azimuth", path),
    ],
    ids=["scores", "reliability", "subsets", "confusion_magnitude", "confusion_azimuth"],
)
def test_figures_of_a_judgement_are_readable(
    draw: Callable[[dict[str, Any], Path], None], metrics: dict[str, Any], tmp_path: Path
) -> None:
    assert_readable(draw_and_note(lambda path: draw(metrics, path), tmp_path / "figure.png"))


def test_training_curves_are_readable(run: Path, tmp_path: Path) -> None:
    assert_readable(
        draw_and_note(lambda path: draw_training_curves(run / "history.csv", path), tmp_path / "figure.png")
    )


@pytest.mark.parametrize(("normal", "event"), [(419, 37), (12345, 0)])
def test_balance_is_readable_for_many_windows_and_for_none(normal: int, event: int, tmp_path: Path) -> None:
    data = {
        f"{task}_{what}": {"Normal": normal, **dict.fromkeys(classes[1:], event)}
        for task, classes in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES))
        for what in ("windows", "groups")
    }
    drawing = draw_and_note(lambda path: draw_class_balance(data, path), tmp_path / "balance.png")
    assert_readable(drawing)
    assert sum(text == f"{event}" for text, _, _ in drawing.texts) >= 22
    assert sum(text == (f"{normal}" if normal < 10_000 else "12k") for text, _, _ in drawing.texts) >= 4
    assert drawing.figure.axes[0].get_ylim() == drawing.figure.axes[1].get_ylim()


def test_examples_have_the_same_limits_whatever_the_class(store: Store, tmp_path: Path) -> None:
    drawing = draw_and_note(lambda path: draw_examples(store, path), tmp_path / "examples.png")
    assert_readable(drawing)
    panels = [axes for axes in drawing.figure.axes if axes.collections and axes.get_yscale() == "log"]
    assert len(panels) == 3 * len(MAGNITUDE_CLASSES)
    assert {axes.collections[0].get_clim() for axes in panels} == {_DB_LIMITS}
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    words = {text for text, _, _ in drawing.texts}
    assert [axes.get_title().split("\n")[0] for axes in panels[:4]] == list(MAGNITUDE_CLASSES)
    assert {"H, mHz", "D, mHz", "Z, mHz", "dB re 1 nT²/Hz", "hours from start (UTC)"} <= words


def test_pictures_of_an_earlier_system_are_not_drawn_as_spectra(store: Store, tmp_path: Path) -> None:
    legacy = replace(store, attributes={**store.attributes, "preprocessing": {"kind": "legacy_image"}})
    with pytest.raises(DataError, match="without physical axes"):
        draw_examples(legacy, tmp_path / "examples.png")


def score(value: float | None, half: float | None = 0.1) -> dict[str, Any]:
    known = value is not None and half is not None
    low, high = (value - half, value + half) if known else (None, None)  # type: ignore[operator]
    return {"mean": value, "value": value, "low": low, "high": high}


def crossval(n_folds: int, value: float | None, half: float | None = 0.1) -> dict[str, Any]:
    fold = {task: {"accuracy": score(value, half), "balanced_accuracy": score(value, half)} for task in TASKS}
    skills = {task: {"balanced_accuracy": score(value, half)} for task in TASKS}
    folds = [{"fold": k + 1, **deepcopy(fold), "skill_above_best_baseline": skills} for k in range(n_folds)]
    return {"folds": folds, "skill_above_best_baseline": skills}


@pytest.mark.parametrize(("n_folds", "value", "half"), [(1, 0.5, 0.1), (10, 1.0, None), (20, -0.2, 0.1)])
def test_folds_are_readable_however_many(n_folds: int, value: float, half: float | None, tmp_path: Path) -> None:
    drawing = draw_and_note(lambda path: draw_folds(crossval(n_folds, value, half), path), tmp_path / "folds.png")
    assert_readable(drawing)
    drawn = [line for line in drawing.figure.axes[0].lines if line.get_marker() == "o"]
    assert len(drawn) == n_folds
    assert {"accuracy", "balanced accuracy", "skill, balanced accuracy"} <= {text for text, _, _ in drawing.texts}


def test_undefined_score_of_a_fold_is_left_out_and_not_drawn_as_zero(tmp_path: Path) -> None:
    document = crossval(3, 0.5)
    document["folds"][1]["detection"]["balanced_accuracy"] = score(None)
    drawing = draw_and_note(lambda path: draw_folds(document, path), tmp_path / "folds.png")
    shown = [line.get_xdata()[0] for line in drawing.figure.axes[0].lines if line.get_marker() == "o"]
    assert shown == pytest.approx([1.13, 3.13])


def test_molchan_names_all_its_lines_within_the_page(tmp_path: Path) -> None:
    tau = [k / 20 for k in range(21)]
    curve = {
        "tau": tau, "nu": [1 - t for t in tau], "chance_low": [max(0, 0.9 - t) for t in tau],
        "chance_high": [min(1, 1.1 - t) for t in tau],
    }  # fmt: skip
    entry = {"curve": curve, "area_skill": {"value": 0.5}}
    alarms = {"n_events": 42, "references": dict.fromkeys(("uniform", "station", "clustering"), entry)}
    drawing = draw_and_note(lambda path: draw_molchan(alarms, path), tmp_path / "molchan.png")
    assert_readable(drawing)
    assert sum("area skill" in text for text, _, _ in drawing.texts) == 3
