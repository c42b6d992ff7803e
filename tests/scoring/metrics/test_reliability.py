"""Calibration error and the parts of the Brier score: identities, scikit-learn, limits and bias."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from seismag.scoring import metrics as m

PARTS = ("reliability", "resolution", "uncertainty", "within_bin")


def bin_sums(p: np.ndarray, happened: np.ndarray, n_bins: int = 10) -> np.ndarray:
    return m.cluster_bin_sums(p, happened, m.equal_mass_bins(p, n_bins), np.zeros(len(p), int), 1)[0]


def test_bins_hold_equal_numbers_and_never_part_equal_values(rng: np.random.Generator) -> None:
    assert np.bincount(m.equal_mass_bins(rng.random(1000), 10)).tolist() == [100] * 10
    tied = np.repeat([0.0, 0.2, 1.0], [700, 200, 100])
    assert m.equal_mass_bins(tied, 10).tolist() == np.repeat([0, 1, 2], [700, 200, 100]).tolist()
    assert m.equal_mass_bins(np.full(5, 0.3), 10).tolist() == [0] * 5


@given(st.lists(st.tuples(st.sampled_from(np.round(np.linspace(0, 1, 21), 2)), st.booleans()), min_size=2, max_size=80))
@settings(deadline=None, max_examples=60)
def test_the_parts_sum_to_the_brier_score_exactly(rows: list[tuple[float, bool]]) -> None:
    p, happened = (np.array(column) for column in zip(*rows, strict=True))
    parts = m.brier_decomposition(bin_sums(p, happened, 5))
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bin"]
    assert total == pytest.approx(brier_score_loss(happened, p, pos_label=True), abs=1e-12)
    assert parts["brier"] == pytest.approx(total, abs=1e-12)
    corrected = sum(sign * parts[f"{name}_corrected"] for name, sign in zip(PARTS[:3], (1, -1, 1), strict=True))
    assert corrected + parts["within_bin"] == pytest.approx(total, abs=1e-12)


def test_the_parts_by_hand() -> None:
    # 4 rows at 0.25, one happened; 4 rows at 0.75, two happened; base 3/8
    p, happened = np.repeat([0.25, 0.75], 4), np.array([1, 0, 0, 0, 1, 1, 0, 0], bool)
    parts = m.brier_decomposition(bin_sums(p, happened))
    assert parts["reliability"] == pytest.approx((4 * 0 + 4 * 0.25**2) / 8)
    assert parts["resolution"] == pytest.approx((4 * (1 / 8) ** 2 + 4 * (1 / 8) ** 2) / 8)
    assert parts["uncertainty"] == pytest.approx(3 / 8 * 5 / 8)
    assert parts["within_bin"] == pytest.approx(0)
    # bias: sum of n_k o (1 - o) / (n_k - 1) = 4 (3/16) / 3 + 4 (1/4) / 3 = 7/12, over 8 rows
    assert parts["reliability_corrected"] == pytest.approx(1 / 32 - 7 / 96)
    assert parts["uncertainty_corrected"] == pytest.approx(15 / 64 * 8 / 7)
    assert m.expected_calibration_error(bin_sums(p, happened)) == pytest.approx(0.125)


def test_the_correction_takes_the_bias_off_a_calibrated_forecast() -> None:
    """Calibrated by construction: true reliability 0, true uncertainty and resolution known from p itself."""
    rng = np.random.default_rng(2)
    values = np.repeat([0.1, 0.3, 0.6, 0.8], 15)
    plain, corrected = [], []
    for _ in range(2000):
        parts = m.brier_decomposition(bin_sums(values, rng.random(60) < values, 4))
        plain.append([parts[name] for name in PARTS[:3]])
        corrected.append([parts[f"{name}_corrected"] for name in PARTS[:3]])
    truth = [0, np.var(values), values.mean() * (1 - values.mean())]
    assert np.mean(corrected, axis=0) == pytest.approx(truth, abs=0.0015)
    assert np.mean(plain, axis=0)[0] > 0.009  # (1/60) sum of p (1 - p) over four bins = 0.0117


def test_bins_agree_with_the_calibration_curve_of_scikit_learn(rng: np.random.Generator) -> None:
    p = rng.random(500)
    happened = rng.random(500) < p**2
    sums = bin_sums(p, happened)
    observed, said = calibration_curve(happened, p, n_bins=10, strategy="quantile")
    assert sums[:, 2] / sums[:, 0] == pytest.approx(observed)
    assert sums[:, 1] / sums[:, 0] == pytest.approx(said)
    expected = np.sum(sums[:, 0] * np.abs(observed - said)) / 500
    assert m.expected_calibration_error(sums) == pytest.approx(expected)


def test_scores_of_bins_work_over_leading_axes(rng: np.random.Generator) -> None:
    p, cluster = rng.random(60), np.repeat(np.arange(6), 10)
    stack = m.cluster_bin_sums(p, rng.random(60) < p, m.equal_mass_bins(p, 3), cluster, 6)
    parts = m.brier_decomposition(stack)
    for i in range(6):
        one = m.brier_decomposition(stack[i])
        assert all(parts[name][i] == pytest.approx(float(one[name])) for name in parts)
    assert m.expected_calibration_error(stack).shape == (6,)


def test_an_empty_bin_of_a_replicate_counts_nothing(rng: np.random.Generator) -> None:
    p = rng.random(40)
    sums = bin_sums(p, rng.random(40) < p, 4)
    padded = np.concatenate([sums, np.zeros((1, 5))])
    plain = m.brier_decomposition(sums)
    assert all(value == pytest.approx(float(plain[name])) for name, value in m.brier_decomposition(padded).items())
    assert m.expected_calibration_error(padded) == pytest.approx(m.expected_calibration_error(sums))
