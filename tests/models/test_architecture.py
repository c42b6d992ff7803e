"""What is said of a model is read from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from seismag.config import ModelConfig
from seismag.models.architecture import describe_blocks
from seismag.training.model import ConvNeXtMultiTask


def make_model(**options: Any) -> ConvNeXtMultiTask:
    return ConvNeXtMultiTask(ModelConfig(**{"backbone": "convnext_atto", "head_width": 16, **options}))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backbone": "efficientnet_b0"},
        {"backbone": "convnextv2_atto"},
        {"attention": "cbam", "detection_head": True, "input": "power_cross"},
    ],
)
def test_parameters_of_the_blocks_add_up_to_those_of_the_model(options: dict[str, Any]) -> None:
    model = make_model(**options)
    described = describe_blocks(model, 64, 72)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert described.parameters == counted
    assert sum(block.parameters for block in described.blocks) == counted
    assert described.input == [model.n_channels, 64, 72]


def test_shapes_are_those_of_the_computation() -> None:
    model = make_model()
    shapes = {block.name: block.output for block in describe_blocks(model, 64, 72).blocks}
    assert shapes["backbone.stem"] == [40, 16, 18]  # a stem of 4 x 4 cells
    assert shapes["backbone.stages.3"] == [320, 2, 2]  # 64 / 32 and 72 / 32, rounded down
    assert shapes["backbone.head"] == [320]
    assert (shapes["head_magnitude"], shapes["head_azimuth"]) == ([4], [9])


def test_model_is_left_as_it_was() -> None:
    model = make_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    describe_blocks(model, 64, 72)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
