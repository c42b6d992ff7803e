"""Ridge regression on labels, out of fold; it is linear in them, so thousands of permuted labels cost one product."""

from __future__ import annotations

import numpy as np

from seismag.arrays import FloatArray, IndexArray
from seismag.scoring.metrics import balanced_accuracy, cluster_confusion

PROBE_DIMENSIONS = 64  # of the embeddings, by variance
_CHUNK_CELLS = 8_000_000
RIDGE = 0.01  # of the number of training windows, on features of unit deviation
TrainTestRows = list[tuple[IndexArray, IndexArray]]  # by fold


def out_of_fold_scores(features: FloatArray, labels: FloatArray, folds: TrainTestRows) -> FloatArray:
    """Fit a ridge regression on the training windows of each fold and score its test windows.

    Args:
        features: (n, p) without NaN.
        labels: (n, K) one column a set of numeric labels.
        folds: training and test rows of each fold.

    Returns:
        (n, K); NaN where a window is tested in no fold. The mean of the training labels is not added: with matched
        controls it is a predictor of the wrong sign.
    """
    scores = np.full(labels.shape, np.nan)
    for train, test in folds:
        middle, deviation = features[train].mean(axis=0), np.maximum(features[train].std(axis=0), 1e-9)
        x = (features[train] - middle) / deviation
        gram = x.T @ x + RIDGE * len(train) * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ (labels[train] - labels[train].mean(axis=0)))
        scores[test] = ((features[test] - middle) / deviation) @ weights
    return scores


def probe_accuracy(x: FloatArray, labels: IndexArray, folds: TrainTestRows) -> FloatArray:
    """Balanced accuracy (K,) of a ridge regression for each set of labels (K, n), out of fold."""
    n_sets, n = labels.shape
    n_classes = int(labels.max()) + 1
    chunk = max(1, _CHUNK_CELLS // (n * n_classes))
    parts = []
    for first in range(0, n_sets, chunk):
        some = labels[first : first + chunk]
        one_hot = np.eye(n_classes)[some]  # (k, n, S)
        weight = one_hot / np.maximum(one_hot.sum(axis=1, keepdims=True), 1)  # each station counts the same
        scores = out_of_fold_scores(x, weight.transpose(1, 0, 2).reshape(n, -1), folds).reshape(n, -1, n_classes)
        predicted = scores.argmax(axis=2).T  # (k, n)
        label_set = np.repeat(np.arange(len(some)), n)
        parts.append(balanced_accuracy(cluster_confusion(some.ravel(), predicted.ravel(), label_set, n_classes)))
    return np.concatenate(parts)
