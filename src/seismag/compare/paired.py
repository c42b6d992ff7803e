"""Several forecasts of the same windows: their scores, and paired differences with intervals by event cluster.

One bootstrap draws whole groups, the same for all forecasts, so that what is hard for all of them cancels in the
differences. McNemar's test is not used: it takes windows for independent, and up to eight windows belong to one event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.scoring import metrics as m
from seismag.scoring.clusters import find_truth, replicate_all
from seismag.scoring.estimates import FEW_CLUSTERS, SMALLER_IS_BETTER, Scored, number
from seismag.scoring.forecasts import MODEL, Forecasts, Training, score_forecasts
from seismag.scoring.mainshocks import (
    MAINSHOCKS_UNKNOWN,
    add_label_columns,
    knows_mainshocks,
    mainshocks_and_normal,
)
from seismag.scoring.predictions import probability_columns

COMPARED = {
    "detection": ("balanced_accuracy", "mcc", "log_score", "brier", "auc_within_station"),
    "magnitude": ("balanced_accuracy", "mcc", "log_score"),
    "azimuth": ("balanced_accuracy", "mcc", "log_score"),
}
BEST_RULE = "best_no_signal"
LEAST_REPLICATES = 10_000  # of 1,000 the smallest p is 0.002, which Holm's procedure would take for chance
_OF_MATRIX = ("balanced_accuracy", "mcc")


@dataclass(frozen=True)
class _Candidate:
    """One forecast of a task that is compared: where its sums are, and what it is called."""

    forecast: str
    name: str
    group: str


def compare_tables(
    tables: Mapping[str, pd.DataFrame], training: Training, config: EvaluateConfig | None = None
) -> dict[str, Any]:
    """Score several models on the same windows, and compare each with the first.

    Windows that point at a mainshock, and Normal ones, are judged where it is known which these are
    (``config.events``). Beside the models stand the extra forecasts of ``training`` (the classical methods), and in
    each score the best rule that never sees the field.

    Args:
        tables: by name, judged rows as of ``evaluated_rows``; all of the same windows in the same folds.
        training: samples and split of the store, and the classical forecasts.
        config: confidence, seed, replicates (at least ``LEAST_REPLICATES`` are drawn), and which events.

    Returns:
        A JSON-ready dictionary. ``forecasts``: by name ``group`` (model, classical, no_signal), ``scores`` by task and
        score, and ``difference`` to the first table, positive where it is better, with ``p_value`` (two-sided) and
        ``p_adjusted`` (Holm over the models, and over the rules; ``n_comparisons`` of each). The first table has no
        difference.

    Raises:
        DataError: windows, folds or labels differ between tables; the message names which.
    """
    config = config or EvaluateConfig.model_validate({})
    names = list(tables)
    aligned = align_tables(tables)
    rows = add_label_columns(aligned[names[0]], training.samples)
    chosen = config.events == "mainshocks" and knows_mainshocks(rows)
    if chosen:
        kept = mainshocks_and_normal(rows).to_numpy()
        rows, training = rows[kept].reset_index(drop=True), training.of_mainshocks()
    others = {name: _probabilities(aligned[name]) for name in names[1:]}
    extra = {f"{MODEL} {name}": table for name, table in others.items()} | dict(training.extra or {})
    truth = find_truth(rows)
    forecasts = score_forecasts(rows, truth, Training(training.samples, training.split, extra), by_row=False)
    replicates = max(config.bootstrap, LEAST_REPLICATES)
    settings = config.model_copy(update={"bootstrap": replicates})
    warnings = [] if chosen or config.events == "all" else [MAINSHOCKS_UNKNOWN]
    if truth.clusters.smallest < FEW_CLUSTERS:
        warnings.append(
            f"The windows have {truth.clusters.n_event} event groups and {truth.clusters.n - truth.clusters.n_event} "
            f"Normal groups; below {FEW_CLUSTERS} of each no difference is decided."
        )
    return {
        "events": "mainshocks" if chosen else "all",
        "role": str(rows["role"].iloc[0]),
        "n": len(rows),
        "n_clusters": truth.clusters.n,
        "n_event_groups": truth.clusters.n_event,
        "n_normal_groups": truth.clusters.n - truth.clusters.n_event,
        "confidence": config.confidence,
        "bootstrap": {"replicates": replicates, "seed": config.seed, "unit": "split_group", "paired": True},
        "test": (
            "two-sided p from the paired bootstrap by group, adjusted by Holm over all scores and models (and, apart, "
            "over those of the classical methods and rules); McNemar's test is not valid here, because windows of one "
            "group are not independent"
        ),
        "baselines_fitted": training.described,
        "reference": names[0],
        **_compare(forecasts, names, settings),
        "warnings": warnings,
    }


def align_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Put the rows of all tables into the order of the first.

    Raises:
        DataError: a table lacks windows that another has, in a fold, or labels them otherwise.
    """
    (first, reference), *others = tables.items()
    order = _keys(reference)
    aligned = {first: reference.reset_index(drop=True)}
    for name, table in others:
        keys = _keys(table)
        for whose, lacking in ((name, order.difference(keys)), (first, keys.difference(order))):
            if len(lacking):
                fold, sample_id = lacking[0]
                raise DataError(
                    f"{first} and {name} were not judged on the same windows: {whose} lacks {len(lacking)} of them, "
                    f"for example {sample_id} in fold {fold}. Models are compared on identical folds only: train both "
                    "with the same section split (split.name, split.fold), or cross-validate both."
                )
        rows = table.iloc[keys.get_indexer(order)].reset_index(drop=True)
        for column in ("y_magnitude", "y_azimuth", "split_group"):
            differs = rows[column].astype(str).to_numpy() != aligned[first][column].astype(str).to_numpy()
            if differs.any():
                raise DataError(
                    f"{first} and {name}: {column} of {int(differs.sum())} windows differs, for example of "
                    f"{rows['sample_id'].iloc[int(np.flatnonzero(differs)[0])]}. One of the stores was prepared anew: "
                    "train both models on the same store."
                )
        aligned[name] = rows
    return aligned


