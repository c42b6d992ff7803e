"""Options of the trainer: what each changes, and that a training with it can be interrupted and repeated."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fixtures.training_store import changed, latest, resume, same_weights, train
from seismag.config import Config
from seismag.config.tree import read_config_tree
from seismag.domain import SeismagError, UsageError
from seismag.runs import create_run
from seismag.training import devices, fit
from seismag.training.checkpoint import load_checkpoint
from seismag.training.fit import has_native_bfloat16, resolve_precision
from seismag.training.train import train_model

QUIET = {"head_dropout": 0.0, "head_dropout_inner": 0.0}
HEADS = {"attention": "cbam", "detection_head": True, "azimuth_head": "hierarchical"}
AUGMENT = {"time_masks": 1, "gridmask_probability": 0.5, "gridmask_min_cells": 8, "mixup_alpha": 0.4, "gain_db": 2.0}


def test_accumulated_batches_are_one_batch(store: Any, split: pd.DataFrame, config: Config, tmp_path: Path) -> None:
    # 28 windows: steps of 16 and 12, the latter of batches of 8 and 4
    results = []
    for batch_size, accumulate in ((16, 1), (8, 2)):
        values = {"batch_size": batch_size, "accumulate": accumulate}
        run, history = train(store, split, changed(config, {"model": QUIET}, **values), tmp_path / str(batch_size))
        results.append((latest(run), history))
    (one, history_one), (two, history_two) = results
    assert one["global_step"] == two["global_step"] == 6
    for name, tensor in one["model"].items():
        torch.testing.assert_close(two["model"][name], tensor, rtol=1e-3, atol=1e-5)
    for column in ("learning_rate", "train_loss", "val_loss"):
        np.testing.assert_allclose(history_two[column], history_one[column], rtol=1e-4)


def test_grid_that_the_backbone_cannot_process_is_refused_before_training(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path
) -> None:
    with pytest.raises(SeismagError, match=r"test_vit cannot process spectrograms of 32 x 40"):
        train(store, split, changed(config, {"model": {"backbone": "test_vit"}}), tmp_path / "runs")


@pytest.mark.parametrize(
    ("sections", "values"),
    [
        ({"augment": AUGMENT}, {}),
        ({"model": {"backbone": "test_resnet"}}, {"accumulate": 3, "layer_decay": 0.5}),
        ({}, {"precision": "bf16-mixed", "loss": "focal"}),
        ({"model": HEADS}, {"loss": "focal", "label_smoothing": 0.05}),
        ({}, {"scope": "heads", "init_from": "start"}),
        ({"model": {"backbone": "test_resnet"}}, {"scope": "last_stage", "init_from": "start"}),
    ],
)
def test_training_with_options_repeats_and_resumes_to_the_same_numbers(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, sections: dict[str, Any], values: dict[str, Any]
) -> None:
    config = changed(config, {"model": sections.get("model", {})}, epochs=2)
    if "init_from" in values:
        start, _ = train(store, split, changed(config, epochs=1), tmp_path / "start")
        values = values | {"init_from": str(start.path)}
    config = changed(config, sections, **values)
    whole, history = train(store, split, config, tmp_path / "whole")
    part = create_run(tmp_path / "part", "trial", config, dataset_id="d0")
    resumed = resume(store, split, config, part, killed_after=1)
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), history.drop(columns="seconds"), check_exact=True)
    for key in ("model", "state_dict"):
        assert same_weights(latest(part)[key], latest(whole)[key])
    best, expected = (load_checkpoint(entry.best_model).model.state_dict() for entry in (part, whole))
    assert same_weights(best, expected)


def test_model_that_cannot_be_compiled_here_says_so(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor.exc import InvalidCxxCompiler

    def refuse(*_: Any) -> None:
        raise InvalidCxxCompiler

    def compile_lazily(module: nn.Module) -> None:
        module._compiled_call_impl = refuse

    monkeypatch.setattr(nn.Module, "compile", compile_lazily)
    with pytest.raises(SeismagError, match=r"train\.compile: this machine cannot compile .*Set train\.compile=false"):
        train(store, split, changed(config, compile=True), tmp_path / "runs")


def test_more_devices_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match=r"train\.devices is 3, but there are 2 GPUs"):
        devices.require_devices(3)


def test_more_processes_than_validation_windows_are_refused_before_one_starts(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seismag.training.train.run_processes", lambda *_: pytest.fail("processes were started"))
    with pytest.raises(UsageError, match=r"train\.devices is 9, but the validation set has 8 windows.*devices=8"):
        train(store, split, changed(config, devices=9), tmp_path)


def test_reason_of_a_failing_process_is_the_message() -> None:
    with pytest.raises(UsageError, match=r"none\.yaml"):
        devices.run_processes(read_config_tree, (Path("none.yaml"), []), 1)


def test_interrupt_of_the_first_process_ends_the_others(tmp_path: Path) -> None:
    script, started = tmp_path / "script.py", tmp_path / "started"
    script.write_text(f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(60)\n")

    def interrupt() -> None:
        while not started.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the command line sets one of its own
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            devices.run_processes(runpy.run_path, (str(script),), 1)
    finally:
        signal.signal(signal.SIGINT, before)
    for process in multiprocessing.active_children():
        process.join()
        assert process.exitcode != 0  # not by the end of its sleep


def test_resuming_in_several_processes_is_noted_once(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(config, {"model": QUIET}, epochs=1)
    run, _ = train(store, split, config, tmp_path)
    train_model(store, split, config, run, resume=True)
    monkeypatch.setenv("SEISMAG_RANK", "0")  # as in a process that the first one started
    monkeypatch.setenv("WORLD_SIZE", "2")
    train_model(store, split, config, run, resume=True)
    assert run.provenance()["resumed_after_epochs"] == [1]


def test_float16_without_a_gpu_is_refused(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"train\.precision 16-mixed needs a GPU.*bf16-mixed"):
        train(store, split, changed(config, precision="16-mixed"), tmp_path)


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"neon": True, "bf16": True}, "bf16-mixed"),
        ({}, "32-true"),
    ],
)
def test_automatic_precision_is_bfloat16_where_the_processor_has_it(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    config = changed(config, precision="auto")
    run = create_run(tmp_path, "trial", config)
    assert resolve_precision(config, run).train.precision == precision
    assert run.provenance()["precision"] == precision
    assert run.config().train.precision == "auto"


@pytest.mark.parametrize("native", [True, False])
def test_automatic_precision_follows_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": not native})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native and not including_emulation)
    assert has_native_bfloat16() is native


def test_run_that_goes_on_elsewhere_keeps_the_precision_that_it_began_with(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "has_native_bfloat16", lambda: True)
    config = changed(config, {"model": QUIET}, precision="auto", epochs=1)
    run, history = train(store, split, config, tmp_path / "auto")
    _, bfloat16 = train(store, split, changed(config, precision="bf16-mixed"), tmp_path / "bf16")
    _, float32 = train(store, split, changed(config, precision="32-true"), tmp_path / "plain")
    assert history["train_loss"].tolist() == bfloat16["train_loss"].tolist() != float32["train_loss"].tolist()
    assert run.provenance()["precision"] == "bf16-mixed"

    monkeypatch.setattr(fit, "has_native_bfloat16", lambda: False)
    train_model(store, split, config, run, resume=True)
    assert run.provenance()["precision"] == "bf16-mixed"
    with pytest.raises(UsageError, match=r"train\.precision '32-true' now, 'auto' before"):
        train_model(store, split, changed(config, precision="32-true"), run, resume=True)
    assert run.provenance()["precision"] == "bf16-mixed"


def test_two_processes_train_like_one_with_batches_twice_as_large(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path
) -> None:
    config = changed(config, {"model": QUIET, "augment": {"time_masks": 1}}, epochs=2)
    one, history = train(store, split, changed(config, batch_size=8), tmp_path / "one")
    plain = SimpleNamespace(**vars(store))  # a new process cannot import the class of a fixture
    two, _ = train(plain, split, changed(config, batch_size=4, devices=2), tmp_path / "two")
    written = pd.read_csv(two.path / "history.csv")
    assert len(written) == 2
    for column in ("learning_rate", "train_loss", "val_loss", "val_balanced_accuracy_azimuth"):
        np.testing.assert_allclose(written[column], history[column], rtol=1e-3, err_msg=column)
    for name, tensor in latest(one)["model"].items():
        torch.testing.assert_close(latest(two)["model"][name], tensor, rtol=1e-2, atol=1e-4)
    assert sorted(path.name for path in two.path.iterdir()) == sorted(path.name for path in one.path.iterdir())
    assert len(list((two.path / "tensorboard").glob("events*"))) == 1
    assert load_checkpoint(two.best_model).card.document["epoch"] == 1 + written["val_loss"].idxmin()
