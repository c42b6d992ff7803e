"""What crosses a folder: a number with its interval, and the answer of one check."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "fail", "note", "undecided", "skill", "no_skill"]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and what it rests on.

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
class CheckResult:
    """One test of the audit.

    Attributes:
        name: snake_case, the same in every report.
        sentence: what was seen, with its numbers; it stands whatever the verdict is.
        statistic: the number that was tested; ``statistic_name`` says what it is, and its unit.
        null: ``mean``, ``low``, ``high`` (95 %) of the statistic where nothing is wrong.
        p_value: probability of at least this statistic where nothing is wrong.
        placebo_rate: how often p <= 0.05 came of data in which nothing is wrong by construction.
        material: the effect is large enough to matter; a small p alone fails no gate.
        gates: whether a failure fails the audit.
        verdict: None until ``close_verdicts`` closes it; tests without chance (copies, overlaps) bring their own.
        details: more numbers, ready for JSON.
    """

    name: str
    sentence: str
    statistic: float | None = None
    statistic_name: str = ""
    null: dict[str, float] | None = None
    p_value: float | None = None
    placebo_rate: float | None = None
    material: bool = True
    gates: bool = False
    verdict: Verdict | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)
