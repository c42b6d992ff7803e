"""Input channels of the network: scaled power and, as an option, the coherency between the components.

power (3, F, T) in dB             -> scaled to zero mean and unit deviation -> channels 0 to 2: H, D, Z
phasors (3 pairs, 2, F, T), power -> averaged over a box: coherency         -> channels 3 to 8: XY, ZX, ZY, real and
                                                                              imaginary part, each in [-1, 1]

The cross-spectra are divided by the power of the whole horizontal field, not by that of one component: then ZX and ZY
are the components of a vector that rotates with the source, so that its direction is their ratio. Divided by the power
of their own component each would be near 1 or -1 wherever a source dominates, and the direction would be lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import Float32Array
from seismag.config import ModelConfig
from seismag.domain import COMPONENTS, SeismagError
from seismag.spectrograms.compute import PAIRS
from seismag.training.scaling import Scaling
from seismag.windows.store import LEGACY_IMAGE

_POWER = tuple(f"power {name}" for name in COMPONENTS)
_COHERENCY = tuple(f"coherency {pair} {part}" for pair, _, _ in PAIRS for part in ("real", "imaginary"))
CHANNELS: dict[str, tuple[str, ...]] = {"power": _POWER, "power_cross": _POWER + _COHERENCY}


def require_cross(store: Any, model: ModelConfig) -> None:
    """Refuse a store without the cross-spectra that ``model.input`` needs (SeismagError)."""
    if model.input == "power_cross" and store.cross is None:
        if store.attributes["preprocessing"].get("kind") == LEGACY_IMAGE:
            raise SeismagError(
                f"{store.path}: contains pictures of an earlier system, which have no cross-spectra, and model.input "
                "power_cross needs them. Train with model.input=power, or prepare a store from recordings."
            )
        raise SeismagError(
            f"{store.path}: no cross-spectra, which model.input power_cross needs. Prepare it again with "
            "data.cross_spectra=true, or train with model.input=power."
        )


def power_of_decibel(power_db: NDArray[Any]) -> Float32Array:
    """Turn dB re 1 nT^2/Hz into nT^2/Hz, float32; NaN stays NaN."""
    return np.exp(np.multiply(power_db, np.float32(np.log(10.0) / 10.0), dtype=np.float32))


def coherency_channels(power_db: NDArray[Any], phasors: NDArray[Any], frames: int, bins: int) -> NDArray[np.float16]:
    """Average the cross-spectra over boxes and divide by the averaged powers, the horizontal one of both components.

    With S_ab = phasor * sqrt(P_a P_b) and P_h = P_X + P_Y, summed over the part of the box that has a value in the
    components of the pair, of ZX and ZY in all three (less at the edges):

        gamma_XY = 2 sum S_XY / sum P_h
        gamma_Za = sum S_Za / sqrt(sum P_Z sum P_h)

    Where X and Y are rotated, gamma_ZX and gamma_ZY rotate like a vector, and their denominator stays. The lengths of
    gamma_XY and of the vector are at most 1 (Cauchy and Schwarz): the vector is near 1 where Z and the horizontal field
    have one source, and small for independent noise in many independent bins. In a single bin it is always 1.

    Args:
        power_db: (n, 3, F, T) dB re 1 nT^2/Hz; NaN masked.
        phasors: (n, 3, 2, F, T) of XY, ZX, ZY, real and imaginary part, length at most 1; NaN masked.
        frames, bins: width of the box in time and height in frequency, odd.

    Returns:
        (n, 6, F, T) in [-1, 1]; 0 where the bin itself is masked in one of the components. In float16, the precision of
        the store, so that cached and freshly computed values are the same.

    Source: Bendat & Piersol (2010), Random Data, 4th ed., doi:10.1002/9781118032428, chapter 9 (smoothed estimates).
    """
    power = power_of_decibel(power_db)
    n, _, n_bins, n_frames = power.shape
    result = np.zeros((n, len(PAIRS), 2, n_bins, n_frames), dtype=np.float16)
    known = power > 0  # NaN is not above 0
    horizontal = known[:, 0] & known[:, 1]
    for pair, (_, a, b) in enumerate(PAIRS):
        phasor = phasors[:, pair].astype(np.float32)  # (n, 2, F, T)
        valid = np.isfinite(phasor).all(axis=1) & horizontal & known[:, a]
        x, y, of_a, of_b = (np.where(valid, power[:, component], np.float32(0)) for component in (0, 1, a, b))
        cross = np.where(valid[:, None], phasor, np.float32(0)) * np.sqrt(of_a * of_b)[:, None]
        of_h = _box_sum(x + y, frames, bins)
        norm = 0.5 * of_h if a == 0 else np.sqrt(_box_sum(of_a, frames, bins) * of_h)
        norm[~valid] = np.inf  # masked: 0
        coherency = _box_sum(cross, frames, bins) / norm[:, None]
        result[:, pair] = np.clip(coherency, -1.0, 1.0)  # beyond by rounding alone
    return result.reshape(n, 2 * len(PAIRS), n_bins, n_frames)


def window_channels(
    power_db: NDArray[Any],
    phasors: NDArray[Any] | None,
    scaling: Scaling,
    model: ModelConfig,
    coherency: NDArray[np.float16] | None = None,
) -> Float32Array:
    """Turn the spectra of windows into the input of a model of this configuration.

    Args:
        power_db: (n, 3, F, T) dB re 1 nT^2/Hz; NaN masked.
        phasors: (n, 3, 2, F, T) as for ``coherency_channels``; None for the input power.
        scaling: of power; coherency is not scaled.
        model: selects the channels.
        coherency: (n, 6, F, T), where it is known already.

    Returns:
        (n, 3 or 9, F, T) float32 in the order of ``CHANNELS``; masked bins are 0.

    Raises:
        SeismagError: the grid is not that of the scaling.
        DataError: a power is infinite.
    """
    scaled = scaling.apply(power_db)
    if model.input == "power":
        return scaled
    if coherency is None:
        if phasors is None:
            raise ValueError("model.input power_cross needs phasors")
        coherency = coherency_channels(power_db, phasors, model.coherency_columns, model.coherency_rows)
    return np.concatenate([scaled, coherency], axis=1, dtype=np.float32)


def _box_sum(values: Float32Array, frames: int, bins: int) -> Float32Array:
    # by shifted copies, cut at the edges: running sums would lose a weak bin near a strong one to rounding
    return _run_sum(_run_sum(values, frames, -1), bins, -2)


def _run_sum(values: Float32Array, length: int, axis: int) -> Float32Array:
    result = values.copy()
    size = values.shape[axis]
    source, target = np.moveaxis(values, axis, -1), np.moveaxis(result, axis, -1)  # views
    for shift in range(1, min(length // 2, size - 1) + 1):
        target[..., shift:] += source[..., : size - shift]
        target[..., : size - shift] += source[..., shift:]
    return result
