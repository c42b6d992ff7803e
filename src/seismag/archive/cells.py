"""Cells of tables that people write: a filled cell is understood, or refused with its line and column.

No reader of a table may take a cell that it does not understand for a missing one: an earthquake whose time or
magnitude is lost turns the windows before it into Normal ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray
from seismag.domain import DataError

MISSING = {"", "-", "--", "?", "na", "n/a", "nan", "nil", "none", "null", "nat", "missing", "unknown", "tidak ada"}
EARTHQUAKE_YEARS = (1500, 2100)  # of any catalogue; 0203, 1018 and 3018 are errors of typing
NO_DATE_YEAR = "9999"
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe58\ufe63\uff0d", "-"))
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_PLAIN = re.compile(rf"({_NUMBER})(?:\s*(?:±|\+/-|\+-)\s*[\d.]+)?", re.IGNORECASE)
_SCALE = r"m(?:[a-z]{0,3}|[a-z]{0,2}_[a-z0-9]{1,3})(?:\([a-z]+\))?|sr"  # mb, Mw, Mw(mB), mb_Lg; SR: skala Richter
_MAGNITUDE = re.compile(
    rf"(?:(?P<before>{_SCALE})\s*[:=]?\s*)?(?P<number>{_NUMBER})(?:\s*(?:±|\+/-|\+-)\s*[\d.]+)?"
    rf"(?:\s*\(?(?P<after>{_SCALE})\)?)?",
    re.IGNORECASE,
)
_DEPTH = re.compile(rf"({_NUMBER})\s*(?P<unit>km|m)?\.?\s*(?:[fnagd*]|\(?fix(?:ed)?\)?)?", re.IGNORECASE)
_ELEVATION = re.compile(rf"({_NUMBER})\s*(?P<unit>km|m)?\.?", re.IGNORECASE)
_SOUTH_WEST = ("s", "ls", "south", "selatan", "lintang selatan", "w", "bb", "west", "barat", "bujur barat")
_HEMISPHERES = {
    "latitude": ("n", "lu", "north", "utara", "lintang utara", "s", "ls", "south", "selatan", "lintang selatan"),
    "longitude": ("e", "bt", "east", "timur", "bujur timur", "w", "bb", "west", "barat", "bujur barat"),
}
_DEGREE = r"(?:°|º|˚|deg(?:rees?)?|d)?"
_ANGLE = (
    rf"(?P<degrees>{_NUMBER})\s*{_DEGREE}"
    r"(?:\s*(?P<minutes>\d+(?:\.\d+)?)\s*['′’]\s*(?:(?P<seconds>\d+(?:\.\d+)?)\s*(?:\"|″|”|'')\s*)?)?"
)
_ZONES_H = {"z": 0, "utc": 0, "gmt": 0, "ut": 0, "wib": 7, "wita": 8, "wit": 9}
_LARGEST_OFFSET_MIN = 14 * 60
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan januari january", "feb februari february", "mar maret march", "apr april", "may mei", "jun juni june",
         "jul juli july", "aug agu agt agustus august", "sep sept september", "oct okt oktober october",
         "nov nopember november", "dec des desember december"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_CLOCK = (
    r"(?P<hour>\d{1,2})(?:(?P<mark>[:.]?)(?P<minute>\d{2})"
    r"(?:(?P<mark_2>[:.]?)(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?P<zone>z|utc|gmt|ut|wib|wita|wit|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?)?"
)
_TIMES = (
    re.compile(
        rf"(?P<year>\d{{4}})(?P<dash>[-/.]?)(?P<month>\d{{1,2}})(?P=dash)(?P<day>\d{{1,2}})(?:t|[\s,_]+){_CLOCK}", re.I
    ),
    re.compile(rf"(?P<day>\d{{1,2}})[\s-](?P<month>[a-z]+)[\s-](?P<year>\d{{4}})[t\s,_]+{_CLOCK}", re.I),
    re.compile(rf"(?P<month>[a-z]+)\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})[t\s,_]+{_CLOCK}", re.I),
)


def plain_text(cell: str) -> str:
    """Return a cell with plain digits, spaces and minus signs, without blanks at its ends."""
    return unicodedata.normalize("NFKC", cell.translate(_DASHES)).translate(_DASHES).strip()


def is_missing(cell: str) -> bool:
    """Return whether a cell states no value: empty, or a mark such as ``-`` or ``NaN``."""
    return plain_text(cell).lower() in MISSING


@dataclass(frozen=True)
class Time:
    """A time, ``utc`` (datetime64[ms]); ``zoned``: the cell states its zone."""

    utc: np.datetime64
    zoned: bool


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, the file, and the line of each cell; for messages.

    Attributes:
        decimal_comma: the delimiter is no comma.
    """

    name: str
    path: Path
    lines: Sequence[int]
    decimal_comma: bool = False

    def numbers(self, cells: Sequence[str], kind: str = "number") -> FloatArray:
        """Read numbers; NaN where a cell states none.

        Args:
            cells: one a line.
            kind: ``number``, ``latitude``, ``longitude``, ``depth`` (km), ``elevation`` (m), ``kp`` or ``magnitude``:
                which units, signs and words may stand beside the number.

        Raises:
            DataError: a filled cell is not understood; line, column and cell.

        Example:
            >>> Column("depth", Path("quakes.csv"), [2, 3]).numbers(["60 km", "-"], "depth").tolist()
            [60.0, nan]
        """
        readers = {"latitude": _angle, "longitude": _angle, "depth": _depth, "elevation": _elevation, "kp": _kp}
        read = {**readers, "magnitude": _magnitude}.get(kind, _plain)
        values = np.full(len(cells), np.nan)
        fast = {text: float(text) for text in set(cells) if re.fullmatch(r"-?\d+(\.\d+)?", text)}
        for row, cell in enumerate(cells):
            if cell in fast:
                values[row] = fast[cell]
            elif not is_missing(cell):
                value = read(_with_point(plain_text(cell), self.decimal_comma, kind), kind)
                if value is None or not np.isfinite(value):
                    raise self.refuse(row, cell, kind)
                values[row] = value
        return values

    def times(
        self, cells: Sequence[str], years: tuple[int, int] = EARTHQUAKE_YEARS
    ) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
        """Read times of day; NaT where a cell states none.

        Returns:
            UTC, datetime64[ms]; and whether each cell states its zone (a time without one is taken as UTC).

        Raises:
            DataError: a filled cell is not understood, or of a year outside ``years`` (not 9999, which is no date).

        Example:
            >>> column = Column("time", Path("quakes.csv"), [2])
            >>> column.times(["2021-03-04T11:59:60.00Z"])[0].tolist()
            [datetime.datetime(2021, 3, 4, 12, 0)]
        """
        utc = np.full(len(cells), np.datetime64("NaT"), dtype="datetime64[ms]")
        zoned = np.zeros(len(cells), dtype=bool)
        for row, cell in enumerate(cells):
            if is_missing(cell):
                continue
            time = read_time(cell)
            if time is None:
                raise self.refuse(row, cell, "time")
            utc[row], zoned[row] = time.utc, time.zoned
        self._require_years(utc, cells, years)
        return utc, zoned

    def _require_years(self, utc: NDArray[np.datetime64], cells: Sequence[str], years: tuple[int, int]) -> None:
        of = utc.astype("M8[Y]")
        no_date = of == np.datetime64(NO_DATE_YEAR, "Y")
        outside = (of < np.datetime64(f"{years[0]}", "Y")) | (of > np.datetime64(f"{years[1]}", "Y"))
        for row in map(int, np.flatnonzero(outside & ~no_date)):
            raise DataError(
                f"{self.path}: line {self.lines[row]}, column {self.name}: {cells[row]!r} is of the year {of[row]}, "
                f"outside {years[0]}..{years[1]}. Correct the date."
            )

    def refuse(self, row: int, cell: str, kind: str) -> DataError:
        """Make the error of a cell that is not understood."""
        remedy = {
            "time": "Write it as 2021-03-04T12:00:00Z",
            "latitude": "Write degrees, south negative",
            "longitude": "Write degrees, west negative",
            "depth": "Write kilometres",
            "elevation": "Write metres",
        }.get(kind, "Write a number")
        return DataError(
            f"{self.path}: line {self.lines[row]}, column {self.name}: {cell!r} is not understood as a {kind}. "
            f"{remedy}, or leave the cell empty where nothing is known.",
            "unreadable",
        )


