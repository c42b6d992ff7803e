"""Out-of-fold scores from counts, and their null."""

import dataclasses

import numpy as np
import pytest

from seismag.audit.checks.out_of_fold import GroupedLabels, assign_folds, out_of_fold
from seismag.audit.checks.permutation import ColumnTest, compare_codes, permuted_classes
from seismag.config import AuditConfig


def _table(rng: np.random.Generator, n_groups: int = 40, n_classes: int = 3, pure: bool = True):
    size = rng.integers(1, 6, n_groups)
    group = np.repeat(np.arange(n_groups), size)
    y = rng.integers(0, n_classes, n_groups)[group] if pure else rng.integers(0, n_classes, len(group))
    return GroupedLabels(y, group, n_classes), rng.integers(0, 5, len(group))


def _compare(codes, labels, folds, rng, permutations=199, placebos=100) -> ColumnTest:
    few = AuditConfig.model_construct(permutations=permutations, placebos=placebos, family_wise_error=0.01)
    return compare_codes(codes, labels, folds, few, rng)


def _refit(code, labels, folds) -> tuple[float, float, float]:
    """The slow way: refit the rule for every fold, row by row."""
    k, result = labels.n_classes, []
    for fold_of_group in folds:
        fold = fold_of_group[labels.group]
        p, q = np.zeros((len(code), k)), np.zeros((len(code), k))
        for i in range(len(code)):
            train = fold != fold[i]
            n = np.bincount(labels.y[train], minlength=k)
            q[i] = (n + 1) / (n.sum() + k)
            n_bin = np.bincount(labels.y[train & (code == code[i])], minlength=k)
            p[i] = (n_bin + k * q[i]) / (n_bin.sum() + k)
        hit = np.round(p / q, 6).argmax(axis=1) == labels.y
        recall = [hit[labels.y == c].mean() for c in range(k) if (labels.y == c).any()]
        rows = np.arange(len(code))
        gain = np.log(p / q)[rows, labels.y].mean()
        result.append(((np.round(p, 6).argmax(axis=1) == labels.y).mean(), np.mean(recall), gain))
    return tuple(np.mean(result, axis=0))


@pytest.mark.parametrize("pure", [True, False])
def test_scores_from_counts_are_those_of_a_refit(rng, pure):
    labels, code = _table(rng, pure=pure)
    folds = assign_folds(labels.n_groups, 5, 3, rng)
    accuracy, balanced, gain = _refit(code, labels, folds)
    found = _compare({"a": code}, labels, folds, rng, 99, 20)
    assert found.scores == out_of_fold(code, labels, folds)
    assert dataclasses.astuple(found.scores) == pytest.approx((accuracy, balanced), abs=2e-4)
    assert found.statistic == pytest.approx(gain, abs=2e-4)


def test_a_column_that_is_the_class_predicts_it_and_one_value_predicts_nothing(rng):
    labels, _ = _table(rng, n_classes=2)
    folds = assign_folds(labels.n_groups, 10, 20, rng)
    copied = out_of_fold(labels.y, labels, folds)
    assert (copied.accuracy, copied.balanced_accuracy) == (1.0, 1.0)
    nothing = _compare({"one": np.zeros_like(labels.y)}, labels, folds, rng, 99, 20)
    assert nothing.statistic == pytest.approx(0, abs=5e-3)


def test_the_rows_of_a_group_lie_in_one_fold_and_folds_are_equal(rng):
    folds = assign_folds(103, 10, 4, rng)
    assert folds.shape == (4, 103)
    assert all(set(np.bincount(row)) <= {10, 11} for row in folds)
    assert set(assign_folds(3, 10, 1, rng)[0]) == {0, 1, 2}
    with pytest.raises(ValueError, match="1 group cannot"):
        assign_folds(1, 10, 1, rng)


def test_a_permutation_moves_whole_groups_within_their_stratum(rng):
    labels, _ = _table(rng)
    group = labels.group
    each = GroupedLabels(group, group, labels.n_groups, stratum=group % 4)  # the class is the group
    received = permuted_classes(each, 50, rng)
    first = np.unique(labels.group, return_index=True)[1]
    assert (np.sort(received[:, first], axis=1) == np.arange(labels.n_groups)).all()
    assert (received % 4 == labels.group % 4).all()
    assert (received == received[:, first][:, labels.group]).all()


def test_the_strongest_of_several_columns_is_found_and_p_is_the_smallest_possible(rng):
    labels, noise = _table(rng, n_groups=60, n_classes=2)
    copied = np.where(rng.random(len(labels.y)) < 0.9, labels.y, 1 - labels.y)
    folds = assign_folds(labels.n_groups, 10, 5, rng)
    found = _compare({"noise": noise, "copied": copied}, labels, folds, rng)
    assert found.strongest == "copied"
    assert found.p_value == 1 / 200
    assert found.accuracy_gain > 0.3


def test_matched_controls_and_their_null_score_below_one_half(rng):
    # each group of two classes' rows at one station each: the classes of the fold are missing from training
    n = 30
    station = np.repeat(np.arange(10), 6)
    labels = GroupedLabels(np.tile([0, 1], n), np.arange(2 * n), 2)
    folds = assign_folds(2 * n, 10, 20, rng)
    found = _compare({"station": station}, labels, folds, rng)
    assert found.scores.accuracy < 0.4
    assert found.p_value > 0.5


def test_p_is_uniform_where_groups_carry_the_class_and_the_column(rng):
    p_values = []
    for _ in range(200):
        labels, _ = _table(rng, n_groups=30, n_classes=2)
        code = rng.integers(0, 4, labels.n_groups)[labels.group]  # as clustered as the class
        folds = assign_folds(labels.n_groups, 5, 2, rng)
        p_values.append(_compare({"a": code}, labels, folds, rng, 99, 20).p_value)
    fraction = np.mean(np.array(p_values) <= 0.1)
    assert 0.05 < fraction < 0.16  # 0.1 +- 2.8 standard errors; rows shuffled one by one would give 0.3


def test_shuffled_tables_keep_the_prevalence_of_the_table(rng):
    # class 1 has the large groups: moved to small ones it keeps its weight
    group = np.repeat(np.arange(40), np.where(np.arange(40) < 20, 1, 9))
    labels = GroupedLabels((group >= 20).astype(int), group, 2)
    folds = assign_folds(40, 10, 5, rng)
    found = _compare({"one": np.zeros_like(group)}, labels, folds, rng)
    assert found.null_scores.accuracy == pytest.approx(0.9, abs=0.01)
    assert found.scores.accuracy == pytest.approx(0.9)


def test_the_placebo_rate_is_about_the_level_where_the_table_itself_has_an_error(rng):
    labels, _ = _table(rng, n_groups=60, n_classes=2)
    folds = assign_folds(labels.n_groups, 5, 2, rng)
    found = _compare({"copy": labels.y}, labels, folds, rng, 199, 200)
    assert found.p_value == 1 / 200
    assert 0.01 <= found.placebo_rate <= 0.1
