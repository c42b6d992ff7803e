"""Parts of an interactive figure: the chart, its points with intervals and sources, and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seismag.scoring.figure import GREY


@dataclass(frozen=True)
class ValueTable:
    """The values of a series as a table, for readers who cannot use the figure.

    Attributes:
        caption, columns: names.
        rows: label, and for each cell the source and format, ``metrics.json#/magnitude/mcc/value .3f``.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        name: HTML id. title: heading. note: caption, one or two sentences.
        traces, layout: for Plotly.
        tables: the same values with their sources.
        choices: names of the traces, if one is shown at a time.
    """

    name: str
    title: str
    note: str
    traces: list[dict[str, object]]
    layout: dict[str, Any]
    tables: list[ValueTable] = field(default_factory=list)
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """A value with its interval.

    Attributes:
        position: on the other axis. hover: text of the tooltip. value, low, high: None where undefined.
        sources: of these three. label: in a table; "": the position.
    """

    position: str | float | None
    hover: str
    value: float | None
    low: float | None
    high: float | None
    sources: tuple[str, str, str]
    label: str = ""


def point(position: str | float | None, entry: Mapping[str, Any], source: str, hover: str, label: str = "") -> Point:
    """Take value, low and high from a recorded score; ``source``: its document and pointer."""
    value, low, high = (entry[key] for key in ("value", "low", "high"))
    return Point(position, hover, value, low, high, (f"{source}/value", f"{source}/low", f"{source}/high"), label)


def points_trace(
    points: Sequence[Point], name: str, colour: str | list[str], *, sideways: bool = False, symbol: str | None = None
) -> dict[str, object]:
    """Draw points with their intervals; an undefined one is left out. ``sideways``: values along x."""
    known = [k for k, entry in enumerate(points) if entry.value is not None and entry.position is not None]
    shown = [points[k] for k in known]
    axis, other = ("x", "y") if sideways else ("y", "x")
    marker: dict[str, object] = {"color": colour, "size": 8}
    if isinstance(colour, list):
        marker["color"] = [colour[k] for k in known]
    if symbol is not None:
        marker["symbol"] = symbol
    return {
        axis: [entry.value for entry in shown], other: [entry.position for entry in shown], "mode": "markers",
        "name": name, "text": [entry.hover for entry in shown], "customdata": [entry.sources[0] for entry in shown],
        f"error_{axis}": {
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 0,
            "color": GREY if isinstance(colour, list) else colour,
            "array": [_distance(entry.value, entry.high) for entry in shown],
            "arrayminus": [_distance(entry.value, entry.low) for entry in shown],
        },
        "marker": marker,
        "hovertemplate": "%{text}<br><b>%{" + axis + ":.3f}</b><br>%{customdata}<extra></extra>",
    }  # fmt: skip


def points_table(caption: str, points: Sequence[Point]) -> ValueTable:
    """List all points with their intervals."""
    rows = [
        (entry.label or str(entry.position), tuple(f"{source} .3f" for source in entry.sources)) for entry in points
    ]  # fmt: skip
    return ValueTable(caption, ("value", "low", "high"), tuple(rows))


def title_of(text: str) -> dict[str, object]:
    """Axis title of Plotly."""
    return {"title": {"text": text, "font": {"size": 14}}}


def _distance(value: float | None, limit: float | None) -> float:
    return 0.0 if value is None or limit is None else abs(limit - value)
