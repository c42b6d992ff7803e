"""Rules that never see the field: by hand, without leaks, and on a published table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import baselines_within_table, build_table
from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.scoring.baselines import GROUPS, ORACLE, baseline_predictions
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.predictions import probability_columns

# GTO trains on 3 Normal, 1 Medium; ALR on 2 Medium. Tests: one window at each, and one at TRT.
SAMPLES = pd.DataFrame(
    {
        "sample_id": list("abcdefghi"),
        "station": ["GTO"] * 4 + ["ALR"] * 2 + ["GTO", "ALR", "TRT"],
        "magnitude_class": ["Normal"] * 3 + ["Medium"] * 3 + ["Large", "Normal", "Moderate"],
        "azimuth_class": ["Normal"] * 3 + ["N", "N", "SE"] + ["W", "Normal", "E"],
    }
)
SPLIT = pd.DataFrame({"sample_id": list("abcdefghi"), "fold": 1, "role": ["train"] * 6 + ["test"] * 3})


def predict() -> dict[str, pd.DataFrame]:
    return baseline_predictions(SAMPLES, SPLIT, pd.Series(["g", "h", "i"]))


def test_station_baseline_equals_the_values_by_hand() -> None:
    # Normal 3, Medium 3 of 6; with Laplace (4, 1, 4, 1) / 10
    prior = np.array([0.4, 0.1, 0.4, 0.1])
    # GTO: (3, 0, 1, 0) of 4 plus 4 pseudo-windows of the prior; ALR: (0, 0, 2, 0) of 2; TRT unseen
    expected = [(np.array([3, 0, 1, 0]) + 4 * prior) / 8, (np.array([0, 0, 2, 0]) + 4 * prior) / 6, prior]
    got = predict()
    columns = probability_columns("magnitude")
    assert np.allclose(got["station"][columns], expected)
    assert got["station"].index.tolist() == ["g", "h", "i"]
    assert np.allclose(got["majority"][columns], [prior] * 3)
    balanced = np.array(expected) / prior
    assert np.allclose(got["station_balanced"][columns], balanced / balanced.sum(axis=1, keepdims=True))


def test_detection_is_fitted_on_its_own_two_classes() -> None:
    # 3 Normal, 3 events: prior 1/2; GTO (3 + 1, 1 + 1) / 6
    got = predict()["station"][probability_columns("detection")]
    assert np.allclose(got.iloc[0], [4 / 6, 2 / 6])
    assert np.allclose(got.iloc[2], [0.5, 0.5])


def test_constant_baselines_and_the_oracle() -> None:
    got = predict()
    assert np.all(got["all_normal"][["p_magnitude_Normal", "p_azimuth_Normal", "p_detection_Normal"]] == 1)
    oracle = got[ORACLE]
    assert oracle["p_magnitude_Medium"].tolist() == [1, 0, 1]  # g and i are events: the most frequent of training
    assert oracle["p_azimuth_N"].tolist() == [1, 0, 1]
    assert oracle["p_magnitude_Normal"].tolist() == [0, 1, 0]
    assert not set(probability_columns("detection")) & set(oracle.columns)


def test_test_labels_reach_no_baseline_but_the_oracle() -> None:
    other = SAMPLES.copy()
    other.loc[6:, ["magnitude_class", "azimuth_class"]] = ["Normal", "Normal"]
    before, after = predict(), baseline_predictions(other, SPLIT, pd.Series(["g", "h", "i"]))
    for name, table in before.items():
        assert table.equals(after[name]) == (name != ORACLE)


def test_an_unseen_station_leaves_exact_ties_in_the_balanced_baseline() -> None:
    values = predict()["station_balanced"][probability_columns("azimuth")].iloc[2].to_numpy()
    assert np.all(values == values[0])  # exact ties, so that the decision is the first class


def test_within_the_table_no_group_predicts_itself() -> None:
    """Each group has its own station and class, so knowing the own group would be perfect."""
    n = 20
    table = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(2 * n)],
            "station": np.repeat([f"S{i:02d}" for i in range(n)], 2),
            "split_group": np.repeat([f"g{i:02d}" for i in range(n)], 2),
            "y_magnitude": np.repeat(np.where(np.arange(n) % 2, "Medium", "Normal"), 2),
            "y_azimuth": np.repeat(np.where(np.arange(n) % 2, "N", "Normal"), 2),
        }
    )
    got = baselines_within_table(table)
    assert got["station"].index.tolist() == table["sample_id"].tolist()
    pd.testing.assert_frame_equal(got["station"], got["majority"])  # every station is unseen


def test_one_group_leaves_only_the_baseline_without_a_fit() -> None:
    assert list(baselines_within_table(build_table(n_events=1, n_blocks=0))) == ["all_normal"]


def test_impossible_fits_are_refused() -> None:
    with pytest.raises(DataError, match=r"1 of 2 windows .* not in the samples, for example zz"):
        baseline_predictions(SAMPLES, SPLIT, pd.Series(["g", "zz"]))
    with pytest.raises(DataError, match="no window in the training set"):
        baseline_predictions(SAMPLES, SPLIT[SPLIT["role"] == "test"], pd.Series(["g"]))


@pytest.mark.real
@pytest.mark.usefixtures("counting_rules_only")
def test_non_magnetic_baselines_reach_published_accuracies(real_data: Path) -> None:
    """Constants and the station code on the published test table (docs/method.md)."""
    published = pd.read_csv(real_data / "published_tables" / "benchmark_test.csv", keep_default_na=False)
    uniform = {f"p_magnitude_{name}": 1 / 4 for name in MAGNITUDE_CLASSES}
    uniform |= {f"p_azimuth_{name}": 1 / 9 for name in AZIMUTH_CLASSES}
    table = pd.DataFrame(
        {
            "run_id": "published",
            "fold": 1,
            "role": "test",
            "sample_id": [f"row_{i}" for i in range(len(published))],
            "split_group": published["station"] + published["date"],
            "station": published["station"],
            "start_utc": pd.to_datetime(published["date"]),
            "event_id": (published["station"] + published["date"]).where(published["magnitude_class"] != "Normal"),
            "y_magnitude": published["magnitude_class"],
            "y_azimuth": published["azimuth_class"],
            **uniform,
        }
    )
    metrics = evaluate_predictions(table, config=EvaluateConfig(bootstrap=200)).to_json()
    magnitude, azimuth = metrics["magnitude"]["baselines"], metrics["azimuth"]["baselines"]
    assert magnitude["station"]["accuracy"] == pytest.approx(0.963, abs=0.02)
    assert azimuth["station"]["accuracy"] == pytest.approx(0.655, abs=0.02)
    # 296 rows, of which 3 Moderate and 4 Large are not Medium; 133 Normal + 78 N
    assert magnitude[ORACLE]["accuracy"] == pytest.approx(289 / 296)
    assert magnitude[ORACLE]["balanced_accuracy"] == pytest.approx(0.5)
    assert azimuth[ORACLE]["accuracy"] == pytest.approx((133 + 78) / 296)
    assert azimuth[ORACLE]["balanced_accuracy"] == pytest.approx(2 / 9)
    for task in ("magnitude", "azimuth"):  # a uniform guess predicts Normal, and a non-magnetic baseline beats it
        skill = metrics[task]["skill_above_best_baseline"]["balanced_accuracy"]
        assert GROUPS[skill["baseline"]] == "no_signal"
        assert skill["high"] < 0
