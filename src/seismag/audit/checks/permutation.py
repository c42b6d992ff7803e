"""How well one column alone predicts the class out of fold, and how well it would if the class were shuffled.

A column is a code (n,) of bins. The rule predicts a row from the class counts that the training part has in the
row's bin. Rows of one group stay in one fold. Everything rests on the counts by (fold, bin, class), so a shuffled
table costs one count of its cells, not a refit.

Grouped folds of a table without any association do not give 0.5: what a fold holds, training lacks. The null is
therefore always the same folds with the class moved between groups, never a constant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from seismag.arrays import FloatArray

Index = NDArray[np.intp]

FIRST_DRAWS = 999  # after these a null goes on only where p may still be small
ENOUGH_EXCEEDANCES = 50  # of the first draws: p is above 0.05 and no gate would hear it
PLACEBO_LIMIT = 0.08  # share of p <= 0.05 without association above which a test says that its p is too small
PLACEBO_LEVEL = 0.05
_TIE = 1e-6  # of single precision
_SCORED_DRAWS = 100  # shuffles whose accuracies are averaged
_PLACEBO_DRAWS, _PLACEBO_PARTITIONS = 99, 4
_CHUNK_NUMBERS, _CHUNK_DRAWS = 8_000_000, 128  # float32 held at once, and draws


@dataclass(frozen=True)
class GroupedLabels:
    """The class of each row and the group that it cannot be parted from.

    Attributes:
        y: (n,) class, 0 to n_classes - 1.
        group: (n,) group, 0 to n_groups - 1: its rows lie in one fold and are shuffled as one.
        n_classes: k.
        stratum: (n,) where given, the class is moved within a stratum only (and a group's rows in it as one).
    """

    y: Index
    group: Index
    n_classes: int
    stratum: Index | None = None

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of a rule: accuracy, balanced accuracy of its balanced form, and information gain (nat)."""

    accuracy: float
    balanced_accuracy: float
    gain_nat: float


@dataclass(frozen=True)
class NullTest:
    """Information gain beside its values where the class was shuffled between groups.

    Attributes:
        strongest: name of the code with the largest excess over its null in standard deviations of the null.
        statistic: information gain of that code, out of fold, nat per row.
        null: (draws,) the same, shuffled.
        p_value: (1 + draws at least as extreme) / (1 + draws), over the maximum of all codes.
        placebo_rate: share of placebos with p <= 0.05.
        scores: of that code; ``shuffled_scores`` their means where the class was shuffled.
    """

    strongest: str
    statistic: float
    null: FloatArray
    p_value: float
    placebo_rate: float
    scores: Scores
    shuffled_scores: Scores

    @property
    def accuracy_gain(self) -> float:
        """The larger excess of accuracy and balanced accuracy over their means where the class was shuffled."""
        return max(
            self.scores.accuracy - self.shuffled_scores.accuracy,
            self.scores.balanced_accuracy - self.shuffled_scores.balanced_accuracy,
        )

    def interval(self) -> dict[str, float]:
        """Mean and central 95 % of the null."""
        low, high = np.quantile(self.null, [0.025, 0.975])
        return {"mean": float(self.null.mean()), "low": float(low), "high": float(high)}


@dataclass(frozen=True)
class Draws:
    """How much is drawn, and from what.

    Attributes:
        permutations, placebos: their numbers.
        folds: (P, n_groups) fold of each group.
        rng: generator.
    """

    permutations: int
    placebos: int
    folds: Index
    rng: np.random.Generator


def draw_folds(n_groups: int, n_folds: int, n_partitions: int, rng: np.random.Generator) -> Index:
    """Deal the groups into folds of equal numbers of groups, anew for each partition: (n_partitions, n_groups).

    Raises:
        ValueError: fewer than two groups. With fewer groups than folds each group is a fold.
    """
    if n_groups < 2:
        raise ValueError(f"{n_groups} group cannot be divided into folds")
    dealt = np.arange(n_groups) % min(n_folds, n_groups)
    return np.asarray(rng.permuted(np.tile(dealt, (n_partitions, 1)), axis=1), dtype=np.intp)


def out_of_fold(code: Index, labels: GroupedLabels, folds: Index) -> Scores:
    """Predict each row from the rows of its bin in the other folds; scores averaged over partitions.

    The rule gives class c the probability ``p_bc = (n_bc + k q_c) / (n_b + k)``, n the training counts and q the
    training's class frequencies by Laplace's rule. Accuracy takes the most probable class, balanced accuracy that of
    the largest p_bc / q_c. The information gain is the mean of ln(p_bc / q_c) of what happened: what the bin tells
    beyond the class frequencies. It is negative where the bins are noise.

    Source: Good (1965), The Estimation of Probabilities, chapter 3.
    """
    counter = _Counter.build(code, labels, folds)
    return _mean_scores(counter, counter.own[None])


def compare_codes(codes: Mapping[str, Index], labels: GroupedLabels, draws: Draws) -> NullTest:
    """Ask whether any of some codes tells more of the class than it does of a shuffled class.

    The same shuffles serve all codes; each is standardised by its null, and the largest counts (Westfall & Young).
    Drawing ends after 999 draws where at least 50 of them reach the statistic: such a p is above 0.05, and only
    tests that pass are cut short.

    Args:
        codes: by name, (n,) bins from 0.
        labels: class, group, and the strata in which the class is shuffled.
        draws: number of permutations and placebos, folds, generator.

    Source: Westfall & Young (1993), Resampling-Based Multiple Testing, section 2.6; p-value: Phipson & Smyth (2010),
    doi:10.2202/1544-6115.1585.
    """
    shuffler = _Shuffler.build(labels)
    counters = [_Counter.build(code, labels, draws.folds) for code in codes.values()]
    observed = np.array([_gain(counter.counts(counter.own[None]))[0] for counter in counters])
    null = _gains(counters, shuffler, shuffler.permute, min(FIRST_DRAWS, draws.permutations), draws.rng)
    if _count_extreme(observed, null) < ENOUGH_EXCEEDANCES and draws.permutations > len(null):
        rest = _gains(counters, shuffler, shuffler.permute, draws.permutations - len(null), draws.rng)
        null = np.concatenate([null, rest])
    strongest = int(np.argmax(_standardise(observed[None], null)[0]))
    counter = counters[strongest]
    shuffled = shuffler.labels_of(shuffler.permute(_SCORED_DRAWS, draws.rng))
    return NullTest(
        strongest=list(codes)[strongest],
        statistic=float(observed[strongest]),
        null=null[:, strongest],
        p_value=(1 + _count_extreme(observed, null)) / (1 + len(null)),
        placebo_rate=_placebo_rate(codes, labels, shuffler, draws),
        scores=_mean_scores(counter, counter.own[None]),
        shuffled_scores=_mean_scores(counter, shuffled),
    )


def shuffled_labels(labels: GroupedLabels, n_draws: int, rng: np.random.Generator) -> Index:
    """Classes (n_draws, n) moved between groups, within strata where there are some.

    A larger group repeats the classes that it receives, so a draw holds the table's classes by group, not by row.
    """
    shuffler = _Shuffler.build(labels)
    return shuffler.labels_of(shuffler.permute(n_draws, rng))[:, _cells(labels)]


def cross_codes(*codes: Index) -> Index:
    """Number the combinations of several codes that occur."""
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1).astype(np.intp)


