"""The answer of one test of the audit, and the gate over all of them.

A check that rests on chance leaves its verdict open; ``close_verdicts`` closes all of them together, because the
more checks are run, the more often one of them fails by chance. The family-wise error is that of Holm's procedure.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from seismag.estimate import CheckResult, Verdict
from seismag.scoring.metrics import holm


def close_verdicts(results: Sequence[CheckResult], family_wise_error: float) -> list[CheckResult]:
    """Close the open verdicts: fail where Holm's procedure rejects and the effect is material, else pass.

    A test whose p is NaN stays undecided, like one without p.

    Tests that do not gate are judged by their own p and get ``note`` in place of ``fail``. The adjusted p goes into
    ``details["adjusted_p"]``.

    Args:
        results: all tests of one audit.
        family_wise_error: probability that at least one gating test fails where nothing is wrong.

    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.
    """
    results = [_without_nan(result) for result in results]
    family = {
        i: result.p_value
        for i, result in enumerate(results)
        if _open(result) and result.gates and result.p_value is not None
    }
    adjusted = dict(zip(family, holm(list(family.values())), strict=True))
    return [_close(result, adjusted.get(i), family_wise_error) for i, result in enumerate(results)]


def gate(results: Sequence[CheckResult]) -> Literal["pass", "fail"]:
    """Say ``fail`` where a gating test failed.

    Raises:
        ValueError: a verdict is still open.
    """
    if still_open := [result.name for result in results if result.verdict is None]:
        raise ValueError(f"verdicts still open: {', '.join(still_open)}")
    return "fail" if any(result.gates and result.verdict == "fail" for result in results) else "pass"


def _without_nan(result: CheckResult) -> CheckResult:
    unknown = result.p_value is not None and math.isnan(result.p_value)
    return dataclasses.replace(result, p_value=None) if unknown else result


def _open(result: CheckResult) -> bool:
    return result.verdict is None


def _close(result: CheckResult, adjusted: float | None, family_wise_error: float) -> CheckResult:
    if not _open(result):
        return result
    p_value = result.p_value if adjusted is None else adjusted
    if p_value is None:
        return dataclasses.replace(result, verdict="undecided")
    bad: Verdict = "fail" if result.gates else "note"
    struck = p_value <= family_wise_error and result.material
    details = result.details | ({} if adjusted is None else {"adjusted_p": adjusted})
    return dataclasses.replace(result, verdict=bad if struck else "pass", details=details)
