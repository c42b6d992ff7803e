"""Unpack gzip and zip archives, recognised by content.

isal unpacks a day file about twice as fast as zlib; both check the CRC-32.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from isal import igzip, igzip_lib, isal_zlib

from seismag.domain import DataError
from seismag.limits import RECORDING, InputLimit, open_file, read_file, unpacks_to_more
from seismag.machine import raise_if_of_machine

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the second one is an archive without members
UNPACKED_LIMIT = RECORDING.unpacked  # a day at 10 Hz as text has 62 MB
_GZIP_WBITS = 31
_FIRST_BYTES, _FURTHER_BYTES = 1 << 20, 1 << 22  # of a gzip member that are given to the decoder at once
_BLOCK_BYTES = 1 << 25  # unpacked at once
_MEMBERS = 20_000  # of one archive; blocked gzip has 4,096 of 64 KiB in 256 MiB
_HEAD_BYTES = 1 << 14
_SUFFIX_OF_COPY = "Copy the file again from its source."


def decompress(raw: bytes, path: str | Path, limit: InputLimit | None = None) -> bytes:
    """Return the content of a gzip or zip archive, or ``raw`` itself.

    Raises:
        DataError: the archive is corrupt, truncated or encrypted (``corrupt_archive``), other bytes
            follow a gzip (``trailing_garbage``), it unpacks to more than ``limit`` or has more than 20,000 members
            (``too_large``), or a zip contains no or several data files (``empty_archive``, ``several_members``).
    """
    limit = replace(RECORDING, unpacked=UNPACKED_LIMIT) if limit is None else limit
    if raw.startswith(GZIP_MAGIC):
        return _gunzip(raw, path, limit)
    if raw.startswith(ZIP_MAGICS):
        return _unzip(raw, path, limit)
    return raw


def read_head(path: Path) -> bytes:
    """Return the first 16 KiB of a file, unpacked; empty where it cannot be read."""
    try:
        with open_file(path, RECORDING) as stream:
            raw = stream.read(_HEAD_BYTES)
        if raw.startswith(GZIP_MAGIC):
            return zlib.decompressobj(_GZIP_WBITS).decompress(raw, _HEAD_BYTES)
        if raw.startswith(ZIP_MAGICS):
            whole = read_file(path, RECORDING)
            _require_few_members(whole, path, RECORDING)
            with zipfile.ZipFile(io.BytesIO(whole)) as archive, archive.open(_single_member(archive, path)) as member:
                return member.read(_HEAD_BYTES)
        return raw
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, DataError) as error:
        raise_if_of_machine(error, path)
        return b""


def pack_like(payload: bytes, raw: bytes) -> bytes:
    """Compress ``payload`` like ``raw``: gzip, a zip with the same members, or not at all."""
    if raw.startswith(GZIP_MAGIC):
        packed: bytes = igzip.compress(payload, compresslevel=3, mtime=0)
        return packed
    if not raw.startswith(ZIP_MAGICS):
        return payload
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info, old.read(info) if _is_litter(info.filename) else payload)
    return out.getvalue()


def _gunzip(raw: bytes, path: str | Path, limit: InputLimit) -> bytes:
    blocks: list[bytes] = []
    place = 0
    room = limit.unpacked
    for _ in range(_MEMBERS):
        if not raw.startswith(GZIP_MAGIC, place):
            if not raw[place:].strip(b"\0"):  # tape tools pad archives with zeros
                return blocks[0] if len(blocks) == 1 else b"".join(blocks)
            raise DataError(
                f"{path}: {len(raw) - place} bytes that are not gzip follow the archive. {_SUFFIX_OF_COPY}",
                "trailing_garbage",
            )
        try:
            for block, end in _member(raw, place, path):
                place = end
                blocks.append(block)
                room -= len(block)
                if room < 0:
                    raise unpacks_to_more(path, limit)
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # a class, the stub says otherwise
            raise _corrupt(path, "gzip", str(error)) from error
    raise DataError(f"{path}: has more than {_MEMBERS:,} gzip members. {limit.remedy}", "too_large")


def _member(raw: bytes, place: int, path: str | Path) -> Iterator[tuple[bytes, int]]:
    """Unpack the gzip member that begins at a place: blocks, each with the place behind what it was read from."""
    stream = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    size = _FIRST_BYTES
    while not stream.eof:
        data = raw[place : place + size]
        place, size = place + len(data), _FURTHER_BYTES
        ended = not data
        while not stream.eof:
            block = stream.decompress(data, _BLOCK_BYTES)
            yield block, place - len(stream.unused_data)
            data = stream.unconsumed_tail
            if not data and len(block) < _BLOCK_BYTES:
                break
        if ended and not stream.eof:
            raise _corrupt(path, "gzip", "it is truncated")


def _unzip(raw: bytes, path: str | Path, limit: InputLimit) -> bytes:
    _require_few_members(raw, path, limit)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            member = _single_member(archive, path)
            if member.file_size > limit.unpacked:
                raise unpacks_to_more(path, limit)
            with archive.open(member) as stream:
                payload = stream.read(limit.unpacked + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise _corrupt(path, "zip", str(error) or "it is truncated") from error
    if len(payload) > limit.unpacked:
        raise unpacks_to_more(path, limit)
    if len(payload) != member.file_size:
        raise _corrupt(path, "zip", f"{len(payload)} bytes unpacked, {member.file_size} announced")
    return payload


def _require_few_members(raw: bytes, path: str | Path, limit: InputLimit) -> None:
    """Refuse a zip archive whose list of members would fill the memory."""
    if raw.count(b"PK\x01\x02") > _MEMBERS:
        raise DataError(f"{path}: lists more than {_MEMBERS:,} files. {limit.remedy}", "too_large")


def _single_member(archive: zipfile.ZipFile, path: str | Path) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not _is_litter(info.filename)]
    if not members:
        raise DataError(f"{path}: the zip archive contains no file.", "empty_archive")
    if len(members) > 1:
        names = ", ".join(info.filename for info in members[:4])
        raise DataError(
            f"{path}: the zip archive contains {len(members)} files ({names}), one is the limit. Unpack it first.",
            "several_members",
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{path}: the zip archive is encrypted. Unpack it first.", "corrupt_archive")
    if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: the zip archive is not packed with deflate. Unpack it first.", "corrupt_archive")
    return members[0]


def _is_litter(name: str) -> bool:
    return name.endswith("/") or name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] in (".DS_Store", "Thumbs.db")


def _corrupt(path: str | Path, kind: str, detail: str) -> DataError:
    return DataError(f"{path}: the {kind} archive is damaged ({detail}). {_SUFFIX_OF_COPY}", "corrupt_archive")
