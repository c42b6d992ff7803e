"""Size, coverage and power of the intervals and p-values of scores, of skill, and of paired differences.

    python benchmarks/coverage_scores.py [--studies 300] [--seed 0]

A study has event clusters and control blocks of 3 to 8 windows at one or two of three stations. The class scores of a
window are those of its cluster (deviation 0.6 for each class) plus its own (0.8), and ``strength`` for the true class.
The truth of each score is that of 100 such clusters a study, with the same fractions of classes. Differences are those
to a second forecast with the same distribution (size), or with a strength that is less by 0.7 (power).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from coverage_row import Row, format_rows

from seismag.arrays import FloatArray
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, Sums, Truth, sum_scores
from seismag.scoring.estimates import Scored
from seismag.scoring.jackknife import FEW_CLUSTERS

STATIONS, OF_CLUSTER, OF_WINDOW = 3, 0.6, 0.8
TRUTH_CLUSTERS = 100  # for each study
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "log_score", "brier", "rps")
SHORT = {"balanced_accuracy": "BA", "auc_within_station": "AUC", "log_score": "log", "macro_f1": "F1", "mcc": "MCC"}
DETECTION = ("balanced_accuracy", "mcc", "auc_within_station", "log_score", "brier")


@dataclass(frozen=True)
class Design:
    """Clusters of Moderate, Medium and Large events, control blocks, and strength: ``5+4+3/12, 1``."""

    events: tuple[int, int, int]
    blocks: int
    strength: float = 1.0

    @property
    def name(self) -> str:
        return f"{'+'.join(map(str, self.events))}/{self.blocks}, {self.strength:g}"


DESIGNS = (
    Design((4, 3, 3), 10), Design((5, 4, 3), 12, 0.0), Design((5, 4, 3), 12), Design((12, 12, 12), 12),
    Design((12, 12, 12), 36, 0.0), Design((12, 12, 12), 36), Design((12, 12, 12), 36, 2.0), Design((38, 1, 1), 40),
    Design((20, 18, 2), 40), Design((40, 30, 30), 100), Design((12, 0, 0), 240), Design((5, 4, 3), 12, 2.0),
)  # fmt: skip


def draw(design: Design, rng: np.random.Generator, strengths: tuple[float, ...]) -> tuple[Truth, list[FloatArray]]:
    """Draw a study: its truth, and the probabilities (n, 4) of a forecast of each strength."""
    classes = np.repeat(np.arange(4), (design.blocks, *design.events))
    windows = rng.integers(3, 9, len(classes))
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


def true_scores(design: Design, studies: int, rng: np.random.Generator) -> dict[tuple[str, str], float]:
    """Scores of very many clusters."""
    factor = 1 + TRUTH_CLUSTERS * studies // (sum(design.events) + design.blocks)
    first, second, third = (n * factor for n in design.events)
    large = Design((first, second, third), design.blocks * factor, design.strength)
    truth, (probs,) = draw(large, rng, (design.strength,))
    found = {task: scored(task, truth, probs).point for task in ("magnitude", "detection")}
    return {(task, score): float(value) for task, point in found.items() for score, value in point.items()}


def rows(studies: int, seed: int) -> Iterator[Row]:
    """Yield coverages of scores, then sizes and powers of skill and of paired differences, by design."""
    for number, design in enumerate(DESIGNS):
        rng = np.random.default_rng([seed, number])
        expected = true_scores(design, studies, rng)
        covered: dict[tuple[str, str], list[bool]] = {}
        struck: dict[tuple[str, str, str], list[bool]] = {}
        for _ in range(studies):
            truth, (own, equal, weaker) = draw(
                design, rng, (design.strength, design.strength, max(design.strength - 0.7, 0.0))
            )
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
                        key = measure, task, score
                        struck.setdefault(key, []).append(left_out.two_sided_p_value(float(difference)) <= 0.05)
        for (task, score), hits in covered.items():
            yield Row(f"{task} {SHORT.get(score, score)}", design.name, "coverage", sum(hits), len(hits))
        for (measure, task, score), hits in struck.items():
            if measure == "size" or design.strength > 0:
                yield Row(f"Δ {task} {SHORT.get(score, score)}", design.name, measure, sum(hits), len(hits))


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
