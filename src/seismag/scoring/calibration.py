"""Temperature and prior of the probabilities, fitted on the validation role and applied to the test role of the fold.

A model trained with class weights states probabilities for equal class frequencies and pays for it in log score. One
temperature mends over-confidence; a shift for each class mends the frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax

from seismag.arrays import FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, TaskSums
from seismag.scoring.estimates import number
from seismag.scoring.metrics import LOG_SCORE_FLOOR
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities, truth_index

METHODS = ("temperature", "temperature_and_prior")


@dataclass(frozen=True)
class Calibration:
    """Scores are ln p / temperature + shift; the softmax of them is the calibrated probability."""

    temperature: float
    shift: FloatArray  # (k,), sums to 0; 0 where only the temperature was fitted

    def apply(self, probs: FloatArray) -> FloatArray:
        """Calibrate probabilities (n, k)."""
        return np.exp(log_softmax(_logits(probs) / self.temperature + self.shift, axis=1))


def fit_calibration(probs: FloatArray, y_true_index: IndexArray, with_shift: bool) -> Calibration:
    """Fit temperature, and shift where asked for, to the log score of windows that trained nothing.

    A normal prior of standard deviation 1 on ln T and on each shift keeps few windows, or a class without one, from
    driving them to infinity; it weighs as much as about one window.

    Args:
        probs: (n, k) probabilities.
        y_true_index: (n,) true class.
        with_shift: also fit a shift for each class.

    Source: temperature scaling, Guo et al. (2017), arXiv:1706.04599; with a shift (bias-corrected temperature
    scaling), Alexandari, Kundaje & Shrikumar (2020), arXiv:1901.06852.
    """
    logits, k = _logits(probs), probs.shape[1]
    happened = np.eye(k)[y_true_index]

    def penalised_loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        slope, shift = np.exp(-parameters[0]), parameters[1:] if with_shift else np.zeros(k)
        log_probs = log_softmax(logits * slope + shift, axis=1)
        residual = np.exp(log_probs) - happened  # (n, k), derivative by the scores
        gradient = np.concatenate([[-slope * np.sum(residual * logits)], residual.sum(axis=0) if with_shift else []])
        loss = -np.sum(log_probs * happened) + 0.5 * np.sum(parameters**2)
        return float(loss), gradient + parameters

    start = np.zeros(1 + (k if with_shift else 0))
    found = minimize(penalised_loss, start, jac=True, method="L-BFGS-B").x
    shift = found[1:] - found[1:].mean() if with_shift else np.zeros(k)
    return Calibration(float(np.exp(found[0])), shift)


def calibrate_folds(
    task: str, rows: pd.DataFrame, validation: pd.DataFrame
) -> tuple[list[dict[str, Calibration]], list[dict[str, Any]]]:
    """Fit on the validation rows of each fold.

    Returns:
        By fold, in order, what was fitted by each method; and the same for JSON.

    Raises:
        ValueError: a fold has no validation row.
    """
    found, entries = [], []
    for fold in sorted(rows["fold"].unique()):
        beside = validation[validation["fold"] == fold]
        if beside.empty:
            raise ValueError(f"fold {fold} has no row of the role val")
        probs, truth = task_probabilities(beside, task), truth_index(beside["y_magnitude"], beside["y_azimuth"], task)
        fitted = {method: fit_calibration(probs, truth, method == "temperature_and_prior") for method in METHODS}
        shift = dict(zip(TASK_CLASSES[task], fitted["temperature_and_prior"].shift.tolist(), strict=True))
        entry: dict[str, Any] = {"fold": int(fold), "n": len(beside), "n_groups": int(beside["split_group"].nunique())}
        entry |= {method: {"temperature": calibration.temperature} for method, calibration in fitted.items()}
        entry["temperature_and_prior"]["shift"] = shift
        found.append(fitted)
        entries.append(entry)
    return found, entries


def score_calibration(
    log: dict[str, FloatArray], clusters: Clusters, rivals: dict[str, tuple[TaskSums, TaskSums]], config: EvaluateConfig
) -> dict[str, Any]:
    """Compare the log score before and after, and with the best rule without the field.

    Args:
        log: by name (``before`` and the methods) the sum of the rows' log scores in each cluster.
        clusters: the groups of the rows.
        rivals: by rule, its sums over the table and those of the replicates of ``config.seed``.
        config: replicates, confidence and seed.
    """
    rows = clusters.sum(np.ones(len(clusters.index)))
    drawn = clusters.bootstrap(np.column_stack([rows, *log.values()]), config.bootstrap, config.seed)
    point = {name: np.array(values.sum() / rows.sum()) for name, values in log.items()}
    replicate = {name: ratio(drawn[:, 1 + i], drawn[:, 0]) for i, name in enumerate(log)}
    result: dict[str, Any] = {
        "log_score": {name: _entry(point[name], replicate[name], clusters, config) for name in log},
        "gain": {
            name: _entry(point[name] - point["before"], replicate[name] - replicate["before"], clusters, config)
            for name in METHODS
        },
    }
    best = max(rivals, key=lambda name: float(rivals[name][0].sums["log"]))
    rival_point = rivals[best][0].sums["log"] / rows.sum()
    rival_drawn = ratio(rivals[best][1].sums["log"], drawn[:, 0])
    result["skill_above_best_baseline"] = {
        name: _entry(point[name] - rival_point, replicate[name] - rival_drawn, clusters, config) | {"baseline": best}
        for name in log
    }
    return result


def _entry(value: FloatArray, drawn: FloatArray, clusters: Clusters, config: EvaluateConfig) -> dict[str, Any]:
    low, high = m.percentile_interval(drawn, config.confidence) if clusters.smallest > 1 else (np.nan, np.nan)
    return {"value": number(value), "low": number(low), "high": number(high)}


def _logits(probs: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.clip(probs, LOG_SCORE_FLOOR, 1.0)))
