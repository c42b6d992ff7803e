"""A full disk: known before long work where that is possible, and one message whatever library meets it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seismag.domain import SeismagError
from seismag.text import describe_bytes

_FULL = (errno.ENOSPC, errno.EDQUOT)
# C and C++ writers lose the number: the system, NumPy, torch (twice), SQLite; last, no folder for temporary files
_TEXTS = re.compile(
    r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written|PytorchStreamWriter failed writing|"
    r"unexpected pos \d+ vs \d+|disk is full|No usable temporary directory",
    re.IGNORECASE,
)
_SMALL_BYTES = 1 << 20
OTHER_FOLDER = "Free space there, or choose a folder on another disk, and run the same command again."
KEPT = "Free space there and run the same command again: finished parts are kept."


class FullDiskError(SeismagError):
    """A disk has no room; the message states its folder, the bytes that are free and needed, and the remedy."""


@contextmanager
def space_for(folder: Path, needed_bytes: float = 0, remedy: str = OTHER_FOLDER) -> Iterator[None]:
    """Refuse work for which a disk has no room, and explain a disk that becomes full during the work.

    Args:
        folder: that is written into; it may not exist yet.
        needed_bytes: the least that the work needs; 0: not known.
        remedy: end of the message.

    Raises:
        FullDiskError: the disk is full, by what is free or by the error of a writer, in whatever form.
    """
    require_space(folder, needed_bytes, remedy)
    free = _free_bytes(folder)
    try:
        yield
    except FullDiskError:
        raise
    except Exception as error:
        if not is_full_disk(error):
            raise
        raise explain_full_disk(error, (folder,), free, remedy) from error


def require_space(folder: Path, needed_bytes: float, remedy: str = OTHER_FOLDER) -> None:
    """Refuse work that needs more than is free on the disk of a folder (FullDiskError); for the arguments see above."""
    free = _free_bytes(folder)
    if free < needed_bytes:
        facts = f"{describe_bytes(free)} free, about {describe_bytes(needed_bytes)} needed"
        raise FullDiskError(f"{folder}: too little space on the disk ({facts}). {remedy}")


def bytes_below(folder: Path) -> int:
    """Return the bytes of the files in a folder and below it, those of earlier work; 0 where it does not exist."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # gone meanwhile
                size += os.lstat(os.path.join(parent, name)).st_size
    return size


def is_full_disk(error: BaseException) -> bool:
    """Whether a full disk, or a quota that is used up, is the cause of an error."""
    return any(_number(cause) in _FULL or _TEXTS.search(str(cause)) for cause in _causes(error))


def explain_full_disk(
    error: BaseException, folders: tuple[Path, ...], free_before: int | None = None, remedy: str = OTHER_FOLDER
) -> FullDiskError:
    """Word an error of a full disk.

    Args:
        error: for which ``is_full_disk`` is true.
        folders: that were written into, the most likely first; the folder that the error names comes before them.
        free_before: bytes that were free on the first one when the work began; None: not known.
        remedy: end of the message.
    """
    place = _place(error, folders)
    free = describe_bytes(_free_bytes(place))
    known = free_before is not None and folders and _device(place) == _device(folders[0])
    start = f"the {describe_bytes(free_before or 0)} that were free at the start" if known else "that"
    reason = "the disk is full"
    if any(_number(cause) == errno.EDQUOT or "quota exceeded" in str(cause) for cause in _causes(error)):
        reason = "your quota on this disk is used up"
    elif _has_no_inodes(place):
        reason = "the disk has no room for another file (no inodes)"
    return FullDiskError(f"{place}: {reason} ({free} free now; more than {start} is needed). {remedy}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _place(error: BaseException, folders: tuple[Path, ...]) -> Path:
    """Return the folder that an error names, or the one of ``folders`` above it on the same disk.

    Where the error names none: of ``folders`` and the one for temporary files the first full one.
    """
    for cause in _causes(error):
        if not isinstance(cause, OSError) or cause.errno not in _FULL:
            continue
        name = cause.filename2 or cause.filename  # of a copy the second one is written
        if isinstance(name, (str, bytes)) and os.path.isabs(name):
            path = Path(os.fsdecode(name))
            path = path if path.is_dir() else path.parent
            known = [folder for folder in folders if path.is_relative_to(os.path.abspath(folder))]
            same_disk = [folder for folder in known if _device(folder) == _device(path)]
            return (same_disk or [path])[0]
    with suppress(OSError):
        folders = (*folders, Path(tempfile.gettempdir()))
    full = [folder for folder in folders if _free_bytes(folder) < _SMALL_BYTES or _has_no_inodes(folder)]
    return (full or list(folders) or [Path.cwd()])[0]


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    folder = Path(os.path.abspath(folder))
    return next((path for path in (folder, *folder.parents) if path.is_dir()), folder)


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:  # not known, so nothing is refused
        return 1 << 62


def _device(folder: Path) -> int | None:
    try:
        return _existing(folder).stat().st_dev
    except OSError:
        return None


def _has_no_inodes(folder: Path) -> bool:
    try:
        facts = os.statvfs(_existing(folder))
    except (OSError, AttributeError):  # not known, as on Windows
        return False
    return facts.f_files > 0 and facts.f_favail == 0
