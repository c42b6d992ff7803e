"""Spectral matrices of a store's windows in the bands of the classical methods.

Sab = <conj(a) b>, X along the H axis, Y along the D axis, Z down; averaged over the frequency bins of a band, weighted
by their width, and over the time frames that are complete in all three components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import BoolArray, FloatArray
from seismag.windows.store import SHARD_SAMPLES, Store, read_samples

CLASSICAL_BANDS_HZ = ((0.010, 0.045), (0.022, 0.100))  # of the polarisation ratio; transfer function: the first
NIGHT_H = (0.0, 4.0)  # local mean solar time
NIGHT_LEAST_S = 1800  # of time frames within the night, else the window has no night power
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class BandSpectra:
    """Averages over the windows of a store, in its order; NaN where no time frame is complete.

    Attributes:
        power: (n, bands, 3) Sxx, Syy, Szz in nT²/Hz, all time frames.
        night_power: (n, bands, 3) the same over time frames at local night; NaN where these are shorter than 30 min.
        cross: (n, bands, 3) complex Sxy, Sxz, Syz; None without cross-spectra in the store.
    """

    power: FloatArray
    night_power: FloatArray
    cross: ComplexArray | None


def band_spectra(store: Store) -> BandSpectra:
    """Read the whole store once and average its spectra; about 4 ms a window on the default grid."""
    weights = bin_weights(store.frequency_hz)
    used = np.flatnonzero((weights > 0).any(axis=0))
    weights = weights[:, used]
    window_s = 3600.0 * float(store.attributes["config"]["window_h"])
    n = len(store.samples)
    power, night_power = (np.empty((n, len(CLASSICAL_BANDS_HZ), 3)) for _ in range(2))
    cross = None if store.cross is None else np.empty((n, len(CLASSICAL_BANDS_HZ), 3), complex)
    local_hour = store.samples["local_hour"].to_numpy(dtype=float)
    for first in range(0, n, SHARD_SAMPLES):
        part = slice(first, min(n, first + SHARD_SAMPLES))
        density = 10 ** (read_samples(store.power, part.start, part.stop)[:, :, used].astype(float) / 10)
        night = at_night(local_hour[part], store.time_s, window_s)
        phasors = None
        if store.cross is not None and cross is not None:
            parts = read_samples(store.cross, part.start, part.stop)[:, :, :, used].astype(float)
            phasors = parts[:, :, 0] + 1j * parts[:, :, 1]  # XY, ZX, ZY
        power[part], night_power[part], found = average_spectra(density, phasors, weights, night)
        if cross is not None:
            cross[part] = found
    hop_s = float(np.median(np.diff(store.time_s))) if len(store.time_s) > 1 else window_s
    night_s = at_night(local_hour, store.time_s, window_s).sum(axis=1) * hop_s
    night_power[night_s < NIGHT_LEAST_S] = np.nan
    return BandSpectra(power, night_power, cross)


def average_spectra(
    density: FloatArray, phasors: ComplexArray | None, weights: FloatArray, night: BoolArray
) -> tuple[FloatArray, FloatArray, ComplexArray | None]:
    """Average power and cross-spectra over the frequency bins of each band and over complete time frames.

    Args:
        density: (n, 3, F, T) power of X, Y, Z in nT²/Hz; NaN in masked time frames.
        phasors: (n, 3, F, T) of XY, ZX, ZY, conj(a) b over the geometric mean of the powers; or None.
        weights: (bands, F) weight of each frequency bin.
        night: (n, T) time frames at local night.

    Returns:
        (n, bands, 3) Sxx, Syy, Szz over all time frames, the same at night, and complex Sxy, Sxz, Syz (or None).
    """
    whole: BoolArray = np.asarray(np.isfinite(density).all(axis=(1, 2)))  # (n, T)
    x, y, z = (np.where(whole[:, None], density[:, i], 0.0) for i in range(3))
    every = np.stack([_mean(part, whole, weights).real for part in (x, y, z)], axis=-1)
    dark = np.stack([_mean(part, whole & night, weights).real for part in (x, y, z)], axis=-1)
    if phasors is None:
        return every, dark, None
    xy, zx, zy = (np.where(whole[:, None], phasors[:, i], 0.0) for i in range(3))
    pairs = (xy * np.sqrt(x * y), np.conj(zx) * np.sqrt(z * x), np.conj(zy) * np.sqrt(z * y))
    return every, dark, np.stack([_mean(part, whole, weights) for part in pairs], axis=-1)


def _mean(values: NDArray[Any], frames: BoolArray, weights: FloatArray) -> NDArray[Any]:
    """(n, bands) of (n, F, T), over the time frames (n, T) that count; NaN where none does."""
    count = frames.sum(axis=1)
    total = np.einsum("nft,bf,nt->nb", values, weights, frames.astype(float), optimize=True)
    return np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan)


def bin_weights(frequency_hz: FloatArray) -> FloatArray:
    """Weight (bands, F) of each frequency bin in a band: its width over that of the band, 0 outside the band."""
    width = np.gradient(frequency_hz)
    inside = np.array([(frequency_hz >= low) & (frequency_hz < high) for low, high in CLASSICAL_BANDS_HZ])
    weights = inside * width
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


def at_night(local_hour: FloatArray, time_s: FloatArray, window_s: float) -> BoolArray:
    """Whether the middle of a time frame lies in local night, (n, T); ``local_hour`` is that of the window's middle."""
    hour = np.mod(local_hour[:, None] + (time_s[None, :] - window_s / 2) / 3600, 24)
    return (hour >= NIGHT_H[0]) & (hour < NIGHT_H[1])
