"""The demonstration on the screen: three results, each with the numbers that it rests on."""

from __future__ import annotations

from seismag.audit.page import Conclusion
from seismag.demonstration.studies import CHANCE_ERROR_DEG, EarlierStudy, StudyResult

WORDS: dict[Conclusion, str] = {
    "skill": "SKILL FOUND",
    "no_skill": "NO SKILL CLAIMED",
    "inconclusive": "INCONCLUSIVE",
    "errors": "NOTHING CONCLUDED: integrity checks failed",
    "not_tested": "NOT TESTED",
}


def describe_demo(injected: StudyResult, null: StudyResult, earlier: EarlierStudy) -> list[str]:
    """Describe the three results in lines of at most 80 columns."""
    failed = earlier.failed_checks
    return [
        "",
        f"1  with an injected signal         {WORDS[injected.conclusion]}",
        f"     {describe_skill(injected)}",
        f"     {describe_direction(injected)}",
        f"     limit: at least {signed(injected.skill.low)}, for this signal in synthetic recordings",
        f"2  without a signal                {WORDS[null.conclusion]}",
        f"     {describe_skill(null)}",
        f"     upper limit: a skill larger than {signed(null.skill.high)} is excluded",
        f"3  without a signal, procedure of earlier systems: {100 * earlier.accuracy:.0f} % ACCURACY CLAIMED",
        f"     but {len(failed)} integrity checks fail:" if failed else "     and no integrity check fails",
        *wrap_names(failed),
    ]


def describe_skill(study: StudyResult) -> str:
    """The skill with its interval and p."""
    skill = study.skill
    p_value = "-" if study.p_value is None else f"{study.p_value:.3f}"
    ends = f"{signed(skill.low)} to {signed(skill.high)}"
    return f"skill {signed(skill.value)} (95 % interval {ends}), p {p_value}, {study.n_events} event clusters"


def describe_direction(study: StudyResult) -> str:
    """The mean error of the direction, and whether it is better than chance."""
    found = study.direction
    if found.mean_error_deg is None or found.low is None or found.high is None:
        return "direction: inconclusive"
    word = "recovered" if found.is_recovered else "not recovered"
    degrees = f"{found.mean_error_deg:.0f} degrees ({found.low:.0f} to {found.high:.0f})"
    return f"direction {word}: mean error {degrees}, by chance {CHANCE_ERROR_DEG:.0f}"


def signed(value: float | None) -> str:
    """Write a skill with its sign; a dash where it is undefined."""
    return "-" if value is None else f"{value:+.2f}"


def wrap_names(names: tuple[str, ...], width: int = 80, indent: int = 7) -> list[str]:
    """Write names in lines, separated by commas."""
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1]) + 2 + len(name) <= width:
            lines[-1] += f", {name}"
        else:
            lines.append(" " * indent + name)
    return lines
