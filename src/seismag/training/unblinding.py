"""Unblinding: evaluation on the locked hold-out set, after it is recorded in the access log of the store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag import __version__
from seismag.alarms.compute import alarm_summary
from seismag.arrays import Float32Array
from seismag.config import EvaluateConfig, SplitConfig
from seismag.domain import DataError, UsageError
from seismag.files import file_sha256
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.runs import git_state
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.study import made_from, write_metrics
from seismag.splits import assign_split
from seismag.splits.holdout import holdout_log, holdout_state
from seismag.training.channels import require_cross
from seismag.training.checkpoint import LoadedModel, check_preprocessing, load_checkpoint, stored_split
from seismag.training.inference import predict_with_embeddings, write_with_embeddings
from seismag.training.run import reach_h
from seismag.windows.store import Store, open_store

_LOCKED = "sealed"  # value of the column role


@dataclass(frozen=True)
class UnblindingRequest:
    """A checked request to evaluate a model on a locked hold-out set; nothing is recorded or predicted yet."""

    loaded: LoadedModel
    store: Store  # with the hold-out set and its access log
    split: pd.DataFrame  # of one fold; the non-magnetic baselines are fitted on its training set
    purpose: str

    @property
    def locked_ids(self) -> pd.Series:
        """The sample_ids of the locked hold-out set."""
        return self.split.loc[self.split["role"] == _LOCKED, "sample_id"].astype(str)


@dataclass(frozen=True)
class Unblinding:
    """Content of metrics.json, and the predictions for the hold-out set with their embeddings."""

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    embeddings: Float32Array


def request_unblinding(model: Path, store_path: Path, purpose: str | None, spec: SplitConfig) -> UnblindingRequest:
    """Check that a model may be evaluated on the locked hold-out set of a store.

    ``spec`` is the split of the store where it is not the store of the training; else the model's own split is used.

    Raises:
        UsageError: no purpose, or no window is locked.
        DataError: a locked window was in the training of the model, or its training data are unknown; or the access
            log is damaged, or that of another store.
        SeismagError: the model cannot read the store.
    """
    if purpose is None or not purpose.strip():
        raise UsageError('state the purpose with --purpose "TEXT"; the access log records it before the unblinding.')
    store, loaded = open_store(store_path), load_checkpoint(model)
    holdout_state(store.path, str(store.attributes["dataset_id"]))  # nothing is recorded in the log of another store
    own = loaded.card.dataset_id == store.attributes["dataset_id"]
    spec = stored_split(loaded) if own else spec
    split = assign_split(store.samples, spec, reach_h(store))
    request = UnblindingRequest(loaded, store, split[split["fold"] == spec.fold], purpose.strip())
    if request.locked_ids.empty:
        raise UsageError(
            f"{store_path}: no window is locked in the split of {'the model' if own else 'this command'}. "
            f"{'Train it with' if own else 'Give'} --set split.sealed_fraction=0.2, or another fraction."
        )
    if loaded.card.has_unknown_training:
        raise DataError(
            f"{loaded.path}: its training data are unknown, so locked windows may have been among them. "
            "Evaluate a model that was trained here."
        )
    ids = request.locked_ids
    seen = ids[ids.isin(loaded.trained_on)]
    if not seen.empty:
        raise DataError(
            f"{loaded.path}: {len(seen)} of the {len(ids)} locked windows of {store.path} were in its "
            f"training, for example {seen.iloc[0]}. Evaluate a model that was trained without them."
        )
    check_preprocessing(loaded.card, store.attributes["preprocessing"])
    require_cross(store, loaded.model.config)
    return request


def unblind(request: UnblindingRequest, config: EvaluateConfig, progress: Progress = silent) -> Unblinding:
    """Record an unblinding, then predict and evaluate the locked windows, then record the p-values.

    The entry is on the disk before the first window is predicted, so an unblinding that breaks off counts as well.
    Intervals have the confidence 1 - (1 - confidence) / K and p-values are multiplied by K, the number of unblindings
    of this store so far; ``holdout_state`` repeats the earlier ones, adjusted again.

    Raises:
        DataError: the access log is damaged or cannot be written: then nothing is predicted.
    """
    store, split = request.store, request.split
    number = _record(request)
    positions = np.flatnonzero(store.samples["sample_id"].astype(str).isin(request.locked_ids).to_numpy())
    # evaluated like a test set; the table that is written says locked, so that no later evaluation takes it for a test
    predictions, embeddings = predict_with_embeddings(request.loaded, store, positions, "test", progress=progress)
    predictions["fold"] = split["fold"].iloc[0]
    looks = holdout_state(store.path).looks
    strict = config.model_copy(update={"confidence": 1 - (1 - config.confidence) / looks})
    metrics = evaluate_predictions(predictions, store.samples, split, strict).to_json()
    metrics["role"] = _LOCKED
    metrics["made_from"] = made_from(None, store, {request.loaded.card.run_id: request.loaded.path})
    metrics["alarms"] = alarm_summary(predictions, store.samples, config).to_json()
    reference = metrics["alarms"]["references"].get("station", {})
    p_values: dict[str, float | None] = {"area_skill": None, "hits": None}
    if "area_skill" in reference:  # the primary one; hits at evaluate.alarm_fraction
        (row,) = [row for row in reference["at"] if row["tau_asked"] == config.alarm_fraction]
        p_values = {"area_skill": reference["area_skill"]["p_moved"], "hits": row["p_moved"]}
    holdout_log(store.path).append({"kind": "result", "look": number, "p_values": p_values})
    metrics[_LOCKED] = {**holdout_state(store.path).to_json(), "this_look": number, "purpose": request.purpose}
    if looks > 1:
        sentence = (
            f"Unblinding {number} of {looks} of the hold-out set: intervals and p-values are adjusted for {looks}."
        )
        metrics["warnings"] = [sentence, *metrics["warnings"]]
    return Unblinding(metrics, predictions.assign(role=_LOCKED), embeddings)


@one_writer()
def write_unblinding(result: Unblinding, out: Path) -> None:
    """Write metrics.json, predictions.parquet, embeddings.npy and figures into an existing folder."""
    table = write_with_embeddings(out, result.predictions, result.embeddings)
    sources = {**result.metrics["made_from"], "predictions_sha256": file_sha256(table)}
    write_metrics({**result.metrics, "made_from": sources}, out)


def _record(request: UnblindingRequest) -> int:
    """Record the unblinding; returns its number, from 1."""
    card, store = request.loaded.card, request.store
    ids = sorted(request.locked_ids)
    own = card.dataset_id == store.attributes["dataset_id"]
    entry = holdout_log(store.path).append(
        {
            "kind": "look",
            "purpose": request.purpose,
            "model": request.loaded.path.name,
            "model_sha256": file_sha256(request.loaded.path),
            "run_id": card.run_id,
            "dataset_id": store.attributes["dataset_id"],
            "split_certificate_sha256": card.split_certificate_sha256 if own else None,
            "n_sealed": len(ids),
            "sealed_ids_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
            "seismag_version": __version__,
            "git": git_state(Path(__file__)),
        },
    )
    return sum(earlier["kind"] == "look" for earlier in holdout_log(store.path).read()[: entry["entry"]])
