"""Out-of-fold prediction of the class from one binned column, and its permutation test.

A column is a code (n,) of bins. A row is predicted from the class counts of its bin in the training part; the rows of
a group stay in one fold. All scores follow from counts by fold, bin and class, so a permuted table costs one sparse
product instead of a refit.

In grouped folds a table without any association does not score 0.5, because the classes of the test fold are missing
from the training part. The null distribution therefore uses the same folds, with the classes permuted between groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seismag.arrays import Float32Array, FloatArray
from seismag.config import AuditConfig
from seismag.scoring.null import Null, placebo_rate

Index = NDArray[np.intp]

FIRST_DRAWS = 999  # permutations after which a test stops where p cannot be small any more
ENOUGH_EXCEEDANCES = 50  # of the first permutations: p is above 0.05 and no blocking check can fail
_MOST_TESTS = 30  # that one audit corrects together
_FEW_DRAWS = 199  # permutations after which p is above 0.25 where as many reach the statistic
_ROUNDING, _TIE = 1e-4, 0.01  # of gains in single precision, nat per row; and of standardised ones
_SCORED_DRAWS = 100  # permutations over which accuracies are averaged
_TESTED_PARTITIONS = 4  # that a gain is averaged over; more change p by less than its own error
_PLACEBO_PERMUTATIONS, _PLACEBO_PARTITIONS = 99, 1
_PLACEBO_FIRST, _PLACEBO_EXCEEDANCES = 24, 5  # of 99 permutations: p is above 0.05
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


@dataclass(frozen=True)
class ColumnTest:
    """Permutation test of the information gain of several columns."""

    strongest: str  # column with the largest standardised gain
    statistic: float  # its gain, nat per row
    null: Null  # of its gain
    p_value: float  # of the maximum over all columns
    p_by_column: Mapping[str, float]  # of each column, adjusted for all
    placebo_rate: float | None  # None where p is above 0.05
    scores: Scores  # of the strongest column
    null_scores: Scores  # means over permutations
    null_spread: Scores  # standard deviations over permutations

    @property
    def accuracy_gain(self) -> float:
        """The larger excess of accuracy and balanced accuracy over their means under permutation."""
        return max(
            self.scores.accuracy - self.null_scores.accuracy,
            self.scores.balanced_accuracy - self.null_scores.balanced_accuracy,
        )


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
    counter = _Counter.build(code, labels, folds)
    return _mean_scores(counter, counter.own[None])


def compare_codes(
    codes: Mapping[str, Index], labels: GroupedLabels, folds: Index, spec: AuditConfig, rng: np.random.Generator
) -> ColumnTest:
    """Test whether any of several columns (n,) of bins predicts the class better than it predicts permuted classes.

    The information gain is the mean of ln(p_bc / q_c) of the true class over the first four partitions: what the bin
    adds to the class frequencies. It is negative where the bins are noise. The same permutations serve all columns;
    each gain is standardised by its null, and the statistic of the test is the largest (Westfall & Young).

    Sampling stops after 199 or 999 permutations where at least 50 of them reach the statistic: p is then above 0.05, so
    only tests that pass are shortened, and these have no placebo rate. It stops too where so many permutations without
    one that reaches it are enough for Holm's procedure to reject among 30 tests (3,000 at an error of 1 %).

    Source: Westfall & Young (1993), Resampling-Based Multiple Testing, section 2.6; sequential stopping: Besag &
    Clifford (1991), doi:10.1093/biomet/78.2.301.
    """
    permuter = _Permuter.build(labels)
    counters = [_Counter.build(code, labels, folds[:_TESTED_PARTITIONS]) for code in codes.values()]
    observed = _observed_gains(counters)
    gains, is_open = np.empty((0, len(counters))), True
    n_sure = int(_MOST_TESTS / spec.family_wise_error)  # without any exceedance, Holm rejects among so many tests
    for stage in (_FEW_DRAWS, FIRST_DRAWS, n_sure, spec.permutations):
        n_more = min(stage, spec.permutations) - len(gains)
        if n_more > 0:
            gains = np.concatenate([gains, _permuted_gains(counters, permuter, n_more, rng)])
        n_extreme = _maximum_null(gains).count_extreme(_largest(observed, gains))
        is_open = n_extreme < ENOUGH_EXCEEDANCES
        if not is_open or (n_extreme == 0 and len(gains) >= n_sure):
            break
    null, excess = _maximum_null(gains), _standardise(observed, gains)
    strongest = int(np.argmax(excess))
    counter = _Counter.build(list(codes.values())[strongest], labels, folds)
    permuted = permuter.labels_of(permuter.permute(_SCORED_DRAWS, rng))
    placebo = None
    if is_open:
        few = [_Counter.build(code, labels, folds[:_PLACEBO_PARTITIONS]) for code in codes.values()]
        placebo = _placebo_rate(few, permuter, spec.placebos, rng)
    null_scores = _scores(counter, permuted)
    return ColumnTest(
        strongest=list(codes)[strongest],
        statistic=float(observed[strongest]),
        null=Null(gains[:, strongest]),
        p_value=null.p_value(float(excess.max())),
        p_by_column={name: null.p_value(float(value)) for name, value in zip(codes, excess, strict=True)},
        placebo_rate=placebo,
        scores=_mean_scores(counter, counter.own[None]),
        null_scores=Scores(*np.mean(null_scores, axis=1).tolist()),
        null_spread=Scores(*np.std(null_scores, axis=1, ddof=1).tolist()),
    )


def permuted_classes(labels: GroupedLabels, n_draws: int, rng: np.random.Generator) -> Index:
    """Classes (n_draws, n) permuted between groups, within strata where there are any.

    A group that receives the classes of a smaller one repeats them, so the counts of groups stay, not those of rows.
    """
    permuter = _Permuter.build(labels)
    return permuter.labels_of(permuter.permute(n_draws, rng))[:, _cells(labels)]


def cross_codes(*codes: Index) -> Index:
    """Code (n,) of the combinations of several codes that occur."""
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1).astype(np.intp)


def _standardise(values: FloatArray, gains: FloatArray) -> FloatArray:
    # a null without spread may be equalled but, whatever the rounding, not exceeded
    return np.asarray((values - gains.mean(axis=0)) / np.maximum(gains.std(axis=0), _ROUNDING))


def _largest(observed: FloatArray, gains: FloatArray) -> float:
    return float(_standardise(observed, gains).max())


def _maximum_null(gains: FloatArray) -> Null:
    return Null(_standardise(gains, gains).max(axis=1), _TIE)


def _placebo_rate(counters: list[_Counter], permuter: _Permuter, placebos: int, rng: np.random.Generator) -> float:
    """Placebo rate over tables in which the class of each unit is sampled independently from the prevalence."""
    p_values = []
    for source in permuter.sample(placebos, rng):
        y = permuter.labels_of(source[None])[0]
        of_placebo = [replace(counter, own=y) for counter in counters]
        own = replace(permuter, sorted_y=y[permuter.sorted_cell])
        observed, gains = _observed_gains(of_placebo), np.empty((0, len(counters)))
        for n_draws in (_PLACEBO_FIRST, _PLACEBO_PERMUTATIONS):
            gains = np.concatenate([gains, _permuted_gains(of_placebo, own, n_draws - len(gains), rng)])
            null, excess = _maximum_null(gains), _largest(observed, gains)
            if null.count_extreme(excess) >= _PLACEBO_EXCEEDANCES:
                break
        p_values.append(null.p_value(excess))
    return placebo_rate(p_values)


def _observed_gains(counters: list[_Counter]) -> FloatArray:
    return np.array([_gain(counter.counts(counter.own[None]))[0] for counter in counters])


def _permuted_gains(
    counters: list[_Counter], permuter: _Permuter, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """Information gain of each column where classes are permuted: (draws, columns)."""
    result = np.empty((n_draws, len(counters)))
    chunk = min(counter.draws_at_once for counter in counters)
    for start in range(0, n_draws, chunk):
        end = min(start + chunk, n_draws)
        y = permuter.labels_of(permuter.permute(end - start, rng))
        for column, counter in enumerate(counters):
            result[start:end, column] = _gain(counter.counts(y))
    return result


@dataclass(frozen=True)
class _Permuter:
    """Gives the classes of whole units (a group, or its part in a stratum) to other units of the stratum.

    A cell is what changes its class as one: a unit, or a row where some unit contains several classes.
    """

    sorted_y: Index  # (n,) classes, unit by unit
    first: Index  # (units,) position of the first row of a unit in sorted_y
    size: Index  # (units,)
    members: list[Index]  # units of each stratum
    sorted_cell: Index  # (n,) cell of each row, unit by unit
    unit: Index  # (cells,)
    position: Index  # (cells,) position of the cell's row within its unit

    @classmethod
    def build(cls, labels: GroupedLabels) -> _Permuter:
        unit, first_row = _units(labels)
        order = np.argsort(unit, kind="stable")
        size = np.bincount(unit)
        first = np.cumsum(size) - size
        stratum = np.zeros(len(size), dtype=np.intp) if labels.stratum is None else labels.stratum[first_row]
        members = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]
        cell = _cells(labels)
        _, row = np.unique(cell, return_index=True)
        position = np.empty(len(unit), dtype=np.intp)
        position[order] = np.arange(len(unit)) - np.repeat(first, size)
        return cls(labels.y[order], first, size, members, cell[order], unit[row], position[row])

    def permute(self, n_draws: int, rng: np.random.Generator) -> Index:
        """Unit whose classes each unit receives, (n_draws, units)."""
        source = np.empty((n_draws, len(self.size)), dtype=np.intp)
        for units in self.members:
            source[:, units] = rng.permuted(np.tile(units, (n_draws, 1)), axis=1)
        return source

    def sample(self, n_draws: int, rng: np.random.Generator) -> Index:
        """As ``permute``, but sampled with replacement, with probabilities in proportion to the rows of the units."""
        source = np.empty((n_draws, len(self.size)), dtype=np.intp)
        for units in self.members:
            weight = self.size[units] / self.size[units].sum()
            source[:, units] = rng.choice(units, size=(n_draws, len(units)), p=weight)
        return source

    def labels_of(self, source: Index) -> Index:
        """Classes of the cells (draws, cells); a larger unit repeats the classes that it receives."""
        if len(self.unit) == len(self.size):  # every cell is a whole unit of one class
            return np.asarray(self.sorted_y[self.first][source[:, self.unit]])
        received = source[:, self.unit]
        return np.asarray(self.sorted_y[self.first[received] + self.position % self.size[received]])


@dataclass(frozen=True)
class _Counter:
    """Counts by partition, fold, bin and class, for many permutations at once."""

    matrix: csr_array  # (P F B, cells) rows of each cell
    total: Float32Array  # (P F B,) rows of all classes
    shape: tuple[int, int, int]  # partitions, folds, bins
    n_classes: int
    own: Index  # (cells,) observed class
    rows: FloatArray  # (cells,) rows of the cells

    @classmethod
    def build(cls, code: Index, labels: GroupedLabels, folds: Index) -> _Counter:
        cell, n_bins, n_folds = _cells(labels), int(code.max()) + 1, int(folds.max()) + 1
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

    def counts(self, y: Index) -> list[Float32Array]:
        """By class, its rows (P, F, B, D), for classes (D, cells).

        Where classes move to larger or smaller units, each class is weighted to its number of rows in the table, so
        that permuted tables have the prevalence of the table.
        """
        shape = (*self.shape, len(y))
        cells = np.ascontiguousarray(y.T)
        is_class = [np.equal(cells, c).astype(np.float32) for c in range(self.n_classes)]
        by_class = [(self.matrix @ part).reshape(shape) for part in is_class[:-1]]
        last = np.broadcast_to(self.total.reshape(*self.shape, 1), shape).copy()
        for counted in by_class:
            last -= counted
        by_class.append(last)
        n_observed = np.bincount(self.own, weights=self.rows, minlength=self.n_classes)
        rows = self.rows.astype(np.float32)
        for counted, part, wanted in zip(by_class, is_class, n_observed, strict=True):
            weight = (wanted / np.maximum(rows @ part, 1)).astype(np.float32)
            if (weight != 1).any():
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


def _gain(counts: list[Float32Array]) -> FloatArray:
    """Information gain (D,), nat per row."""
    total = np.zeros((len(counts[0]), counts[0].shape[-1]))
    for part, lift in zip(counts, _train(counts)[0], strict=True):
        total += np.einsum("pfbd,pfbd->pd", part, np.log(lift, out=lift))
    rows = sum(part[0, :, :, 0].sum(dtype=float) for part in counts)
    return np.asarray(total.mean(axis=0) / rows)


def _mean_scores(counter: _Counter, y: Index) -> Scores:
    """Scores, averaged over the sets of classes (D, cells)."""
    return Scores(*np.mean(_scores(counter, y), axis=1).tolist())


def _scores(counter: _Counter, y: Index) -> FloatArray:
    """Accuracy and balanced accuracy (2, D) of each set of classes (D, cells)."""
    counts = counter.counts(y)
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


def _units(labels: GroupedLabels) -> tuple[Index, Index]:
    """Unit of each row, and the first row of each unit."""
    key = labels.group
    if labels.stratum is not None:
        key = labels.group * (int(labels.stratum.max()) + 1) + labels.stratum
    _, first, unit = np.unique(key, return_index=True, return_inverse=True)
    return unit.reshape(-1).astype(np.intp), first.astype(np.intp)


def _cells(labels: GroupedLabels) -> Index:
    """Cell of each row: its unit, or the row itself where some unit contains several classes."""
    unit, first_row = _units(labels)
    is_pure = (labels.y[first_row][unit] == labels.y).all()
    return unit if is_pure else np.arange(len(unit), dtype=np.intp)
