"""The network: one backbone, two heads.

spectrogram (B, 3, F, T) -> backbone -> pooled features (B, C) -> head -> magnitude logits (B, 4)
                                                               -> head -> azimuth logits (B, 9)
"""

from __future__ import annotations

import difflib
import urllib.error
import urllib.request
from typing import Any

import huggingface_hub
import timm
import torch
from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
from timm.layers.classifier import NormMlpClassifierHead
from torch import Tensor, nn

from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, SeismagError, UsageError

_PROBE_TIMEOUT_S = 5.0


class ConvNeXtMultiTask(nn.Module):
    """Magnitude and azimuth class from one spectrogram.

    Args:
        config: backbone, its start and the heads.

    Raises:
        UsageError: timm knows no such backbone.
        SeismagError: pretrained weights are asked for and cannot be had.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = _create_backbone(config.backbone, config.pretrained, config.n_channels)
        self.n_features = _pooled_features(self.backbone)
        self.head_magnitude = _head(self.n_features, len(MAGNITUDE_CLASSES), config)
        self.head_azimuth = _head(self.n_features, len(AZIMUTH_CLASSES), config)

    def embed(self, x: Tensor) -> Tensor:
        """Turn scaled spectrograms (B, 3, F, T) into pooled features (B, C)."""
        channels = self.config.n_channels
        if x.ndim != 4 or x.shape[1] != channels:
            raise ValueError(f"input of shape {tuple(x.shape)}, expected (batch, {channels}, frequency, time)")
        features: Tensor = self.backbone(x)  # (B, C)
        return features

    def classify(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Turn pooled features (B, C) into logits of magnitude (B, 4) and azimuth (B, 9), in class order."""
        return self.head_magnitude(features), self.head_azimuth(features)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Turn scaled spectrograms (B, 3, F, T) into logits of magnitude (B, 4) and azimuth (B, 9)."""
        return self.classify(self.embed(x))

    def check_input(self, n_frequencies: int, n_times: int) -> None:
        """Try one blank spectrogram of this size, so that a size that does not fit is met before the training.

        Raises:
            SeismagError: the backbone does not take it.
        """
        parameter = next(self.parameters())
        shape = (1, self.config.n_channels, n_frequencies, n_times)
        blank = torch.zeros(shape, dtype=parameter.dtype, device=parameter.device)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                self(blank)
        except (RuntimeError, ValueError, AssertionError) as error:  # each backbone has its own way to refuse
            raise SeismagError(
                f"model.backbone {self.config.backbone} does not take spectrograms of {n_frequencies} x {n_times} "
                f"(frequency x time): {error}. Choose another backbone, or another grid in the data section."
            ) from error
        finally:
            self.train(was_training)


def _head(n_features: int, n_classes: int, config: ModelConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(n_features),
        nn.Dropout(config.head_dropout),
        nn.Linear(n_features, config.head_width),
        nn.GELU(),
        nn.Dropout(config.head_dropout_inner),
        nn.Linear(config.head_width, n_classes),
    )


def _pooled_features(backbone: Any) -> int:
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)


def _create_backbone(name: str, pretrained: bool, n_channels: int) -> nn.Module:
    _check_name(name)
    if pretrained:
        backbone = _create_pretrained(name, n_channels)
    else:
        backbone = timm.create_model(name, pretrained=False, num_classes=0, in_chans=n_channels)
    head = getattr(backbone, "head", None)
    if isinstance(head, NormMlpClassifierHead):
        head.norm = nn.Identity()  # each of our heads brings a LayerNorm of its own
    return backbone


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


def _create_pretrained(name: str, n_channels: int) -> nn.Module:
    weights = timm.get_pretrained_cfg(name)
    source = (weights.hf_hub_id or weights.url) if weights else None
    if weights is None or source is None:
        raise SeismagError(f"model.pretrained: timm has no pretrained weights for {name}. Set model.pretrained=false.")
    if weights.hf_hub_id and not _in_cache(weights.hf_hub_id):
        reason = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else _unreachable(ENDPOINT)
        if reason is not None:
            raise SeismagError(_missing_weights(name, source, reason))
    try:
        return timm.create_model(name, pretrained=True, num_classes=0, in_chans=n_channels)
    except Exception as error:  # timm fetches by several clients, each with errors of its own
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise SeismagError(_missing_weights(name, source, reason)) from error


def _missing_weights(name: str, source: object, reason: str) -> str:
    return (
        f"model.pretrained: the weights of {name} ({source}) are not on this machine and cannot be fetched "
        f"({reason}). Set model.pretrained=false to train from scratch, or run once where the hub can be reached "
        "and copy its cache (~/.cache/huggingface) here."
    )


def _in_cache(repository: str) -> bool:
    names = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(huggingface_hub.try_to_load_from_cache(repository, name), str) for name in names)


def _unreachable(address: str) -> str | None:
    """Why the hub does not answer; None if it does. Its own client would take half a minute to give up."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_PROBE_TIMEOUT_S):
            return None
    except urllib.error.HTTPError:
        return None  # it answered
    except OSError as error:
        return f"{address}: {getattr(error, 'reason', error)}"
