"""Learnt rules: what they may see, what they find, and that they do not lose where nothing is to be found."""

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import baselines_within_table
from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.scoring.baselines import BASELINES, GROUPS, ORACLE, absent_baselines, baseline_predictions
from seismag.scoring.baselines.inputs import (
    BASELINE_COLUMNS,
    NON_MAGNETIC_COLUMNS,
    QUALITY_COLUMNS,
    baseline_inputs,
    fit_encoder,
)
from seismag.scoring.baselines.logistic import shrink_towards
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.metrics import balanced_accuracy, confusion_matrix, row_log_scores
from seismag.scoring.predictions import probability_columns

DETECTION = probability_columns("detection")
STATIONS = ("GTO", "ALR", "TRT")
NO_SIGNAL = [name for name in BASELINES if GROUPS[name] in ("constant", "no_signal")]


def make_samples(n_groups: int = 60, rows_each: int = 5, seed: int = 0) -> pd.DataFrame:
    """Samples without any skill to be had: half of the groups are events; nothing depends on the class."""
    rng = np.random.default_rng(seed)
    n = n_groups * rows_each
    group = np.repeat(np.arange(n_groups), rows_each)
    event = group % 2 == 1
    start = np.datetime64("2020-01-01", "ms") + rng.permutation(n) * np.timedelta64(30, "h")
    return pd.DataFrame(
        {
            "sample_id": [f"s{i:04d}" for i in range(n)],
            "station": rng.choice(STATIONS, n),
            "start_utc": start,
            "end_utc": start + np.timedelta64(6, "h"),
            "split_group": [f"{'event' if e else 'normal'}:{g}" for g, e in zip(group, event, strict=True)],
            "event_id": [f"e{g}" if e else None for g, e in zip(group, event, strict=True)],
            "magnitude_class": np.where(event, np.array(MAGNITUDE_CLASSES)[1 + group % 3], "Normal"),
            "azimuth_class": np.where(event, np.array(AZIMUTH_CLASSES)[1 + group % 8], "Normal"),
            "local_hour": rng.uniform(0, 24, n),
            "kp_max": np.round(rng.gamma(2, 1, n) * 3) / 3,
            "dst_min_nt": np.round(-rng.gamma(2, 8, n)),
            "past_rate": np.where(rng.random(n) < 0.1, 0.0, 10 ** rng.normal(-2, 1, n)),
            "gap_fraction": rng.choice([0.0, 0.01, 0.1], n),
            "masked_fraction": rng.choice([0.0, 0.05], n),
            "noise_floor_nt": 10 ** rng.normal(-2, 0.1, n),
            "h_axis_source": rng.choice(["file", "main field"], n),
            "h_axis_deg": rng.normal(0, 1, n),
            "source_sha256": [f"{i:064x}" for i in range(n)],
            "origin": "observed",
            "magnitude": np.where(event, 4.5 + group % 3, np.nan),
        }
    )


