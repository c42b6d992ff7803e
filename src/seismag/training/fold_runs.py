"""Runs of folds: find the run of a fold, train one, train several at a time.

The run of a fold is found by its provenance (data set, split, settings), so that a repeated command resumes. A fold
that fails does not stop the others.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import torch

from seismag.config import Config
from seismag.disk_space import KEPT, FullDiskError, require_space
from seismag.domain import SeismagError, UsageError
from seismag.folder_lock import file_lock
from seismag.parallel import Progress, end_processes, end_with_parent, open_pool, silent
from seismag.runs import Run, read_run, shrink_for_trial
from seismag.training.budget import training_bytes
from seismag.training.run import run_training

log = logging.getLogger(__name__)

_SETTINGS = ("split", "model", "train", "augment")
_MAY_DIFFER = {"runs_dir", "num_workers"}  # of train: where and how, not what
_DEVICES = "CUDA_VISIBLE_DEVICES"
_REMEDY = "Another process trains this fold: wait until it ends, or change train.run_name."
_one_at_a_time = threading.Lock()  # a Dask worker may have several threads; random states are the process's


@dataclass(frozen=True)
class FoldTask:
    """One fold to train."""

    config: Config  # of this fold
    folder: Path  # where relative paths start
    store: Path  # absolute
    dataset_id: str  # of data set and split report, as the run of this fold records them
    split_sha256: str
    progress: Progress = silent

    @property
    def fold(self) -> int:
        """The fold, from 1."""
        return self.config.split.fold


@dataclass(frozen=True)
class FoldOutcome:
    """The run folder of a fold, or the reason of its failure."""

    fold: int
    run: Path | None
    error: str | None = None
    is_full_disk: bool = False


def fold_config(config: Config, fold: int) -> Config:
    """Return the configuration of one fold, with the run name ``<run_name>_fold<k>``."""
    split = config.split.model_copy(update={"fold": fold})
    train = config.train.model_copy(update={"run_name": f"{config.train.run_name}_fold{fold}"})
    return config.model_copy(update={"split": split, "train": train})


def find_run(task: FoldTask) -> tuple[Run, bool] | None:
    """Find the run of a fold with its data, split and settings: a complete one (True), else the latest begun one."""
    wanted = _settings(shrink_for_trial(task.config, os.environ)[0])
    name = task.config.train.run_name
    begun = None
    for path in sorted((task.folder / task.config.train.runs_dir).glob(f"{name}_????????_??????"), reverse=True):
        try:
            run = read_run(path)
            facts = run.provenance()
            same = _settings(run.config()) == wanted
        except SeismagError:
            continue  # not a run, or damaged
        made_from = (facts.get("dataset_id"), facts.get("split_certificate_sha256"))
        if not same or made_from != (task.dataset_id, task.split_sha256):
            continue
        if facts.get("status") == "complete" and run.predictions.is_file() and (run.path / "metrics.json").is_file():
            return run, True
        begun = begun or run
    return None if begun is None else (begun, False)


def train_fold(task: FoldTask) -> FoldOutcome:
    """Train or resume one fold; a failure becomes the error of the outcome."""
    try:
        with _one_at_a_time, chdir(task.folder), file_lock(_lock_of(task), _REMEDY):
            run, complete = find_run(task) or (None, False)
            if run is None or not complete:
                if run is not None:
                    log.info("fold %d: resuming %s", task.fold, run.run_id)
                run = run_training(task.config, task.store, None if run is None else run.path, task.progress)
            return FoldOutcome(task.fold, run.path)
    except SeismagError as error:
        return FoldOutcome(task.fold, None, str(error), isinstance(error, FullDiskError))
    except Exception as error:  # of any kind: the other folds go on, and the end of the command names it
        log.error("fold %d failed:\n%s", task.fold, traceback.format_exc())
        return FoldOutcome(task.fold, None, f"{type(error).__name__}: {error}")


def train_missing_folds(
    tasks: Mapping[int, FoldTask],
    chosen: Sequence[int],
    workers: int,
    scheduler: str | None,
    progress: Progress,
    announce: Callable[[int], None],
) -> tuple[dict[int, Run], dict[int, str]]:
    """Train the chosen folds that have no complete run.

    ``announce`` is called before, with their number, where there are any.

    Returns:
        The runs of finished folds, old and new, and the reasons of those that failed, by fold.

    Raises:
        FullDiskError: the folds have no room, or the disk became full: no further fold would end.
    """
    found = {fold: find_run(task) for fold, task in tasks.items()}
    runs = {fold: entry[0] for fold, entry in found.items() if entry is not None and entry[1]}
    for fold in sorted(set(runs) & set(chosen)):
        log.info("fold %d: complete already, %s", fold, runs[fold].run_id)
    failed: dict[int, str] = {}
    to_do = [tasks[fold] for fold in chosen if fold not in runs]
    if to_do:
        announce(len(to_do))
    new = [task for task in to_do if found[task.fold] is None]
    if new:
        runs_dir = new[0].folder / new[0].config.train.runs_dir
        require_space(runs_dir, len(new) * training_bytes(shrink_for_trial(new[0].config, os.environ)[0]), KEPT)
    progress("folds", 0, len(to_do))
    for done, outcome in enumerate(train_folds(to_do, workers, scheduler), start=1):
        if outcome.is_full_disk:
            raise FullDiskError(f"fold {outcome.fold}: {outcome.error} So does the same crossval, with all folds.")
        if outcome.run is None:
            failed[outcome.fold] = outcome.error or "no reason given"
            log.error("fold %d failed: %s", outcome.fold, failed[outcome.fold])
        else:
            runs[outcome.fold] = Run(outcome.run)
        progress("folds", done, len(to_do))
    return dict(sorted(runs.items())), failed


def train_folds(tasks: Sequence[FoldTask], workers: int, scheduler: str | None) -> Iterator[FoldOutcome]:
    """Train folds: on a Dask cluster by its address, else in several processes, else one after the other.

    Raises:
        UsageError: fewer than one worker, several processes for folds of several processes each, or no scheduler
            answers.
    """
    if workers < 1:
        raise UsageError(f"--workers {workers}: at least 1.")
    parallel = scheduler is not None or workers > 1
    if parallel and tasks and tasks[0].config.train.devices > 1:
        raise UsageError(
            f"train.devices is {tasks[0].config.train.devices}: each fold takes several devices, so folds run one "
            "after the other. Leave --workers out, or set train.devices=1."
        )
    if scheduler is not None:
        with open_pool(1, scheduler) as pool:
            # data are loaded in the training process: processes of a Dask cluster may not start others
            yield from pool.results(train_fold, [(_without_loaders(task),) for task in tasks])
    elif workers == 1:
        yield from map(train_fold, tasks)
    else:
        yield from _train_in_processes(tasks, workers)


def device_of_slot(slot: int, n_devices: int, visible: str | None) -> str | None:
    """Return CUDA_VISIBLE_DEVICES of process ``slot`` (from 0), round robin; None: there is no GPU.

    ``n_devices`` and ``visible`` are the GPUs and CUDA_VISIBLE_DEVICES of this process.
    """
    if not n_devices:
        return None
    names = visible.split(",") if visible else [str(number) for number in range(n_devices)]
    return names[slot % min(n_devices, len(names))]


def _train_in_processes(tasks: Sequence[FoldTask], workers: int) -> Iterator[FoldOutcome]:
    """Train each fold in a process of its own, ``workers`` at a time; a process that dies loses only its fold."""
    context = get_context("spawn")
    waiting, slots = list(tasks), list(range(workers))
    running: dict[Any, tuple[Any, FoldTask, int]] = {}
    n_devices, visible = torch.cuda.device_count(), os.environ.get(_DEVICES)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    level = logging.getLogger().getEffectiveLevel()
    try:
        while waiting or running:
            while waiting and slots:
                task, slot = waiting.pop(0), slots.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                device = device_of_slot(slot, n_devices, visible)
                arguments = (task, theirs, device, max(1, cpus // workers), level)
                process = context.Process(target=_child, args=arguments)
                process.start()
                theirs.close()
                running[ours] = (process, task, slot)
            for ready in connection.wait(list(running)):
                process, task, slot = running.pop(ready)
                slots.append(slot)
                yield _outcome(ready, process, task)
    finally:
        end_processes([process for process, _, _ in running.values()])


def _outcome(ready: Any, process: Any, task: FoldTask) -> FoldOutcome:
    try:
        outcome: FoldOutcome = ready.recv()
        process.join()
    except EOFError:
        process.join()
        reason = "The lines above may contain the reason."
        if process.exitcode == -signal.SIGKILL:
            reason = "Mostly that is too little memory: lower --workers or train.batch_size."
        error = f"its process ended without a message (exit code {process.exitcode}). {reason}"
        return FoldOutcome(task.fold, None, error)
    return outcome


def _child(task: FoldTask, answer: Any, device: str | None, threads: int, level: int) -> None:
    end_with_parent()
    if device is not None:
        os.environ[_DEVICES] = device  # before CUDA is first used
    # an exception, so that the run is marked as failed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    logging.basicConfig(level=level, format=f"fold {task.fold}: %(message)s", stream=sys.stderr)
    torch.set_num_threads(threads)
    outcome = train_fold(task)
    with suppress(BrokenPipeError):  # the parent was killed; the run itself is found again
        answer.send(outcome)


def _lock_of(task: FoldTask) -> Path:
    """Name what one process at a time trains: the runs of a fold, of which the folder is found under the lock."""
    return task.folder / task.config.train.runs_dir / task.config.train.run_name


def _settings(config: Config) -> dict[str, object]:
    sections = {name: getattr(config, name).model_dump(mode="json") for name in _SETTINGS}
    sections["train"] = {key: value for key, value in sections["train"].items() if key not in _MAY_DIFFER}
    return sections


def _without_loaders(task: FoldTask) -> FoldTask:
    train = task.config.train.model_copy(update={"num_workers": 0})
    return replace(task, config=task.config.model_copy(update={"train": train}))
