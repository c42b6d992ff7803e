"""The files below a folder, and what was left out there: nothing is left out without a name and a reason.

Folders that are symbolic links are followed, plain folders first. Each folder is read once, however many links lead to
it, so that loops end.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seismag.machine import raise_if_of_machine

HIDDEN, NOT_A_FILE, TWICE = "hidden", "not_a_file", "folder_twice"  # reasons
_LITTER = (".DS_Store", ".directory", ".localized")  # of desktops, as are names that begin with ._


@dataclass(frozen=True)
class NotRead:
    """Something in a folder that is not read: path, reason (short word), detail (sentence)."""

    path: Path
    reason: str
    detail: str


@dataclass
class Found:
    """Content of a folder.

    Attributes:
        files: regular files; also broken links, and folders that cannot be listed, which are refused when read.
        left_out: pipes, sockets, devices, hidden names, and folders that are read already under another name.
    """

    files: list[Path] = field(default_factory=list)
    left_out: list[NotRead] = field(default_factory=list)


def find_below(top: Path) -> Found:
    """Find everything below a folder; files and what was left out, each in the order of its relative path."""
    found, links = Found(), [top]
    first: dict[tuple[int, int], Path] = {}  # path at which each folder is read
    while links:
        further: list[Path] = []
        for link in links:
            _scan(link, first, found, further)
        links = sorted(further)
    found.files.sort(key=lambda path: path.relative_to(top).as_posix())
    found.left_out.sort(key=lambda entry: entry.path.relative_to(top).as_posix())
    return found


def _scan(top: Path, first: dict[tuple[int, int], Path], found: Found, links: list[Path]) -> None:
    """Take in a folder and the plain folders below it; links to folders are added to ``links``."""
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            status = os.stat(folder)
            earlier = first.setdefault((status.st_dev, status.st_ino), folder)
            if earlier != folder:
                detail = f"leads to the same folder as {earlier}, where its files are read"
                found.left_out.append(NotRead(folder, TWICE, f"{folder}: {detail}."))
                continue
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise_if_of_machine(error, folder)
            found.files.append(folder)  # refused by name when it is read
            continue
        for path in entries:
            if path.name.startswith("."):
                found.left_out += _hidden(path)
                continue
            try:
                mode = os.stat(path).st_mode
            except OSError as error:
                raise_if_of_machine(error, path)
                mode = stat.S_IFREG  # a broken link, or not permitted: refused by name when it is read
            if stat.S_ISREG(mode):
                found.files.append(path)
            elif stat.S_ISDIR(mode):
                (links if path.is_symlink() else pending).append(path)
            else:
                found.left_out.append(NotRead(path, NOT_A_FILE, f"{path}: a pipe, socket or device is not read."))


def _hidden(path: Path) -> Iterator[NotRead]:
    if path.name not in _LITTER and not path.name.startswith("._"):
        yield NotRead(path, HIDDEN, f"{path}: hidden files and folders (their names begin with a dot) are not read.")


def composed(name: str) -> str:
    """Return a name with composed letters: a Mac writes an accent as a sign of its own."""
    return unicodedata.normalize("NFC", name)
