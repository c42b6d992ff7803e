"""The natural field of one day at one station at 1 Hz: main field, Sq, ring current, and noise of a spectral model.

Noise is Gaussian, partly common to the stations, times a slow modulation that gives bursts as on real days; Z follows
by induction. Each process has its own random stream (``seed, process, place, day``), so a day can be simulated alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from seismag.archive.quality import main_field
from seismag.arrays import FloatArray
from seismag.recordings.days import DAY_S
from seismag.simulate.activity import Activity, day_stream
from seismag.simulate.pulsations import add_pulsations
from seismag.simulate.sites import Site, floor_density
from seismag.simulate.spectral_model import (
    CONTINUUM,
    HUMP,
    SPECTRAL_MODELS,
    TRANSFER_FADES_MHZ,
    SpectralModel,
    level_decades,
    shape,
)

MINUTES = 1441  # of a day, both midnights included: the grid of slow quantities
LAST_MONTH = np.datetime64("2029-12")  # of the main-field model
FREQUENCY_HZ = np.arange(DAY_S // 2 + 1) / DAY_S
NATURAL_HZ = 0.25  # above, sensor noise buries the natural field
SHARED_HZ = 0.1  # above, no noise is coherent between stations
MODULATION_DB = ((4.5, 120.0), (4.0, 20.0))  # standard deviation of the power and decay time in minutes
MODULATION_SHARED = (0.6, 0.8)  # of its variance, common to all stations
SMOOTH_MINUTES = 6.0  # shortest; a rough envelope would spread the strong low frequencies upwards
KP_STEP = 1.5  # the hump's centre moves with Kp; spectra are computed for levels so far apart
ANCHOR_REACH_KM = 2300.0  # of a source of regional noise
EARTH_KM = 6371.0
_DAY = np.timedelta64(1, "D")


def simulate_background(site: Site, sensor: Site, index: int, day: int, activity: Activity, seed: int,
                        first: np.datetime64) -> FloatArray:  # fmt: skip
    """Simulate the natural field of one day, and the noise of ``sensor``, the same station with another sensor.

    Returns (3, 86400) H, D, Z in nT along magnetic north, magnetic east and down.
    """
    seconds = np.arange(float(MINUTES)) * 60 + day * DAY_S
    kp = activity.kp_at(seconds)
    field = _noise(site, day, kp, seed)
    slow = _slow_field(site, first + day, activity.dst_at(seconds), seed, day)
    grid, each = np.arange(float(MINUTES)) * 60, np.arange(float(DAY_S))
    for component in range(3):
        field[component] += np.interp(each, grid, slow[component])
    add_pulsations(field, site, day, kp, seed)
    floor = np.sqrt(floor_density(sensor, FREQUENCY_HZ) * (DAY_S / 4))
    floor[:, 0] = 0.0
    white = _normals(day_stream(seed, 16, index, day=day), 3, FREQUENCY_HZ.size)
    noise = fft.irfft(white * floor.astype(np.float32), n=DAY_S, axis=-1)
    field += noise - noise[:, :1]  # as in _noise
    return field


def _slow_field(site: Site, date: np.datetime64, dst: FloatArray, seed: int, day: int) -> FloatArray:
    """Main field, daily variation and ring current (3, 1441), nT."""
    month = date.astype("datetime64[M]")
    begin, end = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    fraction = ((date - begin) / _DAY + np.arange(MINUTES) / 1440) / ((end - begin) / _DAY)
    now, then = (main_field(site.station, m.astype("datetime64[D]")) for m in (month, min(month + 1, LAST_MONTH)))
    latitude = np.radians(site.dipole_latitude_deg)
    sq = _daily_variation(site, date) * np.linspace(_day_factor(seed, day), _day_factor(seed, day + 1), MINUTES)
    field = np.outer(now.hdz, 1 - fraction) + np.outer(then.hdz, fraction) + site.bias_nt[:, None] + sq
    field[0] += dst * np.cos(latitude)
    field[2] -= 0.36 * dst * np.sin(latitude)  # external dipole and 27 % induced, opposite in Z
    return field


def _day_factor(seed: int, day: int) -> float:
    return float(np.exp(day_stream(seed, 15, day=day).normal(0, 0.15)))


def _daily_variation(site: Site, date: np.datetime64) -> FloatArray:
    """Sq (3, 1441), nT: flat by night, amplitude by latitude as observed on quiet days, larger in local summer."""
    local_h = (np.arange(MINUTES) / 60.0 + site.station.longitude_deg / 15) % 24
    latitude = site.dipole_latitude_deg
    year_day = (date - np.datetime64("2000-01-01")) / _DAY + np.arange(MINUTES) / 1440
    season = 1 + 0.25 * np.sign(latitude) * np.cos(2 * np.pi * (year_day - 172) / 365.25)
    bump = np.exp(-(((local_h - 11.5) / 2.6) ** 2))
    swing = -(local_h - 10.8) / 2.6 * np.exp(0.5 - ((local_h - 10.8) / 2.6) ** 2) * np.sqrt(2)
    h = 55 * np.cos(np.radians(3.4 * min(abs(latitude), 60))) + 40 * np.exp(-((latitude / 5) ** 2))
    d = 42 * np.sin(np.clip(latitude / 20, -1, 1) * np.pi / 2)
    z = -32 * np.sin(np.clip(latitude / 35, -1, 1) * 0.8 * np.pi)
    return season * np.stack([h * bump, d * swing, z * bump])


def background_power(site: Site, day: int, activity: Activity, seed: int,
                     band_hz: tuple[float, float]) -> FloatArray:  # fmt: skip
    """Expected horizontal power (1440,) in a band, nT², minute by minute with the modulation of that day."""
    kp = activity.kp_at(np.arange(float(MINUTES)) * 60 + day * DAY_S)
    frequency = np.linspace(*band_hz, 200)
    total = np.full(MINUTES, np.trapezoid(floor_density(site, frequency)[:2].sum(axis=0), frequency))
    envelopes = _envelopes(site, day, kp, seed)
    for component, model in enumerate(SPECTRAL_MODELS):
        for process in (CONTINUUM, HUMP):
            levels = _kp_levels(kp) if process == HUMP else np.array([kp.mean()])
            densities = np.stack([shape(model, process, frequency, float(level)) for level in levels])
            mixed = (_weights(levels, kp).T @ np.sqrt(densities)) ** 2  # waves of one origin: amplitudes add
            total += np.trapezoid(mixed, frequency) * (site.gain[component] * envelopes[component][process]) ** 2
    return total[:-1]


def _noise(site: Site, day: int, kp: FloatArray, seed: int) -> FloatArray:
    """Coloured noise (3, 86400): continuum and hump, each with its modulation; Z by induction."""
    local = day_stream(seed, 11, *site.cell, day=day)
    n = int(NATURAL_HZ * DAY_S)
    each, grid = np.arange(float(DAY_S)), np.arange(float(MINUTES)) * 60
    envelopes = _envelopes(site, day, kp, seed)
    fade = np.interp(FREQUENCY_HZ[:n] * 1000, TRANSFER_FADES_MHZ, (1.0, site.z_fade)).astype(np.float32)
    field = np.zeros((3, DAY_S))
    for process in (CONTINUUM, HUMP):
        own = _normals(local, 3, n)
        white = [_partly_shared(site, component, process, day, seed, own[component]) for component in (0, 1)]
        ratio = np.float32(np.mean(envelopes[1][process]) / np.mean(envelopes[0][process]))
        levels = _kp_levels(kp) if process == HUMP else np.array([kp.mean()])
        for level, weight in zip(levels, _weights(levels, kp), strict=True):
            h, d = (
                w * _amplitude(model, process, level, n, float(gain))
                for w, model, gain in zip(white, SPECTRAL_MODELS, site.gain, strict=True)
            )
            both = np.hypot(
                _amplitude(SPECTRAL_MODELS[0], process, level, n, float(site.gain[0])),
                _amplitude(SPECTRAL_MODELS[1], process, level, n, float(site.gain[1])) * ratio,
            )
            rest = np.float32(np.sqrt(site.z_own)) * both * own[2]
            z = fade * (np.complex64(site.z_from_h) * h + np.complex64(site.z_from_d) * ratio * d + rest)
            waves = fft.irfft(np.stack([h, d, z]), n=DAY_S, axis=-1)
            waves -= waves[:, :1]  # periodic: a day begins and ends at 0, so days join without a step
            for component, wave in enumerate(waves):
                envelope = envelopes[1 if component == 1 else 0][process] * weight
                field[component] += wave * np.interp(each, grid, envelope)
    return field


def _amplitude(model: SpectralModel, process: int, kp: float, n: int, gain: float) -> NDArray[np.float32]:
    """Factor (n,) from a white spectrum to that of the process."""
    density = shape(model, process, FREQUENCY_HZ[:n], kp) * (DAY_S / 4)
    density[0] = 0.0
    return (np.sqrt(density) * gain).astype(np.float32)


def _kp_levels(kp: FloatArray) -> FloatArray:
    """Values of Kp that span a day."""
    low, high = float(kp.min()), float(kp.max())
    count = 1 + int(np.ceil((high - low) / KP_STEP)) if high - low > KP_STEP / 2 else 1
    return np.linspace(low, high, count) if count > 1 else np.array([kp.mean()])


def _weights(levels: FloatArray, kp: FloatArray) -> FloatArray:
    """Weight (levels, 1441) of each level, linear in Kp between neighbours."""
    if levels.size == 1:
        return np.ones((1, kp.size))
    return np.stack([np.interp(kp, levels, row) for row in np.eye(levels.size)])


def _envelopes(site: Site, day: int, kp: FloatArray, seed: int) -> list[list[FloatArray]]:
    """Amplitude (1441,) of continuum and hump, of H and D: level of the model times the modulation, mean power kept."""
    local_h = (np.arange(MINUTES) / 60.0 + site.station.longitude_deg / 15) % 24
    modulation = [_modulation(site, process, day, seed) for process in (CONTINUUM, HUMP)]
    return [
        [
            10 ** (level_decades(model, process, site.dipole_latitude_deg, kp, local_h) / 2) * modulation[process]
            for process in (CONTINUUM, HUMP)
        ]
        for model in SPECTRAL_MODELS
    ]


def _modulation(site: Site, process: int, day: int, seed: int) -> FloatArray:
    """Log-normal amplitude (1441,) with mean power 1, continuous over midnight."""
    decibel = np.zeros(MINUTES)
    for kind, ((deviation, minutes), shared) in enumerate(zip(MODULATION_DB, MODULATION_SHARED, strict=True)):
        common = _wander((seed, 12, process, kind), day, minutes)
        own = _wander((seed, 13, process, kind, *site.cell), day, minutes)
        decibel += deviation * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    variance = sum(deviation**2 for deviation, _ in MODULATION_DB) * (np.log(10) / 10) ** 2
    result: FloatArray = np.exp(decibel * (np.log(10) / 20) - variance / 4)
    return result


def _wander(stream: tuple[int, ...], day: int, minutes: float) -> FloatArray:
    """Ornstein-Uhlenbeck series (1441,), smoothed, unit variance, continuous from day to day."""
    pushes = np.concatenate([day_stream(*stream, day=day + one).standard_normal(1440) for one in (-1, 0, 1)])
    slow, fast = np.exp(-1 / minutes), np.exp(-1 / SMOOTH_MINUTES)
    series = signal.lfilter([1.0], np.convolve([1, -slow], [1, -fast]), pushes)
    variance = (1 + slow * fast) / ((1 - slow * fast) * (1 - slow**2) * (1 - fast**2))
    unit: FloatArray = series[1440 : 1440 + MINUTES] / np.sqrt(variance)
    return unit


def _partly_shared(
    site: Site, component: int, process: int, day: int, seed: int, own: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """White spectrum of unit variance: parts common to all stations and to the region, the rest local."""
    n = int(SHARED_HZ * DAY_S)
    common, regional = _coherent_fractions(component)
    result = own.copy()
    result[:n] *= np.sqrt(1 - common - regional).astype(np.float32)
    if component == 0:
        result[:n] += np.sqrt(common).astype(np.float32) * _shared_noise(seed, -1, component, process, day)
    for anchor, weight in _anchor_weights(site.station.latitude_deg, site.station.longitude_deg):
        result[:n] += (np.float32(weight) * np.sqrt(regional).astype(np.float32)) * _shared_noise(
            seed, anchor, component, process, day
        )
    return result


@lru_cache(maxsize=2)
def _coherent_fractions(component: int) -> tuple[FloatArray, FloatArray]:
    """Fractions of the power, by frequency, that are common to all stations and to the region."""
    frequency = FREQUENCY_HZ[: int(SHARED_HZ * DAY_S)] * 1000
    at_mhz = (5.0, 12.0, 45.0, 70.0)
    common, regional = (
        ((0.45, 0.25, 0.18, 0.0), (0.54, 0.45, 0.38, 0.0)), ((0.0,) * 4, (0.98, 0.85, 0.70, 0.0))
    )[component]  # fmt: skip
    return np.interp(frequency, at_mhz, common), np.interp(frequency, at_mhz, regional)


@lru_cache(maxsize=160)  # 70 kB each: those of one day and its neighbours
def _shared_noise(seed: int, anchor: int, component: int, process: int, day: int) -> NDArray[np.complex64]:
    rng = day_stream(seed, 10, anchor + 1, component, process, day=day)
    return _normals(rng, 1, int(SHARED_HZ * DAY_S))[0]


@lru_cache(maxsize=256)
def _anchor_weights(latitude_deg: float, longitude_deg: float) -> tuple[tuple[int, float], ...]:
    """Weights, of unit sum of squares, of the sources of regional noise near a station."""
    number = np.arange(96)
    sine = 1 - (2 * number + 1) / 96  # evenly over the sphere: a golden spiral
    angle = np.radians(number * 137.50776405)
    latitude, longitude = np.radians((latitude_deg, longitude_deg))
    cosine = sine * np.sin(latitude) + np.sqrt(1 - sine**2) * np.cos(latitude) * np.cos(angle - longitude)
    distance = EARTH_KM * np.arccos(np.clip(cosine, -1, 1))
    weight = np.exp(-((distance / ANCHOR_REACH_KM) ** 2))
    near = np.flatnonzero(weight > 0.03)
    weight = weight / np.linalg.norm(weight[near])
    return tuple((int(anchor), float(weight[anchor])) for anchor in near)


def _normals(rng: np.random.Generator, rows: int, n: int) -> NDArray[np.complex64]:
    """Complex normal numbers (rows, n), unit variance of each part."""
    return rng.standard_normal((rows, 2 * n), dtype=np.float32).view(np.complex64)
