"""The integrity checks of an audit together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seismag.audit.page import render_audit_page
from seismag.audit.result import Audit, close_checks, require_closed
from seismag.audit.text import format_audit
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


def test_a_small_p_that_only_the_correction_lets_pass_is_a_concern():
    # smallest of three: 0.008 x 3 = 0.024 > 0.01; without effect it passes
    checks = [_test("a", 0.008), _test("b", 0.9), _test("c", 0.8), _test("d", 0.002, blocking=False)]
    audit = Audit({}, close_checks(checks, 0.01), 0.01)
    assert [r.verdict for r in audit.tests] == ["concern", "pass", "pass", "informational"]
    assert not audit.failed
    assert audit.to_json()["gate"] == "pass"
    assert "CONCERN" in format_audit(replace(audit, subject={"kind": "table", "path": "t.csv", "rows": 3}))
    assert "Concerns: a." in render_audit_page(audit)
    assert close_checks([replace(checks[0], above_minimum=False), *checks[1:]], 0.01)[0].verdict == "pass"


def test_the_detectable_gain_is_that_of_a_normal_test_with_the_spread_of_the_null():
    # one-sided 0.01 / 2: z = 2.5758; power 0.8: 0.8416; 3.4174 x 0.05 = 0.1709
    checks = [
        _test("a", 0.5, details={"balanced_accuracy_spread": 0.05, "balanced_accuracy_null": 0.5}),
        _test("b", 0.5),
    ]
    audit = Audit({}, close_checks(checks, 0.01), 0.01)
    assert audit.tests[0].details["detectable_gain"] == pytest.approx(0.1709, abs=1e-4)
    assert list(audit.detectable_gains.values()) == pytest.approx([0.1709], abs=1e-4)
    small = close_checks(
        [_test("a", 0.5, details={"balanced_accuracy_spread": 1e-4, "balanced_accuracy_null": 0.5})], 0.01
    )
    assert small[0].details["detectable_gain"] == 0.03  # the minimum effect size


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


def test_a_check_that_cannot_fail_is_inconclusive_and_finds_no_gain():
    few = {"balanced_accuracy_spread": 0.1, "balanced_accuracy_null": 0.5, "smallest_p": 1 / 120}
    noisy = {"balanced_accuracy_spread": 0.2, "balanced_accuracy_null": 0.5, "smallest_p": 1e-9}
    checks = [_test("few", 0.4, details=few), _test("noisy", 0.4, details=noisy), _test("b", 0.5)]
    audit = Audit({"kind": "table", "path": "t.csv", "rows": 9, "groups": 5}, close_checks(checks, 0.01), 0.01)
    assert [test.verdict for test in audit.tests] == ["inconclusive", "pass", "pass"]
    assert audit.detectable_gains == {"few": None, "noisy": None}
    text = " ".join(format_audit(audit).split())
    assert "NOT DECIDED, because groups, values or permutations do not suffice: few." in text
    assert "would not be found so surely by few, noisy." in text
    require_closed(Path("audit.json"), audit.to_json())


def test_a_p_value_that_is_known_to_be_too_small_is_quoted_with_its_placebo_rate() -> None:
    rates = {"honest": 0.08, "small": 0.12, "unknown": None}
    closed = close_checks([_test(name, 0.03, placebo_rate=rate) for name, rate in rates.items()], 0.01)
    words = "p is 0.03, but p <= 0.05 occurs in 12 % of placebo data"
    quoted = [test.name for test in closed if words in test.sentence]
    assert quoted == ["small"]
    assert "placebo data" not in closed[0].sentence + closed[2].sentence
