"""The audit of a table, a store or predictions: all its tests, judged together, and the gate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from seismag.config import AuditConfig, Config
from seismag.data.splits import draw_split
from seismag.data.store import Store, open_store
from seismag.domain import DataError, UsageError
from seismag.evaluation.checks.class_by import (
    Feature,
    Labelled,
    category_codes,
    check_class_by,
    check_skill_above_station,
)
from seismag.evaluation.checks.labels import (
    LabelTable,
    check_azimuth_follows_magnitude,
    check_azimuth_geometry,
    check_label_values,
)
from seismag.evaluation.checks.leakage import check_overlapping_seconds, check_same_utc_day, check_shared_events
from seismag.evaluation.checks.result import CheckResult, gate, judge
from seismag.evaluation.checks.skill import TASK_SCORES, check_skill
from seismag.evaluation.checks.store import (
    check_strength_and_direction,
    label_windows,
    window_features,
    window_labels,
)
from seismag.evaluation.checks.table import (
    AuditTable,
    check_copies,
    check_label_copies,
    check_label_in_name,
    label_table,
    prepare_table,
    read_audit_table,
)
from seismag.evaluation.judged_windows import add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.evaluation.predictions import judged_rows, read_predictions
from seismag.evaluation.scores import evaluate_predictions
from seismag.runs import read_run, write_json_atomic
from seismag.validation.training_run import reach_h


@dataclass
class _Findings:
    """What an audit has gathered before it is judged."""

    subject: dict[str, Any]
    results: list[CheckResult] = field(default_factory=list)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
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
            }

    def judged(self, spec: AuditConfig) -> dict[str, Any]:
        """Close all verdicts together."""
        tests = judge(self.results, spec.family_wise_error)
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
    _audit_windows(found, store, split_path, config)
    return found.judged(config.audit)


def audit_predictions(path: Path, store_path: Path | None, split_path: Path | None, config: Config) -> dict[str, Any]:
    """Audit predictions, and the store that they were made on where it is given; gives the content of audit.json.

    Raises:
        DataError: predictions that cannot be judged, or of windows that are not in the store.
    """
    predictions = read_predictions(path)
    store = None if store_path is None else open_store(store_path)
    samples = None if store is None else store.samples
    rows = add_label_columns(judged_rows(predictions), samples)
    if config.evaluate.events == "mainshocks" and knows_mainshocks(rows):
        rows = rows[mainshocks_and_normal(rows)].reset_index(drop=True)
    spec = config.audit
    replicates = max(config.evaluate.bootstrap, spec.permutations)
    metrics = evaluate_predictions(
        predictions, samples, config=config.evaluate.model_copy(update={"bootstrap": replicates})
    )
    found = _Findings({"kind": "predictions", "path": str(path), "windows": len(rows), "run_ids": metrics["run_ids"]})
    found.notes += metrics["warnings"]
    found.configurations_tried = _configurations_of(path, store, config)
    if found.configurations_tried is None:
        found.notes.append("How many configurations were tried is not known; p-values stand for a single one.")
    found.add(check_skill(task, rows, metrics, found.configurations_tried, spec) for task in TASK_SCORES)
    # further tests of predictions are called here
    if store is not None:
        found.subject["store"] = str(store.path)
        _audit_windows(found, store, split_path, config)
    else:
        judged = rows.rename(columns={"y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class"})
        _audit_class(found, judged, spec)
        found.notes.append(
            "Only the judged rows were audited; --data STORE adds their space weather, quality and split."
        )
    return found.judged(spec)


def write_audit(document: dict[str, Any], out: Path) -> None:
    """Write audit.json into a folder, which is made where it is not there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror}). Choose another --out.") from error
    write_json_atomic(out / "audit.json", document)


def count_configurations(runs_dir: Path, dataset_id: str) -> int:
    """Number of different configurations among the runs on a data set; folds of one count once."""
    seen = set()
    for provenance in sorted(runs_dir.glob("*/provenance.json")):
        try:
            made_from = json.loads(provenance.read_text(encoding="utf-8")).get("dataset_id")
            settings = yaml.safe_load((provenance.parent / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError, AttributeError):
            continue  # a folder that is no run
        if made_from == dataset_id and isinstance(settings, dict):
            seen.add(_without_fold(settings))
    return len(seen)


def _without_fold(settings: dict[str, Any]) -> str:
    kept = {key: settings.get(key) for key in ("data", "split", "model", "train", "augment", "pretrain")}
    kept["split"] = {k: v for k, v in (kept["split"] or {}).items() if k != "fold"}
    return json.dumps(kept, sort_keys=True, default=str)


def _configurations_of(path: Path, store: Store | None, config: Config) -> int | None:
    dataset_id = None if store is None else store.attributes["dataset_id"]
    if dataset_id is None and (path.parent / "provenance.json").is_file():
        dataset_id = read_run(path.parent).provenance().get("dataset_id")
    if dataset_id is None:
        return None
    return max(1, count_configurations(Path(config.train.runs_dir), dataset_id))


def _audit_windows(found: _Findings, store: Store, split_path: Path | None, config: Config) -> None:
    samples, spec = store.samples, config.audit
    _audit_class(found, samples, spec)
    found.add(_label_results(window_labels(samples), spec))
    found.add(check_strength_and_direction(samples, spec))
    split = _find_split(found, store, split_path, config)
    if split is not None:
        found.add(
            [
                check_shared_events(samples, split),
                check_overlapping_seconds(samples, split),
                check_same_utc_day(samples, split, spec),
            ]
        )
    # further tests of a store (its field, its clock, its positions) are called here


def _audit_class(found: _Findings, samples: pd.DataFrame, spec: AuditConfig) -> None:
    data, features = label_windows(samples, spec), window_features(samples)
    found.score_alone(features, data)
    found.add(_metadata_results(features, data))
    found.columns |= {f.name: f"{f.family}: feature{'' if f.gates else ', does not gate'}" for f in features}


def _find_split(found: _Findings, store: Store, path: Path | None, config: Config) -> pd.DataFrame | None:
    if path is None:
        try:
            split = draw_split(store.samples, config.split, reach_h(store))
        except UsageError as error:
            found.notes.append(f"No split was audited: {error}")
            return None
        found.notes.append(f"The split is the one that section split draws ({config.split.method}).")
        return split
    if not path.is_file():
        raise UsageError(f"{path}: no such split. Training writes splits/NAME.parquet.")
    try:
        split = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error}).") from error
    wanted = {"sample_id", "fold", "role"}
    if not wanted <= set(split) or not split["sample_id"].isin(store.samples["sample_id"]).all():
        raise DataError(f"{path}: not a split of {store.path} (sample_id, fold, role of its windows). Name its own.")
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
