"""Documents (JSON) and tables of earlier commands, checked where they are read: names, types, no infinite number.

A document has a pydantic model, a table a ``Columns``. Both refuse with one form of message: file, key or column, what
was found (shortened), what is expected, and how it is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from seismag.arrays import Float32Array, read_array
from seismag.domain import DataError, SeismagError
from seismag.files import is_nested_deeply, read_checked_json, read_json
from seismag.machine import raise_if_of_machine
from seismag.table_files import read_csv, read_parquet
from seismag.text import one_line, shortened

EXACT = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, frozen=True)
_MOST_SHOWN = 3  # problems of a document that a message names
Columns = Mapping[str, str]  # by column its kind; "?" after it: cells may be empty; "column?": may be absent
Schema = TypeVar("Schema")


class Document(BaseModel):
    """A JSON document, or a part of one: types are not converted, and keys of a later version are kept."""

    model_config = EXACT


def check_document(schema: type[Schema], document: object, source: str | Path, remedy: str) -> Schema:
    """Compare a document with its schema, a pydantic model or a dataclass.

    Args:
        schema: what is expected.
        document: plain values, as JSON has them.
        source: the file, for the message.
        remedy: a sentence on how it is made again.

    Returns:
        The values by the names of the schema.

    Raises:
        DataError: names the first keys that are missing or of another type.
    """
    if is_nested_deeply(document):
        raise DataError(f"{source}: nested too deeply. {remedy}".rstrip(), "damaged_document")
    try:
        return TypeAdapter(schema).validate_python(document)
    except ValidationError as error:
        entries = error.errors(include_url=False)
        problems = [_problem(entry) for entry in entries[:_MOST_SHOWN]]
        more = f" ({len(entries) - len(problems)} more such problems)" if len(entries) > len(problems) else ""
        raise DataError(f"{source}: {'; '.join(problems)}{more}. {remedy}".rstrip(), "damaged_document") from None


def _problem(entry: Any) -> str:
    key = one_line("/".join(map(str, entry["loc"])), 80) or "the document"
    if entry["type"] == "missing":
        return f"{key} is missing"
    if entry["type"] == "extra_forbidden":
        return f"{key} is not a known key"
    wanted = one_line(entry["msg"].removeprefix("Value error, "), 200)
    for start in ("Input should be ", "Input should "):
        wanted = wanted.removeprefix(start)
    return f"{key} is {shortened(entry['input'])}, expected is {wanted}"


def read_document(path: Path, schema: type[Schema], remedy: str, *, signed: bool = False) -> dict[str, Any]:
    """Read a JSON document and check it.

    Args:
        path: of the document.
        schema: what is expected; keys beside it are kept.
        remedy: a sentence on how it is made again.
        signed: it contains the checksum of its own content (``write_checked_json``), which is verified.

    Returns:
        The document as it is.

    Raises:
        SeismagError: the file cannot be read, or is not JSON.
        DataError: it does not fit the schema, or was changed after it was written.
    """
    document = read_checked_json(path, remedy) if signed else read_json(path, remedy)
    check_document(schema, document, path, remedy)
    return dict(document)


@contextmanager
def damage_explained(what: str | Path, remedy: str) -> Iterator[None]:
    """Turn an error of another library, or of a place that no schema describes, into one with file and remedy."""
    try:
        yield
    except (SeismagError, MemoryError):
        raise
    except Exception as error:
        raise_if_of_machine(error, what)
        reason = one_line(f"{type(error).__name__}: {error}", 300)
        raise DataError(f"{what}: cannot be read ({reason}). {remedy}") from error


def read_frame(path: Path, columns: Columns, remedy: str) -> pd.DataFrame:
    """Read a table of parquet, or of CSV by its ending, and check it as ``check_columns`` does.

    Raises:
        DataError: it cannot be read, or does not fit.
    """
    if not path.is_file():
        raise DataError(f"{path}: cannot be read (no such file). {remedy}")
    with damage_explained(path, remedy):
        frame = read_csv(path) if path.suffix == ".csv" else read_parquet(path)
    check_columns(frame, columns, path, remedy)
    return frame


def check_columns(frame: pd.DataFrame, columns: Columns, source: str | Path, remedy: str) -> None:
    """Refuse a table of which a column is missing, occurs twice or is of another type.

    Args:
        frame: the table; without a row it has no types.
        columns: kind by column: text, name (text or a number), texts (lists), time (naive UTC), number, whole, flag,
            or the allowed texts joined by "|". A kind ending in "?" may be empty in some rows; a column ending in "?"
            may be absent.
        source: the file, for the message.
        remedy: a sentence on how it is made again.

    Raises:
        DataError: names the column, the first row, what was found there and what is expected.
    """
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{source}: the column {shortened(twice[0])} occurs twice. {remedy}", "damaged_table")
    for name, kind in columns.items():
        column = name.removesuffix("?")
        if column not in frame:
            if name == column:
                known = shortened(", ".join(names), 300)
                raise DataError(f"{source}: has no column {column}; its columns: {known}. {remedy}", "damaged_table")
            continue
        wrong = ~_fits(frame[column], kind) if len(frame) else np.zeros(0, dtype=bool)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            wanted = _KINDS[kind.removesuffix("?")][0] if kind.removesuffix("?") in _KINDS else f"one of {kind}"
            raise DataError(
                f"{source}: {column} in row {row} is {shortened(frame[column].iloc[row])}, expected is {wanted} "
                f"({int(wrong.sum())} such rows). {remedy}",
                "damaged_table",
            )


def _fits(values: pd.Series, kind: str) -> np.ndarray:
    """Whether each cell is of a kind, (n,)."""
    plain = kind.removesuffix("?")
    fits = _KINDS[plain][1](values) if plain in _KINDS else values.isin(plain.split("|")).to_numpy()
    return fits | values.isna().to_numpy() if kind != plain else fits


def _each(is_kind: Callable[[Any], bool]) -> Callable[[pd.Series], np.ndarray]:
    def fits(values: pd.Series) -> np.ndarray:
        if isinstance(values.dtype, pd.CategoricalDtype):
            of_category = np.array([*map(is_kind, values.cat.categories), False], dtype=bool)
            return of_category[values.cat.codes]
        return np.array([is_kind(value) for value in values], dtype=bool)

    return fits


def _of_type(is_type: Callable[[Any], bool]) -> Callable[[pd.Series], np.ndarray]:
    return lambda values: np.full(len(values), is_type(values.dtype)) & values.notna().to_numpy()


def _are_texts(cell: Any) -> bool:
    return isinstance(cell, (list, tuple, np.ndarray)) and all(isinstance(entry, str) for entry in cell)


_types = pd.api.types
_KINDS: Mapping[str, tuple[str, Callable[[pd.Series], np.ndarray]]] = {
    "text": ("text", _each(lambda cell: isinstance(cell, str))),
    "name": ("a text or a number", _each(lambda cell: isinstance(cell, (str, float, int, np.generic)))),
    "texts": ("a list of texts", _each(_are_texts)),
    "time": ("a time (UTC, without a zone)", _of_type(_types.is_datetime64_dtype)),
    "number": ("a number", _of_type(lambda kind: _types.is_numeric_dtype(kind) and not _types.is_bool_dtype(kind))),
    "whole": ("a whole number", _of_type(_types.is_integer_dtype)),
    "flag": ("true or false", _of_type(_types.is_bool_dtype)),
}


def read_embeddings(path: Path, rows: int, remedy: str) -> Float32Array:
    """Read ``embeddings.npy``, one row for each prediction; code in the file is never executed.

    Raises:
        DataError: no array (rows, features) of finite numbers.
    """
    with damage_explained(path, remedy):
        array = read_array(path)
    if array.ndim != 2 or len(array) != rows or not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{path}: is an array {shortened(array.shape)} of {array.dtype}, expected are {rows} rows of numbers, one "
            f"for each prediction. {remedy}"
        )
    if not np.isfinite(array).all():
        raise DataError(f"{path}: contains numbers that are not finite. {remedy}")
    return array
