"""Does a station's clock keep UTC? The field itself tells the hour.

The power of the horizontal field at 10 to 45 mHz (Pc3 and Pc4) rises by day and falls by night. The hour of its
daily wave is fixed by the sun, so it moves within a station only when the clock does: by hours when someone begins to
stamp local time. Season, storms and a noisier sensor change the height of the wave, and its hour by less than one.

Two questions. Within each station: did the hour change, at any time of the archive? The null is the same station with
its blocks of five days in another order, after a plain change of three hours or more, if any, has been set back: a
clock that was moved would otherwise make hours that change in every order. Of each station: does the wave peak by day
in local time (06 to 16 h)? A clock wrong from the first file on fails this one.

At nine observatories the wave peaks between 10 and 12 h local time (docs/simulation.md); beyond 60 degrees of
geomagnetic latitude a second one at dawn moves it by an hour or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seismag.arrays import FloatArray
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.windows.store import LEGACY_IMAGE, SHARD_SAMPLES, Store, read_samples

BAND_HZ = (0.010, 0.045)
BLOCK_D = 5  # storms last days: the unit that is put in another order
LEAST_WINDOWS, LEAST_BLOCKS = 40, 15  # of a station, to be asked
LEAST_SIDE_BLOCKS = 6  # on either side of a change
SEASONAL_H = 1.0  # by which the wave's hour may move without a fault
MINIMUM_SHIFT_H = 3.0
PLAIN_ERRORS = 4.0  # of a change that is no chance
MIDDAY_H, BY_DAY_H = 11.0, 5.0  # local hour of the peak, and how far from it is still by day
LARGEST_ERROR_H = 2.0  # of a station's hour; beyond, its daily wave is too weak to ask
PLACEBO_DRAWS = 99
READY_RATE = 0.08  # of placebos at p 0.05, above which the sentence says so
_HOUR = 2 * np.pi / 24
_CHUNK_CELLS = 2_000_000


@dataclass(frozen=True)
class StationDays:
    """What one station's windows say of its daily wave, in blocks of five days.

    Attributes:
        station: code.
        start_d: (b,) first day of each block, days since 1970.
        sums: (b, 10) n, c, s, y, cc, ss, cs, cy, sy, yy summed over the hours of the block, with c and s the cosine and
            sine of the local hour and y the power in dB.
    """

    station: str
    start_d: FloatArray
    sums: FloatArray


def check_clock(store: Store, spec: AuditConfig) -> CheckResult:
    """Ask whether the daily wave of each station keeps its hour.

    Args:
        store: a finished store; it is read once.
        spec: draws, placebos and seed.

    Returns:
        ``clock``, gating. The statistic is the largest change of the hour within a station beyond one hour, over its
        standard error; p is that of the more improbable of the two questions, doubled. Undecided where no station has
        enough windows.
    """
    rows = (store.frequency_hz >= BAND_HZ[0]) & (store.frequency_hz <= BAND_HZ[1])
    if store.attributes.get("origin") == LEGACY_IMAGE or not rows.any():
        return CheckResult(
            "clock", "The store has no rows between 10 and 45 mHz, so the hour cannot be read.", gates=True
        )
    level_db = hourly_power(store, rows)
    asked, residuals = _stations(store.samples, level_db)
    if not asked:
        sentence = (
            f"No station has {LEAST_WINDOWS} windows in {LEAST_BLOCKS} blocks of {BLOCK_D} days with a daily wave "
            f"whose hour is known to {LARGEST_ERROR_H:g} h, so the clocks cannot be asked."
        )
        return CheckResult("clock", sentence, gates=True, details={"stations": {}})
    rng = np.random.default_rng([spec.seed, 11])
    changes = [largest_change(days.sums) for days in asked]
    worst = int(np.argmax([change[0] for change in changes]))
    null = null_of_largest(asked, spec.permutations, rng)
    p_change = (1 + int((null >= changes[worst][0]).sum())) / (1 + len(null))
    hours = [_daytime(days) for days in asked]
    latest = int(np.argmin([hour["p"] for hour in hours]))
    p_daytime = min(1.0, hours[latest]["p"] * len(asked))
    details = {
        "p_change": p_change, "p_daytime": p_daytime,
        "stations": {days.station: _describe(days, change, hour)
                     for days, change, hour in zip(asked, changes, hours, strict=True)},
    }  # fmt: skip
    shift_h, placebo_rate = abs(changes[worst][1]), _placebo_rate(residuals, spec, rng)
    return CheckResult(
        name="clock",
        sentence=_sentence(details, asked[worst].station, asked[latest].station, store.samples["station"].nunique())
        + (f" Placebos reach p 0.05 in {100 * placebo_rate:.0f} %: too readily." if placebo_rate > READY_RATE else ""),
        statistic=changes[worst][0],
        statistic_name="largest change of the daily wave's hour beyond 1 h, in standard errors",
        null={"mean": float(null.mean()), "low": float(np.quantile(null, 0.025)),
              "high": float(np.quantile(null, 0.975))},
        p_value=min(1.0, 2 * min(p_change, p_daytime)),
        placebo_rate=placebo_rate,
        material=shift_h >= MINIMUM_SHIFT_H or p_daytime < p_change,
        gates=True,
        details=details,
    )  # fmt: skip


def hourly_power(store: Store, rows: NDArray[np.bool_]) -> FloatArray:
    """Average the power of H and D in dB over some rows and each hour of a window: (n, hours); NaN: all masked."""
    hour = (store.time_s // 3600).astype(int)
    result = np.full((len(store.samples), hour.max() + 1), np.nan)
    for first in range(0, len(store.samples), SHARD_SAMPLES):
        power = read_samples(store.power, first, min(first + SHARD_SAMPLES, len(store.samples)))
        part = power[:, :2, rows].astype(np.float32)  # (b, 2, R, T)
        known = np.isfinite(part)
        total, count = np.where(known, part, 0).sum(axis=(1, 2)), known.sum(axis=(1, 2))
        for one in range(result.shape[1]):
            cells = count[:, hour == one].sum(axis=1)
            sums = total[:, hour == one].sum(axis=1)
            result[first : first + len(power), one] = np.where(cells > 0, sums / np.maximum(cells, 1), np.nan)
    return result


def wave_hour(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit a level and a daily wave by least squares.

    Args:
        sums: (..., 10) as in ``StationDays``.

    Returns:
        Local hour of the wave's peak in [0, 24), and its standard error in hours by the delta method (12, as good as
        unknown, where the hours covered do not determine a wave).
    """
    n, c, s, y, cc, ss, cs, cy, sy, yy = np.moveaxis(sums, -1, 0)
    n = np.maximum(n, 1)
    cc, ss, cs = cc - c * c / n, ss - s * s / n, cs - c * s / n
    cy, sy, yy = cy - c * y / n, sy - s * y / n, yy - y * y / n
    determinant = cc * ss - cs * cs
    solvable = determinant > 1e-3 * n * n  # 0.25 n² for hours spread evenly
    safe = np.where(solvable, determinant, 1.0)
    a, b = (ss * cy - cs * sy) / safe, (cc * sy - cs * cy) / safe
    noise = np.maximum(yy - a * cy - b * sy, 0) / np.maximum(n - 3, 1)
    height = np.maximum(a * a + b * b, 1e-12)
    variance = noise * (b * b * ss + a * a * cc + 2 * a * b * cs) / safe / height**2  # of the angle
    error = np.where(solvable, np.minimum(np.sqrt(np.maximum(variance, 0)) / _HOUR, 12.0), 12.0)
    return np.mod(np.arctan2(b, a) / _HOUR, 24), error


