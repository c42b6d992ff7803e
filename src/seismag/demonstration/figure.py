"""Figures of the demonstration: a day with and without the signal, a window with its attribution, alarms, and skill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from seismag.archive.listing import choose_day
from seismag.arrays import FloatArray
from seismag.config import DataConfig
from seismag.domain import COMPONENTS
from seismag.estimate import Estimate
from seismag.explain.occlusion_map import occlusion_map
from seismag.explain.replacement import predict_windows, read_windows
from seismag.explain.subject import open_subject
from seismag.recordings import read_recording
from seismag.recordings.figure import DAY_LIMITS, draw_day
from seismag.scoring.figure import BLUE, GREY, ORANGE, PAGE_IN, STYLE, new_figure, save_figure

_TICKS_MHZ = (2, 7, 22, 100, 300)
_MOST_OTHERS = 2  # control windows whose bins replace those of the explained one
_DARK_ORANGE = "#E69F00"


@dataclass(frozen=True)
class WindowView:
    """A window of the test set with its attribution.

    Attributes:
        row: its sample.
        p_event: predicted probability of an earthquake.
        power_db: (3, F, T), NaN masked. fall_nat: (F, T) fall of the log-odds where a part is replaced.
        frequency_hz, time_s: axes.
    """

    row: pd.Series
    p_event: float
    power_db: FloatArray
    fall_nat: FloatArray
    frequency_hz: FloatArray
    time_s: FloatArray


def draw_days(injected: Path, null: Path, folder: Path) -> tuple[str, str]:
    """Draw one day of both archives, with and without the signal; returns its station and date."""
    recording, truth = choose_day(injected, None, None)
    folder.mkdir(parents=True, exist_ok=True)
    grid = DataConfig.model_validate({})
    draw_day(recording, grid, folder / "day_injected.png", truth)
    day = recording.start_utc.astype("datetime64[D]").astype(object)
    same = null / recording.station / f"S{day:%y%m%d}.{recording.station}.gz"
    draw_day(read_recording(same), grid, folder / "day_null.png")
    return recording.station, f"{day:%Y-%m-%d}"


def explain_window(model: Path, store: Path) -> WindowView:
    """Attribute the forecast of the event window with the largest P(event), among those the model has not seen."""
    subject = open_subject(model, store)
    samples = subject.store.samples.iloc[subject.indices]
    normal = (samples["magnitude_class"] == "Normal").to_numpy()
    events = subject.indices[~normal]
    probs, _ = predict_windows(subject.loaded, read_windows(subject.loaded, subject.store, events))
    best = int(probs["magnitude"][:, 0].argmin())
    index = events[best]
    row = subject.store.samples.iloc[index]
    is_near = normal & (samples["station"] == row["station"]).to_numpy()
    others = subject.indices[is_near if is_near.any() else normal][:_MOST_OTHERS]
    windows = read_windows(subject.loaded, subject.store, np.concatenate([[index], others]))
    window, controls = windows.of(np.array([0])), windows.of(np.arange(1, len(windows)))
    return WindowView(
        row,
        float(1 - probs["magnitude"][best, 0]),
        window.power_db[0].astype(np.float64),
        occlusion_map(subject.loaded, window, controls),
        subject.store.frequency_hz,
        subject.store.time_s,
    )


def draw_window_view(view: WindowView, band_mhz: tuple[float, float], path: Path) -> None:
    """Draw H, D and Z of a window, and its attribution; a box marks the band of the emission."""
    hours = _edges(view.time_s / 3600)
    rows_mhz = np.exp(_edges(np.log(1000 * view.frequency_hz)))
    with mpl.rc_context(STYLE):
        figure = new_figure(2.6, 1.35 * PAGE_IN)
        axes = figure.subplots(1, 4, sharey=True)
        for panel, name, power_db in zip(axes, COMPONENTS, view.power_db, strict=False):
            panel.set_facecolor("0.75")
            mesh = panel.pcolormesh(hours, rows_mhz, np.ma.masked_invalid(power_db), cmap="viridis",
                                    vmin=DAY_LIMITS[0], vmax=DAY_LIMITS[1])  # fmt: skip
            panel.set_title(f"power of {name}", loc="left")
        figure.colorbar(mesh, ax=axes[2], label="dB re 1 nT²/Hz")
        top = max(float(np.nanmax(np.abs(view.fall_nat))), 1e-9)
        mesh = axes[3].pcolormesh(hours, rows_mhz, view.fall_nat, cmap="RdBu_r", vmin=-top, vmax=top)
        axes[3].set_title("what the network uses", loc="left")
        figure.colorbar(mesh, ax=axes[3], label="fall of log-odds, nat")
        for panel in axes:
            panel.set(yscale="log", xlabel="hour of the window")
            panel.set_yticks(_TICKS_MHZ, [str(tick) for tick in _TICKS_MHZ])
            panel.minorticks_off()
            corner, height = (hours[0], band_mhz[0]), band_mhz[1] - band_mhz[0]
            panel.add_patch(Rectangle(corner, hours[-1] - hours[0], height, fill=False, edgecolor=_DARK_ORANGE, lw=1.4))
        axes[0].set_ylabel("frequency, mHz")
        save_figure(figure, path)


def draw_both_molchan(injected: Mapping[str, Any], null: Mapping[str, Any], path: Path) -> None:
    """Draw the Molchan curves of both studies; each argument is the entry ``alarms`` of metrics.json."""
    with mpl.rc_context(STYLE):
        figure = new_figure(3.4, 3.6)
        axes = figure.subplots()
        for alarms, name, colour, style in (
            (injected, "with signal", BLUE, "-"),
            (null, "without signal", ORANGE, "--"),
        ):
            reference = alarms["references"].get("uniform", {})
            if "curve" not in reference:
                continue
            curve = reference["curve"]
            if name == "without signal":
                _shade_chance(axes, curve)
            axes.plot(curve["tau"], curve["nu"], color=colour, linestyle=style, linewidth=1.8, label=name)
        axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.6)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="fraction of time alarmed",
                 ylabel="fraction of earthquakes missed")  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        axes.legend(frameon=False, loc="upper right")
        save_figure(figure, path)


def draw_skill(injected: Estimate, null: Estimate, path: Path) -> None:
    """Draw the skill of both studies with its intervals."""
    with mpl.rc_context(STYLE):
        figure = new_figure(1.5, 4.6)
        axes = figure.subplots()
        for height, entry, colour in ((1, injected, BLUE), (0, null, ORANGE)):
            if entry.value is None:
                continue
            if entry.low is not None and entry.high is not None:
                axes.plot([entry.low, entry.high], [height, height], color=colour, linewidth=2.2)
            axes.plot(entry.value, height, "o", color=colour, markersize=6)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks([1, 0], ["with signal", "without signal"])
        axes.set(ylim=(-0.6, 1.6), xlim=(-0.8, 0.8), xlabel="skill: ROC AUC minus that of the best baseline")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        save_figure(figure, path)


def _shade_chance(axes: Axes, curve: Mapping[str, Any]) -> None:
    low, high = (np.array(curve[name], dtype=float) for name in ("chance_low", "chance_high"))
    axes.fill_between(
        np.array(curve["tau"], dtype=float), low, high, color="#DDDDDD", linewidth=0, label="by chance, 95 %"
    )


def _edges(centres: FloatArray) -> FloatArray:
    """Edges of bins, half-way between their centres."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
