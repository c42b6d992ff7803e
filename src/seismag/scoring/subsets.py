"""Scores by station, by magnitude and by distance rule, each against the rule that is best on the whole table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import IndexArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import CONCORDANCE, Clusters, ClusterSums, Truth, count_cells, replicate_all
from seismag.scoring.estimates import FEW_CLUSTERS, Scored, number, skill
from seismag.scoring.forecasts import MODEL, Forecasts, Key
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities

MAGNITUDE_EDGES = (4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, np.inf)
Best = dict[str, dict[str, str | None]]  # by task and score, the rule that skill is measured against
_SKILLS = ("balanced_accuracy", "log_score")
_NEEDED = {
    "by_magnitude": ("magnitude",),
    "by_distance": ("in_dobrovolsky", "in_hattori", "distance_km"),
}


@dataclass(frozen=True)
class Draws:
    """How a subset is bootstrapped."""

    config: EvaluateConfig
    seed: int


def subset_tables(
    rows: pd.DataFrame, truth: Truth, forecasts: Forecasts, best: Best, config: EvaluateConfig
) -> dict[str, Any]:
    """Judge parts of the table: each station; events by magnitude and by distance rule beside all Normal windows.

    Args:
        rows: the judged rows, with the label columns that are known.
        truth: of these rows.
        forecasts: of these rows.
        best: by task and score, the rule that skill is measured against.
        config: replicates, confidence, ``distance_km``.

    Returns:
        ``by_station``, ``by_magnitude``, ``by_distance``: lists of entries with subset, n, n_events, n_event_groups,
        n_normal_groups, note and the tasks; None for what the columns do not tell, with a sentence in ``missing``.
    """
    tables: dict[str, Any] = {"by_station": [], "by_magnitude": [], "by_distance": [], "missing": []}
    for place, (table, name, mask) in enumerate(_subsets(rows, truth, config)):
        if mask.any():
            draws = Draws(config, config.seed + place)
            entry = _score_subset(np.flatnonzero(mask), rows, truth, forecasts, best, draws)
            tables[table].append({"subset": name, **entry})
    for table, columns in _NEEDED.items():
        if not any(column in rows and rows[column].notna().any() for column in columns):
            tables[table] = None
            tables["missing"].append(
                f"{table}: the table does not say {' or '.join(columns)} of its events. `--data STORE` brings them."
            )
    return tables


def _subsets(rows: pd.DataFrame, truth: Truth, config: EvaluateConfig) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    station = rows["station"].to_numpy(dtype=object)
    for name in sorted(set(station)):
        yield "by_station", str(name), np.asarray(station == name)
    event = truth.index["detection"] == 1
    if "magnitude" in rows:
        magnitude = rows["magnitude"].to_numpy(dtype=float, na_value=np.nan)
        for low, high in itertools.pairwise(MAGNITUDE_EDGES):
            inside = event & (magnitude >= low) & (magnitude < high)
            yield (
                "by_magnitude",
                f"M {low}-{high}" if np.isfinite(high) else f"M {low} and more",
                _beside(inside, event),
            )
    rules: dict[str, NDArray[np.bool_]] = {}
    for rule in ("dobrovolsky", "hattori"):
        if (column := f"in_{rule}") in rows:
            rules[rule] = rows[column].fillna(False).to_numpy(dtype=bool)
    if "distance_km" in rows:
        rules[f"{config.distance_km:g} km"] = rows["distance_km"].to_numpy(dtype=float) <= config.distance_km
    for rule, inside in rules.items():
        yield "by_distance", f"within {rule}", _beside(event & inside, event)
        yield "by_distance", f"beyond {rule}", _beside(event & ~inside, event)


def _beside(chosen: NDArray[np.bool_], event: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The chosen events beside all Normal windows; nothing where no event is chosen."""
    return (chosen | ~event) if chosen.any() else np.zeros(len(event), dtype=bool)


def _score_subset(
    places: IndexArray, rows: pd.DataFrame, truth: Truth, forecasts: Forecasts, best: Best, draws: Draws
) -> dict[str, Any]:
    """The entry of one subset; its clusters are numbered anew, and drawn from the subset's own."""
    present, index = np.unique(truth.clusters.index[places], return_inverse=True)
    event = truth.index["detection"][places] == 1
    clusters = Clusters(index, np.bincount(index, weights=event, minlength=len(present)) > 0)
    known = clusters.smallest >= FEW_CLUSTERS
    entry: dict[str, Any] = {
        "n": len(places), "n_events": int(rows["event_id"].iloc[places].nunique()),
        "n_event_groups": clusters.n_event, "n_normal_groups": clusters.n - clusters.n_event,
        "note": None if known else _too_few(clusters),
    }  # fmt: skip
    sums: dict[Key, ClusterSums] = {}
    for task in TASK_CLASSES:
        for name in [MODEL, *sorted({name for score in _SKILLS if (name := best[task][score])})]:
            sums[task, name] = _sum_decided(forecasts, (task, name), places, truth, clusters)
    p_event = task_probabilities(rows, "detection", places)[:, 1]
    ranked = m.cluster_concordance(p_event, event, truth.stratum[places], index, clusters.n)
    sums["detection", MODEL].sums.update(zip(CONCORDANCE, ranked.T, strict=True))
    drawn = replicate_all(sums, clusters, draws.config.bootstrap, draws.seed) if known else {}
    for task in TASK_CLASSES:
        scored = {
            name: Scored.of(part_sums.total(), drawn.get((task, name)), ("balanced_accuracy",))
            for (of_task, name), part_sums in sums.items()
            if of_task == task
        }
        entry[task] = _task_entry(task, scored, best[task], known, draws.config)
    return entry


def _sum_decided(forecasts: Forecasts, key: Key, places: IndexArray, truth: Truth, clusters: Clusters) -> ClusterSums:
    cells = count_cells(
        truth.index[key[0]][places], forecasts.classes[key][places], clusters, len(TASK_CLASSES[key[0]])
    )
    return ClusterSums(cells, {"log": clusters.sum(forecasts.log_scores[key][places])})


def _task_entry(
    task: str, scored: dict[str, Scored], best: dict[str, str | None], known: bool, config: EvaluateConfig
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for score in ("balanced_accuracy", *(["auc_within_station"] if task == "detection" else [])):
        low, high = scored[MODEL].interval(score, known, config.confidence)
        result[score] = {"value": number(scored[MODEL].point[score]), "low": low, "high": high}
    for score in _SKILLS:
        rivals = [name for name in (best[score],) if name]
        result[f"skill_{score}"] = skill(score, scored, rivals, known, config)
    return result


def _too_few(clusters: Clusters) -> str:
    return (
        f"{clusters.n_event} event groups and {clusters.n - clusters.n_event} Normal groups: no interval below "
        f"{FEW_CLUSTERS} of each."
    )
