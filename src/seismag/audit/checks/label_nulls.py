"""Other labels: circular time shifts, permutations, and refits of a reference model.

The statistic of all three is the station-stratified ROC AUC of P(Event), which differences between stations cannot
raise. It is compared with that of the other labels, without p-value (``seismag.scoring.station_auc``). A
cross-validated probability scores below 0.5 where nothing can be learnt, because controls are matched.

The reference model describes a window by about fifty features of its power (docs/method.md), standardised by station;
a ridge regression on the class (a linear discriminant) is fitted by fold. Its solution is linear in the labels, so one
matrix product refits thousands of permuted labels.

Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, sections 3.4.1 and 4.2; AUC
as a sum of ranks, Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from seismag.arrays import FloatArray, IndexArray, mean_known
from seismag.config import AuditConfig
from seismag.domain import COMPONENTS, DataError
from seismag.estimate import CheckResult
from seismag.scoring.linear_probe import TrainTestRows, out_of_fold_scores
from seismag.scoring.null import Null
from seismag.scoring.predictions import evaluated_rows
from seismag.scoring.station_auc import (
    MAX_DRAWS,
    Ranked,
    compare_with_null,
    labelled_auc,
    permute_labels,
    permuted_labels,
    rank_windows,
    shift_labels_in_time,
    too_few_pairs,
)
from seismag.spectrograms.compute import PAIRS
from seismag.windows.store import LEGACY_IMAGE, SHARD_SAMPLES, Store, read_samples

BAND_REFITS = 199
EQUAL_SKILL = 0.6  # skill of the weakest band over that of the strongest, from which on it counts as equal
PULSATION_BANDS_HZ = {"pc5": (0.0016, 0.007), "pc4": (0.007, 0.022), "pc3": (0.022, 0.1), "high": (0.1, 0.5)}
_MIN_WINDOWS = 2  # of a station, for its mean and deviation
_CHUNK_NUMBERS = 4_000_000


def shift_labels(predictions: pd.DataFrame) -> CheckResult:
    """``time_slide``: P(Event) against labels that are shifted circularly in time."""
    return shift_labels_in_time("time_slide", rank_windows(evaluated_rows(predictions)))


def permute_within_station_season(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """``station_season``: P(Event), ranked within stations, against labels permuted between groups of one season."""
    return permute_labels("station_season", rank_windows(evaluated_rows(predictions)), spec)


def refit_permuted(store: Store, split: pd.DataFrame | None, spec: AuditConfig) -> CheckResult:
    """``label_shuffle_refit``: a reference model against its refits to labels permuted as in ``station_season``.

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
    permuted = permuted_labels(rows, rows.season, min(spec.permutations, MAX_DRAWS), rng)
    auc = refit_auc(features, np.concatenate([rows.is_event[None], permuted]), rows.station, folds)
    null = Null(auc[1:], tolerance=1e-12)
    result = compare_with_null(name, float(auc[0]), null, "the model is refitted to labels permuted within a season")
    by_band: dict[str, float] = {}
    sentence = ""
    if result.above_minimum and not null.count_extreme(auc[0]):  # above every refit
        by_band, sentence = _skill_by_band(names, features, rows, folds, permuted)
    details = result.details | {
        "auc_by_band": by_band,
        "features": len(names), "folds": len(folds), "windows": len(samples),
        "windows_left_out": int((~known).sum()),
        "left_out_because": "a band is masked throughout, or the only window of its station",
    }  # fmt: skip
    return dataclasses.replace(result, details=details, sentence=f"Reference model: {result.sentence}{sentence}")


def _skill_by_band(
    names: list[str], features: FloatArray, rows: Ranked, folds: TrainTestRows, permuted: NDArray[np.bool_]
) -> tuple[dict[str, float], str]:
    """AUC above the mean of its null, plus 0.5, of models of a single band each, and what follows from it."""
    by_band: dict[str, float] = {}
    labels = np.concatenate([rows.is_event[None], permuted[:BAND_REFITS]])
    for band in PULSATION_BANDS_HZ:
        columns = [k for k, name in enumerate(names) if name.startswith(f"{band}_")]
        if columns:
            auc = refit_auc(features[:, columns], labels, rows.station, folds)
            by_band[band] = float(0.5 + auc[0] - auc[1:].mean())
    listed = ", ".join(f"{band} {value:.2f}" for band, value in by_band.items())
    least, most = min(by_band.values()) - 0.5, max(by_band.values()) - 0.5
    text = f" By band alone (AUC less its null's excess over 0.5): {listed}."
    if len(by_band) > 1 and least >= EQUAL_SKILL * most:
        text += (
            " The skill lives about equally in all bands, as that of no emission would: look for an offset, another "
            "scaling, a mask or another sensor."
        )
    return by_band, text


