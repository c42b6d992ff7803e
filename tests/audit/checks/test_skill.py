"""The test of skill in limiting cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from seismag.audit.checks.skill import check_skill
from seismag.config import AuditConfig
from seismag.scoring.station_auc import labelled_auc

SPEC = AuditConfig(permutations=999)


def test_station_stratified_auc_is_that_of_scikit_learn_weighted_by_pairs() -> None:
    rng = np.random.default_rng(1)
    station, y = rng.integers(0, 3, 200), rng.integers(0, 2, (4, 200))
    score = rng.integers(0, 6, 200) / 5  # with ties
    rank = pd.Series(score).groupby(station).rank().to_numpy()
    for labels, found in zip(y, labelled_auc(rank, y == 1, station), strict=True):
        parts = [(roc_auc_score(labels[station == s], score[station == s]), labels[station == s]) for s in range(3)]
        pairs = [part.sum() * (1 - part).sum() for _, part in parts]
        assert found == pytest.approx(np.average([auc for auc, _ in parts], weights=pairs))


def rows(signal: float) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    group = np.repeat(np.arange(60), 3)
    y = (np.arange(60) % 2)[group]
    p_event = 1 / (1 + np.exp(-(signal * (2 * y - 1) + rng.normal(size=180))))
    return pd.DataFrame(
        {
            "y_magnitude": np.where(y, "Large", "Normal"), "y_azimuth": np.where(y, "N", "Normal"),
            "split_group": group.astype(str), "station": np.where(group % 3, "GTO", "ALR"),
            "p_magnitude_Normal": 1 - p_event,
        }
    )  # fmt: skip


def metrics(value: float, p: float, groups: int = 30) -> dict:
    skill = {"value": value, "low": value - 0.1, "high": value + 0.1, "p_value": p, "baseline": "station"}
    return {
        "n_event_groups": groups, "n_normal_groups": groups,
        "detection": {"skill_above_best_baseline": {"auc_within_station": skill}},
    }  # fmt: skip


def test_both_p_values_must_be_small() -> None:
    assert check_skill("detection", rows(2.0), metrics(0.4, 0.001), 1, SPEC).verdict == "skill"
    assert check_skill("detection", rows(0.0), metrics(0.4, 0.001), 1, SPEC).verdict == "no_skill"
    assert check_skill("detection", rows(2.0), metrics(0.4, 0.2), 1, SPEC).verdict == "no_skill"


def test_configurations_tried_multiply_the_p_value() -> None:
    result = check_skill("detection", rows(2.0), metrics(0.4, 0.001), 20, SPEC)
    assert (result.verdict, result.p_value) == ("no_skill", pytest.approx(0.02))
    assert "20 configurations tried" in result.sentence


def test_the_level_of_skill_is_no_setting() -> None:
    lenient = SPEC.model_copy(update={"family_wise_error": 0.4})
    result = check_skill("detection", rows(2.0), metrics(0.4, 0.05), 1, lenient)
    assert (result.verdict, result.p_value) == ("no_skill", pytest.approx(0.05))
    assert "This is skill" not in result.sentence
    strict = SPEC.model_copy(update={"family_wise_error": 1e-9})
    assert check_skill("detection", rows(2.0), metrics(0.4, 0.001), 1, strict).verdict == "skill"


def test_an_unknown_number_of_configurations_is_stated() -> None:
    result = check_skill("detection", rows(2.0), metrics(0.4, 0.001), None, SPEC)
    assert "The number of configurations tried is unknown, so p holds for a single one." in result.sentence
    assert result.details["configurations_tried"] is None


def test_few_groups_decide_nothing() -> None:
    result = check_skill("detection", rows(2.0), metrics(0.4, 0.001, groups=9), 1, SPEC)
    assert result.verdict == "inconclusive"
    assert "9 event clusters, 9 control blocks; at least 10" in result.sentence
