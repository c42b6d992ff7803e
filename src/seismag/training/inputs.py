"""The roles of a training as datasets: both normalised as the configuration says, training alone augmented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seismag.arrays import IntArray
from seismag.config import Config
from seismag.domain import MAGNITUDE_CLASSES, SeismagError
from seismag.training.dataset import SpectrogramDataset, StoreLike, iterate_power
from seismag.training.scaling import Scaling, fit_scaling
from seismag.training.trailing import past_windows, trailing_scaling


@dataclass(frozen=True)
class RoleInputs:
    """What a training reads.

    Attributes:
        train, val: the datasets of both roles.
        scaling: of the training role; what a checkpoint holds.
        notes: a sentence on the windows that had to be left out.
    """

    train: SpectrogramDataset
    val: SpectrogramDataset
    scaling: Scaling
    notes: tuple[str, ...]


def make_role_inputs(
    store: StoreLike, indices: dict[str, IntArray], config: Config, scaling: Scaling | None = None
) -> RoleInputs:
    """Make the datasets of a training.

    Args:
        store: spectrograms and their table.
        indices: positions of the roles train and val.
        config: sections model, train and augment.
        scaling: of the training role, where a checkpoint holds it already.

    Raises:
        SeismagError: the store lacks cross-spectra that the model takes, or a role has no window with enough past.
        DataError: a class is unknown, a value is infinite.
    """
    if scaling is None:
        scaling = fit_scaling(iterate_power(store.power, indices["train"]))
    of_role = dict.fromkeys(indices, scaling)
    notes: tuple[str, ...] = ()
    if config.train.normalisation == "trailing":
        indices, of_role, notes = _with_past(store, indices, config)
    train = SpectrogramDataset(
        store, indices["train"], of_role["train"],
        model=config.model, augmentation=(config.augment, config.train.seed),
    )  # fmt: skip
    val = SpectrogramDataset(store, indices["val"], of_role["val"], model=config.model)
    return RoleInputs(train, val, scaling, notes)


def _with_past(
    store: StoreLike, indices: dict[str, IntArray], config: Config
) -> tuple[dict[str, IntArray], dict[str, Scaling], tuple[str, ...]]:
    """Windows that have a trailing baseline, their scaling, and a sentence on the others.

    The past of a training window consists of training windows, that of a validation window of windows of both roles.
    """
    days, minimum = config.train.trailing_days, config.train.trailing_min
    train, val = indices["train"], indices["val"]
    past = past_windows(store.samples, train, train, days)
    past += past_windows(store.samples, val, np.concatenate([train, val]), days)
    scaling, has_past = trailing_scaling(store, past, minimum)
    kept: dict[str, IntArray] = {}
    of_role: dict[str, Scaling] = {}
    notes = []
    for role, first in (("train", 0), ("val", len(train))):
        usable = has_past[first : first + len(indices[role])]
        if not usable.any():
            raise SeismagError(
                f"none of the {len(usable)} windows of the role {role} has {minimum} windows of its station and role "
                f"within {days:g} days before it. Prepare more windows (data.controls=all), raise "
                f"train.trailing_days, lower train.trailing_min, or set train.normalisation=training."
            )
        kept[role] = indices[role][usable]
        of_role[role] = scaling.of(first + np.flatnonzero(usable))
        if not usable.all():
            names = store.samples["magnitude_class"].iloc[indices[role][~usable]]
            lost = ", ".join(f"{int((names == name).sum())} {name}" for name in MAGNITUDE_CLASSES)
            notes.append(
                f"normalisation trailing: {int((~usable).sum())} of {len(usable)} windows of the role {role} left out "
                f"({lost}): fewer than {minimum} windows within {days:g} days before them."
            )
    return kept, of_role, tuple(notes)
