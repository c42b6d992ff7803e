"""What a model is made of, read from the model itself: its blocks, their shapes for one window, their parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seismag.training.checkpoint import load_checkpoint
from seismag.training.model import ConvNeXtMultiTask

_ROLES = {
    "head_detection": "head, detection", "head_magnitude": "head, magnitude", "head_azimuth": "head, azimuth",
    "attention": "attention", "directional": "directional statistics",
}  # fmt: skip


def describe_model(path: Path) -> dict[str, Any]:
    """Describe a stored model; the content of architecture.json.

    Raises:
        SeismagError: the checkpoint cannot be loaded.
    """
    loaded = load_checkpoint(path)
    return describe_blocks(loaded.model, len(loaded.card["frequency_hz"]), len(loaded.card["time_s"]))


def describe_blocks(model: ConvNeXtMultiTask, n_frequencies: int, n_times: int) -> dict[str, Any]:
    """Send one blank window through a model and note each block.

    Returns:
        backbone, input (shape of one window), parameters (all), blocks: of each in the order of the computation name,
        kind, output (shape without the batch; of a head the first thing that it gives) and parameters.
    """
    parts = _parts(model)
    outputs: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Any) -> None:  # a hook that gives something back would replace the output
        outputs.setdefault(name, _shape(output))

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
    blocks: list[dict[str, Any]] = [
        {"name": name, "kind": _kind(name, parts[name]), "output": list(shape), "parameters": _count(parts[name])}
        for name, shape in outputs.items()
    ]
    named = sum(_count(parts[name]) for name in outputs)
    total = _count(model)
    if total != named:  # what no block holds, for instance a norm between stages
        blocks.append({"name": "other layers", "kind": "norms and scales", "output": None, "parameters": total - named})
    return {
        "backbone": model.config.backbone,
        "input": list(blank.shape[1:]),
        "features": int(features.shape[1]),
        "parameters": total,
        "blocks": blocks,
    }


def _parts(model: ConvNeXtMultiTask) -> dict[str, nn.Module]:
    """The blocks: children of the backbone, its stages one by one, then what we added to it."""
    parts: dict[str, nn.Module] = {}
    for name, child in model.backbone.named_children():
        stages = name in ("stages", "blocks", "layers") and isinstance(child, nn.Sequential)
        members = [(f"{name}.{k}", module) for k, module in child.named_children()] if stages else [(name, child)]
        parts |= {f"backbone.{key}": part for key, part in members if not isinstance(part, nn.Identity)}
    own = {name: getattr(model, name) for name in _ROLES if getattr(model, name) is not None}
    return parts | own


def _kind(name: str, module: nn.Module) -> str:
    if name in _ROLES:
        return _ROLES[name]
    return type(module).__name__


def _shape(output: Any) -> tuple[int, ...]:
    first = output if isinstance(output, Tensor) else next(part for part in output if isinstance(part, Tensor))
    return tuple(first.shape[1:])


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
