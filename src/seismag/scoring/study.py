"""Evaluation of a table of predictions, from its file to metrics.json and figures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from seismag.arrays import Float32Array
from seismag.config import EvaluateConfig
from seismag.documents import Document, read_document, read_embeddings
from seismag.domain import DataError
from seismag.files import file_sha256, write_checked_json
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.figure import draw_confusion, draw_reliability, draw_scores, draw_subsets
from seismag.scoring.predictions import read_predictions

if TYPE_CHECKING:
    from seismag.windows.store import Store

METRICS_FILE, EMBEDDINGS_FILE = "metrics.json", "embeddings.npy"
_CHANGED = "The record, the predictions or the store was changed; evaluate the run again."
_OTHER_EMBEDDINGS = "Delete it, or evaluate the model again."


@one_writer()
def evaluate_table(path: Path, spec: EvaluateConfig, out: Path | None, progress: Progress = silent) -> dict[str, Any]:
    """Evaluate a table without its store; returns the content of metrics.json, and writes it into ``out``, if given.

    Raises:
        DataError: the table is not valid, or ``out`` cannot be made.
    """
    if out is not None:
        make_output_folder(out)  # before the work, not after it
    table = read_predictions(path)
    progress("scores", 0, 1)
    metrics = {**evaluate_predictions(table, config=spec).to_json(), "made_from": made_from(path)}
    progress("scores", 1, 1)
    if out is not None:
        write_metrics(metrics, out)
    return metrics


class _Score(Document):
    value: float | None
    low: float | None
    high: float | None
    n: int


class _SkillScore(_Score):
    classes: list[str]


class _Skill(Document):
    balanced_accuracy: _SkillScore
    log_score: _Score
    brier: _Score


class _Task(Document):
    classes: list[str]
    confusion: list[list[float]]
    accuracy: _Score
    balanced_accuracy: _Score
    mcc: _Score
    macro_f1: _Score
    log_score: _Score
    brier: _Score
    skill_above_best_baseline: _Skill
    calibration: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any]]


class _Sources(Document):
    predictions_sha256: str | None = None
    embeddings_sha256: str | None = None
    samples_sha256: str | None = None
    models_sha256: dict[str, str | None] = Field(default_factory=dict)


class MadeFrom(Document):
    """The key ``made_from`` of metrics.json and audit.json; older documents have none."""

    made_from: _Sources = Field(default_factory=_Sources)


class RecordedMetrics(MadeFrom):
    """metrics.json of a run or a cross-validation, as far as it is read before it is computed again."""

    dataset_id: str
    run_ids: Annotated[list[str], Field(min_length=1)]
    role: str
    n: int
    n_events: int
    n_event_groups: int
    n_normal_groups: int
    data_origin: list[str] | None
    confidence: float
    settings: EvaluateConfig
    warnings: list[str]
    magnitude: _Task
    azimuth: _Task
    detection: _Task
    alarms: Mapping[str, Any] | None = None


def read_metrics(path: Path, remedy: str) -> Mapping[str, Any]:
    """Read metrics.json of a run or a cross-validation; ``remedy`` states how it is made again.

    Raises:
        SeismagError: it cannot be read, was changed, or does not fit the schema.
    """
    return read_document(path, RecordedMetrics, remedy, signed=True)


def made_from(
    predictions: Path | None, store: Store | None = None, models: Mapping[str, Path | None] | None = None
) -> Mapping[str, Any]:
    """Return the checksums of what an evaluation was made from: the key ``made_from`` of metrics.json and audit.json.

    Args:
        predictions: their table; None: it was not written.
        store: of their windows; its labels and groups count (samples.parquet).
        models: checkpoint by run_id; None: not found.

    Returns:
        predictions_sha256, embeddings_sha256 (of embeddings.npy in their folder; None: there is none), samples_sha256
        (None: no store), models_sha256 (by run_id; None: not known).
    """
    embeddings = None if predictions is None else predictions.parent / EMBEDDINGS_FILE
    return {
        "predictions_sha256": None if predictions is None else file_sha256(predictions),
        "embeddings_sha256": file_sha256(embeddings) if embeddings is not None and embeddings.is_file() else None,
        "samples_sha256": None if store is None else store.samples_sha256(),
        "models_sha256": {
            run_id: None if path is None else file_sha256(path) for run_id, path in sorted((models or {}).items())
        },
    }


def require_same_sources(
    file: Path,
    recorded: Mapping[str, Any],
    table: Path,
    store: Store,
    models: Mapping[str, Path],
    remedy: str = _CHANGED,
) -> None:
    """Compare the checksums in a record with those of predictions, embeddings, labels and models (by run_id).

    Raises:
        DataError: names what differs, or a model that is not there.
    """
    stated = recorded.get("made_from") or {}
    if gone := [path for path in models.values() if not path.is_file()]:
        raise DataError(f"{gone[0]}: the model of the run is not there. Copy it back, with its model card.")
    found = made_from(table, store, models)
    sources = {"predictions_sha256": f"the predictions {table}", "samples_sha256": f"the labels of {store.path}"}
    for key, source in sources.items():
        if stated.get(key) is None:
            raise DataError(f"{file}: contains no checksum of {source}: it was made without them. {remedy}")
        if stated[key] != found[key]:
            raise DataError(f"{file}: its checksum is not that of {source}: it was made from others. {remedy}")
    _require_same_embeddings(file, stated, table.parent / EMBEDDINGS_FILE, remedy)
    for run_id, checksum in found["models_sha256"].items():
        if stated["models_sha256"].get(run_id) is None:
            raise DataError(
                f"{file}: contains no checksum of the model of {run_id}: it was made where the folder of this run was "
                "not found. Make it again beside the runs, or from the folder where they were trained."
            )
        if stated["models_sha256"][run_id] != checksum:
            raise DataError(f"{file}: its checksum is not that of the model of {run_id}. {remedy}")


def _require_same_embeddings(file: Path, stated: Mapping[str, Any], embeddings: Path, remedy: str) -> None:
    recorded = stated.get("embeddings_sha256")  # None: of an earlier version
    if recorded is not None and embeddings.is_file() and file_sha256(embeddings) != recorded:
        raise DataError(f"{file}: its checksum is not that of the embeddings {embeddings}: those are others. {remedy}")


def read_own_embeddings(table: Path, rows: int) -> Float32Array:
    """Read ``embeddings.npy`` beside a table of ``rows`` predictions.

    Raises:
        DataError: it is damaged, or metrics.json in its folder was made from these predictions and other embeddings.
    """
    path, file, remedy = table.parent / EMBEDDINGS_FILE, table.parent / METRICS_FILE, _OTHER_EMBEDDINGS
    if file.is_file():
        stated = read_document(file, MadeFrom, remedy).get("made_from") or {}
        if stated.get("predictions_sha256") == file_sha256(table):
            _require_same_embeddings(file, stated, path, remedy)
    return read_embeddings(path, rows, remedy)


def make_output_folder(out: Path) -> None:
    """Make the output folder of an evaluation, where it is not there.

    Raises:
        DataError: it cannot be made, or nothing can be written in it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror}). Choose another --out.") from error
    if not os.access(out, os.W_OK):
        raise DataError(f"{out}: cannot be written in. Choose another --out.")


@one_writer()
def write_metrics(metrics: dict[str, Any], out: Path) -> None:
    """Write metrics.json and its figures into a folder, which is made where it is not there."""
    make_output_folder(out)
    write_checked_json(out / METRICS_FILE, metrics)
    draw_figures(metrics, out)


def draw_figures(metrics: dict[str, Any], folder: Path) -> None:
    """Draw confusion matrices, scores with baselines, reliability and subsets of a metrics.json."""
    for task in ("magnitude", "azimuth"):
        draw_confusion(metrics, task, folder / f"confusion_{task}.png")
    draw_scores(metrics, folder / "scores.png")
    draw_reliability(metrics, folder / "reliability.png")
    draw_subsets(metrics, folder / "subsets.png")
