"""An audit as text for the terminal: the conclusion, the sentences of checks that did not pass, and a table of all."""

from __future__ import annotations

from seismag.audit.result import DETECTED_WITH, Audit
from seismag.estimate import CONCERN_P, Verdict
from seismag.text import format_table, wrap_text
from seismag.windows.tried import Tried

_WITH_SENTENCE: tuple[Verdict, ...] = ("fail", "concern", "skill", "no_skill", "inconclusive", "informational")


def format_audit(audit: Audit) -> str:
    """Text of an audit, in lines of at most 80 columns."""
    lines = [wrap_text(format_headline(audit)), wrap_text(_subject(audit), indent=2)]
    lines += [*(wrap_text(sentence, indent=2) for sentence in (describe_detectable(audit),) if sentence), ""]
    for verdict in _WITH_SENTENCE:
        word = {"fail": "FAILED", "concern": "CONCERN"}.get(verdict, verdict.replace("_", " "))
        for test in audit.tests:
            if test.verdict == verdict:
                lines.append(wrap_text(f"{word}  {test.name}: {test.sentence}", indent=2))
    rows = [
        (test.name, test.verdict, _fixed(test.statistic, "4g"), _fixed(test.p_value, "4f"),
         _fixed(test.details.get("adjusted_p"), "4f"), _fixed(test.placebo_rate, "3f"),
         _fixed(test.details.get("detectable_gain"), "3f"))
        for test in audit.tests
    ]  # fmt: skip
    lines += ["", format_table(["check", "verdict", "statistic", "p", "adjusted", "placebo", "detects"], rows)]
    if audit.baselines:
        scores = [
            (name, _fixed(column.accuracy, "3f"), _fixed(column.balanced_accuracy, "3f"))
            for name, column in audit.baselines.items()
        ]
        lines += ["", format_table(["alone, out of fold", "accuracy", "balanced"], scores)]
    left_out = [f"{name} ({use.describe()})" for name, use in audit.columns.items() if not use.is_feature]
    if left_out:
        lines += ["", wrap_text(f"no features: {'; '.join(left_out)}", indent=2)]
    if audit.subject.get("kind") != "table":
        lines += ["", wrap_text(f"configurations tried on these recordings: {describe_tried(audit.tried)}", indent=2)]
    return "\n".join([*lines, *(wrap_text(f"note: {sentence}", indent=2) for sentence in audit.notes)])


def describe_tried(tried: Tried) -> str:
    """The number of configurations tried, and where it comes from."""
    if tried.unknown is not None:
        return f"unknown ({tried.unknown})"
    return (
        f"{tried.number} (trainings: {len(tried.trainings)}), recorded in the store and beside it since "
        f"{tried.since_utc}; data sets of the same recordings in other folders are not counted"
    )


def format_headline(audit: Audit) -> str:
    """The conclusion of the integrity checks in one line."""
    n_blocking = sum(test.blocking for test in audit.tests)
    if audit.failed:
        names = ", ".join(test.name for test in audit.failed)
        return f"INTEGRITY CHECKS FAILED: {len(audit.failed)} of {n_blocking} blocking checks: {names}."
    concerns = ""
    untested = [test.name for test in audit.tests if test.blocking and test.verdict == "inconclusive"]
    if untested:
        concerns = f" NOT DECIDED, because groups, values or permutations do not suffice: {', '.join(untested)}."
    if audit.concerns:
        names = ", ".join(test.name for test in audit.concerns)
        concerns += (
            f" CONCERNS: {names} (p at most {CONCERN_P:g} with an effect above the minimum; passed only because "
            f"{n_blocking} checks are corrected together)."
        )
    return (
        f"Integrity checks passed: none of {n_blocking} blocking checks failed (without any error in the data one "
        f"fails in {100 * audit.family_wise_error:g} % of studies).{concerns}"
    )


def describe_detectable(audit: Audit) -> str:
    """The smallest gain of balanced accuracy that the checks would have found; empty where none of them has one."""
    gains = sorted(gain for gain in audit.detectable_gains.values() if gain is not None)
    blind = [name for name, gain in audit.detectable_gains.items() if gain is None]
    subject = audit.subject
    n_groups = f"With {subject['groups']} groups a" if "groups" in subject else "A"
    text = ""
    if gains:
        text = (
            f"{n_groups} column that predicts the class is found with probability {DETECTED_WITH:g} where it raises "
            f"the balanced accuracy by {gains[0]:.2f} (the most sensitive check) to {gains[-1]:.2f} (the least "
            "sensitive); a pass excludes nothing smaller. "
        )
    if blind:
        text += f"Even a column that states the class would not be found so surely by {', '.join(blind)}."
    return text.strip()


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


def _fixed(value: float | None, digits: str) -> str | None:
    return None if value is None else f"{value:.{digits}}"
