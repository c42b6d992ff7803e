"""How often are small spikes found on real days, and how many injected ones are found?

    python benchmarks/spikes.py DAY_FILE ...

Each file is a day at 1 Hz. Printed by component: its usual second difference, what is found as it is, and the fraction
found of single samples that are raised by 0.5, 1, 2, 4 and 8 nT at 200 seconds. A spike that two sensors at one place
show in the same second is ambient, not the sensor's; compare the times of such files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import COMPONENTS
from seismag.recordings import read_recording
from seismag.recordings.days import days_of, field_of_day
from seismag.spectrograms.artefacts import find_artefacts, finite_median, small_spikes
from seismag.spectrograms.compute import bridge_short_gaps

HEIGHTS_NT = (0.5, 1.0, 2.0, 4.0, 8.0)
N_SPIKES = 200


def found_fraction(values: NDArray[np.float64], height_nt: float, rng: np.random.Generator) -> float:
    """Fraction of injected single samples of this height that are found, on a component (n,)."""
    known = np.flatnonzero(np.isfinite(values))
    samples = np.sort(rng.choice(known[100:-100:120], N_SPIKES, replace=False))
    raised = values.copy()
    raised[samples] += height_nt * rng.choice([-1, 1], N_SPIKES)
    return float(np.isin(samples, small_spikes(raised)).mean())


def main() -> None:
    """Print a line for each component of each day, and the total."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    n_days, n_small = 0, 0
    heights = "".join(f"{height:8g}" for height in HEIGHTS_NT)
    print(f"{'file':42}{'':3}{'usual nT':>9}{'jumps':>7}{'small':>7}  found of injected, nT:{heights}")
    for path in parser.parse_args().files:
        recording = read_recording(path)
        for day in days_of(recording):
            field = bridge_short_gaps(field_of_day([recording], day), 10)
            spikes = find_artefacts(field).spikes
            n_days += 1
            for k, values in enumerate(field):
                if np.isfinite(values).mean() < 0.5:
                    continue
                small = small_spikes(values)
                n_jumps = len(set(spikes[spikes[:, 0] == k, 1]) - set(small))
                n_small += len(small)
                usual = 1.4826 * finite_median(np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2))
                rng = np.random.default_rng(3)
                parts = "".join(f"{found_fraction(values, height, rng):8.2f}" for height in HEIGHTS_NT)
                when = ", ".join(str(np.timedelta64(int(s), "s").astype(int)) for s in small[:6])
                line = f"{path.name:42}{COMPONENTS[k]:3}{usual:9.4f}{n_jumps:7d}{len(small):7d}{'':24}{parts}"
                print(f"{line}  {'at s ' + when if when else ''}")
    print(f"{n_small} small spikes in {n_days} days")


if __name__ == "__main__":
    main()
