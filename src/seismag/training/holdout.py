"""The sealed test: windows that no fold has touched, judged only after the look is written into the store's ledger."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag import __version__
from seismag.alarms.compute import alarm_summary
from seismag.config import EvaluateConfig, SplitConfig
from seismag.domain import DataError, UsageError
from seismag.files import file_sha256, write_json_atomic
from seismag.parallel import Progress, silent
from seismag.runs import git_state
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.study import draw_figures
from seismag.splits import assign_split
from seismag.splits.access_log import append_entry, holdout_state, read_ledger
from seismag.training.channels import require_cross
from seismag.training.checkpoint import UNKNOWN, LoadedModel, check_preprocessing, load_checkpoint
from seismag.training.inference import predict_with_embeddings
from seismag.training.run import reach_h
from seismag.windows.store import Store, open_store

SEALED = "sealed"


@dataclass(frozen=True)
class HoldoutQuestion:
    """What is to be looked at, and why; nothing of it has been looked at yet.

    Attributes:
        loaded: the model.
        store: its store, which holds the ledger.
        split: sample_id, fold, role of one fold; rules without the field are fitted on its role train.
        purpose: the reason that the ledger keeps.
    """

    loaded: LoadedModel
    store: Store
    split: pd.DataFrame
    purpose: str

    @property
    def sealed_ids(self) -> pd.Series:
        """The sealed windows."""
        return self.split.loc[self.split["role"] == SEALED, "sample_id"].astype(str)


@dataclass(frozen=True)
class Unblinding:
    """What a look gives: metrics with the key ``sealed``, and predictions (role sealed) with their embeddings."""

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    embeddings: NDArray[np.float32]


def open_question(model: Path, store_path: Path, purpose: str | None, spec: SplitConfig) -> HoldoutQuestion:
    """Make ready a look at the sealed windows of a store; nothing is recorded or predicted.

    Args:
        model: a checkpoint.
        store_path: a finished store.
        purpose: why one looks.
        spec: draws the split of a store that is not the one of the training; else the model's own split counts.

    Raises:
        UsageError: no purpose, or no window is sealed.
        DataError: the model has seen a sealed window, or nobody knows what it has seen.
        SeismagError: the model cannot read the store.
    """
    if purpose is None or not purpose.strip():
        raise UsageError('--sealed: say why with --purpose "TEXT"; it is written into the ledger before the look.')
    store, loaded = open_store(store_path), load_checkpoint(model)
    own = loaded.card["dataset_id"] == store.attributes["dataset_id"]
    spec = SplitConfig(**loaded.card["split"]) if own else spec
    split = assign_split(store.samples, spec, reach_h(store))
    question = HoldoutQuestion(loaded, store, split[split["fold"] == spec.fold], purpose.strip())
    if question.sealed_ids.empty:
        raise UsageError(
            f"{store_path}: no window is sealed in the split of {'the model' if own else 'this command'}. "
            f"{'Train it with' if own else 'Give'} --set split.sealed_fraction=0.2, or another share."
        )
    _require_unseen(question)
    check_preprocessing(loaded.card, store.attributes["preprocessing"])
    require_cross(store, loaded.model.config)
    return question


def look(question: HoldoutQuestion, config: EvaluateConfig, progress: Progress = silent) -> Unblinding:
    """Record a look, then predict and judge the sealed windows, then record its p-values.

    The entry is on the disk before the first window is predicted, so a look that breaks off counts as well.
    Intervals are given at the confidence 1 - (1 - confidence) / K and p-values are multiplied by K, the number of
    looks at this store so far; ``holdout_state`` gives the earlier ones again, adjusted anew.

    Args:
        question: from ``open_question``.
        config: section ``evaluate``.
        progress: called with stage, done, total.

    Raises:
        DataError: the ledger is damaged or cannot be written: nothing is predicted then.
    """
    store, split = question.store, question.split
    number = _record_look(question)
    positions = np.flatnonzero(store.samples["sample_id"].astype(str).isin(question.sealed_ids).to_numpy())
    # judged as a test role; the table that is written says sealed, so that no later evaluation takes it for a test
    predictions, embeddings = predict_with_embeddings(question.loaded, store, positions, "test", progress=progress)
    predictions["fold"] = split["fold"].iloc[0]
    looks = holdout_state(store.path)["looks"]
    strict = config.model_copy(update={"confidence": 1 - (1 - config.confidence) / looks})
    metrics = evaluate_predictions(predictions, store.samples, split, strict)
    metrics["role"] = SEALED
    metrics["alarms"] = alarm_summary(predictions, store.samples, config).to_json()
    append_entry(store.path, {"kind": "result", "look": number, "p_values": _p_values(metrics["alarms"], config)})
    metrics["sealed"] = {**holdout_state(store.path), "this_look": number, "purpose": question.purpose}
    if looks > 1:
        sentence = f"Look {number} of {looks} at the sealed windows: intervals and p-values are adjusted for {looks}."
        metrics["warnings"] = [sentence, *metrics["warnings"]]
    return Unblinding(metrics, predictions.assign(role=SEALED), embeddings)


def make_folder(out: Path) -> None:
    """Make the folder of a look's files, before it is given.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be made ({error.strerror}). Choose another --out.") from error


def write_unblinding(given: Unblinding, out: Path) -> None:
    """Write metrics.json, predictions.parquet, embeddings.npy and figures into a folder that is there."""
    given.predictions.to_parquet(out / "predictions.parquet", index=False)
    np.save(out / "embeddings.npy", given.embeddings)
    write_json_atomic(out / "metrics.json", given.metrics)
    draw_figures(given.metrics, out)


def _require_unseen(question: HoldoutQuestion) -> None:
    ids = question.sealed_ids
    if question.loaded.card.get("training_data") == UNKNOWN:
        raise DataError(
            f"{question.loaded.path}: its training data are unknown, so the sealed windows may have been among them. "
            "Judge a model that was trained here."
        )
    seen = ids[ids.isin(question.loaded.trained_on)]
    if not seen.empty:
        raise DataError(
            f"{question.loaded.path}: {len(seen)} of the {len(ids)} sealed windows of {question.store.path} were in "
            f"its training, for example {seen.iloc[0]}. Judge a model that was trained without them."
        )


def _record_look(question: HoldoutQuestion) -> int:
    """Write the look down; returns its number, from 1."""
    loaded, store = question.loaded, question.store
    ids = sorted(question.sealed_ids)
    own = loaded.card["dataset_id"] == store.attributes["dataset_id"]
    entry = append_entry(
        store.path,
        {
            "kind": "look",
            "purpose": question.purpose,
            "model": loaded.path.name,
            "model_sha256": file_sha256(loaded.path),
            "run_id": loaded.card["run_id"],
            "dataset_id": store.attributes["dataset_id"],
            "split_certificate_sha256": loaded.card.get("split_certificate_sha256") if own else None,
            "n_sealed": len(ids),
            "sealed_ids_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
            "seismag_version": __version__,
            "git": git_state(Path(__file__)),
        },
    )
    return sum(earlier["kind"] == "look" for earlier in read_ledger(store.path)[: entry["entry"]])


def _p_values(alarms: dict[str, Any], config: EvaluateConfig) -> dict[str, float | None]:
    """p of the look: area skill (primary) and hits at ``evaluate.alarm_fraction``, against the station reference."""
    reference = alarms["references"].get("station", {})
    if "area_skill" not in reference:
        return {"area_skill": None, "hits": None}
    (row,) = [row for row in reference["at"] if row["tau_asked"] == config.alarm_fraction]
    return {"area_skill": reference["area_skill"]["p_moved"], "hits": row["p_moved"]}
