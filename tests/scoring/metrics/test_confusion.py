"""Scores of confusion matrices against values by hand and against scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

from seismag.scoring import metrics as m

# True class in rows. Totals: truth 10, 5, 5; predicted 8, 7, 5; 13 of 20 right.
HAND = np.array([[7.0, 2.0, 1.0], [1.0, 3.0, 1.0], [0.0, 2.0, 3.0]])

labels = st.integers(2, 9).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60)
    )
)


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    true, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    assert m.confusion_matrix(true, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_confusion_matrix_refuses_a_class_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="predicted class lies outside 0 to 2"):
        m.confusion_matrix(np.array([0, 1]), np.array([0, 3]), 3)
    with pytest.raises(ValueError, match="true class lies outside"):
        m.confusion_matrix(np.array([-1, 1]), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match="2 true, 1 predicted"):
        m.confusion_matrix(np.array([0, 1]), np.array([0]), 3)


def test_confusion_matrices_of_clusters_add_up_to_the_whole(rng: np.random.Generator) -> None:
    true, predicted, cluster = rng.integers(0, 4, 200), rng.integers(0, 4, 200), rng.integers(0, 12, 200)
    parts = m.cluster_confusion(true, predicted, cluster, 4)
    assert np.array_equal(parts.sum(axis=0), m.confusion_matrix(true, predicted, 4))
    assert np.array_equal(parts[3], m.confusion_matrix(true[cluster == 3], predicted[cluster == 3], 4))


def test_scores_of_a_small_matrix_equal_the_values_by_hand() -> None:
    assert m.accuracy(HAND) == pytest.approx(13 / 20)
    assert m.balanced_accuracy(HAND) == pytest.approx((7 / 10 + 3 / 5 + 3 / 5) / 3)
    # F1 = 2 hits / (truth + predicted): 14/18, 6/12, 6/10
    assert m.macro_f1(HAND) == pytest.approx((14 / 18 + 6 / 12 + 6 / 10) / 3)
    # R_K: (13*20 - (10*8 + 5*7 + 5*5)) / sqrt((400 - 138)(400 - 150)) with 8²+7²+5² = 138, 10²+5²+5² = 150
    assert m.mcc(HAND) == pytest.approx(120 / np.sqrt(262 * 250))
    classes = m.per_class(HAND)
    assert classes["recall"] == pytest.approx([0.7, 0.6, 0.6])
    assert classes["precision"] == pytest.approx([7 / 8, 3 / 7, 3 / 5])
    assert classes["n"].tolist() == [10, 5, 5]
    assert classes["n_predicted"].tolist() == [8, 7, 5]


def test_two_class_correlation_is_the_phi_coefficient() -> None:
    # (tp tn - fp fn) / sqrt(...) with tn 50, fp 10, fn 5, tp 35
    cm = np.array([[50.0, 10.0], [5.0, 35.0]])
    assert m.mcc(cm) == pytest.approx((35 * 50 - 10 * 5) / np.sqrt(45 * 40 * 60 * 55))


def test_constant_rules_reproduce_the_published_accuracies() -> None:
    # docs/method: 1972 windows, 48 errors = 28 Large + 20 Moderate, all else right
    magnitude = np.zeros((4, 4))
    magnitude[0, 0], magnitude[1, 2], magnitude[2, 2], magnitude[3, 2] = 888, 20, 1036, 28
    assert magnitude.sum() == 1972
    assert m.accuracy(magnitude) == pytest.approx(0.975, abs=0.001)
    assert m.balanced_accuracy(magnitude) == pytest.approx(0.5)
    azimuth = np.zeros((9, 9))
    azimuth[0, 0], azimuth[1, 1] = 888, 480
    azimuth[2:, 1] = np.array([86, 86, 86, 86, 86, 87, 87])
    assert m.accuracy(azimuth) == pytest.approx(0.6937, abs=1e-4)
    assert m.balanced_accuracy(azimuth) == pytest.approx(2 / 9)


def test_absent_classes_are_left_out_and_undefined_correlation_is_zero() -> None:
    cm = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert m.balanced_accuracy(cm) == pytest.approx(0.75)
    assert m.macro_f1(cm) == pytest.approx((6 / 7 + 0) / 2)  # class 1 was predicted, class 2 occurs nowhere
    assert m.mcc(cm) == 0
    assert np.isnan(m.per_class(cm)["recall"][1])
    assert np.isnan(m.per_class(cm)["f1"][2])
    assert np.isnan(m.accuracy(np.zeros((3, 3))))
    assert m.mcc(np.zeros((3, 3))) == 0


@given(labels)
@settings(deadline=None)  # a busy machine is no failure
def test_scores_agree_with_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    k, pairs = case
    true, predicted = np.array(pairs).T
    cm = m.confusion_matrix(true, predicted, k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes absent from the truth
        assert m.balanced_accuracy(cm) == pytest.approx(balanced_accuracy_score(true, predicted))
        assert m.macro_f1(cm) == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
        assert m.mcc(cm) == pytest.approx(matthews_corrcoef(true, predicted), abs=1e-12)
    assert m.accuracy(cm) == pytest.approx(np.mean(true == predicted))


def test_scores_work_over_leading_axes(rng: np.random.Generator) -> None:
    stack = rng.integers(0, 5, (2, 7, 4, 4)).astype(float)
    for score in (m.accuracy, m.balanced_accuracy, m.macro_f1, m.mcc):
        one_by_one = [[float(score(cm)) for cm in row] for row in stack]
        assert np.allclose(score(stack), one_by_one, equal_nan=True)


def test_correlation_of_large_counts_does_not_overflow() -> None:
    assert m.mcc(HAND * 1e12) == pytest.approx(float(m.mcc(HAND)))
