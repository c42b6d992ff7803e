"""The integrity checks of an audit together."""

import numpy as np
import pytest

from seismag.audit.result import Audit, close_checks
from seismag.estimate import CheckResult


def _test(name: str, p: float | None, **more) -> CheckResult:
    return CheckResult(name, "seen", p_value=p, **{"blocking": True, **more})


def test_holm_by_hand():
    # sorted 0.002, 0.004, 0.03: times 3, 2, 1 = 0.006, 0.008, 0.03
    closed = close_checks([_test("a", 0.03), _test("b", 0.002), _test("c", 0.004)], 0.01)
    assert [r.details["adjusted_p"] for r in closed] == pytest.approx([0.03, 0.006, 0.008])
    assert [r.verdict for r in closed] == ["pass", "fail", "fail"]
    assert [r.name for r in Audit({}, closed, 0.01).failed] == ["b", "c"]


def test_a_small_p_below_the_minimum_effect_passes():
    closed = close_checks([_test("a", 1e-9, above_minimum=False)], 0.01)
    assert closed[0].verdict == "pass"
    assert not Audit({}, closed, 0.01).failed


def test_an_informational_check_uses_none_of_the_error():
    closed = close_checks([_test("a", 1e-9, blocking=False), _test("b", 0.009)], 0.01)
    assert [r.verdict for r in closed] == ["informational", "fail"]


def test_a_check_without_p_is_inconclusive_and_a_verdict_stays():
    closed = close_checks([_test("a", None), _test("copies", None, verdict="fail")], 0.01)
    assert [r.verdict for r in closed] == ["inconclusive", "fail"]


def test_family_wise_error_is_that_declared():
    rng = np.random.default_rng(4)
    failed = sum(
        bool(Audit({}, close_checks([_test(str(i), p) for i, p in enumerate(row)], 0.05), 0.05).failed)
        for row in rng.random((2000, 8))
    )
    assert 0.035 < failed / 2000 < 0.065  # independent tests: 1 - (1 - 0.05/8)^8 = 0.049
