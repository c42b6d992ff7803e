"""Null tests of labels: circular time shifts, permutations, and refits of a reference model.

The statistic of all three is the station-stratified ROC AUC of P(Event): of an event window and a control window of
one station, how often the event window has the higher probability. Differences between stations cannot raise it.

- ``time_slide``: the labels of all stations are shifted together in time, circularly, by a random fraction.
- ``station_season``: labels are permuted between whole groups (event clusters, blocks of control windows) of one
  station and quarter of the year.
- ``label_shuffle_refit``: labels are permuted between whole groups of a station, and a reference model is refitted.

A cross-validated probability scores below 0.5 where nothing can be learnt, because controls are matched; the one-sided
tests are conservative for such a model.

Source: AUC as a sum of ranks, Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray
from seismag.audit.checks.reference_model import folds_of, model_features, standardise_by_station
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.linear_probe import TrainTestRows, out_of_fold_scores
from seismag.scoring.null import Null
from seismag.scoring.predictions import evaluated_rows
from seismag.scoring.station_auc import (
    Ranked,
    compare_with_null,
    permute_labels,
    permuted_labels,
    pooled_auc,
    rank_windows,
    shift_labels_in_time,
    too_few_pairs,
    unit_labels,
)
from seismag.windows.store import LEGACY_IMAGE, Store

MAX_REFITS = 999
_CHUNK_NUMBERS = 4_000_000


def shift_labels(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """``time_slide``: P(Event) against labels that are shifted circularly in time."""
    rows = rank_windows(evaluated_rows(predictions))
    return shift_labels_in_time("time_slide", rows, spec, "the labels are shifted in time")


def permute_within_station_season(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """``station_season``: P(Event) against labels permuted between groups of one station and season."""
    rows = rank_windows(evaluated_rows(predictions))
    how = "labels are permuted between groups of one station and season"
    return permute_labels("station_season", rows, rows.station * 4 + rows.season, spec, how)


def refit_permuted(store: Store, split: pd.DataFrame | None, spec: AuditConfig) -> CheckResult:
    """``label_shuffle_refit``: a reference model against its refits to permuted labels, at most 999.

    The model is fitted in the folds of the split, or in folds by group where there is none.
    """
    name = "label_shuffle_refit"
    if store.attributes.get("origin") == LEGACY_IMAGE:
        return CheckResult(name, "inconclusive (the store contains pictures, whose values are not power).")
    names, features = model_features(store)
    features = standardise_by_station(features, store.samples["station"].to_numpy())
    known = np.asarray(np.isfinite(features).all(axis=1))
    order = np.lexsort((store.samples["start_utc"], store.samples["station"]))
    order = order[known[order]]
    samples, features = store.samples.iloc[order].reset_index(drop=True), features[order]
    rows = rank_windows(samples, np.zeros(len(samples)))
    if refusal := too_few_pairs(name, rows):
        return refusal
    rng = np.random.default_rng([spec.seed, 33])
    folds = folds_of(samples, split, spec.folds)
    permuted = permuted_labels(rows, rows.station, min(spec.permutations, MAX_REFITS), rng)
    auc = refit_auc(features, np.concatenate([rows.is_event[None], permuted]), rows.station, folds)
    null = Null(auc[1:], tolerance=1e-12)
    random = _random_labels(rows, spec.placebos, rng)
    placebo_p = [null.p_value(value) for value in refit_auc(features, random, rows.station, folds)]
    result = compare_with_null(name, float(auc[0]), null, placebo_p, "the model is refitted to permuted labels")
    details = result.details | {
        "features": len(names), "folds": len(folds), "windows": len(samples),
        "windows_left_out": int((~known).sum()),
        "left_out_because": "a band is masked throughout, or the only window of its station",
    }  # fmt: skip
    return dataclasses.replace(result, details=details, sentence=f"Reference model: {result.sentence}")


def refit_auc(features: FloatArray, labels: NDArray[np.bool_], station: IndexArray, folds: TrainTestRows) -> FloatArray:
    """Station-stratified AUC (K,) of the reference model fitted to each set of labels (K, n) in the same folds."""
    chunk = max(1, _CHUNK_NUMBERS // len(station))
    parts = []
    for first in range(0, len(labels), chunk):
        some = labels[first : first + chunk]
        scores = out_of_fold_scores(features, some.T.astype(float), folds)  # (n, k)
        tested = np.isfinite(scores[:, 0])
        rank_sum, events, n = (np.zeros((len(some), station.max() + 1)) for _ in range(3))
        for index in np.unique(station[tested]):
            here = tested & (station == index)
            rank = scores[here].argsort(axis=0).argsort(axis=0) + 1
            rank_sum[:, index] = (rank * some[:, here].T).sum(axis=0)
            events[:, index], n[:, index] = some[:, here].sum(axis=1), here.sum()
        parts.append(pooled_auc(rank_sum, events, n))
    return np.concatenate(parts)


def _random_labels(rows: Ranked, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Labels (draws, n), sampled by group with the station's fraction of event groups."""
    part, label, station = unit_labels(rows, rows.station)
    fraction = np.bincount(station, weights=label) / np.maximum(np.bincount(station), 1)
    return (rng.random((draws, len(label))) < fraction[station])[:, part]
