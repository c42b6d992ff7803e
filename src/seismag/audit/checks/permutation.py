"""Permutation tests of the out-of-fold information gain of binned columns.

In grouped folds a table without any association does not score 0.5, because the classes of the test fold are missing
from the training part. The null distribution therefore uses the same folds, with the classes permuted between groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from seismag.arrays import FloatArray
from seismag.audit.checks.out_of_fold import (
    Counter,
    GroupedLabels,
    Index,
    Scores,
    cells_of,
    gain_of,
    mean_scores,
    scores_of,
    units_of,
)
from seismag.config import AuditConfig
from seismag.scoring.null import PLACEBO_ALPHA, Null, placebo_rate

FIRST_DRAWS = 999  # permutations after which a test stops where p cannot be small any more
ENOUGH_EXCEEDANCES = 50  # of the first permutations: p is above 0.05 and no blocking check can fail
_MOST_TESTS = 30  # that one audit corrects together
_FEW_DRAWS = 199  # permutations after which p is above 0.25 where as many reach the statistic
_ROUNDING, _TIE = 1e-4, 0.01  # of gains in single precision, nat per row; and of standardised ones
_SCORED_DRAWS = 100  # permutations over which accuracies are averaged
_TESTED_PARTITIONS = 4  # that a gain is averaged over; more change p by less than its own error
_MANY_COLUMNS = 24
_PLACEBO_PERMUTATIONS, _PLACEBO_PARTITIONS = 99, 1
_PLACEBO_FIRST, _PLACEBO_EXCEEDANCES = 24, 5  # of 99 permutations: p is above 0.05


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
    smallest_p: float  # that a column could have, however well it predicts the class

    @property
    def accuracy_gain(self) -> float:
        """The larger excess of accuracy and balanced accuracy over their means under permutation."""
        return max(
            self.scores.accuracy - self.null_scores.accuracy,
            self.scores.balanced_accuracy - self.null_scores.balanced_accuracy,
        )


def compare_codes(
    codes: Mapping[str, Index], labels: GroupedLabels, folds: Index, spec: AuditConfig, rng: np.random.Generator
) -> ColumnTest:
    """Test whether any of several columns (n,) of bins predicts the class better than it predicts permuted classes.

    The information gain is the mean of ln(p_bc / q_c) of the true class over the first four partitions (two where
    more than 24 columns are tested): what the bin adds to the class frequencies. It is negative where the bins
    are noise. The same permutations serve all columns; each gain is standardised by its null, and the statistic of
    the test is the largest (Westfall & Young).

    Sampling stops after 199 or 999 permutations where at least 50 of them reach the statistic: p is then above 0.05, so
    only tests that pass are shortened, and these have no placebo rate. It stops too where so many permutations without
    one that reaches it are enough for Holm's procedure to reject among 30 tests (3,000 at an error of 1 %).

    Source: Westfall & Young (1993), Resampling-Based Multiple Testing, section 2.6; sequential stopping: Besag &
    Clifford (1991), doi:10.1093/biomet/78.2.301.
    """
    permuter = _Permuter.build(labels)
    tested = folds[: _TESTED_PARTITIONS if len(codes) <= _MANY_COLUMNS else 2]
    counters = [Counter.build(code, labels, tested) for code in codes.values()]
    observed = _gains(counters, counters[0].own[None])[0]
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
    counter = Counter.build(list(codes.values())[strongest], labels, folds)
    permuted = permuter.labels_of(permuter.permute(_SCORED_DRAWS, rng))
    placebo = None
    if is_open:
        few = [Counter.build(code, labels, folds[:_PLACEBO_PARTITIONS]) for code in codes.values()]
        placebo = _placebo_rate(few, permuter, spec.placebos, rng)
    null_scores = scores_of(counter, permuted)
    null_spread = Scores(*np.std(null_scores, axis=1, ddof=1).tolist())
    changes = (
        null_spread.balanced_accuracy > _ROUNDING
    )  # else no row's bin is in another fold, as where a site is a group
    return ColumnTest(
        strongest=list(codes)[strongest],
        statistic=float(observed[strongest]),
        null=Null(gains[:, strongest]),
        p_value=null.p_value(float(excess.max())),
        p_by_column={name: null.p_value(float(value)) for name, value in zip(codes, excess, strict=True)},
        placebo_rate=placebo,
        scores=mean_scores(counter, counter.own[None]),
        null_scores=Scores(*np.mean(null_scores, axis=1).tolist()),
        null_spread=null_spread,
        smallest_p=max(permuter.smallest_p(), 1 / (1 + spec.permutations)) if changes else 1.0,
    )


def permuted_classes(labels: GroupedLabels, n_draws: int, rng: np.random.Generator) -> Index:
    """Classes (n_draws, n) permuted between groups, within strata where there are any.

    A group that receives the classes of a smaller one repeats them, so the counts of groups stay, not those of rows.
    """
    permuter = _Permuter.build(labels)
    return permuter.labels_of(permuter.permute(n_draws, rng))[:, cells_of(labels)]


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


def _placebo_rate(counters: list[Counter], permuter: _Permuter, placebos: int, rng: np.random.Generator) -> float:
    """Placebo rate over tables in which the class of each unit is sampled independently from the prevalence."""
    p_values = []
    for source in permuter.sample(placebos, rng):
        y = permuter.labels_of(source[None])[0]
        of_placebo = [replace(counter, own=y) for counter in counters]
        own = replace(permuter, sorted_y=y[permuter.sorted_cell])
        few = np.concatenate([y[None], own.labels_of(own.permute(_PLACEBO_FIRST, rng))])
        observed, *first = _gains(of_placebo, few)
        gains = np.array(first)
        if _maximum_null(gains).count_extreme(_largest(observed, gains)) < _PLACEBO_EXCEEDANCES:
            more = _permuted_gains(of_placebo, own, _PLACEBO_PERMUTATIONS - _PLACEBO_FIRST, rng)
            gains = np.concatenate([gains, more])
        p_values.append(_maximum_null(gains).p_value(_largest(observed, gains)))
        if len(p_values) >= placebos / 2 and placebo_rate(p_values) <= PLACEBO_ALPHA:
            break  # the rate of all would hardly be above the largest that is let pass
    return placebo_rate(p_values)


def _gains(counters: list[Counter], y: Index) -> FloatArray:
    """Information gain (D, columns) of classes (D, cells)."""
    drawn = counters[0].draw(y)
    return np.stack([gain_of(counter.counts(drawn)) for counter in counters], axis=1)


def _permuted_gains(counters: list[Counter], permuter: _Permuter, n_draws: int, rng: np.random.Generator) -> FloatArray:
    """Information gain of each column where classes are permuted: (draws, columns)."""
    result = np.empty((n_draws, len(counters)))
    chunk = min(counter.draws_at_once for counter in counters)
    for start in range(0, n_draws, chunk):
        end = min(start + chunk, n_draws)
        result[start:end] = _gains(counters, permuter.labels_of(permuter.permute(end - start, rng)))
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
        unit, first_row = units_of(labels)
        order = np.argsort(unit, kind="stable")
        size = np.bincount(unit)
        first = np.cumsum(size) - size
        stratum = np.zeros(len(size), dtype=np.intp) if labels.stratum is None else labels.stratum[first_row]
        members = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]
        cell = cells_of(labels)
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

    def smallest_p(self) -> float:
        """One over the number of different permutations; a unit of several classes is like no other."""
        last = np.append(self.first[1:], len(self.sorted_y)) - 1
        is_pure = np.minimum.reduceat(self.sorted_y, self.first) == np.maximum.reduceat(self.sorted_y, self.first)
        kind = np.where(is_pure, self.sorted_y[last], -1)
        log_number = 0.0
        for units in self.members:
            counts = np.unique(kind[units][kind[units] >= 0], return_counts=True)[1]
            log_number += gammaln(len(units) + 1) - gammaln(counts + 1).sum()
        return float(np.exp(-log_number))

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
