"""The reference model: features by hand, folds, and a ridge regression beside scikit-learn's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from fixtures.geomagnetic_store import make_field, make_samples, make_store
from seismag.audit.checks.label_nulls import band_features, folds_of, model_features, standardise_by_station
from seismag.domain import DataError
from seismag.scoring.linear_probe import RIDGE, out_of_fold_scores


def test_band_features_by_hand():
    power = np.zeros((1, 3, 2, 4))
    power[0, 0, 0] = [1, 3, np.nan, 5]  # H of the first band: columns 1, 3, -, 5: mean 3, deviation sqrt(8/3)
    power[0, 1, 0] = 2.0
    power[0, 2, 0] = 10.0
    features = band_features(power, {"pc3": np.array([True, False])})
    assert features["pc3_H"] == pytest.approx([3.0])
    assert features["pc3_H_spread"] == pytest.approx([np.sqrt(8 / 3)])
    assert features["pc3_Z_over_HD"] == pytest.approx([10 - (3 + 2) / 2])
    assert len(features) == 7


def test_a_band_that_is_masked_throughout_is_unknown():
    power = np.full((1, 3, 2, 4), np.nan)
    assert np.isnan(np.stack(list(band_features(power, {"pc3": np.array([True, True])}).values()))).all()


def test_coherency_of_constant_phasors_is_one_and_of_turning_ones_zero(rng):
    samples = make_samples(["GTO"], 4)
    store = make_store(samples, make_field(samples, rng))
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    cross = np.zeros((len(samples), 3, 2, 60, 24))
    cross[:, 0, 0] = 1.0
    cross[:, 1, 0], cross[:, 1, 1] = np.cos(angle), np.sin(angle)
    names, values = model_features(type(store)(**{**vars(store), "cross": cross}))
    column = dict(zip(names, values.T, strict=True))
    assert column["pc3_XY_coherency"] == pytest.approx(np.ones(len(samples)))
    assert column["pc3_ZX_coherency"] == pytest.approx(np.zeros(len(samples)), abs=1e-6)


def test_a_store_without_a_band_is_refused(rng):
    samples = make_samples(["GTO"], 4)
    store = make_store(samples, make_field(samples, rng))
    with pytest.raises(DataError, match="so there are no bands to describe"):
        model_features(type(store)(**{**vars(store), "frequency_hz": store.frequency_hz * 1000}))


def test_features_are_standardised_by_station(rng):
    values = rng.normal(size=(40, 2)) + np.repeat([[0, 5], [9, 1]], 20, axis=0)
    result = standardise_by_station(values, np.repeat(["GTO", "ALR"], 20))
    assert result[:20].mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert result[20:].std(axis=0) == pytest.approx([1, 1])


def test_scores_are_those_of_a_ridge_regression_without_its_intercept(rng):
    x, y = rng.normal(size=(80, 4)) * [1, 2, 3, 4] + 7, rng.random((80, 2))
    train, test = np.arange(60), np.arange(60, 80)
    scores = out_of_fold_scores(x, y, [(train, test)])
    middle, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    model = Ridge(alpha=RIDGE * 60).fit((x[train] - middle) / deviation, y[train])
    assert scores[test] == pytest.approx(model.predict((x[test] - middle) / deviation) - model.intercept_)
    assert np.isnan(scores[train]).all()


def test_folds_follow_the_split_and_leave_excluded_windows_out():
    samples = make_samples(["GTO"], 4)
    split = pd.DataFrame(
        {"sample_id": samples["sample_id"], "fold": 1, "role": ["train"] * 4 + ["purged"] * 2 + ["test"] * 2}
    )
    [(train, test)] = folds_of(samples, split, 5)
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3], [6, 7])
    with pytest.raises(DataError, match="fold 1 has 0 train and 2 test"):
        folds_of(samples, split.assign(role=split["role"].replace("train", "purged")), 5)


def test_folds_by_group_keep_groups_whole_and_need_two():
    samples = make_samples(["GTO"], 40)
    folds = folds_of(samples, None, 5)
    groups = samples["split_group"].to_numpy()
    assert all(set(groups[train]).isdisjoint(groups[test]) for train, test in folds)
    with pytest.raises(DataError, match="all windows are of one group"):
        folds_of(samples.assign(split_group="normal:1"), None, 5)
