"""Files that are either whole or absent, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.disk_space import FullDiskError, is_full_disk
from seismag.domain import DataError
from seismag.limits import DOCUMENT, read_file
from seismag.text import one_line

_HASH_BLOCK_BYTES = 1 << 20
_OWN_CHECKSUM = "document_sha256"  # of a JSON document without this key
_MOST_LEVELS = 60  # of lists and mappings in a document
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
# of atomic_path: host, process, random; of Zarr and of earlier versions: random
_TEMPORARY = re.compile(
    r"\..+\.(?:(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}|[0-9a-f]{32})\.tmp(?:\.[^.]+)?|.+\.[0-9a-f]{32}\.partial"
)
_PATH_START = r"(?<![^\s\"'`(=])"  # of a path within a text


def short_path(path: Path) -> Path:
    """Name a path relative to the present folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def shown_path(path: str | Path) -> str:
    """Name a path in what may be published: relative to the present folder, elsewhere by its last part alone."""
    short = short_path(Path(path))
    return short.name if short.is_absolute() else str(short)


def without_folders(value: Any) -> Any:
    """Replace each absolute path in the texts of a document by ``shown_path``: folders of a machine are private."""
    if isinstance(value, str):
        below = re.sub(_PATH_START + re.escape(f"{Path.cwd()}/"), "", value)  # also where its name has spaces
        return re.sub(_PATH_START + r"/[^\s/\"'`]+/[^\s\"'`,;:)]*", lambda found: shown_path(found[0]), below)
    if isinstance(value, Mapping):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(entry) for entry in value]
    return value


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` that replaces it when the block ends without an error.

    Raises:
        OSError: ENOSPC with the name of the file, whatever a library raised because of a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except Exception as error:
        is_named = isinstance(error, FullDiskError) or (isinstance(error, OSError) and error.filename is not None)
        if is_full_disk(error) and not is_named:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def is_left_over(name: str) -> bool:
    """Whether a file is the temporary one of a run that is dead, by its name.

    A process of this host is dead if it does not exist. Of other hosts this is not known: ask only for a folder whose
    lock is held, where they may not write.
    """
    found = _TEMPORARY.fullmatch(name)
    if found is None:
        return False
    if found["host"] != _HOST:
        return True
    if os.name != "posix":  # there signal 0 is a signal
        return False
    try:
        os.kill(int(found["process"]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # a process of another user
        return False
    return False


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8; a reader sees the old content or the new, never a part."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json_atomic(path: str | Path, value: Any) -> None:
    """Write JSON; numpy numbers and paths are converted, NaN and infinity become null (JSON has neither)."""
    write_text_atomic(path, json.dumps(json_ready(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_checked_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a JSON document with a checksum of its own content in the key ``document_sha256``."""
    document = json_ready({key: entry for key, entry in value.items() if key != _OWN_CHECKSUM})
    write_json_atomic(path, {**document, _OWN_CHECKSUM: _checksum(document)})


def read_checked_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a document of ``write_checked_json``.

    Args:
        path: of the document.
        remedy: a sentence on how it is made again.

    Raises:
        SeismagError: the file cannot be read.
        DataError: it is not such a document, or was changed after it was written.
    """
    document = read_json(path, remedy)
    if not isinstance(document, dict) or _OWN_CHECKSUM not in document:
        raise DataError(f"{path}: has no checksum of its own ({_OWN_CHECKSUM}), so it cannot be verified. {remedy}")
    if _checksum({key: entry for key, entry in document.items() if key != _OWN_CHECKSUM}) != document[_OWN_CHECKSUM]:
        raise DataError(f"{path}: was changed after it was written: its content is not that of its checksum. {remedy}")
    return document


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """Sum of a file's bytes, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path, remedy: str = "Restore it or make it again.") -> Any:
    """Read a JSON document.

    Raises:
        DataError: the file cannot be read, is too large (32 MiB), or is not JSON; ``remedy`` ends the message.
    """
    return parse_json(read_file(path, DOCUMENT), str(path), remedy)


def parse_json(content: str | bytes, source: str, remedy: str) -> Any:
    """Parse a JSON document in UTF-8, without the NaN and Infinity that Python adds to JSON.

    Raises:
        DataError: not JSON, or nested too deeply to be read; names ``source`` and ``remedy``.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
        if not is_nested_deeply(document):
            return document
        reason = "nested too deeply"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = one_line(error, 200)
    raise DataError(f"{source}: not valid JSON ({reason}). {remedy}".rstrip(), "damaged_document")


def is_nested_deeply(document: object) -> bool:
    """Whether lists and mappings are nested in more levels than any document has; some functions are recursive."""
    level = [document]
    for _ in range(_MOST_LEVELS):
        level = [
            child
            for entry in level
            if isinstance(entry, (dict, list, tuple))
            for child in (entry.values() if isinstance(entry, dict) else entry)
            if isinstance(child, (dict, list, tuple))
        ]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def json_ready(value: Any) -> Any:
    """Turn numpy values, times and paths into what JSON holds; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_ready(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (datetime, Path)):
        return utc_text(value) if isinstance(value, datetime) else str(value)
    return value


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a parquet file that appears whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def utc_text(moment: datetime) -> str:
    """Write a time of UTC as ``2021-03-04T05:06:07Z``."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def text_of_path(relative: Path) -> str:
    r"""Return a relative path as text that any file can hold; what ``printable`` changes is written as ``\xe9``."""
    return printable(relative.as_posix())


def printable(text: str) -> str:
    r"""Write control characters, and the bytes of a file name that are no UTF-8, as ``\x1b`` and ``\xe9``."""
    escaped = re.sub(r"[\0-\x1f\x7f]", lambda sign: f"\\x{ord(sign[0]):02x}", text)
    return os.fsencode(escaped).decode("utf-8", "backslashreplace")


def path_of_text(folder: Path, text: str) -> Path:
    """Return the path below ``folder`` that ``text_of_path`` wrote."""
    plain = folder / text
    if plain.exists() or "\\x" not in text:
        return plain
    escaped = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return folder / os.fsdecode(escaped)
