"""The audit of a table, a store or predictions: all checks that apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.audit.checks.azimuth import check_azimuth_collapse, check_symmetry_ceiling
from seismag.audit.checks.class_by import Feature, Labelled, category_codes
from seismag.audit.checks.clock import check_clock
from seismag.audit.checks.copies import check_copies
from seismag.audit.checks.duplicates import check_duplicates
from seismag.audit.checks.instrument import check_instrument
from seismag.audit.checks.label_nulls import permute_within_station_season, refit_permuted, shift_labels
from seismag.audit.checks.labels import check_labels
from seismag.audit.checks.leakage import check_overlapping_seconds, check_same_utc_day, check_shared_events
from seismag.audit.checks.metadata import check_metadata
from seismag.audit.checks.positions import check_positions
from seismag.audit.checks.skill import TASK_SCORES, check_skill
from seismag.audit.checks.station_probe import probe_station
from seismag.audit.checks.windows import (
    check_classes_by_station,
    derived_window_features,
    labelled_windows,
    metadata_features,
    window_labels,
)
from seismag.audit.columns import ColumnUse
from seismag.audit.result import Audit, ColumnScore, close_checks
from seismag.audit.table import (
    check_label_copies,
    check_label_in_name,
    label_table,
    prepare_table,
    read_audit_table,
)
from seismag.config import AuditConfig, Config, EvaluateConfig
from seismag.documents import read_frame
from seismag.domain import DataError, SeismagError, UsageError
from seismag.estimate import CheckResult
from seismag.files import file_sha256, write_checked_json
from seismag.folder_lock import one_writer
from seismag.runs import Run
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.mainshocks import add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.predictions import evaluated_rows, read_predictions
from seismag.scoring.study import made_from, read_own_embeddings
from seismag.splits import assign_split
from seismag.splits.stored import SPLIT_COLUMNS
from seismag.training.finished import find_runs, models_behind, store_of
from seismag.training.placebo import evaluate_placebo
from seismag.training.run import evaluate_in_store, reach_h, split_of_runs
from seismag.windows.store import DAYS_FILE, Store, open_store, read_table, store_catalog
from seismag.windows.tried import UNKNOWN_TRIED, Tried, read_tried


@dataclass(frozen=True)
class _Sources:
    """Sources of one table of predictions; None where they are not known."""

    runs: tuple[Run, ...]  # the runs behind it
    model_input: str | None  # input of their models, power or power_cross
    store: Store | None  # that their configuration names, where it is still the same data set
    embeddings: NDArray[np.float32] | None  # (n, C) float32, rows as in the table


@dataclass
class _Findings:
    subject: dict[str, object]
    spec: AuditConfig
    results: list[CheckResult] = field(default_factory=list)
    baselines: dict[str, ColumnScore] = field(default_factory=dict)
    columns: dict[str, ColumnUse] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tried: Tried = UNKNOWN_TRIED
    settings: Mapping[str, object] = field(default_factory=dict)
    made_from: Mapping[str, object] = field(default_factory=dict)

    def add(self, results: Iterable[CheckResult | None]) -> None:
        """Add results; None stands for a check that does not apply."""
        self.results += [result for result in results if result is not None]

    def score_alone(self, features: Sequence[Feature], data: Labelled) -> None:
        for feature in features:
            scores = data.scores(feature.code)
            self.baselines[feature.name] = ColumnScore(scores.accuracy, scores.balanced_accuracy, feature.blocking)

    def add_windows(self, samples: pd.DataFrame, days: pd.DataFrame | None = None) -> None:
        """Check each family of metadata of windows, and score each column alone."""
        data, features = labelled_windows(samples, self.spec), metadata_features(samples)
        self.score_alone(features, data)
        features += derived_window_features(samples, days)
        self.add(check_metadata(features, data))
        self.columns |= {feature.name: ColumnUse.of_feature(feature) for feature in features}

    def close(self, metrics: dict[str, Any] | None = None) -> Audit:
        error = self.spec.family_wise_error
        if error != AuditConfig().family_wise_error:
            self.notes.append(f"audit.family_wise_error is {error:g}, not {AuditConfig().family_wise_error:g}.")
        return Audit(
            self.subject,
            close_checks(self.results, error),
            error,
            self.baselines,
            self.tried,
            self.columns,
            self.notes,
            {"audit": self.spec.model_dump(mode="json"), **self.settings},
            self.made_from,
            metrics,
        )


def audit_labels(path: Path, label: str, groups: Sequence[str] | None, spec: AuditConfig) -> Audit:
    """Audit any table of labels and metadata.

    Args:
        path: CSV or parquet. label: its class column.
        groups: columns that define the groups, whose rows stay together.
        spec: section ``audit``; its ``features`` are the columns to test, or chosen by kind where there are none.

    Raises:
        DataError: the table cannot be read, or has one class.
        UsageError: an unknown column, too many classes, one group.
    """
    table = prepare_table(read_audit_table(path), label, groups, spec.features or None)
    data = Labelled.build(table.y, table.group, table.classes, spec)
    subject = {
        "kind": "table",
        "path": str(path),
        "label": table.label,
        "rows": len(table.frame),
        "groups": int(table.group.max()) + 1,
        "group_columns": list(table.group_columns),
        "classes": {name: int(n) for name, n in zip(table.classes, np.bincount(table.y), strict=True)},
    }
    found = _Findings(subject, spec, columns=dict(table.columns), made_from={"table_sha256": file_sha256(path)})
    found.notes += [f"{n} rows left out: {reason}." for reason, n in table.dropped.items()]
    if not table.group_columns:
        found.notes.append("Each row is a group of its own; --groups names columns that keep rows together.")
    found.add([check_copies(table.frame), check_label_in_name(table), check_label_copies(table)])
    found.add(check_labels(label_table(table), spec))
    found.score_alone(table.features, data)
    found.add(check_metadata([*table.features, *table.derived], data))
    found.columns |= {feature.name: ColumnUse.of_feature(feature) for feature in table.derived}
    for column in table.group_columns:  # a date by its values, not by epochs
        code, levels = category_codes(table.frame[column])
        found.score_alone([Feature(column, column, code, levels)], data)
    return found.close()


def audit_store(path: Path, split_path: Path | None, config: Config) -> Audit:
    """Audit the windows of a store and a split of it.

    Args:
        path: a finished store.
        split_path: table of a split; None: the one that ``config.split`` assigns.
        config: sections audit, split and train (for its runs).
    """
    store = open_store(path)
    subject = {
        "kind": "store",
        "path": str(store.path),
        "dataset_id": store.attributes["dataset_id"],
        "windows": len(store.samples),
        "groups": int(store.samples["split_group"].nunique()),
        "classes": {str(name): int(n) for name, n in store.samples["magnitude_class"].value_counts().items()},
    }
    found = _Findings(subject, config.audit, made_from={"samples_sha256": store.samples_sha256()})
    found.tried = read_tried(store.path, str(subject["dataset_id"]))
    if split_path is not None:
        split: pd.DataFrame | None = _read_split(split_path, store)
    else:
        try:
            split = assign_split(store.samples, config.split, reach_h(store))
            found.notes.append(f"The split is the one that section split assigns ({config.split.method}).")
        except UsageError as error:
            split = None
            found.notes.append(f"No split was audited: {error}")
    _audit_windows(found, store, split)
    return found.close()


@dataclass(frozen=True)
class SkillTests:
    """Skill of predictions: the rows of the main scores, the content of metrics.json, and the test of each task."""

    rows: pd.DataFrame
    metrics: dict[str, Any]
    tests: list[CheckResult]


def evaluate_and_test(
    predictions: pd.DataFrame,
    store: Store | None,
    split: pd.DataFrame | None,
    evaluation: EvaluateConfig,
    spec: AuditConfig,
    configurations: int | None,
) -> SkillTests:
    """Evaluate predictions and test their skill in each task.

    Args:
        predictions, store, split: as in ``evaluate_in_store``; no store: evaluated within the table.
        evaluation, spec: sections ``evaluate`` and ``audit``.
        configurations: how many were tried; None: unknown.
    """
    if store is None:
        metrics = evaluate_predictions(predictions, config=evaluation).to_json()
    else:
        metrics = evaluate_in_store(store, predictions, split, evaluation)
    rows = _evaluated(predictions, store, evaluation)
    return SkillTests(rows, metrics, [check_skill(task, rows, metrics, configurations, spec) for task in TASK_SCORES])


def audit_predictions(path: Path, store_path: Path | None, split_path: Path | None, config: Config) -> Audit:
    """Audit predictions, and the store that they were made on where it is given.

    Args:
        path: a table of predictions, our own or third-party.
        store_path: the store; None: only the evaluated rows are audited.
        split_path: table of the split; None: the one that the configuration of the runs behind the table assigns.
        config: sections audit (``placebo`` names stores that are evaluated with the models of the runs), evaluate and
            train (for its runs).

    Raises:
        DataError: predictions that cannot be evaluated, or of windows that are not in the store.
    """
    predictions = read_predictions(path)
    store = None if store_path is None else open_store(store_path)
    sources = _find_sources(path, predictions, config)
    split = None
    if store is not None and split_path is not None:
        split = _read_split(split_path, store)
    elif store is not None:
        split = split_of_runs(sources.runs, store)
    run_ids = sorted(predictions["run_id"].astype(str).unique())
    tried = UNKNOWN_TRIED
    if (trained_on := store or sources.store) is not None:
        tried = read_tried(trained_on.path, str(trained_on.attributes["dataset_id"]), run_ids)
    spec = config.audit
    tested = evaluate_and_test(predictions, store, split, config.evaluate, spec, tried.number)
    rows, metrics = tested.rows, tested.metrics
    subject = {"kind": "predictions", "path": str(path), "windows": len(rows), "run_ids": metrics["run_ids"]}
    found = _Findings(subject, spec, tried=tried, settings={"evaluate": config.evaluate.model_dump(mode="json")})
    found.made_from = made_from(path, store, models_behind(path, metrics["run_ids"], Path(config.train.runs_dir)))
    found.notes += metrics["warnings"]
    found.add(tested.tests)
    found.add(_prediction_results(predictions, sources, spec))
    models = [run.best_model for run in sources.runs]
    found.add(evaluate_placebo(models, Path(placebo), spec) for placebo in spec.placebo)
    if store is None:
        found.add_windows(rows.rename(columns={"y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class"}))
        found.notes.append(
            "Only the evaluated rows were audited; --data STORE adds their space weather, quality and split."
        )
        return found.close(metrics)
    found.subject["store"] = str(store.path)
    if split is None:
        found.notes.append(
            "The split of these predictions is not known: leakage was not audited, and non-magnetic baselines were "
            "fitted within the table. --split names it."
        )
    _audit_windows(found, store, split)
    return found.close(metrics)


@one_writer()
def write_audit(audit: Audit, out: Path) -> None:
    """Write audit.json into a folder, which is created if necessary."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror}). Choose another --out.") from error
    write_checked_json(out / "audit.json", audit.to_json())


