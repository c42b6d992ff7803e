"""Limits of what is read, by kind of input: regular files alone, of at most so many bytes as stored and unpacked.

Every reader of a file that people name goes through ``read_file`` or ``require_file``. The limits are far above real
files (docs/data-formats.md); they keep a damaged or hostile one from filling the memory, or from being waited for.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from seismag.domain import DataError
from seismag.machine import raise_if_of_machine

MIB = 1 << 20
_BLOCK_BYTES = 1 << 20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class InputLimit:
    """Limits of one kind of input.

    Attributes:
        what: the kind, for messages.
        stored: bytes of the file.
        unpacked: bytes after unpacking.
        lines, cells: of text that is split; rows and values of parquet.
        remedy: a sentence.
    """

    what: str
    stored: int
    unpacked: int
    remedy: str
    lines: int = 0
    cells: int = 0


# A text of this size that is refused in its last line takes 1 GB; a day at 10 Hz has 62 MB.
RECORDING = InputLimit("a recording", 112 * MIB, 112 * MIB, "Divide it into days.")
TABLE = InputLimit(
    "a table", 128 * MIB, 256 * MIB, "Divide it into years; several catalogues can be read.",
    lines=2_000_000, cells=12_000_000,
)  # fmt: skip
QUAKEML = InputLimit("QuakeML", 128 * MIB, 128 * MIB, "Divide it into years, or take CSV.", cells=6_000_000)
LABELS = InputLimit(
    "a table of windows", 256 * MIB, 512 * MIB, "Evaluate fewer runs at a time.", lines=4_000_000, cells=60_000_000
)
CONFIGURATION = InputLimit("a configuration", MIB // 4, MIB // 4, "Name a configuration (YAML or JSON).")
DOCUMENT = InputLimit("a document in JSON", 32 * MIB, 32 * MIB, "Make it again with the command that wrote it.")
MODEL_CARD = InputLimit("a model card", 16 * MIB, 16 * MIB, "Get the one that was made with the model.")
WEIGHTS = InputLimit("a model", 4096 * MIB, 4096 * MIB, "Name the weights alone, without the state of the optimiser.")
PICTURE = InputLimit("a picture", 32 * MIB, 64 * MIB, "Take the pictures of the data set as they are.", cells=1 << 24)


def require_file(path: Path, limit: InputLimit) -> int:
    """Return the bytes of a regular file, after following links.

    Raises:
        DataError: ``unreadable``, ``not_a_file`` (a folder, pipe, socket or device) or ``too_large``.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return _require(status, path, limit)


def open_file(path: Path, limit: InputLimit) -> BinaryIO:
    """Open a regular file for reading; a pipe that takes its place is not waited for.

    Raises:
        DataError: as ``require_file``.
    """
    require_file(path, limit)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise _unreadable(path, error) from error
    stream = os.fdopen(handle, "rb")
    try:
        _require(os.fstat(handle), path, limit)
    except DataError:
        stream.close()
        raise
    return stream


def read_file(path: Path, limit: InputLimit) -> bytes:
    """Read a whole regular file.

    Raises:
        DataError: as ``require_file``; also where it has more bytes than it states.
    """
    with open_file(path, limit) as stream:
        try:
            raw = stream.read(os.fstat(stream.fileno()).st_size + _BLOCK_BYTES)
            if len(raw) > limit.stored or stream.read(1):  # it grows while it is read, or states no size (/proc)
                raise too_large(path, limit)
        except OSError as error:
            raise _unreadable(path, error) from error
    return raw


def read_text(path: Path, limit: InputLimit) -> str:
    """Read a text file in UTF-8 (UnicodeDecodeError: it is not).

    Raises:
        DataError: as ``read_file``.
    """
    return read_file(path, limit).decode("utf-8")


def require_splittable(payload: bytes, path: Path, limit: InputLimit, delimiters: bytes = b",;\t|") -> None:
    """Refuse text of more lines or cells than the limit, before it is split.

    Raises:
        DataError: ``too_large``.
    """
    lines = payload.count(b"\n") + payload.count(b"\r")
    if lines > 2 * limit.lines or payload.count(b"\n") > limit.lines:
        raise too_large(path, limit, f"{lines:,} lines, more than {limit.lines:,}")
    cells = sum(payload.count(delimiter) for delimiter in (delimiters[i : i + 1] for i in range(len(delimiters))))
    if cells > limit.cells:
        raise too_large(path, limit, f"{cells:,} separators of cells, more than {limit.cells:,}")


def too_large(path: str | Path, limit: InputLimit, found: str = "") -> DataError:
    """Make the error of an input that is larger than its kind may be."""
    found = found or f"more than {_megabytes(limit.stored)}"
    return DataError(f"{path}: {found}, the limit of {limit.what}. {limit.remedy}", "too_large")


def unpacks_to_more(path: str | Path, limit: InputLimit) -> DataError:
    """Make the error of an archive that unpacks to more than its kind may have."""
    return too_large(path, limit, f"unpacks to more than {_megabytes(limit.unpacked)}")


def _require(status: os.stat_result, path: Path, limit: InputLimit) -> int:
    if not stat.S_ISREG(status.st_mode):
        found = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no regular file")
        raise DataError(f"{path}: this is {found}, not a file. Name a file.", "not_a_file")
    if status.st_size > limit.stored:
        raise too_large(path, limit, f"{status.st_size:,} bytes, more than {_megabytes(limit.stored)}")
    return status.st_size


def _unreadable(path: Path, error: OSError | ValueError) -> DataError:
    raise_if_of_machine(error, path)
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"{path}: cannot be read ({reason}). Name a file that exists and may be read.", "unreadable")


def _megabytes(size: int) -> str:
    if size < MIB:
        return f"{size / 1024:,.0f} KiB"
    return f"{size / MIB:,.0f} MiB"
