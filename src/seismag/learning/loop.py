"""What happens in each step and each epoch of a training, and how Lightning is told to run it.

Whatever is random in an epoch (order of the samples, dropout) depends on seed and epoch alone. So a training that was
interrupted and resumed ends, on a CPU, with the weights of one that was not.
"""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seismag.config import TrainConfig
from seismag.domain import SeismagError
from seismag.learning.checkpoint import checkpoint_content, save_checkpoint
from seismag.learning.heads import Outputs
from seismag.learning.losses import MultiTaskLoss
from seismag.learning.memory import memory_shortage_named
from seismag.learning.model import ConvNeXtMultiTask
from seismag.learning.transforms import Scaling
from seismag.metrics import balanced_accuracy, confusion_matrix
from seismag.runs import Run, atomic_path, write_card, write_text_atomic

log = logging.getLogger(__name__)

EpochRecord = dict[str, float]
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # a small preloaded set is fastest without
    ".*You're resuming from a checkpoint.*",
    ".*LeafSpec.*",
)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the parameters: matrices and kernels decay; what has one dimension does not.

    The latter are biases, norms, layer scales, ordinal thresholds and the tasks' log variances.

    Pulling a bias or a scale to 0 regularises nothing and hampers the norms (Loshchilov & Hutter, 2019,
    arXiv:1711.05101, leave the choice open; this is the practice of ConvNeXt, arXiv:2201.03545).
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Share of the learning rate at a step (from 0): linear to 1 over the warm-up, then a half cosine to 0.

    Source: Loshchilov & Hutter (2017), arXiv:1608.03983, eq. 5, without restarts; warm-up: arXiv:1706.02677.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def should_stop(history: list[EpochRecord], patience: int) -> bool:
    """Tell whether the last ``patience`` epochs brought no better validation loss than an earlier one."""
    losses = [record["val_loss"] for record in history]
    return bool(losses) and len(losses) - 1 - int(np.argmin(losses)) >= patience


def is_finished(history: list[EpochRecord], config: TrainConfig) -> bool:
    """Tell whether a training with this history has nothing left to do."""
    return len(history) >= config.epochs or should_stop(history, config.patience)


