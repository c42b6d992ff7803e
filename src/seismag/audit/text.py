"""An audit as text for the terminal: the conclusion, the sentences of checks that did not pass, and a table of all."""

from __future__ import annotations

from seismag.audit.result import Audit
from seismag.estimate import CheckResult, Verdict

_WITH_SENTENCE: tuple[Verdict, ...] = ("fail", "skill", "no_skill", "inconclusive", "informational")


def format_audit(audit: Audit) -> str:
    """Text of an audit."""
    lines = [format_headline(audit), _subject(audit), ""]
    for verdict in _WITH_SENTENCE:
        word = "FAILED" if verdict == "fail" else verdict.replace("_", " ")
        lines += [f"{word:<13}  {test.name}: {test.sentence}" for test in audit.tests if test.verdict == verdict]
    if lines[-1]:
        lines.append("")
    width = max(len(test.name) for test in audit.tests)
    lines.append(f"{'check':<{width}}  {'verdict':<13}  {'statistic':>9}  {'p':>7}  {'adjusted':>8}  {'placebo':>7}")
    lines += [_test_row(test, width) for test in audit.tests]
    if audit.baselines:
        width = max(len(name) for name in audit.baselines)
        lines += ["", f"{'alone, out of fold':<{width}}  accuracy  balanced"]
        for name, scores in audit.baselines.items():
            lines.append(f"{name:<{width}}  {scores.accuracy:8.3f}  {scores.balanced_accuracy:8.3f}")
    if left := [f"{name} ({why})" for name, why in audit.columns.items() if "feature" not in why]:
        lines += ["", f"no features: {'; '.join(left)}"]
    if audit.configurations_tried is not None:
        lines += ["", f"configurations tried on this data set: {audit.configurations_tried}"]
    return "\n".join([*lines, *(f"note: {sentence}" for sentence in audit.notes)])


def format_headline(audit: Audit) -> str:
    """The conclusion of the integrity checks in one line."""
    n_blocking = sum(test.blocking for test in audit.tests)
    if audit.failed:
        names = ", ".join(test.name for test in audit.failed)
        return f"INTEGRITY CHECKS FAILED: {len(audit.failed)} of {n_blocking} blocking checks: {names}."
    return (
        f"Integrity checks passed: none of {n_blocking} blocking checks failed (without any error in the data one "
        f"fails in {100 * audit.family_wise_error:g} % of studies)."
    )


def _subject(audit: Audit) -> str:
    subject = audit.subject
    parts = [f"{subject['kind']} {subject['path']}"]
    if "label" in subject:
        parts.append(f"class {subject['label']}")
    parts.append(f"{subject['rows']} rows" if "rows" in subject else f"{subject['windows']} windows")
    if "groups" in subject:
        columns = ", ".join(subject.get("group_columns", []))
        parts.append(f"{subject['groups']} groups" + (f" by ({columns})" if columns else ""))
    if "classes" in subject:
        parts.append(", ".join(f"{n} {name}" for name, n in subject["classes"].items()))
    return "; ".join(parts)


def _test_row(test: CheckResult, width: int) -> str:
    adjusted = test.details.get("adjusted_p")
    return (
        f"{test.name:<{width}}  {test.verdict:<13}  {_number(test.statistic, '9.4g')}  "
        f"{_number(test.p_value, '7.4f')}  {_number(adjusted, '8.4f')}  {_number(test.placebo_rate, '7.3f')}"
    ).rstrip()


def _number(value: float | None, style: str) -> str:
    return " " * int(style.split(".")[0]) if value is None else f"{value:{style}}"
