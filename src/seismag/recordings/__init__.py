"""Readers of recordings: ``read_recording`` recognises compression and format by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.recordings.cdf import CDF
from seismag.recordings.compression import decompress, read_head
from seismag.recordings.frg604rc import FRG604RC, day_in_name
from seismag.recordings.iaga2002 import IAGA2002
from seismag.recordings.identity import days_in_name
from seismag.recordings.miniseed import MINISEED
from seismag.recordings.reader import NO_DAYS, Reader
from seismag.recordings.recording import Recording

__all__ = ["Recording", "decode_recording", "read_claim", "read_recording", "reader_of"]

FORMATS = (FRG604RC, IAGA2002, CDF, MINISEED)


def read_recording(path: str | Path) -> Recording:
    """Read one file of any supported format.

    Raises:
        DataError: the file is missing, empty, corrupt, of an unknown format, or contradicts
            itself, or its reader fails; ``reason`` is a short word for it.
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
        if payload[:512].lstrip().lower().startswith((b"<html", b"<!doctype")):
            what = "this is a web page (HTML), not magnetometer data. Download the file again."
        else:
            what = (
                "not a format that seismag reads (FRG-604RC, IAGA-2002, ImagCDF, miniSEED); it begins with "
                f"{payload[:16]!r}."
            )
        raise DataError(f"{path}: {what}", "unknown_format")
    try:
        return reader.read(payload, path, sha256)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # one odd file ends neither a preparation nor a prediction
        raise DataError(
            f"{path}: {type(error).__name__}: {error}. This is an error of the reader of {reader.name}; please report "
            "it.",
            "reader_error",
        ) from error


def reader_of(head: bytes) -> Reader | None:
    """Return the reader of a file by its first unpacked bytes."""
    return next((reader for reader in FORMATS if reader.detect(head[:4096])), None)


def read_claim(path: Path) -> tuple[str, NDArray[np.datetime64]]:
    """Return station ("" unknown) and UTC days (empty: unknown) of a file that cannot be read, for reports only.

    They are those of its name; what is missing there comes from its header, if readable.
    """
    code, days = day_in_name(path.name) or days_in_name(path.name)
    if not code or not days.size:
        head = read_head(path)
        reader = reader_of(head)
        stated_code, stated_days = ("", NO_DAYS) if reader is None else reader.read_claim(head)
        code, days = code or stated_code, days if days.size else stated_days
    return code, days
