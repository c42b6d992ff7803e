"""Kp and Dst on their regular grids, from their published formats.

Recognised by content: Kp as one value a row (``Date_Time_UTC, Kp_Index`` or ``time_utc, kp``), one day a row
(``Date, K_00 .. K_21``), CelesTrak's SW-All.csv or the texts of GFZ; Dst as WDC format, IAGA-2002, or
``time_utc, dst_nt``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from seismag.archive.cells import Column
from seismag.archive.coverage import short_time
from seismag.archive.gfz_kp import is_gfz, read_gfz
from seismag.archive.tables import TextTable, decode_text, read_payload, split_text
from seismag.arrays import FloatArray, IntArray, TimeArray
from seismag.domain import DataError

Name = Literal["kp", "dst"]
IndexRows = tuple[TimeArray, FloatArray, IntArray, list[str]]  # times, values, line of each; sentences for the user

STEP_H: dict[str, int] = {"kp": 3, "dst": 1}
_TITLES = {"kp": "the planetary index Kp", "dst": "the ring-current index Dst"}
_LIMITS = {"kp": (0.0, 9.0), "dst": (-2000.0, 500.0)}
_FILLS = {"kp": (-1.0, 99.0, 99.9, 999.0, 9999.0, 99999.0), "dst": (9999.0, 9999.9, 99999.0, 99999.9, 99999.99)}
_TIME_COLUMNS = ("time_utc", "date_time_utc", "datetime_utc")
_KP_COLUMNS = ("kp", "kp_index")
_DST_COLUMNS = ("dst_nt", "dst")
_WDC_VERSIONS = {"0": "quick-look", "1": "provisional", "2": "final"}
_FLUX_FLAGS_WITH_OBSERVED_KP = ("OBS", "INT")  # INT: only the solar flux F10.7 of the day is interpolated
_HOUR = np.timedelta64(1, "h")
_YEARS = (1900, 2100)
_FAR = np.timedelta64(366, "D")
_THIRD_TOLERANCE = 0.05  # files write thirds as 0.333, 0.33 or 0.3


@dataclass(frozen=True)
class SpaceWeatherIndex:
    """An index of geomagnetic activity on its regular grid.

    Attributes:
        name: "kp" (3-hourly, 0..9 in thirds) or "dst" (hourly, nT).
        values: (n,) float64; value i is that of ``[start_utc + i step, start_utc + (i + 1) step)``; NaN: missing.
    """

    name: str
    start_utc: np.datetime64
    step_h: int
    values: FloatArray
    sha256: str
    warnings: list[str] = field(default_factory=list)

    def maximum(self, starts: ArrayLike, ends: ArrayLike) -> FloatArray:
        """Return the largest value of the intervals that overlap ``[start, end)``; NaN if one of them is missing."""
        return self._extreme(starts, ends, np.maximum)

    def minimum(self, starts: ArrayLike, ends: ArrayLike) -> FloatArray:
        """Return the smallest value of the intervals that overlap ``[start, end)``; NaN if one of them is missing."""
        return self._extreme(starts, ends, np.minimum)

    def _extreme(self, starts: ArrayLike, ends: ArrayLike, choose: np.ufunc) -> FloatArray:
        step = self.step_h * _HOUR
        begins = np.atleast_1d(np.asarray(starts, dtype="datetime64[ms]")) - self.start_utc
        finishes = np.atleast_1d(np.asarray(ends, dtype="datetime64[ms]")) - self.start_utc
        if not np.all(begins < finishes):
            raise ValueError("a window ends before it starts, or has no time")
        first, last = begins // step, -(-finishes // step)
        result = np.full(first.shape, np.nan)
        for place in np.flatnonzero((first >= 0) & (last <= self.values.size)):
            result[place] = choose.reduce(self.values[first[place] : last[place]])
        return result


def read_index(path: str | Path, name: Name) -> SpaceWeatherIndex:
    """Read Kp or Dst from one file, plain or gzip.

    Fill values (-1 for Kp, 9999 and the like) become NaN; values repeated for one time are kept once;
    predicted values of CelesTrak are left out. Kp is rounded to exact thirds.

    Raises:
        DataError: missing or empty file, another index or format, times without a zone, off the grid or
            with contradicting values, values outside 0..9 (Kp) or -2000..500 nT (Dst), no value at all.
    """
    path = Path(path)
    payload, sha256 = read_payload(path)
    found, (times, values, lines, notes) = _read_any(decode_text(payload, path), path)
    if found != name:
        raise DataError(f"{path}: this is {_TITLES[found]}, not {_TITLES[name]}. Name the right file for each.")
    values = np.where(np.isin(values, _FILLS[name]), np.nan, values)
    low, high = _LIMITS[name]
    wrong = np.flatnonzero((values < low) | (values > high))
    if wrong.size:
        raise DataError(
            f"{path}: {name} is {values[wrong[0]]:g} at {short_time(times[wrong[0]])}, outside {low:g}..{high:g} "
            f"({wrong.size} values). Correct them, or leave them empty."
        )
    if np.isnan(values).all():
        raise DataError(f"{path}: contains no value of {name}. Copy it again from its source.", "empty_file")
    if name == "kp":
        thirds = np.round(values * 3.0) / 3.0
        far = np.abs(values - thirds) > _THIRD_TOLERANCE  # a missing value is not
        values = np.where(far, values, thirds)
        if far.any():
            notes.append(f"{far.sum()} Kp values are not thirds of a unit: predicted, averaged or simulated?")
    _require_years(times, lines, STEP_H[name], path)
    start, grid = _to_grid(times, values, name, path)
    return SpaceWeatherIndex(name, start, STEP_H[name], grid, sha256, notes)


def _read_any(text: str, path: Path) -> tuple[Name, IndexRows]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    if re.search(r"K-index values|K9-limit", text[:1000]):
        raise DataError(
            f"{path}: a table of local K of one observatory. Local K is not the planetary Kp; get Kp from GFZ."
        )
    if re.match(r"\d{4};\d{2};\d{2};\d{4}\.\d+;", first):
        raise DataError(
            f"{path}: daily sunspot numbers (SIDC-SILSO), not Kp or Dst. Get Kp from GFZ, Dst from WDC Kyoto."
        )
    if re.match(r"DST\d{4}\*", first):
        return "dst", _read_wdc(text, path)
    if re.match(r"\s*Format\s+IAGA-?2002", first, re.IGNORECASE) or re.match(r"DATE\s+TIME\s+DOY\s", first):
        return "dst", _read_iaga2002(text, path)
    if is_gfz(text):
        return "kp", (*read_gfz(text, path), [])
    table = split_text(text, path)
    if table.find("kp1") is not None:
        return "kp", _read_days(table, [f"kp{i}" for i in range(1, 9)], 0.1, path)
    if table.find("k_00") is not None:
        return "kp", _read_days(table, [f"k_{hour:02d}" for hour in range(0, 24, 3)], 1.0, path)
    time = table.find(*_TIME_COLUMNS)
    kp, dst = table.find(*_KP_COLUMNS), table.find(*_DST_COLUMNS)
    if time is not None and kp is not None and dst is None:
        return "kp", _read_series(table, time, kp, "kp", path)
    if time is not None and dst is not None and kp is None:
        return "dst", _read_series(table, time, dst, "number", path)
    raise DataError(
        f"{path}: neither Kp nor Dst. It begins with {first[:60]!r}; needed: columns time_utc and kp, or time_utc "
        f"and dst_nt, or a file of GFZ, CelesTrak (SW-All.csv) or WDC Kyoto."
    )


def _cell_columns(table: TextTable, places: list[int], path: Path) -> list[list[str]]:
    """Return the cells of some columns; a row that is too short means a truncated file, one too long a stray comma."""
    for row, line in zip(table.rows, table.lines, strict=True):
        if any(row[len(table.columns) :]):
            raise DataError(
                f"{path}: line {line} has {len(row)} cells, the header {len(table.columns)}. Write a decimal point, or "
                "quote cells that hold commas."
            )
        if len(row) < len(table.columns):
            raise DataError(
                f"{path}: line {line} has {len(row)} cells, the header {len(table.columns)}: the file is truncated. "
                f"Copy it again from its source."
            )
    return [[row[place] for row in table.rows] for place in places]


def _read_series(table: TextTable, time: int, place: int, kind: str, path: Path) -> IndexRows:
    stamps, cells = _cell_columns(table, [time, place], path)
    times, zoned = Column(table.columns[time], path, table.lines).times(stamps, _YEARS)
    without = [row for row in range(len(stamps)) if not zoned[row]]
    if without:
        raise DataError(
            f"{path}: line {table.lines[without[0]]}: {len(without)} times have no zone ({stamps[without[0]]!r} is the "
            f"first); write them with Z or +00:00."
        )
    values = Column(table.columns[place], path, table.lines, table.decimal_comma).numbers(cells, kind)
    return times, values, np.array(table.lines), []


def _check_times(times: pd.Series, lines: list[int], stamps: list[str], path: Path) -> None:
    for place in np.flatnonzero(times.isna()):
        raise DataError(
            f"{path}: line {lines[place]}: {stamps[place]!r} is not a time. Write it as 2022-01-31T03:00:00Z."
        )


def _read_days(table: TextTable, names: list[str], factor: float, path: Path) -> IndexRows:
    """Read one day in each row, with eight values of Kp; the format defines UTC."""
    places = [table.find(name) for name in ["date", *names]]
    if None in places:
        raise DataError(f"{path}: a table of daily Kp without all of the columns date, {', '.join(names)}.")
    stamps, *columns = _cell_columns(table, [place for place in places if place is not None], path)
    days = pd.to_datetime(pd.Series(stamps, dtype=object), format="%Y-%m-%d", errors="coerce")
    _check_times(days, table.lines, stamps, path)
    values = np.stack(
        [Column(name, path, table.lines).numbers(cells, "kp") for name, cells in zip(names, columns, strict=True)],
        axis=1,
    )  # (days, 8)
    filled = np.isin(values, _FILLS["kp"])
    values = np.where(filled, np.nan, values * factor)
    times = days.to_numpy("datetime64[ms]")[:, None] + np.arange(0, 24, 3) * _HOUR
    flag, notes = table.find("f10.7_data_type"), []
    lines = np.repeat(np.array(table.lines)[:, None], times.shape[1], axis=1)
    if flag is not None:
        flags = np.array(_cell_columns(table, [flag], path)[0])
        predicted = ~np.isin(flags, _FLUX_FLAGS_WITH_OBSERVED_KP)
        if predicted.any():
            found = ", ".join(f"{name} {n}" for name, n in sorted(Counter(flags[predicted].tolist()).items()))
            notes.append(
                f"{predicted.sum()} rows of predictions from {short_time(times[predicted].min())} on are left out "
                f"(F10.7_DATA_TYPE: {found})."
            )
        times, values, lines = times[~predicted], values[~predicted], lines[~predicted]
    return times.ravel(), values.ravel(), lines.ravel(), notes


def _read_wdc(text: str, path: Path) -> IndexRows:
    """Read Dst in WDC format: 120 characters a day, base value in 100 nT, 24 hourly values, the daily mean."""
    days, values, lines, versions = [], [], [], Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            if not re.match(r"DST\d{4}\*", line) or len(line.rstrip()) < 116:
                raise ValueError
            days.append(np.datetime64(f"{line[14:16]}{line[3:5]}-{line[5:7]}-{line[8:10]}", "ms"))
            hours = [float(line[place : place + 4]) for place in range(20, 116, 4)]
            base_nt = 100.0 * int(line[16:20])
        except ValueError:
            raise DataError(
                f"{path}: line {number} is not a day of Dst in WDC format ({line[:24]!r}). Copy the file again."
            ) from None
        lines.append(number)
        values.append([np.nan if hour == 9999.0 else base_nt + hour for hour in hours])
        versions[_WDC_VERSIONS.get(line[13], f"version {line[13]}")] += 1
    times = np.array(days)[:, None] + np.arange(24) * _HOUR
    notes = _unsettled({kind: 24 * n for kind, n in versions.items()})
    return times.ravel(), np.array(values).ravel(), np.repeat(lines, 24), notes


def _read_iaga2002(text: str, path: Path) -> IndexRows:
    """Read hourly Dst in IAGA-2002, also several months in one file; headers may be truncated or repeated."""
    stamps, cells, lines = [], [], []
    kinds, kind = Counter[str](), "of unstated status"
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.rstrip(" |").split()
        if re.match(r"\d{4}-\d{2}-\d{2} ", line) and len(parts) == 4:
            stamps.append(f"{parts[0]} {parts[1]}")
            cells.append(parts[3])
            lines.append(number)
            kinds[kind] += 1
        elif line.startswith(" Data Type"):
            kind = line[24:].strip(" |").lower() or "of unstated status"
        elif line.startswith("DATE") and parts[3:] != ["DST"]:
            raise DataError(f"{path}: an IAGA-2002 file of {' '.join(parts[3:])}, not of Dst. Get Dst from WDC Kyoto.")
        elif line.strip() and not line.startswith((" ", "DATE")):
            raise DataError(
                f"{path}: line {number} is not an hour of Dst ({line[:40]!r}). Copy it again from its source."
            )
    times = pd.to_datetime(pd.Series(stamps, dtype=object), format="%Y-%m-%d %H:%M:%S.%f", errors="coerce")
    _check_times(times, lines, stamps, path)
    values = Column("DST", path, lines).numbers(cells)
    return times.to_numpy("datetime64[ms]"), values, np.array(lines), _unsettled(kinds)


def _unsettled(hours: dict[str, int]) -> list[str]:
    return [
        f"{n} of {sum(hours.values())} hours of Dst are {kind}, not final."
        for kind, n in sorted(hours.items())
        if kind not in ("final", "definitive")
    ]


def _require_years(times: TimeArray, lines: IntArray, step_h: int, path: Path) -> None:
    """Refuse times outside the years of these indices, and the values of a day or less that lie a year from all others.

    One wrong year would make the grid thousands of times as long, and nearly all of it missing.
    """
    years = times.astype("M8[Y]").astype(int) + 1970
    for row in np.flatnonzero((years < _YEARS[0]) | (years > _YEARS[1])):
        raise DataError(
            f"{path}: line {lines[row]}: {short_time(times[row])} is outside {_YEARS[0]}..{_YEARS[1]}. Correct the "
            "time."
        )
    order = np.argsort(times, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(times[order]) > _FAR) + 1)
    fewest = min(parts, key=len)
    if len(parts) > 1 and len(fewest) <= 24 // step_h:
        first = int(fewest[0])
        raise DataError(
            f"{path}: line {lines[first]}: {short_time(times[first])} lies more than a year from all other times. "
            "Correct the time, or take the row out."
        )


def _to_grid(times: TimeArray, values: FloatArray, name: Name, path: Path) -> tuple[np.datetime64, FloatArray]:
    """Place values on the regular grid; several values of one time must agree."""
    known = ~np.isnan(values)
    start = times.min()
    off = np.flatnonzero((times - times.astype("datetime64[D]")) % (STEP_H[name] * _HOUR))
    if off.size:
        raise DataError(
            f"{path}: {short_time(times[off[0]])} is no start of a {STEP_H[name]}-hour interval "
            f"({off.size} times). {name} is given at the start of each interval, UTC."
        )
    place = (times - start) // (STEP_H[name] * _HOUR)
    grid = np.full(int(place.max()) + 1, np.nan)
    grid[place[known]] = values[known]
    other = np.flatnonzero(known & (grid[place] != values))
    if other.size:
        raise DataError(
            f"{path}: two values of {name} at {short_time(times[other[0]])}: {values[other[0]]:g} and "
            f"{grid[place[other[0]]]:g}. Keep one of them."
        )
    return start, grid
