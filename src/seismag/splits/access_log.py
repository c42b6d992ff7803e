"""Access log of the locked hold-out set of a store: each entry contains the checksum of the entry before.

``sealed_ledger.jsonl`` in the store contains one JSON object a line: unblindings (kind ``look``), written before
anything is computed, and their p-values (kind ``result``). ``sealed_ledger.head.json`` contains the number of entries
and the last checksum, so that a log whose end was cut off is detected too. Neither file stops anybody who deletes
both or uses another copy of the data; but every report contains the last checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seismag.domain import DataError
from seismag.files import utc_text, write_json_atomic

LOG_FILE, HEAD_FILE, LOCK_FILE = "sealed_ledger.jsonl", "sealed_ledger.head.json", "sealed_ledger.lock"
FIRST = "0" * 64  # stands for the checksum before the first entry
_RULE = "Bonferroni: each p-value is multiplied by the number of all unblindings so far, at most 1"
_REMEDY = "The hold-out set stays locked. Restore both files from the copy that was made with the data."


@dataclass(frozen=True)
class HoldoutState:
    """How often the locked hold-out set of a store was unblinded; part of every report.

    Attributes:
        ledger_sha256: checksum of the last entry; None where there is none.
        history: of each unblinding its number (look), utc, purpose, run_id, model_sha256 and p_values (of each p and
            adjusted; None: it broke off, and counts).
    """

    looks: int
    rule: str
    ledger_sha256: str | None
    history: list[dict[str, object]]

    def to_json(self) -> dict[str, object]:
        """The key ``sealed`` of metrics.json."""
        return asdict(self)


def read_access_log(store: Path) -> list[dict[str, Any]]:
    """Read the access log of a store and verify that no entry was changed, dropped or cut off.

    Returns:
        The entries in order; none where the hold-out set was never unblinded.

    Raises:
        DataError: a file is damaged, cut, or does not fit the other; the message names the entry.
    """
    path, head_path = store / LOG_FILE, store / HEAD_FILE
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        head = json.loads(head_path.read_text(encoding="utf-8")) if head_path.exists() else {"entries": 0}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the access log cannot be read ({error}). {_REMEDY}") from error
    if text and not text.endswith("\n"):
        raise DataError(f"{path}: its last entry is cut off in the middle. {_REMEDY}")
    entries = []
    before = FIRST
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        known = isinstance(entry, dict) and entry.get("kind") in ("look", "result")
        if not known or entry.get("hash") != _entry_hash(entry):
            raise DataError(f"{path}: entry {number} was changed: its checksum does not fit. {_REMEDY}")
        if entry.get("previous") != before or entry.get("entry") != number:
            raise DataError(f"{path}: entry {number} does not follow the one before it: some are missing. {_REMEDY}")
        before = entry["hash"]
        entries.append(entry)
    _check_head(path, [entry["hash"] for entry in entries], head)
    return entries


def append_entry(store: Path, facts: dict[str, object]) -> dict[str, Any]:
    """Append an entry; it is on the disk, whole, when this returns.

    Args:
        facts: ``kind`` (``look`` or ``result``) and what belongs to it, ready for JSON.

    Returns:
        The entry with its number, time (UTC), the checksum of the entry before, and its own.

    Raises:
        DataError: the log is damaged, or cannot be written: then nothing may be shown.
    """
    with _locked(store):
        entries = read_access_log(store)
        entry = {
            "entry": len(entries) + 1,
            "utc": utc_text(datetime.now(UTC)),
            **facts,
            "previous": entries[-1]["hash"] if entries else FIRST,
        }
        entry["hash"] = _entry_hash(entry)
        try:
            _append_line(store / LOG_FILE, json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n")
            write_json_atomic(store / HEAD_FILE, {"entries": entry["entry"], "hash": entry["hash"]})
            _sync_folder(store)
        except OSError as error:
            raise _unwritable(store, error) from error
    return entry


def holdout_state(store: Path) -> HoldoutState:
    """Summarise the access log of a store.

    Raises:
        DataError: as ``read_access_log``.
    """
    entries = read_access_log(store)
    looks = [entry for entry in entries if entry["kind"] == "look"]
    results = {entry["look"]: entry["p_values"] for entry in entries if entry["kind"] == "result"}
    history: list[dict[str, object]] = []
    for number, entry in enumerate(looks, start=1):
        facts = {key: entry.get(key) for key in ("utc", "purpose", "run_id", "model_sha256")}
        p_values = None
        if number in results:
            p_values = {
                name: {"p": p, "adjusted": None if p is None else min(1.0, p * len(looks))}
                for name, p in sorted(results[number].items())
            }
        history.append({"look": number, **facts, "p_values": p_values})
    return HoldoutState(len(looks), _RULE, entries[-1]["hash"] if entries else None, history)


def _check_head(path: Path, hashes: list[str], head: Any) -> None:
    stated = head.get("entries") if isinstance(head, dict) else None
    if not isinstance(stated, int) or stated < 0:
        raise DataError(f"{path.with_name(HEAD_FILE)}: no number of entries in it. {_REMEDY}")
    if len(hashes) < stated:
        raise DataError(f"{path}: {len(hashes)} entries, but {HEAD_FILE} counts {stated}: cut off. {_REMEDY}")
    if len(hashes) > stated + 1:  # one more: the power failed between the two files
        counted = f"counts {stated}" if stated else "is missing"
        raise DataError(f"{path}: {len(hashes)} entries, but {HEAD_FILE} {counted}. {_REMEDY}")
    if stated and hashes[stated - 1] != head.get("hash"):
        raise DataError(f"{path}: entry {stated} is not the one that {HEAD_FILE} names: rewritten. {_REMEDY}")


def _entry_hash(entry: dict[str, object]) -> str:
    content = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _append_line(path: Path, line: str) -> None:
    """Write one line to the end and wait for the disk; a failed write leaves the file as it was."""
    with open(path, "ab") as file:
        length = file.tell()
        try:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, length)
            raise


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    lock = store / LOCK_FILE
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        raise DataError(
            f"{lock}: another unblinding is being recorded. Try again; if none is running, delete this file."
        ) from None
    except OSError as error:
        raise _unwritable(store, error) from error
    try:
        yield
    finally:
        os.close(handle)
        lock.unlink(missing_ok=True)


def _unwritable(store: Path, error: OSError) -> DataError:
    return DataError(
        f"{store / LOG_FILE}: the unblinding cannot be recorded ({error.strerror}), so the hold-out set stays locked. "
        "Make the store's folder writable."
    )
