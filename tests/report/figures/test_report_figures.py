"""Each figure of a publication is drawn, readable, and honest about its axes; what cannot be drawn says why."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fixtures.drawn_text import Drawing, assert_readable, draw_and_note
from fixtures.finished_study import make_run
from fixtures.study_store import make_store
from seismag.alarms.figure import draw_molchan
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.models.architecture import describe_model
from seismag.report.evidence import Evidence, read_evidence
from seismag.report.figures import draw_report_figures
from seismag.report.figures.balance import draw_class_balance
from seismag.report.figures.examples import _DB_LIMITS, choose_examples, draw_examples
from seismag.report.figures.folds import draw_folds
from seismag.scoring.figure import draw_confusion, draw_reliability, draw_scores, draw_subsets, draw_training_curves
from seismag.windows.store import Store, open_store

TASKS = ("detection", "magnitude", "azimuth")
NOT_DRAWN = {
    "map": "the store keeps no catalogue",
    "folds": "one fold only; all of them: seismag crossval",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(make_store(tmp_path_factory.mktemp("figures") / "store"))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = read_evidence(make_run(folder).path)
        architecture = describe_model(found.runs[0].best_model).to_json()
        return replace(found, documents={**found.documents, "architecture.json": architecture})


def test_all_figures_are_drawn_twice_or_say_why_not(evidence: Evidence, tmp_path: Path) -> None:
    figures = draw_report_figures(evidence, tmp_path)
    missing = {name: drawn.reason for name, drawn in figures.items() if drawn.file is None}
    assert set(NOT_DRAWN) <= set(missing)
    for name, words in NOT_DRAWN.items():
        assert words in missing[name]
    assert all(missing.values())
    for name in figures.keys() - missing.keys():
        assert figures[name].file == f"figures/{name}.png"
        assert (tmp_path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert image.width in (1050, 2130)  # one column or a page at 300 dpi
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10
    assert len(figures) - len(missing) >= 9


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
    draw: Callable[[dict[str, Any], Path], None], evidence: Evidence, tmp_path: Path
) -> None:
    metrics = evidence.documents["metrics.json"]
    assert_readable(draw_and_note(lambda path: draw(metrics, path), tmp_path / "figure.png"))


def test_training_curves_are_readable(evidence: Evidence, tmp_path: Path) -> None:
    history = evidence.runs[0].path / "history.csv"
    assert_readable(draw_and_note(lambda path: draw_training_curves(history, path), tmp_path / "figure.png"))


def counts(task_classes: tuple[str, ...], first: int, other: int) -> dict[str, int]:
    return {name: first if name == "Normal" else other for name in task_classes}


@pytest.mark.parametrize(("normal", "event"), [(419, 37), (12345, 0), (1, 1)])
def test_balance_is_readable_for_many_windows_and_for_none(normal: int, event: int, tmp_path: Path) -> None:
    data = {
        f"{task}_{what}": counts(classes, normal, event)
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
    assert {"H, mHz", "D, mHz", "Z, mHz", "dB re 1 nT²/Hz", "hours from start (UTC)"} <= words


def test_examples_are_sampled_at_random_one_a_class(store: Store) -> None:
    chosen = choose_examples(store)
    assert store.samples.iloc[chosen]["magnitude_class"].tolist() == list(MAGNITUDE_CLASSES)
    assert chosen == choose_examples(store)
    assert any(chosen != choose_examples(store, seed) for seed in range(1, 5))


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


@pytest.mark.parametrize(("n_folds", "value", "half"), [(1, 0.5, 0.1), (2, 0.0, 0.0), (10, 1.0, None), (20, -0.2, 0.1)])
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


def molchan(n_events: int) -> dict[str, Any]:
    tau = [k / 20 for k in range(21)]
    curve = {
        "tau": tau,
        "nu": [1 - t for t in tau],
        "chance_low": [max(0, 0.9 - t) for t in tau],
        "chance_high": [min(1, 1.1 - t) for t in tau],
        "binomial_5": [None, *(max(0, 0.8 - t) for t in tau[1:])],
        "binomial_1": [None, *(max(0, 0.7 - t) for t in tau[1:])],
    }
    entry = {"curve": curve, "area_skill": {"value": 0.5}}
    return {"n_events": n_events, "references": dict.fromkeys(("uniform", "station", "clustering"), entry)}


def test_molchan_names_all_its_lines_within_the_page(tmp_path: Path) -> None:
    drawing: Drawing = draw_and_note(lambda path: draw_molchan(molchan(42), path), tmp_path / "molchan.png")
    assert_readable(drawing)
    assert sum("area skill" in text for text, _, _ in drawing.texts) == 3
    assert sum("bound" in text for text, _, _ in drawing.texts) == 2
