"""Figures of an explanation: windows with attribution, permutation importance, and sanity tests.

All windows have the same colour limits. Masked time frames are grey.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from seismag.domain import COMPONENTS
from seismag.explain.compute import ExplainedWindow, Explanation
from seismag.files import atomic_path
from seismag.recordings.figure import DAY_LIMITS
from seismag.scoring.figure import BLUE, GREEN, GREY, ORANGE, PAGE_IN, PINK, STYLE, new_figure, save_figure
from seismag.spectrograms.bands import BAND_LABELS
from seismag.windows.export import IMAGE_DB_LIMITS

WINDOW_DPI = 120  # the page contains tens of pictures
_TASKS = ("magnitude", "azimuth")
METHOD_NAMES = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++"}
_FREQUENCY_TICKS = (2, 7, 22, 100, 300)
_BAND_EDGES_MHZ = (7.0, 22.0, 100.0)
_BARS = (("H", BLUE, None), ("D", ORANGE, None), ("Z", GREEN, None), ("all", GREY, "///"))
_SCORES = (("log_score", "log score (nat)"), ("balanced_accuracy", "balanced accuracy"))


def draw_window(window: ExplainedWindow, explanation: Explanation, path: str | Path) -> None:
    """Draw the power of H, D and Z and the attribution of both tasks, over UTC and mHz."""
    document, start_utc = explanation.document, window.facts["start_utc"]
    since_midnight_h = int(start_utc[11:13]) + int(start_utc[14:16]) / 60 + int(start_utc[17:19]) / 3600
    x = since_midnight_h + _edges(explanation.time_s, logarithmic=False) / 3600  # of the day on which the window starts
    y = _edges(explanation.frequency_hz * 1000, explanation.log_frequency)
    limits = DAY_LIMITS if explanation.log_frequency else IMAGE_DB_LIMITS
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_IN, 4.6))
        grid = figure.add_gridspec(
            6, 6, width_ratios=[1, 0.022, 0.3, 1, 0.022, 0.02], left=0.075, right=0.945, top=0.865, bottom=0.1,
            wspace=0.09, hspace=0.6,
        )  # fmt: skip
        power_axes = [figure.add_subplot(grid[2 * i : 2 * i + 2, 0]) for i in range(3)]
        map_axes = [figure.add_subplot(grid[3 * i : 3 * i + 3, 3]) for i in range(2)]
        for axes, name, power_db in zip(power_axes, COMPONENTS, window.power_db, strict=True):
            mesh = _draw_bins(axes, (x, y), power_db, "viridis", limits)
            axes.text(0.012, 0.95, name, transform=axes.transAxes, va="top", fontweight="bold", color="black",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85})  # fmt: skip
        bar = figure.colorbar(mesh, cax=figure.add_subplot(grid[:, 1]), extend="both")
        bar.set_label("power, dB re 1 nT²/Hz", labelpad=0)
        masked = np.isnan(window.power_db).all(axis=(0, 1))
        for row, (axes, task) in enumerate(zip(map_axes, _TASKS, strict=True)):
            values = np.where(masked, np.nan, window.maps[task])
            top = document["attribution_limits"][task]
            mesh = _draw_bins(axes, (x, y), values, "magma", (0.0, top if top > 0 else 1.0))
            predicted, p, y_true = (window.facts[f"{what}_{task}"] for what in ("predicted", "p", "y"))
            axes.set_title(f"{task}: {predicted}, p = {p:.2f} (true: {y_true})", loc="left", pad=3)
            side = figure.colorbar(mesh, cax=figure.add_subplot(grid[3 * row : 3 * row + 3, 4]), extend="max")
            side.set_label("class score", labelpad=1)
            side.ax.yaxis.get_offset_text().set(horizontalalignment="left", fontsize=7)  # right of the title
        for axes in (*power_axes, *map_axes):
            _label_axes(axes, explanation, last=axes in (power_axes[-1], map_axes[-1]))
        below = f"UTC, {start_utc[:10]}; dashed: borders of Pc5, Pc4 and Pc3; grey: masked"
        figure.text(0.5, 0.005, below, ha="center", va="bottom")
        title = f"{window.facts['station']}  {start_utc[:16].replace('T', ' ')} UTC"
        figure.text(0.075, 0.992, title, va="top", fontweight="bold", fontsize=9)
        what = "one map for H, D and Z (no component resolution). The same limits in all windows"
        figure.text(0.075, 0.945, f"{METHOD_NAMES[document['method']]}: {what}", va="top", color="0.3")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=WINDOW_DPI)


def draw_importance(document: dict[str, Any], path: str | Path) -> None:
    """Draw the permutation importance of each band and component, with intervals by event cluster."""
    importance = document["band_importance"]
    bands = list(dict.fromkeys(part["band"] for part in importance["parts"]))
    with mpl.rc_context(STYLE):
        figure = new_figure(4.8, PAGE_IN)
        panels = figure.subplots(2, 3, sharex=True, sharey="row")
        for row, (score, label) in enumerate(_SCORES):
            for column, task in enumerate(("detection", *_TASKS)):
                axes = panels[row, column]
                _draw_bars(axes, importance["parts"], bands, (task, score))
                if row == 0:
                    axes.set_title(task, loc="left", fontweight="bold")
                if column == 0:
                    axes.set_ylabel(f"loss of {label}")
        for axes in panels[1]:
            axes.set_xticks(range(len(bands)), [BAND_LABELS[band].replace(" ", "\n") for band in bands])
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, title="replaced component"
        )
        figure.supxlabel(
            f"{importance['n_windows']} windows, {importance['n_groups']} groups, replaced {importance['repeats']} x; "
            f"bars: {100 * importance['confidence']:g} % by group. Positive: the model uses this part of the input.",
            fontsize=8,
        )
        save_figure(figure, path)


def draw_sanity(document: dict[str, Any], path: str | Path) -> None:
    """Draw the correlation of maps under random weights, and the deletion and insertion curves."""
    tests = {result["name"]: result for result in document["sanity"]}
    with mpl.rc_context(STYLE):
        figure = new_figure(2.9, PAGE_IN)
        panels = figure.subplots(1, 3)
        _draw_cascade(panels[0], tests)
        for axes, task in zip(panels[1:], _TASKS, strict=True):
            _draw_curves(axes, tests, task)
        save_figure(figure, path)


def _draw_bins(
    axes: Axes, edges: tuple[Any, Any], values: NDArray[Any], colours: str, limits: tuple[float, float]
) -> Any:
    axes.set_facecolor("0.75")  # masked
    return axes.pcolormesh(
        *edges, np.ma.masked_invalid(values), cmap=colours, vmin=limits[0], vmax=limits[1], rasterized=True
    )


def _label_axes(axes: Axes, explanation: Explanation, *, last: bool) -> None:
    if explanation.log_frequency:
        axes.set_yscale("log")
        axes.set_yticks(_FREQUENCY_TICKS, [str(tick) for tick in _FREQUENCY_TICKS])
        axes.minorticks_off()
    for edge in _BAND_EDGES_MHZ:
        axes.axhline(edge, color="white", linewidth=0.5, alpha=0.6, linestyle=(0, (4, 3)))
    low, high = axes.get_xlim()
    hours = np.arange(np.ceil(low - 1e-9), high + 1e-9, max(1, round((high - low) / 6)))
    axes.set_xticks(hours, [f"{hour % 24:02.0f}:00" for hour in hours] if last else [""] * len(hours))
    axes.tick_params(length=2, pad=1.5)
    axes.set_ylabel("mHz", labelpad=0)


def _edges(centres: NDArray[np.float64], logarithmic: bool) -> NDArray[np.float64]:
    """Edges of bins, half-way between their centres."""
    values = np.log(centres) if logarithmic else np.asarray(centres, dtype=float)
    if len(values) == 1:
        return np.array([centres[0] * 0.9, centres[0] * 1.1])
    inner = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([[2 * values[0] - inner[0]], inner, [2 * values[-1] - inner[-1]]])
    return np.exp(edges) if logarithmic else edges


def _draw_bars(axes: Axes, parts: Any, bands: list[str], key: tuple[str, str]) -> None:
    task, score = key
    width = 0.8 / len(_BARS)
    for index, (component, colour, hatch) in enumerate(_BARS):
        entries = {part["band"]: part[task][score] for part in parts if part["component"] == component}
        x = np.arange(len(bands)) + (index - 1.5) * width
        values = np.array([entries[band]["value"] for band in bands])
        axes.bar(x, values, width, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=component)
        for k, band in enumerate(bands):
            low, high = entries[band]["low"], entries[band]["high"]
            if low is not None and high is not None:
                axes.plot([x[k]] * 2, [low, high], color="black", linewidth=0.8)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)


def _draw_cascade(axes: Axes, tests: Any) -> None:
    stages: list[str] = []
    for task, colour, marker in zip(_TASKS, (BLUE, ORANGE), ("o", "s"), strict=True):
        details = tests[f"random_weights_{task}"]["details"]
        stages = ["none", *(entry["stage"] for entry in details["stages"])]
        values = [1.0, *(entry["correlation"] for entry in details["stages"])]
        shown = [np.nan if value is None else value for value in values]
        axes.plot(range(len(stages)), shown, color=colour, marker=marker, markersize=3, linewidth=1.1, label=task)
        limit = details["limit"]
    axes.axhline(limit, color="black", linewidth=0.8, linestyle="--", label="limit at the last stage")
    axes.axhline(0, color="#999999", linewidth=0.5)
    step = -(-len(stages) // 9)
    indices = sorted({*range(0, len(stages), step), len(stages) - 1})
    axes.set_xticks(indices, [stages[index] for index in indices], rotation=60, ha="right", rotation_mode="anchor")
    axes.set(ylabel="rank correlation of the maps", ylim=(min(-0.3, *axes.get_ylim()), 1.05))
    axes.set_title("weights randomised down to", loc="left", fontweight="bold")
    axes.legend(frameon=False, handlelength=1.8, borderpad=0.1, labelspacing=0.2)


def _draw_curves(axes: Axes, tests: Any, task: str) -> None:
    for kind, colour, marker in (("deletion", BLUE, "o"), ("insertion", PINK, "s")):
        curve = tests[f"{kind}_{task}"]["details"]["curve"]
        percent = [100 * value for value in curve["fractions"]]
        axes.plot(percent, curve["probability"], color=colour, marker=marker, markersize=3, linewidth=1.1, label=kind)
        axes.plot(percent, curve["probability_random"], color=colour, linestyle=":", linewidth=1.1,
                  label=f"{kind}, random order")  # fmt: skip
    axes.set(xlabel="bins removed or inserted, %", ylabel="mean probability of the class", xlim=(0, 100))
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), high + 0.45 * (high - low))
    axes.set_title(task, loc="left", fontweight="bold")
    axes.grid(color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, handlelength=1.8, borderpad=0.1, labelspacing=0.2, loc="upper center", ncols=1)
