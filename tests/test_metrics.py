"""Scores against values by hand, against scikit-learn, and the bootstrap in its limits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

from seismag import metrics as m

# True class in rows. Totals: truth 10, 5, 5; predicted 8, 7, 5; 13 of 20 right.
HAND = np.array([[7.0, 2.0, 1.0], [1.0, 3.0, 1.0], [0.0, 2.0, 3.0]])

labels = st.integers(2, 9).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60)
    )
)


def test_confusion_matrix_has_the_truth_in_rows_and_adds_weights() -> None:
    true, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    assert m.confusion_matrix(true, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    weights = np.array([0.5, 2.0, 3.0, 4.0])
    assert m.confusion_matrix(true, predicted, 3, weights).tolist() == [[0.5, 2, 0], [0, 3, 0], [4, 0, 0]]


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


def test_log_score_is_the_mean_log_probability_with_a_floor() -> None:
    probs = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    assert m.log_score(probs, np.array([0, 1, 0])) == pytest.approx((np.log(0.5) + np.log(0.75)) / 3)
    assert m.log_score(np.full((5, 4), 0.25), np.arange(5) % 4) == pytest.approx(-np.log(4))
    assert m.row_log_scores(probs, np.array([0, 1, 1]))[2] == pytest.approx(np.log(1e-6))


def test_bootstrap_draws_each_stratum_at_its_own_size(rng: np.random.Generator) -> None:
    strata = np.array([0, 1, 0, 1, 1])
    counts = m.bootstrap_sums(np.eye(5), strata, 20_000, rng)  # the draws themselves
    assert np.all(counts[:, strata == 0].sum(axis=1) == 2)
    assert np.all(counts[:, strata == 1].sum(axis=1) == 3)
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    # multinomial: variance 1 - 1/c, so 1/2 and 2/3
    assert counts.var(axis=0) == pytest.approx([1 / 2, 2 / 3, 1 / 2, 2 / 3, 2 / 3], abs=0.03)


def test_bootstrap_sums_what_it_drew_and_repeats_with_its_seed(rng: np.random.Generator) -> None:
    values = rng.normal(size=(30, 2, 3))
    values[:, 1, 1] = 0
    strata = np.zeros(30, dtype=int)
    sums = m.bootstrap_sums(values, strata, 50, np.random.default_rng(1))
    counts = m.bootstrap_sums(np.eye(30), strata, 50, np.random.default_rng(1))
    assert np.allclose(sums, np.einsum("rc,cij->rij", counts, values))
    assert np.array_equal(sums, m.bootstrap_sums(values, strata, 50, np.random.default_rng(1)))


def test_bootstrap_is_the_same_in_one_chunk_or_many(monkeypatch: pytest.MonkeyPatch) -> None:
    values, strata = np.eye(8), np.zeros(8, dtype=int)
    whole = m.bootstrap_sums(values, strata, 40, np.random.default_rng(3))
    monkeypatch.setattr(m, "_CHUNK_CELLS", 8 * 7)
    assert np.array_equal(whole, m.bootstrap_sums(values, strata, 40, np.random.default_rng(3)))


def test_percentile_interval_cuts_both_tails_and_is_undefined_when_many_replicates_are() -> None:
    assert m.percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))
    holes = np.arange(100.0)
    holes[:4] = np.nan
    assert np.all(np.isfinite(m.percentile_interval(holes, 0.9)))
    holes[:6] = np.nan
    assert np.all(np.isnan(m.percentile_interval(holes, 0.9)))


def test_cluster_bootstrap_covers_where_a_bootstrap_of_rows_does_not() -> None:
    """40 clusters of 8 rows, all right or all wrong with probability 0.6: the row bootstrap thinks n = 320."""
    rng = np.random.default_rng(11)
    covered = {"cluster": 0, "row": 0}
    trials = 300
    for _ in range(trials):
        right = rng.random(40) < 0.6
        clusters = np.zeros((40, 2, 2))
        clusters[:, 0, 0], clusters[:, 0, 1] = 8 * right, 8 * ~right
        rows = np.repeat(clusters / 8, 8, axis=0)
        for name, values in (("cluster", clusters), ("row", rows)):
            drawn = m.accuracy(m.bootstrap_sums(values, np.zeros(len(values), dtype=int), 400, rng))
            low, high = m.percentile_interval(drawn, 0.95)
            covered[name] += low <= 0.6 <= high
    # expected about 0.94, binomial standard error 0.013; rows: half-width 0.35 of what is needed, about 0.5
    assert 0.90 <= covered["cluster"] / trials <= 0.98
    assert covered["row"] / trials < 0.65
