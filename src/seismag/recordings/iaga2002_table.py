"""The table of an IAGA-2002 file: time stamps and numbers.

The format fixes the columns, so a table with lines of equal length is read column by column as digits, others line by
line with a regular expression. Both give the same numbers; a malformed line is an error.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
_LINE_LIMIT = 500  # characters; the format has 70
_STAMP_WIDTH = 27  # "2014-04-07 00:00:00.000 097"
_STAMP_SEPARATORS = {4: "-", 7: "-", 10: " ", 13: ":", 16: ":", 19: ".", 23: " "}
_LINE = re.compile(
    rb"\s*(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3})0*)?\s+(\d{1,3})"
    rb"((?:\s+[-+]?(?:\d+(?:\.\d*)?|\.\d+))+)\s*"
)
_NUMBER = re.compile(rb"[-+]?\d+\.\d+")


@dataclass(frozen=True)
class SampleTable:
    """Time stamps (m,) in ms since 1970 and values (k, m), fill values still in place."""

    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    wrong_days_of_year: int
    leap_seconds: int = 0  # left out: POSIX time has none


def parse_table(body: bytes, columns: int, first_line: int, where: str) -> SampleTable:
    """Parse the lines below the column names.

    Raises:
        DataError: ``no_data``; ``truncated``, the last line is cut short; ``bad_line``, with its number.
    """
    content = body.rstrip(b"\r\n\t \x1a\0")  # old editors end a text with Ctrl-Z
    if not content.strip():
        raise DataError(f"{where}: the file has a header but no data.", "no_data")
    if table := _parse_fixed_width(content, columns):
        return table
    lines = [line.rstrip() for line in content.split(b"\n") if line.strip()]
    width = max(map(len, lines))
    padded = b"\n".join(line.ljust(width) for line in lines)
    return _parse_fixed_width(padded, columns) or _parse_lines(body, columns, first_line, where)


def _parse_fixed_width(content: bytes, columns: int) -> SampleTable | None:
    """Parse lines of one length, or return None as soon as anything is unusual."""
    width = content.find(b"\n") + 1
    if width == 0:
        width, content = len(content) + 1, content + b"\n"
    newline = b"\r\n" if content[width - 2 : width] == b"\r\n" else b"\n"
    lines = -(-len(content) // width)
    content = content + newline if len(content) + len(newline) == lines * width else content
    if len(content) != lines * width or width <= _STAMP_WIDTH:
        return None
    rows = np.frombuffer(content, np.uint8).reshape(lines, width)
    text_width = width - len(newline)
    spans = _number_spans(rows[0, :text_width].tobytes(), columns)
    if spans is None or not np.all(rows[:, text_width:] == np.frombuffer(newline, np.uint8)):
        return None
    text = np.ascontiguousarray(rows[:, :text_width].T)  # (width, lines): one row is one column
    if np.any(text[spans[-1][2] :] != ord(" ")):
        return None
    stamps = _fixed_stamps(rows, text)
    if stamps is None:
        return None
    values = np.empty((columns, lines))
    for value, (begin, point, end) in zip(values, spans, strict=True):
        if not _fixed_number(text[begin:point], text[point], text[point + 1 : end], value):
            return None
    return SampleTable(stamps[0], values, stamps[1])


def _number_spans(line: bytes, columns: int) -> list[tuple[int, int, int]] | None:
    """(begin, decimal point, end) of each number's field in the first line."""
    numbers = list(_NUMBER.finditer(line, _STAMP_WIDTH))
    if len(numbers) != columns:
        return None
    begins = [_STAMP_WIDTH, *(number.end() for number in numbers[:-1])]
    return [
        (begin, line.index(b".", number.start()), number.end()) for begin, number in zip(begins, numbers, strict=True)
    ]


