"""The bootstrap by cluster: replicates of sums, and the interval that they give."""

from __future__ import annotations

from typing import Any

import numpy as np

from seismag.metrics.arrays import FloatArray, IndexArray

MAX_UNDEFINED_SHARE = 0.05  # of the replicates, above which an interval would describe the rest only
_CHUNK_CELLS = 4_000_000  # draws held at once: 32 MB


def bootstrap_sums(cluster_values: Any, strata: IndexArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    """Sum the values of clusters drawn with replacement, each stratum keeping its number of clusters.

    Args:
        cluster_values: (n_clusters, ...) what each cluster adds: confusion matrices, sums, counts; an array, or a
            sparse one (n_clusters, columns), which stays so where it is large.
        strata: (n_clusters,) stratum of each cluster, any whole numbers.
        replicates: number of draws.
        rng: source of the draws; the same state gives the same replicates.

    Returns:
        (replicates, ...).

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    n_clusters, shape = cluster_values.shape[0], cluster_values.shape[1:]
    is_dense = isinstance(cluster_values, np.ndarray)
    if not is_dense and n_clusters * shape[0] > _CHUNK_CELLS:
        active, filled = cluster_values.tocsr(), np.arange(shape[0])
    else:
        flat = cluster_values.reshape(n_clusters, -1) if is_dense else cluster_values.toarray()
        filled = np.flatnonzero(flat.any(axis=0))  # most cells of a large confusion matrix are empty everywhere
        active = np.ascontiguousarray(flat[:, filled])
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    sums = np.zeros((replicates, int(np.prod(shape))))
    chunk = max(1, _CHUNK_CELLS // n_clusters)
    for start in range(0, replicates, chunk):
        n_rows = min(chunk, replicates - start)
        weights = np.zeros((n_rows, n_clusters))
        for clusters in members:
            weights[:, clusters] = _draw_counts(n_rows, len(clusters), rng)
        sums[start : start + n_rows, filled] = weights @ active
    return sums.reshape(replicates, *shape)


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
