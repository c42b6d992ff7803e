"""The comparison of several models in identical folds: scores, paired differences, and cost."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from seismag import __version__
from seismag.cards import read_card
from seismag.compare.paired import align_tables, compare_tables, window_keys
from seismag.config import Config, EvaluateConfig
from seismag.domain import DataError, UsageError
from seismag.models.cost import (
    FLOPS_COUNTED,
    LatencyPlan,
    blank_input,
    count_flops,
    count_parameters,
    device_name,
    measure_latency,
)
from seismag.parallel import Progress, silent
from seismag.runs import Run, git_state
from seismag.scoring.agreement import require_agreement
from seismag.scoring.classical import classical_forecasts
from seismag.scoring.forecasts import BaselineData
from seismag.scoring.predictions import evaluated_rows, read_predictions
from seismag.splits import assign_split
from seismag.training.checkpoint import LoadedModel, load_checkpoint
from seismag.training.finished import final_results, runs_behind, store_of
from seismag.training.run import reach_h
from seismag.training.tried import setting_differences
from seismag.windows.store import Store

_PLAN = LatencyPlan()
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


def compare_runs(
    paths: Sequence[Path],
    spec: EvaluateConfig,
    progress: Progress = silent,
    data: Path | None = None,
    latency: LatencyPlan | None = _PLAN,
) -> dict[str, Any]:
    """Compare runs or cross-validations with the first of them; gives the content of comparison.json.

    Args:
        paths: folders; all on one data set and in identical folds.
        spec: section ``evaluate``.
        progress: called with stage, done, total.
        data: their store; None: the store of the first configuration.
        latency: None: not measured.

    Raises:
        UsageError: no run, one twice, or a folder that is neither.
        DataError: data sets, splits, folds, windows or labels differ, or the store does not exist.
    """
    runs = read_compared_runs(paths)
    tables = align_tables({run.subject: run.rows for run in runs})
    store = store_of(runs[0].runs[0], runs[0].dataset_id, data)
    require_agreement(tables[runs[0].subject], store.samples, None)  # the others agree with these
    split = _split_of(runs[0], store)
    progress("classical methods", 0, 1)
    classical = classical_forecasts(store, tables[runs[0].subject], split)
    progress("scores", 0, 1)
    compared = compare_tables(tables, BaselineData(store.samples, split, classical.tables), spec)
    progress("scores", 1, 1)
    forecasts = {name: entry.to_json() for name, entry in compared.forecasts.items()}
    cost = _cost_document(runs, latency, progress)
    for model, run in zip(cost["models"], runs, strict=True):
        model |= forecasts.pop(run.subject) | {"predictions": len(run.rows)}
    return {
        "dataset_id": runs[0].dataset_id,
        "data_origin": sorted(store.samples["origin"].astype(str).unique()) if "origin" in store.samples else None,
        "split": {
            "name": runs[0].config.split.name,
            "method": runs[0].config.split.method,
            "certificate_sha256": runs[0].split_sha256,
            "folds": sorted(int(fold) for fold in runs[0].rows["fold"].unique()),
        },
        **compared.facts,
        "n_comparisons": compared.n_comparisons,
        "warnings": compared.warnings,
        **cost,
        "rules": [{"name": name, **entry} for name, entry in forecasts.items()],
        "classical": classical.notes,
    }


def describe_cost(path: Path, latency: LatencyPlan | None = _PLAN, progress: Progress = silent) -> dict[str, Any]:
    """Cost of one run; keys as in ``compare_runs``.

    Raises:
        UsageError: a folder that is neither a run nor a cross-validation. DataError: it is not finished.
    """
    return {**_cost_document(read_compared_runs([path]), latency, progress), "rules": [], "warnings": []}


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
    _require_own_rows(path, rows, runs)
    if final is None:
        facts = runs[0].provenance()
        kind, dataset_id, sha256 = "run", facts["dataset_id"], facts["split_certificate_sha256"]
    else:
        kind, dataset_id, sha256 = "crossval", final["dataset_id"], final["split_certificate"]["sha256"]
    return ComparedRun(path.resolve().name, path, kind, runs, str(dataset_id), str(sha256), rows)


def _require_own_rows(path: Path, rows: pd.DataFrame, runs: Sequence[Run]) -> None:
    """Refuse predictions of other models than those whose architecture and cost are described."""
    models = {read_card(run.best_model).run_id for run in runs}
    stated = set(rows["run_id"].astype(str))
    if stated != models:
        raise DataError(
            f"{path / 'predictions.parquet'}: the predictions of {', '.join(sorted(stated))}, but the models are "
            f"{', '.join(sorted(models))}. Copy the folder again from where it was made."
        )


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


def _cost_document(runs: list[ComparedRun], latency: LatencyPlan | None, progress: Progress) -> dict[str, Any]:
    loaded = {run.subject: load_checkpoint(run.runs[0].best_model) for run in runs}
    models = [_describe(run, runs[0], loaded[run.subject]) for run in runs]
    seconds = {} if latency is None else measure_latency(loaded, latency, progress)
    for model, run in zip(models, runs, strict=True):
        model["latency"] = seconds.get(run.subject)
    measured, git = "not measured", git_state(Path(__file__))
    if latency is not None:
        rounds = ", ".join(f"{n} rounds of batch {batch}" for batch, n in latency.rounds.items())
        measured = (
            "scaled input in memory to class scores, float32, all models in turn within each round: "
            f"{rounds}; the network of the first fold"
        )
    return {
        "reference": runs[0].subject,
        "models": models,
        "flops_counted": FLOPS_COUNTED,
        "latency_measured": measured,
        "session": {
            "utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "device": device_name(),
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "seismag": __version__,
            "commit": None if git is None else git["commit"],
        },
    }


def _describe(run: ComparedRun, reference: ComparedRun, loaded: LoadedModel) -> dict[str, object]:
    """Settings, size and operations of a model."""
    return {
        "id": run.subject,
        "kind": run.kind,
        "run_ids": [entry.run_id for entry in run.runs],
        "name": run.name,
        "backbone": run.config.model.backbone,
        "epochs": run.config.train.epochs,
        "differs": setting_differences(*(entry.config.model_dump(mode="json") for entry in (reference, run))),
        "parameters": count_parameters(loaded, run.config.train.scope),
        "flops": count_flops(loaded.model, blank_input(loaded, 1)),
        "weights_bytes": run.runs[0].best_model.stat().st_size,
        "input": [loaded.model.n_channels, len(loaded.card.frequency_hz), len(loaded.card.time_s)],
    }


def _split_of(run: ComparedRun, store: Store) -> pd.DataFrame:
    """Recompute the split for baselines and classical methods; its test windows must be the evaluated ones."""
    split = assign_split(store.samples, run.config.split, reach_h(store))
    subset = str(run.rows["role"].iloc[0])
    expected = split[split["role"] == subset]
    if len(window_keys(run.rows).difference(window_keys(expected))):
        raise DataError(
            f"{run.subject}: its recomputed split has other {subset} windows; it was trained with another version of "
            "seismag. Train the models again."
        )
    return split


def _processor() -> str:
    """Model name of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
