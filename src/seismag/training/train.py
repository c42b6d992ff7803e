"""Training of one run: from a store and a split to history, checkpoints and the best model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ConfigDict
from torch.utils.data import DataLoader

from seismag.arrays import IntArray
from seismag.cards import UNKNOWN
from seismag.config import Config, TrainConfig
from seismag.documents import Document, check_document
from seismag.domain import MAGNITUDE_CLASSES, SeismagError, UsageError
from seismag.files import shown_path
from seismag.parallel import Progress, silent
from seismag.runs import Run, update_provenance
from seismag.splits.holdout import locked_days
from seismag.training.checkpoint import HEAD_CLASSES, build_card, check_architecture, read_content
from seismag.training.dataset import EpochSampler, SpectrogramDataset, iterate_power, role_indices
from seismag.training.devices import in_group, process_rank, require_devices, run_processes
from seismag.training.finished import several_codes, this_code
from seismag.training.fit import fit, resolve_precision, should_stop
from seismag.training.frozen import FrozenPart, compute_features
from seismag.training.initial import InitialWeights, read_initial, take_weights
from seismag.training.loop import EpochRecord, TrainingLoop
from seismag.training.losses import MultiTaskLoss
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling, fit_scaling
from seismag.training.trailing import past_windows, trailing_scaling
from seismag.windows.store import Store, placebo_of

log = logging.getLogger(__name__)

_WORDS = {"train": "training", "val": "validation"}
_RESUMABLE = {"runs_dir", "num_workers"}  # keys that may differ between a training and its continuation


def refuse_placebo(store: Store) -> None:
    """Refuse a store with placebo windows (``data.placebo``), whose labels are wrong on purpose (UsageError)."""
    if (kind := placebo_of(store)) != "none":
        raise UsageError(
            f"{store.path}: contains placebo windows (data.placebo: {kind}), which are for evaluation only. Train on "
            "the store of the true windows, prepared with data.placebo: none."
        )


def train_model(
    store: Store,
    split: pd.DataFrame,
    config: Config,
    run: Run,
    *,
    resume: bool = False,
    progress: Progress = silent,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> pd.DataFrame:
    """Train a model on the training set of ``config.split.fold``; the validation set chooses the epoch.

    Writes history.csv, best_model.pth, checkpoint_latest.pth (each epoch) and the folder tensorboard into the run.
    Of the test set only the number of samples is used.

    Args:
        store, split: spectrograms with their table; sample_id, fold, role, split_group.
        config: sections split, model, train and augment are used.
        run: where everything is written.
        resume: from checkpoint_latest.pth, or from the start if the run has none yet.
        progress: shows the batches; each epoch also logs one line.
        on_epoch: called with the row of history.csv after each epoch, when its files are written; in the first of
            several processes, so that it must then be a function of a module.

    Returns:
        The content of history.csv; epochs count from 1.

    Raises:
        UsageError: the store contains placebo windows; the run contains a training already and ``resume`` is False, or
            began with other settings; ``train.init_from`` does not fit, or test windows were in its training.
        SeismagError: a set is empty, the backbone cannot process the spectrograms, the loss is not a number.
        DataError: split and store do not fit, a class is unknown, a value is infinite.
    """
    refuse_placebo(store)
    require_devices(config.train.devices)
    indices = {role: role_indices(store.samples, split, config.split.fold, role) for role in ("train", "val", "test")}
    checkpoint = _checkpoint_to_resume(run, store, config, resume)
    seen = _require_own(run, checkpoint, store, np.concatenate([indices["train"], indices["val"]]))
    resolved = resolve_precision(config, run)
    fitted = None if checkpoint is None else Scaling.from_tensors(checkpoint["scaling"], run.latest_checkpoint)
    initial = read_initial(config, store, split) if checkpoint is None else None
    inputs = make_inputs(store, indices, config, fitted)
    notes = (*_absent_classes(inputs.train, inputs.val), *inputs.notes, *_codes(run, checkpoint))
    history = list(checkpoint["history"]) if checkpoint else []
    if not in_group():
        for note in notes:
            log.warning(note)
        resumed = [*run.provenance().get("resumed_after_epochs", []), *([len(history)] if resume else [])]
        update_provenance(run, status="running", error=None, warnings=notes, resumed_after_epochs=resumed)
    if len(history) < config.train.epochs and not should_stop(history, config.train):
        if config.train.devices > 1 and not in_group():
            _require_windows_for(config.train.devices, inputs)
            del inputs, checkpoint  # each process reads its own
            in_process = partial(train_model, resume=resume, on_epoch=on_epoch)
            run_processes(in_process, (store, split, config, run), config.train.devices)
            history = list(read_content(run.latest_checkpoint)[0]["history"])
        else:
            start = _Start(checkpoint, initial, seen, locked_days(store.samples, split))
            history = _run_epochs(store, inputs, resolved, run, start, progress, on_epoch)
    return pd.DataFrame(history)


@dataclass(frozen=True)
class TrainingInputs:
    """Datasets of a training, the scaling of its training set, and sentences on windows that were left out."""

    train: SpectrogramDataset
    val: SpectrogramDataset
    scaling: Scaling
    notes: tuple[str, ...]


def make_inputs(
    store: Store, indices: dict[str, IntArray], config: Config, scaling: Scaling | None = None
) -> TrainingInputs:
    """Make the datasets of a training: both sets scaled, the training set augmented.

    Args:
        store: spectrograms and their table.
        indices: positions of the windows, by role (train and val are read).
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


