"""Figure of one window of each magnitude class, with the same colour scale for all."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seismag.domain import COMPONENTS, MAGNITUDE_CLASSES, DataError
from seismag.scoring.figure import PAGE_IN, STYLE, save_figure
from seismag.training.checkpoint import is_image
from seismag.windows.store import Store, read_samples

_DB_LIMITS = (-50.0, 40.0)  # dB re 1 nT²/Hz, as in the picture of a day


def choose_examples(store: Store, seed: int = 0) -> list[int]:
    """Sample one window of each class that occurs at random."""
    rng = np.random.default_rng(seed)
    classes = store.samples["magnitude_class"].to_numpy()
    return [int(rng.choice(np.flatnonzero(classes == name))) for name in MAGNITUDE_CLASSES if (classes == name).any()]


def draw_examples(store: Store, path: Path) -> None:
    """Draw the power of three components of one window of each class.

    Raises:
        DataError: the store contains pictures of an earlier system.
    """
    if is_image(store.attributes["preprocessing"]):
        raise DataError("the store contains pictures of an earlier system, without physical axes.")
    chosen = choose_examples(store)
    hours, frequency_mhz = store.time_s / 3600, 1000 * store.frequency_hz
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_IN, 4.4))
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained")
        panels = np.atleast_2d(figure.subplots(len(COMPONENTS), len(chosen), sharex=True, sharey=True, squeeze=False))
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
            start = row["start_utc"]
            panels[0, column].set_title(
                f"{row['magnitude_class']}\n{row['station']} {start:%Y-%m-%d %H:%M}", fontsize=8
            )
            panels[-1, column].set_xlabel("hours from start (UTC)")
        for name, axes in zip(COMPONENTS, panels[:, 0], strict=True):
            axes.set_ylabel(f"{name}, mHz")
        bar = figure.colorbar(mesh, ax=list(panels.ravel()), pad=0.01, shrink=0.7)
        bar.set_label("dB re 1 nT²/Hz")
        save_figure(figure, path)
