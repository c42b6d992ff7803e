"""The layouts in which GFZ Potsdam, the publisher of Kp, gives it out as text.

- ``Kp_ap_since_1932.txt``, ``Kp_ap_nowcast.txt``: one value a line, ``YYYY MM DD hh.h hh._m days days_m Kp ap D``;
- ``Kp_ap_Ap_SN_F107_since_1932.txt`` and its nowcast: one day a line, ``YYYY MM DD days days_m Bsr dB Kp1 .. Kp8 ...``;
- ``*.wdc``: one day a line in fixed columns, Kp in tenths; ``*.tab``: one day a line, Kp as ``2+``.

Source: https://kp.gfz.de/en/data, format descriptions of Kp; times are UTC.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from seismag.arrays import FloatArray, IntArray, TimeArray
from seismag.domain import DataError

_THREE_HOURS = re.compile(r"(\d{4}) (\d{2}) (\d{2}) (\d{2})\.0(?:\s+\S+){3}\s+(\S+)(?:\s+\S+){1,2}")
_DAY = re.compile(r"(\d{4}) (\d{2}) (\d{2})\s+\d+\s+[\d.]+\s+\d+\s+\d+((?:\s+-?\d+\.\d+){8})(?:\s+\S+)+")
_WDC = re.compile(r"(\d{2})(\d{2})(\d{2})[ \d]{4}[ \d]{2}((?:[ \d]\d){8})[ \d]{3}.*")
_TAB = re.compile(r"(\d{2})(\d{2})(\d{2})((?:\s+\d[-o+]){8}).*")
_FIRST_YEAR = 1932  # of Kp: two digits of a year below 32 are of this century
_SIGNS = {"-": -1, "o": 0, "+": 1}


def is_gfz(text: str) -> bool:
    """Return whether the first line that is no comment is one of GFZ's."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return any(pattern.fullmatch(first.strip()) for pattern in (_THREE_HOURS, _DAY, _WDC, _TAB))


def read_gfz(text: str, path: Path) -> tuple[TimeArray, FloatArray, IntArray]:
    """Read Kp from a text of GFZ.

    Returns:
        Starts of the three-hour intervals, UTC; values in thirds, -1 is missing; and the line of each.

    Raises:
        DataError: a line is not of these layouts, or its date is impossible.

    Example:
        >>> times, kp, _ = read_gfz("2021 01 01 03.0 04.50 32508.12500 32508.18750  2.333    9 1", Path("Kp.txt"))
        >>> str(times[0]), round(float(kp[0]), 3)
        ('2021-01-01T03:00:00.000', 2.333)
    """
    times: list[np.datetime64] = []
    values: list[float] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            day, hours, kp = _read_line(line.strip())
        except ValueError:
            raise DataError(
                f"{path}: line {number} is no line of Kp as GFZ writes it ({line[:40]!r}). Copy it again."
            ) from None
        times += [day + np.timedelta64(hour, "h") for hour in hours]
        values += kp
        lines += [number] * len(kp)
    return np.array(times, dtype="datetime64[ms]"), np.array(values), np.array(lines, dtype=np.int64)


def _read_line(line: str) -> tuple[np.datetime64, range, list[float]]:
    if found := _THREE_HOURS.fullmatch(line):
        hour = int(found[4])
        return _day(found[1], found[2], found[3]), range(hour, hour + 1), [float(found[5])]
    if found := _DAY.fullmatch(line):
        return _day(found[1], found[2], found[3]), range(0, 24, 3), [float(cell) for cell in found[4].split()]
    if found := _WDC.fullmatch(line):
        tenths = [int(found[4][place : place + 2]) for place in range(0, 16, 2)]
        return _day(*found.groups()[:3]), range(0, 24, 3), [value / 10 for value in tenths]
    if found := _TAB.fullmatch(line):
        cells = found[4].split()
        return _day(*found.groups()[:3]), range(0, 24, 3), [int(cell[0]) + _SIGNS[cell[1]] / 3 for cell in cells]
    raise ValueError


def _day(year: str, month: str, day: str) -> np.datetime64:
    if len(year) == 2:
        year = f"{20 if int(year) < _FIRST_YEAR % 100 else 19}{year}"
    return np.datetime64(f"{year}-{month}-{day}", "ms")
