"""The runs and cross-validations that are compared: what each is, and the refusal of those that cannot be."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from seismag.config import Config
from seismag.domain import DataError, UsageError
from seismag.evaluation.predictions import judged_rows, read_predictions
from seismag.runs import Run, read_run

_SECTIONS = ("data", "split", "model", "train", "augment", "pretrain")
_NOT_SETTINGS = ("data.store", "split.fold", "split.name", "train.run_name", "train.runs_dir", "train.num_workers")
_WAY_OUT = "Models are compared on the same windows in the same folds."


@dataclass(frozen=True)
class ComparedRun:
    """One run, or one cross-validation.

    Attributes:
        subject: run id, or the name of the folder of the results.
        path: its folder.
        kind: ``run`` or ``crossval``.
        runs: the run, or the runs of the folds.
        dataset_id: of the store.
        certificate_sha256: of the split.
        rows: the judged rows of its predictions.
    """

    subject: str
    path: Path
    kind: str
    runs: tuple[Run, ...]
    dataset_id: str
    certificate_sha256: str
    rows: pd.DataFrame

    @property
    def config(self) -> Config:
        """Configuration of the run, or of the first fold."""
        return self.runs[0].config()

    @property
    def name(self) -> str:
        """What its configuration calls it (``train.run_name``), without the number of the fold."""
        run_name = self.config.train.run_name
        return run_name if self.kind == "run" else re.sub(r"_fold\d+$", "", run_name)


def read_compared_runs(paths: Sequence[Path]) -> list[ComparedRun]:
    """Read what is to be compared, and refuse what cannot be.

    Args:
        paths: run folders, or folders that ``seismag crossval`` wrote; the first is the reference. One
            alone stands beside rules and classical methods only.

    Raises:
        UsageError: none, one twice, or a folder that is neither.
        DataError: one is not finished, or was trained on another data set or by another split.
    """
    if not paths:
        raise UsageError("no run given: name run folders (experiments_convnext/RUN), the reference first.")
    found = [_read(Path(path)) for path in paths]
    by_subject: dict[str, ComparedRun] = {}
    for run in found:
        if run.subject in by_subject:
            raise UsageError(
                f"{run.path}: is called {run.subject}, as is {by_subject[run.subject].path}. Name each run once; two "
                "cross-validations need folders of different names (seismag crossval --out)."
            )
        by_subject[run.subject] = run
    for other in found[1:]:
        _refuse_other_data(found[0], other)
    return found


def config_differences(reference: Config, other: Config) -> list[dict[str, Any]]:
    """List what two resolved configurations train differently: ``key``, ``value`` of the other, ``reference``."""
    values, own = _flat(other), _flat(reference)
    return [
        {"key": key, "value": values.get(key), "reference": own.get(key)}
        for key in sorted({*values, *own})
        if values.get(key) != own.get(key) and key not in _NOT_SETTINGS
    ]


def _read(path: Path) -> ComparedRun:
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder. Name a run (experiments_convnext/RUN) or loeo_convnext_results.")
    finals = sorted(path.glob("*_final_results.json"))
    if not finals and not (path / "provenance.json").is_file():
        raise UsageError(
            f"{path}: neither a run (no provenance.json) nor a finished cross-validation (no *_final_results.json). "
            "'seismag train' and 'seismag crossval' make them."
        )
    if not (path / "predictions.parquet").is_file():
        raise DataError(f"{path}: has no predictions.parquet. End its training: seismag train --resume {path}")
    rows = judged_rows(read_predictions(path / "predictions.parquet"))
    subject = path.resolve().name
    if not finals:
        run = read_run(path)
        facts = run.provenance()
        return ComparedRun(
            subject, path, "run", (run,), str(facts["dataset_id"]), str(facts["split_certificate_sha256"]), rows
        )
    final = json.loads(finals[0].read_text(encoding="utf-8"))
    runs = tuple(_fold_run(path, run_id) for run_id in final["run_ids"])
    sha256 = final["split_certificate"]["sha256"]
    return ComparedRun(subject, path, "crossval", runs, final["dataset_id"], sha256, rows)


def _fold_run(results: Path, run_id: str) -> Run:
    """The run of a fold, beside the results or below the present folder."""
    places = [root / "experiments_convnext" / run_id for root in (results.resolve().parent, Path.cwd())]
    for place in places:
        if place.is_dir():
            return read_run(place)
    raise DataError(
        f"{results}: its fold {run_id} is not in {places[0].parent}. Move the run folders beside it, or run from the "
        "folder where they were trained."
    )


def _refuse_other_data(reference: ComparedRun, other: ComparedRun) -> None:
    if other.dataset_id != reference.dataset_id:
        raise DataError(
            f"{reference.subject} was trained on data set {reference.dataset_id} ({reference.config.data.store}), "
            f"{other.subject} on {other.dataset_id} ({other.config.data.store}). {_WAY_OUT} Train both with --data on "
            "one store."
        )
    if other.certificate_sha256 != reference.certificate_sha256:
        names = [f"{run.config.split.method}, {run.config.split.n_folds} folds" for run in (reference, other)]
        raise DataError(
            f"{reference.subject} was trained by split {reference.config.split.name} ({names[0]}, certificate "
            f"{reference.certificate_sha256[:8]}), {other.subject} by {other.config.split.name} ({names[1]}, "
            f"certificate {other.certificate_sha256[:8]}). {_WAY_OUT} Train both with the same section split."
        )
    folds = [sorted(int(fold) for fold in run.rows["fold"].unique()) for run in (reference, other)]
    if folds[0] != folds[1]:
        raise DataError(
            f"{reference.subject} was judged on fold {_list(folds[0])}, {other.subject} on fold {_list(folds[1])}. "
            f"{_WAY_OUT} Train both with the same split.fold, or cross-validate both."
        )


def _flat(config: Config) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                walk(f"{prefix}.{key}" if prefix else key, entry)
        else:
            flat[prefix] = value

    walk("", {name: getattr(config, name).model_dump(mode="json") for name in _SECTIONS})
    return flat


def _list(folds: list[int]) -> str:
    return ", ".join(map(str, folds))
