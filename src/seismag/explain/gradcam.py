"""Grad-CAM: attribution of a class score to the bins of a spectrogram.

The backbone runs once without gradients; the gradient passes only through the head, from the class score to the last
feature map. It equals the gradient of the whole network with respect to this map, at the cost of a prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from seismag.arrays import Float32Array, FloatArray, IntArray
from seismag.training.model import ConvNeXtMultiTask

Method = Literal["gradcam", "gradcam++"]
METHODS: tuple[Method, ...] = ("gradcam", "gradcam++")
CLASS_TASKS = ("magnitude", "azimuth")


@dataclass(frozen=True)
class Attribution:
    """Attribution maps of one batch and one task."""

    coarse: Float32Array  # (B, F', T') on the grid of the last feature map, at least 0, in units of the class score
    target: IntArray  # (B,) explained class
    probability: FloatArray  # (B,) of that class


def interpolate_maps(coarse: Float32Array, size: tuple[int, ...]) -> Float32Array:
    """Interpolate maps (n, F', T') to the bins of the spectrogram, (n, F, T), bilinear between centres."""
    fine = functional.interpolate(torch.from_numpy(coarse)[:, None], size, mode="bilinear", align_corners=False)
    return fine[:, 0].numpy()


def attribute(
    model: ConvNeXtMultiTask, x: Tensor, method: Method = "gradcam", targets: Mapping[str, Tensor] | None = None
) -> dict[str, Attribution]:
    """Attribute the class scores of both tasks; the parameters of the model get no gradient.

    Args:
        model: in evaluation mode. x: (B, n_channels, F, T) scaled input on its device.
        targets: by task (B,) classes to explain; default: the predicted classes.

    Raises:
        ValueError: the model is in training mode, or its backbone has no feature map.

    Source: Selvaraju et al. (2017), doi:10.1109/ICCV.2017.74; Chattopadhyay et al. (2018), doi:10.1109/WACV.2018.00097.
    """
    if model.training:
        raise ValueError("the model is in training mode: dropout would make the map random; call eval() first")
    with torch.no_grad():
        activation = model.feature_map(x)  # (B, D, F', T')
    if activation.ndim != 4:
        raise ValueError(
            f"a feature map of shape {tuple(activation.shape)} has no axes of time and frequency; Grad-CAM needs a CNN"
        )
    leaf = activation.detach().requires_grad_(True)
    outputs = model.classify_map(leaf)
    result = {}
    for task in CLASS_TASKS:
        scores: Tensor = getattr(outputs, task)
        target = scores.argmax(dim=1) if targets is None else targets[task]
        chosen = scores.gather(1, target[:, None]).sum()  # windows do not interact, so one gradient serves the batch
        (gradient,) = torch.autograd.grad(chosen, leaf, retain_graph=task != CLASS_TASKS[-1])
        coarse = _combine(activation, gradient, method)
        probability = torch.softmax(scores.detach().double(), dim=1).gather(1, target[:, None])[:, 0]
        result[task] = Attribution(coarse.float().cpu().numpy(), target.cpu().numpy(), probability.cpu().numpy())
    return result


def _combine(activation: Tensor, gradient: Tensor, method: Method) -> Tensor:
    """Weighted sum of the channels (B, D, F', T'), positive part, (B, F', T')."""
    if method == "gradcam":
        weight = gradient.mean(dim=(2, 3), keepdim=True)
    else:
        # with an exponential of the score all higher derivatives are powers of the first (eq. 19 of the source)
        squared, cubed = gradient**2, gradient**3
        below = 2 * squared + activation.sum(dim=(2, 3), keepdim=True) * cubed
        alpha = torch.where(below != 0, squared / torch.where(below != 0, below, torch.ones_like(below)), 0.0)
        weight = (alpha * functional.relu(gradient)).sum(dim=(2, 3), keepdim=True)
    return functional.relu((weight * activation).sum(dim=1))
