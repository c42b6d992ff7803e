"""Self-supervised pretraining of a ConvNeXt backbone: masked patches of a spectrogram are predicted from the rest.

window (C, F, T) -> patches masked -> backbone, masked positions zeroed in it too -> decoder of one block -> (C, F, T)

The loss is taken over bins that are masked and were measured; no label is read. Pretraining is the first phase of a
run: it reads the training windows of the fold, or those windows of another store that are not near the validation and
test windows, and writes ``pretrained.pth``, from which ``train_model`` starts.

Source: FCMAE, Woo et al. (2023), ConvNeXt V2, arXiv:2301.00808, sections 3.1 and 3.2, in its dense form: masks between
the blocks in place of sparse convolution.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from timm.models.convnext import ConvNeXt, ConvNeXtBlock
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from seismag.arrays import BoolArray, IntArray
from seismag.cards import write_card
from seismag.config import Config, PretrainConfig
from seismag.domain import SeismagError, UsageError
from seismag.files import atomic_path, write_text_atomic
from seismag.runs import Run, update_provenance
from seismag.spectrograms.compute import PAIRS
from seismag.splits.exclusions import close_in_time
from seismag.training.backbones import create_backbone
from seismag.training.channels import require_cross, window_channels
from seismag.training.checkpoint import FORMAT, build_card
from seismag.training.dataset import EpochIndex, EpochSampler, iterate_power, read_power, role_indices
from seismag.training.fit import make_trainer, plain_lightning, resolve_precision
from seismag.training.loop import build_optimiser, parameter_groups
from seismag.training.scaling import Scaling, fit_scaling
from seismag.windows.store import Store, open_store

log = logging.getLogger(__name__)

PRETRAINED = "pretrained.pth"
_LATEST = "pretrain_latest.pth"
_HISTORY = "pretrain_history.csv"
STRIDE = 32  # of a ConvNeXt, input bins per position of the last feature map
_OF_MASK = 3  # in the seed; streams 1 and 2 are those of augmentation
_PATCHES = (32, 16, 8, 4)  # bins: positions of the last feature map, and down to those of the stem
_LEAST_PATCHES = 4  # a side; fewer would give few different masks


def patch_size(n_bins: int, n_frames: int, spec: PretrainConfig) -> tuple[int, int]:
    """Return height (bins) and width (frames) of a patch: as configured, else by the grid (34 x 36: 8 x 8)."""
    height, width = (
        next((size for size in _PATCHES if side >= _LEAST_PATCHES * size), _PATCHES[-1]) for side in (n_bins, n_frames)
    )
    return spec.patch_rows or height, spec.patch_columns or width


def sample_patch_mask(n_bins: int, n_frames: int, spec: PretrainConfig, rng: np.random.Generator) -> BoolArray:
    """Sample the masked bins (F, T): some whole patches, never all; UsageError: there is room for one only."""
    height, width = patch_size(n_bins, n_frames, spec)
    shape = (-(-n_bins // height), -(-n_frames // width))  # rounded up
    n = shape[0] * shape[1]
    if n < 2:
        raise UsageError(
            f"pretrain: one patch of {height} x {width} covers the whole spectrogram of "
            f"{n_bins} x {n_frames} (frequency x time). Lower pretrain.patch_rows or pretrain.patch_columns."
        )
    patches = np.zeros(n, dtype=bool)
    patches[rng.permutation(n)[: min(n - 1, max(1, round(spec.mask_ratio * n)))]] = True
    masked = np.kron(patches.reshape(shape), np.ones((height, width), dtype=bool))
    return np.asarray(masked[:n_bins, :n_frames], dtype=bool)


def masked_loss(predicted: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Return the mean squared error over the counted bins, all (B, C, F, T); 0 where none counts."""
    squares = torch.where(counted, (predicted.float() - target.float()).square(), torch.zeros(()).to(target))
    return squares.sum() / counted.sum().clamp(min=1)


