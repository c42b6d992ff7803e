"""An alarm summary for the reader: lines with the power first, and the Molchan diagram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seismag.scoring.figure import BLUE, COLUMN_IN, GREEN, GREY, ORANGE, STYLE, save_figure

_REFERENCES = {
    "uniform": ("uniform", BLUE, "-"),
    "station": ("station rates", ORANGE, "--"),
    "clustering": ("past earthquakes", GREEN, "-."),
}


def format_alarms(summary: dict[str, Any]) -> str:
    """Write an alarm summary as lines: power first."""
    lines = _power_lines(summary["power"]) if summary["power"] else []
    if reason := summary.get("undefined"):
        return "\n".join([*lines, reason])
    lines += [
        "",
        f"{summary['n_events']} independent events in {summary['n_event_windows']} windows; alarmed fraction tau "
        f"measured on {summary['n_ordinary_windows']} windows ({summary['tau_measured_on']})",
    ]
    for name, reference in summary["references"].items():
        lines += ["", *_reference_lines(name, reference)]
    if summary["warnings"]:
        lines += ["", *(f"warning: {sentence}" for sentence in summary["warnings"])]
    return "\n".join(lines)


def draw_molchan(summary: dict[str, Any], path: str | Path) -> None:
    """Draw the Molchan diagram: miss rate over alarmed fraction, one line a reference, with what chance gives.

    The band holds 95 % of the draws with the events moved in time (first reference); the dotted lines are the
    exact binomial bounds at 5 % and 1 %, below which independent events lie by chance that rarely.

    Args:
        summary: what ``alarm_summary`` gives, with at least one reference that is there.
        path: the picture; its suffix chooses the format (png, pdf, svg).
    """
    present = {name: entry for name, entry in summary["references"].items() if "curve" in entry}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN_IN, 4.8))
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        _draw_chance(axes, next(iter(present.values()))["curve"])
        for name, entry in present.items():
            label, colour, style = _REFERENCES[name]
            curve = entry["curve"]
            area = entry["area_skill"]["value"]
            axes.plot(
                curve["tau"], curve["nu"], color=colour, linestyle=style, linewidth=1.3,
                label=f"reference {label}: area skill {area:.2f}",
            )  # fmt: skip
        axes.set(
            xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=r"alarmed fraction $\tau$ of the reference",
            ylabel=r"miss rate $\nu$", title=f"{summary['n_events']} independent events",
        )  # fmt: skip
        figure.legend(loc="outside lower center", frameon=False, handlelength=2.6, borderpad=0)
        save_figure(figure, path)


def _draw_chance(axes: Axes, curve: dict[str, Any]) -> None:
    tau = np.array(curve["tau"])
    axes.fill_between(
        tau, curve["chance_low"], curve["chance_high"], color="#DDDDDD", linewidth=0, label="events moved in time, 95 %"
    )
    axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.6)
    for alpha, width in (("5", 0.7), ("1", 1.2)):
        bound = np.array([np.nan if value is None else value for value in curve[f"binomial_{alpha}"]])
        axes.plot(tau, bound, color=GREY, linestyle=":", linewidth=width, label=f"independent events, {alpha} % bound")


def _power_lines(power: dict[str, Any]) -> list[str]:
    tau, n = power["alarm_fraction"], power["n_events"]
    lines = [f"power, before the result ({n} independent events, {100 * power['power']:g} % power, tau {tau:g})"]
    for alpha, entry in power["by_error"].items():
        needed = ", ".join(
            f"gain {g} from {count if count else 'more than 100,000'} events on"
            for g, count in entry["events_needed"].items()
        )
        seen = entry["smallest_gain"]
        smallest = f"is {seen:.2f}" if seen else f"does not exist: even {n} hits of {n} would not be told from chance"
        lines += [
            f"  at {100 * float(alpha):g} % error: {needed}",
            f"    with your {n} the smallest gain that can be seen {smallest}",
            f"    smallest area skill {entry['smallest_area_skill']:.3f}, AUC {_or_none(entry['smallest_auc'])}, "
            f"balanced accuracy {_or_none(entry['smallest_balanced_accuracy'])} (group correlation "
            f"{power['group_correlation']:.2f})",
        ]
    return lines


def _reference_lines(name: str, reference: dict[str, Any]) -> list[str]:
    if sentence := reference.get("absent"):
        return [f"against {name}: absent. {sentence}"]
    area = reference["area_skill"]
    lines = [
        f"against {name}",
        f"  area skill {area['value']:.3f}, by chance {area['null']['mean']:.3f} [{area['null']['low']:.3f}, "
        f"{area['null']['high']:.3f}]; p {area['p_moved']:.4f} (events moved), "
        f"{area['p_independent']:.2g} (independent)",
        "    tau     nu   hits   gain      D  nat/event  p moved  p binomial",
    ]
    for row in reference["at"]:
        gain = "     -" if row["gain"] is None else f"{row['gain']:6.2f}"
        information = "        -" if row["information_gain_nat"] is None else f"{row['information_gain_nat']:9.3f}"
        lines.append(
            f"  {row['tau']:5.3f}  {row['nu']:5.3f} {row['hits']:6.1f} {gain} {row['d']:6.3f}  {information}  "
            f"{row['p_moved']:7.4f}  {row['p_independent']:10.2g}"
        )
    return lines


def _or_none(value: float | None) -> str:
    return "above 0.80" if value is None else f"{value:.3f}"
