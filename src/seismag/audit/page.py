"""The audit report, one page: the claim, what explains it, what remains.

The page is one file without script or request. Every number on it comes from audit.json or metrics.json; a missing part
is named, with the command that makes it. The template escapes all text, which may come from a third-party table.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from seismag.audit.checks.skill import HEADLINE
from seismag.audit.figure import Bar, draw_bars, draw_interval
from seismag.audit.result import Audit
from seismag.audit.text import describe_detectable, describe_tried
from seismag.estimate import Estimate, Verdict
from seismag.files import without_folders, write_text_atomic
from seismag.scoring.text import classes_left_out
from seismag.text import interval, number, words_of_key

PAGE = "audit.html"
_WORDS: dict[Verdict | None, str] = {  # in the order of the page
    "fail": "failed", "concern": "concern", "informational": "informational", "inconclusive": "inconclusive",
    "no_skill": "no skill", "skill": "skill", "pass": "passed",
}  # fmt: skip
Conclusion = Literal["errors", "inconclusive", "skill", "no_skill", "not_tested"]
_SENTENCES: dict[Conclusion, str] = {
    "errors": "Data, labels or split have errors, so nothing may be concluded from any score until they are corrected.",
    "skill": "No error was found, and there is skill over the best non-magnetic baseline.",
    "no_skill": "No error was found, and no skill over the best non-magnetic baseline is shown.",
    "not_tested": "No error was found. No skill is claimed or tested here.",
}
_TASKS = ("detection", "magnitude", "azimuth")
_NON_MAGNETIC = ("constant", "no_signal")


def write_audit_page(audit: Audit, out: Path, claim: str | None = None) -> Path:
    """Write the audit report, which is returned: ``out`` is the page, ``*.html``, or the folder of ``audit.html``.

    The claim is quoted in the words of those who make it.
    """
    page = out if out.suffix == ".html" else out / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, render_audit_page(audit, claim))
    return page


def render_audit_page(audit: Audit, claim: str | None = None) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("seismag.audit"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(number=number, interval=interval, words_of_key=words_of_key)
    audit = replace(audit, subject=without_folders(audit.subject), notes=without_folders(audit.notes))
    tests = sorted(audit.tests, key=lambda test: list(_WORDS).index(test.verdict))
    counts = Counter(test.verdict for test in tests)
    bars, skills = _bars(audit), [(task, _skill(audit, task)) for task in _TASKS]
    return environment.get_template("audit.html.j2").render(
        outcome="fail" if audit.failed else "pass",
        subject="; ".join(f"{key.replace('_', ' ')}: {_listed(value)}" for key, value in audit.subject.items()),
        conclusion=audit_conclusion(audit),
        counts=", ".join(f"{counts[verdict]} {word}" for verdict, word in _WORDS.items() if counts[verdict]),
        claim=claim,
        scores={task: _scores(audit, task) for task in _TASKS if _scores(audit, task)},
        left_out=classes_left_out,
        bars=draw_bars(bars) if bars else None,
        has_claim=bool(bars) and bars[0].is_claim,
        tests=[(test, draw_interval(test.statistic, test.null)) for test in tests],
        words=_WORDS,
        skills=[(task, skill, draw_interval(skill.value, estimate=skill)) for task, skill in skills if skill],
        audit=audit,
        tried=describe_tried(audit.tried),
        detectable=describe_detectable(audit),
        concerns=", ".join(words_of_key(test.name) for test in audit.concerns),
        metrics=audit.metrics or {},
    )


def conclusion_of(audit: Audit) -> Conclusion:
    """What may be concluded on the skill in detection; ``errors`` where a blocking check failed."""
    if audit.failed:
        return "errors"
    headline, skill = audit.test(HEADLINE), _skill(audit, "detection")
    if headline is not None and headline.verdict == "inconclusive":
        return "inconclusive"
    if headline is not None:
        return "skill" if headline.verdict == "skill" else "no_skill"
    if skill is not None and skill.value is not None and skill.low is not None:
        return "skill" if skill.low > 0 else "no_skill"
    return "not_tested"


def audit_conclusion(audit: Audit) -> str:
    """What may be concluded, in one sentence."""
    if not audit.tests:
        return "No check was made, so nothing can be concluded."
    conclusion, headline = conclusion_of(audit), audit.test(HEADLINE)
    if conclusion == "inconclusive" and headline is not None:
        return f"No error was found. {headline.sentence}"
    return _SENTENCES[conclusion]


def _scores(audit: Audit, task: str) -> dict[str, Any]:
    """Scores of a task in metrics.json; empty where it was not evaluated."""
    return (audit.metrics or {}).get(task) or {}


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number(n)}" for name, n in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else number(value)


def _bars(audit: Audit) -> list[Bar]:
    """The claim and the non-magnetic baselines of detection, the strongest first; else the blocking columns."""
    scores = _scores(audit, "detection")
    bars = [
        Bar(words_of_key(name), False, entry.get("balanced_accuracy"), entry.get("accuracy"))
        for name, entry in scores.get("baselines", {}).items()
        if not entry.get("uses_truth") and entry.get("group", "no_signal") in _NON_MAGNETIC
    ]
    if not bars:
        blocking = [(name, column) for name, column in audit.baselines.items() if column.blocking]
        bars = [Bar(words_of_key(name), False, column.balanced_accuracy, column.accuracy) for name, column in blocking]
    bars.sort(key=lambda bar: -1.0 if bar.balanced_accuracy is None else bar.balanced_accuracy, reverse=True)
    if not scores:
        return bars
    claimed = Bar("claimed: detection", True, scores["balanced_accuracy"]["value"], scores["accuracy"]["value"])
    return [claimed, *bars]


def _skill(audit: Audit, task: str) -> Estimate | None:
    entry = _scores(audit, task).get("skill_above_best_baseline", {}).get("balanced_accuracy")
    return None if entry is None else Estimate(entry["value"], entry["low"], entry["high"], entry["n"])
