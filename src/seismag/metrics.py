"""Scores as pure functions of confusion matrices, and the bootstrap by cluster that gives their intervals.

A confusion matrix has the true class in rows and the predicted class in columns. Every score takes
``(..., k, k)`` and works over the leading axes, so a bootstrap costs one matrix product: the
matrices of the clusters are summed with the counts by which each replicate drew them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.integer[Any]]

LOG_SCORE_FLOOR = 1e-6  # a probability of 0 for what happened would make the mean log score -inf
MAX_UNDEFINED_SHARE = 0.05  # of the replicates, above which an interval would describe the rest only
_CHUNK_CELLS = 4_000_000  # draws held at once: 32 MB


def confusion_matrix(
    y_true_index: IndexArray, y_pred_index: IndexArray, n_classes: int, weights: FloatArray | None = None
) -> FloatArray:
    """Count (or weigh) the pairs of true and predicted class.

    Args:
        y_true_index: (n,) true class, 0 to n_classes - 1.
        y_pred_index: (n,) predicted class.
        n_classes: k.
        weights: (n,) weight of each row; 1 where not given.

    Returns:
        (k, k), rows true, columns predicted.

    Raises:
        ValueError: an index lies outside the classes, or the lengths differ.
    """
    one_cluster = np.zeros(len(y_true_index), dtype=int)
    return np.asarray(cluster_confusion(y_true_index, y_pred_index, one_cluster, n_classes, weights)[0])


def cluster_confusion(
    y_true_index: IndexArray,
    y_pred_index: IndexArray,
    cluster_index: IndexArray,
    n_classes: int,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Count the pairs of true and predicted class in each cluster: (n_clusters, k, k).

    Clusters are numbered from 0 to the largest ``cluster_index``; the sum over them is
    ``confusion_matrix``.

    Raises:
        ValueError: an index lies outside the classes, or the lengths differ.
    """
    y_true, y_pred, cluster = (np.asarray(a, dtype=np.intp) for a in (y_true_index, y_pred_index, cluster_index))
    if not len(y_true) == len(y_pred) == len(cluster):
        raise ValueError(f"{len(y_true)} true, {len(y_pred)} predicted classes and {len(cluster)} cluster numbers")
    for name, values in (("true", y_true), ("predicted", y_pred)):
        if values.size and not (values.min() >= 0 and values.max() < n_classes):
            raise ValueError(f"a {name} class lies outside 0 to {n_classes - 1}")
    n_clusters = int(cluster.max()) + 1 if cluster.size else 1
    cell = (cluster * n_classes + y_true) * n_classes + y_pred
    counts = np.bincount(cell, weights=weights, minlength=n_clusters * n_classes**2)
    return counts.reshape(n_clusters, n_classes, n_classes).astype(float)


def accuracy(cm: FloatArray) -> FloatArray:
    """Share of rows on the diagonal; NaN for an empty matrix."""
    return _ratio(np.trace(cm, axis1=-2, axis2=-1), cm.sum(axis=(-2, -1)))


def balanced_accuracy(cm: FloatArray) -> FloatArray:
    """Mean recall over the classes that occur in the truth; the others are left out, not counted as 0.

    Source: Brodersen et al. (2010), doi:10.1109/ICPR.2010.764, in its multi-class form.
    """
    return _mean_where(per_class(cm)["recall"], cm.sum(axis=-1) > 0)


def macro_f1(cm: FloatArray) -> FloatArray:
    """Mean F1 over the classes that occur in the truth or in the prediction.

    Source: Sokolova & Lapalme (2009), doi:10.1016/j.ipm.2009.03.002.
    """
    return _mean_where(per_class(cm)["f1"], cm.sum(axis=-1) + cm.sum(axis=-2) > 0)


def mcc(cm: FloatArray) -> FloatArray:
    """Multi-class Matthews correlation R_K; 0 where truth or prediction knows one class only.

    Source: Gorodkin (2004), doi:10.1016/j.compbiolchem.2004.09.006.
    """
    true, predicted = cm.sum(axis=-1), cm.sum(axis=-2)
    total, hits = cm.sum(axis=(-2, -1)), np.trace(cm, axis1=-2, axis2=-1)
    covariance = hits * total - (true * predicted).sum(axis=-1)
    variance_true = total**2 - (true**2).sum(axis=-1)
    variance_predicted = total**2 - (predicted**2).sum(axis=-1)
    # two roots, not the root of the product: that overflows to inf at 1e77 rows and loses digits before
    return np.nan_to_num(_ratio(covariance, np.sqrt(variance_true) * np.sqrt(variance_predicted)), nan=0.0)


