"""The content of metrics.json: scores with intervals by event, beside what needs no field at all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag import metrics as m
from seismag.config import EvaluateConfig
from seismag.data.splits import NAIVE_WARNING
from seismag.domain import DataError
from seismag.evaluation.baselines import (
    BASELINES,
    FITTED_ON_TRAINING,
    FITTED_WITHIN_TABLE,
    ORACLE,
    baseline_predictions,
    baselines_within_table,
)
from seismag.evaluation.predictions import (
    TASK_CLASSES,
    check_predictions,
    judged_rows,
    probability_columns,
    task_probabilities,
    truth_index,
)
from seismag.metrics import FloatArray, IndexArray

FEW_CLUSTERS = 10
SCORES = {
    "accuracy": m.accuracy,
    "balanced_accuracy": m.balanced_accuracy,
    "macro_f1": m.macro_f1,
    "mcc": m.mcc,
}
MODEL = "model"
_NEEDS_TWO_CLASSES = ("balanced_accuracy", "macro_f1", "mcc")


@dataclass(frozen=True)
class _Clusters:
    """The groups that are drawn whole; those with an event and those without are drawn apart."""

    index: IndexArray  # (n,)
    has_event: NDArray[np.bool_]  # (n_clusters,)

    @property
    def n(self) -> int:
        return len(self.has_event)

    @property
    def smallest(self) -> int:
        """Number of groups in the smaller of the strata that occur."""
        n_event = int(self.has_event.sum())
        return min(n for n in (n_event, self.n - n_event) if n)


@dataclass(frozen=True)
class _Judged:
    """One task of one forecast, summed by cluster, by replicate, or over everything."""

    cm: FloatArray  # (..., k, k)
    log_sum: FloatArray  # (...,) sum of the rows' log scores


def evaluate_predictions(
    predictions: pd.DataFrame,
    samples: pd.DataFrame | None = None,
    split: pd.DataFrame | None = None,
    config: EvaluateConfig | None = None,
) -> dict[str, Any]:
    """Judge a table of predictions against the truth and against rules that never see the field.

    Rows of the role test are judged (of val only where there is no test). Intervals are percentile
    intervals of a bootstrap that draws whole ``split_group``s, events' clusters and Normal blocks
    apart; one cluster or one block alone shows no variation, and leaves no interval. Skill is the
    difference to the best rule on these rows (the oracle excluded), on the same replicates.

    Args:
        predictions: a table as ``read_predictions`` returns it.
        samples: the store's samples.parquet; with ``split`` the rules are fitted on the training
            role, otherwise by group k-fold within the table.
        split: sample_id, fold, role.
        config: replicates, confidence and seed.

    Returns:
        A JSON-ready dictionary (no NaN: what is undefined is None, with a sentence in warnings).

    Raises:
        DataError: the table cannot be judged, a sample is judged twice, or samples and split do
            not hold its rows.
    """
    config = config or EvaluateConfig.model_validate({})
    check_predictions(predictions)
    rows = judged_rows(predictions)
    baselines, fitted = _baselines(rows, samples, split)
    clusters = _find_clusters(rows)
    warnings = _table_warnings(rows, clusters)
    forecasts = {MODEL: None, **baselines}
    judged: dict[str, dict[str, _Judged]] = {task: {} for task in TASK_CLASSES}
    for task, (name, table) in itertools.product(TASK_CLASSES, forecasts.items()):
        if table is None or probability_columns(task)[0] in table:  # the oracle has no detection
            judged[task][name] = _judge(rows, table, task, clusters)
    replicates = _bootstrap(judged, clusters, config)
    result: dict[str, Any] = {
        **_provenance(rows, samples, clusters, config),
        "baselines_fitted": fitted,
        "log_score_floor": m.LOG_SCORE_FLOOR,
        "warnings": warnings,
    }
    for task in TASK_CLASSES:
        result[task] = _task_result(task, judged[task], replicates[task], clusters, config)
        warnings += _task_warnings(task, judged[task][MODEL].cm, result[task])
    return result


def _baselines(
    rows: pd.DataFrame, samples: pd.DataFrame | None, split: pd.DataFrame | None
) -> tuple[dict[str, pd.DataFrame], str]:
    if split is None:
        return baselines_within_table(rows), FITTED_WITHIN_TABLE
    if samples is None:
        raise DataError("split: it comes without the samples it divides. Give the store as well.")
    parts = []
    for fold, fold_rows in rows.groupby("fold", sort=True):
        fold_split = split[split["fold"] == fold]
        if fold_split.empty:
            raise DataError(f"split: fold {fold} of the predictions is not in it. Use the split of the run.")
        parts.append(baseline_predictions(samples, fold_split, fold_rows["sample_id"]))
    order = pd.Index(rows["sample_id"].astype(str))
    return {name: pd.concat([part[name] for part in parts]).loc[order] for name in BASELINES}, FITTED_ON_TRAINING


def _find_clusters(rows: pd.DataFrame) -> _Clusters:
    index = pd.factorize(rows["split_group"].astype(str), sort=True)[0]
    event = (rows["y_magnitude"] != "Normal").to_numpy()
    return _Clusters(index, np.bincount(index, weights=event) > 0)


def _judge(rows: pd.DataFrame, table: pd.DataFrame | None, task: str, clusters: _Clusters) -> _Judged:
    """Score the table of a baseline, or the model's own columns where there is none."""
    truth = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
    probs = task_probabilities(rows, task) if table is None else table[probability_columns(task)].to_numpy(dtype=float)
    log_sum = np.bincount(clusters.index, weights=m.row_log_scores(probs, truth), minlength=clusters.n)
    cm = m.cluster_confusion(truth, probs.argmax(axis=1), clusters.index, probs.shape[1])
    return _Judged(cm, log_sum.astype(float))


