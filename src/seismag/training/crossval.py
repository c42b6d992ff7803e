"""Cross-validation: each fold a run that can go on, one table of predictions, and what all folds say together."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.cards import card_path, read_card
from seismag.config import Config
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import atomic_path, file_sha256, short_path, write_json_atomic
from seismag.parallel import Progress, silent
from seismag.runs import Run, shrink_if_asked
from seismag.scoring.study import draw_figures, make_folder
from seismag.scoring.text import format_summary
from seismag.splits import NAIVE_WARNING, load_or_assign_split
from seismag.training.checkpoint import UNKNOWN, copy_checkpoint
from seismag.training.crossval_results import describe_folds, final_document, fold_document
from seismag.training.fold_runs import FoldTask, find_run, fold_config, train_folds
from seismag.training.run import (
    SPLITS_DIR,
    UNKNOWN_TRAINING,
    evaluate_in_store,
    reach_h,
    require_samples,
)
from seismag.windows.store import Store, open_store

log = logging.getLogger(__name__)

DEFAULT_MODEL = Path("models/convnext_loeo_best.pth")
BEST_MODEL = "best_model.pth"  # among the results


@dataclass(frozen=True)
class Crossval:
    """How a cross-validation stands.

    Attributes:
        results: folder of the documents.
        method: of the split.
        n_folds: how many the split has.
        folds: documents of the finished folds, in order.
        missing: folds that nobody asked for now and that have no finished run.
        failed: fold and reason.
        final: the document of all folds, and ``metrics`` of the joint table; None while a fold is not finished.
        model: the best fold's model, where one was exported.
        updates_default: whether it also became ``models/convnext_loeo_best.pth``.
        replaced: whose model that was before; None: there was none, or the same.
    """

    results: Path
    method: str
    n_folds: int
    folds: tuple[dict[str, Any], ...]
    missing: tuple[int, ...]
    failed: dict[int, str]
    final: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    model: Path | None = None
    updates_default: bool = False
    replaced: str | None = None


def run_crossval(
    config: Config,
    store_path: Path,
    folds: str | None = None,
    out: Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> Crossval:
    """Train and judge the folds of a split, and export what is finished.

    The best fold's model lies among the results. The default study (leave-one-event-out, without ``out``) also makes it
    ``models/convnext_loeo_best.pth``.

    A fold with a complete run on the same data, by the same split and the same settings is not trained again; an
    interrupted one goes on. Where all folds are finished, their test windows are judged together.

    Args:
        config: the whole configuration; ``split.fold`` does not count.
        store_path: a finished store.
        folds: which, such as ``1,3-5``; None: all.
        out: folder of the results; None: ``<method>_convnext_results``.
        workers: folds at a time, each a process on this machine.
        scheduler: address of a Dask cluster that trains the folds instead; it must see the same files.
        progress: called with stage, done, total.

    Raises:
        SeismagError: data, split or settings are of no use; a failing fold is part of the result instead.
    """
    store = require_samples(open_store(store_path))
    split, certificate = load_or_assign_split(
        store.samples, config.split, reach_h(store), store.attributes["dataset_id"], SPLITS_DIR
    )
    numbers = sorted(int(fold) for fold in split["fold"].unique())
    chosen = parse_folds(folds, len(numbers))
    certificate_path = SPLITS_DIR / f"{config.split.name}.json"
    facts = {
        "path": str(certificate_path), "sha256": file_sha256(certificate_path), "method": certificate["method"],
        "n_folds": len(numbers), "n_groups": certificate["n_groups"], "proof": certificate["proof"],
    }  # fmt: skip
    if (sentence := shrink_if_asked(config, os.environ)[1]) is not None:
        log.warning(sentence)
    log.info("%s, %d folds; %s", config.split.method, len(numbers), certificate.get("warning", "overlaps: none"))
    bar = None if workers == 1 and scheduler is None else False
    tasks = {
        fold: FoldTask(
            fold_config(config, fold), Path.cwd(), store_path.resolve(), store.attributes["dataset_id"],
            facts["sha256"], bar,
        )
        for fold in numbers
    }  # fmt: skip
    results = out or _default_results(config.split.method)
    make_folder(results)  # before the hours of training, not after them
    runs, failed = _train(tasks, chosen, workers, scheduler, progress)
    documents = {fold: _score_fold(fold, run, store, split, config, facts) for fold, run in sorted(runs.items())}
    _remove_other_studies(results, documents)
    for fold, document in documents.items():
        write_json_atomic(results / f"fold_{fold}.json", document)
    missing = tuple(fold for fold in numbers if fold not in runs and fold not in failed)
    state = Crossval(results, config.split.method, len(numbers), tuple(documents.values()), missing, failed)
    if len(runs) < len(numbers):
        return state
    metrics = _pool(list(runs.values()), store, split, config, results)
    final = final_document(state.folds, metrics, facts)
    write_json_atomic(results / _final_name(config.split.method), final)
    state = replace(state, final=final, metrics=metrics)
    if config.split.method == "naive":
        return state  # its models stay in their runs
    model = _export_best(runs, results)
    if config.split.method != "loeo" or results != _default_results("loeo"):
        return replace(state, model=model)
    return replace(state, model=model, updates_default=True, replaced=update_default_model(model))


def parse_folds(text: str | None, n_folds: int) -> list[int]:
    """Read a choice of folds such as ``1,3-5``; they count from 1, as in the split. None: all.

    Raises:
        UsageError: not such a choice, or no such fold.
    """
    if text is None:
        return list(range(1, n_folds + 1))
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise UsageError(f"--folds {text}: {part!r} is neither a number nor a range. Write for example 1,3-5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= n_folds:
            raise UsageError(f"--folds {text}: {part.strip()} is not among the folds, which count from 1 to {n_folds}.")
        chosen |= set(range(first, last + 1))
    return sorted(chosen)


def describe_crossval(state: Crossval) -> str:
    """Lines for a terminal: pooled skill first, each fold, what failed or is missing, and where things lie."""
    lines = [f"{NAIVE_WARNING}\n"] if state.method == "naive" else []
    if state.metrics is not None:
        lines.append(format_summary(state.metrics) + "\n")
    if state.folds:
        lines.append(describe_folds(state.folds))
    if state.missing:
        lines.append(f"not finished: {_names(state.missing)}; nothing is pooled. Without --folds the rest is trained.")
    lines += [f"fold {fold} failed: {reason}" for fold, reason in sorted(state.failed.items())]
    lines.append(f"\nresults     {state.results} (fold_<k>.json" + (", metrics.json" if state.final else "") + ")")
    if state.final is not None:
        lines.append(f"final       {state.results / _final_name(state.method)}")
        lines.append(f"table       {state.results / 'predictions.parquet'}")
    if state.model is not None:
        card = read_card(state.model)
        lines.append(f"model       {state.model} (fold {card['fold']}, validation loss {card['val_loss']:.3f})")
    if state.updates_default:
        before = "" if state.replaced is None else f"; replaces that of {state.replaced}"
        lines.append(f"            {DEFAULT_MODEL} (a copy{before})")
    return "\n".join(lines)


def crossval_json(state: Crossval) -> dict[str, Any]:
    """The document of ``--json``: the final one where there is one, and how things stand."""
    document = state.final or {"n_folds": state.n_folds, "folds": list(state.folds)}
    return document | {
        "complete": state.final is not None,
        "missing": list(state.missing),
        "failed": {str(fold): reason for fold, reason in sorted(state.failed.items())},
        "results": str(state.results),
        "model": None if state.model is None else str(state.model),
        "default_model": {"file": str(DEFAULT_MODEL), "replaced": state.replaced} if state.updates_default else None,
    }


def require_folds(state: Crossval) -> None:
    """End with an error where folds failed.

    Raises:
        DataError: names them.
    """
    if state.failed:
        raise DataError(
            f"{_names(tuple(sorted(state.failed)))} failed; the others are kept. Mend the reason and give the same "
            "command again: it trains what is left."
        )


def _train(
    tasks: dict[int, FoldTask], chosen: Sequence[int], workers: int, scheduler: str | None, progress: Progress
) -> tuple[dict[int, Run], dict[int, str]]:
    """Runs of finished folds, old and new, and the reasons of those that failed."""
    found = {fold: find_run(task) for fold, task in tasks.items()}
    runs = {fold: entry[0] for fold, entry in found.items() if entry is not None and entry[1]}
    for fold in sorted(set(runs) & set(chosen)):
        log.info("fold %d: complete already, %s", fold, runs[fold].run_id)
    failed: dict[int, str] = {}
    to_do = [tasks[fold] for fold in chosen if fold not in runs]
    progress("folds", 0, len(to_do))
    for done, outcome in enumerate(train_folds(to_do, workers, scheduler), start=1):
        if outcome.run is None:
            failed[outcome.fold] = outcome.error or "no reason given"
            log.error("fold %d failed: %s", outcome.fold, failed[outcome.fold])
        else:
            runs[outcome.fold] = Run(outcome.run)
        progress("folds", done, len(to_do))
    return dict(sorted(runs.items())), failed


def _score_fold(
    fold: int, run: Run, store: Store, split: pd.DataFrame, config: Config, facts: dict[str, Any]
) -> dict[str, Any]:
    """The document of a fold; its run's metrics hold where they were computed by the same section evaluate."""
    if run.config().evaluate == config.evaluate:
        metrics = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    else:
        metrics = evaluate_in_store(store, pd.read_parquet(run.predictions), split, config.evaluate)
    return fold_document(fold, metrics, facts)


