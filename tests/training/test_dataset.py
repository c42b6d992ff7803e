"""Roles, labels and reading."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from seismag.config import AugmentConfig
from seismag.domain import MAGNITUDE_CLASSES, DataError, UsageError
from seismag.training import augmentation as augment
from seismag.training import dataset as dataset_module
from seismag.training.dataset import (
    EpochSampler,
    SpectrogramDataset,
    class_indices,
    iterate_power,
    read_power,
    role_indices,
)
from seismag.training.scaling import fit_scaling


def test_role_finds_its_samples_whatever_the_order_of_the_split(store: Any, split: pd.DataFrame) -> None:
    np.testing.assert_array_equal(role_indices(store.samples, split, 1, "val"), np.arange(28, 36))


def test_split_that_does_not_fit_is_refused(store: Any, split: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"split\.fold is 4, but the split has only the folds 1"):
        role_indices(store.samples, split, 4, "train")
    with pytest.raises(DataError, match=r"names sample GTO_.* more than once"):
        role_indices(store.samples, pd.concat([split, split.head(1)]), 1, "train")
    with pytest.raises(DataError, match=r"GTO_.* and \d+ more that are not in the store.*split\.name"):
        role_indices(store.samples.iloc[10:], split, 1, "train")


@pytest.mark.parametrize("name", ["large", None])
def test_unknown_class_is_an_error_and_never_class_0(name: Any) -> None:
    with pytest.raises(DataError, match=r"magnitude_class: unknown class .*Known: Normal, Moderate, Medium, Large"):
        class_indices(pd.Series(["Normal", name], dtype=object), MAGNITUDE_CLASSES, "magnitude_class")


def test_reading_keeps_the_order_asked_for(store: Any) -> None:
    whole = store.power[:]
    for order in (
        np.array([31, 2, 17, 2, 46]),
        np.arange(3, 40),
        np.array([7, 8, 9, 3, 2, 20]),
        np.array([], dtype=int),
    ):
        np.testing.assert_array_equal(read_power(store.power, order), whole[order])


def test_long_runs_of_neighbours_are_read_in_bounded_slices(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "CHUNK_BYTES", 4 * 3 * 32 * 40 * 2)
    indices = np.r_[0:11, 20:33]
    np.testing.assert_array_equal(read_power(store.power, indices), store.power[:][indices])


def test_pieces_join_to_the_whole_and_stay_small(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "CHUNK_BYTES", 4 * 3 * 32 * 40 * 2)
    indices = np.arange(5, 40)
    pieces = list(iterate_power(store.power, indices))
    assert max(len(piece) for piece in pieces) == 4
    np.testing.assert_array_equal(np.concatenate(pieces), store.power[:][indices])


@pytest.mark.parametrize("workers", [0, 2])
def test_lazy_reading_gives_the_same_batches_as_preloading(
    store: Any, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = np.array([40, 3, 21, 22, 9])
    scaling = fit_scaling([store.power[:]])
    preloaded = SpectrogramDataset(store, indices, scaling)
    monkeypatch.setattr(dataset_module, "PRELOAD_BYTES", 0)
    lazy = SpectrogramDataset(store, indices, scaling)
    batches = [list(DataLoader(dataset, batch_size=2, num_workers=workers)) for dataset in (lazy, preloaded)]
    assert len(batches[0]) == 3
    for left, right in zip(*batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
    x, y_magnitude, y_azimuth = lazy[1]
    assert (x.shape, x.dtype) == ((3, 32, 40), torch.float32)
    np.testing.assert_array_equal(x, scaling.apply(store.power[3]))
    assert MAGNITUDE_CLASSES[int(y_magnitude)] == store.samples["magnitude_class"][3]
    assert (int(y_azimuth) == 0) == (store.samples["azimuth_class"][3] == "Normal")
    pickled = pickle.loads(pickle.dumps(lazy))  # opens the store again
    assert torch.equal(pickled[1][0], x)


def test_shuffle_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(20, seed)
        sampler.set_epoch(epoch)
        pairs = [entry for entry in sampler if isinstance(entry, tuple)]
        assert {of_epoch for of_epoch, _ in pairs} == {epoch}
        return [index for _, index in pairs]

    assert sorted(order(1, 0)) == list(range(20))
    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(1, 4)
    assert order(1, 3) != order(2, 3)


def test_windows_are_diluted_with_control_windows_of_their_station(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    indices = np.arange(len(store.samples))
    scaling = fit_scaling([read_power(store.power, indices)])
    used: list[np.ndarray] = []

    def remember(_power_db: Any, _phasors: Any, control: Any, fraction: np.ndarray) -> Any:
        used.append(control[0])
        assert ((fraction >= AugmentConfig().dilution_least) & (fraction < 1)).all()
        return control

    monkeypatch.setattr(augment, "dilute_spectra", remember)
    diluted = SpectrogramDataset(store, indices, scaling, augmentation=(AugmentConfig(dilution=1.0), 5))
    first = diluted.__getitems__([(1, int(i)) for i in indices])
    power, rows = read_power(store.power, indices), store.samples
    with_control = set(rows.loc[rows["magnitude_class"] == "Normal", "station"])
    places = [place for place in indices if rows["station"].iloc[place] in with_control]
    assert len(places) == len(used[0]) > 4
    for place, control in zip(places, used[0], strict=True):
        same = [i for i in indices if np.array_equal(power[i], control, equal_nan=True)]
        assert rows["magnitude_class"].iloc[same[0]] == "Normal"
        assert rows["station"].iloc[same[0]] == rows["station"].iloc[place]
    again = diluted.__getitems__([(1, int(i)) for i in indices])
    other = diluted.__getitems__([(2, int(i)) for i in indices])
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a[0], b[0]) for a, b in zip(first, other, strict=True))
    assert [int(sample[1]) for sample in first] == diluted.y_magnitude.tolist()  # the class stays
