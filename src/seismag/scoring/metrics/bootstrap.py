"""Bootstrap by cluster: replicates of sums, and percentile intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray

MAX_UNDEFINED = 0.05  # fraction of the replicates, above which there is no interval
_CHUNK_CELLS = 1_000_000  # counts in memory at once: 8 MB


def bootstrap_sums(cluster_values: Any, strata: IndexArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    """Sum the values of clusters sampled with replacement, with a fixed number of clusters in each stratum.

    Args:
        cluster_values: (n_clusters, ...) values of each cluster: confusion matrices, sums, counts; or a list of arrays
            (n_clusters, columns) side by side, which may be sparse.
        strata: (n_clusters,) stratum of each cluster, any whole numbers.
        replicates: number of bootstrap replicates.
        rng: random numbers; the same state gives the same replicates.

    Returns:
        (replicates, ...).

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    blocks = cluster_values if isinstance(cluster_values, list) else [cluster_values]
    shape = cluster_values.shape[1:] if len(blocks) == 1 and isinstance(blocks[0], np.ndarray) else (-1,)
    n_clusters = blocks[0].shape[0]
    blocks = [_ready(block) for block in blocks]
    edges = np.cumsum([0, *(block.shape[1] for block in blocks)])
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    sums = np.zeros((replicates, edges[-1]))
    chunk = max(1, _CHUNK_CELLS // n_clusters)
    for start in range(0, replicates, chunk):
        n_rows = min(chunk, replicates - start)
        weights = np.zeros((n_rows, n_clusters))
        for clusters in members:
            weights[:, clusters] = resampled_counts(n_rows, len(clusters), rng)
        for block, first in zip(blocks, edges[:-1], strict=True):
            block.add(weights, sums[start : start + n_rows, first : first + block.shape[1]])
    return sums.reshape(replicates, *shape)


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


@dataclass(frozen=True)
class _Block:
    """Columns to be summed; those of zeros alone (most entries of confusion matrices) are left out."""

    active: Any  # (n_clusters, filled columns)
    filled: NDArray[np.intp]
    shape: tuple[int, int]

    def add(self, weights: FloatArray, sums: FloatArray) -> None:
        sums[:, self.filled] = weights @ self.active


def _ready(block: Any) -> _Block:
    n_clusters = block.shape[0]
    if not isinstance(block, np.ndarray):
        if n_clusters * block.shape[1] > _CHUNK_CELLS:
            return _Block(block.tocsr(), np.arange(block.shape[1]), block.shape)
        block = block.toarray()
    flat = block.reshape(n_clusters, -1)
    filled = np.flatnonzero(flat.any(axis=0))
    active = flat if len(filled) == flat.shape[1] else np.ascontiguousarray(flat[:, filled])
    return _Block(active, filled, flat.shape)


def resampled_counts(n_rows: int, n_clusters: int, rng: np.random.Generator) -> IndexArray:
    """Counts (n_rows, n_clusters) of clusters sampled with replacement; faster than ``rng.multinomial`` for many."""
    draws = rng.integers(0, n_clusters, size=(n_rows, n_clusters), dtype=np.int64)
    draws += np.arange(n_rows)[:, None] * n_clusters
    return np.bincount(draws.ravel(), minlength=n_rows * n_clusters).reshape(n_rows, n_clusters)
