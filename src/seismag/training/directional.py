"""Directional features: statistics of the input in frequency bands that depend on the direction of a source."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seismag.domain import COMPONENTS

_N_BANDS = 16
DIRECTIONAL_WIDTH = 64


class DirectionalFeatures(nn.Module):
    """Turn the input into (B, 64) features in addition to the pooled ones.

    In each of 16 bands of neighbouring frequency bins, averaged over the band and the window:

    - H minus D, the horizontal power ratio: dB in units of the standard deviations, since the input is scaled;
    - Z minus the mean of H and D, the polarisation ratio, likewise;
    - with cross-spectra, the means of XY, ZX and ZY, real and imaginary part: the length of a mean phasor is a
      coherence over band and window, its direction the phase.

    These are the statistics of classical direction finding; a linear layer scales them for the heads.

    Args:
        n_channels: 3 (power) or 9 (power and cross-spectra).
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_statistics = 2 + n_channels - len(COMPONENTS)
        self.mix = nn.Sequential(nn.Linear(n_statistics * _N_BANDS, DIRECTIONAL_WIDTH), nn.GELU())

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
