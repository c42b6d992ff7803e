"""Learning rate, weight decay and stopping, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from seismag.config import ModelConfig, TrainConfig
from seismag.training.history import is_finished, should_stop
from seismag.training.loop import TrainingLoop
from seismag.training.losses import MultiTaskLoss
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.optimiser import learning_rate_factor, parameter_groups


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
    model = ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto"))
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


def test_learnt_task_weights_are_optimised_without_decay() -> None:
    config = TrainConfig(task_weighting="uncertainty")
    model = ConvNeXtMultiTask(ModelConfig(backbone="test_convnext", magnitude_head="ordinal"))
    loss = MultiTaskLoss(np.array([0, 1]), np.array([0, 1]), config)
    training = TrainingLoop(model, loss, config, 1, scaling=None, card={}, trained_on=())
    decaying, free = training.configure_optimizers()["optimizer"].param_groups
    for parameter in (loss.scaled_log_variance, model.head_magnitude.thresholds):
        assert any(parameter is member for member in free["params"])
    assert len(decaying["params"]) + len(free["params"]) == len(list(model.parameters())) + 1


@pytest.mark.parametrize(
    ("losses", "stop"),
    [([], False), ([1.0], False), ([1.0, 0.9, 0.95], False), ([1.0, 0.9, 0.95, 0.9], True), ([1, 2, 3, 0.5], False)],
)
def test_training_stops_after_patience_epochs_without_a_better_loss(losses: list[float], stop: bool) -> None:
    history = [{"val_loss": loss} for loss in losses]
    assert should_stop(history, patience=2) is stop
    assert is_finished(history, TrainConfig(epochs=9, patience=2)) is stop
    assert is_finished(history, TrainConfig(epochs=3, patience=2)) is (stop or len(losses) >= 3)
