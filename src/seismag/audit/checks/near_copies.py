"""Rows of a table that are copies of others with jitter or a common factor, by their measured numbers.

Independent rows have neighbours at distances that shrink as a power of the number of pairs, whose exponent is the
dimension of the numbers (Grassberger and Procaccia, 1983, doi:10.1016/0167-2789(83)90298-1). A row is a copy where its
nearest neighbour is so close that in a table of this size less than a hundredth of such a pair is expected.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from seismag.arrays import FloatArray

MIN_COLUMNS = 4
MAX_COMPARED_ROWS = 100_000
EXPECTED_PAIRS = 0.01
WINDOW_JITTER, WINDOW_RATIO = 0.1, 0.01  # of two rows with the same window: of their numbers, and of their ratios
_QUANTILES = (0.02, 0.1)  # of the distances of random pairs, between which the dimension is measured
_SAMPLED_PAIRS = 200_000


def find_near_copies(values: FloatArray, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows (n, p) that equal another up to jitter, and rows that equal another times a factor, up to jitter.

    Rows with a missing number are no copies. Both are empty for fewer than four columns (five for a factor), fewer than
    20 complete rows or more than 100,000.
    """
    n = len(values)
    jitter, factor = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    complete = np.flatnonzero(np.isfinite(values).all(axis=1) & (values != 0).all(axis=1))
    if values.shape[1] < MIN_COLUMNS or not 20 <= len(complete) <= MAX_COMPARED_ROWS:
        return jitter, factor
    size = np.log(np.abs(values[complete]))
    jitter[complete] = _too_close(size, rng)
    if values.shape[1] > MIN_COLUMNS:
        factor[complete] = _too_close(size - size.mean(axis=1, keepdims=True), rng)
    return jitter, factor & ~jitter


def copies_of_one_window(
    values: FloatArray, same_window: NDArray[np.bool_], key: pd.DataFrame
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of rows that share a window (n,), those whose numbers (n, p) agree to 10 %, or have one ratio to 1 %.

    ``key`` contains the columns that name the window.
    """
    jitter, factor = np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    rows = np.flatnonzero(same_window)
    if not rows.size or not values.shape[1]:
        return jitter, factor
    rows = rows[np.argsort(key.iloc[rows].astype(str).agg("|".join, axis=1).to_numpy(), kind="stable")]
    name = key.iloc[rows].astype(str).agg("|".join, axis=1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.diff(np.log(np.abs(values[rows])), axis=0)
    is_pair = (name[1:] == name[:-1]) & np.isfinite(ratio).all(axis=1)
    is_jitter = is_pair & (np.abs(ratio).max(axis=1) <= WINDOW_JITTER)
    is_factor = is_pair & ~is_jitter & (values.shape[1] > 1) & (np.ptp(ratio, axis=1) <= WINDOW_RATIO)
    for found, pairs in ((jitter, is_jitter), (factor, is_factor)):
        found[rows[:-1][pairs]] = found[rows[1:][pairs]] = True
    return jitter, factor


def _too_close(values: FloatArray, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rows whose nearest neighbour is closer than chance allows: (n,)."""
    points = _whiten(values)
    n = len(points)
    if points.shape[1] < MIN_COLUMNS - 1:
        return np.zeros(n, dtype=bool)
    one = rng.integers(0, n, _SAMPLED_PAIRS)
    other = (one + rng.integers(1, n, _SAMPLED_PAIRS)) % n
    near, far = np.quantile(np.linalg.norm(points[one] - points[other], axis=1), _QUANTILES)
    if not 0 < near < far:
        return np.zeros(n, dtype=bool)
    dimension = np.log(_QUANTILES[1] / _QUANTILES[0]) / np.log(far / near)
    n_near = _QUANTILES[0] * n * (n - 1) / 2
    limit = near * (EXPECTED_PAIRS / n_near) ** (1 / dimension)
    distance = cKDTree(points).query(points, k=2)[0][:, 1]
    return np.asarray(distance <= limit)


def _whiten(values: FloatArray) -> FloatArray:
    """Principal components of unit deviation; the inverse hyperbolic sine keeps extreme rows from dominating them."""
    centred = values - np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(centred), axis=0)
    usable = spread > 0
    scaled = np.arcsinh(centred[:, usable] / spread[usable])
    if not usable.any():
        return scaled
    _, singular, directions = np.linalg.svd(scaled - scaled.mean(axis=0), full_matrices=False)
    kept = singular > 1e-3 * singular[0]
    projected = (scaled - scaled.mean(axis=0)) @ directions[kept].T
    return np.asarray(projected / (singular[kept] / np.sqrt(len(values))))
