"""Polarisation ratio and induction arrow of each window, as change against quiet times of its station.

Quiet times of the ratio are the windows of the last 60 days without those that precede an earthquake of the training
set. The quiet arrow is a property of the ground: the median over the Normal windows of training, coherent or not
(without coherence of Z it is about 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.scoring.classical.spectra import BandSpectra, ComplexArray

TRAILING_D = 60
QUIET_LEAST = 5  # windows, for median and MAD
COHERENCE2_LEAST = 0.5
KP_DISTURBED, DST_DISTURBED_NT = 4.0, -30.0
MAD_TO_SIGMA = 1.4826  # of a normal distribution
Z_LIMIT = 8.0  # beyond which a robust z is counted as this


@dataclass(frozen=True)
class ClassicalFeatures:
    """Features of the classical methods for each window of a store, in its order; NaN: none.

    Attributes:
        ratio_z: (n, bands) robust z of log10 R against the past, within ±8.
        coherence2: (n,) squared multiple coherence of Z with X and Y.
        arrow: (n, 2) complex A, B minus those of quiet times, where coherence2 is at least 0.5; None without
            cross-spectra.
        arrow_z: (n,) length of that change over the scatter at quiet times, at most 8.
        h_axis_deg: (n,) azimuth of the X axis.
        has_quiet_arrow: (n,) the station has one, and the window is undisturbed.
    """

    ratio_z: FloatArray
    coherence2: FloatArray
    arrow: ComplexArray | None
    arrow_z: FloatArray
    h_axis_deg: FloatArray
    has_quiet_arrow: BoolArray


def polarisation_ratio(power: FloatArray) -> FloatArray:
    """log10 of R = Szz / (Sxx + Syy).

    Args:
        power: (..., 3) Sxx, Syy, Szz.

    Source: Hayakawa et al. (1996), Geophysical Research Letters 23(3), 241-244, as a ratio of band means of power.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(power[..., 2] / (power[..., 0] + power[..., 1]))


