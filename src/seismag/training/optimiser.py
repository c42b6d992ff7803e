"""Optimiser and schedule: weight decay and learning rate of each parameter, and the rate of each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from seismag.training.backbones import parameter_depths


def build_optimiser(
    groups: list[dict[str, object]], epochs: int, warmup_epochs: float, steps_per_epoch: int, betas: tuple[float, float]
) -> dict[str, object]:
    """Return AdamW and its schedule in the form of Lightning's ``configure_optimizers``; steps are not batches."""
    optimizer = torch.optim.AdamW(groups, betas=betas)  # each group has its rate
    total = epochs * steps_per_epoch
    # at most half of the steps, so that even a trial of one epoch reaches the full rate and decays
    warmup = min(round(warmup_epochs * steps_per_epoch), total // 2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, warmup, total))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def parameter_groups(
    module: nn.Module, weight_decay: float, learning_rate: float, layer_decay: float = 1.0
) -> list[dict[str, object]]:
    """Split the parameters with gradient: matrices and kernels decay, parameters of one dimension do not.

    The latter are biases, norms, layer scales, ordinal thresholds and the log variances of the tasks. This is the
    practice of ConvNeXt, arXiv:2201.03545 (Loshchilov & Hutter, 2019, arXiv:1711.05101, leave the choice open).

    Args:
        module: a network, or a training with its network as ``model``.
        weight_decay: of the first kind.
        learning_rate: of everything behind the backbone.
        layer_decay: factor for each stage of the backbone, counted from the heads.

    Source of the layer-wise decay: Clark et al. (2020), arXiv:2003.10555; for ConvNeXt arXiv:2201.03545, table 6.
    """
    factors = {name: 1.0 for name, _ in module.named_parameters()}
    if layer_decay != 1.0:
        depths = parameter_depths(getattr(module, "model", module).backbone)
        prefix = "model.backbone." if hasattr(module, "model") else "backbone."
        heads = max(depths.values()) + 1
        factors |= {prefix + name: layer_decay ** (heads - depth) for name, depth in depths.items()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for factor in sorted(set(factors.values()), reverse=True):  # the full rate first
        groups |= {(factor, True): [], (factor, False): []}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups[factors[name], parameter.ndim > 1].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decays else 0.0, "lr": learning_rate * factor}
        for (factor, decays), parameters in groups.items()
        if parameters or layer_decay == 1.0
    ]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Return the fraction of the learning rate at a step (from 0): linear warm-up to 1, then a half cosine to 0.

    Source: Loshchilov & Hutter (2017), arXiv:1608.03983, eq. 5, without restarts; warm-up: arXiv:1706.02677.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
