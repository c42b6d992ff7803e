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

    def to_json(self) -> dict[str, object]:
        """The content of ``fold_<k>.json``."""
        metrics = self.metrics
        return {
            "fold": self.fold,
            "n_folds": self.split.n_folds,
            **{key: metrics[key] for key in ("role", "n", "n_events", "n_event_groups", "n_normal_groups")},
            **{task: {score: _of_fold(metrics[task][score]) for score in _SCORES} for task in TASK_CLASSES},
            _SKILL: {task: metrics[task][_SKILL] for task in TASK_CLASSES},
            "split_certificate": asdict(self.split),
            "run_ids": metrics["run_ids"],
            "warnings": metrics["warnings"],
        }


def final_document(folds: Sequence[FoldResult], pooled: dict[str, Any]) -> dict[str, object]:
    """Return the content of ``<method>_convnext_final_results.json``.

    ``mean`` and ``std`` (n - 1) are taken over the ``n_folds`` folds in which a score is defined; they describe how
    much folds differ. ``pooled`` is the score of all test windows together, with its interval by event.

    Args:
        folds: all folds.
        pooled: metrics of the joint table of predictions.
    """
    scores, skills = {}, {}
    for task in TASK_CLASSES:
        of_folds, of_pool = [fold.metrics[task] for fold in folds], pooled[task]
        scores[task] = {score: _of_folds([own[score] for own in of_folds], of_pool[score]) for score in _SCORES}
        skills[task] = {
            score: _of_folds([own[_SKILL][score] for own in of_folds], of_pool[_SKILL][score]) for score in _SKILLS
        }
    keys = ("n", "n_events", "n_event_groups", "n_normal_groups", "confidence", "data_origin", "dataset_id")
    return {
        "n_folds": len(folds),
        "folds": [fold.to_json() for fold in folds],
        **scores,
        _SKILL: skills,
        "split_certificate": asdict(folds[0].split),
        "run_ids": pooled["run_ids"],
        **{key: pooled[key] for key in keys},
        "warnings": pooled["warnings"],
    }


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


def _of_fold(estimate: dict[str, float | None]) -> dict[str, float | None]:
    return {"mean": estimate["value"], "std": None} | {key: estimate[key] for key in ("low", "high", "n")}


def _of_folds(estimates: Sequence[dict[str, float | None]], pooled: dict[str, float | None]) -> dict[str, object]:
    known = [value for estimate in estimates if (value := estimate["value"]) is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "n_folds": len(known),
        "pooled": pooled,
    }


def _with_interval(skill: dict[str, float | None], few: bool) -> str:
    value, low, high = skill["value"], skill["low"], skill["high"]
    if value is None:
        return "undefined"
    if few or low is None or high is None:
        return f"{value:+.3f} (too few clusters)"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
