"""Station-stratified ROC AUC, compared with that of permuted and of circularly shifted labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.null import Null
from seismag.scoring.predictions import task_probabilities

MIN_SHIFT, MAX_SHIFTS = 0.05, 199  # of the groups: smaller shifts leave labels near their own windows
MAX_DRAWS = 999
MIN_STATION_PAIRS = 100  # of an event and a control window of one station
MINIMUM_AUC_EFFECT = 0.03  # above the mean of the null
_TIE = 1e-12
_CHUNK_NUMBERS = 4_000_000
_SEASON_D = 92


@dataclass(frozen=True)
class Ranked:
    """Windows with labels and scores, sorted by station and time.

    Attributes:
        station: (n,) index of the station, ascending.
        is_event: (n,).
        rank: (n,) of the score among the station's windows, from 1; ties have their mean rank.
        group: (n,) index of the group, in order of its first window; its windows keep a common label.
        season: (n,) quarter of the year.
    """

    station: IndexArray
    is_event: BoolArray
    rank: FloatArray
    group: IndexArray
    season: IndexArray


def permute_labels(name: str, rows: Ranked, spec: AuditConfig) -> CheckResult:
    """Compare the station-stratified AUC with labels permuted between whole groups of one season."""
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 32])
    null = Null(permuted_auc(rows, rows.season, min(spec.permutations, MAX_DRAWS), rng), _TIE)
    return compare_with_null(name, station_auc(rows), null, "labels are permuted between groups of one season")


def shift_labels_in_time(name: str, rows: Ranked) -> CheckResult:
    """Compare the station-stratified AUC with labels of groups, in order of time, that are shifted circularly."""
    if refusal := too_few_pairs(name, rows):
        return refusal
    return compare_with_null(name, station_auc(rows), Null(shifted_auc(rows), _TIE), "the labels are shifted in time")


def rank_windows(table: pd.DataFrame, score: FloatArray | None = None) -> Ranked:
    """Sort windows by station and time and rank their scores within each station.

    ``table`` has station, start_utc, split_group, and y_magnitude (or magnitude_class). Without ``score`` (n,) it is
    P(Event) of a table of predictions.
    """
    if score is None:
        score = task_probabilities(table, "detection")[:, 1]
    names = {name: table[name].astype(str) for name in ("station", "split_group")}  # categories sort by their order
    table = table.assign(**names)
    order = np.lexsort((table["start_utc"], table["station"]))
    rows = table.iloc[order]
    station = pd.factorize(rows["station"], sort=True)[0]
    label = rows["y_magnitude" if "y_magnitude" in rows else "magnitude_class"]
    start = rows["start_utc"].to_numpy().astype("datetime64[D]")
    day_of_year = (start - start.astype("datetime64[Y]")).astype(int)
    return Ranked(
        station=station,
        is_event=(label != "Normal").to_numpy(),
        rank=pd.Series(score[order]).groupby(station).rank().to_numpy(),
        group=_groups_in_time(rows),
        season=np.minimum(day_of_year // _SEASON_D, 3),
    )


def _groups_in_time(rows: pd.DataFrame) -> IndexArray:
    group = pd.factorize(rows["split_group"])[0]
    first = rows["start_utc"].reset_index(drop=True).groupby(group).min()
    return np.asarray(first.rank(method="first").to_numpy().astype(np.intp)[group] - 1)


def pooled_auc(rank_sum: FloatArray, n_events: FloatArray, n: FloatArray) -> FloatArray:
    """Station-stratified AUC, stations weighted by their numbers of pairs.

    Args:
        rank_sum: (..., S) sum of the ranks of the event windows of each station.
        n_events, n: (..., S) event windows, and windows.

    Returns:
        (...,); NaN where no station has windows of both kinds.

    Source: Mann & Whitney (1947), doi:10.1214/aoms/1177730491, summed over stations.
    """
    pairs = (n_events * (n - n_events)).sum(axis=-1)
    higher = np.where((n_events > 0) & (n_events < n), rank_sum - n_events * (n_events + 1) / 2, 0).sum(axis=-1)
    return ratio(higher, pairs)


def labelled_auc(rank: FloatArray, labels: BoolArray, station: IndexArray) -> FloatArray:
    """Station-stratified AUC (K,) of ranks within stations (n,) for K sets of labels (K, n)."""
    return pooled_auc(*_station_sums(rank, labels, station))


def station_auc(rows: Ranked) -> float:
    """Station-stratified AUC of the scores."""
    return float(labelled_auc(rows.rank, rows.is_event[None], rows.station)[0])


def shifted_auc(rows: Ranked) -> FloatArray:
    """AUC (k,) with the labels of the groups shifted circularly by 5 to 95 % of the groups, in at most 199 steps.

    A group keeps one label at all of its stations, and neighbours in time stay neighbours.
    """
    label = np.zeros(rows.group.max() + 1, dtype=bool)
    label[rows.group] = rows.is_event
    least = int(np.ceil(MIN_SHIFT * len(label)))
    shifts = np.unique(np.linspace(least, len(label) - least, MAX_SHIFTS).astype(int))
    parts = [labelled_auc(rows.rank, np.roll(label, shift)[None, rows.group], rows.station) for shift in shifts]
    return np.concatenate(parts)


def permuted_auc(rows: Ranked, stratum: IndexArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """AUC (draws,) with the labels of groups permuted within strata."""
    chunk = max(1, _CHUNK_NUMBERS // len(rows.station))
    parts = []
    for first in range(0, draws, chunk):
        labels = permuted_labels(rows, stratum, min(chunk, draws - first), rng)
        parts.append(labelled_auc(rows.rank, labels, rows.station))
    return np.concatenate(parts)


def permuted_labels(rows: Ranked, stratum: IndexArray, draws: int, rng: np.random.Generator) -> BoolArray:
    """Labels (draws, n), permuted between whole groups within strata."""
    part, label, stratum_of_part = unit_labels(rows, stratum)
    by_stratum = np.argsort(stratum_of_part, kind="stable")
    keys = rng.random((draws, len(label))) + stratum_of_part
    order = np.argsort(keys, axis=1)  # the k-th label of a stratum goes to the unit with the k-th smallest key
    result = np.empty((draws, len(label)), dtype=bool)
    np.put_along_axis(result, order, label[by_stratum][None], axis=1)
    return result[:, part]


def unit_labels(rows: Ranked, stratum: IndexArray) -> tuple[IndexArray, BoolArray, IndexArray]:
    """Split the groups by stratum: part of each window (n,), and the label and the stratum of each part."""
    parts, part = np.unique(np.stack([rows.group, stratum], axis=1), axis=0, return_inverse=True)
    part = part.ravel()
    label = np.zeros(len(parts), dtype=bool)
    label[part] = rows.is_event
    return part, label, parts[:, 1]


def compare_with_null(name: str, auc: float, null: Null, how: str) -> CheckResult:
    """Describe a station-stratified AUC, compared with that of other labels.

    There is no p-value. Labels that are independent of the scores exceed 95 % of the others in 4 to 12 % of simulated
    studies, and in 24 % of shifts where scores and earthquakes have a season (docs/benchmarks.md).
    """
    chance = null.interval()
    by_chance = f"{100 * chance.mean:.1f} % (95 % of them in {100 * chance.low:.1f} to {100 * chance.high:.1f} %)"
    return CheckResult(
        name=name,
        sentence=(
            f"within a station an event window ranks above a control window in {100 * auc:.1f} % of pairs; "
            f"where {how}, in {by_chance}. A description without p-value: seasons and swarms spread it further."
        ),
        statistic=auc,
        statistic_name="station-stratified ROC AUC of P(Event)",
        null=chance,
        above_minimum=auc - chance.mean >= MINIMUM_AUC_EFFECT,
        verdict="informational",
        details={"draws": len(null.values)},
    )


def too_few_pairs(name: str, rows: Ranked) -> CheckResult | None:
    """Inconclusive result where the stations have fewer than 100 pairs of an event and a control window, else None."""
    _, events, n = (sums[0] for sums in _station_sums(rows.rank, rows.is_event[None], rows.station))
    pairs = int((events * (n - events)).sum())
    if pairs >= MIN_STATION_PAIRS:
        return None
    return CheckResult(
        name,
        f"inconclusive ({pairs} pairs of an event and a control window of one station; at least {MIN_STATION_PAIRS} "
        "are needed).",
    )


def _station_sums(
    rank: FloatArray, labels: BoolArray, station: IndexArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rank sums, event windows and windows (K, S) of each station for K sets of labels."""
    by_station = csr_array((np.ones(len(station)), (station, np.arange(len(station)))))  # (S, n)
    events = (by_station @ labels.T.astype(float)).T
    rank_sum = (by_station @ (labels * rank).T).T
    return rank_sum, events, np.broadcast_to(by_station.sum(axis=1), events.shape)
