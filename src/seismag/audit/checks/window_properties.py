"""Properties of windows that belong to the sensor and the processing, and that no emission or activity changes.

Power above 100 mHz in the quietest tenth of the time frames is mostly sensor noise. The scatter of single bins is that
of a periodogram whatever the spectrum is. Emissions are expected at 10 to 45 mHz, and the taper of the segments reaches
two bins further, so no level or scatter between 7 and 50 mHz is a property. What is left of activity in a property is
removed by its regression on Kp.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.noise import quietest_tenth
from seismag.arrays import FloatArray, IndexArray, mean_known
from seismag.domain import COMPONENTS
from seismag.windows.store import SHARD_SAMPLES, Store, read_samples

SENSOR_HZ = 0.1  # above it, the quietest frames are mostly sensor noise
LOW_HZ = 0.007  # below it, and from 50 mHz on, a bin contains no power of an emission of 10 to 45 mHz
ABOVE_EMISSIONS_HZ = 0.05
LOWEST_BINS = "level of frequency bin"  # a strong emission may reach some of them
BURST_HZ = 0.25  # above it, natural bursts are below the noise of a fluxgate
_N_LOWEST = 6
_ROUNDING_STEPS_DB = 2.0 ** np.arange(-8, 3, 0.25)
_ROUNDED = 0.85  # distinct values, over those of float16
_ROUNDING_VALUES = 8192  # that are compared
_EDGES = {"first": slice(None, 2), "last": slice(-2, None)}
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
    """Step in dB (n,), coarser than that of float16, to which the values (n, ...) are rounded; 0 where there is none.

    The number of distinct values in the middle half is compared with that expected of steps from 1/256 to 3.4 dB.
    """
    flat = power_db.reshape(len(power_db), -1)
    flat = flat[:, :: max(1, flat.shape[1] // _ROUNDING_VALUES)]
    result = np.zeros(len(flat))
    for row, values in enumerate(flat):
        ordered = np.sort(values[np.isfinite(values)])
        middle = ordered[len(ordered) // 4 : 3 * len(ordered) // 4]
        if len(middle) < 100 or middle[0] == middle[-1]:
            continue
        n_distinct = len(np.unique(middle))
        density = _density(middle)
        spacing = np.spacing(np.abs(middle).astype(np.float16)).astype(np.float64)
        if n_distinct < _ROUNDED * _expected_distinct(density, spacing):
            expected = [_expected_distinct(density, np.maximum(spacing, step)) for step in _ROUNDING_STEPS_DB]
            result[row] = _ROUNDING_STEPS_DB[np.argmin(np.abs(np.log(expected) - np.log(n_distinct)))]
    return result


def _density(ordered: FloatArray) -> FloatArray:
    """Number of values per dB about each of the ordered ones (m,), from an eighth of them."""
    position = np.arange(len(ordered))
    first, last = np.maximum(position - len(ordered) // 16, 0), np.minimum(position + len(ordered) // 16, position[-1])
    return (last - first) / np.maximum(ordered[last] - ordered[first], 1e-3).astype(np.float64)


def _expected_distinct(density: FloatArray, spacing: FloatArray) -> float:
    """Number of distinct values among those of a density (m,) per dB, each rounded to a spacing (m,) in dB."""
    of_same = density * spacing  # values that are rounded to one
    return float((-np.expm1(-of_same) / of_same).sum())


def _of_windows(power_db: FloatArray, frequency_hz: FloatArray) -> tuple[Properties, FloatArray]:
    """Properties (b,) of windows (b, 3, F, T) in dB, and their quiet noise (b, 3, R)."""
    in_upper = power_db[:, :, frequency_hz >= SENSOR_HZ]
    noise = quietest_tenth(mean_known(in_upper, axis=2))
    profile = mean_known(_blocks(quietest_tenth(in_upper)), axis=3)
    found = {f"noise of {name} above 100 mHz": noise[:, k] for k, name in enumerate(COMPONENTS)}
    in_time = mean_known(mean_known(power_db, axis=3), axis=1)  # (b, F)
    for k in range(_N_LOWEST - 1):
        found[f"{LOWEST_BINS} {k + 1} over that of {k + 2}"] = in_time[:, k] - in_time[:, k + 1]
    found["highest frequency bin"] = in_time[:, -1] - in_time[:, -3:-1].mean(axis=1)
    found |= _of_masks(~np.isfinite(power_db))
    in_low = power_db[:, :, frequency_hz < LOW_HZ]
    in_between = power_db[:, :, (frequency_hz >= ABOVE_EMISSIONS_HZ) & (frequency_hz < SENSOR_HZ)]
    for of_band, where, in_band in (
        (_of_edges, "below 7 mHz", in_low),
        (_of_edges, "above 100 mHz", in_upper),
        (_of_scatter, "at 50 to 100 mHz", in_between),
        (_of_scatter, "above 100 mHz", in_upper),
    ):
        found |= {f"{name} {where}": values for name, values in of_band(in_band).items()}
    bursts = power_db[:, :, frequency_hz >= min(BURST_HZ, frequency_hz[-3])]
    found["bursts in all components"] = _common_bursts(mean_known(bursts, axis=2))
    pairs = [np.abs(power_db[:, a] - power_db[:, b]).reshape(len(power_db), -1) for a, b in ((0, 1), (0, 2), (1, 2))]
    alike = np.stack([mean_known(pair, axis=1) for pair in pairs]).min(axis=0) < _COPIED_DB
    found["components alike"] = alike * 1.0
    parts = [power_db, *(power_db[:, k] for k in range(3))]
    found["rounding of the values"] = np.max([rounding_step(part) for part in parts], axis=0)
    return {name: values.astype(float) for name, values in found.items()}, profile.astype(float)


def _of_masks(masked: NDArray[np.bool_]) -> Properties:
    """Masked fractions (b,) of windows (b, 3, F, T)."""
    frames = masked.mean(axis=2)  # (b, 3, T)
    by_component = frames.mean(axis=2)
    in_part = (frames > 0) & (frames < 1)
    found = {
        "masked fraction of the arrays": by_component.mean(axis=1),
        "masked fraction by component": by_component.max(axis=1) - by_component.min(axis=1),
        "time frames masked at some frequencies": in_part.mean(axis=(1, 2)),
    }
    for name, chosen in _EDGES.items():
        found[f"masked {name} time frames"] = frames[..., chosen].mean(axis=(1, 2))
    return found


def _of_edges(power_db: FloatArray) -> Properties:
    """Level (b,) of the first and last time frames of bins (b, 3, R, T) over the window's median level."""
    level = mean_known(power_db, axis=2)  # (b, 3, T)
    middle = np.nanmedian(np.where(np.isfinite(level).any(axis=2, keepdims=True), level, 0), axis=2)
    return {
        f"{name} time frames": mean_known(mean_known(level[..., chosen], axis=2) - middle, axis=1)
        for name, chosen in _EDGES.items()
    }


