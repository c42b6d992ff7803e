"""Do the p-values and intervals of alarms and of the injection-recovery test keep their word?

    python benchmarks/coverage_alarms.py [--studies 200] [--seed 14]

Alarms: a table has six stations over two years in steps of 6 h. Scores follow an autoregression, part of it common to
all stations, and where the design has them a season or a trend. Earthquake clusters of eight windows at one to five
stations lie anywhere, or follow the same season or trend, in swarms of a few days, or in proportion to the rate of past
earthquakes. Stores of controls have one Normal window an event window, of the same hour, station and season, and none
within the exclusion interval. Without skill the score does not depend on the earthquakes, except for alarms that follow
past earthquakes: these have skill in uniform time, and none beyond the reference ``clustering``.

Recovery: scores of control windows set the threshold; windows of a day have scores in common in some designs.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from coverage_recovery import recovery_rows
from coverage_row import Row, format_rows
from scipy.signal import lfilter

from seismag.alarms.compute import evaluate_reference, reference_measures
from seismag.alarms.molchan import AlarmRows
from seismag.config import EvaluateConfig

STATIONS, STEPS, WINDOWS = 6, 730 * 4, 8
YEAR = 1461  # steps
DRAWS = 199


@dataclass(frozen=True)
class Design:
    """One kind of table, named by its number of clusters: their times, the scores, and the stored windows."""

    name: str
    n_clusters: int = 50
    times: str = "anywhere"  # anywhere, season, swarms, season swarms, trend, past
    memory_h: float = 24.0
    common: float = 0.5  # fraction of the variance of the scores that the stations have in common
    season: float = 0.0  # deviation of the seasonal part of the scores
    trend: float = 0.0
    station_spread: float = 0.0  # deviation of the stations' mean scores
    controls: str = "all"  # all, matched
    follows_past: bool = False  # alarms that follow past earthquakes
    skill: float = 0.0  # rise of the scores before earthquakes, in deviations of the autoregression


DESIGNS = (
    Design("12", 12),
    Design("50, stations differ", station_spread=1.0),
    Design("100", 100),
    Design("50, memory 4 d", memory_h=96.0, common=0.9),
    Design("50, season", times="season", season=1.0),
    Design("50, trend", times="trend", trend=1.0),
    Design("50, swarms, memory 4 d", times="swarms", memory_h=96.0, common=0.9),
    Design("12, swarms, season", 12, times="season swarms", season=1.0),
    Design("50, swarms, season, memory 2 d", times="season swarms", season=1.0, memory_h=48.0, common=0.7),
    Design("100, swarms, season, memory 2 d", 100, "season swarms", season=1.0, memory_h=48.0, common=0.7),
    Design("50, controls", controls="matched"),
    Design("50, trend, controls", times="trend", trend=1.0, controls="matched"),
    Design("50, swarms, season, controls", times="season swarms", season=1.0, controls="matched"),
    Design("12, follow past", 12, times="past", follows_past=True),
    Design("50, follow past", times="past", follows_past=True),
)
SKILFUL = (
    Design("12", 12, skill=0.7),
    Design("50", skill=0.7),
    Design("50, swarms, season", times="season swarms", season=1.0, skill=0.7),
    Design("12, controls", 12, controls="matched", skill=0.7),
    Design("50, controls", controls="matched", skill=0.7),
)


def draw_table(design: Design, rng: np.random.Generator) -> tuple[AlarmRows, np.ndarray]:
    """Draw a table, and the rate of past earthquakes at its windows."""
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * np.arange(STEPS) / YEAR + phase)
    event, rate = _earthquakes(design, wave, rng)
    score = _scores(design, wave, rng)
    if design.follows_past:
        score = np.log(rate) + 0.3 * score
    score += design.skill * (event >= 0)
    kept = np.ones(event.shape, dtype=bool)
    if design.controls == "matched":
        kept = (event >= 0) | _controls(event, rng)
    station, step = np.nonzero(kept)
    background = event[kept] < 0 if design.controls == "matched" else np.ones(len(step), dtype=bool)
    fold = np.zeros(len(step), dtype=int)
    rows = AlarmRows(score[kept], fold, station, 6.0 * step.astype(float), event[kept], background, step // (27 * 4))
    usable = np.isin(rows.stratum, rows.stratum[background])
    rows = AlarmRows(*(getattr(rows, name)[usable] for name in AlarmRows.__dataclass_fields__))
    return rows, rate[kept][usable]


def _scores(design: Design, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    decay = np.exp(-6.0 / design.memory_h)
    noise = rng.standard_normal((STATIONS + 1, 200 + STEPS))
    memory = lfilter([np.sqrt(1 - decay**2)], [1.0, -decay], noise, axis=1)[:, 200:]
    score = np.sqrt(design.common) * memory[0] + np.sqrt(1 - design.common) * memory[1:]
    slow = design.season * np.sqrt(2) * wave + design.trend * np.sqrt(12) * (np.arange(STEPS) / STEPS - 0.5)
    return score + slow + design.station_spread * rng.standard_normal((STATIONS, 1))


def _earthquakes(design: Design, wave: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cluster of each window, -1 without; and the rate of past earthquakes; (STATIONS, STEPS) each."""
    n = design.n_clusters
    event = np.full((STATIONS, STEPS), -1)
    rate = np.full((STATIONS, STEPS), 2e-3)
    decay = (np.arange(1, STEPS + 1) * 0.25 + 0.05) ** -1.08  # Omori's, in days
    for start in rng.integers(0, STEPS, 120):  # earthquakes without windows of their own
        strength = 0.02 * 10 ** (0.4 * rng.standard_normal())
        for station in rng.choice(STATIONS, rng.integers(1, 4), replace=False):
            rate[station, start + 1 :] += strength * decay[: STEPS - start - 1]
    if design.times == "past":
        weight = rate.copy()
        weight[:, :WINDOWS] = 0
        places = rng.choice(weight.size, n, p=weight.ravel() / weight.sum())
        stations, last = [np.array([place // STEPS]) for place in places], places % STEPS
    else:
        last = _times(design, wave, rng)
        stations = [rng.choice(STATIONS, rng.integers(1, 6), replace=False) for _ in last]
    for cluster, (where, step) in enumerate(zip(stations, last, strict=True)):
        for station in where:
            windows = event[station, step - WINDOWS + 1 : step + 1]
            windows[windows < 0] = cluster
    return event, rate


def _times(design: Design, wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Step of each cluster's last window."""
    weight = np.ones(STEPS)
    if "season" in design.times:
        weight = np.exp(2 * wave)
    elif design.times == "trend":
        weight = np.exp(2 * np.arange(STEPS) / STEPS)
    weight[:WINDOWS] = 0
    n_centres = max(3, design.n_clusters // 8) if "swarms" in design.times else design.n_clusters
    last = rng.choice(STEPS, n_centres, p=weight / weight.sum())
    if "swarms" in design.times:
        spread = np.rint(16 * rng.standard_normal(design.n_clusters)).astype(int)  # 4 days
        last = last[rng.integers(0, n_centres, design.n_clusters)] + spread
    return np.clip(last, WINDOWS, STEPS - 1)


def _controls(event: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One control an event window, as ``data.controls: matched`` chooses them, where there is one."""
    chosen = np.zeros(event.shape, dtype=bool)
    for station, row in enumerate(event):
        windows = np.flatnonzero(row >= 0)
        near = np.zeros(STEPS, dtype=bool)
        for window in windows:
            near[max(0, window - 14 * 4) : window + 7 * 4] = True  # the exclusion interval
        free = np.flatnonzero(~near)
        for window in rng.permutation(windows):
            apart = np.abs(free - window)
            season = np.minimum(apart % YEAR, YEAR - apart % YEAR)
            fits = free[(season <= 30 * 4) & (apart % 4 == 0) & ~chosen[station, free]]
            if fits.size:
                chosen[station, rng.choice(fits)] = True
    return chosen


def _outcomes(design: Design, rng: np.random.Generator) -> Iterator[tuple[str, str, bool]]:
    """Quantity, measure, and whether a study counts."""
    rows, past_rate = draw_table(design, rng)
    config = EvaluateConfig.model_validate({"seed": int(rng.integers(2**31))})
    kind = "power" if design.skill else "size"
    measures = reference_measures(rows, past_rate)
    if design.follows_past:
        measures = {"clustering": measures["clustering"]}
    for name, measure in measures.items():
        assert not isinstance(measure, str)
        found = evaluate_reference(rows, measure, config, DRAWS)
        area, null = found.area_skill, found.area_skill.null
        yield f"alarms p, area ({name})", kind, area.p_moved <= 0.05
        if not design.skill:
            yield f"alarms interval, area ({name})", "coverage", null.low <= area.value <= null.high
        for row in found.at:
            if name != "uniform" or row.tau_asked == config.alarm_fraction:
                yield f"alarms p, tau {row.tau_asked:g} ({name})", kind, row.p_moved <= 0.05


def rows(studies: int, seed: int) -> list[Row]:
    """Sizes, coverages and powers of what ``seismag alarms`` and ``seismag recover`` print."""
    found: list[Row] = []
    for index, design in enumerate((*DESIGNS, *SKILFUL)):
        hits: defaultdict[tuple[str, str], int] = defaultdict(int)
        for study in range(studies):
            for quantity, measure, hit in _outcomes(design, np.random.default_rng([seed, index, study])):
                hits[quantity, measure] += hit
        name = f"{design.name}, skill {design.skill:g}" if design.skill else design.name
        found += [Row(quantity, name, measure, count, studies) for (quantity, measure), count in hits.items()]
    return [*found, *recovery_rows(studies, seed)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=14)
    arguments = parser.parse_args()
    print(format_rows(rows(arguments.studies, arguments.seed)))


if __name__ == "__main__":
    main()
