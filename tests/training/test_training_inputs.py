"""What a training reads: channels, augmentation, and the same again after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from torch.utils.data import DataLoader

from fixtures.training_store import changed, latest, resume, same_weights, train
from seismag.config import AugmentConfig, Config, ModelConfig, build_config
from seismag.domain import SeismagError, UsageError
from seismag.runs import create_run
from seismag.training.channels import coherency_channels, window_channels
from seismag.training.checkpoint import load_checkpoint
from seismag.training.dataset import EpochIndex, EpochSampler, SpectrogramDataset
from seismag.training.inference import predict_roles
from seismag.training.losses import balanced_class_weights
from seismag.training.scaling import fit_scaling
from seismag.training.train import make_inputs, train_model

CROSS = ModelConfig(input="power_cross", coherency_columns=3)
EVERYTHING = AugmentConfig(
    rotate=True, noise_probability=0.5, shift_columns=3, gain_db=3.0, time_masks=1, frequency_masks=1,
    gridmask_probability=0.5, gridmask_min_cells=8, gridmask_max_cells=16, mixup_alpha=0.4, cutmix_alpha=1.0,
)  # fmt: skip


@pytest.fixture
def cross_store(store: Any) -> Any:
    """The small store with unit phasors, masked where its power is."""
    phase = np.random.default_rng(8).uniform(-np.pi, np.pi, store.power.shape)
    phasors = np.stack([np.cos(phase), np.sin(phase)], axis=2)
    phasors[np.isnan(np.repeat(store.power[:][:, :, None], 2, axis=2))] = np.nan
    group = zarr.open_group(store.path, mode="r+")
    group.create_array("cross", data=phasors.astype(np.float16), chunks=(5, *phasors.shape[1:]))
    store.cross = zarr.open_group(store.path, mode="r")["cross"]
    return store


def dataset(store: Any, spec: AugmentConfig | None, seed: int = 3, lazy: bool = False) -> SpectrogramDataset:
    augmentation = None if spec is None else (spec, seed)
    scaling = fit_scaling([store.power[:]])
    with pytest.MonkeyPatch.context() as patch:
        if lazy:
            patch.setattr("seismag.training.dataset.PRELOAD_BYTES", 0)
        return SpectrogramDataset(store, np.arange(24), scaling, model=CROSS, augmentation=augmentation)


def batches(data: SpectrogramDataset, epoch: int, workers: int = 0) -> list[list[torch.Tensor]]:
    sampler = EpochSampler(len(data), 5, epoch)
    return list(DataLoader(data, batch_size=8, sampler=sampler, num_workers=workers))


def same(left: list[list[torch.Tensor]], right: list[list[torch.Tensor]]) -> bool:
    return all(torch.equal(a, b) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True))


def test_dataset_gives_nine_channels_whether_kept_in_memory_or_read(cross_store: Any) -> None:
    kept, read = dataset(cross_store, None), dataset(cross_store, None, lazy=True)
    assert same(batches(kept, 0), batches(read, 0))
    x = kept[7][0]
    power_db, phasors = cross_store.power[7][None], cross_store.cross[7][None]
    np.testing.assert_array_equal(x, window_channels(power_db, phasors, kept.scaling, CROSS)[0])
    np.testing.assert_array_equal(x[3:], coherency_channels(power_db, phasors, 3, 3)[0])


def test_augmented_batches_depend_on_seed_and_epoch_alone(cross_store: Any) -> None:
    first = batches(dataset(cross_store, EVERYTHING), 1)
    assert same(first, batches(dataset(cross_store, EVERYTHING, lazy=True), 1, workers=2))
    assert not same(first, batches(dataset(cross_store, EVERYTHING), 2))
    assert not same(first, batches(dataset(cross_store, EVERYTHING, seed=4), 1))


def test_labels_are_classes_unless_batches_are_mixed(cross_store: Any) -> None:
    hard = batches(dataset(cross_store, EVERYTHING.model_copy(update={"mixup_alpha": 0.0, "cutmix_alpha": 0.0})), 0)
    assert [(y.dtype, y.shape) for y in hard[0][1:]] == [(torch.int64, (8,))] * 2
    soft = batches(dataset(cross_store, EVERYTHING), 0)
    assert [(y.dtype, y.shape) for y in soft[0][1:]] == [(torch.float32, (8, 4)), (torch.float32, (8, 9))]
    for x, magnitude, azimuth in (*soft, *hard):
        assert x.dtype == torch.float32
        assert torch.isfinite(x).all()
        if magnitude.ndim == 2:
            torch.testing.assert_close(magnitude[:, 0], azimuth[:, 0])  # Normal in both tasks


def test_rotation_spreads_the_sectors_and_keeps_normal(cross_store: Any) -> None:
    cross_store.samples["azimuth_class"] = np.where(cross_store.samples["azimuth_class"] == "Normal", "Normal", "SE")
    data = dataset(cross_store, AugmentConfig(rotate=True))
    drawn = np.concatenate([y.numpy() for epoch in range(8) for _, _, y in batches(data, epoch)])
    normal = (data.y_azimuth == 0).sum() * 8
    assert (drawn == 0).sum() == normal
    counts = np.bincount(drawn[drawn > 0], minlength=9)[1:]
    assert counts.min() > 0.4 * counts.mean()
    weights = balanced_class_weights(data.y_azimuth_augmented, 9)
    np.testing.assert_allclose(weights[1:], weights[1])  # SE is as frequent as any other now
    np.testing.assert_array_equal(dataset(cross_store, None).y_azimuth_augmented, data.y_azimuth)


def test_masked_cells_are_neutral_in_every_channel(cross_store: Any) -> None:
    spec = AugmentConfig(gridmask_probability=1.0, gridmask_ratio=0.5, gridmask_min_cells=8, gridmask_max_cells=8)
    plain, masked = dataset(cross_store, None), dataset(cross_store, spec)
    draws: list[EpochIndex] = [(0, position) for position in range(8)]
    for (x, *_), (y, *_) in zip(plain.__getitems__(draws), masked.__getitems__(draws), strict=True):
        hit = (y == 0).all(dim=0)
        assert 0.4 < hit.float().mean() < 0.65
        assert torch.equal(y[:, ~hit], x[:, ~hit])


def test_validation_is_never_augmented(cross_store: Any) -> None:
    config = build_config({"model": {"input": "power_cross"}})
    indices = {"train": np.arange(28), "val": np.arange(28, 36)}
    plain = make_inputs(cross_store, indices, config)
    changed = make_inputs(cross_store, indices, config.model_copy(update={"augment": EVERYTHING}))
    assert torch.equal(plain.val[2][0], changed.val[2][0])
    assert not torch.equal(plain.train[2][0], changed.train[2][0])


def test_interrupted_training_with_augmentation_resumes_to_the_same_weights(
    cross_store: Any, split: pd.DataFrame, config: Config, tmp_path: Path
) -> None:
    config = changed(config, {"model": {"input": "power_cross"}, "augment": EVERYTHING.model_dump()}, epochs=2)
    whole, _ = train(cross_store, split, config, tmp_path / "whole")
    run = create_run(tmp_path / "broken", "trial", config, dataset_id="d0")
    resume(cross_store, split, config, run, killed_after=1)
    assert same_weights(latest(run)["model"], latest(whole)["model"])
    other = config.model_copy(update={"augment": AugmentConfig()})
    with pytest.raises(UsageError, match=r"augment\.gain_db 0\.0 now, 3\.0 before"):
        train_model(cross_store, split, other, run, resume=True)

    card = load_checkpoint(run.best_model).card.document
    assert len(card["channels"]) == 9
    assert card["augment"]["rotate"] is True
    assert len(predict_roles(run, cross_store, split)) == 16
    cross_store.cross = None
    with pytest.raises(SeismagError, match="no cross-spectra"):
        predict_roles(run, cross_store, split)
