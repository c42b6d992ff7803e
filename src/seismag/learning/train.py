"""Training of one run: from a store and a split to a history, checkpoints and the best model."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from seismag.config import Config, TrainConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, SeismagError, UsageError
from seismag.learning.checkpoint import build_card, check_architecture, read_content
from seismag.learning.dataset import EpochDraws, SpectrogramDataset, StoreLike, role_indices
from seismag.learning.loop import EpochRecord, Training, fit, is_finished
from seismag.learning.losses import IntArray, MultiTaskLoss
from seismag.learning.model import ConvNeXtMultiTask
from seismag.learning.pretrain import PRETRAINED, load_backbone
from seismag.learning.role_inputs import make_role_inputs
from seismag.learning.transforms import Scaling
from seismag.runs import Run, update_provenance

log = logging.getLogger(__name__)

_TASKS = {"magnitude": MAGNITUDE_CLASSES, "azimuth": AZIMUTH_CLASSES}
_RESUMABLE = {"runs_dir", "num_workers"}  # keys that may differ between a training and its continuation


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended; ``history`` is the content of history.csv, epochs count from 1."""

    run: Run
    history: pd.DataFrame
    best_epoch: int
    best_val_loss: float
    stopped_early: bool
    warnings: tuple[str, ...]


def train_model(
    store: StoreLike,
    split: pd.DataFrame,
    config: Config,
    run: Run,
    *,
    resume: bool = False,
    progress: bool | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> TrainingResult:
    """Train a model on the training role of ``config.split.fold``; the validation role chooses the epoch.

    Writes history.csv, best_model.pth, checkpoint_latest.pth (each epoch) and the folder tensorboard into the run.
    Of the test role only the number of samples is looked at.

    Args:
        store: spectrograms and their table.
        split: sample_id, fold, role, split_group.
        config: sections split, model, train and augment are used.
        run: where everything is written.
        resume: go on from checkpoint_latest.pth, or from the start if the run has none yet.
        progress: show a bar; None: only if standard error is a terminal. Without a bar each epoch logs one line.
        on_epoch: called with the row of history.csv after each epoch, when its files are written.

    Raises:
        UsageError: the run holds a training already and ``resume`` is False, or was begun with other settings.
        SeismagError: a role is empty, the backbone does not take the spectrograms, the loss is not a number.
        DataError: split and store do not fit, a class is unknown, a value is infinite.
    """
    indices = {role: role_indices(store.samples, split, config.split.fold, role) for role in ("train", "val", "test")}
    checkpoint = _checkpoint_to_resume(run, store, config, resume)
    fitted = None if checkpoint is None else Scaling.from_tensors(checkpoint["scaling"])
    inputs = make_role_inputs(store, {role: indices[role] for role in ("train", "val")}, config, fitted)
    train, val = inputs.train, inputs.val
    notes = _absent_classes(train, val)
    notes += inputs.notes
    for note in notes:
        log.warning(note)
    history = list(checkpoint["history"]) if checkpoint else []
    resumed_after = [*run.provenance().get("resumed_after_epochs", []), *([len(history)] if resume else [])]
    update_provenance(run, status="running", error=None, warnings=notes, resumed_after_epochs=resumed_after)
    if not is_finished(history, config.train):
        cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=cuda):  # the caller's random state stays as it was
            torch.manual_seed(config.train.seed)
            pretrained = config.model.pretrained and checkpoint is None
            model = ConvNeXtMultiTask(config.model.model_copy(update={"pretrained": pretrained}))
            if checkpoint is None and (run.path / PRETRAINED).exists():
                load_backbone(model, run.path / PRETRAINED)
            model.check_input(*store.power.shape[2:])
            loaders = _loaders(train, val, config.train, first_epoch=len(history))
            loss = MultiTaskLoss(train.y_magnitude, train.y_azimuth_drawn, config.train)
            seen = store.samples["sample_id"].iloc[np.concatenate([indices["train"], indices["val"]])]
            module = Training(
                model, loss, config.train, len(loaders[0]),
                scaling=inputs.scaling, card=build_card(store, config, run), trained_on=tuple(map(str, seen)),
            )  # fmt: skip
            fit(module, loaders, run, config.train, checkpoint is not None, _bar_wanted(progress), on_epoch)
            history = module.history
    best = min(history, key=lambda record: record["val_loss"])
    stopped_early = len(history) < config.train.epochs
    return TrainingResult(run, pd.DataFrame(history), int(best["epoch"]), best["val_loss"], stopped_early, tuple(notes))


def _loaders(
    train: SpectrogramDataset, val: SpectrogramDataset, config: TrainConfig, first_epoch: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    common: dict[str, Any] = {
        "batch_size": config.batch_size,
        "num_workers": config.num_workers,
        "persistent_workers": config.num_workers > 0,
        "pin_memory": torch.cuda.is_available(),
        "generator": torch.Generator(),  # each iterator draws a number; not from the stream that dropout draws from
    }
    shuffle = EpochDraws(len(train), config.seed, first_epoch)
    return DataLoader(train, sampler=shuffle, **common), DataLoader(val, **common)


def _absent_classes(train: SpectrogramDataset, val: SpectrogramDataset) -> list[str]:
    """A sentence for each task that lacks classes in training; refuses a validation role of only such classes."""
    notes = []
    labels: dict[str, tuple[IntArray, IntArray]] = {
        "magnitude": (train.y_magnitude, val.y_magnitude),
        "azimuth": (train.y_azimuth_drawn, val.y_azimuth),
    }
    for task, classes in _TASKS.items():
        y_train, y_val = labels[task]
        absent = [name for place, name in enumerate(classes) if not (y_train == place).any()]
        if absent:
            notes.append(f"{task}: no training sample of {', '.join(absent)}; the model cannot learn these classes.")
        if not np.isin(y_val, y_train).any():
            raise SeismagError(
                f"{task}: the validation role holds only classes that training lacks ({', '.join(absent)}). "
                "Use more data, or another split.seed."
            )
    return notes


def _checkpoint_to_resume(run: Run, store: StoreLike, config: Config, resume: bool) -> dict[str, Any] | None:
    if not run.latest_checkpoint.exists():
        if resume:
            log.info("%s: interrupted before its first epoch ended; starting it anew", run.run_id)
        return None
    if not resume:
        raise UsageError(f"{run.path}: holds a training already. Resume it, or start a new run.")
    before = run.config()
    differences = [
        f"{section}.{key} {value!r} now, {getattr(getattr(before, section), key)!r} before"
        for section in ("split", "model", "train", "augment")
        for key, value in getattr(config, section).model_dump().items()
        if key not in _RESUMABLE and value != getattr(getattr(before, section), key)
    ]
    if differences:
        raise UsageError(f"{run.run_id}: begun with other settings: {'; '.join(differences)}. Start a new run.")
    content, _ = read_content(run.latest_checkpoint)
    check_architecture(content["card"], config.model, run.latest_checkpoint)
    trained_on, here = content["card"]["dataset_id"], store.attributes["dataset_id"]
    if trained_on != here:
        raise UsageError(f"{run.run_id}: begun on the dataset {trained_on}, not {here}. Start a new run.")
    return content


def _bar_wanted(progress: bool | None) -> bool:
    return sys.stderr.isatty() if progress is None else progress
