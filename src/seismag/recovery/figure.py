"""The figure of recovery.json: efficiency against strength, and what is excluded. Style as in ``figures``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seismag.files import atomic_path
from seismag.recovery.efficiency import Curve
from seismag.scoring.figure import COLUMN_IN

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#555555"


def draw_recovery(report: dict[str, Any], path: Path) -> None:
    """Draw the efficiency with its intervals and curve, and below it the upper limits.

    Args:
        report: the content of recovery.json.
        path: the picture; its suffix chooses the format.
    """
    with mpl.rc_context({"font.size": 8, "legend.fontsize": 7, "axes.linewidth": 0.6, "savefig.dpi": 300}):
        figure = Figure(figsize=(COLUMN_IN, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
        _draw_efficiency(upper, report)
        _draw_limits(lower, report)
        if report["efficiency"]:
            figure.legend(*upper.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary)


def _draw_efficiency(axes: Axes, report: dict[str, Any]) -> None:
    rows, curve = report["efficiency"], report["curve"]
    if not rows:
        axes.text(0.5, 0.5, "no emission near the SNR asked for", transform=axes.transAxes, ha="center", va="center")
        return
    snr = np.array([row["snr"] for row in rows])
    value = np.array([row["value"] for row in rows])
    spread = np.array([[row["value"] - row["days_low"], row["days_high"] - row["value"]] for row in rows]).T
    fine = np.geomspace(snr.min() / 1.5, snr.max() * 1.5, 300)
    fitted = Curve(curve["middle_log10_snr"], curve["slope_per_decade"], curve["floor"])
    axes.plot(fine, fitted.at(fine), color=_BLUE, linewidth=1, label="logistic curve")
    axes.errorbar(
        snr, value, np.maximum(spread, 0), fmt="o", markersize=3, color=_BLUE, linewidth=0.8, capsize=2,
        label=f"recovered, {100 * report['confidence']:g} % interval",
    )  # fmt: skip
    tau = report["false_alarms"]["value"]
    axes.axhline(tau, color=_GREY, linestyle=":", linewidth=0.8, label=f"false alarms, {100 * tau:.1f} %")
    for level in ("50", "90"):
        if (at := curve[f"snr_{level}"]["value"]) is not None:
            axes.plot([at, at], [0, int(level) / 100], color=_ORANGE, linestyle="--", linewidth=0.8)
            axes.annotate(
                f"{level} % at {at:.2g}", (at, 0.02), xytext=(2, 0), textcoords="offset points", color=_ORANGE,
                fontsize=7, rotation=90, va="bottom",
            )  # fmt: skip
    axes.set(
        xscale="log",
        ylim=(-0.03, 1.03),
        ylabel="efficiency",
        title=f"{report['windows']} windows, {sum(row['n'] for row in rows)} emissions",
    )


def _draw_limits(axes: Axes, report: dict[str, Any]) -> None:
    limits = [row for row in report["upper_limits"] if row["value"] is not None]
    axes.set(
        xlabel="power of the emission / background (SNR)", ylabel="earthquakes with\nan emission", ylim=(-0.03, 1.03)
    )
    if not limits:
        axes.text(
            0.5,
            0.5,
            "no limit: not found more often\nthan false alarms",
            transform=axes.transAxes,
            ha="center",
            va="center",
        )
        return
    snr, value = (np.array([row[key] for row in limits]) for key in ("snr", "value"))
    axes.plot(snr, value, color=_ORANGE, marker="v", markersize=4, linewidth=0.8)
    axes.fill_between(snr, value, 1.0, color=_ORANGE, alpha=0.15, linewidth=0)
    confidence = 100 * limits[0]["confidence"]
    axes.set_title(f"upper limit, {confidence:g} % confidence (above: excluded)", fontsize=8)
    quakes = report["earthquakes"]
    axes.text(
        0.98, 0.9, f"alarms before {quakes['hits']} of {quakes['n']}", transform=axes.transAxes, ha="right", va="top"
    )
