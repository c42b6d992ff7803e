"""Checks of the position of a station, and of the code and day in a file name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.recordings.components import wrap_deg
from seismag.recordings.reader import NO_DAYS
from seismag.recordings.recording import Recording

# gua20140407vsec.sec.gz, ABG_20260424.iaga2002, BOU201601vmin.min, bou_20140407_000000_PT1S_4.cdf, 20110901v.min
_NAME = re.compile(
    r"(?:(?P<code>[a-z]{3})_?)?(?P<year>(?:18|19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)?(?=[_.vpqadr])",
    re.IGNORECASE,
)

_DEGREES = re.compile(
    r"(?P<number>[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[-+]?\d+)?)\s*°?\s*(?P<hemisphere>[NSEW])?", re.IGNORECASE
)


def read_position(latitude_deg: str | None, longitude_deg: str | None, warnings: list[str]) -> tuple[float, float]:
    """Return latitude and longitude in degrees, longitude in [-180, 180); NaN, NaN where unusable.

    Args:
        latitude_deg: as in the file, None where missing.
        longitude_deg: likewise; 0 to 360 is accepted.
        warnings: gets a sentence for values that are not degrees (projected metres, for instance).
    """
    if not all(re.search(r"\d|nan", text or "", re.IGNORECASE) for text in (latitude_deg, longitude_deg)):
        return np.nan, np.nan  # silent, or "unknown"
    try:
        latitude, longitude = _degrees(latitude_deg or ""), _degrees(longitude_deg or "")
    except ValueError:
        warnings.append(
            f"The file's position ({latitude_deg!r}, {longitude_deg!r}) is not understood; it was not used."
        )
        return np.nan, np.nan
    if abs(latitude) <= 90 and -180 <= longitude <= 360:
        return latitude, round(wrap_deg(longitude), 9)  # 254.764 - 360 leaves digits of rounding
    warnings.append(f"The file's position ({latitude:g}, {longitude:g}) is not in degrees; it was not used.")
    return np.nan, np.nan


def _degrees(text: str) -> float:
    """Read degrees with a decimal point or comma, perhaps with a hemisphere after them (ValueError: neither)."""
    found = _DEGREES.fullmatch(text.strip())
    if text.strip().lower() == "nan":
        return np.nan
    if found is None:
        raise ValueError(text)
    sign = -1.0 if (found["hemisphere"] or "").upper() in ("S", "W") else 1.0
    if sign < 0 and found["number"].startswith("-"):
        raise ValueError(text)
    return sign * float(found["number"].replace(",", "."))


def check_file_name(path: Path, recording: Recording) -> None:
    """Refuse a recording whose station or time contradicts a file name of the usual pattern.

    The day (or month) in the name must overlap the recording; names of other patterns pass.

    Raises:
        DataError: ``name_mismatch``.
    """
    name = _NAME.match(path.name)
    if name is None:
        return
    code = (name["code"] or "").upper()
    if code and recording.station and code != recording.station:
        raise DataError(
            f"{path}: station {recording.station} in the file, {code} in its name. Rename the file.",
            "name_mismatch",
        )
    days = _days(name)
    if days.size and (recording.start_utc >= days[-1] + 1 or recording.end_utc <= days[0]):
        raise DataError(
            f"{path}: the samples span {recording.start_utc} to {recording.end_utc}, outside "
            f"{days[0] if name['day'] else days[0].astype('M8[M]')} in the file's name. Rename the file.",
            "name_mismatch",
        )


def days_in_name(name: str) -> tuple[str, NDArray[np.datetime64]]:
    """Return station code ("" none) and UTC days (all of a month; empty: none) in a file name of the usual pattern."""
    found = _NAME.match(name)
    return ("", NO_DAYS) if found is None else ((found["code"] or "").upper(), _days(found))


def _days(name: re.Match[str]) -> NDArray[np.datetime64]:
    month = f"{name['year']}-{name['month']}"
    try:
        begin = np.datetime64(f"{month}-{name['day']}" if name["day"] else month)
    except ValueError:
        return NO_DAYS  # eight digits that are not a date
    first, end = begin.astype("M8[D]"), (begin + 1).astype("M8[D]")
    days: NDArray[np.datetime64] = first + np.arange((end - first).astype(int))
    return days
