"""Calibration of probabilities on the validation set of each fold.

A model trained with class weights gives probabilities for equal class frequencies, at a cost in log score: one
temperature corrects over-confidence, a shift for each class (prior correction) the frequencies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, Sums, Truth
from seismag.scoring.estimates import IntervalEstimate
from seismag.scoring.predictions import TASK_CLASSES, rows_by_fold, task_probabilities, truth_index
from seismag.scoring.reliability import Reliability, evaluated_probability, score_reliability

CALIBRATION_METHODS = ("temperature", "temperature_and_prior")


@dataclass(frozen=True)
class Calibration:
    """Calibrated probabilities are the softmax of ln p / temperature + shift."""

    temperature: float
    shift: FloatArray  # (k,), sums to 0; 0 where only the temperature was fitted

    def apply(self, probs: FloatArray) -> FloatArray:
        """Calibrate probabilities (n, k)."""
        return np.exp(log_softmax(_logits(probs) / self.temperature + self.shift, axis=1))


@dataclass(frozen=True)
class FoldCalibration:
    """Fit to the validation rows of one fold; ``temperature`` and ``shift`` by class, for JSON."""

    fold: int
    n: int
    n_groups: int
    temperature: dict[str, float]
    temperature_and_prior: dict[str, float | dict[str, float]]


@dataclass(frozen=True)
class CalibrationSkill(IntervalEstimate):
    """Log score over that of the best baseline."""

    baseline: str


@dataclass(frozen=True)
class Calibrated:
    """Fits of each fold, the log scores before and after, and the reliability after the last method."""

    folds: list[FoldCalibration]
    log_score: dict[str, IntervalEstimate]
    gain: dict[str, IntervalEstimate]
    skill_above_best_baseline: dict[str, CalibrationSkill]
    reliability: Reliability

    def to_json(self) -> dict[str, object]:
        """The document; ``reason`` is None where something was calibrated."""
        return {"reason": None, **dataclasses.asdict(self), "reliability": self.reliability.to_json()}


@dataclass(frozen=True)
class NotCalibrated:
    """Why nothing was calibrated."""

    reason: str

    def to_json(self) -> dict[str, object]:
        """The document."""
        return {"reason": self.reason}


def calibrate(
    task: str,
    rows: pd.DataFrame,
    validation: pd.DataFrame,
    truth: Truth,
    baselines: dict[str, Sums],
    config: EvaluateConfig,
) -> Calibrated | NotCalibrated:
    """Calibrate the evaluated rows on the validation rows of each fold, where all folds have some.

    ``baselines`` are, by name, sums by group.
    """
    lacking = sorted(set(rows["fold"]) - set(validation["fold"]))
    if lacking:
        return NotCalibrated(f"No validation rows (role val) in fold {lacking[0]}: nothing could be calibrated.")
    found, fitted = calibrate_folds(task, rows, validation)
    log = {"before": truth.clusters.sum(read_out(task, rows, truth)[0])}
    for method in CALIBRATION_METHODS:
        log_scores, p, happened = read_out(task, rows, truth, [of_fold[method] for of_fold in found])
        log[method] = truth.clusters.sum(log_scores)
    reliability = score_reliability(task, p, happened, truth.clusters, config)  # after the last method
    return Calibrated(fitted, *_score_calibration(log, truth.clusters, baselines, config), reliability)


def read_out(
    task: str, rows: pd.DataFrame, truth: Truth, calibrations: Sequence[Calibration] = ()
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Log score, evaluated probability and whether it came true of each row, after the calibration of its fold."""
    probs, index = task_probabilities(rows, task), truth.index[task]
    for calibration, positions in zip(calibrations, rows_by_fold(rows), strict=False):
        probs[positions] = calibration.apply(probs[positions])
    return m.row_log_scores(probs, index), *evaluated_probability(task, probs, index)


def fit_calibration(probs: FloatArray, y_true_index: IndexArray, with_shift: bool) -> Calibration:
    """Fit temperature, and shift where wanted, to the log score of validation windows.

    A normal prior of standard deviation 1 on ln T and on each shift keeps them finite with few windows or a class
    without one; it has the weight of about one window.

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
) -> tuple[list[dict[str, Calibration]], list[FoldCalibration]]:
    """Fit each method on the validation rows of each fold, of which every fold has some.

    Returns:
        By fold, in order, the calibration by method; and the same for JSON.
    """
    found, entries = [], []
    for fold in sorted(rows["fold"].unique()):
        of_fold = validation[validation["fold"] == fold]
        probs = task_probabilities(of_fold, task)
        truth = truth_index(of_fold["y_magnitude"], of_fold["y_azimuth"], task)
        scaled, shifted = (fit_calibration(probs, truth, with_shift) for with_shift in (False, True))
        found.append(dict(zip(CALIBRATION_METHODS, (scaled, shifted), strict=True)))
        n_groups = int(of_fold["split_group"].nunique())
        with_prior: dict[str, float | dict[str, float]] = {
            "temperature": shifted.temperature,
            "shift": dict(zip(TASK_CLASSES[task], shifted.shift.tolist(), strict=True)),
        }
        temperature = {"temperature": scaled.temperature}
        entries.append(FoldCalibration(int(fold), len(of_fold), n_groups, temperature, with_prior))
    return found, entries


def _score_calibration(
    log: dict[str, FloatArray], clusters: Clusters, baselines: dict[str, Sums], config: EvaluateConfig
) -> tuple[dict[str, IntervalEstimate], dict[str, IntervalEstimate], dict[str, CalibrationSkill]]:
    """Log score, gain over ``before``, and skill over the best baseline, by name; ``log`` is summed by cluster."""
    rows = clusters.sum(np.ones(len(clusters.index)))

    def mean_log_score(sums: FloatArray) -> IntervalEstimate:
        """Log score, or difference of two, from sums by group."""
        return IntervalEstimate.of_mean(sums, rows, clusters, config.confidence)

    best = max(baselines, key=lambda name: float(baselines[name].sums["log"].sum()))
    skill = {name: mean_log_score(sums - baselines[best].sums["log"]) for name, sums in log.items()}
    return (
        {name: mean_log_score(sums) for name, sums in log.items()},
        {name: mean_log_score(log[name] - log["before"]) for name in CALIBRATION_METHODS},
        {name: CalibrationSkill(entry.value, entry.low, entry.high, best) for name, entry in skill.items()},
    )


def _logits(probs: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.clip(probs, m.LOG_SCORE_FLOOR, 1.0)))
