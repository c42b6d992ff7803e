"""Scores with intervals, and the skill over the best non-magnetic baseline.

Intervals and p-values are those of ``seismag.scoring.jackknife``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from seismag.arrays import BoolArray, FloatArray, IntArray, ratio
from seismag.config import EvaluateConfig
from seismag.domain import FEW_CLUSTERS
from seismag.estimate import Estimate
from seismag.scoring import metrics as m
from seismag.scoring.baselines.frequencies import ORACLE
from seismag.scoring.clusters import CONCORDANCE, Clusters, Sums
from seismag.scoring.forecasts import MODEL, Forecasts
from seismag.scoring.jackknife import LeftOut, Range, inconclusive
from seismag.scoring.predictions import TASK_CLASSES

CONFUSION_SCORES = {f.__name__: f for f in (m.accuracy, m.balanced_accuracy, m.macro_f1, m.mcc)}
SMALLER_IS_BETTER = ("brier", "rps")
COMPARED_SCORES = {  # their difference to the best baseline is the skill
    "magnitude": ("balanced_accuracy", "log_score", "brier", "rps"),
    "azimuth": ("balanced_accuracy", "log_score", "brier"),
    "detection": ("balanced_accuracy", "log_score", "brier", "auc_within_station"),
}
OVER_FREQUENT = "balanced_accuracy_of_frequent_classes"  # what differences of the balanced accuracy are taken of
LIMITS: dict[str, Range] = {
    "accuracy": (0.0, 1.0), "balanced_accuracy": (0.0, 1.0), OVER_FREQUENT: (0.0, 1.0), "macro_f1": (0.0, 1.0),
    "mcc": (-1.0, 1.0),
    "auc_within_station": (0.0, 1.0), "error_resultant": (0.0, 1.0), "mean_error_deg": (0.0, 180.0),
}  # fmt: skip
Values = dict[str, FloatArray]


@dataclass(frozen=True)
class IntervalEstimate:
    """A number with its interval; None where it is undefined or rests on fewer groups than needed."""

    value: float | None
    low: float | None
    high: float | None

    @staticmethod
    def jackknifed(value: FloatArray | float, left_out: LeftOut | None, confidence: float) -> IntervalEstimate:
        """Take the interval from the score without each group in turn; None: no interval."""
        if left_out is None:
            return IntervalEstimate(finite(value), None, None)
        low, high = left_out.interval(float(value), confidence)
        return IntervalEstimate(finite(value), finite(low), finite(high))

    @classmethod
    def of_mean(cls, sums: FloatArray, rows: FloatArray, clusters: Clusters, confidence: float) -> IntervalEstimate:
        """Mean over rows of what is summed by group, (n_groups,), as are the rows."""
        left_out = LeftOut(ratio(sums.sum() - sums, rows.sum() - rows), clusters.has_event, int(rows.sum()))
        return cls.jackknifed(sums.sum() / rows.sum(), left_out, confidence)


@dataclass(frozen=True)
class Score(Estimate):
    """A score of n rows in n_clusters groups."""

    n_clusters: int


@dataclass(frozen=True)
class Difference(IntervalEstimate):
    """Score minus that of the best baseline, signed so that positive is better.

    Attributes:
        p_value: one-sided.
        baseline: its name.
        classes: of the balanced accuracy, the classes that it is compared over; None for other scores.
        note: why there is no interval; None where there is one.
    """

    p_value: float | None
    baseline: str | None
    classes: list[str] | None
    note: str | None


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
    """The scores of one forecast: of the table, and without each group in turn.

    Attributes:
        point: by score.
        left_out: by score; empty: without intervals.
        n_groups: (k,) groups with each true class.
        compared: the classes that differences of the balanced accuracy are taken over.
    """

    point: Values
    left_out: dict[str, LeftOut]
    n_groups: IntArray
    compared: tuple[int, ...]

    @classmethod
    def of(
        cls,
        sums: Sums,
        strata: BoolArray | None,
        scores: Iterable[str] = CONFUSION_SCORES,
        compared: tuple[int, ...] | None = None,
    ) -> Scored:
        """Scores from sums by group.

        Args:
            sums: of each group.
            strata: (n_groups,) has_event; None: without intervals.
            scores: those of the confusion matrix; the others follow from all sums present.
            compared: see ``Scored``; None: those in ``FEW_CLUSTERS`` groups or more, if there are two, else all.
        """
        total, names = sums.total(), tuple(scores)
        n_groups = np.count_nonzero(sums.cm.sum(axis=-1), axis=0)
        if compared is None:
            frequent = n_groups >= FEW_CLUSTERS
            chosen = frequent if np.count_nonzero(frequent) >= 2 else n_groups > 0
            compared = tuple(np.flatnonzero(chosen).tolist())
        point = _score_values(total, total, names, compared)
        if np.count_nonzero(n_groups) < 2:
            point |= dict.fromkeys(("balanced_accuracy", "macro_f1", "mcc", OVER_FREQUENT), np.array(np.nan))
        if strata is None:
            return cls(point, {}, n_groups, compared)
        without = _score_values(sums.without_each(), total, names, compared)
        rows = int(total.cm.sum())
        left_out = {name: LeftOut(values, strata, rows, LIMITS.get(name)) for name, values in without.items()}
        return cls(point, left_out, n_groups, compared)

    @property
    def rare(self) -> list[int]:
        """True classes in fewer groups than needed; with one, scores averaged over the classes have no interval."""
        return np.flatnonzero((self.n_groups > 0) & (self.n_groups < FEW_CLUSTERS)).tolist()

    @property
    def shown(self) -> list[str]:
        """The scores that are for people."""
        return [score for score in self.point if score != OVER_FREQUENT]

    def estimate(self, score: str, confidence: float) -> IntervalEstimate:
        """Value with its interval; None where the score is undefined, or rests on few groups or rare classes."""
        averages_rare = self.rare and score in ("balanced_accuracy", "macro_f1")
        left_out = None if averages_rare else self.left_out.get(score)
        return IntervalEstimate.jackknifed(self.point[score], left_out, confidence)

    def _rests_on_rare(self, score: str) -> bool:
        """Whether differences of a score are taken over a rare class too, because fewer than two are not rare."""
        return score == "balanced_accuracy" and bool(set(self.rare) & set(self.compared))

    def compared_classes(self, task: str, score: str) -> list[str] | None:
        """Names of the classes that differences of the balanced accuracy are taken over; None for other scores."""
        return [TASK_CLASSES[task][k] for k in self.compared] if score == "balanced_accuracy" else None

    def why_inconclusive(self, task: str, score: str) -> str:
        """Sentence part for a difference of a score without interval."""
        if (few := inconclusive(next(iter(self.left_out.values())).strata)) is not None:
            return few
        present = [f"{name} {n}" for name, n in zip(TASK_CLASSES[task], self.n_groups, strict=True) if n]
        if len(present) < 2:
            return f"inconclusive (groups by class: {present[0]}; there is no other class)"
        if self._rests_on_rare(score):
            needed = f"at least two classes in {FEW_CLUSTERS} groups or more are needed"
            return f"inconclusive (groups by class: {', '.join(present)}; {needed})"
        return "inconclusive (the difference does not vary between groups, or is undefined without one of them)"

    def minus(self, other: Scored, score: str) -> tuple[FloatArray, LeftOut | None]:
        """Difference of a score, positive where this forecast is better: of the table, and without each group.

        The latter is None where there is no interval because a class is rare, or none was wanted.
        """
        sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
        key = compared_key(score)
        value = sign * (self.point[key] - other.point[key])
        if key not in self.left_out or key not in other.left_out or self._rests_on_rare(score):
            return value, None
        difference = self.left_out[key].minus(other.left_out[key])
        return value, dataclasses.replace(difference, values=sign * difference.values)


def compared_key(score: str) -> str:
    """Name the score that differences are taken of: balanced accuracy over the classes that are frequent enough."""
    return OVER_FREQUENT if score == "balanced_accuracy" else score


def score_task(
    task: str,
    forecasts: Forecasts,
    clusters: Clusters,
    config: EvaluateConfig,
    baseline_scores: Iterable[str] = CONFUSION_SCORES,
    classes: Sequence[str] | None = None,
) -> TaskEstimates:
    """Score the forecasts of a task.

    ``baseline_scores`` are scores of the confusion matrix for the baselines; skill needs ``balanced_accuracy``, which
    is compared over ``classes``; None: see ``Scored.of``.
    """
    compared = None if classes is None else tuple(TASK_CLASSES[task].index(name) for name in classes)
    chosen = {name: CONFUSION_SCORES if name == MODEL else baseline_scores for name in forecasts.names(task)}
    scored = {
        name: Scored.of(forecasts.sums(task, name), clusters.has_event, scores, compared)
        for name, scores in chosen.items()
    }
    n, n_clusters = len(clusters.index), clusters.n
    sums = forecasts.sums(task, MODEL)
    cm = sums.total().cm
    prevalence = cm.sum(axis=1) / cm.sum()
    own = {score: scored[MODEL].estimate(score, config.confidence) for score in scored[MODEL].shown}
    candidates = forecasts.candidates(task)
    skill = {score: best_difference(task, score, scored, candidates, config) for score in COMPARED_SCORES[task]}
    return TaskEstimates(
        scores={score: Score(**vars(entry), n=n, n_clusters=n_clusters) for score, entry in own.items()},
        per_class=_per_class(task, sums, config),
        confusion=cm.astype(int).tolist(),
        prevalence={name: finite(value) for name, value in zip(TASK_CLASSES[task], prevalence, strict=True)},
        baselines={
            name: BaselineScores(
                {score: forecast.estimate(score, config.confidence) for score in forecast.shown},
                forecasts.groups[name],
                uses_truth=name == ORACLE,
            )
            for name, forecast in scored.items()
            if name != MODEL
        },
        skill={score: Skill(**vars(entry), n=n, n_clusters=n_clusters) for score, entry in skill.items()},
        skill_scores={
            f"{score}_skill": SkillScore(
                **vars(_skill_score(score, scored, skill[score].baseline, config)),
                baseline=skill[score].baseline,
                n=n,
                n_clusters=n_clusters,
            )
            for score in SMALLER_IS_BETTER
            if score in skill
        },
    )


def best_difference(
    task: str, score: str, scored: dict[str, Scored], candidates: list[str], config: EvaluateConfig
) -> Difference:
    """Difference of the model's score to that of the best of the candidate baselines."""
    model, best = scored[MODEL], best_baseline(score, scored, candidates)
    classes = model.compared_classes(task, score)
    if best is None or np.isnan(model.point[compared_key(score)]):
        return Difference(None, None, None, None, None, classes, model.why_inconclusive(task, score))
    value, left_out = model.minus(scored[best], score)
    estimate = IntervalEstimate.jackknifed(value, left_out, config.confidence)
    p_value = None if left_out is None else finite(left_out.p_value(float(value)))
    note = model.why_inconclusive(task, score) if estimate.low is None else None
    return Difference(**vars(estimate), p_value=p_value, baseline=best, classes=classes, note=note)


