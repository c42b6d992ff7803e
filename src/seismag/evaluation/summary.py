"""metrics.json as lines for a tired reader: skill above the rules without the field first."""

from __future__ import annotations

from typing import Any

from seismag.evaluation.predictions import TASK_CLASSES
from seismag.evaluation.scores import FEW_CLUSTERS

SIMULATED_REMARK = " (what is found there was planted, or not, on purpose)"


def format_summary(metrics: dict[str, Any]) -> str:
    """Write metrics.json for a tired reader: skill first, accuracy only beside what no field reaches."""
    run = metrics["run_id"] or f"{len(metrics['run_ids'])} runs"
    lines = [
        f"{run}, role {metrics['role']}: {metrics['n']} windows, {metrics['n_events']} events "
        f"({metrics['n_event_groups']} event groups, {metrics['n_normal_groups']} Normal groups)",
        f"{100 * metrics['confidence']:g} % intervals by group bootstrap, {metrics['bootstrap']['replicates']} "
        f"replicates; baselines fitted: {metrics['baselines_fitted']}",
    ]
    if origins := metrics.get("data_origin"):
        lines.append(f"data: {' and '.join(origins)}{SIMULATED_REMARK if 'simulated' in origins else ''}")
    few = any(0 < metrics[key] < FEW_CLUSTERS for key in ("n_event_groups", "n_normal_groups"))
    for task in TASK_CLASSES:
        lines += ["", *_summary_of_task(task, metrics[task], few)]
    if metrics["warnings"]:
        lines += ["", *(f"warning: {sentence}" for sentence in metrics["warnings"])]
    return "\n".join(lines)


def _summary_of_task(task: str, result: dict[str, Any], few: bool) -> list[str]:
    lines = [task]
    for score, unit in (("balanced_accuracy", ""), ("log_score", " nat")):
        skill = result["skill_above_best_baseline"][score]
        label = score.replace("_", " ")
        if skill["value"] is None:
            lines.append(f"  skill above no-signal, {label:<18} undefined")
            continue
        lines.append(
            f"  skill above no-signal, {label:<18} {_with_interval(skill, '+.3f')}{unit} "
            f"against {skill['baseline']}: {'too few groups' if few else _verdict(skill)}"
        )
    for score, label in (("balanced_accuracy", "balanced accuracy"), ("mcc", "MCC")):
        lines.append(f"  {label:<41} {_with_interval(result[score], '.3f')}")
    rivals = {name: entry["accuracy"] for name, entry in result["baselines"].items() if not entry["uses_truth"]}
    best = max(rivals, key=lambda name: rivals[name])
    accuracy = _with_interval(result["accuracy"], ".3f")
    lines.append(f"  {'accuracy':<41} {accuracy}; without the field {rivals[best]:.3f} ({best})")
    return lines


def _with_interval(entry: dict[str, Any], style: str) -> str:
    if entry["value"] is None:
        return "undefined"
    if entry["low"] is None:
        return f"{entry['value']:{style}} [no interval]"
    return f"{entry['value']:{style}} [{entry['low']:{style}}, {entry['high']:{style}}]"


def _verdict(skill: dict[str, Any]) -> str:
    if skill["low"] is None:
        return "not decided"
    if skill["low"] > 0:
        return "better"
    return "worse" if skill["high"] < 0 else "no difference shown"
