"""Properties of windows that belong to the sensor and the processing, and that no emission or activity changes.

Power above 100 mHz in the quietest tenth of the time frames is mostly sensor noise. The scatter of single bins is that
of a periodogram whatever the spectrum is. What is left of activity in a property is removed by its regression on Kp.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray
from seismag.domain import COMPONENTS
from seismag.windows.store import SHARD_SAMPLES, Store, read_samples

SENSOR_HZ = 0.1  # above it, the quietest frames are mostly sensor noise
LOWEST_BIN = "lowest frequency bin"  # a strong emission may reach the bins beside it
BURST_HZ = 0.25  # above it, natural bursts are below the noise of a fluxgate
ROUNDING_STEPS_DB = (1.0, 0.5, 0.25, 0.1, 0.05)
_QUIET = 10  # percentile of the time frames
_ROUNDED = 0.9  # fraction of bins on a grid of such steps
_EDGE_FRAMES = 2
_PROFILE_BINS = 24  # frequency bins of a fingerprint
_MIN_PROFILE_DB = 1.0  # difference of the components at a station by which a swap is seen
_SWAPPED = 0.5  # distance of the swapped profile from the station's, over that of the profile itself
_FOREIGN = 0.8  # distance from another station's noise, over that from the own station's
_COPIED_DB = 2.0  # mean difference of two components; independent periodograms differ by 6 dB
_MIN_WINDOWS = 8  # of a station, for a fingerprint

Properties = dict[str, FloatArray]


def window_properties(store: Store) -> Properties:
    """Properties of each window (n,) by name; NaN where too much is masked; empty without bins above 100 mHz."""
    if (store.frequency_hz >= SENSOR_HZ).sum() < 3 or len(store.frequency_hz) < 6:
        return {}
    parts: list[Properties] = []
    profiles = []
    n = len(store.samples)
    for first in range(0, n, SHARD_SAMPLES):
        power = read_samples(store.power, first, min(first + SHARD_SAMPLES, n))
        with np.errstate(invalid="ignore"):
            properties, profile = _of_windows(power.astype(np.float32), store.frequency_hz)
        parts.append(properties)
        profiles.append(profile)
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    station = store.samples["station"].to_numpy()
    profile_db = np.concatenate(profiles)
    found["order of the components"] = swapped_components(profile_db, station).astype(float)
    found["fingerprint of another station"] = foreign_fingerprint(profile_db, station).astype(float)
    return found


def relative_to_station(values: FloatArray, samples: pd.DataFrame) -> FloatArray:
    """Values (n,) less their station's median and their regression on Kp, over the station's usual deviation."""
    result = np.full(len(values), np.nan)
    kp_max = samples["kp_max"].to_numpy(dtype=float) if "kp_max" in samples else np.full(len(values), np.nan)
    for rows in samples.groupby("station").indices.values():
        known = rows[np.isfinite(values[rows])]
        if not known.size:
            continue
        part = values[known] - np.median(values[known])
        kp = kp_max[known]
        if np.isfinite(kp).all() and np.ptp(kp) > 0 and len(known) > 2:
            part = part - np.polyval(np.polyfit(kp, part, 1), kp)
        result[known] = part / max(1.4826 * float(np.median(np.abs(part))), 1e-6)
    return result


def swapped_components(profile_db: FloatArray, station: NDArray[Any]) -> IndexArray:
    """Order of the components (n,) that fits the station's usual spectra (n, 3, R) better by half; 0: the own order."""
    orders = list(permutations(range(3)))
    result = np.zeros(len(profile_db), dtype=np.intp)
    for rows in pd.Series(range(len(station))).groupby(np.asarray(station)).indices.values():
        if len(rows) < _MIN_WINDOWS:
            continue
        shape = profile_db[rows] - np.nanmean(profile_db[rows], axis=1, keepdims=True)
        usual = np.nanmedian(shape, axis=0)
        distance = np.stack([np.nanmedian(np.abs(shape[:, order] - usual), axis=(1, 2)) for order in orders])
        differs = np.array([np.abs(usual[list(order)] - usual).mean() for order in orders]) >= _MIN_PROFILE_DB
        best = np.argmin(np.where(differs[:, None], distance, np.inf), axis=0)
        is_better = distance[best, np.arange(len(rows))] < _SWAPPED * distance[0]
        result[rows] = np.where(is_better & differs[best], best, 0)
    return result


