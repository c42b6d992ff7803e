"""The page: opened as a reader would, without a network."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.browser import open_page
from seismag.domain import SeismagError
from seismag.report import page as module
from seismag.report.charts import point, points_table, points_trace
from seismag.report.evidence import Evidence
from seismag.report.figures import Drawn
from seismag.report.page import cite, cited_keys, make_charts, read_works, write_page
from seismag.report.quotation import check_html, resolve


@pytest.fixture(scope="module")
def page(crossval: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out") / "report.html"
    q = crossval.quoter
    texts = {
        "ABSTRACT.md": f"# Title <&>\n\nMCC {q.interval('metrics.json', '/azimuth/mcc')}.",
        "METHODOLOGY.md": f"| a | b |\n| :-- | --: |\n| c | {q.number('data.json', '/windows', ',d')} |",
    }
    write_page("Title <&>", crossval, texts, {"map": Drawn(None, "no <catalogue>")}, path)
    return path


def test_page_draws_every_chart_without_error_or_request_and_answers_the_keyboard(
    page: Path, crossval: Evidence
) -> None:
    ask = """(() => {
        const all = selector => [...document.querySelectorAll(selector)];
        const drawn = all("figure").filter(f => f.querySelector(".chart .main-svg")).map(f => f.id);
        const titles = [...new Set(all(".modebar-btn").map(b => b.dataset.title))].sort();
        all(".modebar-btn").forEach(b => b.click());
        const figure = document.querySelector("#confusion"), buttons = [...figure.querySelectorAll(".choices button")];
        buttons[2].focus();
        const reached = document.activeElement === buttons[2];
        document.activeElement.click();
        const shown = figure.querySelector(".chart").data.filter(trace => trace.visible).map(trace => trace.name);
        const pressed = buttons.map(button => button.getAttribute("aria-pressed"));
        return [drawn, titles, reached, shown, pressed, document.querySelector("[data-src]").title];
    })()"""
    visit = open_page(page, ask)
    assert (visit.errors, visit.requests) == ([], [])
    assert visit.answer == [
        [chart.name for chart in make_charts(crossval)], ["Pan", "Reset axes", "Zoom"],  # none sends anything away
        True, ["azimuth"], ["false", "false", "true"], "loeo_convnext_results metrics.json#/azimuth/mcc/value .3f",
    ]  # fmt: skip


def test_every_value_of_a_chart_stands_in_a_table_with_its_source(page: Path, crossval: Evidence) -> None:
    text = page.read_text()
    for chart in make_charts(crossval):
        for table in chart.tables:
            assert f"<caption>{table.caption}</caption>" in text
            for _, sources in table.rows:
                assert all(f'data-src="{crossval.subject} {source}"' in text for source in sources)
    skill = crossval.documents["metrics.json"]["azimuth"]["skill_above_best_baseline"]["balanced_accuracy"]
    source = f"{crossval.subject} metrics.json#/azimuth/skill_above_best_baseline/balanced_accuracy/value .3f"
    assert f'<span data-src="{source}">{skill["value"]:.3f}</span>' in text


def test_points_are_where_the_record_says(crossval: Evidence) -> None:
    documents = crossval.documents
    for chart in make_charts(crossval):
        for trace in chart.traces:
            axis = "x" if "error_x" in trace else "y"
            for value, source in zip(trace[axis], trace.get("customdata", []), strict=False):
                document, pointer = source.split("#")
                assert value == resolve(documents[document], pointer), source


def test_bands_are_drawn_where_the_model_was_explained(crossval: Evidence) -> None:
    loss = {"log_score": {"value": 0.2, "low": 0.1, "high": 0.4}}
    part = {"band": "pc3", "component": "all", "detection": loss, "magnitude": loss, "azimuth": loss}
    explained = replace(
        crossval, documents={**crossval.documents, "explanation.json": {"band_importance": {"parts": [part]}}}
    )
    chart = next(chart for chart in make_charts(explained) if chart.name == "bands")
    assert chart.choices == ("detection", "magnitude", "azimuth")
    assert (chart.traces[0]["x"], chart.traces[0]["y"]) == ([0.2], ["pc3, all"])
    assert chart.traces[2]["customdata"] == ["explanation.json#/band_importance/parts/0/azimuth/log_score/value"]
    assert "bands" not in {other.name for other in make_charts(crossval)}


def test_undefined_point_is_not_drawn_and_is_undefined_in_the_table() -> None:
    entries = [{"value": 0.5, "low": 0.4, "high": None}, {"value": None, "low": None, "high": None}]
    points = [point(name, entry, f"m.json#/{name}", name) for name, entry in zip("ab", entries, strict=True)]
    trace = points_trace(points, "task", ["#000", "#111"])
    assert (trace["x"], trace["y"], trace["marker"]["color"]) == (["a"], [0.5], ["#000"])
    assert trace["error_y"]["array"] == [0.0]
    assert trace["error_y"]["arrayminus"] == pytest.approx([0.1])
    assert [label for label, _ in points_table("t", points).rows] == ["a", "b"]


def test_page_is_small_with_plotly_once_and_text_of_the_record_cannot_become_markup(page: Path) -> None:
    text = page.read_text()
    assert "no &lt;catalogue&gt;" in text
    assert "<title>Title &lt;&amp;&gt;</title>" in text
    assert len(text) < 6_000_000  # without pictures; 8 MB with them
    assert text.count("plotly.js v") == 1


def test_pictures_lie_in_the_page_without_loss(crossval: Evidence, tmp_path: Path) -> None:
    grey = np.linspace(0, 255, 300 * 400).reshape(300, 400)
    picture = np.stack([grey, grey.T.reshape(300, 400), 255 - grey], axis=-1).astype(np.uint8)
    (tmp_path / "figures").mkdir()
    Image.fromarray(picture).save(tmp_path / "figures" / "map.png")
    write_page("t", crossval, {"A.md": "![a map](figures/map.png)"}, {}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    (content,) = re.findall(r'<img src="data:image/webp;base64,([^"]+)" alt="a map" width="176">', page)
    assert "<figcaption>a map</figcaption>" in page
    with Image.open(io.BytesIO(base64.b64decode(content))) as shown:
        assert np.array_equal(np.asarray(shown.convert("RGB")), picture)


def test_numbers_of_the_page_are_those_of_the_record(page: Path, crossval: Evidence) -> None:
    text = page.read_text()
    documents = {crossval.subject: crossval.documents}
    assert text.count("data-src=") > 3
    assert check_html(text, documents) == []
    wrong = re.sub(r'(#/windows ,d">)192', r"\g<1>191", text)
    assert [problem.reason for problem in check_html(wrong, documents)] == [
        "loeo_convnext_results data.json#/windows ,d is 192"
    ]


def test_missing_plotly_is_named(crossval: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    with pytest.raises(SeismagError, match=r"needs Plotly: pip install 'seismag\[report\]'"):
        module.write_page("t", crossval, {"A.md": "a"}, {}, tmp_path / "report.html")


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