def refit_auc(features: FloatArray, labels: NDArray[np.bool_], station: IndexArray, folds: TrainTestRows) -> FloatArray:
    """Station-stratified AUC (K,) of the reference model fitted to each set of labels (K, n) in the same folds."""
    chunk = max(1, _CHUNK_NUMBERS // len(station))
    parts = []
    for first in range(0, len(labels), chunk):
        some = labels[first : first + chunk]
        scores = out_of_fold_scores(features, some.T.astype(float), folds)  # (n, k)
        tested = np.isfinite(scores[:, 0])
        place, rank = station[tested], scores[tested]
        for rows in (place == one for one in np.unique(place)):
            rank[rows] = rank[rows].argsort(axis=0).argsort(axis=0) + 1
        parts.append(labelled_auc(rank.T, some[:, tested], place))
    return np.concatenate(parts)


def model_features(store: Store) -> tuple[list[str], FloatArray]:
    """Names and values (n, p) of the features of each window; NaN where a band is masked throughout.

    Raises:
        DataError: no frequency of the store lies in any of the bands.
    """
    bins = {name: (store.frequency_hz >= low) & (store.frequency_hz < high)
            for name, (low, high) in PULSATION_BANDS_HZ.items()}  # fmt: skip
    bins = {name: chosen for name, chosen in bins.items() if chosen.any()}
    if not bins:
        raise DataError(f"{store.path}: no frequency between 1.6 and 500 mHz, so there are no bands to describe.")
    parts = []
    for first in range(0, len(store.samples), SHARD_SAMPLES):
        end = min(first + SHARD_SAMPLES, len(store.samples))
        features = band_features(read_samples(store.power, first, end), bins)
        if store.cross is not None:
            features |= _coherency_features(read_samples(store.cross, first, end), bins)
        parts.append(np.stack(list(features.values()), axis=1))
    return list(features), np.concatenate(parts)


def band_features(power_db: NDArray[Any], bins: dict[str, NDArray[np.bool_]]) -> dict[str, FloatArray]:
    """Mean power of each band and component, its deviation over time, and Z over the horizontal components, in dB.

    From power (n, 3, F, T), NaN masked, and the bins (F,) of each band; (n,) each.
    """
    features: dict[str, FloatArray] = {}
    for band, chosen in bins.items():
        band_db = mean_known(power_db[:, :, chosen].astype(np.float64), axis=2)  # (n, 3, T)
        mean_db = mean_known(band_db, axis=2)  # (n, 3)
        spread = np.sqrt(mean_known((band_db - mean_db[..., None]) ** 2, axis=2))
        for index, component in enumerate(COMPONENTS):
            features[f"{band}_{component}"] = mean_db[:, index]
            features[f"{band}_{component}_spread"] = spread[:, index]
        features[f"{band}_Z_over_HD"] = mean_db[:, 2] - mean_db[:, :2].mean(axis=1)
    return features


def standardise_by_station(values: FloatArray, station: NDArray[Any]) -> FloatArray:
    """Subtract the station's mean of each feature and divide by its deviation; NaN at stations of one window."""
    result = np.full_like(values, np.nan)
    for rows in pd.Series(range(len(station))).groupby(np.asarray(station)).indices.values():
        if len(rows) >= _MIN_WINDOWS:
            part = values[rows]
            mean = mean_known(part, axis=0)
            deviation = np.sqrt(mean_known((part - mean) ** 2, axis=0))
            result[rows] = (part - mean) / np.maximum(deviation, 1e-9)
    return result


def folds_of(samples: pd.DataFrame, split: pd.DataFrame | None, n_folds: int) -> TrainTestRows:
    """Positions of training and test windows of each fold of the split, or by group where there is none.

    Raises:
        DataError: a fold has no training or no test window, or the table has fewer than two groups.
    """
    if split is None:
        groups = pd.factorize(samples["split_group"])[0]
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise DataError("samples: all windows are of one group, so nothing can be left out. Prepare more data.")
        return list(GroupKFold(min(n_folds, n_groups)).split(groups, groups=groups))
    position = pd.Series(np.arange(len(samples)), index=samples["sample_id"])
    rows = split[split["sample_id"].isin(position.index)]
    folds = []
    for fold, part in rows.groupby("fold", sort=True):
        train, test = (position[part.loc[part["role"] == name, "sample_id"]].to_numpy() for name in ("train", "test"))
        if not (train.size and test.size):
            raise DataError(f"split: fold {fold} has {train.size} train and {test.size} test windows of this store.")
        folds.append((train, test))
    return folds


def _coherency_features(phasors: NDArray[Any], bins: dict[str, NDArray[np.bool_]]) -> dict[str, FloatArray]:
    """Mean phasor of each band and pair, real and imaginary, and its length."""
    features: dict[str, FloatArray] = {}
    for band, chosen in bins.items():
        in_band = phasors[:, :, :, chosen].astype(np.float64)  # (n, 3, 2, R, T)
        mean = mean_known(in_band.reshape(*in_band.shape[:3], -1), axis=3)
        for index, (pair, _, _) in enumerate(PAIRS):
            features[f"{band}_{pair}_real"] = mean[:, index, 0]
            features[f"{band}_{pair}_imaginary"] = mean[:, index, 1]
            features[f"{band}_{pair}_coherency"] = np.hypot(mean[:, index, 0], mean[:, index, 1])
    return features
