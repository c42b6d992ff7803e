"""Copies of windows that were reversed, shifted in time, or whose components were swapped.

The moduli of the Fourier transform over time of each frequency bin's scatter are the same for a series, its reversal
and its circular shifts; their sum over the components is the same for any order of these. So one fingerprint finds all
of these copies. Two windows of which one is the other shifted by a large part have only frames in common: of all frames
of a window, the one whose scatter is largest in a fixed random direction is the same in both with a chance of the
common part over the part in either (minimum hashing), so the frames of several directions are compared. The
candidates are compared in full, in every order, direction and shift.

Source: Broder (1997), doi:10.1109/SEQUEN.1997.666900 (minimum hashing).
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from seismag.arrays import Float32Array, FloatArray, IndexArray
from seismag.domain import COMPONENTS

MAX_MODES = 32  # of the Fourier transform; higher ones are those of overlapping frames
N_DIRECTIONS = 12  # of 12, one finds half of a window with a chance of 1/3, all with one of 0.99
MIN_OVERLAP = 0.25  # of the time frames that a shifted copy has in common with its source
_FLOOR = 0.05  # of a squared modulus over its usual one, so that no logarithm is extreme
_ORDERS = tuple(permutations(range(3)))


def invariant_scatter(scatter: Float32Array) -> Float32Array:
    """Sum over components of the log moduli over time (n, F, K) of the scatter (n, 3, F, T)."""
    n_modes = min(scatter.shape[-1] // 2, MAX_MODES)
    moduli = np.abs(np.fft.rfft(scatter, axis=-1)[..., 1 : n_modes + 1]) ** 2 / scatter.shape[-1]
    return np.log(moduli + _FLOOR).sum(axis=1).astype(np.float32)


def frames_by_direction(scatter: Float32Array, directions: Float32Array) -> Float32Array:
    """Frame of the scatter (n, 3, F, T) that is largest in each direction (m, 3 F), of unit length: (n, m, 3 F)."""
    frames = np.moveaxis(scatter.reshape(len(scatter), -1, scatter.shape[-1]), 2, 1)  # (n, T, 3 F)
    chosen = np.argmax(frames @ directions.T, axis=1)  # (n, m)
    found = np.take_along_axis(frames, chosen[..., None], axis=1)
    length = np.linalg.norm(found, axis=2, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


def best_alignment(a: Float32Array, b: Float32Array) -> tuple[float, str]:
    """Largest correlation of the scatter (3, F, T) of two windows over orders, directions and shifts.

    It is that of the time frames that both have at a shift, at least a quarter.

    Returns:
        The correlation, and how the second was changed ("" where it was not).
    """
    n_frames = a.shape[-1]
    shifts = np.arange(-n_frames + 1, n_frames)
    overlap = n_frames - np.abs(shifts)
    of_a, power_a = np.fft.rfft(a, 2 * n_frames, axis=-1), (a.astype(float) ** 2).sum(axis=(0, 1))
    best, how = -1.0, ""
    for is_reversed in (False, True):
        turned = b[..., ::-1] if is_reversed else b
        of_b = np.fft.rfft(turned, 2 * n_frames, axis=-1)
        pairs = np.einsum("cfk,dfk->cdk", of_a, np.conj(of_b))  # of each component with each
        length = np.sqrt(_power_in_overlap(power_a, (turned.astype(float) ** 2).sum(axis=(0, 1)), shifts))
        for order in _ORDERS:
            products = np.fft.irfft(sum(pairs[c, order[c]] for c in range(3)), 2 * n_frames)[shifts]
            by_shift = np.where(overlap >= MIN_OVERLAP * n_frames, products / np.maximum(length, 1e-12), -1)
            row = int(np.argmax(by_shift))
            if by_shift[row] > best + 1e-6:
                best, how = float(by_shift[row]), _describe(order, is_reversed, int(shifts[row]))
    return best, how


def _power_in_overlap(power_a: FloatArray, power_b: FloatArray, shifts: IndexArray) -> FloatArray:
    """Product of the power of two series (T,), each added up over their common frames, by shift of the second."""
    first, last = np.maximum(shifts, 0), len(power_a) + np.minimum(shifts, 0)
    sum_a, sum_b = (np.concatenate([[0], np.cumsum(power)]) for power in (power_a, power_b))
    return np.asarray((sum_a[last] - sum_a[first]) * (sum_b[last - shifts] - sum_b[first - shifts]))


def _describe(order: tuple[int, ...], is_reversed: bool, shift: int) -> str:
    parts = ["reversed in time"] if is_reversed else []
    if shift:
        parts.append(f"shifted by {abs(shift)} time frame{'s' if abs(shift) > 1 else ''}")
    if order != (0, 1, 2):
        if len(moved := [COMPONENTS[k] for k in range(3) if order[k] != k]) == 2:
            parts.append(f"{moved[0]} and {moved[1]} swapped")
        else:
            parts.append(f"components in the order {', '.join(COMPONENTS[k] for k in order)}")
    return ", ".join(parts)