def paired_p_value(differences: FloatArray) -> float:
    """Two-sided p of "no difference" from replicates of a paired difference: where its interval just reaches 0.

    Args:
        differences: (replicates,); an undefined one speaks for neither side. The table itself counts as one more.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 15.4, by the percentile method.
    """
    n_not_above, n_not_below = np.count_nonzero(~(differences > 0)), np.count_nonzero(~(differences < 0))
    return float(min(1.0, 2 * (1 + min(n_not_above, n_not_below)) / (1 + len(differences))))


def _compare(forecasts: Forecasts, names: list[str], config: EvaluateConfig) -> dict[str, Any]:
    """Scores and differences of all forecasts, and the p-values of each family adjusted together."""
    result: dict[str, dict[str, Any]] = {
        name: {"group": MODEL, "scores": {}, "difference": None if name == names[0] else {}} for name in names
    }
    for task in COMPARED:
        for candidate, scores, difference in _compare_task(task, forecasts, names, config):
            entry = result.setdefault(candidate.name, {"group": candidate.group, "scores": {}, "difference": {}})
            entry["scores"][task] = entry["scores"].get(task, {}) | scores
            if entry["difference"] is not None:
                entry["difference"][task] = entry["difference"].get(task, {}) | difference
    n_comparisons = {
        "models": _adjust([entry for entry in result.values() if entry["group"] == MODEL]),
        "rules": _adjust([entry for entry in result.values() if entry["group"] != MODEL]),
    }
    return {"n_comparisons": n_comparisons, "forecasts": result}


def _adjust(entries: Sequence[dict[str, Any]]) -> int:
    """Write the adjusted p beside each p of these forecasts; gives how many there are."""
    tested = [
        difference
        for entry in entries
        for task in (entry["difference"] or {}).values()
        for difference in task.values()
        if difference["p_value"] is not None
    ]
    for difference, adjusted in zip(tested, m.holm([entry["p_value"] for entry in tested]), strict=True):
        difference["p_adjusted"] = adjusted
    return len(tested)


