"""Unpack gzip and zip archives, recognised by content.

isal unpacks a day file about twice as fast as zlib; both check the CRC-32.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

from isal import igzip, igzip_lib, isal_zlib

from seismag.domain import DataError

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the second one is an archive without members
UNPACKED_LIMIT = 1 << 29  # 512 MiB: a day at 10 Hz as text has 62 MB
_GZIP_WBITS = 31
_HEAD_BYTES = 1 << 14
_SUFFIX_OF_COPY = "Copy the file again from its source."


def decompress(raw: bytes, path: str | Path) -> bytes:
    """Return the content of a gzip or zip archive, or ``raw`` itself.

    Raises:
        DataError: the archive is corrupt, truncated or encrypted (``corrupt_archive``), other bytes
            follow a gzip (``trailing_garbage``), it unpacks to more than 512 MiB (``too_large``), or a
            zip contains no or several data files (``empty_archive``, ``several_members``).
    """
    if raw.startswith(GZIP_MAGIC):
        return _gunzip(raw, path)
    if raw.startswith(ZIP_MAGICS):
        return _unzip(raw, path)
    return raw


def read_head(path: Path) -> bytes:
    """Return the first 16 KiB of a file, unpacked; empty where it cannot be read."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_HEAD_BYTES)
            if raw.startswith(GZIP_MAGIC):
                return zlib.decompressobj(_GZIP_WBITS).decompress(raw, _HEAD_BYTES)
            if raw.startswith(ZIP_MAGICS):
                with zipfile.ZipFile(stream) as archive, archive.open(_single_member(archive, path)) as member:
                    return member.read(_HEAD_BYTES)
            return raw
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, DataError):
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


def _gunzip(raw: bytes, path: str | Path) -> bytes:
    members: list[bytes] = []
    rest = raw
    room = UNPACKED_LIMIT
    while rest.strip(b"\0"):  # tape tools pad archives with zeros
        if not rest.startswith(GZIP_MAGIC):
            raise DataError(
                f"{path}: {len(rest)} bytes that are not gzip follow the archive. {_SUFFIX_OF_COPY}", "trailing_garbage"
            )
        stream = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
        try:
            members.append(stream.decompress(rest, room + 1))
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # a class, the stub says otherwise
            raise _corrupt(path, "gzip", str(error)) from error
        room -= len(members[-1])
        if room < 0:
            raise _too_large(path)
        if not stream.eof:
            raise _corrupt(path, "gzip", "it is truncated")
        rest = stream.unused_data
    return members[0] if len(members) == 1 else b"".join(members)


def _unzip(raw: bytes, path: str | Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            member = _single_member(archive, path)
            with archive.open(member) as stream:
                payload = stream.read(UNPACKED_LIMIT + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise _corrupt(path, "zip", str(error) or "it is truncated") from error
    if len(payload) > UNPACKED_LIMIT:
        raise _too_large(path)
    if len(payload) != member.file_size:
        raise _corrupt(path, "zip", f"{len(payload)} bytes unpacked, {member.file_size} announced")
    return payload


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


def _too_large(path: str | Path) -> DataError:
    return DataError(f"{path}: unpacks to more than {UNPACKED_LIMIT >> 20} MiB, the limit.", "too_large")
