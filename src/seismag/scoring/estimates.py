"""Scores with intervals, and the skill over the best non-magnetic baseline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seismag.arrays import FloatArray, ratio
from seismag.config import EvaluateConfig
from seismag.estimate import Estimate
from seismag.scoring import metrics as m
from seismag.scoring.baselines.frequencies import ORACLE
from seismag.scoring.clusters import CONCORDANCE, Clusters, Sums, replicate_all
from seismag.scoring.forecasts import MODEL, Forecasts
from seismag.scoring.null import difference_p_value
from seismag.scoring.predictions import TASK_CLASSES

FEW_CLUSTERS = 10
CONFUSION_SCORES = {f.__name__: f for f in (m.accuracy, m.balanced_accuracy, m.macro_f1, m.mcc)}
SMALLER_IS_BETTER = ("brier", "rps")
COMPARED_SCORES = {  # their difference to the best baseline is the skill
    "magnitude": ("balanced_accuracy", "log_score", "brier", "rps"),
    "azimuth": ("balanced_accuracy", "log_score", "brier"),
    "detection": ("balanced_accuracy", "log_score", "brier", "auc_within_station"),
}
Values = dict[str, FloatArray]


@dataclass(frozen=True)
class IntervalEstimate:
    """A number with its percentile interval; None where it is undefined or rests on single groups."""

    value: float | None
    low: float | None
    high: float | None

    @staticmethod
    def of(
        value: FloatArray | float, replicates: FloatArray | None, known: bool, confidence: float
    ) -> IntervalEstimate:
        """Take the interval from bootstrap replicates, where ``known`` says that enough groups vary."""
        if not known or replicates is None:
            return IntervalEstimate(finite(value), None, None)
        low, high = m.percentile_interval(replicates, confidence)
        return IntervalEstimate(finite(value), finite(low), finite(high))


@dataclass(frozen=True)
class Score(Estimate):
    """A score of n rows in n_clusters groups."""

    n_clusters: int


@dataclass(frozen=True)
class Difference(IntervalEstimate):
    """Score minus that of the best baseline, signed so that positive is better.

    ``p_value`` is the fraction of replicates in which it is not positive, the table itself counted as one more.
    """

    p_value: float | None
    baseline: str | None


@dataclass(frozen=True)
class Skill(Difference):
    """Skill over the best non-magnetic baseline, of n rows in n_clusters groups."""

    n: int
    n_clusters: int


@dataclass(frozen=True)
class SkillScore(IntervalEstimate):
    """1 - S / S_ref, where S_ref is the score of the best baseline."""

    baseline: str | None
    n: int
    n_clusters: int


@dataclass(frozen=True)
class Rate:
    """A value that n rows enter."""

    value: float | None
    n: int


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class."""

    n: int
    n_clusters: int
    recall: Estimate
    precision: Rate
    f1: Rate


@dataclass(frozen=True)
class BaselineScores:
    """Scores of one baseline, each with its interval."""

    scores: dict[str, IntervalEstimate]
    group: str
    uses_truth: bool

    def to_json(self) -> dict[str, object]:
        """Values by score, their limits in ``intervals``."""
        values = {score: entry.value for score, entry in self.scores.items()}
        limits = {score: [entry.low, entry.high] for score, entry in self.scores.items()}
        return {**values, "intervals": limits, "group": self.group, "uses_truth": self.uses_truth}


@dataclass(frozen=True)
class TaskEstimates:
    """Scores of one task, of the model and the baselines."""

    scores: dict[str, Score]
    per_class: dict[str, ClassScores]
    confusion: list[list[int]]
    prevalence: dict[str, float | None]
    baselines: dict[str, BaselineScores]
    skill: dict[str, Skill]
    skill_scores: dict[str, SkillScore]


