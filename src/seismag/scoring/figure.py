"""Figures of metrics.json and history.csv, sized for a column or page of a paper (type of 8 pt).

``metrics`` is the content of metrics.json; the suffix of ``path`` chooses the format (png, pdf, svg).

Colours are a blue ramp for fractions and the Okabe-Ito set for lines, which colour-blind readers distinguish (Okabe &
Ito 2008, https://jfly.uni-koeln.de/color/); line styles differ as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seismag.arrays import ratio
from seismag.documents import check_columns, read_frame
from seismag.domain import DataError
from seismag.files import atomic_path
from seismag.scoring.predictions import TASK_CLASSES
from seismag.text import words_of_key

COLUMN_IN, PAGE_IN = 3.5, 7.1  # width of a column, and of a page
STYLE: Any = {
    **dict.fromkeys(
        ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8
    ),
    "axes.linewidth": 0.6,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # text stays text
}
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"
_LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PINK, ":"), (GREY, (0, (5, 1, 1, 1, 1, 1))))
_NAMES = {
    "all_normal": "always Normal",
    "majority": "class frequencies",
    "base_rates": "class frequencies\nof the test set",
    "oracle_detection_constant": "true detection,\nconstant class*",
}
_TABLES = {"by_station": "station", "by_magnitude": "magnitude", "by_distance": "distance criterion"}


def draw_confusion(metrics: dict[str, Any], task: str, path: str | Path) -> None:
    """Draw the confusion matrix of a task: count, and percentage of the true class, in each cell."""
    counts = np.array(metrics[task]["confusion"])
    rows = counts.sum(axis=1, keepdims=True)
    fractions = np.nan_to_num(ratio(counts, rows))
    classes = metrics[task]["classes"]
    with mpl.rc_context(STYLE):
        figure = new_figure(3.5)
        axes = figure.subplots()
        axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        for (row, column), count in np.ndenumerate(counts):
            if not rows[row, 0]:
                continue
            fraction = fractions[row, column]
            text = f"{short_count(count)}\n{100 * fraction:.0f}%" if count else "0"
            colour = "white" if fraction > 0.55 else ("black" if count else "#767676")
            axes.text(column, row, text, ha="center", va="center", color=colour, linespacing=1.0)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if len(classes) > 6 else 0)
        labels = [f"{name}\nn={n}" for name, n in zip(classes, rows[:, 0], strict=True)]
        axes.set_yticks(range(len(classes)), labels, linespacing=0.95)
        axes.set_xticks(np.arange(len(classes) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(classes) - 1) + 0.5, minor=True)
        axes.grid(which="minor", color="#CCCCCC", linewidth=0.4)
        axes.tick_params(which="both", length=0)
        title = f"{task}: {metrics['n']} {metrics['role']} windows, {metrics['n_events']} events"
        axes.set(xlabel="predicted", ylabel="true", title=title)
        save_figure(figure, path)


def draw_scores(metrics: dict[str, Any], path: str | Path) -> None:
    """Draw the balanced accuracy of the model and the baselines, with intervals.

    Of a baseline and its balanced form the better one is drawn; classical methods and data quality, which use or derive
    from geomagnetic data, have colours of their own, and sensitivity runs are left out.
    """
    tasks = list(TASK_CLASSES)
    forecasts = [["model", *_shown(metrics[task]["baselines"])] for task in tasks]
    with mpl.rc_context(STYLE):
        figure = new_figure(0.9 + 0.22 * sum(len(names) + 1 for names in forecasts))
        panels = figure.subplots(len(tasks), 1, sharex=True, height_ratios=[len(names) + 0.6 for names in forecasts])
        for axes, task, names in zip(panels, tasks, forecasts, strict=True):
            _draw_score_panel(axes, metrics[task], names)
            axes.set_title(task, loc="left", fontweight="bold")
        panels[-1].set_xlabel(f"balanced accuracy, {100 * metrics['confidence']:g} % interval")
        notes = f"{metrics['n']} {metrics['role']} windows, {metrics['n_events']} events; intervals by group"
        if any("oracle_detection_constant" in names for names in forecasts):
            notes += "\n* uses the truth"
        groups = {entry.get("group") for task in tasks for entry in metrics[task]["baselines"].values()}
        if "classical" in groups:
            notes += "\norange: non-magnetic; green: classical methods;\ngrey: data quality"
        figure.supxlabel(notes, fontsize=8)
        save_figure(figure, path)


def draw_reliability(metrics: dict[str, Any], path: str | Path) -> None:
    """Draw reliability diagrams before and after calibration, with counts of windows below."""
    with mpl.rc_context(STYLE):
        figure = new_figure(3.6, PAGE_IN)
        panels = figure.subplots(2, 3, sharex=True, height_ratios=[3, 1])
        for (upper, lower), task in zip(panels.T, ("detection", "magnitude", "azimuth"), strict=True):
            _draw_reliability_panel(upper, lower, metrics[task])
            event = "P(event)" if task == "detection" else "P(likeliest class)"
            lower.set_xlabel(f"forecast probability\n{event}")
            upper.set_title(task, loc="left", fontweight="bold")
        panels[0, 0].set_ylabel("observed frequency")
        panels[1, 0].set_ylabel("windows")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
        figure.supxlabel(
            f"bins of equal mass, {metrics['n']} {metrics['role']} windows, {metrics['n_events']} events", fontsize=8
        )
        save_figure(figure, path)


def draw_subsets(metrics: dict[str, Any], path: str | Path) -> None:
    """Draw ROC AUC and skill of detection at each station, magnitude and distance."""
    parts = [(label, metrics["tables"][table] or []) for table, label in _TABLES.items()]
    parts = [(label, entries) for label, entries in parts if entries]
    with mpl.rc_context(STYLE):
        figure = new_figure(1.0 + 0.17 * sum(len(entries) + 1 for _, entries in parts))
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
            "hollow: no interval (fewer than ten event clusters or\ncontrol blocks)",
            fontsize=8,
        )
        save_figure(figure, path)


def draw_training_curves(history_csv: str | Path, path: str | Path) -> None:
    """Draw the losses of each epoch, and below them the scores, where history.csv has any.

    Columns whose name contains ``loss`` are losses; those with ``accuracy``, ``mcc`` or ``f1`` are
    scores. The epoch of the smallest ``val_loss`` is marked.

    Raises:
        DataError: the file cannot be read, or has no epoch or no loss.
    """
    history = read_frame(Path(history_csv), {}, "Train again.")
    if "epoch" not in history or not any("loss" in str(name) for name in history) or history.empty:
        raise DataError(
            f"{history_csv}: a history has a column epoch, one with loss in its name, and one row an epoch."
        )
    names = [str(name) for name in history.columns]
    check_columns(history, dict.fromkeys(names, "number?"), history_csv, "Train again.")
    losses = [name for name in names if "loss" in name]
    scores = [name for name in names if any(word in name for word in ("accuracy", "mcc", "f1")) and "loss" not in name]
    with mpl.rc_context(STYLE):
        n_panels = 2 if scores else 1
        rows = sum(-(-len(entries) // 2) for entries in (losses, scores))  # of the legends, two entries each
        figure = new_figure(1.7 * n_panels + 0.3 + 0.17 * rows)
        panels = np.atleast_1d(figure.subplots(n_panels, 1, sharex=True))
        for axes, entries, label in zip(panels, (losses, scores), ("loss", "score"), strict=False):
            _draw_curves(axes, history, entries)
            axes.set_ylabel(label)
        if "val_loss" in history and history["val_loss"].notna().any():
            best = float(history["epoch"].iloc[int(np.nanargmin(history["val_loss"]))])
            for axes in panels:
                axes.axvline(best, color=GREY, linewidth=0.6, zorder=0)
            panels[-1].set_xlabel(f"epoch (grey line: smallest val_loss, epoch {best:g})")
        else:
            panels[-1].set_xlabel("epoch")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        save_figure(figure, path)


def _shown(baselines: dict[str, Any]) -> list[str]:
    """Names in their order, of each pair of plain and balanced form the one with the larger balanced accuracy."""
    best: dict[str, str] = {}
    for name, entry in baselines.items():
        plain, value = name.removesuffix("_balanced"), entry["balanced_accuracy"]
        before = baselines[best[plain]]["balanced_accuracy"] if plain in best else None
        if not plain.endswith("_all_days") and (before is None or (value is not None and value > before)):
            best[plain] = name
    return list(best.values())


def _label(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    plain = name.removesuffix("_balanced")
    return words_of_key(plain) + (", balanced" if plain != name else "")


def _draw_score_panel(axes: Axes, result: dict[str, Any], names: list[str]) -> None:
    for row, name in enumerate(names):
        entry, colour, marker, hollow = result["balanced_accuracy"], BLUE, "o", False
        if name != "model":
            baseline = result["baselines"][name]
            low, high = baseline["intervals"]["balanced_accuracy"]
            entry = {"value": baseline["balanced_accuracy"], "low": low, "high": high}
            marker, hollow = "s", baseline["uses_truth"]
            group = "quality" if hollow else baseline.get("group", "")
            colour = {"classical": GREEN, "quality": GREY}.get(group, ORANGE)
        if entry["value"] is None:
            axes.text(0.02, row, "undefined", va="center", color=GREY)
            continue
        draw_estimate(axes, row, entry, colour, marker, hollow)
        axes.text(1.03, row, f"{entry['value']:.2f}", va="center", transform=axes.get_yaxis_transform())
    axes.axhline(0.5, color="#BBBBBB", linewidth=0.5)
    axes.set_yticks(range(len(names)), [_label(name) for name in names], linespacing=0.9)
    axes.set(xlim=(0, 1))
    finish_rows(axes, len(names))


def draw_estimate(axes: Axes, row: int, entry: dict[str, Any], colour: str, marker: str, hollow: bool) -> None:
    """Draw a value with its interval, where it has one, in a row of a panel."""
    if entry["low"] is not None:
        axes.plot([entry["low"], entry["high"]], [row, row], color=colour, linewidth=1.4, solid_capstyle="butt")
    face = "white" if hollow else colour
    axes.plot(entry["value"], row, marker, color=colour, markersize=3.5, markerfacecolor=face)


def finish_rows(axes: Axes, n_rows: int) -> None:
    """Let the rows run downwards, over vertical grid lines."""
    axes.set_ylim(n_rows - 0.4, -0.6)
    draw_grid(axes, "x")
    axes.tick_params(axis="y", length=0)


def draw_grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Draw light grid lines behind the data."""
    axes.grid(axis=axis, color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)


