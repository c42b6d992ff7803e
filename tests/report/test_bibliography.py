"""Cited works on the page."""

from __future__ import annotations

import re
from importlib.resources import files

from seismag.report.page import cite, cited_keys, read_works


def test_every_entry_of_the_bibliography_is_read_with_author_year_and_title() -> None:
    text = files("seismag.report").joinpath("templates/references.bib").read_text("utf-8")
    works = read_works()
    assert set(works) == set(re.findall(r"^@\w+\{([\w-]+),", text, re.MULTILINE))
    for key, work in works.items():
        assert work.short.endswith(key[-4:]), key
        assert "{" not in work.full + work.short


def test_marks_become_names_and_years() -> None:
    works = read_works()
    shown = cite("<p>Reported [@fraser-smith1990; @mann1947], see [@welch1967].</p>", works)
    assert (
        re.sub("<[^>]+>", "", shown)
        == "Reported (Fraser-Smith et al., 1990; Mann and Whitney, 1947), see (Welch, 1967)."
    )
    assert '<a href="#ref-welch1967">' in shown
    assert works["kapoor2024"].short == "Kapoor et al., 2024"
    assert '<a href="https://doi.org/10.1109/TAU.1967.1161901">' in works["welch1967"].full


def test_unknown_key_stays_as_it_is() -> None:
    text = "as in [@nobody1900; @welch1967], H[0] and a@b.org"
    assert cite(text, read_works()) == text


def test_cited_keys_are_sorted_and_named_once() -> None:
    assert cited_keys({"a": "[@welch1967; @liu2022]", "b": "[@welch1967]"}) == ["liu2022", "welch1967"]
