"""How Lightning is told to run a training, in one process or in several."""

from __future__ import annotations

import logging
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes
from torch.utils.data import DataLoader

from seismag.config import TrainConfig
from seismag.domain import SeismagError, UsageError
from seismag.learning.history import EpochRecord, RunWriter
from seismag.learning.loop import Training
from seismag.learning.memory import memory_shortage_named
from seismag.runs import Run

_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # a small preloaded set is fastest without
    ".*You're resuming from a checkpoint.*",
    ".*LeafSpec.*",
    ".*tensor cores.*",
)


def fit(
    module: Training,
    loaders: tuple[DataLoader[Any], DataLoader[Any]],
    run: Run,
    config: TrainConfig,
    resume: bool,
    bar: bool,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> None:
    """Run the epochs that are left; ``module.history`` then holds a row for each."""
    callbacks: list[Callback] = [RunWriter(run, on_epoch, logging.DEBUG if bar else logging.INFO)]
    if bar:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    several: dict[str, Any] = {"strategy": DDPStrategy()} if config.devices > 1 else {}
    if config.compile:
        module.model.compile()
    with _quiet_lightning(), _plain_interrupt(), _compilation_named(), memory_shortage_named(config.batch_size):
        trainer = lightning.Trainer(
            default_root_dir=run.path,
            logger=TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False),
            callbacks=callbacks,
            devices=config.devices,
            max_epochs=config.epochs,
            precision=config.precision,
            gradient_clip_val=config.gradient_clip,
            accumulate_grad_batches=config.accumulate,
            plugins=[LightningEnvironment()],  # the processes of train.devices, also inside a batch system
            use_distributed_sampler=False,  # the sampler knows of them
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=bar,
            **several,
        )
        trainer.fit(module, *loaders, ckpt_path=run.latest_checkpoint if resume else None)


def require_devices(n_devices: int) -> None:
    """Refuse more GPUs than there are; on a CPU each device is a process.

    Raises:
        UsageError: there are fewer GPUs.
    """
    present = torch.cuda.device_count()
    if present and n_devices > present:
        raise UsageError(f"train.devices is {n_devices}, but there are {present} GPUs. Set train.devices={present}.")


def run_processes(function: Callable[..., None], arguments: tuple[Any, ...], n_processes: int) -> None:
    """Call ``function(*arguments)`` in several new processes that Lightning joins (DDP), and wait for them.

    Args:
        function: of a module, so that a new process can import it.
        arguments: can be pickled.
        n_processes: how many.

    Raises:
        SeismagError: a process failed; its own message where it was one for users.
    """
    context = get_context("spawn")
    failures = context.SimpleQueue()
    port = _free_port()
    try:
        start_processes(
            _run_rank,
            args=(function, arguments, n_processes, port, failures, logging.getLogger().getEffectiveLevel()),
            nprocs=n_processes,
            start_method="spawn",
        )
    except ProcessRaisedException as error:
        if not failures.empty():
            kind, text = failures.get()
            raise kind(text) from error
        raise
    except ProcessExitedException as error:
        raise SeismagError(
            f"train.devices {n_processes}: process {error.error_index} ended without a word (signal "
            f"{error.signal_name}), which mostly means too little memory. Lower train.devices or train.batch_size."
        ) from error


def _run_rank(
    rank: int,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
    n_processes: int,
    port: int,
    failures: Any,
    level: int,
) -> None:
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(n_processes), "NODE_RANK": "0",
    }  # fmt: skip
    logging.basicConfig(level=level if rank == 0 else logging.ERROR, format="%(message)s")
    torch.set_num_threads(max(1, torch.get_num_threads() // n_processes))
    try:
        function(*arguments)
    except SeismagError as error:
        failures.put((type(error), str(error)))
        raise


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _compilation_named() -> Iterator[None]:
    """Turn a failure of ``train.compile`` into a sentence.

    Raises:
        SeismagError: the model cannot be compiled here; other errors pass.
    """
    try:
        yield
    except Exception as error:
        of_compiler = type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
        if not of_compiler and "torch.compile" not in str(error):
            raise
        reason = next((line for line in str(error).strip().splitlines() if line.strip()), type(error).__name__)
        raise SeismagError(
            f"train.compile: this machine cannot compile the model ({reason}). Set train.compile=false, or install "
            "what torch.compile needs: on a CPU a C++ compiler, on a GPU Triton."
        ) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's notes on its own set-up, and the warnings that are expected here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _plain_interrupt() -> Iterator[None]:
    """Let Ctrl-C arrive as KeyboardInterrupt; Lightning would exit the process and leave the signal ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
        raise
