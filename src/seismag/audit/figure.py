"""Geometry of the verdict page's figures; the template draws them as inline SVG, so that text is escaped there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WIDTH = 640.0
LABEL = 190.0  # of a bar, to the left of it
BAR, STEP = 11.0, 34.0  # height of one bar; of a row with two
PLOT_WIDTH, PLOT_HEIGHT = 300.0, 44.0
_APART = 60.0  # between the middles of two texts
_MARGIN = 0.14  # of the plot's range at either side; labels stand there


def bar_chart(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Lay out bars from 0 to 1.

    Args:
        rows: label, kind (claim or rule), balanced_accuracy, accuracy (None: undefined).

    Returns:
        width, height, zero, and rows with label, kind, y and bars (y, width, value, name).
    """
    span = WIDTH - LABEL - 60.0  # the value stands to the right of the bar
    laid = []
    for place, row in enumerate(rows):
        top = STEP * place + 4.0
        bars = [
            {"y": top + BAR * k, "width": span * min(max(row[key], 0.0), 1.0), "value": row[key], "name": key}
            for k, key in enumerate(("balanced_accuracy", "accuracy"))
            if row[key] is not None
        ]
        laid.append({"label": row["label"], "kind": row["kind"], "y": top, "bars": bars})
    return {"width": WIDTH, "height": STEP * len(rows) + 8.0, "zero": LABEL, "bar": BAR - 1.5, "rows": laid}


def interval_plot(
    statistic: float | None,
    null: dict[str, float | None] | None,
    write: Callable[[Any], str],
    own: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Lay out a statistic beside the interval that chance gives it, or with its own interval beside zero.

    Args:
        statistic: the dot; None: no plot.
        null: mean, low, high where nothing is wrong; drawn as a band.
        write: makes text of a number.
        own: low and high of the statistic itself; drawn as a whisker, with a line at zero.

    Returns:
        x coordinates and texts, or None where there is nothing to compare.
    """
    band = _ends(null)
    whisker = _ends(own)
    if statistic is None or (band is None and whisker is None):
        return None
    values = [float(statistic), *(band or ()), *(whisker or ()), *([0.0] if own is not None else [])]
    low, high = min(values), max(values)
    span = (high - low) or max(abs(high), 1.0)

    def x(value: float) -> float:
        inner = PLOT_WIDTH * (1 - 2 * _MARGIN)
        return PLOT_WIDTH * _MARGIN + inner * ((value - low) / span if high > low else 0.5)

    mean = (null or {}).get("mean")
    return {
        "width": PLOT_WIDTH, "height": PLOT_HEIGHT, "x": x(float(statistic)), "text": write(statistic),
        "band": None if band is None else (x(band[0]), x(band[1])),
        "band_texts": None if band is None else (write(band[0]), write(band[1])),
        "band_anchors": _anchors(band, x) if band is not None else None,
        "mean": None if mean is None or band is None else min(max(x(float(mean)), 0.0), PLOT_WIDTH),
        "whisker": None if whisker is None else (x(whisker[0]), x(whisker[1])),
        "zero": x(0.0) if own is not None else None,
    }  # fmt: skip


def _anchors(band: tuple[float, float], x: Callable[[float], float]) -> tuple[str, str]:
    """Texts at the ends of a narrow band turn outwards, so that they do not lie over each other."""
    return ("middle", "middle") if x(band[1]) - x(band[0]) > _APART else ("end", "start")


def _ends(entry: dict[str, Any] | None) -> tuple[float, float] | None:
    if not entry or entry.get("low") is None or entry.get("high") is None:
        return None
    return float(entry["low"]), float(entry["high"])
