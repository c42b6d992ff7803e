"""Results of a cross-validation: one document a fold, one of all folds, and lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from seismag.scoring.estimates import FEW_CLUSTERS
from seismag.scoring.predictions import TASK_CLASSES

_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
_SKILLS = ("balanced_accuracy", "log_score")
_SKILL = "skill_above_best_baseline"


@dataclass(frozen=True)
class SplitFacts:
    """The split of a cross-validation: its report (path and checksum), method, size and counted overlaps."""

    path: str
    sha256: str
    method: str
    n_folds: int
    n_groups: int
    proof: dict[str, int] | None


@dataclass(frozen=True)
class FoldResult:
    """A finished fold (from 1), its split and the metrics.json of its run."""

    fold: int
    split: SplitFacts
    metrics: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of ``fold_<k>.json``."""
        metrics = self.metrics
        document: dict[str, Any] = {"fold": self.fold, "n_folds": self.split.n_folds}
        document |= {key: metrics[key] for key in ("role", "n", "n_events", "n_event_groups", "n_normal_groups")}
        for task in TASK_CLASSES:
            document[task] = {
                score: {"mean": metrics[task][score]["value"], "std": None}
                | {key: metrics[task][score][key] for key in ("low", "high", "n")}
                for score in _SCORES
            }
        document[_SKILL] = {task: metrics[task][_SKILL] for task in TASK_CLASSES}
        facts = {"split_certificate": asdict(self.split), "run_ids": metrics["run_ids"]}
        return document | facts | {"warnings": metrics["warnings"]}


def final_document(folds: Sequence[FoldResult], pooled: dict[str, Any]) -> dict[str, Any]:
    """Return the content of ``<method>_convnext_final_results.json``.

    ``mean`` and ``std`` (n - 1) are taken over the ``n_folds`` folds in which a score is defined; they describe how
    much folds differ. ``pooled`` is the score of all test windows together, with its interval by event.

    Args:
        folds: all folds.
        pooled: metrics of the joint table of predictions.
    """
    document: dict[str, Any] = {"n_folds": len(folds), "folds": [fold.to_json() for fold in folds]}
    for task in TASK_CLASSES:
        document[task] = {
            score: _spread([fold.metrics[task][score]["value"] for fold in folds]) | {"pooled": pooled[task][score]}
            for score in _SCORES
        }
    document[_SKILL] = {
        task: {
            score: _spread([fold.metrics[task][_SKILL][score]["value"] for fold in folds])
            | {"pooled": pooled[task][_SKILL][score]}
            for score in _SKILLS
        }
        for task in TASK_CLASSES
    }
    document |= {"split_certificate": asdict(folds[0].split), "run_ids": pooled["run_ids"]}
    keys = ("n", "n_events", "n_event_groups", "n_normal_groups", "confidence", "data_origin", "dataset_id")
    return document | {key: pooled[key] for key in keys} | {"warnings": pooled["warnings"]}


def describe_folds(folds: Sequence[FoldResult]) -> str:
    """Write a table with the skill of each fold, and its interval where there are enough clusters for one."""
    lines = [f"{'fold':<6}{'windows':>8}{'clusters':>9}  skill over the best non-magnetic baseline,"]
    lines.append(f"{'':<23}  balanced accuracy of")
    lines.append(f"{'':<23}  " + "".join(f"{task:<26}" for task in TASK_CLASSES).rstrip())
    for fold in folds:
        metrics = fold.metrics
        few = min(metrics["n_event_groups"], metrics["n_normal_groups"]) < FEW_CLUSTERS
        skills = [metrics[task][_SKILL]["balanced_accuracy"] for task in TASK_CLASSES]
        text = "".join(f"{_with_interval(skill, few):<26}" for skill in skills).rstrip()
        lines.append(f"{fold.fold:<6}{metrics['n']:>8}{metrics['n_event_groups']:>9}  {text}")
    return "\n".join(lines)


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "n_folds": len(known),
    }


def _with_interval(skill: dict[str, float | None], few: bool) -> str:
    value, low, high = skill["value"], skill["low"], skill["high"]
    if value is None:
        return "undefined"
    if few or low is None or high is None:
        return f"{value:+.3f} (too few clusters)"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
