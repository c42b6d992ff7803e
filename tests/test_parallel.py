"""Tasks here and over Dask: every one runs once, failures come through, a dead address is a usage error."""

import operator
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import dask
import distributed
import pytest
from distributed import Client, LocalCluster

from seismag import parallel
from seismag.domain import UsageError
from seismag.parallel import open_pool, silent


def test_one_worker_runs_every_task_here_in_order():
    done, calls = [], []
    with open_pool(1, None) as pool:
        pool.run(done.append, [(n,) for n in range(3)], "stage", lambda *call: calls.append(call))
    assert done == [0, 1, 2]
    assert calls == [("stage", 0, 3), ("stage", 1, 3), ("stage", 2, 3), ("stage", 3, 3)]


def test_no_task_is_no_work():
    calls = []
    with open_pool(1, None) as pool:
        pool.run(print, [], "stage", lambda *call: calls.append(call))
    assert calls == [("stage", 0, 0)]


def test_a_failure_here_is_passed_on_and_stops_the_rest():
    with open_pool(1, None) as pool, pytest.raises(ZeroDivisionError):
        pool.run(operator.truediv, [(1, 1), (1, 0), (1, 1)], "stage", silent)


def test_a_cluster_runs_every_task_once_and_passes_failures_on(tmp_path):
    """One cluster for all of it: starting one takes seconds."""
    paths = [tmp_path / str(n) for n in range(6)]
    calls = []
    with open_pool(2, None) as pool:
        pool.run(Path.mkdir, [(path,) for path in paths], "stage", lambda *call: calls.append(call))
        assert all(path.is_dir() for path in paths)  # mkdir twice would fail
        assert calls == [("stage", n, 6) for n in range(7)]
        with pytest.raises(ZeroDivisionError):
            pool.run(operator.truediv, [(1, 1), (1, 0)], "stage", silent)
        with pytest.raises(FileExistsError):
            pool.run(Path.mkdir, [(paths[0],)], "stage", silent)
        with pytest.raises(OSError, match="No space left on device"):  # ``space_for`` explains it
            pool.run(Path.write_text, [(Path("/dev/full"), "x" * 10)], "stage", silent)
        after = []
        pool.run(operator.add, [(1, 2)], "stage", lambda *call: after.append(call))  # the cluster still works
        assert after[-1] == ("stage", 1, 1)
        assert dask.base.get_scheduler() is None  # other users of Dask in this process do not get the cluster


def test_a_running_scheduler_is_used_by_its_address(tmp_path):
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        open_pool(1, cluster.scheduler_address) as pool,
    ):
        pool.run(Path.mkdir, [(tmp_path / "made",)], "stage", silent)
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "not an address", "tcp://", "carrier-pigeon://x:1"])
def test_an_address_where_nobody_answers_is_a_usage_error(address, monkeypatch):
    waits = []

    def impatient(scheduler, timeout, **options):
        waits.append(timeout)
        return Client(scheduler, timeout="1s", **options)

    monkeypatch.setattr(distributed, "Client", impatient)
    with pytest.raises(UsageError, match="no Dask scheduler answers there"), open_pool(1, address):
        pass
    assert waits == ["10s"]  # it is asked once, and not waited for without end
    assert dask.base.get_scheduler() is None  # nothing stays behind for other users of Dask in this process


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_a_usage_error(workers):
    with pytest.raises(UsageError, match=rf"--workers {workers}: at least 1"), open_pool(workers, None):
        pass


_PARENT = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
from seismag.parallel import end_with_parent

def child(folder):
    end_with_parent()
    Path(folder, "begun").write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=child, args=(sys.argv[1],)).start()
    while not Path(sys.argv[1], "begun").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    with subprocess.Popen([sys.executable, script, tmp_path], stderr=subprocess.PIPE) as parent:
        assert parent.stderr.read() == b""  # ends when the last process that has it open ends: this one hangs else
    assert parent.returncode == -signal.SIGKILL


def _stay(path):
    signal.signal(signal.SIGTERM, lambda *_: None)
    path.touch()
    while True:
        time.sleep(0.01)


def test_a_process_that_drops_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_GRACE_S", 0.1)
    process = get_context("fork").Process(target=_stay, args=(tmp_path / "begun",))
    process.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    parallel.end_processes([process])
    assert process.exitcode == -signal.SIGKILL
