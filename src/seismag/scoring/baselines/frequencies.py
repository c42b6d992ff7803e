"""Baselines that count: constants, and class frequencies overall and by station."""

from __future__ import annotations

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray, IndexArray
from seismag.scoring.predictions import TASK_CLASSES, forecast_table

ORACLE = "oracle_detection_constant"
BASE_RATES = "base_rates"
COUNTING_BASELINES = ("all_normal", "majority", "station", "station_balanced", ORACLE)


def class_frequencies(truth: IndexArray, n_classes: int) -> FloatArray:
    """Class frequencies (k,) by Laplace's rule of succession, (n_c + 1) / (n + k): never 0."""
    counts = np.bincount(truth, minlength=n_classes)
    return (counts + 1) / (counts.sum() + n_classes)


def base_rates(truth: IndexArray, n_classes: int) -> FloatArray:
    """Forecast (n, k) of ``BASE_RATES``: the class frequencies of the evaluated windows themselves.

    No other constant has a better log score, Brier score or RPS. It is the sample climatology of Jolliffe & Stephenson
    (2012), Forecast Verification.
    """
    return np.tile(np.bincount(truth, minlength=n_classes) / len(truth), (len(truth), 1))


def station_frequencies(
    train_station: IndexArray, train_class: IndexArray, n_stations: int, n_classes: int
) -> tuple[FloatArray, FloatArray]:
    """Estimate class frequencies overall and by station, neither ever 0.

    Overall: Laplace's rule of succession, ``(n_c + 1) / (n + k)``. By station: k pseudo-windows with the overall
    frequencies q, ``(n_sc + k q_c) / (n_s + k)``; q itself for a station without windows.

    Returns:
        (k,) and (n_stations, k).

    Source: Good (1965), The Estimation of Probabilities, chapter 3.
    """
    counts = np.zeros((n_stations, n_classes))
    np.add.at(counts, (train_station, train_class), 1.0)
    overall = (counts.sum(axis=0) + 1) / (counts.sum() + n_classes)
    return overall, (counts + n_classes * overall) / (counts.sum(axis=1, keepdims=True) + n_classes)


def prior_balanced(probs: FloatArray, overall: FloatArray) -> FloatArray:
    """Divide probabilities (n, k) by the overall frequencies (k,): probabilities for equally frequent classes.

    Rounded, so that a baseline without information beyond the frequencies leaves exact ties (first class predicted).
    """
    ratio = np.round(probs / overall, 9)
    balanced: FloatArray = ratio / ratio.sum(axis=1, keepdims=True)
    return balanced


def with_balanced(
    name: str, probs: dict[str, FloatArray], overall: dict[str, FloatArray], sample_ids: pd.Index
) -> dict[str, pd.DataFrame]:
    """Forecast of a method, and the same divided by the class frequencies of training (``<name>_balanced``)."""
    balanced = {task: prior_balanced(values, overall[task]) for task, values in probs.items()}
    return {name: forecast_table(probs, sample_ids), f"{name}_balanced": forecast_table(balanced, sample_ids)}


def count_and_predict(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Apply the counting baselines to ``test``; both tables contain station and the class index of each task."""
    train_station, names = pd.factorize(train["station"])
    stations = pd.Index(names)
    test_station = stations.get_indexer(pd.Index(test["station"]))  # -1: unseen
    is_event = test["detection"].to_numpy() == 1
    normal, overall, station, oracle = {}, {}, {}, {}
    for task, classes in TASK_CLASSES.items():
        truth, one_hot = train[task].to_numpy(), np.eye(len(classes))
        # one station more than in training: without windows, for the unseen ones (index -1)
        overall[task], by_station = station_frequencies(train_station, truth, len(stations) + 1, len(classes))
        normal[task], station[task] = np.tile(one_hot[0], (len(test), 1)), by_station[test_station]
        if task != "detection":
            event_class = 1 + int(np.argmax(np.bincount(truth, minlength=len(classes))[1:]))
            oracle[task] = one_hot[np.where(is_event, event_class, 0)]
    majority = {task: np.tile(frequencies, (len(test), 1)) for task, frequencies in overall.items()}
    return {
        "all_normal": forecast_table(normal, test.index),
        "majority": forecast_table(majority, test.index),
        **with_balanced("station", station, overall, test.index),
        ORACLE: forecast_table(oracle, test.index),
    }
