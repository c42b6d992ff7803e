"""Scores of arrays and the bootstrap against values by hand, scikit-learn, slow versions and limits."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, matthews_corrcoef, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

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


def brute_force(score, is_event, stratum, weight) -> float:
    concordant = pairs = 0.0
    for i in np.flatnonzero(is_event):
        for j in np.flatnonzero(~is_event & (stratum == stratum[i])):
            pairs += weight[i] * weight[j]
            concordant += weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return concordant / pairs


def test_one_stratum_gives_the_area_of_scikit_learn(rng: np.random.Generator) -> None:
    is_event = rng.random(200) < 0.4
    score = np.round(rng.normal(is_event, 1.5), 1)  # with ties
    sums = m.cluster_concordance(score, is_event, np.zeros(200, int), rng.integers(0, 20, 200), 20).sum(axis=0)
    assert sums[:2] == pytest.approx(sums[2:])
    assert m.auc_of_sums(sums, sums) == pytest.approx(roc_auc_score(is_event, score))


def test_only_pairs_of_one_station_count(rng: np.random.Generator) -> None:
    is_event, station = rng.random(90) < 0.5, rng.integers(0, 4, 90)
    score = np.round(rng.normal(size=90), 1)
    sums = m.cluster_concordance(score, is_event, station, np.arange(90), 90).sum(axis=0)
    assert m.auc_of_sums(sums, sums) == pytest.approx(brute_force(score, is_event, station, np.ones(90)))


def test_what_a_station_alone_says_is_worth_one_half() -> None:
    station = np.repeat([0, 1], 50)
    is_event = np.concatenate([np.arange(50) < 45, np.arange(50) < 5])
    sums = m.cluster_concordance(1.0 - station, is_event, station, np.arange(100), 100).sum(axis=0)
    assert m.auc_of_sums(sums, sums) == 0.5
    assert roc_auc_score(is_event, 1.0 - station) == pytest.approx(0.9)


def test_one_kind_alone_leaves_the_area_undefined() -> None:
    sums = m.cluster_concordance(np.arange(3.0), np.ones(3, bool), np.zeros(3, int), np.zeros(3, int), 1).sum(axis=0)
    assert np.isnan(m.auc_of_sums(sums, sums))


def test_first_order_replicates_spread_like_recomputed_ones(rng: np.random.Generator) -> None:
    """60 clusters of 5 rows with a level of their own: each replicate recomputed pair by pair, and by sums."""
    cluster = np.repeat(np.arange(60), 5)
    is_event = cluster < 30
    score = rng.normal(0.5 * is_event + rng.normal(0, 1, 60)[cluster], 1)
    station = np.zeros(300, int)
    values = m.cluster_concordance(score, is_event, station, cluster, 60)
    strata = (np.arange(60) < 30).astype(int)
    replicates = m.auc_of_sums(m.bootstrap_sums(values, strata, 400, np.random.default_rng(1)), values.sum(axis=0))
    drawn = m.bootstrap_sums(np.eye(60), strata, 400, np.random.default_rng(1))
    exact = [roc_auc_score(is_event, score, sample_weight=weights[cluster]) for weights in drawn]
    assert replicates.mean() == pytest.approx(np.mean(exact), abs=0.003)
    assert replicates.std() == pytest.approx(np.std(exact), rel=0.03)
    assert np.corrcoef(replicates, exact)[0, 1] > 0.99


def bin_sums(p: np.ndarray, happened: np.ndarray, n_bins: int = 10) -> np.ndarray:
    return m.cluster_bin_sums(p, happened, m.equal_mass_bins(p, n_bins), np.zeros(len(p), int), 1)[0]


def test_bins_hold_equal_numbers_and_never_part_equal_values(rng: np.random.Generator) -> None:
    assert np.bincount(m.equal_mass_bins(rng.random(1000), 10)).tolist() == [100] * 10
    tied = np.repeat([0.0, 0.2, 1.0], [700, 200, 100])
    assert m.equal_mass_bins(tied, 10).tolist() == np.repeat([0, 1, 2], [700, 200, 100]).tolist()
    assert m.equal_mass_bins(np.full(5, 0.3), 10).tolist() == [0] * 5


@given(st.lists(st.tuples(st.sampled_from(np.round(np.linspace(0, 1, 21), 2)), st.booleans()), min_size=2, max_size=80))
@settings(max_examples=60)
def test_the_parts_sum_to_the_brier_score_exactly(rows: list[tuple[float, bool]]) -> None:
    p, happened = (np.array(column) for column in zip(*rows, strict=True))
    parts = m.brier_decomposition(bin_sums(p, happened, 5))
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bin"]
    assert total == pytest.approx(brier_score_loss(happened, p, pos_label=True), abs=1e-12)
    assert parts["brier"] == pytest.approx(total, abs=1e-12)


def test_the_parts_by_hand() -> None:
    # 4 rows at 0.25, one happened; 4 rows at 0.75, two happened; base 3/8
    p, happened = np.repeat([0.25, 0.75], 4), np.array([1, 0, 0, 0, 1, 1, 0, 0], bool)
    parts = m.brier_decomposition(bin_sums(p, happened))
    assert parts["reliability"] == pytest.approx((4 * 0 + 4 * 0.25**2) / 8)
    assert parts["resolution"] == pytest.approx((4 * (1 / 8) ** 2 + 4 * (1 / 8) ** 2) / 8)
    assert parts["uncertainty"] == pytest.approx(3 / 8 * 5 / 8)
    assert parts["within_bin"] == pytest.approx(0)
    assert m.expected_calibration_error(bin_sums(p, happened)) == pytest.approx(0.125)


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
            low, high = np.quantile(drawn, [0.025, 0.975])
            covered[name] += low <= 0.6 <= high
    # expected about 0.94, binomial standard error 0.013; rows: half-width 0.35 of what is needed, about 0.5
    assert 0.90 <= covered["cluster"] / trials <= 0.98
    assert covered["row"] / trials < 0.65


def test_holm_by_hand() -> None:
    assert m.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert m.holm([0.6, 0.9]) == [1.0, 1.0]
    assert m.holm([]) == []
