"""Intervals and p-values of scores from the delete-one-group jackknife.

A score is computed again without each group of windows in turn. Its variance follows from these values, event clusters
and control blocks apart. The limits are those of Student's t, whose degrees of freedom are half of Satterthwaite's: the
contributions of groups of unequal size have an excess kurtosis of about 2, which doubles the variance of a variance.
Scores between two limits are transformed by the logit first, so that no limit is crossed. Measured coverage and size:
``benchmarks/coverage.py``.

Source: Efron & Stein (1981), doi:10.1214/aos/1176345462; by stratum Wolter (2007), Introduction to Variance Estimation,
section 4.5; degrees of freedom Satterthwaite (1946), doi:10.2307/3002019; t with few clusters Cameron & Miller (2015),
doi:10.3368/jhr.50.2.317.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from seismag.arrays import BoolArray, FloatArray

Range = tuple[float, float]
_ROUNDING = 1e-9  # of a score, in units of its range


@dataclass(frozen=True)
class LeftOut:
    """A score without each group in turn.

    Attributes:
        values: (n_groups,) the score of all other groups.
        strata: (n_groups,) whether the group has an event; both kinds vary apart.
        rows: number of rows of the table, which limits how close to its end a score counts.
    """

    values: FloatArray
    strata: BoolArray
    rows: int

    def minus(self, other: LeftOut) -> LeftOut:
        """Differences of two scores of the same groups."""
        return LeftOut(self.values - other.values, self.strata, self.rows)

    @property
    def smallest(self) -> int:
        """Number of groups in the smaller of the strata that occur."""
        n_event = int(np.count_nonzero(self.strata))
        return min((n for n in (n_event, len(self.strata) - n_event) if n), default=0)

    def interval(self, value: float, confidence: float, limits: Range | None = None) -> tuple[float, float]:
        """Return the confidence interval of the score.

        Args:
            value: of the whole table. confidence: such as 0.95.
            limits: the smallest and the largest possible value; None: a difference, or another score without.

        Returns:
            Both ends; NaN where a stratum has one group, or the score is undefined without one of the groups.
        """
        tail = (1 - confidence) / 2
        if self.smallest < 2 or np.isnan(value) or np.isnan(self.values).any():
            return float("nan"), float("nan")
        if limits is None:
            half = self._half_width(self.values, tail)
            return value - half, value + half
        if np.ptp(self.values) < _ROUNDING * (limits[1] - limits[0]):
            return self._without_variance(value, tail, limits)
        half = self._half_width(self._to_line(self.values, limits), tail)
        middle = float(self._to_line(np.array(value), limits))
        low, high = self._from_line(np.array([middle - half, middle + half]), limits)
        return float(low), float(high)

    def p_value(self, difference: float) -> float:
        """One-sided p-value of a difference above 0; NaN where there is no interval.

        Without any variance it is that of the sign test over the groups of the smaller stratum.
        """
        if self.smallest < 2 or np.isnan(difference) or np.isnan(self.values).any():
            return float("nan")
        error, freedom = self._standard_error(self.values)
        if error == 0:
            return 1.0 if difference <= 0 else 0.5**self.smallest
        return float(stats.t.sf(difference / error, freedom))

    def two_sided_p_value(self, difference: float) -> float:
        """Two-sided p-value of a difference; NaN where there is no interval."""
        above = self.p_value(difference)
        below = LeftOut(-self.values, self.strata, self.rows).p_value(-difference)
        return above if np.isnan(above) else min(1.0, 2 * min(above, below))

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

    def _without_variance(self, value: float, tail: float, limits: Range) -> tuple[float, float]:
        """A score at its end in every group: as many groups without a failure (Clopper & Pearson, 1934)."""
        low, high = limits
        reach = (high - low) * (1 - tail ** (1 / self.smallest))
        near = _ROUNDING * (high - low)
        return (value - reach if value >= high - near else value), (value + reach if value <= low + near else value)

    def _to_line(self, values: FloatArray, limits: Range) -> FloatArray:
        fraction = (values - limits[0]) / (limits[1] - limits[0])
        fraction = (fraction * self.rows + 0.5) / (self.rows + 1)  # a score at its end stays finite
        return np.asarray(np.log(fraction / (1 - fraction)))

    def _from_line(self, values: FloatArray, limits: Range) -> FloatArray:
        fraction = (1 / (1 + np.exp(-values)) * (self.rows + 1) - 0.5) / self.rows
        return np.asarray(limits[0] + (limits[1] - limits[0]) * np.clip(fraction, 0.0, 1.0))