class Training(lightning.LightningModule):
    """What Lightning calls in each step and epoch."""

    def __init__(
        self,
        model: ConvNeXtMultiTask,
        loss: MultiTaskLoss,
        config: TrainConfig,
        steps_per_epoch: int,
        *,
        scaling: Scaling,
        card: dict[str, Any],
        trained_on: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.scaling = scaling
        self.card = card
        self.trained_on = trained_on
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.history: list[EpochRecord] = []
        self.val_scores: EpochRecord = {}
        self._val_batches: list[tuple[Tensor, ...]] = []

    def configure_optimizers(self) -> Any:
        # of the model, and of the loss where it learns the tasks' weights
        optimizer = torch.optim.AdamW(parameter_groups(self, self.config.weight_decay), lr=self.config.learning_rate)
        total = self.config.epochs * self.steps_per_epoch
        # at most half of the steps, so that a trial of one or two epochs reaches the full rate and comes down again
        warmup = min(round(self.config.warmup_epochs * self.steps_per_epoch), total // 2)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.current_epoch]).generate_state(1)[0]))
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._n_trained = 0
        self._started = time.monotonic()

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y_magnitude, y_azimuth = batch
        loss: Tensor = self.loss(self.model(x), y_magnitude, y_azimuth)
        value = loss.detach().double().cpu()
        self._check_finite(value, f"step {batch_idx + 1}: the training loss")
        self._loss_sum += value * len(x)
        self._n_trained += len(x)
        self._learning_rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        x, y_magnitude, y_azimuth = batch
        outputs: Outputs = self.model(x)
        self._val_batches.append((outputs.magnitude, outputs.azimuth, y_magnitude, y_azimuth))

    def on_validation_epoch_end(self) -> None:
        magnitude, azimuth, y_magnitude, y_azimuth = (
            torch.cat(parts) for parts in zip(*self._val_batches, strict=True)
        )
        self._val_batches.clear()
        loss = self.loss.of_role(Outputs(magnitude, azimuth), y_magnitude, y_azimuth)
        self._check_finite(loss, "the validation loss")
        self.val_scores = {
            "val_loss": float(loss),
            "val_balanced_accuracy_magnitude": _balanced_accuracy(magnitude, y_magnitude),
            "val_balanced_accuracy_azimuth": _balanced_accuracy(azimuth, y_azimuth),
        }
        self.log("val_loss", float(loss), prog_bar=True, logger=False)

    def epoch_record(self) -> EpochRecord:
        """The row of history.csv of the epoch that just ended."""
        return {
            "epoch": self.current_epoch + 1,
            "learning_rate": self._learning_rate,
            "train_loss": float(self._loss_sum) / self._n_trained,
            **self.val_scores,
            **self.loss.task_weights(),
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= checkpoint_content(self.model, self.scaling, self.card, self.trained_on)
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["history"])

    def _check_finite(self, loss: Tensor, name: str) -> None:
        if not torch.isfinite(loss):
            raise SeismagError(
                f"epoch {self.current_epoch + 1}, {name} is {float(loss)}. Lower train.learning_rate "
                f"(now {self.config.learning_rate:g}) or train.gradient_clip (now {self.config.gradient_clip:g}), "
                f"or set train.precision=32-true (now {self.config.precision})."
            )


class _RunWriter(Callback):
    """Keeps the run folder up to date after each epoch."""

    def __init__(self, run: Run, on_epoch: Callable[[EpochRecord], None] | None, level: int) -> None:
        self.run = run
        self.on_epoch = on_epoch
        self.level = level

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        record = pl_module.epoch_record()
        history = pl_module.history
        is_best = all(record["val_loss"] < earlier["val_loss"] for earlier in history)
        history.append(record)
        pl_module.card |= {"epoch": record["epoch"], "val_loss": record["val_loss"]}
        # best before latest: a crash in between repeats the epoch, and writes the same best model again
        if is_best:
            save_checkpoint(
                self.run.best_model, pl_module.model, pl_module.scaling, pl_module.card, pl_module.trained_on
            )
        with atomic_path(self.run.latest_checkpoint) as temporary:
            trainer.save_checkpoint(temporary)
            write_card(self.run.latest_checkpoint, pl_module.card, content=temporary)
        write_text_atomic(self.run.path / "history.csv", pd.DataFrame(history).to_csv(index=False, lineterminator="\n"))
        scores = {name: value for name, value in record.items() if name != "epoch"}
        trainer.loggers[0].log_metrics(scores, step=int(record["epoch"]))
        log.log(self.level, _epoch_line(record, pl_module.config.epochs, is_best))
        if self.on_epoch is not None:
            self.on_epoch(record)
        if should_stop(history, pl_module.config.patience):
            log.info("no better validation loss in %d epochs: stopping", pl_module.config.patience)
            trainer.should_stop = True


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
    callbacks: list[Callback] = [_RunWriter(run, on_epoch, logging.DEBUG if bar else logging.INFO)]
    if bar:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    with _quiet_lightning(), _plain_interrupt(), memory_shortage_named(config.batch_size):
        trainer = lightning.Trainer(
            default_root_dir=run.path,
            logger=TensorBoardLogger(run.path, name="", version="tensorboard", default_hp_metric=False),
            callbacks=callbacks,
            devices=1,
            max_epochs=config.epochs,
            precision=config.precision,
            gradient_clip_val=config.gradient_clip,
            plugins=[LightningEnvironment()],  # one process, also inside a batch system
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=bar,
        )
        trainer.fit(module, *loaders, ckpt_path=run.latest_checkpoint if resume else None)


def _balanced_accuracy(logits: Tensor, y_true: Tensor) -> float:
    predicted = logits.argmax(dim=1).cpu().numpy()
    return float(balanced_accuracy(confusion_matrix(y_true.cpu().numpy(), predicted, logits.shape[1])))


def _epoch_line(record: EpochRecord, epochs: int, is_best: bool) -> str:
    return (
        f"epoch {record['epoch']:.0f}/{epochs}: loss {record['train_loss']:.4f} train, "
        f"{record['val_loss']:.4f} validation{' (best)' if is_best else ''}; balanced accuracy "
        f"{record['val_balanced_accuracy_magnitude']:.3f} magnitude, "
        f"{record['val_balanced_accuracy_azimuth']:.3f} azimuth; {record['seconds']:.1f} s"
    )


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
