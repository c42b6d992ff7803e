"""Reliability: a calibrated forecast is found calibrated, whatever its groups; errors are found and sized."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from seismag.config import EvaluateConfig
from seismag.scoring.clusters import Clusters
from seismag.scoring.reliability import (
    corrected_error,
    evaluated_probability,
    outcome_correlation,
    score_reliability,
    simulate_frequencies,
)

CONFIG = EvaluateConfig(bootstrap=100)
ROWS_EACH = 8


def build_outcomes(
    n_groups: int, correlation: float, rng: np.random.Generator, level: float = 0.0, spread: float = 0.4
) -> tuple[np.ndarray, np.ndarray, Clusters]:
    """Probabilities of groups of eight rows, and outcomes that happen with them and go together in a group."""
    group = np.repeat(np.arange(n_groups), ROWS_EACH)
    quantile = level + rng.normal(0, 0.7, n_groups)[group] + rng.normal(0, spread, len(group))
    effect = np.sqrt(correlation) * rng.normal(size=n_groups)[group]
    happened = effect + np.sqrt(1 - correlation) * rng.normal(size=len(group)) < quantile
    has_event = np.bincount(group, happened) > 0
    return ndtr(quantile), happened, Clusters(group, has_event)


def test_the_error_of_a_perfect_forecast_is_chance() -> None:
    """40 groups of 8 rows with one outcome: an error of 0.15 and more, of which nothing is real."""
    rng = np.random.default_rng(1)
    tables = [build_outcomes(40, 1.0, rng, spread=0) for _ in range(40)]
    found = [score_reliability("detection", *table, CONFIG).ece for table in tables]
    values = np.array([[ece.value, ece.by_chance, ece.corrected] for ece in found])
    value, by_chance, corrected = values.mean(axis=0)
    assert value > 0.12
    assert by_chance == pytest.approx(value, abs=0.02)
    assert abs(corrected) < 0.04  # standard error 0.011


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_the_correlation_that_was_put_in_is_found(correlation: float) -> None:
    p, happened, clusters = build_outcomes(300, correlation, np.random.default_rng(2))
    assert outcome_correlation(p, happened, clusters.index, np.random.default_rng(0)) == pytest.approx(
        correlation, abs=0.15
    )


def test_simulated_outcomes_have_the_probabilities_of_the_forecast() -> None:
    rng = np.random.default_rng(3)
    p, _, clusters = build_outcomes(50, 0.5, rng)
    bins = np.searchsorted(np.quantile(p, [0.25, 0.5, 0.75]), p)
    expected = np.bincount(bins, p) / np.bincount(bins)
    spreads = []
    for correlation in (0.0, 1.0):
        drawn = simulate_frequencies(p, bins, clusters.index, correlation, rng)
        assert drawn.shape == (999, 4)
        assert drawn.mean(axis=0) == pytest.approx(expected, abs=0.02)
        spreads.append(drawn.std(axis=0))
    independent = np.sqrt(np.bincount(bins, p * (1 - p))) / np.bincount(bins)
    assert spreads[0] == pytest.approx(independent, rel=0.1)
    assert np.all(spreads[1] > 1.3 * spreads[0])


def test_a_forecast_that_is_wrong_is_found_and_its_error_sized() -> None:
    rng = np.random.default_rng(4)
    p, happened, clusters = build_outcomes(100, 0.5, rng)
    wrong = ndtr(ndtri(p) + 1.0)
    ece = score_reliability("detection", wrong, happened, clusters, CONFIG).ece
    assert ece.value > 2 * ece.by_chance
    true = np.mean(wrong - p)
    assert ece.corrected == pytest.approx(true, abs=0.06)
    assert ece.corrected <= ece.value


def test_the_corrected_error_is_the_true_one_on_average() -> None:
    rng = np.random.default_rng(5)
    spread, weight = np.full(10, 0.1), np.full(10, 0.1)
    by_chance = 0.1 * np.sqrt(2 / np.pi)
    for true, plain in ((0.1, 0.117), (0.0, by_chance)):
        gaps = np.abs(true + rng.normal(0, spread, (2000, 10)))
        assert gaps.mean() == pytest.approx(plain, abs=0.002)
        corrected = [corrected_error(gap, spread, weight, by_chance) for gap in gaps]
        assert np.mean(corrected) == pytest.approx(true, abs=0.02)
    assert corrected_error(np.zeros(10), spread, weight, by_chance) == 0
    assert corrected_error(np.full(10, 0.3), np.zeros(10), weight, 0.0) == pytest.approx(0.3)
    assert corrected_error(np.full(10, 0.3), np.full(10, 0.001), weight, 0.0008) == pytest.approx(0.3, rel=1e-4)


def test_the_error_of_few_groups_is_that_of_chance_too() -> None:
    p, happened, clusters = build_outcomes(9, 0.5, np.random.default_rng(6))
    found = score_reliability("detection", p, happened, clusters, CONFIG)
    assert found.ece.by_chance > 0


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_certain_forecast_has_no_chance(p: float) -> None:
    clusters = Clusters(np.repeat(np.arange(20), 2), np.arange(20) < 10)
    happened = np.arange(40) < 20
    found = score_reliability("detection", np.full(40, p), happened, clusters, CONFIG)
    assert found.ece.value == found.ece.corrected == 0.5
    assert found.ece.by_chance == 0


def test_equal_probabilities_have_one_bin() -> None:
    clusters = Clusters(np.repeat(np.arange(20), 2), np.arange(20) < 10)
    (only,) = score_reliability("detection", np.full(40, 0.5), np.arange(40) < 20, clusters, CONFIG).bins
    assert only.n == 40
    assert only.n_groups == 20
    assert only.mean_probability == only.observed == 0.5


def test_the_evaluated_probability_is_of_an_event_or_of_the_likeliest_class() -> None:
    probs = np.array([[0.3, 0.7], [0.6, 0.4]])
    p, happened = evaluated_probability("detection", probs, np.array([1, 1]))
    assert (p.tolist(), happened.tolist()) == ([0.7, 0.4], [True, True])
    p, happened = evaluated_probability("azimuth", probs, np.array([1, 1]))
    assert (p.tolist(), happened.tolist()) == ([0.7, 0.6], [True, False])
