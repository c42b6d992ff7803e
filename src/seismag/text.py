"""Numbers, intervals and tables as text for terminals and pages."""

from __future__ import annotations

import re
import reprlib
import textwrap
from collections.abc import Sequence
from typing import Any

TERMINAL_WIDTH = 80  # columns of a terminal
_Cell = str | float | None
_GAP = "  "
_NUMBER = re.compile(r"([-+]?[\d.,]+([eE][-+]?\d+)?( ?%)?|-|undefined)?")  # an empty cell does not make a column text


# Words of keys that files keep: docs/data-formats.md has the keys.
_WORDS = {
    "all_no_signal": "all non-magnetic data",
    "all_no_signal_balanced": "all non-magnetic data balanced",
    "era": "instrument epoch",
    "era_balanced": "instrument epoch balanced",
    "class_by_era": "class by instrument epoch",
    "time_slide": "circular time shift",
    "label_shuffle_refit": "refit to permuted labels",
    "skill_above_no_signal": "skill over the best non-magnetic baseline",
    "skill_above_no_signal_magnitude": "skill over the best non-magnetic baseline, magnitude",
    "skill_above_no_signal_azimuth": "skill over the best non-magnetic baseline, azimuth",
    "skill_above_station": "skill over the station",
}


def words_of_key(key: str) -> str:
    """Write the name of a baseline, a check or a score in words."""
    return _WORDS.get(key, key.replace("_", " "))


def shortened(value: object, most: int = 80) -> str:
    """Write a value for a message in at most ``most`` characters: of nested ones the outer levels, of long ones a part.

    Example:
        >>> shortened([[["deep"]]] * 1000), shortened("a" * 1000, 12)
        ('[[[...]], [[...]], [[...]], [[...]], ...]', "'aaa...aaaa'")
    """
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxdict, brief.maxlist, brief.maxtuple, brief.maxset = 2, 4, 4, 4, 4
    brief.maxstring = brief.maxother = most
    try:
        return one_line(brief.repr(value), most)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return f"a value of type {type(value).__name__} that is too long to be shown"


def one_line(text: object, most: int = 500) -> str:
    """Write a text on one line, without its middle where it is longer than ``most`` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most // 2 - 2]}...{line[len(line) - most // 2 + 2 :]}"


def number(value: Any) -> str:
    """Write a number of the JSON with three significant digits; whole numbers as they are."""
    if value is None:
        return "undefined"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return str(value) if isinstance(value, int) or abs(value) >= 1000 else f"{value:.3g}"


def interval(entry: dict[str, Any]) -> str:
    """Write a score with its interval, where it has one."""
    if entry.get("low") is None or entry.get("high") is None:
        return f"{number(entry.get('value'))} (no interval)"
    return f"{number(entry['value'])} [{number(entry['low'])}, {number(entry['high'])}]"


def format_table(header: Sequence[str], rows: Sequence[Sequence[_Cell]], indent: int = 0) -> str:
    """Align rows in columns: numbers to the right, text to the left, with two spaces between the columns.

    Where the table is wider than the terminal, the text of its widest text column is wrapped.

    Args:
        header: the name of each column; all empty: no header line.
        rows: as many cells a row. Text stays as it is, numbers are written as by ``number``, None as "-". A column
            of which every cell is a number, "-", "undefined" or empty is aligned to the right.
        indent: spaces before each line.

    Example:
        >>> print(format_table(["station", "windows", "AUC"], [["LUT", 120, "0.52"], ["KPY", 8, None]]))
        station  windows   AUC
        LUT          120  0.52
        KPY            8     -
    """
    written = [
        ["-" if cell is None else cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows
    ]
    columns = list(zip(header, *written, strict=True))
    is_number = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    sizes = [max(map(len, column)) for column in columns]
    excess = indent + sum(sizes) + len(_GAP) * (len(sizes) - 1) - TERMINAL_WIDTH
    texts = [place for place, is_right in enumerate(is_number) if not is_right]
    if excess > 0 and texts:
        widest = max(texts, key=lambda place: sizes[place])
        sizes[widest] = max(8, sizes[widest] - excess)
    lines = []
    for row in ([header] if any(header) else []) + written:
        parts = [textwrap.wrap(cell, size) or [""] for cell, size in zip(row, sizes, strict=True)]
        for height in range(max(map(len, parts))):
            cells = [part[height] if height < len(part) else "" for part in parts]
            aligned = [
                cell.rjust(size) if is_right else cell.ljust(size)
                for cell, size, is_right in zip(cells, sizes, is_number, strict=True)
            ]
            lines.append((" " * indent + _GAP.join(aligned)).rstrip())
    return "\n".join(lines)


def wrap_text(text: str, indent: int = 0) -> str:
    """Break a sentence into lines of at most 80 columns; ``indent`` spaces before all but the first."""
    ahead = " " * indent
    return textwrap.fill(text, TERMINAL_WIDTH, subsequent_indent=ahead, break_long_words=False, break_on_hyphens=False)


def describe_bytes(size: float) -> str:
    """Return a size in words.

    Example:
        >>> describe_bytes(4096), describe_bytes(2.4e6), describe_bytes(1.66e9)
        ('4 kB', '2 MB', '1.7 GB')
    """
    if size < 0.95e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.0f} MB" if size < 0.95e9 else f"{size / 1e9:.1f} GB"
