"""Figure of a day: H, D and Z with their spectrograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.domain import COMPONENTS, DataError, UsageError
from seismag.files import atomic_path
from seismag.recordings import Recording
from seismag.recordings.days import DAY_S, field_of_day
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra

# dB re 1 nT²/Hz. The frequency axis is logarithmic, so the strong low frequencies fill half of it.
DAY_LIMITS = (-50.0, 40.0)
ENDINGS = (".png", ".jpg", ".jpeg", ".pdf", ".svg", ".eps", ".tif", ".tiff", ".webp")  # of a figure
_INJECTED_COLOR = "#E69F00"  # orange of Okabe and Ito, distinct from viridis in colour-blind vision, too
_INJECTED_LINES = 5


def require_figure_ending(path: Path) -> Path:
    """Return the path of a figure that ``draw_day`` can write.

    Raises:
        UsageError: another ending.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--plot {path}: end it in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}.")
    return path


def draw_day(recording: Recording, spec: DataConfig, path: Path, injected: pd.DataFrame | None = None) -> None:
    """Plot the first UTC day of a recording at 1 Hz: three components and their spectrograms.

    Args:
        injected: rows of truth.parquet on that day, marked in time and frequency.

    Raises:
        DataError: the recording is not sampled at 1 Hz, or contains no value.
    """
    if abs(recording.rate_hz - 1.0) > 1e-9:
        raise DataError(f"{path}: spectrograms need 1 sample per second, the recording has {recording.rate_hz:.6g}.")
    from matplotlib.figure import Figure

    day = recording.start_utc.astype("datetime64[D]")
    field = field_of_day([recording], day)
    if not np.isfinite(field).any():
        raise DataError(f"{recording.station or path} {day}: no value to draw.", "all_missing")
    power_db = window_spectra(field, spec).power_db.astype(np.float32)
    grid = make_grid(spec)
    figure = Figure(figsize=(7.2, 7.6), layout="constrained")
    axes = figure.subplots(6, 1, sharex=True, height_ratios=[1, 1.5] * 3)
    hours = np.arange(DAY_S) / 3600
    simulated = recording.origin == "simulated" or injected is not None
    image = None
    for index, name in enumerate(COMPONENTS):
        trace, picture = axes[2 * index], axes[2 * index + 1]
        level = float(np.nanmedian(field[index])) if np.isfinite(field[index]).any() else 0.0
        trace.plot(hours, field[index] - level, linewidth=0.5, color="black")
        trace.set_ylabel(f"{name} {-level:+.0f}, nT".replace("-", "−"), fontsize=8)
        image = _draw_windows(picture, power_db[:, index], grid.frequency_hz, grid.time_s, spec)
        picture.set_ylabel(f"{name}, mHz", fontsize=8)
    if injected is not None and len(injected):
        _mark_emissions(axes, injected, day)
    for axis in axes:
        axis.tick_params(labelsize=8)
    axes[-1].set_xlim(0, 24)
    axes[-1].set_xticks(range(0, 25, 3))
    axes[-1].set_xlabel(f"hour of {day} UTC", fontsize=9)
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), shrink=0.5, pad=0.01)
        bar.set_label("dB re 1 nT²/Hz", fontsize=8)
        bar.ax.tick_params(labelsize=8)
    title = f"{recording.station or '?'}  {day}  ({recording.format}{', simulated' if simulated else ''})"
    figure.suptitle(title, fontsize=10)
    legend = "grey: no estimate (gap, or border of a window)"
    if injected is not None and len(injected):
        legend = f"orange: injected emission; {legend}"
    figure.supxlabel(legend, x=0.99, ha="right", fontsize=8, color="0.35")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _draw_windows(axes: Any, power_db: NDArray[np.float32], frequency_hz: Any, time_s: Any, spec: DataConfig) -> Any:
    """Plot the windows of one component side by side; masked time frames stay grey."""
    axes.set_facecolor("0.75")
    mesh = None
    for number, window in enumerate(power_db):
        hours = number * spec.window_h + time_s / 3600
        mesh = axes.pcolormesh(
            hours, frequency_hz * 1000, np.ma.masked_invalid(window), shading="nearest", cmap="viridis",
            vmin=DAY_LIMITS[0], vmax=DAY_LIMITS[1], rasterized=True,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_yticks([2, 7, 22, 100, 300], labels=["2", "7", "22", "100", "300"])
    axes.minorticks_off()
    return mesh


def _mark_emissions(axes: Any, injected: pd.DataFrame, day: np.datetime64) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    lines = []
    emissions = list(injected.groupby("event_id", sort=False))
    for number, (event_id, rows) in enumerate(emissions, start=1):
        begin, end = (
            (np.datetime64(moment, "ms") - day.astype("M8[ms]")) / np.timedelta64(1, "h")
            for moment in (rows["emission_start_utc"].min(), rows["emission_end_utc"].max())
        )
        first = rows.iloc[0]
        for trace in axes[::2]:
            trace.axvspan(begin, end, color=_INJECTED_COLOR, alpha=0.25, linewidth=0)
        for picture in axes[1::2]:
            frame = Rectangle(
                (begin, first["low_mhz"]), end - begin, first["high_mhz"] - first["low_mhz"], fill=False,
                edgecolor=_INJECTED_COLOR, linewidth=1.0, path_effects=[withStroke(linewidth=2.2, foreground="black")],
            )  # fmt: skip
            picture.add_patch(frame)
            if len(emissions) > 1:
                picture.annotate(
                    str(number), (begin, first["high_mhz"]), (2, 2), textcoords="offset points", fontsize=8,
                    color="white", path_effects=[withStroke(linewidth=2, foreground="black")],
                )  # fmt: skip
        known = rows["snr"].dropna()
        ratios = dict.fromkeys(f"{value:.0f}" if value >= 10 else f"{value:.2g}" for value in sorted(known))
        snr = " to ".join([*ratios][:: max(len(ratios) - 1, 1)]) or "unknown"  # the smallest and the largest
        lines.append(
            f"{f'{number}: ' if len(emissions) > 1 else ''}injected before M {first['magnitude']:.1f} ({event_id}), "
            f"{first['distance_km']:.0f} km away at azimuth {first['azimuth_deg']:.0f}°: "
            f"{first['low_mhz']:g}–{first['high_mhz']:g} mHz, SNR {snr}"
        )
    if len(lines) > _INJECTED_LINES:
        lines[_INJECTED_LINES - 1 :] = [f"and {len(lines) - _INJECTED_LINES + 1} more emissions"]
    axes[0].set_title("\n".join(lines), fontsize=8, loc="left")
