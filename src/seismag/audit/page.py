"""The verdict page: what was claimed, what explains it, what remains, from the JSON of the audit and its companions.

The page is one file: no script, no request, figures as inline SVG. Every number on it is one of the JSON documents; a
part that is missing is said to be missing, with the command that makes it. All text is escaped by the template, for it
may come from a stranger's table.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seismag.audit.figure import bar_chart, interval_plot
from seismag.domain import DataError
from seismag.files import write_text_atomic
from seismag.text import interval, number

PAGE = "audit.html"
ORDER = ("fail", "note", "undecided", "no_skill", "skill", "pass")  # what a reader must see comes first
_WORDS = {
    "fail": "failed", "note": "noted", "undecided": "undecided", "no_skill": "no skill", "skill": "skill",
    "pass": "passed",
}  # fmt: skip
_TASKS = ("detection", "magnitude", "azimuth")
_SKILL = "skill_above_best_baseline"
_WITHOUT_FIELD = ("constant", "no_signal")


def write_audit_page(
    audit: dict[str, Any],
    out: Path,
    *,
    metrics: dict[str, Any] | None = None,
    alarms: dict[str, Any] | None = None,
    recovery: dict[str, Any] | None = None,
    claim: str | None = None,
) -> Path:
    """Write the verdict page.

    Args:
        audit: the content of audit.json.
        out: the page, ``*.html``, or the folder that gets ``audit.html``.
        metrics: the content of metrics.json; None: nobody judged predictions.
        alarms: the summary of ``seismag alarms``.
        recovery: the content of recovery.json.
        claim: in the words of those who make it.

    Returns:
        The page.

    Raises:
        DataError: the audit lacks its gate or its tests.
    """
    page = out if out.suffix == ".html" else out / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(page, render_audit_page(audit, metrics=metrics, alarms=alarms, recovery=recovery, claim=claim))
    return page


def render_audit_page(
    audit: dict[str, Any],
    *,
    metrics: dict[str, Any] | None = None,
    alarms: dict[str, Any] | None = None,
    recovery: dict[str, Any] | None = None,
    claim: str | None = None,
) -> str:
    """Give the page as text; for the arguments see ``write_audit_page``."""
    missing = [key for key in ("gate", "tests") if key not in audit]
    if missing:
        raise DataError(f"audit: has no {' and no '.join(missing)}. Give the content of audit.json (seismag audit).")
    strange = [f"{test['name']} ({test.get('verdict')})" for test in audit["tests"] if test.get("verdict") not in ORDER]
    if strange:
        raise DataError(f"audit: unknown verdict of {', '.join(strange)}. Known: {', '.join(ORDER)}.")
    environment = Environment(
        loader=PackageLoader("seismag.audit"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["number"] = number
    tests = sorted(audit["tests"], key=lambda test: ORDER.index(test["verdict"]))
    return environment.get_template("audit.html.j2").render(
        gate=audit["gate"],
        subject=_subject(audit.get("subject")),
        conclusion=conclusion(audit, metrics),
        counts=_counts(tests),
        claim=claim,
        scores=_scores(metrics),
        bars=bar_chart(_bars(audit, metrics)),
        tests=[_test(test) for test in tests],
        remains=_remains(audit, metrics, alarms, recovery),
    )


def conclusion(audit: dict[str, Any], metrics: dict[str, Any] | None) -> str:
    """Say in one sentence what may be concluded."""
    if audit["gate"] == "fail":
        return "Data, labels or split have faults, so nothing may be concluded from any score until they are mended."
    if not audit["tests"]:
        return "No test was made, so nothing can be said."
    verdicts = {test["name"]: test["verdict"] for test in audit["tests"]}
    skill = _first_skill(metrics)
    if verdicts.get("skill_above_no_signal") == "undecided":
        return "No fault was found. Whether there is skill cannot be decided from so few groups."
    if "skill_above_no_signal" in verdicts:
        shown = verdicts["skill_above_no_signal"] == "skill"
    elif skill is not None and skill["low"] is not None:
        shown = skill["low"] > 0
    else:
        return "No fault was found. No skill is claimed or tested here."
    if shown:
        return "No fault was found, and skill remains above what is known without the field."
    return "No fault was found, and no skill is shown above what is known without the field."


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number(n)}" for name, n in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else number(value)


def _subject(subject: Any) -> str:
    if subject is None:
        return "subject not given"
    if isinstance(subject, dict):
        return "; ".join(f"{key.replace('_', ' ')}: {_listed(value)}" for key, value in subject.items())
    return str(subject)


def _counts(tests: list[dict[str, Any]]) -> str:
    found = Counter(test["verdict"] for test in tests)
    return ", ".join(f"{found[verdict]} {_WORDS[verdict]}" for verdict in ORDER if found[verdict]) or "no test was made"


def _scores(metrics: dict[str, Any] | None) -> list[dict[str, str]]:
    """Balanced accuracy, with accuracy never alone, of each task that was judged."""
    return [
        {
            "task": task,
            "balanced_accuracy": interval(metrics[task]["balanced_accuracy"]),
            "accuracy": interval(metrics[task]["accuracy"]),
            "n": number(metrics[task]["balanced_accuracy"].get("n")),
            "groups": number(metrics[task]["balanced_accuracy"].get("n_clusters")),
        }
        for task in _TASKS
        if metrics is not None and task in metrics
    ]


def _bars(audit: dict[str, Any], metrics: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The claim beside what needs no field; the strongest rule first. Columns of the field do not gate: left out."""
    task = audit.get("task") or "detection"
    judged = (metrics or {}).get(task) or {}
    rules_of_folds = {
        name: entry
        for name, entry in judged.get("baselines", {}).items()
        if not entry.get("uses_truth") and entry.get("group", "no_signal") in _WITHOUT_FIELD
    }
    alone = {name: entry for name, entry in (audit.get("baselines") or {}).items() if entry.get("gates", True)}
    baselines = rules_of_folds or alone
    rules = [
        {"label": _plain(name), "kind": "rule", **{key: entry.get(key) for key in ("balanced_accuracy", "accuracy")}}
        for name, entry in baselines.items()
    ]
    rules.sort(key=lambda row: -1.0 if row["balanced_accuracy"] is None else row["balanced_accuracy"], reverse=True)
    if not judged:
        return rules
    scores = {key: judged[key]["value"] for key in ("balanced_accuracy", "accuracy")}
    return [{"label": f"claimed: {task}", "kind": "claim", **scores}, *rules]


