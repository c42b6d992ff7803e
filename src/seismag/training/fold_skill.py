"""Skill of the folds of a cross-validation over the classes that all folds together are compared over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from seismag.config import EvaluateConfig
from seismag.scoring.compute import fold_skill
from seismag.scoring.predictions import TASK_CLASSES
from seismag.windows.store import Store

_SKILL = "skill_above_best_baseline"


def over_pooled_classes(
    folds: Mapping[int, Mapping[str, Any]],
    pooled: Mapping[str, Any],
    predictions: pd.DataFrame,
    store: Store,
    split: pd.DataFrame,
) -> Mapping[int, Mapping[str, Any]]:
    """Take the skill in balanced accuracy of each fold over the classes of the pooled result.

    A class that is frequent enough in all folds together may be rare, or absent, in one of them: means over other
    classes would be other scores. Without one of the classes the skill of a fold is undefined.

    Args:
        folds: metrics.json of each fold by number, not changed. pooled: metrics.json of the joint table.
        predictions: the joint table. store, split: those of the study.
    """
    classes = {task: pooled[task][_SKILL]["balanced_accuracy"]["classes"] for task in TASK_CLASSES}
    config = EvaluateConfig(**pooled["settings"])
    result = {}
    for fold, metrics in folds.items():
        changed = dict(metrics)
        differing = {
            task: names for task, names in classes.items()
            if metrics[task][_SKILL]["balanced_accuracy"]["classes"] != names
        }  # fmt: skip
        if differing:
            rows = predictions[predictions["fold"] == fold]
            for task, skill in fold_skill(rows, store.samples, split, config, differing).items():
                own = metrics[task]
                changed[task] = {**own, _SKILL: {**own[_SKILL], "balanced_accuracy": asdict(skill)}}
        result[fold] = changed
    return result
