"""Where a backbone can be cut: the depth of each parameter, and the last stage."""

from __future__ import annotations

from typing import Any

from timm.models import group_parameters
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from timm.models.vgg import VGG
from torch import nn

from seismag.domain import UsageError


def parameter_depths(backbone: Any) -> dict[str, int]:
    """Depth of each parameter of a timm backbone by name: 0 for the stem, then one more a stage (vgg: a layer)."""
    depths: dict[str, int] = group_parameters(backbone, backbone.group_matcher(coarse=True), reverse=True)
    return depths


def cut_before_last_stage(backbone: Any, name: str) -> tuple[nn.Module, nn.Module]:
    """Give the layers before the last stage and those from it on; one after the other they are ``forward_features``.

    The last stage is the last one of four in ConvNeXt and ResNet, the last group of blocks and the 1 x 1 convolution
    after it in EfficientNet, the last block of convolutions in VGG.

    Args:
        backbone: a timm model; its layers are shared, not copied.
        name: ``model.backbone``, for the message.

    Raises:
        UsageError: where this backbone's last stage begins is not known.
    """
    if isinstance(backbone, ConvNeXt):
        stages = list(backbone.stages)
        return nn.Sequential(backbone.stem, *stages[:-1]), nn.Sequential(stages[-1], backbone.norm_pre)
    if isinstance(backbone, ResNet):
        before = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")
        return nn.Sequential(*map(backbone.get_submodule, before)), backbone.get_submodule("layer4")
    if isinstance(backbone, EfficientNet):
        *first, last = backbone.blocks
        stem = nn.Sequential(backbone.conv_stem, backbone.bn1)
        return nn.Sequential(stem, *first), nn.Sequential(last, backbone.conv_head, backbone.bn2)
    if isinstance(backbone, VGG):
        layers = list(backbone.features)
        pools = [place for place, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        cut = pools[-2] + 1  # the last pooling ends the last block
        return nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
    raise UsageError(
        f"train.scope last_stage: where the last stage of {name} begins is known for ConvNeXt, ResNet, EfficientNet "
        "and VGG only. Set train.scope=heads or train.scope=all."
    )
