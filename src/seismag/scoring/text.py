"""metrics.json as lines for a tired reader: skill above the rules without the field first."""

from __future__ import annotations

from typing import Any

from seismag.scoring.baselines import RIVAL_GROUPS
from seismag.scoring.estimates import FEW_CLUSTERS
from seismag.scoring.predictions import TASK_CLASSES

SIMULATED_REMARK = " (what is found there was planted, or not, on purpose)"
MAX_WARNINGS = 8
MAX_LOOKS = 5
_JUDGED = {
    "mainshocks": "windows before mainshocks, and Normal ones",
    "all": "windows before any event, and Normal ones",
}


def format_summary(metrics: dict[str, Any]) -> str:
    """Write metrics.json for a tired reader: skill first, accuracy only beside what no field reaches."""
    run = metrics["run_id"] or f"{len(metrics['run_ids'])} runs"
    lines = [
        f"{run}, role {metrics['role']}: {metrics['n']} windows, {metrics['n_events']} events "
        f"({metrics['n_event_groups']} event groups, {metrics['n_normal_groups']} Normal groups)",
        f"judged: {_JUDGED[metrics['events']]}",
        f"{100 * metrics['confidence']:g} % intervals by group bootstrap, {metrics['bootstrap']['replicates']} "
        f"replicates; baselines fitted: {metrics['baselines_fitted']}",
    ]
    if origins := metrics.get("data_origin"):
        lines.append(f"data: {' and '.join(origins)}{SIMULATED_REMARK if 'simulated' in origins else ''}")
    lines += _sealed_lines(metrics.get("sealed"))
    few = _is_few(metrics)
    for task in TASK_CLASSES:
        lines += ["", *_summary_of_task(task, metrics[task], few)]
    lines += ["", *_summary_of_parts(metrics)]
    if (reason := metrics["detection"]["calibration"]["reason"]) is not None:
        lines.append(f"not calibrated, no conformal sets: {reason}")
    warnings = metrics["warnings"]
    lines += [f"warning: {sentence}" for sentence in warnings[:MAX_WARNINGS]]
    if len(warnings) > MAX_WARNINGS:
        lines.append(f"warning: {len(warnings) - MAX_WARNINGS} more in metrics.json.")
    return "\n".join(lines).rstrip()


def _sealed_lines(sealed: dict[str, Any] | None) -> list[str]:
    """How often the sealed windows of this store were looked at, and what each look found, adjusted for all."""
    if not sealed or not sealed["looks"]:
        return []
    this = f"; this is look {sealed['this_look']}" if "this_look" in sealed else ""
    count = f"{sealed['looks']} look{'s' if sealed['looks'] > 1 else ''}"
    lines = [f"sealed windows of this store: {count} so far{this} (p-values times {sealed['looks']})"]
    if (earlier := sealed["looks"] - MAX_LOOKS) > 0:
        lines.append(f"  {earlier} earlier in metrics.json")
    for entry in sealed["history"][-MAX_LOOKS:]:
        p_values = entry["p_values"]
        adjusted = p_values["area_skill"]["adjusted"] if p_values else None
        outcome = "no p-value" if adjusted is None else f"area skill p {adjusted:.4f} adjusted"
        lines.append(f"  look {entry['look']}, {entry['utc'][:10]}, {entry['run_id']}: {outcome} ({entry['purpose']})")
    return lines


def _summary_of_task(task: str, result: dict[str, Any], few: bool) -> list[str]:
    lines = [task]
    for score, unit in (("balanced_accuracy", ""), ("log_score", " nat")):
        entry = result["skill_above_best_baseline"][score]
        lines.append(_skill_line(score.replace("_", " "), entry, unit, few))
    if (skills := result["calibration"].get("skill_above_best_baseline")) is not None:
        lines.append(_skill_line("log s., calibrated", skills["temperature_and_prior"], " nat", few))
    for score, label in (("balanced_accuracy", "balanced accuracy"), ("mcc", "MCC")):
        lines.append(_line(label, _with_interval(result[score], ".3f")))
    lines += _own_scores(result)
    rivals = {name: entry["accuracy"] for name, entry in result["baselines"].items() if entry["group"] in RIVAL_GROUPS}
    best = max(rivals, key=lambda name: rivals[name])
    accuracy = _with_interval(result["accuracy"], ".3f")
    return [*lines, _line("accuracy", f"{accuracy}; without the field {rivals[best]:.3f} ({best})")]


def _own_scores(result: dict[str, Any]) -> list[str]:
    """What only this task has: order, direction, ranking and calibration."""
    lines = []
    if "rps_skill" in result:
        lines.append(_line("RPS skill above no-signal", _with_interval(result["rps_skill"], "+.3f")))
    if "mean_error_deg" in result:
        lines.append(
            _line("mean error of the direction", _with_interval(result["mean_error_deg"], ".0f") + " deg; chance 90")
        )
    if "auc_within_station" in result:
        lines.append(_line("AUC within station", _with_interval(result["auc_within_station"], ".3f") + "; chance 0.5"))
        before = result["reliability"]["ece"]["value"]
        after = result["calibration"].get("reliability")
        text = f"{before:.3f}" + (f"; calibrated {after['ece']['value']:.3f}" if after else "; not calibrated")
        lines.append(_line("calibration error (ECE)", text))
        if sets := result["conformal"]:
            text = (
                f"hold the truth in {_with_interval(sets['coverage'], '.2f')}, {sets['mean_set_size']:.2f} of 2 classes"
            )
            lines.append(_line(f"conformal sets for {sets['coverage_aimed']:g}", text))
    return lines


def _summary_of_parts(metrics: dict[str, Any]) -> list[str]:
    lines = []
    if (whole := metrics["all_events"]) is not None:
        skills = whole["detection"]["skill_above_best_baseline"]
        lines.append(
            f"all events, {whole['n']} windows: detection {_with_interval(skills['balanced_accuracy'], '+.3f')} "
            f"balanced accuracy, {_with_interval(skills['log_score'], '+.3f')} nat above no-signal"
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
        lines.append(f"by station: AUC {span}, {len(areas)} stations; more in metrics.json")
    return lines


def _is_few(metrics: dict[str, Any]) -> bool:
    return any(0 < metrics[key] < FEW_CLUSTERS for key in ("n_event_groups", "n_normal_groups"))


def _skill_line(label: str, skill: dict[str, Any], unit: str, few: bool) -> str:
    if skill["value"] is None:
        return f"  skill above no-signal, {label:<18} undefined"
    return (
        f"  skill above no-signal, {label:<18} {_with_interval(skill, '+.3f')}{unit} "
        f"against {skill['baseline']}: {'too few groups' if few else _conclusion(skill)}"
    )


def _line(label: str, text: str) -> str:
    return f"  {label:<41} {text}"


def _with_interval(entry: dict[str, Any], style: str) -> str:
    if entry["value"] is None:
        return "undefined"
    if entry["low"] is None:
        return f"{entry['value']:{style}} [no interval]"
    return f"{entry['value']:{style}} [{entry['low']:{style}}, {entry['high']:{style}}]"


def _conclusion(skill: dict[str, Any]) -> str:
    if skill["low"] is None:
        return "not decided"
    if skill["low"] > 0:
        return "better"
    return "worse" if skill["high"] < 0 else "no difference shown"
