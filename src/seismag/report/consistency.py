"""Consistency checks of the recorded numbers before they are quoted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seismag.audit.checks.skill import TASK_SCORES, skill_test
from seismag.domain import DataError
from seismag.report.quotation import MissingNumberError
from seismag.scoring.estimates import CONFUSION_SCORES, SMALLER_IS_BETTER
from seismag.scoring.predictions import TASK_CLASSES

TOLERANCE = 1e-9
_AUDIT_TOLERANCE = 1e-6


def require_consistent(metrics: Mapping[str, Any], name: str) -> None:
    """Compare scores with the confusion matrices, and each skill with the difference of its scores.

    Args:
        metrics: the content of metrics.json. name: of the file, for the message.

    Raises:
        MissingNumberError: one of these is not recorded. DataError: two of them disagree.
    """
    for task in TASK_CLASSES:
        confusion = np.asarray(_recorded(metrics, name, task, "confusion"), dtype=np.float64)
        for score, function in CONFUSION_SCORES.items():
            recorded = _recorded(metrics, name, task, score)["value"]
            if recorded is not None:
                _agree(f"{name}: {task}.{score}", recorded, float(function(confusion)), "its confusion matrix")
        for score, skill in _recorded(metrics, name, task, "skill_above_best_baseline").items():
            if skill["value"] is None or skill.get("baseline") is None:
                continue
            rule = _recorded(metrics, name, task, "baselines")[skill["baseline"]]
            sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
            difference = sign * (_recorded(metrics, name, task, score)["value"] - rule[score])
            what = f"{name}: {task}.skill_above_best_baseline.{score}"
            _agree(what, skill["value"], difference, f"the score less that of {skill['baseline']}")


def require_same_skill(audit: Mapping[str, Any], metrics: Mapping[str, Any], file: Path) -> None:
    """Refuse an audit of other numbers than those of metrics.json.

    Raises:
        DataError: names the test and both numbers.
    """
    for task, score in TASK_SCORES.items():
        name = skill_test(task)
        found = next((test.get("statistic") for test in audit["tests"] if test["name"] == name), None)
        recorded = metrics[task]["skill_above_best_baseline"][score]["value"]
        if found is not None and (recorded is None or abs(found - recorded) > _AUDIT_TOLERANCE):
            raise DataError(
                f"{file}: {name} tested a skill of {found:.6f}, metrics.json has {recorded}. The audit is of other "
                "predictions or of other windows (--data). Audit these again."
            )


def _recorded(metrics: Mapping[str, Any], name: str, task: str, key: str) -> Any:
    if key not in metrics.get(task, {}):
        raise MissingNumberError(f"{name} has no {task}.{key}, which the report quotes. Evaluate the run again.")
    return metrics[task][key]


def _agree(what: str, recorded: float, computed: float, of: str) -> None:
    if not abs(recorded - computed) <= TOLERANCE:
        raise DataError(
            f"{what} is {recorded}, but {of} gives {computed:.6f}. One of them was changed; evaluate the run again."
        )
