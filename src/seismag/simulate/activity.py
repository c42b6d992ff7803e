"""Kp and Dst of the simulated time, simulated or read from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from seismag.archive.indices import read_index
from seismag.config import SimulateConfig
from seismag.domain import UsageError

MARGIN_D = 30  # the catalogue and the indices reach this far beyond the recordings
STORMS_PER_YEAR = 14.0
ROTATION_D = 27.0  # high-speed streams return with the Sun's rotation
RING_CURRENT_H = 12.0  # decay time


def day_stream(seed: int, *what: int, day: int) -> np.random.Generator:
    """Return the random generator of one process on one day, counted from the start of the recordings.

    Days before the start are needed where a clock is ahead, so the margin is added: numbers must be non-negative.
    numpy gives [a] and [a, 0] the same stream.
    """
    return np.random.default_rng([seed, *what, day + MARGIN_D])


@dataclass(frozen=True)
class Activity:
    """Indices over the recordings and a margin of 30 days at either end.

    Attributes:
        kp: (8 n,) three-hourly, in thirds.
        dst_nt: (24 n,) hourly.
    """

    kp: NDArray[np.float64]
    dst_nt: NDArray[np.float64]

    def kp_at(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Kp, linear between the middles of its intervals, at seconds since the recordings' start."""
        return np.interp(seconds, (np.arange(self.kp.size) + 0.5) * 10_800 - MARGIN_D * 86_400, self.kp)

    def dst_at(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Dst, linear between the middles of the hours, nT, at seconds since the recordings' start."""
        return np.interp(seconds, (np.arange(self.dst_nt.size) + 0.5) * 3600 - MARGIN_D * 86_400, self.dst_nt)


def make_activity(spec: SimulateConfig) -> Activity:
    """Simulate Kp and Dst, or read them from the files that the configuration names.

    Raises:
        UsageError: a file does not cover the recordings and 30 days on either side.
    """
    kp = simulate_kp(spec) if spec.kp is None else _follow(spec, "kp")
    dst = dst_from_kp(kp) if spec.dst is None else _follow(spec, "dst")
    return Activity(kp, dst)


def simulate_kp(spec: SimulateConfig) -> NDArray[np.float64]:
    """Simulate three-hourly Kp: a red-noise part, streams that return every 27 days, and storms."""
    rng = np.random.default_rng([spec.seed, 3])
    n = (spec.days + 2 * MARGIN_D) * 8
    wandering = signal.lfilter([0.44], [1, -0.9], rng.standard_normal(n))
    day = np.arange(n) / 8
    streams = np.zeros(n)
    for phase, strength in zip(rng.uniform(0, ROTATION_D, 2), rng.uniform(0.5, 2.0, 2), strict=True):
        streams += strength * np.exp(-((((day - phase + ROTATION_D / 2) % ROTATION_D) - ROTATION_D / 2) ** 2) / 2)
    storms = np.zeros(n)
    for onset in np.flatnonzero(rng.random(n) < STORMS_PER_YEAR / (365.25 * 8)):
        since_h = 3.0 * (np.arange(onset, n) - onset)
        storms[onset:] += rng.uniform(2.5, 6.0) * (since_h + 3) / 9 * np.exp(1 - (since_h + 3) / 9)
    return np.round(np.clip(1.5 + 0.9 * wandering + streams + storms, 0, 9) * 3) / 3


def dst_from_kp(kp: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hourly Dst, nT, of a ring current that Kp feeds and that decays with 12 h.

    The form is that of Burton et al. (1975), doi:10.1029/JA080i031p04204, with Kp in place of the solar wind.
    """
    injection = -1.2 * np.maximum(np.repeat(kp, 3) - 2.5, 0) ** 1.5
    ring: NDArray[np.float64] = signal.lfilter([1.0], [1, -np.exp(-1 / RING_CURRENT_H)], injection)
    return np.round(ring + 5.0)


def _follow(spec: SimulateConfig, name: str) -> NDArray[np.float64]:
    path = spec.kp if name == "kp" else spec.dst
    index = read_index(Path(str(path)), "kp" if name == "kp" else "dst")
    per_day = 24 // index.step_h
    first = np.datetime64(spec.start, "ms") - np.timedelta64(MARGIN_D, "D")
    offset = int((first - index.start_utc) // np.timedelta64(index.step_h, "h"))
    wanted = (spec.days + 2 * MARGIN_D) * per_day
    values = index.values[offset : offset + wanted] if offset >= 0 else index.values[:0]
    if values.size < wanted or np.isnan(values).any():
        raise UsageError(
            f"simulate.{name} {path}: does not cover {spec.start} and {spec.days} days with {MARGIN_D} days on either "
            "side. Choose another period, or leave it out."
        )
    return values
