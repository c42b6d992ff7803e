"""Station-stratified ROC AUC, and what it is where labels are exchanged or shifted in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.predictions import task_probabilities

LEAST_SLIDE = 0.05  # of the archive: shorter slides leave labels on their own windows
LEAST_PAIRS = 100  # of an event and a Normal window of one station
MINIMUM_AUC_EFFECT = 0.03  # above the null's mean
PLACEBO_DRAWS = 99
_SEASON_D = 92
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class Ranked:
    """Windows with labels and scores, in the order of station and time.

    Attributes:
        station: (n,) number of the station, ascending.
        is_event: (n,).
        rank: (n,) of the score among the station's windows, from 1; ties share their mean rank.
        unit: (n,) number of the station and group of the window: what exchanges labels as a whole.
        season: (n,) quarter of the year.
    """

    station: IndexArray
    is_event: NDArray[np.bool_]
    rank: FloatArray
    unit: IndexArray
    season: IndexArray


def exchange_labels(name: str, rows: Ranked, stratum: IndexArray, spec: AuditConfig, how: str) -> CheckResult:
    """Compare the AUC within station with that of labels exchanged between whole groups within strata."""
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 32])
    null = permuted_auc(rows, stratum, spec.permutations, rng)
    placebo = np.empty(spec.placebos)
    for number in range(spec.placebos):
        other = shift_scores(rows, rng.uniform(LEAST_SLIDE, 1 - LEAST_SLIDE))
        placebo[number] = _p_value(station_auc(other), permuted_auc(other, stratum, PLACEBO_DRAWS, rng))
    return summarise(name, station_auc(rows), null, placebo, how)


def rank_windows(table: pd.DataFrame, score: FloatArray | None = None) -> Ranked:
    """Sort windows by station and time and rank their scores within each station.

    Args:
        table: station, start_utc, split_group, and y_magnitude (or magnitude_class).
        score: (n,); None: P(Event) of a table of predictions.
    """
    if score is None:
        score = task_probabilities(table, "detection")[:, 1]
    names = {name: table[name].astype(str) for name in ("station", "split_group")}  # categories sort as they came
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


def replace_labels(rows: Ranked, is_event: NDArray[np.bool_]) -> Ranked:
    """Give windows other labels."""
    return Ranked(rows.station, is_event, rows.rank, rows.unit, rows.season)


def shift_scores(rows: Ranked, share: float) -> Ranked:
    """Turn the scores of each station round in time by a share of its windows."""
    rank = rows.rank.copy()
    for part in _station_slices(rows.station):
        rank[part] = np.roll(rank[part], int(share * (part.stop - part.start)))
    return Ranked(rows.station, rows.is_event, rank, rows.unit, rows.season)


def pooled_auc(rank_sum: FloatArray, n_events: FloatArray, n: FloatArray) -> FloatArray:
    """AUC within station, pooled by numbers of pairs.

    Args:
        rank_sum: (..., S) sum of the ranks of the event windows of each station.
        n_events, n: (..., S) event windows, and windows.

    Returns:
        (...,); NaN where no station has windows of both kinds.
    """
    pairs = (n_events * (n - n_events)).sum(axis=-1)
    higher = np.where((n_events > 0) & (n_events < n), rank_sum - n_events * (n_events + 1) / 2, 0).sum(axis=-1)
    return np.asarray(np.divide(higher, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0))


def station_auc(rows: Ranked) -> float:
    """AUC of the scores within station."""
    return float(pooled_auc(*_station_sums(rows, rows.is_event[None]))[0])


def shifted_auc(rows: Ranked, slides: FloatArray) -> FloatArray:
    """AUC (k,) with the labels of each station turned round by these shares of its windows.

    The sums of ranks at all turns of a station are one circular correlation.
    """
    sums, events, counts = (np.zeros((len(slides), rows.station.max() + 1)) for _ in range(3))
    for number, part in enumerate(_station_slices(rows.station)):
        n = part.stop - part.start
        label, rank = rows.is_event[part].astype(float), rows.rank[part]
        at_turn = fft.irfft(fft.rfft(rank) * np.conj(fft.rfft(label)), n=n)  # sum of rank[t + turn] label[t]
        sums[:, number] = at_turn[(slides * n).astype(int)]
        events[:, number], counts[:, number] = label.sum(), n
    return pooled_auc(sums, events, counts)


def permuted_auc(rows: Ranked, stratum: IndexArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """AUC (draws,) with the labels of groups exchanged within strata."""
    chunk = max(1, _CHUNK_CELLS // len(rows.station))
    parts = []
    for first in range(0, draws, chunk):
        labels = _permuted_units(rows, stratum, min(chunk, draws - first), rng)
        parts.append(pooled_auc(*_station_sums(rows, labels)))
    return np.concatenate(parts)


def summarise(name: str, auc: float, null: FloatArray, placebo: FloatArray, how: str) -> CheckResult:
    """Put an AUC beside its null."""
    low, mean, high = float(np.quantile(null, 0.025)), float(null.mean()), float(np.quantile(null, 0.975))
    p_value = _p_value(auc, null)
    return CheckResult(
        name=name,
        sentence=(
            f"within a station an event window ranks above a Normal one in {100 * auc:.1f} % of pairs; where {how}, in "
            f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f} %), p {p_value:.2g}."
        ),
        statistic=auc,
        statistic_name="AUC of P(Event) within station",
        null={"mean": mean, "low": low, "high": high},
        p_value=p_value,
        placebo_rate=float((placebo <= 0.05).mean()),
        material=auc - mean >= MINIMUM_AUC_EFFECT,
        details={"draws": len(null)},
    )


def too_few_pairs(name: str, rows: Ranked) -> CheckResult | None:
    """An undecided answer where a ranking within stations rests on too few pairs."""
    _, events, n = (sums[0] for sums in _station_sums(rows, rows.is_event[None]))
    pairs = int((events * (n - events)).sum())
    if pairs >= LEAST_PAIRS:
        return None
    return CheckResult(
        name,
        f"Only {pairs} pairs of an event and a Normal window of one station; {LEAST_PAIRS} are needed to rank them.",
    )


def _slides(draws: int, rng: np.random.Generator) -> FloatArray:
    return rng.uniform(LEAST_SLIDE, 1 - LEAST_SLIDE, draws)


def _p_value(statistic: float, null: FloatArray) -> float:
    return (1 + int((null >= statistic - 1e-12).sum())) / (1 + len(null))


def _station_slices(station: IndexArray) -> list[slice]:
    ends = np.searchsorted(station, np.arange(station.max() + 1), side="right")
    return [slice(int(begin), int(end)) for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True)]


def _station_sums(rows: Ranked, labels: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rank sums, event windows and windows (K, S) of each station under K sets of labels."""
    begins = [part.start for part in _station_slices(rows.station)]
    sums = np.add.reduceat(labels * rows.rank, begins, axis=1)
    events = np.add.reduceat(labels.astype(float), begins, axis=1)
    return sums, events, np.broadcast_to(np.bincount(rows.station).astype(float), events.shape)


def _unit_labels(rows: Ranked, stratum: IndexArray) -> tuple[IndexArray, NDArray[np.bool_], IndexArray]:
    """Number the parts of groups that lie in one stratum; gives (n,) number, and label and stratum of each part."""
    pair = np.stack([rows.unit, stratum], axis=1)
    parts, number = np.unique(pair, axis=0, return_inverse=True)
    number = number.ravel()
    label = np.zeros(len(parts), dtype=bool)
    label[number] = rows.is_event
    return number, label, parts[:, 1]


def _permuted_units(rows: Ranked, stratum: IndexArray, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exchange the labels of groups within strata: (draws, n)."""
    number, label, of_stratum = _unit_labels(rows, stratum)
    by_stratum = np.argsort(of_stratum, kind="stable")
    keys = rng.random((draws, len(label))) + of_stratum
    order = np.argsort(keys, axis=1)  # the units of a stratum fill the places of that stratum in another order
    result = np.empty((draws, len(label)), dtype=bool)
    np.put_along_axis(result, order, label[by_stratum][None], axis=1)
    return result[:, number]
