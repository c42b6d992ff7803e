"""IAGA-2002 text files, 1 second and 1 minute, as observatories write them.

X, Y, Z have an axis of 0 degrees; H, E, Z that of ``# DECBAS`` in the header; D of H, D, Z is an angle in minutes of
arc (in degrees only where a header comment states D in degrees), relative to DECBAS where it lies nearer to zero than
to DECBAS (``components``).

Real files have headers with blank fields, with projected metres for degrees, with a code unlike the one in the column
names (the header's is kept), with "1-minite"; time stamps at hh:mm:47; variations about an unstated offset.

A comment ``# seismag: an emission was injected`` marks a file that seismag changed; ``metadata["origin"]`` is
then ``simulated``.

Source: format IAGA-2002, https://www.ngdc.noaa.gov/IAGA/vdat/IAGA2002/iaga2002format.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.recordings.components import (
    ARCMIN_DEG,
    DEGREE_DEG,
    DeclinationScale,
    blank_fill_values,
    needed_letters,
    to_hdz,
)
from seismag.recordings.iaga2002_table import SampleTable, parse_table
from seismag.recordings.identity import check_file_name, read_position
from seismag.recordings.reader import NO_DAYS, Reader
from seismag.recordings.recording import Recording
from seismag.recordings.regular_grid import place_on_grid

_FIRST_LINE = re.compile(rb"\s*Format\s+IAGA-?2002\b", re.IGNORECASE)
_COLUMN_NAMES = re.compile(rb"^[ \t]*DATE[ \t]+TIME[ \t]+DOY\b([^\n]*)(?:\n|\Z)", re.MULTILINE | re.IGNORECASE)
_FIRST_DATE = re.compile(rb"^(\d{4}-\d\d-\d\d)\s", re.MULTILINE)
_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)?\s*-?\s*(sec|min|hour)", re.IGNORECASE)
_UNIT_MS = {"sec": 1000, "min": 60_000, "hour": 3_600_000}
_HOUR_MS = 3_600_000
_HEADERS = re.compile(rb"(?:^|(?<=\d))[ \t]*Format[ \t]+IAGA-?2002\b", re.MULTILINE | re.IGNORECASE)
_DECBAS = re.compile(
    r"\bDECBAS\b(?:\s*\((?![\s+-]*\d)[^)]*\))?(?:[\s:=(]|\b(?:is|of|in|value|tenths?|minutes|degrees)\b)*"
    r"([-+]?\d+(?:[.,]\d+)?)(.*)",
    re.IGNORECASE,
)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
# A statement about the unit of D: "D in degrees", "Declination (degrees)"; not "oriented to D = 8.2 degrees".
_D_IN_DEGREES = re.compile(
    r"(?:\bD\b|\bdeclination\b)(?:(?!minutes|tenth|\d\s*(?:decimal\s+)?(?:deg|°)).)*(?<![\d.])\s*(?:\bdeg(?:rees?)?\b|°)",
    re.IGNORECASE,
)
_USGS = re.compile(r"\bUSGS\b|U\.?\s?S\.? Geological Survey|United States Geological Survey", re.IGNORECASE)
_OF_THE_SENSOR = re.compile(r"orient|align|rotat|install|DECBAS|baseline\s+decl", re.IGNORECASE)
_VALUE_BEGIN, _VALUE_END = 24, 69  # columns of a header line's value
_UTF8_BOM = b"\xef\xbb\xbf"
COMMENT_INJECTED = b"seismag: an emission was injected"  # in a header comment


@dataclass(frozen=True)
class Parts:
    """The parts of a file.

    Attributes:
        header, comments: entries by lower-case name, and comment lines.
        station: code ("" none).
        table: time stamps and values (NaN: fill value), line by line.
        names_at, table_at: byte at which the line of column names, and the table below it, begin.
    """

    header: dict[str, str]
    comments: list[str]
    station: str
    letters: list[str]
    scale: DeclinationScale
    table: SampleTable
    names_at: int
    table_at: int


def _detect(head: bytes) -> bool:
    return _FIRST_LINE.match(head.removeprefix(_UTF8_BOM)) is not None


def _read(payload: bytes, path: str | Path, sha256: str) -> Recording:
    """Read one file, of any length, on the regular grid from its first time stamp.

    Station and day in a file name of the usual pattern must agree with the content.

    Returns:
        The recording; missing lines and fill values are NaN. ``metadata`` holds the header.

    Raises:
        DataError: ``bad_header``, ``no_data``, ``truncated``, ``bad_line``, ``impossible_value``,
            ``components_missing``, ``wrong_kind`` (an hourly file or an index), ``irregular_sampling``,
            ``contradicting_samples`` or ``name_mismatch``.
    """
    path = Path(path)
    where = str(path)
    warnings: list[str] = []
    parts = _parse_joined(payload, where, warnings)
    header, table = parts.header, parts.table
    step_ms = _declared_step_ms(header.get("data interval type", ""))
    grid = place_on_grid(table.times_ms, table.values, step_ms, where, warnings)
    if grid.step_ms >= _HOUR_MS:
        raise _wrong_kind(where)
    recorded = dict(zip(parts.letters, grid.values, strict=True))
    horizontal = to_hdz(recorded, parts.scale, where, warnings)
    latitude_deg, longitude_deg = read_position(
        header.get("geodetic latitude"), header.get("geodetic longitude"), warnings
    )
    metadata: dict[str, object] = {
        "header": {name.replace(" ", "_"): value for name, value in header.items() if value},
        "comments": parts.comments, "columns": parts.letters, "warnings": warnings,
    }  # fmt: skip
    if _is_marked(payload[: parts.names_at]):
        metadata["origin"] = "simulated"
    recording = Recording(
        station=parts.station,
        start_utc=grid.start_utc,
        rate_hz=grid.rate_hz,
        field_nt=horizontal.field_nt,
        format=IAGA2002.name,
        sha256=sha256,
        h_axis_deg=horizontal.h_axis_deg,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        metadata=metadata,
    )
    check_file_name(path, recording)
    return recording


def _parse_joined(payload: bytes, where: str, warnings: list[str]) -> Parts:
    """Parse a file that may be several ones, each with its header, one after the other."""
    starts = [found.start() for found in _HEADERS.finditer(payload)][1:]
    if not starts:
        return parse_iaga2002(payload, where, warnings)
    ends = [*starts, len(payload)]
    parts = []
    for begin, end in zip([0, *starts], ends, strict=True):
        first_line = payload.count(b"\n", 0, begin)
        parts.append(parse_iaga2002(payload[begin:end], where, warnings, first_line))
    first = parts[0]
    for number, other in enumerate(parts[1:], start=2):
        if _identity(other) != _identity(first):
            raise DataError(
                f"{where}: {len(parts)} files in one, and header {number} is of another station or position, of other "
                "columns or of another DECBAS. Split the file.",
                "mixed_headers",
            )
    times_ms = np.concatenate([part.table.times_ms for part in parts])
    values = np.concatenate([part.table.values for part in parts], axis=1)
    warnings.append(f"{len(parts)} files in one, each with its header, were joined.")
    return replace(first, table=SampleTable(times_ms, values, sum(part.table.wrong_days_of_year for part in parts)))


def _identity(parts: Parts) -> str:
    """What headers of joined files must have in common; as text, in which NaN equals NaN."""
    place = [parts.header.get(name) for name in ("geodetic latitude", "geodetic longitude")]
    return repr((parts.station, place, parts.letters, parts.scale))


def parse_iaga2002(payload: bytes, where: str, warnings: list[str], lines_before: int = 0) -> Parts:
    """Parse a file with one header, before its samples are placed on a grid; raises as ``read``."""
    names = _COLUMN_NAMES.search(payload)
    if names is None:
        raise DataError(f"{where}: the line of column names (DATE TIME DOY ...) is missing.", "bad_header")
    header, comments = _parse_header(payload[: names.start()].removeprefix(_UTF8_BOM))
    step_ms = _declared_step_ms(header.get("data interval type", ""))
    if step_ms is not None and step_ms >= _HOUR_MS:
        raise _wrong_kind(where)
    station, letters = _station_and_letters(names[1].decode("latin-1"), header, where, warnings)
    first_line = lines_before + payload.count(b"\n", 0, names.end()) + 1
    table = parse_table(payload[names.end() :], len(letters), first_line, where)
    if table.leap_seconds:
        warnings.append(f"{table.leap_seconds} leap second (23:59:60) was left out.")
    if table.wrong_days_of_year:
        warnings.append(f"{table.wrong_days_of_year} lines have a day of year that contradicts their date.")
    needed = needed_letters(letters)
    for letter, values in zip(letters, table.values, strict=True):
        if letter in needed:
            blank_fill_values(values, where)
    scale = replace(_declination_scale(comments, warnings), h_of_sensor=_has_h_of_sensor(header))
    return Parts(header, comments, station, letters, scale, table, names.start(), names.end())


def _is_marked(head: bytes) -> bool:
    return any(line.lstrip(b" #").startswith(COMMENT_INJECTED) for line in head.splitlines())


def _read_claim(head: bytes) -> tuple[str, NDArray[np.datetime64]]:
    """Return station code ("" none) and first UTC day (empty: none) of a file."""
    code = _parse_header(head)[0].get("iaga code", "").upper()
    first = _FIRST_DATE.search(head)
    try:
        days = np.array([first[1].decode()], dtype="datetime64[D]") if first else NO_DAYS
    except ValueError:
        days = NO_DAYS
    return code if code.isalnum() else "", days


def _parse_header(text: bytes) -> tuple[dict[str, str], list[str]]:
    entries: dict[str, str] = {}
    comments: list[str] = []
    for line in _decode(text).splitlines():
        if line.lstrip().startswith("#"):
            comments.append(line.strip().removesuffix("|").lstrip("# ").rstrip())
        elif line.strip():
            entries[line[:_VALUE_BEGIN].strip().lower()] = (
                line[_VALUE_BEGIN:_VALUE_END].strip().removesuffix("|").strip()
            )
    return entries, comments


def _decode(text: bytes) -> str:
    """Read a header, which may be UTF-8 in place of ASCII."""
    try:
        return text.decode("utf-8").translate(_DASHES)
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _declared_step_ms(interval: str) -> int | None:
    found = _INTERVAL.search(interval)
    if found is None:
        return None
    return round(float(found[1] or 1) * _UNIT_MS[found[2].lower()]) or None


def _station_and_letters(names: str, header: dict[str, str], where: str, warnings: list[str]) -> tuple[str, list[str]]:
    """Station code (of the header, else of the columns) and the element letter of each column."""
    tokens = names.replace("|", " ").upper().split()
    code = header.get("iaga code", "").upper()
    letters, prefixes = [], set()
    for token in tokens:
        letter = "NUL" if token.endswith("NUL") else token[-1]
        prefix = token.removesuffix(letter)
        letters.append(letter)
        prefixes.add(prefix)
    if code in tokens or not tokens:
        raise _wrong_kind(where)  # the column of an index has the name of the index alone
    if len(set(letters) - {"NUL"}) != len([letter for letter in letters if letter != "NUL"]) or len(prefixes) > 1:
        raise DataError(f"{where}: the columns {' '.join(tokens)} are not those of one station.", "bad_header")
    prefix = prefixes.pop()
    if code and prefix and prefix != code:
        warnings.append(f"Code {code} in the header, {prefix} in the columns; that of the header was kept.")
    if code and not code.isalnum():
        raise DataError(f"{where}: {code!r} is no station code.", "bad_header")
    return code or prefix, letters


def _declination_scale(comments: list[str], warnings: list[str]) -> DeclinationScale:
    in_degrees = any(
        _D_IN_DEGREES.search(comment[:_VALUE_END]) and not _OF_THE_SENSOR.search(comment) for comment in comments
    )
    baseline_deg = np.nan
    for comment in comments:
        if "decbas" not in comment.lower():
            continue
        if (found := _DECBAS.search(comment)) and (per_degree := _decbas_units_per_degree(comment, found[2])):
            baseline_deg = float(found[1].replace(",", ".")) / per_degree
            break
        warnings.append(f"A DECBAS line could not be understood: {comment!r}; the axis of H is not known from it.")
    return DeclinationScale(degrees_per_unit=DEGREE_DEG if in_degrees else ARCMIN_DEG, baseline_deg=baseline_deg)


def _has_h_of_sensor(header: dict[str, str]) -> bool:
    """Whether H is the sensor's own: in variations of USGS, not in what it gives out as definitive."""
    return (
        bool(_USGS.search(header.get("source of data", ""))) and "definitive" not in header.get("data type", "").lower()
    )


def _decbas_units_per_degree(comment: str, after: str) -> int | None:
    """Tenths of minutes of arc, as the format says, unless the line states another unit; None: an unknown one."""
    if re.search(r"tenth", comment, re.IGNORECASE):
        return 600
    if re.search(r"degree|°", comment, re.IGNORECASE) or re.match(r"\s*[\[(]?\s*deg\b", after, re.IGNORECASE):
        return None if re.search(r"\d\s*['′]", after) else 1
    unit = re.match(r"\s*[\[(]?\s*(?:arc[\s-]*)?(min|sec|'|\")", after, re.IGNORECASE)
    if unit is not None:
        return 60 if unit[1].lower() in ("min", "'") else 3600
    # nothing, a remark in brackets, or a direction; not a second number or another word
    return 600 if re.fullmatch(r"[\s.;,)]*(?:e|east|of arc)?[\s.;,)]*(?:[(|\[#;-].*)?", after, re.IGNORECASE) else None


def _wrong_kind(where: str) -> DataError:
    return DataError(
        f"{where}: an index or an hourly file, not a recording. Give index files with --dst or --kp.",
        "wrong_kind",
    )


IAGA2002 = Reader("IAGA-2002", _detect, _read, _is_marked, _read_claim)
