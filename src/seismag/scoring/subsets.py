"""Scores by station, magnitude and magnitude-distance criterion, against the best baseline of the whole table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, IndexArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import CONCORDANCE, Clusters, Sums, Truth
from seismag.scoring.estimates import IntervalEstimate, Scored, best_difference
from seismag.scoring.forecasts import MODEL, Forecasts, Key
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities

Best = dict[str, dict[str, str | None]]  # by task and score, the best baseline of the whole table
_MAGNITUDE_EDGES = (4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, np.inf)
_SKILLS = ("balanced_accuracy", "log_score")
_NEEDED = {"by_magnitude": ("magnitude",), "by_distance": ("in_dobrovolsky", "in_hattori", "distance_km")}


@dataclass(frozen=True)
class SubsetScores:
    """Scores of one subset; each task has balanced accuracy, skill in it and in log score, and detection the AUC."""

    subset: str
    n: int
    n_events: int
    n_event_groups: int
    n_normal_groups: int
    note: str | None
    magnitude: dict[str, IntervalEstimate]
    azimuth: dict[str, IntervalEstimate]
    detection: dict[str, IntervalEstimate]


@dataclass(frozen=True)
class SubsetTables:
    """Scores by subset; None for what the columns do not contain, with a sentence in ``missing``."""

    by_station: list[SubsetScores] | None
    by_magnitude: list[SubsetScores] | None
    by_distance: list[SubsetScores] | None
    missing: list[str]


def score_subsets(
    rows: pd.DataFrame, truth: Truth, forecasts: Forecasts, best: Best, config: EvaluateConfig
) -> SubsetTables:
    """Score each station, and events by magnitude and by magnitude-distance criterion with all Normal windows.

    ``best`` is, by task and score, the baseline that skill is measured against.
    """
    tables: dict[str, list[SubsetScores]] = {"by_station": [], "by_magnitude": [], "by_distance": []}
    for table, name, mask in _subsets(rows, truth, config):
        if mask.any():
            tables[table].append(_score_subset(name, np.flatnonzero(mask), rows, truth, forecasts, best, config))
    absent = {
        table: columns
        for table, columns in _NEEDED.items()
        if not any(column in rows and rows[column].notna().any() for column in columns)
    }
    missing = [
        f"{table}: the table has no {' or '.join(columns)} of its events. `--data STORE` adds them."
        for table, columns in absent.items()
    ]
    return SubsetTables(**{name: None if name in absent else table for name, table in tables.items()}, missing=missing)


def _subsets(rows: pd.DataFrame, truth: Truth, config: EvaluateConfig) -> Iterator[tuple[str, str, BoolArray]]:
    """Table, name and rows of each subset."""
    station = rows["station"].to_numpy(dtype=object)
    for name in sorted(set(station)):
        yield "by_station", str(name), np.asarray(station == name)
    event = truth.index["detection"] == 1
    if "magnitude" in rows:
        magnitude = rows["magnitude"].to_numpy(dtype=float, na_value=np.nan)
        for low, high in itertools.pairwise(_MAGNITUDE_EDGES):
            inside = event & (magnitude >= low) & (magnitude < high)
            name = f"M {low}-{high}" if np.isfinite(high) else f"M {low} and more"
            yield "by_magnitude", name, _with_normal(inside, event)
    criteria: dict[str, BoolArray] = {}
    for criterion in ("dobrovolsky", "hattori"):
        if (column := f"in_{criterion}") in rows:
            criteria[criterion] = rows[column].fillna(False).to_numpy(dtype=bool)
    if "distance_km" in rows:
        criteria[f"{config.distance_km:g} km"] = rows["distance_km"].to_numpy(dtype=float) <= config.distance_km
    for criterion, inside in criteria.items():
        yield "by_distance", f"within {criterion}", _with_normal(event & inside, event)
        yield "by_distance", f"beyond {criterion}", _with_normal(event & ~inside, event)


def _with_normal(chosen: BoolArray, event: BoolArray) -> BoolArray:
    """The chosen events and all Normal windows; nothing where no event is chosen."""
    return (chosen | ~event) if chosen.any() else np.zeros(len(event), dtype=bool)


def _score_subset(
    name: str,
    positions: IndexArray,
    rows: pd.DataFrame,
    truth: Truth,
    forecasts: Forecasts,
    best: Best,
    config: EvaluateConfig,
) -> SubsetScores:
    """Scores of one subset, with intervals over its own groups."""
    present, index = np.unique(truth.clusters.index[positions], return_inverse=True)
    event = truth.index["detection"][positions] == 1
    clusters = Clusters(index, np.bincount(index, weights=event, minlength=len(present)) > 0)
    sums: dict[Key, Sums] = {}
    for task in TASK_CLASSES:
        baselines = {best[task][score] for score in _SKILLS}
        for forecast in [MODEL, *sorted(name for name in baselines if name)]:
            key = task, forecast
            classes, n_classes = forecasts.classes[key][positions], len(TASK_CLASSES[task])
            cm = m.cluster_confusion(truth.index[task][positions], classes, index, n_classes)
            sums[key] = Sums(cm, {"log": clusters.sum(forecasts.log_scores[key][positions])})
    p_event = task_probabilities(rows, "detection", positions)[:, 1]
    ranked = m.cluster_concordance(p_event, event, truth.stratum[positions], index, clusters.n)
    sums["detection", MODEL].sums.update(zip(CONCORDANCE, ranked.T, strict=True))
    scored: dict[str, dict[str, Scored]] = {task: {} for task in TASK_CLASSES}
    for (task, forecast), part in sums.items():
        scored[task][forecast] = Scored.of(part, clusters.has_event, ("balanced_accuracy",))
    found: dict[str, dict[str, IntervalEstimate]] = {}
    for task, of_task in scored.items():
        found[task] = {"balanced_accuracy": of_task[MODEL].estimate("balanced_accuracy", config.confidence)}
        if task == "detection":
            found[task]["auc_within_station"] = of_task[MODEL].estimate("auc_within_station", config.confidence)
        for score in _SKILLS:
            candidates = [name for name in (best[task][score],) if name]
            found[task][f"skill_{score}"] = best_difference(task, score, of_task, candidates, config)
    return SubsetScores(
        name,
        n=len(positions),
        n_events=int(rows["event_id"].iloc[positions].nunique()),
        n_event_groups=clusters.n_event,
        n_normal_groups=clusters.n - clusters.n_event,
        note=clusters.no_interval,
        **found,
    )
