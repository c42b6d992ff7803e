"""Conformal prediction sets: p-values by definition, coverage of each class, and classes without a guarantee."""

import numpy as np
import pandas as pd
import pytest

from seismag.config import EvaluateConfig
from seismag.scoring.clusters import find_clusters
from seismag.scoring.conformal import conformal_sets, conformal_threshold, least_groups, score_sets
from seismag.scoring.predictions import probability_columns

CONFIG = EvaluateConfig(bootstrap=200, coverage=0.9)
ROWS_EACH = 4


def build_rows(n_groups: int, seed: int, start: str = "2021-01-01", event_fraction: float = 0.15) -> pd.DataFrame:
    """Groups of four windows with one truth and a common part of the forecast; events are rare and harder."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), ROWS_EACH)
    event = (rng.random(n_groups) < event_fraction)[group]
    common, own = rng.normal(0, 1, n_groups)[group], rng.normal(0, 1, len(group))
    p_event = 1 / (1 + np.exp(-(common + own + np.where(event, 0.5, -2.5))))
    table = pd.DataFrame(
        {
            "fold": 1 + group % 2, "station": rng.choice(["GTO", "ALR"], len(group)), "split_group": group,
            "start_utc": pd.Timestamp(start) + pd.to_timedelta(rng.integers(0, 1000, len(group)), "h"),
            "y_magnitude": np.where(event, "Medium", "Normal"), "y_azimuth": np.where(event, "N", "Normal"),
        }
    )  # fmt: skip
    table[probability_columns("magnitude")] = np.column_stack([1 - p_event, 0 * p_event, p_event, 0 * p_event])
    return table


@pytest.mark.parametrize("n_groups", [0, 1, 8, 9, 10, 50])
@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_the_threshold_gives_the_sets_of_the_p_values_by_definition(n_groups: int, coverage: float) -> None:
    rng = np.random.default_rng(n_groups)
    groups = np.repeat(np.arange(n_groups), rng.integers(1, 5, n_groups))
    scores = np.round(rng.random(len(groups)), 2)  # with ties
    tried = np.append(np.linspace(0, 1, 101), 2.0)
    inside = tried <= conformal_threshold(scores, groups, coverage)
    for score, is_inside in zip(tried, inside, strict=True):
        as_large = sum(np.mean(scores[groups == group] >= score) for group in range(n_groups))
        assert is_inside == ((as_large + 1) / (n_groups + 1) > 1 - coverage + 1e-12)


@pytest.mark.parametrize(("coverage", "least"), [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_so_many_groups_are_needed_to_exclude_anything(coverage: float, least: int) -> None:
    assert least_groups(coverage) == least
    assert conformal_threshold(np.zeros(50 * least), np.arange(50 * least) % least, coverage) == 0
    one_less = np.arange(50 * (least - 1)) % max(1, least - 1)
    assert conformal_threshold(np.zeros(len(one_less)), one_less, coverage) == np.inf


def test_windows_of_a_group_count_as_one_group() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(30)
    one = conformal_threshold(scores, np.arange(30), 0.9)
    again = conformal_threshold(np.repeat(scores, 7), np.repeat(np.arange(30), 7), 0.9)
    assert again == one
    assert one == np.sort(scores)[27]  # the 28th of 30: 28 / 31 >= 0.9


def test_each_class_has_the_nominal_coverage_where_groups_are_in_random_order() -> None:
    rows, validation = build_rows(2000, 1), build_rows(2000, 2)
    scores, warnings = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
    assert list(scores.by_class) == ["Normal", "Event"]
    assert scores.by_class["Event"].n == (rows["y_magnitude"] == "Medium").sum()
    assert scores.by_class["Event"].n_calibration_groups > 100  # standard error below 0.03, and 0.02 of the evaluated
    for entry in scores.by_class.values():
        assert entry.coverage.value == pytest.approx(0.9, abs=0.06)
        assert entry.coverage.low < entry.coverage.value < entry.coverage.high
        assert entry.note is None
    assert scores.always_contained == []
    assert warnings == []
    # sets of marginal validity would cover the rare class less often
    nonconformity = np.where(rows["y_magnitude"] == "Medium", rows["p_magnitude_Normal"], rows["p_magnitude_Medium"])
    marginal = nonconformity <= np.quantile(nonconformity, 0.9)
    assert marginal[rows["y_magnitude"] == "Medium"].mean() < 0.6


def test_a_class_with_too_few_calibration_groups_is_in_every_set_and_named() -> None:
    rows, validation = build_rows(200, 1, event_fraction=0.5), build_rows(200, 2, event_fraction=0.5)
    events = np.flatnonzero((validation["y_magnitude"] == "Medium") & (validation["fold"] == 1))
    few = validation["split_group"].iloc[events].unique()[8:]  # 8 stay
    validation = validation[~validation["split_group"].isin(few)]
    sets = conformal_sets("detection", rows, validation, 0.9)
    in_fold = (rows["fold"] == 1).to_numpy()
    assert sets.contains[in_fold, 1].all()
    assert not sets.contains[~in_fold, 1].all()
    scores, _ = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
    event = scores.by_class["Event"]
    assert scores.always_contained == ["Event"]
    assert event.note == "8 calibration groups (in a fold) exclude the class from no set; at least 9 are needed."
    assert event.n == ((rows["y_magnitude"] == "Medium") & ~in_fold).sum()  # what no set can miss is not counted
    assert scores.by_class["Normal"].note is None


def test_a_class_without_any_validation_window_has_no_coverage() -> None:
    rows, validation = build_rows(60, 1), build_rows(200, 2)
    validation = validation[validation["y_magnitude"] == "Normal"]
    scores, _ = score_sets("magnitude", rows, validation, find_clusters(rows), CONFIG)
    assert scores.by_class["Medium"].coverage.value is None
    assert scores.by_class["Medium"].n == 0
    assert scores.always_contained == ["Moderate", "Medium", "Large"]


def test_windows_outside_the_period_of_validation_have_no_guarantee() -> None:
    rows, validation = build_rows(300, 1, "2022-01-01"), build_rows(300, 2)
    warnings = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)[1]
    assert any("100 % of the evaluated windows lie outside the period" in sentence for sentence in warnings)


def test_a_coverage_below_the_nominal_one_is_warned_of_by_class() -> None:
    rows, validation = build_rows(500, 1), build_rows(500, 2)
    columns = probability_columns("magnitude")
    rows[columns] = rows[columns].to_numpy()[:, [2, 1, 0, 3]]  # the model is reversed
    warnings = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)[1]
    assert any("coverage of Normal 0." in s and "validation and test windows differ" in s for s in warnings)
