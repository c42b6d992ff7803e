"""An audit as text: the conclusion first, in lines of at most 80 columns."""

from __future__ import annotations

from seismag.audit.columns import ColumnUse
from seismag.audit.result import Audit, ColumnScore, close_checks
from seismag.audit.text import format_audit
from seismag.estimate import CheckResult

SENTENCE = "The station alone predicts the class out of fold with accuracy 0.963 and balanced accuracy 0.714. " * 3
RESULTS = [
    CheckResult("class_by_station", SENTENCE, 0.25, p_value=0.0001, placebo_rate=0.048, blocking=True),
    CheckResult("skill_above_no_signal_magnitude", SENTENCE, verdict="inconclusive"),
    CheckResult("clock", SENTENCE, 0.5, p_value=0.44, blocking=True),
]


def test_failed_checks_come_with_their_sentence_and_all_checks_stand_in_the_table() -> None:
    audit = Audit(
        {"kind": "table", "path": "t.csv", "label": "class", "rows": 9, "classes": {"Normal": 5, "Event": 4}},
        close_checks(RESULTS, 0.01), 0.01, {"station": ColumnScore(0.963, 0.714, True)}, None,
        {"file": ColumnUse("name", False, "left out, identifies the row")}, ["Each row is a group of its own. " * 4],
    )  # fmt: skip
    lines = format_audit(audit).split("\n")
    assert lines[0] == "INTEGRITY CHECKS FAILED: 1 of 2 blocking checks: class_by_station."
    assert lines[1] == "table t.csv; class class; 9 rows; 5 Normal, 4 Event"
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("FAILED  class_by_station: ") for line in lines) == 1
    assert not any(line.startswith("pass  clock") for line in lines)
    assert [line.split() for line in lines if line.startswith("clock ")] == [
        ["clock", "pass", "0.5", "0.4400", "0.4400", "-", "-"]
    ]
