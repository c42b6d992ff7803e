"""The content of an archive: a checksum of its files by relative path, whatever their times and where they lie."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seismag.domain import DataError
from seismag.files import text_of_path
from seismag.limits import RECORDING, open_file
from seismag.parallel import Progress, silent

_PART_FILES = 256  # between two calls of progress


def content_sha256(archive: Path, files: list[Path], workers: int = 1, progress: Progress = silent) -> str:
    """Return a checksum of relative paths and contents; each file is read once, by ``workers`` threads.

    Args:
        files: below ``archive``, in the order of ``find_files``. One that cannot be read counts by the reason.
    """
    digest = hashlib.sha256()
    with ThreadPoolExecutor(max(1, workers)) as threads:
        for first in range(0, len(files), _PART_FILES):
            part = files[first : first + _PART_FILES]
            for path, content in zip(part, threads.map(_content_of, part), strict=True):
                digest.update(f"{text_of_path(path.relative_to(archive))}|{content}\n".encode())
            progress("checksums", first + len(part), len(files))
    return digest.hexdigest()


def _content_of(path: Path) -> str:
    try:
        with open_file(path, RECORDING) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # has readinto
    except DataError as error:  # refused by name when it is read
        return error.reason
    except OSError:
        return "unreadable"
