"""What a cross-validation will cost on this machine, and whether it can lead to a conclusion, said before it starts."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from seismag.config import Config
from seismag.text import describe_bytes
from seismag.training.augmentation import rotations
from seismag.training.dataset import PRELOAD_BYTES, SpectrogramDataset, read_power
from seismag.training.heads import Outputs
from seismag.training.losses import MultiTaskLoss
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import fit_scaling
from seismag.windows.budget import describe_duration, independent_groups, shortage
from seismag.windows.store import Store

log = logging.getLogger(__name__)

_FOLD_S = 8.0  # processor time of a fold: start of a process and figures (benchmarks/evening.py)
_WINDOW_S = 2.5e-3  # and of a window of the store: reading, scaling, evaluation with its baselines
_SIDE_BY_SIDE = 1.6  # folds that train at the same time slow each other (benchmarks/evening.py)
PROCESS_BYTES = 0.8e9  # libraries, network and gradients of a small model
_STEPS, _BATCH, _FORWARD = 3, 32, 1 / 3  # steps that are timed, their windows; part of a step that a prediction takes


@dataclass(frozen=True)
class Budget:
    """Estimated cost of a cross-validation.

    Attributes:
        windows: of the training set of a fold, mean.
        seconds: of all folds.
        memory_bytes: of all processes.
        event_clusters, control_blocks: independent groups of the whole split.
    """

    windows: int
    seconds: float
    memory_bytes: float
    event_clusters: int
    control_blocks: int

    @property
    def shortage(self) -> str | None:
        """Why no conclusion is possible, whatever the scores will be; None: nothing is known against one."""
        return shortage(self.event_clusters, self.control_blocks)


def estimate_budget(store: Store, split: pd.DataFrame, config: Config, folds: int, workers: int) -> Budget:
    """Time a few steps on this machine and multiply.

    Args:
        store, split: the windows and their folds; only labels are read.
        config: sections model and train.
        folds: that are trained.
        workers: folds at a time.
    """
    count = split.groupby("role").size() / split["fold"].nunique()
    train, val, test = (float(count.get(role, 0)) for role in ("train", "val", "test"))
    step = seconds_per_window(config, store)
    passes = len(rotations(config.model.input == "power_cross")) if config.model.average_rotations else 1
    epochs = (train + val) * _FORWARD if config.train.keeps_features else config.train.epochs * (train + _FORWARD * val)
    windows = epochs + _FORWARD * passes * (val + test)
    at_once = max(1, min(workers, folds, os.cpu_count() or 1))
    slowed = 1.0 if at_once == 1 else _SIDE_BY_SIDE
    bins = int(np.prod(store.power.shape[1:])) * (3 if config.model.input == "power_cross" else 1)
    event_clusters, control_blocks = independent_groups(store.samples)
    return Budget(
        windows=round(train),
        seconds=slowed * folds * (_FOLD_S + len(store.samples) * _WINDOW_S + windows * step) / at_once,
        memory_bytes=at_once * (PROCESS_BYTES + min(2.0 * bins * (train + val), PRELOAD_BYTES)),
        event_clusters=event_clusters,
        control_blocks=control_blocks,
    )


def seconds_per_window(config: Config, store: Store) -> float:
    """Time training steps of random weights on the first windows of a store, per window; the first is not counted.

    Raises:
        SeismagError: the backbone cannot process spectrograms of this size.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng(devices=[]):
        model = ConvNeXtMultiTask(config.model.model_copy(update={"pretrained": False})).train().to(device)
        model.check_input(*store.power.shape[2:])
        indices = np.arange(min(config.train.batch_size, _BATCH, len(store.samples)))
        augmentation = (config.augment, config.train.seed)
        scaling = fit_scaling([read_power(store.power, indices)])
        windows = SpectrogramDataset(store, indices, scaling, model=config.model, augmentation=augmentation)
        loss = MultiTaskLoss(windows.y_magnitude, windows.y_azimuth, config.train).to(device)
        optimiser = torch.optim.AdamW(model.parameters())
        for number in range(_STEPS + 1):
            if number == 1:
                started = time.monotonic()
            batch = windows.__getitems__([(number, int(index)) for index in indices])
            x, y_magnitude, y_azimuth = (torch.stack(part).to(device) for part in zip(*batch, strict=True))
            outputs: Outputs = model(x)
            value = loss(outputs, y_magnitude, y_azimuth)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            value.item()  # waits for a GPU
    return (time.monotonic() - started) / _STEPS / len(indices)


def training_bytes(config: Config) -> int:
    """Return the least that a run writes, in bytes: its best model, and its latest checkpoint with the optimiser."""
    with torch.device("meta"):  # sizes only
        model = ConvNeXtMultiTask(config.model.model_copy(update={"pretrained": False}))
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return size * (4 if config.train.scope == "all" else 2)  # AdamW has two numbers for each that it trains


def log_budget(store: Store, split: pd.DataFrame, config: Config, workers: int, folds: int) -> None:
    """Log the estimate, and a warning where no conclusion is possible."""
    budget = estimate_budget(store, split, config, folds, workers)
    log.info(describe_budget(budget, folds, workers))
    if budget.shortage is not None:
        log.warning(budget.shortage)


def describe_budget(budget: Budget, folds: int, workers: int) -> str:
    """Return the estimate as one sentence."""
    return (
        f"estimate: {folds} folds of {budget.windows} training windows, {min(workers, folds)} at a time: about "
        f"{describe_duration(budget.seconds)} and {describe_bytes(budget.memory_bytes)} of memory on this machine"
    )
