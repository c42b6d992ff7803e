"""Errors of the machine, which say nothing about a file: no more open files, no memory, a network drive that is gone.

A reader that took them for damage would refuse good days, and a store would be made anew.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from seismag.domain import SeismagError

_MEMORY = "Close other programs, or take fewer --workers"
_FILES = "Raise the limit (ulimit -n 4096), or take fewer --workers"
_DRIVE = "Connect the drive again"
_REMEDIES = {
    errno.EMFILE: _FILES, errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY, errno.ENOBUFS: _MEMORY,
    errno.EAGAIN: "Raise the limits of processes (ulimit -u) and memory, or take fewer --workers",
    errno.ESTALE: _DRIVE, errno.ETIMEDOUT: _DRIVE, errno.EHOSTDOWN: _DRIVE, errno.EHOSTUNREACH: _DRIVE,
    errno.ENETDOWN: _DRIVE, errno.ENETUNREACH: _DRIVE, errno.ENOTCONN: _DRIVE, errno.ENODEV: _DRIVE,
}  # fmt: skip
_PATH_REMEDIES = {
    errno.EACCES: "Allow it, or name another place.",
    errno.EPERM: "Allow it, or name another place.",
    errno.EROFS: "Name a place that can be written.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.ELOOP: "The symbolic link leads to itself: name the place itself.",
    errno.ENOTDIR: "A part of this path is a file: name another place.",
    errno.EISDIR: "This is a folder: name a file.",
    errno.EEXIST: "Something else has this name: name another place.",
}
# of errors without a number: torch, the loader of shared libraries, threads
_MEMORY_TEXTS = ("can't allocate memory", "cannot allocate memory", "not enough memory", "failed to map segment")
_THREAD_TEXT = "can't start new thread"


class MachineError(SeismagError):
    """The machine cannot go on; the file that was being read may be good."""


def raise_if_of_machine(error: BaseException, where: str | Path) -> None:
    """Raise ``MachineError`` where an error, or one that it came from, is of the machine; MemoryError as it is."""
    for link in _chain(error):
        if isinstance(link, (MachineError, MemoryError)):
            raise link
        if (sentence := explain_machine(link, where)) is not None:
            raise MachineError(sentence) from error


def explain_machine(error: BaseException, where: str | Path) -> str | None:
    """Word an error of the machine, with the remedy; None: it is another one."""
    found = _reason_and_remedy(error)
    return found and (
        f"{where}: {found[0]}. This is a limit of the machine, not damage to a file. {found[1]}, and run the same "
        "command again: finished parts are kept."
    )


def remedy_of_path(error: OSError) -> str:
    """Return a sentence on what to do about a path that the system refuses; "" where there is none."""
    return _PATH_REMEDIES.get(error.errno or 0, "")


def _reason_and_remedy(error: BaseException) -> tuple[str, str] | None:
    if isinstance(error, OSError):
        remedy = _REMEDIES.get(error.errno or 0)
        return None if remedy is None else (str(error.strerror or error), remedy)
    text = str(error).lower()
    if isinstance(error, (RuntimeError, ImportError)) and any(words in text for words in _MEMORY_TEXTS):
        return "too little memory", _MEMORY
    if isinstance(error, RuntimeError) and _THREAD_TEXT in text:
        return str(error), _REMEDIES[errno.EAGAIN]
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
