"""Out-of-fold prediction of the class from one binned column.

A column is a code (n,) of bins. A row is predicted from the class counts of its bin in the training part; the rows of
a group stay in one fold. All scores follow from counts by fold, bin and class, so a permuted table costs one sparse
product instead of a refit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seismag.arrays import Float32Array, FloatArray

Index = NDArray[np.intp]

_CHUNK_NUMBERS, _CHUNK_DRAWS = 400_000, 128  # at once: float32 numbers (a processor's cache), and permutations
_MIN_CHUNK_DRAWS = 16


@dataclass(frozen=True)
class GroupedLabels:
    """The class of each row and the group that it belongs to.

    With strata, classes are permuted within a stratum only, between the parts of groups in it.
    """

    y: Index  # (n,) class, 0 to n_classes - 1
    group: Index  # (n,) group, 0 to n_groups - 1: its rows lie in one fold and are permuted together
    n_classes: int  # k
    stratum: Index | None = None  # (n,)

    @property
    def n_groups(self) -> int:
        return int(self.group.max()) + 1


@dataclass(frozen=True)
class Scores:
    """Out-of-fold accuracy, and balanced accuracy of the balanced rule."""

    accuracy: float
    balanced_accuracy: float


def assign_folds(n_groups: int, n_folds: int, n_partitions: int, rng: np.random.Generator) -> Index:
    """Assign groups to folds of equal numbers of groups at random, for each partition: (n_partitions, n_groups).

    Raises:
        ValueError: fewer than two groups. With fewer groups than folds each group is a fold.
    """
    if n_groups < 2:
        raise ValueError(f"{n_groups} group cannot be divided into folds")
    fold = np.arange(n_groups) % min(n_folds, n_groups)
    return np.asarray(rng.permuted(np.tile(fold, (n_partitions, 1)), axis=1), dtype=np.intp)


def out_of_fold(code: Index, labels: GroupedLabels, folds: Index) -> Scores:
    """Predict each row from the rows of its bin in the other folds; scores averaged over partitions.

    Class c has the probability ``p_bc = (n_bc + k q_c) / (n_b + k)`` in bin b, where n are training counts and q are
    the class frequencies of training by Laplace's rule. Accuracy takes the most probable class, balanced accuracy the
    class of the largest p_bc / q_c.

    Source: Good (1965), The Estimation of Probabilities, chapter 3.
    """
    counter = Counter.build(code, labels, folds)
    return mean_scores(counter, counter.own[None])


@dataclass(frozen=True)
class DrawnClasses:
    """Classes of many tables: of each class, whether a cell (cells, D) has it, and the weight (D,) of its rows."""

    is_class: list[Float32Array]
    weights: list[Float32Array | None]  # None: 1


@dataclass(frozen=True)
class Counter:
    """Counts by partition, fold, bin and class, for many permutations at once."""

    matrix: csr_array  # (P F B, cells) rows of each cell
    total: Float32Array  # (P F B,) rows of all classes
    shape: tuple[int, int, int]  # partitions, folds, bins
    n_classes: int
    own: Index  # (cells,) observed class
    rows: FloatArray  # (cells,) rows of the cells

    @classmethod
    def build(cls, code: Index, labels: GroupedLabels, folds: Index) -> Counter:
        cell, n_bins, n_folds = cells_of(labels), int(code.max()) + 1, int(folds.max()) + 1
        bin_of_row = (np.arange(len(folds))[:, None] * n_folds + folds[:, labels.group]) * n_bins + code
        cell_of_row = np.broadcast_to(cell, bin_of_row.shape)
        ones = np.ones(bin_of_row.size, dtype=np.float32)
        size = (len(folds) * n_folds * n_bins, int(cell.max()) + 1)
        matrix = csr_array((ones, (bin_of_row.ravel(), cell_of_row.ravel())), shape=size)
        own = np.zeros(size[1], dtype=np.intp)
        own[cell] = labels.y
        shape = (len(folds), n_folds, n_bins)
        return cls(matrix, matrix.sum(axis=1), shape, labels.n_classes, own, np.bincount(cell).astype(float))

    @property
    def draws_at_once(self) -> int:
        least = 1 if sum(self.matrix.shape) > _CHUNK_NUMBERS else _MIN_CHUNK_DRAWS
        return int(np.clip(_CHUNK_NUMBERS // (sum(self.matrix.shape) * self.n_classes), least, _CHUNK_DRAWS))

    def draw(self, y: Index) -> DrawnClasses:
        """Classes (D, cells) of many tables, for all columns of these labels.

        Where classes move to larger or smaller units, each class is weighted to its number of rows in the table, so
        that permuted tables have the prevalence of the table.
        """
        cells = np.ascontiguousarray(y.T)
        is_class = [np.equal(cells, c).astype(np.float32) for c in range(self.n_classes)]
        n_observed = np.bincount(self.own, weights=self.rows, minlength=self.n_classes)
        rows = self.rows.astype(np.float32)
        weights: list[Float32Array | None] = []
        for part, wanted in zip(is_class, n_observed, strict=True):
            weight = (wanted / np.maximum(rows @ part, 1)).astype(np.float32)
            weights.append(weight if (weight != 1).any() else None)
        return DrawnClasses(is_class, weights)

    def counts(self, drawn: DrawnClasses) -> list[Float32Array]:
        """By class, its rows (P, F, B, D)."""
        shape = (*self.shape, drawn.is_class[0].shape[1])
        by_class = [(self.matrix @ part).reshape(shape) for part in drawn.is_class[:-1]]
        last = np.broadcast_to(self.total.reshape(*self.shape, 1), shape).copy()
        for counted in by_class:
            last -= counted
        by_class.append(last)
        for counted, weight in zip(by_class, drawn.weights, strict=True):
            if weight is not None:
                counted *= weight
        return by_class


def _train(counts: list[Float32Array]) -> tuple[list[Float32Array], list[Float32Array]]:
    """Of each class, from the other folds: probability in the bin over frequency (P, F, B, D), and this frequency."""
    k, everything, size = np.float32(len(counts)), np.float32(0), np.float32(0)
    in_bin, overall = [], []
    for part in counts:
        in_bin.append(np.einsum("pfbd->pbd", part)[:, None] - part)
        overall.append(np.einsum("pfbd->pfd", in_bin[-1])[:, :, None] + np.float32(1))
        everything, size = everything + overall[-1], size + in_bin[-1]
    size = 1 / (size + k)
    frequency = [part / everything for part in overall]
    for n, q in zip(in_bin, frequency, strict=True):
        n *= 1 / q
        n += k
        n *= size
    return in_bin, frequency


def gain_of(counts: list[Float32Array]) -> FloatArray:
    """Information gain (D,), nat per row."""
    total = np.zeros((len(counts[0]), counts[0].shape[-1]))
    for part, lift in zip(counts, _train(counts)[0], strict=True):
        total += np.einsum("pfbd,pfbd->pd", part, np.log(lift, out=lift))
    rows = sum(part[0, :, :, 0].sum(dtype=float) for part in counts)
    return np.asarray(total.mean(axis=0) / rows)


def mean_scores(counter: Counter, y: Index) -> Scores:
    """Scores, averaged over the sets of classes (D, cells)."""
    return Scores(*np.mean(scores_of(counter, y), axis=1).tolist())


def scores_of(counter: Counter, y: Index) -> FloatArray:
    """Accuracy and balanced accuracy (2, D) of each set of classes (D, cells)."""
    counts = counter.counts(counter.draw(y))
    lift, frequency = _train(counts)
    probability = [ratio * q for ratio, q in zip(lift, frequency, strict=True)]
    rows = [part.sum(axis=(1, 2), dtype=float) for part in counts]
    recall = [hits / np.maximum(n, 1) for hits, n in zip(_hits(counts, lift), rows, strict=True)]
    present = np.sum([part.sum(axis=(1, 2))[0] > 0 for part in counts], axis=0)
    accuracy = np.sum(_hits(counts, probability), axis=0) / np.sum(rows, axis=0)
    return np.stack([accuracy.mean(axis=0), (np.sum(recall, axis=0) / present).mean(axis=0)])


def _hits(counts: list[Float32Array], preference: list[Float32Array]) -> list[FloatArray]:
    """By class, its rows for which it is the preferred class (the first of ties)."""
    chosen = np.argmax(preference, axis=0)
    return [(part * (chosen == c)).sum(axis=(1, 2), dtype=float) for c, part in enumerate(counts)]


def units_of(labels: GroupedLabels) -> tuple[Index, Index]:
    """Unit of each row, and the first row of each unit."""
    key = labels.group
    if labels.stratum is not None:
        key = labels.group * (int(labels.stratum.max()) + 1) + labels.stratum
    _, first, unit = np.unique(key, return_index=True, return_inverse=True)
    return unit.reshape(-1).astype(np.intp), first.astype(np.intp)


def cells_of(labels: GroupedLabels) -> Index:
    """Cell of each row: its unit, or the row itself where some unit contains several classes."""
    unit, first_row = units_of(labels)
    is_pure = (labels.y[first_row][unit] == labels.y).all()
    return unit if is_pure else np.arange(len(unit), dtype=np.intp)