def _fixed_number(
    left: NDArray[np.uint8], point: NDArray[np.uint8], right: NDArray[np.uint8], out: NDArray[np.float64]
) -> bool:
    """Write one column of numbers ``" -123.45"`` to ``out``; False where a line is not of that form."""
    if not np.all(point == ord(".")) or not np.all(left[0] == ord(" ")) or left.shape[0] + right.shape[0] > 16:
        return False
    total: NDArray[Any] = np.zeros(out.size, np.int32 if left.shape[0] + right.shape[0] <= 9 else np.int64)
    negative = np.zeros(out.size, bool)
    begun = np.zeros(out.size, bool)  # a sign or a digit has been seen: from there on only digits
    digit_before_point = np.zeros(out.size, bool)
    for column in left:
        digits = column - np.uint8(ord("0"))  # wraps below "0"
        is_digit = digits <= 9
        minus = column == ord("-")
        start = minus | (column == ord("+"))
        if np.any(begun & ~is_digit) or not np.all(is_digit | start | (column == ord(" "))):
            return False
        total *= 10
        total += np.where(is_digit, digits, np.uint8(0))
        negative |= minus
        begun |= is_digit | start
        digit_before_point = is_digit
    if not np.all(digit_before_point):
        return False
    for column in right:
        digits = column - np.uint8(ord("0"))
        if np.any(digits > 9):
            return False
        total *= 10
        total += digits
    np.divide(total, 10.0 ** right.shape[0], out=out)  # both exact: the quotient is correctly rounded
    np.negative(out, out=out, where=negative)
    return True


def _fixed_stamps(rows: NDArray[np.uint8], text: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int] | None:
    digits = text[:_STAMP_WIDTH] - np.uint8(ord("0"))
    separators = list(_STAMP_SEPARATORS)
    wanted = np.array([ord(mark) for mark in _STAMP_SEPARATORS.values()], np.uint8)
    if not np.all(text[separators] == wanted[:, None]) or np.any(np.delete(digits, separators, axis=0) > 9):
        return None
    places = digits.astype(np.int32)
    hour, minute, second = (places[k] * 10 + places[k + 1] for k in (11, 14, 17))
    if np.any(hour > 23) or np.any(minute > 59) or np.any(second > 59):
        return None
    day_of_year = places[24] * 100 + places[25] * 10 + places[26]
    changes = np.flatnonzero(np.any(rows[1:, :10] != rows[:-1, :10], axis=1)) + 1
    begins = np.concatenate(([0], changes))
    try:
        dates = [dt.date.fromisoformat(rows[begin, :10].tobytes().decode("ascii")) for begin in begins]
    except ValueError:
        return None
    lengths = np.diff(np.append(begins, rows.shape[0]))
    day_ms = np.repeat([(date.toordinal() - _EPOCH_ORDINAL) * _DAY_MS for date in dates], lengths)
    expected = np.repeat([date.timetuple().tm_yday for date in dates], lengths)
    milli = places[20] * 100 + places[21] * 10 + places[22]
    times_ms = day_ms.astype(np.int64) + ((hour * 60 + minute) * 60 + second) * 1000 + milli
    return times_ms, int(np.count_nonzero(day_of_year != expected))


def _parse_lines(body: bytes, columns: int, first_line: int, where: str) -> SampleTable:
    lines = body.rstrip(b"\r\n\t \x1a\0").split(b"\n")
    last = lines[-1].rstrip()
    if len(lines) > 1 and not body.endswith((b"\n", b"\x1a", b"\0")) and len(last) < len(lines[-2].rstrip()):
        number = first_line + len(lines) - 1
        raise DataError(f"{where}: the file is cut within line {number} ({_show(last)}). Copy it again.", "truncated")
    times_ms, rows, wrong_days, leap_seconds = [], [], 0, 0
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line) if len(line) <= _LINE_LIMIT else None
        fields = match[9].split() if match else []
        if match is None or len(fields) != columns:
            raise _bad_line(where, number, line, columns)
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        if (hour, minute, second) == (23, 59, 60):
            leap_seconds += 1
            continue
        try:
            stamp = dt.datetime(year, month, day, hour, minute, second)
        except ValueError as error:
            raise _bad_line(where, number, line, columns) from error
        milli = int((match[7] or b"0").ljust(3, b"0"))
        seconds = (stamp.hour * 60 + stamp.minute) * 60 + stamp.second
        times_ms.append((stamp.toordinal() - _EPOCH_ORDINAL) * _DAY_MS + seconds * 1000 + milli)
        rows.append([float(field) for field in fields])
        wrong_days += int(match[8]) != stamp.timetuple().tm_yday
    return SampleTable(np.array(times_ms, np.int64), np.array(rows, np.float64).T, wrong_days, leap_seconds)


def _bad_line(where: str, number: int, line: bytes, columns: int) -> DataError:
    return DataError(
        f"{where}: line {number} is not a date, a time, a day of the year and {columns} numbers: {_show(line)}.",
        "bad_line",
    )


def _show(line: bytes) -> str:
    return repr(line.strip()[:72].decode("latin-1"))
