"""Readers of recordings: ``read_recording`` recognises compression and format by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from seismag.domain import DataError
from seismag.recordings.cdf import CDF
from seismag.recordings.compression import decompress
from seismag.recordings.frg604rc import FRG604RC
from seismag.recordings.iaga2002 import IAGA2002
from seismag.recordings.miniseed import MINISEED
from seismag.recordings.reader import Reader
from seismag.recordings.recording import Recording

__all__ = ["Recording", "decode_recording", "format_of", "is_marked", "read_recording", "reader_of"]

FORMATS = (FRG604RC, IAGA2002, CDF, MINISEED)


def read_recording(path: str | Path) -> Recording:
    """Read one file of any supported format.

    Raises:
        DataError: the file is missing, empty, corrupt, of an unknown format, or contradicts
            itself; ``reason`` is a short word for it.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "unreadable") from error
    return decode_recording(raw, path)


def decode_recording(raw: bytes, path: Path) -> Recording:
    """Read one recording from the bytes of the file ``path``; raises as ``read_recording``."""
    if not raw:
        raise DataError(f"{path}: the file is empty (0 bytes). Copy it again from its source.", "empty_file")
    payload = decompress(raw, path)
    if not payload:
        raise DataError(f"{path}: the archive contains an empty file. Copy it again from its source.", "empty_file")
    sha256 = hashlib.sha256(raw).hexdigest()
    reader = reader_of(payload)
    if reader is None:
        raise DataError(f"{path}: {_describe(payload)}", "unknown_format")
    return reader.read(payload, path, sha256)


def format_of(head: bytes) -> str:
    """Return the format of a file by its first unpacked bytes; "" for an unknown one."""
    reader = reader_of(head)
    return "" if reader is None else reader.name


def is_marked(head: bytes) -> bool:
    """Return whether these bytes mark a file as made or changed by seismag."""
    reader = reader_of(head)
    return reader is not None and reader.is_marked(head)


def reader_of(head: bytes) -> Reader | None:
    """Return the reader of a file by its first unpacked bytes."""
    return next((reader for reader in FORMATS if reader.detect(head[:4096])), None)


def _describe(payload: bytes) -> str:
    head = payload[:512].lstrip().lower()
    if head.startswith((b"<html", b"<!doctype")):
        return "this is a web page (HTML), not magnetometer data. Download the file again."
    return (
        f"not a format that seismag reads (FRG-604RC, IAGA-2002, ImagCDF, miniSEED); it begins with {payload[:16]!r}."
    )