def _standardise(values: FloatArray, null: FloatArray) -> FloatArray:
    # a null without spread can be reached, never exceeded; rounding must not exceed it either
    return np.asarray((values - null.mean(axis=0)) / np.maximum(null.std(axis=0), 1e-5))


def _count_extreme(values: FloatArray, null: FloatArray) -> int:
    largest = _standardise(null, null).max(axis=1)
    return int(np.count_nonzero(largest >= _standardise(values[None], null).max() - _TIE))


def _placebo_rate(codes: Mapping[str, Index], labels: GroupedLabels, shuffler: _Shuffler, draws: Draws) -> float:
    """Share with p <= 0.05 of tables in which each unit drew its class by itself, from the prevalence."""
    struck = 0
    counters = [_Counter.build(code, labels, draws.folds[:_PLACEBO_PARTITIONS]) for code in codes.values()]
    for source in shuffler.draw_anew(draws.placebos, draws.rng):
        y = shuffler.labels_of(source[None])[0]
        drawn = [dataclasses.replace(counter, own=y) for counter in counters]
        own = dataclasses.replace(shuffler, sorted_y=y[shuffler.sorted_cell])
        observed = np.array([_gain(counter.counts(y[None]))[0] for counter in drawn])
        null = _gains(drawn, own, own.permute, _PLACEBO_DRAWS, draws.rng)
        struck += (1 + _count_extreme(observed, null)) / (1 + len(null)) <= PLACEBO_LEVEL
    return struck / draws.placebos


