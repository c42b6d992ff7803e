"""Figures of the data set: windows and independent groups in each class, and one window of each magnitude class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from seismag.domain import COMPONENTS, MAGNITUDE_CLASSES, DataError
from seismag.scoring.figure import BLUE, ORANGE, PAGE_IN, STYLE, new_figure, save_figure, short_count
from seismag.training.checkpoint import is_image
from seismag.windows.store import Store, read_samples

_DB_LIMITS = (-50.0, 40.0)  # dB re 1 nT²/Hz, as in the picture of a day


def draw_class_balance(data: Mapping[str, Any], path: Path) -> None:
    """Draw windows and groups of each class of data.json on a logarithmic scale."""
    with mpl.rc_context(STYLE):
        figure = new_figure(2.6, PAGE_IN)
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


def draw_examples(store: Store, path: Path) -> None:
    """Draw the power of three components of one window of each class, chosen at random.

    Raises:
        DataError: the store contains pictures of an earlier system.
    """
    if is_image(store.attributes["preprocessing"]):
        raise DataError("the store contains pictures of an earlier system, without physical axes.")
    classes, rng = store.samples["magnitude_class"].to_numpy(), np.random.default_rng(0)
    present = [name for name in MAGNITUDE_CLASSES if (classes == name).any()]
    chosen = [int(rng.choice(np.flatnonzero(classes == name))) for name in present]
    hours, frequency_mhz = store.time_s / 3600, 1000 * store.frequency_hz
    with mpl.rc_context(STYLE):
        figure = new_figure(4.4, PAGE_IN)
        panels = figure.subplots(len(COMPONENTS), len(chosen), sharex=True, sharey=True, squeeze=False)
        for column, index in enumerate(chosen):
            row = store.samples.iloc[index]
            power = read_samples(store.power, index, index + 1)[0].astype(np.float32)
            for k, axes in enumerate(panels[:, column]):
                axes.set_facecolor("0.75")
                mesh = axes.pcolormesh(
                    hours, frequency_mhz, np.ma.masked_invalid(power[k]), shading="nearest", cmap="viridis",
                    vmin=_DB_LIMITS[0], vmax=_DB_LIMITS[1], rasterized=True,
                )  # fmt: skip
                axes.set_yscale("log")
                axes.set_yticks([t for t in (2, 7, 22, 100, 300) if frequency_mhz[0] <= t <= frequency_mhz[-1]])
                axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
                axes.minorticks_off()
            title = f"{row['magnitude_class']}\n{row['station']} {row['start_utc']:%Y-%m-%d %H:%M}"
            panels[0, column].set_title(title, fontsize=8)
            panels[-1, column].set_xlabel("hours from start (UTC)")
        for name, axes in zip(COMPONENTS, panels[:, 0], strict=True):
            axes.set_ylabel(f"{name}, mHz")
        bar = figure.colorbar(mesh, ax=list(panels.ravel()), pad=0.01, shrink=0.7)
        bar.set_label("dB re 1 nT²/Hz")
        save_figure(figure, path)
