"""What the interactive figures are made of: a chart, its points with their intervals and sources, and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seismag.scoring.figure import GREY

Trace = dict[str, Any]


@dataclass(frozen=True)
class ValueTable:
    """The values of a series for those who cannot see or point at a figure.

    Attributes:
        caption: what they are. columns: names.
        rows: label, and of each cell the source and form, ``metrics.json#/magnitude/mcc/value .3f``.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        name: of its element. title: of its part of the page. note: what is to be seen, one sentence.
        traces, layout: for Plotly.
        tables: the same values with their sources.
        choices: names of the traces, where one is shown at a time.
    """

    name: str
    title: str
    note: str
    traces: list[Trace]
    layout: dict[str, Any]
    tables: list[ValueTable] = field(default_factory=list)
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """A value with its interval.

    Attributes:
        place: on the other axis. hover: said when it is pointed at. value, low, high: None where undefined.
        sources: of these three. label: in a table; "": the place.
    """

    place: str | float | None
    hover: str
    value: float | None
    low: float | None
    high: float | None
    sources: tuple[str, str, str]
    label: str = ""


def point(place: str | float | None, entry: Mapping[str, Any], source: str, hover: str, label: str = "") -> Point:
    """Take value, low and high from a recorded score; ``source``: where it stands."""
    value, low, high = (entry[key] for key in ("value", "low", "high"))
    return Point(place, hover, value, low, high, (f"{source}/value", f"{source}/low", f"{source}/high"), label)


def points_trace(points: Sequence[Point], name: str, colour: Any, *, sideways: bool = False) -> Trace:
    """Draw points with their intervals; an undefined one is left out. ``sideways``: values along x."""
    known = [k for k, entry in enumerate(points) if entry.value is not None and entry.place is not None]
    shown = [points[k] for k in known]
    axis, other = ("x", "y") if sideways else ("y", "x")
    several = isinstance(colour, list)
    return {
        axis: [entry.value for entry in shown], other: [entry.place for entry in shown], "mode": "markers",
        "name": name, "text": [entry.hover for entry in shown], "customdata": [entry.sources[0] for entry in shown],
        f"error_{axis}": {
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 0, "color": GREY if several else colour,
            "array": [_distance(entry.value, entry.high) for entry in shown],
            "arrayminus": [_distance(entry.value, entry.low) for entry in shown],
        },
        "marker": {"color": [colour[k] for k in known] if several else colour, "size": 8},
        "hovertemplate": "%{text}<br><b>%{" + axis + ":.3f}</b><br>%{customdata}<extra></extra>",
    }  # fmt: skip


def points_table(caption: str, points: Sequence[Point]) -> ValueTable:
    """List points with their intervals; undefined ones too."""
    rows = [
        (entry.label or str(entry.place), tuple(f"{source} .3f" for source in entry.sources)) for entry in points
    ]  # fmt: skip
    return ValueTable(caption, ("value", "low", "high"), tuple(rows))


def title_of(text: str) -> dict[str, Any]:
    """Name an axis."""
    return {"title": {"text": text, "font": {"size": 14}}}


def _distance(value: float | None, limit: float | None) -> float:
    return 0.0 if value is None or limit is None else abs(limit - value)
