"""The content of metrics.json: scores with intervals by event, beside what needs no field at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.baselines import absent_rules
from seismag.scoring.calibration import METHODS, Calibration, calibrate_folds, score_calibration
from seismag.scoring.clusters import Clusters, TaskSums, Truth, find_truth
from seismag.scoring.conformal import score_sets
from seismag.scoring.estimates import FEW_CLUSTERS, SCORES, score_task
from seismag.scoring.forecasts import Forecasts, Training, score_forecasts
from seismag.scoring.mainshocks import (
    MAINSHOCKS_UNKNOWN,
    add_label_columns,
    knows_mainshocks,
    mainshocks_and_normal,
)
from seismag.scoring.predictions import (
    TASK_CLASSES,
    check_predictions,
    evaluated_rows,
    release_memory,
    rows_by_fold,
    task_probabilities,
)
from seismag.scoring.reliability import score_reliability, stated
from seismag.scoring.subsets import subset_tables
from seismag.splits import NAIVE_WARNING

_SHORT = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "log_score", "brier", "per_class", "confusion",
          "prevalence", "skill_above_best_baseline")  # fmt: skip


def evaluate_predictions(
    predictions: pd.DataFrame,
    samples: pd.DataFrame | None = None,
    split: pd.DataFrame | None = None,
    config: EvaluateConfig | None = None,
    extra: dict[str, pd.DataFrame] | None = None,
) -> dict[str, Any]:
    """Judge a table of predictions against the truth and against rules that never see the field.

    Rows of the role test are judged (of val only where there is no test); of these, where it is known, the windows that
    point at a mainshock, and the Normal ones (``config.events``). Intervals are percentile intervals of a bootstrap
    that draws whole ``split_group``s, events' clusters and Normal blocks apart; one cluster or one block alone shows
    no variation, and leaves no interval. Skill is the difference to the best rule on these rows (the oracle excluded),
    on the same replicates. Rows of the role val calibrate, fold by fold.

    Args:
        predictions: a table as ``read_predictions`` returns it.
        samples: the store's samples.parquet; says which windows point at mainshocks, and how far and strong the events
            are. With ``split`` the rules are fitted on the training role, otherwise by group k-fold within the table.
        split: sample_id, fold, role.
        config: replicates, confidence, seed, and which events.
        extra: further forecasts by name, see ``Training``.

    Returns:
        A JSON-ready dictionary (no NaN: what is undefined is None, with a sentence in warnings).

    Raises:
        DataError: the table cannot be judged, a sample is judged twice, or samples and split do
            not hold its rows.
    """
    config = config or EvaluateConfig.model_validate({})
    check_predictions(predictions)
    rows = add_label_columns(evaluated_rows(predictions), samples)
    validation = predictions[predictions["role"] == "val"] if rows["role"].iloc[0] == "test" else predictions.iloc[:0]
    validation = add_label_columns(validation, samples)
    del predictions  # of a million windows one copy is enough, where the caller keeps none
    release_memory()
    training = Training(samples, split, extra)
    chosen = config.events == "mainshocks" and knows_mainshocks(rows)
    common = _provenance(rows, samples, config) | {
        "events": "mainshocks" if chosen else "all",
        "baselines_fitted": training.described,
        "log_score_floor": m.LOG_SCORE_FLOOR,
    }
    if chosen:
        everything = _evaluate(rows, validation.iloc[:0], training, config, short=True)
        release_memory()
        rows = rows[mainshocks_and_normal(rows)]
        validation = validation[mainshocks_and_normal(validation)] if "is_mainshock" in validation else validation
        return common | _evaluate(rows, validation, training.of_mainshocks(), config) | {"all_events": everything}
    headline = _evaluate(rows, validation, training, config)
    if config.events == "mainshocks":
        headline["warnings"].append(MAINSHOCKS_UNKNOWN)
    return common | headline | {"all_events": None}


def _evaluate(
    rows: pd.DataFrame, validation: pd.DataFrame, training: Training, config: EvaluateConfig, short: bool = False
) -> dict[str, Any]:
    """Judge one choice of windows; ``short`` leaves out baselines, reliability, calibration, sets and tables."""
    truth = find_truth(rows)
    forecasts = score_forecasts(rows, truth, training, by_row=not short)
    release_memory()
    clusters = truth.clusters
    warnings = _table_warnings(rows, clusters) + absent_rules(rows if training.samples is None else training.samples)
    result: dict[str, Any] = {
        "n": len(rows),
        "n_events": int(rows["event_id"].nunique()),
        "n_event_groups": clusters.n_event,
        "n_normal_groups": clusters.n - clusters.n_event,
        "warnings": warnings,
    }
    for task in TASK_CLASSES:
        rule_scores = ("balanced_accuracy",) if short else tuple(SCORES)
        scores, replicates = score_task(task, forecasts, clusters, config, rule_scores)
        release_memory()
        warnings += _task_warnings(task, scores)
        if short:
            result[task] = {key: scores[key] for key in _SHORT}
            continue
        _, p, happened = _read_out(task, rows, truth)
        scores["reliability"] = score_reliability(task, p, happened, clusters, config)
        scores |= _after_validation(task, rows, validation, truth, _rivals(task, forecasts, replicates), config)
        if scores["conformal"] is not None:
            warnings += [sentence for sentence in scores["conformal"].pop("warnings") if sentence not in warnings]
        result[task] = scores
    if not short:
        skills = {task: result[task]["skill_above_best_baseline"] for task in TASK_CLASSES}
        best = {task: {score: entry["baseline"] for score, entry in parts.items()} for task, parts in skills.items()}
        result["tables"] = subset_tables(rows, truth, forecasts, best, config)
    return result


def _rivals(task: str, forecasts: Forecasts, replicates: dict[str, TaskSums]) -> dict[str, tuple[TaskSums, TaskSums]]:
    return {name: (forecasts.sums(task, name).total(), replicates[name]) for name in forecasts.rivals(task)}


def _after_validation(
    task: str,
    rows: pd.DataFrame,
    validation: pd.DataFrame,
    truth: Truth,
    rivals: dict[str, tuple[TaskSums, TaskSums]],
    config: EvaluateConfig,
) -> dict[str, Any]:
    """Calibration and conformal sets, which the validation role of each fold is needed for."""
    lacking = sorted(set(rows["fold"]) - set(validation["fold"]))
    if lacking:
        reason = f"No rows of the role val in fold {lacking[0]}: nothing could be calibrated."
        return {"calibration": {"reason": reason}, "conformal": None}
    found, fitted = calibrate_folds(task, rows, validation)
    clusters = truth.clusters
    log = {"before": clusters.sum(_read_out(task, rows, truth)[0])}
    for method in METHODS:
        log_scores, p, happened = _read_out(task, rows, truth, [fitted_fold[method] for fitted_fold in found])
        log[method] = clusters.sum(log_scores)
    calibration: dict[str, Any] = {"reason": None, "folds": fitted}
    calibration |= score_calibration(log, clusters, rivals, config)
    calibration["reliability"] = score_reliability(task, p, happened, clusters, config)  # after the last method
    return {"calibration": calibration, "conformal": score_sets(task, rows, validation, truth.clusters, config)}


def _read_out(
    task: str, rows: pd.DataFrame, truth: Truth, calibrations: list[Calibration] | None = None
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Log score, stated probability and whether it came true of each row, after the calibration of its fold."""
    log_scores, p, happened = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows), dtype=bool)
    for number, places in enumerate(rows_by_fold(rows)):
        probs, index = task_probabilities(rows, task, places), truth.index[task][places]
        if calibrations is not None:
            probs = calibrations[number].apply(probs)
        log_scores[places] = m.row_log_scores(probs, index)
        p[places], happened[places] = stated(task, probs, index)
    return log_scores, p, happened


