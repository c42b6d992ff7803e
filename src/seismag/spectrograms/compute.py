"""Power and cross-spectra of windows with gaps.

A window is cut into overlapping Hann segments (600 s every 94 s: 224 time frames in 6 h); the linear trend of each
segment is removed; a time frame that a missing second touches is masked with NaN, never filled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from seismag.config import DataConfig

PAIRS = (("XY", 0, 1), ("ZX", 2, 0), ("ZY", 2, 1))  # X: H axis, Y: D axis; S_ab = conj(a) b


@dataclass(frozen=True)
class Grid:
    """The frequency bins and time frames of one window.

    Attributes:
        starts: (T,) first sample of each segment.
        bands: (F + 1,) edges in Fourier bins from bin 1 on; frequency bin f averages [bands[f], bands[f + 1]).
        frequency_hz: (F,) centre of each frequency bin (geometric centre where averaged).
        time_s: (T,) centre of each segment, seconds from the start of the window.
        n_bins: Fourier bins that are used.
    """

    starts: NDArray[np.int64]
    segment: int
    bands: NDArray[np.int64]
    frequency_hz: NDArray[np.float64]
    time_s: NDArray[np.float64]
    n_bins: int


@lru_cache(maxsize=8)
def make_grid(spec: DataConfig, samples: int | None = None) -> Grid:
    """Lay out the frequency bins and time frames of a stretch of ``samples`` at 1 Hz; default: of a window."""
    length = spec.window_h * 3600 if samples is None else samples
    starts = np.arange(0, length - spec.segment_s + 1, spec.step_s)
    bins = np.arange(1, spec.n_bins + 1)
    if spec.frequency_rows == "linear":
        bands = np.arange(spec.n_bins + 1)
    else:
        edges = np.geomspace(0.5, spec.n_bins + 0.5, spec.n_log_rows + 1)
        bands = np.unique(np.clip(np.round(edges - 0.5).astype(int), 0, spec.n_bins))
    first, last = bins[bands[:-1]], bins[bands[1:] - 1]
    return Grid(
        starts=starts,
        segment=spec.segment_s,
        bands=bands,
        frequency_hz=np.sqrt(first * last) / spec.segment_s,
        time_s=(starts + spec.segment_s / 2.0).astype(np.float64),
        n_bins=spec.n_bins,
    )


def bridge_short_gaps(field_nt: NDArray[np.float64], longest_s: int) -> NDArray[np.float64]:
    """Bridge gaps of at most ``longest_s`` samples by a straight line; longer ones stay NaN.

    Args:
        field_nt: (C, n) field in nT, NaN missing.
        longest_s: longest gap to bridge, samples. A gap at either end is never bridged.

    Returns:
        The same array when nothing is missing, otherwise a copy.
    """
    if longest_s < 1 or not np.isnan(np.sum(field_nt)):
        return field_nt
    missing = np.isnan(field_nt)
    result = field_nt.copy()
    n = field_nt.shape[-1]
    for component, absent in zip(result, missing, strict=True):
        steps = np.diff(np.concatenate([[0], absent.view(np.int8), [0]]))
        starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        for start, end in zip(starts, ends, strict=True):
            if end - start <= longest_s and start > 0 and end < n:
                component[start - 1 : end + 1] = np.linspace(component[start - 1], component[end], end - start + 2)
    return result


def masked_frames(field_nt: NDArray[np.float64], spec: DataConfig) -> NDArray[np.bool_]:
    """Mark the time frames (..., T) of windows (..., n) whose segment contains at least one NaN."""
    grid = make_grid(spec, field_nt.shape[-1])
    if not np.isnan(np.sum(field_nt)):
        return np.zeros((*field_nt.shape[:-1], len(grid.starts)), dtype=bool)
    missing = np.isnan(field_nt)
    counts = np.concatenate([np.zeros((*missing.shape[:-1], 1), np.int32), np.cumsum(missing, -1, np.int32)], -1)
    touched: NDArray[np.bool_] = counts[..., grid.starts + grid.segment] > counts[..., grid.starts]
    return touched


def power_spectrogram(field_nt: NDArray[np.float64], spec: DataConfig) -> NDArray[np.float32]:
    """Estimate the power of windows, component by component; ``seismag.spectrograms.decibels`` cleans them first.

    Args:
        field_nt: (..., C, n) field in nT at 1 Hz; NaN missing.

    Returns:
        (..., C, F, T) one-sided power spectral density in nT²/Hz; NaN in masked time frames.

    Raises:
        ValueError: there are fewer samples than in a segment.

    Source: Welch (1967), doi:10.1109/TAU.1967.1161901, without averaging over time.
    """
    channels, mask = _channels(field_nt, spec)
    grid = make_grid(spec, field_nt.shape[-1])
    power = np.empty((len(channels), len(grid.starts), len(grid.frequency_hz)), np.float32)
    for channel, rows in zip(channels, power, strict=True):
        squares = _segment_spectra(channel, spec).view(np.float32) ** 2  # real and imaginary parts side by side
        rows[:] = _average_bins(squares[:, 0::2] + squares[:, 1::2], grid)
    if mask is not None:
        power[mask] = np.nan
    return power.reshape(*field_nt.shape[:-1], *power.shape[1:]).swapaxes(-1, -2)


def power_and_phasors(
    field_nt: NDArray[np.float64], spec: DataConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Estimate power and the phase between components.

    Args:
        field_nt: (..., 3, n) field H, D, Z in nT.

    Returns:
        Power (..., 3, F, T) in nT²/Hz, and unit phasors (..., 3 pairs, 2 parts, F, T) of the cross-spectra
        S_ab = conj(a) b for XY, ZX, ZY (X the H axis, Y the D axis), real and imaginary part, so that
        S_ab = phasor * sqrt(P_a P_b) exactly for single Fourier bins. Where bins are averaged the phasor is the mean
        cross-spectrum over that same geometric mean, so its length is the coherence (at most 1).
        NaN in time frames masked in either component.
    """
    power = power_spectrogram(field_nt, spec)
    channels, mask = _channels(field_nt, spec)
    grid = make_grid(spec, field_nt.shape[-1])
    shape = (len(channels) // 3, len(PAIRS), 2, len(grid.starts), len(grid.frequency_hz))
    phasors = np.empty(shape, np.float32)
    columns = power.swapaxes(-1, -2).reshape(-1, 3, *shape[-2:])  # (N, 3, T, R)
    for window, parts in enumerate(phasors):
        spectra = [_segment_spectra(channel, spec) for channel in channels[3 * window : 3 * window + 3]]
        for (_, a, b), (real, imaginary) in zip(PAIRS, parts, strict=True):
            cross = _average_bins(np.conj(spectra[a]) * spectra[b], grid)
            with np.errstate(divide="ignore", invalid="ignore"):
                phasor = cross / np.sqrt(columns[window, a] * columns[window, b])
            if mask is not None:
                phasor[mask[3 * window + a] | mask[3 * window + b]] = complex(np.nan, np.nan)
            real[:], imaginary[:] = phasor.real, phasor.imag
    return power, phasors.reshape(*field_nt.shape[:-2], *shape[1:]).swapaxes(-1, -2)


def to_decibel(power: NDArray[np.float32]) -> NDArray[np.float16]:
    """Express power in dB re 1 nT²/Hz as float16 (step 0.03 dB at 60 dB); NaN stays NaN.

    The power 0 of a stuck component becomes -100 dB, far below any instrument.
    """
    with np.errstate(invalid="ignore"):
        decibel = np.maximum(power, np.float32(1e-10))
        np.log10(decibel, out=decibel)
    decibel *= np.float32(10)
    return decibel.astype(np.float16)


def _channels(field_nt: NDArray[np.float64], spec: DataConfig) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Flatten to (N, n) without NaN, and the mask (N, T) of the time frames that a NaN touches, or None."""
    if field_nt.shape[-1] < spec.segment_s:
        raise ValueError(f"{field_nt.shape[-1]} samples at 1 Hz are fewer than those of a segment ({spec.segment_s})")
    channels = field_nt.reshape(-1, field_nt.shape[-1])
    if not np.isnan(np.sum(channels)):
        return channels, None
    return np.nan_to_num(channels), masked_frames(channels, spec)  # time frames with these zeros are masked


def _segment_spectra(channel: NDArray[np.float64], spec: DataConfig) -> NDArray[np.complex64]:
    """Transform each detrended, tapered segment of one component: (T, K) for Fourier bins 1..K, in nT/sqrt(Hz).

    The level is removed in float64, segment by segment, so that float32 contains variations of some nT only. One
    component at a time, so that the segments stay in the cache of the processor.
    """
    grid = make_grid(spec)
    taper, basis = _taper_and_trend(grid.segment)
    view = np.lib.stride_tricks.sliding_window_view(channel, grid.segment)[:: spec.step_s]  # (T, segment)
    segments = np.empty(view.shape, np.float32)
    np.subtract(view, view[:, :1], out=segments, casting="same_kind")
    segments -= (segments @ basis.T) @ basis  # linear trend
    segments *= taper
    return fft.rfft(segments, axis=-1, overwrite_x=True)[:, 1 : grid.n_bins + 1]


@lru_cache(maxsize=8)
def _taper_and_trend(segment: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Periodic Hann window, and an orthonormal basis (2, segment) of straight lines.

    The window is scaled so that the squared modulus of a spectrum at 1 Hz is the one-sided power density:
    by sqrt(2 / (rate * sum of the squared window)).
    """
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(segment) / segment)
    taper = hann * np.sqrt(2.0 / np.sum(hann**2))
    line = np.arange(segment) - (segment - 1) / 2
    basis = np.stack([np.full(segment, segment**-0.5), line / np.linalg.norm(line)])
    return taper.astype(np.float32), basis.astype(np.float32)


def _average_bins(values: Any, grid: Grid) -> Any:
    """Average Fourier bins (last axis) into frequency bins."""
    if len(grid.bands) - 1 == grid.n_bins:
        return values
    return np.add.reduceat(values, grid.bands[:-1], axis=-1) / np.diff(grid.bands).astype(np.float32)


def split_windows(field_nt: NDArray[np.float64], spec: DataConfig) -> NDArray[np.float64]:
    """Cut whole windows (3, W n), usually a day, into (W, 3, n), without copying."""
    return field_nt.reshape(3, -1, spec.window_h * 3600).swapaxes(0, 1)
