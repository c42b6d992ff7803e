"""Instrument artefacts, outages and cultural noise: gaps, jumps, drift, stuck sensors, new baselines, clocks, traffic.

All are functions of (seed, station index, day), so days can be simulated in any order and by any number of workers.
Each kind has a random stream of its own: changing one rate leaves the other kinds unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from seismag.config import SimulateConfig
from seismag.recordings.days import DAY_S

RELEVEL_NT = 150.0  # largest change of a component's baseline
SPIKE_NT = (12.0, 300.0)  # the lower limits lie above JUMP_NT, so that every jump is detectable
STEP_NT = (12.0, 100.0)
SPIKE_IN_ALL_FRACTION = 1 / 3  # the others hit one component
DEAD_ALL_DAY_FRACTION = 1 / 2  # the others begin within the day
GAP_MEDIAN_S = 40.0
GAP_SIGMA = 1.2  # of the logarithm of a gap's length
GAP_LONGEST_S = 4 * 3600

NOISY_FRACTION = 1 / 3  # of the stations
TRAFFIC_NT2_HZ = (1e-3, 3e-2)  # power of D at 50 mHz, mean of a working day; Fredericksburg: 7e-3 to 1e-2 in daytime
TRAFFIC_COMPONENTS = (0.2, 1.0, 0.2)  # power of H, D, Z relative to that of D
TRAFFIC_HZ = 0.05
TRAFFIC_FLAT_HZ = 0.02  # below this the power density is constant
TRAFFIC_SLOPE = -2.3
HABIT_H = (0.0, 5.0, 7.0, 12.0, 17.0, 22.0, 24.0)  # local hours
HABIT_POWER = (0.01, 0.01, 1.0, 0.5, 1.0, 0.01, 0.01)  # power at these hours, relative to the largest
SUNDAY_POWER = 1 / 3

_YEAR_D = 365.25
_STREAM = 5  # of the simulator's streams: [seed, _STREAM, station, kind, ...]
_KINDS = (
    "missing days", "missing blocks", "block lengths", "relevels", "clock",
    "drift", "spikes", "steps", "dead component", "gaps", "traffic level", "traffic",
)  # fmt: skip
_DAY_FRACTION = np.arange(DAY_S) / DAY_S


@dataclass(frozen=True)
class StationHistory:
    """Outages, baselines and clock errors of a station over the whole archive.

    Attributes:
        missing: (days,) days without a file.
        baseline_nt: (days, 3) offset of H, D, Z since the first day.
        clock_error_s: (days,) error of the clock, whole seconds as in the file format, constant within a month.
        changed: (days,) whether the other instrument is in use.
    """

    missing: NDArray[np.bool_]
    baseline_nt: NDArray[np.float64]
    clock_error_s: NDArray[np.int64]
    changed: NDArray[np.bool_]


def plan_history(spec: SimulateConfig, station_index: int) -> StationHistory:
    """Sample the outages, baselines and clock errors of a station."""
    artefacts, days = spec.artefacts, np.arange(spec.days)

    def rng(kind: str) -> np.random.Generator:
        return _generator(spec, station_index, kind)

    missing = rng("missing days").random(spec.days) < artefacts.missing_day_fraction
    starts = np.repeat(days, rng("missing blocks").poisson(artefacts.missing_blocks_per_year / _YEAR_D, spec.days))
    mean_d = max(1.0, artefacts.missing_block_days)
    for start, length in zip(starts, rng("block lengths").geometric(1 / mean_d, starts.size), strict=True):
        missing[start : start + length] = True

    relevels = rng("relevels")
    changes = np.repeat(days, relevels.poisson(artefacts.relevels_per_year / _YEAR_D, spec.days))
    change_nt = np.zeros((spec.days, 3))
    np.add.at(change_nt, changes, relevels.uniform(-RELEVEL_NT, RELEVEL_NT, (changes.size, 3)))

    months = (np.datetime64(spec.start, "D") + days).astype("datetime64[M]").astype(np.int64)
    months -= months[0]
    errors_s = np.rint(rng("clock").normal(0.0, artefacts.clock_error_s, months[-1] + 1)).astype(np.int64)
    return StationHistory(
        missing=missing,
        baseline_nt=np.cumsum(change_nt, axis=0),
        clock_error_s=errors_s[months],
        changed=(days >= spec.days // 2) & artefacts.instrument_change,
    )


def add_artefacts(
    field_nt: NDArray[np.float64], spec: SimulateConfig, history: StationHistory, station_index: int, day_index: int
) -> NDArray[np.float64]:
    """Add artefacts to a clean day: baseline, drift, spikes, steps, a stuck component, gaps, in this order.

    Args:
        field_nt: (3, 86400) H, D, Z in nT, with the sensor's noise; not changed.
        day_index: days since ``spec.start``.

    Returns:
        (3, 86400) in nT; NaN: missing.
    """
    artefacts = spec.artefacts
    drift, spikes, steps, stuck, gaps = (
        _generator(spec, station_index, kind, day_index)
        for kind in ("drift", "spikes", "steps", "dead component", "gaps")
    )
    result = field_nt + drift.normal(0.0, artefacts.drift_nt_per_day, 3)[:, None] * _DAY_FRACTION
    result += history.baseline_nt[day_index][:, None]

    count = spikes.poisson(artefacts.spikes_per_day)
    seconds = spikes.integers(0, DAY_S, count)
    in_all = spikes.random(count) < SPIKE_IN_ALL_FRACTION
    hit = in_all[:, None] | (spikes.integers(0, 3, count)[:, None] == np.arange(3))
    np.add.at(result.T, seconds, _signed(spikes, SPIKE_NT, (count, 3)) * hit)

    count = steps.poisson(artefacts.steps_per_day)
    seconds, components = steps.integers(1, DAY_S, count), steps.integers(0, 3, count)
    for second, component, size in zip(seconds, components, _signed(steps, STEP_NT, (count,)), strict=True):
        result[component, second:] += size

    if stuck.random() < artefacts.dead_component_fraction:
        component = stuck.integers(0, 3)
        start = 0 if stuck.random() < DEAD_ALL_DAY_FRACTION else stuck.integers(0, DAY_S)
        result[component, start:] = result[component, start]

    count = gaps.poisson(artefacts.gaps_per_day)
    lengths = np.clip(np.rint(gaps.lognormal(np.log(GAP_MEDIAN_S), GAP_SIGMA, count)), 1, GAP_LONGEST_S)
    for start, length in zip(gaps.integers(0, DAY_S, count), lengths.astype(np.int64), strict=True):
        result[:, start : start + length] = np.nan
    return result


def cultural_noise(
    spec: SimulateConfig, station_index: int, day: np.datetime64, longitude_deg: float
) -> NDArray[np.float32] | None:
    """Simulate the noise of traffic and railways on one UTC day: strong in local daytime, a third on local Sundays.

    Returns (3, 86400) H, D, Z in nT, to be added to the recording; None where there is none.
    """
    level = traffic_level_nt2_hz(spec, station_index)
    if not level.any():
        return None
    date = int(day.astype("datetime64[D]").astype(np.int64))
    rng = _generator(spec, station_index, "traffic", date)
    shape = _traffic_amplitude()
    spectrum = rng.standard_normal((3, 2 * shape.size), dtype=np.float32).view(np.complex64)
    for component, power in zip(spectrum, level, strict=True):
        component *= shape * np.float32(np.sqrt(power))
    noise: NDArray[np.float32] = fft.irfft(spectrum, n=DAY_S, axis=-1, overwrite_x=True)
    noise -= noise[:, :1].copy()  # periodic: a day begins and ends at 0, so days join without a step
    minutes = noise.reshape(3, -1, 60)
    minutes *= np.sqrt(_traffic_habit(date, longitude_deg), dtype=np.float32)[:, None]
    return noise


def cultural_power(
    spec: SimulateConfig, station_index: int, day: np.datetime64, longitude_deg: float, band_hz: tuple[float, float]
) -> NDArray[np.float64]:
    """Expected horizontal power of ``cultural_noise`` in a band, minute by minute: (1440,) in nT²."""
    frequency = np.linspace(*band_hz, 200)
    width = np.trapezoid((np.maximum(frequency, TRAFFIC_FLAT_HZ) / TRAFFIC_HZ) ** TRAFFIC_SLOPE, frequency)
    date = int(day.astype("datetime64[D]").astype(np.int64))
    power: NDArray[np.float64] = _traffic_habit(date, longitude_deg) * width
    return power * traffic_level_nt2_hz(spec, station_index)[:2].sum()


def traffic_level_nt2_hz(spec: SimulateConfig, station_index: int) -> NDArray[np.float64]:
    """Power density (3,) of the traffic noise of H, D, Z at 50 mHz, mean of a working day; zero: none."""
    rng = _generator(spec, station_index, "traffic level")
    noisy = rng.random() < NOISY_FRACTION
    level: NDArray[np.float64] = _log_uniform(rng, TRAFFIC_NT2_HZ, 1) * np.array(TRAFFIC_COMPONENTS)
    return level * (noisy * spec.artefacts.cultural_noise)


def _generator(spec: SimulateConfig, station_index: int, kind: str, *index: int) -> np.random.Generator:
    # from 1: numpy gives [a] and [a, 0] the same stream
    return np.random.default_rng([spec.seed, _STREAM, station_index, 1 + _KINDS.index(kind), *index])


def _signed(rng: np.random.Generator, limits: tuple[float, float], size: int | tuple[int, ...]) -> NDArray[np.float64]:
    return _log_uniform(rng, limits, size) * rng.choice([-1.0, 1.0], size)


def _log_uniform(
    rng: np.random.Generator, limits: tuple[float, float], size: int | tuple[int, ...]
) -> NDArray[np.float64]:
    return np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), size))


@lru_cache(maxsize=1)
def _traffic_amplitude() -> NDArray[np.float32]:
    """Standard deviation of the real and the imaginary part of a day's ``rfft`` for 1 nT²/Hz at 50 mHz."""
    frequency = fft.rfftfreq(DAY_S, 1.0)
    density = (np.maximum(frequency, TRAFFIC_FLAT_HZ) / TRAFFIC_HZ) ** TRAFFIC_SLOPE
    density[0] = 0.0
    # one-sided density at 1 Hz: S = 2 E|X|² / n, half of E|X|² in each part
    return np.sqrt(density * DAY_S / 4).astype(np.float32)


def _traffic_habit(date: int, longitude_deg: float) -> NDArray[np.float64]:
    """Power of each minute (1440,) of a UTC day (since 1970-01-01), as a multiple of the mean of a working day."""
    local_h = (np.arange(1440) + 0.5) / 60 + longitude_deg / 15
    sunday = (date + np.floor(local_h / 24) + 4) % 7 == 0  # 1970-01-01 was a Thursday
    mean = np.trapezoid(HABIT_POWER, HABIT_H) / 24
    return np.interp(local_h % 24, HABIT_H, HABIT_POWER) / mean * np.where(sunday, SUNDAY_POWER, 1.0)
