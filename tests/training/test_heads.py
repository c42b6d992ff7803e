"""Heads: probabilities by hand, and in the limit."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES
from seismag.training.heads import (
    AzimuthHead,
    MagnitudeHead,
    build_detection_head,
    join_event,
    tree_log_probabilities,
)


def test_event_and_class_multiply() -> None:
    # event logit ln 3: p(event) = 3/4; given an event 1/2, 1/4, 1/4
    joint = join_event(torch.tensor([math.log(3.0)]), torch.log(torch.tensor([[0.5, 0.25, 0.25]]))).exp()
    np.testing.assert_allclose(joint, [[1 / 4, 3 / 8, 3 / 16, 3 / 16]], rtol=1e-6)


def test_tree_gives_a_direction_the_product_along_its_path() -> None:
    cardinal = torch.log(torch.tensor([[0.4, 0.3, 0.2, 0.1]]))
    second = torch.tensor([[0.0, math.log(3.0), 0.0, -math.log(4.0)]])  # 1/2, 3/4, 1/2, 1/5 for the second of each pair
    probs = tree_log_probabilities(cardinal, second).exp()[0]
    expected = {"N": 0.2, "NE": 0.2, "E": 0.075, "SE": 0.225, "S": 0.1, "SW": 0.1, "W": 0.08, "NW": 0.02}
    np.testing.assert_allclose(probs, [expected[name] for name in AZIMUTH_CLASSES[1:]], rtol=1e-6)


@pytest.mark.parametrize(("azimuth", "detection"), list(itertools.product(["flat", "hierarchical"], [False, True])))
def test_every_head_gives_probabilities_that_agree_on_normal_where_it_is_detected_once(
    azimuth: str, detection: bool
) -> None:
    torch.manual_seed(1)
    config = ModelConfig(azimuth_head=azimuth, detection_head=detection, head_width=8)
    features = 5.0 * torch.randn(6, 16)
    event = build_detection_head(16, config).eval()(features).squeeze(1) if detection else None
    of_magnitude = MagnitudeHead(16, config).eval()(features, event)
    of_azimuth, cardinal = AzimuthHead(16, config).eval()(features, event)
    assert (of_magnitude.shape, of_azimuth.shape) == ((6, 4), (6, 9))
    structured = detection, detection or azimuth != "flat"
    for scores, is_log_probability in zip((of_magnitude, of_azimuth), structured, strict=True):
        if is_log_probability:
            torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(6))
    assert (cardinal is None) == (azimuth != "hierarchical")
    if event is not None:
        torch.testing.assert_close(of_magnitude[:, 0], of_azimuth[:, 0])
        torch.testing.assert_close(of_magnitude[:, 0].exp(), 1 - torch.sigmoid(event))


def test_half_precision_outputs_are_read_in_single_precision() -> None:
    config = ModelConfig(azimuth_head="hierarchical", detection_head=True, head_width=8)
    alone = config.model_copy(update={"detection_head": False})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        event = build_detection_head(16, config)(torch.randn(4, 16)).squeeze(1)
        magnitude = MagnitudeHead(16, config)(torch.randn(4, 16), event)
        azimuth = AzimuthHead(16, config)(torch.randn(4, 16), event)[0]
        of_tree = AzimuthHead(16, alone)(torch.randn(4, 16))[0]
    assert event.dtype == torch.bfloat16
    for scores in (magnitude, azimuth, of_tree):
        assert scores.dtype == torch.float32
        torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(4))
