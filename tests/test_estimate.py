"""The gate over all tests of an audit."""

import numpy as np
import pytest

from seismag.audit.integrity import close_verdicts, gate
from seismag.estimate import CheckResult


def _test(name: str, p: float | None, **more) -> CheckResult:
    return CheckResult(name, "seen", p_value=p, **{"gates": True, **more})


def test_holm_by_hand():
    # sorted 0.002, 0.004, 0.03: times 3, 2, 1 = 0.006, 0.008, 0.03
    closed = close_verdicts([_test("a", 0.03), _test("b", 0.002), _test("c", 0.004)], 0.01)
    assert [r.details["adjusted_p"] for r in closed] == pytest.approx([0.03, 0.006, 0.008])
    assert [r.verdict for r in closed] == ["pass", "fail", "fail"]
    assert gate(closed) == "fail"


def test_a_small_p_without_a_material_effect_passes():
    closed = close_verdicts([_test("a", 1e-9, material=False)], 0.01)
    assert closed[0].verdict == "pass"
    assert gate(closed) == "pass"


def test_a_test_that_does_not_gate_is_a_note_and_uses_none_of_the_error():
    closed = close_verdicts([_test("a", 1e-9, gates=False), _test("b", 0.009)], 0.01)
    assert [r.verdict for r in closed] == ["note", "fail"]


def test_a_test_without_p_is_undecided_and_its_own_verdict_stays():
    closed = close_verdicts([_test("a", None), _test("copies", None, verdict="fail")], 0.01)
    assert [r.verdict for r in closed] == ["undecided", "fail"]


def test_a_p_that_is_no_number_is_undecided_and_leaves_the_others_as_they_are():
    closed = close_verdicts([_test("a", float("nan")), _test("b", 0.004), _test("c", 0.03)], 0.01)
    assert [r.verdict for r in closed] == ["undecided", "fail", "pass"]
    assert [r.details.get("adjusted_p") for r in closed] == [None, pytest.approx(0.008), pytest.approx(0.03)]
    assert closed[0].p_value is None


def test_the_gate_refuses_open_verdicts():
    with pytest.raises(ValueError, match="still open: a"):
        gate([_test("a", 0.5)])


def test_family_wise_error_is_that_declared():
    rng = np.random.default_rng(4)
    failed = sum(
        gate(close_verdicts([_test(str(i), p) for i, p in enumerate(row)], 0.05)) == "fail"
        for row in rng.random((2000, 8))
    )
    assert 0.035 < failed / 2000 < 0.065  # independent tests: 1 - (1 - 0.05/8)^8 = 0.049
