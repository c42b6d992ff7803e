"""Independent tasks, in this process or on a Dask cluster."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from multiprocessing import connection, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd

from seismag.documents import read_frame
from seismag.domain import UsageError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_GRACE_S = 10.0  # for a process to end after SIGTERM

Progress = Callable[[str, int, int], None]  # stage, done, total


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


class Pool:
    """Runs functions on tasks: in this process with one worker, otherwise on Dask."""

    def __init__(self, client: Any | None) -> None:
        self._client = client

    def run(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], stage: str, progress: Progress
    ) -> None:
        """Call ``function(*task)`` for each task, in any order; tasks leave their results in files.

        Any failure of a task is raised as it is.
        """
        progress(stage, 0, len(tasks))
        for done, _ in enumerate(self.results(function, tasks), start=1):
            progress(stage, done, len(tasks))

    def run_parts(
        self, function: Callable[..., Any], batches: Sequence[Any], arguments: tuple[Any, ...], folder: Path,
        stage: str, progress: Progress,
    ) -> pd.DataFrame:  # fmt: skip
        """Call ``function(batch, *arguments, part)`` for each batch without a part yet; returns the parts as one table.

        Args:
            function: writes the parquet table ``part``.
            batches: one for each part.
            arguments: of all calls.
            folder: for the parts; created. Those of an interrupted run are kept.
            stage, progress: as in ``run``.
        """
        folder.mkdir(exist_ok=True)
        first = [0, *accumulate(map(len, batches))]  # number of the first item of each batch
        parts = [folder / f"{number:08d}.parquet" for number in first[:-1]]
        tasks = [(batch, *arguments, part) for batch, part in zip(batches, parts, strict=True) if not part.exists()]
        self.run(function, tasks, stage, progress)
        remedy = "Delete it, and give the same command again: it makes this part again."
        return pd.concat([read_frame(part, {}, remedy) for part in parts], ignore_index=True)

    def results(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the results of ``function(*task)`` in the order in which tasks end."""
        if self._client is None:
            for task in tasks:
                yield function(*task)
            return
        from distributed import as_completed

        futures = [self._client.submit(function, *task, pure=False) for task in tasks]
        try:
            for _, result in as_completed(futures, loop=self._client.loop, with_results=True):
                yield result
        finally:
            self._client.cancel(futures)


@contextmanager
def open_pool(workers: int, scheduler: str | None) -> Iterator[Pool]:
    """Open a pool: a running Dask cluster by its address, else local processes, else this process.

    Args:
        workers: local processes of one thread each; 1 works here.
        scheduler: address such as ``tcp://host:8786``; its workers must see the same files.

    Raises:
        UsageError: fewer than one worker, or no scheduler answers at the address.
    """
    if workers < 1:
        raise UsageError(f"--workers {workers}: at least 1.")
    if scheduler is None and workers == 1:
        keep_freed_memory()
        yield Pool(None)
        return
    import dask

    dask.config.set({"logging": {"distributed": "critical"}})  # read when distributed is imported
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            # never the default client of the process: xarray would go on asking for it when it is gone
            client = Client(scheduler, timeout="10s", set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(f"--workers {scheduler}: no Dask scheduler answers there ({error}).") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=10)
            except TimeoutError as error:
                raise UsageError(
                    f"--workers {scheduler}: it has no worker. Start one: dask worker {scheduler}"
                ) from error
            client.run(keep_freed_memory)
            yield Pool(client)
        return
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.run(keep_freed_memory)
        yield Pool(client)


def end_with_parent() -> None:
    """End this process when the one that started it (``multiprocessing``) has ended, however that was.

    A killed command can end none of its processes: they would go on writing while the next command goes on, too.
    """
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def end_processes(processes: Sequence[BaseProcess]) -> None:
    """End processes that are still running, in the end by SIGKILL: a library may drop the exception of SIGTERM."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def keep_freed_memory() -> None:
    """Let the allocator of this process keep freed memory for the next array of the same size.

    glibc returns arrays of some MB to the system after each use; requesting the pages again took a seventh of the time
    of ``prepare`` (benchmarks/prepare.py). Other C libraries are not changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)
