"""ROC AUC within strata (stations), from sums by cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from seismag.arrays import FloatArray, IndexArray, ratio


def cluster_concordance(
    score: FloatArray, is_event: NDArray[np.bool_], stratum: IndexArray, cluster: IndexArray, n_clusters: int
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


def auc_of_sums(replicates: FloatArray, whole: FloatArray) -> FloatArray:
    """Area under the ROC curve within strata, from sums of ``cluster_concordance``; NaN without a pair.

    Strata are weighted by their pairs. Sums of a bootstrap replicate are a first-order approximation in the counts of
    event and Normal clusters (the terms left out are smaller by the number of clusters).

    Args:
        replicates: (..., 4) sums over the resampled clusters, or ``whole`` itself.
        whole: (4,) sums over all clusters.

    Source: Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747; clusters after Obuchowski (1997),
    doi:10.2307/2533958.
    """
    concordant = replicates[..., 0] + replicates[..., 2] - whole[0]
    pairs = replicates[..., 1] + replicates[..., 3] - whole[1]
    return np.clip(ratio(concordant, pairs), 0.0, 1.0)
