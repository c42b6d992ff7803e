"""Size, coverage and power of the intervals and p-values of scores, of skill, and of paired differences.

    python benchmarks/coverage_scores.py [--studies 300] [--seed 0]

A study has event clusters and control blocks of 3 to 8 windows at one or two of three stations. The class scores of a
window are those of its cluster (deviation 0.6 for each class) plus its own (0.8), and ``strength`` for the true class.
The truth of each score is that of 100 such clusters a study, with the same fractions of classes. Differences are those
to a second forecast with the same distribution (size), or with a strength that is less by 0.7 (power). ``uneven``:
clusters of log-normal sizes, of which one may have half of the windows.

Skill against the best non-magnetic baseline is tried with forecasts that know nothing, in a fifth of the studies, since
baselines are fitted in each: class frequencies (constant), and these with a random factor a cluster (noise, standard
deviation 0.3 of the logarithm). Baselines are fitted by group k-fold within the table, or on the other folds of a split
of five. The classes of 24 groups are random.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from coverage_row import Row, format_rows

from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, FEW_CLUSTERS, MAGNITUDE_CLASSES
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, Sums, Truth, find_truth, sum_scores
from seismag.scoring.estimates import COMPARED_SCORES, Scored, score_task
from seismag.scoring.forecasts import MODEL, BaselineData, Forecasts, score_forecasts
from seismag.scoring.predictions import TASK_CLASSES, probability_columns

STATIONS, OF_CLUSTER, OF_WINDOW = 3, 0.6, 0.8
TRUTH_CLUSTERS = 100  # for each study
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "log_score", "brier", "rps")
CONFIG = EvaluateConfig(confidence=0.95)
SHORT = {"balanced_accuracy": "BA", "auc_within_station": "AUC", "log_score": "log", "macro_f1": "F1", "mcc": "MCC"}
DETECTION = ("balanced_accuracy", "mcc", "auc_within_station", "log_score", "brier")


@dataclass(frozen=True)
class Design:
    """Clusters of Moderate, Medium and Large events, control blocks, and strength: ``5+4+3/12, 1``.

    ``uneven``: the clusters have log-normal sizes.
    """

    events: tuple[int, int, int]
    blocks: int
    strength: float = 1.0
    uneven: bool = False

    @property
    def name(self) -> str:
        uneven = ", uneven" if self.uneven else ""
        return f"{'+'.join(map(str, self.events))}/{self.blocks}, {self.strength:g}{uneven}"


DESIGNS = (
    Design((4, 3, 3), 10), Design((5, 4, 3), 12, 0.0), Design((5, 4, 3), 12), Design((12, 12, 12), 12),
    Design((12, 12, 12), 36, 0.0), Design((12, 12, 12), 36), Design((12, 12, 12), 36, 2.0), Design((38, 1, 1), 40),
    Design((20, 18, 2), 40), Design((40, 30, 30), 100), Design((12, 0, 0), 240), Design((5, 4, 3), 12, 2.0),
    Design((4, 3, 3), 10, uneven=True), Design((5, 4, 3), 12, uneven=True), Design((12, 12, 12), 36, uneven=True),
)  # fmt: skip


def draw(design: Design, rng: np.random.Generator, strengths: tuple[float, ...]) -> tuple[Truth, list[FloatArray]]:
    """Draw a study: its truth, and the probabilities (n, 4) of a forecast of each strength."""
    classes = np.repeat(np.arange(4), (design.blocks, *design.events))
    windows = rng.integers(3, 9, len(classes))
    if design.uneven:
        windows = np.ceil(np.exp(rng.normal(1.5, 1.2, len(classes)))).astype(int)
    two = rng.random(len(classes)) < 0.5
    first = rng.integers(0, STATIONS, len(classes))
    cluster = np.repeat(np.arange(len(classes)), windows * (1 + two))
    y = classes[cluster]
    begin = np.cumsum(windows * (1 + two)) - windows * (1 + two)
    position = np.arange(len(cluster)) - begin[cluster]
    station = (first[cluster] + (position >= windows[cluster])) % STATIONS
    truth = Truth(
        {"magnitude": y, "detection": np.minimum(y, 1)}, None, station, Clusters(cluster, np.asarray(classes > 0))
    )
    forecasts = []
    for strength in strengths:
        score = strength * np.eye(4)[y] + OF_WINDOW * rng.standard_normal((len(y), 4))
        score += OF_CLUSTER * rng.standard_normal((len(classes), 4))[cluster]
        p = np.exp(score)
        forecasts.append(p / p.sum(axis=1, keepdims=True))
    return truth, forecasts


def scored(task: str, truth: Truth, probs: FloatArray) -> Scored:
    """Score a forecast as ``evaluate`` does."""
    if task == "detection":
        probs = np.column_stack([probs[:, 0], 1 - probs[:, 0]])
    index, clusters = truth.index[task], truth.clusters
    cm = m.cluster_confusion(index, probs.argmax(axis=1), clusters.index, probs.shape[1])
    return Scored.of(Sums(cm, sum_scores(task, probs, truth)), clusters.has_event)


def recalls(truth: Truth, probs: FloatArray) -> dict[str, tuple[float, float, float]]:
    """Recall of each class of the magnitude, where it has an interval, with its limits, as ``evaluate`` gives it."""
    forecasts = Forecasts(truth)
    forecasts.add_rows(("magnitude", MODEL), probs, np.arange(len(probs)))
    entries = score_task("magnitude", forecasts, truth.clusters, CONFIG).per_class
    return {
        name: (entry.recall.value, entry.recall.low, entry.recall.high)
        for name, entry in entries.items()
        if entry.recall.value is not None and entry.recall.low is not None and entry.recall.high is not None
    }


def true_scores(design: Design, studies: int, rng: np.random.Generator) -> dict[tuple[str, str], float]:
    """Scores of very many clusters."""
    factor = 1 + TRUTH_CLUSTERS * studies // (sum(design.events) + design.blocks)
    first, second, third = (n * factor for n in design.events)
    large = Design((first, second, third), design.blocks * factor, design.strength, design.uneven)
    truth, (probs,) = draw(large, rng, (design.strength,))
    found = {task: scored(task, truth, probs).point for task in ("magnitude", "detection")}
    expected = {(task, score): float(value) for task, point in found.items() for score, value in point.items()}
    of_class = {("magnitude", f"recall {name}"): recall[0] for name, recall in recalls(truth, probs).items()}
    return expected | of_class


def rows(studies: int, seed: int) -> Iterator[Row]:
    """Yield coverages of scores, and sizes and powers of paired differences, by design; then claims of skill."""
    for number, design in enumerate(DESIGNS):
        rng = np.random.default_rng([seed, number])
        expected = true_scores(design, studies, rng)
        covered: dict[tuple[str, str], list[bool]] = {}
        struck: dict[tuple[str, str, str], list[bool]] = {}
        for _ in range(studies):
            truth, (own, equal, weaker) = draw(
                design, rng, (design.strength, design.strength, max(design.strength - 0.7, 0.0))
            )
            for name, (_, low, high) in recalls(truth, own).items():
                key = "magnitude", f"recall {name}"
                covered.setdefault(key, []).append(low <= expected[key] <= high)
            for task, names in (("magnitude", SCORES), ("detection", DETECTION)):
                of_model, of_equal, of_weaker = (scored(task, truth, probs) for probs in (own, equal, weaker))
                for score in names:
                    entry = of_model.estimate(score, 0.95)
                    if entry.low is not None and entry.high is not None:
                        inside = entry.low <= expected[task, score] <= entry.high
                        covered.setdefault((task, score), []).append(inside)
                    for measure, other in (("size", of_equal), ("power", of_weaker)):
                        difference, left_out = of_model.minus(other, score)
                        if left_out is None:
                            continue
                        struck.setdefault((measure, task, score), []).append(
                            left_out.two_sided_p_value(float(difference)) <= 0.05
                        )
        for (task, score), hits in covered.items():
            yield Row(f"{task} {SHORT.get(score, score)}", design.name, "coverage", sum(hits), len(hits))
        for (measure, task, score), hits in struck.items():
            if measure == "size" or design.strength > 0:
                yield Row(f"Δ {task} {SHORT.get(score, score)}", design.name, measure, sum(hits), len(hits))
    yield from claimed_rows(-(-studies // 5), seed)


def claimed_rows(studies: int, seed: int) -> Iterator[Row]:
    """Yield how often forecasts that know nothing have skill against the best baseline, by score."""
    designs = ("12+12+12/36", "12+12+12/36, split", "24 groups")
    for number, name in enumerate(designs):
        rng = np.random.default_rng([seed, 100 + number])
        hits: dict[tuple[str, str, str], list[bool]] = {}
        for _ in range(studies):
            counts = (
                rng.multinomial(24, (1 / 2, 1 / 6, 1 / 6, 1 / 6)).tolist() if name == "24 groups" else (36, 12, 12, 12)
            )
            for key, p_value in claims(counts, name.endswith("split"), rng).items():
                hits.setdefault(key, []).append(p_value <= 0.05)
        for (kind, task, score), claimed in hits.items():
            quantity = f"Δ baseline, {task} {SHORT.get(score, score)}"
            yield Row(quantity, f"{name}, {kind}", "claimed", sum(claimed), len(claimed))


def claims(counts: Sequence[int], with_split: bool, rng: np.random.Generator) -> dict[tuple[str, str, str], float]:
    """P-value of the skill of each forecast that knows nothing, by kind, task and score."""
    table = unknowing_table(counts, rng)
    data = BaselineData()
    if with_split:
        samples = table.rename(columns={"y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class"})
        table["fold"] = 1 + pd.factorize(table["split_group"])[0] % 5
        folds = [table[["sample_id", "split_group"]].assign(fold=k, role=np.where(table["fold"] == k, "test", "train"))
                 for k in range(1, 6)]  # fmt: skip
        data = BaselineData(samples, pd.concat(folds))
    truth, every = find_truth(table), np.arange(len(table))
    forecasts = score_forecasts(table, truth, data)
    found: dict[tuple[str, str, str], float] = {}
    for kind, spread in (("constant", 0.0), ("noise", 0.3)):
        for task, classes in TASK_CLASSES.items():
            factor = np.exp(spread * rng.standard_normal((truth.clusters.n, len(classes))))[truth.clusters.index]
            constant = np.r_[0.5, np.full(len(classes) - 1, 0.5 / (len(classes) - 1))]
            probs = constant * factor
            forecasts.scores.pop((task, MODEL), None)
            forecasts.add_rows((task, MODEL), probs / probs.sum(axis=1, keepdims=True), every)
            skill = score_task(task, forecasts, truth.clusters, CONFIG, ("balanced_accuracy",)).skill
            p_values = {score: skill[score].p_value for score in COMPARED_SCORES[task]}
            found |= {(kind, task, score): p for score, p in p_values.items() if p is not None}
    return found


def unknowing_table(counts: Sequence[int], rng: np.random.Generator) -> pd.DataFrame:
    """Draw a table of predictions of groups (Normal, Moderate, Medium, Large) in two years, without probabilities."""
    classes = np.repeat(np.arange(4), counts)
    group = np.repeat(np.arange(len(classes)), rng.integers(3, 9, len(classes)))
    window = np.arange(len(group)) - np.searchsorted(group, group)
    day = rng.integers(0, 700, len(classes))[group]
    azimuth = np.where(classes > 0, 1 + np.arange(len(classes)) % 8, 0)
    table = pd.DataFrame(
        {
            "run_id": "r", "fold": 1, "role": "test", "sample_id": [f"w{row}" for row in range(len(group))],
            "split_group": group, "station": np.array(["GTO", "LUT", "ALR"])[rng.integers(0, 3, len(classes))[group]],
            "start_utc": pd.Timestamp("2021-01-01") + pd.to_timedelta(24 * day + 6 * window, unit="h"),
            "y_magnitude": np.array(MAGNITUDE_CLASSES)[classes[group]],
            "y_azimuth": np.array(AZIMUTH_CLASSES)[azimuth[group]],
        }
    )  # fmt: skip
    columns = [*probability_columns("magnitude"), *probability_columns("azimuth")]
    return table.assign(**dict.fromkeys(columns, 0.25))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"scores averaged over classes: classes in {FEW_CLUSTERS} clusters or more")
    print(format_rows(list(rows(arguments.studies, arguments.seed))))


if __name__ == "__main__":
    main()
