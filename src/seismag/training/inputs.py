"""Training and validation set as datasets: both scaled, the training set augmented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seismag.arrays import IntArray
from seismag.config import Config
from seismag.domain import MAGNITUDE_CLASSES, SeismagError
from seismag.training.dataset import SpectrogramDataset, iterate_power
from seismag.training.scaling import Scaling, fit_scaling
from seismag.training.trailing import past_windows, trailing_scaling
from seismag.windows.store import Store

_WORDS = {"train": "training", "val": "validation"}


@dataclass(frozen=True)
class TrainingInputs:
    """Datasets of a training.

    Attributes:
        train, val: training and validation set.
        scaling: of the training set; part of a checkpoint.
        notes: sentences on windows that were left out.
    """

    train: SpectrogramDataset
    val: SpectrogramDataset
    scaling: Scaling
    notes: tuple[str, ...]


def make_inputs(
    store: Store, indices: dict[str, IntArray], config: Config, scaling: Scaling | None = None
) -> TrainingInputs:
    """Make the datasets of a training.

    Args:
        store: spectrograms and their table.
        indices: positions of the windows, by role (train, val).
        config: sections model, train and augment.
        scaling: of the training set, where a checkpoint contains it.

    Raises:
        SeismagError: the store lacks cross-spectra that the model needs, or no window of a set has enough past.
        DataError: a class is unknown, a value is infinite.
    """
    if scaling is None:
        scaling = fit_scaling(iterate_power(store.power, indices["train"]))
    by_role = dict.fromkeys(indices, scaling)
    notes: tuple[str, ...] = ()
    if config.train.normalisation == "trailing":
        indices, by_role, notes = _with_past(store, indices, config)
    train = SpectrogramDataset(
        store, indices["train"], by_role["train"],
        model=config.model, augmentation=(config.augment, config.train.seed),
    )  # fmt: skip
    val = SpectrogramDataset(store, indices["val"], by_role["val"], model=config.model)
    return TrainingInputs(train, val, scaling, notes)


def _with_past(
    store: Store, indices: dict[str, IntArray], config: Config
) -> tuple[dict[str, IntArray], dict[str, Scaling], tuple[str, ...]]:
    """Return the windows with trailing normalisation, their scaling, and a sentence on the others.

    The past of a training window consists of training windows, that of a validation window of windows of both sets.
    """
    days, minimum = config.train.trailing_days, config.train.trailing_min
    train, val = indices["train"], indices["val"]
    past = past_windows(store.samples, train, train, days)
    past += past_windows(store.samples, val, np.concatenate([train, val]), days)
    scaling, has_past = trailing_scaling(store, past, minimum)
    kept: dict[str, IntArray] = {}
    by_role: dict[str, Scaling] = {}
    notes = []
    for role, first in (("train", 0), ("val", len(train))):
        usable = has_past[first : first + len(indices[role])]
        if not usable.any():
            raise SeismagError(
                f"none of the {len(usable)} windows of {_WORDS[role]} has {minimum} windows of its station and set "
                f"within {days:g} days before it. Prepare more windows (data.controls=all), raise "
                f"train.trailing_days, lower train.trailing_min, or set train.normalisation=training."
            )
        kept[role] = indices[role][usable]
        by_role[role] = scaling.of(first + np.flatnonzero(usable))
        if not usable.all():
            names = store.samples["magnitude_class"].iloc[indices[role][~usable]]
            lost = ", ".join(f"{int((names == name).sum())} {name}" for name in MAGNITUDE_CLASSES)
            notes.append(
                f"normalisation trailing: {int((~usable).sum())} of {len(usable)} windows of {_WORDS[role]} left out "
                f"({lost}): fewer than {minimum} windows within {days:g} days before them."
            )
    return kept, by_role, tuple(notes)
