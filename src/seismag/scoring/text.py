"""Content of metrics.json as text: skill over the best non-magnetic baseline, then the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seismag.domain import FEW_CLUSTERS
from seismag.scoring.baselines import CANDIDATE_GROUPS
from seismag.scoring.predictions import TASK_CLASSES
from seismag.splits import NAIVE_WARNING
from seismag.text import format_table, wrap_text

SIMULATED_REMARK = " (signals were injected, or not, on purpose)"
MAX_WARNINGS = 8
MAX_ACCESSES = 5
_EVENTS = {
    "mainshocks": "windows before mainshocks, and Normal windows",
    "all": "windows before any event, and Normal windows",
}
_HEADER = ("value", "low", "high", "", "best baseline")
_DETECTED = {"network": "network", "one_station": "one station"}
_SETS = {"test": "test set", "val": "validation set"}
_Entry = dict[str, float | None]  # value, low and high of a score in the JSON
_Row = list[str | float | None]


def format_summary(metrics: dict[str, Any]) -> str:
    """Write metrics.json as lines of at most 80 columns: skill first, accuracy with that of the best baseline."""
    run = metrics["run_id"] or f"{len(metrics['run_ids'])} runs"
    subset = _SETS.get(metrics["role"], metrics["role"])
    groups = f"{metrics['n_event_groups']} event clusters, {metrics['n_normal_groups']} control blocks"
    head = [
        f"{run}, {subset}: {metrics['n']} windows, {metrics['n_events']} events ({groups})",
        f"evaluated: {_EVENTS[metrics['events']]}",
        f"{100 * metrics['confidence']:g} % intervals by group (jackknife); baselines fitted "
        f"{metrics['baselines_fitted']}",
    ]
    if origins := metrics.get("data_origin"):
        head.append(f"data: {' and '.join(origins)}{SIMULATED_REMARK if 'simulated' in origins else ''}")
    head.append("Δ: skill over the best non-magnetic baseline")
    lines = [wrap_text(line, 2) for line in head]
    lines += _holdout_lines(metrics.get("sealed"))
    is_naive = NAIVE_WARNING in metrics["warnings"]
    for task in TASK_CLASSES:
        lines += ["", format_table([task, *_HEADER], _task_rows(task, metrics[task], is_naive))]
    lines.append("calibration error (ECE; in brackets: by chance, and corrected for it)")
    lines += [wrap_text(f"  {task} {_error_line(metrics[task])}", 4) for task in TASK_CLASSES]
    with_sets = [task for task in TASK_CLASSES if metrics[task]["conformal"] is not None]
    if with_sets:
        nominal = metrics[with_sets[0]]["conformal"]["coverage_aimed"]
        lines.append(f"{100 * nominal:g} % conformal prediction sets: coverage by true class")
    lines += [wrap_text(f"  {task}: {_sets_line(metrics[task]['conformal'])}", 4) for task in with_sets]
    lines += ["", *_part_lines(metrics)]
    if (reason := metrics["detection"]["calibration"]["reason"]) is not None:
        lines.append(wrap_text(f"not calibrated, no conformal prediction sets: {reason}", 2))
    warnings = metrics["warnings"]
    lines += [wrap_text(f"warning: {sentence}", 2) for sentence in warnings[:MAX_WARNINGS]]
    if len(warnings) > MAX_WARNINGS:
        lines.append(f"warning: {len(warnings) - MAX_WARNINGS} more in metrics.json.")
    return "\n".join(lines).rstrip()


def classes_left_out(result: Mapping[str, Any]) -> str:
    """Classes of a task in metrics.json that occur but are not compared in balanced accuracy, with their groups."""
    compared = result["skill_above_best_baseline"]["balanced_accuracy"]["classes"]
    return ", ".join(
        f"{name} ({entry['n_clusters']})"
        for name, entry in result["per_class"].items()
        if entry["n"] and name not in compared
    )


def rare_classes_sentence(task: str, n_groups: Sequence[int]) -> str | None:
    """Sentence on classes in fewer groups than needed, from the groups with each class; None without one."""
    named = dict(zip(TASK_CLASSES[task], n_groups, strict=True))
    rare = [f"{name} ({n})" for name, n in named.items() if 0 < n < FEW_CLUSTERS]
    frequent = [name for name, n in named.items() if n >= FEW_CLUSTERS]
    if not rare:
        return None
    compared = f"are over {', '.join(frequent)}" if len(frequent) > 1 else "have none either"
    return (
        f"{task}: classes in fewer than {FEW_CLUSTERS} groups: {', '.join(rare)}. Their recall, balanced accuracy and "
        f"macro-F1 have no interval; differences in balanced accuracy {compared}."
    )


def _holdout_lines(log: dict[str, Any] | None) -> list[str]:
    """Number of accesses to the locked hold-out set of this store, and the result of each, adjusted for all."""
    n = log["looks"] if log else 0
    if not log or not n:
        return []
    this = f"; this is access {log['this_look']}" if "this_look" in log else ""
    count = f"{n} access{'es' if n > 1 else ''}"
    lines = [f"locked hold-out set of this store: {count} so far{this} (p-values times {n})"]
    if (earlier := n - MAX_ACCESSES) > 0:
        lines.append(f"{earlier} earlier in metrics.json")
    for entry in log["history"][-MAX_ACCESSES:]:
        p_values = entry["p_values"]
        adjusted = p_values["area_skill"]["adjusted"] if p_values else None
        outcome = "no p-value" if adjusted is None else f"area skill p {adjusted:.4f} adjusted"
        access = f"access {entry['look']}, {entry['utc'][:10]}, {entry['run_id']}"
        lines.append(f"{access}: {outcome} ({entry['purpose']})")
    return [wrap_text(line, 2) for line in lines]


def _task_rows(task: str, result: dict[str, Any], is_naive: bool) -> list[_Row]:
    skills = result["skill_above_best_baseline"]
    rows = [
        _skill_row("Δ balanced accuracy", skills["balanced_accuracy"], is_naive),
        _skill_row("Δ log score, nat", skills["log_score"], is_naive),
    ]
    if (calibrated := result["calibration"].get("skill_above_best_baseline")) is not None:
        rows.append(_skill_row("Δ calibrated log score", calibrated["temperature_and_prior"], is_naive))
    rows += [_row("balanced accuracy", result["balanced_accuracy"]), _row("MCC", result["mcc"])]
    if "rps_skill" in result:
        rows.append(_row("RPS skill score", result["rps_skill"], style="+.3f"))
    if "mean_error_deg" in result:
        rows.append(_row("direction error, deg", result["mean_error_deg"], "chance 90", style=".0f"))
    if task == "detection":
        rows.append(_row("station-stratified ROC AUC", result["auc_within_station"], "chance 0.5"))
    baselines = result["baselines"].items()
    accuracy = {name: entry["accuracy"] for name, entry in baselines if entry["group"] in CANDIDATE_GROUPS}
    best = max(accuracy, key=lambda name: accuracy[name])
    return [*rows, _row("accuracy", result["accuracy"], baseline=f"{best} {accuracy[best]:.3f}")]


def _error_line(result: Mapping[str, Any]) -> str:
    """Calibration error of a task, as predicted and calibrated, with what is chance."""
    parts = []
    for label, part in (("", result), ("calibrated ", result["calibration"])):
        if (reliability := part.get("reliability")) is not None:
            ece = reliability["ece"]
            parts.append(f"{label}{ece['value']:.3f} ({ece['by_chance']:.3f}, {ece['corrected']:.3f})")
    return ", ".join(parts)


def _sets_line(sets: Mapping[str, Any]) -> str:
    """Coverage of the conformal prediction sets by true class; classes that every set contains together."""
    always = sets["always_contained"]
    parts = [
        f"{name} {_with_interval(entry['coverage'], '.2f')}"
        for name, entry in sets["by_class"].items()
        if entry["n"] and name not in always
    ]
    if always:
        parts.append(
            f"{', '.join(always)} in every set (fewer than {sets['least_calibration_groups']} validation groups)"
        )
    return f"{', '.join(parts)}; mean size {sets['mean_set_size']:.2f} of {sets['n_classes']}"


def _network_lines(network: Mapping[str, Any]) -> list[str]:
    """Days with all their stations, compared with the best baseline and with one station; the reason without them."""
    if network["reason"] is not None:
        return [f"network of stations: days not evaluated: {network['reason']}"]
    skill, detected = network["skill"]["log_score"], network["detected"]
    found = ", ".join(f"{words} {_with_interval(detected[key], '.2f')}" for key, words in _DETECTED.items())
    return [
        f"network of {network['n_stations']} stations, {network['n']} days ({network['n_event_days']} event days, "
        f"{network['n_several']} with windows at several stations): Δ {_with_interval(skill)} nat over "
        f"{skill['baseline']}; over one station {_with_interval(network['over_one_station'])} nat",
        f"events detected at {100 * detected['false_alarms']:g} % of control days: {found}; ROC AUC "
        f"{_with_interval(network['scores']['roc_auc'], '.2f')}",
    ]


def _part_lines(metrics: dict[str, Any]) -> list[str]:
    lines = _network_lines(metrics["network"])
    if (whole := metrics["all_events"]) is not None:
        skills = whole["detection"]["skill_above_best_baseline"]
        lines.append(
            f"all events, {whole['n']} windows: detection Δ {_with_interval(skills['balanced_accuracy'])} "
            f"balanced accuracy, {_with_interval(skills['log_score'])} nat"
        )
    areas = {
        entry["subset"]: entry["detection"]["auc_within_station"]["value"] for entry in metrics["tables"]["by_station"]
    }
    areas = {station: value for station, value in areas.items() if value is not None}
    if len(areas) > 1:
        low, high = (choose(areas, key=lambda station: areas[station]) for choose in (min, max))
        span = f"{areas[low]:.2f} ({low}) to {areas[high]:.2f} ({high})"
        if f"{areas[low]:.2f}" == f"{areas[high]:.2f}":
            span = f"{areas[low]:.2f}"
        lines.append(f"by station: ROC AUC {span}, {len(areas)} stations; more in metrics.json")
    return [wrap_text(line, 2) for line in lines]


def _skill_row(label: str, skill: dict[str, Any], is_naive: bool) -> _Row:
    if skill["value"] is None:
        return [label, "undefined", "", "", "", ""]
    conclusion = "inconclusive"
    if not is_naive and skill["low"] is not None:
        conclusion = "better" if skill["low"] > 0 else "worse" if skill["high"] < 0 else "no difference"
    return _row(label, skill, conclusion, skill["baseline"], "+.3f")


def _row(label: str, entry: _Entry, remark: str = "", baseline: str = "", style: str = ".3f") -> _Row:
    values = (entry["value"], entry["low"], entry["high"])
    if values[0] is None:
        return [label, "undefined", "", "", remark, baseline]
    return [label, *(None if value is None else format(value, style) for value in values), remark, baseline]


def _with_interval(entry: _Entry, style: str = "+.3f") -> str:
    if entry["value"] is None:
        return "undefined"
    if entry["low"] is None:
        return f"{entry['value']:{style}} [no interval]"
    return f"{entry['value']:{style}} [{entry['low']:{style}}, {entry['high']:{style}}]"
