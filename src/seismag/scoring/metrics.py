"""Scores as functions of arrays.

Every score is a function of sums over rows: rows are summed by cluster once, and leaving a cluster out is a
subtraction. Scores of confusion matrices (true class in rows, predicted class in columns) take ``(..., k, k)`` and
work over the leading axes, so that all clusters are left out in one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio

LOG_SCORE_FLOOR = 1e-6  # a probability of 0 for the true class would make the mean log score -inf
N, SUM_P, SUM_Y, SUM_PP, SUM_PY = range(5)  # the columns of bin sums
_CHUNK_CELLS = 1_000_000  # counts in memory at once: 8 MB


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


def balanced_accuracy(cm: FloatArray, classes: Sequence[int] | None = None) -> FloatArray:
    """Mean recall over the classes that occur in the truth, or those of them in ``classes``.

    Source: Brodersen et al. (2010), doi:10.1109/ICPR.2010.764, in its multi-class form.
    """
    chosen = np.arange(cm.shape[-1]) if classes is None else np.asarray(classes)
    return _mean_where(per_class(cm)["recall"][..., chosen], cm.sum(axis=-1)[..., chosen] > 0)


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


def _mean_where(values: FloatArray, present: BoolArray) -> FloatArray:
    return ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1).astype(float))


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


def cluster_concordance(
    score: FloatArray, is_event: BoolArray, stratum: IndexArray, cluster: IndexArray, n_clusters: int
) -> FloatArray:
    """Count the concordant pairs of event and Normal rows of the same stratum by cluster.

    Args:
        score: (n,) higher means an event is more likely.
        is_event: (n,).
        stratum: (n,) whole numbers; only rows of one stratum (station, model) are compared.
        cluster: (n,) cluster of each row, 0 to n_clusters - 1.
        n_clusters: number of clusters.

    Returns:
        (n_clusters, 4): concordant pairs (a tie counts one half) and all pairs of the cluster's event rows, then
        those of its Normal rows. Both halves have the same sum over the clusters.

    Source: placements of Hanley & Hajian-Tilaki (1997), doi:10.1016/S1076-6332(97)80161-4, by midranks.
    """
    above = np.zeros(len(score))  # rows of the other kind that are ranked on the right side
    pairs = np.zeros(len(score))
    order = np.argsort(stratum, kind="stable")
    borders = np.flatnonzero(np.diff(np.asarray(stratum)[order])) + 1
    for rows in np.split(order, borders):
        event, normal = rows[is_event[rows]], rows[~is_event[rows]]
        if not (len(event) and len(normal)):
            continue
        rank = rankdata(np.concatenate([score[event], score[normal]]))
        above[event] = rank[: len(event)] - rankdata(score[event])
        above[normal] = len(event) - (rank[len(event) :] - rankdata(score[normal]))
        pairs[event], pairs[normal] = len(normal), len(event)
    columns = [np.where(kind, values, 0.0) for kind in (is_event, ~is_event) for values in (above, pairs)]
    return np.column_stack([np.bincount(cluster, weights=column, minlength=n_clusters) for column in columns])


def auc_of_sums(sums: FloatArray, whole: FloatArray) -> FloatArray:
    """Area under the ROC curve within strata, from sums of ``cluster_concordance``; NaN without a pair.

    Strata are weighted by their pairs. Without one cluster this is exact; with several changed it is a
    first-order approximation (the terms left out are smaller by the number of clusters).

    Args:
        sums: (..., 4) sums without some clusters, or over clusters sampled anew, or ``whole`` itself.
        whole: (4,) sums over all clusters.

    Source: Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747; clusters after Obuchowski (1997),
    doi:10.2307/2533958.
    """
    concordant = sums[..., 0] + sums[..., 2] - whole[0]
    pairs = sums[..., 1] + sums[..., 3] - whole[1]
    return np.clip(ratio(concordant, pairs), 0.0, 1.0)


def equal_mass_bins(p: FloatArray, n_bins: int) -> NDArray[np.intp]:
    """Bin index (n,) of each row, from 0, in bins of as equal mass as ties allow; equal p get the same bin.

    Source: Nguyen & O'Connor (2015), doi:10.18653/v1/D15-1182.
    """
    inner = np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1]) if len(p) else np.empty(0)
    return np.unique(np.searchsorted(np.unique(inner), p), return_inverse=True)[1]


def cluster_bin_sums(
    p: FloatArray, happened: BoolArray, bins: IndexArray, cluster: IndexArray, n_clusters: int
) -> FloatArray:
    """Sum n, p, y, p^2 and p y in each bin of each cluster: (n_clusters, n_bins, 5); y is 1 for an event."""
    n_bins = int(bins.max()) + 1 if len(bins) else 1
    cell = np.asarray(cluster) * n_bins + bins
    y = np.asarray(happened, dtype=float)
    columns = [np.bincount(cell, weights=w, minlength=n_clusters * n_bins) for w in (None, p, y, p * p, p * y)]
    return np.stack(columns, axis=-1).reshape(n_clusters, n_bins, 5).astype(float)


def expected_calibration_error(bin_sums: FloatArray) -> FloatArray:
    """Mean over the rows of |mean p - observed frequency f| of their bin, from sums (..., n_bins, 5).

    Never negative, so that chance alone makes it positive, about 0.8 sqrt(f (1 - f) n_bins / n).

    Source: Naeini, Cooper & Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602; bins of equal mass as in
    ``equal_mass_bins``.
    """
    gap = np.abs(bin_sums[..., SUM_P] - bin_sums[..., SUM_Y]).sum(axis=-1)
    return ratio(gap, bin_sums[..., N].sum(axis=-1))


def brier_decomposition(bin_sums: FloatArray) -> dict[str, FloatArray]:
    """Divide the Brier score of a yes/no forecast into its parts, from sums (..., n_bins, 5).

    Returns:
        ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty`` + ``within_bin``, exactly. ``within_bin``
        (variance minus twice the covariance with the truth inside the bins) is the effect of binning.

    Source: Murphy (1973), doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; within the bins Stephenson, Coelho &
    Jolliffe (2008), doi:10.1175/2007WAF2006116.1.
    """
    n_k, p_k, y_k, pp_k, py_k = np.moveaxis(bin_sums, -1, 0)
    n = n_k.sum(axis=-1)
    mean_p, frequency = ratio(p_k, n_k), ratio(y_k, n_k)
    base = ratio(y_k.sum(axis=-1), n)
    # an empty bin counts nothing
    reliability = ratio(np.nansum(n_k * (mean_p - frequency) ** 2, axis=-1), n)
    resolution = ratio(np.nansum(n_k * (frequency - base[..., None]) ** 2, axis=-1), n)
    variance = np.nansum(pp_k - p_k * mean_p, axis=-1)
    covariance = np.nansum(py_k - y_k * mean_p, axis=-1)
    return {
        "brier": ratio((pp_k - 2 * py_k + y_k).sum(axis=-1), n),
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": base * (1 - base),
        "within_bin": ratio(variance - 2 * covariance, n),
    }


def angular_difference_deg(predicted_deg: FloatArray, true_deg: FloatArray) -> FloatArray:
    """Predicted minus true direction in degrees, in [-180, 180); clockwise is positive.

    Chance: the mean of the absolute value is 90 where either direction is uniform on the circle.

    Source: Mardia & Jupp (2000), Directional Statistics, chapter 2.
    """
    return np.asarray((np.asarray(predicted_deg) - np.asarray(true_deg) + 180.0) % 360.0 - 180.0)


def mean_resultant(cos_sum: FloatArray, sin_sum: FloatArray, n: FloatArray) -> FloatArray:
    """Length (0 to 1) of the mean of n unit vectors; NaN where n is 0.

    Source: Mardia & Jupp (2000), Directional Statistics, chapter 2.
    """
    return ratio(np.hypot(cos_sum, sin_sum), n)


def bootstrap_sums(
    cluster_values: FloatArray, strata: IndexArray, replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Sum the values of clusters sampled with replacement, with a fixed number of clusters in each stratum.

    Args:
        cluster_values: (n_clusters, ...) values of each cluster: confusion matrices, sums, counts.
        strata: (n_clusters,) stratum of each cluster, any whole numbers.
        replicates: number of bootstrap replicates.
        rng: random numbers; the same state gives the same replicates.

    Returns:
        (replicates, ...).

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    n_clusters = len(strata)
    values = cluster_values.reshape(n_clusters, -1)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    sums = np.empty((replicates, values.shape[1]))
    chunk = max(1, _CHUNK_CELLS // n_clusters)
    for start in range(0, replicates, chunk):
        n_rows = min(chunk, replicates - start)
        weights = np.zeros((n_rows, n_clusters))
        for clusters in members:
            weights[:, clusters] = _resampled_counts(n_rows, len(clusters), rng)
        sums[start : start + n_rows] = weights @ values
    return sums.reshape(replicates, *cluster_values.shape[1:])


def _resampled_counts(n_rows: int, n_clusters: int, rng: np.random.Generator) -> IndexArray:
    """Counts (n_rows, n_clusters) of clusters sampled with replacement; faster than ``rng.multinomial`` for many."""
    draws = rng.integers(0, n_clusters, size=(n_rows, n_clusters), dtype=np.int64)
    draws += np.arange(n_rows)[:, None] * n_clusters
    return np.bincount(draws.ravel(), minlength=n_rows * n_clusters).reshape(n_rows, n_clusters)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests (Holm-Bonferroni), in their order.

    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    raised = np.maximum.accumulate(np.minimum(1.0, np.asarray(p_values, dtype=float)[order] * factors))
    adjusted = np.empty(len(p_values))
    adjusted[order] = raised
    return [float(p) for p in adjusted]
