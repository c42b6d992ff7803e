"""The content of an archive: a checksum of its files by relative path, whatever their times and where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from seismag.domain import DataError
from seismag.files import path_of_text, text_of_path
from seismag.limits import RECORDING, open_file
from seismag.machine import raise_if_of_machine
from seismag.parallel import Progress, silent

_PART_FILES = 256  # between two calls of progress


def file_contents(archive: Path, files: list[Path], workers: int = 1, progress: Progress = silent) -> dict[str, str]:
    """Return the sha256 of each file by relative path, in order; each is read once, by ``workers`` threads.

    Args:
        files: below ``archive``, in the order of ``find_files``. One that cannot be read has the reason instead.
    """
    contents: dict[str, str] = {}
    with ThreadPoolExecutor(max(1, workers)) as threads:
        for first in range(0, len(files), _PART_FILES):
            part = files[first : first + _PART_FILES]
            for path, content in zip(part, threads.map(_content_of, part), strict=True):
                contents[text_of_path(path.relative_to(archive))] = content
            progress("checksums", first + len(part), len(files))
    return contents


def content_sha256(contents: Mapping[str, str]) -> str:
    """Return a checksum of relative paths and contents (``file_contents``)."""
    lines = "".join(f"{path}|{content}\n" for path, content in contents.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def require_same_content(archive: Path, contents: Mapping[str, str], survey: pd.DataFrame) -> None:
    """Compare the files that were surveyed with their contents at the beginning.

    Args:
        contents: as ``file_contents`` returned them.
        survey: columns path and sha256 (missing: the file could not be used).

    Raises:
        DataError: a file was changed or removed meanwhile.
    """
    listed = survey[survey["path"].isin(list(contents))]
    read = listed.dropna(subset="sha256")
    changed = read.loc[read["sha256"] != read["path"].map(contents), "path"].tolist()
    unread = listed.loc[listed["sha256"].isna(), "path"].drop_duplicates()  # refused, and few
    changed += [path for path in unread if _content_of(path_of_text(archive, path)) != contents[path]]
    if changed:
        raise DataError(
            f"{archive}: {len(set(changed))} of {len(contents)} files were changed or removed while the archive was "
            f"read, the first: {min(changed)}. Give the same command again when nothing writes into the archive."
        )


def _content_of(path: Path) -> str:
    try:
        with open_file(path, RECORDING) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # has readinto
    except DataError as error:  # refused by name when it is read
        return error.reason
    except OSError as error:
        raise_if_of_machine(error, path)
        return "unreadable"