def largest_change(sums: FloatArray) -> tuple[float, float, int]:
    """Find the time at which the hour of the wave changes most.

    Args:
        sums: (b, 10) of consecutive blocks.

    Returns:
        Change beyond one hour over its standard error, the change in hours (later: positive), and the first block
        after.
    """
    score, shift = _scan(sums[None])
    place = int(np.argmax(score[0]))
    return float(score[0, place]), float(shift[0, place]), int(_splits(len(sums))[place])


def null_of_largest(stations: list[StationDays], draws: int, rng: np.random.Generator) -> FloatArray:
    """Draw the largest change of any station with the blocks of each, set to one hour, in another order: (draws,)."""
    largest = np.full(draws, -np.inf)
    for days in stations:
        sums = shift_clock(days.sums)
        chunk = max(1, _CHUNK_CELLS // sums.size)
        for first in range(0, draws, chunk):
            part = slice(first, min(first + chunk, draws))
            order = rng.permuted(np.tile(np.arange(len(sums)), (part.stop - part.start, 1)), axis=1)
            largest[part] = np.maximum(largest[part], _scan(sums[order])[0].max(axis=1))
    return largest


def shift_clock(sums: FloatArray) -> FloatArray:
    """Turn the hours after the largest change back by it, where it is 3 h or more and beyond four standard errors.

    Smaller ones come by chance, and a null without them would be too narrow. sums: (b, 10) as in ``StationDays``.
    """
    score, shift_h, split = largest_change(sums)
    if abs(shift_h) < MINIMUM_SHIFT_H or score < PLAIN_ERRORS:
        return sums
    u, v = np.cos(_HOUR * shift_h), np.sin(_HOUR * shift_h)
    n, c, s, y, cc, ss, cs, cy, sy, yy = sums[split:].T
    turned = [
        n, u * c + v * s, u * s - v * c, y,
        u * u * cc + v * v * ss + 2 * u * v * cs, u * u * ss + v * v * cc - 2 * u * v * cs,
        (u * u - v * v) * cs + u * v * (ss - cc), u * cy + v * sy, u * sy - v * cy, yy,
    ]  # fmt: skip
    return np.concatenate([sums[:split], np.stack(turned, axis=1)])


def _splits(blocks: int) -> NDArray[np.intp]:
    """First blocks after a change that are tried: at most 12, evenly spread."""
    places = np.arange(LEAST_SIDE_BLOCKS, blocks - LEAST_SIDE_BLOCKS + 1)
    return places[np.unique(np.linspace(0, len(places) - 1, min(len(places), 12)).round().astype(int))]


def _scan(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Change of the hour at each split of each series (k, b, 10): in standard errors beyond 1 h, and in hours."""
    before = np.cumsum(sums, axis=1)[:, _splits(sums.shape[1]) - 1]
    (hour, error), (later, later_error) = wave_hour(before), wave_hour(sums.sum(axis=1)[:, None] - before)
    shift = np.mod(later - hour + 12, 24) - 12
    return (np.abs(shift) - SEASONAL_H) / np.maximum(np.hypot(error, later_error), 1e-6), shift


@dataclass(frozen=True)
class _Series:
    """Windows of a station in time: block (n,), local hours (n, hours), one wave for all, what is left of the power."""

    station: str
    block: NDArray[np.int64]
    local_h: FloatArray
    steady: FloatArray
    residual: FloatArray


def _stations(samples: pd.DataFrame, level_db: FloatArray) -> tuple[list[StationDays], list[_Series]]:
    """Sum up each station that can be asked; the series serve the placebos."""
    start = samples["start_utc"].to_numpy().astype("datetime64[s]")
    asked, series = [], []
    for code, rows in samples.groupby("station", sort=True).indices.items():
        rows = rows[np.argsort(start[rows], kind="stable")]
        if len(rows) < LEAST_WINDOWS:
            continue
        power = _without_kp(level_db[rows], samples["kp_max"].to_numpy(dtype=float)[rows])
        middle_h = samples["local_hour"].to_numpy(dtype=float)[rows]
        hours = np.arange(power.shape[1]) + 0.5
        local_h = middle_h[:, None] + hours - hours.mean()
        block = (start[rows].astype("datetime64[D]").astype(int)) // BLOCK_D
        days = _sum_up(str(code), block, local_h, power)
        if len(days.sums) < LEAST_BLOCKS or _jackknife(days.sums)[1] > LARGEST_ERROR_H:
            continue
        asked.append(days)
        fitted, steady = _fit_sides(days, block, local_h)
        series.append(_Series(str(code), block, local_h, steady, power - fitted))
    return asked, series


def _without_kp(power: FloatArray, kp_max: FloatArray) -> FloatArray:
    """Take off the part linear in Kp, where Kp is known for all windows of the station."""
    level = np.nanmean(power, axis=1) if np.isfinite(power).any(axis=1).all() else None
    if level is None or not np.isfinite(kp_max).all() or np.ptp(kp_max) == 0:
        return power
    slope = np.cov(kp_max, level)[0, 1] / np.var(kp_max, ddof=1)
    result: FloatArray = power - slope * (kp_max - kp_max.mean())[:, None]
    return result


def _sum_up(station: str, block: NDArray[np.int64], local_h: FloatArray, power: FloatArray) -> StationDays:
    known = np.isfinite(power)
    c, s, y = np.cos(_HOUR * local_h), np.sin(_HOUR * local_h), np.where(known, power, 0)
    products = np.stack([np.ones_like(c), c, s, y, c * c, s * s, c * s, c * y, s * y, y * y], axis=-1)
    each = (products * known[..., None]).sum(axis=1)  # (n, 10)
    numbers, place = np.unique(block, return_inverse=True)
    sums = np.zeros((len(numbers), each.shape[1]))
    np.add.at(sums, place, each)
    return StationDays(station, (numbers * BLOCK_D).astype(float), sums)


def _fit_sides(days: StationDays, block: NDArray[np.int64], local_h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit a wave on either side of the largest change.

    Returns:
        The fit, and the wave of the first side at all windows (both n, hours).
    """
    split = largest_change(days.sums)[2]
    design = np.stack([np.ones_like(local_h), np.cos(_HOUR * local_h), np.sin(_HOUR * local_h)], axis=-1)
    waves = [design @ _wave(days.sums[part].sum(axis=0)) for part in (slice(0, split), slice(split, None))]
    late = block * BLOCK_D >= days.start_d[split]
    return np.where(late[:, None], waves[1], waves[0]), waves[0]


def _wave(sums: FloatArray) -> FloatArray:
    """Level, cosine and sine (3,) that fit the sums (10,) best."""
    n, c, s, y, cc, ss, cs, cy, sy, _ = sums
    solution: FloatArray = np.linalg.lstsq(np.array([[n, c, s], [c, cc, cs], [s, cs, ss]]), np.array([y, cy, sy]))[0]
    return solution


def _jackknife(sums: FloatArray) -> tuple[float, float]:
    """Hour of the wave of all blocks, and its standard error by leaving out one block at a time."""
    blocks = len(sums)
    hour = float(wave_hour(sums.sum(axis=0))[0])
    left = np.mod(wave_hour(sums.sum(axis=0) - sums)[0] - hour + 12, 24) - 12
    return hour, float(np.sqrt((blocks - 1) / blocks * ((left - left.mean()) ** 2).sum()))


def _daytime(days: StationDays) -> dict[str, float]:
    """How sure it is that the wave does not peak by day (t test beyond the limit)."""
    hour, error = _jackknife(days.sums)
    off = abs((hour - MIDDAY_H + 12) % 24 - 12) - BY_DAY_H
    return {"hour": hour, "error": error, "p": float(stats.t.sf(off / max(error, 1e-6), len(days.sums) - 1))}


def _placebo_rate(series: list[_Series], spec: AuditConfig, rng: np.random.Generator) -> float:
    """Try the question of change on data with clocks in order.

    Each station keeps the wave of its first side; what the windows scatter about their fit is turned round in time by a
    random offset, so that storms keep their length.
    """
    struck = 0
    for _ in range(spec.placebos):
        stations = [
            _sum_up(s.station, s.block, s.local_h, s.steady + np.roll(s.residual, rng.integers(len(s.block)), axis=0))
            for s in series
        ]
        found = max(largest_change(days.sums)[0] for days in stations)
        null = null_of_largest(stations, PLACEBO_DRAWS, rng)
        struck += (1 + int((null >= found).sum())) / (1 + PLACEBO_DRAWS) <= 0.05
    return struck / spec.placebos


def _describe(days: StationDays, change: tuple[float, float, int], hour: dict[str, float]) -> dict[str, Any]:
    date = np.datetime64(int(days.start_d[change[2]]), "D")
    return {
        "peak_local_h": round(hour["hour"], 2), "peak_error_h": round(hour["error"], 2),
        "largest_shift_h": round(change[1], 2), "from": str(date), "score": round(change[0], 2),
    }  # fmt: skip


def _sentence(details: dict[str, Any], changed: str, odd: str, n_stations: int) -> str:
    stations = details["stations"]
    text = (
        f"{len(stations)} of {n_stations} stations can be asked. The daily wave of {changed} moves by "
        f"{stations[changed]['largest_shift_h']:+.1f} h around {stations[changed]['from']}, the largest change of any "
        f"station (p {details['p_change']:.2g})"
    )
    others = [
        f"{code} {entry['largest_shift_h']:+.1f} h"
        for code, entry in stations.items()
        if code != changed and abs(entry["largest_shift_h"]) >= MINIMUM_SHIFT_H and entry["score"] > 3
    ]
    if others and abs(stations[changed]["largest_shift_h"]) >= MINIMUM_SHIFT_H:
        text += f"; also {', '.join(others)}"
    text += f". Furthest from midday peaks {odd}, at {stations[odd]['peak_local_h']:.1f} h local time"
    if details["p_daytime"] < 0.01:
        text += f" (p {details['p_daytime']:.2g}): its time stamps or its longitude are wrong"
    return text + "."
