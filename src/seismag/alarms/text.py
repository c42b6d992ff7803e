"""Alarm summary as text: power, then the scores against each reference."""

from __future__ import annotations

from typing import Any

from seismag.text import format_table, wrap_text


def format_alarms(summary: dict[str, Any]) -> str:
    """Write the content of alarms.json as lines of at most 80 columns: power first."""
    lines = _power_lines(summary["power"]) if summary["power"] else []
    if reason := summary.get("undefined"):
        return "\n".join([*lines, wrap_text(reason)])
    measured = (
        f"{summary['n_events']} independent events in {summary['n_event_windows']} windows; alarm fraction tau "
        f"measured on {summary['n_ordinary_windows']} windows ({summary['tau_measured_on']})"
    )
    lines += ["", wrap_text(measured)]
    for name, reference in summary["references"].items():
        lines += ["", *_reference_lines(name, reference)]
    if summary["warnings"]:
        lines += ["", *(wrap_text(f"warning: {sentence}", 2) for sentence in summary["warnings"])]
    return "\n".join(lines)


def _power_lines(power: dict[str, Any]) -> list[str]:
    n = power["n_events"]
    lines = [
        f"power, before the result ({n} independent events, {100 * power['power']:g} % power, "
        f"tau {power['alarm_fraction']:g})"
    ]
    errors = power["by_error"]
    rows: list[list[str]] = []
    for gain in next(iter(errors.values()))["events_needed"]:
        counts = [entry["events_needed"][gain] for entry in errors.values()]
        rows.append([f"events needed for gain {gain}", *(str(count) if count else "> 100,000" for count in counts)])
    for key, label, none in (
        ("smallest_gain", "smallest gain", "none"),
        ("smallest_area_skill", "smallest area skill", "none"),
        ("smallest_auc", "smallest AUC", "> 0.80"),
        ("smallest_balanced_accuracy", "smallest balanced accuracy", "> 0.80"),
    ):
        values = [entry[key] for entry in errors.values()]
        rows.append([f"{label} of {n} events", *(none if value is None else f"{value:.3f}" for value in values)])
    lines.append(format_table(["", *(f"{100 * float(error):g} % error" for error in errors)], rows, indent=2))
    for error, entry in errors.items():
        if entry["smallest_gain"] is None:
            lines.append(f"  at {100 * float(error):g} % error even {n} hits of {n} are compatible with chance")
    return [*lines, f"  group correlation of the scores {power['group_correlation']:.2f}"]


def _reference_lines(name: str, reference: dict[str, Any]) -> list[str]:
    if sentence := reference.get("absent"):
        return [wrap_text(f"against {name}: absent. {sentence}", 2)]
    area = reference["area_skill"]
    null = area["null"]
    header = ["tau", "nu", "hits", "gain", "D", "nat/event", "p"]
    rows = []
    for row in reference["at"]:
        gain = None if row["gain"] is None else f"{row['gain']:.2f}"
        information = None if row["information_gain_nat"] is None else f"{row['information_gain_nat']:.3f}"
        rows.append([
            f"{row['tau']:.3f}", f"{row['nu']:.3f}", f"{row['hits']:.1f}", gain, f"{row['d']:.3f}", information,
            f"{row['p_moved']:.4f}",
        ])  # fmt: skip
    return [
        f"against {name}",
        f"  area skill {area['value']:.3f}, by chance {null['mean']:.3f} [{null['low']:.3f}, {null['high']:.3f}]",
        f"  p {area['p_moved']:.4f} (events randomised within 54 days)",
        format_table(header, rows, indent=2),
    ]
