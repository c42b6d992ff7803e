"""Verdicts on maps, from arrays with a known answer."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from seismag.config import EvaluateConfig
from seismag.explain.sanity import (
    check_curves,
    check_random_labels,
    check_random_weights,
    correlation_between_windows,
    rank_correlations,
)

SPEC = EvaluateConfig(bootstrap=200, confidence=0.95, seed=1)


def test_rank_correlation_by_hand() -> None:
    a = np.array([[[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]], [[1.0, 1.0, 1.0]]])
    b = np.array([[[10.0, 20.0, 90.0]], [[3.0, 2.0, 1.0]], [[2.0, 1.0, 3.0]], [[1.0, 2.0, 3.0]]])
    found = rank_correlations(a, b)
    # 1 - 6 sum d^2 / (n (n^2 - 1)): third pair has d = (1, 1, 0), so 1 - 12/24; a constant map has none
    np.testing.assert_allclose(found[:3], [1.0, -1.0, 0.5])
    assert np.isnan(found[3])


def test_maps_that_are_the_same_in_all_windows_are_alike() -> None:
    one = np.arange(12.0).reshape(3, 4)
    assert correlation_between_windows(np.stack([one, 2 * one, one + 1])) == pytest.approx(1.0)
    assert correlation_between_windows(one[None]) is None


def test_maps_that_forget_pass_and_those_that_do_not_fail() -> None:
    forgets = np.array([[[0.9, 0.8], [0.1, -0.1]], [[0.9, 0.9], [0.2, 0.0]]])  # (2 draws, 2 stages, 2 windows)
    result = check_random_weights("azimuth", ["heads", "stem"], forgets, 49, 0.3)
    assert (result.name, result.verdict) == ("random_weights_azimuth", "pass")
    assert result.statistic == pytest.approx(0.05)
    assert asdict(result.null) == pytest.approx({"mean": 0.05, "low": 0.0, "high": 0.1})
    assert [entry["stage"] for entry in result.details["stages"]] == ["heads", "stem"]
    keeps = check_random_weights("azimuth", ["heads", "stem"], np.full((2, 2, 2), 0.8), 49, None)
    assert keeps.verdict == "fail"


def test_too_few_cells_and_empty_maps_decide_nothing() -> None:
    correlations = np.zeros((1, 1, 4))
    few = check_random_weights("magnitude", ["heads"], correlations, 1, None)
    assert few.verdict == "inconclusive"
    assert "1 bins, too few" in few.sentence
    empty = check_random_weights("magnitude", ["heads"], np.full((1, 1, 4), np.nan), 49, None)
    assert empty.verdict == "inconclusive"
    assert "100 % of the maps are empty" in empty.sentence
    assert check_random_labels("magnitude", np.full((1, 4), np.nan), None, 49, "x").verdict == "inconclusive"


def test_labels_must_matter_and_the_control_must_be_able_to_tell() -> None:
    low, high = np.full((2, 3), 0.1), np.full((2, 3), 0.7)
    assert check_random_labels("magnitude", low, high, 49, "heads").verdict == "pass"
    assert check_random_labels("magnitude", high, high, 49, "heads").verdict == "fail"
    assert check_random_labels("magnitude", low, low, 49, "heads").verdict == "inconclusive"
    assert check_random_labels("magnitude", low, None, 49, "a run").verdict == "pass"


@pytest.mark.parametrize(
    ("by_map", "groups", "verdict"),
    [(0.2, 20, "pass"), (0.5, 20, "fail"), (0.8, 20, "fail"), (0.2, 4, "inconclusive")],
)
def test_deletion_is_judged_against_random_orders(by_map: float, groups: int, verdict: str) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.01, 20)
    rows = pd.DataFrame({"split_group": [f"g{i % groups}" for i in range(20)], "y_magnitude": ["Large"] * 20})
    chance = np.full((3, 20), 0.5)
    result = check_curves("deletion", "magnitude", (by_map + noise - noise.mean(), chance), rows, SPEC)
    assert result.verdict == verdict, result.sentence
    few = "inconclusive (4 event clusters, 0 control blocks; at least 10 of each are needed)"
    assert (few in result.sentence) == (groups == 4)
    assert result.statistic == pytest.approx(0.5 - by_map, abs=1e-9)
    assert check_curves("insertion", "magnitude", (by_map + noise, chance), rows, SPEC).statistic == pytest.approx(
        by_map - 0.5 + noise.mean()
    )
