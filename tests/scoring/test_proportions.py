"""Interval of a proportion by group: the binomial limit, groups of one mind, and extremes."""

import numpy as np
import pytest
from scipy.stats import binomtest

from seismag.scoring.proportions import proportion_interval


def test_single_rows_have_about_the_binomial_interval() -> None:
    hits = np.r_[np.ones(90), np.zeros(10)]
    exact = binomtest(90, 100).proportion_ci(method="wilson")
    assert proportion_interval(hits, np.ones(100), 0.95) == pytest.approx((exact.low, exact.high), abs=0.015)


def test_rows_that_only_repeat_their_group_add_nothing() -> None:
    hits = np.r_[np.ones(32), np.zeros(8)]
    single = proportion_interval(hits, np.ones(40), 0.95)
    assert proportion_interval(8 * hits, np.full(40, 8.0), 0.95) == pytest.approx(single, abs=0.02)


def test_independent_rows_of_a_group_count_each() -> None:
    rng = np.random.default_rng(1)
    hits = rng.binomial(8, 0.8, 40).astype(float)
    low, high = proportion_interval(hits, np.full(40, 8.0), 0.95)
    assert high - low < 0.12  # 320 independent rows: 0.09; 40: 0.25


def test_only_hits_or_none_leave_one_side_open() -> None:
    n = np.full(12, 8.0)
    low, high = proportion_interval(n, n, 0.95)
    assert high == 1
    assert 0.7 < low < 0.88  # one row a group: exp(-3.84 / 24) = 0.85 by likelihood
    assert proportion_interval(0 * n, n, 0.95) == pytest.approx((0, 1 - low), abs=0.01)
