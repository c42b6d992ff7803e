"""The figure of recovery.json: detection efficiency against SNR, and the upper limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from seismag.arrays import FloatArray
from seismag.files import atomic_path
from seismag.recovery.efficiency import Curve
from seismag.scoring.figure import BLUE, GREEN, GREY, ORANGE, new_figure


def draw_recovery(document: dict[str, Any], path: Path) -> None:
    """Draw the detection efficiency with its intervals and curve, and below it the upper limits.

    Args:
        document: the content of recovery.json.
        path: the picture; its suffix selects the format.
    """
    with mpl.rc_context({"font.size": 8, "legend.fontsize": 7, "axes.linewidth": 0.6, "savefig.dpi": 300}):
        figure = new_figure(4.4)
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
        if document["efficiency"]:
            _draw_efficiency(upper, document)
            figure.legend(*upper.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        else:
            _write_centred(upper, "no emission near the configured SNR")
        limits = [row for row in document["upper_limits"] if row["value"] is not None]
        lower.set(xlabel="power of the emission / background (SNR)", ylabel="earthquakes with\nan emission")
        lower.set(ylim=(-0.03, 1.03))
        if limits:
            snr, value = (np.array([row[key] for row in limits]) for key in ("snr", "value"))
            quakes = document["earthquakes"]
            _draw_limits(lower, snr, value, limits[0]["confidence"], f"alarms before {quakes['hits']} of {quakes['n']}")
        else:
            _write_centred(lower, "no limit: not detected more often\nthan false alarms")
        with atomic_path(path) as temporary:
            figure.savefig(temporary)


def _draw_efficiency(axes: Axes, document: dict[str, Any]) -> None:
    rows, curve = document["efficiency"], document["curve"]
    snr = np.array([row["snr"] for row in rows])
    value = np.array([row["value"] for row in rows])
    spread = np.array([[row["value"] - row["days_low"], row["days_high"] - row["value"]] for row in rows]).T
    fine = np.geomspace(snr.min() / 1.5, snr.max() * 1.5, 300)
    fitted = Curve(curve["middle_log10_snr"], curve["slope_per_decade"], curve["floor"])
    axes.plot(fine, fitted.at(fine), color=BLUE, linewidth=1, label="logistic curve")
    axes.errorbar(
        snr, value, np.maximum(spread, 0), fmt="o", markersize=3, color=BLUE, linewidth=0.8, capsize=2,
        label=f"detected, {100 * document['confidence']:g} % interval",
    )  # fmt: skip
    if "matched" in document:
        _draw_bound(axes, document["matched"], fine)
    tau = document["false_alarms"]["value"]
    axes.axhline(tau, color=GREY, linestyle=":", linewidth=0.8, label=f"false alarms, {100 * tau:.1f} %")
    for percent in ("50", "90"):
        if (at := curve[f"snr_{percent}"]["value"]) is not None:
            axes.plot([at, at], [0, int(percent) / 100], color=ORANGE, linestyle="--", linewidth=0.8)
            axes.annotate(
                f"{percent} % at {at:.2g}", (at, 0.02), xytext=(2, 0), textcoords="offset points", color=ORANGE,
                fontsize=7, rotation=90, va="bottom",
            )  # fmt: skip
    axes.set(xscale="log", ylim=(-0.03, 1.03), ylabel="detection efficiency")
    axes.set_title(f"{document['windows']} windows, {sum(row['n'] for row in rows)} emissions")


def _draw_bound(axes: Axes, matched: Mapping[str, Any], snr: FloatArray) -> None:
    """Draw the efficiency of the detector that knows the band."""
    bound = matched["detectors"][matched["bound"]]
    curve, rows = bound["curve"], bound["efficiency"]
    fitted = Curve(curve["middle_log10_snr"], curve["slope_per_decade"], curve["floor"])
    axes.plot(snr, fitted.at(snr), color=GREEN, linewidth=1, linestyle="-.", label="bound: known band")
    values = [row["value"] for row in rows]
    axes.plot([row["snr"] for row in rows], values, "s", markersize=2.5, color=GREEN, markerfacecolor="none")


def _draw_limits(axes: Axes, snr: FloatArray, value: FloatArray, confidence: float, alarms: str) -> None:
    axes.plot(snr, value, color=ORANGE, marker="v", markersize=4, linewidth=0.8)
    axes.fill_between(snr, value, 1.0, color=ORANGE, alpha=0.15, linewidth=0)
    axes.set_title(f"upper limit, {100 * confidence:g} % confidence (above: excluded)", fontsize=8)
    axes.text(0.98, 0.9, alarms, transform=axes.transAxes, ha="right", va="top")


def _write_centred(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
