"""Windows in which some bins are replaced by those of another window of the same station.

A bin of a spectrogram cannot be omitted. Zeros, means or noise are values that no sensor measured, and the answer of a
network to them is arbitrary. Values of a replacement window keep the level and noise of the station.
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
from seismag.training.dataset import read_power
from seismag.training.inference import predict_power, scaling_of
from seismag.training.scaling import Scaling
from seismag.windows.store import Store

BATCH = 16
ALL_COMPONENTS = (0, 1, 2)


@dataclass(frozen=True)
class Windows:
    """Spectra of windows, and their scaling for a model.

    Attributes:
        power_db: (n, 3, F, T) float16, dB re 1 nT^2/Hz; NaN masked.
        phasors: (n, 3, 2, F, T) float16 of XY, ZX, ZY; None for a model of power alone.
        scaling: one for all windows, or one for each.
    """

    power_db: NDArray[np.float16]
    phasors: NDArray[np.float16] | None
    scaling: Scaling

    def __len__(self) -> int:
        return len(self.power_db)

    def of(self, indices: IntArray) -> Windows:
        """Select windows by index."""
        phasors = None if self.phasors is None else self.phasors[indices]
        return Windows(self.power_db[indices], phasors, self.scaling.of(indices))

    def with_bins_of(self, others: Windows, bins: NDArray[np.bool_], components: tuple[int, ...]) -> Windows:
        """Replace bins by those of other windows; the scaling does not change.

        A bin that is masked in either window is masked in the result. A cross-spectrum is replaced if one of its two
        components is.

        Args:
            others: as many windows.
            bins: (F, T) or (n, F, T), True to replace.
            components: indices in H, D, Z.
        """
        power_db = self.power_db.copy()
        for component in components:
            _replace_bins(power_db[:, component], others.power_db[:, component], bins)
        if self.phasors is None or others.phasors is None:
            return replace(self, power_db=power_db)
        phasors = self.phasors.copy()
        for pair, (_, a, b) in enumerate(PAIRS):
            if a in components or b in components:
                for part in (0, 1):
                    _replace_bins(phasors[:, pair, part], others.phasors[:, pair, part], bins)
        return replace(self, power_db=power_db, phasors=phasors)

    def channels(self, loaded: LoadedModel) -> Tensor:
        """Input of the network, (n, C, F, T) on its device."""
        x = window_channels(self.power_db, self.phasors, self.scaling, loaded.model.config)
        return torch.from_numpy(x).to(next(loaded.model.parameters()).device)


def _replace_bins(own: NDArray[Any], other: NDArray[Any], bins: NDArray[np.bool_]) -> None:
    """Overwrite bins (n, F, T) of ``own``; masked bins stay masked, and masks of ``other`` are copied."""
    touched = np.flatnonzero(bins.reshape(-1, *bins.shape[-2:]).any(axis=(0, 2)))
    if len(touched):
        rows = slice(int(touched[0]), int(touched[-1]) + 1)  # most frequency bins are not touched
        part = own[:, rows]
        np.copyto(part, other[:, rows], where=bins[..., rows, :] & np.isfinite(part))


def read_windows(loaded: LoadedModel, store: Store, indices: IntArray) -> Windows:
    """Read the spectra for a model; each window needs the past that the normalisation of the model uses.

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
    """Sample a replacement window of the same station for each window, from another group if possible.

    Windows of one earthquake cluster are similar, so a replacement from the same cluster would restore much of the
    removed information.

    Args:
        station: (n,) station of each window.
        group: (n,) its ``split_group``.
        rng: random generator.

    Returns:
        (n,) index of the replacement; -1 if the station has only one window.
    """
    replacements = np.full(len(station), -1, dtype=np.int64)
    indices = np.arange(len(station))
    for index in indices:
        same_station = (station == station[index]) & (indices != index)
        elsewhere = same_station & (group != group[index])
        candidates = np.flatnonzero(elsewhere if elsewhere.any() else same_station)
        if len(candidates):
            replacements[index] = rng.choice(candidates)
    return replacements
