"""Results that cross folders: a number with its interval, a null interval, and the result of an integrity check."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "fail", "concern", "informational", "inconclusive", "skill", "no_skill"]
CONCERN_P = 0.01  # a blocking check at most this likely by chance is shown even where the correction lets it pass
_KEYS = {"above_minimum": "material", "blocking": "gates"}  # of JSON, where they differ from the attributes


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and the size of its sample.

    Attributes:
        value: None where it is undefined.
        low, high: ends of the interval; None where there is none.
        n: rows, or independent groups, that it was computed from.

    Example:
        >>> Estimate(0.25, 0.1, 0.4, n=120).to_json()
        {'value': 0.25, 'low': 0.1, 'high': 0.4, 'n': 120}
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """The keys of every score in metrics.json."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class NullInterval:
    """Mean and central 95 % of a statistic under the null hypothesis."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class CheckResult:
    """Result of one integrity check.

    Attributes:
        name: snake_case, the same in every report.
        sentence: the finding with its numbers, worded for any verdict.
        statistic: the number that was tested; ``statistic_name`` gives its meaning and unit.
        null: interval of the statistic under the null hypothesis.
        p_value: probability of at least this statistic under the null hypothesis.
        placebo_rate: fraction of p <= 0.05 on data that satisfy the null hypothesis by construction.
        above_minimum: the effect exceeds the minimum effect size; a small p-value alone fails no check.
        blocking: a failure fails the audit; other checks are informational.
        verdict: None until ``close_checks``; deterministic checks (copies, overlaps) set it themselves.
        details: more numbers, ready for JSON.
    """

    name: str
    sentence: str
    statistic: float | None = None
    statistic_name: str = ""
    null: NullInterval | None = None
    p_value: float | None = None
    placebo_rate: float | None = None
    above_minimum: bool = True
    blocking: bool = False
    verdict: Verdict | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The keys of a test in audit.json."""
        return {_KEYS.get(name, name): value for name, value in dataclasses.asdict(self).items()}
