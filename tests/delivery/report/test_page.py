"""The page: opened as a reader would, without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser import open_page
from delivery.report.finished_study import make_crossval
from seismag.delivery.report import page as module
from seismag.delivery.report.charts import make_charts
from seismag.delivery.report.evidence import Evidence, read_evidence
from seismag.delivery.report.figures import Drawn
from seismag.delivery.report.page import write_page
from seismag.delivery.report.quotation import check_html
from seismag.domain import SeismagError


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return read_evidence(make_crossval(folder))


@pytest.fixture(scope="module")
def page(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out") / "report.html"
    q = evidence.quoter
    texts = {
        "ABSTRACT.md": f"# Title <&>\n\nMCC {q.interval('metrics.json', '/azimuth/mcc')}.",
        "METHODOLOGY.md": f"| a | b |\n| :-- | --: |\n| c | {q.number('data.json', '/windows', ',d')} |",
    }
    write_page("Title <&>", evidence, texts, {"map": Drawn(None, "no <catalogue>")}, path)
    return path


def test_page_opens_without_error_or_request(page: Path) -> None:
    visit = open_page(page, "document.querySelectorAll('.chart .main-svg').length > 0")
    assert visit.errors == []
    assert visit.requests == []
    assert visit.answer is True


def test_every_chart_is_drawn(page: Path, evidence: Evidence) -> None:
    drawn = "[...document.querySelectorAll('figure')].filter(f => f.querySelector('.chart .main-svg')).map(f => f.id)"
    assert open_page(page, drawn).answer == [chart.name for chart in make_charts(evidence)]


def test_number_tells_its_source_when_pointed_at(page: Path) -> None:
    title = open_page(page, "document.querySelector('[data-src]').title").answer
    assert title == "loeo_convnext_results metrics.json#/azimuth/mcc/value .3f"


def test_numbers_of_the_page_are_those_of_the_record(page: Path, evidence: Evidence) -> None:
    text = page.read_text()
    documents = {evidence.subject: evidence.documents}
    assert text.count("data-src=") > 3
    assert check_html(text, documents) == []
    wrong = re.sub(r'(#/windows ,d">)192', r"\g<1>191", text)
    assert [problem.reason for problem in check_html(wrong, documents)] == [
        "loeo_convnext_results data.json#/windows ,d is 192"
    ]


def test_text_of_the_record_cannot_become_markup(page: Path) -> None:
    text = page.read_text()
    assert "no &lt;catalogue&gt;" in text
    assert "<title>Title &lt;&amp;&gt;</title>" in text


def test_missing_plotly_is_named(evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    with pytest.raises(SeismagError, match=r"needs Plotly: pip install 'seismag\[report\]'"):
        module.write_page("t", evidence, {"A.md": "a"}, {}, tmp_path / "report.html")
