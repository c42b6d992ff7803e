"""Cross-validation: each fold is a run that can be resumed; the finished folds are evaluated together."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.cards import card_path, read_card
from seismag.config import Config
from seismag.documents import Document, read_document, read_embeddings
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import file_sha256, short_path, write_checked_json
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.runs import Run, shrink_for_trial
from seismag.scoring.predictions import TASK_CLASSES, read_run_predictions
from seismag.scoring.study import EMBEDDINGS_FILE, METRICS_FILE, draw_figures, made_from, make_output_folder
from seismag.scoring.text import classes_left_out, format_summary
from seismag.splits import NAIVE_WARNING, SplitReport, load_or_assign_split
from seismag.text import wrap_text
from seismag.training.budget import log_budget
from seismag.training.checkpoint import copy_checkpoint
from seismag.training.finished import SplitFacts, metrics_of_fold, several_codes
from seismag.training.fold_runs import FoldTask, fold_config, train_missing_folds
from seismag.training.fold_skill import over_pooled_classes
from seismag.training.inference import write_with_embeddings
from seismag.training.run import (
    SPLITS_DIR,
    UNKNOWN_TRAINING,
    add_reference,
    evaluate_in_store,
    reach_h,
    require_samples,
)
from seismag.windows.store import Store, open_store

log = logging.getLogger(__name__)

DEFAULT_MODEL = Path("models/convnext_loeo_best.pth")
BEST_MODEL = "best_model.pth"  # among the results
_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
_SKILLS = ("balanced_accuracy", "log_score")
_SKILL = "skill_above_best_baseline"


class _OfRuns(Document):
    run_ids: list[str]


@dataclass(frozen=True)
class FoldResult:
    """A finished fold (from 1), its split and the metrics.json of its run."""

    fold: int
    split: SplitFacts
    metrics: Mapping[str, Any]

    def to_json(self) -> dict[str, object]:
        """The content of ``fold_<k>.json``."""
        metrics = self.metrics
        return {
            "fold": self.fold,
            "n_folds": self.split.n_folds,
            **{key: metrics[key] for key in ("role", "n", "n_events", "n_event_groups", "n_normal_groups")},
            **{task: {score: _of_fold(metrics[task][score]) for score in _SCORES} for task in TASK_CLASSES},
            _SKILL: {task: metrics[task][_SKILL] for task in TASK_CLASSES},
            "split_certificate": self.split.model_dump(),
            "run_ids": metrics["run_ids"],
            "warnings": metrics["warnings"],
        }


@dataclass(frozen=True)
class Crossval:
    """State of a cross-validation."""

    results: Path  # folder of the documents
    method: str  # of the split
    n_folds: int
    folds: tuple[FoldResult, ...]  # the finished ones, in order
    missing: tuple[int, ...]  # not selected, without a finished run
    failed: dict[int, str]  # fold and reason
    final: dict[str, object] | None = None  # the document of all folds; None while a fold is not finished
    metrics: dict[str, Any] | None = None  # of the joint table
    model: Path | None = None  # of the best fold, where it was exported
    updates_default: bool = False  # whether it also became models/convnext_loeo_best.pth
    replaced: str | None = None  # whose model that was before; None: there was none, or the same


@one_writer(lambda given: given["out"] or _default_results(given["config"].split.method))
def run_crossval(
    config: Config,
    store_path: Path,
    folds: str | None = None,
    out: Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> Crossval:
    """Train and evaluate the folds of a split, and write the results of the finished ones.

    The best fold's model lies among the results. The default study (leave-one-event-out, without ``out``) also makes it
    ``models/convnext_loeo_best.pth``.

    A fold with a complete run on the same data, by the same split and the same settings is not trained again; an
    interrupted one is resumed. Where all folds are finished, their test windows are evaluated together.

    Args:
        config, store_path: the whole configuration, and a finished store.
        folds: which, such as ``1,3-5``; None: all.
        out: folder of the results; None: ``<method>_convnext_results``.
        workers: folds at a time, each a process on this machine.
        scheduler: address of a Dask cluster that trains the folds instead, with access to the same files.
        progress: shows the folds, or the batches of the fold that is trained here.

    Raises:
        SeismagError: data, split or settings are of no use; a failing fold becomes part of the result instead.
    """
    store = require_samples(open_store(store_path))
    split, report = load_or_assign_split(
        store.samples, config.split, reach_h(store), store.attributes["dataset_id"], SPLITS_DIR
    )
    numbers = sorted(int(fold) for fold in split["fold"].unique())
    chosen = parse_folds(folds, len(numbers))
    facts = _facts_of(report, SPLITS_DIR / f"{config.split.name}.json", len(numbers))
    if (sentence := shrink_for_trial(config, os.environ)[1]) is not None:
        log.warning(sentence)
    log.info("%s, %d folds; %s", config.split.method, len(numbers), report.warning or "overlaps: none")
    of_fold = progress if workers == 1 and scheduler is None else silent
    where = (Path.cwd(), store_path.resolve(), store.attributes["dataset_id"], facts.sha256, of_fold)
    tasks = {fold: FoldTask(fold_config(config, fold), *where) for fold in numbers}
    results = out or _default_results(config.split.method)
    make_output_folder(results)  # before the hours of training, not after them
    announce = partial(log_budget, store, split, shrink_for_trial(config, os.environ)[0], workers)
    runs, failed = train_missing_folds(tasks, chosen, workers, scheduler, progress, announce)
    metrics: Mapping[int, Any] = {fold: _metrics(run, store, split, config) for fold, run in runs.items()}
    _remove_other_studies(results, [run_id for of_fold in metrics.values() for run_id in of_fold["run_ids"]])
    pooled = None
    if len(runs) == len(numbers):
        pooled, table = _pool(list(runs.values()), store, split, config, results)
        metrics = over_pooled_classes(metrics, pooled, table, store, split)
    documents = tuple(FoldResult(fold, facts, of_fold) for fold, of_fold in metrics.items())
    for document in documents:
        write_checked_json(results / f"fold_{document.fold}.json", document.to_json())
    missing = tuple(fold for fold in numbers if fold not in runs and fold not in failed)
    state = Crossval(results, config.split.method, len(numbers), documents, missing, failed)
    return state if pooled is None else _finish(state, pooled, runs)


def _finish(state: Crossval, metrics: dict[str, Any], runs: dict[int, Run]) -> Crossval:
    """Write the document of all folds and export the model with the lowest validation loss."""
    final = final_document(state.folds, metrics)
    write_checked_json(state.results / f"{state.method}_convnext_final_results.json", final)
    state = replace(state, final=final, metrics=metrics)
    if state.method == "naive":
        return state  # its models stay in their runs
    best = min(runs, key=lambda fold: (read_card(runs[fold].best_model).val_loss, fold))
    model = state.results / BEST_MODEL
    copy_checkpoint(runs[best].best_model, model)
    if state.method != "loeo" or state.results != _default_results("loeo"):
        return replace(state, model=model)
    return replace(state, model=model, updates_default=True, replaced=update_default_model(model))


def parse_folds(text: str | None, n_folds: int) -> list[int]:
    """Read a selection of folds such as ``1,3-5`` (None: all); UsageError: another text, or no such fold."""
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
    """Write lines for a terminal: pooled skill, each fold, failed and missing folds, and the files."""
    lines = [f"{NAIVE_WARNING}\n"] if state.method == "naive" else []
    if state.metrics is not None:
        lines.append(format_summary(state.metrics) + "\n")
    if state.folds:
        lines.append(describe_folds(state.folds))
    if state.missing:
        lines.append(
            f"not finished: {_names(state.missing)}; nothing is pooled. Without --folds the others are trained."
        )
    lines += [f"fold {fold} failed: {reason}" for fold, reason in sorted(state.failed.items())]
    lines.append(f"\nresults     {state.results} (fold_<k>.json" + (", metrics.json" if state.final else "") + ")")
    if state.final is not None:
        lines.append(f"final       {state.results}/{state.method}_convnext_final_results.json")
        lines.append(f"table       {state.results / 'predictions.parquet'}")
    if state.model is not None:
        card = read_card(state.model)
        lines.append(f"model       {state.model} (fold {card.fold}, validation loss {card.val_loss:.3f})")
    if state.updates_default:
        before = "" if state.replaced is None else f"; replaces that of {state.replaced}"
        lines.append(f"            {DEFAULT_MODEL} (a copy{before})")
    return "\n".join(lines)


def crossval_json(state: Crossval) -> dict[str, object]:
    """Return the document of ``--json``: the final one where there is one, and the state of the folds."""
    document: dict[str, object] = state.final or {
        "n_folds": state.n_folds,
        "folds": [fold.to_json() for fold in state.folds],
    }
    return document | {
        "complete": state.final is not None,
        "missing": list(state.missing),
        "failed": {str(fold): reason for fold, reason in sorted(state.failed.items())},
        "results": str(state.results),
        "model": None if state.model is None else str(state.model),
        "default_model": {"file": str(DEFAULT_MODEL), "replaced": state.replaced} if state.updates_default else None,
    }


def require_folds(state: Crossval) -> None:
    """Refuse a result with failed folds (DataError)."""
    if state.failed:
        raise DataError(
            f"{_names(tuple(sorted(state.failed)))} failed; the others are kept. Correct the reason and give the same "
            "command again: it trains the folds that are left."
        )


def _facts_of(report: SplitReport, path: Path, n_folds: int) -> SplitFacts:
    return SplitFacts(
        path=str(path), sha256=file_sha256(path), method=report.method, n_folds=n_folds, n_groups=report.n_groups,
        proof=report.proof,
    )  # fmt: skip


def _metrics(run: Run, store: Store, split: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Return the metrics of a fold; those of its run are used where they come from the same section evaluate.

    Runs from before the reference of predictions get one.
    """
    metrics = metrics_of_fold(run, store)
    if run.config().evaluate != config.evaluate:
        metrics = evaluate_in_store(store, read_run_predictions(run.predictions), split, config.evaluate)
    add_reference(run, store, split, metrics)
    return metrics