def split_of(samples: pd.DataFrame) -> pd.DataFrame:
    """One fold: every fifth pair of groups is tested."""
    number = samples["split_group"].str.split(":").str[1].astype(int)
    role = np.where(number // 2 % 5 == 0, "test", "train")
    return samples[["sample_id", "split_group"]].assign(fold=1, role=role)


def predict(samples: pd.DataFrame) -> dict[str, pd.DataFrame]:
    split = split_of(samples)
    return baseline_predictions(samples, split, split.loc[split["role"] == "test", "sample_id"])


def fit_only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Leave out the other logistic baselines."""
    monkeypatch.setattr("seismag.scoring.baselines.LOGISTIC_BASELINES", names)


@pytest.fixture
def few_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three folds within a table, and not ten."""
    monkeypatch.setattr("seismag.scoring.baselines.MAX_FOLDS", 3)


@pytest.fixture(scope="module")
def chance() -> dict[str, pd.DataFrame]:
    """Forecasts of samples without any skill."""
    return predict(make_samples())


def truth_of(samples: pd.DataFrame, ids: pd.Index) -> np.ndarray:
    return (samples.set_index("sample_id")["magnitude_class"].loc[ids] != "Normal").to_numpy().astype(int)


def balanced_of(samples: pd.DataFrame, table: pd.DataFrame) -> float:
    truth = truth_of(samples, table.index)
    return float(balanced_accuracy(confusion_matrix(truth, table[DETECTION].to_numpy().argmax(axis=1), 2)))


def test_non_magnetic_baselines_are_bit_identical_whatever_any_other_column_holds() -> None:
    samples = make_samples()
    rng = np.random.default_rng(7)
    free = [
        name for name in samples
        if name not in (*NON_MAGNETIC_COLUMNS, "sample_id", "split_group", "magnitude_class", "azimuth_class")
    ]  # fmt: skip
    assert {"noise_floor_nt", "gap_fraction", "masked_fraction", "source_sha256", "h_axis_deg", "origin"} <= set(free)
    scrambled = samples.assign(**{name: samples[name].to_numpy()[rng.permutation(len(samples))] for name in free})
    scrambled = scrambled.assign(gap_fraction=1.0, noise_floor_nt=rng.gamma(1, 1, len(samples)))
    before, after = predict(samples), predict(scrambled)
    for name in NO_SIGNAL:
        pd.testing.assert_frame_equal(before[name], after[name], check_exact=True)
    assert not before["quality"].equals(after["quality"])


def test_no_column_derived_from_recordings_is_on_the_list_of_the_non_magnetic_baselines() -> None:
    assert not set(NON_MAGNETIC_COLUMNS) & set(QUALITY_COLUMNS)
    assert set(NON_MAGNETIC_COLUMNS) == {"station", "start_utc", "local_hour", "kp_max", "dst_min_nt", "past_rate"}


@pytest.mark.parametrize(
    ("rule", "column", "values"),
    [
        ("clock", "start_utc", (np.datetime64("2021-03-01T00", "ms"), np.datetime64("2021-03-01T12", "ms"))),
        ("space_weather", "kp_max", (1.0, 5.0)),
        ("space_weather", "dst_min_nt", (-5.0, -60.0)),
        ("era", "start_utc", (np.datetime64("2018-03-01", "ms"), np.datetime64("2022-03-01", "ms"))),
        ("catalogue_rate", "past_rate", (0.001, 1.0)),
        ("space_weather", "kp_max", (0.0, np.nan)),  # a missing value is a category of its own and no zero
        ("catalogue_rate", "past_rate", (1e-6, 0.0)),  # a rate of zero is distinguished from a small one
        ("quality", "noise_floor_nt", (0.005, 0.03)),
        ("quality", "gap_fraction", (0.0, 0.1)),
    ],
)
def test_a_baseline_finds_the_signal_of_its_column(
    chance: dict[str, pd.DataFrame],
    rule: str,
    column: str,
    values: tuple[object, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit_only(monkeypatch, rule)
    samples = make_samples()
    event = samples["magnitude_class"] != "Normal"
    planted = samples.assign(**{column: np.where(event, values[1], values[0])})
    found = predict(planted)[f"{rule}_balanced"]
    assert balanced_of(planted, found) > 0.95
    assert balanced_of(samples, chance[f"{rule}_balanced"]) < 0.75


def test_joint_baselines_find_a_signal_of_station_and_time_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of instrument at one station: neither the station nor the time alone tells it."""
    fit_only(monkeypatch, "era", "all_no_signal")
    samples = make_samples(n_groups=100)
    late = samples["start_utc"] > samples["start_utc"].median()
    at_one = (samples["station"] == "GTO") == late
    normal = samples["magnitude_class"] == "Normal"
    swapped = samples[normal == at_one].reset_index(drop=True)  # events come late at GTO, early elsewhere
    got = predict(swapped)
    assert balanced_of(swapped, got["era_balanced"]) > 0.85
    assert balanced_of(swapped, got["all_no_signal_balanced"]) > 0.85
    assert balanced_of(swapped, got["station_balanced"]) < 0.75


def test_without_a_signal_a_baseline_does_not_lose_to_the_frequencies() -> None:
    """Mean over 8 sets of samples: without shrinkage a baseline would lose 0.05 to 0.3 nat."""
    loss: dict[str, list[float]] = {rule: [] for rule in BASELINE_COLUMNS}
    for seed in range(8):
        samples = make_samples(n_groups=40, seed=seed)
        got = predict(samples)
        truth = truth_of(samples, got["majority"].index)
        for rule in loss:
            scores = [row_log_scores(got[name][DETECTION].to_numpy(), truth).mean() for name in (rule, "majority")]
            loss[rule].append(scores[0] - scores[1])
    for rule, differences in loss.items():
        assert np.mean(differences) > -0.02, rule


def test_the_balanced_baseline_is_the_plain_one_divided_by_the_training_frequencies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit_only(monkeypatch, "space_weather")
    samples = make_samples()
    got = predict(samples.assign(kp_max=np.where(samples["magnitude_class"] == "Normal", 1.0, 3.0)))
    for task in ("magnitude", "azimuth"):
        columns = probability_columns(task)
        prior = got["majority"][columns].to_numpy()
        expected = got["space_weather"][columns].to_numpy() / prior
        expected /= expected.sum(axis=1, keepdims=True)
        assert got["space_weather_balanced"][columns].to_numpy() == pytest.approx(expected, abs=1e-6)


def test_the_same_table_gives_the_same_numbers_and_rows_may_come_in_any_order(
    chance: dict[str, pd.DataFrame],
) -> None:
    samples = make_samples()
    shuffled = samples.sample(frac=1, random_state=3)
    again, other = predict(samples), predict(shuffled)
    for name in ("all_no_signal", "quality", "era_balanced"):
        pd.testing.assert_frame_equal(chance[name], again[name], check_exact=True)
        assert other[name].loc[chance[name].index].to_numpy() == pytest.approx(chance[name].to_numpy(), abs=0.05)


def test_test_labels_reach_no_logistic_baseline(chance: dict[str, pd.DataFrame]) -> None:
    samples = make_samples()
    tested = (split_of(samples)["role"] == "test").to_numpy()
    other = samples.assign(
        magnitude_class=samples["magnitude_class"].mask(tested, "Large"),
        azimuth_class=samples["azimuth_class"].mask(tested, "W"),
    )
    after = predict(other)
    for name in NO_SIGNAL:
        pd.testing.assert_frame_equal(chance[name], after[name], check_exact=True)


def test_baselines_without_their_columns_are_absent_and_named() -> None:
    samples = make_samples().drop(columns=["past_rate", "noise_floor_nt", "gap_fraction", "masked_fraction"])
    samples = samples.drop(columns=["h_axis_source", "origin"]).assign(kp_max=np.nan, dst_min_nt=np.nan)
    got = predict(samples)
    assert not {"space_weather", "catalogue_rate", "quality"} & set(got)
    assert {"clock", "era", "all_no_signal"} <= set(got)
    (sentence,) = absent_baselines(samples)
    assert sentence.startswith(
        "Baselines absent for lack of their columns: space_weather (kp_max, dst_min_nt); catalogue_rate (past_rate); "
        "quality ("
    )
    assert absent_baselines(make_samples()) == []


def test_a_station_and_values_unseen_in_training_are_predicted() -> None:
    samples = make_samples()
    tested = (split_of(samples)["role"] == "test").to_numpy()
    strange = samples.assign(
        station=samples["station"].mask(tested, "NEW"),
        kp_max=samples["kp_max"].mask(tested, np.nan),
        past_rate=samples["past_rate"].mask(tested, 1e6),
    )
    for name, table in predict(strange).items():
        for task in ("magnitude", "azimuth"):
            assert table[probability_columns(task)].sum(axis=1).to_numpy() == pytest.approx(1), name


@pytest.mark.usefixtures("few_folds")
def test_a_table_with_its_store_uses_the_columns_of_the_store() -> None:
    samples = make_samples(n_groups=10)
    planted = samples.assign(kp_max=np.where(samples["magnitude_class"] == "Normal", 1.0, 5.0))
    table = planted.rename(columns={"magnitude_class": "y_magnitude", "azimuth_class": "y_azimuth"})
    table = table[["sample_id", "station", "start_utc", "split_group", "y_magnitude", "y_azimuth"]].iloc[::2]
    assert "space_weather" not in baselines_within_table(table)
    beside = baselines_within_table(table, planted)["space_weather_balanced"]
    assert beside.index.tolist() == table["sample_id"].tolist()
    assert balanced_of(planted, beside) > 0.95


@pytest.mark.usefixtures("few_folds")
def test_metrics_contain_every_baseline_with_its_group_and_skill_over_the_best_candidate() -> None:
    """Kp tells the class and the noise floor tells it better: space weather is the best candidate, quality is none."""
    samples = make_samples(n_groups=24)
    event = samples["magnitude_class"] != "Normal"
    told = event ^ (np.arange(len(samples)) % 10 == 0)
    samples = samples.assign(kp_max=np.where(told, 5.0, 1.0), noise_floor_nt=np.where(event, 0.03, 0.005))
    uniform = dict.fromkeys(probability_columns("magnitude"), 0.25) | dict.fromkeys(
        probability_columns("azimuth"), 1 / 9
    )
    table = samples.rename(columns={"magnitude_class": "y_magnitude", "azimuth_class": "y_azimuth"})
    columns = ["sample_id", "split_group", "station", "start_utc", "event_id", "y_magnitude", "y_azimuth"]
    table = table[columns].assign(run_id="r", fold=1, role="test", **uniform)
    config = EvaluateConfig(bootstrap=100)
    result = evaluate_predictions(table, samples, config=config).to_json()
    for task, rules in (("magnitude", set(GROUPS)), ("detection", set(GROUPS) - {ORACLE})):
        assert {name: entry["group"] for name, entry in result[task]["baselines"].items()} == {
            name: GROUPS[name] for name in rules
        }
    skill = result["detection"]["skill_above_best_baseline"]["log_score"]
    assert GROUPS[skill["baseline"]] == "no_signal"
    quality = result["detection"]["baselines"]["quality"]
    assert quality["log_score"] > result["detection"]["baselines"][skill["baseline"]]["log_score"]
    alone = evaluate_predictions(table, config=config).to_json()
    assert "space_weather" not in alone["detection"]["baselines"]
    assert any(
        text.startswith("Baselines absent for lack of their columns: space_weather") for text in alone["warnings"]
    )


# parts ----------------------------------------------------------------------------------------------------------


def test_hats_of_a_number_sum_to_one_and_are_constant_beyond_the_training() -> None:
    train = pd.DataFrame({"past_rate": 10.0 ** np.arange(-4, 2)})
    encoder = fit_encoder(baseline_inputs(train, "catalogue_rate"), "catalogue_rate")
    features = encoder.encode(pd.DataFrame({"past_rate": [1e-9, 1e-4, 10**-3.5, 10.0, 1e9, 0.0, np.nan]}))
    assert features[:, :-1].sum(axis=1).tolist() == pytest.approx([1, 1, 1, 1, 1, 0, 0])
    assert features[:, -1].tolist() == [0, 0, 0, 0, 0, 1, 1]  # the flag of what is missing
    assert features[0].tolist() == features[1].tolist()
    assert features[3].tolist() == features[4].tolist()
    assert features[2][:2] == pytest.approx([0.5, 0.5])


def test_full_shrinkage_gives_the_frequencies_and_none_the_probabilities() -> None:
    probs, overall = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0.6, 0.4])
    assert shrink_towards(np.log(probs), overall, 0.0) == pytest.approx(np.tile(overall, (2, 1)))
    assert shrink_towards(np.log(probs), overall, 1.0) == pytest.approx(probs)
    # half way: odds are the geometric mean, sqrt(9 x 1.5) : 1
    assert shrink_towards(np.log(probs), overall, 0.5)[0, 0] == pytest.approx(13.5**0.5 / (1 + 13.5**0.5))
