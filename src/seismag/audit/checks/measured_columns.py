"""The measured columns of a third-party table, to what step their numbers are given, and the times of its rows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from scipy import stats

from seismag.arrays import FloatArray
from seismag.audit.columns import is_numeric, kind_of, to_numbers, to_times

MIN_KNOWN = 0.5  # fraction of rows with a number
MIN_DIFFERENT = 0.1  # fraction of different numbers in a measured column
_FOLLOWS = 0.99  # rank correlation of a column that is a time or an index
_INDEX_WORDS = {
    "unnamed", "index", "idx", "row", "number", "nr", "no", "seq", "sequence", "serial", "counter", "id",
    "time", "unix", "epoch", "timestamp", "date", "datetime", "day", "doy", "year", "month", "utc", "jd", "mjd",
}  # fmt: skip
_ROUNDED = 0.95  # fraction of the numbers that are multiples of the step
_SIGNIFICANT_DIGITS = 6


def measured_columns(frame: pd.DataFrame) -> dict[str, FloatArray]:
    """Numbers (n,) of the columns that are measured anew for each row, NaN where missing.

    Left out are times, indices and identifiers, and columns of few different numbers.
    """
    time_h, order = row_times_h(frame), np.arange(len(frame), dtype=float)
    measured = {}
    for column in frame.columns:
        kind = kind_of(column, frame[column])
        if kind not in ("field", "other") or not is_numeric(frame[column]):
            continue
        numbers = to_numbers(frame[column])
        known = np.isfinite(numbers)
        is_index = kind == "other" and bool(_INDEX_WORDS & set(re.split(r"[^a-z]+", column.lower())))
        is_index |= _is_numbering(numbers[known]) or _follows(numbers, order) or _follows(numbers, time_h)
        is_varied = known.mean() > MIN_KNOWN and len(np.unique(numbers[known])) > MIN_DIFFERENT * known.sum()
        if is_varied and not is_index:
            measured[column] = numbers
    return measured


def row_times_h(frame: pd.DataFrame) -> FloatArray:
    """Hours (n,) since 1970 by date and hour; NaN where unknown."""
    kinds = {kind_of(column, frame[column]): column for column in reversed(frame.columns)}
    if "era" not in kinds:
        return np.full(len(frame), np.nan)
    times = to_times(frame[kinds["era"]])
    time_h = times.astype("int64").to_numpy() / 3600
    if "hour" in kinds and not times.dt.hour.gt(0).any():
        time_h = time_h + np.nan_to_num(to_numbers(frame[kinds["hour"]]))
    return np.where(times.notna(), time_h, np.nan)


def rounding_steps(values: FloatArray) -> FloatArray:
    """Step (n, p) to which each number of (n, p) is rounded: in its decimals or in its significant digits."""
    steps = np.zeros(values.shape)
    for j, numbers in enumerate(values.T):
        known = numbers[np.isfinite(numbers) & (numbers != 0)]
        if not known.size:
            continue
        power = 10.0 ** np.floor(np.log10(np.abs(numbers, where=numbers != 0, out=np.ones_like(numbers))))
        known_power = 10.0 ** np.floor(np.log10(np.abs(known)))
        largest = int(np.log10(known_power.max()))
        decimal = [m * 10.0**e for e in range(largest, largest - 10, -1) for m in (5, 2.5, 2, 1)]
        steps[:, j] = next((step for step in decimal if _are_multiples(known, step)), 0.0)
        for digits in range(1, _SIGNIFICANT_DIGITS + 1):
            if _are_multiples(known / known_power * 10.0 ** (digits - 1), 1):
                steps[:, j] = np.maximum(steps[:, j], power * 10.0 ** (1 - digits))
                break
    return steps


def _are_multiples(numbers: FloatArray, step: float) -> bool:
    ratio = numbers / step
    return bool((np.abs(ratio - np.round(ratio)) <= 1e-9 * np.maximum(1, np.abs(ratio))).mean() >= _ROUNDED)


def station_days(frame: pd.DataFrame) -> pd.Series:
    """Station and day (n,) as one text, None without a date."""
    kinds = {kind_of(column, frame[column]): column for column in reversed(frame.columns)}
    if "era" not in kinds:
        return pd.Series([None] * len(frame), dtype=object)
    day = to_times(frame[kinds["era"]]).dt.strftime("%Y-%m-%d")
    return frame[kinds["station"]].fillna("") + "|" + day if "station" in kinds else day


def _is_numbering(known: FloatArray) -> bool:
    """Whether numbers are different whole numbers of a narrow range."""
    is_whole = len(known) > 0 and bool((known == np.round(known)).all())
    return is_whole and bool(len(np.unique(known)) > 0.9 * len(known) and np.ptp(known) <= 2 * len(known))


def _follows(numbers: FloatArray, other: FloatArray) -> bool:
    both = np.isfinite(numbers) & np.isfinite(other)
    if both.sum() < 10 or np.ptp(numbers[both]) == 0 or np.ptp(other[both]) == 0:
        return False
    return bool(abs(stats.spearmanr(numbers[both], other[both]).statistic) > _FOLLOWS)
