"""The test of skill in limiting cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from seismag.audit.checks.skill import check_skill, permutation_p
from seismag.config import AuditConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.metrics import balanced_accuracy, confusion_matrix
from seismag.scoring.predictions import truth_index
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
    skill |= {"classes": None, "note": None}
    if groups < 10:
        needed = f"{groups} event clusters, {groups} control blocks; at least 10 of each are needed"
        skill |= {"low": None, "high": None, "p_value": None, "note": f"inconclusive ({needed})"}
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


def table_of_classes(counts: tuple[int, int, int, int], strength: float = 1.0) -> pd.DataFrame:
    """Five windows a group, so many groups of Normal, Moderate, Medium and Large."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(sum(counts)), 5)
    y = np.repeat(np.arange(4), counts)[group]
    own = strength * np.eye(4)[y] + 0.6 * rng.standard_normal((sum(counts), 4))[group]
    p = np.exp(own + 0.8 * rng.standard_normal((len(y), 4)))
    probs = {
        f"p_magnitude_{name}": column for name, column in zip(MAGNITUDE_CLASSES, (p.T / p.sum(axis=1)), strict=True)
    }
    azimuth = {f"p_azimuth_{name}": 1 / 9 for name in AZIMUTH_CLASSES}
    return pd.DataFrame({
        "run_id": "r", "fold": 1, "role": "test", "sample_id": [f"s{i}" for i in range(len(y))],
        "split_group": group.astype(str), "station": np.where(group % 3, "GTO", "ALR"),
        "start_utc": pd.Timestamp("2021-01-01") + pd.to_timedelta(np.arange(len(y)), unit="D"),
        "event_id": [f"e{g}" if k else None for g, k in zip(group, y, strict=True)],
        "y_magnitude": np.array(MAGNITUDE_CLASSES)[y], "y_azimuth": np.where(y, "N", "Normal"), **probs, **azimuth,
    })  # fmt: skip


def test_rare_classes_are_named_as_the_reason_and_not_the_number_of_clusters() -> None:
    table = table_of_classes((40, 9, 9, 9))
    result = check_skill("magnitude", table, evaluate_predictions(table).to_json(), 1, SPEC)
    assert result.verdict == "inconclusive"
    assert result.sentence == (
        "Skill in magnitude: inconclusive (groups by class: Normal 40, Moderate 9, Medium 9, Large 9; at least two "
        "classes in 10 groups or more are needed)."
    )


def test_both_p_values_are_of_the_same_classes_and_these_are_named() -> None:
    table = table_of_classes((40, 38, 1, 1))
    result = check_skill("magnitude", table, evaluate_predictions(table).to_json(), 1, SPEC)
    assert "Compared over Normal, Moderate; in fewer than 10 groups: Medium (1), Large (1)." in result.sentence
    assert result.details["classes"] == ["Normal", "Moderate"]
    right = table["y_magnitude"].map(lambda name: f"p_magnitude_{name}") == table.filter(like="p_mag").idxmax(axis=1)
    rare = table["y_magnitude"].isin(["Medium", "Large"])
    swapped = table.copy()  # the rare windows are right instead of wrong: nothing that is compared changes
    names = [f"p_magnitude_{name}" for name in MAGNITUDE_CLASSES]
    swapped.loc[rare & ~right, names] = np.eye(4)[pd.Index(MAGNITUDE_CLASSES).get_indexer(table["y_magnitude"])][
        rare & ~right
    ]
    observed = [
        balanced_accuracy(confusion_matrix(truth_index(t["y_magnitude"], t["y_azimuth"], "magnitude"),
                                           t[names].to_numpy().argmax(axis=1), 4), [0, 1])
        for t in (table, swapped)
    ]  # fmt: skip
    assert (
        observed[0]
        == observed[1]
        == pytest.approx(np.mean([right[table["y_magnitude"] == name].mean() for name in ("Normal", "Moderate")]))
    )
    assert permutation_p("magnitude", table, SPEC, ["Normal", "Moderate"]) == pytest.approx(
        result.details["p_within_station"]
    )
