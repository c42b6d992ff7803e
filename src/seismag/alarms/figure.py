"""Molchan diagram of an alarm summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from seismag.scoring.figure import BLUE, GREEN, GREY, ORANGE, STYLE, new_figure, save_figure

_REFERENCES = {
    "uniform": ("uniform", BLUE, "-"),
    "station": ("station rates", ORANGE, "--"),
    "clustering": ("past earthquakes", GREEN, "-."),
}


def draw_molchan(summary: dict[str, Any], path: str | Path) -> None:
    """Draw the Molchan diagram: miss rate over alarm fraction, one line a reference, with the chance distribution.

    The band contains 95 % of the draws of randomised events (first reference). ``summary`` is the content of
    alarms.json, with at least one reference that is present.
    """
    present = {name: entry for name, entry in summary["references"].items() if "curve" in entry}
    with mpl.rc_context(STYLE):
        figure = new_figure(4.8)
        axes = figure.subplots()
        _draw_chance(axes, next(iter(present.values()))["curve"])
        for name, entry in present.items():
            label, colour, style = _REFERENCES[name]
            label = f"reference {label}: area skill {entry['area_skill']['value']:.2f}"
            curve = entry["curve"]
            axes.plot(curve["tau"], curve["nu"], color=colour, linestyle=style, linewidth=1.3, label=label)
        axes.set(
            xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=r"alarm fraction $\tau$ of the reference",
            ylabel=r"miss rate $\nu$", title=f"{summary['n_events']} independent events",
        )  # fmt: skip
        figure.legend(loc="outside lower center", frameon=False, handlelength=2.6, borderpad=0)
        save_figure(figure, path)


def _draw_chance(axes: Axes, curve: dict[str, list[float | None]]) -> None:
    tau = np.array(curve["tau"], dtype=float)
    low, high = (np.array(curve[name], dtype=float) for name in ("chance_low", "chance_high"))
    axes.fill_between(tau, low, high, color="#DDDDDD", linewidth=0, label="randomised events, 95 %")
    axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.6)