def _pool(
    runs: list[Run], store: Store, split: pd.DataFrame, config: Config, results: Path
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Write the joint table with its embeddings, evaluate its test windows, and plot the figures."""
    tables = [read_run_predictions(run.predictions) for run in runs]
    table = pd.concat(tables, ignore_index=True)
    metrics = evaluate_in_store(store, table, split, config.evaluate)
    if any(read_card(run.best_model).has_unknown_training for run in runs):
        metrics["warnings"] = [*metrics["warnings"], UNKNOWN_TRAINING]
    metrics["warnings"] = [*metrics["warnings"], *several_codes(run.provenance() for run in runs)]
    again = "Delete the run: the same command trains it again."
    embeddings = [
        read_embeddings(run.path / EMBEDDINGS_FILE, len(rows), again) for run, rows in zip(runs, tables, strict=True)
    ]
    path = write_with_embeddings(results, table, np.concatenate(embeddings))
    metrics["made_from"] = made_from(path, store, {run.run_id: run.best_model for run in runs})
    write_checked_json(results / METRICS_FILE, metrics)
    draw_figures(metrics, results)
    return metrics, table


def update_default_model(source: Path) -> str | None:
    """Copy a model to ``models/convnext_loeo_best.pth``; gives the run whose model it replaces, None: of none."""
    replaced = None
    if DEFAULT_MODEL.is_file() and file_sha256(DEFAULT_MODEL) != file_sha256(source):
        try:
            replaced = f"run {read_card(DEFAULT_MODEL).run_id}"
        except (SeismagError, KeyError):
            replaced = "an unknown run (no valid card)"
    copy_checkpoint(source, DEFAULT_MODEL)
    return replaced


def _default_results(method: str) -> Path:
    return Path(f"{method}_convnext_results")


def _remove_other_studies(results: Path, run_ids: Sequence[str]) -> None:
    """Remove the results of other runs from the folder: it contains one study. The runs themselves stay."""
    stale = []
    for path in [*results.glob("fold_*.json"), *results.glob("*_final_results.json")]:
        try:
            stated = read_document(path, _OfRuns, "")["run_ids"]
        except SeismagError:
            stated = ["unknown"]
        if not set(stated) <= set(run_ids):
            stale.append(path)
    if not stale:
        return
    log.warning("%s: replaces the results of other runs; those runs stay where they are", short_path(results))
    joint = ("predictions.parquet", "embeddings.npy", "metrics.json", BEST_MODEL, card_path(BEST_MODEL).name)
    for path in [*stale, *(results / name for name in joint), *results.glob("*.png")]:
        path.unlink(missing_ok=True)


def _names(folds: Sequence[int]) -> str:
    return ("fold " if len(folds) == 1 else "folds ") + ", ".join(map(str, folds))


def final_document(folds: Sequence[FoldResult], pooled: dict[str, Any]) -> dict[str, object]:
    """Return the content of ``<method>_convnext_final_results.json``.

    ``mean`` and ``std`` (n - 1) are taken over the ``n_folds`` folds in which a score is defined; they describe how
    much folds differ. ``pooled`` is the score of all test windows together, with its interval by event. The skill of
    the folds is taken over its classes.
    """
    scores, skills = {}, {}
    for task in TASK_CLASSES:
        of_folds, of_pool = [fold.metrics[task] for fold in folds], pooled[task]
        scores[task] = {score: _of_folds([own[score] for own in of_folds], of_pool[score]) for score in _SCORES}
        skills[task] = {
            score: _of_folds([own[_SKILL][score] for own in of_folds], of_pool[_SKILL][score]) for score in _SKILLS
        }
    keys = ("n", "n_events", "n_event_groups", "n_normal_groups", "confidence", "data_origin", "dataset_id")
    return {
        "n_folds": len(folds),
        "folds": [fold.to_json() for fold in folds],
        **scores,
        _SKILL: skills,
        "split_certificate": folds[0].split.model_dump(),
        "run_ids": pooled["run_ids"],
        **{key: pooled[key] for key in keys},
        "warnings": pooled["warnings"],
    }


def describe_folds(folds: Sequence[FoldResult]) -> str:
    """Write a table with the skill of each fold, and its interval where there is one."""
    lines = [f"{'fold':<6}{'windows':>8}{'clusters':>9}  skill over the best non-magnetic baseline,"]
    lines.append(f"{'':<23}  balanced accuracy of")
    lines.append(f"{'':<23}  " + "".join(f"{task:<26}" for task in TASK_CLASSES).rstrip())
    for fold in folds:
        metrics = fold.metrics
        skills = [metrics[task][_SKILL]["balanced_accuracy"] for task in TASK_CLASSES]
        text = "".join(f"{_with_interval(skill):<26}" for skill in skills).rstrip()
        lines.append(f"{fold.fold:<6}{metrics['n']:>8}{metrics['n_event_groups']:>9}  {text}")
    lines.append("no interval: fewer than 10 event clusters, control blocks or groups of a class")
    for task in TASK_CLASSES:
        names = [fold.metrics[task][_SKILL]["balanced_accuracy"]["classes"] for fold in folds]
        if any(classes_left_out(fold.metrics[task]) for fold in folds):
            shown = dict.fromkeys(", ".join(of_fold) for of_fold in names)
            lines.append(wrap_text(f"{task} is compared over {' | '.join(shown)}", 2))
    return "\n".join(lines)


def _of_fold(estimate: dict[str, float | None]) -> dict[str, float | None]:
    return {"mean": estimate["value"], "std": None} | {key: estimate[key] for key in ("low", "high", "n")}


def _of_folds(estimates: Sequence[dict[str, float | None]], pooled: dict[str, float | None]) -> dict[str, object]:
    known = [value for estimate in estimates if (value := estimate["value"]) is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "n_folds": len(known),
        "pooled": pooled,
    }


def _with_interval(skill: dict[str, float | None]) -> str:
    value, low, high = skill["value"], skill["low"], skill["high"]
    if value is None:
        return "undefined"
    if low is None or high is None:
        return f"{value:+.3f} (no interval)"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
