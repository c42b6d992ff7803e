"""Rows of a third-party table that are copies: by marks, by names, and by their measured numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from seismag.arrays import IndexArray
from seismag.audit.checks.labels import count_check
from seismag.audit.checks.measured_columns import measured_columns, rounding_steps, row_times_h, station_days
from seismag.audit.checks.near_copies import Mask, Rows, copies_of_one_window, find_changed_copies
from seismag.audit.columns import kind_of, to_times
from seismag.estimate import CheckResult

MIN_EQUAL_COLUMNS = 3
LEAST_DIFFERENCE = 0.01  # of the spread of a column, between two recordings of one field
MAX_EQUAL_ROWS = 0.05  # expected by rounding
DAILY, DAILY_ROWS = 0.9, 0.25  # of a table of daily values: of its days with several rows, and of its rows in these


def check_copies(frame: pd.DataFrame) -> CheckResult:
    """``copies``: rows that are marked as augmented, share a file, or repeat the measured numbers of another row."""
    marked, same_name = _by_marks_and_names(frame)
    columns = measured_columns(frame)
    values = np.column_stack(list(columns.values())) if columns else np.empty((len(frame), 0))
    rows = Rows(values, rounding_steps(values), row_times_h(frame))
    key = _window_columns(frame)
    window = _window_numbers(frame, key)
    changed = find_changed_copies(rows, np.random.default_rng(0))
    for name, more in copies_of_one_window(values, window).items():
        changed[name] = changed.get(name, np.zeros(len(frame), dtype=bool)) | more
    same_numbers = _same_numbers(rows, station_days(frame), changed.get("jitter"))
    parts = {
        f"of {len(frame)} rows are augmented copies by their own columns or names": marked,
        "rows share a file name with another": same_name,
        f"rows equal another in all {values.shape[1]} measured numbers": same_numbers,
    }
    known = same_numbers.copy()
    for name, found in changed.items():
        parts[f"rows equal another but for {name}"] = found & ~known
        known |= found
    said = [f"{int(found.sum())} {text}" for text, found in parts.items() if found.any()]
    sentence = f"Copies: {'; '.join(said)}."
    if not said:
        sentence = f"No row is a copy of another by marks, names or the numbers of {values.shape[1]} measured columns."
    same_window = window >= 0
    if same_window.any():
        sentence += f" {int(same_window.sum())} rows share ({', '.join(key)}) with another."
    details = {
        "measured_columns": values.shape[1], "augmented": int(marked.sum()), "same_file_name": int(same_name.sum()),
        "same_numbers": int(same_numbers.sum()), "changed_numbers": int((known & ~same_numbers).sum()),
        "same_window": int(same_window.sum()),
    }  # fmt: skip
    return count_check("copies", sentence, int((marked | same_name | known).sum()), "rows that are copies", details)


def _by_marks_and_names(frame: pd.DataFrame) -> tuple[Mask, Mask]:
    """Rows (n,) that are marked as augmented, and rows that share a file name."""
    marked, same_name = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
    for column in frame.columns:
        kind, text = kind_of(column, frame[column]), frame[column].fillna("").str.lower()
        if "augment" in column.lower():
            marked |= ~text.isin(["", "original", "false", "0", "0.0", "no"]).to_numpy()
        elif kind in ("source", "name"):
            marked |= text.str.contains(r"(?:^|[^a-z])aug(?:mented|mentation|\d+)(?:$|[^a-z])", regex=True).to_numpy()
        if kind == "name" and re.search("file|path|url", column.lower()):
            same_name |= (frame[column].notna() & frame[column].duplicated(keep=False)).to_numpy()
    return marked, same_name


def _same_numbers(rows: Rows, day: pd.Series, too_close: Mask | None) -> Mask:
    """Rows that equal another in all measured columns and are too close (n,) to it by chance, or by rounding alone.

    For the latter three columns are needed; two recordings of one field are taken to differ by 1 % of the spread of
    each column at least, also at one time. Rows of one station and day (n,) are no copies in a table of daily values.
    """
    n, p = rows.values.shape
    if p < 2:
        return np.zeros(n, dtype=bool)
    table = pd.DataFrame(rows.values)
    equal = (table.notna().all(axis=1) & table.duplicated(keep=False)).to_numpy()
    numbers = table.groupby(list(table), dropna=False).ngroup()
    if _are_daily(numbers, day):
        equal = equal & (day.groupby(numbers).transform("nunique") > 1).to_numpy()
    spread = (table.quantile(0.75) - table.quantile(0.25)).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rounding = np.nan_to_num(rows.steps / (LEAST_DIFFERENCE * spread), nan=1.0).clip(max=1)
    is_rare = (p >= MIN_EQUAL_COLUMNS) & (n * by_rounding.prod(axis=1) <= MAX_EQUAL_ROWS)
    return np.asarray(equal & (is_rare if too_close is None else is_rare | too_close))


def _are_daily(numbers: pd.Series, day: pd.Series) -> bool:
    """Whether many rows (n,) share their day with others, and nearly all of these days have one set of numbers."""
    days = numbers.groupby(day).agg(["nunique", "count"])
    several = days[days["count"] > 1]
    is_usual = several["count"].sum() > DAILY_ROWS * len(numbers)
    return bool(is_usual and (several["nunique"] == 1).mean() > DAILY)


def _window_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that name station and time of a row; empty where there are none with a time of day."""
    kinds = {kind_of(column, frame[column]): column for column in reversed(frame.columns)}
    has_clock = "hour" in kinds or ("era" in kinds and to_times(frame[kinds["era"]]).dt.hour.gt(0).any())
    if "station" not in kinds or "era" not in kinds or not has_clock:
        return []
    return [kinds[kind] for kind in ("station", "era", "hour") if kind in kinds]


def _window_numbers(frame: pd.DataFrame, key: list[str]) -> IndexArray:
    """Number of the window (n,) that the columns of the key name; -1 where no other row has it or a part is missing."""
    if not key:
        return np.full(len(frame), -1, dtype=np.intp)
    shared = frame[key].notna().all(axis=1) & frame.duplicated(key, keep=False)
    return np.where(shared, frame.groupby(key, sort=False).ngroup(), -1).astype(np.intp)
