"""Recorded results against what the predictions, the store and the models give when they are evaluated again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from seismag.audit.compute import evaluate_and_test
from seismag.audit.result import require_closed
from seismag.cards import read_card
from seismag.config import AuditConfig, Config, EvaluateConfig
from seismag.domain import DataError
from seismag.files import json_ready
from seismag.runs import Run, read_history, read_settings
from seismag.scoring.predictions import read_run_predictions
from seismag.scoring.study import METRICS_FILE, read_metrics, require_same_sources
from seismag.splits import assign_split
from seismag.text import one_line, shortened
from seismag.training.checkpoint import read_content
from seismag.training.crossval import FoldResult, final_document
from seismag.training.finished import SplitFacts
from seismag.training.fold_skill import over_pooled_classes
from seismag.training.run import evaluate_in_store, headline, reach_h
from seismag.training.tried import configuration_checksum
from seismag.windows.store import Store
from seismag.windows.tried import read_tried

TOLERANCE = 1e-6  # of a number, and of it relative to its size
# the hold-out set is unblinded again and again; some warnings are of the training
_NOT_COMPARED = ("sealed", "warnings", "made_from", "document_sha256")
_REMEDY = "The record, the predictions or the store was changed; evaluate the run again."


def split_again(store: Store, config: Config) -> pd.DataFrame:
    """Assign the split of a run again."""
    return assign_split(store.samples, config.split, reach_h(store))


def evaluate_again(metrics: Mapping[str, Any], predictions: pd.DataFrame, store: Store, split: pd.DataFrame) -> Any:
    """Evaluate predictions with the settings that metrics.json names."""
    return json_ready(evaluate_in_store(store, predictions, split, EvaluateConfig(**metrics["settings"])))


def require_equal(name: str, recorded: Any, computed: Any) -> None:
    """Refuse a record that differs from what was computed again, first where a value lies outside its interval.

    Raises:
        DataError: names the place, both values, and how many more differ.
    """
    differences = list(_differences(recorded, computed, ""))
    outside = [entry for entry in differences if entry[0].endswith("/value") and _is_outside(recorded, entry[0])]
    if not differences:
        return
    pointer, stated, found = (outside or differences)[0]
    which = ", which lies outside its own interval," if outside else ""
    more = f" {len(differences) - 1} more values differ." if len(differences) > 1 else ""
    values = [one_line(value, 80) if isinstance(value, str) else shortened(value) for value in (stated, found)]
    shown = f"{values[0]}{which} but the predictions give {values[1]}"
    raise DataError(f"{name}: {one_line(pointer[1:], 120)} is {shown}.{more} {_REMEDY}")


def require_same_crossval(
    path: Path,
    final: Mapping[str, Any],
    metrics: Mapping[str, Any],
    runs: Sequence[Run],
    store: Store,
    split: pd.DataFrame,
) -> Mapping[str, Mapping[str, Any]]:
    """Compare predictions and scores of the folds with those of their runs, and evaluate them again.

    Returns:
        metrics.json of each fold, by run_id.

    Raises:
        DataError: predictions of a fold are not those of its run; or a score of a fold differs.
    """
    runs = sorted(runs, key=lambda run: run.config().split.fold)  # by name fold 10 comes before fold 1
    tables = [read_run_predictions(run.predictions) for run in runs]
    if not pd.concat(tables, ignore_index=True).equals(read_run_predictions(path / "predictions.parquet")):
        raise DataError(f"{path / 'predictions.parquet'}: not the predictions of its runs, fold by fold. {_REMEDY}")
    facts = SplitFacts(**final["split_certificate"])
    computed, recorded = {}, {}
    for run, table in zip(runs, tables, strict=True):
        file = run.path / METRICS_FILE
        own = read_metrics(file, _REMEDY)
        require_same_sources(file, own, run.predictions, store, {run.run_id: run.best_model})
        again = evaluate_again(metrics, table, store, split)
        same_settings = own["settings"] == metrics["settings"]
        require_equal(str(file), own, again if same_settings else evaluate_again(own, table, store, split))
        computed[run.config().split.fold] = again
        recorded[run.run_id] = own
    joint = pd.concat(tables, ignore_index=True)
    same = over_pooled_classes(computed, metrics, joint, store, split)
    folds = [FoldResult(fold, facts, of_fold) for fold, of_fold in same.items()]
    require_equal("final results", final, json_ready(final_document(folds, dict(metrics))))
    return recorded


def require_same_card(run: Run, metrics: Mapping[str, Any]) -> None:
    """Compare the model card of a run with the file of its weights and with metrics.json of the run.

    Raises:
        SeismagError: names the keys that differ.
    """
    _, card = read_content(run.best_model)
    require_equal(f"model card of {run.run_id}", card.metrics, json_ready(headline(dict(metrics))))


def require_own_records(run: Run, run_id: str) -> None:
    """Compare provenance.json and history.csv of a run, which have no checksum, with its model card.

    Raises:
        DataError: they are those of another run.
    """
    stated = run.provenance()["run_id"]
    if stated not in (run_id, run.run_id):  # a folder may be renamed before its training is resumed
        raise DataError(f"{run.path / 'provenance.json'}: is of {stated}, the model is of {run_id}. Restore it.")
    card = read_card(run.best_model)
    epoch, val_loss = card.document.get("epoch"), card.val_loss
    history = read_history(run.path / "history.csv")
    losses = history.loc[history["epoch"] == epoch, "val_loss"].tolist()
    if epoch is not None and not any(_same(float(loss), val_loss) for loss in losses):
        found = f"{losses[0]:g}" if losses else "no such epoch"
        raise DataError(
            f"{run.path / 'history.csv'}: the model of {run_id} is that of epoch {epoch} with validation loss "
            f"{val_loss:g}, here is {found}: the history of another training. Restore it."
        )


def require_same_configuration(run: Run, store: Store, run_id: str) -> None:
    """Compare config.yaml of a run with the access log of its store, where the log has the run (else DataError)."""
    tried = read_tried(store.path, str(store.attributes["dataset_id"]))
    recorded = {configuration for name, configuration in tried.trainings if name == run_id}
    settings = read_settings(run.path / "config.yaml")
    if recorded and configuration_checksum(settings, store.attributes.get("config")) not in recorded:
        raise DataError(
            f"{run.path / 'config.yaml'}: not the configuration that the access log of {store.path} records of this "
            "training. Restore it."
        )


def require_same_audit(
    file: Path, audit: Mapping[str, Any], predictions: pd.DataFrame, store: Store, split: pd.DataFrame
) -> None:
    """Test skill again, and decide the checks again, as audit.json records them.

    Raises:
        DataError: names the test, and both results; or fewer configurations than the access log has count as tried.
    """
    require_closed(file, audit)
    run_ids = audit["subject"]["run_ids"]
    tried = read_tried(store.path, str(store.attributes["dataset_id"]), run_ids)
    known, counted = tried.number_when_begun(run_ids), audit["configurations_tried"]
    if tried.unknown is None and counted is not None and counted < known:
        raise DataError(
            f"{file}: counts {counted} configurations as tried; the access logs of {store.path} had {known} when the "
            "run began. Audit again."
        )
    settings = audit.get("settings") or {}
    spec, evaluation = AuditConfig(**settings["audit"]), EvaluateConfig(**settings["evaluate"])
    again = evaluate_and_test(predictions, store, split, evaluation, spec, audit["configurations_tried"])
    recorded = {test["name"]: test for test in audit["tests"]}
    for test in again.tests:
        require_equal(f"{file}: {test.name}", recorded.get(test.name), json_ready(test.to_json()))


def _differences(recorded: Any, computed: Any, pointer: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        for key in [*computed, *(key for key in recorded if key not in computed)]:
            if key not in _NOT_COMPARED:
                yield from _differences(recorded.get(key), computed.get(key), f"{pointer}/{key}")
    elif isinstance(recorded, list) and isinstance(computed, list) and len(recorded) == len(computed):
        for k, (stated, found) in enumerate(zip(recorded, computed, strict=True)):
            yield from _differences(stated, found, f"{pointer}/{k}")
    elif not _same(recorded, computed):
        yield pointer, recorded, computed


def _same(recorded: Any, computed: Any) -> bool:
    numbers = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (recorded, computed)]
    if all(numbers):
        return math.isclose(recorded, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(type(recorded) is type(computed) and recorded == computed)


def _is_outside(document: Any, pointer: str) -> bool:
    """Whether the value at a pointer lies outside the interval beside it."""
    for part in pointer.split("/")[1:-1]:
        document = document[int(part)] if isinstance(document, list) else document[part]
    value, low, high = (document.get(key) for key in ("value", "low", "high"))
    are_numbers = all(isinstance(entry, (int, float)) for entry in (value, low, high))
    return are_numbers and not low <= value <= high
