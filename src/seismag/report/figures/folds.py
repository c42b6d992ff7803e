"""Figure of accuracy, balanced accuracy and skill in each fold of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from seismag.report.findings import TASKS
from seismag.scoring.figure import BLUE, GREY, ORANGE, PAGE_IN, STYLE, new_figure, save_figure


def draw_folds(crossval: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy, balanced accuracy and skill over the best non-magnetic baseline of ``*_final_results.json``."""
    folds = list(crossval["folds"])
    with mpl.rc_context(STYLE):
        figure = new_figure(3.6, PAGE_IN)
        panels = figure.subplots(2, 3, sharex=True, sharey="row")
        for (upper, lower), task in zip(panels.T, TASKS, strict=True):
            scores = ((-0.13, "accuracy", GREY, "s"), (0.13, "balanced_accuracy", BLUE, "o"))
            for shift, score, colour, marker in scores:
                entries = [{**fold[task][score], "value": fold[task][score]["mean"]} for fold in folds]
                _draw(upper, folds, entries, shift, colour, marker, score.replace("_", " "))
            skills = [fold["skill_above_best_baseline"][task]["balanced_accuracy"] for fold in folds]
            _draw(lower, folds, skills, 0.0, ORANGE, "o", "skill")
            mean = crossval["skill_above_best_baseline"][task]["balanced_accuracy"]["mean"]
            lower.axhline(0, color="black", linewidth=0.6)
            if mean is not None:
                lower.axhline(mean, color=ORANGE, linewidth=0.8, linestyle="--")
            upper.set_title(task, loc="left", fontweight="bold")
            upper.set_ylim(-0.03, 1.03)
            lower.set_xlabel("fold" if mean is None else "fold (dashed: mean over folds)")
            lower.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
            lower.set_xlim(folds[0]["fold"] - 0.6, folds[-1]["fold"] + 0.6)
        panels[0, 0].set_ylabel("score")
        panels[1, 0].set_ylabel("skill, balanced accuracy")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
        save_figure(figure, path)


def _draw(axes: Axes, folds: list[Any], entries: list[Any], shift: float, colour: str, marker: str, label: str) -> None:
    first = True
    for fold, entry in zip(folds, entries, strict=True):
        if entry["value"] is None:
            continue
        x = fold["fold"] + shift
        if entry["low"] is not None:
            axes.plot([x, x], [entry["low"], entry["high"]], color=colour, linewidth=1.1, solid_capstyle="butt")
        axes.plot(x, entry["value"], marker, color=colour, markersize=3.5, label=label if first else None)
        first = False
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
