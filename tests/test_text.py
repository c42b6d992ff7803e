"""Tables for terminals: aligned, and never wider than 80 columns."""

from __future__ import annotations

from seismag.text import format_table, number, wrap_text


def test_columns_of_numbers_are_aligned_to_the_right_and_text_to_the_left() -> None:
    table = format_table(["score", "value", "remark"], [["MCC", "+0.1", "a"], ["log score", -12.5, "bb"]], indent=2)
    assert table.split("\n") == ["  score      value  remark", "  MCC         +0.1  a", "  log score  -12.5  bb"]


def test_the_widest_text_column_is_wrapped_within_80_columns() -> None:
    long = " ".join(["word"] * 40)
    lines = format_table(["name", "value", "remark"], [["a", 1, long], ["b", 2, "short"]]).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(line[13:].strip() for line in lines[1:-1]) == long
    assert lines[-1].split() == ["b", "2", "short"]


def test_what_is_missing_is_a_dash_and_no_header_leaves_no_line() -> None:
    assert format_table(["", ""], [["a", None], ["bc", 3]]) == "a   -\nbc  3"
    assert number(None) == "undefined"


def test_sentences_are_wrapped_with_an_indent() -> None:
    lines = wrap_text("warning: " + "word " * 30, indent=2).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  word")
    assert max(map(len, lines)) <= 80
