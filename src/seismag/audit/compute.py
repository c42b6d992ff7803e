"""The audit of a table, a store or predictions: all its tests, judged together, and the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.audit.checks.azimuth import check_azimuth_collapse, check_symmetry_ceiling
from seismag.audit.checks.class_by import (
    Feature,
    Labelled,
    category_codes,
    check_class_by,
    check_skill_above_station,
)
from seismag.audit.checks.clock import check_clock
from seismag.audit.checks.duplicates import check_duplicates
from seismag.audit.checks.label_nulls import permute_within_station_season, refit_shuffled, shift_labels
from seismag.audit.checks.labels import (
    LabelTable,
    check_azimuth_follows_magnitude,
    check_azimuth_geometry,
    check_label_values,
)
from seismag.audit.checks.leakage import check_overlapping_seconds, check_same_utc_day, check_shared_events
from seismag.audit.checks.positions import check_positions
from seismag.audit.checks.skill import TASK_SCORES, check_skill
from seismag.audit.checks.station_probe import probe_station
from seismag.audit.checks.windows import (
    check_strength_and_direction,
    label_windows,
    window_features,
    window_labels,
)
from seismag.audit.integrity import close_verdicts, gate
from seismag.audit.sources import Sources, find_sources, read_split
from seismag.audit.table import (
    AuditTable,
    check_copies,
    check_label_copies,
    check_label_in_name,
    label_table,
    prepare_table,
    read_audit_table,
)
from seismag.config import AuditConfig, Config
from seismag.domain import DataError, UsageError
from seismag.estimate import CheckResult
from seismag.files import write_json_atomic
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.mainshocks import add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.predictions import evaluated_rows, read_predictions
from seismag.splits import assign_split
from seismag.training.placebo import evaluate_placebo
from seismag.training.run import evaluate_in_store, reach_h
from seismag.training.tried import count_configurations
from seismag.windows.store import Store, open_store, store_catalog


@dataclass
class _Findings:
    """What an audit has gathered before it is judged."""

    subject: dict[str, Any]
    results: list[CheckResult] = field(default_factory=list)
    baselines: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    configurations_tried: int | None = None

    def add(self, results: Iterable[CheckResult | None]) -> None:
        """Gather results; None is a question that the data cannot be asked."""
        self.results += [result for result in results if result is not None]

    def score_alone(self, features: Sequence[Feature], data: Labelled) -> None:
        """Note what each column alone predicts out of fold."""
        for feature in features:
            scores = data.scores(feature.code)
            self.baselines[feature.name] = {
                "accuracy": scores.accuracy,
                "balanced_accuracy": scores.balanced_accuracy,
                "gates": feature.gates,
            }

    def judged(self, spec: AuditConfig) -> dict[str, Any]:
        """Close all verdicts together."""
        tests = close_verdicts(self.results, spec.family_wise_error)
        return {
            "gate": gate(tests),
            "subject": self.subject,
            "tests": [test.as_dict() for test in tests],
            "baselines": self.baselines,
            "family_wise_error": spec.family_wise_error,
            "configurations_tried": self.configurations_tried,
            "columns": self.columns,
            "notes": self.notes,
        }


def audit_table(
    path: Path, label: str, groups: Sequence[str] | None, features: Sequence[str] | None, spec: AuditConfig
) -> dict[str, Any]:
    """Audit any table of labels and metadata; gives the content of audit.json.

    Args:
        path: CSV or parquet. label: its class column.
        groups: columns whose tuple keeps rows together. features: columns that may tell the class; None: by kind.
        spec: section ``audit``.

    Raises:
        DataError: the table cannot be read, or has one class.
        UsageError: a column that is not there, too many classes, one group.
    """
    table = prepare_table(read_audit_table(path), label, groups, features)
    data = Labelled.build(table.y, table.group, table.classes, spec)
    found = _Findings(_table_subject(path, table), columns=table.columns)
    found.notes += [f"{n} rows left out: {reason}." for reason, n in table.dropped.items()]
    if not table.group_columns:
        found.notes.append("Each row is a group of its own; --groups names columns that keep rows together.")
    found.score_alone(table.features, data)
    for column in table.group_columns:  # a date as it is, beside its eras
        code, levels = category_codes(table.frame[column])
        found.score_alone([Feature(column, column, code, levels)], data)
    found.add([check_copies(table), check_label_in_name(table), check_label_copies(table)])
    found.add(_label_results(label_table(table), spec))
    found.add(_metadata_results(table.features, data))
    return found.judged(spec)


def audit_store(path: Path, split_path: Path | None, config: Config) -> dict[str, Any]:
    """Audit the windows of a store and a split of it; gives the content of audit.json.

    Args:
        path: a finished store.
        split_path: table of a split; None: the one that ``config.split`` draws.
        config: sections audit, split and train (for its runs).
    """
    store = open_store(path)
    found = _Findings(_store_subject(store))
    found.configurations_tried, n_runs = count_configurations(
        Path(config.train.runs_dir), store.attributes["dataset_id"]
    )
    found.notes.append(f"{n_runs} runs on this data set in {config.train.runs_dir}.")
    split = read_split(split_path, store) if split_path is not None else _draw_split(found, store, config)
    _audit_windows(found, store, split, config.audit)
    return found.judged(config.audit)


def audit_predictions(
    path: Path,
    store_path: Path | None,
    split_path: Path | None,
    config: Config,
    placebos: Sequence[Path] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Audit predictions, and the store that they were made on where it is given.

    Args:
        path: a table of predictions, ours or a stranger's.
        store_path: the store; None: only the judged rows are audited.
        split_path: table of the split; None: that of the runs which the table came from.
        config: sections audit, evaluate and train (for its runs).
        placebos: stores of placebo windows (``data.placebo``), judged by the models of the runs.

    Returns:
        The contents of audit.json and of metrics.json.

    Raises:
        DataError: predictions that cannot be judged, or of windows that are not in the store.
    """
    predictions = read_predictions(path)
    store = None if store_path is None else open_store(store_path)
    sources = find_sources(path, predictions, config)
    split_path = split_path or sources.split
    split = None if store is None or split_path is None else read_split(split_path, store)
    rows = _evaluated(predictions, store, config)
    metrics = _metrics(predictions, store, split, config)
    spec = config.audit
    found = _Findings({"kind": "predictions", "path": str(path), "windows": len(rows), "run_ids": metrics["run_ids"]})
    found.notes += metrics["warnings"]
    found.configurations_tried = _configurations_of(found, sources, store, config)
    found.add(check_skill(task, rows, metrics, found.configurations_tried, spec) for task in TASK_SCORES)
    found.add(_prediction_results(predictions, sources, spec))
    found.add(evaluate_placebo([run.best_model for run in sources.runs], placebo, spec) for placebo in placebos)
    if store is None:
        judged = rows.rename(columns={"y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class"})
        _audit_class(found, judged, spec)
        found.notes.append(
            "Only the judged rows were audited; --data STORE adds their space weather, quality and split."
        )
    else:
        found.subject["store"] = str(store.path)
        if split is None:
            found.notes.append(
                "The split of these predictions is not known: leakage was not audited, and rules without the field "
                "were fitted within the table. --split names it."
            )
        _audit_windows(found, store, split, spec)
    return found.judged(spec), metrics


