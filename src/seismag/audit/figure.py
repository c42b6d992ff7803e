"""Charts of the audit report as inline SVG: bars of baselines, and a statistic with its interval."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seismag.estimate import Estimate, NullInterval
from seismag.text import number

_STYLE: Any = {  # text stays text, and the bytes are the same each time
    "svg.fonttype": "none", "svg.hashsalt": "audit", "font.size": 9, "font.sans-serif": ["DejaVu Sans"],
}  # fmt: skip
_CLAIM, _BASELINE, _BAND, _LINE, _SOFT = "#d55e00", "#0072b2", "#c9d8e6", "#d5d5d5", "#5c5c5c"
_LABEL_CHARACTERS = 28
_MARGIN = 0.25  # of the range on either side, for the labels


@dataclass(frozen=True)
class Bar:
    """Two bars of one baseline, or of the claim; a score is None where it is undefined."""

    label: str
    is_claim: bool
    balanced_accuracy: float | None
    accuracy: float | None


def draw_bars(bars: Sequence[Bar]) -> Markup:
    """Chart of balanced accuracy (upper bar) and accuracy (lower, paler bar) from 0 to 1."""
    with mpl.rc_context(_STYLE):
        figure, axes = _new_figure(6.6, 0.36 * len(bars))
        axes.set(xlim=(-0.55, 1.1), ylim=(len(bars) - 0.5, -0.5))
        axes.axvline(0, color=_SOFT, linewidth=0.8)
        for row, bar in enumerate(bars):
            label = bar.label if len(bar.label) <= _LABEL_CHARACTERS else f"{bar.label[: _LABEL_CHARACTERS - 1]}…"
            axes.text(-0.02, row, label, ha="right", va="center", parse_math=False)
            scores = ((bar.balanced_accuracy, -0.18, 1.0), (bar.accuracy, 0.18, 0.45))
            for value, offset, alpha in scores:
                if value is not None:
                    colour = _CLAIM if bar.is_claim else _BASELINE
                    axes.barh(row + offset, value, height=0.32, color=colour, alpha=alpha, clip_on=False)
                    _text(axes, value + 0.01, row + offset, number(value), ha="left")
            if bar.balanced_accuracy is None and bar.accuracy is None:
                _text(axes, 0.01, row, "undefined", ha="left")
        return _inline(figure)


def draw_interval(
    statistic: float | None, null: NullInterval | None = None, estimate: Estimate | None = None
) -> Markup | None:
    """Chart of a statistic (dot) with its null interval (band), or with its own interval (line) and zero.

    Returns:
        The chart; None where there is no finite statistic or no interval.
    """
    ends = [null.low, null.high] if null is not None else []
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        ends = [estimate.low, estimate.high, 0.0]
    if statistic is None or not ends or not np.isfinite([statistic, *ends]).all():
        return None
    low, high = min(statistic, *ends), max(statistic, *ends)
    margin = _MARGIN * ((high - low) or max(abs(high), 1.0))
    with mpl.rc_context(_STYLE):
        figure, axes = _new_figure(4.2, 0.6)
        axes.set(xlim=(low - margin, high + margin), ylim=(-1, 1))
        axes.axhline(0, color=_LINE, linewidth=0.8)
        if null is not None:
            axes.barh(0, null.high - null.low, left=null.low, height=0.6, color=_BAND)
            axes.plot([null.mean, null.mean], [-0.4, 0.4], color=_SOFT, linewidth=0.8)
            _text(axes, null.low, -0.75, number(null.low), ha="right")
            _text(axes, null.high, -0.75, number(null.high), ha="left")
        elif len(ends) == 3:
            axes.plot([0, 0], [-0.5, 0.5], color=_SOFT, linewidth=0.8)
            axes.plot(ends[:2], [0, 0], color=_CLAIM, linewidth=2.5)
            _text(axes, 0, -0.75, "0", ha="center")
        axes.plot(statistic, 0, "o", color=_CLAIM, markersize=6.5)
        _text(axes, statistic, 0.75, number(statistic), ha="center", color="black")
        return _inline(figure)


def _new_figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    return figure, axes


def _text(axes: Axes, x: float, y: float, text: str, ha: str, color: str = _SOFT) -> None:
    axes.text(x, y, text, ha=ha, va="center", color=color, fontsize=8, parse_math=False)


def _inline(figure: Figure) -> Markup:
    """The SVG element alone, without the names of its groups, which would repeat on the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root, rest = buffer.getvalue().partition("<svg")[2].split(">", 1)
    root = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", root)
    return Markup(f'<svg role="img"{root}>' + re.sub(r'<g id="\w+">', "<g>", rest))
