"""Scores as functions of confusion matrices (true class in rows, predicted class in columns).

Every score takes ``(..., k, k)`` and works over the leading axes, so a bootstrap costs one matrix product: the matrices
of the clusters times their counts in each replicate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray, ratio


def confusion_matrix(y_true_index: IndexArray, y_pred_index: IndexArray, n_classes: int) -> FloatArray:
    """Count the pairs of true (n,) and predicted (n,) class, from 0: (k, k), rows true, columns predicted.

    Raises:
        ValueError: an index lies outside the classes, or the lengths differ.
    """
    one_cluster = np.zeros(len(y_true_index), dtype=int)
    return np.asarray(cluster_confusion(y_true_index, y_pred_index, one_cluster, n_classes)[0])


def cluster_confusion(
    y_true_index: IndexArray, y_pred_index: IndexArray, cluster_index: IndexArray, n_classes: int
) -> FloatArray:
    """Count the pairs of true and predicted class in each cluster: (n_clusters, k, k).

    The cluster index runs from 0 to the largest ``cluster_index``; summing over it gives ``confusion_matrix``.

    Raises:
        ValueError: an index lies outside the classes, or the lengths differ.
    """
    y_true, y_pred, cluster = (np.asarray(a, dtype=np.intp) for a in (y_true_index, y_pred_index, cluster_index))
    if not len(y_true) == len(y_pred) == len(cluster):
        raise ValueError(f"{len(y_true)} true, {len(y_pred)} predicted classes and {len(cluster)} cluster indices")
    for name, values in (("true", y_true), ("predicted", y_pred)):
        if values.size and not (values.min() >= 0 and values.max() < n_classes):
            raise ValueError(f"a {name} class lies outside 0 to {n_classes - 1}")
    n_clusters = int(cluster.max()) + 1 if cluster.size else 1
    cell = (cluster * n_classes + y_true) * n_classes + y_pred
    counts = np.bincount(cell, minlength=n_clusters * n_classes**2)
    return counts.reshape(n_clusters, n_classes, n_classes).astype(float)


def accuracy(cm: FloatArray) -> FloatArray:
    """Fraction of rows on the diagonal; NaN for an empty matrix."""
    return ratio(np.trace(cm, axis1=-2, axis2=-1), cm.sum(axis=(-2, -1)))


def balanced_accuracy(cm: FloatArray) -> FloatArray:
    """Mean recall over the classes that occur in the truth; the others are left out.

    Source: Brodersen et al. (2010), doi:10.1109/ICPR.2010.764, in its multi-class form.
    """
    return _mean_where(per_class(cm)["recall"], cm.sum(axis=-1) > 0)


def macro_f1(cm: FloatArray) -> FloatArray:
    """Mean F1 over the classes that occur in the truth or in the prediction.

    Source: Sokolova & Lapalme (2009), doi:10.1016/j.ipm.2009.03.002.
    """
    return _mean_where(per_class(cm)["f1"], cm.sum(axis=-1) + cm.sum(axis=-2) > 0)


def mcc(cm: FloatArray) -> FloatArray:
    """Multi-class Matthews correlation R_K; 0 where truth or prediction has one class only.

    Source: Gorodkin (2004), doi:10.1016/j.compbiolchem.2004.09.006.
    """
    true, predicted = cm.sum(axis=-1), cm.sum(axis=-2)
    total, hits = cm.sum(axis=(-2, -1)), np.trace(cm, axis1=-2, axis2=-1)
    covariance = hits * total - (true * predicted).sum(axis=-1)
    variance_true = total**2 - (true**2).sum(axis=-1)
    variance_predicted = total**2 - (predicted**2).sum(axis=-1)
    # two roots, not the root of the product: that overflows to inf at 1e77 rows and loses digits before
    return np.nan_to_num(ratio(covariance, np.sqrt(variance_true) * np.sqrt(variance_predicted)), nan=0.0)


def per_class(cm: FloatArray) -> dict[str, FloatArray]:
    """Recall, precision and F1 of each class, with numbers of rows.

    Returns:
        ``recall``, ``precision``, ``f1``, ``n`` (rows of the truth), ``n_predicted``, each
        (..., k). Recall is NaN for a class without truth, precision for one never predicted,
        F1 for one that is neither.

    Source: Sokolova & Lapalme (2009), doi:10.1016/j.ipm.2009.03.002.
    """
    hits = np.diagonal(cm, axis1=-2, axis2=-1)
    true, predicted = cm.sum(axis=-1), cm.sum(axis=-2)
    return {
        "recall": ratio(hits, true),
        "precision": ratio(hits, predicted),
        "f1": ratio(2 * hits, true + predicted),
        "n": true,
        "n_predicted": predicted,
    }


def _mean_where(values: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    return ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1).astype(float))
