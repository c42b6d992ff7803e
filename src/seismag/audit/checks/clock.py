"""Check of station clocks: the daily wave of geomagnetic power must keep its hour in UTC, and peak by day.

The method is in docs/method.md. The hour of the wave moves within a station only when the clock does: season, storms or
a noisier sensor move it by less than one hour. It peaks between 10 and 12 h local time at nine observatories
(docs/simulation.md); beyond 60 degrees of geomagnetic latitude a second wave at dawn moves it by an hour or two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.null import Null, placebo_rate
from seismag.windows.store import LEGACY_IMAGE, SHARD_SAMPLES, Store, read_samples

BAND_HZ = (0.010, 0.045)
BLOCK_D = 5  # storms last days, so whole blocks are permuted
MIN_WINDOWS, MIN_BLOCKS = 40, 15  # of a station
MIN_SIDE_BLOCKS = 6  # on either side of a change
SEASONAL_H = 1.0  # change of the hour that a correct clock may show
MINIMUM_SHIFT_H = 3.0
OBVIOUS_SCORE = 4.0  # standard errors of a change that is not due to chance
MIDDAY_H, BY_DAY_H = 11.0, 5.0  # local hour of the peak, and its tolerance
MAX_ERROR_H = 2.0  # of a station's hour; beyond, its daily wave is too weak
PLACEBO_PERMUTATIONS_OF_BLOCKS = 99
_HOUR = 2 * np.pi / 24
_CHUNK_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Change:
    """Largest change of the hour of a daily wave."""

    score: float  # change beyond one hour, in standard errors
    shift_h: float  # positive where the wave is later
    block: int  # the first one after the change


@dataclass(frozen=True)
class _Station:
    """Windows of a station in time, and sums over blocks of five days.

    Sums of a block are n, c, s, y, cc, ss, cs, cy, sy, yy over its hours, with c and s the cosine and sine of the
    local hour and y the power in dB.
    """

    code: str  # of the station
    block: IndexArray  # (n,) number of the block of each window
    local_h: FloatArray  # (n, hours) local time
    steady: FloatArray  # (n, hours) power of the wave before the largest change
    residual: FloatArray  # (n, hours) power minus the fit on either side of the change
    sums: FloatArray  # (b, 10)
    change: Change
    peak_h: float  # hour of the wave
    error_h: float  # its standard error

    @property
    def change_date(self) -> np.datetime64:
        """First day after the change."""
        return np.datetime64(int(np.unique(self.block)[self.change.block]) * BLOCK_D, "D")

    @property
    def night_p(self) -> float:
        """P-value of a peak by day (t test beyond the limit)."""
        beyond_h = abs((self.peak_h - MIDDAY_H + 12) % 24 - 12) - BY_DAY_H
        return float(stats.t.sf(beyond_h / max(self.error_h, 1e-6), len(self.sums) - 1))


def check_clock(store: Store, spec: AuditConfig) -> CheckResult:
    """``clock``, blocking: whether the daily wave of each station keeps its hour.

    The statistic is the largest change of the hour within a station beyond one hour, in standard errors; p is twice the
    smaller p-value of the two tests.
    """
    in_band = (store.frequency_hz >= BAND_HZ[0]) & (store.frequency_hz <= BAND_HZ[1])
    if store.attributes.get("origin") == LEGACY_IMAGE or not in_band.any():
        return CheckResult("clock", "inconclusive (the store has no power at 10 to 45 mHz).", blocking=True)
    stations = _stations(store.samples, hourly_power(store, in_band))
    if not stations:
        sentence = (
            f"inconclusive (no station has {MIN_WINDOWS} windows in {MIN_BLOCKS} blocks of {BLOCK_D} days with a daily "
            f"wave whose hour is known to {MAX_ERROR_H:g} h)."
        )
        return CheckResult("clock", sentence, blocking=True, details={"stations": {}})
    rng = np.random.default_rng([spec.seed, 11])
    changed = max(stations, key=lambda station: station.change.score)
    null = null_of_largest([station.sums for station in stations], spec.permutations, rng)
    p_change = null.p_value(changed.change.score)
    farthest = min(stations, key=lambda station: station.night_p)
    p_daytime = min(1.0, farthest.night_p * len(stations))
    sentence = f"{len(stations)} of {store.samples['station'].nunique()} stations have enough data. "
    sentence += _change_text(changed, stations, p_change)
    sentence += f" The peak of {farthest.code} is the farthest from midday, at {farthest.peak_h:.1f} h local time"
    sentence += f" (p {p_daytime:.2g}): its time stamps or its longitude are wrong." if p_daytime < 0.01 else "."
    return CheckResult(
        name="clock",
        sentence=sentence,
        statistic=changed.change.score,
        statistic_name="largest change of the daily wave's hour beyond 1 h, in standard errors",
        null=null.interval(),
        p_value=min(1.0, 2 * min(p_change, p_daytime)),
        placebo_rate=_placebo_rate(stations, spec, rng),
        above_minimum=abs(changed.change.shift_h) >= MINIMUM_SHIFT_H or p_daytime < p_change,
        blocking=True,
        details={
            "p_change": p_change, "p_daytime": p_daytime,
            "stations": {
                station.code: {
                    "peak_local_h": round(station.peak_h, 2), "peak_error_h": round(station.error_h, 2),
                    "largest_shift_h": round(station.change.shift_h, 2), "from": str(station.change_date),
                    "score": round(station.change.score, 2),
                }
                for station in stations
            },
        },
    )  # fmt: skip


def hourly_power(store: Store, in_band: NDArray[np.bool_]) -> FloatArray:
    """Mean power of H and D in dB over the band and each hour of a window: (n, hours); NaN where all is masked."""
    hour = (store.time_s // 3600).astype(int)
    result = np.full((len(store.samples), hour.max() + 1), np.nan)
    for first in range(0, len(store.samples), SHARD_SAMPLES):
        power = read_samples(store.power, first, min(first + SHARD_SAMPLES, len(store.samples)))
        part = power[:, :2, in_band].astype(np.float32)  # (b, 2, R, T)
        known = np.isfinite(part)
        total, count = np.where(known, part, 0).sum(axis=(1, 2)), known.sum(axis=(1, 2))
        for one in range(result.shape[1]):
            n = count[:, hour == one].sum(axis=1)
            sums = total[:, hour == one].sum(axis=1)
            result[first : first + len(power), one] = np.where(n > 0, sums / np.maximum(n, 1), np.nan)
    return result


def wave_hour(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit a constant and a daily wave by least squares to sums (..., 10) as in ``_Station``.

    Returns:
        Local hour of the peak in [0, 24), and its standard error in hours by the delta method; 12 (unknown) where the
        hours covered do not determine a wave.
    """
    n, c, s, y, cc, ss, cs, cy, sy, yy = np.moveaxis(sums, -1, 0)
    n = np.maximum(n, 1)
    cc, ss, cs = cc - c * c / n, ss - s * s / n, cs - c * s / n
    cy, sy, yy = cy - c * y / n, sy - s * y / n, yy - y * y / n
    determinant = cc * ss - cs * cs
    solvable = determinant > 1e-3 * n * n  # 0.25 n² for evenly spread hours
    safe = np.where(solvable, determinant, 1.0)
    a, b = (ss * cy - cs * sy) / safe, (cc * sy - cs * cy) / safe
    noise = np.maximum(yy - a * cy - b * sy, 0) / np.maximum(n - 3, 1)
    height = np.maximum(a * a + b * b, 1e-12)
    variance = noise * (b * b * ss + a * a * cc + 2 * a * b * cs) / safe / height**2  # of the angle
    error = np.where(solvable, np.minimum(np.sqrt(np.maximum(variance, 0)) / _HOUR, 12.0), 12.0)
    return np.mod(np.arctan2(b, a) / _HOUR, 24), error


