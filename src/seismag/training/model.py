"""The network: one backbone, heads for both tasks.

input (B, 3 or 9, F, T) -> backbone -> feature map (B, D, F', T') [-> attention] -> pooled features (B, C) -> heads
                       [-> directional statistics ------------------------------------^]
"""

from __future__ import annotations

import torch
from timm.layers.cbam import CbamModule
from torch import Tensor, nn
from torch.nn import functional

from seismag.config import ModelConfig
from seismag.domain import COMPONENTS, SeismagError
from seismag.training.backbones import create_backbone
from seismag.training.heads import AzimuthHead, MagnitudeHead, Outputs, build_detection_head

FrozenFeatures = tuple[Tensor, Tensor]  # features or feature map, and directional statistics (B, 0) or (B, n)
_N_BANDS, _DIRECTIONAL_WIDTH = 16, 64


class DirectionalFeatures(nn.Module):
    """Statistics of frequency bands that depend on the direction of a source, mixed by a linear layer for the heads.

    In each of 16 bands of neighbouring frequency bins, averaged over the band and the window:

    - H minus D, the horizontal power ratio: dB in units of the standard deviations, since the input is scaled;
    - Z minus the mean of H and D, the polarisation ratio, likewise;
    - with cross-spectra, the means of XY, ZX and ZY, real and imaginary part: the length of a mean phasor is a
      coherence over band and window, its direction the phase.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_statistics = 2 + n_channels - len(COMPONENTS)
        self.mix = nn.Sequential(nn.Linear(n_statistics * _N_BANDS, _DIRECTIONAL_WIDTH), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, 64) of scaled input (B, 3 or 9, F, T)."""
        features: Tensor = self.mix(directional_statistics(x).flatten(1))
        return features


def directional_statistics(x: Tensor) -> Tensor:
    """Return band means (B, 2 or 8, 16) of scaled input (B, 3 or 9, F, T): H - D, Z - (H + D) / 2, cross-spectra.

    With fewer than 16 frequency bins, neighbouring bands overlap.
    """
    banded = functional.adaptive_avg_pool1d(x.mean(dim=3), _N_BANDS)  # (B, channels, 16)
    h, d, z = banded[:, :3].unbind(dim=1)
    return torch.cat([torch.stack([h - d, z - 0.5 * (h + d)], dim=1), banded[:, 3:]], dim=1)


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
        self.directional = DirectionalFeatures(config.n_channels) if config.directional_features else None
        # for vgg16 and a few more the pooled width is not the depth of the last feature map
        width = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)
        self.n_features = width + (_DIRECTIONAL_WIDTH if config.directional_features else 0)
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
        return self._pool(self.feature_map(x), x)

    def classify(self, features: Tensor) -> Outputs:
        """Turn features (B, C) into logits of both tasks."""
        event = None if self.head_detection is None else self.head_detection(features).squeeze(1)
        magnitude = self.head_magnitude(features, event)
        azimuth, cardinal, von_mises = self.head_azimuth(features, event)
        return Outputs(magnitude, azimuth, event, cardinal, von_mises)

    def classify_map(self, feature_map: Tensor, x: Tensor) -> Outputs:
        """Turn ``feature_map(x)`` and its input ``x`` into logits; the gradient at the map gives Grad-CAM."""
        return self.classify(self._pool(feature_map, x))

    def forward(self, x: Tensor) -> Outputs:
        """Turn scaled input (B, n_channels, F, T) into logits of both tasks."""
        return self.classify(self.embed(x))

    def classify_frozen(self, frozen: FrozenFeatures, rest: nn.Module | None) -> Outputs:
        """Turn the output of ``FrozenPart`` into logits.

        ``rest`` are the layers from its cut to the last feature map; None: its output is that map, or pooled features.
        """
        features, statistics = frozen
        if rest is not None:
            features = rest(features)
        if features.ndim == 4:
            features = self.backbone.forward_head(self._attend(features))
        if self.directional is not None:
            features = torch.cat([features, self.directional.mix(statistics)], dim=1)
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

    def _pool(self, feature_map: Tensor, x: Tensor) -> Tensor:
        pooled: Tensor = self.backbone.forward_head(feature_map)  # (B, pooled width)
        return pooled if self.directional is None else torch.cat([pooled, self.directional(x)], dim=1)
