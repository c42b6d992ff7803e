"""All texts and figures on one page that makes no network request.

The page contains Plotly's script; a content security policy forbids requests. Without JavaScript the texts, tables and
static figures remain.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from seismag.domain import SeismagError
from seismag.files import write_text_atomic
from seismag.report.bibliography import cite, cited_keys, read_works
from seismag.report.chart_parts import Chart, ValueTable
from seismag.report.charts import make_charts
from seismag.report.evidence import Evidence
from seismag.report.figures import Drawn
from seismag.report.markdown import render_markdown
from seismag.report.quotation import Quoter, to_html

_BUTTONS_NOT_SHOWN = [
    "sendChartToCloud", "toImage", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d",
]  # the first one would send the figure to a server  # fmt: skip
_CONFIG = {
    "responsive": True, "displaylogo": False, "plotlyServerURL": "", "modeBarButtonsToRemove": _BUTTONS_NOT_SHOWN,
}  # fmt: skip
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


def write_page(
    title: str, evidence: Evidence, texts: Mapping[str, str], figures: Mapping[str, Drawn], path: Path
) -> None:
    """Write the page.

    Args:
        title: of the manuscript.
        evidence: source of the charts.
        texts: Markdown by file name; the first one is at the top, the others are collapsible.
        figures: static ones; their files lie below the folder of ``path``.
        path: of the page.

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
    """The values of a chart as HTML, each with its source."""

    def quote(source: str) -> str:
        address, form = source.split(" ")
        document, pointer = address.split("#")
        return to_html(quoter.number(document, pointer, form))

    return [
        (table, [(label, [quote(source) for source in sources]) for label, sources in table.rows])
        for table in chart.tables
    ]


def _with_pictures(fragment: str, folder: Path) -> str:
    """Embed the pictures of a fragment, with captions, at the width of one or two columns."""

    def inline(match: re.Match[str]) -> str:
        content, width = _smaller(folder / match["file"])
        data = base64.b64encode(content).decode()
        image = f'<img src="data:image/webp;base64,{data}" alt="{match["words"]}" width="{width * _CSS_PX // 300}">'
        return f"<figure>{image}<figcaption>{match['words']}</figcaption></figure>"

    return _PICTURE.sub(inline, fragment)


def _smaller(path: Path) -> tuple[bytes, int]:
    """The picture as lossless WebP, and its width."""
    content = io.BytesIO()
    with Image.open(path) as picture:
        shown = picture.convert("RGB")
    shown.save(content, "WEBP", lossless=True, quality=50, method=2)
    return content.getvalue(), shown.width
