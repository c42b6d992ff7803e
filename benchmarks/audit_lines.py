"""Lines that audit.py prints: rates of false alarms, scenarios, errors, and the two procedures side by side."""

from __future__ import annotations

from typing import Any

from scipy.stats import binomtest

from seismag.config import AuditConfig

ERROR = AuditConfig.model_validate({}).family_wise_error


def rate_line(name: str, n_failed: int, n: int, nominal: float = ERROR) -> str:
    """A rate of false alarms with its exact interval, and the nominal rate."""
    interval = binomtest(n_failed, n).proportion_ci(0.95, "exact")
    low, high = 100 * interval.low, 100 * interval.high
    p_value = binomtest(n_failed, n, nominal, alternative="greater").pvalue
    return (
        f"{name:42}{n_failed:4d} of {n:4d}   {100 * n_failed / n:5.1f} % [{low:.1f}, {high:.1f}]"
        f"   nominal {100 * nominal:g} %, p of at least so many {p_value:.2f}"
    )


def check_lines(rows: list[dict[str, Any]], what: str) -> list[str]:
    """Rate of p <= 0.05 of each check, with its exact interval."""
    names = sorted({name for row in rows for name in row["p_values"]})
    lines = [f"p <= 0.05 on {what}:"]
    for name in names:
        p_values = [row["p_values"][name] for row in rows if name in row["p_values"]]
        small = sum(p_value <= 0.05 for p_value in p_values)
        interval = binomtest(small, len(p_values)).proportion_ci(0.95, "exact")
        lines.append(
            f"  {name:30}{small:4d} of {len(p_values):4d}   [{100 * interval.low:.1f}, {100 * interval.high:.1f}] %"
        )
    return lines


def error_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Each error with the checks that name it."""
    lines = [f"{'error':32}{'should be named by':24}{'named':8}{'failed':78}concerns and informational"]
    n_named = 0
    for row in rows:
        noted = [*row["concerns"], *row["noted"]]
        is_named = row["expected"] in [*row["failed"], *noted]
        n_named += is_named
        named = "yes" if is_named else "NO"
        lines.append(f"{row['error']:32}{row['expected']:24}{named:8}{', '.join(row['failed']):78}{', '.join(noted)}")
    return [*lines, f"{n_named} of {len(rows)} errors are named"]


def scenario_lines(rows: list[dict[str, Any]]) -> list[str]:
    """The table of scenarios."""
    lines = [f"{'scenario':26}{'windows':>8}  {'checks':8}{'failed tests':48}{'expected':26}met"]
    for row in rows:
        met, expected = meets_expectation(row)
        failed = ", ".join(row["failed"]) or ("-" if row["gate"] else f"all rejected: {row.get('rejected')}")
        if row.get("skill"):
            failed += f"; {row['skill']} (p {row['skill_p']:.2g})"
        lines.append(f"{row['scenario']:26}{row['windows']:8d}  {row['gate'] or '-':8}{failed:48}{expected:26}{met}")
    return lines


def meets_expectation(row: dict[str, Any]) -> tuple[str, str]:
    """Whether the scenario's expected result occurred, and that result."""
    wanted = [value for entry in row["expected"] for value in entry.values()]
    if not wanted:
        return ("yes" if row["gate"] == "pass" and row.get("skill") != "skill" else "NO"), "pass, no skill"
    if "skill_above_no_signal" in wanted:
        return ("yes" if row["gate"] == "pass" and row.get("skill") == "skill" else "NO"), "pass, skill"
    if wanted == ["implausible"]:
        return (
            "yes" if row["windows"] == 0 and set(row["rejected"]) <= {"implausible", "no_file"} else "NO"
        ), "implausible"
    return ("yes" if set(wanted) <= set(row["failed"]) else "NO"), ", ".join(wanted)


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """Write a score with its interval, where it has one."""
    return f"{value:.3f} (no interval)" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def naive_lines(row: dict[str, Any]) -> list[str]:
    """The two procedures side by side."""
    lines = [f"{'':12}{'naive (earlier systems)':40}ours"]
    for task in ("magnitude", "azimuth", "detection"):
        for score in ("accuracy", "balanced_accuracy", "skill"):
            cells = [with_interval(*row[name][task][score]) for name in ("naive", "ours")]
            lines.append(f"{task} {score.replace('_', ' ')}: {cells[0]}   |   {cells[1]}")
    for name in ("naive", "ours"):
        failed = ", ".join(row[name]["failed"]) or "none"
        lines.append(f"audit of {name}: integrity checks {row[name]['gate']}, failed: {failed}; {row[name]['skill']}")
    return lines
