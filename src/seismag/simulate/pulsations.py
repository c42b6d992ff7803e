"""Pulsations: wave packets of Pc4 and Pc5 by day and Pi2 by night, at all stations at once.

The Pc3-4 hump of the background is continuous; packets add the single trains that observers report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.recordings.days import DAY_S
from seismag.simulate.activity import day_stream
from seismag.simulate.sites import Site


@dataclass(frozen=True)
class Family:
    """One kind of packet.

    Attributes:
        per_day: mean number over the globe.
        band_mhz, minutes: range of frequency and of length.
        local_h, width_h: local hour of the largest amplitude, and the width of its distribution.
        amplitude_nt: of H at Kp 2 and 20 degrees.
        d_over_h: amplitude of D over H; D leads by a quarter period before that hour and lags after it.
        damped: sudden onset and decay, instead of a symmetric envelope.
    """

    per_day: float
    band_mhz: tuple[float, float]
    minutes: tuple[float, float]
    local_h: float
    width_h: float
    amplitude_nt: float
    d_over_h: float
    damped: bool = False


FAMILIES = (
    Family(6.0, (7.0, 22.0), (15.0, 40.0), 11.0, 4.0, 0.10, 0.6),  # Pc4
    Family(4.0, (1.7, 7.0), (30.0, 60.0), 7.0, 3.0, 0.40, 0.8),  # Pc5
    Family(12.0, (6.0, 25.0), (6.0, 10.0), 22.5, 3.0, 0.20, 0.5, damped=True),  # Pi2
)


def add_pulsations(field_nt: NDArray[np.float64], site: Site, day: int, kp: NDArray[np.float64], seed: int) -> None:
    """Add the packets of a day to its field (3, 86400) in place; Z follows by induction."""
    rng = day_stream(seed, 14, day=day)
    for family in FAMILIES:
        for _ in range(rng.poisson(family.per_day)):
            _add_packet(field_nt, site, family, rng.random(6), kp)


def _add_packet(
    field_nt: NDArray[np.float64], site: Site, family: Family, draws: NDArray[np.float64], kp: NDArray[np.float64]
) -> None:
    length_s = 60 * (family.minutes[0] + draws[1] * (family.minutes[1] - family.minutes[0]))
    start = int(draws[0] * (DAY_S - length_s))
    local_h = (start / 3600 + site.station.longitude_deg / 15) % 24
    before = (family.local_h - local_h + 12) % 24 - 12
    habit = np.exp(-0.5 * (before / family.width_h) ** 2)
    growth = (abs(site.dipole_latitude_deg) - 20) / 48 + 0.15 * (kp[start // 60] - 2)
    amplitude = family.amplitude_nt * (0.5 + draws[2]) * habit * 10**growth
    if amplitude < 0.005:  # below the resolution of the files
        return
    time = np.arange(int(length_s), dtype=np.float64)
    if family.damped:
        envelope = np.minimum(time / 30, 1) * np.exp(-3 * time / length_s) * np.cos(np.pi / 2 * time / length_s)
    else:
        envelope = np.sin(np.pi * time / length_s) ** 2
    frequency_hz = 1e-3 * family.band_mhz[0] * (family.band_mhz[1] / family.band_mhz[0]) ** draws[3]
    h = amplitude * envelope * np.exp(2j * np.pi * (frequency_hz * time + draws[4]))
    d = h * family.d_over_h * (0.5 + draws[5]) * (1j if before > 0 else -1j)
    part = field_nt[:, start : start + time.size]
    part += np.stack([h.real, d.real, (site.z_from_h * h + site.z_from_d * d).real])