def best_baseline(score: str, scored: dict[str, Scored], candidates: list[str]) -> str | None:
    """Name of the candidate with the best score; None where none has one."""
    key = compared_key(score)
    able = [name for name in candidates if not np.isnan(scored[name].point.get(key, np.nan))]
    sign = -1.0 if score in SMALLER_IS_BETTER else 1.0
    return max(able, key=lambda name: sign * float(scored[name].point[key])) if able else None


def finite(value: FloatArray | float) -> float | None:
    """A float for JSON; None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def _score_values(sums: Sums, whole: Sums, scores: Iterable[str], compared: tuple[int, ...]) -> Values:
    """All scores, over the leading axes; ``whole`` are those of the table, ``compared`` the classes to compare.

    A class that is absent without one of the groups keeps its recall and F1 of the table, because a mean over the
    other classes would be another score. The correlation is undefined where the truth has one class.
    """
    n = sums.cm.sum(axis=(-2, -1))
    values = {name: CONFUSION_SCORES[name](sums.cm) for name in scores}
    without, of_table = m.per_class(sums.cm), m.per_class(whole.cm)
    recall, f1 = (np.where(np.isnan(without[key]), of_table[key], without[key]) for key in ("recall", "f1"))
    values["balanced_accuracy"] = recall[..., ~np.isnan(of_table["recall"])].mean(axis=-1)
    values[OVER_FREQUENT] = recall[..., compared].mean(axis=-1)
    if "macro_f1" in values:
        values["macro_f1"] = f1[..., ~np.isnan(of_table["f1"])].mean(axis=-1)
    if "mcc" in values:
        one_class = np.count_nonzero(sums.cm.sum(axis=-1), axis=-1) < 2
        values["mcc"] = np.where(one_class, np.nan, values["mcc"])
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


def _skill_score(score: str, scored: dict[str, Scored], best: str | None, config: EvaluateConfig) -> IntervalEstimate:
    """1 - score / score of the best baseline, for scores of which 0 is perfect."""
    if best is None or not scored[best].point[score] > 0:
        return IntervalEstimate(None, None, None)
    value = 1 - scored[MODEL].point[score] / scored[best].point[score]
    own, reference = scored[MODEL].left_out[score], scored[best].left_out[score]
    left_out = dataclasses.replace(own, values=1 - ratio(own.values, reference.values))
    return IntervalEstimate.jackknifed(value, left_out, config.confidence)


def _per_class(task: str, sums: Sums, config: EvaluateConfig) -> dict[str, ClassScores]:
    values = m.per_class(sums.total().cm)
    recall_without = m.per_class(sums.without_each().cm)["recall"]  # (n_groups, k); NaN where the class is absent
    n_clusters = (sums.cm.sum(axis=-1) > 0).sum(axis=0)  # that contain each true class
    result = {}
    for i, name in enumerate(TASK_CLASSES[task]):
        n, n_predicted = int(values["n"][i]), int(values["n_predicted"][i])
        contains = sums.cm[:, i].sum(axis=-1) > 0
        left_out = LeftOut(recall_without[contains, i], np.zeros(int(contains.sum()), dtype=bool), n, (0.0, 1.0))
        recall = IntervalEstimate.jackknifed(values["recall"][i], left_out, config.confidence)
        result[name] = ClassScores(
            n,
            int(n_clusters[i]),
            recall=Estimate(recall.value, recall.low, recall.high, n),
            precision=Rate(finite(values["precision"][i]), n_predicted),
            f1=Rate(finite(values["f1"][i]), n),
        )
    return result
