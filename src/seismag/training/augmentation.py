"""Augmentation: random changes of training windows that keep their labels right (section ``augment``).

In this order:

1. on power and cross-spectra, before averaging and scaling: dilution with a control window of the station, rotation
   of the horizontal components (with the azimuth label), noise, shift in time, gain;
2. coherency and scaling (``channels``);
3. on the scaled channels: masks of time frames, of frequency bins, of a grid; a masked bin is 0, as where data are
   missing;
4. on a batch: MixUp or CutMix. Labels are then soft: fractions of classes, (B, 4) and (B, 9).

The generators depend on seed, epoch and window alone, so that a resumed training, or one with other worker processes,
gets the same windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import BoolArray, Float32Array, FloatArray, IntArray
from seismag.config import AugmentConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.spectrograms.compute import PAIRS
from seismag.training.channels import power_of_decibel

_ComplexArray = NDArray[np.complex64]

_SECTOR_DEG = 45.0
N_SECTORS = len(AZIMUTH_CLASSES) - 1
_POWER_FLOOR = np.float32(1e-10)  # nT^2/Hz, as seismag.spectrograms.compute.to_decibel
_STORED_RESOLUTION = np.float32(1e-3)  # relative, of float16 dB and phasors: that of a difference of powers
OF_WINDOW, OF_BATCH = 1, 2  # third number of a seed; not 0: SeedSequence takes [s, e] and [s, e, 0] for the same


def augment_spectra(
    power_db: NDArray[Any], phasors: NDArray[Any] | None, spec: AugmentConfig, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array | None, int]:
    """Rotate one window, add noise, shift it in time and change its gain.

    Args:
        power_db: (3, F, T) dB re 1 nT^2/Hz; NaN masked.
        phasors: (3 pairs, 2 parts, F, T) of XY, ZX, ZY, or None.
        spec, rng: section ``augment``; the generator of this window and epoch.

    Returns:
        Power in dB and phasors of the changed window, and the sectors by which its azimuth label moves.
    """
    sectors = int(rng.choice(rotations(phasors is not None))) if spec.rotate else 0
    frames = int(rng.integers(-spec.shift_columns, spec.shift_columns + 1))
    noisy = spec.noise_probability > 0 and rng.random() < spec.noise_probability
    power_db = np.asarray(power_db, dtype=np.float32)
    phasors = None if phasors is None else np.asarray(phasors, dtype=np.float32)
    if sectors:
        power_db, phasors = rotate_spectra(power_db, phasors, sectors)
    if noisy:
        snr_db = rng.uniform(spec.noise_snr_low_db, spec.noise_snr_high_db)
        power_db, phasors = _decibel_and_phasors(
            *add_noise(power_of_decibel(power_db), _cross_of(power_db, phasors), snr_db, rng)
        )
    if frames:
        power_db = shift_in_time(power_db, frames)
        phasors = None if phasors is None else shift_in_time(phasors, frames)
    if spec.gain_db:
        power_db = power_db + np.float32(rng.uniform(-spec.gain_db, spec.gain_db))
    return power_db, phasors, sectors


def dilute_spectra(
    power_db: NDArray[Any],
    phasors: NDArray[Any] | None,
    control: tuple[NDArray[Any], NDArray[Any] | None],
    fraction: FloatArray,
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Mix the spectra of windows with those of control windows of the station, so that an emission becomes weaker.

    Powers and cross-spectra of independent sources add up: fraction * S + (1 - fraction) * S_control. With a fraction
    of 0.01 the background is that of the control window and an emission has a hundredth of its power. Normal windows
    are diluted in the same way, so that the mixture itself tells nothing.

    Args:
        power_db: (n, 3, F, T) dB re 1 nT^2/Hz; NaN masked.
        phasors: (n, 3 pairs, 2 parts, F, T), or None.
        control: power_db and phasors of a control window for each.
        fraction: (n,) of the window itself, from 0 to 1.

    Returns:
        Power in dB and phasors; a bin that is masked in either window is masked.
    """
    parts = []
    for of_db, of_phasors in ((power_db, phasors), control):
        first_db = np.moveaxis(of_db, -3, 0).astype(np.float32)
        cross = None if of_phasors is None else _cross_of(first_db, np.moveaxis(of_phasors, -4, 0).astype(np.float32))
        parts.append((power_of_decibel(first_db), cross))
    own = fraction.astype(np.float32)[:, None, None]  # of (3, n, F, T)
    (power, cross), (power_control, cross_control) = parts
    mixed_cross = None if cross is None or cross_control is None else own * cross + (1 - own) * cross_control
    mixed_db, mixed = _decibel_and_phasors(own * power + (1 - own) * power_control, mixed_cross)
    return np.moveaxis(mixed_db, 0, -3), None if mixed is None else np.moveaxis(mixed, 0, -4)


