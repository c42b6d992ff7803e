"""One row of the table of sizes, coverages and powers, which ``benchmarks/coverage.py`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.96


@dataclass(frozen=True)
class Row:
    """A fraction of simulated studies.

    Attributes:
        quantity: the interval or p-value, in the words of the output.
        design: clusters, classes, prevalence and what else was simulated.
        measure: ``size`` (p <= 0.05 without an effect), ``coverage`` (of a 95 % interval), ``claimed`` (skill of a
            forecast that knows nothing, p <= 0.05) or ``power``.
        hits: studies that count. trials: all.
    """

    quantity: str
    design: str
    measure: str
    hits: int
    trials: int

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the fraction."""
        n, p = self.trials, self.hits / self.trials
        middle, half = p + _Z**2 / (2 * n), _Z * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return float((middle - half) / (1 + _Z**2 / n)), float((middle + half) / (1 + _Z**2 / n))


def format_rows(rows: Sequence[Row]) -> str:
    """Write rows as a table, as wide as they are: a design is one line."""
    names = [
        max(len(text) for text in texts) for texts in zip(*((row.quantity, row.design) for row in rows), strict=True)
    ]
    lines = [f"{'quantity':{names[0]}}  {'design':{names[1]}}  measure   fraction  95 %            studies"]
    for row in rows:
        low, high = row.interval()
        lines.append(
            f"{row.quantity:{names[0]}}  {row.design:{names[1]}}  {row.measure:8}  {row.hits / row.trials:8.3f}  "
            f"[{low:.3f}, {high:.3f}]  {row.trials:7d}"
        )
    return "\n".join(lines)
