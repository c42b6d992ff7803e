"""Class weights and the loss, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from seismag.config import TrainConfig
from seismag.training.heads import Outputs
from seismag.training.losses import (
    HierarchyLoss,
    MultiTaskLoss,
    TaskLoss,
    as_soft_labels,
    balanced_class_weights,
    class_loss,
)


def test_balanced_weights_are_n_over_k_times_count() -> None:
    # 6 samples, classes 0, 1, 3 occur (k = 3) with counts 3, 2, 1: 6/9, 6/6, 6/3
    weights = balanced_class_weights(np.array([0, 0, 0, 1, 1, 3]), 4)
    np.testing.assert_allclose(weights, [2 / 3, 1.0, 0.0, 2.0])


def shares(*classes: int, k: int = 2) -> torch.Tensor:
    return as_soft_labels(torch.tensor(classes), k)


# logits ln 3 and 0: probabilities 3/4 and 1/4
THREE_TO_ONE = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]])


def test_cross_entropy_of_known_probabilities() -> None:
    losses = class_loss(THREE_TO_ONE, shares(0, 1), torch.tensor([1.0, 2.0]))
    np.testing.assert_allclose(losses, [math.log(4 / 3), 2 * math.log(4)], rtol=1e-6)


def test_focal_loss_of_known_probabilities() -> None:
    losses = class_loss(THREE_TO_ONE, shares(0, 1), torch.ones(2), gamma=2.0)
    np.testing.assert_allclose(losses, [math.log(4 / 3) / 16, math.log(4) * 9 / 16], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_has_a_gradient_where_the_class_is_certain(gamma: float) -> None:
    scores = torch.tensor([[200.0, 0.0]], requires_grad=True)
    class_loss(scores, shares(0), torch.ones(2), gamma).sum().backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def task_loss(y_true: list[int], n_classes: int = 2, **options: Any) -> TaskLoss:
    return TaskLoss(np.array(y_true), n_classes, TrainConfig(**{"class_weights": "none", **options}))


def test_smoothing_agrees_with_torch_where_every_class_occurs(rng: np.random.Generator) -> None:
    y = torch.from_numpy(rng.integers(0, 4, 30))
    scores = torch.from_numpy(rng.normal(size=(30, 4)))
    loss = TaskLoss(y.numpy(), 4, TrainConfig(label_smoothing=0.1))
    expected = functional.cross_entropy(scores.float(), y, loss.weights, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(loss(scores, y), expected)


def test_smoothing_gives_nothing_to_a_class_that_training_lacks() -> None:
    loss = task_loss([0, 1, 1], n_classes=3, label_smoothing=0.3)
    scores = torch.tensor([[0.0, 0.0, -50.0]])
    assert float(loss(scores, torch.tensor([0]))) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "focal", "focal_gamma": 0.0},
        {"label_smoothing": 0.0},
    ],
)
def test_every_form_is_plain_cross_entropy_in_its_limit(options: dict[str, Any], rng: np.random.Generator) -> None:
    y = torch.from_numpy(rng.integers(0, 4, 20))
    scores = torch.from_numpy(rng.normal(size=(20, 4)).astype(np.float32))
    torch.testing.assert_close(
        task_loss(y.tolist(), 4, **options)(scores, y), functional.cross_entropy(scores, y, reduction="none")
    )


# Every class occurs, so that balanced weights are those of n / (k n_c): 8 Normal, 4, 2, 2 of the others
Y_MAGNITUDE = np.array([0] * 8 + [1] * 4 + [2, 2, 3, 3])
Y_AZIMUTH = np.array([0] * 8 + [1, 2, 3, 4, 5, 6, 7, 8])


def make_loss(**options: Any) -> MultiTaskLoss:
    return MultiTaskLoss(Y_MAGNITUDE, Y_AZIMUTH, TrainConfig(**options))


def uniform(n: int, **extras: torch.Tensor) -> Outputs:
    return Outputs(torch.zeros(n, 4), torch.zeros(n, 9), **extras)


def test_total_is_magnitude_plus_half_azimuth() -> None:
    # weights 16 / (4 x 8) and 16 / (4 x 4) in magnitude, 16 / (9 x 8) and 16 / (9 x 1) in azimuth
    loss = make_loss()(uniform(2), torch.tensor([0, 1]), torch.tensor([0, 8]))
    assert float(loss) == pytest.approx((0.5 + 1) / 2 * math.log(4) + 0.5 * (2 / 9 + 16 / 9) / 2 * math.log(9))


def test_batch_of_absent_classes_has_loss_zero_and_a_role_of_them_none() -> None:
    loss = MultiTaskLoss(np.array([0, 0]), np.array([0, 0]), TrainConfig())
    batch = (uniform(2), torch.tensor([2, 2]), torch.tensor([3, 3]))
    assert float(loss(*batch)) == 0.0
    assert math.isnan(float(loss.of_set(*batch)))


def random_outputs(rng: np.random.Generator, n: int) -> Outputs:
    return Outputs(*(torch.from_numpy(rng.normal(size=(n, k)).astype(np.float32)) for k in (4, 9)))


def test_loss_of_the_training_role_is_the_mean_over_its_batches(rng: np.random.Generator) -> None:
    y_magnitude, y_azimuth = rng.integers(0, 4, 24), rng.integers(0, 9, 24)
    loss = MultiTaskLoss(y_magnitude, y_azimuth, TrainConfig())
    outputs = random_outputs(rng, 24)
    y = torch.from_numpy(y_magnitude), torch.from_numpy(y_azimuth)
    batches = [slice(first, first + 6) for first in range(0, 24, 6)]
    mean = np.mean([float(loss(Outputs(outputs[0][b], outputs[1][b]), y[0][b], y[1][b])) for b in batches])
    assert float(loss.of_set(outputs, *y)) == pytest.approx(mean, rel=1e-5)


def test_loss_of_a_role_is_the_same_whatever_the_training_loss_is(rng: np.random.Generator) -> None:
    outputs = random_outputs(rng, 16)._replace(cardinal=torch.zeros(16, 4))
    y = torch.from_numpy(Y_MAGNITUDE), torch.from_numpy(Y_AZIMUTH)
    plain = float(make_loss().of_set(outputs, *y))
    for options in ({"loss": "focal"}, {"label_smoothing": 0.2}, {"hierarchy_weight": 3.0}):
        assert float(make_loss(**options).of_set(outputs, *y)) == pytest.approx(plain), options


def test_shares_of_one_class_give_the_loss_of_its_index(rng: np.random.Generator) -> None:
    outputs = random_outputs(rng, 16)._replace(cardinal=torch.zeros(16, 4))
    y = torch.from_numpy(Y_MAGNITUDE), torch.from_numpy(Y_AZIMUTH)
    as_floats = (as_soft_labels(y[0], 4), as_soft_labels(y[1], 9))
    for loss in (make_loss(), make_loss(loss="focal", label_smoothing=0.1)):
        torch.testing.assert_close(loss(outputs, *as_floats), loss(outputs, *y))
        torch.testing.assert_close(loss.of_set(outputs, *as_floats), loss.of_set(outputs, *y))


def test_levels_of_the_tree_by_hand() -> None:
    # p(Normal) 0.2; N 0.1, NE 0.3 (quadrant N: 0.4 of 0.8); the six others share 0.4
    probs = torch.tensor([[0.2, 0.1, 0.3] + [0.4 / 6] * 6])
    levels = HierarchyLoss(Y_AZIMUTH, TrainConfig(class_weights="none"))
    assert float(levels(probs.log(), torch.tensor([2]))) == pytest.approx(-math.log(0.8) - math.log(0.4 / 0.8))
    assert float(levels(probs.log(), torch.tensor([0]))) == pytest.approx(-math.log(0.2))
    mixed = torch.tensor([[0.5, 0.25, 0.25, 0, 0, 0, 0, 0, 0]])
    expected = 0.5 * -math.log(0.2) + 0.5 * (-math.log(0.8) - math.log(0.5))
    assert float(levels(probs.log(), mixed)) == pytest.approx(expected)


def test_levels_are_balanced_each_for_itself() -> None:
    # 8 Normal and 8 events: weights 1; quadrants 2, 4, 1, 1 of 8 events: weights 8 / (4 n)
    y_azimuth = np.array([0] * 8 + [1, 2, 3, 3, 4, 4, 5, 8])
    levels = HierarchyLoss(y_azimuth, TrainConfig())
    np.testing.assert_allclose(levels.event.weights, [1, 1])
    assert levels.cardinal is not None
    np.testing.assert_allclose(levels.cardinal.weights, [1, 0.5, 2, 2])


def test_levels_count_only_for_the_hierarchical_head_and_by_their_weight() -> None:
    y = torch.tensor([0, 1]), torch.tensor([0, 8])
    tree = uniform(2, cardinal=torch.zeros(2, 4))
    flat, plain = (float(make_loss(hierarchy_weight=w)(uniform(2), *y)) for w in (2.0, 0.0))
    assert flat == plain == float(make_loss(hierarchy_weight=0.0)(tree, *y))
    levels = float(make_loss().levels(tree.azimuth, y[1]).mean())
    assert float(make_loss(hierarchy_weight=2.0)(tree, *y)) == pytest.approx(plain + 0.5 * 2.0 * levels)


def test_training_without_events_has_no_quadrant_to_learn() -> None:
    levels = HierarchyLoss(np.zeros(3, dtype=np.int64), TrainConfig())
    assert float(levels(torch.zeros(1, 9), torch.tensor([0]))) == pytest.approx(math.log(9))


def test_loss_adds_nothing_to_a_checkpoint() -> None:
    assert make_loss().state_dict() == {}