def _test(test: dict[str, Any]) -> dict[str, Any]:
    adjusted = (test.get("details") or {}).get("adjusted_p")
    return {
        "name": _plain(test["name"]),
        "verdict": test["verdict"],
        "word": _WORDS[test["verdict"]],
        "gates": bool(test.get("gates")),
        "sentence": test["sentence"],
        "plot": interval_plot(test.get("statistic"), test.get("null"), number),
        "statistic_name": test.get("statistic_name") or "statistic",
        "p_value": None if test.get("p_value") is None else number(test["p_value"]),
        "adjusted_p": None if adjusted is None else number(adjusted),
        "placebo_rate": None if test.get("placebo_rate") is None else number(test["placebo_rate"]),
    }


def _remains(
    audit: dict[str, Any],
    metrics: dict[str, Any] | None,
    alarms: dict[str, Any] | None,
    recovery: dict[str, Any] | None,
) -> list[dict[str, Any]]:
    """Rows of the last part: title, text, plot ("" for none), given (False: the text says what is missing)."""
    rows = [
        _row(f"Skill above the best rule without the field: {task}", text, plot)
        for task, text, plot in _skills(metrics)
    ]
    if not rows:
        rows.append(
            _gap("Skill above the best rule without the field", "no predictions were judged (seismag evaluate)")
        )
    rows += [_power(alarms), _upper_limit(recovery)]
    tried = audit.get("configurations_tried")
    rows.append(
        _gap("Configurations tried", "the audit does not know how many")
        if tried is None
        else _row(
            "Configurations tried", f"{number(tried)}: the more were tried, the more likely is a good score by chance."
        )
    )
    looks = next(
        (part["sealed"]["looks"] for part in (metrics, audit) if part and _is_ledger(part.get("sealed"))), None
    )
    rows.append(
        _gap("Looks at the sealed set", "no ledger of a sealed set was given")
        if looks is None
        else _row("Looks at the sealed set", f"{number(looks)} so far; each look costs every p-value on that set.")
    )
    error = audit.get("family_wise_error")
    rows.append(
        _gap("Error of the gate", "not stated")
        if error is None
        else _row("Error of the gate", f"Where nothing is wrong it fails with probability {number(error)} at most.")
    )
    return rows


def _skills(metrics: dict[str, Any] | None) -> list[tuple[str, str, Any]]:
    rows = []
    for task in _TASKS:
        entry = ((metrics or {}).get(task) or {}).get(_SKILL, {}).get("balanced_accuracy")
        if entry is not None:
            rule = f" above {_plain(str(entry['baseline']))}" if entry.get("baseline") else ""
            plot = interval_plot(entry.get("value"), None, number, entry)
            rows.append((task, f"balanced accuracy {interval(entry)}{rule}, n = {number(entry.get('n'))}", plot))
    return rows


def _first_skill(metrics: dict[str, Any] | None) -> dict[str, Any] | None:
    entry = ((metrics or {}).get("detection") or {}).get(_SKILL, {}).get("balanced_accuracy")
    return entry if entry is not None and entry.get("value") is not None else None


def _power(alarms: dict[str, Any] | None) -> dict[str, Any]:
    title = "Power"
    if alarms is None:
        return _gap(title, "not computed (seismag alarms)")
    power = alarms.get("power")
    if power is None:
        return _gap(title, str(alarms.get("undefined") or "the alarms have none"))
    seen = [
        f"at error {alpha} a gain of {number(entry['smallest_gain'])} and an AUC of {number(entry['smallest_auc'])}"
        for alpha, entry in power["by_error"].items()
    ]
    text = f"{number(power['n_events'])} independent events show with probability {number(power['power'])} "
    return _row(title, f"{text}{'; '.join(seen)}, or more.")


def _upper_limit(recovery: dict[str, Any] | None) -> dict[str, Any]:
    title = "What a null result excludes"
    if recovery is None:
        return _gap(title, "no emissions were planted (seismag recover)")
    return _row(title, str(recovery["sentence"]))


def _is_ledger(sealed: Any) -> bool:
    return isinstance(sealed, dict) and sealed.get("looks") is not None


def _row(title: str, text: str, plot: Any = None) -> dict[str, Any]:
    return {"title": title, "text": text, "plot": plot, "given": True}


def _gap(title: str, why: str) -> dict[str, Any]:
    return {"title": title, "text": f"Not given: {why}.", "plot": None, "given": False}


def _plain(name: str) -> str:
    return name.replace("_", " ")
