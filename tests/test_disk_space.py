"""A full disk: one message whatever library meets it, nothing cut is left, space is compared before the work."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from seismag.access_log import AccessLog
from seismag.config import Config
from seismag.disk_space import KEPT, FullDiskError, explain_full_disk, is_full_disk, require_space, space_for
from seismag.domain import DataError, SeismagError
from seismag.files import atomic_path, write_json_atomic, write_table, write_text_atomic
from seismag.folder_lock import LOCK_NAME, folder_lock, has_writer
from seismag.runs import DIED, create_run, locked_run, mark_dead_runs, present_provenance, tracked

MESSAGE = r": the disk is full \(\d.* free now; more than .* is needed\)\. Free space there"
Usage = namedtuple("Usage", ["total", "used", "free"])


def no_space(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def write_torch(path: Path) -> None:
    torch.save({"weights": torch.zeros(100_000)}, path)


def write_figure(path: Path) -> None:
    figure = Figure()
    figure.add_subplot().imshow(np.random.default_rng(1).random((300, 300)))
    figure.savefig(path, dpi=200)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    with atomic_path(path) as temporary:
        write(temporary)


def refuse_because_of(error: Exception) -> None:
    try:
        raise error
    except Exception as cause:
        raise DataError("predictions.parquet: cannot be written. Choose another --out.") from cause


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.pth": write_torch,
    "a.npy": lambda path: np.save(path, np.zeros(100_000)),
    "a.parquet": lambda path: pd.DataFrame({"a": np.arange(100_000.0)}).to_parquet(path),
    "a.csv": lambda path: pd.DataFrame({"a": np.arange(100_000.0)}).to_csv(path),
    "a.png": write_figure,
    "a.txt": lambda path: path.write_text("a" * 100_000),
}


def test_each_library_that_fills_a_disk_gives_one_message_and_leaves_nothing(small_disk: Path) -> None:
    write_text_atomic(small_disk / "earlier.txt", "kept")
    for name, write in WRITERS.items():
        with pytest.raises(FullDiskError, match=str(small_disk) + MESSAGE), folder_lock(small_disk):
            write_whole(small_disk / name, write)
        assert [path.name for path in small_disk.iterdir()] == ["earlier.txt"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("100000 requested and 8176 written"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']"),
        ExceptionGroup("of workers", [OSError(errno.ENOSPC, "No space left on device")]),
    ],
    ids=str,
)
def test_a_full_disk_is_recognised_in_each_form_and_as_a_cause(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(FullDiskError, match=str(tmp_path)) as caught, space_for(tmp_path, remedy=KEPT):
        refuse_because_of(error)
    assert str(caught.value).endswith(KEPT)
    assert ("quota" in str(caught.value)) == (getattr(error, "errno", None) == errno.EDQUOT)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ValueError("3 requested"), KeyError("x")])
def test_another_error_passes(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, folder_lock(tmp_path / "out"):
        raise error
    assert caught.value is error
    assert not is_full_disk(error)


def test_the_folder_is_that_of_the_file_that_could_not_be_written(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "other" / "a.csv"))
    assert str(explain_full_disk(error, (tmp_path / "out",))).startswith(f"{tmp_path / 'other'}: the disk is full (")
    assert str(explain_full_disk(error, (tmp_path,))).startswith(f"{tmp_path}: the disk is full (")
    copied = OSError(errno.ENOSPC, "No space left on device", "/tmp/source", None, str(tmp_path / "target"))
    assert str(explain_full_disk(copied, ())).startswith(f"{tmp_path}: the disk is full (")


def test_work_without_room_is_refused_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 5_000_000))
    require_space(tmp_path / "new" / "store", 5_000_000)
    words = r"store: too little space on the disk \(5 MB free, about 2\.5 GB needed\)\. Free space"
    with pytest.raises(FullDiskError, match=words), space_for(tmp_path / "new" / "store", 2.5e9):
        pytest.fail("the work began")
    assert not (tmp_path / "new").exists()


def test_a_lock_that_cannot_be_made_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seismag.folder_lock.FileLock.acquire", no_space)
    with pytest.raises(FullDiskError, match=MESSAGE), folder_lock(tmp_path / "out"):
        pytest.fail("the work began")


def test_both_files_of_an_access_log_stay_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog(tmp_path, "sealed_ledger", "Restore it.")
    log.append({"kind": "look"})
    before = {path.name: path.read_bytes() for path in tmp_path.glob("sealed*")}
    for _ in range(3):  # each time the entry fits on the disk, and the file of the last checksum does not
        with monkeypatch.context() as patched:
            patched.setattr("seismag.access_log.write_json_atomic", no_space)
            with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"):
                log.append({"kind": "look"})
    assert {path.name: path.read_bytes() for path in tmp_path.glob("sealed*")} == before
    assert log.append({"kind": "look"})["entry"] == 2


# ---- runs that died ----


def test_the_first_error_is_raised_where_it_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = create_run(tmp_path, "a", Config())
    monkeypatch.setattr("seismag.runs.write_json_atomic", no_space)
    with pytest.raises(SeismagError, match="the first"), locked_run(run), tracked(run):
        raise SeismagError("the first")
    assert "could not be recorded" in caplog.text
    assert run.provenance()["status"] == "running"
    facts = present_provenance(run)
    assert (facts["status"], facts["error"]) == ("failed", DIED)


def test_a_run_without_room_for_its_provenance_leaves_no_folder(tmp_path: Path) -> None:
    run = create_run(tmp_path, "a", Config())
    (run.path / "provenance.json").unlink()
    with pytest.raises(FullDiskError), locked_run(run), tracked(run):
        no_space()
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from seismag.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    os._exit(9)
"""