class UnlabelledWindows(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Channels (C, F, T) of windows, where they were measured (C, F, T), and the bins to mask (F, T).

    No window but those at ``indices`` is read; ``scaling`` is that of the training set.
    """

    def __init__(self, store: Store, indices: IntArray, scaling: Scaling, config: Config) -> None:
        require_cross(store, config.model)
        self.indices, self.scaling, self.config = indices, scaling, config
        self.power = read_power(store.power, indices)
        self.cross = read_power(store.cross, indices) if config.model.input == "power_cross" else None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: EpochIndex) -> tuple[Tensor, Tensor, Tensor]:
        """Return one window; its mask depends on seed, epoch and window alone."""
        epoch, index = position if isinstance(position, tuple) else (0, position)
        power_db = self.power[index : index + 1]
        phasors = None if self.cross is None else self.cross[index : index + 1]
        x = window_channels(power_db, phasors, self.scaling, self.config.model)[0]
        measured = np.isfinite(power_db[0])  # (3, F, T)
        if phasors is not None:
            both = np.isfinite(phasors[0]).all(axis=1) & np.stack([measured[a] & measured[b] for _, a, b in PAIRS])
            measured = np.concatenate([measured, np.repeat(both, 2, axis=0)])  # real and imaginary part
        rng = np.random.default_rng([self.config.train.seed, epoch, _OF_MASK, int(self.indices[index])])
        mask = sample_patch_mask(x.shape[1], x.shape[2], self.config.pretrain, rng)
        return torch.from_numpy(x), torch.from_numpy(measured), torch.from_numpy(mask)


class MaskedAutoencoder(nn.Module):
    """A ConvNeXt backbone (else UsageError) that sees what is not masked, and a decoder of one block."""

    def __init__(self, backbone: nn.Module, n_channels: int, width: int) -> None:
        super().__init__()
        if not isinstance(backbone, ConvNeXt):
            raise UsageError(
                "pretrain: masked reconstruction is made for ConvNeXt backbones. Set model.backbone=convnext_tiny or "
                "another convnext, or pretrain.epochs=0."
            )
        self.backbone: Any = backbone
        self.n_channels = n_channels
        self.project = nn.Conv2d(backbone.num_features, width, kernel_size=1)
        self.mask_token = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.block = ConvNeXtBlock(width)
        self.predict = nn.Conv2d(width, n_channels * STRIDE**2, kernel_size=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Reconstruct (B, C, F, T) from its cells outside ``mask`` (B, F, T)."""
        n_rows, n_columns = x.shape[-2:]
        padding = (0, -n_columns % STRIDE, 0, -n_rows % STRIDE)
        visible = functional.pad((~mask).to(x.dtype)[:, None], padding)  # (B, 1, F, T), 0 in the padding
        encoded, seen = self.encode(functional.pad(x, padding), visible)
        places = self.project(encoded)
        places = places * seen + self.mask_token * (1 - seen)  # (B, width, F / 32, T / 32)
        cells = functional.pixel_shuffle(self.predict(self.block(places)), STRIDE)
        return cells[:, :, :n_rows, :n_columns]

    def encode(self, x: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Last feature map, and which of its places see a visible cell (B, 1, F / 32, T / 32).

        A place counts as masked if all cells under it are. It is set to 0 before each block, so that the mask's form
        does not spread and wide kernels read nothing there.
        """
        x = self.backbone.stem(x * visible)
        seen = functional.adaptive_max_pool2d(visible, x.shape[-2:])
        for stage in self.backbone.stages:
            x = stage.downsample(x * seen)
            seen = functional.adaptive_max_pool2d(visible, x.shape[-2:])
            for block in stage.blocks:
                x = block(x * seen)
        encoded: Tensor = self.backbone.norm_pre(x * seen)
        return encoded * seen, seen


def pretrain_model(store: Store, split: pd.DataFrame, config: Config, run: Run, *, resume: bool = False) -> Path:
    """Pretrain the backbone for the fold of ``config.split`` and write ``pretrained.pth`` with its model card.

    Args:
        store, split: of the run; validation and test windows of the fold are not read.
        config: sections pretrain, model, split; of train batch size, precision and seed.
        run: also gets pretrain_history.csv, and pretrain_latest.pth until the end.
        resume: from pretrain_latest.pth where there is one.

    Raises:
        UsageError: the backbone is no ConvNeXt, the patches are too large, the settings changed on resuming.
        SeismagError: a set is empty, the other store was prepared differently, the loss is not a number.
    """
    target = run.path / PRETRAINED
    if resume and target.exists():
        return target
    _require_settings(config, run, resume)
    config = resolve_precision(config, run)
    source, indices = pretraining_windows(store, split, config)
    train = role_indices(store.samples, split, config.split.fold, "train")
    scaling = fit_scaling(iterate_power(store.power, train))
    windows = UnlabelledWindows(source, indices, scaling, config)
    cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(config.train.seed)
        backbone = create_backbone(config.model)
        model = MaskedAutoencoder(backbone, config.model.n_channels, config.pretrain.decoder_width)
        module = _Pretraining(model, config, run, -(-len(windows) // config.train.batch_size))
        _fit(module, windows, run, config, resume)
    ids = source.samples["sample_id"].iloc[indices].astype(str).tolist()
    card = build_card(store, config, run) | {
        "kind": "pretrained backbone",
        "pretrain": config.pretrain.model_dump(mode="json"),
        "patch_cells": list(patch_size(store.power.shape[2], store.power.shape[3], config.pretrain)),
        "pretrained_on": {"dataset_id": source.attributes["dataset_id"], "windows": len(ids)},
    }
    state = {f"backbone.{key}": value.cpu() for key, value in model.backbone.state_dict().items()}
    content = {"format": FORMAT, "model": state, "scaling": scaling.to_tensors(), "card": card, "trained_on": ids}
    with atomic_path(target) as temporary:
        torch.save(content, temporary)
        write_card(target, card, content=temporary)
    (run.path / _LATEST).unlink(missing_ok=True)
    update_provenance(run, pretrained_on=card["pretrained_on"])
    return target


def pretraining_windows(store: Store, split: pd.DataFrame, config: Config) -> tuple[Store, IntArray]:
    """Return the store and the positions that pretraining may read.

    Of the store of the run: the training windows of the fold. Of ``pretrain.store``: every window except those within
    window + horizon of a validation, test or excluded window of the same station, as in a split.

    Raises:
        SeismagError: nothing is left, or the other store was prepared differently.
    """
    if config.pretrain.store is None:
        return store, role_indices(store.samples, split, config.split.fold, "train")
    other = open_store(config.pretrain.store)
    ours, theirs = (dict(part.attributes["preprocessing"]) for part in (store, other))
    if ours != theirs:
        keys = ", ".join(sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)))
        raise SeismagError(
            f"pretrain.store {other.path}: prepared with other {keys} than {store.path}. Prepare it alike."
        )
    of_fold = split[split["fold"] == config.split.fold]
    held_ids = of_fold.loc[of_fold["role"] != "train", "sample_id"]
    held = store.samples[store.samples["sample_id"].isin(held_ids)]
    both = pd.concat([part[["station", "start_utc"]] for part in (other.samples, held)], ignore_index=True)
    settings = store.attributes["config"]
    # less than window + horizon between two windows of one length, which start at whole seconds
    reach_h = 2 * settings["window_h"] + settings["horizon_h"] - 1 / 3600
    apart = ~close_in_time(both, np.arange(len(both)) >= len(other.samples), reach_h)[: len(other.samples)]
    if not apart.any():
        raise SeismagError(f"pretrain.store {other.path}: every window is close to a validation or test window.")
    log.info("pretraining on %d of %d windows of %s", int(apart.sum()), len(apart), other.path)
    return other, np.flatnonzero(apart).astype(np.int64)


class _Pretraining(lightning.LightningModule):
    """Hooks that Lightning calls in each step and epoch."""

    def __init__(self, model: MaskedAutoencoder, config: Config, run: Run, steps_per_epoch: int) -> None:
        super().__init__()
        self.model = model
        self.run = run
        self.spec = config.pretrain
        self.seed = config.train.seed
        self.settings = _settings(config)
        self.steps_per_epoch = steps_per_epoch
        self.history: list[dict[str, float]] = []

    def configure_optimizers(self) -> Any:
        spec = self.spec
        groups = parameter_groups(self.model, spec.weight_decay, spec.learning_rate)
        # betas as FCMAE
        return build_optimiser(groups, spec.epochs, spec.warmup_epochs, self.steps_per_epoch, betas=(0.9, 0.95))

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(int(np.random.SeedSequence([self.seed, self.current_epoch, _OF_MASK]).generate_state(1)[0]))
        self._sum, self._n = torch.zeros((), dtype=torch.float64), 0

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        x, measured, mask = batch
        loss = masked_loss(self.model(x, mask), x, measured & mask[:, None])
        value = loss.detach().double().cpu()
        if not torch.isfinite(value):
            raise SeismagError(
                f"pretraining, epoch {self.current_epoch + 1}, step {batch_idx + 1}: the loss is {float(value)}. "
                f"Lower pretrain.learning_rate (now {self.spec.learning_rate:g})."
            )
        self._sum += value * len(x)
        self._n += len(x)
        return loss

    def on_train_epoch_end(self) -> None:
        loss = float(self._sum / self._n)
        self.history.append({"epoch": self.current_epoch + 1, "loss": loss})
        with atomic_path(self.run.path / _LATEST) as temporary:
            self.trainer.save_checkpoint(temporary)
        table = pd.DataFrame(self.history)
        write_text_atomic(self.run.path / _HISTORY, table.to_csv(index=False, lineterminator="\n"))
        log.info("pretraining, epoch %d/%d: loss %.4f", len(table), self.spec.epochs, loss)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {"history": self.history, "settings": self.settings}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["history"])


def _fit(module: _Pretraining, windows: UnlabelledWindows, run: Run, config: Config, resume: bool) -> None:
    latest = run.path / _LATEST
    resumes = resume and latest.exists()
    done = len(torch.load(latest, map_location="cpu", weights_only=True)["history"]) if resumes else 0
    batch = config.train.batch_size
    sampler = EpochSampler(len(windows), config.train.seed, done)
    loader: DataLoader[Any] = DataLoader(windows, batch, sampler=sampler, generator=torch.Generator())
    with plain_lightning(batch):
        trainer = make_trainer(run, config.train, config.pretrain.epochs, [], logger=False, devices=1)
        trainer.fit(module, loader, ckpt_path=latest if resumes else None)


def _settings(config: Config) -> dict[str, object]:
    of_model = {"backbone": config.model.backbone, "input": config.model.input}
    return {**config.pretrain.model_dump(mode="json"), **of_model, "seed": config.train.seed, "fold": config.split.fold}


def _require_settings(config: Config, run: Run, resume: bool) -> None:
    if config.train.normalisation != "training":
        raise UsageError(
            f"pretrain: windows are scaled by the training set, but train.normalisation is "
            f"{config.train.normalisation}. Set train.normalisation=training, or pretrain.epochs=0."
        )
    latest = run.path / _LATEST
    if not latest.exists():
        return
    if not resume:
        raise UsageError(f"{run.path}: contains a pretraining already. Resume it, or start a new run.")
    before, now = torch.load(latest, map_location="cpu", weights_only=True)["settings"], _settings(config)
    changed = [f"{key} {now[key]!r} now, {before.get(key)!r} before" for key in now if now[key] != before.get(key)]
    if changed:
        raise UsageError(f"{run.run_id}: pretraining began with other settings: {'; '.join(changed)}. Start a new run.")
