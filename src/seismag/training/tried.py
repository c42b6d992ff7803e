"""Configurations that were tried on a data set: the more, the better is the best one by chance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seismag.documents import Document, read_document
from seismag.domain import DataError, SeismagError
from seismag.files import short_path
from seismag.runs import Run, present_provenance, read_history, read_settings
from seismag.windows.store import Store
from seismag.windows.tried import read_tried

_SECTIONS = ("data", "split", "model", "train", "augment")
_NOT_SETTINGS = {"data.store", "split.fold", "split.name", "train.run_name", "train.runs_dir", "train.num_workers"}


class _Detection(Document):
    balanced_accuracy: Mapping[str, Any]
    auc_within_station: Mapping[str, Any]


class _Evaluated(Document):
    detection: _Detection


def configuration_checksum(settings: Mapping[str, Any], prepared_with: object) -> str:
    """Return what identifies a configuration; the same for all its folds, names and folders.

    Args:
        settings: the configuration as plain values.
        prepared_with: section ``data`` of the store, which decides; None: not known.
    """
    sections = {key: settings.get(key) or {} for key in _SECTIONS if key != "data"}
    flat = {key: value for key, value in _flat(sections).items() if key not in _NOT_SETTINGS}
    data = {key: value for key, value in _flat({"data": prepared_with or {}}).items() if key not in _NOT_SETTINGS}
    return hashlib.sha256(json.dumps([data, flat], sort_keys=True, default=str).encode()).hexdigest()


def list_configurations(runs_dir: Path, store: Store) -> dict[str, object]:
    """List every run on the data set of a store, oldest first; the content of configurations.json.

    Returns:
        configurations (number that the access log of the store contains; None: unknown, ``unknown`` gives the reason),
        since_utc, recorded_runs (in the access log, on any data set of the same recordings), runs: of each run_id,
        configuration (its number), status, created_utc, error, fold, backbone, differs_from_first
        (``section.key=value`` that differs from the first run), val_loss (the best; None: it has no history),
        detection (scores of metrics.json; None: not evaluated).
    """
    dataset_id = str(store.attributes["dataset_id"])
    tried = read_tried(store.path, dataset_id)
    numbers: dict[str, int] = {}
    rows = []
    first: Mapping[str, Any] = {}
    for provenance, settings in sorted(_runs(runs_dir, dataset_id), key=lambda run: str(run[0].get("created_utc"))):
        configuration = configuration_checksum(settings, store.attributes.get("config"))
        first = first or settings
        folder = runs_dir / str(provenance.get("run_id"))
        rows.append(
            {
                "run_id": provenance.get("run_id"),
                "configuration": numbers.setdefault(configuration, len(numbers) + 1),
                "status": provenance.get("status"),
                "created_utc": provenance.get("created_utc"),
                "error": provenance.get("error"),
                "fold": (settings.get("split") or {}).get("fold"),
                "backbone": (settings.get("model") or {}).get("backbone"),
                "differs_from_first": [f"{row['key']}={row['value']}" for row in setting_differences(first, settings)],
                "val_loss": _best_loss(folder / "history.csv"),
                "detection": _evaluated(folder / "metrics.json"),
            }
        )
    return {
        "runs_dir": str(short_path(runs_dir)),
        "dataset_id": dataset_id,
        "configurations": tried.number,
        "unknown": tried.unknown,
        "since_utc": tried.since_utc,
        "recorded_runs": len(tried.trainings),
        "runs": rows,
    }


def setting_differences(reference: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, object]]:
    """List the differences of two configurations (plain values), apart from names, folds and paths.

    Returns:
        ``key`` (``train.epochs``), ``value`` of the other, ``reference``; in the order of the keys.
    """
    own, values = (
        _flat({section: settings.get(section) or {} for section in _SECTIONS}) for settings in (reference, other)
    )
    return [
        {"key": key, "value": values.get(key), "reference": own.get(key)}
        for key in sorted({*own, *values} - _NOT_SETTINGS)
        if values.get(key) != own.get(key)
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def _runs(runs_dir: Path, dataset_id: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield provenance and settings of each run on the data set."""
    for path in sorted(runs_dir.glob("*/provenance.json")):
        try:
            provenance = present_provenance(Run(path.parent))
            settings = read_settings(path.parent / "config.yaml")
        except SeismagError:
            continue  # not a run
        if provenance.get("dataset_id") == dataset_id:
            yield provenance, settings


def _best_loss(path: Path) -> float | None:
    try:
        return float(read_history(path)["val_loss"].min())
    except DataError:
        return None  # it failed before its first epoch


def _evaluated(path: Path) -> dict[str, object] | None:
    try:
        detection = read_document(path, _Evaluated, "")["detection"]
        return {name: detection[name] for name in _Detection.model_fields}
    except SeismagError:
        return None
