"""Spectral matrices of a store's windows in the bands of the classical methods.

Sab = <conj(a) b>, X along the H axis, Y along the D axis, Z down; the average runs over the rows of a band, weighed by
their width, and over the columns that are whole in all three components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray
from seismag.windows.store import SHARD_SAMPLES, Store, read_samples

BANDS_HZ = (
    (0.010, 0.045),
    (0.022, 0.100),
)  # of the polarisation ratio; the first is also that of the transfer function
NIGHT_H = (0.0, 4.0)  # local mean solar time
NIGHT_LEAST_S = 1800  # of columns within the night, else the window has none
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class BandSpectra:
    """Averages over the windows of a store, in its order; NaN where no column is whole.

    Attributes:
        power: (n, bands, 3) Sxx, Syy, Szz in nT²/Hz, all columns.
        night_power: (n, bands, 3) the same over the columns at local night; NaN where these last below 30 min.
        cross: (n, bands, 3) complex Sxy, Sxz, Syz; None without cross-spectra in the store.
    """

    power: FloatArray
    night_power: FloatArray
    cross: ComplexArray | None


def band_spectra(store: Store) -> BandSpectra:
    """Read the whole store once and average its spectra; about 4 ms a window on the default grid."""
    weights = row_weights(store.frequency_hz)
    rows = np.flatnonzero((weights > 0).any(axis=0))
    weights = weights[:, rows]
    window_s = 3600.0 * float(store.attributes["config"]["window_h"])
    n = len(store.samples)
    power, night_power = (np.empty((n, len(BANDS_HZ), 3)) for _ in range(2))
    cross = None if store.cross is None else np.empty((n, len(BANDS_HZ), 3), complex)
    local_hour = store.samples["local_hour"].to_numpy(dtype=float)
    for first in range(0, n, SHARD_SAMPLES):
        part = slice(first, min(n, first + SHARD_SAMPLES))
        density = 10 ** (read_samples(store.power, part.start, part.stop)[:, :, rows].astype(float) / 10)
        night = at_night(local_hour[part], store.time_s, window_s)
        phasors = None
        if store.cross is not None and cross is not None:
            parts = read_samples(store.cross, part.start, part.stop)[:, :, :, rows].astype(float)
            phasors = parts[:, :, 0] + 1j * parts[:, :, 1]  # XY, ZX, ZY
        power[part], night_power[part], found = average_spectra(density, phasors, weights, night)
        if cross is not None:
            cross[part] = found
    step_s = float(np.median(np.diff(store.time_s))) if len(store.time_s) > 1 else window_s
    lasting = at_night(local_hour, store.time_s, window_s).sum(axis=1) * step_s
    night_power[lasting < NIGHT_LEAST_S] = np.nan
    return BandSpectra(power, night_power, cross)


def average_spectra(
    density: FloatArray, phasors: ComplexArray | None, weights: FloatArray, night: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, ComplexArray | None]:
    """Average power and cross-spectra over the rows of each band and over whole columns.

    Args:
        density: (n, 3, F, T) power of X, Y, Z in nT²/Hz; NaN in masked columns.
        phasors: (n, 3, F, T) of XY, ZX, ZY, conj(a) b over the geometric mean of the powers; or None.
        weights: (bands, F) share of each row.
        night: (n, T) columns at local night.

    Returns:
        (n, bands, 3) Sxx, Syy, Szz over all columns, the same at night, and complex Sxy, Sxz, Syz (or None).
    """
    whole: NDArray[np.bool_] = np.asarray(np.isfinite(density).all(axis=(1, 2)))  # (n, T)
    x, y, z = (np.where(whole[:, None], density[:, i], 0.0) for i in range(3))
    every = np.stack([_mean(part, whole, weights).real for part in (x, y, z)], axis=-1)
    dark = np.stack([_mean(part, whole & night, weights).real for part in (x, y, z)], axis=-1)
    if phasors is None:
        return every, dark, None
    xy, zx, zy = (np.where(whole[:, None], phasors[:, i], 0.0) for i in range(3))
    pairs = (xy * np.sqrt(x * y), np.conj(zx) * np.sqrt(z * x), np.conj(zy) * np.sqrt(z * y))
    return every, dark, np.stack([_mean(part, whole, weights) for part in pairs], axis=-1)


def _mean(values: NDArray[Any], columns: NDArray[np.bool_], weights: FloatArray) -> NDArray[Any]:
    """(n, bands) of (n, F, T), over the columns (n, T) that count; NaN where none does."""
    count = columns.sum(axis=1)
    total = np.einsum("nft,bf,nt->nb", values, weights, columns.astype(float), optimize=True)
    return np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan)


def row_weights(frequency_hz: FloatArray) -> FloatArray:
    """(bands, F) share of each row in a band: its width over that of the band; 0 where the grid has no row there."""
    width = np.gradient(frequency_hz)
    inside = np.array([(frequency_hz >= low) & (frequency_hz < high) for low, high in BANDS_HZ])
    weights = inside * width
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


def at_night(local_hour: FloatArray, time_s: FloatArray, window_s: float) -> NDArray[np.bool_]:
    """(n, T) whether the middle of a column lies in the local night; ``local_hour`` is that of the window's middle."""
    hour = np.mod(local_hour[:, None] + (time_s[None, :] - window_s / 2) / 3600, 24)
    return (hour >= NIGHT_H[0]) & (hour < NIGHT_H[1])
