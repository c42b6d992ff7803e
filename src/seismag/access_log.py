"""Access logs: files of JSON lines in which each entry contains the checksum of the entry before.

``NAME.jsonl`` contains one JSON object a line, ``NAME.head.json`` the number of entries and the last checksum, so that
a log whose end was cut off is detected too. Neither file stops anybody who deletes both or uses another copy of the
data.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seismag.documents import Document, check_document
from seismag.domain import DataError
from seismag.files import parse_json, utc_text, write_json_atomic

FIRST = "0" * 64  # stands for the checksum before the first entry
_LOCK_TIMEOUT_S = 60.0
Entry = dict[str, Any]  # one line of the file


class _AnyEntry(Document):
    kind: str
    utc: str


@dataclass(frozen=True)
class AccessLog:
    """An access log in a folder.

    Attributes:
        folder: exists.
        name: of its files, without an ending.
        remedy: sentences at the end of each error: what the damage means, and what to do.
        kinds: what entries of each kind contain; of other kinds, as of a later version, nothing is expected.
    """

    folder: Path
    name: str
    remedy: str
    kinds: Mapping[str, type[Document]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file of the entries."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def head_path(self) -> Path:
        """The file with the number of entries and the last checksum."""
        return self.folder / f"{self.name}.head.json"

    @property
    def _lock_path(self) -> Path:
        return self.folder / f".{self.name}.lock"

    def exists(self) -> bool:
        """Whether one of its files exists."""
        return self.path.exists() or self.head_path.exists()

    def read(self) -> list[Entry]:
        """Read the entries and verify that none was changed, dropped or cut off.

        Returns:
            The entries in order; none where the log was never written.

        Raises:
            DataError: a file is damaged, cut, or does not fit the other; the message names the entry.
        """
        if not self.exists():
            return []
        lock = FileLock(self._lock_path, timeout=_LOCK_TIMEOUT_S)
        with suppress(OSError, Timeout):  # in a folder that cannot be written nobody else writes
            lock.acquire()
        try:
            return self._read_both()
        finally:
            lock.release()

    def _read_both(self) -> list[Entry]:
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            head: Any = {"entries": 0}
            if self.head_path.exists():
                head = parse_json(self.head_path.read_bytes(), self.head_path.name, "")
        except (OSError, ValueError, DataError) as error:
            raise self._damaged(f"the access log cannot be read ({error})") from error
        if text and not text.endswith("\n"):
            raise self._damaged("its last entry is cut off in the middle")
        entries = []
        before = FIRST
        for number, line in enumerate(text.split("\n")[:-1], start=1):  # texts may contain other ends of lines
            try:
                entry = parse_json(line, "", "")
                is_unchanged = isinstance(entry, dict) and entry.get("hash") == _entry_hash(entry)
            except (ValueError, DataError):
                is_unchanged = False
            if not is_unchanged:
                raise self._damaged(f"entry {number} was changed: its checksum does not fit")
            if entry.get("previous") != before or entry.get("entry") != number:
                raise self._damaged(f"entry {number} does not follow the one before it: some are missing")
            check_document(_AnyEntry, entry, f"{self.path}: entry {number}", self.remedy)
            if entry["kind"] in self.kinds:
                check_document(self.kinds[entry["kind"]], entry, f"{self.path}: entry {number}", self.remedy)
            before = entry["hash"]
            entries.append(entry)
        self._check_head([entry["hash"] for entry in entries], head)
        return entries

    def append(self, facts: Entry) -> Entry:
        """Append an entry; it is on the disk, whole, when this returns.

        Args:
            facts: ``kind`` and what belongs to it, ready for JSON.

        Returns:
            The entry with its number, time (UTC), the checksum of the entry before, and its own.

        Raises:
            DataError: the log is damaged, or cannot be written, as on a full disk: the entry is not in it.
        """
        with self._locked():
            entries = self._read_both()
            entry: Entry = {
                "entry": len(entries) + 1,
                "utc": utc_text(datetime.now(UTC)),
                **facts,
                "previous": entries[-1]["hash"] if entries else FIRST,
            }
            entry["hash"] = _entry_hash(entry)
            head = {"entries": entry["entry"], "hash": entry["hash"]}
            try:
                with _appended(self.path, json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"):
                    write_json_atomic(self.head_path, head)
                _sync_folder(self.folder)
            except OSError as error:
                raise self._unwritable(error) from error
        return entry

    def _check_head(self, hashes: list[str], head: Any) -> None:
        stated = head.get("entries") if isinstance(head, dict) else None
        name = self.head_path.name
        if type(stated) is not int or stated < 0:
            raise self._damaged(f"no number of entries in {name}")
        if len(hashes) < stated:
            raise self._damaged(f"{len(hashes)} entries, but {name} counts {stated}: cut off")
        if len(hashes) > stated + 1:  # more than one: the power did not fail between the two files
            counted = f"counts {stated}" if stated else "is missing"
            raise self._damaged(f"{len(hashes)} entries, but {name} {counted}")
        if stated and hashes[stated - 1] != head.get("hash"):
            raise self._damaged(f"entry {stated} is not the one that {name} names: rewritten")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.folder.is_dir():  # the lock would create it
            raise self._damaged("cannot be written (no such folder)")
        try:
            with FileLock(self._lock_path, timeout=_LOCK_TIMEOUT_S):
                yield
        except Timeout:
            raise self._damaged("another process is writing into it; try again") from None
        except OSError as error:
            raise self._unwritable(error) from error

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self.path}: {what}. {self.remedy}")

    def _unwritable(self, error: OSError) -> DataError:
        return self._damaged(f"cannot be written ({error.strerror})")


def _entry_hash(entry: dict[str, object]) -> str:
    content = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@contextmanager
def _appended(path: Path, text: str) -> Iterator[None]:
    """Write text to the end of a file and wait for the disk; an error, also of the block, leaves it as it was."""
    with open(path, "ab") as file:
        length = file.tell()
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            yield
        except OSError as error:
            os.truncate(path, length)
            raise OSError(error.errno, error.strerror, str(path)) from error  # with the name of the file


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
