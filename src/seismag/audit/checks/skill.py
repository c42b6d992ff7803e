"""Is there skill above what needs no field? Two answers are needed: the clusters' and the stations'."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import rankdata

from seismag.arrays import FloatArray
from seismag.audit.checks.permutation import FIRST_DRAWS, GroupedLabels, Index, shuffled_labels
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities, truth_index

HEADLINE = "skill_above_no_signal"
# the score that a task is judged by: detection by order within stations, which no station and no threshold helps
TASK_SCORES = {"detection": "auc_within_station", "magnitude": "balanced_accuracy", "azimuth": "balanced_accuracy"}
_SCORE_NAMES = {"auc_within_station": "AUC within stations", "balanced_accuracy": "balanced accuracy"}
FEW_CLUSTERS = 10
_CHUNK_DRAWS = 500


def skill_test(task: str) -> str:
    """Name of the audit's test of skill in a task; that of detection is the headline."""
    return HEADLINE if task == "detection" else f"{HEADLINE}_{task}"


def check_skill(
    task: str, rows: pd.DataFrame, metrics: dict[str, Any], configurations: int | None, spec: AuditConfig
) -> CheckResult:
    """Decide whether predictions have skill above the best rule without the field.

    Both p-values must be small: that of the bootstrap by event cluster (share of replicates in which the best rule is
    not beaten) and that of the score among classes shuffled between groups within each station. The larger one,
    times the number of configurations tried (Bonferroni), is compared with ``audit.family_wise_error``.

    Args:
        task: detection, magnitude or azimuth.
        rows: the judged rows.
        metrics: content of metrics.json for these rows.
        configurations: tried on the data set, this one included; None: not known, and counted as one.
        spec: permutations, level, seed.

    Returns:
        Verdict skill or no_skill; undecided with fewer than ten groups of events or of Normal windows.
    """
    score = TASK_SCORES[task]
    name = skill_test(task)
    skill = metrics[task]["skill_above_best_baseline"][score]
    noun = f"{_SCORE_NAMES[score]} above the best rule without the field"
    few = min(metrics["n_event_groups"], metrics["n_normal_groups"])
    if skill["value"] is None or skill["low"] is None or few < FEW_CLUSTERS:
        why = f"{metrics['n_event_groups']} event groups and {metrics['n_normal_groups']} Normal groups"
        text = f"Skill in {task} cannot be decided: {why}, {FEW_CLUSTERS} of each are the least."
        return CheckResult(name, text, skill["value"], noun, verdict="undecided")
    p_shuffled = shuffled_p(task, rows, spec)
    p_value = min(1.0, max(skill["p_value"], p_shuffled) * (configurations or 1))
    has_skill = skill["value"] > 0 and p_value <= spec.family_wise_error
    tried = f" times {configurations} configurations tried" if configurations and configurations > 1 else ""
    return CheckResult(
        name,
        f"In {task} the predictions are {skill['value']:+.3f} in {noun} ({skill['baseline']}), 95 % interval "
        f"{skill['low']:+.3f} to {skill['high']:+.3f}. p by event clusters {skill['p_value']:.4f}, by classes shuffled "
        f"within stations {p_shuffled:.4f}; the larger{tried}: {p_value:.4f}. "
        + ("This is skill." if has_skill else "No skill is shown."),
        statistic=skill["value"],
        statistic_name=noun,
        p_value=p_value,
        verdict="skill" if has_skill else "no_skill",
        details={"p_clusters": skill["p_value"], "p_within_station": p_shuffled, "baseline": skill["baseline"],
                 "configurations_tried": configurations},
    )  # fmt: skip


def shuffled_p(task: str, rows: pd.DataFrame, spec: AuditConfig) -> float:
    """P-value of the task's score among classes shuffled within stations, groups moving as one."""
    y = truth_index(rows["y_magnitude"], rows["y_azimuth"], task).astype(np.intp)
    group = pd.factorize(rows["split_group"].astype(str), sort=True)[0].astype(np.intp)
    station = pd.factorize(rows["station"].astype(str), sort=True)[0].astype(np.intp)
    labels = GroupedLabels(y, group, len(TASK_CLASSES[task]), stratum=station)
    probs = task_probabilities(rows, task)
    rng = np.random.default_rng(spec.seed)

    def score(drawn: Index) -> FloatArray:
        if task == "detection":
            return auc_within_station(probs[:, 1], drawn, station)
        return balanced_accuracy(probs.argmax(axis=1), drawn, labels.n_classes)

    observed, reached, draws = score(y[None])[0], 0, 0
    while draws < spec.permutations:
        n = min(_CHUNK_DRAWS, spec.permutations - draws)
        reached += int((score(shuffled_labels(labels, n, rng)) >= observed - 1e-9).sum())
        draws += n
        if draws >= FIRST_DRAWS and reached > 0.2 * draws:
            break
    return (1 + reached) / (1 + draws)


def auc_within_station(probability: FloatArray, y: Index, station: Index) -> FloatArray:
    """Share of pairs of an event and a Normal window of one station that are ordered rightly, ties half: (draws,).

    Args:
        probability: (n,) of the event.
        y: (draws, n) 1 for an event.
        station: (n,) number of the station.

    Source: Mann & Whitney (1947), doi:10.1214/aoms/1177730491, summed over stations.
    """
    rank = np.empty(len(probability))
    for code in np.unique(station):
        rank[station == code] = rankdata(probability[station == code])
    rows = np.arange(len(station))
    by_station = csr_array((np.ones(len(station)), (station, rows)))
    events = by_station @ y.T.astype(float)  # (stations, draws)
    normal = by_station.sum(axis=1)[:, None] - events
    above = by_station @ (y.T * rank[:, None]) - events * (events + 1) / 2
    return np.asarray(above.sum(axis=0) / np.maximum((events * normal).sum(axis=0), 1))


def balanced_accuracy(predicted: Index, y: Index, n_classes: int) -> FloatArray:
    """Mean recall of the classes that occur, (draws,), of fixed decisions (n,) on classes (draws, n)."""
    recall, present = np.zeros(len(y)), np.zeros(len(y))
    for c in range(n_classes):
        is_class = y == c
        n = is_class.sum(axis=1)
        recall += (is_class & (predicted == c)).sum(axis=1) / np.maximum(n, 1)
        present += n > 0
    return recall / present
