"""audit.json as lines: the verdict first, then what each failed test saw, then all tests in a table."""

from __future__ import annotations

from typing import Any

_WITH_SENTENCE = ("fail", "skill", "no_skill", "undecided", "note")


def format_audit(document: dict[str, Any]) -> str:
    """Write audit.json for a reader who wants to know whether, and why, a claim cannot stand."""
    tests = document["tests"]
    lines = [_headline(document), _subject(document["subject"]), ""]
    for verdict in _WITH_SENTENCE:
        lines += [f"{_mark(verdict)}{test['name']}: {test['sentence']}" for test in tests if test["verdict"] == verdict]
    if lines[-1]:
        lines.append("")
    width = max(len(test["name"]) for test in tests)
    lines.append(f"{'test':<{width}}  {'verdict':<9}  {'statistic':>9}  {'p':>7}  {'adjusted':>8}  {'placebo':>7}")
    lines += [_test_row(test, width) for test in tests]
    if document["baselines"]:
        width = max(len(name) for name in document["baselines"])
        lines += ["", f"{'alone, out of fold':<{width}}  accuracy  balanced"]
        lines += [
            f"{name:<{width}}  {scores['accuracy']:8.3f}  {scores['balanced_accuracy']:8.3f}"
            for name, scores in document["baselines"].items()
        ]
    if left := [f"{name} ({why})" for name, why in document["columns"].items() if "feature" not in why]:
        lines += ["", f"no features: {'; '.join(left)}"]
    tried = document["configurations_tried"]
    if tried is not None:
        lines += ["", f"configurations tried on this data set: {tried}"]
    lines += [f"note: {sentence}" for sentence in document["notes"]]
    return "\n".join(lines)


def _headline(document: dict[str, Any]) -> str:
    gating = [test for test in document["tests"] if test["gates"]]
    failed = [test["name"] for test in gating if test["verdict"] == "fail"]
    level = f"{100 * document['family_wise_error']:g} %"
    if failed:
        return (
            f"GATE FAILED: {len(failed)} of {len(gating)} tests found what could explain a score without any signal: "
            f"{', '.join(failed)}."
        )
    return (
        f"Gate passed: none of {len(gating)} tests found a fault (a study without one would fail in {level} of cases)."
    )


def _subject(subject: dict[str, Any]) -> str:
    parts = [f"{subject['kind']} {subject['path']}"]
    if "label" in subject:
        parts.append(f"class {subject['label']}")
    counted = subject.get("rows", subject.get("windows"))
    parts.append(f"{counted} {'rows' if 'rows' in subject else 'windows'}")
    if "groups" in subject:
        by = subject.get("group_columns")
        parts.append(f"{subject['groups']} groups" + (f" by ({', '.join(by)})" if by else ""))
    if "classes" in subject:
        parts.append(", ".join(f"{n} {name}" for name, n in subject["classes"].items()))
    return "; ".join(parts)


def _mark(verdict: str) -> str:
    return f"{'FAILED' if verdict == 'fail' else verdict.replace('_', ' '):<10}"


def _test_row(test: dict[str, Any], width: int) -> str:
    adjusted = test["details"].get("adjusted_p")
    return (
        f"{test['name']:<{width}}  {test['verdict']:<9}  {_number(test['statistic'], '9.4g')}  "
        f"{_number(test['p_value'], '7.4f')}  {_number(adjusted, '8.4f')}  {_number(test['placebo_rate'], '7.3f')}"
    ).rstrip()


def _number(value: float | None, style: str) -> str:
    return " " * int(style.split(".")[0]) if value is None else f"{value:{style}}"
