"""The area under the ROC curve within stations, whole and bootstrapped, against slow versions and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from seismag.scoring import metrics as m


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
