"""The one path from H, D, Z at 1 Hz to spectrograms: bridge gaps, blank artefacts, mask, transform, decibels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.spectrograms.artefacts import mask_artefacts
from seismag.spectrograms.compute import power_and_phasors, power_spectrogram, split_windows, to_decibel

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class WindowSpectra:
    """Spectrograms of windows.

    Attributes:
        power: (W, 3, F, T) float32 in nT²/Hz; NaN in time frames that a gap or an artefact touches.
        phasors: (W, 3 pairs, 2 parts, F, T) float16, unit phasors of the cross-spectra; None where not computed.
    """

    power: NDArray[np.float32]
    phasors: NDArray[np.float16] | None

    @property
    def power_db(self) -> NDArray[np.float16]:
        """Power in dB re 1 nT²/Hz, as a store keeps it."""
        return to_decibel(self.power)


def window_spectra(
    field_nt: NDArray[np.float64],
    spec: DataConfig,
    windows: NDArray[np.int64] | NDArray[np.bool_] | slice = slice(None),
    cross: bool = False,
) -> WindowSpectra:
    """Compute the spectrograms of the windows of a day, or of another whole number of windows.

    Artefacts are searched in the whole stretch, so the same window gives the same values in every command.

    Args:
        field_nt: (3, n) H, D, Z in nT at 1 Hz, n a multiple of the window's length; NaN missing.

    Raises:
        ValueError: the number of samples is not that of whole windows.
    """
    chosen = split_windows(mask_artefacts(field_nt, spec), spec)[windows]
    if not cross:
        return WindowSpectra(power_spectrogram(chosen, spec), None)
    power, phasors = power_and_phasors(chosen, spec)
    return WindowSpectra(power, phasors.astype(np.float16))


def power_of_stretch(field_nt: NDArray[np.float64], spec: DataConfig) -> NDArray[np.float32]:
    """Compute the power of a stretch of any length in one piece, (3, F, T) float32 in nT²/Hz; NaN as in windows."""
    return power_spectrogram(mask_artefacts(field_nt, spec), spec)
