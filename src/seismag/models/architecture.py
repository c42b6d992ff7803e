"""Architecture of a stored model: its blocks, their output shapes for one window, their parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seismag.training.checkpoint import load_checkpoint
from seismag.training.model import ConvNeXtMultiTask

_OWN_BLOCKS = {
    "head_detection": "head, detection", "head_magnitude": "head, magnitude", "head_azimuth": "head, azimuth",
    "attention": "attention",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of a network; ``output`` is its shape without the batch, of a head that of its first output."""

    name: str
    kind: str
    output: list[int] | None
    parameters: int


@dataclass(frozen=True)
class Architecture:
    """Content of architecture.json: ``input`` is the shape of one window; blocks in the order of the computation."""

    backbone: str
    input: list[int]
    features: int
    parameters: int
    blocks: list[Block]

    def to_json(self) -> dict[str, object]:
        """Key by key as in the file."""
        return asdict(self)


def describe_model(path: Path) -> Architecture:
    """Describe a stored model."""
    loaded = load_checkpoint(path)
    return describe_blocks(loaded.model, len(loaded.card.frequency_hz), len(loaded.card.time_s))


def describe_blocks(model: ConvNeXtMultiTask, n_frequencies: int, n_times: int) -> Architecture:
    """Describe a network by the output of each block for one blank window."""
    parts = _parts(model)
    outputs: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Any) -> None:  # without return value: it would replace the output
        first = output if isinstance(output, Tensor) else next(part for part in output if isinstance(part, Tensor))
        outputs.setdefault(name, tuple(first.shape[1:]))

    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: note(name, out)) for name, module in parts.items()
    ]
    blank = model.blank_input(n_frequencies, n_times)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            features = model.embed(blank)
            model.classify(features)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    blocks = []
    for name, shape in outputs.items():
        kind = _OWN_BLOCKS.get(name, type(parts[name]).__name__)
        blocks.append(Block(name, kind, list(shape), _count(parts[name])))
    named, total = sum(block.parameters for block in blocks), _count(model)
    if total != named:  # outside the blocks, for instance a norm between stages
        blocks.append(Block("other layers", "norms and scales", None, total - named))
    return Architecture(model.config.backbone, list(blank.shape[1:]), int(features.shape[1]), total, blocks)


def _parts(model: ConvNeXtMultiTask) -> dict[str, nn.Module]:
    """Return the blocks: children of the backbone, its stages one by one, then attention and heads."""
    parts: dict[str, nn.Module] = {}
    for name, child in model.backbone.named_children():
        stages = name in ("stages", "blocks", "layers") and isinstance(child, nn.Sequential)
        members = [(f"{name}.{k}", module) for k, module in child.named_children()] if stages else [(name, child)]
        parts |= {f"backbone.{key}": part for key, part in members if not isinstance(part, nn.Identity)}
    own = {name: getattr(model, name) for name in _OWN_BLOCKS if getattr(model, name) is not None}
    return parts | own


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
