"""Training of a part of the network (``train.scope``): the frozen layers, and their cached features.

The frozen layers are in evaluation mode and have no gradient, so that a window always gives the same features. Without
augmentation the features are computed once, before the first epoch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seismag.config import TrainConfig
from seismag.domain import SeismagError
from seismag.training.backbones import cut_before_last_stage
from seismag.training.dataset import PRELOAD_BYTES, EpochIndex, SpectrogramDataset
from seismag.training.model import ConvNeXtMultiTask


class FrozenPart:
    """The layers that ``scope`` (last_stage or heads) freezes, and those after them up to the last feature map.

    The frozen parameters lose their gradient here.

    Raises:
        UsageError: the last stage of this kind of backbone is not known.
    """

    def __init__(self, model: ConvNeXtMultiTask, scope: str) -> None:
        self.model = model
        self.rest: nn.Module | None = None
        self.layers: nn.Module = model.backbone
        if scope == "last_stage":
            self.layers, self.rest = cut_before_last_stage(model.backbone, model.config.backbone)
        self.layers.requires_grad_(False)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Return the output of the frozen layers for scaled input (B, C, F, T): a feature map, or the pooled features
        where these suffice."""
        features: Tensor
        if self.rest is not None:
            features = self.layers(x)
        elif self.model.attention is not None:
            features = self.model.backbone.forward_features(x)
        else:
            features = self.model.backbone.forward_head(self.model.backbone.forward_features(x))
        return features


class CachedFeatures(TensorDataset):
    """Features and the two class indices of each window, in memory."""

    def __getitem__(self, position: EpochIndex) -> tuple[Tensor, ...]:
        """Return one window."""
        return super().__getitem__(position[1] if isinstance(position, tuple) else position)


def compute_features(part: FrozenPart, windows: SpectrogramDataset, config: TrainConfig) -> CachedFeatures:
    """Compute the output of the frozen layers for a set; SeismagError: it is larger than ``PRELOAD_BYTES``."""
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    part.model.to(device).eval()
    loader = DataLoader(windows, batch_size=config.batch_size, generator=torch.Generator())
    cached: list[Tensor] = []
    for x, _, _ in loader:
        features = part(x.to(device)).cpu()
        size = features[0].numel() * features.element_size() * len(windows)
        if size > PRELOAD_BYTES:
            raise SeismagError(
                f"train.scope {config.scope}: the cached features of {len(windows)} windows take "
                f"{size / 1024**3:.1f} GiB, limit {PRELOAD_BYTES / 1024**3:.0f}. Set train.cache_features=false, or "
                "train.scope=heads."
            )
        cached.append(features)
    part.model.cpu().train()
    labels = (torch.from_numpy(y) for y in (windows.y_magnitude, windows.y_azimuth))
    return CachedFeatures(torch.cat(cached), *labels)
