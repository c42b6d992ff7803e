"""Checks of the arrays of a store: properties of sensor and processing by class, and arrays against the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from seismag.archive.noise import noise_floor_nt
from seismag.arrays import FloatArray
from seismag.audit.checks.class_by import (
    Feature,
    against_null,
    category_codes,
    is_constant,
    quantile_codes,
    result_of,
)
from seismag.audit.checks.labels import count_check
from seismag.audit.checks.out_of_fold import Index
from seismag.audit.checks.permutation import cross_codes
from seismag.audit.checks.window_properties import LOWEST_BINS, Properties, relative_to_station, window_properties
from seismag.audit.checks.windows import labelled_windows
from seismag.config import AuditConfig, DataConfig
from seismag.estimate import CONCERN_P, CheckResult
from seismag.windows.schema import prepared_with
from seismag.windows.store import LEGACY_IMAGE, SHARD_SAMPLES, Store, read_samples

_CODED = ("order of the components", "fingerprint of another station", "components alike", "rounding of the values")
_SENTENCES = {
    "instrument": (
        "Of {n} properties of sensor and processing, which no emission changes, {strongest} differs most between event "
        "and control windows of a station"
    ),
    "lowest_bins": (
        "The lowest frequency bins show how the trend was removed, or an emission in them; of {n} differences of "
        "neighbouring ones, {strongest} differs most between event and control windows of a station"
    ),
}
_STATION_BINS = 4  # of a property at each station
_FLOOR_TOLERANCE = 0.25  # of the noise floor; float16 decibels change it by 1 %
_FRAME_TOLERANCE = 2.5  # time frames


def check_instrument(store: Store, spec: AuditConfig) -> Iterator[CheckResult]:
    """``class_by_instrument``, ``class_by_lowest_bins`` and ``arrays_of_rows``; nothing for pictures."""
    if store.attributes.get("origin") == LEGACY_IMAGE:
        return
    properties = window_properties(store)
    features = property_features(store, properties)
    for family in _SENTENCES:
        members = [feature for feature in features if feature.family == family]
        if members:
            yield check_properties(family, store, members, spec)
    if "noise_floor_nt" in store.samples or "masked_fraction" in store.samples:
        yield check_arrays_of_rows(store)


def property_features(store: Store, properties: Properties) -> list[Feature]:
    """Properties as binned columns, relative to the station where they are no codes; constant ones are left out."""
    features = []
    for name, values in properties.items():
        code: Index
        if name in _CODED:
            code = np.unique(values, return_inverse=True)[1].astype(np.intp)
        else:
            relative = relative_to_station(values, store.samples)
            code = quantile_codes(relative)
            if name.startswith("noise"):  # two stations that are swapped differ in opposite directions
                by_station = cross_codes(_station_codes(store), quantile_codes(relative, _STATION_BINS))
                features.append(Feature(f"{name}, by station", "instrument", by_station))
        if not is_constant(code):
            family = "lowest_bins" if name.startswith(LOWEST_BINS) else "instrument"
            features.append(Feature(name, family, code, blocking=family == "instrument"))
    return features


def check_properties(family: str, store: Store, features: list[Feature], spec: AuditConfig) -> CheckResult:
    """Test whether a property of the family predicts the class; classes are permuted within stations."""
    name = f"class_by_{family}"
    data = labelled_windows(store.samples, spec)
    labels = dataclasses.replace(data.labels, stratum=_station_codes(store))
    found = data.compare(name, {feature.name: feature.code for feature in features}, labels)
    small = [column for column, p_value in found.p_by_column.items() if p_value <= CONCERN_P]
    sentence = _SENTENCES[family].format(n=len(features), strongest=found.strongest)
    sentence += f": it predicts the class out of fold with {against_null(found, 'within stations')}."
    if small:
        sentence += f" Different (p at most {CONCERN_P:g}): {', '.join(small)}."
    return result_of(name, sentence, found, features, properties=small)


def check_arrays_of_rows(store: Store) -> CheckResult:
    """Count windows whose noise floor or masked fraction in the table is not that of their arrays."""
    spec = prepared_with(store.attributes, store.path)
    floor, masked = _from_arrays(store, spec)
    samples, wrong = store.samples, np.zeros(len(store.samples), dtype=bool)
    counted = []
    if "noise_floor_nt" in samples:
        of_table = samples["noise_floor_nt"].to_numpy(dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.abs(np.log(floor / of_table)) > np.log1p(_FLOOR_TOLERANCE)
        wrong |= off
        counted.append(f"{int(off.sum())} by noise_floor_nt")
    if "masked_fraction" in samples:
        off = np.abs(masked - samples["masked_fraction"].to_numpy(dtype=float)) > _FRAME_TOLERANCE / len(store.time_s)
        wrong |= off
        counted.append(f"{int(off.sum())} by masked_fraction")
    first = f"; the first is {samples['sample_id'].to_numpy()[wrong][0]}" if wrong.any() else ""
    sentence = (
        f"{int(wrong.sum())} of {len(samples)} rows of the table do not belong to their arrays "
        f"({', '.join(counted)}{first})."
    )
    return count_check("arrays_of_rows", sentence, int(wrong.sum()), "rows that are not those of their arrays")


def _station_codes(store: Store) -> Index:
    return category_codes(store.samples["station"])[0]


def _from_arrays(store: Store, spec: DataConfig) -> tuple[FloatArray, FloatArray]:
    """Noise floor in nT, and fraction of the time frames that are masked in any component: (n,) each."""
    floor, masked = [], []
    for first in range(0, len(store.samples), SHARD_SAMPLES):
        power_db = read_samples(store.power, first, min(first + SHARD_SAMPLES, len(store.samples))).astype(np.float32)
        masked.append((~np.isfinite(power_db)).any(axis=(1, 2)).mean(axis=1))
        floor.append(noise_floor_nt(np.power(np.float32(10), power_db / 10), spec))
    return np.concatenate(floor), np.concatenate(masked)