def largest_change(sums: FloatArray) -> Change:
    """Find the largest change of the hour in consecutive blocks (b, 10)."""
    score, shift_h = _scan(sums[None])
    split = int(np.argmax(score[0]))
    return Change(float(score[0, split]), float(shift_h[0, split]), int(_splits(len(sums))[split]))


def null_of_largest(stations: list[FloatArray], draws: int, rng: np.random.Generator) -> Null:
    """Largest change of any station where the blocks (b, 10) of each, after correction, are permuted."""
    largest = np.full(draws, -np.inf)
    for observed in stations:
        sums = correct_clock(observed)
        chunk = max(1, _CHUNK_NUMBERS // sums.size)
        for first in range(0, draws, chunk):
            part = slice(first, min(first + chunk, draws))
            order = rng.permuted(np.tile(np.arange(len(sums)), (part.stop - part.start, 1)), axis=1)
            largest[part] = np.maximum(largest[part], _scan(sums[order])[0].max(axis=1))
    return Null(largest)


def correct_clock(sums: FloatArray) -> FloatArray:
    """Sums (b, 10) with the hours after the largest change shifted back, where it is obvious.

    A change in every permutation would widen the null. Changes below 3 h or four standard errors occur by chance, and a
    null without them would be too narrow.
    """
    change = largest_change(sums)
    if abs(change.shift_h) < MINIMUM_SHIFT_H or change.score < OBVIOUS_SCORE:
        return sums
    u, v = np.cos(_HOUR * change.shift_h), np.sin(_HOUR * change.shift_h)
    n, c, s, y, cc, ss, cs, cy, sy, yy = sums[change.block :].T
    rotated = [
        n, u * c + v * s, u * s - v * c, y,
        u * u * cc + v * v * ss + 2 * u * v * cs, u * u * ss + v * v * cc - 2 * u * v * cs,
        (u * u - v * v) * cs + u * v * (ss - cc), u * cy + v * sy, u * sy - v * cy, yy,
    ]  # fmt: skip
    return np.concatenate([sums[: change.block], np.stack(rotated, axis=1)])


def _splits(blocks: int) -> IndexArray:
    """First blocks after a change that are tried: at most 12, evenly spaced."""
    candidates = np.arange(MIN_SIDE_BLOCKS, blocks - MIN_SIDE_BLOCKS + 1)
    return candidates[np.unique(np.linspace(0, len(candidates) - 1, min(len(candidates), 12)).round().astype(int))]


def _scan(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Change of the hour at each split of each series (k, b, 10): beyond 1 h in standard errors, and in hours."""
    before = np.cumsum(sums, axis=1)[:, _splits(sums.shape[1]) - 1]
    (hour, error), (later, later_error) = wave_hour(before), wave_hour(sums.sum(axis=1)[:, None] - before)
    shift = np.mod(later - hour + 12, 24) - 12
    return (np.abs(shift) - SEASONAL_H) / np.maximum(np.hypot(error, later_error), 1e-6), shift


def _stations(samples: pd.DataFrame, power_db: FloatArray) -> list[_Station]:
    start = samples["start_utc"].to_numpy().astype("datetime64[s]")
    found = []
    for code, rows in samples.groupby("station", sort=True).indices.items():
        rows = rows[np.argsort(start[rows], kind="stable")]
        if len(rows) < MIN_WINDOWS:
            continue
        power = _without_kp(power_db[rows], samples["kp_max"].to_numpy(dtype=float)[rows])
        hours = np.arange(power.shape[1]) + 0.5
        local_h = samples["local_hour"].to_numpy(dtype=float)[rows][:, None] + hours - hours.mean()
        block = (start[rows].astype("datetime64[D]").astype(int)) // BLOCK_D
        sums = _block_sums(block, local_h, power)
        peak_h, error_h = _jackknife(sums)
        if len(sums) < MIN_BLOCKS or error_h > MAX_ERROR_H:
            continue
        change = largest_change(sums)
        design = np.stack([np.ones_like(local_h), np.cos(_HOUR * local_h), np.sin(_HOUR * local_h)], axis=-1)
        steady = design @ _wave(sums[: change.block].sum(axis=0))
        changed = design @ _wave(sums[change.block :].sum(axis=0))
        is_late = block >= np.unique(block)[change.block]
        residual = power - np.where(is_late[:, None], changed, steady)
        found.append(_Station(str(code), block, local_h, steady, residual, sums, change, peak_h, error_h))
    return found


def _without_kp(power: FloatArray, kp_max: FloatArray) -> FloatArray:
    """Remove the part linear in Kp, where Kp is known for all windows of the station."""
    level = np.nanmean(power, axis=1) if np.isfinite(power).any(axis=1).all() else None
    if level is None or not np.isfinite(kp_max).all() or np.ptp(kp_max) == 0:
        return power
    slope = np.cov(kp_max, level)[0, 1] / np.var(kp_max, ddof=1)
    result: FloatArray = power - slope * (kp_max - kp_max.mean())[:, None]
    return result


def _block_sums(block: IndexArray, local_h: FloatArray, power: FloatArray) -> FloatArray:
    """Sums (b, 10) of each block that occurs."""
    known = np.isfinite(power)
    c, s, y = np.cos(_HOUR * local_h), np.sin(_HOUR * local_h), np.where(known, power, 0)
    products = np.stack([np.ones_like(c), c, s, y, c * c, s * s, c * s, c * y, s * y, y * y], axis=-1)
    of_window = (products * known[..., None]).sum(axis=1)  # (n, 10)
    numbers, position = np.unique(block, return_inverse=True)
    sums = np.zeros((len(numbers), of_window.shape[1]))
    np.add.at(sums, position, of_window)
    return sums


def _wave(sums: FloatArray) -> FloatArray:
    """Constant, cosine and sine (3,) of the least-squares fit to sums (10,)."""
    n, c, s, y, cc, ss, cs, cy, sy, _ = sums
    solution: FloatArray = np.linalg.lstsq(np.array([[n, c, s], [c, cc, cs], [s, cs, ss]]), np.array([y, cy, sy]))[0]
    return solution


def _jackknife(sums: FloatArray) -> tuple[float, float]:
    """Hour of the wave of all blocks, and its standard error by leaving out one block at a time."""
    blocks = len(sums)
    hour = float(wave_hour(sums.sum(axis=0))[0])
    left_out = np.mod(wave_hour(sums.sum(axis=0) - sums)[0] - hour + 12, 24) - 12
    return hour, float(np.sqrt((blocks - 1) / blocks * ((left_out - left_out.mean()) ** 2).sum()))


def _placebo_rate(stations: list[_Station], spec: AuditConfig, rng: np.random.Generator) -> float:
    """Placebo rate of the test of changes, on data with correct clocks.

    Each station keeps the wave before its change; the residuals of the windows are shifted circularly in time by a
    random offset, so that storms keep their length.
    """
    p_values = []
    for _ in range(spec.placebos):
        placebo = []
        for one in stations:
            power = one.steady + np.roll(one.residual, rng.integers(len(one.block)), axis=0)
            placebo.append(_block_sums(one.block, one.local_h, power))
        largest = max(largest_change(sums).score for sums in placebo)
        p_values.append(null_of_largest(placebo, PLACEBO_PERMUTATIONS_OF_BLOCKS, rng).p_value(largest))
    return placebo_rate(p_values)


def _change_text(changed: _Station, stations: list[_Station], p_change: float) -> str:
    shift_h = round(changed.change.shift_h, 2)
    text = (
        f"The daily wave of {changed.code} moves by {shift_h:+.1f} h around {changed.change_date}, the largest change "
        f"of any station (p {p_change:.2g})"
    )
    others = [
        f"{one.code} {one.change.shift_h:+.1f} h"
        for one in stations
        if one is not changed and abs(one.change.shift_h) >= MINIMUM_SHIFT_H and one.change.score > 3
    ]
    if others and abs(shift_h) >= MINIMUM_SHIFT_H:
        text += f"; also {', '.join(others)}"
    return f"{text}."
