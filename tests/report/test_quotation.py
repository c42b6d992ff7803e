"""Numbers with their sources: how they are written, and that none without, or beside, its source goes unnoticed."""

from __future__ import annotations

import pytest

from seismag.domain import DataError
from seismag.report.quotation import (
    MissingNumberError,
    Quoter,
    check_html,
    check_markdown,
    resolve,
    to_html,
    without_sources,
    write_number,
)

RECORD = {"mcc": {"value": 0.2686, "low": 0.185, "high": 0.359}, "n": 1971, "few": {"value": -0.5, "low": None},
          "by/rule": {"a~b": [3, None]}, "confidence": 0.95, "name": "demo",
          "first": "2021-01-02", "why": "Skill is +0.3 [0.1, 0.5]\nin 3 | 4 stations & more."}  # fmt: skip
QUOTER = Quoter("run_1", {"metrics.json": RECORD})
DOCUMENTS = {"run_1": {"metrics.json": RECORD}}


def test_number_is_followed_by_its_source() -> None:
    assert QUOTER.number("metrics.json", "/mcc/value") == "0.269<!-- src: run_1 metrics.json#/mcc/value .3f -->"


def test_interval_quotes_three_numbers() -> None:
    text = QUOTER.interval("metrics.json", "/mcc", ".2f")
    assert without_sources(text) == "0.27 [0.18, 0.36]"
    assert text.count("<!-- src:") == 3


def test_score_without_interval_says_so() -> None:
    assert without_sources(QUOTER.interval("metrics.json", "/few")) == "-0.500 (no interval)"


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [(0.95, ".0%", "95\u00a0%"), (1971, ",d", "1,971"), (0.0123, "+.2f", "+0.01"), (None, ".3f", "undefined"),
     ([1, 2, 3], "len", "3"), (4e-23, ".1e", "4.0e-23")],
)  # fmt: skip
def test_forms(value: object, form: str, shown: str) -> None:
    assert write_number(value, form) == shown


@pytest.mark.parametrize("value", ["0.3", True, {"value": 1}])
def test_what_is_no_number_is_not_written_as_one(value: object) -> None:
    with pytest.raises(DataError, match="not a number"):
        write_number(value, ".3f")


def test_pointer_escapes_slash_and_tilde() -> None:
    assert resolve(RECORD, "/by~1rule/a~0b/0") == 3
    assert resolve(RECORD, "") is RECORD


@pytest.mark.parametrize("pointer", ["/mcc/median", "/n/value", "/by~1rule/a~0b/7", "/by~1rule/a~0b/first"])
def test_missing_number_is_named(pointer: str) -> None:
    with pytest.raises(MissingNumberError, match=f"run_1: metrics.json has no {pointer}"):
        QUOTER.number("metrics.json", pointer)


def test_missing_document_is_named() -> None:
    with pytest.raises(MissingNumberError, match=r"run_1: audit.json is not recorded, and the report quotes /gate"):
        QUOTER.value("audit.json", "/gate")


def test_text_with_sources_has_no_problem() -> None:
    text = f"""## 2. Results

1. MCC {QUOTER.interval("metrics.json", "/mcc")} with {QUOTER.number("metrics.json", "/confidence", ".0%")} confidence,
   n = {QUOTER.number("metrics.json", "/n", ",d")}. Pc3, ConvNeXt-V2, `x = 3`, [the method](method.md#4), [@smith2017].

| rule | {QUOTER.number("metrics.json", "/by~1rule/a~0b/1")} |
"""
    assert check_markdown(text, DOCUMENTS) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("MCC 0.271<!-- src: run_1 metrics.json#/mcc/value .3f -->", "is 0.269"),
        ("MCC 10.269<!-- src: run_1 metrics.json#/mcc/value .3f -->", "is 0.269"),
        ("MCC 0.269<!-- src: run_2 metrics.json#/mcc/value .3f -->", "does not exist"),
        ("MCC 0.269<!-- src: run_1 metrics.json#/mcc/median .3f -->", "does not exist"),
        ("MCC 0.269<!-- src: of a friend -->", "cannot be read"),
        ("MCC 0.269", "without a source"),
        ("at 95 % confidence", "without a source"),
        ("MCC <!-- src: run_1 metrics.json#/mcc/value .3f -->", "a source without its number"),
        ("a name demo<!-- src: run_1 metrics.json#/name .3f -->", "a source without its number"),
        ("MCC 3<!-- src: run_1 metrics.json#/name .3f -->", "not a number"),
    ],
)
def test_number_that_cannot_be_trusted_is_found(text: str, reason: str) -> None:
    problems = check_markdown(text, DOCUMENTS)
    assert len(problems) == 1
    assert reason in problems[0].reason


def test_recorded_sentence_is_quoted_with_its_numbers() -> None:
    text = f"| a | {QUOTER.sentence('metrics.json', '/why')} |"
    assert without_sources(text) == "| a | Skill is +0.3 [0.1, 0.5] in 3 / 4 stations & more. |"
    assert check_markdown(text, DOCUMENTS) == []
    assert "is Skill is +0.3" in check_markdown(text.replace("0.5]", "0.6]"), DOCUMENTS)[0].reason
    assert check_html(to_html(text).replace("& more", "&amp; <em>more</em>"), DOCUMENTS) == []


def test_date_is_quoted_whole() -> None:
    text = f"from {QUOTER.number('metrics.json', '/first', 'date')} on"
    assert without_sources(text) == "from 2021-01-02 on"
    assert check_markdown(text, DOCUMENTS) == []
    assert len(check_markdown(text.replace("01-02<", "01-03<"), DOCUMENTS)) == 1


def test_page_keeps_sources_as_attributes() -> None:
    page = to_html(f"<p>MCC {QUOTER.interval('metrics.json', '/mcc')}</p>")
    assert page.count("data-src=") == 3
    assert "<!--" not in page
    assert check_html(page, DOCUMENTS) == []
    assert "is 0.185" in check_html(page.replace(">0.185<", ">0.285<"), DOCUMENTS)[0].reason
