"""Response and noise of a station: induction into Z, sensor noise, traffic, swell.

Constants of twelve observatories were measured on their 1 Hz days (docs/simulation.md); those of other stations are
sampled with the seed, of similar size.
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.archive.quality import main_field
from seismag.domain import Station

CELL_DEG = 0.2  # stations within one cell record the same natural field
GEOMAGNETIC_POLE = (80.65, -72.68)  # latitude and longitude of the dipole axis, IGRF-13, 2020
NOISE_SLOPE = 0.7  # power of a fluxgate's pink noise falls with frequency to this exponent
TYPICAL_D_OVER_H = 0.6  # power of D over H, 10-45 mHz, for the own part of Z


@dataclass(frozen=True)
class Site:
    """Response and noise of one station; (3,) means H, D, Z; power densities in nT²/Hz.

    Attributes:
        station: position.
        dipole_latitude_deg: geomagnetic latitude.
        gain: (2,) amplitude of the natural variation of H and D relative to the spectral model.
        z_from_h, z_from_d: complex transfer Z = a H + b D at positive frequencies.
        z_fade: factor of the transfer from 60 mHz on; 1 up to 30 mHz.
        z_own: power of Z that follows neither, as a fraction of the power of H and D together.
        pink, white: sensor noise, pink (f / 100 mHz)^-0.7 + white.
        traffic: traffic noise, traffic (max(f, 20 mHz) / 50 mHz)^-2.3.
        swell: hump of ocean swell around 235 mHz.
        bias_nt: constant crustal field added to the main field.
    """

    station: Station
    dipole_latitude_deg: float
    gain: NDArray[np.float64]
    z_from_h: complex
    z_from_d: complex
    z_fade: float
    z_own: float
    pink: NDArray[np.float64]
    white: NDArray[np.float64]
    traffic: NDArray[np.float64]
    swell: NDArray[np.float64]
    bias_nt: NDArray[np.float64]

    @property
    def cell(self) -> tuple[int, int]:
        """Indices of the cell, non-negative: they name the random stream of the local noise."""
        place = (self.station.latitude_deg + 90.0) / CELL_DEG, (self.station.longitude_deg + 360.0) / CELL_DEG
        return round(place[0]), round(place[1])

    def h_axis_deg(self, day: np.datetime64) -> float:
        """Azimuth of the H axis from geographic north: sensors point to magnetic north."""
        return main_field(self.station, day).declination_deg


# gain of H and D in decades of power | Z = a H + b D: amplitude and phase (degrees), 10-45 mHz | power of Z over H + D
# | pink and white noise of H, D, Z in 1e-4 nT²/Hz | traffic, swell of H, D, Z in 1e-4 nT²/Hz
_MEASURED: dict[str, tuple[tuple[float, ...], ...]] = {
    "GUA": ((0.1, 0), (0.24, 159, 0.05, 0), (0.080,), (4.7, 12, 11), (1.0, 6.4, 1.9), (), ()),
    "HON": ((0, 0.05), (0.49, -19, 0.15, -168), (0.26,), (3.6, 11, 5.6), (2.1, 8.2, 4.2), (), (12, 24, 20)),
    "SJG": ((-0.27, -0.15), (0.19, 0, 0.05, 0), (0.106,), (3.4, 12, 5.3), (0.9, 4, 1.4), (30, 40, 9), ()),
    "TUC": ((-0.1, 0.03), (0.10, 28, 0.055, 47), (0.010,), (6.1, 12, 2.4), (0, 1.4, 0), (), ()),
    "BOU": ((0.15, 0.10), (0.20, -158, 0.48, -149), (0.19,), (3.0, 10, 3.5), (0.1, 2, 0), (), ()),
    "BDT": ((0.15, 0.10), (0.20, -158, 0.48, -149), (0.19,), (3.0, 10, 3.5), (0.1, 2, 0), (), ()),
    "FRD": ((0.12, 0.17), (0.18, -172, 0.11, 0), (0.029,), (6.5, 18, 5.6), (1, 8.9, 1.1), (80, 1150, 20), ()),
    "SIT": ((-0.14, -0.10), (0.10, -10, 0.19, 69), (0.027,), (3.2, 5.2, 4.0), (0.3, 2.9, 0), (), ()),
    "CMO": ((0.1, 0.1), (0.05, 0, 0.14, -59), (0.046,), (13, 7.6, 33), (0, 4.9, 0), (), ()),
    "ALR": ((0.1, 0.1), (0.59, 164, 0.15, 180), (0.29,), (3.1, 2.8, 3.6), (0, 0, 0), (), ()),
    "WIC": ((0.05, 0.05), (0.06, 0, 0.18, 160), (0.02,), (1.6, 2.1, 8.8), (0, 0, 0.4), (), ()),
    "AIA": ((0, 0), (0.27, 117, 0.25, -48), (0.064,), (1, 1.3, 1.1), (0, 0, 0), (), ()),
}


def dipole_latitude_deg(latitude_deg: float, longitude_deg: float) -> float:
    """Return the latitude relative to the axis of the geomagnetic dipole, degrees."""
    pole_latitude, pole_longitude = np.radians(GEOMAGNETIC_POLE)
    latitude, longitude = np.radians((latitude_deg, longitude_deg))
    sine = np.sin(latitude) * np.sin(pole_latitude)
    sine += np.cos(latitude) * np.cos(pole_latitude) * np.cos(longitude - pole_longitude)
    return float(np.degrees(np.arcsin(np.clip(sine, -1, 1))))


def make_site(station: Station, seed: int, index: int) -> Site:
    """Return the constants of a station: measured for a known observatory, else sampled."""
    rng = np.random.default_rng([seed, 1, index])
    bias = rng.normal(0.0, (150.0, 60.0, 200.0))
    latitude = dipole_latitude_deg(station.latitude_deg, station.longitude_deg)
    if station.code in _MEASURED:
        decades, transfer, (z_power,), pink, white, traffic, swell = _MEASURED[station.code]
        gain = 10 ** (np.array(decades) / 2)
        a, b = cmath.rect(transfer[0], np.radians(transfer[1])), cmath.rect(transfer[2], np.radians(transfer[3]))
        follows = (abs(a) ** 2 + TYPICAL_D_OVER_H * abs(b) ** 2) / (1 + TYPICAL_D_OVER_H)
        scale = min(1.0, float(np.sqrt(z_power / follows)))  # a transfer never exceeds the measured power
        z_own, a, b = max(0.0, z_power - follows * scale**2), a * scale, b * scale
        noises = [np.array(values or (0.0, 0.0, 0.0)) * 1e-4 for values in (pink, white, traffic, swell)]
        fade = 0.75 if station.code == "ALR" else 1.0
        return Site(station, latitude, gain, a, b, fade, z_own, noises[0], noises[1], noises[2], noises[3], bias)
    gain = 10 ** rng.normal(0.0, 0.03, 2)
    coast = rng.choice([0.0, 180.0])  # Z follows H or -H, by the side on which the sea lies
    a = cmath.rect(min(0.65, 0.25 * np.exp(rng.normal(0, 0.5))), np.radians(coast + rng.normal(0, 15)))
    b = cmath.rect(min(0.4, 0.12 * np.exp(rng.normal(0, 0.5))), np.radians(rng.choice([0.0, 180.0])))
    noise = np.exp(rng.normal(np.log(3.2e-4), 0.3, 3))
    return Site(station, latitude, gain, a, b, 0.75, 0.02, noise, np.full(3, 0.2e-4), np.zeros(3), np.zeros(3), bias)


def noisier(site: Site, factor: float) -> Site:
    """Return the same station with another sensor, whose noise has ``factor`` times the power."""
    return Site(**{**vars(site), "pink": site.pink * factor, "white": site.white * factor})


def floor_density(site: Site, frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power density (3, F) of sensor noise, traffic and swell, nT²/Hz."""
    f = np.maximum(frequency_hz, 1e-5)[None]
    pink = site.pink[:, None] * (f / 0.1) ** -NOISE_SLOPE
    traffic = site.traffic[:, None] * (np.maximum(f, 0.02) / 0.05) ** -2.3
    swell = site.swell[:, None] * np.exp(-0.5 * (np.log(f / 0.235) / 0.2) ** 2)
    density: NDArray[np.float64] = pink + site.white[:, None] + traffic + swell
    return density
