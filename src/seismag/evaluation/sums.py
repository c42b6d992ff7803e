"""What each group of windows adds to the scores of a forecast: the currency of points and replicates alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from seismag import metrics as m
from seismag.domain import AZIMUTH_CENTRES_DEG
from seismag.evaluation.predictions import TASK_CLASSES, truth_index
from seismag.metrics import FloatArray, IndexArray

CONCORDANCE = ("event_concordant", "event_pairs", "normal_concordant", "normal_pairs")


@dataclass(frozen=True)
class Clusters:
    """The groups that are drawn whole; those with an event and those without are drawn apart."""

    index: IndexArray  # (n,)
    has_event: NDArray[np.bool_]  # (n_clusters,)

    @property
    def n(self) -> int:
        return len(self.has_event)

    @property
    def n_event(self) -> int:
        return int(self.has_event.sum())

    @property
    def smallest(self) -> int:
        """Number of groups in the smaller of the strata that occur."""
        return min((n for n in (self.n_event, self.n - self.n_event) if n), default=0)

    def sum(self, values: ArrayLike) -> FloatArray:
        """Sum the rows' values by cluster: (n_clusters,)."""
        return np.bincount(self.index, weights=values, minlength=self.n).astype(float)

    def bootstrap(self, values: FloatArray, replicates: int, seed: int) -> FloatArray:
        """Sum the values of drawn clusters; the same seed draws the same clusters, whatever the values are."""
        return m.bootstrap_sums(values, self.has_event.astype(int), replicates, np.random.default_rng(seed))


@dataclass(frozen=True)
class Truth:
    """What happened in the judged rows.

    Attributes:
        index: by task, (n,) true class.
        azimuth_deg: (n,) station to epicentre, NaN where there is no event; None: unknown.
        stratum: (n,) number of run, fold and station: rows that can be ranked against each other.
        clusters: the groups of the rows.
    """

    index: Mapping[str, IndexArray]
    azimuth_deg: FloatArray | None
    stratum: IndexArray
    clusters: Clusters

    def part(self, rows: IndexArray) -> Truth:
        """Take some rows; the numbers of clusters stay."""
        return Truth(
            {task: index[rows] for task, index in self.index.items()},
            None if self.azimuth_deg is None else self.azimuth_deg[rows],
            self.stratum[rows],
            Clusters(self.clusters.index[rows], self.clusters.has_event),
        )


@dataclass(frozen=True)
class TaskSums:
    """One task of one forecast, summed by cluster, by replicate, or over everything."""

    cm: FloatArray  # (..., k, k)
    sums: dict[str, FloatArray]  # each (...,)

    def __add__(self, other: TaskSums) -> TaskSums:
        return TaskSums(self.cm + other.cm, {name: self.sums[name] + other.sums[name] for name in self.sums})

    def total(self) -> TaskSums:
        """Sum over the clusters."""
        return TaskSums(self.cm.sum(axis=0), {name: values.sum(axis=0) for name, values in self.sums.items()})

    def of(self, clusters: IndexArray) -> TaskSums:
        """Take some clusters."""
        return TaskSums(self.cm[clusters], {name: values[clusters] for name, values in self.sums.items()})


def find_clusters(rows: pd.DataFrame) -> Clusters:
    """Number the groups of the rows; a group has an event where one of its rows has one."""
    index = pd.factorize(rows["split_group"], sort=True)[0]
    event = (rows["y_magnitude"] != "Normal").to_numpy()
    return Clusters(index, np.bincount(index, weights=event) > 0)


def find_truth(rows: pd.DataFrame) -> Truth:
    """Take from the rows what forecasts are judged against."""
    index = {task: truth_index(rows["y_magnitude"], rows["y_azimuth"], task) for task in TASK_CLASSES}
    known = "azimuth_deg" in rows and rows["azimuth_deg"].notna().any()
    azimuth_deg = rows["azimuth_deg"].to_numpy(dtype=float, na_value=np.nan) if known else None
    stratum = rows.groupby(["run_id", "fold", "station"], observed=True, sort=True).ngroup().to_numpy()
    return Truth(index, azimuth_deg, stratum, find_clusters(rows))


