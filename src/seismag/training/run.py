"""One training run from a store to evaluated predictions, and the evaluation of a stored model."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.alarms.compute import alarm_summary
from seismag.arrays import BoolArray, IntArray
from seismag.cards import read_card, write_card
from seismag.config import Config, EvaluateConfig
from seismag.disk_space import bytes_below, require_space, space_for
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import file_sha256, short_path, write_checked_json
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.runs import (
    Run,
    begin_run,
    locked_run,
    make_run_folder,
    mark_dead_runs,
    read_run,
    shrink_for_trial,
    tracked,
)
from seismag.scoring.agreement import require_agreement
from seismag.scoring.classical import classical_forecasts
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.figure import draw_training_curves
from seismag.scoring.predictions import evaluated_rows, read_predictions, read_run_predictions
from seismag.scoring.reference import build_reference
from seismag.scoring.study import METRICS_FILE, draw_figures, made_from, make_output_folder, write_metrics
from seismag.splits import NAIVE_WARNING, SplitReport, assign_split, load_or_assign_split
from seismag.splits.exclusions import close_in_time, windows_of_clusters
from seismag.splits.holdout import REMEDY, HoldoutState, holdout_state, on_locked_days
from seismag.training.budget import training_bytes
from seismag.training.checkpoint import LoadedModel, is_image, load_checkpoint, stored_split
from seismag.training.dataset import role_indices
from seismag.training.finished import find_runs, models_behind
from seismag.training.inference import predict_roles, predict_with_embeddings, write_with_embeddings
from seismag.training.placebo import apart_from_training
from seismag.training.train import refuse_placebo, train_model
from seismag.training.tried import configuration_checksum
from seismag.windows.store import Store, open_store
from seismag.windows.tried import record_tried

SPLITS_DIR = Path("splits")
UNKNOWN_TRAINING = (
    "the training data of the model are unknown: windows evaluated here may have been among them, so no score is a test"
)
UNKNOWN_SPLIT = (
    "the split of these predictions is not known: their sets and folds were not compared with it, and non-magnetic "
    "baselines were fitted within the table"
)
log = logging.getLogger(__name__)


def run_training(config: Config, store_path: Path, resume: Path | None = None, progress: Progress = silent) -> Run:
    """Split, train, predict and evaluate one fold; everything is written into the run folder.

    ``resume`` is the folder of an interrupted run to go on with.

    Raises:
        SeismagError: data, split or settings make a training impossible; the message names it.
    """
    config = config.model_copy(update={"data": config.data.model_copy(update={"store": str(store_path)})})
    config, small = shrink_for_trial(config, os.environ)
    if small:
        log.warning(small)
    store = require_samples(open_store(store_path))
    _holdout_of(store)  # a damaged access log is found before the work, not after it
    refuse_placebo(store)
    split, report = load_or_assign_split(
        store.samples, config.split, reach_h(store), store.attributes["dataset_id"], SPLITS_DIR
    )
    _log_split(report, config.split.fold)
    mark_dead_runs(config.train.runs_dir)
    with _locked_run(config, store, resume, small) as run:
        prepared_with = store.attributes.get("config")
        configuration = configuration_checksum(run.config().model_dump(mode="json"), prepared_with)
        record_tried(store.path, store.attributes["dataset_id"], run.run_id, configuration)
        train_model(store, split, config, run, resume=resume is not None, progress=progress)
        predictions = predict_roles(run, store, split, config.train.batch_size)
        metrics = evaluate_in_store(store, predictions, split, config.evaluate)
        if read_card(run.best_model).has_unknown_training:  # from the checkpoint that it started from
            metrics["warnings"] = [*metrics["warnings"], UNKNOWN_TRAINING]
        metrics["made_from"] = made_from(run.predictions, store, {run.run_id: run.best_model})
        write_checked_json(run.path / METRICS_FILE, metrics)
        write_card(run.best_model, read_card(run.best_model).document | {"metrics": headline(metrics)})
        add_reference(run, store, split, metrics)
        draw_figures(metrics, run.path)
        draw_training_curves(run.path / "history.csv", run.path / "training_curves.png")
    return run


@contextmanager
def _locked_run(config: Config, store: Store, resume: Path | None, note: str | None) -> Iterator[Run]:
    """Lock and track a new run, or the one to go on with, where the disk has room for it."""
    dataset_id = store.attributes["dataset_id"]
    if resume is None:
        require_space(Path(config.train.runs_dir), training_bytes(config))
        run = make_run_folder(config.train.runs_dir, config.train.run_name)
    else:
        run = read_run(resume)
        if (began_on := run.provenance().get("dataset_id")) != dataset_id:
            raise UsageError(f"{resume}: began on data set {began_on}, not on {dataset_id} ({store.path}).")
    remedy = f"Free space there; 'seismag train --resume {short_path(run.path)}' goes on."
    with locked_run(run):
        if resume is None:
            split_sha256 = file_sha256(SPLITS_DIR / f"{config.split.name}.json")
            begin_run(run, config, dataset_id, split_sha256, () if note is None else (note,))
        with tracked(run), space_for(run.path, training_bytes(config) - bytes_below(run.path), remedy):
            yield run


@one_writer()
def evaluate_model(
    model: Path, store_path: Path, config: EvaluateConfig, out: Path | None = None, progress: Progress = silent
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Evaluate a stored model on windows that were not in its training.

    On the store of its training these are the test windows of its fold, and the validation windows are used for
    calibration; on another store all windows that were not in the training, without calibration.

    Args:
        model, store_path, config: a checkpoint, a finished store and section ``evaluate``.
        out: folder for metrics.json, predictions.parquet and figures; None: nothing is written.

    Returns:
        The content of metrics.json, and the predictions (of the test set, and of the validation set where it is known).

    Raises:
        DataError: no window is unseen, or ``out`` cannot be made.
    """
    store = require_samples(open_store(store_path))
    _holdout_of(store)  # as above
    loaded = load_checkpoint(model)
    indices, split = unseen_windows(loaded, store)
    if out is not None:
        make_output_folder(out)  # before the work, not after it
        require_space(out, 4 * len(indices) * loaded.model.n_features)
    predictions, embeddings = predict_with_embeddings(loaded, store, indices, role="test", progress=progress)
    if split is not None:
        train, val = (role_indices(store.samples, split, loaded.card.fold, role) for role in ("train", "val"))
        pool = np.concatenate([train, val])  # scaled as in the training
        validation, of_validation = predict_with_embeddings(loaded, store, val, "val", progress=progress, pool=pool)
        predictions = pd.concat([validation, predictions], ignore_index=True)
        embeddings = np.concatenate([of_validation, embeddings])
    progress("scores", 0, 1)
    metrics = evaluate_in_store(store, predictions, split, config)
    progress("scores", 1, 1)
    if loaded.card.has_unknown_training:
        metrics["warnings"] = [*metrics["warnings"], UNKNOWN_TRAINING]
        log.warning(UNKNOWN_TRAINING)
    table = None if out is None else write_with_embeddings(out, predictions, embeddings)
    metrics["made_from"] = made_from(table, store, {loaded.card.run_id: loaded.path})
    if out is not None:
        write_metrics(metrics, out)
    return metrics, predictions


