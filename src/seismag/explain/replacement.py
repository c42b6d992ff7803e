"""Windows in which some bins are replaced by those of another window of the same station, and their predictions.

A bin of a spectrogram cannot be omitted. Zeros, means or noise are values that no sensor measured, and the answer of a
network to them is arbitrary. Values of a replacement window keep the level and noise of the station. Grad-CAM uses a
feature map in which H, D and Z are mixed; replacing a part of the input separates the components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seismag.arrays import Float32Array, FloatArray, IntArray
from seismag.domain import AZIMUTH_CLASSES, COMPONENTS, MAGNITUDE_CLASSES
from seismag.parallel import Progress, silent
from seismag.spectrograms.bands import rows_of_bands
from seismag.spectrograms.compute import PAIRS
from seismag.training.channels import require_cross, window_channels
from seismag.training.checkpoint import LoadedModel
from seismag.training.dataset import read_power
from seismag.training.inference import predict_power, scaling_of
from seismag.training.scaling import Scaling
from seismag.windows.store import Store

BATCH = 16
ALL_COMPONENTS = (0, 1, 2)
CLASSES = {"magnitude": MAGNITUDE_CLASSES, "azimuth": AZIMUTH_CLASSES}
_ALL = "all"


@dataclass(frozen=True)
class Windows:
    """Spectra of windows, and their scaling for a model."""

    power_db: NDArray[np.float16]  # (n, 3, F, T) float16, dB re 1 nT^2/Hz; NaN masked
    phasors: NDArray[np.float16] | None  # (n, 3, 2, F, T) float16 of XY, ZX, ZY; None for a model of power alone
    scaling: Scaling  # one for all windows, or one for each

    def __len__(self) -> int:
        return len(self.power_db)

    def of(self, indices: IntArray) -> Windows:
        """Select windows by index."""
        phasors = None if self.phasors is None else self.phasors[indices]
        return Windows(self.power_db[indices], phasors, self.scaling.of(indices))

    def with_bins_of(self, others: Windows, bins: NDArray[np.bool_], components: tuple[int, ...]) -> Windows:
        """Replace bins, True in (F, T) or (n, F, T), by those of as many other windows; the scaling does not change.

        A bin that is masked in either window is masked in the result. A cross-spectrum is replaced if one of its two
        components (indices in H, D, Z) is.
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


@dataclass(frozen=True)
class Occlusion:
    """A part of the input."""

    band: str  # key of BANDS_MHZ, or all
    component: str  # H, D, Z or all
    rows: NDArray[np.bool_]  # (F,) frequency bins of the band

    @property
    def components(self) -> tuple[int, ...]:
        """Indices in H, D, Z."""
        return ALL_COMPONENTS if self.component == _ALL else (COMPONENTS.index(self.component),)


def _replace_bins(own: NDArray[Any], other: NDArray[Any], bins: NDArray[np.bool_]) -> None:
    np.copyto(own, other, where=bins & np.isfinite(own))


def read_windows(loaded: LoadedModel, store: Store, indices: IntArray) -> Windows:
    """Read the spectra for a model; each window needs the past that the normalisation of the model uses.

    Raises:
        SeismagError: the store lacks the cross-spectra that the model takes.
    """
    require_cross(store, loaded.model.config)
    _, scaling = scaling_of(loaded, store, indices, None)
    phasors = read_power(store.cross, indices) if loaded.model.config.input == "power_cross" else None
    return Windows(read_power(store.power, indices), phasors, scaling)


def predict_windows(loaded: LoadedModel, windows: Windows) -> tuple[dict[str, FloatArray], Float32Array]:
    """Probabilities by task, ``magnitude`` (n, 4) and ``azimuth`` (n, 9), and pooled features (n, C)."""
    magnitude, azimuth, features = predict_power(
        loaded, windows.power_db, BATCH, phasors=windows.phasors, scaling=windows.scaling
    )
    return {"magnitude": magnitude, "azimuth": azimuth}, features


def choose_replacements(station: NDArray[Any], group: NDArray[Any], rng: np.random.Generator) -> IntArray:
    """Sample a replacement window of the same station for each window, from another group if possible.

    Windows of one earthquake cluster are similar, so a replacement from the same cluster would restore much of the
    removed information.

    Returns:
        (n,) index of the replacement; -1 if the station (n,) has only one window.
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


def list_occlusions(frequency_hz: NDArray[np.floating]) -> list[Occlusion]:
    """All parts: each band of the grid and the whole band, for each component and all components."""
    bands = {**rows_of_bands(frequency_hz), _ALL: np.ones(len(frequency_hz), dtype=bool)}
    return [Occlusion(band, name, rows) for band, rows in bands.items() for name in (*COMPONENTS, _ALL)]


def occlude(
    loaded: LoadedModel, windows: Windows, parts: list[Occlusion], replacement: IntArray, progress: Progress = silent
) -> list[dict[str, FloatArray]]:
    """Predict n windows with each part replaced by that of their replacement windows, (n,) indices.

    Returns:
        Of each part the probabilities, as of ``predict_windows``.

    Source: permutation of a feature within strata (here: the station), Fisher, Rudin & Dominici (2019), JMLR 20(177).
    """
    n, n_times = len(windows), windows.power_db.shape[3]
    result = [{task: np.empty((n, len(classes))) for task, classes in CLASSES.items()} for _ in parts]
    progress("occlusion", 0, n)
    for indices in batches(n):  # all parts of one batch, to limit memory
        own, other = windows.of(indices), windows.of(replacement[indices])
        for probs, part in zip(result, parts, strict=True):
            bins = np.repeat(part.rows[:, None], n_times, axis=1)  # (F, T)
            predicted, _ = predict_windows(loaded, own.with_bins_of(other, bins, part.components))
            for task, values in predicted.items():
                probs[task][indices] = values
        progress("occlusion", int(indices[-1]) + 1, n)
    return result


def batches(n: int) -> list[IntArray]:
    """Indices of n windows in batches."""
    return [np.arange(first, min(first + BATCH, n)) for first in range(0, n, BATCH)]
