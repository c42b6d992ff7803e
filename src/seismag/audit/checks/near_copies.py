"""Rows of a table that are changed copies of others, by their measured numbers.

A change leaves some numbers of a row as they are: a factor its ratios, an offset its differences, a new value in one
column the other columns. In each such set the nearest neighbour of a row is compared with its tenth: of k
neighbours within a distance R, k (r / R)^D lie within r by chance, where D is the dimension of the numbers (Levina and
Bickel, 2004, Advances in Neural Information Processing Systems 17). Distances count as no less than the rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats
from scipy.spatial import cKDTree

from seismag.arrays import FloatArray, IndexArray

MIN_NUMBERS = 2  # that a change leaves as they are
MIN_ROWS, MAX_ROWS = 20, 100_000
EXPECTED_PAIRS = 0.01  # of a table without copies, over all changes
MAX_CHANCE_PAIRS, MAX_CHANCE_FRACTION = 0.5, 0.05  # of the pairs that one change finds
FULL_DIMENSION = 3  # above it, half of a dimension counts: the density inside R is uneven, and r is extrapolated far
WINDOW_JITTER, WINDOW_RATIO = 0.1, 0.01  # of two rows with the same window: of their numbers, and of their ratios
_REFERENCE_ROWS, _REFERENCE_RANK = 1000, 10
_COMPARED_NEIGHBOURS = 8
_MAX_BLOCKS = 6  # of adjacent columns, each of which is left out in turn
_MAX_PAIRED = 8  # columns, of which any two are left out

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """What is compared of the rows of a table."""

    values: FloatArray  # (n, p) measured, NaN where missing
    steps: FloatArray  # (n, p) rounding of each number
    time_h: FloatArray  # (n,), NaN where unknown; rows less than a day apart may be alike


@dataclass(frozen=True)
class _Unchanged:
    """Numbers that a change leaves as they are."""

    change: str
    numbers: FloatArray  # (n, p)
    steps: FloatArray  # (n, p)
    weights: FloatArray  # (q, p) linear combinations that are compared


def find_changed_copies(rows: Rows, rng: np.random.Generator) -> dict[str, Mask]:
    """Rows (n,) that are copies of another row, by the change between the two.

    A change is reported where less than half a pair of rows, and less than a twentieth of those found, is expected to
    be so close by chance, and by chance fewer than one table in a hundred has so many for any change. A row counts for
    the first of its changes. Rows less than a day apart are not compared: one field is alike at all stations and hours.
    """
    n, p = rows.values.shape
    found: dict[str, Mask] = {}
    if p < MIN_NUMBERS or not MIN_ROWS <= n <= MAX_ROWS:
        return found
    views = [view for view in _unchanged_numbers(rows) if len(view.weights) >= MIN_NUMBERS]
    known = np.zeros(n, dtype=bool)
    for view in views:
        complete = np.flatnonzero(np.isfinite(view.numbers[:, view.weights.any(axis=0)]).all(axis=1))
        if len(complete) < MIN_ROWS:
            continue
        expected = _expected_neighbours(view, complete, rows.time_h[complete], rng)
        expected[known[complete]] = np.inf
        close = complete[_closer_than_chance(expected, EXPECTED_PAIRS / len(views))]
        found.setdefault(view.change, np.zeros(n, dtype=bool))[close] = True
        known[close] = True
    return found


def copies_of_one_window(values: FloatArray, window: IndexArray) -> dict[str, Mask]:
    """Of rows that share a window (n,), those whose numbers (n, p) agree to 10 %, or have one ratio to 1 %.

    ``window`` is the number of the window, -1 for rows that share theirs with no other.
    """
    jitter, factor = np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    rows = np.flatnonzero(window >= 0)
    if not rows.size or not values.shape[1]:
        return {"jitter": jitter, "a factor": factor}
    rows = rows[np.argsort(window[rows], kind="stable")]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.diff(np.log(np.abs(values[rows])), axis=0)
    is_pair = (np.diff(window[rows]) == 0) & np.isfinite(ratio).all(axis=1)
    is_jitter = is_pair & (np.abs(ratio).max(axis=1) <= WINDOW_JITTER)
    is_factor = is_pair & ~is_jitter & (values.shape[1] > 1) & (np.ptp(ratio, axis=1) <= WINDOW_RATIO)
    for found, pairs in ((jitter, is_jitter), (factor, is_factor)):
        found[rows[:-1][pairs]] = found[rows[1:][pairs]] = True
    return {"jitter": jitter, "a factor": factor}


def _unchanged_numbers(rows: Rows) -> Iterator[_Unchanged]:
    """What each change leaves as it is, the simplest change first."""
    p = rows.values.shape[1]
    columns, each = np.arange(p), np.eye(p)
    size = np.abs(rows.values)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(size > 0, np.log(size), np.nan)
        scales = [("a factor", logs, rows.steps / size), ("an offset", rows.values, rows.steps)]
    for _, numbers, steps in scales:
        yield _Unchanged("jitter", numbers, steps, each)
    for change, numbers, steps in scales:
        yield _Unchanged(change, numbers, steps, _differences(numbers, columns))
    order = np.argsort(rows.values, axis=1)
    in_order = np.take_along_axis(rows.values, order, axis=1), np.take_along_axis(rows.steps, order, axis=1)
    yield _Unchanged("another order of the columns", *in_order, each)
    groups, scattered = _column_groups(p)
    for kept in (np.setdiff1d(columns, left_out) for left_out in groups):
        for change, numbers, steps in scales:
            yield _Unchanged("other numbers in some columns", numbers, steps, each[kept])
            both = f"{change} and other numbers in some columns"
            yield _Unchanged(both, numbers, steps, _differences(numbers, kept))
    for left_out in scattered:
        kept = np.setdiff1d(columns, left_out)
        yield _Unchanged("other numbers in some columns", rows.values, rows.steps, each[kept])
    for part in (*(columns[: group[0]] for group in groups[1:]), columns[::2]):
        for change, numbers, steps in scales:
            rest = np.setdiff1d(columns, part)
            weights = np.vstack([_differences(numbers, part), _differences(numbers, rest)])
            yield _Unchanged(f"{change} by part of the columns", numbers, steps, weights)
    deviation = rows.values.std(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = (rows.values - rows.values.mean(axis=1, keepdims=True)) / deviation
        yield _Unchanged(
            "a factor and an offset", standard, rows.steps / deviation, _differences(standard, columns)[1:]
        )


def _column_groups(p: int) -> tuple[list[IndexArray], list[IndexArray]]:
    """Groups of columns that may contain other numbers: adjacent ones; any two, of many columns every third."""
    adjacent: list[IndexArray] = list(np.array_split(np.arange(p), min(p, _MAX_BLOCKS)))
    every_third: list[IndexArray] = [np.arange(first, p, 3) for first in range(3)]
    pairs: list[IndexArray] = [np.array(pair) for pair in combinations(range(p), 2)]
    if p <= _MAX_PAIRED:
        return adjacent, pairs
    return adjacent, every_third


def _differences(numbers: FloatArray, columns: IndexArray) -> FloatArray:
    """Weights (q - 1, p) of differences between q columns, of which those that vary least are combined first."""
    weights = np.zeros((max(len(columns) - 1, 0), numbers.shape[1]))
    if len(columns) > 1:
        spread = np.nan_to_num(_spread(numbers[:, columns]))
        weights[:, columns[np.argsort(spread)]] = linalg.helmert(len(columns))
    return weights


def _spread(numbers: FloatArray) -> FloatArray:
    return np.asarray(1.4826 * np.nanmedian(np.abs(numbers - np.nanmedian(numbers, axis=0)), axis=0))


def _expected_neighbours(
    view: _Unchanged, complete: IndexArray, time_h: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Number of rows (m,) that are by chance as close as the nearest one that is at least a day away."""
    points, rounding = _whiten(view, complete)
    n, dimension = points.shape
    if dimension < MIN_NUMBERS:
        return np.full(n, np.inf)
    different = np.unique(points, axis=0)
    if len(different) < MIN_ROWS:
        return np.full(n, np.inf)
    sample = rng.permutation(different)[:_REFERENCE_ROWS]
    rank = min(_REFERENCE_RANK, len(sample) // 4)
    reference = cKDTree(sample).query(points, k=rank + 1)[0]
    middle, far = (np.maximum(reference[:, k], rounding) for k in ((rank + 1) // 2, rank))
    slope = np.log(far / middle).mean()
    if slope > 0:
        dimension = min(dimension, float(np.log(rank / ((rank + 1) // 2)) / slope))
    dimension = min(dimension, (dimension + FULL_DIMENSION) / 2)
    n_far = rank * n / len(sample)
    reach = float(np.max(far)) * (MAX_CHANCE_PAIRS / n / n_far) ** (1 / dimension)
    nearest, other = cKDTree(points).query(
        points, k=min(_COMPARED_NEIGHBOURS, n), distance_upper_bound=reach * (1 + 1e-9) + 1e-9
    )
    apart_h = np.abs(np.append(time_h, np.nan)[other] - time_h[:, None])
    is_self = other == np.arange(n)[:, None]
    nearest = np.where(is_self | (apart_h < 24), np.inf, nearest).min(axis=1)
    return np.asarray(n_far * (np.maximum(nearest, rounding) / far) ** dimension)


def _whiten(view: _Unchanged, complete: IndexArray) -> tuple[FloatArray, FloatArray]:
    """Principal components (m, q) of unit deviation, and the root mean square difference (m,) that rounding makes.

    The inverse hyperbolic sine keeps extreme rows from dominating them.
    """
    used = view.weights.any(axis=0)
    weights = view.weights[:, used]
    combined = view.numbers[complete][:, used] @ weights.T
    spread = _spread(combined)
    usable = spread > 0
    combined, spread, weights = combined[:, usable], spread[usable], weights[usable]
    if not usable.any():
        return np.empty((len(complete), 0)), np.empty(len(complete))
    scaled = np.arcsinh((combined - np.median(combined, axis=0)) / spread)
    scaled -= scaled.mean(axis=0)
    _, singular, directions = np.linalg.svd(scaled, full_matrices=False)
    kept = singular > 1e-3 * singular[0]
    to_unit = directions[kept].T / (singular[kept] / np.sqrt(len(complete)))
    error = (weights.T / spread) @ to_unit  # (p, q) of each number in each component
    rounding = np.sqrt(view.steps[complete][:, used] ** 2 @ (error**2).sum(axis=1) / 6)
    return scaled @ to_unit, rounding


def _closer_than_chance(expected: FloatArray, max_probability: float) -> Mask:
    """Rows (n,) whose nearest neighbour is so close that nearly all so close pairs must be copies."""
    n, order = len(expected), np.argsort(expected, kind="stable")
    by_chance = n * expected[order] / 2
    pairs = np.arange(1, n + 1) / 2
    allowed = np.minimum(MAX_CHANCE_PAIRS, MAX_CHANCE_FRACTION * pairs)
    with np.errstate(invalid="ignore"):
        probability = stats.poisson.sf(np.ceil(pairs) - 1, np.where(by_chance < n, by_chance, n))
    accepted = np.flatnonzero((by_chance <= allowed) & (probability <= max_probability))
    close = np.zeros(n, dtype=bool)
    if accepted.size:
        close[order[: accepted[-1] + 1]] = True
    return close
