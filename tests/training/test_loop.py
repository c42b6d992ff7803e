"""Learning rate, weight decay and stopping, by hand; errors for too little memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seismag.config import ModelConfig, TrainConfig
from seismag.domain import SeismagError
from seismag.training.fit import plain_lightning, should_stop
from seismag.training.loop import learning_rate_factor, parameter_groups
from seismag.training.model import ConvNeXtMultiTask


def test_learning_rate_rises_linearly_and_falls_as_a_half_cosine() -> None:
    factors = [learning_rate_factor(step, warmup_steps=4, total_steps=12) for step in range(13)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[8] == pytest.approx(0.5)  # half way down: cos(pi/2) = 0
    assert factors[10] == pytest.approx(0.5 * (1 - 0.5**0.5))  # cos(3 pi/4) = -sqrt(1/2)
    assert factors[12] == pytest.approx(0.0)
    assert sorted(factors[4:], reverse=True) == factors[4:]


def test_learning_rate_without_warm_up_starts_at_its_full_value() -> None:
    assert learning_rate_factor(0, 0, 10) == 1.0
    assert learning_rate_factor(0, 0, 0) == 1.0


def test_only_matrices_and_kernels_decay() -> None:
    model = ConvNeXtMultiTask(ModelConfig(backbone="test_convnext"))
    decaying, free = parameter_groups(model, 0.05, 1e-4)
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.05, 0.0)
    assert len(decaying["params"]) + len(free["params"]) == len(list(model.parameters()))
    free_ids = {id(parameter) for parameter in free["params"]}
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            assert id(module.weight) not in free_ids
            assert module.bias is None or id(module.bias) in free_ids
        if isinstance(module, nn.LayerNorm):
            assert id(module.weight) in free_ids


@pytest.mark.parametrize(
    ("losses", "stop"),
    [([], False), ([1.0], False), ([1.0, 0.9, 0.95], False), ([1.0, 0.9, 0.95, 0.9], True), ([1, 2, 3, 0.5], False)],
)
def test_training_stops_after_patience_epochs_without_a_better_loss(losses: list[float], stop: bool) -> None:
    history = [{"val_loss": loss} for loss in losses]
    assert should_stop(history, TrainConfig(patience=2)) is stop
    assert not should_stop(history, TrainConfig(patience=2, keep="last"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("not enough memory: you tried to allocate 100 bytes."),
        MemoryError("Unable to allocate 1 TiB"),
    ],
)
def test_every_shortage_is_recognised(error: Exception) -> None:
    with pytest.raises(SeismagError, match=r"batch_size 1 \([^\n]*\)\. It cannot be lower"), plain_lightning(1):
        raise error


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), plain_lightning(8):
        raise RuntimeError("shapes differ")
