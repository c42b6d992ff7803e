"""Set-up of Lightning for a training, in one process or in several."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from seismag.config import Config, TrainConfig
from seismag.domain import SeismagError, UsageError
from seismag.parallel import Progress
from seismag.runs import Run, update_provenance
from seismag.training.devices import in_group
from seismag.training.history import EpochRecord, ProgressReport, RunWriter
from seismag.training.loop import TrainingLoop

_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # a small preloaded set is fastest without
    ".*You're resuming from a checkpoint.*",
    ".*LeafSpec.*",
    ".*tensor cores.*",
    "Grad strides do not match.*",  # of depthwise kernels, between processes
)
_CPU_MESSAGES = ("can't allocate memory", "not enough memory")  # Linux, Windows: a plain RuntimeError


_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")  # x86-64, the same, ARM64


def resolve_precision(config: Config, run: Run) -> Config:
    """Replace ``train.precision: auto`` by the precision of this machine, and record the precision of the run.

    A run that goes on keeps the precision it began with, on any machine.

    Raises:
        UsageError: float16 without a GPU, where Lightning would train in bfloat16 instead.
    """
    precision: str = config.train.precision
    if precision == "16-mixed" and not torch.accelerator.is_available():
        raise UsageError(
            "train.precision 16-mixed needs a GPU, and there is none. Set train.precision=bf16-mixed, or 32-true."
        )
    if precision == "auto":
        precision = run.provenance().get("precision") or ("bf16-mixed" if has_native_bfloat16() else "32-true")
    if not in_group():
        update_provenance(run, precision=precision)
    return config.model_copy(update={"train": config.train.model_copy(update={"precision": precision})})


def has_native_bfloat16() -> bool:
    """Whether the device that trains computes in bfloat16 itself; elsewhere it is emulated, at half the speed."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.accelerator.is_available():
        return False  # other accelerators have not been measured
    flags: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch cannot tell
    return any(flags.get(name, False) for name in _BFLOAT16_FLAGS)


def fit(
    module: TrainingLoop,
    loaders: tuple[DataLoader[Any], DataLoader[Any]],
    run: Run,
    config: TrainConfig,
    resume: bool,
    progress: Progress,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> None:
    """Run the epochs that are left; ``module.history`` then contains a row for each."""
    callbacks: list[Callback] = [RunWriter(run, on_epoch), ProgressReport(progress)]
    if config.compile:
        module.model.compile()
    with quiet_lightning(), plain_interrupt(), _compiler_errors_explained(), memory_errors_explained(config.batch_size):
        trainer = lightning.Trainer(
            default_root_dir=run.path,
            logger=TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False),
            callbacks=callbacks,
            devices=config.devices,
            max_epochs=config.epochs,
            precision=config.precision,  # type: ignore[arg-type]  # auto is resolved
            gradient_clip_val=config.gradient_clip,
            accumulate_grad_batches=config.accumulate,
            plugins=[LightningEnvironment()],  # the processes of train.devices, also inside a batch system
            use_distributed_sampler=False,  # EpochSampler does it
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            strategy=DDPStrategy() if config.devices > 1 else "auto",
        )
        trainer.fit(module, *loaders, ckpt_path=run.latest_checkpoint if resume else None)


@contextmanager
def _compiler_errors_explained() -> Iterator[None]:
    """Turn an error of ``train.compile`` into a message.

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
def memory_errors_explained(batch_size: int) -> Iterator[None]:
    """Turn the errors of torch for too little memory into a message with the batch size.

    Raises:
        SeismagError: there is too little memory; other errors pass.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).strip().partition("\n")[0]
        on_cpu = isinstance(error, MemoryError) or any(message in text for message in _CPU_MESSAGES)
        if not (on_cpu or isinstance(error, torch.OutOfMemoryError)):
            raise
        smaller = f"Lower it, for example to {batch_size // 2}" if batch_size > 1 else "It cannot be lower"
        raise SeismagError(
            f"too little memory for a step with train.batch_size {batch_size} ({text}). {smaller}, or take a smaller "
            "model.backbone, or fewer bins or frames (data section)."
        ) from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence messages of Lightning on its set-up, and warnings that are expected here."""
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
def plain_interrupt() -> Iterator[None]:
    """Raise Ctrl-C as KeyboardInterrupt; Lightning would exit the process and leave the signal ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
        raise
