"""The outcome of each task, from the skill in its primary score.

The primary score is that of the audit: the station-stratified ROC AUC in detection, balanced accuracy in magnitude and
azimuth, as a difference to the best non-magnetic baseline. A recorded audit decides, because it accounts for the number
of configurations tried; without an audit the interval decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from seismag.audit.checks.skill import SCORE_NAMES, TASK_SCORES, skill_test
from seismag.report.quotation import Quoter

Outcome = Literal["skill", "null", "worse", "inconclusive", "invalid", "naive"]
HEADLINE_TASK = "detection"
TASKS = tuple(TASK_SCORES)  # in the order of every text, table and figure of a report


@dataclass(frozen=True)
class Finding:
    """Outcome of one task.

    It is skill; null; worse (than the baseline); inconclusive (no interval: the note of the skill states why); invalid
    (a blocking integrity check failed); or naive (a split for comparison only).
    """

    task: str  # detection, magnitude or azimuth
    outcome: Outcome
    score: str  # primary score
    pointer: str  # of its skill in metrics.json
    baseline: str  # the best non-magnetic baseline
    test: str | None  # pointer of the test in audit.json, /tests/K; None: not audited

    @property
    def score_name(self) -> str:
        """Name of the primary score in texts."""
        return SCORE_NAMES[self.score]


def find(quoter: Quoter) -> dict[str, Finding]:
    """Find the outcome of each task from metrics.json, and from audit.json if it exists.

    Raises:
        MissingNumberError: a primary score is not recorded.
    """
    audited = "audit.json" in quoter.documents
    tests = quoter.value("audit.json", "/tests") if audited else []
    failed = audited and quoter.value("audit.json", "/gate") == "fail"
    naive = quoter.value("runs.json", "/runs/0/config/split/method") == "naive"
    barred: Outcome | None = "naive" if naive else "invalid" if failed else None
    return {task: _find_task(quoter, task, tests, barred) for task in TASK_SCORES}


def _find_task(quoter: Quoter, task: str, tests: list[dict[str, Any]], barred: Outcome | None) -> Finding:
    score = TASK_SCORES[task]
    pointer = f"/{task}/skill_above_best_baseline/{score}"
    skill = quoter.value("metrics.json", pointer)
    place = next((k for k, test in enumerate(tests) if test["name"] == skill_test(task)), None)
    verdict = None if place is None else tests[place]["verdict"]
    outcome = barred or _outcome(skill["low"], skill["high"], verdict)
    test = None if place is None else f"/tests/{place}"
    return Finding(task, outcome, score, pointer, str(skill["baseline"] or "none"), test)


def _outcome(low: float | None, high: float, verdict: str | None) -> Outcome:
    if low is None:
        return "inconclusive"
    if high < 0:
        return "worse"
    if verdict is not None:
        return "skill" if verdict == "skill" else "null"
    return "skill" if low > 0 else "null"
