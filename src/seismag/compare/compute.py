"""The comparison of several models in identical folds: paired differences of their scores, and what each costs."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from seismag import __version__
from seismag.compare.paired import align_tables, compare_tables
from seismag.compare.runs import ComparedRun, read_compared_runs
from seismag.config import EvaluateConfig
from seismag.domain import DataError
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
from seismag.runs import git_state
from seismag.scoring.classical import classical_forecasts
from seismag.scoring.forecasts import Training
from seismag.splits import assign_split
from seismag.training.checkpoint import LoadedModel, load_checkpoint
from seismag.training.finished import store_of
from seismag.training.run import reach_h
from seismag.training.tried import setting_differences
from seismag.windows.store import Store

NOT_MEASURED = "not measured"
_PLAN = LatencyPlan()


def compare_runs(
    paths: Sequence[Path],
    spec: EvaluateConfig,
    progress: Progress = silent,
    data: Path | None = None,
    latency: LatencyPlan | None = _PLAN,
) -> dict[str, Any]:
    """Compare runs, or cross-validations, with the first of them; gives the content of comparison.json.

    Args:
        paths: folders; all on one data set and in identical folds.
        spec: section ``evaluate``.
        progress: called with stage, done, total.
        data: their store; None: the one that the first configuration names.
        latency: None: it is not measured, and the document says so.

    Raises:
        UsageError: none, one twice, or a folder that is neither.
        DataError: data sets, splits, folds, windows or labels differ, or the store is not there.
    """
    runs = read_compared_runs(paths)
    tables = align_tables({run.subject: run.rows for run in runs})
    store = store_of(runs[0].runs[0], runs[0].dataset_id, data)
    split = _split_of(runs[0], store)
    progress("classical methods", 0, 1)
    classical = classical_forecasts(store, tables[runs[0].subject], split)
    progress("scores", 0, 1)
    compared = compare_tables(tables, Training(store.samples, split, classical.tables), spec)
    progress("scores", 1, 1)
    forecasts = compared.pop("forecasts")
    cost = _cost_document(runs, latency, progress)
    for model, run in zip(cost["models"], runs, strict=True):
        model |= forecasts[run.subject] | {"predictions": len(run.rows)}
    rules = [{"name": name, **entry} for name, entry in forecasts.items() if name not in {run.subject for run in runs}]
    return {
        "dataset_id": runs[0].dataset_id,
        "data_origin": sorted(store.samples["origin"].astype(str).unique()) if "origin" in store.samples else None,
        "split": {
            "name": runs[0].config.split.name,
            "method": runs[0].config.split.method,
            "certificate_sha256": runs[0].certificate_sha256,
            "folds": sorted(int(fold) for fold in runs[0].rows["fold"].unique()),
        },
        **compared,
        **cost,
        "rules": rules,
        "classical": classical.notes,
    }


def describe_cost(path: Path, latency: LatencyPlan | None = _PLAN, progress: Progress = silent) -> dict[str, Any]:
    """What one run costs, where there is nothing to compare it with; keys as those of ``compare_runs``.

    Raises:
        UsageError: a folder that is neither a run nor a cross-validation. DataError: it is not finished.
    """
    return {**_cost_document(read_compared_runs([path]), latency, progress), "rules": [], "warnings": []}


def session_facts() -> dict[str, Any]:
    """Where and with what costs were measured."""
    git = git_state(Path(__file__))
    return {
        "utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "device": device_name(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seismag": __version__,
        "commit": None if git is None else git["commit"],
    }


def _describe(run: ComparedRun, reference: ComparedRun) -> dict[str, Any]:
    return {
        "id": run.subject,
        "kind": run.kind,
        "run_ids": [entry.run_id for entry in run.runs],
        "name": run.name,
        "backbone": run.config.model.backbone,
        "epochs": run.config.train.epochs,
        "differs": setting_differences(*(entry.config.model_dump(mode="json") for entry in (reference, run))),
    }


def _cost_document(runs: list[ComparedRun], latency: LatencyPlan | None, progress: Progress) -> dict[str, Any]:
    loaded = {run.subject: load_checkpoint(run.runs[0].best_model) for run in runs}
    models = [_describe(run, runs[0]) | _cost(run, loaded[run.subject]) for run in runs]
    if latency is not None:
        seconds = measure_latency(loaded, latency, progress)
        models = [model | {"latency": seconds[model["id"]]} for model in models]
    return {
        "reference": runs[0].subject,
        "models": models,
        "flops_counted": FLOPS_COUNTED,
        "latency_measured": _latency_words(latency),
        "session": session_facts(),
    }


def _cost(run: ComparedRun, loaded: LoadedModel) -> dict[str, Any]:
    return {
        "parameters": count_parameters(loaded, run.config.train.scope),
        "flops": count_flops(loaded.model, blank_input(loaded, 1)),
        "weights_bytes": run.runs[0].best_model.stat().st_size,
        "input": [loaded.model.n_channels, len(loaded.card.frequency_hz), len(loaded.card.time_s)],
        "latency": None,
    }


def _split_of(run: ComparedRun, store: Store) -> pd.DataFrame:
    """The split, drawn anew, for the rules and the classical methods; its test windows must be those judged."""
    split = assign_split(store.samples, run.config.split, reach_h(store))
    role = str(run.rows["role"].iloc[0])
    drawn = split[split["role"] == role]
    known = pd.MultiIndex.from_arrays([drawn["fold"].astype(int), drawn["sample_id"].astype(str)])
    judged = pd.MultiIndex.from_arrays([run.rows["fold"].astype(int), run.rows["sample_id"].astype(str)])
    if len(judged.difference(known)):
        raise DataError(
            f"{run.subject}: its split, drawn anew, has other {role} windows; it was trained by another version of "
            "seismag. Train the models again."
        )
    return split


def _latency_words(latency: LatencyPlan | None) -> str:
    if latency is None:
        return NOT_MEASURED
    rounds = ", ".join(f"{n} rounds of batch {batch}" for batch, n in latency.rounds.items())
    return (
        f"scaled input in memory to class scores, float32, all models in turn within each round: {rounds}; the network "
        "of the first fold"
    )


def _processor() -> str:
    """Model name of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
