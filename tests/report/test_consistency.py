"""Numbers that were changed after they were recorded are not reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seismag.domain import DataError
from seismag.report.evidence import require_consistent, require_same_skill
from seismag.report.quotation import MissingNumberError

Metrics = dict[str, Any]


@pytest.fixture
def metrics(run: Path) -> Metrics:
    found: Metrics = json.loads((run / "metrics.json").read_text())
    return found


def audit_of(metrics: Metrics) -> Metrics:
    skill = metrics["detection"]["skill_above_best_baseline"]["auc_within_station"]["value"]
    return {"tests": [{"name": "skill_above_no_signal", "statistic": skill}, {"name": "copies", "statistic": 7.0}]}


def test_record_agrees_with_itself(metrics: Metrics) -> None:
    require_consistent(metrics, "metrics.json")
    require_same_skill(audit_of(metrics), metrics, Path("audit.json"))


@pytest.mark.parametrize("score", ["accuracy", "mcc"])
def test_score_that_is_not_of_its_matrix_is_refused(metrics: Metrics, score: str) -> None:
    metrics["magnitude"][score]["value"] += 0.01
    with pytest.raises(DataError, match=rf"magnitude.{score} is .*, but its confusion matrix gives"):
        require_consistent(metrics, "metrics.json")


@pytest.mark.parametrize("score", ["brier", "auc_within_station"])
def test_skill_that_is_not_the_difference_of_its_scores_is_refused(metrics: Metrics, score: str) -> None:
    metrics["detection"]["skill_above_best_baseline"][score]["value"] += 0.1
    with pytest.raises(DataError, match=rf"detection.skill_above_best_baseline.{score} is .*, but the score less that"):
        require_consistent(metrics, "metrics.json")


def test_score_of_one_class_may_be_undefined(metrics: Metrics) -> None:
    metrics["magnitude"]["mcc"]["value"] = None
    require_consistent(metrics, "metrics.json")


@pytest.mark.parametrize("key", ["mcc", "baselines"])
def test_what_is_not_recorded_is_named(metrics: Metrics, key: str) -> None:
    del metrics["azimuth"][key]
    with pytest.raises(MissingNumberError, match=rf"metrics.json has no azimuth.{key}"):
        require_consistent(metrics, "metrics.json")


def test_audit_of_other_predictions_is_refused(metrics: Metrics) -> None:
    audit = audit_of(metrics)
    audit["tests"][0]["statistic"] += 0.2
    with pytest.raises(DataError, match=r"skill_above_no_signal tested a skill of .* Audit these again"):
        require_same_skill(audit, metrics, Path("audit.json"))
    audit["tests"][0]["statistic"] = None  # inconclusive: nothing to compare
    require_same_skill(audit, metrics, Path("audit.json"))
