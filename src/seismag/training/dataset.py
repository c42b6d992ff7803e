"""Torch datasets of a store: the windows of a set, their channels and their labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from seismag.arrays import IntArray
from seismag.config import AugmentConfig, ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, SeismagError, UsageError
from seismag.training import augmentation as augment
from seismag.training.channels import coherency_channels, require_cross, window_channels
from seismag.training.scaling import Scaling
from seismag.windows.store import Store, read_samples

Sample = tuple[Tensor, Tensor, Tensor]
EpochIndex = int | tuple[int, int]  # an index, or an epoch (from 0) and an index

PRELOAD_BYTES = 2 * 1024**3
PRELOAD_BATCH = 32  # windows whose coherency is computed at once
CHUNK_BYTES = 64 * 1024**2  # of float16; scaling a chunk takes about ten times as much


def role_indices(samples: pd.DataFrame, split: pd.DataFrame, fold: int, role: str) -> IntArray:
    """Return the sorted positions in ``samples`` of a set (``train``, ``val`` or ``test``) in a fold, from 1.

    Raises:
        UsageError: the split has no such fold.
        DataError: the split names a sample twice in this fold, or one that is not in the store.
        SeismagError: the set is empty.
    """
    of_fold = split[split["fold"] == fold]
    if of_fold.empty:
        folds = ", ".join(str(value) for value in sorted(split["fold"].unique()))
        raise UsageError(f"split.fold is {fold}, but the split has only the folds {folds or '(none)'}.")
    trained = of_fold.loc[of_fold["role"] == "train", "sample_id"]
    again = of_fold["sample_id"].isin(trained) & (of_fold["role"] != "train")  # val may be test, with the method naive
    twice = of_fold.loc[again | of_fold.duplicated(["sample_id", "role"]), "sample_id"]
    if len(twice):
        raise DataError(f"fold {fold} names sample {twice.iloc[0]} more than once. Remove the split; it is made again.")
    chosen = of_fold.loc[of_fold["role"] == role, "sample_id"]
    if chosen.empty:
        raise SeismagError(f"fold {fold} has no sample in the set {role}. Use more data or fewer folds.")
    positions = pd.Series(np.arange(len(samples), dtype=np.int64), index=samples["sample_id"].to_numpy())
    unknown = chosen[~chosen.isin(positions.index)]
    if len(unknown):
        raise DataError(
            f"the split names sample {unknown.iloc[0]} and {len(unknown) - 1} more that are not in the store. "
            "It was made for another store: choose another split.name."
        )
    return np.sort(positions.loc[chosen.to_numpy()].to_numpy())


def class_indices(names: Sequence[Any] | pd.Series, classes: Sequence[str], column: str) -> IntArray:
    """Return the index of each class name; DataError: a name is unknown (it is never taken for class 0)."""
    index = pd.Index(classes).get_indexer(pd.Index(names))
    if (index < 0).any():
        unknown = sorted({str(name) for name, found in zip(names, index, strict=True) if found < 0})
        raise DataError(f"{column}: unknown class {', '.join(unknown)}. Known: {', '.join(classes)}.", "unknown_class")
    return index.astype(np.int64)


def read_power(power: Any, indices: IntArray) -> NDArray[np.float16]:
    """Read ``power`` (n, 3, F, T) or ``cross`` (n, 3, 2, F, T) in the order of ``indices``.

    Neighbours are read as one slice: for 200 of 300 samples of a sharded array Zarr's ``oindex`` takes five times as
    long as reading them one by one (zarr 3.1).
    """
    result = np.empty((len(indices), *power.shape[1:]), dtype=np.float16)
    order = np.argsort(indices, kind="stable")
    ascending = indices[order]
    longest = max(1, CHUNK_BYTES // _bytes_of(power, 1))
    starts = (np.diff(ascending) != 1) | (np.arange(1, len(indices)) % longest == 0)
    for run in np.split(np.arange(len(indices)), np.flatnonzero(starts) + 1):
        if len(run):
            result[order[run]] = read_samples(power, int(ascending[run[0]]), int(ascending[run[-1]]) + 1)
    return result


def iterate_power(power: Any, indices: IntArray) -> Iterator[NDArray[np.float16]]:
    """Read spectrograms in pieces of ``CHUNK_BYTES``, in the order of ``indices``."""
    step = max(1, CHUNK_BYTES // _bytes_of(power, 1))
    for first in range(0, len(indices), step):
        yield read_power(power, indices[first : first + step])


class SpectrogramDataset(Dataset[Sample]):
    """Channels of windows (``seismag.training.channels``) with the indices of their classes.

    Windows are read once if they fit into ``PRELOAD_BYTES``, and their coherency is then computed once too unless
    augmentation changes the spectra; otherwise they are read batch by batch, in every worker process.

    Args:
        store, indices: the store of the windows and their positions.
        scaling: of the training set, or one of each of these windows.
        model: selects the channels.
        augmentation: random changes and the seed of the training; None: none.

    Raises:
        DataError: a class name is unknown.
        SeismagError: the store lacks the cross-spectra that the model takes.
    """

    def __init__(
        self,
        store: Store,
        indices: IntArray,
        scaling: Scaling,
        *,
        model: ModelConfig | None = None,
        augmentation: tuple[AugmentConfig, int] | None = None,
    ) -> None:
        rows = store.samples.iloc[indices]
        self.indices = indices
        self.scaling = scaling
        self.model = model or ModelConfig()
        self.augment, self.seed = augmentation or (AugmentConfig(), 0)
        self.y_magnitude = class_indices(rows["magnitude_class"], MAGNITUDE_CLASSES, "magnitude_class")
        self.y_azimuth = class_indices(rows["azimuth_class"], AZIMUTH_CLASSES, "azimuth_class")
        self._station = pd.factorize(rows["station"])[0]
        is_normal = self.y_magnitude == 0
        self._controls = [
            np.flatnonzero(is_normal & (self._station == station)) for station in range(int(self._station.max()) + 1)
        ]
        require_cross(store, self.model)
        self._path = str(store.path)
        self._names = ("power", "cross") if self.model.input == "power_cross" else ("power",)
        self._process = os.getpid()
        self._arrays: dict[str, Any] | None = {name: getattr(store, name) for name in self._names}
        self._preloaded: dict[str, NDArray[np.float16]] | None = None
        if sum(_bytes_of(array, len(indices)) for array in self._arrays.values()) <= PRELOAD_BYTES:
            self._preloaded = self._preload(self._arrays)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: EpochIndex) -> Sample:
        """Return channels (C, F, T) and the two class indices, or soft labels, of one window."""
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: list[EpochIndex]) -> list[Sample]:
        """Return a batch; torch's loader calls this where it exists. Augmentation depends on the epochs."""
        pairs = [position if isinstance(position, tuple) else (0, position) for position in positions]
        index = np.array([position for _, position in pairs], dtype=np.int64)
        parts = self._read(index)
        power_db, phasors = parts["power"], parts.get("cross")
        labels = (self.y_magnitude[index], self.y_azimuth[index])
        scaling = self.scaling.of(index)
        keys = [(epoch, int(self.indices[position])) for epoch, position in pairs]
        rngs = []
        if self.augment.changes_spectra or self.augment.masks:
            rngs = [np.random.default_rng([self.seed, epoch, augment.OF_WINDOW, window]) for epoch, window in keys]
        if self.augment.dilution:
            power_db, phasors = self._dilute(index, power_db, phasors, rngs)
        if self.augment.changes_spectra:
            windows = []
            for position, rng in enumerate(rngs):
                of_window = None if phasors is None else phasors[position]
                windows.append(augment.augment_spectra(power_db[position], of_window, self.augment, rng))
            changed, turned, sectors = zip(*windows, strict=True)
            power_db, phasors = np.stack(changed), None if phasors is None else np.stack(turned)
            labels = (labels[0], augment.rotate_azimuth(labels[1], np.array(sectors)))
        x = window_channels(power_db, phasors, scaling, self.model, parts.get("coherency"))  # (B, C, F, T)
        if self.augment.masks:
            for window, rng in zip(x, rngs, strict=True):
                window[:, augment.sample_mask(window.shape[1], window.shape[2], self.augment, rng)] = 0.0
        batch: tuple[NDArray[Any], ...] = (x, *labels)
        if self.augment.mixes:
            epoch, first = keys[0]
            rng = np.random.default_rng([self.seed, epoch, augment.OF_BATCH, first])
            batch = augment.mix_batch(x, labels, self.augment, rng)
        x_mixed, magnitude, azimuth = (torch.from_numpy(array) for array in batch)
        return list(zip(x_mixed, magnitude, azimuth, strict=True))

    @property
    def y_azimuth_augmented(self) -> IntArray:
        """Azimuth classes with the frequencies of training, for class weights.

        Rotation moves each window by each possible angle equally often, so that (8 n,) labels, or (4 n,) from power
        alone, represent n windows.
        """
        if not self.augment.rotate:
            return self.y_azimuth
        sectors = augment.rotations(self.model.input == "power_cross")
        return np.concatenate([augment.rotate_azimuth(self.y_azimuth, int(number)) for number in sectors])

    def _dilute(
        self,
        index: IntArray,
        power_db: NDArray[Any],
        phasors: NDArray[Any] | None,
        rngs: Sequence[np.random.Generator],
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Mix some windows with control windows of their stations; the others have the fraction 1."""
        partner, fraction = index.copy(), np.ones(len(index))
        for place, rng in enumerate(rngs):
            controls = self._controls[self._station[index[place]]]
            if len(controls) and rng.random() < self.augment.dilution:
                partner[place] = rng.choice(controls)
                fraction[place] = self.augment.dilution_least ** rng.random()
        parts = self._read(partner)
        chosen = fraction < 1
        diluted = [np.asarray(power_db, dtype=np.float32), None if phasors is None else phasors.astype(np.float32)]
        control = (parts["power"][chosen], None if phasors is None else parts["cross"][chosen])
        mixed = augment.dilute_spectra(
            power_db[chosen], None if phasors is None else phasors[chosen], control, fraction[chosen]
        )
        for whole, part in zip(diluted, mixed, strict=True):
            if whole is not None and part is not None:
                whole[chosen] = part
        assert diluted[0] is not None
        return diluted[0], diluted[1]

    def _preload(self, arrays: dict[str, Any]) -> dict[str, NDArray[np.float16]]:
        """Read all windows; phasors are replaced by their coherency where no augmentation changes them."""
        parts = {name: read_power(array, self.indices) for name, array in arrays.items()}
        if "cross" in parts and not self.augment.changes_spectra:
            phasors = parts.pop("cross")
            parts["coherency"] = phasors.reshape(len(phasors), -1, *phasors.shape[3:])  # a view, overwritten
            for first in range(0, len(phasors), PRELOAD_BATCH):
                part = slice(first, first + PRELOAD_BATCH)
                box = (self.model.coherency_columns, self.model.coherency_rows)
                parts["coherency"][part] = coherency_channels(parts["power"][part], phasors[part], *box)
        return parts

    def _read(self, index: IntArray) -> dict[str, NDArray[np.float16]]:
        """Return power and, where they are needed, phasors or coherency of windows."""
        if self._preloaded is not None:
            return {name: array[index] for name, array in self._preloaded.items()}
        if self._arrays is None or self._process != os.getpid():  # a handle is not valid after a fork or a pickle
            group = zarr.open_group(self._path, mode="r")
            self._arrays = {name: group[name] for name in self._names}
            self._process = os.getpid()
        return {name: read_power(array, self.indices[index]) for name, array in self._arrays.items()}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_arrays": None}


class EpochSampler(Sampler[EpochIndex]):
    """A new order every epoch, each index with its epoch, on which augmentation in a worker process depends.

    The order depends on seed and epoch alone, so that a resumed training gets the same one.

    Args:
        size, seed: number of samples, seed of the training.
        epoch: the first one, from 0; worker processes read its samples before Lightning sets the epoch.
        rank, n_processes: each of n processes takes every n-th index, so that their b-th batches together are the b-th
            batch of one process with n times the batch size. Where n does not divide the size the first indices come
            twice.
    """

    def __init__(self, size: int, seed: int, epoch: int = 0, rank: int = 0, n_processes: int = 1) -> None:
        self.size, self.seed, self.epoch = size, seed, epoch
        self.rank, self.n_processes = rank, n_processes

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0; Lightning calls this before each but the first."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.n_processes)

    def __iter__(self) -> Iterator[EpochIndex]:
        order: list[int] = np.random.default_rng([self.seed, self.epoch]).permutation(self.size).tolist()
        whole = order + order[: len(self) * self.n_processes - len(order)]
        return iter([(self.epoch, index) for index in whole[self.rank :: self.n_processes]])


def _bytes_of(power: Any, n_samples: int) -> int:
    return int(np.prod(power.shape[1:])) * np.dtype(np.float16).itemsize * n_samples
