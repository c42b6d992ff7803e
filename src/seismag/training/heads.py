"""Heads: from pooled features to logits of the classes of both tasks.

Each head is a small network. Whatever its form, it returns logits in class order whose softmax are the class
probabilities, so that losses and inference do not depend on the form.

    event (optional, shared)  e            p(event) = sigmoid(e), p(Normal) = 1 - p(event) in both tasks
    magnitude  softmax        class scores
               ordinal        one score compared with ordered thresholds, given an event
    azimuth    flat           class scores
               hierarchical   event, then one of four quadrants, then one of the two directions in it
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

N_CARDINALS = 4  # quadrants N = {N, NE}, E = {E, SE}, S = {S, SW}, W = {W, NW}
_N_SECTORS = len(AZIMUTH_CLASSES) - 1
LONE_PARAMETER_SCALE = 10.0
"""Factor of a single parameter: Adam changes it by about the learning rate a step, whatever its gradient, while the
output of a layer changes by hundreds of weights together. Without the factor 1e-4 needs 10,000 steps for 1."""


class Outputs(NamedTuple):
    """Output of the network for a batch; the softmax of the logits are the probabilities."""

    magnitude: Tensor  # (B, 4) logits in class order
    azimuth: Tensor  # (B, 9) likewise
    event: Tensor | None = None  # (B,) logit of the detection head
    cardinal: Tensor | None = None  # hierarchical azimuth: (B, 4) log-probabilities of the quadrants given an event


class MagnitudeHead(nn.Sequential):
    """Magnitude by softmax, or as ordered classes by cumulative logits.

    Ordinal: given an event, P(class above k) = sigmoid(s - t_k) with one score s and learnt thresholds t_1 < t_2, so
    that the few Large samples use the same direction in feature space as all others.

    Source: cumulative logits with shared weights as in CORAL, Cao, Mirjalili & Raschka (2020),
    doi:10.1016/j.patrec.2020.11.008; the model is McCullagh's (1980), doi:10.1111/j.2517-6161.1980.tb01109.x.
    """

    def __init__(self, n_features: int, config: ModelConfig) -> None:
        ordinal = config.magnitude_head == "ordinal"
        n_given_event = 1 if ordinal else len(MAGNITUDE_CLASSES) - 1
        super().__init__(*_layers(n_features, n_given_event, config))
        self.ordinal = ordinal
        if ordinal:
            # thresholds -2 and 2: the largest probability of each class is at least 0.76
            self.thresholds = nn.Parameter(torch.tensor([-2.0, math.log(math.expm1(4.0))]) / LONE_PARAMETER_SCALE)

    def forward(self, features: Tensor, event: Tensor | None = None) -> Tensor:
        """Return logits (B, 4) from features (B, C) and the event logit (B,) of the detection head, if there is one."""
        raw: Tensor = super().forward(features)
        if not self.ordinal and event is None:
            return raw
        event, raw = _event_and_rest(raw, event)
        if not self.ordinal:
            return join_event(event, raw.log_softmax(dim=1))
        lowest, gap = (LONE_PARAMETER_SCALE * self.thresholds).unbind()
        return join_event(event, ordinal_log_probabilities(raw[:, 0], lowest, functional.softplus(gap)))


class AzimuthHead(nn.Sequential):
    """Azimuth by softmax over nine classes, or by a hierarchy."""

    def __init__(self, n_features: int, config: ModelConfig) -> None:
        super().__init__(*_layers(n_features, _N_SECTORS, config))  # a tree has 4 quadrants and 4 choices in them
        self.form = config.azimuth_head

    def forward(self, features: Tensor, event: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, 9) and the quadrants of ``Outputs``; arguments as ``MagnitudeHead``."""
        raw: Tensor = super().forward(features)
        if self.form == "flat" and event is None:
            return raw, None
        event, raw = _event_and_rest(raw, event)
        if self.form == "flat":
            return join_event(event, raw.log_softmax(dim=1)), None
        cardinal = raw[:, :N_CARDINALS].log_softmax(dim=1)
        return join_event(event, tree_log_probabilities(cardinal, raw[:, N_CARDINALS:])), cardinal


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


def ordinal_log_probabilities(score: Tensor, lowest: Tensor, gap: Tensor) -> Tensor:
    """Return log-probabilities (B, 3) of ordered classes from a score (B,), the lower threshold and the gap above it.

    The middle one is ln[sigmoid(a) - sigmoid(b)] with a > b, which equals
    ln sigmoid(a) + ln sigmoid(-b) + ln(1 - exp(b - a)) and stays finite where the difference would round to 0.
    """
    gap = gap.clamp(min=1e-4)  # the middle class keeps a probability
    above_first = score - lowest
    above_second = above_first - gap
    middle = functional.logsigmoid(above_first) + functional.logsigmoid(-above_second) + torch.log(-torch.expm1(-gap))
    return torch.stack([functional.logsigmoid(-above_first), middle, functional.logsigmoid(above_second)], dim=1)


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


def _event_and_rest(raw: Tensor, event: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return event logit (B,) and other outputs, in float32; without a detection head the first output is the logit."""
    raw = raw.float()
    return (raw[:, 0], raw[:, 1:]) if event is None else (event.float(), raw)