def rotations(has_cross: bool) -> IntArray:
    """Return the sectors by which a window can be rotated: all eight, or from power alone every other one.

    The powers after a rotation by 45 degrees depend on the cross-spectrum of X and Y. A rotation by 90 degrees swaps
    the powers, one by 180 leaves them as they are: such windows teach the network that power has no sign.
    """
    return np.arange(0, N_SECTORS, 1 if has_cross else 2)


def rotate_spectra(
    power_db: NDArray[Any], phasors: NDArray[Any] | None, sectors: int
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Rotate X and Y of windows, and with them the source, clockwise by a number of sectors of 45 degrees.

    A component that vanishes in a rotation is known to the precision of the store only.

    Args:
        power_db: (..., 3, F, T) dB re 1 nT^2/Hz; NaN masked.
        phasors: (..., 3 pairs, 2 parts, F, T), or None; then ``sectors`` must be even.
        sectors: one of ``rotations``.
    """
    if phasors is None:
        return (power_db[..., [1, 0, 2], :, :] if sectors % 4 else power_db), None
    first_db = np.moveaxis(power_db, -3, 0)
    power, cross = power_of_decibel(first_db), _cross_of(first_db, np.moveaxis(phasors, -4, 0))
    assert cross is not None
    horizontal = np.sqrt(power[0] * power[1])
    power, cross = rotate_field(power, cross, _SECTOR_DEG * sectors)
    if sectors % 2:  # even ones swap X and Y, whose powers stay exact
        power[:2] = np.maximum(power[:2], _STORED_RESOLUTION * horizontal)
    turned_db, turned = _decibel_and_phasors(power, cross)
    assert turned is not None
    return np.moveaxis(turned_db, 0, -3), np.moveaxis(turned, 0, -4)


def rotate_field(power: Float32Array, cross: _ComplexArray, angle_deg: float) -> tuple[Float32Array, _ComplexArray]:
    """Rotate the horizontal components, and with them the source, clockwise seen from above (from X over Y).

    X' = c X - s Y, Y' = s X + c Y, with c and s cosine and sine of the angle; a source at azimuth a moves to
    a + angle. With S_ab = <conj(a) b> this gives, exactly, also for averaged spectra,

        Pxx' = c^2 Pxx + s^2 Pyy - 2 c s Re Sxy
        Pyy' = s^2 Pxx + c^2 Pyy + 2 c s Re Sxy
        Sxy' = c^2 Sxy - s^2 conj(Sxy) + c s (Pxx - Pyy)
        Szx' = c Szx - s Szy,   Szy' = s Szx + c Szy

    Args:
        power: (3, ..., F, T) nT^2/Hz of X, Y, Z; NaN masked.
        cross: (3, ..., F, T) nT^2/Hz of XY, ZX, ZY.
        angle_deg: degrees.

    Returns:
        Power and cross-spectra after the rotation. A bin masked in X or in Y is masked in both.
    """
    c, s = (np.float32(f(np.deg2rad(angle_deg))) for f in (np.cos, np.sin))
    xx, yy, zz = power
    xy, zx, zy = cross
    both = 2 * c * s * xy.real
    rotated = [c * c * xx + s * s * yy - both, s * s * xx + c * c * yy + both, zz]
    crossed = [c * c * xy - s * s * np.conj(xy) + c * s * (xx - yy), c * zx - s * zy, s * zx + c * zy]
    return np.stack(rotated), np.stack(crossed)


def rotate_azimuth(y_azimuth: IntArray, sectors: IntArray | int) -> IntArray:
    """Move azimuth classes clockwise by whole sectors, which is exact for any azimuth; Normal stays."""
    return np.where(y_azimuth == 0, 0, 1 + (y_azimuth - 1 + sectors) % N_SECTORS)


def add_noise(
    power: Float32Array, cross: _ComplexArray | None, snr_db: float, rng: np.random.Generator
) -> tuple[Float32Array, _ComplexArray | None]:
    """Add sensor noise, independent between components, at one signal-to-noise ratio in every frequency bin.

    The spectrum of Gaussian noise is complex Gaussian: its power in one segment is exponential (chi-squared with two
    degrees of freedom), with the mean power of the bin over the ratio as its mean. Signal and noise are uncorrelated,
    so their spectral matrices add: P_a' = P_a + |n_a|^2, S_ab' = S_ab + conj(n_a) n_b, averaged over the unknown phase
    between signal and noise. Both matrices are positive, so no coherence exceeds 1. Segments overlap, so that real
    noise is similar in neighbouring time frames; here it is independent between bins.

    Args:
        power: (3, F, T) nT^2/Hz; NaN masked.
        cross: (3, F, T) nT^2/Hz of XY, ZX, ZY, or None.
        snr_db: mean power of a frequency bin over that of the noise.
    """
    valid = np.isfinite(power)
    total = np.where(valid, power, np.float32(0)).sum(axis=-1, keepdims=True)
    level = total / np.maximum(valid.sum(axis=-1, keepdims=True), 1) * 10.0 ** (-snr_db / 10)  # (3, F, 1)
    parts = rng.standard_normal((2, *power.shape), dtype=np.float32) * np.sqrt(level / 2).astype(np.float32)
    noise = parts[0] + 1j * parts[1]  # (3, F, T)
    noisy = power + np.square(parts).sum(axis=0)
    if cross is None:
        return noisy, None
    return noisy, cross + np.stack([np.conj(noise[a]) * noise[b] for _, a, b in PAIRS])


def shift_in_time(values: Float32Array, frames: int) -> Float32Array:
    """Shift (..., T) to later time frames, to earlier ones if negative; frames without data are masked (NaN)."""
    source = np.arange(values.shape[-1]) - frames
    shifted = np.roll(values, frames, axis=-1)
    shifted[..., (source < 0) | (source >= values.shape[-1])] = np.nan
    return shifted


def sample_mask(n_bins: int, n_frames: int, spec: AugmentConfig, rng: np.random.Generator) -> BoolArray:
    """Sample the bins (F, T) of one window that are masked in all channels alike."""
    mask = np.zeros((n_bins, n_frames), dtype=bool)
    for _ in range(spec.time_masks):
        mask[:, sample_band(n_frames, spec.time_mask_columns, rng)] = True
    for _ in range(spec.frequency_masks):
        mask[sample_band(n_bins, spec.frequency_mask_rows, rng)] = True
    if spec.gridmask_probability > 0 and rng.random() < spec.gridmask_probability:
        period = int(rng.integers(spec.gridmask_min_cells, spec.gridmask_max_cells + 1))
        mask |= grid_mask(n_bins, n_frames, period, spec.gridmask_ratio, rng)
    return mask


def sample_band(size: int, widest: int, rng: np.random.Generator) -> slice:
    """Sample a band of neighbouring time frames or frequency bins, 0 to ``widest`` wide.

    Source: SpecAugment, Park et al. (2019), arXiv:1904.08779, section 2, without the time warp.
    """
    width = int(rng.integers(0, min(widest, size) + 1))
    first = int(rng.integers(0, size - width + 1))
    return slice(first, first + width)


def grid_mask(n_bins: int, n_frames: int, period: int, ratio: float, rng: np.random.Generator) -> BoolArray:
    """Mask a regular grid of squares that covers a given fraction of the spectrogram.

    In the paper the ratio is that of the sides, and the masked area depends on where the edges cut the grid. Here
    ``ratio`` is the masked fraction of the area: the side of a square is sqrt(ratio) of the period, and a whole number
    of periods fits both axes, up to rounding to whole bins.

    Args:
        n_bins, n_frames: size of the spectrogram.
        period: wanted, in frequency bins and time frames alike.
        ratio: masked fraction, 0 to 1.

    Returns:
        (F, T), True where masked.

    Source: GridMask, Chen et al. (2020), arXiv:2001.04086.
    """

    def stripes(size: int) -> BoolArray:
        periods = max(1, round(size / period))
        phase = ((np.arange(size) + rng.uniform(0, size)) * periods / size) % 1.0
        return phase < np.sqrt(ratio)  # (size,)

    return stripes(n_bins)[:, None] & stripes(n_frames)[None, :]


def mix_batch(
    x: Float32Array, labels: tuple[IntArray, IntArray], spec: AugmentConfig, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Mix each window of a batch with another one by MixUp or CutMix, and the labels of both tasks alike.

    Where both are on, each batch uses one of them, either with probability 1/2.

    Args:
        x: (B, C, F, T) scaled channels.
        labels: class indices (B,) of magnitude and of azimuth.
        spec, rng: section ``augment``; the generator of this batch and epoch.

    Returns:
        Mixed channels, and soft labels of magnitude (B, 4) and azimuth (B, 9), each row with sum 1.
    """
    magnitude = np.eye(len(MAGNITUDE_CLASSES), dtype=np.float32)[labels[0]]
    azimuth = np.eye(len(AZIMUTH_CLASSES), dtype=np.float32)[labels[1]]
    if rng.random() >= spec.mix_probability:
        return x, magnitude, azimuth
    partner = rng.permutation(len(x))
    use_mixup = spec.cutmix_alpha == 0 or (spec.mixup_alpha > 0 and rng.random() < 0.5)
    alpha = spec.mixup_alpha if use_mixup else spec.cutmix_alpha
    fraction = float(rng.beta(alpha, alpha))
    if use_mixup:
        mixed = blend(x, x[partner], fraction)
    else:
        mixed, fraction = cut_and_paste(x, x[partner], fraction, rng)
    return mixed, blend(magnitude, magnitude[partner], fraction), blend(azimuth, azimuth[partner], fraction)


def blend(values: Float32Array, others: Float32Array, fraction: float) -> Float32Array:
    """MixUp: fraction * values + (1 - fraction) * others, on scaled dB.

    Source: Zhang et al. (2018), arXiv:1710.09412.
    """
    return np.float32(fraction) * values + np.float32(1.0 - fraction) * others


def cut_and_paste(
    x: Float32Array, others: Float32Array, fraction: float, rng: np.random.Generator
) -> tuple[Float32Array, float]:
    """CutMix: replace a box of (B, C, F, T) by the same box of other windows.

    Args:
        x, others: windows and their partners.
        fraction: to remain of ``x``; the box has sides sqrt(1 - fraction) of the axes and is cut at the edges.

    Returns:
        The windows, and the fraction that did remain, which is the weight of their own labels.

    Source: Yun et al. (2019), arXiv:1905.04899, section 3 and its released code (weight from the cut box).
    """
    box = []
    for size in x.shape[-2:]:
        half = size * np.sqrt(1.0 - fraction) / 2
        centre = rng.uniform(0, size)
        box.append(slice(max(0, round(centre - half)), min(size, round(centre + half))))
    mixed = x.copy()
    mixed[..., box[0], box[1]] = others[..., box[0], box[1]]
    pasted = (box[0].stop - box[0].start) * (box[1].stop - box[1].start)
    return mixed, 1.0 - pasted / (x.shape[-2] * x.shape[-1])


def _cross_of(power_db: NDArray[Any], phasors: NDArray[Any] | None) -> _ComplexArray | None:
    if phasors is None:
        return None
    phasors = phasors.astype(np.float32)
    amplitude = power_of_decibel(np.asarray(power_db, dtype=np.float32) / 2)
    unit = phasors[..., 0, :, :] + 1j * phasors[..., 1, :, :]
    return np.stack([unit[pair] * (amplitude[a] * amplitude[b]) for pair, (_, a, b) in enumerate(PAIRS)])


def _decibel_and_phasors(power: Float32Array, cross: _ComplexArray | None) -> tuple[Float32Array, Float32Array | None]:
    """Invert ``power_of_decibel`` and ``_cross_of``; a phasor longer than 1 (by rounding) is cut to 1."""
    power = np.maximum(power, _POWER_FLOOR)  # NaN stays NaN
    power_db = np.float32(10) * np.log10(power)
    if cross is None:
        return power_db, None
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        unit = np.stack([cross[pair] / np.sqrt(power[a] * power[b]) for pair, (_, a, b) in enumerate(PAIRS)])
        unit /= np.maximum(np.abs(unit), np.float32(1))
    return power_db, np.stack([unit.real, unit.imag], axis=-3)
