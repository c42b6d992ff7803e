"""Backbones by their timm name: creation, pretrained weights, and the order of their layers."""

from __future__ import annotations

import difflib
import logging
import urllib.error
import urllib.request
from typing import Any

import huggingface_hub
import timm
from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
from timm.layers.classifier import NormMlpClassifierHead
from timm.models import group_parameters
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from timm.models.vgg import VGG
from torch import nn

from seismag.config import ModelConfig
from seismag.domain import SeismagError, UsageError

log = logging.getLogger(__name__)

_PROBE_TIMEOUT_S = 5.0


def create_backbone(config: ModelConfig) -> Any:
    """Create a timm model without its classifier.

    Its ``forward_features`` returns the last feature map (B, num_features, F', T'); its ``forward_head`` pools that.

    Args:
        config: its ``backbone`` is a timm model name, with or without the name of its weights. Where ``pretrained``,
            it starts from those; timm adapts the first layer where ``n_channels`` is not 3. A ConvNeXt can have other
            ``depths`` and ``widths``.

    Raises:
        UsageError: timm has no such model, or it has no stages of chosen size.
        SeismagError: the pretrained weights are not available.
    """
    name, sizes = config.backbone, {"depths": config.depths, "dims": config.widths}
    _check_name(name)
    chosen: dict[str, Any] = {key: tuple(value) for key, value in sizes.items() if value}
    if chosen and (config.pretrained or not name.startswith("convnext")):
        raise UsageError(
            f"model.depths and model.widths change a ConvNeXt without pretrained weights; model.backbone is {name}, "
            f"model.pretrained {str(config.pretrained).lower()}. Set both to [], or change these."
        )
    if config.pretrained:
        backbone = _create_pretrained(name, config.n_channels)
    else:
        backbone = timm.create_model(name, pretrained=False, num_classes=0, in_chans=config.n_channels, **chosen)
    head = getattr(backbone, "head", None)
    if isinstance(head, NormMlpClassifierHead):
        head.norm = nn.Identity()  # each of our heads has a LayerNorm of its own
    return backbone


def pretrained_source(name: str) -> dict[str, str | None]:
    """Return name, source (hub id or address) and licence of the weights of timm for a model; None: not stated."""
    weights = timm.get_pretrained_cfg(name)
    if weights is None:
        return {"name": name, "source": None, "license": None}
    full_name = f"{weights.architecture}.{weights.tag}" if weights.tag else weights.architecture
    source = weights.hf_hub_id or weights.url  # a hub id may be (repository, file)
    if isinstance(source, tuple):
        source = "/".join(source)
    return {"name": full_name, "source": source, "license": weights.license}


def parameter_depths(backbone: Any) -> dict[str, int]:
    """Return the depth of each parameter of a timm backbone: 0 for the stem, then one more per stage (vgg: layer)."""
    return dict(group_parameters(backbone, backbone.group_matcher(coarse=True), reverse=True))


def cut_before_last_stage(backbone: Any, name: str) -> tuple[nn.Module, nn.Module]:
    """Return the layers before the last stage, and those from it on; together they are ``forward_features``.

    The layers are not copied; ``name`` is for the message.

    Raises:
        UsageError: the last stage of this kind of backbone is not known.
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
        pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        cut = pools[-2] + 1  # the last pooling ends the last block
        return nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
    raise UsageError(
        f"train.scope last_stage: the last stage of {name} is not known, only those of ConvNeXt, ResNet, EfficientNet "
        "and VGG. Set train.scope=heads or train.scope=all."
    )


def _check_name(name: str) -> None:
    architecture = name.partition(".")[0]  # timm writes architecture.weights
    if not timm.is_model(architecture):
        known, unknown = timm.list_models(), architecture
    elif name != architecture and name not in timm.list_pretrained(architecture):
        known, unknown = timm.list_pretrained(architecture), name
    else:
        return
    close = difflib.get_close_matches(unknown, known, n=1, cutoff=0.0)
    raise UsageError(f"model.backbone: timm has no model {name!r}; did you mean {close[0]}?")


def _create_pretrained(name: str, n_channels: int) -> Any:
    weights = timm.get_pretrained_cfg(name)
    source = pretrained_source(name)
    if weights is None or source["source"] is None:
        raise SeismagError(f"model.pretrained: timm has no pretrained weights for {name}. Set model.pretrained=false.")
    reason, cause = None, None
    if weights.hf_hub_id and not _in_cache(weights.hf_hub_id):
        reason = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else _unreachable(ENDPOINT)
    if reason is None:
        try:
            backbone = timm.create_model(name, pretrained=True, num_classes=0, in_chans=n_channels)
            log.info("pretrained weights %(name)s from %(source)s, licence %(license)s", source)
            return backbone
        except Exception as error:  # several clients of timm, each with errors of its own
            reason, cause = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}", error
    raise SeismagError(
        f"model.pretrained: the weights of {name} ({source['source']}) are not on this machine and cannot be fetched "
        f"({reason}). Set model.pretrained=false to train from scratch, or run once where the hub can be reached "
        "and copy its cache (~/.cache/huggingface) here."
    ) from cause


def _in_cache(repository: str) -> bool:
    names = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(huggingface_hub.try_to_load_from_cache(repository, name), str) for name in names)


def _unreachable(address: str) -> str | None:
    """Return why the hub does not answer, None if it does; its own client would take half a minute."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_PROBE_TIMEOUT_S):
            return None
    except urllib.error.HTTPError:
        return None  # it answered
    except OSError as error:
        return f"{address}: {getattr(error, 'reason', error)}"