def _draw_reliability_panel(upper: Axes, lower: Axes, result: dict[str, Any]) -> None:
    series = [("as predicted", result["reliability"], BLUE, "o", "-")]
    if after := result["calibration"].get("reliability"):
        series.append(("calibrated on validation", after, ORANGE, "s", "--"))
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=0.7, linestyle=":", label="perfect")
    for label, reliability, colour, marker, style in series:
        bins = reliability["bins"]
        forecast = np.array([entry["mean_probability"] for entry in bins])
        observed = np.array([entry["observed"] for entry in bins])
        upper.plot(
            forecast, observed, marker=marker, linestyle=style, color=colour, markersize=3, linewidth=0.8, label=label
        )
        counts = reliability["histogram"]
        lower.stairs(counts, np.linspace(0, 1, len(counts) + 1), color=colour, linestyle=style, linewidth=1.0)
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    lower.set_ylim(bottom=0)
    for axes in (upper, lower):
        draw_grid(axes)


def _draw_forest(axes: Axes, entries: list[dict[str, Any]], chance: float) -> None:
    axes.axvline(chance, color=GREY, linewidth=0.7, linestyle=":")
    for row, entry in enumerate(entries):
        if entry["value"] is None:
            axes.text(chance, row, " undefined", va="center", color=GREY)
            continue
        draw_estimate(axes, row, entry, BLUE, "o", hollow=entry["low"] is None)
    finish_rows(axes, len(entries))


def _draw_curves(axes: Axes, history: pd.DataFrame, names: list[str]) -> None:
    marker = "o" if len(history) < 3 else None
    for i, name in enumerate(names):
        colour, style = _LINES[i % len(_LINES)]
        width = 1.1 if i < len(_LINES) else 2.2  # the second round of colours is thicker
        axes.plot(
            history["epoch"], history[name], color=colour, linestyle=style, linewidth=width, marker=marker, label=name
        )
    draw_grid(axes)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2 if max(map(len, names)) <= 20 else 1, frameon=False,
        borderpad=0.1, handlelength=2.4, labelspacing=0.2,
    )  # fmt: skip


def new_figure(height_in: float, width_in: float = COLUMN_IN) -> Figure:
    """Make an empty figure with constrained layout; drawn with Agg, whatever display the machine has."""
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all; its folder is made, its suffix chooses the format."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def short_count(count: int) -> str:
    """Write a number of windows in at most four characters: 9999, 10k."""
    return f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
