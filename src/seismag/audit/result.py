"""Result of an audit: its checks, with corrected p-values, and what was audited."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seismag.domain import DataError
from seismag.estimate import CheckResult, Verdict
from seismag.files import without_folders
from seismag.scoring.metrics import holm
from seismag.windows.tried import UNKNOWN_TRIED, Tried


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
    columns: Mapping[str, str] = field(default_factory=dict)  # of a table or store, what each column was used for
    notes: Sequence[str] = ()  # further sentences
    settings: Mapping[str, Any] = field(default_factory=dict)  # sections audit and evaluate
    made_from: Mapping[str, Any] = field(default_factory=dict)  # checksums, as in metrics.json
    metrics: dict[str, Any] | None = None  # content of metrics.json of the predictions, which is no part of audit.json

    @property
    def failed(self) -> list[CheckResult]:
        """Blocking checks that failed; the audit fails where there is one."""
        return [test for test in self.tests if test.blocking and test.verdict == "fail"]

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
            "columns": dict(self.columns),
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
        expected = "fail" if p_value <= error and test["material"] else "pass"
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
    the adjusted p-value goes into ``details["adjusted_p"]``. Other checks keep their own p-value and become
    ``informational`` in place of ``fail``. A check without p-value, or with NaN, is inconclusive.

    Args:
        results: all checks of one audit.
        family_wise_error: probability that a blocking check fails where all null hypotheses are true.

    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.
    """
    closed = []
    for result in results:
        is_nan = result.p_value is not None and math.isnan(result.p_value)
        closed.append(replace(result, p_value=None) if is_nan else result)
    p_values = [result.p_value for result in closed if result.verdict is None and result.blocking]
    adjusted = iter(holm([p_value for p_value in p_values if p_value is not None]))
    for i, result in enumerate(closed):
        if result.verdict is not None:
            continue
        p_value, details = result.p_value, result.details
        if p_value is not None and result.blocking:
            p_value = next(adjusted)
            details = {**details, "adjusted_p": p_value}
        verdict: Verdict = "fail" if result.blocking else "informational"
        if p_value is None:
            verdict = "inconclusive"
        elif p_value > family_wise_error or not result.above_minimum:
            verdict = "pass"
        closed[i] = replace(result, verdict=verdict, details=details)
    return closed
