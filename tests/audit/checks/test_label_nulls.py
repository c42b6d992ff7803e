"""Circular time shifts, permutations and refits: null distributions of labels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from fixtures.geomagnetic_store import FAST, make_field, make_samples, make_store
from fixtures.null_predictions import make_predictions
from seismag.audit.checks.label_nulls import (
    band_features,
    folds_of,
    model_features,
    permute_within_station_season,
    refit_auc,
    refit_permuted,
    shift_labels,
    standardise_by_station,
)
from seismag.domain import DataError
from seismag.estimate import CheckResult
from seismag.scoring.linear_probe import RIDGE, out_of_fold_scores
from seismag.scoring.station_auc import (
    permuted_labels,
    rank_windows,
    shifted_auc,
    station_auc,
)


def in_season(predictions: pd.DataFrame) -> CheckResult:
    return permute_within_station_season(predictions, FAST)


@pytest.fixture
def samples() -> pd.DataFrame:
    return make_samples(["GTO", "ALR"], 120).sample(frac=1, random_state=1)  # in no order


def is_event(samples: pd.DataFrame) -> np.ndarray:
    return (samples["magnitude_class"] != "Normal").to_numpy()


def test_stations_are_pooled_by_their_pairs_and_their_levels_do_not_count(samples, rng):
    score = rng.random(len(samples))
    expected, pairs = 0.0, 0
    for code in ("GTO", "ALR"):
        here = (samples["station"] == code).to_numpy()
        n = is_event(samples)[here].sum() * (~is_event(samples))[here].sum()
        expected, pairs = expected + n * roc_auc_score(is_event(samples)[here], score[here]), pairs + n
    level = np.where(samples["station"] == "GTO", 5.0, 0.0)
    assert station_auc(rank_windows(samples, score + level)) == pytest.approx(expected / pairs)


def test_shifts_are_those_of_a_slow_roll_of_the_groups(samples, rng):
    score = rng.random(len(samples))
    rows = rank_windows(samples, score)
    order = samples.groupby("split_group")["start_utc"].min().sort_values(kind="stable").index
    label = samples.groupby("split_group")["magnitude_class"].first()[order] != "Normal"
    least = int(np.ceil(0.05 * len(order)))
    slow = []
    for shift in range(least, len(order) - least + 1):
        rolled = pd.Series(np.roll(label, shift), index=order)
        events = rolled[samples["split_group"]].to_numpy()
        shifted = samples.assign(magnitude_class=np.where(events, "Large", "Normal"))
        slow.append(station_auc(rank_windows(shifted, score)))
    assert shifted_auc(rows) == pytest.approx(slow)


def test_labels_are_permuted_between_whole_groups_within_their_stratum(samples, rng):
    rows = rank_windows(samples, rng.random(len(samples)))
    labels = permuted_labels(rows, rows.station, 50, rng)
    table = pd.DataFrame(
        {"group": rows.group, "station": rows.station, "event": rows.is_event, **dict(enumerate(labels))}
    )
    by_unit = table.groupby(["station", "group"])
    assert (by_unit[list(range(50))].nunique() == 1).all(axis=None)
    units = by_unit.first()
    counts = units.groupby("station")[["event", *range(50)]].sum()
    assert (counts.sub(counts["event"], axis=0) == 0).all(axis=None)  # as many event groups in each station as before
    assert units[list(range(50))].nunique(axis=1).min() == 2  # and each group gets either label


@pytest.mark.parametrize("test", [shift_labels, in_season])
def test_a_ranking_that_knows_the_events_beats_every_null(samples, rng, test):
    p_event = np.clip(0.3 + 0.3 * is_event(samples) + rng.normal(0, 0.1, len(samples)), 0, 1)
    result = test(make_predictions(samples, p_event))
    assert result.statistic > max(0.9, result.null.high)
    assert result.above_minimum
    assert not result.blocking
    assert result.verdict == "informational"
    assert result.p_value is result.placebo_rate is None  # its size does not hold with seasons and swarms
    assert "A description without p-value" in result.sentence


@pytest.mark.parametrize("test", [shift_labels, in_season])
def test_a_ranking_that_knows_only_the_station_is_at_chance(samples, rng, test):
    p_event = np.where(samples["station"] == "GTO", 0.8, 0.2) + rng.uniform(0, 0.01, len(samples))
    result = test(make_predictions(samples, p_event))
    assert result.statistic < result.null.high


@pytest.mark.parametrize("test", [shift_labels, in_season])
def test_weather_that_stations_have_in_common_is_within_the_range(test):
    """Groups of several stations keep one label: permuting each station apart gives a range that is half as wide."""
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(60), 9)
        station = np.tile(np.repeat(["GTO", "ALR", "LUT"], 3), 60)
        start = pd.Timestamp("2021-01-01") + pd.to_timedelta(24 * 3 * group + 6 * np.tile(np.arange(3), 180), unit="h")
        label = np.where(rng.permutation(60) < 30, "Large", "Normal")[group]
        table = pd.DataFrame({"station": station, "start_utc": start, "split_group": group, "magnitude_class": label})
        table["sample_id"] = [f"{code}-{number}" for number, code in enumerate(station)]
        weather = rng.normal(size=60)[group] + 0.3 * rng.normal(size=len(group))
        result = test(make_predictions(table, 1 / (1 + np.exp(-weather))))
        inside.append(result.null.low <= result.statistic <= result.null.high)
    assert np.mean(inside) >= 0.85  # 34 of 40; of 0.95


def test_too_few_pairs_are_inconclusive(samples):
    few = samples[samples["station"] == "GTO"].sort_values("start_utc").iloc[:10]
    result = shift_labels(make_predictions(few, np.full(len(few), 0.5)))
    assert result.p_value is None
    assert "at least 100 are needed" in result.sentence


def test_the_reference_model_finds_an_injected_band_and_nothing_without_it(samples, rng):
    samples = samples.sort_values(["station", "start_utc"], ignore_index=True)
    power = make_field(samples, rng)
    nothing = refit_permuted(make_store(samples, power), None, FAST)
    power[is_event(samples), :, 3:9] += 6.0  # 8 to 18 mHz
    injected = refit_permuted(make_store(samples, power), None, FAST)
    assert nothing.statistic <= nothing.null.high
    assert nothing.details["auc_by_band"] == {}
    assert injected.statistic > max(0.9, injected.null.high)
    assert max(injected.details["auc_by_band"], key=injected.details["auc_by_band"].get) in ("pc4", "pc3")
    assert nothing.p_value is injected.p_value is None
    assert injected.details["windows"] == len(samples)
    assert injected.sentence.startswith("Reference model: ")


def test_windows_whose_band_is_masked_are_left_out_and_counted(samples, rng):
    power = make_field(samples, rng)
    power[3] = np.nan
    result = refit_permuted(make_store(samples, power), None, FAST)
    assert result.details["windows_left_out"] == 1
    assert result.details["windows"] == len(samples) - 1


def test_refits_of_many_labels_are_those_of_one_by_one(samples, rng):
    samples = samples.sort_values(["station", "start_utc"], ignore_index=True)
    rows = rank_windows(samples, np.zeros(len(samples)))
    values = rng.normal(size=(len(samples), 5)) + rows.is_event[:, None]
    folds = folds_of(samples, None, 5)
    labels = np.concatenate([rows.is_event[None], permuted_labels(rows, rows.station, 4, rng)])
    together = refit_auc(values, labels, rows.station, folds)
    assert together == pytest.approx([refit_auc(values, one[None], rows.station, folds)[0] for one in labels])
    assert together[0] > 0.8


def test_categories_that_are_not_sorted_rank_like_texts() -> None:
    rng = np.random.default_rng(8)
    table = pd.DataFrame(
        {
            "station": rng.choice(["Z", "A", "M"], 60), "start_utc": pd.date_range("2021-01-01", periods=60),
            "split_group": [f"g{i // 2}" for i in range(60)], "p_magnitude_Normal": rng.random(60),
            "y_magnitude": np.where(np.arange(60) // 2 % 2, "Large", "Normal"),
        }
    )  # fmt: skip
    kinds = {"station": pd.CategoricalDtype(["Z", "A", "M", "elsewhere"]), "split_group": "category"}
    one, other = rank_windows(table), rank_windows(table.astype(kinds))
    for name in ("station", "rank", "is_event"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


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
