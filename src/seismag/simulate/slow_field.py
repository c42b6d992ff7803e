"""Slow parts of the natural field: main field, daily variation Sq, ring current."""

from __future__ import annotations

import numpy as np

from seismag.archive.quality import main_field
from seismag.arrays import FloatArray
from seismag.simulate.activity import day_stream
from seismag.simulate.sites import Site

MINUTES = 1441  # of a day, both midnights included: the grid of slow quantities
LAST_MONTH = np.datetime64("2029-12")  # of the main-field model
_DAY = np.timedelta64(1, "D")


def slow_field(site: Site, date: np.datetime64, dst: FloatArray, seed: int, day: int) -> FloatArray:
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