def sum_task(task: str, probs: FloatArray, truth: Truth) -> TaskSums:
    """Sum what a task of a forecast scores, by cluster.

    Args:
        task: a key of ``TASK_CLASSES``.
        probs: (n, k) probabilities of the rows of ``truth``.
        truth: what happened.

    Returns:
        Confusion matrices, and the sums ``log``, ``brier``; for the magnitude ``rps``, for detection those of
        ``cluster_concordance``, for the azimuth (where ``azimuth_deg`` is known, over the event rows with a likeliest
        direction) ``direction_n``, ``direction_abs_deg``, ``direction_cos``, ``direction_sin``.
    """
    index, clusters = truth.index[task], truth.clusters
    sums = {
        "log": clusters.sum(m.row_log_scores(probs, index)),
        "brier": clusters.sum(m.row_brier_scores(probs, index)),
    }
    if task == "magnitude":
        sums["rps"] = clusters.sum(m.row_rps(probs, index))
    if task == "detection":
        ranked = m.cluster_concordance(probs[:, 1], index == 1, truth.stratum, clusters.index, clusters.n)
        sums |= dict(zip(CONCORDANCE, ranked.T, strict=True))
    if task == "azimuth" and truth.azimuth_deg is not None:
        sums |= {name: clusters.sum(values) for name, values in _direction_rows(probs, truth.azimuth_deg).items()}
    cm = _stacked_confusion(index, probs.argmax(axis=1), clusters, probs.shape[1])
    return TaskSums(cm, sums)


def replicate_all(
    parts: dict[tuple[str, str], TaskSums], clusters: Clusters, replicates: int, seed: int
) -> dict[tuple[str, str], TaskSums]:
    """Draw once for all tasks and forecasts, so that every difference is paired."""
    columns = {
        key: np.column_stack([part.cm.reshape(clusters.n, -1), *part.sums.values()]) for key, part in parts.items()
    }
    drawn = clusters.bootstrap(np.concatenate(list(columns.values()), axis=1), replicates, seed)
    result: dict[tuple[str, str], TaskSums] = {}
    start = 0
    for key, part in parts.items():
        k = part.cm.shape[-1]
        block = drawn[:, start : start + columns[key].shape[1]]
        start += columns[key].shape[1]
        sums = dict(zip(part.sums, block[:, k * k :].T, strict=True))
        result[key] = TaskSums(block[:, : k * k].reshape(-1, k, k), sums)
    return result


def _stacked_confusion(truth: IndexArray, predicted: IndexArray, clusters: Clusters, k: int) -> FloatArray:
    """As ``cluster_confusion``, of all clusters even where the rows are only some of theirs."""
    cm = m.cluster_confusion(truth, predicted, clusters.index, k)
    return np.concatenate([cm, np.zeros((clusters.n - len(cm), k, k))])


def _direction_rows(probs: FloatArray, azimuth_deg: FloatArray) -> dict[str, FloatArray]:
    """The likeliest of the eight directions against the azimuth; rows without either count nothing."""
    directions = probs[:, 1:]
    usable = np.isfinite(azimuth_deg) & (directions.max(axis=1) > directions.min(axis=1))
    predicted = np.array(AZIMUTH_CENTRES_DEG)[directions.argmax(axis=1)]
    error = np.where(usable, m.angular_difference_deg(predicted, azimuth_deg), 0.0)
    return {
        "direction_n": usable.astype(float),
        "direction_abs_deg": np.abs(error),
        "direction_cos": np.where(usable, np.cos(np.radians(error)), 0.0),
        "direction_sin": np.where(usable, np.sin(np.radians(error)), 0.0),
    }