def _compare_task(
    task: str, forecasts: Forecasts, names: list[str], config: EvaluateConfig
) -> list[tuple[_Candidate, dict[str, Any], dict[str, Any]]]:
    points = {name: forecasts.sums(task, name).total() for name in forecasts.names(task)}
    scored = {name: Scored.of(total, None, _OF_MATRIX) for name, total in points.items()}
    best = {score: _best(score, scored, forecasts.rivals(task)) for score in COMPARED[task]}
    candidates = _candidates(task, forecasts, names)
    drawn = {candidate.forecast for candidate in candidates} | {name for name in best.values() if name is not None}
    parts = {(task, name): forecasts.sums(task, name) for name in sorted(drawn)}
    replicates = replicate_all(parts, forecasts.truth.clusters, config.bootstrap, config.seed)
    scored = {name: Scored.of(points[name], replicates[task, name], _OF_MATRIX) for name in sorted(drawn)}
    known = forecasts.truth.clusters.smallest > 1
    n = len(forecasts.truth.stratum)
    rows = []
    for candidate in candidates:
        own = scored[candidate.forecast]
        scores = {score: _score(own, score, known, config) | {"n": n} for score in COMPARED[task]}
        differences = {
            score: _difference(own, scored[MODEL], score, known, config) | {"n": n} for score in COMPARED[task]
        }
        rows.append((candidate, scores, differences))
    for score, rule in best.items():
        if rule is not None:
            told = {"n": n, "baseline": rule}
            value = {score: _score(scored[rule], score, known, config) | told}
            difference = {score: _difference(scored[rule], scored[MODEL], score, known, config) | told}
            rows.append((_Candidate(rule, BEST_RULE, "no_signal"), value, difference))
    return rows


def _candidates(task: str, forecasts: Forecasts, names: list[str]) -> list[_Candidate]:
    """The models in their order, then the classical methods that have the task."""
    models = [_Candidate(MODEL, names[0], MODEL)]
    models += [_Candidate(f"{MODEL} {name}", name, MODEL) for name in names[1:]]
    taken = {candidate.forecast for candidate in models}
    return models + [
        _Candidate(name, name, forecasts.groups[name])
        for name in forecasts.names(task)
        if forecasts.groups[name] == "classical" and name not in taken
    ]


def _best(score: str, scored: Mapping[str, Scored], rivals: Sequence[str]) -> str | None:
    able = [name for name in rivals if not np.isnan(scored[name].point[score])]
    return max(able, key=lambda name: _sign(score) * float(scored[name].point[score])) if able else None


def _score(own: Scored, score: str, known: bool, config: EvaluateConfig) -> dict[str, Any]:
    low, high = own.interval(score, known, config.confidence)
    return {"value": number(own.point[score]), "low": low, "high": high}


def _difference(own: Scored, reference: Scored, score: str, known: bool, config: EvaluateConfig) -> dict[str, Any]:
    value = _sign(score) * (own.point[score] - reference.point[score])
    undefined = {"low": None, "high": None, "p_value": None, "p_adjusted": None}
    if not known or np.isnan(value):
        return {"value": number(value), **undefined}
    drawn = _sign(score) * (own.drawn[score] - reference.drawn[score])
    low, high = m.percentile_interval(drawn, config.confidence)
    if np.isnan(low):
        return {"value": number(value), **undefined}
    return {"value": number(value), "low": low, "high": high, "p_value": paired_p_value(drawn), "p_adjusted": None}


def _sign(score: str) -> float:
    return -1.0 if score in SMALLER_IS_BETTER else 1.0


def _keys(rows: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([rows["fold"].astype(int), rows["sample_id"].astype(str)])


def _probabilities(rows: pd.DataFrame) -> pd.DataFrame:
    """A model's columns as an extra forecast: by sample_id, with detection beside the stored tasks."""
    table = rows[[*probability_columns("magnitude"), *probability_columns("azimuth")]].copy()
    normal = table[probability_columns("magnitude")[0]]
    table[probability_columns("detection")] = np.column_stack([normal, 1.0 - normal])
    table.index = pd.Index(rows["sample_id"].astype(str), name="sample_id")
    return table