def _gains(
    counters: list[_Counter],
    shuffler: _Shuffler,
    draw: Callable[[int, np.random.Generator], Index],
    n_draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Information gain of each code (draws, codes) on classes that ``draw`` gives the units."""
    result = np.empty((n_draws, len(counters)))
    chunk = min(counter.draws_at_once for counter in counters)
    for start in range(0, n_draws, chunk):
        end = min(start + chunk, n_draws)
        y = shuffler.labels_of(draw(end - start, rng))
        for j, counter in enumerate(counters):
            result[start:end, j] = _gain(counter.counts(y))
    return result


@dataclass(frozen=True)
class _Shuffler:
    """Moves the classes of whole units (a group, or its part in a stratum) to other units of the stratum."""

    sorted_y: Index  # (n,) classes, unit by unit
    first: Index  # (units,) place of the first of a unit
    size: Index  # (units,)
    members: list[Index]  # by stratum, its units
    sorted_cell: Index  # (n,) cell of each row, unit by unit
    unit: Index  # (M,) of each cell
    position: Index  # (M,) place of the cell's row within its unit; cells are units where all are pure

    @classmethod
    def build(cls, labels: GroupedLabels) -> _Shuffler:
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

    def draw_anew(self, n_draws: int, rng: np.random.Generator) -> Index:
        """As ``permute``, but each unit draws by itself, others by their share of rows: classes of the prevalence."""
        source = np.empty((n_draws, len(self.size)), dtype=np.intp)
        for units in self.members:
            share = self.size[units] / self.size[units].sum()
            source[:, units] = rng.choice(units, size=(n_draws, len(units)), p=share)
        return source

    def labels_of(self, source: Index) -> Index:
        """Classes of the cells (draws, M); a larger unit repeats the classes that it receives."""
        given = source[:, self.unit]
        return np.asarray(self.sorted_y[self.first[given] + self.position % self.size[given]])


@dataclass(frozen=True)
class _Counter:
    """Counts by (partition, fold, bin) and class, as one sparse product for many draws."""

    matrix: csr_array  # (P F B, M) rows of each cell
    total: NDArray[np.float32]  # (P F B,) rows, whatever their class
    shape: tuple[int, int, int]  # partitions, folds, bins
    n_classes: int
    own: Index  # (M,) class of the cells as they are
    rows: FloatArray  # (M,) rows of the cells

    @classmethod
    def build(cls, code: Index, labels: GroupedLabels, folds: Index) -> _Counter:
        cell, n_bins, n_folds = _cells(labels), int(code.max()) + 1, int(folds.max()) + 1
        place = (np.arange(len(folds))[:, None] * n_folds + folds[:, labels.group]) * n_bins + code
        columns = np.broadcast_to(cell, place.shape)
        ones = np.ones(place.size, dtype=np.float32)
        n_places, n_cells = len(folds) * n_folds * n_bins, int(cell.max()) + 1
        matrix = csr_array((ones, (place.ravel(), columns.ravel())), shape=(n_places, n_cells))
        own = np.zeros(n_cells, dtype=np.intp)
        own[cell] = labels.y
        shape = (len(folds), n_folds, n_bins)
        return cls(matrix, matrix.sum(axis=1), shape, labels.n_classes, own, np.bincount(cell).astype(float))

    @property
    def draws_at_once(self) -> int:
        return int(np.clip(_CHUNK_NUMBERS // (sum(self.matrix.shape) * self.n_classes), 1, _CHUNK_DRAWS))

    def counts(self, y: Index) -> list[NDArray[np.float32]]:
        """By class, (P, F, B, D) rows of it, for classes (D, M) of the cells.

        Where classes have moved to larger or smaller units, each class is weighted to the rows that it has in the
        table: shuffled tables have the prevalence of the table.
        """
        shape = (*self.shape, len(y))
        is_class = [np.equal(y, c).astype(np.float32) for c in range(self.n_classes)]
        by_class = [(self.matrix @ part.T).reshape(shape) for part in is_class[:-1]]
        last = np.broadcast_to(self.total.reshape(*self.shape, 1), shape).copy()
        for counted in by_class:
            last -= counted
        by_class.append(last)
        rows_as_they_are = np.bincount(self.own, weights=self.rows, minlength=self.n_classes)
        for counted, part, wanted in zip(by_class, is_class, rows_as_they_are, strict=True):
            counted *= (wanted / np.maximum(part @ self.rows, 1)).astype(np.float32)
        return by_class


@dataclass(frozen=True)
class _Trained:
    """What the other folds hold, by class: in the bin (P, F, B, D), and in all bins as frequencies (P, F, 1, D)."""

    in_bin: list[NDArray[np.float32]]
    frequency: list[NDArray[np.float32]]

    @classmethod
    def on(cls, counts: list[NDArray[np.float32]]) -> _Trained:
        in_bin = [part.sum(axis=1, keepdims=True) - part for part in counts]
        overall = [part.sum(axis=2, keepdims=True) + np.float32(1) for part in in_bin]
        everything = np.sum(overall, axis=0)
        return cls(in_bin, [part / everything for part in overall])

    def lift(self) -> list[NDArray[np.float32]]:
        """Probability of each class in the bin over its frequency."""
        k = np.float32(len(self.in_bin))
        size = np.sum(self.in_bin, axis=0) + k
        return [(n / q + k) / size for n, q in zip(self.in_bin, self.frequency, strict=True)]


def _gain(counts: list[NDArray[np.float32]]) -> FloatArray:
    """Information gain (D,), nat per row."""
    total = np.float32(0)
    for part, lift in zip(counts, _Trained.on(counts).lift(), strict=True):
        total = total + (part * np.log(lift)).sum(axis=(1, 2), dtype=float)
    rows = sum(part[0, :, :, 0].sum(dtype=float) for part in counts)
    return np.asarray(total.mean(axis=0) / rows)


def _mean_scores(counter: _Counter, y: Index) -> Scores:
    """Scores, averaged over the draws of classes (D, M)."""
    counts = counter.counts(y)
    trained = _Trained.on(counts)
    lift = trained.lift()
    likely = [ratio * q for ratio, q in zip(lift, trained.frequency, strict=True)]
    recall = [hits / np.maximum(n, 1) for hits, n in _hits(counts, lift)]
    present = np.sum([part.sum(axis=(1, 2))[0] > 0 for part in counts], axis=0)
    hits, rows = (np.sum(values, axis=0) for values in zip(*_hits(counts, likely), strict=True))
    return Scores(
        accuracy=float((hits / rows).mean()),
        balanced_accuracy=float((np.sum(recall, axis=0) / present).mean()),
        gain_nat=float(_gain(counts).mean()),
    )


def _hits(
    counts: list[NDArray[np.float32]], preference: list[NDArray[np.float32]]
) -> list[tuple[FloatArray, FloatArray]]:
    """By class, rows of it that are predicted as the most preferred class (the first of equals), and all of it."""
    best, chosen = preference[0].copy(), np.zeros(preference[0].shape, dtype=np.int8)
    for c, values in enumerate(preference[1:], start=1):
        chosen[values > best] = c
        np.maximum(best, values, out=best)
    return [
        ((part * (chosen == c)).sum(axis=(1, 2), dtype=float), part.sum(axis=(1, 2), dtype=float))
        for c, part in enumerate(counts)
    ]


def _units(labels: GroupedLabels) -> tuple[Index, Index]:
    """Unit of each row, and the first row of each unit."""
    key = labels.group
    if labels.stratum is not None:
        key = labels.group * (int(labels.stratum.max()) + 1) + labels.stratum
    _, first, unit = np.unique(key, return_index=True, return_inverse=True)
    return unit.reshape(-1).astype(np.intp), first.astype(np.intp)


def _cells(labels: GroupedLabels) -> Index:
    """What changes its class as one: units, or rows where a unit holds several classes."""
    unit, first_row = _units(labels)
    return unit if (labels.y[first_row][unit] == labels.y).all() else np.arange(len(unit), dtype=np.intp)
