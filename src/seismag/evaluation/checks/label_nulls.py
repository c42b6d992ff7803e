"""Would other labels do as well? Nulls that keep everything about the labels but their tie to the field.

The statistic of all is the AUC of P(Event) within station: of an event window and a Normal window of one station, how
often the event window has the higher probability, pooled over the stations by their numbers of such pairs. What a
station is, and how often earthquakes follow there, cannot raise it.

- ``time_slide``: the labels of all stations slide along time together, round the end, by a random share of the archive.
  Their runs and their simultaneity stay.
- ``station_season``: within a station and a quarter of the year, whole groups (an event's windows, a Normal block)
  exchange labels.
- ``label_shuffle_refit``: whole groups of a station exchange labels, and a reference model of the field is fitted anew.

A probability fitted by cross-validation is below chance where nothing can be learnt, since controls are matched; so
0.5 is no null, and these are one-sided and, for such a model, conservative.

Source: of the AUC as a sum of ranks, Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.evaluation.checks.reference_model import (
    field_features,
    folds_of,
    out_of_fold_scores,
    set_against_station,
)  # fmt: skip
from seismag.evaluation.checks.result import CheckResult
from seismag.scoring.predictions import judged_rows, task_probabilities
from seismag.windows.store import LEGACY_IMAGE, Store

LEAST_SLIDE = 0.05  # of the archive: shorter slides leave labels on their own windows
REFITS = 999
LEAST_PAIRS = 100  # of an event and a Normal window of one station
MATERIAL_AUC = 0.03  # above the null's mean
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


def slide_labels(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Compare P(Event) with labels that slid along time (``time_slide``, a note)."""
    rows = rank_windows(judged_rows(predictions))
    if refusal := too_few_pairs("time_slide", rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 31])
    null = slid_auc(rows, _slides(spec.permutations, rng))
    placebo = np.empty(spec.placebos)
    for number in range(spec.placebos):
        other = replace_labels(rows, _permuted_units(rows, rows.station, 1, rng)[0])
        draws = slid_auc(other, _slides(PLACEBO_DRAWS, rng))
        placebo[number] = _p_value(station_auc(other), draws)
    return summarise("time_slide", station_auc(rows), null, placebo, "the labels slide along time")


def permute_within_station_season(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Compare P(Event) with labels exchanged between groups of one station and season (``station_season``, a note)."""
    rows = rank_windows(judged_rows(predictions))
    stratum = rows.station * 4 + rows.season
    how = "groups of one station and season exchange labels"
    return exchange_labels("station_season", rows, stratum, spec, how)


def exchange_labels(name: str, rows: Ranked, stratum: IndexArray, spec: AuditConfig, how: str) -> CheckResult:
    """Compare the AUC within station with that of labels exchanged between whole groups within strata."""
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 32])
    null = permuted_auc(rows, stratum, spec.permutations, rng)
    placebo = np.empty(spec.placebos)
    for number in range(spec.placebos):
        other = turn_scores(rows, rng.uniform(LEAST_SLIDE, 1 - LEAST_SLIDE))
        placebo[number] = _p_value(station_auc(other), permuted_auc(other, stratum, PLACEBO_DRAWS, rng))
    return summarise(name, station_auc(rows), null, placebo, how)


def refit_shuffled(store: Store, split: pd.DataFrame | None, spec: AuditConfig) -> CheckResult:
    """Ask whether the field tells the class at all: a reference model against its refits to shuffled labels.

    Args:
        store: read once.
        split: folds to fit in; None: folds by group.
        spec: draws (at most 999), placebos, folds, seed.

    Returns:
        ``label_shuffle_refit``, a note.
    """
    name = "label_shuffle_refit"
    if store.attributes.get("origin") == LEGACY_IMAGE:
        return CheckResult(name, "The store holds pictures, whose levels are no power: the field is not described.")
    described = field_features(store)
    values = set_against_station(described.values, store.samples["station"].to_numpy())
    known = np.asarray(np.isfinite(values).all(axis=1))
    order = np.lexsort((store.samples["start_utc"], store.samples["station"]))
    order = order[known[order]]
    samples, values = store.samples.iloc[order].reset_index(drop=True), values[order]
    rows = rank_windows(samples, np.zeros(len(samples)))
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 33])
    draws = min(spec.permutations, REFITS)
    folds = folds_of(samples, split, spec.folds)
    shuffled = _permuted_units(rows, rows.station, draws, rng)
    auc = refit_auc(values, np.concatenate([rows.is_event[None], shuffled]), rows.station, folds)
    random = _random_units(rows, spec.placebos, rng)
    placebo = [_p_value(value, auc[1:]) for value in refit_auc(values, random, rows.station, folds)]
    result = summarise(name, float(auc[0]), auc[1:], np.array(placebo), "the model is refitted to shuffled labels")
    details = result.details | {
        "features": len(described.names), "folds": len(folds), "windows": len(samples),
        "windows_left_out": int((~known).sum()),
        "left_out_because": "a band is masked throughout, or the only window of its station",
    }  # fmt: skip
    return CheckResult(
        **{**vars(result), "details": details, "sentence": f"Reference model of the field: {result.sentence}"}
    )


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


def turn_scores(rows: Ranked, share: float) -> Ranked:
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


def slid_auc(rows: Ranked, slides: FloatArray) -> FloatArray:
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


def refit_auc(values: FloatArray, labels: NDArray[np.bool_], station: IndexArray, folds: Any) -> FloatArray:
    """AUC within station (K,) of the reference model fitted to each set of labels (K, n) in the same folds."""
    chunk = max(1, _CHUNK_CELLS // len(station))
    parts = []
    for first in range(0, len(labels), chunk):
        some = labels[first : first + chunk]
        scores = out_of_fold_scores(values, some.T.astype(float), folds)  # (n, k)
        tested = np.isfinite(scores[:, 0])
        sums = [np.zeros((len(some), station.max() + 1)) for _ in range(3)]
        for number in np.unique(station[tested]):
            here = tested & (station == number)
            rank = scores[here].argsort(axis=0).argsort(axis=0) + 1
            sums[0][:, number] = (rank * some[:, here].T).sum(axis=0)
            sums[1][:, number], sums[2][:, number] = some[:, here].sum(axis=1), here.sum()
        parts.append(pooled_auc(*sums))
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
        material=auc - mean >= MATERIAL_AUC,
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


def _random_units(rows: Ranked, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the label of each group of a station with the station's share of event groups: (draws, n)."""
    number, label, station = _unit_labels(rows, rows.station)
    share = np.bincount(station, weights=label) / np.maximum(np.bincount(station), 1)
    return (rng.random((draws, len(label))) < share[station])[:, number]
