"""From sums to scores: values, intervals, and the skill above the best rule without the field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seismag.arrays import FloatArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.baselines import ORACLE
from seismag.scoring.clusters import CONCORDANCE, Clusters, ClusterSums, TaskSums, replicate_all
from seismag.scoring.forecasts import MODEL, Forecasts
from seismag.scoring.predictions import TASK_CLASSES

FEW_CLUSTERS = 10
SCORES = {
    "accuracy": m.accuracy,
    "balanced_accuracy": m.balanced_accuracy,
    "macro_f1": m.macro_f1,
    "mcc": m.mcc,
}
SMALLER_IS_BETTER = ("brier", "rps")
SKILLS = {  # scores whose difference to the best rule is the skill
    "magnitude": ("balanced_accuracy", "log_score", "brier", "rps"),
    "azimuth": ("balanced_accuracy", "log_score", "brier"),
    "detection": ("balanced_accuracy", "log_score", "brier", "auc_within_station"),
}
_NEEDS_TWO_CLASSES = ("balanced_accuracy", "macro_f1", "mcc")
Values = dict[str, FloatArray]


@dataclass(frozen=True)
class Scored:
    """The scores of one forecast: of the table, and of each replicate."""

    point: Values
    drawn: Values

    @classmethod
    def of(cls, total: TaskSums, drawn: TaskSums | None, scores: Iterable[str] = SCORES) -> Scored:
        """Score the sums of a table and of its replicates; without replicates there is no interval.

        Args:
            total: sums over the table.
            drawn: over each replicate.
            scores: which scores of the confusion matrix; the others follow from what the sums hold.
        """
        return cls(_point(total, scores), {} if drawn is None else _replicated(drawn, total, scores))

    def interval(self, score: str, known: bool, confidence: float) -> tuple[float | None, float | None]:
        """Percentile interval; None where the score is undefined or too few groups vary (``known`` false)."""
        if not known or np.isnan(self.point[score]):
            return None, None
        low, high = m.percentile_interval(self.drawn[score], confidence)
        return number(low), number(high)


def score_task(
    task: str, forecasts: Forecasts, clusters: Clusters, config: EvaluateConfig, rule_scores: Iterable[str] = SCORES
) -> tuple[dict[str, Any], dict[str, TaskSums]]:
    """Write the scores of a task for metrics.json; also gives the replicates of its forecasts, to go on with.

    ``rule_scores`` are the scores of the confusion matrix that the rules get; skill needs ``balanced_accuracy``.
    """
    parts = {(task, name): forecasts.sums(task, name) for name in forecasts.names(task)}
    replicates = {
        name: part for (_, name), part in replicate_all(parts, clusters, config.bootstrap, config.seed).items()
    }
    totals = {name: part.total() for (_, name), part in parts.items()}
    scored = {
        name: Scored.of(totals[name], replicates[name], SCORES if name == MODEL else rule_scores) for name in totals
    }
    known = clusters.smallest > 1  # one group alone does not vary
    count = {"n": len(clusters.index), "n_clusters": clusters.n}
    model_cm = totals[MODEL].cm
    shares = model_cm.sum(axis=1) / model_cm.sum()
    result: dict[str, Any] = {"classes": list(TASK_CLASSES[task])}
    for score, value in scored[MODEL].point.items():
        low, high = scored[MODEL].interval(score, known, config.confidence)
        result[score] = {"value": number(value), "low": low, "high": high, **count}
    result |= {
        "per_class": _per_class(task, parts[task, MODEL], replicates[MODEL].cm, config),
        "confusion": model_cm.astype(int).tolist(),
        "prevalence": {name: number(share) for name, share in zip(TASK_CLASSES[task], shares, strict=True)},
        "baselines": _baselines(scored, forecasts.groups, known, config),
        "skill_above_best_baseline": {
            score: skill(score, scored, forecasts.rivals(task), known, config) | count for score in SKILLS[task]
        },
    }
    for score, name in (("brier", "brier_skill"), ("rps", "rps_skill")):
        if score in SKILLS[task]:
            result[name] = _skill_score(score, scored, forecasts.rivals(task), known, config) | count
    return result, replicates


def skill(
    score: str, scored: dict[str, Scored], rivals: list[str], known: bool, config: EvaluateConfig
) -> dict[str, Any]:
    """Difference to the best rule without the field; positive is better, whichever way the score runs.

    ``p_value`` is the share of replicates in which it is not positive, the table itself counted as one more.
    """
    best = best_baseline(score, scored, rivals)
    if best is None:
        return {"value": None, "low": None, "high": None, "p_value": None, "baseline": None}
    sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
    low, high, p_value = np.nan, np.nan, np.nan
    if known:
        difference = sign * (scored[MODEL].drawn[score] - scored[best].drawn[score])
        low, high = m.percentile_interval(difference, config.confidence)
        p_value = (1 + np.count_nonzero(~(difference > 0))) / (1 + len(difference))
    value = sign * (scored[MODEL].point[score] - scored[best].point[score])
    return {
        "value": number(value), "low": number(low), "high": number(high), "p_value": number(p_value), "baseline": best
    }  # fmt: skip


def best_baseline(score: str, scored: dict[str, Scored], rivals: list[str]) -> str | None:
    """The rule with the best score of the table; None where the model has no score or no rule has one."""
    able = [name for name in rivals if not np.isnan(scored[name].point.get(score, np.nan))]
    if not able or np.isnan(scored[MODEL].point[score]):
        return None
    sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
    return max(able, key=lambda name: sign * float(scored[name].point[score]))


def number(value: Any) -> float | None:
    """A finite float for JSON, None for what is undefined."""
    return float(value) if np.isfinite(value) else None


def _score_values(sums: TaskSums, whole: TaskSums, scores: Iterable[str]) -> Values:
    """All scores, over the leading axes of the sums; ``whole`` are those of the table."""
    n = sums.cm.sum(axis=(-2, -1))
    values = {name: SCORES[name](sums.cm) for name in scores}
    for name, score in (("log", "log_score"), ("brier", "brier"), ("rps", "rps")):
        if name in sums.sums:
            values[score] = ratio(sums.sums[name], n)
    if CONCORDANCE[0] in sums.sums:
        drawn, all_pairs = (np.stack([part.sums[name] for name in CONCORDANCE], axis=-1) for part in (sums, whole))
        values["auc_within_station"] = m.auc_of_sums(drawn, all_pairs)
    if "direction_n" in sums.sums:
        n_directions = sums.sums["direction_n"]
        values["mean_error_deg"] = ratio(sums.sums["direction_abs_deg"], n_directions)
        values["error_resultant"] = m.mean_resultant(
            sums.sums["direction_cos"], sums.sums["direction_sin"], n_directions
        )[0]
    return values


def _point(total: TaskSums, scores: Iterable[str]) -> Values:
    values = _score_values(total, total, scores)
    if np.count_nonzero(total.cm.sum(axis=-1)) < 2:
        values |= dict.fromkeys(_NEEDS_TWO_CLASSES, np.array(np.nan))
    return values


def _replicated(drawn: TaskSums, whole: TaskSums, scores: Iterable[str]) -> Values:
    """Scores of the replicates of a table whose sums are ``whole``.

    A class that a replicate did not draw keeps its recall from the table: averaging over the other
    classes would answer another question and give even a constant rule a wide interval. The
    correlation is undefined in a replicate whose truth has one class.
    """
    values = _score_values(drawn, whole, scores)
    recall = m.per_class(drawn.cm)["recall"]
    recall = np.where(np.isnan(recall), m.per_class(whole.cm)["recall"], recall)
    values["balanced_accuracy"] = recall[:, whole.cm.sum(axis=-1) > 0].mean(axis=-1)
    if "mcc" in values:
        one_class = np.count_nonzero(drawn.cm.sum(axis=-1), axis=-1) < 2
        values["mcc"] = np.where(one_class, np.nan, values["mcc"])
    return values


def _baselines(
    scored: dict[str, Scored], groups: dict[str, str], known: bool, config: EvaluateConfig
) -> dict[str, dict[str, Any]]:
    return {
        name: {score: number(value) for score, value in entry.point.items()}
        | {
            "intervals": {score: list(entry.interval(score, known, config.confidence)) for score in entry.point},
            "group": groups[name],
            "uses_truth": name == ORACLE,
        }
        for name, entry in scored.items()
        if name != MODEL
    }


def _skill_score(
    score: str, scored: dict[str, Scored], rivals: list[str], known: bool, config: EvaluateConfig
) -> dict[str, Any]:
    """1 - score / score of the best rule, for scores of which 0 is perfect."""
    best = best_baseline(score, scored, rivals)
    if best is None or not scored[best].point[score] > 0:
        return {"value": None, "low": None, "high": None, "baseline": best}
    drawn = 1 - ratio(scored[MODEL].drawn[score], scored[best].drawn[score])
    low, high = m.percentile_interval(drawn, config.confidence) if known else (np.nan, np.nan)
    value = 1 - scored[MODEL].point[score] / scored[best].point[score]
    return {"value": number(value), "low": number(low), "high": number(high), "baseline": best}


def _per_class(task: str, sums: ClusterSums, drawn_cm: FloatArray, config: EvaluateConfig) -> dict[str, Any]:
    values = m.per_class(sums.total().cm)
    drawn_recall = m.per_class(drawn_cm)["recall"]  # (replicates, k); NaN where the class was not drawn
    holding = sums.clusters_by_class()
    result: dict[str, Any] = {}
    for i, name in enumerate(TASK_CLASSES[task]):
        n, n_predicted = int(values["n"][i]), int(values["n_predicted"][i])
        finite = drawn_recall[~np.isnan(drawn_recall[:, i]), i]
        low, high = m.percentile_interval(finite, config.confidence) if holding[i] > 1 else (np.nan, np.nan)
        result[name] = {
            "n": n,
            "n_clusters": int(holding[i]),
            "recall": {"value": number(values["recall"][i]), "low": number(low), "high": number(high), "n": n},
            "precision": {"value": number(values["precision"][i]), "n": n_predicted},
            "f1": {"value": number(values["f1"][i]), "n": n},
        }
    return result
