"""Efficiencies of injected emissions by SNR, and the SNR at which their fitted curve reaches an efficiency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from seismag.arrays import IntArray
from seismag.recovery.efficiency import Counts, Curve, fit_curve, independent_counts

CONFIDENCE = 0.95  # of the intervals
REPLICATES = 200  # of the bootstrap of the curve
EFFICIENCIES = (0.5, 0.9)
REFERENCE_SNR = "snr_at_m5_100km"
EfficiencyRow = dict[str, str | float]  # keys of a table of efficiencies, snr_median, and the values of ``Fraction``


@dataclass(frozen=True)
class Fraction:
    """Fraction of n windows with an alarm, with its exact binomial interval.

    ``days_low`` and ``days_high`` are the interval for the number of independent windows, as windows share UTC days.
    """

    value: float
    low: float
    high: float
    n: int
    hits: int
    n_days: int
    days_low: float
    days_high: float


@dataclass(frozen=True)
class SnrAt:
    """SNR at which the fitted curve reaches an efficiency, with its interval; None outside the injected range."""

    value: float | None
    low: float | None
    high: float | None
    sentence: str


def utc_days_of(table: pd.DataFrame) -> IntArray:
    """UTC day of each row, in days since 1970-01-01."""
    return table["start_utc"].to_numpy().astype("M8[D]").astype(np.int64)


def counts_of(table: pd.DataFrame, column: str) -> Counts:
    """Independent windows of a table, and those among them in which a column is true."""
    return independent_counts(table[column].to_numpy(dtype=bool), utc_days_of(table))


def fraction_of(table: pd.DataFrame, column: str) -> Fraction:
    """Fraction of the rows in which a column is true."""
    success = table[column].to_numpy(dtype=bool)
    counts = Counts(float(success.sum()), float(success.size))
    low, high = counts.interval(CONFIDENCE)
    days_low, days_high = counts_of(table, column).interval(CONFIDENCE)
    n_days = int(np.unique(utc_days_of(table)).size)
    return Fraction(counts.fraction, low, high, int(counts.n), int(counts.hits), n_days, days_low, days_high)


def rows_by(injections: pd.DataFrame, by: list[str]) -> list[EfficiencyRow]:
    """Rows of a table of efficiencies, in the order of SNR, class and distance."""
    names = {"nearest_snr": "snr"}
    return [
        {names.get(name, name): value for name, value in zip(by, key, strict=True)}
        | {"snr_median": float(rows["snr"].median())}
        | asdict(fraction_of(rows, "recovered"))
        for key, rows in injections.groupby(by, observed=True, sort=True)
    ]


def replicate_curves(injections: pd.DataFrame, curve: Curve, seed: int) -> list[Curve]:
    """Fit the curve to bootstrap samples of UTC days; the same days for tables of the same rows and the same seed."""
    snr, recovered = injections["snr"].to_numpy(), injections["recovered"].to_numpy()
    _, day = np.unique(utc_days_of(injections), return_inverse=True)
    rng = np.random.default_rng([seed, 22])
    m = int(day.max()) + 1
    replicates = []
    for _ in range(REPLICATES):
        weight = rng.multinomial(m, np.full(m, 1 / m))[day].astype(float)
        replicates.append(fit_curve(snr, recovered, curve.floor, weight, curve))
    return replicates


def snr_of_curve(injections: pd.DataFrame, curve: Curve, replicates: Sequence[Curve]) -> dict[str, SnrAt]:
    """SNR of each efficiency, with its interval by the bootstrap of UTC days."""
    tested = float(injections["snr"].min()), float(injections["snr"].max())
    result = {}
    for efficiency in EFFICIENCIES:
        found = curve.snr_at(efficiency)
        low, high = (_within(end, tested) for end in bootstrap_ends([c.snr_at(efficiency) for c in replicates]))
        sentence = _snr_sentence(found, efficiency, tested)
        result[f"snr_{100 * efficiency:.0f}"] = SnrAt(_within(found, tested), low, high, sentence)
    return result


def bootstrap_ends(values: Sequence[float]) -> tuple[float, float]:
    """Ends of the percentile interval of replicates."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="nearest")
    return float(low), float(high)


def curve_json(curve: Curve, snr_at: Mapping[str, SnrAt]) -> dict[str, object]:
    """The key ``curve`` of recovery.json."""
    document = {"middle_log10_snr": curve.middle, "slope_per_decade": curve.slope, "floor": curve.floor}
    return document | {name: asdict(entry) for name, entry in snr_at.items()}


def _within(snr: float, tested: tuple[float, float]) -> float | None:
    return float(snr) if tested[0] <= snr <= tested[1] else None


def _snr_sentence(snr: float, efficiency: float, tested: tuple[float, float]) -> str:
    percent = f"{100 * efficiency:.0f} %"
    if snr > tested[1]:
        return f"{percent} efficiency is not reached up to SNR {plain_snr(tested[1])}, the strongest injected"
    if snr < tested[0]:
        return f"{percent} efficiency is reached below SNR {plain_snr(tested[0])}, the weakest injected"
    return f"{percent} efficiency is reached at SNR {plain_snr(snr)}"


def plain_snr(snr: float) -> str:
    """Two significant digits, never as a power of ten: 210, not 2.1e+02."""
    return f"{float(f'{snr:.2g}'):g}"
