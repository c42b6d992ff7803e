"""Alarm evaluation of a table of predictions, from files to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seismag.alarms.compute import alarm_summary
from seismag.alarms.figure import draw_molchan
from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.files import write_json_atomic
from seismag.scoring.predictions import read_predictions
from seismag.windows.store import open_store


def evaluate_alarms(predictions: Path, store: Path | None, config: EvaluateConfig, out: Path | None) -> dict[str, Any]:
    """Evaluate a table as alarms, and write alarms.json and molchan.png into ``out``; returns the JSON document.

    Args:
        predictions: a PREDICTIONS table.
        store: the store that was predicted; None: the reference of past earthquakes is absent.
        config: section ``evaluate``.
        out: folder, made when absent; None: nothing is written.

    Raises:
        DataError: the table cannot be read, is of another store, or allows no evaluation; or ``out`` cannot be made.
    """
    table = read_predictions(predictions)
    samples = None if store is None else open_store(store).samples
    summary = alarm_summary(table, samples, config)
    if summary.undefined is not None:
        raise DataError(f"{predictions}: {summary.undefined}")
    document = summary.to_json()
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{out}: cannot be made ({error.strerror}). Choose another --out.") from error
        write_json_atomic(out / "alarms.json", document)
        draw_molchan(document, out / "molchan.png")
    return document
