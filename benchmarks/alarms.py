"""Are the p-values of alarms correct without skill? Simulated tables of several kinds.

    python benchmarks/alarms.py [--tables 150] [--draws 99]

A table has six stations over two years in steps of 6 h; scores follow an autoregression, part of it common to all
stations. Earthquake clusters of eight windows at one to five stations lie anywhere. Printed is the fraction of
tables with p <= 0.05 (aim 0.05) of the area skill with randomised events, and with events taken as independent.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from seismag.alarms.molchan import AlarmRows, alarm_fractions, area_p_value, area_skill, randomise_events
from seismag.scoring.null import Null

STATIONS, STEPS, BLOCK_STEPS = 6, 730 * 4, 27 * 4


@dataclass(frozen=True)
class Kind:
    """One kind of table: stored background time, clusters, memory of the scores, fraction of common scores."""

    name: str
    controls: str  # all, sparse (one Normal window an event window, anywhere), blocks (from few 27-day blocks)
    n_clusters: int = 56
    memory_h: float = 24.0
    common: float = 0.5
    station_spread: float = 0.0  # deviation of the stations' mean scores


KINDS = (
    Kind("all windows stored", "all"),
    Kind("all windows, stations differ", "all", station_spread=1.0),
    Kind("controls anywhere", "sparse"),
    Kind("controls anywhere, 15 events", "sparse", n_clusters=15),
    Kind("controls, memory 4 d, 90 % common", "sparse", memory_h=96.0, common=0.9),
    Kind("controls from few blocks", "blocks"),
    Kind("controls from few blocks, 250 events", "blocks", n_clusters=250),
)


def draw_table(kind: Kind, rng: np.random.Generator) -> AlarmRows:
    """Draw a table with independent scores and earthquakes."""
    decay = np.exp(-6.0 / kind.memory_h)
    noise = rng.standard_normal((STATIONS + 1, 200 + STEPS))
    memory = lfilter([np.sqrt(1 - decay**2)], [1.0, -decay], noise, axis=1)[:, 200:]
    score = np.sqrt(kind.common) * memory[0] + np.sqrt(1 - kind.common) * memory[1:]
    score += kind.station_spread * rng.standard_normal((STATIONS, 1))
    event = np.full((STATIONS, STEPS), -1)
    for cluster in range(kind.n_clusters):
        start = rng.integers(0, STEPS - 8)
        for station in rng.choice(STATIONS, rng.integers(1, 6), replace=False):
            event[station, start : start + 8] = cluster
    kept = np.ones(event.shape, dtype=bool) if kind.controls == "all" else (event >= 0) | _controls(kind, event, rng)
    station, step = np.nonzero(kept)
    background = np.ones(len(step), dtype=bool) if kind.controls == "all" else event[kept] < 0
    fold = np.zeros(len(step), dtype=int)
    return AlarmRows(score[kept], fold, station, 6.0 * step.astype(float), event[kept], background, step // BLOCK_STEPS)


def _controls(kind: Kind, event: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chosen = np.zeros(event.shape, dtype=bool)
    for station, row in enumerate(event):
        free = rng.permutation(np.flatnonzero(row < 0))
        if kind.controls == "blocks":
            order = rng.permutation(STEPS // BLOCK_STEPS + 1)
            free = free[np.argsort(order[free // BLOCK_STEPS], kind="stable")]
        chosen[station, free[: int((row >= 0).sum())]] = True
    return chosen


def main() -> None:
    """Print a line a kind of table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=150)
    parser.add_argument("--draws", type=int, default=99)
    arguments = parser.parse_args()
    print(f"{arguments.tables} tables a kind, {arguments.draws} draws; fraction with p <= 0.05 (s.e. 0.02 at 150)")
    print(f"{'kind':<38} randomised    independent  deviation of area: seen, random, 1/12N")
    for kind in KINDS:
        seen, moved = [], []
        struck = np.zeros(2)
        for table in range(arguments.tables):
            rng = np.random.default_rng([20260205, table])
            rows = draw_table(kind, rng)
            measure = rows.background.astype(float)
            area = area_skill(alarm_fractions(rows.score, measure, rows.fold), rows.event_weight())
            chance, _ = randomise_events(rows, measure, np.array([0.2]), arguments.draws, rng)
            struck += [Null(chance).p_value(area) <= 0.05, area_p_value(area, rows.n_events) <= 0.05]
            seen.append(area - chance.mean())
            moved.append(chance.std())
        fractions = struck / arguments.tables
        print(
            f"{kind.name:<38} {fractions[0]:12.3f}  {fractions[1]:11.3f}  {np.std(seen):25.3f}  {np.mean(moved):5.3f}  "
            f"{np.sqrt(1 / (12 * kind.n_clusters)):5.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
