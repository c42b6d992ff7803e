"""Predictions and judgements in the form that users and other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seismag.archive.stations import read_stations
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, UsageError
from seismag.files import atomic_path, write_json_atomic
from seismag.models.predict_files import predict_recording, predictions_table, unusable_entries
from seismag.parallel import Progress, silent
from seismag.splits.holdout import REMEDY, on_locked_days
from seismag.training.checkpoint import LoadedModel, load_checkpoint
from seismag.training.inference import predict_store
from seismag.training.trailing import no_past_reason
from seismag.windows.store import open_store


def predict_inputs(
    model: Path, inputs: list[Path], stations: Path | None, progress: Progress = silent
) -> dict[str, Any]:
    """Predict recordings and stores with one model; an input named twice is predicted once.

    An input that cannot be read ends nothing: its entries are not usable and say why (``unusable_entries``).

    Args:
        model: a checkpoint.
        inputs: recordings and stores.
        stations: station file.
        progress: called with stage, done, total.

    Returns:
        ``{"model": ..., "predictions": [...]}``; see ``predict_recording`` for an entry.

    Raises:
        SeismagError: the model cannot be loaded, or does not fit a store.
    """
    loaded = load_checkpoint(model)
    positions = read_stations(stations)
    paths = list({path.resolve(): path for path in inputs}.values())
    files = sum(not path.is_dir() for path in paths)
    entries: list[dict[str, Any]] = []
    unreadable: list[dict[str, str]] = []
    done = 0
    for path in paths:
        try:
            if path.is_dir():
                entries += _predict_samples(loaded, path, progress)
            else:
                done += 1
                entries += predict_recording(loaded, path, positions)
        except DataError as error:
            unreadable.append({"file": str(path), "reason": str(error)})
            entries += unusable_entries(loaded, path, positions, str(error))
        if not path.is_dir():
            progress("files", done, files)
    facts = {key: loaded.card.get(key) for key in ("run_id", "backbone", "dataset_id", "data_origin", "sha256")}
    return {
        "model": str(model), "card": facts, "inputs": len(paths), "unreadable": unreadable, "predictions": entries
    }  # fmt: skip


def require_readable(result: dict[str, Any]) -> None:
    """Refuse a result of which no input could be read; a day that was read and found unusable is a result.

    Raises:
        DataError: it names the first reason.
    """
    unreadable = result["unreadable"]
    if len(unreadable) == result["inputs"]:
        more = f" ({len(unreadable) - 1} more reasons in the predictions)" if len(unreadable) > 1 else ""
        raise DataError(f"nothing could be read: {unreadable[0]['reason']}{more}")


def _predict_samples(loaded: LoadedModel, path: Path, progress: Progress) -> list[dict[str, Any]]:
    store = open_store(path)
    sealed = on_locked_days(loaded.card, store.samples)
    closed = set(store.samples.loc[sealed, "sample_id"])
    table = predict_store(loaded, store, np.flatnonzero(~sealed), progress=progress)
    predicted = {row["sample_id"]: row for row in table.to_dict("records")}
    entries = []
    for sample in store.samples.reindex(columns=["sample_id", "station", "start_utc", "end_utc", "origin"]).to_dict(
        "records"
    ):
        row = predicted.get(sample["sample_id"])
        times = {key: f"{sample[key]:%Y-%m-%dT%H:%M:%SZ}" for key in ("start_utc", "end_utc")}
        if row is None:
            is_locked = sample["sample_id"] in closed
            reason = f"sealed: {REMEDY}" if is_locked else no_past_reason(loaded.card["normalisation"])
            outcome: dict[str, Any] = {"p_magnitude": None, "p_azimuth": None, "usable": False, "reason": reason}
        else:
            outcome = {
                "p_magnitude": {name: row[f"p_magnitude_{name}"] for name in MAGNITUDE_CLASSES},
                "p_azimuth": {name: row[f"p_azimuth_{name}"] for name in AZIMUTH_CLASSES},
                "usable": True,
                "reason": None,
            }
        origin = sample["origin"] if isinstance(sample["origin"], str) else None
        entries.append({"station": sample["station"], **times, **outcome, "origin": origin})
    return entries


def require_ending(out: Path) -> None:
    """Check, before anything is computed, that ``write_predictions`` knows the ending of a file.

    Raises:
        UsageError: another ending.
    """
    if out.suffix not in (".csv", ".parquet", ".json"):
        raise UsageError(f"--out {out}: end it in .csv, .parquet or .json.")


def write_predictions(result: dict[str, Any], out: Path) -> None:
    """Write predictions as .csv, .parquet or .json, whole or not at all.

    Raises:
        UsageError: another ending.
    """
    require_ending(out)
    if out.suffix == ".json":
        write_json_atomic(out, result)
        return
    table = predictions_table(result["predictions"], result["card"]["run_id"])
    with atomic_path(out) as temporary:
        if out.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)


def describe_predictions(result: dict[str, Any]) -> str:
    """Write predictions as lines: the window, and the likeliest class of each task with its probability."""
    origin = result["card"]["data_origin"]
    lines = [f"model       {result['model']} ({result['card']['run_id']})"]
    if origin and "simulated" in origin:
        lines.append("            trained on SIMULATED data: on real files its numbers mean nothing")
    origins = [entry["origin"] for entry in result["predictions"]]
    if "simulated" in origins:
        count = f"{origins.count('simulated')} of {len(origins)} windows"
        lines.append(f"inputs      {count} are SIMULATED, or were changed on purpose")
    for entry in result["predictions"]:
        window = f"{entry['station'] or '?':<4} {f'{start[:16]}Z' if (start := entry['start_utc']) else '?':<17}"
        if entry["usable"]:
            best = [max(entry[task].items(), key=lambda item: item[1]) for task in ("p_magnitude", "p_azimuth")]
            lines.append(
                f"{window}  magnitude {best[0][0]:<8} {best[0][1]:.2f}   azimuth {best[1][0]:<6} {best[1][1]:.2f}"
            )
        else:
            lines.append(f"{window}  not usable: {entry['reason']}")
    lines.append("Probabilities are of the model's training, where classes were weighted; they are not alarm rates.")
    return "\n".join(lines)
