"""All texts and figures on one page: a single file that asks no network for anything.

Plotly's script is written into the page once; a content security policy forbids every request. Without JavaScript the
texts, tables and static figures remain.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from seismag.delivery.report.charts import Chart, make_charts
from seismag.delivery.report.evidence import Evidence
from seismag.delivery.report.figures import Drawn
from seismag.delivery.report.markdown import render
from seismag.domain import SeismagError
from seismag.runs import write_text_atomic

_FONT = {"family": "system-ui, sans-serif", "size": 14, "color": "#1b1b1b"}
_LAYOUT = {
    "font": _FONT, "margin": {"l": 60, "r": 20, "t": 50, "b": 60}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff",
    "xaxis": {"gridcolor": "#e5e5e5", "automargin": True}, "yaxis": {"gridcolor": "#e5e5e5", "automargin": True},
    "legend": {"orientation": "h", "y": -0.28}, "height": 420,
}  # fmt: skip


def write_page(
    title: str, evidence: Evidence, texts: Mapping[str, str], figures: Mapping[str, Drawn], path: Path
) -> None:
    """Write the page.

    Args:
        title: of the manuscript.
        evidence: what the charts are drawn from.
        texts: Markdown by file name; the first one opens the page, the others can be unfolded.
        figures: static ones; their files lie below the folder of ``path``.
        path: of the page.

    Raises:
        SeismagError: Plotly or markdown-it-py is not installed.
    """
    environment = Environment(
        loader=PackageLoader("seismag.delivery.report"), autoescape=True, undefined=StrictUndefined, lstrip_blocks=True,
        trim_blocks=True,
    )  # fmt: skip
    sections = {name: _with_pictures(render(text), path.parent) for name, text in texts.items()}
    first = sections.pop(next(iter(sections)))
    page = environment.get_template("report.html.j2").render(
        title=title,
        subject=evidence.subject,
        first=first,
        sections=sections,
        charts=[(chart, _json(chart)) for chart in make_charts(evidence)],
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
    """Traces and layout for a script element; "<" is escaped, so that no text can end the element."""
    layout = {**_LAYOUT, **chart.layout}
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {**_LAYOUT[axis], **chart.layout.get(axis, {})}  # type: ignore[dict-item]
    return json.dumps({"data": chart.traces, "layout": layout}, allow_nan=False).replace("<", "\\u003c")


def _with_pictures(fragment: str, folder: Path) -> str:
    """Put the pictures of a fragment into it."""

    def inline(match: re.Match[str]) -> str:
        content = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{content}"'

    return re.sub(r'src="(figures/[\w.]+\.png)"', inline, fragment)
