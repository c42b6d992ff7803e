"""Copies of windows that were reversed, shifted in time, or whose components were swapped.

The moduli of the Fourier transform over time of each frequency bin's scatter are the same for a series, its reversal
and its circular shifts; their sum over the components is the same for any order of these. So one fingerprint finds all
of these copies, and the candidates are compared in full, in every order, direction and shift.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from seismag.arrays import Float32Array
from seismag.domain import COMPONENTS

MAX_MODES = 32  # of the Fourier transform; higher ones are those of overlapping frames
_FLOOR = 0.05  # of a squared modulus over its usual one, so that no logarithm is extreme
_ORDERS = tuple(permutations(range(3)))


def invariant_scatter(scatter: Float32Array) -> Float32Array:
    """Sum over components of the log moduli over time (n, F, K) of the scatter (n, 3, F, T)."""
    n_modes = min(scatter.shape[-1] // 2, MAX_MODES)
    moduli = np.abs(np.fft.rfft(scatter, axis=-1)[..., 1 : n_modes + 1]) ** 2 / scatter.shape[-1]
    return np.log(moduli + _FLOOR).sum(axis=1).astype(np.float32)


def best_alignment(a: Float32Array, b: Float32Array) -> tuple[float, str]:
    """Largest correlation of the scatter (3, F, T) of two windows over orders, directions and circular shifts.

    Returns:
        The correlation, and how the second was changed ("" where it was not).
    """
    n_frames = a.shape[-1]
    of_a = np.fft.rfft(a, axis=-1)
    best, how = -1.0, ""
    length = max(float(np.sqrt((a.astype(float) ** 2).sum() * (b.astype(float) ** 2).sum())), 1e-12)
    for is_reversed in (False, True):
        of_b = np.fft.rfft(b[..., ::-1] if is_reversed else b, axis=-1)
        pairs = np.einsum("cfk,dfk->cdk", of_a, np.conj(of_b))  # of each component with each
        for order in _ORDERS:
            by_shift = np.fft.irfft(sum(pairs[c, order[c]] for c in range(3)), n_frames)
            shift = int(np.argmax(by_shift))
            value = float(by_shift[shift]) / length
            if value > best + 1e-6:
                best, how = value, _describe(order, is_reversed, (shift + n_frames // 2) % n_frames - n_frames // 2)
    return best, how


def _describe(order: tuple[int, ...], is_reversed: bool, shift: int) -> str:
    parts = ["reversed in time"] if is_reversed else []
    if shift:
        parts.append(f"shifted by {abs(shift)} time frame{'s' if abs(shift) > 1 else ''}")
    if order != (0, 1, 2):
        parts.append(f"components {''.join(COMPONENTS[k] for k in order)}")
    return ", ".join(parts)
