"""One writer at a time of a folder or a file: a lock that ends with its process, and names who has it.

Every command that writes takes it in the function that computes, so the Python API is protected as well. Reading takes
none. What a dead run left under a temporary name is removed by the next one that has the lock.
"""

from __future__ import annotations

import errno
import functools
import getpass
import inspect
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from filelock import FileLock, Timeout

from seismag.disk_space import space_for
from seismag.domain import DataError, SeismagError
from seismag.files import is_left_over, utc_text

LOCK_NAME = ".seismag.lock"
_LEAST_WAIT_S = 0.2  # for ``has_writer`` of another process, which holds a lock for an instant
_CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_WAIT_OR_CHANGE = "Wait until it ends, or give another --out."
_held: dict[Path, int] = {}  # locks of this process: thread by lock file
log = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Given = Mapping[str, Any]  # the arguments of a call by name


@contextmanager
def folder_lock(folder: Path | None, remedy: str = _WAIT_OR_CHANGE, *, whole: bool = False) -> Iterator[None]:
    """Be the only one who writes into a folder, which is made where it is not there; None: nothing is written.

    A thread that has the lock may take it again. A folder that cannot be made is left to the caller to refuse. A new
    folder in which nothing was written is removed again.

    Args:
        folder: of the results.
        remedy: end of the message.
        whole: everything below it is the command's own, so that its subfolders are cleared of left-over files, too.

    Raises:
        SeismagError: another command has it; the message names command, process, user, host and time (UTC).
        DataError: nothing can be written into it.
        FullDiskError: a disk became full during the work.
    """
    if folder is None:
        yield
        return
    folder = _resolved(folder)
    if _held.get(folder / LOCK_NAME) == threading.get_ident():
        yield  # the outer one explains a full disk
        return
    new = not folder.exists()
    with space_for(folder):
        if not _made(folder):
            yield
            return
        try:
            with _hold(folder / LOCK_NAME, folder, remedy, 0.0) as locked:
                if locked:
                    _remove_left_over(folder, whole)
                yield
        finally:
            if new:
                with suppress(OSError):  # not empty
                    folder.rmdir()


@contextmanager
def file_lock(path: Path, remedy: str = _WAIT_OR_CHANGE, wait_s: float = 0.0) -> Iterator[None]:
    """Be the only one who writes one file, or what bears a name, in a folder that others may write into meanwhile.

    Temporary files that dead runs left of this name, with any ending, are removed.

    Args:
        path: of the file, or another name in its folder, which is made where it is not there.
        remedy: as above.
        wait_s: for another one to end, seconds.

    Raises:
        SeismagError, DataError, FullDiskError: as ``folder_lock``.
    """
    path = _resolved(path.parent) / path.name
    with space_for(path.parent):
        if not _made(path.parent):
            yield
            return
        with _hold(path.with_name(f".{path.name}.lock"), path, remedy, wait_s) as alone:
            if alone:
                _remove_left_over(path.parent, whole=False, beginning=f".{path.stem}.")
            yield


def one_writer(
    out: Callable[[Given], Path | None] = lambda given: given["out"],
    remedy: str = _WAIT_OR_CHANGE,
    *,
    whole: bool = False,
    file: bool = False,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Run a function under ``folder_lock`` of its folder, by default its argument ``out``.

    Args:
        out: finds the folder among the arguments of a call, by name.
        remedy, whole: as in ``folder_lock``.
        file: it is a file, for ``file_lock``.
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def locked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            where = out(given.arguments)
            lock = file_lock(Path(where), remedy) if file and where else folder_lock(where, remedy, whole=whole)
            with lock:
                return function(*args, **kwargs)

        return locked

    return decorate


def has_writer(folder: Path) -> bool:
    """Whether a command writes into a folder, by its lock, or may do so where that cannot be known from here.

    A lock file of another host is taken for held: some network drives do not show the locks of one host to another.
    """
    path = _resolved(folder) / LOCK_NAME
    if not path.exists():
        return False
    if path in _held or _facts(path).get("host", socket.gethostname()) != socket.gethostname():
        return True
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):  # or no locks here, or a folder of somebody else
        return True
    lock.release()
    return False


def is_empty(folder: Path) -> bool:
    """Whether a folder contains nothing but perhaps its lock."""
    return all(entry.name == LOCK_NAME for entry in folder.iterdir())


def _resolved(folder: Path) -> Path:
    try:
        return folder.resolve()
    except (RuntimeError, OSError) as error:  # RuntimeError: a loop, before Python 3.13
        raise DataError(f"{folder}: a symbolic link there leads to itself ({error}). Name another place.") from error


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # nobody can write there
        return False
    return True


@contextmanager
def _hold(lock_path: Path, what: Path, remedy: str, wait_s: float) -> Iterator[bool]:
    """Hold a lock file; yields False where this thread holds it already, or the file system has no locks."""
    if _held.get(lock_path) == threading.get_ident():
        yield False
        return
    lock = FileLock(lock_path, thread_local=False, fallback_to_soft=False)
    locked = True
    try:
        lock.acquire(timeout=max(wait_s, _LEAST_WAIT_S))
    except Timeout:
        raise SeismagError(f"{what}: is being written by {_holder(lock_path)}. {remedy}") from None
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise DataError(
                f"{what}: cannot be written in ({lock_path.name}: {error.strerror}). Choose another --out."
            ) from error
        locked = False
        log.warning("%s: this file system has no locks (%s): do not start a second command on it", what, error.strerror)
    if locked:
        _held[lock_path] = threading.get_ident()
    try:
        if locked:
            _sign(lock_path)
        yield locked
    finally:
        if locked:
            _held.pop(lock_path, None)
            with suppress(OSError):  # still locked, so nobody else's
                lock_path.unlink()
            lock.release()


def _sign(lock_path: Path) -> None:
    """Write into a lock file who has it."""
    program, *words = sys.argv or ["python"]
    name = "seismag" if Path(program).name in ("__main__.py", "seismag") else Path(program).name or "python"
    command = " ".join([name, *words[:1]]) if name == "seismag" else name
    facts = {
        "command": command, "process": os.getpid(), "user": _user(), "host": socket.gethostname(),
        "since_utc": utc_text(datetime.now(UTC)),
    }  # fmt: skip
    with suppress(OSError):  # a full disk: the lock holds, its message contains less
        lock_path.write_text(json.dumps(facts), encoding="utf-8")


def _holder(lock_path: Path) -> str:
    try:
        facts = _facts(lock_path)
        return (
            f"'{facts['command']}' (process {facts['process']} of {facts['user']} on host {facts['host']}) since "
            f"{facts['since_utc']}"
        )
    except KeyError:
        return "another command"


def _facts(lock_path: Path) -> dict[str, object]:
    """Return what ``_sign`` wrote; nothing where it has not written yet."""
    try:
        facts = json.loads(lock_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, in a container
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _remove_left_over(folder: Path, whole: bool, beginning: str = "") -> None:
    """Remove temporary files of dead runs whose names begin so; not from subfolders that another run may have."""
    for parent, folders, names in os.walk(folder):
        if Path(parent) != folder and LOCK_NAME in names:
            folders.clear()
            continue
        if not whole:
            folders.clear()
        for name in names:
            if name.startswith(beginning) and is_left_over(name):
                with suppress(OSError):
                    Path(parent, name).unlink()
