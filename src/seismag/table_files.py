"""CSV that a spreadsheet cannot execute and that reads back unchanged, and CSV and parquet of bounded size.

A spreadsheet runs a cell that begins with one of ``= + - @``, a tab or a line break. ``inert`` puts an apostrophe
before such a text, which a spreadsheet takes as the mark of a text; ``original`` takes it away again. Numbers stay.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from seismag.limits import LABELS, InputLimit, read_file, require_file, require_splittable, too_large

_STARTS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # the last four: of full width
_RISKY = re.compile(rf"'*[{_STARTS}]")
_INERT = re.compile(rf"'+[{_STARTS}]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]", re.IGNORECASE)


def inert(cell: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would execute; numbers, also as text, stay as they are.

    Example:
        >>> [inert(cell) for cell in ("=1+1", "-12.5", "LUT", -3)]
        ["'=1+1", '-12.5', 'LUT', -3]
    """
    if isinstance(cell, str) and _RISKY.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def original(cell: Any) -> Any:
    """Take away the apostrophe of ``inert``."""
    return cell[1:] if isinstance(cell, str) and _INERT.match(cell) else cell


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV with inert names and texts; times as 2021-03-04T05:06:07Z."""
    safe = _mapped(table, inert)
    texts = [safe.iloc[:, place] for place, kind in enumerate(safe.dtypes) if _holds_texts(kind)]
    breaks = any(isinstance(cell, str) and "\r" in cell for column in texts for cell in column)
    safe.to_csv(  # pandas does not quote a carriage return of its own accord
        path,
        index=False,
        date_format="%Y-%m-%dT%H:%M:%SZ",
        quoting=csv.QUOTE_NONNUMERIC if breaks else csv.QUOTE_MINIMAL,
        lineterminator="\n",
    )


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """Take the apostrophes of ``inert`` away from the names and texts of a table that was read from CSV."""
    return _mapped(table, original)


def read_csv(path: Path, limit: InputLimit = LABELS, **options: Any) -> pd.DataFrame:
    """Read CSV as ``pandas.read_csv`` does, without the apostrophes of ``inert``.

    Raises:
        DataError: the file cannot be read, is no regular file, or is too large.
        ValueError: it is not CSV.
    """
    payload = read_file(path, limit)
    require_splittable(payload, path, limit, delimiters=b",")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # a stray text among numbers is named by its check
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            table = pd.read_csv(io.BytesIO(payload), index_col=False, **options)
        except pd.errors.ParserWarning:
            raise ValueError("rows have more cells than the header has names") from None
    del payload
    return originals(table)


def read_parquet(path: Path, limit: InputLimit = LABELS, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read parquet as ``pandas.read_parquet`` does, after ``require_parquet``.

    Raises:
        DataError: the file cannot be read, is no regular file, or is too large.
        ValueError: it is not parquet.
    """
    require_parquet(path, limit)
    return pd.read_parquet(path, columns=None if columns is None else list(columns))


def require_parquet(path: Path, limit: InputLimit = LABELS) -> None:
    """Refuse a parquet file that would unpack to more than the limit: a few bytes may stand for millions of values.

    Raises:
        DataError: the file cannot be read, is no regular file, or is too large.
        ValueError: it is not parquet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    require_file(path, limit)
    with pq.ParquetFile(path) as file:
        rows, facts = file.metadata.num_rows, file.metadata
        chunks = [facts.row_group(i).column(k) for i in range(facts.num_row_groups) for k in range(facts.num_columns)]
        values = sum(chunk.num_values for chunk in chunks)
        size = sum(chunk.total_uncompressed_size for chunk in chunks)
        if rows > limit.lines or values > limit.cells:
            raise too_large(
                path, limit, f"{rows:,} rows and {values:,} values, more than {limit.lines:,} and {limit.cells:,}"
            )
        if size > limit.unpacked:
            raise too_large(path, limit, f"unpacks to {size >> 20:,} MiB, more than {limit.unpacked >> 20:,} MiB")
        kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
        types = {field.name: field.type for field in file.schema_arrow}
        types = {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, kind in types.items()}
        texts = [name for name, kind in types.items() if any(is_kind(kind) for is_kind in kinds)]
    length = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for group in range(file.num_row_groups if texts else 0):
            for chunk in (part for column in file.read_row_group(group, columns=texts) for part in column.chunks):
                lengths = pc.binary_length(chunk.dictionary)
                length += pc.sum(pc.cast(lengths.take(chunk.indices), pa.int64())).as_py() or 0
                if length > limit.unpacked:
                    raise too_large(path, limit, f"its texts have more than {limit.unpacked >> 20:,} MiB")


def _mapped(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    texts = [place for place, kind in enumerate(table.dtypes) if _holds_texts(kind)]
    changed = {place: table.iloc[:, place].map(change) for place in texts}
    columns = [changed.get(place, table.iloc[:, place]) for place in range(table.shape[1])]
    result = pd.concat(columns, axis=1) if columns else table.copy()
    result.columns = [change(name) for name in table.columns]
    return result


def _holds_texts(kind: Any) -> bool:
    return bool(
        pd.api.types.is_object_dtype(kind)
        or pd.api.types.is_string_dtype(kind)
        or isinstance(kind, pd.CategoricalDtype)
    )
