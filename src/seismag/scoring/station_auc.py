"""Station-stratified ROC AUC, and its null distributions under permuted and circularly shifted labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import fft
from scipy.sparse import csr_array

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.null import MAX_PLACEBO_RATE, PLACEBO_ALPHA, Null, placebo_rate
from seismag.scoring.predictions import task_probabilities

MIN_SHIFT = 0.05  # of the archive: smaller shifts leave labels on their own windows
MIN_STATION_PAIRS = 100  # of an event and a control window of one station
MINIMUM_AUC_EFFECT = 0.03  # above the mean of the null
PLACEBO_PERMUTATIONS = 99
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
        unit: (n,) index of the combination of station and group, whose windows keep a common label.
        season: (n,) quarter of the year.
    """

    station: IndexArray
    is_event: BoolArray
    rank: FloatArray
    unit: IndexArray
    season: IndexArray


def permute_labels(name: str, rows: Ranked, stratum: IndexArray, spec: AuditConfig, how: str) -> CheckResult:
    """Test the station-stratified AUC against labels permuted between whole groups within strata."""
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 32])
    null = Null(permuted_auc(rows, stratum, spec.permutations, rng), _TIE)
    placebo_p = []
    for _ in range(spec.placebos):
        shift = rng.uniform(MIN_SHIFT, 1 - MIN_SHIFT)
        rank = [
            np.roll(rows.rank[part], int(shift * (part.stop - part.start))) for part in _station_slices(rows.station)
        ]
        placebo = dataclasses.replace(rows, rank=np.concatenate(rank))
        of_placebo = Null(permuted_auc(placebo, stratum, PLACEBO_PERMUTATIONS, rng), _TIE)
        placebo_p.append(of_placebo.p_value(station_auc(placebo)))
    return compare_with_null(name, station_auc(rows), null, placebo_p, how)


def shift_labels_in_time(name: str, rows: Ranked, spec: AuditConfig, how: str) -> CheckResult:
    """Test the station-stratified AUC against labels that are shifted circularly in time at all stations together."""
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 31])
    null = Null(shifted_auc(rows, rng.uniform(MIN_SHIFT, 1 - MIN_SHIFT, spec.permutations)), _TIE)
    placebo_p = []
    for _ in range(spec.placebos):
        placebo = dataclasses.replace(rows, is_event=permuted_labels(rows, rows.station, 1, rng)[0])
        shifts = rng.uniform(MIN_SHIFT, 1 - MIN_SHIFT, PLACEBO_PERMUTATIONS)
        placebo_p.append(Null(shifted_auc(placebo, shifts), _TIE).p_value(station_auc(placebo)))
    return compare_with_null(name, station_auc(rows), null, placebo_p, how)


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
        unit=rows.groupby(["station", "split_group"], sort=False).ngroup().to_numpy(),
        season=np.minimum(day_of_year // _SEASON_D, 3),
    )


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


def shifted_auc(rows: Ranked, shifts: FloatArray) -> FloatArray:
    """AUC (k,) with the labels of each station shifted circularly by these fractions of its windows.

    The rank sums at all shifts of a station are one circular correlation.
    """
    sums, events, counts = (np.zeros((len(shifts), rows.station.max() + 1)) for _ in range(3))
    for index, part in enumerate(_station_slices(rows.station)):
        n = part.stop - part.start
        label, rank = rows.is_event[part].astype(float), rows.rank[part]
        at_shift = fft.irfft(fft.rfft(rank) * np.conj(fft.rfft(label)), n=n)  # sum of rank[t + shift] label[t]
        sums[:, index] = at_shift[(shifts * n).astype(int)]
        events[:, index], counts[:, index] = label.sum(), n
    return pooled_auc(sums, events, counts)


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
    """Split the units by stratum: part of each window (n,), and the label and the stratum of each part."""
    parts, part = np.unique(np.stack([rows.unit, stratum], axis=1), axis=0, return_inverse=True)
    part = part.ravel()
    label = np.zeros(len(parts), dtype=bool)
    label[part] = rows.is_event
    return part, label, parts[:, 1]


def compare_with_null(name: str, auc: float, null: Null, placebo_p: list[float], how: str) -> CheckResult:
    """Informational result of a station-stratified AUC and its null distribution."""
    chance, p_value, rate = null.interval(), null.p_value(auc), placebo_rate(placebo_p)
    remark = ""
    if rate > MAX_PLACEBO_RATE:
        remark = f", where {100 * rate:.0f} % of {len(placebo_p)} placebos have p <= {PLACEBO_ALPHA:g}"
    by_chance = f"{100 * chance.mean:.1f} % ({100 * chance.low:.1f} to {100 * chance.high:.1f} %)"
    return CheckResult(
        name=name,
        sentence=(
            f"within a station an event window ranks above a control window in {100 * auc:.1f} % of pairs; "
            f"where {how}, in {by_chance}, p {p_value:.2g}{remark}."
        ),
        statistic=auc,
        statistic_name="station-stratified ROC AUC of P(Event)",
        null=chance,
        p_value=p_value,
        placebo_rate=rate,
        above_minimum=auc - chance.mean >= MINIMUM_AUC_EFFECT,
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


def _station_slices(station: IndexArray) -> list[slice]:
    ends = np.searchsorted(station, np.arange(station.max() + 1), side="right")
    return [slice(int(begin), int(end)) for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True)]


def _station_sums(
    rank: FloatArray, labels: BoolArray, station: IndexArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rank sums, event windows and windows (K, S) of each station for K sets of labels."""
    by_station = csr_array((np.ones(len(station)), (station, np.arange(len(station)))))  # (S, n)
    events = (by_station @ labels.T.astype(float)).T
    rank_sum = (by_station @ (labels * rank).T).T
    return rank_sum, events, np.broadcast_to(by_station.sum(axis=1), events.shape)