@dataclass(frozen=True)
class Scored:
    """The scores of one forecast: of the table, and of each replicate."""

    point: Values
    replicates: Values

    @classmethod
    def of(cls, total: Sums, replicates: Sums | None, scores: Iterable[str] = CONFUSION_SCORES) -> Scored:
        """Scores from sums over a table and its replicates; without replicates there is no interval.

        ``scores`` are those of the confusion matrix; the others follow from all sums present.
        """
        point = _score_values(total, total, scores)
        if np.count_nonzero(total.cm.sum(axis=-1)) < 2:
            point |= dict.fromkeys(("balanced_accuracy", "macro_f1", "mcc"), np.array(np.nan))
        return cls(point, {} if replicates is None else _replicated(replicates, total, scores))

    def estimate(self, score: str, known: bool, confidence: float) -> IntervalEstimate:
        """Value with its percentile interval; None where the score is undefined or rests on single groups."""
        value = self.point[score]
        return IntervalEstimate.of(value, self.replicates.get(score), known and not np.isnan(value), confidence)

    def minus(self, other: Scored, score: str) -> tuple[FloatArray, FloatArray | None]:
        """Difference of a score, positive where this forecast is better: of the table, and of each replicate."""
        sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
        value = sign * (self.point[score] - other.point[score])
        return value, sign * (self.replicates[score] - other.replicates[score]) if self.replicates else None


def score_task(
    task: str,
    forecasts: Forecasts,
    clusters: Clusters,
    config: EvaluateConfig,
    baseline_scores: Iterable[str] = CONFUSION_SCORES,
) -> tuple[TaskEstimates, dict[str, Sums]]:
    """Score the forecasts of a task, and give the bootstrap replicates of each.

    ``baseline_scores`` are scores of the confusion matrix for the baselines; skill needs ``balanced_accuracy``.
    """
    parts = {(task, name): forecasts.sums(task, name) for name in forecasts.names(task)}
    drawn = replicate_all(parts, clusters, config.bootstrap, config.seed)
    replicates = {name: drawn[task, name] for _, name in parts}
    totals = {name: part.total() for (_, name), part in parts.items()}
    scored = {
        name: Scored.of(totals[name], replicates[name], CONFUSION_SCORES if name == MODEL else baseline_scores)
        for name in totals
    }
    known = clusters.smallest > 1  # one group alone does not vary
    n, n_clusters = len(clusters.index), clusters.n
    cm = totals[MODEL].cm
    prevalence = cm.sum(axis=1) / cm.sum()
    own = {score: scored[MODEL].estimate(score, known, config.confidence) for score in scored[MODEL].point}
    candidates = forecasts.candidates(task)
    skill = {score: best_difference(score, scored, candidates, known, config) for score in COMPARED_SCORES[task]}
    estimates = TaskEstimates(
        scores={score: Score(**vars(entry), n=n, n_clusters=n_clusters) for score, entry in own.items()},
        per_class=_per_class(task, parts[task, MODEL], replicates[MODEL].cm, config),
        confusion=cm.astype(int).tolist(),
        prevalence={name: finite(value) for name, value in zip(TASK_CLASSES[task], prevalence, strict=True)},
        baselines={
            name: BaselineScores(
                {score: forecast.estimate(score, known, config.confidence) for score in forecast.point},
                forecasts.groups[name],
                uses_truth=name == ORACLE,
            )
            for name, forecast in scored.items()
            if name != MODEL
        },
        skill={score: Skill(**vars(entry), n=n, n_clusters=n_clusters) for score, entry in skill.items()},
        skill_scores={
            f"{score}_skill": SkillScore(
                **vars(_skill_score(score, scored, skill[score].baseline, known, config)),
                baseline=skill[score].baseline,
                n=n,
                n_clusters=n_clusters,
            )
            for score in SMALLER_IS_BETTER
            if score in skill
        },
    )
    return estimates, replicates


def best_difference(
    score: str, scored: dict[str, Scored], candidates: list[str], known: bool, config: EvaluateConfig
) -> Difference:
    """Difference of the model's score to that of the best of the candidate baselines."""
    best = best_baseline(score, scored, candidates)
    if best is None or np.isnan(scored[MODEL].point[score]):
        return Difference(None, None, None, None, None)
    value, replicates = scored[MODEL].minus(scored[best], score)
    estimate = IntervalEstimate.of(value, replicates, known, config.confidence)
    p_value = difference_p_value(replicates) if known and replicates is not None else None
    return Difference(**vars(estimate), p_value=p_value, baseline=best)