def per_class(cm: FloatArray) -> dict[str, FloatArray]:
    """Recall, precision and F1 of each class, with the rows they stand on.

    Returns:
        ``recall``, ``precision``, ``f1``, ``n`` (rows of the truth), ``n_predicted``, each
        (..., k). Recall is NaN for a class without truth, precision for one never predicted,
        F1 for one that is neither.

    Source: Sokolova & Lapalme (2009), doi:10.1016/j.ipm.2009.03.002.
    """
    hits = np.diagonal(cm, axis1=-2, axis2=-1)
    true, predicted = cm.sum(axis=-1), cm.sum(axis=-2)
    return {
        "recall": _ratio(hits, true),
        "precision": _ratio(hits, predicted),
        "f1": _ratio(2 * hits, true + predicted),
        "n": true,
        "n_predicted": predicted,
    }


def row_log_scores(probs: FloatArray, y_true_index: IndexArray) -> FloatArray:
    """Natural logarithm of the probability given to what happened, (n,), at least ln(1e-6).

    Args:
        probs: (n, k) probabilities.
        y_true_index: (n,) true class.

    Source: Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x.
    """
    given = probs[np.arange(len(probs)), y_true_index]
    return np.log(np.clip(given, LOG_SCORE_FLOOR, 1.0))


def log_score(probs: FloatArray, y_true_index: IndexArray) -> float:
    """Mean of ``row_log_scores`` in nats: 0 is perfect, ``-ln(k)`` is a uniform guess, higher is better."""
    return float(np.mean(row_log_scores(probs, y_true_index)))


def bootstrap_sums(
    cluster_values: FloatArray, strata: IndexArray, replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Sum the values of clusters drawn with replacement, each stratum keeping its number of clusters.

    Args:
        cluster_values: (n_clusters, ...) what each cluster adds: confusion matrices, sums, counts.
        strata: (n_clusters,) stratum of each cluster, any whole numbers.
        replicates: number of draws.
        rng: source of the draws; the same state gives the same replicates.

    Returns:
        (replicates, ...).

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    n_clusters = len(cluster_values)
    flat = cluster_values.reshape(n_clusters, -1)
    filled = np.flatnonzero(flat.any(axis=0))  # most cells of a large confusion matrix are empty everywhere
    active = np.ascontiguousarray(flat[:, filled])
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    sums = np.zeros((replicates, flat.shape[1]))
    chunk = max(1, _CHUNK_CELLS // n_clusters)
    for start in range(0, replicates, chunk):
        n_rows = min(chunk, replicates - start)
        weights = np.zeros((n_rows, n_clusters))
        for clusters in members:
            weights[:, clusters] = _draw_counts(n_rows, len(clusters), rng)
        sums[start : start + n_rows, filled] = weights @ active
    return sums.reshape(replicates, *cluster_values.shape[1:])


def percentile_interval(replicates: FloatArray, confidence: float) -> tuple[float, float]:
    """Cut the same share off both ends of the replicates of a score.

    Returns:
        Lower and upper limit; both NaN where more than 5 % of the replicates are NaN (undefined).

    Source: Efron (1981), doi:10.2307/3314608, the percentile method.
    """
    if not replicates.size or np.isnan(replicates).mean() > MAX_UNDEFINED_SHARE:
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def _draw_counts(n_rows: int, n_clusters: int, rng: np.random.Generator) -> FloatArray:
    """How often each cluster is drawn, a multinomial sample; for many clusters faster than ``rng.multinomial``."""
    draws = rng.integers(0, n_clusters, size=(n_rows, n_clusters), dtype=np.int64)
    draws += np.arange(n_rows)[:, None] * n_clusters
    return np.bincount(draws.ravel(), minlength=n_rows * n_clusters).reshape(n_rows, n_clusters).astype(float)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0))


def _mean_where(values: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    return _ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1).astype(float))
