"""A hand-made model that looks at one band of one component and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from seismag.config import ModelConfig
from seismag.learning.checkpoint import LoadedModel
from seismag.learning.exchange import Windows
from seismag.learning.heads import Outputs
from seismag.learning.transforms import Scaling

ROWS = slice(8, 16)
COMPONENT = 2


class BandReader(nn.Module):
    """Says event where the mean of rows 8 to 15 of Z is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.config = ModelConfig.model_validate({"backbone": "convnext_atto"})
        self.gain = nn.Parameter(torch.tensor(4.0))
        self.n_features = 1

    def embed(self, x: Tensor) -> Tensor:
        return x[:, COMPONENT, ROWS].mean(dim=(1, 2))[:, None]

    def classify(self, features: Tensor) -> Outputs:
        score = self.gain * features
        magnitude = torch.cat([-score, score, score - 2, score - 2], dim=1)
        azimuth = torch.cat([-score, score, *[score - 2] * 7], dim=1)
        return Outputs(magnitude, azimuth)


def make_band_reader(n_rows: int = 32) -> LoadedModel:
    scaling = Scaling(np.zeros((3, n_rows), np.float32), np.ones((3, n_rows), np.float32))
    return LoadedModel(Path("reader.pth"), BandReader().eval(), scaling, {"run_id": "reader"})  # type: ignore[arg-type]


def make_windows(loaded: LoadedModel, n: int, rng: np.random.Generator) -> Windows:
    """Noise; every second window shines in the band of every component."""
    power = rng.normal(0, 0.3, (n, 3, 32, 40))
    power[::2, :, ROWS] += 1.0
    power[1::2, :, ROWS] -= 1.0
    return Windows(power.astype(np.float16), None, loaded.scaling)
