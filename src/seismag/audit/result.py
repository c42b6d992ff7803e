"""Result of an audit: its checks, with corrected p-values, and what was audited."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from scipy.stats import norm

from seismag.audit.checks.class_by import MINIMUM_GAIN
from seismag.audit.columns import ColumnUse
from seismag.config import AuditConfig, EvaluateConfig
from seismag.documents import Document
from seismag.domain import DataError
from seismag.estimate import CONCERN_P, CheckResult, Verdict
from seismag.files import without_folders
from seismag.scoring.metrics import holm
from seismag.scoring.null import MAX_PLACEBO_RATE, PLACEBO_ALPHA
from seismag.scoring.study import MadeFrom
from seismag.windows.tried import UNKNOWN_TRIED, Tried

DETECTED_WITH = 0.8  # probability with which the smallest detectable gain is found


class _Test(Document):
    name: str
    sentence: str
    verdict: Verdict
    p_value: float | None
    above_minimum: bool = Field(alias="material")
    blocking: bool = Field(alias="gates")
    details: Mapping[str, Any]


class _Subject(Document):
    run_ids: list[str] = Field(default_factory=list)


class _Settings(Document):
    audit: AuditConfig
    evaluate: EvaluateConfig


class AuditDocument(MadeFrom):
    """audit.json of predictions, as far as a report reads it."""

    gate: Literal["pass", "fail"]
    subject: _Subject
    tests: list[_Test]
    family_wise_error: float
    configurations_tried: int | None
    settings: _Settings
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_numbers(self) -> AuditDocument:
        for test in self.tests:
            numbers = {key: test.details.get(key) for key in ("adjusted_p", "smallest_p") if key in test.details}
            is_corrected = "adjusted_p" in numbers
            values = [*numbers.values(), *([test.p_value] if is_corrected else [])]
            if not all(isinstance(value, float | int) for value in values):
                raise ValueError(f"p_value, adjusted_p and smallest_p of {test.name} as numbers")
        return self


@dataclass(frozen=True)
class ColumnScore:
    """Out-of-fold accuracy of the class predicted from one column; ``blocking`` where it must not predict it."""

    accuracy: float
    balanced_accuracy: float
    blocking: bool

    def to_json(self) -> dict[str, float | bool]:
        """An entry of ``baselines`` in audit.json."""
        return {"accuracy": self.accuracy, "balanced_accuracy": self.balanced_accuracy, "gates": self.blocking}


@dataclass(frozen=True)
class Audit:
    """Content of audit.json."""

    subject: dict[str, Any]  # kind, path and counts of what was audited, ready for JSON
    tests: Sequence[CheckResult]  # closed checks
    family_wise_error: float  # probability that a blocking check fails where all null hypotheses are true
    baselines: Mapping[str, ColumnScore] = field(default_factory=dict)  # by column, what it alone predicts
    tried: Tried = UNKNOWN_TRIED  # configurations tried on the recordings
    columns: Mapping[str, ColumnUse] = field(default_factory=dict)  # of a table or store
    notes: Sequence[str] = ()  # further sentences
    settings: Mapping[str, Any] = field(default_factory=dict)  # sections audit and evaluate
    made_from: Mapping[str, Any] = field(default_factory=dict)  # checksums, as in metrics.json
    metrics: dict[str, Any] | None = None  # content of metrics.json of the predictions, which is no part of audit.json

    @property
    def failed(self) -> list[CheckResult]:
        """Blocking checks that failed; the audit fails where there is one."""
        return [test for test in self.tests if test.blocking and test.verdict == "fail"]

    @property
    def concerns(self) -> list[CheckResult]:
        """Blocking checks that pass by the correction for all checks only."""
        return [test for test in self.tests if test.verdict == "concern"]

    @property
    def detectable_gains(self) -> dict[str, float | None]:
        """By blocking check, the smallest gain of balanced accuracy that it would find; None: it would find none."""
        key = "detectable_gain"
        return {test.name: test.details[key] for test in self.tests if key in test.details}

    def test(self, name: str) -> CheckResult | None:
        """The check of a name; None where it was not made."""
        return next((test for test in self.tests if test.name == name), None)

    def to_json(self) -> dict[str, object]:
        """The keys of audit.json."""
        document: dict[str, Any] = without_folders({
            "gate": "fail" if self.failed else "pass",
            "subject": self.subject,
            "tests": [test.to_json() for test in self.tests],
            "baselines": {name: score.to_json() for name, score in self.baselines.items()},
            "family_wise_error": self.family_wise_error,
            "configurations_tried": self.tried.number,
            "configurations_unknown": self.tried.unknown,
            "configurations_since_utc": self.tried.since_utc,
            "columns": {name: use.describe() for name, use in self.columns.items()},
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "made_from": dict(self.made_from),
        })  # fmt: skip
        return document


def require_closed(file: Path, document: Mapping[str, Any]) -> None:
    """Refuse an audit.json that does not follow from its p-values.

    Raises:
        DataError: names the check, or the outcome of all.
    """
    tests, error = document["tests"], document["family_wise_error"]
    corrected = [test for test in tests if "adjusted_p" in test["details"]]
    for test, p_value in zip(corrected, holm([test["p_value"] for test in corrected]), strict=True):
        cannot_fail = _cannot_fail(test["details"], error / len(corrected))
        expected = _verdict(p_value, test["p_value"], test["material"], error, cannot_fail)
        if test["verdict"] != expected:
            raise DataError(
                f"{file}: {test['name']} is {test['verdict']}, but its p-value makes it {expected}. Audit again."
            )
    expected = "fail" if any(test["gates"] and test["verdict"] == "fail" for test in tests) else "pass"
    if document["gate"] != expected:
        raise DataError(f"{file}: the audit is {document['gate']}, but its checks make it {expected}. Audit again.")


def close_checks(results: Sequence[CheckResult], family_wise_error: float) -> list[CheckResult]:
    """Decide open checks: fail where Holm's procedure rejects and the effect exceeds its minimum, else pass.

    The more checks are made, the more often one fails by chance; so the blocking checks are corrected together, and
    the adjusted p-value goes into ``details["adjusted_p"]``. A check that passes by this correction only, with p of at
    most 0.01 and an effect above its minimum, is a ``concern``. Other checks keep their own p-value and become
    ``informational`` in place of ``fail``. A check without p-value, or with NaN, is inconclusive, and so is one that
    passes although it could not have failed: its smallest possible p is too large, as with few groups. Where the
    details contain the spread of a balanced accuracy under the null, they get the gain that would be found with
    probability 0.8 (normal approximation, at the first step of Holm's procedure); None where no gain is so large. The
    sentence of a check whose placebo rate is above 8 % quotes p with that rate.

    Args:
        results: all checks of one audit.
        family_wise_error: probability that a blocking check fails where all null hypotheses are true.

    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.
    """
    closed = []
    for result in results:
        is_nan = result.p_value is not None and math.isnan(result.p_value)
        result = replace(result, p_value=None) if is_nan else result
        closed.append(replace(result, sentence=result.sentence + _placebo_text(result)))
    p_values = [result.p_value for result in closed if result.verdict is None and result.blocking]
    adjusted = iter(holm([p_value for p_value in p_values if p_value is not None]))
    n_corrected = max(sum(p_value is not None for p_value in p_values), 1)
    for i, result in enumerate(closed):
        if result.verdict is not None:
            continue
        p_value, details = result.p_value, result.details
        verdict: Verdict
        if p_value is None:
            verdict = "inconclusive"
        elif result.blocking:
            alpha = family_wise_error / n_corrected
            details = {**details, "adjusted_p": next(adjusted)}
            cannot_fail = _cannot_fail(details, alpha)
            verdict = _verdict(details["adjusted_p"], p_value, result.above_minimum, family_wise_error, cannot_fail)
            if (spread := details.get("balanced_accuracy_spread")) is not None:
                gain = _detectable_gain(spread, alpha)
                is_possible = not cannot_fail and gain <= 1 - details["balanced_accuracy_null"]
                details["detectable_gain"] = gain if is_possible else None
        else:
            verdict = "informational" if p_value <= family_wise_error and result.above_minimum else "pass"
        closed[i] = replace(result, verdict=verdict, details=details)
    return closed


def _placebo_text(result: CheckResult) -> str:
    """Sentence on a p-value that is known to be too small; else empty."""
    rate = result.placebo_rate
    if result.p_value is None or rate is None or rate <= MAX_PLACEBO_RATE:
        return ""
    return (
        f" p is {result.p_value:.2g}, but p <= {PLACEBO_ALPHA:g} occurs in {100 * rate:.0f} % of placebo data instead "
        f"of {100 * PLACEBO_ALPHA:.0f} %: this p-value is too small."
    )


def _verdict(
    adjusted_p: float, p_value: float, above_minimum: bool, family_wise_error: float, cannot_fail: bool
) -> Verdict:
    """Verdict of a blocking check by its adjusted and its own p-value."""
    if above_minimum and adjusted_p <= family_wise_error:
        return "fail"
    if above_minimum and p_value <= CONCERN_P:
        return "concern"
    return "inconclusive" if cannot_fail else "pass"


def _cannot_fail(details: Mapping[str, Any], alpha: float) -> bool:
    """Whether the smallest possible p of a check is above the first step of Holm's procedure."""
    return bool(details.get("smallest_p", 0.0) > alpha)


def _detectable_gain(spread: float, alpha: float) -> float:
    """Gain that exceeds the critical value of a one-sided test at ``alpha`` with probability 0.8; at least 0.03."""
    return float(max(MINIMUM_GAIN, (norm.isf(alpha) + norm.ppf(DETECTED_WITH)) * spread))
