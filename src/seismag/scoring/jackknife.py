"""Intervals and p-values of scores from the delete-one-group jackknife.

A score is computed again without each group of windows in turn. Its variance follows from these values, event clusters
and control blocks apart. The limits are those of Student's t, whose degrees of freedom are half of Satterthwaite's: the
contributions of groups of unequal size have an excess kurtosis of about 2, which doubles the variance of a variance.
Scores between two limits are transformed by the logit first, so that no limit is crossed. Below ``FEW_CLUSTERS`` groups
of a kind no score has an interval or a p-value. Measured coverage and size: ``benchmarks/coverage.py``.

Source: Efron & Stein (1981), doi:10.1214/aos/1176345462; by stratum Wolter (2007), Introduction to Variance Estimation,
section 4.5; degrees of freedom Satterthwaite (1946), doi:10.2307/3002019; t with few clusters Cameron & Miller (2015),
doi:10.3368/jhr.50.2.317.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from seismag.arrays import BoolArray, FloatArray
from seismag.domain import FEW_CLUSTERS

Range = tuple[float, float]
_ROUNDING = 1e-6  # of a standard error, in units of the score's range: sums by group are in single precision


def smallest_kind(has_event: BoolArray) -> int:
    """Number of event clusters or of control blocks, whichever is smaller; of the kind that occurs, if one does."""
    n_event = int(np.count_nonzero(has_event))
    return min((n for n in (n_event, len(has_event) - n_event) if n), default=0)


def inconclusive(has_event: BoolArray) -> str | None:
    """Sentence part for fewer groups of a kind than an interval needs; None for enough."""
    if smallest_kind(has_event) >= FEW_CLUSTERS:
        return None
    n_event = int(np.count_nonzero(has_event))
    return (
        f"inconclusive ({n_event} event clusters, {len(has_event) - n_event} control blocks; at least {FEW_CLUSTERS} "
        "of each are needed)"
    )


@dataclass(frozen=True)
class LeftOut:
    """A score without each group in turn.

    Attributes:
        values: (n_groups,) the score of all other groups.
        strata: (n_groups,) whether the group has an event; both kinds vary apart.
        rows: number of rows of the table, which limits how close to its end a score counts.
        limits: the smallest and the largest possible score; None: without limits.
        is_difference: the values are differences of two scores within these limits.
    """

    values: FloatArray
    strata: BoolArray
    rows: int
    limits: Range | None = None
    is_difference: bool = False

    def minus(self, other: LeftOut) -> LeftOut:
        """Differences of two scores of the same groups."""
        return replace(self, values=self.values - other.values, is_difference=True)

    def interval(self, value: float, confidence: float) -> tuple[float, float]:
        """Return the confidence interval of the score.

        Args:
            value: of the whole table. confidence: such as 0.95.

        Returns:
            Both ends; NaN with fewer than ``FEW_CLUSTERS`` groups of a kind, where the score is undefined without one
            of the groups, and for a score without limits that does not vary.
        """
        tail = (1 - confidence) / 2
        if not self._is_usable(value):
            return float("nan"), float("nan")
        if not self._varies(value):
            return self._without_variance(value, tail)
        if self.limits is None or self.is_difference:
            half = self._half_width(self.values, tail)
            return value - half, value + half
        half = self._half_width(self._to_line(self.values, self.limits), tail)
        middle = float(self._to_line(np.array(value), self.limits))
        low, high = self._from_line(np.array([middle - half, middle + half]), self.limits)
        return float(low), float(high)

    def p_value(self, difference: float) -> float:
        """One-sided p-value of a difference above 0; NaN where there is no interval.

        Without any variance it is the tail of the interval that ends at 0.
        """
        if not self._is_usable(difference):
            return float("nan")
        if self._varies(difference):
            error, freedom = self._standard_error(self.values)
            return float(stats.t.sf(difference / error, freedom))
        if self.limits is None:
            return float("nan")
        fraction = difference / (self.limits[1] - self.limits[0])
        return float((1 - np.clip(fraction, 0.0, 1.0)) ** smallest_kind(self.strata))

    def two_sided_p_value(self, difference: float) -> float:
        """Two-sided p-value of a difference; NaN where there is no interval."""
        above = self.p_value(difference)
        below = replace(self, values=-self.values).p_value(-difference)
        return above if np.isnan(above) else min(1.0, 2 * min(above, below))

    def _is_usable(self, value: float) -> bool:
        enough = smallest_kind(self.strata) >= FEW_CLUSTERS
        return enough and not np.isnan(value) and not np.isnan(self.values).any()

    def _varies(self, value: float) -> bool:
        """Whether the score varies within a kind of group by more than rounding."""
        unit = max(1.0, abs(value)) if self.limits is None else self.limits[1] - self.limits[0]
        return self._standard_error(self.values)[0] > _ROUNDING * unit

    def _half_width(self, values: FloatArray, tail: float) -> float:
        error, freedom = self._standard_error(values)
        return float(stats.t.isf(tail, freedom)) * error

    def _standard_error(self, values: FloatArray) -> tuple[float, float]:
        """Return the standard error and its degrees of freedom."""
        variance = spread = 0.0
        for stratum in (False, True):
            part = values[self.strata == stratum]
            if len(part):
                of_stratum = (len(part) - 1) / len(part) * float(((part - part.mean()) ** 2).sum())
                variance += of_stratum
                spread += of_stratum**2 / (len(part) - 1)
        return float(np.sqrt(variance)), max(0.5 * variance**2 / spread, 1.0) if spread else 1.0

    def _without_variance(self, value: float, tail: float) -> tuple[float, float]:
        """A score at its end, or a difference, in every group: as many without a failure (Clopper & Pearson, 1934)."""
        if self.limits is None:
            return float("nan"), float("nan")
        low, high = self.limits
        reach = (high - low) * (1 - tail ** (1 / smallest_kind(self.strata)))
        if self.is_difference:
            return max(value - reach, low - high), min(value + reach, high - low)
        near = _ROUNDING * (high - low)
        return (value - reach if value >= high - near else value), (value + reach if value <= low + near else value)

    def _to_line(self, values: FloatArray, limits: Range) -> FloatArray:
        fraction = (values - limits[0]) / (limits[1] - limits[0])
        fraction = (fraction * self.rows + 0.5) / (self.rows + 1)  # a score at its end stays finite
        return np.asarray(np.log(fraction / (1 - fraction)))

    def _from_line(self, values: FloatArray, limits: Range) -> FloatArray:
        fraction = (1 / (1 + np.exp(-values)) * (self.rows + 1) - 0.5) / self.rows
        return np.asarray(limits[0] + (limits[1] - limits[0]) * np.clip(fraction, 0.0, 1.0))
