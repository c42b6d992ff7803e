"""Rows of a third-party table that are copies: by marks, by names, and by their measured numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray
from seismag.audit.checks.labels import count_check
from seismag.audit.checks.near_copies import copies_of_one_window, find_near_copies
from seismag.audit.columns import is_numeric, kind_of, to_numbers, to_times
from seismag.estimate import CheckResult


def check_copies(frame: pd.DataFrame) -> CheckResult:
    """``copies``: rows that are marked as augmented, share a file, or repeat the measured numbers of another row."""
    marked, same_name = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
    for column in frame.columns:
        kind, text = kind_of(column, frame[column]), frame[column].fillna("").str.lower()
        if "augment" in column.lower():
            marked |= ~text.isin(["", "original", "false", "0", "0.0", "no"]).to_numpy()
        elif kind in ("source", "name"):
            marked |= text.str.contains(r"(?:^|[^a-z])aug(?:mented|mentation|\d+)(?:$|[^a-z])", regex=True).to_numpy()
        if kind == "name" and re.search("file|path|url", column.lower()):
            same_name |= (frame[column].notna() & frame[column].duplicated(keep=False)).to_numpy()
    measured = _measured_numbers(frame)
    same_numbers = _same_numbers(measured)
    jittered, scaled = find_near_copies(np.where(same_numbers[:, None], np.nan, measured), np.random.default_rng(0))
    same_window, window = _same_window(frame)
    beside, beside_scaled = copies_of_one_window(measured, same_window, frame[window])
    jittered, scaled = jittered | (beside & ~same_numbers), scaled | (beside_scaled & ~same_numbers)
    found = marked | same_name | same_numbers | jittered | scaled
    parts = [
        (marked, f"of {len(frame)} rows are augmented copies by their own columns or names"),
        (same_name, "rows share a file name with another"),
        (same_numbers, f"rows equal another in all {measured.shape[1]} measured numbers"),
        (jittered, "rows nearly equal another in all measured numbers"),
        (scaled, "rows are another one times a factor"),
    ]
    said = [f"{int(rows.sum())} {text}" for rows, text in parts if rows.any()]
    sentence = f"Copies: {'; '.join(said)}." if said else "No row is a copy of another by marks, names or numbers."
    if same_window.any():
        sentence += f" {int(same_window.sum())} rows share ({', '.join(window)}) with another."
    details = {
        "augmented": int(marked.sum()), "same_file_name": int(same_name.sum()),
        "same_numbers": int(same_numbers.sum()), "nearly_same_numbers": int(jittered.sum()),
        "same_but_for_a_factor": int(scaled.sum()), "same_window": int(same_window.sum()),
    }  # fmt: skip
    return count_check("copies", sentence, int(found.sum()), "rows that are copies", details)


def _measured_numbers(frame: pd.DataFrame) -> FloatArray:
    """Measured columns (n, p) whose numbers hardly repeat by chance; NaN where missing."""
    measured = []
    for column in frame.columns:
        if kind_of(column, frame[column]) in ("field", "other") and is_numeric(frame[column]):
            numbers = to_numbers(frame[column])
            known = numbers[np.isfinite(numbers)]
            if len(known) and len(np.unique(known)) > 0.2 * len(known):
                measured.append(numbers)
    return np.column_stack(measured) if measured else np.empty((len(frame), 0))


def _same_numbers(measured: FloatArray) -> NDArray[np.bool_]:
    """Rows that equal another in all of three or more measured columns."""
    if measured.shape[1] < 3:
        return np.zeros(len(measured), dtype=bool)
    values = pd.DataFrame(measured)
    return (values.notna().all(axis=1) & values.duplicated(keep=False)).to_numpy()


def _same_window(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], list[str]]:
    """Rows that share station and time with another, and the columns compared."""
    kinds = {kind_of(column, frame[column]): column for column in reversed(frame.columns)}
    key = [kinds[kind] for kind in ("station", "era", "hour") if kind in kinds]
    has_clock = "hour" in kinds or ("era" in kinds and to_times(frame[kinds["era"]]).dt.hour.gt(0).any())
    if "station" not in kinds or "era" not in kinds or not has_clock:
        return np.zeros(len(frame), dtype=bool), key
    return (frame[key].notna().all(axis=1) & frame.duplicated(key, keep=False)).to_numpy(), key
