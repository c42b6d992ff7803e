"""Proper scores of probabilities, row by row."""

from __future__ import annotations

import numpy as np

from seismag.arrays import FloatArray, IndexArray

LOG_SCORE_FLOOR = 1e-6  # a probability of 0 for the true class would make the mean log score -inf


def row_log_scores(probs: FloatArray, y_true_index: IndexArray) -> FloatArray:
    """Natural logarithm of the probability of the true class, (n,), at least ln(1e-6).

    Args:
        probs: (n, k) probabilities.
        y_true_index: (n,) true class.

    Source: Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x.
    """
    given = probs[np.arange(len(probs)), y_true_index]
    return np.log(np.clip(given, LOG_SCORE_FLOOR, 1.0))


def row_brier_scores(probs: FloatArray, y_true_index: IndexArray) -> FloatArray:
    """Squared distance of the probabilities from the truth, (n,), summed over the classes; 0 is perfect.

    Two classes count once, ``(p - y)^2`` of the second one, from 0 to 1; more classes are summed, from 0 to 2.

    Args:
        probs: (n, k) probabilities.
        y_true_index: (n,) true class.

    Source: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    if probs.shape[1] == 2:
        return np.asarray((probs[:, 1] - y_true_index) ** 2)
    given = probs[np.arange(len(probs)), y_true_index]
    return np.asarray((probs**2).sum(axis=1) - given**2 + (1 - given) ** 2)


def row_rps(probs: FloatArray, y_true_index: IndexArray) -> FloatArray:
    """Ranked probability score of ordered classes, (n,): sum over the k - 1 borders of (P - O)^2, 0 to k - 1.

    P and O are the cumulated probability and truth below the border. A miss by two classes costs more than by one.

    Args:
        probs: (n, k) probabilities, classes in order.
        y_true_index: (n,) true class.

    Source: Epstein (1969), doi:10.1175/1520-0450(1969)008<0985:ASSFPF>2.0.CO;2, in the form of Murphy (1971),
    doi:10.1175/1520-0450(1971)010<0155:ANOTRP>2.0.CO;2, without division by k - 1.
    """
    below = np.cumsum(probs, axis=1)[:, :-1]
    happened = np.asarray(y_true_index)[:, None] <= np.arange(probs.shape[1] - 1)
    return np.asarray(((below - happened) ** 2).sum(axis=1))
