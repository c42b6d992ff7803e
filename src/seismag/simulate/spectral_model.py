"""Spectral model of the natural field: mean power density by geomagnetic latitude, Kp and local time.

A continuum plus the Pc3-4 hump for H and D; Z follows by induction. The constants were fitted to
the 1 Hz days of nine observatories (docs/simulation.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seismag.arrays import FloatArray
from seismag.simulate.sites import Site, floor_density

LOWEST_HZ = 1e-4  # the continuum is flat below
TRANSFER_FADES_MHZ = (30.0, 60.0)


@dataclass(frozen=True)
class SpectralModel:
    """Mean power density of one component, nT²/Hz, f in mHz, Kp, LT in hours, geomagnetic latitude L.

    Continuum 10^B (f/10)^-p1 / (1 + (f/fb)^p2), hump 10^P exp(-x²/2), x = (log10(f/f0) - 0.07 (Kp-2)) / w, with
    B and P = level + by_latitude (L) + by_kp (Kp - 2) + by_hour cos(LT - peak_h) + dawn at high latitude.
    """

    p1: float
    p2: float
    break_mhz: float
    hump_mhz: float
    hump_width: float
    dawn: float
    level: tuple[float, float]  # each pair: continuum, hump
    by_kp: tuple[float, float]
    by_hour: tuple[float, float]
    peak_h: tuple[float, float]
    latitude: tuple[tuple[float, float, float], tuple[float, float, float]]  # (L/48)² - 1, exp(-(L/12)²), beyond 57


SPECTRAL_MODELS = (
    SpectralModel(2.13, 2.10, 13.3, 15.2, 0.156, 0.28, (-0.05, -0.37), (0.36, 0.23), (0.19, 0.54), (11.2, 11.8),
        ((0.50, 0.48, 1.5), (1.0, 0.96, -0.08))),
    SpectralModel(2.15, 2.17, 16.2, 19.0, 0.164, 0.44, (0.09, -1.64), (0.345, 0.25), (0.28, 0.50), (10.0, 11.6),
        ((0.95, -0.45, 0.68), (1.11, 0.76, 0.76))),
)  # fmt: skip
CONTINUUM, HUMP = 0, 1


def shape(model: SpectralModel, process: int, frequency_hz: FloatArray, kp: float) -> FloatArray:
    """Frequency dependence of the continuum or the hump at a Kp, 1 at its level."""
    f = np.maximum(frequency_hz, LOWEST_HZ) * 1000
    if process == CONTINUUM:
        continuum: FloatArray = (f / 10) ** -model.p1 / (1 + (f / model.break_mhz) ** model.p2)
        return continuum
    x = (np.log10(f / model.hump_mhz) - 0.07 * (kp - 2)) / model.hump_width
    hump: FloatArray = np.exp(-0.5 * x**2)
    return hump


def level_decades(
    model: SpectralModel, process: int, dipole_latitude_deg: float, kp: FloatArray, local_h: FloatArray
) -> FloatArray:
    """log10 of the level of the continuum or the hump."""
    latitude = abs(dipole_latitude_deg)
    beyond = max(0.0, latitude - 57) / 8
    quadratic, equatorial, auroral = model.latitude[process]
    base = model.level[process] + quadratic * ((latitude / 48) ** 2 - 1) + equatorial * np.exp(-((latitude / 12) ** 2))
    hour = 2 * np.pi / 24
    result: FloatArray = (
        base + auroral * beyond + model.by_kp[process] * (kp - 2)
        + model.by_hour[process] * np.cos(hour * (local_h - model.peak_h[process]))
        + model.dawn * beyond * np.cos(hour * (local_h - 5.5))
    )  # fmt: skip
    return result


def natural_density(site: Site, frequency_hz: FloatArray, kp: float, local_h: FloatArray) -> FloatArray:
    """Mean power density (3, F) of the natural field over the local hours given, nT²/Hz; Z by induction."""
    horizontal = []
    for component, model in enumerate(SPECTRAL_MODELS):
        total = np.zeros(frequency_hz.shape)
        for process in (CONTINUUM, HUMP):
            levels = level_decades(model, process, site.dipole_latitude_deg, np.full(local_h.shape, kp), local_h)
            total += np.mean(10**levels) * shape(model, process, frequency_hz, kp)
        horizontal.append(total * site.gain[component] ** 2)
    h, d = horizontal
    fade = np.interp(frequency_hz * 1000, TRANSFER_FADES_MHZ, (1.0, site.z_fade)) ** 2
    z = fade * (abs(site.z_from_h) ** 2 * h + abs(site.z_from_d) ** 2 * d + site.z_own * (h + d))
    return np.stack([h, d, z])


def quiet_band_power(site: Site, band_hz: tuple[float, float]) -> float:
    """Horizontal background in a band at Kp 2, mean over local time, floor included, nT²."""
    frequency = np.linspace(*band_hz, 200)
    density = natural_density(site, frequency, 2.0, np.arange(24.0)) + floor_density(site, frequency)
    return float(np.trapezoid(density[:2].sum(axis=0), frequency))