def write_audit(document: dict[str, Any], out: Path) -> None:
    """Write audit.json into a folder, which is made where it is not there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror}). Choose another --out.") from error
    write_json_atomic(out / "audit.json", document)


def _evaluated(predictions: pd.DataFrame, store: Store | None, config: Config) -> pd.DataFrame:
    """The rows of the headline: of mainshocks and Normal windows where that is known and asked for."""
    rows = add_label_columns(evaluated_rows(predictions), None if store is None else store.samples)
    if config.evaluate.events == "mainshocks" and knows_mainshocks(rows):
        rows = rows[mainshocks_and_normal(rows)].reset_index(drop=True)
    return rows


def _metrics(
    predictions: pd.DataFrame, store: Store | None, split: pd.DataFrame | None, config: Config
) -> dict[str, Any]:
    """Scores with as many replicates as the audit draws, so that small p-values can be told."""
    replicates = max(config.evaluate.bootstrap, config.audit.permutations)
    spec = config.evaluate.model_copy(update={"bootstrap": replicates})
    if store is None:
        return evaluate_predictions(predictions, config=spec)
    return evaluate_in_store(store, predictions, split, spec)


def _prediction_results(predictions: pd.DataFrame, sources: Sources, spec: AuditConfig) -> Iterator[CheckResult]:
    """Null tests of the ranking, what embeddings know, and where the directions come from."""
    yield shift_labels(predictions, spec)
    yield permute_within_station_season(predictions, spec)
    if sources.embeddings is not None:
        yield probe_station(sources.embeddings, predictions, spec)
    yield check_azimuth_collapse(predictions, spec)
    if sources.model_input is not None:
        yield check_symmetry_ceiling(predictions, sources.model_input, spec)


def _configurations_of(found: _Findings, sources: Sources, store: Store | None, config: Config) -> int | None:
    dataset_id = sources.dataset_id if store is None else store.attributes["dataset_id"]
    if dataset_id is None:
        found.notes.append("How many configurations were tried is not known; p-values stand for a single one.")
        return None
    tried, n_runs = count_configurations(Path(config.train.runs_dir), dataset_id)
    found.notes.append(
        f"{tried} configurations in {n_runs} runs on this data set in {config.train.runs_dir}; runs made elsewhere, or "
        "deleted, are not counted."
    )
    return max(1, tried)


def _audit_windows(found: _Findings, store: Store, split: pd.DataFrame | None, spec: AuditConfig) -> None:
    samples = store.samples
    _audit_class(found, samples, spec)
    found.add(_label_results(window_labels(samples), spec))
    found.add(check_strength_and_direction(samples, spec))
    if split is not None:
        found.add([check_shared_events(samples, split), check_overlapping_seconds(samples, split)])
        found.add([check_same_utc_day(samples, split, spec)])
    found.add([check_duplicates(store, split, spec), check_clock(store, spec)])
    found.add([check_positions(samples, spec, store_catalog(store)), refit_shuffled(store, split, spec)])


def _audit_class(found: _Findings, samples: pd.DataFrame, spec: AuditConfig) -> None:
    data, features = label_windows(samples, spec), window_features(samples)
    found.score_alone(features, data)
    found.add(_metadata_results(features, data))
    found.columns |= {f.name: f"{f.family}: feature{'' if f.gates else ', does not gate'}" for f in features}


def _draw_split(found: _Findings, store: Store, config: Config) -> pd.DataFrame | None:
    try:
        split = assign_split(store.samples, config.split, reach_h(store))
    except UsageError as error:
        found.notes.append(f"No split was audited: {error}")
        return None
    found.notes.append(f"The split is the one that section split draws ({config.split.method}).")
    return split


def _metadata_results(features: Sequence[Feature], data: Labelled) -> Iterator[CheckResult]:
    families: dict[str, list[Feature]] = {}
    for feature in features:
        families.setdefault(feature.family, []).append(feature)
    for family, members in families.items():
        yield check_class_by(family, members, data)
    station = families.get("station", [])
    others = [feature for feature in features if feature.gates and feature.family != "station"]
    if station and others:
        yield check_skill_above_station(station[0], others, data)


def _label_results(table: LabelTable, spec: AuditConfig) -> Iterator[CheckResult | None]:
    yield check_label_values(table)
    yield check_azimuth_geometry(table)
    yield check_azimuth_follows_magnitude(table, spec)


def _table_subject(path: Path, table: AuditTable) -> dict[str, Any]:
    return {
        "kind": "table",
        "path": str(path),
        "label": table.label,
        "rows": len(table.frame),
        "groups": int(table.group.max()) + 1,
        "group_columns": list(table.group_columns),
        "classes": {name: int(n) for name, n in zip(table.classes, np.bincount(table.y), strict=True)},
    }


def _store_subject(store: Store) -> dict[str, Any]:
    counts = store.samples["magnitude_class"].value_counts()
    return {
        "kind": "store",
        "path": str(store.path),
        "dataset_id": store.attributes["dataset_id"],
        "windows": len(store.samples),
        "groups": int(store.samples["split_group"].nunique()),
        "classes": {str(name): int(n) for name, n in counts.items()},
    }
