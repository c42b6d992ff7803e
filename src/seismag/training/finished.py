"""Finished runs and cross-validations on disk: what a folder is, which runs stand behind it, where its store lies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seismag.domain import DataError, UsageError
from seismag.runs import Run, read_run
from seismag.windows.store import Store, open_store


def final_results(path: Path) -> dict[str, Any] | None:
    """The ``*_final_results.json`` of a cross-validation; None for the folder of a single run.

    Raises:
        UsageError: there is no such folder, or it is neither. DataError: it has no predictions, or is damaged.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder. Name a run (experiments_convnext/RUN) or loeo_convnext_results.")
    finals = sorted(path.glob("*_final_results.json"))
    if not finals and not (path / "provenance.json").is_file():
        raise UsageError(
            f"{path}: neither a run (no provenance.json) nor a finished cross-validation (no *_final_results.json). "
            "'seismag train' and 'seismag crossval' make them."
        )
    require_files(path, ["predictions.parquet"], bool(finals))
    if not finals:
        return None
    try:
        document: dict[str, Any] = json.loads(finals[0].read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{finals[0]}: cannot be read ({error}). Cross-validate again: finished folds stay.") from error
    return document


def require_files(path: Path, names: Sequence[str], is_crossval: bool) -> None:
    """Refuse a folder that lacks a file of a finished run.

    Raises:
        DataError: names the file and the way out.
    """
    way_out = (
        f"The command that made it makes it again: seismag crossval ... --out {path}"
        if is_crossval
        else f"End its training: seismag train --resume {path}"
    )
    if gone := [name for name in names if not (path / name).is_file()]:
        raise DataError(f"{path}: has no {gone[0]}, so there is nothing to report or to compare. {way_out}")


def runs_behind(path: Path, run_ids: Sequence[str] | None) -> tuple[Run, ...]:
    """The run itself (``run_ids`` None), or those of a cross-validation, beside its results or below this folder.

    Raises:
        DataError: a fold is nowhere.
    """
    if run_ids is None:
        return (read_run(path),)
    return tuple(_fold_run(path, run_id) for run_id in run_ids)


def store_of(run: Run, dataset_id: str, data: Path | None) -> Store:
    """Open the store that a run was trained on: the one named, else that of its configuration.

    Raises:
        DataError: it is not there, or is another data set.
    """
    path = data or Path(run.config().data.store)
    if not path.exists():
        way_out = "Name it with --data STORE." if data is None else "--data names a store that is not there."
        raise DataError(f"{run.run_id}: its store {path} is not here. {way_out}")
    store = open_store(path)
    if store.attributes["dataset_id"] != dataset_id:
        raise DataError(
            f"{path}: is data set {store.attributes['dataset_id']}, the predictions of {run.run_id} are of "
            f"{dataset_id}. Name their store with --data STORE."
        )
    return store


def _fold_run(results: Path, run_id: str) -> Run:
    roots = (results.resolve().parent, Path.cwd())
    found = [place for root in roots for place in sorted(root.glob(f"*/{run_id}/provenance.json"))]  # train.runs_dir
    if not found:
        raise DataError(
            f"{results}: its fold {run_id} is in no runs folder beside it. Move the run folders beside it, or run from "
            "the folder where they were trained."
        )
    return read_run(found[0].parent)