def magnitude_scale(cell: str) -> str:
    """Return the scale that a cell names beside the number, ``Mw`` of ``Mw 6.1``; "" where none."""
    found = _MAGNITUDE.fullmatch(plain_text(cell).replace(",", "."))
    return "" if found is None else (found["before"] or found["after"] or "")


def read_time(cell: str) -> Time | None:
    """Read a time of day; None where it is not understood.

    Accepted are ISO 8601 with any of the usual separators, months in words, second 60 (the next minute), 24:00 (the
    next day), and the zones Z, UTC, GMT, WIB, WITA, WIT or an offset. Digits after the milliseconds are cut.
    """
    text = plain_text(cell)
    found = next((match for pattern in _TIMES if (match := pattern.fullmatch(text))), None)
    if found is None:
        return None
    part: dict[str, Any] = found.groupdict()
    month = int(part["month"]) if part["month"].isdecimal() else _MONTHS.get(part["month"].lower(), 0)
    year, day = int(part["year"]), int(part["day"])
    hour, minute, second = int(part["hour"]), int(part["minute"] or 0), int(part["second"] or 0)
    milliseconds = int((part["fraction"] or "0")[:3].ljust(3, "0"))
    whole_day = hour == 24 and not (minute or second or milliseconds)
    if not (1 <= month <= 12 and (hour <= 23 or whole_day) and minute <= 60 and second <= 60):
        return None
    if (minute == 60 and (second or milliseconds)) or not _is_clear(part):
        return None
    start = np.datetime64(f"{year:04d}-{month:02d}", "D")
    if not 1 <= day <= int((start.astype("M8[M]") + 1).astype("M8[D]").astype(int) - start.astype(int)):
        return None
    offset_min = _offset_minutes(part["zone"])
    if abs(offset_min) > _LARGEST_OFFSET_MIN:
        return None
    elapsed_ms = ((hour * 60 + minute - offset_min) * 60 + second) * 1000 + milliseconds
    utc = (start + (day - 1)).astype("datetime64[ms]") + np.timedelta64(elapsed_ms, "ms")
    return Time(utc, part["zone"] is not None)