def _evaluated(predictions: pd.DataFrame, store: Store | None, config: EvaluateConfig) -> pd.DataFrame:
    """Rows of the headline: mainshocks and control windows where known and ``evaluate.events`` is mainshocks."""
    rows = add_label_columns(evaluated_rows(predictions), None if store is None else store.samples)
    if config.events == "mainshocks" and knows_mainshocks(rows):
        rows = rows[mainshocks_and_normal(rows)].reset_index(drop=True)
    return rows


def _prediction_results(predictions: pd.DataFrame, sources: _Sources, spec: AuditConfig) -> Iterator[CheckResult]:
    yield shift_labels(predictions)
    yield permute_within_station_season(predictions, spec)
    if sources.embeddings is not None:
        yield probe_station(sources.embeddings, predictions, spec)
    yield check_azimuth_collapse(predictions, spec)
    if sources.model_input is not None:
        yield check_symmetry_ceiling(predictions, sources.model_input, spec)


def _audit_windows(found: _Findings, store: Store, split: pd.DataFrame | None) -> None:
    samples, spec = store.samples, found.spec
    found.add_windows(samples, read_table(store.path, DAYS_FILE))
    found.add(check_labels(window_labels(samples), spec))
    found.add(check_classes_by_station(samples, spec))
    if split is not None:
        found.add([check_shared_events(samples, split), check_overlapping_seconds(samples, split)])
        found.add([check_same_utc_day(samples, split, spec)])
    found.add(check_instrument(store, spec))
    found.add([check_duplicates(store, split, spec), check_clock(store, spec)])
    found.add([check_positions(samples, spec, store_catalog(store)), refit_permuted(store, split, spec)])


