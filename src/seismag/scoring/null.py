"""Null distributions: one-sided p-value, interval, and placebo rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seismag.arrays import FloatArray
from seismag.estimate import NullInterval

PLACEBO_ALPHA = 0.05
MAX_PLACEBO_RATE = 0.08  # above it the p-values of a test are too small


@dataclass(frozen=True)
class Null:
    """Values of a statistic under the null hypothesis; large values are evidence against it.

    Attributes:
        values: (draws,).
        tolerance: rounding error of the statistic; values that are smaller by no more than this count as ties.

    Example:
        >>> null = Null(np.array([0.1, 0.2, 0.3]))
        >>> null.p_value(0.3), round(null.interval().mean, 3)
        (0.5, 0.2)
    """

    values: FloatArray
    tolerance: float = 0.0

    def count_extreme(self, statistic: float) -> int:
        """Number of values at least as large as the statistic."""
        return int(np.count_nonzero(self.values >= statistic - self.tolerance))

    def p_value(self, statistic: float) -> float:
        """One-sided p-value, (1 + values at least as large) / (1 + draws); NaN where the statistic is undefined.

        Source: Phipson & Smyth (2010), doi:10.2202/1544-6115.1585.
        """
        if np.isnan(statistic) or np.isnan(self.values).any():
            return float("nan")
        return (1 + self.count_extreme(statistic)) / (1 + len(self.values))

    def interval(self) -> NullInterval:
        """Mean and central 95 % of the values."""
        low, high = np.quantile(self.values, [0.025, 0.975])
        return NullInterval(float(self.values.mean()), float(low), float(high))

    def placebo_rate(self, placebos: Sequence[float] | FloatArray) -> float:
        """Fraction of placebo statistics with p <= 0.05 against these values."""
        return placebo_rate([self.p_value(statistic) for statistic in placebos])


def placebo_rate(p_values: Sequence[float] | FloatArray) -> float:
    """Fraction of placebo p-values that are <= 0.05."""
    return float((np.asarray(p_values) <= PLACEBO_ALPHA).mean())
