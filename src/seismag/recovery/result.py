"""From tables of planted emissions, Normal windows and earthquakes to the content of recovery.json."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seismag.domain import MAGNITUDE_CLASSES
from seismag.recovery.efficiency import Counts, Curve, Limit, fit_curve, independent_counts, upper_limit

DISTANCE_EDGES_KM = (0.0, 50.0, 100.0, 200.0, 400.0, np.inf)
LEVELS = (0.5, 0.9)
REPLICATES = 200  # of the curve
LONE_HALF_STEP = 0.25  # decades, where one SNR is planted alone
GIVEN = "snr_at_m5_100km"
LIMIT_CONFIDENCE = 0.9
EXCLUDES_NOTHING = 0.995  # a limit from here on is said to be none
CHANCE_P = 0.05  # below, the alarms before earthquakes are called more than the false alarms


def recovery_report(
    plantings: pd.DataFrame, normal: pd.DataFrame, earthquakes: pd.DataFrame, confidence: float, seed: int
) -> dict[str, Any]:
    """Summarise a study of injection and recovery.

    Args:
        plantings, normal, earthquakes: tables of ``seismag.recovery.compute.Recovery``.
        confidence: of the intervals.
        seed: of the bootstrap of the curve.

    Returns:
        Plain values: false_alarms, false_alarms_of_twins, efficiency (by SNR), by_magnitude, by_distance and
        by_magnitude_and_distance (by the SNR at M 5 and 100 km as well), rejected_with_emission, curve, earthquakes,
        upper_limits, sentence. A share has value, low, high (exact binomial), hits, n, n_days, and days_low, days_high:
        the interval on independent windows where some share a UTC day. In the curve an SNR outside the planted ones
        is None; its sentence says on which side.
    """
    levels = _levels(plantings)
    plantings = plantings.assign(level=levels, distance=_distance_names(plantings["distance_km"].to_numpy()))
    false_alarms = _counts(normal, "alarm")
    curve = fit_curve(plantings["snr"].to_numpy(), plantings["recovered"].to_numpy(), false_alarms.share)
    twins = plantings.drop_duplicates("sample_id")
    twins = twins.assign(alarm=twins["p_event_without"] > twins["threshold"])
    observed = Counts(float(earthquakes["alarm"].sum()), float(len(earthquakes)))
    report: dict[str, Any] = {
        "confidence": confidence,
        "false_alarms": _share(normal, "alarm", confidence),
        "false_alarms_of_twins": _share(twins, "alarm", confidence),
        "efficiency": _table(plantings, ["level"], confidence),
        "by_magnitude": _table(plantings, [GIVEN, "magnitude_class"], confidence),
        "by_distance": _table(plantings, [GIVEN, "distance"], confidence),
        "by_magnitude_and_distance": _table(plantings, [GIVEN, "magnitude_class", "distance"], confidence),
        "rejected_with_emission": int((plantings["reason"] != "").sum()),
        "curve": _curve(plantings, curve, confidence, seed),
        "earthquakes": _earthquakes(observed, false_alarms),
        "upper_limits": _limits(plantings, observed, false_alarms),
    }
    return report | {"sentence": describe_recovery(report)}


def _levels(plantings: pd.DataFrame) -> NDArray[np.float64]:
    """Grid value next to each emission's own SNR in the logarithm; NaN beyond half a step of the grid.

    They differ where the law makes an emission stronger or weaker than at M 5 and 100 km.
    """
    grid = np.sort(plantings[GIVEN].unique())
    distance = np.abs(np.log10(plantings["snr"].to_numpy())[:, None] - np.log10(grid)[None, :])
    half_step = float(np.diff(np.log10(grid)).max()) / 2 if grid.size > 1 else LONE_HALF_STEP
    levels: NDArray[np.float64] = np.where(
        distance.min(axis=1) <= half_step + 1e-9, grid[distance.argmin(axis=1)], np.nan
    )
    return levels


def _distance_names(distance_km: NDArray[np.float64]) -> list[str]:
    place = np.searchsorted(DISTANCE_EDGES_KM, distance_km, side="right") - 1
    edges = [f"{edge:g}" for edge in DISTANCE_EDGES_KM]
    return [f"{edges[i]}-{edges[i + 1]} km" if i < len(edges) - 2 else f"{edges[i]} km and more" for i in place]


def _days(table: pd.DataFrame) -> NDArray[np.int64]:
    return table["start_utc"].to_numpy().astype("M8[D]").astype(np.int64)


def _counts(table: pd.DataFrame, column: str) -> Counts:
    return independent_counts(table[column].to_numpy(dtype=bool), _days(table))


def _share(table: pd.DataFrame, column: str, confidence: float) -> dict[str, Any]:
    success = table[column].to_numpy(dtype=bool)
    plain = Counts(float(success.sum()), float(success.size))
    low, high = plain.interval(confidence)
    days_low, days_high = _counts(table, column).interval(confidence)
    return {
        "value": plain.share, "low": low, "high": high, "n": int(plain.n), "hits": int(plain.hits),
        "n_days": int(np.unique(_days(table)).size), "days_low": days_low, "days_high": days_high,
    }  # fmt: skip


def _table(plantings: pd.DataFrame, by: list[str], confidence: float) -> list[dict[str, Any]]:
    """Rows of a table of efficiencies, in the order of SNR, class and distance."""
    names = {"level": "snr"}
    ordered = plantings.assign(
        magnitude_class=pd.Categorical(plantings["magnitude_class"], MAGNITUDE_CLASSES, ordered=True),
        distance=pd.Categorical(plantings["distance"], _distance_names(np.array(DISTANCE_EDGES_KM[:-1])), ordered=True),
    )
    return [
        {names.get(name, name): value for name, value in zip(by, key, strict=True)}
        | {"snr_median": float(rows["snr"].median())}
        | _share(rows, "recovered", confidence)
        for key, rows in ordered.groupby(by, observed=True, sort=True)
    ]


def _curve(plantings: pd.DataFrame, curve: Curve, confidence: float, seed: int) -> dict[str, Any]:
    """The fitted curve, and the SNR of its levels with an interval by the bootstrap of UTC days."""
    snr, recovered = plantings["snr"].to_numpy(), plantings["recovered"].to_numpy()
    _, day = np.unique(_days(plantings), return_inverse=True)
    rng = np.random.default_rng([seed, 22])
    m = int(day.max()) + 1
    draws = [
        fit_curve(snr, recovered, curve.floor, rng.multinomial(m, np.full(m, 1 / m))[day].astype(float), curve)
        for _ in range(REPLICATES)
    ]
    result: dict[str, Any] = {"middle_log10_snr": curve.middle, "slope_per_decade": curve.slope, "floor": curve.floor}
    tested = float(snr.min()), float(snr.max())
    for level in LEVELS:
        found = _snr_at(curve, level)
        low, high = np.quantile(
            [_snr_at(draw, level) for draw in draws], [(1 - confidence) / 2, (1 + confidence) / 2], method="nearest"
        )
        result[f"snr_{100 * level:.0f}"] = {
            "value": _within(found, tested), "low": _within(low, tested), "high": _within(high, tested),
            "sentence": _level_sentence(found, level, tested),
        }  # fmt: skip
    return result


def _snr_at(curve: Curve, level: float) -> float:
    return curve.snr_at(level) if level > curve.floor else np.nan


def _within(snr: float, tested: tuple[float, float]) -> float | None:
    return float(snr) if tested[0] <= snr <= tested[1] else None


def _level_sentence(snr: float, level: float, tested: tuple[float, float]) -> str:
    share = f"{100 * level:.0f} %"
    if snr > tested[1]:
        return f"{share} efficiency is not reached up to SNR {_plain(tested[1])}, the strongest planted"
    if snr < tested[0]:
        return f"{share} efficiency is reached below SNR {_plain(tested[0])}, the weakest planted"
    return f"{share} efficiency is reached at SNR {_plain(snr)}"


def _plain(snr: float) -> str:
    """Two significant digits, never as a power of ten: 210, not 2.1e+02."""
    return f"{float(f'{snr:.2g}'):g}"


def _earthquakes(observed: Counts, false_alarms: Counts) -> dict[str, Any]:
    if not observed.n:
        return {"hits": 0, "n": 0, "rate": None, "p_value": None}
    p_value = float(stats.binom.sf(observed.hits - 1, observed.n, false_alarms.share))
    return {"hits": int(observed.hits), "n": int(observed.n), "rate": observed.share, "p_value": p_value}


def _limits(plantings: pd.DataFrame, observed: Counts, false_alarms: Counts) -> list[dict[str, Any]]:
    rows = []
    for level, group in plantings.groupby("level", sort=True):
        efficiency = _counts(group, "recovered")
        limit, expected = Limit(None, None), Limit(None, None)
        if observed.n:
            chance = Counts(float(stats.binom.median(observed.n, false_alarms.share)), observed.n)
            limit, expected = (
                upper_limit(hits, efficiency, false_alarms, LIMIT_CONFIDENCE) for hits in (observed, chance)
            )
        rows.append({
            "snr": float(level), "confidence": LIMIT_CONFIDENCE, "efficiency": efficiency.share, "value": limit.value,
            "if_exact": limit.if_exact, "expected": expected.value,
            "sentence": _limit_sentence(float(level), limit, observed),
        })  # fmt: skip
    return rows


def _limit_sentence(snr: float, limit: Limit, observed: Counts) -> str:
    if not observed.n:
        return "no limit: the store holds no earthquake that the model has not seen"
    if limit.value is None:
        return f"no limit at SNR {snr:g}: the model finds such emissions no more often than it gives false alarms"
    if limit.value >= EXCLUDES_NOTHING:
        return f"nothing is excluded at SNR {snr:g}: every earthquake may have such an emission"
    return (
        f"at most {100 * limit.value:.0f} % of the earthquakes are preceded by an emission of SNR {snr:g} or more "
        f"({100 * LIMIT_CONFIDENCE:.0f} % confidence)"
    )


def describe_recovery(report: dict[str, Any]) -> str:
    """Say what a study found in plain sentences."""
    curve, quakes, tau = report["curve"], report["earthquakes"], report["false_alarms"]["value"]
    levels = f"{curve['snr_50']['sentence']}, {curve['snr_90']['sentence']}"
    parts = [f"With {100 * tau:.1f} % false alarms, {levels}."]
    if quakes["n"]:
        struck = quakes["p_value"] <= CHANCE_P
        parts.append(
            f"{quakes['hits']} of {quakes['n']} earthquakes have an alarm before them, "
            f"{quakes['n'] * tau:.1f} expected of false alarms (p = {quakes['p_value']:.2g}): "
            f"{'more than chance, so this is no null result' if struck else 'no more than chance'}."
        )
    if not report["upper_limits"]:
        return " ".join([*parts, "No limit: by the law no emission has an SNR near the planted ones."])
    limits = [row for row in report["upper_limits"] if row["value"] is not None and row["value"] < EXCLUDES_NOTHING]
    chosen = min(limits, key=lambda row: (row["value"], row["snr"])) if limits else report["upper_limits"][-1]
    sentence = str(chosen["sentence"])
    return " ".join([*parts, f"{sentence[0].upper()}{sentence[1:]}."])


def format_recovery(report: dict[str, Any]) -> str:
    """Lay out the content of recovery.json for a terminal; ends with the sentence."""
    limits = {row["snr"]: row["value"] for row in report["upper_limits"]}
    lines = [f"{'snr':>8}  {'recovered':>12}  efficiency             upper limit"]
    for row in report["efficiency"]:
        limit = limits[row["snr"]]
        lines.append(
            f"{row['snr']:8.3g}  {row['hits']:5d} of {row['n']:3d}  {row['value']:.2f} [{row['days_low']:.2f}, "
            f"{row['days_high']:.2f}]      {'none' if limit is None else f'{limit:.2f}'}"
        )
    lines += [f"warning     {sentence}" for sentence in report["warnings"]]
    return "\n".join([*lines, "", str(report["sentence"])])
