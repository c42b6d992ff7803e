"""Figure of windows and independent groups in each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seismag.scoring.figure import BLUE, ORANGE, PAGE_IN, STYLE, save_figure, short_count


def draw_class_balance(data: Mapping[str, Any], path: Path) -> None:
    """Draw windows and groups of each class on a logarithmic scale, magnitude to the left, azimuth to the right.

    Args:
        data: the content of data.json. path: the picture.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_IN, 2.6))
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained")
        panels = figure.subplots(1, 2, sharey=True, width_ratios=[5.2, 9])
        top = max(max(data[f"{task}_windows"].values()) for task in ("magnitude", "azimuth"))
        for axes, task in zip(panels, ("magnitude", "azimuth"), strict=True):
            for shift, what, colour in ((-0.2, "windows", BLUE), (0.2, "groups", ORANGE)):
                counts = data[f"{task}_{what}"]
                places = np.arange(len(counts)) + shift
                axes.bar(places, list(counts.values()), width=0.38, color=colour, label=what)
                for x, count in zip(places, counts.values(), strict=True):
                    axes.text(x, max(count, 0.7) * 1.08, short_count(count), ha="center", va="bottom", fontsize=7)
            axes.set_xticks(range(len(counts)), list(counts))
            axes.set_title(task, loc="left", fontweight="bold")
            axes.set(yscale="log", ylim=(0.7, 4 * top), xlim=(-0.6, len(counts) - 0.4))
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("number")
        panels[1].legend(loc="upper right", frameon=False, ncols=2)
        save_figure(figure, path)
