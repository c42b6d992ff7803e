"""One training run from a store to judged predictions, and the judgement of a stored model."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.alarms.compute import alarm_summary
from seismag.cards import read_card
from seismag.config import Config, EvaluateConfig, SplitConfig
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import file_sha256, write_json_atomic
from seismag.parallel import Progress, silent
from seismag.runs import Run, create_run, read_run, shrink_if_asked, tracked
from seismag.scoring.classical import classical_forecasts
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.figure import draw_training_curves
from seismag.scoring.predictions import evaluated_rows, read_predictions
from seismag.scoring.study import draw_figures, make_folder, write_metrics
from seismag.splits import NAIVE_WARNING, assign_split, load_or_assign_split
from seismag.splits.access_log import holdout_state
from seismag.splits.exclusions import close_in_time, windows_of_clusters
from seismag.splits.holdout import REMEDY, on_locked_days
from seismag.training.checkpoint import UNKNOWN, LoadedModel, is_image, load_checkpoint, record_metrics
from seismag.training.dataset import role_indices
from seismag.training.inference import predict_roles, predict_with_embeddings
from seismag.training.placebo import apart_from_training
from seismag.training.pretraining import pretrain_model
from seismag.training.train import refuse_placebo, train_model
from seismag.windows.store import Store, open_store

SPLITS_DIR = Path("splits")
UNKNOWN_TRAINING = (
    "the model's training data are unknown: windows judged here may have been among them, so no score is a test"
)
log = logging.getLogger(__name__)


def run_training(config: Config, store_path: Path, resume: Path | None = None, progress: bool | None = None) -> Run:
    """Split, train, predict and judge one fold; everything is written into the run folder.

    Args:
        config: the whole configuration.
        store_path: a finished store.
        resume: folder of an interrupted run to go on with.
        progress: show a bar; None: only on a terminal.

    Raises:
        SeismagError: data, split or settings make a training impossible; the message says which.
    """
    config = config.model_copy(update={"data": config.data.model_copy(update={"store": str(store_path)})})
    config, small = shrink_if_asked(config, os.environ)
    if small:
        log.warning(small)
    store = require_samples(open_store(store_path))
    holdout_state(store.path)  # a damaged ledger of sealed looks is found before the work, not after it
    refuse_placebo(store)
    split, certificate = load_or_assign_split(
        store.samples, config.split, reach_h(store), store.attributes["dataset_id"], SPLITS_DIR
    )
    _say_split(certificate, config.split.fold)
    if resume is None:
        certificate_sha256 = file_sha256(SPLITS_DIR / f"{config.split.name}.json")
        run = create_run(
            config.train.runs_dir, config.train.run_name, config, dataset_id=store.attributes["dataset_id"],
            split_certificate_sha256=certificate_sha256, notes=(small,) if small else (),
        )  # fmt: skip
    else:
        run = _run_to_resume(resume, store)
    with tracked(run):
        if config.pretrain.epochs:
            pretrain_model(store, split, config, run, resume=resume is not None)
        train_model(store, split, config, run, resume=resume is not None, progress=progress)
        predictions = predict_roles(run, store, split, config.train.batch_size)
        metrics = evaluate_in_store(store, predictions, split, config.evaluate)
        if read_card(run.best_model).get("training_data") == UNKNOWN:  # of the checkpoint that it started from
            metrics["warnings"] = [*metrics["warnings"], UNKNOWN_TRAINING]
        write_json_atomic(run.path / "metrics.json", metrics)
        record_metrics(run.best_model, headline(metrics))
        draw_figures(metrics, run.path)
        draw_training_curves(run.path / "history.csv", run.path / "training_curves.png")
    return run


def evaluate_model(
    model: Path, store_path: Path, config: EvaluateConfig, out: Path | None = None, progress: Progress = silent
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Predict with a stored model and judge it on windows that its training has not seen.

    On the store of its training these are the test windows of its fold, and its validation windows calibrate; on
    another store all windows that the training did not hold, and nothing calibrates.

    Args:
        model: a checkpoint.
        store_path: a finished store.
        config: section ``evaluate``.
        out: folder for metrics.json, predictions.parquet and figures; None: nothing is written.
        progress: called with stage, done, total.

    Returns:
        The content of metrics.json, and the predictions (of the role val, where it is known, and test).

    Raises:
        DataError: no window is unseen, or ``out`` cannot be made.
    """
    store = require_samples(open_store(store_path))
    holdout_state(store.path)  # as above
    loaded = load_checkpoint(model)
    indices, split = unseen_windows(loaded, store)
    if out is not None:
        make_folder(out)  # before the work, not after it
    predictions, embeddings = predict_with_embeddings(loaded, store, indices, role="test", progress=progress)
    if split is not None:
        validation, of_validation = _predict_validation(loaded, store, split, progress)
        predictions = pd.concat([validation, predictions], ignore_index=True)
        embeddings = np.concatenate([of_validation, embeddings])
    progress("scores", 0, 1)
    metrics = evaluate_in_store(store, predictions, split, config)
    progress("scores", 1, 1)
    if loaded.card.get("training_data") == UNKNOWN:
        metrics["warnings"] = [*metrics["warnings"], UNKNOWN_TRAINING]
        log.warning(UNKNOWN_TRAINING)
    if out is not None:
        predictions.to_parquet(out / "predictions.parquet", index=False)
        np.save(out / "embeddings.npy", embeddings)
        write_metrics(metrics, out)
    return metrics, predictions


