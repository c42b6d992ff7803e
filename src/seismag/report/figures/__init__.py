"""The figures of a publication, each as PNG and PDF."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seismag.alarms.figure import draw_molchan
from seismag.domain import DataError
from seismag.files import atomic_path
from seismag.recovery.figure import draw_recovery
from seismag.report.evidence import Evidence
from seismag.report.figures.architecture import draw_architecture
from seismag.report.figures.data_set import draw_class_balance, draw_examples
from seismag.report.figures.folds import draw_folds
from seismag.report.figures.station_map import draw_station_map, places_of
from seismag.scoring.figure import draw_confusion, draw_reliability, draw_scores, draw_subsets, draw_training_curves


@dataclass(frozen=True)
class Drawn:
    """A figure: its PNG, relative to the folder of the publication, or the reason why it was not drawn."""

    file: str | None
    reason: str = ""


def draw_report_figures(evidence: Evidence, out: Path) -> dict[str, Drawn]:
    """Draw all figures for which documents exist into ``out/figures``, by name."""
    metrics, documents = evidence.documents["metrics.json"], evidence.documents
    work: dict[str, Callable[[Path], None]] = {
        "map": lambda path: draw_station_map(places_of(evidence.store), path),
        "class_balance": lambda path: draw_class_balance(documents["data.json"], path),
        "examples": lambda path: draw_examples(evidence.store, path),
        "training_curves": lambda path: draw_training_curves(evidence.runs[0].path / "history.csv", path),
        "folds": lambda path: draw_folds(_crossval(evidence), path),
        "confusion_magnitude": lambda path: draw_confusion(metrics, "magnitude", path),
        "confusion_azimuth": lambda path: draw_confusion(metrics, "azimuth", path),
        "scores": lambda path: draw_scores(metrics, path),
        "reliability": lambda path: draw_reliability(metrics, path),
        "subsets": lambda path: draw_subsets(metrics, path),
        "molchan": lambda path: _molchan(evidence, path),
        "architecture": lambda path: draw_architecture(documents["architecture.json"], path),
    }
    if "recovery.json" in documents:
        work["recovery"] = lambda path: draw_recovery(documents["recovery.json"], path)
    return {name: _draw(name, draw, out) for name, draw in work.items()} | _of_explanation(evidence, out)


def _of_explanation(evidence: Evidence, out: Path) -> dict[str, Drawn]:
    """Copy the figures of ``seismag explain``: bands, embeddings, and one window of each class."""
    if "explanation.json" not in evidence.documents:
        return {}
    windows = evidence.documents["explanation.json"]["windows"]
    first_of_class = {row["y_magnitude"]: row for row in reversed(windows)}
    pictures = {f"gradcam_{name.lower()}": row["file"] for name, row in sorted(first_of_class.items())}
    pictures |= {"band_importance": "band_importance.png", "embeddings": "embedding_view.png"}
    return {name: _copy(name, evidence.folders["explanation.json"] / file, out) for name, file in pictures.items()}


def _copy(name: str, picture: Path, out: Path) -> Drawn:
    if not picture.is_file():
        return Drawn(None, f"{picture} is missing. Run seismag explain again.")
    target = out / "figures" / f"{name}.png"
    with atomic_path(target) as temporary:
        shutil.copyfile(picture, temporary)
    return Drawn(f"figures/{name}.png")


def _draw(name: str, draw: Callable[[Path], None], out: Path) -> Drawn:
    try:
        for suffix in (".png", ".pdf"):
            draw(out / "figures" / f"{name}{suffix}")
    except DataError as error:
        return Drawn(None, str(error))
    return Drawn(f"figures/{name}.png")


def _crossval(evidence: Evidence) -> dict[str, object]:
    if "crossval.json" not in evidence.documents:
        raise DataError(f"one fold only; all of them: {evidence.missing['crossval.json']}")
    found: dict[str, object] = evidence.documents["crossval.json"]
    return found


def _molchan(evidence: Evidence, path: Path) -> None:
    alarms = evidence.documents["metrics.json"].get("alarms") or {}
    if not any("curve" in entry for entry in (alarms.get("references") or {}).values()):
        why = (alarms.get("warnings") or ["alarms were not evaluated"])[0]
        raise DataError(f"no Molchan curve is recorded: {why}")
    draw_molchan(alarms, path)
