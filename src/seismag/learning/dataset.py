"""Samples of a store as torch datasets: roles of a split, labels by name, reading."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from seismag.data.store import read_samples
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, SeismagError, UsageError
from seismag.learning.transforms import Scaling

IntArray = NDArray[np.int64]
Sample = tuple[Tensor, Tensor, Tensor]

PRELOAD_BYTES = 2 * 1024**3
CHUNK_BYTES = 64 * 1024**2  # of float16; a chunk being scaled takes about ten times as much


class StoreLike(Protocol):
    """What learning asks of a store (``seismag.data.store.Store``)."""

    @property
    def path(self) -> Any:
        """Folder of the Zarr group."""

    @property
    def samples(self) -> pd.DataFrame:
        """Table of samples; row i describes ``power[i]``."""

    @property
    def power(self) -> Any:
        """(n, 3, F, T) float16 dB re 1 nT^2/Hz; NaN marks masked columns."""

    @property
    def frequency_hz(self) -> NDArray[Any]:
        """(F,) Hz."""

    @property
    def time_s(self) -> NDArray[Any]:
        """(T,) s from the start of the window."""

    @property
    def attributes(self) -> dict[str, Any]:
        """``dataset_id``, ``preprocessing`` and more."""


def role_indices(samples: pd.DataFrame, split: pd.DataFrame, fold: int, role: str) -> IntArray:
    """Find the samples of a role in a fold.

    Args:
        samples: the store's table.
        split: sample_id, fold, role, split_group.
        fold: the fold, from 1.
        role: ``train``, ``val`` or ``test``.

    Returns:
        Sorted positions in ``samples``.

    Raises:
        UsageError: the split has no such fold.
        DataError: the split names a sample twice in this fold, or one that the store does not hold.
        SeismagError: the role is empty.
    """
    of_fold = split[split["fold"] == fold]
    if of_fold.empty:
        folds = ", ".join(str(value) for value in sorted(split["fold"].unique()))
        raise UsageError(f"split.fold is {fold}, but the split has only the folds {folds or '(none)'}.")
    twice = of_fold.loc[of_fold["sample_id"].duplicated(), "sample_id"]
    if len(twice):
        raise DataError(f"fold {fold} names sample {twice.iloc[0]} more than once. Remove the split; it is drawn anew.")
    chosen = of_fold.loc[of_fold["role"] == role, "sample_id"]
    if chosen.empty:
        raise SeismagError(f"fold {fold} has no sample in the role {role}. Use more data or fewer folds.")
    position = pd.Series(np.arange(len(samples), dtype=np.int64), index=samples["sample_id"].to_numpy())
    unknown = chosen[~chosen.isin(position.index)]
    if len(unknown):
        raise DataError(
            f"the split names sample {unknown.iloc[0]} and {len(unknown) - 1} more that the store does not hold. "
            "It was drawn for another store: choose another split.name."
        )
    return np.sort(position.loc[chosen.to_numpy()].to_numpy())


def class_indices(names: Sequence[Any] | pd.Series, classes: Sequence[str], column: str) -> IntArray:
    """Number class names by their place in ``classes``.

    Raises:
        DataError: a name is not among them; it is never taken for class 0.
    """
    index = pd.Index(classes).get_indexer(pd.Index(names))
    if (index < 0).any():
        unknown = sorted({str(name) for name, place in zip(names, index, strict=True) if place < 0})
        raise DataError(f"{column}: unknown class {', '.join(unknown)}. Known: {', '.join(classes)}.", "unknown_class")
    return index.astype(np.int64)


def read_power(power: Any, indices: IntArray) -> NDArray[np.float16]:
    """Read spectrograms (n, 3, F, T) in the order of ``indices``.

    Neighbours are read as one slice: for 200 of 300 samples of a sharded array Zarr's ``oindex`` takes five times as
    long as reading them one by one (zarr 3.1).
    """
    result = np.empty((len(indices), *power.shape[1:]), dtype=np.float16)
    order = np.argsort(indices, kind="stable")
    ascending = indices[order]
    longest = max(1, CHUNK_BYTES // _bytes_of(power, 1))
    starts = (np.diff(ascending) != 1) | (np.arange(1, len(indices)) % longest == 0)
    for places in np.split(np.arange(len(indices)), np.flatnonzero(starts) + 1):
        if len(places):
            result[order[places]] = read_samples(power, int(ascending[places[0]]), int(ascending[places[-1]]) + 1)
    return result


def iterate_power(power: Any, indices: IntArray, chunk_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[np.float16]]:
    """Read spectrograms in pieces of bounded size, in the order of ``indices``."""
    step = max(1, chunk_bytes // _bytes_of(power, 1))
    for first in range(0, len(indices), step):
        yield read_power(power, indices[first : first + step])


class SpectrogramDataset(Dataset[Sample]):
    """Scaled spectrograms of some samples with the indices of their classes.

    They are read once if they fit into ``preload_bytes``; otherwise batch by batch, every worker process opening
    the store for itself.

    Args:
        store: where they lie.
        indices: positions in the store.
        scaling: from the training role.
        preload_bytes: largest size held in memory.

    Raises:
        DataError: a class name is unknown.
    """

    def __init__(
        self, store: StoreLike, indices: IntArray, scaling: Scaling, preload_bytes: int = PRELOAD_BYTES
    ) -> None:
        rows = store.samples.iloc[indices]
        self.indices = indices
        self.scaling = scaling
        self.y_magnitude = class_indices(rows["magnitude_class"], MAGNITUDE_CLASSES, "magnitude_class")
        self.y_azimuth = class_indices(rows["azimuth_class"], AZIMUTH_CLASSES, "azimuth_class")
        self._path = str(store.path)
        self._power: Any = store.power
        self._process = os.getpid()
        self._preloaded: NDArray[np.float16] | None = None
        if _bytes_of(store.power, len(indices)) <= preload_bytes:
            self._preloaded = read_power(store.power, indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Sample:
        """Scaled spectrogram (3, F, T) and its two class indices."""
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: list[int]) -> list[Sample]:
        """A batch at once; torch's loader calls this where it exists."""
        place = np.asarray(positions, dtype=np.int64)
        if self._preloaded is not None:
            power_db = self._preloaded[place]
        else:
            power_db = read_power(self._open(), self.indices[place])
        x = torch.from_numpy(self.scaling.apply(power_db))  # (B, 3, F, T)
        labels = (torch.from_numpy(self.y_magnitude[place]), torch.from_numpy(self.y_azimuth[place]))
        return list(zip(x, *labels, strict=True))

    def _open(self) -> Any:
        if self._power is None or self._process != os.getpid():  # a handle does not survive a fork or a pickle
            self._power = zarr.open_group(self._path, mode="r")["power"]
            self._process = os.getpid()
        return self._power

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_power": None}


class EpochShuffle(Sampler[int]):
    """A new order every epoch that depends on seed and epoch alone, so that a resumed training meets the same one.

    Args:
        size: number of samples.
        seed: of the training.
        epoch: the first one, from 0. Worker processes fetch its samples before Lightning names the epoch.
    """

    def __init__(self, size: int, seed: int, epoch: int = 0) -> None:
        self.size = size
        self.seed = seed
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0; Lightning calls this before each but the first."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        order: list[int] = np.random.default_rng([self.seed, self.epoch]).permutation(self.size).tolist()
        return iter(order)


def _bytes_of(power: Any, n_samples: int) -> int:
    return int(np.prod(power.shape[1:])) * np.dtype(np.float16).itemsize * n_samples
