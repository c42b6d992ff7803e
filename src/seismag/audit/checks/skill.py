"""Test of skill over the best non-magnetic baseline, by event clusters and by permutation within stations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.audit.checks.out_of_fold import GroupedLabels, Index
from seismag.audit.checks.permutation import FIRST_DRAWS, permuted_classes
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.metrics import balanced_accuracy, cluster_confusion
from seismag.scoring.null import Null
from seismag.scoring.predictions import TASK_CLASSES, is_naive, task_probabilities, truth_index
from seismag.scoring.station_auc import labelled_auc
from seismag.scoring.text import classes_left_out

HEADLINE = "skill_above_no_signal"
# main score of each task; that of detection depends on neither station nor threshold
TASK_SCORES = {"detection": "auc_within_station", "magnitude": "balanced_accuracy", "azimuth": "balanced_accuracy"}
SCORE_NAMES = {"auc_within_station": "station-stratified ROC AUC", "balanced_accuracy": "balanced accuracy"}
SKILL_LEVEL = 0.01  # largest p that is skill; no key of the configuration
_CHUNK_DRAWS = 500
_CLEARLY_LARGE_P = 0.2


def skill_test(task: str) -> str:
    """Name of the test of skill in a task; that of detection is the headline."""
    return HEADLINE if task == "detection" else f"{HEADLINE}_{task}"


def check_skill(
    task: str, rows: pd.DataFrame, metrics: dict[str, Any], configurations: int | None, spec: AuditConfig
) -> CheckResult:
    """Test whether predictions have skill over the best non-magnetic baseline.

    Both p-values must be small: that of the jackknife by event cluster, and that of the score among classes permuted
    between groups within stations. The larger one, times the number of configurations tried (Bonferroni), must be at
    most 1 %, whatever is configured.

    Args:
        task: detection, magnitude or azimuth.
        rows: the evaluated rows. metrics: content of metrics.json for these rows.
        configurations: tried on the recordings, this one included; None: not known, then p holds for a single one.
    """
    score = TASK_SCORES[task]
    skill = metrics[task]["skill_above_best_baseline"][score]
    noun = f"{SCORE_NAMES[score]} over the best non-magnetic baseline"
    if skill["low"] is None:
        text = f"Skill in {task}: {skill['note']}."
        return CheckResult(skill_test(task), text, skill["value"], noun, verdict="inconclusive")
    if is_naive(rows):
        text = f"Skill in {task}: inconclusive (a naive split: the test fold chose the epoch)."
        return CheckResult(skill_test(task), text, skill["value"], noun, verdict="inconclusive")
    left_out = classes_left_out(metrics[task]) if score == "balanced_accuracy" else ""
    over = f" Compared over {', '.join(skill['classes'])}; in fewer than 10 groups: {left_out}." if left_out else ""
    p_permuted = permutation_p(task, rows, spec, skill["classes"])
    p_value = min(1.0, max(skill["p_value"], p_permuted) * (configurations or 1))
    has_skill = skill["value"] > 0 and p_value <= SKILL_LEVEL
    tried = f" times {configurations} configurations tried" if configurations and configurations > 1 else ""
    condition = ""
    if configurations is None:
        condition = " The number of configurations tried is unknown, so p holds for a single one."
    return CheckResult(
        skill_test(task),
        f"In {task} the predictions reach {skill['value']:+.3f} in {noun} ({skill['baseline']}), 95 % interval "
        f"{skill['low']:+.3f} to {skill['high']:+.3f}. p {p_value:.4f}: the larger of that by event clusters and that "
        f"of classes permuted within stations{tried}.{over} "
        + (f"This is skill (p at most {SKILL_LEVEL:.0%})." if has_skill else "No skill is shown.")
        + condition,
        statistic=skill["value"],
        statistic_name=noun,
        p_value=p_value,
        verdict="skill" if has_skill else "no_skill",
        details={"p_clusters": skill["p_value"], "p_within_station": p_permuted, "baseline": skill["baseline"],
                 "classes": skill["classes"], "configurations_tried": configurations},
    )  # fmt: skip


def permutation_p(task: str, rows: pd.DataFrame, spec: AuditConfig, classes: Sequence[str] | None = None) -> float:
    """P-value of the task's score among classes permuted between groups within stations.

    The balanced accuracy is that over ``classes``, as the skill is; None: over all.
    """
    y = truth_index(rows["y_magnitude"], rows["y_azimuth"], task).astype(np.intp)
    group = pd.factorize(rows["split_group"].astype(str), sort=True)[0].astype(np.intp)
    station = pd.factorize(rows["station"].astype(str), sort=True)[0].astype(np.intp)
    labels = GroupedLabels(y, group, len(TASK_CLASSES[task]), stratum=station)
    probs = task_probabilities(rows, task)
    rank = pd.Series(probs[:, 1]).groupby(station).rank().to_numpy()
    predicted = probs.argmax(axis=1)
    compared = [TASK_CLASSES[task].index(name) for name in classes or TASK_CLASSES[task]]
    rng = np.random.default_rng(spec.seed)

    def score(drawn: Index) -> FloatArray:
        if task == "detection":
            return labelled_auc(rank, drawn == 1, station)
        index = np.repeat(np.arange(len(drawn)), len(predicted))
        every = np.tile(predicted, len(drawn))
        return balanced_accuracy(cluster_confusion(drawn.ravel(), every, index, labels.n_classes), compared)

    observed = float(score(y[None])[0])
    null = Null(np.empty(0), tolerance=1e-9)
    while len(null.values) < spec.permutations:
        n_draws = min(_CHUNK_DRAWS, spec.permutations - len(null.values))
        scores = score(permuted_classes(labels, n_draws, rng))
        null = Null(np.concatenate([null.values, scores]), null.tolerance)
        if len(null.values) >= FIRST_DRAWS and null.count_extreme(observed) > _CLEARLY_LARGE_P * len(null.values):
            break
    return null.p_value(observed)