def transfer_function(power: FloatArray, cross: ComplexArray) -> tuple[ComplexArray, FloatArray]:
    """Solve Z = A X + B Y in the least squares: [A; B] = [Sxx Sxy; Syx Syy]^-1 [Sxz; Syz], Sab = <conj(a) b>.

    Args:
        power: (..., 3) Sxx, Syy, Szz.
        cross: (..., 3) complex Sxy, Sxz, Syz.

    Returns:
        (..., 2) complex A and B, and the squared multiple coherence (...,), (A conj(Sxz) + B conj(Syz)) / Szz.

    Source: Vozoff (1972), Geophysics 37(1), 98-141; Bendat & Piersol (2010), doi:10.1002/9781118032428, chapter 7.
    """
    xx, yy, zz = np.moveaxis(power, -1, 0)
    xy, xz, yz = np.moveaxis(cross, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = xx * yy - np.abs(xy) ** 2
        a = (yy * xz - xy * yz) / determinant
        b = (xx * yz - np.conj(xy) * xz) / determinant
        coherence2 = np.real(a * np.conj(xz) + b * np.conj(yz)) / zz
    return np.stack([a, b], axis=-1), np.clip(coherence2, 0.0, 1.0)


def classical_features(
    spectra: BandSpectra, samples: pd.DataFrame, train: IndexArray, leave_out_disturbed: bool
) -> ClassicalFeatures:
    """Compare each window with quiet times of its station.

    Args:
        spectra: of the store.
        samples: station, start_utc, end_utc, magnitude_class, kp_max, dst_min_nt, h_axis_deg, in the store's order.
        train: positions of the training windows, whose classes may be known.
        leave_out_disturbed: windows with Kp >= 4 or Dst <= -30 nT have no features and are no quiet times; windows
            without indices count as undisturbed.
    """
    usable = ~disturbed(samples) if leave_out_disturbed else np.ones(len(samples), dtype=bool)
    in_training = np.isin(np.arange(len(samples)), train)
    normal = (samples["magnitude_class"] == "Normal").to_numpy()
    ratio = np.where(usable[:, None], polarisation_ratio(spectra.night_power), np.nan)
    middle, spread = trailing_statistics(ratio, samples, ~in_training | normal)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_z = np.clip((ratio - middle) / spread, -Z_LIMIT, Z_LIMIT)
    n = len(samples)
    h_axis = samples["h_axis_deg"].to_numpy(dtype=float)
    if spectra.cross is None:
        return ClassicalFeatures(ratio_z, np.full(n, np.nan), None, np.full(n, np.nan), h_axis, np.zeros(n, dtype=bool))
    arrow, coherence2 = transfer_function(spectra.power[:, 0], spectra.cross[:, 0])
    quiet = usable & in_training & normal
    middle, spread = station_statistics(np.hstack([arrow.real, arrow.imag]), samples["station"], quiet)
    change = arrow - (middle[:, :2] + 1j * middle[:, 2:])
    change[~(usable & (coherence2 >= COHERENCE2_LEAST))] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.sqrt((np.abs(change) ** 2).sum(axis=1) / (spread**2).sum(axis=1))
    known = usable & np.isfinite(coherence2) & np.isfinite(middle).all(axis=1) & (spread > 0).all(axis=1)
    return ClassicalFeatures(ratio_z, coherence2, change, np.minimum(length, Z_LIMIT), h_axis, known)


def disturbed(samples: pd.DataFrame) -> BoolArray:
    """Whether Kp reached 4 or Dst fell to -30 nT within the window; False where neither is known."""
    kp, dst = (samples[name].to_numpy(dtype=float, na_value=np.nan) for name in ("kp_max", "dst_min_nt"))
    found: BoolArray = (kp >= KP_DISTURBED) | (dst <= DST_DISTURBED_NT)
    return found


def trailing_statistics(values: FloatArray, samples: pd.DataFrame, quiet: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Median and 1.4826 MAD of the windows at quiet times of the same station in the 60 days before each window.

    Args:
        values: (n, m); rows with a NaN are left out of the past.
        samples: station, start_utc, end_utc of the rows.
        quiet: (n,) rows that may be part of a past.

    Returns:
        (n, m) each; NaN where fewer than 5 of them ended before the window's start.
    """
    middle, spread = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    known = quiet & np.isfinite(values).all(axis=1)
    starts, ends = (samples[name].to_numpy().astype("datetime64[ms]") for name in ("start_utc", "end_utc"))
    for rows in samples.groupby("station", sort=False).indices.values():
        past = rows[known[rows]]
        past = past[np.argsort(ends[past], kind="stable")]
        first = np.searchsorted(ends[past], starts[rows] - np.timedelta64(TRAILING_D, "D"), side="right")
        last = np.searchsorted(ends[past], starts[rows], side="right")  # it may end where the window starts
        for row, begin, end in zip(rows, first, last, strict=True):
            if end - begin >= QUIET_LEAST:
                middle[row], spread[row] = _median_and_spread(values[past[begin:end]])
    return middle, spread


def station_statistics(values: FloatArray, station: pd.Series, quiet: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Median and 1.4826 MAD of the windows at quiet times of each station, without those with a NaN, at any time.

    Returns:
        (n, m) each, equal in all rows of a station; NaN where it has fewer than 5.
    """
    middle, spread = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    known = quiet & np.isfinite(values).all(axis=1)
    for rows in station.groupby(station, sort=False).indices.values():
        if known[rows].sum() >= QUIET_LEAST:
            middle[rows], spread[rows] = _median_and_spread(values[rows[known[rows]]])
    return middle, spread


def _median_and_spread(block: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle = np.median(block, axis=0)
    return middle, MAD_TO_SIGMA * np.median(np.abs(block - middle), axis=0)
