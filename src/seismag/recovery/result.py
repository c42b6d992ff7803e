"""The content of recovery.json, computed from tables of injections, control windows and earthquakes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from seismag.arrays import FloatArray
from seismag.domain import MAGNITUDE_CLASSES
from seismag.recovery.curves import (
    CONFIDENCE,
    REFERENCE_SNR,
    EfficiencyRow,
    Fraction,
    SnrAt,
    counts_of,
    curve_json,
    fraction_of,
    replicate_curves,
    rows_by,
    snr_of_curve,
)
from seismag.recovery.efficiency import (
    ALARMS_ERROR,
    LIMIT_CONFIDENCE,
    SIZES,
    ChanceTest,
    Counts,
    Curve,
    Limit,
    alarms_test,
    false_alarm_interval,
    fit_curve,
    upper_limit,
)
from seismag.text import format_table, wrap_text

DISTANCE_EDGES_KM = (0.0, 50.0, 100.0, 200.0, 400.0, np.inf)
DISTANCES = ("0-50 km", "50-100 km", "100-200 km", "200-400 km", "400 km and more")
SINGLE_SNR_HALF_STEP = 0.25  # decades, where only one SNR is injected
NO_LIMIT = 0.995  # an upper limit from here on excludes nothing


@dataclass(frozen=True)
class UpperLimit:
    """Upper limit on the fraction of earthquakes that are preceded by an emission of an SNR.

    ``value`` and ``if_exact`` are those of ``Limit``, ``expected`` is the limit of the median number of false alarms.
    """

    snr: float
    confidence: float
    efficiency: float
    value: float | None
    if_exact: float | None
    expected: float | None
    sentence: str


@dataclass(frozen=True)
class Alarms:
    """Earthquakes with an alarm before them; ``p_value`` is that of ``alarms_test``."""

    hits: int
    n: int
    rate: float | None
    p_value: float | None


@dataclass(frozen=True)
class RecoveryResult:
    """Results of an injection-recovery test.

    ``false_alarms`` are those of the control windows, ``false_alarms_of_twins`` those of the windows that get
    emissions, before the injection. ``p_value_size`` is the probability of a p-value <= 0.05 under chance. Tables of
    efficiency have rows by SNR, or by the SNR at M 5 and 100 km and more keys. ``rejected_with_emission`` counts
    injections that the preparation of windows rejects.
    """

    false_alarms: Fraction
    false_alarms_of_twins: Fraction
    efficiency: list[EfficiencyRow]
    by_magnitude: list[EfficiencyRow]
    by_distance: list[EfficiencyRow]
    by_magnitude_and_distance: list[EfficiencyRow]
    rejected_with_emission: int
    curve: Curve
    snr_at: dict[str, SnrAt]
    earthquakes: Alarms
    p_value_size: float | None
    upper_limits: list[UpperLimit]

    @property
    def sentence(self) -> str:
        """Detection efficiency, alarms before earthquakes, and the strictest upper limit."""
        false_alarms, quakes = self.false_alarms.value, self.earthquakes
        efficiencies = ", ".join(entry.sentence for entry in self.snr_at.values())
        parts = [f"With {100 * false_alarms:.1f} % false alarms, {efficiencies}."]
        if quakes.p_value is not None:
            parts.append(
                f"{quakes.hits} of {quakes.n} earthquakes have an alarm before them, {quakes.n * false_alarms:.1f} "
                f"expected from false alarms (p = {quakes.p_value:.2g}{_size_words(self.p_value_size)}): "
                f"{'more than chance, not a null result' if quakes.p_value <= ALARMS_ERROR else 'no more than chance'}."
            )
        if not self.upper_limits:
            return " ".join([*parts, "No limit: no emission has an SNR near the injected ones."])
        limits = [(row.value, row.snr, row) for row in self.upper_limits if row.value is not None]
        strict = [entry for entry in limits if entry[0] < NO_LIMIT]
        chosen = min(strict)[2] if strict else self.upper_limits[-1]
        return " ".join([*parts, f"{chosen.sentence[0].upper()}{chosen.sentence[1:]}."])

    def to_json(self) -> dict[str, object]:
        """Give the keys of recovery.json that depend on the tables, without the sentence."""
        content = asdict(self)
        content["curve"] = curve_json(self.curve, self.snr_at)
        del content["snr_at"]
        return {"confidence": CONFIDENCE} | content


def summarise_recovery(
    injections: pd.DataFrame, normal: pd.DataFrame, earthquakes: pd.DataFrame, seed: int
) -> RecoveryResult:
    """Estimate detection efficiency, its curve, and upper limits, from the tables of ``Recovery``.

    ``seed`` is that of the bootstrap of the curve.
    """
    injections = injections.assign(
        nearest_snr=nearest_snr(injections),
        magnitude_class=pd.Categorical(injections["magnitude_class"], MAGNITUDE_CLASSES, ordered=True),
        distance=pd.cut(injections["distance_km"], DISTANCE_EDGES_KM, right=False, labels=DISTANCES),
    )
    false_alarms = counts_of(normal, "alarm")
    curve = fit_curve(injections["snr"].to_numpy(), injections["recovered"].to_numpy(), false_alarms.fraction)
    twins = injections.drop_duplicates("sample_id")
    twins = twins.assign(alarm=twins["p_event_without"] > twins["threshold"])
    observed = Counts(float(earthquakes["alarm"].sum()), float(len(earthquakes)))
    fraction, test = count_alarms(normal, earthquakes)
    alarms = Alarms(0, 0, None, None)
    if test is not None:
        alarms = Alarms(int(observed.hits), int(observed.n), observed.fraction, test.p_value)
    return RecoveryResult(
        fraction,
        fraction_of(twins, "alarm"),
        rows_by(injections, ["nearest_snr"]),
        rows_by(injections, [REFERENCE_SNR, "magnitude_class"]),
        rows_by(injections, [REFERENCE_SNR, "distance"]),
        rows_by(injections, [REFERENCE_SNR, "magnitude_class", "distance"]),
        int((injections["reason"] != "").sum()),
        curve,
        snr_of_curve(injections, curve, replicate_curves(injections, curve, seed)),
        alarms,
        None if test is None else test.size,
        _limits(injections, observed, false_alarms),
    )


def nearest_snr(injections: pd.DataFrame) -> FloatArray:
    """Grid value nearest to the SNR of each emission (logarithm); NaN beyond half a step of the grid.

    They differ where the spectral model makes an emission stronger or weaker than at M 5 and 100 km.
    """
    grid = np.sort(injections[REFERENCE_SNR].unique())
    distance = np.abs(np.log10(injections["snr"].to_numpy())[:, None] - np.log10(grid)[None, :])
    half_step = float(np.diff(np.log10(grid)).max()) / 2 if grid.size > 1 else SINGLE_SNR_HALF_STEP
    nearest = grid[distance.argmin(axis=1)]
    return np.asarray(np.where(distance.min(axis=1) <= half_step + 1e-9, nearest, np.nan), dtype=np.float64)


def _size_words(size: float | None) -> str:
    """The size of the test where the numbers allow none near 5 %."""
    if size is None or SIZES[0] <= size <= SIZES[1]:
        return ""
    return f"; with these numbers chance gives p <= 0.05 in {100 * size:.1f} % of studies"


def count_alarms(normal: pd.DataFrame, earthquakes: pd.DataFrame) -> tuple[Fraction, ChanceTest | None]:
    """Count alarms of the windows that set the threshold, and test those before earthquakes; None without earthquakes.

    Args:
        normal: start_utc, alarm, and run_id (needed for several models).
        earthquakes: a row an earthquake, the same columns.
    """
    counted = fraction_of(normal, "alarm")
    of_run = dict(list(normal.groupby("run_id"))) if "run_id" in normal else {"": normal}
    windows = {run: Counts(float(rows["alarm"].sum()), float(len(rows))) for run, rows in of_run.items()}
    independent = {run: counts_of(rows, "alarm") for run, rows in of_run.items()}
    low, high = false_alarm_interval(list(windows.values()), CONFIDENCE)
    days_low, days_high = false_alarm_interval(list(independent.values()), CONFIDENCE)
    counted = replace(counted, low=low, high=high, days_low=days_low, days_high=days_high)
    if not len(earthquakes):
        return counted, None
    runs = earthquakes["run_id"] if len(of_run) > 1 else pd.Series(next(iter(of_run)), index=earthquakes.index)
    models = [(independent[run], n) for run, n in runs.value_counts().items()]
    return counted, alarms_test(int(earthquakes["alarm"].sum()), models)


def _limits(injections: pd.DataFrame, observed: Counts, false_alarms: Counts) -> list[UpperLimit]:
    rows = []
    for snr, group in injections.groupby("nearest_snr", sort=True):
        efficiency = counts_of(group, "recovered")
        limit, expected = Limit(None, None), Limit(None, None)
        if observed.n:
            chance = Counts(float(stats.binom.median(observed.n, false_alarms.fraction)), observed.n)
            limit = upper_limit(observed, efficiency, false_alarms)
            expected = upper_limit(chance, efficiency, false_alarms)
        sentence = _limit_sentence(float(snr), limit, observed)
        facts = efficiency.fraction, limit.value, limit.if_exact, expected.value, sentence
        rows.append(UpperLimit(float(snr), LIMIT_CONFIDENCE, *facts))
    return rows


def _limit_sentence(snr: float, limit: Limit, observed: Counts) -> str:
    if not observed.n:
        return "no limit: the store contains no earthquake that the model has not seen"
    if limit.value is None:
        return f"no limit at SNR {snr:g}: the model detects such emissions no more often than it gives false alarms"
    if limit.value >= NO_LIMIT:
        return f"nothing is excluded at SNR {snr:g}: every earthquake may have such an emission"
    return (
        f"at most {100 * limit.value:.0f} % of the earthquakes are preceded by an emission of SNR {snr:g} or more "
        f"({100 * LIMIT_CONFIDENCE:.0f} % confidence)"
    )


def format_recovery(document: dict[str, Any]) -> str:
    """Format the content of recovery.json for a terminal; the last line is its sentence."""
    limits = {entry["snr"]: entry["value"] for entry in document["upper_limits"]}
    further = [document[key] for key in ("matched", "network") if key in document]
    bounds: dict[float, float] = {}
    if "matched" in document:
        of_bound = document["matched"]["detectors"][document["matched"]["bound"]]["efficiency"]
        bounds = {row["snr"]: row["value"] for row in of_bound}
    rows = [
        [
            f"{row['snr']:.3g}", f"{row['hits']} of {row['n']}", f"{row['value']:.2f}",
            f"[{row['days_low']:.2f}, {row['days_high']:.2f}]",
            f"{bounds[row['snr']]:.2f}" if row["snr"] in bounds else "", "none" if limit is None else f"{limit:.2f}",
        ]
        for row in document["efficiency"]
        for limit in [limits[row["snr"]]]
    ]  # fmt: skip
    table = format_table(["SNR", "detected", "efficiency", "interval", "bound", "upper limit"], rows)
    lines = [wrap_text(part["sentence"]) for part in further if "sentence" in part]
    lines += [wrap_text(f"no recovery by day: {part['reason']}") for part in further if part.get("reason")]
    warnings = [wrap_text(f"warning     {sentence}", 12) for sentence in document["warnings"]]
    return "\n".join([table, *warnings, *(["", *lines] if lines else []), "", wrap_text(document["sentence"])])
