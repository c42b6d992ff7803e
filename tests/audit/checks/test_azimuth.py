"""Predicted directions: collapse, and the ceiling of power alone."""

import numpy as np
import pandas as pd
import pytest

from fixtures.geomagnetic_store import FAST
from seismag.audit.checks.azimuth import (
    DIRECTIONS,
    cell_recall,
    check_azimuth_collapse,
    check_symmetry_ceiling,
    confusion_fractions,
    entropy_fraction,
)
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

N_CLUSTERS = 160


@pytest.fixture
def truth(rng) -> np.ndarray:
    return np.repeat(rng.permutation(np.arange(N_CLUSTERS) % 8), 4)  # four windows a cluster


def make_predictions(truth: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    n = len(truth)
    cluster = np.arange(n) // 4
    table = pd.DataFrame(
        {
            "run_id": "run_a", "fold": 1, "role": "test", "sample_id": [f"s{i}" for i in range(n)],
            "split_group": [f"event:{c}" for c in cluster], "station": np.where(cluster % 2, "GTO", "ALR"),
            "start_utc": pd.date_range("2021-01-01", periods=n, freq="6h"), "event_id": [f"e{c}" for c in cluster],
            "y_magnitude": "Medium", "y_azimuth": np.array(DIRECTIONS)[truth],
        }
    )  # fmt: skip
    for name in MAGNITUDE_CLASSES:
        table[f"p_magnitude_{name}"] = 0.25
    probability = np.full((n, 9), 0.04)
    probability[:, 0] = 0.3  # Normal is the most probable, and not a direction
    probability[np.arange(n), 1 + predicted] += 0.38
    table[[f"p_azimuth_{name}" for name in AZIMUTH_CLASSES]] = probability
    return table


def test_entropy_by_hand():
    assert entropy_fraction(np.arange(8)) == pytest.approx(1.0)
    assert entropy_fraction(np.zeros(5, dtype=int)) == 0.0
    assert entropy_fraction(np.array([0, 4])) == pytest.approx(1 / 3)  # one bit of three


def test_images_of_a_direction_by_hand():
    # NE (1): reverse SW (5), mirrors NW (7, in the meridian) and SE (3, in the parallel)
    fractions = [confusion_fractions(np.array([1]), np.array([p])) for p in range(8)]
    kinds = ["".join(k[0] for k, v in s.items() if v) for s in fractions]
    assert kinds == ["", "r", "", "m", "", "r", "", "m"]
    # N (0): its mirror in the parallel is its reverse S (4), its mirror in the meridian is itself
    assert confusion_fractions(np.array([0, 0]), np.array([0, 4])) == {"right": 0.5, "reverse": 0.5, "mirror": 0.0}


def test_recall_over_cells_by_hand():
    cell = np.repeat([0, 1, 2], [5, 10, 4])  # the last has too few windows
    hit = np.concatenate([np.ones(5), np.zeros(8), np.ones(2), np.ones(4)])
    assert cell_recall(cell, hit) == (pytest.approx((1.0 + 0.2) / 2), 2)


def test_a_model_that_names_one_direction_has_collapsed(truth):
    result = check_azimuth_collapse(make_predictions(truth, np.full(len(truth), 2)), FAST)
    assert result.statistic == 1.0
    assert result.p_value == 1 / 1000
    assert result.above_minimum
    assert not result.blocking
    assert "direction, E, is given to 100 %" in result.sentence


def test_predictions_as_spread_as_the_truth_have_not(truth, rng):
    turned = np.repeat(rng.integers(0, 8, N_CLUSTERS), 4)
    result = check_azimuth_collapse(make_predictions(truth, turned), FAST)
    assert result.p_value > 0.01
    assert not result.above_minimum
    assert result.details["entropy"]["predicted"] > 0.95


def test_a_model_that_cannot_tell_the_reverse_stays_at_the_ceiling(truth, rng):
    predicted = (truth + np.repeat(4 * rng.integers(0, 2, N_CLUSTERS), 4)) % 8
    result = check_symmetry_ceiling(make_predictions(truth, predicted), "power", FAST)
    assert result.statistic == pytest.approx(0.5, abs=0.08)
    assert result.p_value > 0.02
    assert result.details["right"] + result.details["reverse"] == pytest.approx(1.0)
    assert result.placebo_rate <= 0.2


def test_a_model_of_power_that_knows_every_direction_knows_the_place(truth):
    result = check_symmetry_ceiling(make_predictions(truth, truth), "power", FAST)
    assert result.p_value == 1 / 1000
    assert result.above_minimum
    assert "the rest is prior information" in result.sentence


def test_a_model_of_phases_has_no_ceiling(truth):
    result = check_symmetry_ceiling(make_predictions(truth, truth), "power_cross", FAST)
    assert (result.verdict, result.p_value) == ("pass", None)
    assert "contains phases, so no ceiling applies" in result.sentence


def test_a_station_that_sees_one_direction_gives_its_prior_a_high_score(truth):
    one = np.full(len(truth), 6)
    result = check_symmetry_ceiling(make_predictions(one, one), "power", FAST)
    assert result.details["station_alone"] == 1.0
    assert result.statistic == 1.0


@pytest.mark.parametrize("check", [check_azimuth_collapse, lambda p, s: check_symmetry_ceiling(p, "power", s)])
def test_few_events_are_inconclusive(truth, check):
    result = check(make_predictions(truth[:20], truth[:20]), FAST)
    assert result.p_value is None
    assert "20 event windows of 5 event clusters; at least 40 of 10 are needed" in result.sentence
