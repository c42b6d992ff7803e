"""All texts and figures on one page that makes no network request.

Citations ``[@welch1967; @liu2022]`` become names with years and a list at the end. The page contains Plotly's script; a
content security policy forbids requests. Without JavaScript the texts, tables and static figures remain.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from seismag.domain import DataError, SeismagError
from seismag.files import write_text_atomic
from seismag.report import charts
from seismag.report.charts import Chart, ValueTable
from seismag.report.evidence import Evidence
from seismag.report.figures import Drawn
from seismag.report.figures.station_map import places_of
from seismag.report.quotation import Quoter, to_html
from seismag.report.typeset import render_markdown
from seismag.runs import read_history

_BUTTONS_NOT_SHOWN = [
    "sendChartToCloud", "toImage", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d",
]  # the first one would send the figure to a server  # fmt: skip
_CONFIG = {
    "responsive": True, "displaylogo": False, "plotlyServerURL": "", "modeBarButtonsToRemove": _BUTTONS_NOT_SHOWN,
}  # fmt: skip
_ENTRY = re.compile(r"^@\w+\{(?P<key>[\w-]+), (?P<fields>.*)\}$", re.MULTILINE)
_FIELD = re.compile(r"(\w+) = \{((?:[^{}]|\{[^{}]*\})*)\}")
_GROUP = re.compile(r"\[(@[\w-]+(?:; ?@[\w-]+)*)\]")
_PICTURE = re.compile(r'<p><img src="(?P<file>figures/[\w.]+\.png)" alt="(?P<words>[^"]*)" ?/?></p>')
_CSS_PX = 132  # an inch of print on the screen: a column of 3.5 in is half the page
_FONT = {"family": "system-ui, sans-serif", "size": 14, "color": "#1b1b1b"}
_LAYOUT: dict[str, Any] = {
    "font": _FONT, "margin": {"l": 60, "r": 40, "t": 30, "b": 50}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff",
    "xaxis": {"gridcolor": "#e5e5e5", "zeroline": False, "automargin": True},
    "yaxis": {"gridcolor": "#e5e5e5", "zeroline": False, "automargin": True},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, "height": 420,
    "hoverlabel": {"align": "left"}, "modebar": {"orientation": "v"},
}  # fmt: skip


class Work(NamedTuple):
    """A cited work: for the text, "Fraser-Smith et al., 1990", and for the list, HTML."""

    short: str
    full: str


def write_page(
    title: str, evidence: Evidence, texts: Mapping[str, str], figures: Mapping[str, Drawn], path: Path
) -> None:
    """Write the page: the texts (Markdown by file name, the first one at the top, the others collapsible) and charts.

    The files of the static figures lie below the folder of ``path``.

    Raises:
        SeismagError: Plotly or markdown-it-py is not installed.
    """
    environment = Environment(
        loader=PackageLoader("seismag.report"), autoescape=True, undefined=StrictUndefined, lstrip_blocks=True,
        trim_blocks=True,
    )  # fmt: skip
    fragments, works = {name: render_markdown(text) for name, text in texts.items()}, read_works()
    sections = {name: _with_pictures(cite(fragment, works), path.parent) for name, fragment in fragments.items()}
    first = sections.pop(next(iter(sections)))
    page = environment.get_template("report.html.j2").render(
        title=title,
        subject=evidence.subject,
        first=first,
        sections=sections,
        charts=[(chart, _json(chart), _tables(chart, evidence.quoter)) for chart in make_charts(evidence)],
        works={key: works[key].full for key in cited_keys(fragments) if key in works},
        plotly=_plotly_script(),
        not_drawn={name: drawn.reason for name, drawn in figures.items() if drawn.file is None},
    )
    write_text_atomic(path, page)


def make_charts(evidence: Evidence) -> list[Chart]:
    """Make all charts for which the documents exist."""
    metrics, documents = evidence.documents["metrics.json"], evidence.documents
    always = (charts.skill_chart, charts.baselines_chart, charts.confusion_chart, charts.reliability_chart)
    found = [make(metrics) for make in always]
    alarms = metrics.get("alarms") or {}
    if any("curve" in entry for entry in (alarms.get("references") or {}).values()):
        found.append(charts.molchan_chart(alarms))
    if "crossval.json" in documents:
        found.append(charts.folds_chart(documents["crossval.json"]))
    if "explanation.json" in documents:
        found.append(charts.bands_chart(documents["explanation.json"]))
    histories = {run.run_id: read_history(run.path / "history.csv") for run in evidence.runs}
    found.append(charts.training_chart(histories))
    with contextlib.suppress(DataError):  # the reason is listed with the figures that could not be drawn
        found.append(charts.map_chart(places_of(evidence.store)))
    return found


def _plotly_script() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise SeismagError("The page needs Plotly: pip install 'seismag[report]'.") from error
    return str(get_plotlyjs())


def _json(chart: Chart) -> str:
    """Traces, layout and configuration for a script element; "<" is escaped, so that no text can end the element."""
    layout = {**_LAYOUT, **chart.layout}
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {**_LAYOUT[axis], **chart.layout.get(axis, {})}
    first = chart.choices[:1]
    traces = [{**trace, "visible": trace["name"] in first} if first else trace for trace in chart.traces]
    content = {"data": traces, "layout": layout, "config": _CONFIG}
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")


def _tables(chart: Chart, quoter: Quoter) -> list[tuple[ValueTable, list[tuple[str, list[str]]]]]:
    def quote(source: str) -> str:
        address, form = source.split(" ")
        document, pointer = address.split("#")
        return to_html(quoter.number(document, pointer, form))

    return [
        (table, [(label, [quote(source) for source in sources]) for label, sources in table.rows])
        for table in chart.tables
    ]


def _with_pictures(fragment: str, folder: Path) -> str:
    """Embed the pictures of a fragment as lossless WebP, with captions, at the width of one or two columns."""

    def inline(match: re.Match[str]) -> str:
        with Image.open(folder / match["file"]) as picture:
            shown = picture.convert("RGB")
        content = io.BytesIO()
        shown.save(content, "WEBP", lossless=True, quality=50, method=2)
        data = base64.b64encode(content.getvalue()).decode()
        width = shown.width * _CSS_PX // 300
        image = f'<img src="data:image/webp;base64,{data}" alt="{match["words"]}" width="{width}">'
        return f"<figure>{image}<figcaption>{match['words']}</figcaption></figure>"

    return _PICTURE.sub(inline, fragment)


def read_works() -> dict[str, Work]:
    """Read the bibliography of every publication (one entry a line), by key."""
    text = files("seismag.report").joinpath("templates/references.bib").read_text("utf-8")
    return {match["key"]: _work(dict(_FIELD.findall(match["fields"]))) for match in _ENTRY.finditer(text)}


def cite(fragment: str, works: Mapping[str, Work]) -> str:
    """Replace citation marks in an HTML fragment by names with links; an unknown key is left unchanged."""

    def group(match: re.Match[str]) -> str:
        keys = [key.strip().removeprefix("@") for key in match[1].split(";")]
        if any(key not in works for key in keys):
            return match[0]
        return "(" + "; ".join(f'<a href="#ref-{key}">{html.escape(works[key].short)}</a>' for key in keys) + ")"

    return _GROUP.sub(group, fragment)


def cited_keys(fragments: Mapping[str, str]) -> list[str]:
    """All cited keys, in alphabetical order."""
    groups = [group for fragment in fragments.values() for group in _GROUP.findall(fragment)]
    return sorted({key.strip().removeprefix("@") for group in groups for key in group.split(";")})


def _work(fields: Mapping[str, str]) -> Work:
    plain = {key: html.escape(re.sub("[{}]", "", value).replace("--", "–")) for key, value in fields.items()}
    authors = [name.split(",")[0] for name in plain["author"].split(" and ")]
    names = " and ".join(authors) if len(authors) <= 2 and "others" not in authors else f"{authors[0]} et al."
    where = ", ".join(plain[key] for key in ("journal", "booktitle", "volume", "pages") if key in plain)
    doi = plain.get("doi")
    link = f' <a href="https://doi.org/{doi}">doi:{doi}</a>' if doi else ""
    written = plain["author"].replace(" and others", " et al.").replace(" and ", "; ")
    full = f"{written} ({plain['year']}). {plain['title']}. <i>{where}</i>.{link}"
    return Work(html.unescape(f"{names}, {plain['year']}"), full)
