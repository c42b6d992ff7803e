"""What a cross-validation leaves behind: a document a fold, one of all folds, and lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seismag.scoring.estimates import FEW_CLUSTERS
from seismag.scoring.predictions import TASK_CLASSES

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
SKILLS = ("balanced_accuracy", "log_score")


def fold_document(fold: int, metrics: Mapping[str, Any], certificate: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``fold_<k>.json``.

    Args:
        fold: its number.
        metrics: metrics.json of its run.
        certificate: path, sha256, method and proof of the split's certificate.
    """
    document: dict[str, Any] = {"fold": fold, "n_folds": certificate["n_folds"]}
    document |= {key: metrics[key] for key in ("role", "n", "n_events", "n_event_groups", "n_normal_groups")}
    for task in TASK_CLASSES:
        document[task] = {score: {"mean": metrics[task][score]["value"], "std": None} | {
            key: metrics[task][score][key] for key in ("low", "high", "n")} for score in SCORES}  # fmt: skip
    document["skill_above_best_baseline"] = {task: metrics[task]["skill_above_best_baseline"] for task in TASK_CLASSES}
    document |= {"split_certificate": dict(certificate), "run_ids": metrics["run_ids"]}
    return document | {"warnings": metrics["warnings"]}


def final_document(
    folds: Sequence[Mapping[str, Any]], pooled: Mapping[str, Any], certificate: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of ``<method>_convnext_final_results.json``.

    ``mean`` and ``std`` (n - 1) run over the folds in which a score is defined, ``n_folds`` of them; they say how much
    folds differ. ``pooled`` is the score of all test windows together with its interval by event.

    Args:
        folds: the documents of all folds.
        pooled: metrics of the joint table of predictions.
        certificate: as for ``fold_document``.
    """
    document: dict[str, Any] = {"n_folds": len(folds), "folds": list(folds)}
    for task in TASK_CLASSES:
        document[task] = {
            score: _spread([fold[task][score]["mean"] for fold in folds]) | {"pooled": pooled[task][score]}
            for score in SCORES
        }
    document["skill_above_best_baseline"] = {
        task: {
            score: _spread([fold["skill_above_best_baseline"][task][score]["value"] for fold in folds])
            | {"pooled": pooled[task]["skill_above_best_baseline"][score]}
            for score in SKILLS
        }
        for task in TASK_CLASSES
    }
    document |= {"split_certificate": dict(certificate), "run_ids": pooled["run_ids"]}
    keys = ("n", "n_events", "n_event_groups", "n_normal_groups", "confidence", "data_origin", "dataset_id")
    return document | {key: pooled[key] for key in keys} | {"warnings": pooled["warnings"]}


def describe_folds(folds: Sequence[Mapping[str, Any]]) -> str:
    """A line a fold: skill above the rules without the field first; an interval where there are groups for one."""
    lines = [f"{'fold':<6}{'windows':>8}{'clusters':>9}  skill above no-signal, balanced accuracy of"]
    lines.append(f"{'':<23}  " + "".join(f"{task:<26}" for task in TASK_CLASSES).rstrip())
    for fold in folds:
        few = min(fold["n_event_groups"], fold["n_normal_groups"]) < FEW_CLUSTERS
        skills = [fold["skill_above_best_baseline"][task]["balanced_accuracy"] for task in TASK_CLASSES]
        text = "".join(f"{_with_interval(skill, few):<26}" for skill in skills).rstrip()
        lines.append(f"{fold['fold']:<6}{fold['n']:>8}{fold['n_event_groups']:>9}  {text}")
    return "\n".join(lines)


def _spread(values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "n_folds": len(known),
    }


def _with_interval(entry: Mapping[str, Any], few: bool) -> str:
    if entry["value"] is None:
        return "undefined"
    if few or entry["low"] is None:
        return f"{entry['value']:+.3f} (too few groups)"
    return f"{entry['value']:+.3f} [{entry['low']:+.3f}, {entry['high']:+.3f}]"
