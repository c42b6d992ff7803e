"""Proper scores against values by hand, scikit-learn and slow versions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from seismag.scoring import metrics as m


def random_forecast(rng: np.random.Generator, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.dirichlet(np.ones(k), n), rng.integers(0, k, n)


def test_log_score_is_the_mean_log_probability_with_a_floor() -> None:
    probs = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    assert m.row_log_scores(probs, np.array([0, 1, 0])).mean() == pytest.approx((np.log(0.5) + np.log(0.75)) / 3)
    assert m.row_log_scores(probs, np.array([0, 1, 1]))[2] == pytest.approx(np.log(1e-6))


def test_log_score_is_minus_the_log_loss_of_scikit_learn(rng: np.random.Generator) -> None:
    probs, truth = random_forecast(rng, 300, 4)
    assert m.row_log_scores(probs, truth).mean() == pytest.approx(-sklearn_log_loss(truth, probs, labels=range(4)))


@pytest.mark.parametrize("k", [2, 4, 9])
def test_brier_score_agrees_with_scikit_learn(rng: np.random.Generator, k: int) -> None:
    probs, truth = random_forecast(rng, 300, k)
    expected = brier_score_loss(truth, probs[:, 1] if k == 2 else probs, labels=np.arange(k))
    assert m.row_brier_scores(probs, truth).mean() == pytest.approx(expected)


def test_brier_score_by_hand() -> None:
    # (0.2, 0.3, 0.5), class 2 happened: 0.04 + 0.09 + 0.25; two classes: (0.7 - 0)² once
    assert m.row_brier_scores(np.array([[0.2, 0.3, 0.5]]), np.array([2])) == pytest.approx([0.38])
    assert m.row_brier_scores(np.array([[0.3, 0.7]]), np.array([0])) == pytest.approx([0.49])


def test_ranked_probability_score_by_hand_and_by_brute_force(rng: np.random.Generator) -> None:
    # cumulated 0.5, 0.8, 0.9 against 0, 0, 1 (class 2 happened): 0.25 + 0.64 + 0.01
    assert m.row_rps(np.array([[0.5, 0.3, 0.1, 0.1]]), np.array([2])) == pytest.approx([0.90])
    probs, truth = random_forecast(rng, 50, 4)
    slow = [
        sum((sum(row[: j + 1]) - float(y <= j)) ** 2 for j in range(3)) for row, y in zip(probs, truth, strict=True)
    ]
    assert m.row_rps(probs, truth) == pytest.approx(slow)


def test_ranked_probability_score_of_two_classes_is_the_brier_score(rng: np.random.Generator) -> None:
    probs, truth = random_forecast(rng, 50, 2)
    assert m.row_rps(probs, truth) == pytest.approx(m.row_brier_scores(probs, truth))


def test_a_miss_by_two_classes_costs_more_than_by_one() -> None:
    sure = np.eye(4)
    assert m.row_rps(sure[[0, 1, 2, 3]], np.zeros(4, dtype=int)).tolist() == [0, 1, 2, 3]