def evaluate_in_store(
    store: Store, predictions: pd.DataFrame, split: pd.DataFrame | None, config: EvaluateConfig
) -> dict[str, Any]:
    """Judge predictions of a store's windows beside the baselines and the classical methods, and as alarms.

    Returns:
        The content of metrics.json; ``classical`` holds the sentences on the classical methods, ``sealed`` how often
        sealed windows of the store were looked at.
    """
    classical = classical_forecasts(store, evaluated_rows(predictions), split)
    metrics = evaluate_predictions(predictions, store.samples, split, config, classical.tables)
    alarms = alarm_summary(predictions, store.samples, config).to_json()
    return {**metrics, "classical": classical.notes, "alarms": alarms, "sealed": holdout_state(store.path)}


def evaluate_table_in_store(
    path: Path, store_path: Path, config: EvaluateConfig, out: Path | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """Judge a table of predictions beside the store that its windows come from; gives the content of metrics.json.

    The samples say which events are mainshocks, how strong and how far; the arrays serve the classical methods.

    Raises:
        DataError: the table cannot be judged, or has windows that are not in the store; ``out`` cannot be made.
    """
    if out is not None:
        make_folder(out)
    predictions = read_predictions(path)
    progress("scores", 0, 1)
    metrics = evaluate_in_store(open_store(store_path), predictions, None, config)
    progress("scores", 1, 1)
    if out is not None:
        write_metrics(metrics, out)
    return metrics


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """Take from metrics.json what belongs on a model's card: skill above the rules without the field, and scores."""
    scores = ("balanced_accuracy", "mcc", "accuracy", "skill_above_best_baseline")
    return {
        **{key: metrics[key] for key in ("role", "n", "n_event_groups")},
        **{task: {score: metrics[task][score] for score in scores} for task in ("magnitude", "azimuth", "detection")},
    }


def reach_h(store: Store) -> float:
    """Window plus horizon, h: windows of a station that start this close are not independent."""
    config = store.attributes["config"]
    return float(config["window_h"] + config["horizon_h"])


def unseen_windows(loaded: LoadedModel, store: Store) -> tuple[Any, pd.DataFrame | None]:
    """Positions of the windows that a model may be judged on, and the split if it is the model's own."""
    samples = store.samples
    if loaded.card["dataset_id"] == store.attributes["dataset_id"]:
        spec = SplitConfig(**loaded.card["split"])
        if spec.method == "naive":
            raise UsageError(
                f"{loaded.path}: {NAIVE_WARNING} What it claims stands in metrics.json of its run "
                f"{loaded.card['run_id']}; judge it on another store, or train with split.method=loeo."
            )
        split = assign_split(samples, spec, reach_h(store))
        test = split.loc[(split["fold"] == spec.fold) & (split["role"] == "test"), "sample_id"]
        if not test[test.isin(loaded.trained_on)].empty:
            raise DataError(
                f"{loaded.path}: its split, drawn anew, tests on windows of its training; it was trained by another "
                "version of seismag. Train again, or judge its run's predictions.parquet with --predictions."
            )
        return samples.index[samples["sample_id"].isin(test)].to_numpy(), split
    sealed = on_locked_days(loaded.card, samples)
    if sealed.all():
        raise DataError(
            f"{store.path}: every window lies on a day that the study of {loaded.path} has sealed; {REMEDY}."
        )
    if sealed.any():
        log.warning("left out: %d windows on days that the study of this model has sealed; %s", sealed.sum(), REMEDY)
    seen = samples["sample_id"].isin(loaded.trained_on).to_numpy()
    related = seen | _related_to_training(loaded, store, seen) if loaded.trained_on else seen
    if (related | sealed).all():
        raise DataError(
            f"{store.path}: every window was in the training of {loaded.path}, or shares an earthquake or time with "
            "it. Use data that it has not seen."
        )
    if related.any():
        log.warning(
            "left out: %d windows that the model was trained on, and %d that share an earthquake cluster with these, "
            "or lie within %g h of one at their station", int(seen.sum()), int((related & ~seen).sum()), reach_h(store),
        )  # fmt: skip
    return samples.index[~(related | sealed)].to_numpy(), None


def _predict_validation(
    loaded: LoadedModel, store: Store, split: pd.DataFrame, progress: Progress
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Predictions and embeddings of the validation role of a model's own fold, scaled as in its training."""
    train, val = (role_indices(store.samples, split, loaded.card["fold"], role) for role in ("train", "val"))
    pool = np.concatenate([train, val])
    return predict_with_embeddings(loaded, store, val, role="val", progress=progress, pool=pool)


def _related_to_training(loaded: LoadedModel, store: Store, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) windows that a split would have purged beside the windows of a model's training.

    Their earthquakes are known as far as this store holds them (``seen``); their times are in their names. The
    names of pictures of an earlier system say no time: there the windows that are here count alone.
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
    """Give the store back if it holds a sample.

    Raises:
        DataError: it holds none.
    """
    if not len(store.samples):
        raise DataError(
            f"{store.path}: holds no sample; rejected.csv in it says why. Prepare more data, or other rules."
        )
    return store


def _run_to_resume(path: Path, store: Store) -> Run:
    run = read_run(path)
    made_from = run.provenance().get("dataset_id")
    if made_from != store.attributes["dataset_id"]:
        raise UsageError(
            f"{path}: was begun on data set {made_from}, not on {store.attributes['dataset_id']} ({store.path})."
        )
    return run


def _say_split(certificate: dict[str, Any], fold: int) -> None:
    rows = [row for row in certificate["folds"] if row["fold"] == fold]
    if not rows:
        raise SeismagError(f"split.fold {fold}: the stored split has {len(certificate['folds'])} folds.")
    row = rows[0]
    log.info(
        "fold %d of %d: %d train, %d val, %d test, %d purged (%.0f %%)%s; %s",
        fold, len(certificate["folds"]), row["train"], row["val"], row["test"],
        row["purged"], 100 * row["purged_share"], f", {row['sealed']} sealed" if row["sealed"] else "",
        certificate.get("warning", "overlaps: none"),
    )  # fmt: skip
