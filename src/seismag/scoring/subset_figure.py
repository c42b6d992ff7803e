"""Figures of reliability, and of scores by station, magnitude and distance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from seismag.scoring.figure import BLUE, GREY, ORANGE, STYLE, new_figure, save_figure

PAGE_IN = 7.1
_TASKS = ("detection", "magnitude", "azimuth")
_TABLES = {"by_station": "station", "by_magnitude": "magnitude", "by_distance": "distance criterion"}


def draw_reliability(metrics: dict[str, Any], path: str | Path) -> None:
    """Draw reliability diagrams before and after calibration, with counts of windows below.

    Args:
        metrics: the content of metrics.json.
        path: the picture; its suffix chooses the format (png, pdf, svg).
    """
    with mpl.rc_context(STYLE):
        figure = new_figure(3.6, PAGE_IN)
        panels = figure.subplots(2, 3, sharex=True, height_ratios=[3, 1])
        for (upper, lower), task in zip(panels.T, _TASKS, strict=True):
            _draw_reliability_panel(upper, lower, metrics[task])
            event = "P(event)" if task == "detection" else "P(likeliest class)"
            lower.set_xlabel(f"forecast probability\n{event}")
            upper.set_title(task, loc="left", fontweight="bold")
        panels[0, 0].set_ylabel("observed frequency")
        panels[1, 0].set_ylabel("windows")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
        figure.supxlabel(
            f"bins of equal mass, {metrics['n']} {metrics['role']} windows, {metrics['n_events']} events; bars: "
            f"{100 * metrics['confidence']:g} % intervals by cluster",
            fontsize=8,
        )
        save_figure(figure, path)


def draw_subsets(metrics: dict[str, Any], path: str | Path) -> None:
    """Draw ROC AUC and skill of detection at each station, magnitude and distance."""
    parts = [(label, metrics["tables"][table] or []) for table, label in _TABLES.items()]
    parts = [(label, entries) for label, entries in parts if entries]
    with mpl.rc_context(STYLE):
        rows = sum(len(entries) + 1 for _, entries in parts)
        figure = new_figure(1.0 + 0.17 * rows)
        heights = [len(entries) + 0.6 for _, entries in parts]
        panels = figure.subplots(len(parts), 2, sharex="col", squeeze=False, height_ratios=heights)
        for (left, right), (label, entries) in zip(panels, parts, strict=True):
            _draw_forest(left, [entry["detection"]["auc_within_station"] for entry in entries], 0.5)
            _draw_forest(right, [entry["detection"]["skill_balanced_accuracy"] for entry in entries], 0.0)
            names = [f"{entry['subset']} ({entry['n_events']})" for entry in entries]
            left.set_yticks(range(len(names)), names)
            right.set_yticks(range(len(names)), [])
            left.set_title(label, loc="left", fontweight="bold")
        panels[-1, 0].set_xlabel("station-stratified\nROC AUC")
        panels[-1, 1].set_xlabel("Δ balanced\naccuracy")
        panels[-1, 0].set_xlim(0.2, 1.06)
        panels[-1, 1].set_xlim(-0.32, 0.62)
        figure.supxlabel(
            f"detection, {100 * metrics['confidence']:g} % intervals; events in brackets;\n"
            "hollow: inconclusive, too few clusters for an interval",
            fontsize=8,
        )
        save_figure(figure, path)


def _draw_reliability_panel(upper: Axes, lower: Axes, result: dict[str, Any]) -> None:
    series = [("as predicted", result["reliability"], BLUE, "o", "-")]
    if after := result["calibration"].get("reliability"):
        series.append(("calibrated on validation", after, ORANGE, "s", "--"))
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, linestyle=":", label="perfect")
    for label, reliability, colour, marker, style in series:
        bins = reliability["bins"]
        forecast = np.array([entry["mean_probability"] for entry in bins])
        observed = np.array([entry["observed"]["value"] for entry in bins])
        for x, entry in zip(forecast, bins, strict=True):
            if entry["observed"]["low"] is not None:
                limits = [entry["observed"]["low"], entry["observed"]["high"]]
                upper.plot([x, x], limits, color=colour, linewidth=0.9)
        upper.plot(
            forecast, observed, marker=marker, linestyle=style, color=colour, markersize=3, linewidth=0.8, label=label
        )
        counts = reliability["histogram"]
        lower.stairs(counts, np.linspace(0, 1, len(counts) + 1), color=colour, linestyle=style, linewidth=1.0)
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    lower.set_ylim(bottom=0)
    for axes in (upper, lower):
        axes.grid(color="#E5E5E5", linewidth=0.5)
        axes.set_axisbelow(True)


def _draw_forest(axes: Axes, entries: list[dict[str, Any]], chance: float) -> None:
    axes.axvline(chance, color=GREY, linewidth=0.7, linestyle=":")
    for row, entry in enumerate(entries):
        if entry["value"] is None:
            axes.text(chance, row, " undefined", va="center", color=GREY)
            continue
        known = entry["low"] is not None
        if known:
            axes.plot([entry["low"], entry["high"]], [row, row], color=BLUE, linewidth=1.4, solid_capstyle="butt")
        axes.plot(entry["value"], row, "o", color=BLUE, markersize=3.5, markerfacecolor=BLUE if known else "white")
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