def evaluate_in_store(
    store: Store, predictions: pd.DataFrame, split: pd.DataFrame | None, config: EvaluateConfig
) -> dict[str, Any]:
    """Evaluate predictions for windows of a store against baselines and classical methods, and as alarms.

    Returns:
        The content of metrics.json; ``classical`` contains sentences on the classical methods, ``"sealed"`` the state
        of the locked hold-out set.

    Raises:
        DataError: the predictions differ from the store or the split (``require_agreement``).
    """
    absent = require_agreement(predictions, store.samples, split)
    classical = classical_forecasts(store, evaluated_rows(predictions), split)
    metrics = evaluate_predictions(predictions, store.samples, split, config, classical.tables).to_json()
    alarms = alarm_summary(predictions, store.samples, config).to_json()
    metrics["warnings"] = [*metrics["warnings"], *absent]
    return {**metrics, "classical": classical.notes, "alarms": alarms, "sealed": _holdout_of(store).to_json()}


def _holdout_of(store: Store) -> HoldoutState:
    return holdout_state(store.path, str(store.attributes["dataset_id"]))


@one_writer()
def evaluate_table_in_store(
    path: Path, store_path: Path, config: EvaluateConfig, out: Path | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """Evaluate a table of predictions with the store of its windows; returns the content of metrics.json.

    The store adds magnitudes, distances and mainshocks, and recordings for the classical methods. Where the runs behind
    the table are found beside it, their split is assigned again: sets and folds must be those of the split, and the
    baselines are fitted on its training set.

    Raises:
        DataError: the table cannot be evaluated, or has windows that are not in the store; ``out`` cannot be made.
    """
    if out is not None:
        make_output_folder(out)
    predictions, store = read_predictions(path), open_store(store_path)
    runs = find_runs(path.parent, predictions["run_id"].astype(str).unique())
    progress("scores", 0, 1)
    split = split_of_runs(list(runs.values()), store)
    metrics = evaluate_in_store(store, predictions, split, config)
    progress("scores", 1, 1)
    if split is None:
        metrics["warnings"] = [*metrics["warnings"], UNKNOWN_SPLIT]
    metrics["made_from"] = made_from(path, store, models_behind(path, metrics["run_ids"]))
    if out is not None:
        write_metrics(metrics, out)
    return metrics


def split_of_runs(runs: Sequence[Run], store: Store) -> pd.DataFrame | None:
    """Assign the split of some runs on a store again; None where there is no run, or not one split on this store."""
    datasets = {run.provenance().get("dataset_id") for run in runs}
    rules = {run.config().split.model_copy(update={"fold": 1, "name": "any"}) for run in runs}
    if datasets != {store.attributes["dataset_id"]} or len(rules) != 1:
        return None
    return assign_split(store.samples, rules.pop(), reach_h(store))


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """Select from metrics.json what a model card records: skill over the best non-magnetic baseline, and scores."""
    scores = ("balanced_accuracy", "mcc", "accuracy", "skill_above_best_baseline")
    return {
        **{key: metrics[key] for key in ("role", "n", "n_event_groups")},
        **{task: {score: metrics[task][score] for score in scores} for task in ("magnitude", "azimuth", "detection")},
    }


def add_reference(run: Run, store: Store, split: pd.DataFrame, metrics: Mapping[str, Any]) -> None:
    """Record in the model card of an evaluated run, where it is missing, what its predictions are compared with.

    Not where the test windows may have been in the training: split method naive, or unknown training data.
    """
    card = read_card(run.best_model)
    if card.reference is None and not card.is_naive and not card.has_unknown_training:
        reference = build_reference(read_run_predictions(run.predictions), store.samples, split, metrics)
        write_card(run.best_model, {**card.document, "reference": reference.to_json()})


def reach_h(store: Store) -> float:
    """Return window plus horizon in hours: windows of a station that start this close are not independent."""
    config = store.attributes["config"]
    return float(config["window_h"] + config["horizon_h"])


def unseen_windows(loaded: LoadedModel, store: Store) -> tuple[IntArray, pd.DataFrame | None]:
    """Return the positions of the windows that a model may be evaluated on, and the split if it is the model's own.

    Raises:
        UsageError: the model is of a naive split.
        DataError: no window is left, or the split cannot be repeated.
    """
    samples = store.samples
    if loaded.card.dataset_id == store.attributes["dataset_id"]:
        spec = stored_split(loaded)
        if spec.method == "naive":
            raise UsageError(
                f"{loaded.path}: {NAIVE_WARNING} Its own scores are in metrics.json of its run {loaded.card.run_id}; "
                "evaluate it on another store, or train with split.method=loeo."
            )
        split = assign_split(samples, spec, reach_h(store))
        test = split.loc[(split["fold"] == spec.fold) & (split["role"] == "test"), "sample_id"]
        if not test[test.isin(loaded.trained_on)].empty:
            raise DataError(
                f"{loaded.path}: its split, made again, tests on windows of its training; it was trained by another "
                "version of seismag. Train again, or evaluate predictions.parquet of its run with --predictions."
            )
        _require_own_windows(loaded, store, split)
        return samples.index[samples["sample_id"].isin(test)].to_numpy(), split
    locked = on_locked_days(loaded.card.sealed_days_utc, samples)
    if locked.all():
        raise DataError(f"{store.path}: every window is in the locked hold-out set of {loaded.path}; {REMEDY}.")
    if locked.any():
        log.warning("left out: %d windows of the locked hold-out set of this model; %s", locked.sum(), REMEDY)
    seen = samples["sample_id"].isin(loaded.trained_on).to_numpy()
    related = seen | _related_to_training(loaded, store, seen) if loaded.trained_on else seen
    if (related | locked).all():
        raise DataError(
            f"{store.path}: every window was in the training of {loaded.path}, or has an earthquake or time in common "
            "with it. Use other data."
        )
    if related.any():
        log.warning(
            "left out: %d windows that the model was trained on, and %d that have an earthquake cluster in common with "
            "these, or start within %g h of one at their station",
            int(seen.sum()), int((related & ~seen).sum()), reach_h(store),
        )  # fmt: skip
    return samples.index[~(related | locked)].to_numpy(), None


def _require_own_windows(loaded: LoadedModel, store: Store, split: pd.DataFrame) -> None:
    """Refuse a store that has the identifier of a model's own store, but other windows."""
    own = split[(split["fold"] == loaded.card.fold) & split["role"].isin(["train", "val"])]["sample_id"].astype(str)
    others = own[~own.isin(loaded.trained_on)]
    if loaded.trained_on and not others.empty:
        raise DataError(
            f"{store.path}: has the data set identifier of the training of {loaded.path} ({loaded.card.dataset_id}), "
            f"but {len(others)} of {len(own)} windows of training and validation were not in it, for example "
            f"{others.iloc[0]}. Name the store of the training."
        )


def _related_to_training(loaded: LoadedModel, store: Store, seen: BoolArray) -> BoolArray:
    """Return (n,) whether a split would exclude each window because of the training windows of a model.

    The earthquakes of training windows are known where this store contains them (``seen``), the times from the
    sample_ids. Those of legacy pictures contain no time: there only the windows of this store count.
    """
    samples = store.samples
    clusters = {str(cluster) for ids in samples.loc[seen, "cluster_ids"] for cluster in ids}
    close = (
        close_in_time(samples, seen, reach_h(store))
        if is_image(store.attributes["preprocessing"])
        else ~apart_from_training(store, loaded.trained_on)
    )
    return windows_of_clusters(samples, clusters) | close


def require_samples(store: Store) -> Store:
    """Return the store; refuse one without any sample (DataError)."""
    if not len(store.samples):
        raise DataError(
            f"{store.path}: no sample in it; rejected.csv lists the reasons. Prepare more data, or other rules."
        )
    return store


def _log_split(report: SplitReport, fold: int) -> None:
    entry = next((entry for entry in report.folds if entry.fold == fold), None)
    if entry is None:
        raise SeismagError(f"split.fold {fold}: the stored split has {len(report.folds)} folds.")
    windows = entry.windows
    log.info(
        "fold %d of %d: %d training, %d validation, %d test, %d excluded (%.0f %%)%s; %s",
        fold, len(report.folds), windows["train"], windows["val"], windows["test"], windows["purged"],
        100 * entry.purged_share, f", {windows['sealed']} locked" if windows["sealed"] else "",
        report.warning or "overlaps: none",
    )  # fmt: skip
