"""Occlusion: what a model says of windows in which a band or a component has been exchanged.

Grad-CAM weighs the channels of a feature map, in which H, D and Z are mixed, so it cannot tell components apart. The
exchange of a part of the input can, and it costs predictions alone.
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
        rows: (F,) rows of the band.
    """

    band: str
    component: str
    rows: NDArray[np.bool_]

    @property
    def components(self) -> tuple[int, ...]:
        """Places in H, D, Z."""
        return ALL_COMPONENTS if self.component == ALL else (COMPONENTS.index(self.component),)


@dataclass(frozen=True)
class Occluded:
    """Probabilities with one part exchanged.

    Attributes:
        magnitude: (R, n, 4) of each repeat, that is each draw of donors.
        azimuth: (R, n, 9).
    """

    magnitude: FloatArray
    azimuth: FloatArray


def list_occlusions(frequency_hz: NDArray[np.floating]) -> list[Occlusion]:
    """Each band that has a row, and all rows, by each component and by all of them."""
    bands = {**rows_of_bands(frequency_hz), ALL: np.ones(len(frequency_hz), dtype=bool)}
    return [Occlusion(band, name, rows) for band, rows in bands.items() for name in (*COMPONENTS, ALL)]


def occlude(
    loaded: LoadedModel,
    windows: Windows,
    occlusions: list[Occlusion],
    donors: IntArray,
    progress: Progress = silent,
) -> list[Occluded]:
    """Predict every window with each part exchanged for that of its donor.

    Args:
        loaded: the model.
        windows: n windows.
        occlusions: the parts.
        donors: (R, n) place of each window's donor in each repeat.
        progress: called with stage, done, total.

    Returns:
        One for each part.

    Source: permutation of a feature within strata (here: the station), Fisher, Rudin & Dominici (2019), JMLR 20(177).
    """
    n, n_times = len(windows), windows.power_db.shape[3]
    parts = [np.arange(first, min(first + BATCH, n)) for first in range(0, n, BATCH)]
    result = [
        Occluded(np.empty((len(donors), n, len(MAGNITUDE_CLASSES))), np.empty((len(donors), n, len(AZIMUTH_CLASSES))))
        for _ in occlusions
    ]
    progress("occlusion", 0, n)
    for places in parts:  # a batch of windows through all parts: its copies stay small
        own = windows.of(places)
        for repeat, donor in enumerate(donors):
            other = windows.of(donor[places])
            for said, part in zip(result, occlusions, strict=True):
                cells = np.repeat(part.rows[:, None], n_times, axis=1)  # (F, T)
                magnitude, azimuth, _ = predict_windows(loaded, own.with_cells_of(other, cells, part.components))
                said.magnitude[repeat, places], said.azimuth[repeat, places] = magnitude, azimuth
        progress("occlusion", int(places[-1]) + 1, n)
    return result
