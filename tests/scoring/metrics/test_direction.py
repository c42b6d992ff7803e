"""Differences of directions across north, and their concentration."""

from __future__ import annotations

import numpy as np
import pytest

from seismag.scoring import metrics as m


def test_the_difference_goes_the_short_way_round() -> None:
    predicted, true = np.array([0.0, 350.0, 10.0, 90.0, 0.0]), np.array([350.0, 0.0, 190.0, 45.0, 180.0])
    assert m.angular_difference_deg(predicted, true).tolist() == [10, -10, -180, 45, -180]


def test_a_uniform_direction_is_90_degrees_off_on_average(rng: np.random.Generator) -> None:
    difference = m.angular_difference_deg(np.full(100_000, 45.0), rng.uniform(0, 360, 100_000))
    assert np.abs(difference).mean() == pytest.approx(90, abs=0.6)  # standard error 52 / sqrt(100,000) = 0.16
    turn = np.radians(difference)
    length = m.mean_resultant(np.cos(turn).sum(), np.sin(turn).sum(), np.array(100_000.0))
    assert length < 0.012


def test_the_mean_resultant_of_two_directions_by_hand() -> None:
    turn = np.radians([0.0, 90.0])
    length = m.mean_resultant(np.cos(turn).sum(), np.sin(turn).sum(), np.array(2.0))
    assert length == pytest.approx(np.sqrt(0.5))
    nothing = m.mean_resultant(np.zeros(1), np.zeros(1), np.zeros(1))
    assert np.all(np.isnan(nothing))
