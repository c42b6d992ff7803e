"""Skill of folds over the classes of the pooled result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import build_table
from seismag.scoring.compute import evaluate_predictions
from seismag.training.crossval import FoldResult, describe_folds, final_document
from seismag.training.finished import SplitFacts
from seismag.training.fold_skill import over_pooled_classes

pytestmark = pytest.mark.usefixtures("counting_rules_only")
FACTS = SplitFacts(path="splits/loeo.json", sha256="0" * 64, method="loeo", n_folds=2, n_groups=120, proof=None)
NO_STORE: Any = SimpleNamespace(samples=None)


@pytest.fixture
def table() -> pd.DataFrame:
    """60 events, of which 12 Medium: 9 in fold 1, 3 in fold 2, so that they are rare in each fold alone."""
    table = build_table(n_events=60, n_blocks=60)
    number = table["split_group"].str.extract(r"(\d+)")[0].astype(int)
    event = table["y_magnitude"] != "Normal"
    label = np.where(event & (number % 5 == 0), "Medium", "Moderate")
    fold = np.where(number % 5 == 0, np.where(number < 45, 1, 2), 1 + number % 2)
    return table.assign(y_magnitude=np.where(event, label, "Normal"), fold=fold)


def test_skill_of_folds_is_over_the_classes_of_all_folds_together(table: pd.DataFrame) -> None:
    pooled = evaluate_predictions(table).to_json()
    classes = ["Normal", "Moderate", "Medium"]
    assert pooled["magnitude"]["skill_above_best_baseline"]["balanced_accuracy"]["classes"] == classes
    alone = [evaluate_predictions(table[table["fold"] == k]).to_json() for k in (1, 2)]
    skills = [fold["magnitude"]["skill_above_best_baseline"]["balanced_accuracy"] for fold in alone]
    assert [skill["classes"] for skill in skills] == [["Normal", "Moderate"]] * 2
    folds = list(over_pooled_classes(dict(enumerate(alone, start=1)), pooled, table, NO_STORE, None).values())  # type: ignore[arg-type]
    for fold, before in zip(folds, alone, strict=True):
        skill = fold["magnitude"]["skill_above_best_baseline"]["balanced_accuracy"]
        per_class = fold["magnitude"]["per_class"]
        recall = np.mean([per_class[name]["recall"]["value"] for name in classes])
        baseline = fold["magnitude"]["baselines"][skill["baseline"]]["balanced_accuracy"]  # over the same three
        assert skill["classes"] == classes
        assert skill["value"] == pytest.approx(recall - baseline, abs=1e-12)
        assert skill["low"] is None  # Medium is rare in each fold
        assert "groups by class: Normal" in skill["note"]
        assert fold["detection"] == before["detection"]
    results = [FoldResult(k, FACTS, fold) for k, fold in enumerate(folds, start=1)]
    final: Any = final_document(results, pooled)
    entry = final["skill_above_best_baseline"]["magnitude"]["balanced_accuracy"]
    values = [fold["magnitude"]["skill_above_best_baseline"]["balanced_accuracy"]["value"] for fold in folds]
    assert entry["mean"] == pytest.approx(np.mean(values))
    assert entry["mean"] != pytest.approx(np.mean([skill["value"] for skill in skills]), abs=1e-6)
    text = describe_folds(results)
    assert "(no interval)" in text
    assert "too few clusters" not in text
    assert "no interval: fewer than 10 event clusters, control blocks or groups of a class" in text


def test_classes_of_folds_are_named_where_some_are_left_out(table: pd.DataFrame) -> None:
    alone = [evaluate_predictions(table[table["fold"] == k]).to_json() for k in (1, 2)]
    text = describe_folds([FoldResult(k, FACTS, fold) for k, fold in enumerate(alone, start=1)])
    assert "magnitude is compared over Normal, Moderate" in text
    assert "detection is compared" not in text


def test_a_fold_without_one_of_the_classes_has_no_skill_over_them(table: pd.DataFrame) -> None:
    medium = table["y_magnitude"] == "Medium"
    table = table.assign(fold=np.where(medium, 1, table["fold"]))
    pooled = evaluate_predictions(table).to_json()
    alone = [evaluate_predictions(table[table["fold"] == k]).to_json() for k in (1, 2)]
    folds = list(over_pooled_classes(dict(enumerate(alone, start=1)), pooled, table, NO_STORE, None).values())  # type: ignore[arg-type]
    skills = [fold["magnitude"]["skill_above_best_baseline"]["balanced_accuracy"] for fold in folds]
    assert skills[0]["value"] is not None
    assert skills[1]["value"] is None
    final: Any = final_document([FoldResult(k, FACTS, fold) for k, fold in enumerate(folds, start=1)], pooled)
    assert final["skill_above_best_baseline"]["magnitude"]["balanced_accuracy"]["n_folds"] == 1
