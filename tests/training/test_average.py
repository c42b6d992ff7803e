"""Moving average of weights, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seismag.training.average import WeightAverage


def with_weight(value: float) -> nn.Module:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(value)
    return model


def test_average_follows_its_recursion() -> None:
    average = WeightAverage(decay=0.25)
    for value in (1.0, 3.0, -1.0):
        average.update(with_weight(value))
    # d = min(0.25, (1 + n) / (10 + n)) = 2/11, 0.25, 0.25; the first step copies
    expected = 0.25 * (0.25 * 1.0 + 0.75 * 3.0) + 0.75 * -1.0
    assert float(average.values["weight"]) == pytest.approx(expected)


def test_decay_of_nothing_is_the_last_weight() -> None:
    average = WeightAverage(decay=0.0)
    for value in (1.0, 3.0):
        average.update(with_weight(value))
    assert float(average.values["weight"]) == 3.0


def test_model_has_its_own_weights_again_after_the_block() -> None:
    average, model = WeightAverage(decay=0.9), with_weight(1.0)
    with average.in_place_of(model):
        assert model.weight.item() == 1.0  # no step yet
    average.update(model)
    model.weight.data.fill_(5.0)
    with average.in_place_of(model):
        assert model.weight.item() == 1.0
    assert model.weight.item() == 5.0


def test_counts_of_batches_are_copied_and_running_means_averaged() -> None:
    average, model = WeightAverage(decay=0.5), nn.BatchNorm1d(1)
    average.update(model)
    model(torch.tensor([[0.0], [2.0]]))  # running mean 0.1
    average.update(model)
    assert int(average.values["num_batches_tracked"]) == 1
    # d = min(0.5, 3/12)
    assert float(average.values["running_mean"]) == pytest.approx(0.075)
