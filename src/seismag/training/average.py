"""Exponential moving average of the weights of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average over the steps of a training, of parameters and of running statistics alike.

    After step n the average is d a + (1 - d) w with d = min(decay, (1 + n) / (10 + n)), so that the random start
    weighs little even after few steps.

    Args:
        decay: the largest d.

    Source: Polyak & Juditsky (1992), doi:10.1137/0330046; the ramp is that of TensorFlow's
    ``ExponentialMovingAverage(num_updates)``.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.values: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Add the weights after a step."""
        state = model.state_dict()
        if not self.steps:
            self.values = {name: tensor.clone() for name, tensor in state.items()}
        self.steps += 1
        weight = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in state.items():
            average = self.values[name] = self.values[name].to(tensor.device)  # moves once, after a resume
            if tensor.is_floating_point():
                average.lerp_(tensor, weight)
            else:  # a count of batches
                average.copy_(tensor)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """Put the average into the model while the block lasts; before the first step nothing changes."""
        if not self.values:
            yield
            return
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.values)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def to_plain(self) -> dict[str, object]:
        """Return the content for a checkpoint."""
        return {"steps": self.steps, "values": self.values}

    def restore(self, plain: dict[str, Any]) -> None:
        """Restore the content of ``to_plain``."""
        self.steps = int(plain["steps"])
        self.values = {name: tensor.clone() for name, tensor in plain["values"].items()}