def foreign_fingerprint(profile_db: FloatArray, station: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the noise (n, 3, R) of a window is nearer to the usual noise of another station: (n,)."""
    codes, names = pd.factorize(np.asarray(station), sort=True)
    counts = np.bincount(codes)
    centres = np.stack([np.nanmedian(profile_db[codes == code], axis=0) for code in range(len(names))])
    spread = np.nanmedian(np.abs(profile_db - centres[codes]), axis=0)
    distance = np.full((len(names), len(codes)), np.inf)
    for code in np.flatnonzero(counts >= _MIN_WINDOWS):
        scaled = np.abs(profile_db - centres[code]) / np.maximum(spread, 0.05)
        distance[code] = np.nanmedian(scaled, axis=(1, 2))
    distance = np.where(np.isfinite(distance), distance, np.inf)
    own = distance[codes, np.arange(len(codes))]
    return np.asarray(distance.min(axis=0) < _FOREIGN * own)


def rounding_step(power_db: FloatArray) -> FloatArray:
    """Step in dB (n,) to which the values (n, ...) are rounded, in float16; 0 where there is none."""
    flat = power_db.reshape(len(power_db), -1)
    flat = flat[:, :: max(1, flat.shape[1] // 4096)]
    known = np.isfinite(flat)
    counts = np.maximum(known.sum(axis=1), 1)
    result = np.zeros(len(flat))
    for step in sorted(ROUNDING_STEPS_DB):
        on_grid = (np.round(flat / step) * step).astype(np.float16).astype(np.float32) == flat
        chance = np.minimum(np.spacing(np.abs(flat).astype(np.float16)).astype(np.float32) / step, 1)
        fraction, expected = (on_grid & known).sum(axis=1) / counts, np.where(known, chance, 0).sum(axis=1) / counts
        result = np.where((fraction >= _ROUNDED) & (expected < 0.7), step, result)
    return result


def _of_windows(power_db: FloatArray, frequency_hz: FloatArray) -> tuple[Properties, FloatArray]:
    """Properties (b,) of windows (b, 3, F, T) in dB, and their quiet noise (b, 3, R)."""
    upper = frequency_hz >= SENSOR_HZ
    in_upper = power_db[:, :, upper]
    level = _mean(in_upper, axis=2)  # (b, 3, T)
    noise = _quiet(level)
    profile = _mean(_blocks(_quiet(in_upper)), axis=3)
    found = {f"noise of {name} above 100 mHz": noise[:, k] for k, name in enumerate(COMPONENTS)}
    in_time = _mean(power_db, axis=3)  # (b, 3, F)
    found[LOWEST_BIN] = _mean(in_time[:, :, 0] - in_time[:, :, 1:3].mean(axis=2), axis=1)
    found["highest frequency bin"] = _mean(in_time[:, :, -1] - in_time[:, :, -3:-1].mean(axis=2), axis=1)
    neighbours = np.diff(in_upper, axis=2)
    found["scatter of single bins"] = np.sqrt(_mean((neighbours**2).reshape(len(power_db), -1), axis=1))
    later = _mean((neighbours[..., 1:] * neighbours[..., :-1]).reshape(len(power_db), -1), axis=1)
    found["scatter from frame to frame"] = later / np.maximum(found["scatter of single bins"] ** 2, 1e-6)
    masked = ~np.isfinite(power_db[:, :, 0])  # (b, 3, T)
    found["masked fraction of the arrays"] = masked.mean(axis=(1, 2))
    found["masked fraction by component"] = masked.mean(axis=2).max(axis=1) - masked.mean(axis=2).min(axis=1)
    middle = np.nanmedian(np.where(np.isfinite(level).any(axis=2, keepdims=True), level, 0), axis=2)
    for name, frames in (("first", slice(None, _EDGE_FRAMES)), ("last", slice(-_EDGE_FRAMES, None))):
        found[f"{name} time frames"] = _mean(_mean(level[..., frames], axis=2) - middle, axis=1)
        found[f"masked {name} time frames"] = masked[..., frames].mean(axis=(1, 2))
    bursts = power_db[:, :, frequency_hz >= min(BURST_HZ, frequency_hz[-3])]
    found["bursts in all components"] = _common_bursts(_mean(bursts, axis=2))
    pairs = [np.abs(power_db[:, a] - power_db[:, b]).reshape(len(power_db), -1) for a, b in ((0, 1), (0, 2), (1, 2))]
    found["components alike"] = (np.stack([_mean(pair, axis=1) for pair in pairs]).min(axis=0) < _COPIED_DB) * 1.0
    found["rounding of the values"] = rounding_step(power_db)
    return {name: values.astype(float) for name, values in found.items()}, profile.astype(float)


def _mean(values: FloatArray, axis: int) -> FloatArray:
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _quiet(values: FloatArray) -> FloatArray:
    """The tenth percentile over time (..., T) of what is known; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)  # NaN last
    rank = np.maximum(np.isfinite(values).sum(axis=-1, keepdims=True) - 1, 0) * _QUIET // 100
    return np.asarray(np.take_along_axis(ordered, rank, axis=-1)[..., 0])


def _blocks(profile: FloatArray) -> FloatArray:
    """Frequency bins (b, 3, F) in at most 24 blocks, the rest left out: (b, 3, R, F / R)."""
    size = -(-profile.shape[-1] // _PROFILE_BINS)
    n_blocks = profile.shape[-1] // size
    return profile[..., : n_blocks * size].reshape(*profile.shape[:-1], n_blocks, size)


def _common_bursts(level: FloatArray) -> FloatArray:
    """Smallest correlation over time of any two components (b, 3, T): of shaking, which is equal in all."""
    known = np.isfinite(level).all(axis=1, keepdims=True)
    deviation = np.where(known, level - _mean(np.where(known, level, np.nan), axis=2)[..., None], 0)
    power = np.maximum((deviation**2).sum(axis=2), 1e-9)
    pairs = [(deviation[:, a] * deviation[:, b]).sum(axis=1) / np.sqrt(power[:, a] * power[:, b])
             for a, b in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
    return np.asarray(np.min(pairs, axis=0))