def _pool(runs: list[Run], store: Store, split: pd.DataFrame, config: Config, results: Path) -> dict[str, Any]:
    """Write the joint table with its embeddings, judge its test windows, and draw the figures."""
    table = pd.concat([pd.read_parquet(run.predictions) for run in runs], ignore_index=True)
    metrics = evaluate_in_store(store, table, split, config.evaluate)
    if any(read_card(run.best_model).get("training_data") == UNKNOWN for run in runs):
        metrics["warnings"] = [*metrics["warnings"], UNKNOWN_TRAINING]
    with atomic_path(results / "embeddings.npy") as temporary:
        np.save(temporary, np.concatenate([np.load(run.path / "embeddings.npy") for run in runs]))
    with atomic_path(results / "predictions.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    write_json_atomic(results / "metrics.json", metrics)
    draw_figures(metrics, results)
    return metrics


def update_default_model(source: Path) -> str | None:
    """Copy a model to ``models/convnext_loeo_best.pth``; gives the run whose model it replaces, None: of none."""
    replaced = None
    if DEFAULT_MODEL.is_file() and file_sha256(DEFAULT_MODEL) != file_sha256(source):
        try:
            replaced = f"run {read_card(DEFAULT_MODEL)['run_id']}"
        except (SeismagError, KeyError):
            replaced = "an unknown run (no valid card)"
    copy_checkpoint(source, DEFAULT_MODEL)
    return replaced


def _default_results(method: str) -> Path:
    return Path(f"{method}_convnext_results")


def _export_best(runs: dict[int, Run], results: Path) -> Path:
    """Copy the model of the fold with the lowest validation loss; test windows have no say."""
    best = min(runs, key=lambda fold: (float(read_card(runs[fold].best_model)["val_loss"]), fold))
    copy_checkpoint(runs[best].best_model, results / BEST_MODEL)
    return results / BEST_MODEL


def _remove_other_studies(results: Path, documents: dict[int, dict[str, Any]]) -> None:
    """Clear what the exports of other runs left in the folder: it shows one study. The runs themselves stay."""
    ours = {run_id for document in documents.values() for run_id in document["run_ids"]}
    stale = []
    for path in [*results.glob("fold_*.json"), *results.glob("*_final_results.json")]:
        try:
            stated = json.loads(path.read_text(encoding="utf-8"))["run_ids"]
        except (OSError, ValueError, KeyError, TypeError):
            stated = ["unknown"]
        if not set(stated) <= ours:
            stale.append(path)
    if not stale:
        return
    log.warning("%s: replaces the results of other runs; those runs stay where they are", short_path(results))
    joint = ("predictions.parquet", "embeddings.npy", "metrics.json", BEST_MODEL, card_path(BEST_MODEL).name)
    for path in [*stale, *(results / name for name in joint), *results.glob("*.png")]:
        path.unlink(missing_ok=True)


def _final_name(method: str) -> str:
    return f"{method}_convnext_final_results.json"


def _names(folds: Sequence[int]) -> str:
    return ("fold " if len(folds) == 1 else "folds ") + ", ".join(map(str, folds))
