"""Efficiency, its curve and the limit: hand values, limiting cases, and coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from seismag.domain import DataError
from seismag.recovery.efficiency import (
    Counts,
    Curve,
    alarms_test,
    false_alarm_interval,
    false_alarm_threshold,
    fit_curve,
    independent_counts,
    upper_limit,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 7), (7, 7), (41, 200)])
def test_intervals_are_those_of_scipy(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(0.9, "exact")
    assert Counts(hits, n).interval(0.9) == pytest.approx((expected.low, expected.high))


def test_windows_of_different_days_stay_as_many():
    success = np.array([True, False, True, True])
    assert independent_counts(success, np.arange(4)) == Counts(3, 4)


def test_copies_within_a_day_count_once():
    success = np.random.default_rng(1).random(60) < 0.4
    copied = independent_counts(np.repeat(success, 5), np.repeat(np.arange(60), 5))
    assert copied.fraction == pytest.approx(success.mean())
    students = stats.t.ppf(0.975, 299) / stats.t.ppf(0.975, 59)
    assert copied.n == pytest.approx(59 * students**2)  # p(1-p)/v of 60 clusters, by hand


def test_independent_windows_that_share_days_keep_nearly_their_number(rng):
    found = [independent_counts(rng.random(200) < 0.4, np.repeat(np.arange(50), 4)).n for _ in range(100)]
    assert 150 < np.mean(found) <= 200


def test_windows_that_all_agree_count_as_days():
    assert independent_counts(np.ones(12, bool), np.repeat(np.arange(4), 3)) == Counts(4.0, 4.0)


def test_the_threshold_is_exceeded_by_the_requested_fraction():
    p_event = np.random.default_rng(2).permutation(np.arange(200) / 200)
    assert (p_event > false_alarm_threshold(p_event, 0.05)).sum() == 10


def test_the_threshold_of_a_constant_score_lets_nothing_through():
    p_event = np.full(100, 0.3)
    assert not (p_event > false_alarm_threshold(p_event, 0.05)).any()


def test_too_few_windows_for_a_threshold_are_refused_with_the_number_needed():
    with pytest.raises(DataError, match=r"19 Normal windows .* 0.05: at least 20"):
        false_alarm_threshold(np.zeros(19), 0.05)


def test_the_alarms_before_earthquakes_are_exceedances_of_an_order_statistic(rng):
    control, quakes = rng.random((200_000, 20)), rng.random((200_000, 6))
    hits = (quakes > np.sort(control, axis=1)[:, [-2]]).sum(axis=1)  # the threshold that one of 20 exceeds
    test = alarms_test(3, [(Counts(1, 20), 6)])
    tail, step = (hits >= 3).mean(), (hits == 3).mean()
    assert min(abs(test.p_value - tail), abs(test.p_value - tail + step / 2)) < 0.002


@pytest.mark.parametrize(("n", "n_quakes", "models"), [(20, 40, 1), (24, 100, 1), (60, 40, 1), (24, 10, 5)])
def test_chance_is_called_more_than_chance_in_3_to_7_percent_of_studies(n, n_quakes, models, rng):
    struck, studies = 0, 2000
    for _ in range(studies):
        hits, counts = 0, []
        for _ in range(models):
            scores = rng.random(n)
            threshold = false_alarm_threshold(scores, 0.05)
            hits += int((rng.random(n_quakes) > threshold).sum())
            counts.append((Counts((scores > threshold).sum(), n), n_quakes))
        test = alarms_test(hits, counts)
        struck += test.p_value <= 0.05
    assert 0.03 <= test.size <= 0.07
    assert struck / studies == pytest.approx(test.size, abs=0.016)


def test_the_interval_of_the_false_alarms_contains_the_probability_in_95_percent(rng):
    covered = 0
    for _ in range(2000):
        scores = rng.random(40)
        threshold = false_alarm_threshold(scores, 0.05)
        low, high = false_alarm_interval([Counts((scores > threshold).sum(), 40)], 0.95)
        covered += low <= 1 - threshold <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_curve_that_made_the_data_is_found_again(rng):
    truth = Curve(middle=0.5, slope=4.0, floor=0.05)
    snr = np.repeat([0.3, 1.0, 3.0, 10.0, 30.0], 4000)
    fitted = fit_curve(snr, rng.random(snr.size) < truth.at(snr), 0.05)
    assert fitted.middle == pytest.approx(0.5, abs=0.03)
    assert fitted.slope == pytest.approx(4.0, rel=0.06)


def test_snr_at_an_efficiency_is_the_inverse_of_the_curve():
    curve = Curve(middle=0.5, slope=4.0, floor=0.05)
    assert curve.at(np.array([curve.snr_at(0.9)])) == pytest.approx(0.9)
    assert curve.snr_at(0.525) == pytest.approx(10**0.5)  # halfway between floor and 1


def test_a_jump_has_its_middle_between_the_two_snr():
    snr = np.repeat([1.0, 3.0, 10.0], 50)
    assert 3.0 < fit_curve(snr, snr > 5, 0.0).snr_at(0.5) < 10.0


def test_a_model_that_sees_nothing_has_its_middle_beyond_the_tested_snr(rng):
    snr = np.repeat([1.0, 10.0, 100.0], 200)
    assert fit_curve(snr, rng.random(600) < 0.05, 0.05).snr_at(0.5) > 100


def test_weights_count_as_copies(rng):
    snr, seen = np.repeat([1.0, 3.0, 10.0], 40), rng.random(120) < np.repeat([0.1, 0.5, 0.95], 40)
    weight = rng.integers(0, 3, 120)
    weighted = fit_curve(snr, seen, 0.05, weight.astype(float))
    copied = fit_curve(np.repeat(snr, weight), np.repeat(seen, weight), 0.05)
    assert weighted.middle == pytest.approx(copied.middle, abs=1e-3)


def test_the_limit_by_hand():
    # P_ul of 5 in 56 at 90 % is the root of sum_{i<=5} C(56,i) P^i (1-P)^(56-i) = 0.1
    rate = Counts(5, 56).upper(0.9)
    assert stats.binom.cdf(5, 56, rate) == pytest.approx(0.1)
    exact = upper_limit(Counts(5, 56), Counts(90, 100), Counts(5, 100)).if_exact
    assert exact == pytest.approx((rate - 0.05) / 0.85)


def test_an_efficiency_not_above_the_false_alarms_gives_no_limit():
    limit = upper_limit(Counts(2, 50), Counts(10, 200), Counts(10, 200))
    assert limit.value is None
    assert limit.if_exact is None


def test_as_many_alarms_as_injections_exclude_nothing():
    assert upper_limit(Counts(45, 50), Counts(180, 200), Counts(10, 200)).value == 1.0


def test_uncertain_inputs_never_make_the_limit_stricter():
    for hits in (0, 2, 5, 20):
        limit = upper_limit(Counts(hits, 60), Counts(150, 200), Counts(10, 200))
        assert limit.value >= limit.if_exact


@pytest.mark.parametrize(
    ("fraction", "efficiency", "n_injected"), [(0.0, 0.9, 100), (0.1, 0.5, 60), (0.3, 0.95, 200), (0.6, 0.3, 60)]
)
def test_the_limit_covers_the_true_fraction_in_at_least_nine_of_ten_studies(fraction, efficiency, n_injected, rng):
    """Whole studies are simulated: a threshold from Normal scores, then injections and earthquakes."""
    studies, covered = 400, 0
    shift = stats.norm.isf(0.05) - stats.norm.isf(efficiency)  # mean score of an emission
    for _ in range(studies):
        normal = rng.normal(size=300)
        threshold = false_alarm_threshold(normal, 0.05)
        injected = rng.normal(shift, size=n_injected) > threshold
        earthquakes = rng.normal(np.where(rng.random(50) < fraction, shift, 0.0)) > threshold
        limit = upper_limit(
            Counts(earthquakes.sum(), 50), Counts(injected.sum(), n_injected), Counts((normal > threshold).sum(), 300)
        ).value
        covered += limit is None or limit >= fraction
    assert covered >= 0.9 * studies
