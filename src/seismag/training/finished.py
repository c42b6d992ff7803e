"""Finished runs and cross-validations on disk: the kind of a folder, its runs and its store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seismag.domain import DataError, UsageError
from seismag.runs import Run, read_run
from seismag.windows.store import Store, open_store


def final_results(path: Path) -> dict[str, Any] | None:
    """Read the ``*_final_results.json`` of a cross-validation; None for the folder of a single run.

    Raises:
        UsageError: no such folder, or neither of the two. DataError: it has no predictions, or is damaged.
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
        return dict(json.loads(finals[0].read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{finals[0]}: cannot be read ({error}). Cross-validate again: finished folds are kept."
        ) from error


def require_files(path: Path, names: Sequence[str], is_crossval: bool) -> None:
    """Refuse a folder that lacks a file of a finished run (DataError)."""
    remedy = (
        f"The command that made it makes it again: seismag crossval ... --out {path}"
        if is_crossval
        else f"End its training: seismag train --resume {path}"
    )
    if gone := [name for name in names if not (path / name).is_file()]:
        raise DataError(f"{path}: has no {gone[0]}, so there is nothing to report or to compare. {remedy}")


def runs_behind(path: Path, run_ids: Sequence[str] | None) -> tuple[Run, ...]:
    """Return the run itself (``run_ids`` None), or those of a cross-validation, next to its results or in this folder.

    Raises:
        DataError: the run of a fold is not found.
    """
    if run_ids is None:
        return (read_run(path),)
    runs = []
    for run_id in run_ids:
        roots = (path.resolve().parent, Path.cwd())
        found = [entry for root in roots for entry in sorted(root.glob(f"*/{run_id}/provenance.json"))]
        if not found:
            raise DataError(
                f"{path}: its fold {run_id} is in no runs folder next to it. Move the run folders there, or run from "
                "the folder where they were trained."
            )
        runs.append(read_run(found[0].parent))
    return tuple(runs)


def store_of(run: Run, dataset_id: str, data: Path | None) -> Store:
    """Open the store of a training, ``data`` or that of its configuration; DataError: absent, or other data."""
    path = data or Path(run.config().data.store)
    if not path.exists():
        remedy = "Name it with --data STORE." if data is None else "--data names a store that does not exist."
        raise DataError(f"{run.run_id}: its store {path} does not exist. {remedy}")
    store = open_store(path)
    if store.attributes["dataset_id"] != dataset_id:
        raise DataError(
            f"{path}: is data set {store.attributes['dataset_id']}, the predictions of {run.run_id} are of "
            f"{dataset_id}. Name their store with --data STORE."
        )
    return store