def _bootstrap(
    judged: dict[str, dict[str, _Judged]], clusters: _Clusters, config: EvaluateConfig
) -> dict[str, dict[str, _Judged]]:
    """Draw once for all tasks and forecasts, so that every difference is paired."""
    parts = [(task, name) for task, forecasts in judged.items() for name in forecasts]
    columns = [
        np.column_stack([judged[task][name].cm.reshape(clusters.n, -1), judged[task][name].log_sum])
        for task, name in parts
    ]
    rng = np.random.default_rng(config.seed)
    sums = m.bootstrap_sums(np.concatenate(columns, axis=1), clusters.has_event.astype(int), config.bootstrap, rng)
    result: dict[str, dict[str, _Judged]] = {task: {} for task in judged}
    start = 0
    for (task, name), column in zip(parts, columns, strict=True):
        block = sums[:, start : start + column.shape[1]]
        start += column.shape[1]
        k = len(TASK_CLASSES[task])
        result[task][name] = _Judged(block[:, :-1].reshape(-1, k, k), block[:, -1])
    return result


def _score_values(judged: _Judged) -> dict[str, FloatArray]:
    """All scores, over the leading axes of the matrices."""
    values = {name: function(judged.cm) for name, function in SCORES.items()}
    values["log_score"] = judged.log_sum / judged.cm.sum(axis=(-2, -1))
    return values


def _point(judged: _Judged) -> dict[str, FloatArray]:
    whole = _Judged(judged.cm.sum(axis=0), judged.log_sum.sum())
    values = _score_values(whole)
    if np.count_nonzero(whole.cm.sum(axis=-1)) < 2:
        values |= dict.fromkeys(_NEEDS_TWO_CLASSES, np.array(np.nan))
    return values


def _replicated(drawn: _Judged, whole_cm: FloatArray) -> dict[str, FloatArray]:
    """Scores of the replicates of a table whose matrix is ``whole_cm``.

    A class that a replicate did not draw keeps its recall from the table: averaging over the other
    classes would answer another question and give even a constant rule a wide interval. The
    correlation is undefined in a replicate whose truth has one class.
    """
    values = _score_values(drawn)
    recall = m.per_class(drawn.cm)["recall"]
    recall = np.where(np.isnan(recall), m.per_class(whole_cm)["recall"], recall)
    values["balanced_accuracy"] = recall[:, whole_cm.sum(axis=-1) > 0].mean(axis=-1)
    one_class = np.count_nonzero(drawn.cm.sum(axis=-1), axis=-1) < 2
    values["mcc"] = np.where(one_class, np.nan, values["mcc"])
    return values


def _task_result(
    task: str, judged: dict[str, _Judged], replicates: dict[str, _Judged], clusters: _Clusters, config: EvaluateConfig
) -> dict[str, Any]:
    points = {name: _point(part) for name, part in judged.items()}
    drawn = {name: _replicated(part, judged[name].cm.sum(axis=0)) for name, part in replicates.items()}
    count = {"n": len(clusters.index), "n_clusters": clusters.n}
    known = clusters.smallest > 1  # one group alone does not vary

    def interval(name: str, score: str) -> tuple[float | None, float | None]:
        if not known or np.isnan(points[name][score]):
            return None, None
        low, high = m.percentile_interval(drawn[name][score], config.confidence)
        return _number(low), _number(high)

    result: dict[str, Any] = {"classes": list(TASK_CLASSES[task])}
    for score in (*SCORES, "log_score"):
        low, high = interval(MODEL, score)
        result[score] = {"value": _number(points[MODEL][score]), "low": low, "high": high, **count}
    cm = judged[MODEL].cm
    result["per_class"] = _per_class(task, cm, replicates[MODEL].cm, config)
    result["confusion"] = cm.sum(axis=0).astype(int).tolist()
    shares = cm.sum(axis=(0, 2)) / cm.sum()
    result["prevalence"] = {name: _number(share) for name, share in zip(TASK_CLASSES[task], shares, strict=True)}
    result["baselines"] = {
        name: {score: _number(value) for score, value in points[name].items()}
        | {"intervals": {score: list(interval(name, score)) for score in points[name]}, "uses_truth": name == ORACLE}
        for name in judged
        if name != MODEL
    }
    result["skill_above_best_baseline"] = {
        score: _skill(score, points, drawn, known, config) | count for score in ("balanced_accuracy", "log_score")
    }
    return result


