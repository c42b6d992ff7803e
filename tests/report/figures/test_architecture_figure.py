"""The diagram of a model shows what was read from the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fixtures.drawn_text import assert_readable, draw_and_note
from seismag.config import ModelConfig
from seismag.models.architecture import describe_blocks
from seismag.report.figures.architecture import draw_architecture
from seismag.training.model import ConvNeXtMultiTask

ENHANCED: dict[str, Any] = {
    "attention": "cbam", "detection_head": True, "input": "power_cross",
    "azimuth_head": "hierarchical",
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, {"backbone": "efficientnet_b0"}, ENHANCED],
    ids=["plain", "efficientnet", "enhanced"],
)
def test_diagram_shows_every_block_with_its_shape_and_parameters(options: dict[str, Any], tmp_path: Path) -> None:
    model = ConvNeXtMultiTask(ModelConfig(**{"backbone": "convnext_atto", "head_width": 16, **options}))
    architecture = describe_blocks(model, 64, 72).to_json()
    drawing = draw_and_note(lambda path: draw_architecture(architecture, path), tmp_path / "architecture.png")
    assert_readable(drawing)
    words = [text for text, _, _ in drawing.texts]
    assert f"{architecture['parameters']:,} parameters" in words[-1] or any(
        f"{architecture['backbone']}: {architecture['parameters']:,} parameters" in text for text in words
    )
    for block in architecture["blocks"]:
        shape = " × ".join(map(str, block["output"]))
        assert any(text.endswith(f": {shape}") for text in words), block["name"]
        if block["parameters"]:
            assert f"{block['parameters']:,} parameters" in words
