"""The ledger of looks at the sealed windows of a store: each entry names the one before by its sum.

``sealed_ledger.jsonl`` lies in the store, one JSON object a line: looks, written before anything is computed, and
results, the p-values of a look. ``sealed_ledger.head.json`` beside it holds the number of entries and the last sum,
so that a ledger whose end was cut off is noticed as well. Neither file stops anybody who deletes both, or who
looks at another copy of the data; the sum of the last entry is in every report, where such a look is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seismag.domain import DataError
from seismag.files import write_json_atomic

LEDGER_FILE, HEAD_FILE, LOCK_FILE = "sealed_ledger.jsonl", "sealed_ledger.head.json", "sealed_ledger.lock"
FIRST = "0" * 64  # what the first entry names as the one before
RULE = "Bonferroni: each p-value of a look is multiplied by the number of all looks so far, at most 1"
_REMEDY = "No look is given on it. Restore both files from the copy that was made with the data."


def read_ledger(store: Path) -> list[dict[str, Any]]:
    """Read the entries of a store's ledger and prove that none was changed, dropped or cut off.

    Returns:
        The entries in order; none where no one has looked.

    Raises:
        DataError: a file is damaged, cut, or does not fit the other; the message says at which entry.
    """
    path, head_path = store / LEDGER_FILE, store / HEAD_FILE
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        head = json.loads(head_path.read_text(encoding="utf-8")) if head_path.exists() else {"entries": 0}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the ledger of sealed looks cannot be read ({error}). {_REMEDY}") from error
    if text and not text.endswith("\n"):
        raise DataError(f"{path}: its last entry is cut off in the middle. {_REMEDY}")
    entries: list[dict[str, Any]] = []
    before = FIRST
    for number, line in enumerate(text.splitlines(), start=1):
        entry = _parse(line)
        if entry is None or entry.get("hash") != _entry_hash(entry):
            raise DataError(f"{path}: entry {number} was changed: its sum is not its content's. {_REMEDY}")
        if entry.get("previous") != before or entry.get("entry") != number:
            raise DataError(f"{path}: entry {number} does not follow the one before it: some are missing. {_REMEDY}")
        before = entry["hash"]
        entries.append(entry)
    _check_head(path, entries, head)
    return entries


def append_entry(store: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Add an entry; it is on the disk, whole, when this returns.

    Args:
        store: folder of the store.
        facts: ``kind`` (``look`` or ``result``) and what belongs to it, ready for JSON.

    Returns:
        The entry with its number, time (UTC), the sum of the one before, and its own.

    Raises:
        DataError: the ledger is damaged, or cannot be written: nothing may be shown then.
    """
    with _locked(store):
        entries = read_ledger(store)
        entry = {
            "entry": len(entries) + 1,
            "utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            **facts,
            "previous": entries[-1]["hash"] if entries else FIRST,
        }
        entry["hash"] = _entry_hash(entry)
        try:
            _append_line(store / LEDGER_FILE, json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n")
            write_json_atomic(store / HEAD_FILE, {"entries": entry["entry"], "hash": entry["hash"]})
            _sync_folder(store)
        except OSError as error:
            raise _unwritable(store, error) from error
    return entry


def holdout_state(store: Path) -> dict[str, Any]:
    """What every report says of the sealed windows: the number of looks, and each look's p-values adjusted for it.

    Returns:
        ``looks``, ``rule``, ``ledger_sha256`` (sum of the last entry; None: no entry) and ``history``: of each look
        its number, utc, purpose, run_id, model_sha256 and ``p_values`` (name: p, adjusted; None: it never came to
        a result, and counts).
    """
    entries = read_ledger(store)
    looks = [entry for entry in entries if entry["kind"] == "look"]
    results = {entry["look"]: entry["p_values"] for entry in entries if entry["kind"] == "result"}
    return {
        "looks": len(looks),
        "rule": RULE,
        "ledger_sha256": entries[-1]["hash"] if entries else None,
        "history": [
            {
                "look": number,
                **{key: entry.get(key) for key in ("utc", "purpose", "run_id", "model_sha256")},
                "p_values": _adjusted(results[number], len(looks)) if number in results else None,
            }
            for number, entry in enumerate(looks, start=1)
        ],
    }


def _adjusted(p_values: dict[str, float | None], looks: int) -> dict[str, dict[str, float | None]]:
    return {
        name: {"p": p, "adjusted": None if p is None else min(1.0, p * looks)} for name, p in sorted(p_values.items())
    }


def _check_head(path: Path, entries: list[dict[str, Any]], head: Any) -> None:
    stated = head.get("entries") if isinstance(head, dict) else None
    if not isinstance(stated, int) or stated < 0:
        raise DataError(f"{path.with_name(HEAD_FILE)}: holds no number of entries. {_REMEDY}")
    if len(entries) < stated:
        raise DataError(f"{path}: holds {len(entries)} entries, but {HEAD_FILE} counts {stated}: cut off. {_REMEDY}")
    if len(entries) > stated + 1:  # one more: the power failed between the two files
        counted = f"counts {stated}" if stated else "is missing"
        raise DataError(f"{path}: holds {len(entries)} entries, but {HEAD_FILE} {counted}. {_REMEDY}")
    if stated and entries[stated - 1]["hash"] != head.get("hash"):
        raise DataError(f"{path}: entry {stated} is not the one that {HEAD_FILE} names: rewritten. {_REMEDY}")


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and entry.get("kind") in ("look", "result") else None


def _entry_hash(entry: dict[str, Any]) -> str:
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
            f"{lock}: another look is being recorded. Try again; if none is running, delete this file."
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
        f"{store / LEDGER_FILE}: the look cannot be recorded ({error.strerror}), so it is not given. "
        "Make the store's folder writable."
    )
