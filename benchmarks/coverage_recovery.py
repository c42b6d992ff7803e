"""Simulated injection-recovery tests, for ``benchmarks/coverage_alarms.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from coverage_row import Row
from scipy import stats

from seismag.recovery.efficiency import false_alarm_threshold
from seismag.recovery.result import count_alarms, summarise_recovery

SNR = (0.3, 1.0, 3.0, 10.0, 30.0)
STRENGTH = 3  # index of the SNR of emissions before earthquakes
SHIFTS = 1.2 * np.log10(SNR) + 1.2  # mean scores of emissions, in deviations of the score
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Design:
    """Control windows and days of each model, earthquakes of all, and the fraction of them with an emission."""

    n_windows: int
    n_quakes: int
    n_days: int = 0  # 0: each window has a day of its own
    n_models: int = 1
    correlation: float = 0.0  # of the scores of a day
    emissions: float = 0.0

    @property
    def name(self) -> str:
        """In words."""
        models = f"{self.n_models} models of " if self.n_models > 1 else ""
        days = f" on {self.n_days} days" if self.n_days else ""
        emission = f", {100 * self.emissions:g} % emit" if self.emissions else ""
        return f"{models}{self.n_windows} windows{days}, {self.n_quakes} quakes{emission}"


DESIGNS = (
    Design(20, 40),
    Design(24, 40),
    Design(24, 100),
    Design(40, 12),
    Design(60, 40),
    Design(200, 100),
    Design(500, 12),
    Design(24, 40, 6, correlation=0.5),
    Design(60, 40, 15, correlation=0.5),
    Design(200, 100, 50, correlation=0.5),
    Design(24, 50, n_models=5),
    Design(24, 40, emissions=0.3),
    Design(60, 40, emissions=0.3),
    Design(200, 100, emissions=0.3),
)
WITH_CURVE = Design(120, 100, 60, correlation=0.3, emissions=0.3)
CURVE_STUDIES = 4  # only one study in so many has a curve, whose bootstrap takes seconds


def _scores(n: int, n_days: int, correlation: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores of n windows, and their days."""
    day = np.arange(n) % (n_days or n)
    common = rng.standard_normal(n_days or n)[day]
    score = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.standard_normal(n)
    return score, np.datetime64("2021-01-01", "ms") + day * np.timedelta64(1, "D")


def _control_and_event_windows(
    design: Design, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Control windows and one window an earthquake of each model, and the thresholds of the models."""
    normal, quakes, thresholds = [], [], []
    for model in range(design.n_models):
        score, start = _scores(design.n_windows, design.n_days, design.correlation, rng)
        threshold = false_alarm_threshold(score, FALSE_ALARMS)
        n = design.n_quakes // design.n_models
        before = rng.standard_normal(n) + SHIFTS[STRENGTH] * (rng.random(n) < design.emissions)
        normal.append(pd.DataFrame({"run_id": model, "start_utc": start, "alarm": score > threshold}))
        quakes.append(pd.DataFrame({"run_id": model, "start_utc": start[0], "alarm": before > threshold}))
        thresholds.append(threshold)
    return pd.concat(normal, ignore_index=True), pd.concat(quakes, ignore_index=True), np.array(thresholds)


def _alarms(design: Design, rng: np.random.Generator) -> Iterator[tuple[str, str, bool]]:
    """Quantity, measure, and whether a study counts: the test of the alarms before earthquakes."""
    normal, quakes, thresholds = _control_and_event_windows(design, rng)
    alarms, test = count_alarms(normal, quakes)
    kind = "power" if design.emissions else "size"
    yield "recover p, alarms", kind, test is not None and test.p_value <= 0.05
    if not design.emissions:
        false_alarms = float(stats.norm.sf(thresholds).mean())
        yield "recover interval, false alarms", "coverage", alarms.days_low <= false_alarms <= alarms.days_high


def _efficiencies(design: Design, rng: np.random.Generator) -> Iterator[tuple[str, str, bool]]:
    """Quantity, measure, and whether a study counts: efficiencies, their curve, and the upper limit."""
    normal, quakes, (threshold,) = _control_and_event_windows(design, rng)
    without, start = _scores(design.n_windows, design.n_days, design.correlation, rng)
    columns = {"start_utc": start, "magnitude_class": "Large", "distance_km": 100.0, "reason": ""}
    tables = [
        pd.DataFrame(columns).assign(
            sample_id=np.arange(len(start)), snr=snr, snr_at_m5_100km=snr, p_event_without=without,
            p_event=without + shift, threshold=threshold, recovered=without + shift > threshold,
        )
        for snr, shift in zip(SNR, SHIFTS, strict=True)
    ]  # fmt: skip
    result = summarise_recovery(pd.concat(tables), normal, quakes, seed=int(rng.integers(2**31)))
    for row, shift in zip(result.efficiency, SHIFTS, strict=True):
        true = stats.norm.sf(threshold - shift)
        covers = float(row["days_low"]) <= true <= float(row["days_high"])
        yield f"recover interval, efficiency at SNR {row['snr']:g}", "coverage", covers
    at = result.snr_at["snr_50"]
    true = 10 ** ((threshold - 1.2) / 1.2)
    yield "recover interval, SNR at 50 %", "coverage", (at.low or 0.0) <= true <= (at.high or np.inf)
    limit = result.upper_limits[STRENGTH].value
    yield "recover upper limit (90 %)", "coverage", limit is None or limit >= design.emissions


def recovery_rows(studies: int, seed: int) -> list[Row]:
    """Sizes, coverages and powers of what ``seismag recover`` prints."""
    found: list[Row] = []
    kinds = [(design, _alarms, studies) for design in DESIGNS]
    kinds.append((WITH_CURVE, _efficiencies, max(1, studies // CURVE_STUDIES)))
    for index, (design, outcomes, trials) in enumerate(kinds):
        hits: defaultdict[tuple[str, str], int] = defaultdict(int)
        for study in range(trials):
            for quantity, measure, hit in outcomes(design, np.random.default_rng([seed, 100 + index, study])):
                hits[quantity, measure] += hit
        found += [Row(quantity, design.name, measure, count, trials) for (quantity, measure), count in hits.items()]
    return found
