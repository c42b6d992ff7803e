"""A light reference model of the field: does the field tell the class at all, without any network?

Each window becomes some fifty numbers that an observer would look at: the power of H, D and Z in the bands Pc5, Pc4,
Pc3 and above, how it varies within the window, the ratio of Z to the horizontal, and the coherency of the components.
They are set against the mean of the station, and a ridge regression on the class (a linear discriminant) is fitted
fold by fold. Its solution is linear in the labels, so thousands of shuffled labels are refitted by one matrix
product.

Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, sections 3.4.1 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from seismag.arrays import FloatArray
from seismag.domain import COMPONENTS, DataError
from seismag.scoring.linear_probe import Folds
from seismag.spectrogram.compute import PAIRS
from seismag.windows.store import SHARD_SAMPLES, Store, read_samples

BANDS_HZ = {"pc5": (0.0016, 0.007), "pc4": (0.007, 0.022), "pc3": (0.022, 0.1), "high": (0.1, 0.5)}
_LEAST_WINDOWS = 2  # of a station, for a mean to be set against


@dataclass(frozen=True)
class FieldFeatures:
    """Features of the field.

    Attributes:
        names: p names.
        values: (n, p); NaN where a band is masked throughout.
    """

    names: list[str]
    values: FloatArray


def field_features(store: Store) -> FieldFeatures:
    """Read the store once and describe each window by its bands.

    Raises:
        DataError: no row of the store lies in any of the bands.
    """
    rows = {name: (store.frequency_hz >= low) & (store.frequency_hz < high) for name, (low, high) in BANDS_HZ.items()}
    rows = {name: chosen for name, chosen in rows.items() if chosen.any()}
    if not rows:
        raise DataError(f"{store.path}: no row between 1.6 and 500 mHz, so it has no bands to describe.")
    parts = []
    for first in range(0, len(store.samples), SHARD_SAMPLES):
        end = min(first + SHARD_SAMPLES, len(store.samples))
        columns = band_features(read_samples(store.power, first, end), rows)
        if store.cross is not None:
            columns |= _coherency_features(read_samples(store.cross, first, end), rows)
        parts.append(np.stack(list(columns.values()), axis=1))
    return FieldFeatures(list(columns), np.concatenate(parts))


def band_features(power_db: NDArray[Any], rows: dict[str, NDArray[np.bool_]]) -> dict[str, FloatArray]:
    """Mean power of each band and component, its deviation over the window's columns, and Z over the horizontal, dB.

    Args:
        power_db: (n, 3, F, T); NaN masked.
        rows: (F,) of each band.

    Returns:
        (n,) each.
    """
    features: dict[str, FloatArray] = {}
    for band, chosen in rows.items():
        column_db = _mean_known(power_db[:, :, chosen].astype(np.float64), axis=2)  # (n, 3, T)
        level = _mean_known(column_db, axis=2)  # (n, 3)
        spread = np.sqrt(_mean_known((column_db - level[..., None]) ** 2, axis=2))
        for number, component in enumerate(COMPONENTS):
            features[f"{band}_{component}"] = level[:, number]
            features[f"{band}_{component}_spread"] = spread[:, number]
        features[f"{band}_Z_over_HD"] = level[:, 2] - level[:, :2].mean(axis=1)
    return features


def standardise_by_station(values: FloatArray, station: NDArray[Any]) -> FloatArray:
    """Centre each feature on its station and divide by the station's deviation, without any label; NaN: one window."""
    result = np.full_like(values, np.nan)
    for rows in pd.Series(range(len(station))).groupby(np.asarray(station)).indices.values():
        if len(rows) >= _LEAST_WINDOWS:
            part = values[rows]
            middle = _mean_known(part, axis=0)
            deviation = np.sqrt(_mean_known((part - middle) ** 2, axis=0))
            result[rows] = (part - middle) / np.maximum(deviation, 1e-9)
    return result


def folds_of(samples: pd.DataFrame, split: pd.DataFrame | None, n_folds: int) -> Folds:
    """Positions of training and test windows of each fold: those of the split, or by group where there is none.

    Raises:
        DataError: a fold has no training or no test window, or the table has fewer than two groups.
    """
    if split is None:
        groups = pd.factorize(samples["split_group"])[0]
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise DataError("samples: all windows are of one group, so nothing can be left out. Prepare more data.")
        return list(GroupKFold(min(n_folds, n_groups)).split(groups, groups=groups))
    place = pd.Series(np.arange(len(samples)), index=samples["sample_id"])
    rows = split[split["sample_id"].isin(place.index)]
    folds = []
    for fold, part in rows.groupby("fold", sort=True):
        train, test = (place[part.loc[part["role"] == role, "sample_id"]].to_numpy() for role in ("train", "test"))
        if not (train.size and test.size):
            raise DataError(f"split: fold {fold} has {train.size} train and {test.size} test windows of this store.")
        folds.append((train, test))
    return folds


def _mean_known(values: FloatArray, axis: int) -> FloatArray:
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _coherency_features(phasors: NDArray[Any], rows: dict[str, NDArray[np.bool_]]) -> dict[str, FloatArray]:
    """Mean phasor of each band and pair, real and imaginary, and its length."""
    features: dict[str, FloatArray] = {}
    for band, chosen in rows.items():
        cells = phasors[:, :, :, chosen].astype(np.float64)  # (n, 3, 2, R, T)
        mean = _mean_known(cells.reshape(*cells.shape[:3], -1), axis=3)
        for number, (pair, _, _) in enumerate(PAIRS):
            features[f"{band}_{pair}_real"] = mean[:, number, 0]
            features[f"{band}_{pair}_imaginary"] = mean[:, number, 1]
            features[f"{band}_{pair}_coherency"] = np.hypot(mean[:, number, 0], mean[:, number, 1])
    return features
