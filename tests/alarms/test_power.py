"""Detectable effects of a study of a given size."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from seismag.alarms.power import (
    _AUC,
    events_needed,
    group_correlation,
    ranking_power,
    smallest_area_skill,
    smallest_detected,
    smallest_gain,
)


def exact_power(n: int, tau: float, gain: float, alpha: float) -> float:
    """Probability of the numbers of hits that scipy's exact test rejects, one by one."""
    rejected = [h for h in range(n + 1) if binomtest(h, n, tau, alternative="greater").pvalue <= alpha]
    return float(binom.pmf(rejected, n, gain * tau).sum())


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 92), (0.01, 142)])
def test_gain_1_6_at_tau_0_2_needs_as_many_events_for_80_percent_power(alpha: float, needed: int) -> None:
    assert events_needed(0.2, 1.6, alpha) == needed
    assert exact_power(needed - 1, 0.2, 1.6, alpha) < 0.8
    assert all(exact_power(n, 0.2, 1.6, alpha) >= 0.8 for n in range(needed, needed + 30))


def test_the_smallest_gain_has_just_the_wanted_power() -> None:
    gain = smallest_gain(56, 0.2, 0.05)
    assert gain is not None
    assert exact_power(56, 0.2, gain, 0.05) == pytest.approx(0.8, abs=1e-4)


def test_one_event_shows_nothing_at_tau_0_2() -> None:
    assert smallest_gain(1, 0.2, 0.05) is None  # a hit of one has the probability 0.2 by chance
    assert events_needed(0.2, 1.001, 0.05) is None  # more than any catalogue has


def test_area_skill_of_the_smallest_detected_is_2_5_deviations_from_chance() -> None:
    assert smallest_area_skill(100, 0.05) == pytest.approx(0.5 + (1.6449 + 0.8416) / np.sqrt(1200), abs=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_group_correlation_finds_what_was_put_in(rho: float, rng: np.random.Generator) -> None:
    group = np.repeat(np.arange(400), 8)
    z = np.sqrt(rho) * rng.standard_normal(400)[group] + np.sqrt(1 - rho) * rng.standard_normal(3200)
    assert group_correlation(np.exp(z), group) == pytest.approx(rho, abs=0.06)


def test_correlated_windows_cost_power() -> None:
    groups = np.repeat(np.arange(40), 8), np.repeat(np.arange(30), 12)
    auc, balanced = ranking_power(*groups, 0.0, 0.05, np.random.default_rng(1))
    common_auc, common_balanced = ranking_power(*groups, 0.8, 0.05, np.random.default_rng(1))
    assert auc[0] == pytest.approx(0.05, abs=0.01)
    assert auc[4] > common_auc[4] + 0.3
    assert balanced[4] > common_balanced[4] + 0.2
    seen = smallest_detected(_AUC, common_auc)
    assert seen is not None
    assert 0.55 < seen < 0.75


def test_the_power_curve_is_interpolated() -> None:
    assert smallest_detected(np.array([0.5, 0.6, 0.7]), np.array([0.05, 0.6, 1.0])) == pytest.approx(0.65)
    assert smallest_detected(np.array([0.5, 0.6]), np.array([0.05, 0.6])) is None
