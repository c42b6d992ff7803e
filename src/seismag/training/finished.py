"""Finished runs and cross-validations on disk: the kind of a folder, its runs and its store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from seismag import __version__
from seismag.documents import Document, read_document
from seismag.domain import DataError, SeismagError, UsageError
from seismag.runs import Run, git_state, read_run
from seismag.scoring.study import METRICS_FILE, read_metrics, require_same_sources
from seismag.windows.store import Store, open_store


class SplitFacts(Document):
    """The split of a cross-validation: its report (path and checksum), method, size and counted overlaps."""

    model_config = ConfigDict(extra="forbid")

    path: str
    sha256: str
    method: str
    n_folds: int
    n_groups: int
    proof: dict[str, int] | None


class _FinalResults(Document):
    dataset_id: str
    run_ids: Annotated[list[str], Field(min_length=1)]
    split_certificate: SplitFacts
    folds: list[Mapping[str, Any]]


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
    return read_document(finals[0], _FinalResults, "Cross-validate again: finished folds are kept.", signed=True)


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
    runs = find_runs(path, run_ids)
    if gone := [run_id for run_id in run_ids if run_id not in runs]:
        raise DataError(
            f"{path}: its fold {gone[0]} is in no runs folder next to it. Move the run folders there, or run from "
            "the folder where they were trained."
        )
    return tuple(runs.values())


def find_runs(folder: Path, run_ids: Iterable[str], runs_dir: Path | None = None) -> dict[str, Run]:
    """Find runs by their identifier, in the order of ``run_ids``; those that are not found are left out.

    Args:
        folder: of the results; the run itself, or a folder with folders of runs beside it.
        run_ids: the runs.
        runs_dir: another folder with runs; folders of the present folder are looked at in any case.
    """
    here = folder.resolve()
    runs = {}
    for run_id in run_ids:
        candidates = [here] if here.name == run_id else []
        candidates += [] if runs_dir is None else [runs_dir / run_id]
        candidates += [entry for root in (here.parent, Path.cwd()) for entry in sorted(root.glob(f"*/{run_id}"))]
        for candidate in candidates:
            with suppress(SeismagError):
                runs[run_id] = read_run(candidate)
                break
    return runs


def store_of(run: Run, dataset_id: str, data: Path | None) -> Store:
    """Open the store of a training, ``data`` or that of its configuration; DataError: absent, or other data."""
    path = data or Path(run.config().data.store)
    if data is None and not path.exists():  # relative to the folder of the training
        path = run.path.parent.parent / path
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


def metrics_of_fold(run: Run, store: Store) -> dict[str, Any]:
    """Read metrics.json of a finished fold, whose files may have been copied from elsewhere.

    Raises:
        DataError: it was not made from the predictions and the model in its folder and the labels of this store.
    """
    file, remedy = run.path / METRICS_FILE, "Delete the run: the same command trains its fold again."
    metrics = dict(read_metrics(file, remedy))
    if any((metrics.get("made_from") or {}).values()):  # none: of an earlier version
        models = dict.fromkeys(metrics["run_ids"], run.best_model)
        require_same_sources(file, metrics, run.predictions, store, models, remedy)
    return metrics


def this_code() -> dict[str, Any]:
    """Return the version of seismag that runs, in the keys of provenance.json."""
    return {"seismag_version": __version__, "git": git_state(Path(__file__))}


def several_codes(provenances: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence where parts of one result are of several versions of seismag; a commit counts where known."""
    versions, commits = set(), set()
    for facts in provenances:
        versions.add(str(facts.get("seismag_version")))
        commits.add(str((facts.get("git") or {}).get("commit"))[:12])
    commits.discard("None")
    if max(len(versions), len(commits)) < 2:
        return []
    names = ", ".join(sorted(versions) + sorted(f"commit {commit}" for commit in commits))
    return [f"trained by several versions of seismag, whose results may differ: {names}"]


def models_behind(table: Path, run_ids: Iterable[str], runs_dir: Path | None = None) -> dict[str, Path | None]:
    """Find the checkpoint of each run behind a table of predictions; None: it is not found."""
    ids = list(run_ids)
    runs = find_runs(table.parent, ids, runs_dir)
    found = {run_id: runs[run_id].best_model if run_id in runs else None for run_id in ids}
    return {run_id: path if path is not None and path.is_file() else None for run_id, path in found.items()}