def _provenance(rows: pd.DataFrame, samples: pd.DataFrame | None, config: EvaluateConfig) -> dict[str, Any]:
    runs = sorted(rows["run_id"].astype(str).unique())
    return {
        "run_id": runs[0] if len(runs) == 1 else None,
        "run_ids": runs,
        "dataset_id": None if samples is None else samples.attrs.get("dataset_id"),
        "data_origin": sorted(rows["origin"].dropna().astype(str).unique()) if "origin" in rows else None,
        "role": str(rows["role"].iloc[0]),
        "folds": sorted(rows["fold"].unique().tolist()),
        "confidence": config.confidence,
        "bootstrap": {
            "replicates": config.bootstrap,
            "seed": config.seed,
            "unit": "split_group",
            "strata": ["event groups", "Normal groups"],
            "interval": "percentile",
        },
    }


def _table_warnings(rows: pd.DataFrame, clusters: Clusters) -> list[str]:
    warnings = [NAIVE_WARNING] if "split_method" in rows and (rows["split_method"] == "naive").any() else []
    n_event, n_normal = clusters.n_event, clusters.n - clusters.n_event
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


def _task_warnings(task: str, result: dict[str, Any]) -> list[str]:
    warnings = []
    present = [name for name, entry in result["per_class"].items() if entry["n"]]
    absent = [name for name in TASK_CLASSES[task] if name not in present]
    if len(present) == 1:
        warnings.append(
            f"{task}: the truth is {present[0]} in every window, so balanced accuracy (and skill in it), "
            "macro-F1 and MCC are undefined."
        )
    elif absent:
        warnings.append(
            f"{task}: no window of {', '.join(absent)}; balanced accuracy is the mean over the other classes."
        )
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
