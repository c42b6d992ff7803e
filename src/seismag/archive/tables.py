"""Text tables as users write them: compressed or not, with a byte-order mark, any separator, stray columns."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seismag.domain import DataError
from seismag.limits import TABLE, InputLimit, read_file, require_splittable
from seismag.recordings.compression import GZIP_MAGIC, decompress
from seismag.table_files import original

_LINE = re.compile(r"[^\r\n]*(?:\r\n|[\r\n])|[^\r\n]+\Z")
_SHORT_CELL, _MOST_SHARED = 8, 100_000
_BLANK_BYTES = 64  # at the start; a byte-order mark and blanks alone make an empty file


@dataclass(frozen=True)
class TextTable:
    """Delimited text: ``columns`` in lower case with underscores, ``rows`` as stripped text.

    Attributes:
        columns: names in the header line, for example ``kode_stasiun``, ``depth_(km)``.
        rows: cells; a row can be shorter or longer than the header. Blank rows are left out.
        lines: line in the file at which each row ends.
        decimal_comma: the delimiter is not the comma, so 1,5 is a number.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    decimal_comma: bool

    def find(self, *names: str) -> int | None:
        """Return the index of the first of ``names`` that is a column, or None."""
        return next((self.columns.index(name) for name in names if name in self.columns), None)


def read_payload(path: Path, limit: InputLimit = TABLE) -> tuple[bytes, str]:
    """Read a file, unpacking gzip by content.

    Returns:
        Its bytes, and the sha256 of the file on disk.

    Raises:
        DataError: missing, no regular file, empty, larger than ``limit``, or a damaged gzip file.
    """
    raw = read_file(path, limit)
    try:
        payload = decompress(raw, path, limit) if raw.startswith(GZIP_MAGIC) else raw
    except DataError as error:
        if error.reason == "too_large":
            raise
        raise DataError(f"{path}: damaged or truncated gzip file. Copy it from its source. ({error})") from error
    if not payload[:_BLANK_BYTES].strip(b"\xef\xbb\xbf \t\r\n") and not payload.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path}: the file is empty. Copy it again from its source.", "empty_file")
    return payload, hashlib.sha256(raw).hexdigest()


def decode_text(payload: bytes, path: Path) -> str:
    """Decode UTF-8 (with or without BOM).

    Raises:
        DataError: binary data, another encoding, JSON, a web page, or more lines or cells than a table may have.
    """
    if b"\0" in payload:
        raise DataError(f"{path}: contains NUL bytes, so this is not a text table. Save it as CSV in UTF-8.")
    require_splittable(payload, path, TABLE)
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8, so this is not a text table, or one in another encoding. "
            f"Save it as CSV in UTF-8."
        ) from error
    if text[:512].lstrip().startswith(("{", "[")):
        raise DataError(f"{path}: this is JSON, not a table that can be read. Save it as CSV.")
    if text[:512].lstrip().lower().startswith(("<html", "<!doctype html")):
        raise DataError(f"{path}: this is a web page (HTML), not data. Download the file again.")
    return text


def _lines(text: str) -> Iterator[str]:
    """Give the lines with their ends, one after the other; a StringIO would keep four bytes for each sign."""
    for found in _LINE.finditer(text):
        yield found[0]


def split_text(text: str, path: Path) -> TextTable:
    """Split delimited text; the delimiter (comma, semicolon, tab or bar) is the commonest in the header line.

    Raises:
        DataError: no header, or an unclosed quotation mark.
    """
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=header.count)
    reader = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, lines = [], []
    shared: dict[str, str] = {}  # most cells are short and occur again; each is kept once
    try:
        for cells in reader:
            if len(shared) > _MOST_SHARED:
                shared.clear()
            row = [original(cell.strip()) for cell in cells]
            row = [shared.setdefault(cell, cell) if len(cell) <= _SHORT_CELL else cell for cell in row]
            if any(row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not readable as CSV ({error}).") from error
    if not rows:
        raise DataError(f"{path}: contains no row. Copy it again from its source.", "empty_file")
    columns = [re.sub(r"\s+", "_", name.lower().lstrip("#")) for name in rows[0]]
    return TextTable(columns, rows[1:], lines[1:], delimiter != ",")
