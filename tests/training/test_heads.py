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
    ordinal_log_probabilities,
    tree_log_probabilities,
)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_event_and_class_multiply() -> None:
    # event logit ln 3: p(event) = 3/4; given an event 1/2, 1/4, 1/4
    joint = join_event(torch.tensor([math.log(3.0)]), torch.log(torch.tensor([[0.5, 0.25, 0.25]]))).exp()
    np.testing.assert_allclose(joint, [[1 / 4, 3 / 8, 3 / 16, 3 / 16]], rtol=1e-6)


def test_ordinal_probabilities_are_differences_of_sigmoids() -> None:
    lowest, gap = torch.tensor([0.3, 1.2], dtype=torch.float64)
    for score in (-2.0, 0.0, 1.7):
        above = [sigmoid(score - 0.3), sigmoid(score - 1.5)]
        expected = [1 - above[0], above[0] - above[1], above[1]]
        probs = ordinal_log_probabilities(torch.tensor([score], dtype=torch.float64), lowest, gap).exp()
        np.testing.assert_allclose(probs[0], expected, rtol=1e-12)


def test_higher_score_moves_ordinal_probability_upwards_and_stays_finite() -> None:
    for gap in (0.0, 1.0, 50.0):
        log_p = ordinal_log_probabilities(torch.linspace(-300, 300, 61), torch.tensor(0.0), torch.tensor(gap))
        assert torch.isfinite(log_p).all()
        torch.testing.assert_close(log_p.exp().sum(dim=1), torch.ones(61))
        expected_rank = log_p.exp() @ torch.tensor([0.0, 1.0, 2.0])
        assert (expected_rank.diff() >= -1e-6).all()


def test_each_magnitude_can_win_in_a_new_ordinal_head() -> None:
    torch.manual_seed(1)
    head = MagnitudeHead(8, ModelConfig(magnitude_head="ordinal", head_width=4)).eval()
    with torch.no_grad():
        head[5].weight.zero_()
        for score, winner in ((-4.0, 1), (0.0, 2), (4.0, 3)):
            head[5].bias.copy_(torch.tensor([9.0, score]))  # an event, and the score
            probs = head(torch.zeros(1, 8)).exp()[0]
            assert float(probs[winner]) > 0.75
    # at score 0: sigmoid(2) - sigmoid(-2) = 0.7616
    assert float(ordinal_log_probabilities(torch.zeros(1), torch.tensor(-2.0), torch.tensor(4.0)).exp()[0, 1]) == (
        pytest.approx(math.tanh(1.0), rel=1e-6)
    )


def test_tree_gives_a_direction_the_product_along_its_path() -> None:
    cardinal = torch.log(torch.tensor([[0.4, 0.3, 0.2, 0.1]]))
    second = torch.tensor([[0.0, math.log(3.0), 0.0, -math.log(4.0)]])  # 1/2, 3/4, 1/2, 1/5 for the second of each pair
    probs = tree_log_probabilities(cardinal, second).exp()[0]
    expected = {"N": 0.2, "NE": 0.2, "E": 0.075, "SE": 0.225, "S": 0.1, "SW": 0.1, "W": 0.08, "NW": 0.02}
    np.testing.assert_allclose(probs, [expected[name] for name in AZIMUTH_CLASSES[1:]], rtol=1e-6)


@pytest.mark.parametrize(
    ("magnitude", "azimuth", "detection"),
    list(itertools.product(["softmax", "ordinal"], ["flat", "hierarchical"], [False, True])),
)
def test_every_head_gives_probabilities_that_agree_on_normal_where_it_is_detected_once(
    magnitude: str, azimuth: str, detection: bool
) -> None:
    torch.manual_seed(1)
    config = ModelConfig(magnitude_head=magnitude, azimuth_head=azimuth, detection_head=detection, head_width=8)
    features = 5.0 * torch.randn(6, 16)
    event = build_detection_head(16, config).eval()(features).squeeze(1) if detection else None
    of_magnitude = MagnitudeHead(16, config).eval()(features, event)
    of_azimuth, cardinal = AzimuthHead(16, config).eval()(features, event)
    assert (of_magnitude.shape, of_azimuth.shape) == ((6, 4), (6, 9))
    structured = detection or magnitude == "ordinal", detection or azimuth != "flat"
    for scores, is_log_probability in zip((of_magnitude, of_azimuth), structured, strict=True):
        if is_log_probability:
            torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(6))
    assert (cardinal is None) == (azimuth != "hierarchical")
    if event is not None:
        torch.testing.assert_close(of_magnitude[:, 0], of_azimuth[:, 0])
        torch.testing.assert_close(of_magnitude[:, 0].exp(), 1 - torch.sigmoid(event))


def test_half_precision_outputs_are_read_in_single_precision() -> None:
    config = ModelConfig(magnitude_head="ordinal", azimuth_head="hierarchical", head_width=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        magnitude = MagnitudeHead(16, config)(torch.randn(4, 16))
        azimuth = AzimuthHead(16, config)(torch.randn(4, 16))[0]
    for scores in (magnitude, azimuth):
        assert scores.dtype == torch.float32
        torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(4))
