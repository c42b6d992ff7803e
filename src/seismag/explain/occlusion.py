"""Predictions for windows in which a band or a component is replaced.

Grad-CAM uses a feature map in which H, D and Z are mixed; replacing a part of the input separates the components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IntArray
from seismag.domain import AZIMUTH_CLASSES, COMPONENTS, MAGNITUDE_CLASSES
from seismag.explain.replacement import ALL_COMPONENTS, BATCH, Windows, predict_windows
from seismag.parallel import Progress, silent
from seismag.spectrograms.bands import rows_of_bands
from seismag.training.checkpoint import LoadedModel

ALL = "all"


@dataclass(frozen=True)
class Occlusion:
    """A part of the input.

    Attributes:
        band: key of ``BANDS_MHZ``, or ``all``.
        component: ``H``, ``D``, ``Z`` or ``all``.
        rows: (F,) frequency bins of the band.
    """

    band: str
    component: str
    rows: NDArray[np.bool_]

    @property
    def components(self) -> tuple[int, ...]:
        """Indices in H, D, Z."""
        return ALL_COMPONENTS if self.component == ALL else (COMPONENTS.index(self.component),)


@dataclass(frozen=True)
class Occluded:
    """Probabilities with one part replaced.

    Attributes:
        magnitude: (R, n, 4) of each repeat.
        azimuth: (R, n, 9).
    """

    magnitude: FloatArray
    azimuth: FloatArray


def list_occlusions(frequency_hz: NDArray[np.floating]) -> list[Occlusion]:
    """All parts: each band of the grid and the whole band, for each component and all components."""
    bands = {**rows_of_bands(frequency_hz), ALL: np.ones(len(frequency_hz), dtype=bool)}
    return [Occlusion(band, name, rows) for band, rows in bands.items() for name in (*COMPONENTS, ALL)]


def occlude(
    loaded: LoadedModel,
    windows: Windows,
    occlusions: list[Occlusion],
    replacements: IntArray,
    progress: Progress = silent,
) -> list[Occluded]:
    """Predict every window with each part replaced by that of its replacement window.

    Args:
        loaded: the model.
        windows: n windows.
        occlusions: the parts.
        replacements: (R, n) index of the replacement of each window, by repeat.
        progress: called with stage, done, total.

    Returns:
        One for each part.

    Source: permutation of a feature within strata (here: the station), Fisher, Rudin & Dominici (2019), JMLR 20(177).
    """
    n, n_times = len(windows), windows.power_db.shape[3]
    parts = [np.arange(first, min(first + BATCH, n)) for first in range(0, n, BATCH)]
    result = [
        Occluded(
            np.empty((len(replacements), n, len(MAGNITUDE_CLASSES))),
            np.empty((len(replacements), n, len(AZIMUTH_CLASSES))),
        )
        for _ in occlusions
    ]
    progress("occlusion", 0, n)
    for indices in parts:  # all parts of one batch, to limit memory
        own = windows.of(indices)
        for repeat, replacement in enumerate(replacements):
            other = windows.of(replacement[indices])
            for occluded, part in zip(result, occlusions, strict=True):
                bins = np.repeat(part.rows[:, None], n_times, axis=1)  # (F, T)
                magnitude, azimuth, _ = predict_windows(loaded, own.with_bins_of(other, bins, part.components))
                occluded.magnitude[repeat, indices], occluded.azimuth[repeat, indices] = magnitude, azimuth
        progress("occlusion", int(indices[-1]) + 1, n)
    return result
