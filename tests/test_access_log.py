"""The access log of the locked hold-out set: changed, dropped or cut-off entries are detected."""

from __future__ import annotations

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock

from seismag.access_log import FIRST
from seismag.domain import DataError
from seismag.splits.holdout import holdout_log, holdout_state

LOG_FILE, HEAD_FILE = "sealed_ledger.jsonl", "sealed_ledger.head.json"


def read_access_log(store) -> list[dict]:
    return holdout_log(store).read()


def append_entry(store, facts) -> dict:
    return holdout_log(store).append(facts)


def look(store, purpose: str = "final test") -> dict:
    return append_entry(store, {"kind": "look", "purpose": purpose, "run_id": "run_a", "model_sha256": "a" * 64})


@pytest.fixture
def store(tmp_path):
    for k, p in ((1, 0.01), (2, 0.04), (3, None)):
        look(tmp_path, f"reason {k}")
        append_entry(tmp_path, {"kind": "result", "look": k, "p_values": {"area_skill": p}})
    return tmp_path


def test_each_entry_names_the_one_before(store) -> None:
    entries = read_access_log(store)
    assert [entry["entry"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[0]["previous"] == FIRST
    assert all(later["previous"] == before["hash"] for before, later in itertools.pairwise(entries))


def test_a_store_that_no_one_looked_at_has_no_looks(tmp_path) -> None:
    state = holdout_state(tmp_path)
    assert (state.looks, state.ledger_sha256, state.history) == (0, None, [])
    assert list(tmp_path.iterdir()) == []


def test_reading_waits_for_the_process_that_writes(store) -> None:
    log = store / LOG_FILE
    text = log.read_text()
    with ThreadPoolExecutor(1) as pool:
        with FileLock(store / ".sealed_ledger.lock"):
            log.write_text(text[:-20])  # half an entry
            reader = pool.submit(read_access_log, store)
            with pytest.raises(TimeoutError):
                reader.result(timeout=0.3)
            log.write_text(text)
        assert len(reader.result()) == 6


def test_a_log_in_a_folder_without_permission_to_write_is_read(store, monkeypatch) -> None:
    def refuse(_self) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("seismag.access_log.FileLock.acquire", refuse)
    assert len(read_access_log(store)) == 6


def test_every_look_adjusts_the_p_values_of_all_looks(tmp_path) -> None:
    look(tmp_path)
    append_entry(tmp_path, {"kind": "result", "look": 1, "p_values": {"area_skill": 0.02}})
    assert holdout_state(tmp_path).history[0]["p_values"]["area_skill"] == {"p": 0.02, "adjusted": 0.02}
    look(tmp_path, "again")
    state = holdout_state(tmp_path)
    assert state.looks == 2
    assert state.history[0]["p_values"]["area_skill"]["adjusted"] == 0.04
    assert state.history[1]["p_values"] is None  # it broke off, and counts


def test_an_adjusted_p_is_at_most_one_and_an_undefined_one_stays_so(store) -> None:
    history = holdout_state(store).history
    assert [entry["p_values"]["area_skill"]["adjusted"] for entry in history] == [
        pytest.approx(0.03), pytest.approx(0.12), None,
    ]  # fmt: skip
    append_entry(store, {"kind": "result", "look": 3, "p_values": {"area_skill": 0.5}})
    assert holdout_state(store).history[2]["p_values"]["area_skill"]["adjusted"] == 1.0


def test_the_log_of_another_store_is_refused_with_both_data_sets(tmp_path) -> None:
    append_entry(tmp_path, {"kind": "look", "dataset_id": "two"})
    assert holdout_state(tmp_path, "two").looks == 1
    with pytest.raises(DataError, match=r"entry 1 is an unblinding of data set two, but the store is data set one: .*"):
        holdout_state(tmp_path, "one")


def rewrite(store, change) -> None:
    path = store / LOG_FILE
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0].replace("reason 1", "reason X"), *lines[1:]], "entry 1 was changed"),
        (lambda lines: lines[1:], "entry 1 does not follow"),
        (lambda lines: [*lines[:2], *lines[3:]], "entry 3 does not follow"),
        (lambda lines: lines[:4], "4 entries, but .* counts 6: cut off"),
        (lambda _lines: [], "0 entries, but .* counts 6: cut off"),
        (lambda lines: [*lines[:5], lines[5][:20]], "cut off in the middle"),
        (lambda lines: [*lines, "{}\n"], "entry 7 was changed"),
        (lambda lines: [*lines[:3], "not json\n", *lines[4:]], "entry 4 was changed"),
    ],
)
def test_a_damaged_or_cut_ledger_is_refused_and_takes_no_look(store, change, message: str) -> None:
    rewrite(store, change)
    with pytest.raises(DataError, match=rf"{LOG_FILE}: .*{message}"):
        read_access_log(store)
    before = (store / LOG_FILE).read_bytes()
    with pytest.raises(DataError, match=message):
        look(store)
    assert (store / LOG_FILE).read_bytes() == before


def test_a_whole_chain_written_anew_does_not_fit_its_head(store, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("forged")
    for _ in range(6):
        look(other, "nothing to see")
    (store / LOG_FILE).write_bytes((other / LOG_FILE).read_bytes())
    with pytest.raises(DataError, match=r"entry 6 is not the one that .* names: rewritten"):
        read_access_log(store)


def test_a_ledger_without_its_head_is_refused_unless_the_power_failed_between(store) -> None:
    head = json.loads((store / HEAD_FILE).read_text())
    entries = read_access_log(store)
    (store / HEAD_FILE).write_text(json.dumps({"entries": 5, "hash": entries[4]["hash"]}))
    assert len(read_access_log(store)) == 6
    assert look(store)["entry"] == 7
    assert json.loads((store / HEAD_FILE).read_text())["entries"] == 7 == head["entries"] + 1
    (store / HEAD_FILE).unlink()
    with pytest.raises(DataError, match=r"head\.json is missing"):
        read_access_log(store)


def test_a_deleted_ledger_beside_its_head_is_a_cut_one(store) -> None:
    (store / LOG_FILE).unlink()
    with pytest.raises(DataError, match="counts 6: cut off"):
        read_access_log(store)


def test_a_disk_that_takes_no_entry_refuses_the_look_and_keeps_the_ledger(store, monkeypatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    before = (store / LOG_FILE).read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)\. .* stays locked"):
        look(store)
    monkeypatch.undo()
    assert (store / LOG_FILE).read_bytes() == before
    assert len(read_access_log(store)) == 6


def test_a_ledger_that_cannot_be_read_is_named(tmp_path) -> None:
    (tmp_path / LOG_FILE).mkdir()
    with pytest.raises(DataError, match=f"{LOG_FILE}: the access log cannot be read"):
        look(tmp_path)


def test_a_store_that_is_not_there_takes_no_look(tmp_path) -> None:
    with pytest.raises(DataError, match="make the store's folder writable"):
        look(tmp_path / "absent")


def test_a_log_that_another_process_writes_is_waited_for(store, monkeypatch) -> None:
    monkeypatch.setattr("seismag.access_log._LOCK_TIMEOUT_S", 0.0)
    with FileLock(store / ".sealed_ledger.lock"), pytest.raises(DataError, match="another process is writing into it"):
        look(store)
    assert look(store)["entry"] == 7
