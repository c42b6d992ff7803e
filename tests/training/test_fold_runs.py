"""Folds in several processes: who gets which GPU, what a dead process leaves, and that one works on a fold."""

from __future__ import annotations

from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from seismag.config import Config, build_config
from seismag.disk_space import FullDiskError
from seismag.domain import UsageError
from seismag.parallel import silent
from seismag.training import fold_runs
from seismag.training.fold_runs import FoldOutcome, FoldTask, device_of_slot, fold_config, train_fold, train_folds


def task(folder: Path, fold: int = 1, **train: object) -> FoldTask:
    config = build_config({"split": {"n_folds": 3, "fold": fold}, "train": {"run_name": "small", **train}})
    return FoldTask(fold_config(config, fold), folder, folder / "nothing", "one", "sum")


@pytest.mark.parametrize(
    ("slot", "n_devices", "visible", "expected"),
    [(0, 0, None, None), (0, 2, None, "0"), (3, 2, None, "1"), (1, 2, "5,7", "7"), (2, 2, "5,7", "5")],
)
def test_processes_take_the_gpus_in_turn(slot: int, n_devices: int, visible: str | None, expected: str | None) -> None:
    assert device_of_slot(slot, n_devices, visible) == expected


def test_the_run_of_a_fold_is_named_by_its_number(tmp_path: Path) -> None:
    config = task(tmp_path, 2).config
    assert (config.split.fold, config.train.run_name) == (2, "small_fold2")


def test_a_process_of_its_own_brings_back_the_reason_of_a_fold(tmp_path: Path) -> None:
    (outcome,) = train_folds([task(tmp_path, 2)], 2, None)
    assert (outcome.fold, outcome.run) == (2, None)
    assert "nothing: no such store" in (outcome.error or "")


@pytest.mark.parametrize(("exit_code", "reason"), [(-9, "too little memory: lower --workers"), (255, "lines above")])
def test_a_process_that_died_loses_its_own_fold(exit_code: int, reason: str, tmp_path: Path) -> None:
    ours, theirs = Pipe(duplex=False)
    theirs.close()
    outcome = fold_runs._outcome(ours, SimpleNamespace(join=lambda: None, exitcode=exit_code), task(tmp_path))
    assert outcome.run is None
    assert f"exit code {exit_code}). " in (outcome.error or "")
    assert reason in (outcome.error or "")


def test_a_fold_whose_asker_was_killed_ends_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Pipe(duplex=False)
    ours.close()
    monkeypatch.setattr(fold_runs, "train_fold", lambda one: FoldOutcome(one.fold, tmp_path))
    monkeypatch.setattr(fold_runs.signal, "signal", lambda *_: None)
    fold_runs._child(task(tmp_path), theirs, None, 1, 30)
    with pytest.raises(BrokenPipeError):
        theirs.send("nobody")


def test_a_fold_that_another_process_works_on_is_left_alone(tmp_path: Path) -> None:
    one = task(tmp_path)
    with FileLock(fold_runs._lock_of(one).with_name(f".{one.config.train.run_name}.lock"), thread_local=False):
        message = train_fold(one).error or ""
    assert "is being written by" in message
    assert "Another process trains this fold: wait until it ends, or change train.run_name." in message


def test_folds_that_take_several_devices_run_one_after_the_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.devices is 2.*Leave --workers"):
        list(train_folds([task(tmp_path, devices=2)], 2, None))
    with pytest.raises(UsageError, match=r"--workers 0: at least 1"):
        list(train_folds([task(tmp_path)], 0, None))


def test_processes_of_a_cluster_load_data_themselves_and_still_find_the_runs(tmp_path: Path) -> None:
    one = task(tmp_path, num_workers=4)
    there = fold_runs._without_loaders(one)
    assert there.config.train.num_workers == 0
    assert fold_runs._settings(there.config) == fold_runs._settings(one.config)


def test_the_first_fold_that_finds_the_disk_full_ends_the_crossval(tmp_path, monkeypatch):
    tasks = {fold: FoldTask(fold_config(Config(), fold), tmp_path, tmp_path, "d0", "ab") for fold in (1, 2)}
    ended = []

    def train(_task):
        ended.append(1)
        return FoldOutcome(1, None, "runs: the disk is full. Free space there.", is_full_disk=True)

    monkeypatch.setattr(fold_runs, "train_fold", train)
    with pytest.raises(FullDiskError, match=r"fold 1: runs: the disk is full\. .* the same crossval"):
        fold_runs.train_missing_folds(tasks, [1, 2], 1, None, silent, lambda _: None)
    assert ended == [1]


def test_folds_without_room_are_not_begun(tmp_path, monkeypatch):
    tasks = {1: FoldTask(fold_config(Config(), 1), tmp_path, tmp_path, "d0", "ab")}
    monkeypatch.setattr(fold_runs, "training_bytes", lambda _: 1 << 60)
    with pytest.raises(FullDiskError, match="too little space on the disk"):
        fold_runs.train_missing_folds(tasks, [1], 1, None, silent, lambda _: None)
