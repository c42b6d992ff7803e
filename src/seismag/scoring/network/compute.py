"""Scores of the event probabilities of days: all stations together, one station alone, non-magnetic baselines.

Learning and evaluation are apart: the days are divided into folds of whole groups, and in each fold calibration,
combination, its rule, and the baselines are learnt on the other days. The predictions themselves are those of models
that have not seen their windows.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.baselines.frequencies import BASE_RATES
from seismag.scoring.clusters import Clusters, Sums, Truth, sum_scores
from seismag.scoring.estimates import Difference, IntervalEstimate, Score, Scored, Skill, best_difference, finite
from seismag.scoring.forecasts import MODEL
from seismag.scoring.jackknife import LeftOut, inconclusive
from seismag.scoring.network.combine import COUNTS, RULES, Units, by_numbers, combine_days, forecast_by_columns
from seismag.scoring.network.days import Days, find_days
from seismag.scoring.predictions import is_naive

FALSE_ALARM_DAYS = 0.05  # fraction of control days above the threshold of ``detected``
NUMBERS = "windows_and_stations"  # baseline: the combination without evidence
_FOLDS = 5
_SCORES = {"log_score": "log_score", "brier": "brier", "roc_auc": "auc_within_station"}  # key of JSON, of ``Scored``


@dataclass(frozen=True)
class Gain(IntervalEstimate):
    """Difference of two mean log scores in nat, positive where the first is better.

    ``p_value`` is one-sided; ``n`` days, ``n_clusters`` event clusters and control blocks.
    """

    p_value: float | None
    n: int
    n_clusters: int


@dataclass(frozen=True)
class StationGain:
    """Network compared with one station, over the days on which this station has windows."""

    station: str
    n_event_days: int
    gain: Gain


@dataclass(frozen=True)
class StationAreas:
    """ROC AUC of the days at each station, stations pooled; the network ranks the same days at the same stations."""

    network: IntervalEstimate
    one_station: IntervalEstimate
    difference: IntervalEstimate


@dataclass(frozen=True)
class Detected:
    """Event clusters detected, each by the fraction of its days above the threshold of its forecast.

    The threshold is exceeded by ``false_alarms`` of the control days, or by fewer. One station: stations of a day are
    averaged.
    """

    false_alarms: float
    network: IntervalEstimate
    one_station: IntervalEstimate
    difference: IntervalEstimate


@dataclass(frozen=True)
class NetworkScores:
    """The key ``network`` of metrics.json.

    Attributes:
        n, n_event_days: days that were evaluated, and event days among them.
        n_clusters, n_event_groups, n_normal_groups: groups of these days.
        n_stations: of the table. n_several: days with windows at two stations or more.
        days_left_out: days without an event window of interest that have a window before another event.
        scores: of the network; log score in nat.
        one_station: log score of one station, averaged over the stations of a day.
        roc_auc_at_stations: of days at stations.
        baselines: scores by baseline.
        skill: of the network over the best baseline, by score.
        over_one_station: log score of the network minus that of one station.
        over_one_station_where_several: the same over the days with windows at two stations or more.
        by_station: the same for each station, over its days.
        detected: at the same fraction of false alarms.
        rules: folds in which each rule was chosen, for the network and for one station.
    """

    n: int
    n_event_days: int
    n_clusters: int
    n_event_groups: int
    n_normal_groups: int
    n_stations: int
    n_several: int
    days_left_out: int
    scores: dict[str, Score]
    one_station: dict[str, IntervalEstimate]
    roc_auc_at_stations: StationAreas
    baselines: dict[str, dict[str, IntervalEstimate]]
    skill: dict[str, Skill]
    over_one_station: Gain
    over_one_station_where_several: Gain
    by_station: list[StationGain]
    detected: Detected
    rules: dict[str, dict[str, int]]

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"reason": None} | dataclasses.asdict(self)


@dataclass(frozen=True)
class NoNetwork:
    """Why days were not evaluated."""

    reason: str

    def to_json(self) -> dict[str, object]:
        """The document."""
        return {"reason": self.reason}


def score_network(
    rows: pd.DataFrame, of_interest: BoolArray, samples: pd.DataFrame | None, config: EvaluateConfig
) -> NetworkScores | NoNetwork:
    """Combine the windows of each UTC day over stations, and score the days.

    Args:
        rows: the evaluated rows of PREDICTIONS.
        of_interest: (n,) the windows that are scored; see ``find_days``.
        samples: the store's table, for Kp, Dst and the rate of past earthquakes.
        config: confidence of the intervals.

    Returns:
        The scores; a reason where there are fewer than two stations, no day with two of them, or fewer event clusters
        or control blocks than an interval needs.
    """
    if is_naive(rows):
        return NoNetwork("the split is naive, so the predictions are not those of left-out windows")
    if rows["station"].nunique() < 2:
        return NoNetwork("the table has one station")
    days = find_days(rows, of_interest, samples)
    several = (days.table["n_stations"] > 1).to_numpy()
    if not several.any():
        return NoNetwork("no UTC day has windows at two stations")
    if days.is_event_day.all() or not days.is_event_day.any():
        return NoNetwork("every UTC day has an event window" if days.is_event_day.any() else "no event window")
    if (few := inconclusive(days.clusters.has_event)) is not None:
        return NoNetwork(few)
    units = Units.of_stations(days)
    forecasts, p_one, rules = _forecast(days, units)
    names = sorted(rows["station"].astype(str).unique())
    return _score(days, units, forecasts, p_one, rules, names, config)


def _forecast(days: Days, units: Units) -> tuple[dict[str, FloatArray], FloatArray, dict[str, dict[str, int]]]:
    """Forecasts out of fold: by name (d,), the network as ``MODEL``; of one station (u,); and the folds by rule."""
    columns = baseline_columns(days.table.columns)
    forecasts = {name: np.full(len(days.table), np.nan) for name in (MODEL, NUMBERS, *columns)}
    p_one = np.full(len(units.day), np.nan)
    chosen: dict[str, list[str]] = {"network": [], "one_station": []}
    for train, wanted in days.folds(np.ones(len(days.table), dtype=bool), _FOLDS):
        network, one = combine_days(days, train, wanted, [Units.of_days(days), units])
        forecasts[MODEL][wanted] = network.p_event[wanted]
        p_one = np.where(wanted[units.day], one.p_event, p_one)
        chosen["network"].append(network.rule)
        chosen["one_station"].append(one.rule)
        forecasts[NUMBERS][wanted] = by_numbers(days, train)[wanted]
        for name, used in columns.items():
            forecasts[name][wanted] = forecast_by_columns(days, used, train)[wanted]
    forecasts[BASE_RATES] = np.full(len(days.table), days.is_event_day.mean())
    counts = {kind: Counter(names) for kind, names in chosen.items()}
    return forecasts, p_one, {kind: {rule: of_kind[rule] for rule in RULES} for kind, of_kind in counts.items()}


def baseline_columns(columns: Iterable[str]) -> dict[str, list[str]]:
    """Fitted non-magnetic baselines of days, and the columns of ``Days.table`` of each; absent without its columns.

    Example:
        >>> found = baseline_columns(["start_utc", "at_GTO", "kp_max"])
        >>> found["stations"], found["all_no_signal"]
        (['at_GTO'], ['at_GTO', 'start_utc', 'kp_max'])
    """
    present = list(columns)
    groups = {
        "stations": tuple(name for name in present if name.startswith("at_")),
        "clock": ("start_utc",),
        "space_weather": ("kp_max", "dst_min_nt"),
        "catalogue_rate": ("past_rate",),
    }
    groups["all_no_signal"] = tuple(name for names in (*groups.values(), COUNTS) for name in names)
    found = {name: [column for column in used if column in present] for name, used in groups.items()}
    return {name: used for name, used in found.items() if used}


def _score(
    days: Days,
    units: Units,
    forecasts: dict[str, FloatArray],
    p_one: FloatArray,
    rules: dict[str, dict[str, int]],
    stations: list[str],
    config: EvaluateConfig,
) -> NetworkScores:
    """Scores of forecasts by day, and their paired differences."""
    clusters, truth = days.clusters, days.is_event_day
    n_days, confidence = len(truth), config.confidence
    whole = np.zeros(n_days, dtype=np.intp)
    scored = {name: _scored(p, truth, whole, clusters) for name, p in forecasts.items()}
    baselines = [name for name in forecasts if name != MODEL]
    station = _station_of(days, units)
    log_network, log_units = (_log_scores(p, y) for p, y in ((forecasts[MODEL], truth), (p_one, truth[units.day])))
    log_one = np.bincount(units.day, weights=log_units) / np.bincount(units.day)
    every, several = np.ones(n_days, dtype=bool), (days.table["n_stations"] > 1).to_numpy()
    counted = {"n": n_days, "n_clusters": clusters.n}
    skill = {key: best_difference("detection", name, scored, baselines, config) for key, name in _SCORES.items()}
    return NetworkScores(
        n=n_days,
        n_event_days=int(truth.sum()),
        n_clusters=clusters.n,
        n_event_groups=clusters.n_event,
        n_normal_groups=clusters.n - clusters.n_event,
        n_stations=len(stations),
        n_several=int(several.sum()),
        days_left_out=days.left_out,
        scores={key: Score(**vars(entry), **counted) for key, entry in _estimates(scored[MODEL], confidence).items()},
        one_station={"log_score": _mean(log_one, every, clusters, confidence)},
        roc_auc_at_stations=_rank(days, units, forecasts[MODEL], p_one, confidence),
        baselines={name: _estimates(scored[name], confidence) for name in baselines},
        skill={key: _skill(entry, **counted) for key, entry in skill.items()},
        over_one_station=_gain(log_network - log_one, clusters, every, confidence),
        over_one_station_where_several=_gain(log_network - log_one, clusters, several, confidence),
        by_station=[
            _station_gain(name, days, units.day[station == k], log_network, log_units[station == k], confidence)
            for k, name in enumerate(stations)
            if (station == k).any()
        ],
        detected=_detected(days, units, forecasts[MODEL], p_one, confidence),
        rules=rules,
    )


def _station_of(days: Days, units: Units) -> IndexArray:
    station = np.zeros(len(units.day), dtype=np.intp)
    station[units.of_window] = days.station
    return station


def _skill(entry: Difference, n: int, n_clusters: int) -> Skill:
    return Skill(**vars(entry), n=n, n_clusters=n_clusters)


def _scored(p_event: FloatArray, truth: BoolArray, stratum: IndexArray, clusters: Clusters) -> Scored:
    probs, index = np.column_stack([1 - p_event, p_event]), truth.astype(np.intp)
    cm = m.cluster_confusion(index, probs.argmax(axis=1), clusters.index, 2)
    sums = sum_scores("detection", probs, Truth({"detection": index}, None, stratum, clusters))
    return Scored.of(Sums(cm, sums), clusters.has_event)


def _estimates(scored: Scored, confidence: float) -> dict[str, IntervalEstimate]:
    return {key: scored.estimate(name, confidence) for key, name in _SCORES.items()}


def _log_scores(p_event: FloatArray, truth: BoolArray) -> FloatArray:
    return m.row_log_scores(np.column_stack([1 - p_event, p_event]), truth.astype(np.intp))


def _mean(values: FloatArray, chosen: BoolArray, clusters: Clusters, confidence: float) -> IntervalEstimate:
    """Mean of values (d,) over some days."""
    gain = _gain(values, clusters, chosen, confidence)
    return IntervalEstimate(gain.value, gain.low, gain.high)


def _gain(values: FloatArray, clusters: Clusters, chosen: BoolArray, confidence: float) -> Gain:
    """Mean of differences (d,) over some days, with its interval; groups without such a day do not count."""
    present, index = np.unique(clusters.index[chosen], return_inverse=True)
    sums, days = np.bincount(index, weights=values[chosen]), np.bincount(index).astype(float)
    value = float(ratio(sums.sum(), days.sum()))
    left_out = LeftOut(ratio(sums.sum() - sums, days.sum() - days), clusters.has_event[present], int(chosen.sum()))
    low, high = left_out.interval(value, confidence)
    p_value = finite(left_out.p_value(value))
    return Gain(finite(value), finite(low), finite(high), p_value, int(chosen.sum()), len(present))


def _station_gain(
    name: str, days: Days, of_station: IndexArray, log_network: FloatArray, log_station: FloatArray, confidence: float
) -> StationGain:
    rows = of_station
    difference, chosen = np.zeros(len(log_network)), np.zeros(len(log_network), dtype=bool)
    difference[rows], chosen[rows] = log_network[rows] - log_station, True
    n_event_days = int(days.is_event_day[rows].sum())
    return StationGain(name, n_event_days, _gain(difference, days.clusters, chosen, confidence))


def _rank(days: Days, units: Units, p_network: FloatArray, p_one: FloatArray, confidence: float) -> StationAreas:
    clusters = Clusters(days.clusters.index[units.day], days.clusters.has_event)
    station, truth, score = _station_of(days, units), days.is_event_day[units.day], _SCORES["roc_auc"]
    network, one = (_scored(p_event, truth, station, clusters) for p_event in (p_network[units.day], p_one))
    difference = IntervalEstimate.jackknifed(*network.minus(one, score), confidence)
    return StationAreas(network.estimate(score, confidence), one.estimate(score, confidence), difference)


def _detected(days: Days, units: Units, p_network: FloatArray, p_one: FloatArray, confidence: float) -> Detected:
    clusters, truth, weight = days.clusters, days.is_event_day[units.day], units.weights
    found = []
    for p_event in (p_network[units.day], p_one):
        above = p_event > _threshold(p_event[~truth], weight[~truth])
        hits, n = (
            np.bincount(clusters.index[units.day], weights=values * truth, minlength=clusters.n)
            for values in (above * weight, weight)
        )
        found.append(np.nan_to_num(ratio(hits, n)))
    left_out = []
    for of_cluster in found:
        total, events = of_cluster.sum(), clusters.has_event.astype(float)
        without = ratio(total - of_cluster, clusters.n_event - events)
        left_out.append(LeftOut(without, clusters.has_event, clusters.n_event, (0.0, 1.0)))
    network, one = (float(of_cluster.sum()) / clusters.n_event for of_cluster in found)
    values = ((network, left_out[0]), (one, left_out[1]), (network - one, left_out[0].minus(left_out[1])))
    return Detected(FALSE_ALARM_DAYS, *(IntervalEstimate.jackknifed(*entry, confidence) for entry in values))


def _threshold(p_event: FloatArray, weight: FloatArray) -> float:
    """Smallest value that at most ``FALSE_ALARM_DAYS`` of the control days exceed, by weight."""
    order = np.argsort(-p_event, kind="stable")
    values, above = p_event[order], np.cumsum(weight[order])
    first = int(np.searchsorted(above, FALSE_ALARM_DAYS * weight.sum() + 1e-9, side="right"))
    return float(values[first])
