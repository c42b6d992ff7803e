"""Heads with every loss and option of the features, and a model that learns its samples by heart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seismag.config import ModelConfig, TrainConfig
from seismag.training.heads import Outputs
from seismag.training.losses import MultiTaskLoss
from seismag.training.model import ConvNeXtMultiTask

Y_MAGNITUDE = np.array([0, 1, 2, 3, 0, 2])
Y_AZIMUTH = np.array([0, 1, 4, 8, 0, 6])
LOSSES = [
    TrainConfig(loss=loss, label_smoothing=smoothing)
    for loss, smoothing in itertools.product(["cross_entropy", "focal"], [0.0, 0.1])
]
FEATURES = list(itertools.product(["none", "cbam"], ["power", "power_cross"]))
HEADS = list(itertools.product(["flat", "hierarchical"], [False, True]))


def assert_probabilities(outputs: Outputs, detection_head: bool) -> None:
    magnitude, azimuth = (scores.double().softmax(dim=1) for scores in outputs[:2])
    for probs, n_classes in ((magnitude, 4), (azimuth, 9)):
        assert probs.shape[1] == n_classes
        torch.testing.assert_close(probs.sum(dim=1), torch.ones(len(probs), dtype=torch.float64))
    if detection_head:
        assert outputs.event is not None
        torch.testing.assert_close(magnitude[:, 0], azimuth[:, 0], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(1 - magnitude[:, 0], outputs.event.double().sigmoid(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(len(HEADS) * len(LOSSES)))
def test_heads_learn_with_other_options_and_give_probabilities(seed: int) -> None:
    """Each combination of heads and losses, with another one of the options of the features."""
    which, of_loss = divmod(seed, len(LOSSES))
    azimuth, detection = HEADS[which]
    attention, spectra = FEATURES[(which + of_loss) % len(FEATURES)]
    torch.manual_seed(seed)
    config = ModelConfig(
        backbone="test_convnext", input=spectra, attention=attention,
        azimuth_head=azimuth, detection_head=detection,
        head_width=32, head_dropout=0.0, head_dropout_inner=0.0,
    )  # fmt: skip
    model = ConvNeXtMultiTask(config)
    loss = MultiTaskLoss(Y_MAGNITUDE, Y_AZIMUTH, LOSSES[of_loss])
    x = torch.randn(6, model.n_channels, 64, 64)
    labels = torch.from_numpy(Y_MAGNITUDE), torch.from_numpy(Y_AZIMUTH)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    values = []
    for _ in range(4):
        value: Tensor = loss(model(x), *labels)
        values.append(float(value.detach()))
        optimizer.zero_grad()
        value.backward()
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in parameters)
        optimizer.step()
    assert values[-1] < values[0]
    assert_probabilities(model.eval()(x), detection)


@pytest.mark.parametrize(
    "heads",
    [
        {},
        {"azimuth_head": "hierarchical", "detection_head": True},
        {"azimuth_head": "hierarchical", "attention": "cbam"},
    ],
)
def test_model_learns_32_samples_by_heart_in_both_tasks(heads: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    y_azimuth = np.concatenate([np.zeros(8, dtype=np.int64), 1 + np.arange(24) % 8])
    y_magnitude = np.where(y_azimuth == 0, 0, 1 + rng.permutation(32) % 3)
    x = torch.from_numpy(rng.normal(size=(32, 3, 64, 64)).astype(np.float32))  # noise: nothing but memory helps
    torch.manual_seed(2)
    model = ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", **heads))
    loss = MultiTaskLoss(y_magnitude, y_azimuth, TrainConfig())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    labels = torch.from_numpy(y_magnitude), torch.from_numpy(y_azimuth)
    for _ in range(60):
        model.train()
        optimizer.zero_grad()
        loss(model(x), *labels).backward()
        optimizer.step()
        with torch.no_grad():
            outputs = model.eval()(x)
        if all(torch.equal(scores.argmax(dim=1), y) for scores, y in zip(outputs[:2], labels, strict=True)):
            return
    pytest.fail("not every sample was learnt in 60 steps")