def _is_clear(part: dict[str, Any]) -> bool:
    """Whether digits without marks are of full length: 2021063T12 is a day of the year, T123 no time, 12.30 an hour."""
    if part.get("dash") == "" and len(part["month"] + part["day"]) < 4:
        return False
    if part["mark"] is None:
        return len(part["hour"]) == 2
    if part["mark"] == "":
        return len(part["hour"]) == 2 and not part["mark_2"]
    if part["second"] is None:
        return part["mark"] == ":"
    return part["mark_2"] == part["mark"]


def _offset_minutes(zone: str | None) -> int:
    found = re.fullmatch(r"(?:utc|gmt)?([+-])(\d{1,2}):?(\d{2})?", zone or "", re.IGNORECASE)
    if found is None:
        return 60 * _ZONES_H[(zone or "z").lower()]
    minutes = 60 * int(found[2]) + int(found[3] or 0)
    return -minutes if found[1] == "-" else minutes


def _with_point(text: str, decimal_comma: bool, kind: str) -> str:
    """Write a decimal comma as a point: in files without comma as delimiter, and where one comma can be no other.

    A comma before three digits may part thousands, but not of degrees or magnitudes; then the cell stays as it is.
    """
    one_comma = text.count(",") == 1 and "." not in text
    thousands = kind not in ("latitude", "longitude", "magnitude") and re.search(r",\d{3}(?!\d)", text)
    return text.replace(",", ".") if decimal_comma or (one_comma and not thousands) else text


def _plain(text: str, _kind: str) -> float | None:
    found = _PLAIN.fullmatch(text)
    return None if found is None else float(found[1])


def _magnitude(text: str, _kind: str) -> float | None:
    found = _MAGNITUDE.fullmatch(text)
    return None if found is None or (found["before"] and found["after"]) else float(found["number"])


def _depth(text: str, _kind: str) -> float | None:
    found = _DEPTH.fullmatch(text)
    if found is None:
        return _plain(text, "depth")
    return float(found[1]) / (1000 if (found["unit"] or "").lower() == "m" else 1)


def _elevation(text: str, _kind: str) -> float | None:
    found = _ELEVATION.fullmatch(text)
    return None if found is None else float(found[1]) * (1000 if (found["unit"] or "").lower() == "km" else 1)


def _kp(text: str, kind: str) -> float | None:
    """Read thirds as 2-, 2o, 2+."""
    found = re.fullmatch(r"(\d)([-o+])", text)
    return _plain(text, kind) if found is None else int(found[1]) + {"-": -1, "o": 0, "+": 1}[found[2]] / 3


def _angle(text: str, kind: str) -> float | None:
    words = "|".join(sorted(_HEMISPHERES[kind], key=len, reverse=True))
    pattern = rf"(?:(?P<before>{words})\s*)?{_ANGLE}(?:\s*(?P<after>{words}))?\.?"
    found = re.fullmatch(pattern, text, re.IGNORECASE)
    if found is None:
        return _plain(text, kind)
    if found["before"] and found["after"]:
        return None
    hemisphere = (found["before"] or found["after"] or "").lower()
    minutes, seconds = float(found["minutes"] or 0), float(found["seconds"] or 0)
    degrees = float(found["degrees"])
    negative = found["degrees"].startswith("-")
    if minutes >= 60 or seconds >= 60 or (negative and hemisphere and hemisphere not in _SOUTH_WEST):
        return None
    size = abs(degrees) + minutes / 60 + seconds / 3600
    return -size if negative or hemisphere in _SOUTH_WEST else size
