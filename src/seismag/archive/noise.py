"""The noise floor: amplitude above 100 mHz in the quietest time frames, mostly sensor noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.recordings import Recording
from seismag.recordings.days import days_of, field_of_day
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra

NOISE_BAND_HZ = (0.1, 0.5)  # mostly sensor noise on a quiet day


def noise_floor_nt(power: NDArray[np.float32], spec: DataConfig) -> NDArray[np.float64]:
    """Return the amplitude above 100 mHz in the quietest tenth of a window, mean of the components: (...,) rms in nT.

    The power is (..., 3, F, T) in nT²/Hz, NaN masked.
    """
    frequency = make_grid(spec).frequency_hz
    rows = _rows(frequency)
    width = np.gradient(frequency)[rows]
    band = np.einsum("...ft,f->...t", power[..., rows, :], width.astype(np.float32))
    return np.sqrt(quietest_tenth(band).astype(np.float64)).mean(axis=-1)


def quietest_tenth(level: NDArray[Any]) -> NDArray[Any]:
    """Return the tenth percentile (...,) over the time frames (..., T) that are known; NaN where none is."""
    ordered = np.sort(level, axis=-1)  # NaN last
    rank = np.maximum(np.isfinite(level).sum(axis=-1, keepdims=True) - 1, 0) // 10
    return np.asarray(np.take_along_axis(ordered, rank, axis=-1)[..., 0])


def noise_band_hz(frequency_hz: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the lowest and highest frequency of the noise floor, Hz; None where all bins lie below."""
    band = frequency_hz[_rows(frequency_hz)]
    return (float(band[0]), float(band[-1])) if band.size else None


def noise_floor_of(recording: Recording, spec: DataConfig) -> float:
    """Return the median noise floor, nT, of the windows of a recording at 1 Hz; NaN where all frames are masked."""
    floors = [
        noise_floor_nt(window_spectra(field, spec).power, spec)
        for field in (field_of_day([recording], day) for day in days_of(recording))
    ]
    found = np.concatenate(floors)
    return float(np.median(found[np.isfinite(found)])) if np.isfinite(found).any() else np.nan


def _rows(frequency_hz: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows: NDArray[np.bool_] = (frequency_hz >= NOISE_BAND_HZ[0]) & (frequency_hz < NOISE_BAND_HZ[1])
    return rows


def describe_noise_band(band_hz: tuple[float, float]) -> str:
    """Return the band of the noise floor in words."""
    low, high = (1000 * edge for edge in band_hz)
    return f"at {low:.0f}-{high:.0f} mHz in the quietest tenth of the time frames"
