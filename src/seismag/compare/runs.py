"""The runs and cross-validations of a comparison, and the check that they can be compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seismag.config import Config
from seismag.domain import DataError, UsageError
from seismag.runs import Run
from seismag.scoring.predictions import evaluated_rows, read_predictions
from seismag.training.finished import final_results, runs_behind

_REMEDY = "Models are compared on the same windows in the same folds."


@dataclass(frozen=True)
class ComparedRun:
    """One run, or one cross-validation.

    Attributes:
        subject: run id, or the name of the folder of the results.
        path: its folder.
        kind: ``run`` or ``crossval``.
        runs: the run, or the runs of the folds.
        dataset_id: of the store.
        split_sha256: checksum of the split report.
        rows: the evaluated rows of its predictions.
    """

    subject: str
    path: Path
    kind: str
    runs: tuple[Run, ...]
    dataset_id: str
    split_sha256: str
    rows: pd.DataFrame

    @property
    def config(self) -> Config:
        """Configuration of the run, or of the first fold."""
        return self.runs[0].config()

    @property
    def name(self) -> str:
        """``train.run_name`` of its configuration, without the fold."""
        run_name = self.config.train.run_name
        return run_name if self.kind == "run" else re.sub(r"_fold\d+$", "", run_name)


def read_compared_runs(paths: Sequence[Path]) -> list[ComparedRun]:
    """Read run folders, or folders that ``seismag crossval`` wrote, the reference first; one run may stand alone.

    Raises:
        UsageError: no run, one twice, or a folder that is neither.
        DataError: one is not finished, or was trained on another data set or by another split.
    """
    if not paths:
        raise UsageError("no run given: name run folders (experiments_convnext/RUN), the reference first.")
    found = [_read(Path(path)) for path in paths]
    by_subject: dict[str, ComparedRun] = {}
    for run in found:
        if run.subject in by_subject:
            raise UsageError(
                f"{run.path}: has the same name as {by_subject[run.subject].path}. Name each run once; two "
                "cross-validations need folders of different names (seismag crossval --out)."
            )
        by_subject[run.subject] = run
    for other in found[1:]:
        _refuse_other_data(found[0], other)
    return found


def _read(path: Path) -> ComparedRun:
    final = final_results(path)
    runs = runs_behind(path, None if final is None else final["run_ids"])
    rows = evaluated_rows(read_predictions(path / "predictions.parquet"))
    if final is None:
        facts = runs[0].provenance()
        kind, dataset_id, sha256 = "run", facts["dataset_id"], facts["split_certificate_sha256"]
    else:
        kind, dataset_id, sha256 = "crossval", final["dataset_id"], final["split_certificate"]["sha256"]
    return ComparedRun(path.resolve().name, path, kind, runs, str(dataset_id), str(sha256), rows)


def _refuse_other_data(reference: ComparedRun, other: ComparedRun) -> None:
    if other.dataset_id != reference.dataset_id:
        raise DataError(
            f"{reference.subject} was trained on data set {reference.dataset_id} ({reference.config.data.store}), "
            f"{other.subject} on {other.dataset_id} ({other.config.data.store}). {_REMEDY} Train both with --data on "
            "one store."
        )
    if other.split_sha256 != reference.split_sha256:
        names = [f"{run.config.split.method}, {run.config.split.n_folds} folds" for run in (reference, other)]
        raise DataError(
            f"{reference.subject} was trained by split {reference.config.split.name} ({names[0]}, checksum "
            f"{reference.split_sha256[:8]}), {other.subject} by {other.config.split.name} ({names[1]}, "
            f"checksum {other.split_sha256[:8]}). {_REMEDY} Train both with the same section split."
        )
    folds = [sorted(int(fold) for fold in run.rows["fold"].unique()) for run in (reference, other)]
    if folds[0] != folds[1]:
        raise DataError(
            f"{reference.subject} was evaluated on fold {_list(folds[0])}, {other.subject} on fold {_list(folds[1])}. "
            f"{_REMEDY} Train both with the same split.fold, or cross-validate both."
        )


def _list(folds: list[int]) -> str:
    return ", ".join(map(str, folds))
