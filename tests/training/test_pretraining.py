"""Masked reconstruction: what is masked, what counts, what is read, and where the weights go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures.training_store import changed, same_weights
from seismag.cards import write_card
from seismag.config import Config, ModelConfig, PretrainConfig
from seismag.domain import SeismagError, UsageError
from seismag.runs import Run, create_run
from seismag.training import pretraining as pretrain
from seismag.training.backbones import create_backbone
from seismag.training.checkpoint import load_checkpoint
from seismag.training.initial import load_backbone
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.pretraining import (
    PRETRAINED,
    MaskedAutoencoder,
    UnlabelledWindows,
    masked_loss,
    patch_size,
    pretrain_model,
    pretraining_windows,
    sample_patch_mask,
)
from seismag.training.scaling import fit_scaling
from seismag.training.train import train_model


def with_pretrain(config: Config, **values: Any) -> Config:
    settings = {"epochs": 2, "patch_rows": 8, "patch_columns": 8, "decoder_width": 32, **values}
    return config.model_copy(update={"pretrain": PretrainConfig(**settings)})


def losses(run: Run) -> list[float]:
    return pd.read_csv(run.path / "pretrain_history.csv")["loss"].tolist()


@pytest.mark.parametrize(("ratio", "n_masked"), [(0.6, 12), (0.25, 5), (0.01, 1), (0.99, 19)])
def test_mask_covers_its_share_in_whole_patches(ratio: float, n_masked: int) -> None:
    spec = PretrainConfig(mask_ratio=ratio, patch_rows=8, patch_columns=8)
    for seed in range(5):
        mask = sample_patch_mask(32, 40, spec, np.random.default_rng(seed))
        patches = mask.reshape(4, 8, 5, 8).transpose(0, 2, 1, 3).reshape(20, 64)
        assert (patches.all(axis=1) | ~patches.any(axis=1)).all()
        assert patches.all(axis=1).sum() == n_masked


def test_patch_as_large_as_the_spectrogram_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one patch of 32 x 64 covers the whole spectrogram of 32 x 40"):
        sample_patch_mask(32, 40, PretrainConfig(patch_rows=32, patch_columns=64), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("shape", "patch"), [((224, 224), (32, 32)), ((34, 36), (8, 8)), ((34, 140), (8, 32)), ((64, 127), (16, 16))]
)
def test_patches_fit_the_grid_where_no_size_is_given(shape: tuple[int, int], patch: tuple[int, int]) -> None:
    assert patch_size(*shape, PretrainConfig()) == patch
    share = sample_patch_mask(*shape, PretrainConfig(), np.random.default_rng(0)).mean()
    assert share == pytest.approx(0.6, abs=0.15)  # the share asked for, but for patches cut at the edge
    assert patch_size(*shape, PretrainConfig(patch_rows=5)) == (5, patch[1])


def test_loss_is_the_mean_square_over_counted_cells_alone() -> None:
    target = torch.zeros(1, 1, 2, 2)
    predicted = torch.tensor([[[[1.0, 3.0], [100.0, float("nan")]]]])
    counted = torch.tensor([[[[True, True], [False, False]]]])
    assert masked_loss(predicted, target, counted).item() == pytest.approx(5.0)  # (1 + 9) / 2
    assert masked_loss(predicted[..., :1, :], target[..., :1, :], counted[..., 1:, :]).item() == 0.0


def test_masked_and_unmeasured_cells_are_told_apart(store: Any, config: Config) -> None:
    indices = np.arange(10)
    windows = UnlabelledWindows(store, indices, fit_scaling([store.power[:10]]), with_pretrain(config))
    _, measured, mask = windows[(0, 0)]  # columns 3 to 5 of window 0 are NaN in the store
    assert not measured[:, :, 3:6].any()
    assert measured[:, :, 6:].all()
    assert mask.shape == (32, 40)
    assert torch.equal(mask, windows[(0, 0)][2])
    assert not torch.equal(mask, windows[(1, 0)][2])  # another epoch
    assert not torch.equal(mask, windows[(0, 1)][2])  # another window


def test_coherency_counts_where_both_components_were_measured(store: Any, config: Config) -> None:
    power = np.array(store.power[:1])
    power[0, 2, 4] = np.nan  # Z alone
    phasors = np.zeros((1, 3, 2, *power.shape[2:]), dtype=np.float16)
    phasors[:, :, 0] = 1.0
    store.power, store.cross = power, phasors
    cross = changed(config, {"model": {"input": "power_cross"}})
    windows = UnlabelledWindows(store, np.arange(1), fit_scaling([np.nan_to_num(power)]), with_pretrain(cross))
    x, measured, _ = windows[0]
    assert x.shape == measured.shape == (9, 32, 40)
    assert measured[:, 4, 10].tolist() == [True, True, False, True, True, False, False, False, False]  # XY, then ZX, ZY


@pytest.fixture
def autoencoder() -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(create_backbone(ModelConfig(backbone="test_convnext")), 3, 16).eval()


def test_what_is_masked_does_not_change_the_reconstruction(autoencoder: MaskedAutoencoder) -> None:
    spec = PretrainConfig(patch_rows=8, patch_columns=8)
    mask = torch.from_numpy(sample_patch_mask(34, 36, spec, np.random.default_rng(3)))[None]
    x = torch.randn(1, 3, 34, 36)
    other = torch.where(mask[:, None], torch.randn_like(x), x)
    with torch.no_grad():
        one, same = autoencoder(x, mask), autoencoder(other, mask)
        assert one.shape == x.shape
        assert torch.equal(one, same)
        assert not torch.equal(one, autoencoder(x + 1.0, mask))


def test_wholly_masked_places_are_zero_in_the_feature_map(autoencoder: MaskedAutoencoder) -> None:
    visible = torch.ones(1, 1, 64, 64)
    visible[..., 32:, :32] = 0
    with torch.no_grad():
        encoded, seen = autoencoder.encode(torch.randn(1, 3, 64, 64), visible)
    assert seen[0, 0].tolist() == [[1, 1], [0, 1]]
    assert (encoded[..., 1, 0] == 0).all()
    assert (encoded[..., 0, 0] != 0).any()


def test_loss_falls_and_the_backbone_moves(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    noise = np.random.default_rng(5)
    levels = noise.normal(-20, 10, (48, 1, 1, 1))  # each window has one level, which its visible part tells
    store.power = (levels + noise.normal(0, 1, store.power.shape)).astype(np.float16)
    state = torch.get_rng_state()
    path = pretrain_model(store, split, with_pretrain(config, epochs=12, warmup_epochs=1.0), run)
    assert torch.equal(torch.get_rng_state(), state)
    history = losses(run)
    assert len(history) == 12
    assert history[-1] < 0.8 * history[0] < 1.2  # telling nothing but the mean costs 1
    assert path == run.path / PRETRAINED
    assert not (run.path / "pretrain_latest.pth").exists()
    content = torch.load(path, weights_only=True)
    assert all(key.startswith("backbone.") for key in content["model"])
    train_ids = split.loc[split["role"] == "train", "sample_id"]
    assert sorted(content["trained_on"]) == sorted(train_ids)
    assert run.provenance()["pretrained_on"] == {"dataset_id": "d0", "windows": 28}


def test_learning_rate_is_that_of_the_section_pretrain(
    store: Any, split: pd.DataFrame, config: Config, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def noted(self: torch.optim.AdamW, *args: Any, **kwargs: Any) -> Any:
        rates.extend(group["lr"] for group in self.param_groups)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    pretrain_model(store, split, with_pretrain(config, epochs=1, warmup_epochs=0.5, learning_rate=3e-4), run)
    assert max(rates) == pytest.approx(3e-4)


def test_no_window_outside_the_training_role_is_used(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    outside = ~store.samples["sample_id"].isin(split.loc[split["role"] == "train", "sample_id"])
    power = store.power[:]
    power[outside.to_numpy()] = np.inf  # using one is an error
    store.power = power
    pretrain_model(store, split, with_pretrain(config), run)


def test_windows_of_another_store_near_validation_or_test_are_left_out(
    store: Any, split: pd.DataFrame, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.attributes |= {"config": {"window_h": 6, "horizon_h": 48}}
    monkeypatch.setattr(pretrain, "open_store", lambda _: store)
    source, seen = pretraining_windows(store, split, with_pretrain(config, store="elsewhere"))
    assert source is store
    held = ~store.samples["sample_id"].isin(split.loc[split["role"] == "train", "sample_id"])
    start = store.samples["start_utc"]
    for place in range(len(start)):  # the slow way
        gaps = [abs(start[place] - other) - pd.Timedelta(hours=6) for other in start[held]]
        assert (place in seen) == (min(gaps) >= pd.Timedelta(hours=54))
    assert 0 < len(seen) < 28


def test_another_store_of_another_grid_is_refused(
    store: Any, split: pd.DataFrame, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        path = Path("other.zarr")
        attributes = {"preprocessing": {**store.attributes["preprocessing"], "segment_s": 300}}  # noqa: RUF012

    monkeypatch.setattr(pretrain, "open_store", lambda _: Other())
    with pytest.raises(SeismagError, match=r"other\.zarr: prepared with other segment_s than"):
        pretraining_windows(store, split, with_pretrain(config, store="other.zarr"))


def test_a_second_run_gives_the_same_weights_and_so_does_a_resumed_one(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_pretrain(config, epochs=3)
    runs = [create_run(tmp_path / f"runs{i}", "trial", settings, dataset_id="d0") for i in range(3)]
    for run in runs[:2]:
        pretrain_model(store, split, settings, run)
    original = pretrain._Pretraining.on_train_epoch_end

    def interrupted(module: Any) -> None:
        original(module)
        if len(module.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrain._Pretraining, "on_train_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain_model(store, split, settings, runs[2])
    assert len(losses(runs[2])) == 2
    with pytest.raises(UsageError, match="contains a pretraining already"):
        pretrain_model(store, split, settings, runs[2])
    with pytest.raises(UsageError, match=r"other settings: mask_ratio 0\.3 now, 0\.6 before"):
        pretrain_model(store, split, with_pretrain(config, epochs=3, mask_ratio=0.3), runs[2], resume=True)
    pretrain_model(store, split, settings, runs[2], resume=True)
    states = [torch.load(run.path / PRETRAINED, weights_only=True)["model"] for run in runs]
    assert all(same_weights(other, states[0]) for other in states[1:])
    assert losses(runs[0]) == losses(runs[2])


def test_training_starts_from_the_weights_and_its_windows_stay_unfit_for_a_judgement(
    store: Any, split: pd.DataFrame, config: Config, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_pretrain(config, epochs=1)
    path = pretrain_model(store, split, settings, run)
    model = ConvNeXtMultiTask(config.model)
    load_backbone(model, path)
    content = torch.load(path, weights_only=True)
    backbone = {f"backbone.{key}": value for key, value in model.backbone.state_dict().items()}
    assert same_weights(backbone, content["model"])
    other = ConvNeXtMultiTask(config.model.model_copy(update={"backbone": "test_convnext2"}))
    with pytest.raises(SeismagError, match=r"its backbone is test_convnext with 3 channels.*test_convnext2 with 3"):
        load_backbone(other, path)
    content["trained_on"].append("ALR-2020-01-01T00")  # as of another store
    torch.save(content, path)
    write_card(path, content["card"])
    loaded = []
    monkeypatch.setattr("seismag.training.train.load_backbone", lambda model, path: loaded.append((model, path)))
    train_model(store, split, changed(settings, epochs=1), run)
    assert [path for _, path in loaded] == [run.path / PRETRAINED]
    of_roles = split.loc[split["role"].isin(["train", "val"]), "sample_id"]
    assert set(load_checkpoint(run.best_model).trained_on) == {*of_roles, "ALR-2020-01-01T00"}


def test_a_backbone_that_is_no_convnext_is_refused(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    other = changed(config, {"model": {"backbone": "test_efficientnet"}})
    with pytest.raises(UsageError, match="made for ConvNeXt backbones"):
        pretrain_model(store, split, with_pretrain(other), run)


def test_trailing_normalisation_is_refused(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    other = changed(config, normalisation="trailing")
    with pytest.raises(UsageError, match=r"train\.normalisation is trailing"):
        pretrain_model(store, split, with_pretrain(other), run)
