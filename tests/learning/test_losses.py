"""Class weights and the loss, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seismag.learning.losses import MultiTaskLoss, balanced_class_weights, weighted_cross_entropy


def test_balanced_weights_are_n_over_k_times_count() -> None:
    # 6 samples, classes 0, 1, 3 occur (k = 3) with counts 3, 2, 1: 6/9, 6/6, 6/3
    weights = balanced_class_weights(np.array([0, 0, 0, 1, 1, 3]), 4)
    np.testing.assert_allclose(weights, [2 / 3, 1.0, 0.0, 2.0])


def test_balanced_weights_have_mean_one_over_the_samples(rng: np.random.Generator) -> None:
    y_true = rng.integers(0, 9, 200)
    assert balanced_class_weights(y_true, 9)[y_true].mean() == pytest.approx(1.0)


def test_weights_of_no_sample_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        balanced_class_weights(np.array([], dtype=np.int64), 4)


def test_cross_entropy_of_known_probabilities() -> None:
    # logits ln 3 and 0: probabilities 3/4 and 1/4
    logits = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]])
    losses = weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([1.0, 2.0]))
    np.testing.assert_allclose(losses, [math.log(4 / 3), 2 * math.log(4)], rtol=1e-6)


def make_loss() -> MultiTaskLoss:
    return MultiTaskLoss(np.array([0.5, 1.5, 0.0, 1.0]), np.ones(9), 0.5)


def test_total_is_magnitude_plus_half_azimuth() -> None:
    # uniform logits: ln 4 and ln 9; weights 0.5 and 1.5 have mean 1
    logits = (torch.zeros(2, 4), torch.zeros(2, 9))
    loss = make_loss()(logits, torch.tensor([0, 1]), torch.tensor([0, 8]))
    assert float(loss) == pytest.approx(math.log(4) + 0.5 * math.log(9))


def test_batch_of_absent_classes_has_loss_zero_and_a_role_of_them_none() -> None:
    loss = MultiTaskLoss(np.array([1.0, 0.0, 0.0, 0.0]), np.array([1.0] + [0.0] * 8), 0.5)
    batch = ((torch.zeros(2, 4), torch.zeros(2, 9)), torch.tensor([2, 2]), torch.tensor([3, 3]))
    assert float(loss(*batch)) == 0.0
    assert math.isnan(float(loss.of_role(*batch)))


def test_loss_of_the_training_role_is_the_mean_over_its_batches(rng: np.random.Generator) -> None:
    y_magnitude, y_azimuth = rng.integers(0, 4, 24), rng.integers(0, 9, 24)
    loss = MultiTaskLoss(balanced_class_weights(y_magnitude, 4), balanced_class_weights(y_azimuth, 9), 0.5)
    logits = tuple(torch.from_numpy(rng.normal(size=(24, k)).astype(np.float32)) for k in (4, 9))
    y = torch.from_numpy(y_magnitude), torch.from_numpy(y_azimuth)
    batches = [slice(first, first + 6) for first in range(0, 24, 6)]
    mean = np.mean([float(loss((logits[0][b], logits[1][b]), y[0][b], y[1][b])) for b in batches])
    assert float(loss.of_role((logits[0], logits[1]), *y)) == pytest.approx(mean, rel=1e-5)


def test_loss_of_a_role_does_not_depend_on_its_class_shares() -> None:
    loss, azimuth = make_loss(), torch.zeros(3, dtype=torch.int64)
    logits = (torch.zeros(3, 4), torch.zeros(3, 9))
    few, many = (float(loss.of_role(logits, torch.tensor(y), azimuth)) for y in ([0, 0, 1], [1, 1, 1]))
    assert few == pytest.approx(many)


def test_weights_are_no_part_of_the_state() -> None:
    assert make_loss().state_dict() == {}