def _find_sources(path: Path, predictions: pd.DataFrame, config: Config) -> _Sources:
    ids = predictions["run_id"].astype(str).unique()
    runs = list(find_runs(path.parent, ids, Path(config.train.runs_dir)).values())  # none: third-party predictions
    inputs = {run.config().model.input for run in runs}
    datasets = {str(run.provenance().get("dataset_id")) for run in runs}
    dataset_id = datasets.pop() if len(datasets) == 1 else None
    store = None
    if dataset_id is not None:
        with suppress(SeismagError):
            store = store_of(runs[0], dataset_id, None)
    embeddings_path = path.parent / "embeddings.npy"
    embeddings = None
    if embeddings_path.is_file():
        embeddings = read_own_embeddings(path, len(predictions))
    return _Sources(
        tuple(runs),
        inputs.pop() if len(inputs) == 1 else None,
        store,
        embeddings,
    )


def _read_split(path: Path, store: Store) -> pd.DataFrame:
    if not path.is_file():
        raise UsageError(f"{path}: no such split. Training writes splits/NAME.parquet.")
    split = read_frame(path, SPLIT_COLUMNS, "Make the split again.")
    if not split["sample_id"].isin(store.samples["sample_id"]).all():
        raise DataError(f"{path}: not a split of {store.path} (sample_id, fold, role of its windows). Name its own.")
    return split