def best_baseline(score: str, scored: dict[str, Scored], candidates: list[str]) -> str | None:
    """Name of the candidate with the best score; None where none has one."""
    able = [name for name in candidates if not np.isnan(scored[name].point.get(score, np.nan))]
    sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
    return max(able, key=lambda name: sign * float(scored[name].point[score])) if able else None


def finite(value: FloatArray | float) -> float | None:
    """A float for JSON; None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def _score_values(sums: Sums, whole: Sums, scores: Iterable[str]) -> Values:
    """All scores, over the leading axes; ``whole`` are those of the table."""
    n = sums.cm.sum(axis=(-2, -1))
    values = {name: CONFUSION_SCORES[name](sums.cm) for name in scores}
    for name, score in (("log", "log_score"), ("brier", "brier"), ("rps", "rps")):
        if name in sums.sums:
            values[score] = ratio(sums.sums[name], n)
    if CONCORDANCE[0] in sums.sums:
        pairs, all_pairs = (np.stack([part.sums[name] for name in CONCORDANCE], axis=-1) for part in (sums, whole))
        values["auc_within_station"] = m.auc_of_sums(pairs, all_pairs)
    if "direction_n" in sums.sums:
        n_directions, cos, sin = (sums.sums[f"direction_{name}"] for name in ("n", "cos", "sin"))
        values["mean_error_deg"] = ratio(sums.sums["direction_abs_deg"], n_directions)
        values["error_resultant"] = m.mean_resultant(cos, sin, n_directions)
    return values


def _replicated(replicates: Sums, whole: Sums, scores: Iterable[str]) -> Values:
    """Scores of the replicates of a table whose sums are ``whole``.

    A class that is absent from a replicate keeps its recall of the table: a mean over the other classes would be
    another score and give even a constant forecast a wide interval. The correlation is undefined in a replicate whose
    truth has one class.
    """
    values = _score_values(replicates, whole, scores)
    recall = m.per_class(replicates.cm)["recall"]
    recall = np.where(np.isnan(recall), m.per_class(whole.cm)["recall"], recall)
    values["balanced_accuracy"] = recall[:, whole.cm.sum(axis=-1) > 0].mean(axis=-1)
    if "mcc" in values:
        one_class = np.count_nonzero(replicates.cm.sum(axis=-1), axis=-1) < 2
        values["mcc"] = np.where(one_class, np.nan, values["mcc"])
    return values


def _skill_score(
    score: str, scored: dict[str, Scored], best: str | None, known: bool, config: EvaluateConfig
) -> IntervalEstimate:
    """1 - score / score of the best baseline, for scores of which 0 is perfect."""
    if best is None or not scored[best].point[score] > 0:
        return IntervalEstimate(None, None, None)
    replicates = 1 - ratio(scored[MODEL].replicates[score], scored[best].replicates[score])
    value = 1 - scored[MODEL].point[score] / scored[best].point[score]
    return IntervalEstimate.of(value, replicates, known, config.confidence)


def _per_class(task: str, sums: Sums, replicate_cm: FloatArray, config: EvaluateConfig) -> dict[str, ClassScores]:
    values = m.per_class(sums.total().cm)
    replicate_recall = m.per_class(replicate_cm)["recall"]  # (replicates, k); NaN where the class is absent
    n_clusters = (sums.cm.sum(axis=-1) > 0).sum(axis=0)  # that contain each true class
    result = {}
    for i, name in enumerate(TASK_CLASSES[task]):
        n, n_predicted = int(values["n"][i]), int(values["n_predicted"][i])
        replicates = replicate_recall[~np.isnan(replicate_recall[:, i]), i]
        recall = IntervalEstimate.of(values["recall"][i], replicates, n_clusters[i] > 1, config.confidence)
        result[name] = ClassScores(
            n,
            int(n_clusters[i]),
            recall=Estimate(recall.value, recall.low, recall.high, n),
            precision=Rate(finite(values["precision"][i]), n_predicted),
            f1=Rate(finite(values["f1"][i]), n),
        )
    return result
