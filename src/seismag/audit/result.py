"""Result of an audit: its checks, with corrected p-values, and what was audited."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seismag.estimate import CheckResult
from seismag.files import without_folders
from seismag.scoring.metrics import holm


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
    """Content of audit.json.

    Attributes:
        subject: kind, path and counts of what was audited, ready for JSON.
        tests: closed checks.
        baselines: by column, what it alone predicts.
        family_wise_error: probability that a blocking check fails where all null hypotheses are true.
        configurations_tried: on the data set; None: not known.
        columns: of a table or store, what each column was used for.
        notes: further sentences.
        metrics: content of metrics.json of the predictions, which is no part of audit.json.
    """

    subject: dict[str, Any]
    tests: Sequence[CheckResult]
    family_wise_error: float
    baselines: Mapping[str, ColumnScore] = field(default_factory=dict)
    configurations_tried: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    metrics: dict[str, Any] | None = None

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
            "configurations_tried": self.configurations_tried,
            "columns": dict(self.columns),
            "notes": list(self.notes),
        })  # fmt: skip
        return document


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
    results = [_without_nan(result) for result in results]
    family = {
        i: result.p_value
        for i, result in enumerate(results)
        if result.verdict is None and result.blocking and result.p_value is not None
    }
    adjusted = dict(zip(family, holm(list(family.values())), strict=True))
    return [_close(result, adjusted.get(i), family_wise_error) for i, result in enumerate(results)]


def _without_nan(result: CheckResult) -> CheckResult:
    is_nan = result.p_value is not None and math.isnan(result.p_value)
    return dataclasses.replace(result, p_value=None) if is_nan else result


def _close(result: CheckResult, adjusted: float | None, family_wise_error: float) -> CheckResult:
    p_value = result.p_value if adjusted is None else adjusted
    if result.verdict is not None:
        return result
    if p_value is None:
        return dataclasses.replace(result, verdict="inconclusive")
    details = result.details | ({} if adjusted is None else {"adjusted_p": adjusted})
    if p_value > family_wise_error or not result.above_minimum:
        return dataclasses.replace(result, verdict="pass", details=details)
    return dataclasses.replace(result, verdict="fail" if result.blocking else "informational", details=details)