@dataclass(frozen=True)
class _Start:
    """Start of a training: a checkpoint or weights to fine-tune; its windows, and the locked days of its study."""

    checkpoint: dict[str, Any] | None
    initial: InitialWeights | None
    seen: tuple[str, ...]
    locked_days: list[str] | None


def _run_epochs(
    store: Store,
    inputs: TrainingInputs,
    config: Config,
    run: Run,
    start: _Start,
    progress: Progress,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> list[EpochRecord]:
    """Build the network and train it; returns the whole history."""
    cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=cuda):  # the random state of the caller stays
        torch.manual_seed(config.train.seed)
        model = _build_model(store, config, start)
        frozen = None if config.train.scope == "all" else FrozenPart(model, config.train.scope)
        loss = MultiTaskLoss(inputs.train.y_magnitude, inputs.train.y_azimuth_augmented, config.train)
        sets: tuple[Any, ...] = (inputs.train, inputs.val)
        if frozen is not None and config.train.keeps_features:
            sets = tuple(compute_features(frozen, windows, config.train) for windows in sets)
        first_epoch = len(start.checkpoint["history"]) if start.checkpoint else 0
        loaders = _loaders(sets, config.train, first_epoch)
        card, trained_on = build_card(store, config, run) | {"sealed_days_utc": start.locked_days}, start.seen
        if start.checkpoint is not None:
            kept = ("initial_weights", "training_data")
            card |= {key: start.checkpoint["card"][key] for key in kept if key in start.checkpoint["card"]}
            trained_on = tuple(start.checkpoint["trained_on"])
        elif start.initial is not None:
            before, taken = start.initial.card, "backbone" if config.train.reinit_heads else "all"
            file = shown_path(start.initial.path)
            card["initial_weights"] = {"file": file, "run_id": before.run_id, "sha256": before.sha256, "taken": taken}
            card |= {"training_data": UNKNOWN} if before.has_unknown_training else {}
            trained_on = tuple(dict.fromkeys([*start.seen, *start.initial.trained_on]))
        module = TrainingLoop(
            model, loss, config.train, len(loaders[0].sampler),  # type: ignore[arg-type]
            frozen=frozen, scaling=inputs.scaling, card=card, trained_on=trained_on,
        )  # fmt: skip
        fit(module, loaders, run, start.checkpoint is not None, progress, on_epoch)
    return module.history


def _build_model(store: Store, config: Config, start: _Start) -> ConvNeXtMultiTask:
    pretrained = config.model.pretrained and start.checkpoint is None
    model = ConvNeXtMultiTask(config.model.model_copy(update={"pretrained": pretrained}))
    if start.checkpoint is not None:  # frozen layers are used before Lightning loads the rest
        model.load_state_dict(start.checkpoint["model"])
    elif start.initial is not None:
        take_weights(model, start.initial, config.train.reinit_heads)
    model.check_input(*store.power.shape[2:])
    return model


