"""Evaluation of models on placebo windows: after the earthquake, long before it, or with another station's labels.

A model that detects precursors has no skill there; one that has learnt season, storm or place has.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, FloatArray, IntArray
from seismag.config import AuditConfig
from seismag.domain import DataError, UsageError
from seismag.estimate import CheckResult
from seismag.scoring.predictions import task_probabilities
from seismag.scoring.station_auc import permute_labels, rank_windows
from seismag.splits.exclusions import close_in_time, start_times
from seismag.training.checkpoint import LoadedModel, load_checkpoint
from seismag.training.inference import predict_with_embeddings
from seismag.windows.store import Store, open_store, placebo_of

_TESTS = {  # by data.placebo: name and windows
    "after_event": ("after_event", "windows after the earthquake"),
    "shifted": ("shifted_window", "windows long before the earthquake"),
    "wrong_station": ("wrong_station", "windows with another station's labels"),
}
_SAMPLE_ID = re.compile(r"^(?P<station>.+)-(?P<start_utc>\d{4}-\d{2}-\d{2}T\d{2}.*)$")


def evaluate_placebo(models: Sequence[Path], placebo_store: Path, spec: AuditConfig) -> CheckResult:
    """Compare how models rank placebo windows with chance.

    Returns:
        ``after_event``, ``shifted_window`` or ``wrong_station``, informational. The statistic is the
        station-stratified ROC AUC of P(Event); its null permutes the labels of whole groups of one season. P(Event) of
        a window is the mean over the models that were not trained on it, nor on a window of its station within
        window + horizon.

    Raises:
        UsageError: no model is named, or the store contains true windows.
        DataError: no window is left, or a sample_id of a training cannot be parsed.
    """
    store = open_store(placebo_store)
    kind = placebo_of(store)
    if kind == "none":
        raise UsageError(
            f"{placebo_store}: contains true windows. Prepare placebo ones from the same archive, for example with "
            "--set data.placebo=after_event."
        )
    if not models:
        raise UsageError("placebo windows: no model is named. Name a run's best_model.pth, or those of all folds.")
    score, n_models = placebo_scores([load_checkpoint(path) for path in models], store)
    kept = n_models > 0
    if not kept.any():
        raise DataError(
            f"{placebo_store}: every window, or one near it, was in the training of {models[0]}. Name the models of "
            "all folds of a cross-validation, or prepare windows of another time."
        )
    rows = rank_windows(store.samples[kept].reset_index(drop=True), score[kept])
    name, windows = _TESTS[kind]
    result = permute_labels(name, rows, spec)
    left = f"On {windows} ({int(kept.sum())} of {len(kept)}; the others are near the training)"
    details = result.details | {"windows": int(kept.sum()), "near_training": int((~kept).sum()), "models": len(models)}
    return dataclasses.replace(result, sentence=f"{left}: {result.sentence}", details=details)


def placebo_scores(models: Sequence[LoadedModel], store: Store) -> tuple[FloatArray, IntArray]:
    """Return the mean P(Event) of each window over the models that were not trained near it, and their number, (n,)."""
    total, count = np.zeros(len(store.samples)), np.zeros(len(store.samples), dtype=np.int64)
    for loaded in models:
        indices = np.flatnonzero(apart_from_training(store, loaded.trained_on))
        if indices.size:
            table, _ = predict_with_embeddings(loaded, store, indices)
            rows = pd.Index(store.samples["sample_id"]).get_indexer(table["sample_id"])
            total[rows] += task_probabilities(table, "detection")[:, 1]
            count[rows] += 1
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0), count


def apart_from_training(store: Store, trained_on: Sequence[str]) -> BoolArray:
    """Return (n,) whether no training window of its station starts within window + horizon of each window.

    Raises:
        DataError: a sample_id of the training does not contain station and start.
    """
    matches = [_SAMPLE_ID.match(name) for name in trained_on]
    if None in matches:
        odd = trained_on[matches.index(None)]
        raise DataError(f"sample_id {odd!r} of the model's training does not contain station and start of its window.")
    trained = pd.DataFrame([match.groupdict() for match in matches if match], columns=["station", "start_utc"])
    trained["start_utc"] = start_times(trained)
    both = pd.concat([store.samples[["station", "start_utc"]], trained], ignore_index=True)
    config = store.attributes["config"]
    reach_h = config["window_h"] + config["horizon_h"]
    return ~close_in_time(both, np.arange(len(both)) >= len(store.samples), reach_h)[: len(store.samples)]
