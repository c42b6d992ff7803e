"""The network: one backbone, heads for both tasks.

input (B, 3 or 9, F, T) -> backbone -> feature map (B, D, F', T') [-> attention] -> pooled features (B, C) -> heads
"""

from __future__ import annotations

import torch
from timm.layers.cbam import CbamModule
from torch import Tensor, nn

from seismag.config import ModelConfig
from seismag.domain import SeismagError
from seismag.training.backbones import create_backbone
from seismag.training.heads import AzimuthHead, MagnitudeHead, Outputs, build_detection_head


class ConvNeXtMultiTask(nn.Module):
    """Magnitude and azimuth class from one spectrogram.

    Raises:
        UsageError: timm has no such backbone.
        SeismagError: pretrained weights are not available.

    Source of the attention: CBAM, Woo et al. (2018), arXiv:1807.06521, channel then spatial, as timm builds it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = create_backbone(config)
        self.attention = CbamModule(self.backbone.num_features) if config.attention == "cbam" else None
        # for vgg16 and a few more the pooled width is not the depth of the last feature map
        self.n_features = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)
        self.head_detection = build_detection_head(self.n_features, config) if config.detection_head else None
        self.head_magnitude = MagnitudeHead(self.n_features, config)
        self.head_azimuth = AzimuthHead(self.n_features, config)

    @property
    def n_channels(self) -> int:
        """Channels of the input: 3, or 9 with cross-spectra."""
        return self.config.n_channels

    def feature_map(self, x: Tensor) -> Tensor:
        """Turn scaled input (B, n_channels, F, T) into the last feature map (B, D, F', T'), attention applied."""
        if x.ndim != 4 or x.shape[1] != self.n_channels:
            raise ValueError(f"input of shape {tuple(x.shape)}, expected (batch, {self.n_channels}, frequency, time)")
        return self._attend(self.backbone.forward_features(x))

    def embed(self, x: Tensor) -> Tensor:
        """Turn scaled input (B, n_channels, F, T) into features (B, C)."""
        features: Tensor = self.backbone.forward_head(self.feature_map(x))
        return features

    def classify(self, features: Tensor) -> Outputs:
        """Turn features (B, C) into logits of both tasks."""
        event = None if self.head_detection is None else self.head_detection(features).squeeze(1)
        magnitude = self.head_magnitude(features, event)
        azimuth, cardinal = self.head_azimuth(features, event)
        return Outputs(magnitude, azimuth, event, cardinal)

    def classify_map(self, feature_map: Tensor) -> Outputs:
        """Turn the output of ``feature_map`` into logits; the gradient at the map gives Grad-CAM."""
        return self.classify(self.backbone.forward_head(feature_map))

    def forward(self, x: Tensor) -> Outputs:
        """Turn scaled input (B, n_channels, F, T) into logits of both tasks."""
        return self.classify(self.embed(x))

    def classify_frozen(self, features: Tensor, rest: nn.Module | None) -> Outputs:
        """Turn the output of ``FrozenPart`` into logits.

        ``rest`` are the layers from its cut to the last feature map; None: its output is that map, or pooled features.
        """
        if rest is not None:
            features = rest(features)
        if features.ndim == 4:
            features = self.backbone.forward_head(self._attend(features))
        return self.classify(features)

    def blank_input(self, n_frequencies: int, n_times: int, n: int = 1) -> Tensor:
        """Return spectrograms of zeros, (n, n_channels, F, T), of the type and on the device of the parameters."""
        parameter = next(self.parameters())
        size = (n, self.n_channels, n_frequencies, n_times)
        return torch.zeros(size, dtype=parameter.dtype, device=parameter.device)

    def check_input(self, n_frequencies: int, n_times: int) -> None:
        """Refuse, before the training, a size of spectrograms that the backbone cannot process (SeismagError)."""
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                self(self.blank_input(n_frequencies, n_times))
        except (RuntimeError, ValueError, AssertionError) as error:  # backbones refuse in several ways
            raise SeismagError(
                f"model.backbone {self.config.backbone} cannot process spectrograms of {n_frequencies} x {n_times} "
                f"(frequency x time): {error}. Choose another backbone, or another grid in the data section."
            ) from error
        finally:
            self.train(was_training)

    def _attend(self, features: Tensor) -> Tensor:
        if self.attention is None:
            return features
        if features.ndim != 4 or features.shape[1] != self.backbone.num_features:
            raise ValueError(
                f"attention cbam needs a feature map (batch, {self.backbone.num_features}, frequency, time), "
                f"not {tuple(features.shape)}"
            )
        weighted: Tensor = self.attention(features)
        return weighted
