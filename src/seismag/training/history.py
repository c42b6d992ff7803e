"""History of a training (history.csv): early stopping, and the files of the run folder after each epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import lightning
import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import Callback

from seismag.cards import write_card
from seismag.config import TrainConfig
from seismag.files import atomic_path, write_text_atomic
from seismag.parallel import Progress
from seismag.runs import Run
from seismag.training.checkpoint import save_checkpoint

log = logging.getLogger(__name__)

EpochRecord = dict[str, float]


def should_stop(history: list[EpochRecord], patience: int) -> bool:
    """Tell whether none of the last ``patience`` epochs improved the validation loss."""
    losses = [record["val_loss"] for record in history]
    return bool(losses) and len(losses) - 1 - int(np.argmin(losses)) >= patience


def is_finished(history: list[EpochRecord], config: TrainConfig) -> bool:
    """Tell whether a training with this history has ended."""
    return len(history) >= config.epochs or should_stop(history, config.patience)


class RunWriter(Callback):
    """Writes the files of the run folder after each epoch; of several processes the first one writes."""

    def __init__(self, run: Run, on_epoch: Callable[[EpochRecord], None] | None) -> None:
        self.run = run
        self.on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Add a row to the history, write the files, and stop the training where it has ended."""
        record = pl_module.epoch_record()
        history = pl_module.history
        is_best = all(record["val_loss"] < earlier["val_loss"] for earlier in history)
        history.append(record)
        pl_module.card |= {"epoch": record["epoch"], "val_loss": record["val_loss"]}
        if trainer.is_global_zero:
            self._write(trainer, pl_module, is_best)
        else:
            trainer.save_checkpoint(self.run.latest_checkpoint)  # takes part, writes nothing
        if should_stop(history, pl_module.config.patience):
            log.info("no better validation loss in %d epochs: stopping", pl_module.config.patience)
            trainer.should_stop = True

    def _write(self, trainer: lightning.Trainer, pl_module: Any, is_best: bool) -> None:
        history = pl_module.history
        record = history[-1]
        # best before latest: after a crash in between the epoch is repeated and the same best model written again
        if is_best:
            with pl_module.evaluated_weights():
                save_checkpoint(
                    self.run.best_model, pl_module.model, pl_module.scaling, pl_module.card, pl_module.trained_on
                )
        with atomic_path(self.run.latest_checkpoint) as temporary:
            trainer.save_checkpoint(temporary)
            write_card(self.run.latest_checkpoint, pl_module.card, content=temporary)
        write_text_atomic(self.run.path / "history.csv", pd.DataFrame(history).to_csv(index=False, lineterminator="\n"))
        scores = {name: value for name, value in record.items() if name != "epoch"}
        trainer.loggers[0].log_metrics(scores, step=int(record["epoch"]))
        log.info(_epoch_line(record, pl_module.config.epochs, is_best))
        if self.on_epoch is not None:
            self.on_epoch(record)


class ProgressReport(Callback):
    """Reports the batches of all epochs as one stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done = 0

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Count the batch that ended."""
        epochs, in_epoch = int(trainer.max_epochs or 0), int(trainer.num_training_batches)
        self.done = trainer.current_epoch * in_epoch + trainer.fit_loop.batch_idx + 1
        self.progress(f"batches of {epochs} epochs", self.done, epochs * in_epoch)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Complete the stage, also where the training stopped early."""
        self.progress(f"batches of {trainer.max_epochs} epochs", self.done, self.done)


def _epoch_line(record: EpochRecord, epochs: int, is_best: bool) -> str:
    return (
        f"epoch {record['epoch']:.0f}/{epochs}: loss {record['train_loss']:.4f} train, "
        f"{record['val_loss']:.4f} validation{' (best)' if is_best else ''}; balanced accuracy "
        f"{record['val_balanced_accuracy_magnitude']:.3f} magnitude, "
        f"{record['val_balanced_accuracy_azimuth']:.3f} azimuth; {record['seconds']:.1f} s"
    )
