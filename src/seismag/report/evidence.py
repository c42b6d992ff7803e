"""The recorded documents of a run or a cross-validation that a report quotes.

| document | content |
|---|---|
| metrics.json | scores, baselines, skill, calibration, alarms |
| runs.json | ``runs``: provenance, resolved configuration, model card and summary of the history of each run |
| data.json | counts of the store: windows, classes, clusters, stations, rejected windows by reason |
| mcc.json | Matthews correlation from the confusion matrices, pooled and fold by fold, with the recorded intervals |
| split_report.json | split report |
| crossval.json | folds, means and standard deviations (cross-validation only) |
| audit.json, recovery.json, explanation.json | results of these commands |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from seismag.audit.result import AuditDocument
from seismag.cards import read_card
from seismag.documents import Document, read_document
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, MAGNITUDE_EDGES, DataError, UsageError
from seismag.files import file_sha256
from seismag.report.quotation import Quoter, escape
from seismag.report.recompute import (
    evaluate_again,
    require_equal,
    require_own_records,
    require_same_audit,
    require_same_card,
    require_same_configuration,
    require_same_crossval,
    split_again,
)
from seismag.runs import Run, present_provenance, read_history
from seismag.scoring.predictions import TASK_CLASSES, read_predictions
from seismag.scoring.study import read_metrics, require_same_sources
from seismag.training.checkpoint import is_image
from seismag.training.finished import final_results, require_files, runs_behind, store_of
from seismag.windows.store import REJECTED_FILE, Store, read_table

_AGAIN = "Make it again with the command that wrote it."


class _OfModel(Document):
    run_id: str


class _Recovery(Document):
    sentence: str
    models: list[_OfModel]


class _Importance(Document):
    parts: list[Mapping[str, Any]]


class _Explanation(Document):
    model_run_id: str
    method: str
    band_importance: _Importance
    sanity: list[Mapping[str, Any]]
    warnings: list[str]


EXTRAS = ("audit", "recovery", "explanation")  # folders in a subject's own, NAME/NAME.json
_SCHEMAS: Mapping[str, type[Document]] = {"audit": AuditDocument, "recovery": _Recovery, "explanation": _Explanation}
_REMEDY = {
    "audit.json": "seismag audit --predictions {path}/predictions.parquet --data {store} --out {path}/audit",
    "recovery.json": (
        "seismag recover --model MODEL --archive ARCHIVE --data {store} --catalog CATALOG --out {path}/recovery"
    ),
    "explanation.json": "seismag explain --model MODEL --data {store} --out {path}/explanation",
    "crossval.json": "seismag crossval --config CONFIG --data {store}",
    "split_report.json": "the folder splits/ of the run, moved beside its runs folder",
}


@dataclass(frozen=True)
class Evidence:
    """Documents of one run or one cross-validation."""

    subject: str  # run id; of a cross-validation the name of its folder
    kind: str  # run or crossval
    path: Path  # its folder
    documents: dict[str, Any]  # by file name
    runs: tuple[Run, ...]  # by fold
    store: Store  # data set of the predictions
    missing: dict[str, str]  # documents that do not exist, and the command that makes each
    folders: dict[str, Path]  # of audit.json, recovery.json, explanation.json, with their figures

    @property
    def quoter(self) -> Quoter:
        """Quotes the documents."""
        return Quoter(self.subject, self.documents)


def read_evidence(path: Path, data: Path | None = None, extras: Sequence[Path] = ()) -> Evidence:
    """Read the documents of a run folder, or of a folder of ``seismag crossval``.

    Args:
        path: the folder.
        data: its store; None: the one that its configuration names.
        extras: further folders with audit.json, recovery.json or explanation.json of this subject.

    Raises:
        UsageError: neither a run nor a cross-validation.
        DataError: unfinished, without predictions or metrics, or its store is not the one that was predicted; or a
            record was changed, or differs from what the predictions give when they are evaluated again.
    """
    path = Path(path)
    crossval = final_results(path)
    require_files(path, ["metrics.json"], crossval is not None)
    subject = escape(path.resolve().name)  # a part of each source, without blanks
    table = path / "predictions.parquet"
    predictions, metrics = read_predictions(table), read_metrics(path / "metrics.json", _AGAIN)
    runs = runs_behind(path, None if crossval is None else metrics["run_ids"])
    store = _require_recordings(store_of(runs[0], metrics["dataset_id"], data))
    split = split_again(store, runs[0].config())
    if len(metrics["run_ids"]) != len(runs):
        raise DataError(f"{path / 'metrics.json'}: is of {', '.join(metrics['run_ids'])}, not of this run. {_AGAIN}")
    models = {run_id: run.best_model for run_id, run in zip(metrics["run_ids"], runs, strict=True)}
    require_same_sources(path / "metrics.json", metrics, table, store, models)
    require_equal(f"{path / 'metrics.json'}", metrics, evaluate_again(metrics, predictions, store, split))
    documents: dict[str, Any] = {
        "metrics.json": metrics,
        "runs.json": {"runs": [_run_document(run) for run in runs]},
        "data.json": data_document(store),
    }
    folds: Mapping[str, Mapping[str, Any]] = {}
    if crossval is not None:
        documents["crossval.json"] = crossval
        folds = require_same_crossval(path, crossval, metrics, runs, store, split)
    for run_id, run in zip(models, runs, strict=True):  # a folder may have another name than its run
        require_same_card(run, folds.get(run_id, metrics))
        require_own_records(run, run_id)
        require_same_configuration(run, store, run_id)
    documents["mcc.json"] = mcc_document(metrics, folds)
    split_report = _split_report(path, runs[0])
    if split_report is not None:
        documents["split_report.json"] = split_report
    for folder in extras:
        if not any((folder / f"{name}.json").is_file() for name in EXTRAS):
            raise UsageError(f"--with {folder}: contains none of {', '.join(f'{name}.json' for name in EXTRAS)}.")
    others, folders = _extras([*(path / name for name in EXTRAS), *extras], models, metrics["dataset_id"])
    if "audit.json" in others:
        file = folders["audit.json"] / "audit.json"
        require_same_sources(file, others["audit.json"], table, store, models)
        require_same_audit(file, others["audit.json"], predictions, store, split)
    documents |= others
    missing = {name: way.format(path=path, store=store.path) for name, way in _REMEDY.items() if name not in documents}
    kind = "run" if crossval is None else "crossval"
    return Evidence(subject, kind, path, documents, runs, store, missing, folders)


def _require_recordings(store: Store) -> Store:
    if is_image(store.attributes["preprocessing"]):
        raise UsageError(
            f"{store.path}: contains pictures of an earlier system, without physical axes and label rules. "
            "Report a run on a store that was prepared from recordings."
        )
    return store


def data_document(store: Store) -> dict[str, object]:
    """Count windows, classes, clusters and stations of a store; the content of data.json."""
    samples, attributes = store.samples, store.attributes
    is_event = samples["magnitude_class"] != "Normal"
    events = samples[is_event]
    try:
        rejected: pd.DataFrame | None = read_table(store.path, REJECTED_FILE)
    except DataError:
        rejected = None  # an imported store has none
    windows, groups = {}, {}
    for task, names in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES)):
        by_class = {name: samples[samples[f"{task}_class"] == name] for name in names}
        windows[f"{task}_windows"] = {name: len(rows) for name, rows in by_class.items()}
        groups[f"{task}_groups"] = {name: int(rows["split_group"].nunique()) for name, rows in by_class.items()}
    return {
        "dataset_id": attributes["dataset_id"],
        "origin": sorted(set(samples["origin"].astype(str))),
        "config": attributes.get("config"),
        "inputs": attributes.get("inputs"),
        "windows": len(samples),
        "stations": sorted(samples["station"].astype(str).unique()),
        "first_start_utc": f"{samples['start_utc'].min():%Y-%m-%d}",
        "last_start_utc": f"{samples['start_utc'].max():%Y-%m-%d}",
        "events": int(events["event_id"].nunique()),
        "event_groups": int(events["split_group"].nunique()),
        "normal_groups": int(samples.loc[~is_event, "split_group"].nunique()),
        "mainshock_windows": int(events["is_mainshock"].sum()) if "is_mainshock" in events else None,
        "magnitude_edges": list(MAGNITUDE_EDGES),
        **windows,
        **groups,
        "by_station": {
            str(station): {"windows": len(rows), "events": int(is_event[rows.index].sum())}
            for station, rows in samples.groupby("station")
        },
        "grid": {
            "frequencies": len(store.frequency_hz), "times": len(store.time_s),
            "lowest_mhz": 1000 * float(store.frequency_hz[0]), "highest_mhz": 1000 * float(store.frequency_hz[-1]),
        },
        "rejected": None if rejected is None else len(rejected),
        "rejected_by_reason": None if rejected is None else rejected["reason"].value_counts().to_dict(),
    }  # fmt: skip


def mcc_document(metrics: Mapping[str, Any], folds: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    """Collect the Matthews correlation and its confusion matrices, also by fold; the content of MCC_ANALYSIS.json.

    Source: Gorodkin (2004), doi:10.1016/j.compbiolchem.2004.09.006, for more than two classes.
    """
    return {
        "computed_from": "confusion matrices of metrics.json (rows true, columns predicted), intervals by group",
        "run_ids": metrics["run_ids"],
        "role": metrics["role"],
        "events": metrics["events"],
        "confidence": metrics["confidence"],
        **_mcc_of_tasks(metrics),
        "folds": {run_id: _mcc_of_tasks(fold) for run_id, fold in folds.items()},
    }


def _mcc_of_tasks(metrics: Mapping[str, Any]) -> dict[str, object]:
    return {task: {key: metrics[task][key] for key in ("classes", "confusion", "mcc")} for task in TASK_CLASSES}


def _run_document(run: Run) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "provenance": present_provenance(run),
        "config": run.config().model_dump(mode="json"),
        "card": {key: entry for key, entry in read_card(run.best_model).document.items() if key != "reference"},
        "history": history_document(run.path / "history.csv"),
    }


def history_document(path: Path) -> dict[str, object]:
    """Summarise the history of a training run: epochs, and the one whose weights were selected.

    Raises:
        DataError: the file is missing, or has no epoch.
    """
    history = read_history(path)
    best = int(history["val_loss"].idxmin())
    rows = [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in history.to_dict("records")]
    return {
        "epochs": len(rows),
        "best": rows[best],
        "last": rows[-1],
        "seconds": float(history["seconds"].sum()) if "seconds" in history else None,
    }


def _split_report(path: Path, run: Run) -> dict[str, Any] | None:
    """The split report with the checksum of the run, if found beside the runs or in the current folder."""
    wanted = run.provenance().get("split_certificate_sha256")
    name = f"{run.config().split.name}.json"
    roots = (run.path.parent.parent, path.resolve().parent, Path.cwd())
    files = [root / "splits" / name for root in roots]
    found = next((file for file in files if file.is_file() and file_sha256(file) == wanted), None)
    return None if found is None else read_document(found, dict[str, Any], "Make the split again.")


def _extras(
    folders: Sequence[Path], models: Mapping[str, Path], dataset_id: str
) -> tuple[dict[str, Any], dict[str, Path]]:
    found, origins = {}, {}
    for folder in folders:
        for name in EXTRAS:
            file = folder / f"{name}.json"
            if file.is_file():
                found[file.name] = read_document(file, _SCHEMAS[name], _AGAIN, signed=True)
                _require_of_runs(file, found[file.name], set(models))
                _require_same_parts(file, found[file.name], models, dataset_id)
                origins[file.name] = folder
    return found, origins


def _require_of_runs(file: Path, document: Mapping[str, Any], run_ids: set[str]) -> None:
    subject = document.get("subject")
    stated = (subject.get("run_ids") if isinstance(subject, Mapping) else None) or [
        *(document[key] for key in ("run_id", "model_run_id") if isinstance(document.get(key), str)),
        *(model["run_id"] for model in document.get("models", [])),
    ]
    if not stated:
        raise DataError(f"{file}: does not name its run. Make it again from the predictions or model of this run.")
    if strange := sorted(set(stated) - run_ids):
        ours = ", ".join(sorted(run_ids))
        raise DataError(f"{file}: is of {strange[0]}, not of {ours}. Name the folder of this run.")


def _require_same_parts(file: Path, document: Mapping[str, Any], models: Mapping[str, Path], dataset_id: str) -> None:
    """Refuse a study of another data set, or of other weights under the name of a run, where it names them."""
    stated = document.get("dataset_id")
    if isinstance(stated, str) and stated != dataset_id:
        raise DataError(
            f"{file}: is of data set {stated}, the predictions of this report are of {dataset_id}. Make it again with "
            "--data STORE of this run."
        )
    checksums = {model["run_id"]: model.get("sha256") for model in document.get("models", [])}
    checksums |= {str(document.get("model_run_id")): document.get("model_sha256")}
    for run_id, path in models.items():
        if (stated := checksums.get(run_id)) is not None and stated != (found := file_sha256(path)):
            raise DataError(
                f"{file}: is of a model {run_id} with the checksum {str(stated)[:12]}; that of {path} is {found[:12]}. "
                "Make it again with this model."
            )
