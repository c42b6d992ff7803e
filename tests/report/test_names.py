"""Recorded names that are markup, paths or numbers: shown, not interpreted, and their numbers found again."""

from __future__ import annotations

import csv
import io

import pytest

from seismag.report.quotation import Quoter, as_text, check_markdown, escape, resolve, without_sources
from seismag.report.tables import Quote, Table
from seismag.report.typeset import _blocks, _reader, render_markdown

NAMES = [
    "A/B", "../A", "A B", "12", "K 2", "A#1", "A~1", "50%", "%2F", "<script>alert(1)</script>", "<!-- src: a b#c d -->",
    "--> x", "[x](javascript:alert(1))", "![x](http://example.org/x.png)", "`a`", "a|b", "*a*", "$a$", "\\a", "=1+1",
    "@a", "a\nb", "\u00c9T", "&lt;b&gt;", "#raw(read(1))",
]  # fmt: skip


def table(name: str) -> Table:
    quoter = Quoter("run", {"data.json": {"by_station": {name: {"windows": 3}}}})
    row = (as_text(name), Quote("data.json", f"/by_station/{escape(name)}/windows", "d"))
    return Table("stations", "Windows.", ("station", "windows"), [row], quoter)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_with_any_name_can_be_reported(name: str) -> None:
    made = table(name)
    markdown = made.markdown()
    assert check_markdown(markdown, {"run": made.quoter.documents}) == []
    page = render_markdown(markdown)
    assert page.count("<td") == 2
    assert 'data-src="run data.json#/by_station/' in page
    assert not any(f"<{tag}" in page for tag in ("script", "img", "a ", "b>", "em"))
    typeset = "".join(_blocks(_reader().parse(without_sources(markdown))))
    assert "#figure" not in typeset
    assert "#link" not in typeset
    row = made.latex().splitlines()[made.latex().splitlines().index(r"\midrule") + 1]
    assert row.endswith(r"\\")
    assert not row.startswith("%")


@pytest.mark.parametrize("name", NAMES)
def test_a_pointer_leads_back_to_any_key(name: str) -> None:
    assert resolve({"a": {name: 1}}, f"/a/{escape(name)}") == 1
    assert not set(escape(name)) & set(" #<>\n/")


def test_plain_names_stay_as_they_are() -> None:
    assert [as_text(name) for name in ("LUT", "H10", "no file", "A.B-1")] == ["LUT", "H10", "no file", "A.B-1"]


def test_a_name_is_no_formula_in_the_csv_of_a_table() -> None:
    quoter = Quoter("run", {"data.json": {"skill": -0.5}})
    made = Table("t", "T.", ("=name", "skill"), [("@SUM(A1)", Quote("data.json", "/skill", "+.3f"))], quoter)
    header, row = csv.reader(io.StringIO(made.csv()))
    assert header[0] == "'=name"
    assert row[:2] == ["'@SUM(A1)", "-0.5"]
