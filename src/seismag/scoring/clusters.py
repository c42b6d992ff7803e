"""Sums of scores by group of windows, from which scores and their intervals are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.domain import AZIMUTH_CENTRES_DEG
from seismag.scoring import metrics as m
from seismag.scoring.jackknife import inconclusive
from seismag.scoring.predictions import TASK_CLASSES, truth_index

CONCORDANCE = ("event_concordant", "event_pairs", "normal_concordant", "normal_pairs")


@dataclass(frozen=True)
class Clusters:
    """Groups of rows that vary as a whole, those with an event and those without apart.

    Attributes:
        index: (n,) group of each row.
        has_event: (n_clusters,).
    """

    index: IndexArray
    has_event: BoolArray

    @property
    def n(self) -> int:
        return len(self.has_event)

    @property
    def n_event(self) -> int:
        return int(self.has_event.sum())

    @property
    def no_interval(self) -> str | None:
        """Sentence for fewer groups of a kind than an interval needs; None for enough."""
        reason = inconclusive(self.has_event)
        return None if reason is None else f"No interval can be given: {reason}."

    def sum(self, values: ArrayLike) -> FloatArray:
        """Sum the rows' values by cluster: (n_clusters,)."""
        return np.bincount(self.index, weights=values, minlength=self.n).astype(float)


@dataclass(frozen=True)
class Truth:
    """True classes and groups of the evaluated rows.

    Attributes:
        index: by task, (n,) true class.
        azimuth_deg: (n,) station to epicentre, NaN where there is no event; None: unknown.
        stratum: (n,) index of run, fold and station: rows that can be ranked against each other.
        clusters: the groups of the rows.
    """

    index: Mapping[str, IndexArray]
    azimuth_deg: FloatArray | None
    stratum: IndexArray
    clusters: Clusters

    def part(self, rows: IndexArray) -> Truth:
        """Take some rows; the cluster indices stay."""
        return Truth(
            {task: index[rows] for task, index in self.index.items()},
            None if self.azimuth_deg is None else self.azimuth_deg[rows],
            self.stratum[rows],
            Clusters(self.clusters.index[rows], self.clusters.has_event),
        )


@dataclass(frozen=True)
class Sums:
    """One task of one forecast, summed over the table, or over each cluster or replicate (...,)."""

    cm: FloatArray  # (..., k, k)
    sums: dict[str, FloatArray]  # each (...,)

    def total(self) -> Sums:
        """Sum over the clusters."""
        return Sums(self.cm.sum(axis=0), {name: np.array(values.sum()) for name, values in self.sums.items()})

    def without_each(self) -> Sums:
        """Sum over all clusters but one, for each of them."""
        return Sums(self.cm.sum(axis=0) - self.cm, {name: values.sum() - values for name, values in self.sums.items()})


def find_clusters(rows: pd.DataFrame) -> Clusters:
    """Index the groups of the rows; a group has an event where one of its rows has one."""
    index = pd.factorize(rows["split_group"], sort=True)[0]
    event = (rows["y_magnitude"] != "Normal").to_numpy()
    return Clusters(index, np.bincount(index, weights=event) > 0)


def find_truth(rows: pd.DataFrame) -> Truth:
    """Take the true classes, azimuths, strata and groups from the rows."""
    index = {task: truth_index(rows["y_magnitude"], rows["y_azimuth"], task).astype(np.int8) for task in TASK_CLASSES}
    known = "azimuth_deg" in rows and rows["azimuth_deg"].notna().any()
    azimuth_deg = rows["azimuth_deg"].to_numpy(dtype=float, na_value=np.nan) if known else None
    stratum = rows.groupby(["run_id", "fold", "station"], observed=True, sort=True).ngroup().to_numpy(dtype=np.int32)
    return Truth(index, azimuth_deg, stratum, find_clusters(rows))


def sum_scores(task: str, probs: FloatArray, truth: Truth) -> dict[str, FloatArray]:
    """Sum the scores of the probabilities (n, k) of a task by cluster, each (n_clusters,).

    Returns:
        By name: ``log``, ``brier``; for the magnitude ``rps``, for detection those of ``cluster_concordance``, for the
        azimuth (where ``azimuth_deg`` is known, over the event rows with a likeliest direction) ``direction_n``,
        ``direction_abs_deg``, ``direction_cos``, ``direction_sin``.
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
    return sums


def _direction_rows(probs: FloatArray, azimuth_deg: FloatArray) -> dict[str, FloatArray]:
    """Error of the likeliest of the eight directions; 0 in rows without azimuth or without likeliest direction."""
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
