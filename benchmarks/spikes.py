"""How often are small spikes and steps found on real days, and how many injected ones are found?

    python benchmarks/spikes.py DAY_FILE ...

Each file is a day at 1 Hz. Printed by component: its usual second difference, what is found as it is, and the fraction
found of single samples that are raised, and of levels that change, by 0.5, 1, 2, 4 and 8 nT at 200 seconds. A spike
that two sensors at one place show in the same second is ambient, not the sensor's; compare the times of such files.
The last lines repeat this at the first second after a gap and the last before one, and give the mean of the fractions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import COMPONENTS
from seismag.recordings import read_recording
from seismag.recordings.days import days_of, field_of_day
from seismag.spectrograms.artefacts import find_artefacts, finite_median, small_spikes, small_steps
from seismag.spectrograms.compute import bridge_short_gaps

HEIGHTS_NT = (0.5, 1.0, 2.0, 4.0, 8.0)
N_SPIKES = 200

Array = NDArray[np.float64]


def _places(values: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    known = np.flatnonzero(np.isfinite(values))
    return np.sort(rng.choice(known[100:-100:120], N_SPIKES, replace=False))


def spikes_found(values: Array, height_nt: float, rng: np.random.Generator) -> float:
    """Fraction of injected single samples of this height that are found, on a component (n,)."""
    samples = _places(values, rng)
    raised = values.copy()
    raised[samples] += height_nt * rng.choice([-1, 1], N_SPIKES)
    return float(np.isin(samples, small_spikes(raised)).mean())


def steps_found(values: Array, height_nt: float, rng: np.random.Generator) -> float:
    """Fraction of injected steps of this height that are found."""
    samples = _places(values, rng)
    change = np.zeros(values.size)
    change[samples] = height_nt * rng.choice([-1, 1], N_SPIKES)
    return float(np.isin(samples, small_steps(values + np.cumsum(change))).mean())


def beside_gaps(values: Array, height_nt: float, rng: np.random.Generator) -> tuple[float, float]:
    """Fraction of the seconds beside 200 gaps of 20 s that are spikes: injected ones (height 0: none)."""
    samples = _places(values, rng)
    cut = values.copy()
    for sample in samples:
        cut[sample - 20 : sample] = np.nan
    ends = np.concatenate([samples, samples - 21])
    cut[ends] += height_nt * rng.choice([-1, 1], len(ends))
    found = np.isin(ends, small_spikes(cut))
    return float(found[:N_SPIKES].mean()), float(found[N_SPIKES:].mean())


def main() -> None:
    """Print a line for each component of each day, and the totals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    n_days, n_spikes, n_steps = 0, 0, 0
    of_spikes, of_steps, of_gaps = [], [], []
    heights = "".join(f"{height:8g}" for height in HEIGHTS_NT)
    print(f"{'file':42}{'':3}{'usual nT':>9}{'jumps':>7}{'spikes':>7}{'steps':>7}  found of spikes, nT:{heights}")
    for path in parser.parse_args().files:
        recording = read_recording(path)
        for day in days_of(recording):
            field = bridge_short_gaps(field_of_day([recording], day), 10)
            jumps = find_artefacts(field)
            n_days += 1
            for k, values in enumerate(field):
                if np.isfinite(values).mean() < 0.5:
                    continue
                small, steps = small_spikes(values), small_steps(values)
                n_jumps = len(set(jumps.spikes[jumps.spikes[:, 0] == k, 1]) - set(small))
                n_spikes, n_steps = n_spikes + len(small), n_steps + len(steps)
                usual = 1.4826 * finite_median(np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2))
                of_spikes.append([spikes_found(values, height, np.random.default_rng(3)) for height in HEIGHTS_NT])
                of_steps.append([steps_found(values, height, np.random.default_rng(3)) for height in HEIGHTS_NT])
                of_gaps.append([beside_gaps(values, height, np.random.default_rng(3)) for height in (0, *HEIGHTS_NT)])
                when = ", ".join(str(np.timedelta64(int(s), "s").astype(int)) for s in small[:6])
                counts = f"{usual:9.4f}{n_jumps:7d}{len(small):7d}{len(steps):7d}"
                parts = "".join(f"{fraction:8.2f}" for fraction in of_spikes[-1])
                print(f"{path.name:42}{COMPONENTS[k]:3}{counts}{'':22}{parts}  {'at s ' + when if when else ''}")
    print(f"{n_spikes} small spikes and {n_steps} small steps in {n_days} days")
    print("mean found of spikes, nT", dict(zip(HEIGHTS_NT, np.mean(of_spikes, axis=0).round(3).tolist(), strict=True)))
    print("mean found of steps, nT ", dict(zip(HEIGHTS_NT, np.mean(of_steps, axis=0).round(3).tolist(), strict=True)))
    gaps = np.mean(of_gaps, axis=0).round(4).tolist()
    print("first second after a gap, last before one:", dict(zip((0, *HEIGHTS_NT), gaps, strict=True)))


if __name__ == "__main__":
    main()
