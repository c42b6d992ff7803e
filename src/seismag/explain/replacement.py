"""Windows in which some cells come from another window: what occlusion and deletion curves ask a model about.

A cell cannot be left out of a spectrogram, something must stand there. Zero, the mean or noise are fields that no
sensor has measured, and a network may answer them with anything. So the cells of another window of the same station
are put in: every value was measured, the station's level and noise stay, and only what belongs to this window goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seismag.arrays import FloatArray, IntArray
from seismag.spectrograms.compute import PAIRS
from seismag.training.channels import require_cross, window_channels
from seismag.training.checkpoint import LoadedModel
from seismag.training.dataset import StoreLike, read_power
from seismag.training.inference import predict_power, scaling_of
from seismag.training.scaling import Scaling

BATCH = 16
ALL_COMPONENTS = (0, 1, 2)


@dataclass(frozen=True)
class Windows:
    """Spectra of some windows, and how a model scales them.

    Attributes:
        power_db: (n, 3, F, T) float16, dB re 1 nT^2/Hz; NaN masked.
        phasors: (n, 3, 2, F, T) float16 of XY, ZX, ZY; None for a model of power alone.
        scaling: one for all, or one for each.
    """

    power_db: NDArray[np.float16]
    phasors: NDArray[np.float16] | None
    scaling: Scaling

    def __len__(self) -> int:
        return len(self.power_db)

    def of(self, places: IntArray) -> Windows:
        """Take some windows, in this order."""
        phasors = None if self.phasors is None else self.phasors[places]
        return Windows(self.power_db[places], phasors, self.scaling.of(places))

    def with_cells_of(self, others: Windows, cells: NDArray[np.bool_], components: tuple[int, ...]) -> Windows:
        """Put cells of other windows in; this window's scaling stays.

        A cell that is masked in either window is masked afterwards. A cross-spectrum is exchanged where one of its
        two components is.

        Args:
            others: as many windows.
            cells: (F, T) or (n, F, T), those to exchange.
            components: places in H, D, Z.
        """
        power_db = self.power_db.copy()
        for component in components:
            _exchange(power_db[:, component], others.power_db[:, component], cells)
        if self.phasors is None or others.phasors is None:
            return replace(self, power_db=power_db)
        phasors = self.phasors.copy()
        for pair, (_, a, b) in enumerate(PAIRS):
            if a in components or b in components:
                for part in (0, 1):
                    _exchange(phasors[:, pair, part], others.phasors[:, pair, part], cells)
        return replace(self, power_db=power_db, phasors=phasors)

    def channels(self, loaded: LoadedModel) -> Tensor:
        """What the network sees, (n, C, F, T) on its device."""
        x = window_channels(self.power_db, self.phasors, self.scaling, loaded.model.config)
        return torch.from_numpy(x).to(next(loaded.model.parameters()).device)


def _exchange(own: NDArray[Any], other: NDArray[Any], cells: NDArray[np.bool_]) -> None:
    """Overwrite cells (n, F, T) of ``own``; a masked cell stays masked, and another's mask comes with it."""
    touched = np.flatnonzero(cells.reshape(-1, *cells.shape[-2:]).any(axis=(0, 2)))
    if len(touched):
        rows = slice(int(touched[0]), int(touched[-1]) + 1)  # of a band: most rows need not be looked at
        part = own[:, rows]
        np.copyto(part, other[:, rows], where=cells[..., rows, :] & np.isfinite(part))


def read_windows(loaded: LoadedModel, store: StoreLike, indices: IntArray) -> Windows:
    """Read the spectra that a model takes; ``indices`` all have a past where its normalisation needs one.

    Raises:
        SeismagError: the store lacks the cross-spectra that the model takes.
    """
    require_cross(store, loaded.model.config)
    kept, scaling = scaling_of(loaded, store, indices, None)
    if len(kept) != len(indices):
        raise ValueError("a window without enough past cannot be scaled; choose from scaling_of")
    phasors = read_power(store.cross, indices) if loaded.model.config.input == "power_cross" else None
    return Windows(read_power(store.power, indices), phasors, scaling)


def predict_windows(loaded: LoadedModel, windows: Windows) -> tuple[FloatArray, FloatArray, NDArray[np.float32]]:
    """Probabilities of magnitude (n, 4) and azimuth (n, 9), and pooled features (n, C)."""
    return predict_power(loaded, windows.power_db, BATCH, phasors=windows.phasors, scaling=windows.scaling)


def choose_replacements(station: NDArray[Any], group: NDArray[Any], rng: np.random.Generator) -> IntArray:
    """Draw for each window another one of its station, of another group where there is one.

    Windows of one earthquake cluster resemble each other: from one of its own cluster a window would get back much of
    what is taken away.

    Args:
        station: (n,) station of each window.
        group: (n,) its ``split_group``.
        rng: source of the draw.

    Returns:
        (n,) place of the donor; -1 where the station has one window only.
    """
    donors = np.full(len(station), -1, dtype=np.int64)
    places = np.arange(len(station))
    for place in places:
        same_station = (station == station[place]) & (places != place)
        elsewhere = same_station & (group != group[place])
        candidates = np.flatnonzero(elsewhere if elsewhere.any() else same_station)
        if len(candidates):
            donors[place] = rng.choice(candidates)
    return donors