def _of_scatter(power_db: FloatArray) -> Properties:
    """Deviation (b,) of differences of neighbouring bins (b, 3, R, T) about their mean, and its part in common in time.

    What the bins have in common, such as a burst, is not in the differences, and the spectrum is not in the deviation.
    """
    differences = np.diff(power_db, axis=2)
    differences = differences - mean_known(differences, axis=3)[..., None]
    variance = mean_known((differences**2).reshape(len(power_db), -1), axis=1)
    later = mean_known((differences[..., 1:] * differences[..., :-1]).reshape(len(power_db), -1), axis=1)
    return {
        "scatter of single bins": np.sqrt(variance),
        "scatter from frame to frame": later / np.maximum(variance, 1e-6),
    }


def _blocks(profile: FloatArray) -> FloatArray:
    """Frequency bins (b, 3, F) in at most 24 blocks, the rest left out: (b, 3, R, F / R)."""
    size = -(-profile.shape[-1] // _PROFILE_BINS)
    n_blocks = profile.shape[-1] // size
    return profile[..., : n_blocks * size].reshape(*profile.shape[:-1], n_blocks, size)


def _common_bursts(level: FloatArray) -> FloatArray:
    """Smallest correlation over time of any two components (b, 3, T): of shaking, which is equal in all."""
    known = np.isfinite(level).all(axis=1, keepdims=True)
    deviation = np.where(known, level - mean_known(np.where(known, level, np.nan), axis=2)[..., None], 0)
    power = np.maximum((deviation**2).sum(axis=2), 1e-9)
    pairs = [(deviation[:, a] * deviation[:, b]).sum(axis=1) / np.sqrt(power[:, a] * power[:, b])
             for a, b in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
    return np.asarray(np.min(pairs, axis=0))
