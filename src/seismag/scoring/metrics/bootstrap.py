"""Bootstrap by cluster: replicates of sums, and percentile intervals."""

from __future__ import annotations

import numpy as np

from seismag.arrays import FloatArray, IndexArray

MAX_UNDEFINED = 0.05  # fraction of the replicates, above which there is no interval
_CHUNK_CELLS = 1_000_000  # counts in memory at once: 8 MB


def bootstrap_sums(
    cluster_values: FloatArray | list[FloatArray], strata: IndexArray, replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Sum the values of clusters sampled with replacement, with a fixed number of clusters in each stratum.

    Args:
        cluster_values: (n_clusters, ...) values of each cluster: confusion matrices, sums, counts; or a list of such
            arrays, whose flat columns are set side by side.
        strata: (n_clusters,) stratum of each cluster, any whole numbers.
        replicates: number of bootstrap replicates.
        rng: random numbers; the same state gives the same replicates.

    Returns:
        (replicates, ...).

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    if not isinstance(cluster_values, list):
        shape = replicates, *cluster_values.shape[1:]
        return bootstrap_sums([cluster_values], strata, replicates, rng).reshape(shape)
    n_clusters = len(strata)
    flat = [block.reshape(n_clusters, -1) for block in cluster_values]
    ends = np.cumsum([block.shape[1] for block in flat])
    blocks = [_without_zeros(block, end) for block, end in zip(flat, ends, strict=True)]
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    sums = np.zeros((replicates, ends[-1]))
    chunk = max(1, _CHUNK_CELLS // n_clusters)
    for start in range(0, replicates, chunk):
        n_rows = min(chunk, replicates - start)
        weights = np.zeros((n_rows, n_clusters))
        for clusters in members:
            weights[:, clusters] = resampled_counts(n_rows, len(clusters), rng)
        for active, columns in blocks:
            sums[start : start + n_rows, columns] = weights @ active
    return sums


def percentile_interval(replicates: FloatArray, confidence: float) -> tuple[float, float]:
    """Percentile interval of the replicates of a score: quantiles (1 - confidence) / 2 from both ends.

    Returns:
        Lower and upper limit; both NaN where more than 5 % of the replicates are NaN (undefined).

    Source: Efron (1981), doi:10.2307/3314608, the percentile method.
    """
    if not replicates.size or np.isnan(replicates).mean() > MAX_UNDEFINED:
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def _without_zeros(block: FloatArray, end: int) -> tuple[FloatArray, IndexArray]:
    """Columns that are not all zero, few of confusion matrices, and where they lie if the block ends at ``end``."""
    filled = np.flatnonzero(block.any(axis=0))
    active = block if len(filled) == block.shape[1] else np.ascontiguousarray(block[:, filled])
    return active, filled + end - block.shape[1]


def resampled_counts(n_rows: int, n_clusters: int, rng: np.random.Generator) -> IndexArray:
    """Counts (n_rows, n_clusters) of clusters sampled with replacement; faster than ``rng.multinomial`` for many."""
    draws = rng.integers(0, n_clusters, size=(n_rows, n_clusters), dtype=np.int64)
    draws += np.arange(n_rows)[:, None] * n_clusters
    return np.bincount(draws.ravel(), minlength=n_rows * n_clusters).reshape(n_rows, n_clusters)
