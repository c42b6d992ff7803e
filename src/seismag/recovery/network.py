"""Recovery by day: the emission is there at all stations of a UTC day at once, one window at each.

The network combines the stations by the total of their standardised log-odds over the square root of their number, as
independent tests of one hypothesis. One station is each of them alone. Both have the same false alarm fraction on the
same days without an emission.

Source: Stouffer et al. (1949), The American Soldier I, 45; see Whitlock (2005),
doi:10.1111/j.1420-9101.2005.00917.x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.domain import DataError
from seismag.recovery.bound import SnrRatio, compare_snr
from seismag.recovery.curves import (
    REFERENCE_SNR,
    Fraction,
    SnrAt,
    curve_json,
    fraction_of,
    replicate_curves,
    snr_of_curve,
)
from seismag.recovery.efficiency import Curve, false_alarm_threshold, fit_curve
from seismag.simulate.injected_windows import Target

_SMALLEST_P = 1e-6


@dataclass(frozen=True)
class DetectedDays:
    """Days or, for one station, days at stations, that are detected at one SNR (at M 5 and 100 km)."""

    snr: float
    network: Fraction
    one_station: Fraction


@dataclass(frozen=True)
class NetworkRecovery:
    """The key ``network`` of recovery.json.

    Attributes:
        n_days: days with injections. n_windows: windows of these days, one at each station.
        n_control_days: days without an emission that set the thresholds.
        false_alarms: of these days, by kind (``network``, ``one_station``).
        efficiency: by SNR at M 5 and 100 km.
        curve, snr_at: by kind.
        ratio: SNR of one station over that of the network at the same efficiency.
    """

    n_days: int
    n_windows: int
    n_control_days: int
    false_alarms: dict[str, Fraction]
    efficiency: list[DetectedDays]
    curve: dict[str, Curve]
    snr_at: dict[str, dict[str, SnrAt]]
    ratio: dict[str, SnrRatio]

    @property
    def sentence(self) -> str:
        """The SNR at 50 % of both."""
        mean = self.n_windows / self.n_days
        network, one = (self.snr_at[kind]["snr_50"].sentence for kind in ("network", "one_station"))
        return (
            f"Emission at all stations of a day ({mean:.1f} on average, {self.n_days} days): with the network "
            f"{network}, with one station {one}."
        )

    def to_json(self) -> dict[str, object]:
        """The keys of recovery.json."""
        document = asdict(self)
        del document["snr_at"]
        document["curve"] = {kind: curve_json(curve, self.snr_at[kind]) for kind, curve in self.curve.items()}
        return {"reason": None, "sentence": self.sentence} | document


@dataclass(frozen=True)
class NoNetworkRecovery:
    """Why there is no recovery by day."""

    reason: str

    def to_json(self) -> dict[str, object]:
        """The document."""
        return {"reason": self.reason}


def days_of_several_stations(targets: Sequence[Target], seed: int) -> list[list[Target]]:
    """Choose one window at random for each station and day; days with at least two stations, in random order."""
    rng = np.random.default_rng([seed, 23])
    days: dict[np.datetime64, dict[str, Target]] = {}
    for place in rng.permutation(len(targets)):
        target = targets[place]
        days.setdefault(target.day, {}).setdefault(target.station.code, target)
    several = [[of_day[code] for code in sorted(of_day)] for _, of_day in sorted(days.items()) if len(of_day) > 1]
    return [several[place] for place in rng.permutation(len(several))]


def most_days(days: Sequence[Sequence[Target]], windows: int) -> list[Target]:
    """Take whole days, in order, up to a number of windows; at least one day."""
    chosen: list[Target] = []
    for day in days:
        if chosen and len(chosen) + len(day) > windows:
            break
        chosen += day
    return chosen


def summarise_network(
    injections: pd.DataFrame, normal: pd.DataFrame, days: Sequence[Sequence[Target]], fraction: float, seed: int
) -> NetworkRecovery | NoNetworkRecovery:
    """Compare the network with one station, from injections at all stations of some days.

    Args:
        injections: sample_id, run_id, start_utc, snr_at_m5_100km, p_event, reason: whole days, each SNR.
        normal: control windows with run_id and p_event.
        days: all days with several stations; those without an injection count for the threshold too.
        fraction: of days, or of days at one station, that may exceed the threshold.
        seed: of the bootstrap.
    """
    windows = [target.sample_id for day in days for target in day]
    controls = _standardised(normal.set_index("sample_id").loc[windows], normal)
    controls["reason"] = ""
    by_kind = {"network": _by_day(controls), "one_station": controls}
    try:
        limits = {kind: false_alarm_threshold(rows["z"].to_numpy(), fraction) for kind, rows in by_kind.items()}
    except DataError:
        return NoNetworkRecovery(
            f"{len(days)} days with control windows at several stations are too few for a false alarm fraction of "
            f"{fraction:g}"
        )
    false_alarms = {
        kind: fraction_of(rows.assign(alarm=rows["z"] > limits[kind]), "alarm") for kind, rows in by_kind.items()
    }
    single = _standardised(injections, normal)
    found = {"network": _by_day(single), "one_station": single}
    curve, snr_at, replicates = {}, {}, {}
    for kind, rows in found.items():
        rows = rows.assign(recovered=rows["z"] > limits[kind], snr=rows[REFERENCE_SNR])
        found[kind] = rows
        curve[kind] = fit_curve(rows["snr"].to_numpy(), rows["recovered"].to_numpy(), false_alarms[kind].value)
        replicates[kind] = replicate_curves(rows, curve[kind], seed)
        snr_at[kind] = snr_of_curve(rows, curve[kind], replicates[kind])
    tested = float(single[REFERENCE_SNR].min()), float(single[REFERENCE_SNR].max())
    single_curves, network_curves = ([curve[kind], *replicates[kind]] for kind in ("one_station", "network"))
    ratio = compare_snr(single_curves, network_curves, tested, ("one station", "the network"))
    efficiency = [
        DetectedDays(float(snr), *(_at(found[kind], snr) for kind in ("network", "one_station")))
        for snr in sorted(single[REFERENCE_SNR].unique())
    ]
    n_days = found["network"]["start_utc"].nunique()
    n_windows = single["sample_id"].nunique()
    return NetworkRecovery(n_days, n_windows, len(days), false_alarms, efficiency, curve, snr_at, ratio)


def _standardised(rows: pd.DataFrame, normal: pd.DataFrame) -> pd.DataFrame:
    """Add z, the log-odds minus the mean of the control windows of the model, over their standard deviation.

    A window that ``prepare`` rejects with the emission (reason) has -inf: it gives no alarm.
    """
    of_run = normal.assign(log_odds=_log_odds(normal["p_event"])).groupby("run_id")["log_odds"]
    mean, spread = of_run.mean(), of_run.std(ddof=0).clip(lower=1e-9)
    z = (_log_odds(rows["p_event"]) - rows["run_id"].map(mean).to_numpy()) / rows["run_id"].map(spread).to_numpy()
    if "reason" in rows:
        z = np.where(rows["reason"] == "", z, -np.inf)
    return rows.assign(z=z)


def _by_day(rows: pd.DataFrame) -> pd.DataFrame:
    """Combine the windows of a day (and SNR) that are not rejected: sum of z over the square root of their number."""
    keys = [pd.to_datetime(rows["start_utc"]).dt.floor("D").rename("start_utc")]
    keys += [rows[REFERENCE_SNR]] if REFERENCE_SNR in rows else []
    known = rows["z"].where(np.isfinite(rows["z"]))
    sums = known.groupby(keys).agg(["sum", "count"])
    z = np.where(sums["count"] > 0, sums["sum"] / np.sqrt(np.maximum(sums["count"], 1)), -np.inf)
    return sums.assign(z=z).reset_index()


def _at(rows: pd.DataFrame, snr: float) -> Fraction:
    return fraction_of(rows[rows["snr"] == snr], "recovered")


def _log_odds(p_event: pd.Series) -> FloatArray:
    p = np.clip(p_event.to_numpy(dtype=float), _SMALLEST_P, 1 - _SMALLEST_P)
    return np.asarray(np.log(p / (1 - p)))