def test_a_run_whose_process_was_killed_has_failed_and_the_next_training_records_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead, alive = (create_run(tmp_path, name, Config()) for name in ("dead", "alive"))
    subprocess.run([sys.executable, "-c", KILLED, str(dead.path)], check=False)
    assert (dead.path / LOCK_NAME).exists()
    with folder_lock(alive.path):
        assert present_provenance(alive)["status"] == "running"
        assert present_provenance(dead)["status"] == "failed"
        mark_dead_runs(tmp_path)
        assert alive.provenance()["status"] == "running"
    assert (dead.provenance()["status"], dead.provenance()["error"]) == ("failed", DIED)
    assert "'seismag train --resume" in caplog.text
    assert caplog.text.count(DIED) == 1


def test_of_a_run_that_died_before_its_first_record_only_temporary_files_go(tmp_path: Path) -> None:
    folder = tmp_path / "small_20210101_000000"
    folder.mkdir()
    with atomic_path(folder / "provenance.json") as temporary:
        temporary.touch()
    dead = temporary.name.replace(f"-{os.getpid()}-", "-999999999-")
    (folder / "provenance.json").rename(folder / dead)
    (folder / "config.yaml").touch()
    mark_dead_runs(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["config.yaml"]


def test_a_run_of_another_host_is_left_alone(tmp_path: Path) -> None:
    run = create_run(tmp_path, "a", Config())
    (run.path / LOCK_NAME).write_text(json.dumps({"host": "elsewhere", "process": 1}))
    assert has_writer(run.path)
    mark_dead_runs(tmp_path)
    assert present_provenance(run)["status"] == "running"


# ---- output ----


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_output_to_a_full_disk_is_one_message_and_status_1() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seismag", "config", "train"], stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
        lost = subprocess.run(
            [sys.executable, "-m", "seismag", "models", "list", "--json"], stdout=subprocess.PIPE, stderr=full,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert lost.returncode == 0


def test_tables_and_documents_of_a_disk_that_fills_up_are_whole_or_absent(small_disk: Path) -> None:
    write_json_atomic(small_disk / "a.json", {"n": 1})
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_table(pd.DataFrame({"a": np.arange(100_000.0)}), small_disk / "a.json")
    assert caught.value.filename == str(small_disk / "a.json")
    assert json.loads((small_disk / "a.json").read_text()) == {"n": 1}
