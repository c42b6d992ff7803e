"""Heads: from pooled features to logits of the classes of both tasks.

Each head is a small network. Whatever its form, it returns logits in class order whose softmax are the class
probabilities, so that losses and inference do not depend on the form.

    event (optional, shared)  e            p(event) = sigmoid(e), p(Normal) = 1 - p(event) in both tasks
    magnitude                 class scores
    azimuth    flat           class scores
               hierarchical   event, then one of four quadrants, then one of the two directions in it
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

N_CARDINALS = 4  # quadrants N = {N, NE}, E = {E, SE}, S = {S, SW}, W = {W, NW}
_N_SECTORS = len(AZIMUTH_CLASSES) - 1


class Outputs(NamedTuple):
    """Output of the network for a batch; the softmax of the logits are the probabilities."""

    magnitude: Tensor  # (B, 4) logits in class order
    azimuth: Tensor  # (B, 9) likewise
    event: Tensor | None = None  # (B,) logit of the detection head
    cardinal: Tensor | None = None  # hierarchical azimuth: (B, 4) log-probabilities of the quadrants given an event


class MagnitudeHead(nn.Sequential):
    """Magnitude by softmax over four classes."""

    def __init__(self, n_features: int, config: ModelConfig) -> None:
        super().__init__(*_layers(n_features, len(MAGNITUDE_CLASSES) - 1, config))

    def forward(self, features: Tensor, event: Tensor | None = None) -> Tensor:
        """Return logits (B, 4) from features (B, C) and the event logit (B,) of the detection head, if there is one."""
        return _join_if_detected(event, super().forward(features))


class AzimuthHead(nn.Sequential):
    """Azimuth by softmax over nine classes, or by a hierarchy."""

    def __init__(self, n_features: int, config: ModelConfig) -> None:
        super().__init__(*_layers(n_features, _N_SECTORS, config))  # a tree has 4 quadrants and 4 choices in them
        self.form = config.azimuth_head

    def forward(self, features: Tensor, event: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, 9) and the quadrants of ``Outputs``; arguments as ``MagnitudeHead``."""
        raw: Tensor = super().forward(features)
        if self.form == "flat":
            return _join_if_detected(event, raw), None
        raw = raw.float()
        if event is None:
            event, raw = raw[:, 0], raw[:, 1:]
        cardinal = raw[:, :N_CARDINALS].log_softmax(dim=1)
        return join_event(event.float(), tree_log_probabilities(cardinal, raw[:, N_CARDINALS:])), cardinal


def build_detection_head(n_features: int, config: ModelConfig) -> nn.Sequential:
    """Return a network with one output, the logit of an event."""
    return nn.Sequential(*_layers(n_features, 1, config))  # _layers adds no output where there is a detection head


def join_event(event: Tensor, given_event: Tensor) -> Tensor:
    """Return the log-probabilities of Normal and of k event classes, (B, 1 + k).

    Args:
        event: (B,) logit of an event.
        given_event: (B, k) log-probabilities of the classes given an event.
    """
    normal = functional.logsigmoid(-event)[:, None]
    return torch.cat([normal, functional.logsigmoid(event)[:, None] + given_event], dim=1)


def tree_log_probabilities(cardinal: Tensor, second: Tensor) -> Tensor:
    """Multiply along the hierarchy: a quadrant, then its cardinal direction or the next sector clockwise.

    Args:
        cardinal: (B, 4) log-probabilities of the quadrants N, E, S, W given an event.
        second: (B, 4) logits, for each quadrant, of its second direction (NE, SE, SW, NW) relative to its first.

    Returns:
        (B, 8) log-probabilities of N, NE, ..., NW given an event.
    """
    pairs = torch.stack([functional.logsigmoid(-second), functional.logsigmoid(second)], dim=2)  # (B, 4, 2)
    return (cardinal[:, :, None] + pairs).flatten(1)


def _layers(n_features: int, n_given_event: int, config: ModelConfig) -> list[nn.Module]:
    """Return the layers of a head; without a detection head it has one output more, for Normal or the event logit."""
    n_outputs = n_given_event + (not config.detection_head)
    return [
        nn.LayerNorm(n_features),
        nn.Dropout(config.head_dropout),
        nn.Linear(n_features, config.head_width),
        nn.GELU(),
        nn.Dropout(config.head_dropout_inner),
        nn.Linear(config.head_width, n_outputs),
    ]


def _join_if_detected(event: Tensor | None, raw: Tensor) -> Tensor:
    """Return class logits as they are; with a detection head they are (B, k), given an event, and are joined to it."""
    return raw if event is None else join_event(event.float(), raw.float().log_softmax(dim=1))
