"""The door to recordings: one call reads any supported file, chosen by its content.

``read_recording(path)`` decompresses (.gz, .zip by content), asks each format whether the first
bytes are its own, and hands over. A reader is a module with ``detect(head) -> bool`` and
``read(payload, path, sha256) -> Recording``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

from seismag.domain import DataError
from seismag.recordings import cdf, frg604rc, iaga2002, miniseed
from seismag.recordings.compression import decompress
from seismag.recordings.recording import Recording

__all__ = ["Recording", "decode_recording", "format_of", "is_marked", "read_recording"]

FORMATS: tuple[ModuleType, ...] = (frg604rc, iaga2002, cdf, miniseed)


def read_recording(path: str | Path) -> Recording:
    """Read one file of any supported format.

    Raises:
        DataError: the file is missing, empty, corrupt, of an unknown format, or contradicts
            itself; ``reason`` holds a short word for it.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "unreadable") from error
    return decode_recording(raw, path)


def decode_recording(raw: bytes, path: Path) -> Recording:
    """Read one recording from the bytes of the file ``path``; for what it raises see ``read_recording``."""
    if not raw:
        raise DataError(f"{path}: the file is empty (0 bytes). Copy it again from its source.", "empty_file")
    payload = decompress(raw, path)
    if not payload:
        raise DataError(f"{path}: the archive holds an empty file. Copy it again from its source.", "empty_file")
    sha256 = hashlib.sha256(raw).hexdigest()
    reader = _reader_of(payload[:4096])
    if reader is None:
        raise DataError(f"{path}: {_describe(payload)}", "unknown_format")
    recording: Recording = reader.read(payload, path, sha256)
    return recording


def format_of(head: bytes) -> str:
    """Name the format of a file by the first bytes of what is packed in it; "" for none that seismag reads."""
    reader = _reader_of(head[:4096])
    return "" if reader is None else str(reader.NAME)


def is_marked(head: bytes) -> bool:
    """Tell by the same bytes whether the file says that seismag made or changed it."""
    reader = _reader_of(head[:4096])
    return reader in (frg604rc, iaga2002) and bool(reader.is_marked(head))


def _reader_of(head: bytes) -> ModuleType | None:
    return next((reader for reader in FORMATS if reader.detect(head)), None)


def _describe(payload: bytes) -> str:
    head = payload[:512].lstrip().lower()
    if head.startswith((b"<html", b"<!doctype")):
        return "this is a web page (HTML), not magnetometer data. Download the file again."
    return (
        f"not a format that seismag reads (FRG-604RC, IAGA-2002, ImagCDF, miniSEED); it begins with {payload[:16]!r}."
    )
