"""One writer at a time: who has a lock is named, a dead process has none, and what it left is removed."""

from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from seismag.domain import DataError, SeismagError
from seismag.files import atomic_path, is_left_over
from seismag.folder_lock import LOCK_NAME, file_lock, folder_lock, is_empty, one_writer

HOLD = """
import os, sys, time
from pathlib import Path
from seismag.folder_lock import folder_lock
sys.argv = ["/bin/seismag", "prepare", "--out", "x"]
with folder_lock(Path(sys.stdin.readline().strip())):
    forked = FORK and not os.fork()
    if forked or not FORK:  # the child has run by then what it does after a fork
        print(os.getpid(), flush=True)
    time.sleep(60)
    if forked:
        os._exit(0)
"""


def start_holder(folder: Path, fork: bool = False) -> tuple[subprocess.Popen[str], int]:
    """A process that has the lock, and its number or that of its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.replace("FORK", str(fork))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{folder}\n")
    process.stdin.flush()
    return process, int(process.stdout.readline())


def test_the_second_one_is_told_who_writes_and_a_killed_process_writes_no_more(tmp_path: Path) -> None:
    process, number = start_holder(tmp_path / "out")
    assert number == process.pid
    who = rf"'seismag prepare' \(process {process.pid} of .+ on host {socket.gethostname()}\) since 2\d{{3}}-.*Z"
    with pytest.raises(SeismagError, match=who + r"\. Wait until it ends, or give another --out\.") as caught:
        folder_lock(tmp_path / "out").__enter__()
    assert caught.value.exit_code == 1
    process.kill()
    process.wait()
    assert (tmp_path / "out" / LOCK_NAME).exists()
    with folder_lock(tmp_path / "out"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_that_outlives_the_one_which_forked_it_does_not_keep_the_lock(tmp_path: Path) -> None:
    process, child = start_holder(tmp_path / "out", fork=True)
    process.kill()
    process.wait()
    try:
        with folder_lock(tmp_path / "out"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_thread_may_take_its_lock_again_but_another_may_not(tmp_path: Path) -> None:
    refused = []

    def other() -> None:
        try:
            with folder_lock(tmp_path / "out"):
                pass
        except SeismagError as error:
            refused.append(str(error))

    with folder_lock(tmp_path / "out"):
        with folder_lock(tmp_path / "." / "out"):
            (tmp_path / "out" / "kept").touch()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "is being written by" in refused[0]


def test_locks_leave_nothing_and_no_empty_folder(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "new"), file_lock(tmp_path / "table.csv"):
        assert is_empty(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    with folder_lock(None):
        assert list(tmp_path.iterdir()) == []


def test_a_file_and_a_folder_beside_it_are_not_in_each_others_way(tmp_path: Path) -> None:
    with folder_lock(tmp_path), file_lock(tmp_path / "a"), file_lock(tmp_path / "b"), folder_lock(tmp_path / "sub"):
        lock = FileLock(tmp_path / ".a.lock")
        with pytest.raises(Exception, match="could not be acquired"):
            lock.acquire(blocking=False)


def test_the_remedy_of_a_file_is_its_own(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / ".a.lock", thread_local=False)
    with lock, pytest.raises(SeismagError, match=r"a: is being written by another command\. Wait for the fold\."):
        file_lock(tmp_path / "a", "Wait for the fold.").__enter__()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "out").mkdir()
    other = tmp_path / "out" / f".x.{'0' * 32}.tmp"
    other.touch()
    monkeypatch.setattr("filelock._unix.fcntl.flock", refuse)
    with folder_lock(tmp_path / "out"):
        pass
    assert "this file system has no locks" in caplog.text
    assert other.exists()  # nobody knows whose it is


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Choose another --out"):
        folder_lock(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_left_to_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with folder_lock(tmp_path / "file" / "out"), folder_lock(tmp_path / "file"), file_lock(tmp_path / "file" / "x"):
        assert (tmp_path / "file").is_file()


def test_only_temporary_files_of_dead_runs_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with atomic_path(tmp_path / "mine.json") as mine:
        mine.touch()
        live = mine.name
        assert not is_left_over(live)
        dead = [
            live.replace(f"-{os.getpid()}-", f"-{process.pid}-"), f".x.parquet.{'a' * 32}.tmp.parquet",
            live.replace(live.split(".")[3].partition("-")[0], "00000000"),
        ]  # fmt: skip
        for name in [*dead, "notes.tmp", "big.partial", ".hidden"]:
            (tmp_path / name).touch()
        for sub in ("own", "taken"):
            (tmp_path / sub).mkdir()
            (tmp_path / sub / dead[0]).touch()
        (tmp_path / "taken" / LOCK_NAME).touch()
        with folder_lock(tmp_path):
            assert (tmp_path / "own" / dead[0]).exists()  # perhaps another command's
        left = {".hidden", "big.partial", "notes.tmp", live, "own", "taken"}
        assert {path.name for path in tmp_path.iterdir()} == left
        with folder_lock(tmp_path, whole=True):
            assert not (tmp_path / "own" / dead[0]).exists()
            assert (tmp_path / "taken" / dead[0]).exists()
    assert (tmp_path / "mine.json").exists()


def test_temporary_files_of_dead_runs_of_one_name_are_removed_with_its_lock(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for name in ("events.xml", "events.json", "other.xml"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.touch()
            dead = temporary.name.replace(f"-{os.getpid()}-", f"-{process.pid}-")
        (tmp_path / name).rename(tmp_path / dead)
    with file_lock(tmp_path / "events.xml"):
        (left,) = [path.name for path in tmp_path.iterdir() if ".tmp" in path.name]
    assert left.startswith(".other.xml.")


def test_functions_take_the_lock_of_their_folder(tmp_path: Path) -> None:
    @one_writer()
    def write(text: str, out: Path | None = None) -> str:
        if out is not None:
            facts = json.loads((out / LOCK_NAME).read_text())
            assert facts["process"] == os.getpid()
        return text

    assert write("a") == "a"
    assert write("b", tmp_path / "out") == "b"
    assert write("c", out=tmp_path) == "c"
    assert write.__name__ == "write"


WRITERS = {
    "seismag.windows.prepare.prepare_store": "_o_",
    "seismag.windows.store.write_changed_store": "_o__",
    "seismag.windows.export.export_images": "_o",
    "seismag.simulate.synthetic_archive.simulate_archive": "_o",
    "seismag.simulate.inject.inject_archive": "__o",
    "seismag.training.crossval.run_crossval": "___o",
    "seismag.training.run.evaluate_model": "___o",
    "seismag.training.run.evaluate_table_in_store": "___o",
    "seismag.training.unblinding.write_unblinding": "_o",
    "seismag.scoring.study.evaluate_table": "__o",
    "seismag.scoring.study.write_metrics": "_o",
    "seismag.alarms.compute.evaluate_alarms": "___o",
    "seismag.audit.compute.write_audit": "_o",
    "seismag.recovery.compute.write_recovery": "__o",
    "seismag.explain.page.write_explanation": "_o",
    "seismag.report.publication.write_publication": "_o",
    "seismag.legacy.pictures.prepare_legacy": "_f",
    "seismag.legacy.weights.import_weights": "_f_",
    "seismag.fetch.fdsn.download_catalog": "___f",
}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_each_function_that_writes_is_refused_before_its_work_while_another_writes(name: str, tmp_path: Path) -> None:
    """An argument ``o`` is a folder, ``f`` a file; the others are never read."""
    module, _, function = name.rpartition(".")
    lock_path = tmp_path / ".out.lock" if "f" in WRITERS[name] else tmp_path / "out" / LOCK_NAME
    lock_path.parent.mkdir(exist_ok=True)
    given = [None if sign == "_" else tmp_path / "out" for sign in WRITERS[name]]
    with FileLock(lock_path, thread_local=False), pytest.raises(SeismagError, match="out: is being written by"):
        getattr(importlib.import_module(module), function)(*given)


def test_a_link_that_leads_to_itself_is_refused_by_name(tmp_path):
    (tmp_path / "out").symlink_to("out")
    for lock in (folder_lock(tmp_path / "out"), file_lock(tmp_path / "out" / "table.csv")):
        with pytest.raises(DataError, match="out: a symbolic link there leads to itself"), lock:
            pass