def _per_class(task: str, cm: FloatArray, drawn_cm: FloatArray, config: EvaluateConfig) -> dict[str, Any]:
    values = m.per_class(cm.sum(axis=0))
    drawn_recall = m.per_class(drawn_cm)["recall"]  # (replicates, k); NaN where the class was not drawn
    holding = np.count_nonzero(cm.sum(axis=-1), axis=0)  # (k,) clusters that hold the class
    result: dict[str, Any] = {}
    for i, name in enumerate(TASK_CLASSES[task]):
        n, n_predicted = int(values["n"][i]), int(values["n_predicted"][i])
        finite = drawn_recall[~np.isnan(drawn_recall[:, i]), i]
        low, high = m.percentile_interval(finite, config.confidence) if holding[i] > 1 else (np.nan, np.nan)
        result[name] = {
            "n": n,
            "n_clusters": int(holding[i]),
            "recall": {"value": _number(values["recall"][i]), "low": _number(low), "high": _number(high), "n": n},
            "precision": {"value": _number(values["precision"][i]), "n": n_predicted},
            "f1": {"value": _number(values["f1"][i]), "n": n},
        }
    return result


def _skill(
    score: str,
    points: dict[str, dict[str, FloatArray]],
    drawn: dict[str, dict[str, FloatArray]],
    known: bool,
    config: EvaluateConfig,
) -> dict[str, Any]:
    rivals = [name for name in points if name not in (MODEL, ORACLE)]
    if np.isnan(points[MODEL][score]):
        return {"value": None, "low": None, "high": None, "baseline": None}
    best = max(rivals, key=lambda name: float(points[name][score]))
    low, high = float("nan"), float("nan")
    if known:
        low, high = m.percentile_interval(drawn[MODEL][score] - drawn[best][score], config.confidence)
    value = _number(points[MODEL][score] - points[best][score])
    return {"value": value, "low": _number(low), "high": _number(high), "baseline": best}


def _provenance(
    rows: pd.DataFrame, samples: pd.DataFrame | None, clusters: _Clusters, config: EvaluateConfig
) -> dict[str, Any]:
    runs = sorted(rows["run_id"].astype(str).unique())
    n_event_groups = int(clusters.has_event.sum())
    return {
        "run_id": runs[0] if len(runs) == 1 else None,
        "run_ids": runs,
        "dataset_id": None if samples is None else samples.attrs.get("dataset_id"),
        "data_origin": sorted(rows["origin"].dropna().astype(str).unique()) if "origin" in rows else None,
        "role": str(rows["role"].iloc[0]),
        "folds": sorted(rows["fold"].unique().tolist()),
        "n": len(rows),
        "n_events": int(rows["event_id"].nunique()),
        "n_event_groups": n_event_groups,
        "n_normal_groups": clusters.n - n_event_groups,
        "confidence": config.confidence,
        "bootstrap": {
            "replicates": config.bootstrap,
            "seed": config.seed,
            "unit": "split_group",
            "strata": ["event groups", "Normal groups"],
            "interval": "percentile",
        },
    }


def _table_warnings(rows: pd.DataFrame, clusters: _Clusters) -> list[str]:
    warnings = [NAIVE_WARNING] if "split_method" in rows and (rows["split_method"] == "naive").any() else []
    n_event = int(clusters.has_event.sum())
    n_normal = clusters.n - n_event
    if clusters.smallest < FEW_CLUSTERS:
        reach = "no interval can be given" if clusters.smallest == 1 else "intervals are unreliable"
        warnings.append(
            f"The table has {n_event} event groups and {n_normal} Normal groups: {reach}. "
            f"{FEW_CLUSTERS} of each are the least."
        )
    if rows["role"].iloc[0] == "val":
        warnings.append("Validation rows were judged, there are no test rows: the choice of the epoch has seen them.")
    disagree = int(((rows["y_magnitude"] == "Normal") != (rows["y_azimuth"] == "Normal")).sum())
    if disagree:
        warnings.append(f"{disagree} windows are Normal by magnitude but not by azimuth, or the reverse.")
    return warnings


def _task_warnings(task: str, cm: FloatArray, result: dict[str, Any]) -> list[str]:
    rows_by_class = cm.sum(axis=(0, 2))
    classes = TASK_CLASSES[task]
    warnings = []
    absent = [name for name, n in zip(classes, rows_by_class, strict=True) if n == 0]
    if len(absent) == len(classes) - 1:
        only = classes[int(rows_by_class.argmax())]
        warnings.append(
            f"{task}: the truth is {only} in every window, so balanced accuracy (and skill in it), "
            "macro-F1 and MCC are undefined."
        )
    elif absent:
        warnings.append(f"{task}: no window of {', '.join(absent)}; scores are means over the other classes.")
    thin = [
        f"{name} ({entry['n_clusters']})"
        for name, entry in result["per_class"].items()
        if 0 < entry["n_clusters"] < FEW_CLUSTERS
    ]
    if thin:
        warnings.append(
            f"{task}: classes in fewer than {FEW_CLUSTERS} groups, their recall is unreliable: {', '.join(thin)}."
        )
    return warnings


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
