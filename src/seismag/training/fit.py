"""Lightning for a training: its callback, its trainer, and its errors in plain words."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from seismag.cards import write_card
from seismag.config import Config, TrainConfig
from seismag.domain import SeismagError, UsageError
from seismag.files import atomic_path, write_text_atomic
from seismag.parallel import Progress
from seismag.runs import Run, update_provenance
from seismag.training.checkpoint import save_checkpoint
from seismag.training.devices import in_group
from seismag.training.loop import EpochRecord, TrainingLoop

log = logging.getLogger(__name__)

_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # a small preloaded set is fastest without
    ".*You're resuming from a checkpoint.*",
    ".*LeafSpec.*",
    ".*tensor cores.*",
    "Grad strides do not match.*",  # of depthwise kernels, between processes
)
_CPU_MESSAGES = ("can't allocate memory", "not enough memory")  # Linux, Windows: a plain RuntimeError
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")  # x86-64, the same, ARM64


def should_stop(history: list[EpochRecord], config: TrainConfig) -> bool:
    """Tell whether none of the last ``patience`` epochs improved the validation loss, where it chooses the epoch."""
    if config.keep == "last":
        return False
    losses = [record["val_loss"] for record in history]
    return bool(losses) and len(losses) - 1 - int(np.argmin(losses)) >= config.patience


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


class RunWriter(Callback):
    """Writes the files of the run folder after each epoch; of several processes the first one writes."""

    def __init__(self, run: Run, progress: Progress, on_epoch: Callable[[EpochRecord], None] | None) -> None:
        self.run, self.progress, self.on_epoch = run, progress, on_epoch
        self.done = 0

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Report the batches of all epochs as one stage."""
        in_epoch = int(trainer.num_training_batches)
        self.done = trainer.current_epoch * in_epoch + trainer.fit_loop.batch_idx + 1
        self.progress(f"batches of {trainer.max_epochs} epochs", self.done, int(trainer.max_epochs or 0) * in_epoch)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Complete the stage, also where the training stopped early."""
        self.progress(f"batches of {trainer.max_epochs} epochs", self.done, self.done)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Add a row to the history, write the files, and stop the training where it has ended."""
        record = pl_module.epoch_record()
        history = pl_module.history
        is_best = all(record["val_loss"] < earlier["val_loss"] for earlier in history)
        is_kept = is_best or pl_module.config.keep == "last"
        history.append(record)
        pl_module.card |= {"epoch": record["epoch"], "val_loss": record["val_loss"]}
        if trainer.is_global_zero:
            self._write(trainer, pl_module, is_best, is_kept)
        else:
            trainer.save_checkpoint(self.run.latest_checkpoint)  # takes part, writes nothing
        if should_stop(history, pl_module.config):
            log.info("no better validation loss in %d epochs: stopping", pl_module.config.patience)
            trainer.should_stop = True

    def _write(self, trainer: lightning.Trainer, loop: TrainingLoop, is_best: bool, is_kept: bool) -> None:
        record = loop.history[-1]
        # best before latest: after a crash in between the epoch is repeated and the same best model written again
        if is_kept:
            save_checkpoint(self.run.best_model, loop.model, loop.scaling, loop.card, loop.trained_on)
        with atomic_path(self.run.latest_checkpoint) as temporary:
            trainer.save_checkpoint(temporary)
            write_card(self.run.latest_checkpoint, loop.card, content=temporary)
        table = pd.DataFrame(loop.history)
        write_text_atomic(self.run.path / "history.csv", table.to_csv(index=False, lineterminator="\n"))
        scores = {name: value for name, value in record.items() if name != "epoch"}
        trainer.loggers[0].log_metrics(scores, step=int(record["epoch"]))
        log.info(
            "epoch %.0f/%d: loss %.4f train, %.4f validation%s; balanced accuracy %.3f magnitude, %.3f azimuth; %.1f s",
            record["epoch"], loop.config.epochs, record["train_loss"], record["val_loss"], " (best)" if is_best else "",
            record["val_balanced_accuracy_magnitude"], record["val_balanced_accuracy_azimuth"], record["seconds"],
        )  # fmt: skip
        if self.on_epoch is not None:
            self.on_epoch(record)


def fit(
    module: TrainingLoop,
    loaders: tuple[DataLoader[Any], DataLoader[Any]],
    run: Run,
    resume: bool,
    progress: Progress,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> None:
    """Run the epochs that are left; ``module.history`` then contains a row for each."""
    config = module.config
    if config.compile:
        module.model.compile()
    with plain_lightning(config.batch_size):
        trainer = lightning.Trainer(  # without files, samplers and displays of its own
            default_root_dir=run.path,
            callbacks=[RunWriter(run, progress, on_epoch)],
            logger=TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False),
            max_epochs=config.epochs,
            precision=config.precision,  # type: ignore[arg-type]  # auto is resolved
            gradient_clip_val=config.gradient_clip,
            accumulate_grad_batches=config.accumulate,
            devices=config.devices,
            strategy=DDPStrategy() if config.devices > 1 else "auto",
            plugins=[LightningEnvironment()],  # the processes of train.devices, also inside a batch system
            use_distributed_sampler=False,  # EpochSampler does it
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(module, *loaders, ckpt_path=run.latest_checkpoint if resume else None)


@contextmanager
def plain_lightning(batch_size: int) -> Iterator[None]:
    """Silence what Lightning says on its set-up, and raise errors in the words of this package.

    Ctrl-C is a KeyboardInterrupt; Lightning would exit the process and leave the signal ignored.

    Raises:
        SeismagError: too little memory for a batch, or the model cannot be compiled here; other errors pass.
    """
    handler = signal.getsignal(signal.SIGINT)
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
        raise
    except Exception as error:
        explained = _explained(error, batch_size)
        if explained is None:
            raise
        raise explained from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _explained(error: Exception, batch_size: int) -> SeismagError | None:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    reason = lines[0] if lines else ""
    of_cpu = isinstance(error, RuntimeError) and any(message in reason for message in _CPU_MESSAGES)
    if of_cpu or isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        smaller = f"Lower it, for example to {batch_size // 2}" if batch_size > 1 else "It cannot be lower"
        return SeismagError(
            f"too little memory for a step with train.batch_size {batch_size} ({reason}). {smaller}, or take a smaller "
            "model.backbone, or fewer bins or frames (data section)."
        )
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")) or "torch.compile" in str(error):
        return SeismagError(
            f"train.compile: this machine cannot compile the model ({reason or type(error).__name__}). Set "
            "train.compile=false, or install what torch.compile needs: on a CPU a C++ compiler, on a GPU Triton."
        )
    return None
