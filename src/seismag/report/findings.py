"""What the recorded numbers allow to be said: the text follows this, not the other way round.

The score that decides is the audit's: in detection the AUC within stations, in magnitude and azimuth balanced accuracy,
each as a difference to the best rule without the field. Where an audit is recorded its verdict holds, for it knows how
many configurations were tried; else the interval decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from seismag.audit.checks.skill import TASK_SCORES, skill_test
from seismag.report.quotation import Quoter
from seismag.scoring.estimates import FEW_CLUSTERS

Outcome = Literal["skill", "null", "worse", "undecided", "faulty", "naive"]
HEADLINE_TASK = "detection"
TASKS = tuple(TASK_SCORES)  # in the order of every text, table and figure of a report
SCORE_NAMES = {"auc_within_station": "AUC within stations", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True)
class Finding:
    """What is found in one task.

    Attributes:
        task: detection, magnitude or azimuth.
        outcome: skill, null, worse than the rule, undecided (too few groups), faulty (the gate failed), naive (a
            split for comparison only).
        score: that decides; ``pointer``: its skill in metrics.json.
        baseline: the best rule without the field.
        test: place of the audit's test in audit.json, ``/tests/K``; None: not audited.
    """

    task: str
    outcome: Outcome
    score: str
    pointer: str
    baseline: str
    test: str | None

    @property
    def score_name(self) -> str:
        """In words."""
        return SCORE_NAMES[self.score]


def find(quoter: Quoter) -> dict[str, Finding]:
    """Judge each task of a subject from its metrics.json, and its audit.json where there is one.

    Raises:
        MissingNumberError: a score that decides is not recorded.
    """
    audited = "audit.json" in quoter.documents
    tests = quoter.value("audit.json", "/tests") if audited else []
    faulty = audited and quoter.value("audit.json", "/gate") == "fail"
    naive = quoter.value("runs.json", "/runs/0/config/split/method") == "naive"
    barred: Outcome | None = "naive" if naive else "faulty" if faulty else None
    return {task: _find_task(quoter, task, tests, barred) for task in TASK_SCORES}


def _find_task(quoter: Quoter, task: str, tests: list[dict[str, Any]], barred: Outcome | None) -> Finding:
    score = TASK_SCORES[task]
    pointer = f"/{task}/skill_above_best_baseline/{score}"
    skill = quoter.value("metrics.json", pointer)
    name = skill_test(task)
    place = next((k for k, test in enumerate(tests) if test["name"] == name), None)
    few = min(quoter.value("metrics.json", f"/{key}") for key in ("n_event_groups", "n_normal_groups")) < FEW_CLUSTERS
    verdict = None if place is None else tests[place]["verdict"]
    outcome = barred or _outcome(skill, few, verdict)
    return Finding(
        task, outcome, score, pointer, str(skill["baseline"] or "no rule"), None if place is None else f"/tests/{place}"
    )


def _outcome(skill: dict[str, Any], few: bool, verdict: str | None) -> Outcome:
    if few or skill["low"] is None or verdict == "inconclusive":
        return "undecided"
    if skill["high"] < 0:
        return "worse"
    if verdict is not None:
        return "skill" if verdict == "skill" else "null"
    return "skill" if skill["low"] > 0 else "null"