def _loaders(sets: tuple[Any, ...], config: TrainConfig, first_epoch: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    train, val = sets
    make_loader = partial(
        DataLoader[Any],
        batch_size=config.batch_size,
        num_workers=config.num_workers,
        persistent_workers=config.num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # each iterator takes a number; not from the random stream of dropout
    )
    rank, n_processes = process_rank() if config.devices > 1 else (0, 1)
    shuffle = EpochSampler(len(train), config.seed, first_epoch, rank, n_processes)
    return make_loader(train, sampler=shuffle), make_loader(val, sampler=range(rank, len(val), n_processes))


def _require_windows_for(n_processes: int, inputs: TrainingInputs) -> None:
    for name, windows in (("validation", inputs.val), ("training", inputs.train)):
        if len(windows) < n_processes:
            raise UsageError(
                f"train.devices is {n_processes}, but the {name} set has {len(windows)} windows, and each process "
                f"needs one. Set train.devices={len(windows)} or fewer, or use more data."
            )


def _absent_classes(train: SpectrogramDataset, val: SpectrogramDataset) -> list[str]:
    """Return a sentence for each task that lacks classes in training; refuse a validation set of only such classes."""
    notes = []
    labels: dict[str, tuple[IntArray, IntArray]] = {
        "magnitude": (train.y_magnitude, val.y_magnitude),
        "azimuth": (train.y_azimuth_augmented, val.y_azimuth),
    }
    for task, classes in HEAD_CLASSES.items():
        y_train, y_val = labels[task]
        absent = [name for index, name in enumerate(classes) if not (y_train == index).any()]
        if absent:
            notes.append(f"{task}: no training sample of {', '.join(absent)}; the model cannot learn these classes.")
        if not np.isin(y_val, y_train).any():
            raise SeismagError(
                f"{task}: the validation set contains only classes that training lacks ({', '.join(absent)}). "
                "Use more data, or another split.seed."
            )
    return notes


class _State(Document):
    """What Lightning and the training loop take from a checkpoint that is resumed."""

    model_config = ConfigDict(allow_inf_nan=True)

    epoch: int
    global_step: int
    state_dict: Mapping[str, Any]
    loops: Mapping[str, Any]
    callbacks: Mapping[str, Any]
    optimizer_states: list[Any]
    lr_schedulers: list[Any]
    history: list[Mapping[str, float]]


def _checkpoint_to_resume(run: Run, store: Store, config: Config, resume: bool) -> dict[str, Any] | None:
    if not run.latest_checkpoint.exists():
        if resume:
            log.info("%s: interrupted before its first epoch ended; starting again", run.run_id)
        return None
    if not resume:
        raise UsageError(f"{run.path}: contains a training already. Resume it, or start a new run.")
    before = run.config()
    differences = [
        f"{section}.{key} {value!r} now, {getattr(getattr(before, section), key)!r} before"
        for section in ("split", "model", "train", "augment")
        for key, value in getattr(config, section).model_dump().items()
        if key not in _RESUMABLE and value != getattr(getattr(before, section), key)
    ]
    if differences:
        raise UsageError(f"{run.run_id}: began with other settings: {'; '.join(differences)}. Start a new run.")
    content, _ = read_content(run.latest_checkpoint)
    remedy = "Delete the file to begin again, or copy it back."
    check_document(_State, content, run.latest_checkpoint, remedy)
    check_architecture(content["card"], config.model, run.latest_checkpoint)
    trained_on, here = content["card"]["dataset_id"], store.attributes["dataset_id"]
    if trained_on != here:
        raise UsageError(f"{run.run_id}: began on the dataset {trained_on}, not {here}. Start a new run.")
    return content


def _codes(run: Run, checkpoint: Mapping[str, Any] | None) -> list[str]:
    return [] if checkpoint is None else several_codes([run.provenance(), this_code()])


def _require_own(run: Run, checkpoint: Mapping[str, Any] | None, store: Store, indices: IntArray) -> tuple[str, ...]:
    """Return the sample_ids of the windows of training and validation.

    Raises:
        UsageError: the checkpoint is that of another run, or of other windows.
    """
    seen = tuple(store.samples["sample_id"].iloc[indices].astype(str))
    if checkpoint is None:
        return seen
    file, began_as = run.latest_checkpoint, checkpoint["card"]["run_id"]
    if began_as not in (run.run_id, run.provenance()["run_id"]):  # a folder may be renamed
        raise UsageError(
            f"{file}: is the checkpoint of {began_as}, in the folder of {run.provenance()['run_id']}. Copy the own one "
            "back, or delete it to begin again."
        )
    others = sorted(set(seen).difference(checkpoint["trained_on"]))
    if others:
        raise UsageError(
            f"{run.run_id}: {len(others)} of the {len(seen)} windows of training and validation were not among those "
            f"that it began with, for example {others[0]}: the store, the split or seismag is another. Start a new run."
        )
    return seen
