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

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray
from seismag.audit.checks.reference_model import field_features, folds_of, standardise_by_station
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.linear_probe import out_of_fold_scores
from seismag.scoring.predictions import evaluated_rows
from seismag.scoring.station_auc import (
    _CHUNK_CELLS,
    PLACEBO_DRAWS,
    Ranked,
    _p_value,
    _permuted_units,
    _slides,
    _unit_labels,
    exchange_labels,
    pooled_auc,
    rank_windows,
    replace_labels,
    shifted_auc,
    station_auc,
    summarise,
    too_few_pairs,
)
from seismag.windows.store import LEGACY_IMAGE, Store

REFITS = 999


def shift_labels(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Compare P(Event) with labels that slid along time (``time_slide``, a note)."""
    rows = rank_windows(evaluated_rows(predictions))
    if refusal := too_few_pairs("time_slide", rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 31])
    null = shifted_auc(rows, _slides(spec.permutations, rng))
    placebo = np.empty(spec.placebos)
    for number in range(spec.placebos):
        other = replace_labels(rows, _permuted_units(rows, rows.station, 1, rng)[0])
        draws = shifted_auc(other, _slides(PLACEBO_DRAWS, rng))
        placebo[number] = _p_value(station_auc(other), draws)
    return summarise("time_slide", station_auc(rows), null, placebo, "the labels slide along time")


def permute_within_station_season(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Compare P(Event) with labels exchanged between groups of one station and season (``station_season``, a note)."""
    rows = rank_windows(evaluated_rows(predictions))
    stratum = rows.station * 4 + rows.season
    how = "groups of one station and season exchange labels"
    return exchange_labels("station_season", rows, stratum, spec, how)


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
    values = standardise_by_station(described.values, store.samples["station"].to_numpy())
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


def _random_units(rows: Ranked, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the label of each group of a station with the station's share of event groups: (draws, n)."""
    number, label, station = _unit_labels(rows, rows.station)
    share = np.bincount(station, weights=label) / np.maximum(np.bincount(station), 1)
    return (rng.random((draws, len(label))) < share[station])[:, number]
