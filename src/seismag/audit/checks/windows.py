"""Class, groups, features and labels of the windows of a store, or of the evaluated rows of predictions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from seismag.audit.checks.class_by import (
    Feature,
    Labelled,
    category_codes,
    check_class_by,
    epoch_codes,
    is_constant,
    quantile_codes,
)
from seismag.audit.checks.derived_columns import calendar_features, order_features
from seismag.audit.checks.labels import NORMAL, LabelTable
from seismag.config import AuditConfig
from seismag.domain import DataError
from seismag.estimate import CheckResult

_EVENT = "Event"
_NUMBERS = {
    "kp_max": "space_weather",
    "dst_min_nt": "space_weather",
    "gap_fraction": "quality",
    "masked_fraction": "quality",
    "noise_floor_nt": "noise_floor",
}
_CATEGORIES = {"station": "station", "origin": "source", "h_axis_source": "source"}
_FROM_RECORDINGS = ("noise_floor_nt",)  # an emission may raise it, so it is informational


def labelled_windows(samples: pd.DataFrame, spec: AuditConfig) -> Labelled:
    """Class (Normal or Event) and split group of each window.

    Raises:
        DataError: one class only, or one group.
    """
    is_event = (samples["magnitude_class"] != NORMAL).to_numpy()
    if is_event.all() or not is_event.any():
        raise DataError(
            f"all {len(samples)} windows are {_EVENT if is_event.all() else NORMAL}: an audit needs both classes. "
            "Prepare controls (data.controls), or a longer archive."
        )
    group = pd.factorize(samples["split_group"].astype(str), sort=True)[0]
    if group.max() == 0:
        raise DataError("all windows are of one split group, so nothing can be left out. Prepare a longer archive.")
    return Labelled.build(is_event.astype(np.intp), group, (NORMAL, _EVENT), spec)


def metadata_features(samples: pd.DataFrame) -> list[Feature]:
    """Binned metadata, and the noise floor (informational); constant columns are left out."""
    start = pd.DatetimeIndex(samples["start_utc"])
    features = [
        Feature("start_utc", "era", epoch_codes(samples["start_utc"].to_numpy())),
        Feature("hour of start_utc", "hour", quantile_codes(start.hour.to_numpy(dtype=float), 8)),
    ]
    for column, family in _CATEGORIES.items():
        if column in samples:
            features.append(Feature(column, family, *category_codes(samples[column])))
    for column, family in _NUMBERS.items():
        if column in samples:
            code = quantile_codes(samples[column].to_numpy(dtype=float))
            features.append(Feature(column, family, code, blocking=column not in _FROM_RECORDINGS))
    return [feature for feature in features if not is_constant(feature.code)]


def derived_window_features(samples: pd.DataFrame) -> list[Feature]:
    """Calendar of the windows' starts, and the order of the rows, which is that of stations and time."""
    times = samples["start_utc"].to_numpy()
    return calendar_features("start_utc", times) + order_features(times, len(samples), blocking=True)


def check_classes_by_station(samples: pd.DataFrame, spec: AuditConfig) -> Iterator[CheckResult]:
    """``magnitude_by_station`` and ``azimuth_by_station`` of event windows; informational, for it is geography."""
    events = samples[samples["magnitude_class"] != NORMAL]
    group = pd.factorize(events["split_group"].astype(str), sort=True)[0]
    station = Feature("station", "station", *category_codes(events["station"]), blocking=False)
    for task in ("magnitude", "azimuth"):
        y, classes = pd.factorize(events[f"{task}_class"], sort=True)
        if len(classes) > 1 and group.max() > 0 and not is_constant(station.code):
            data = Labelled.build(y.astype(np.intp), group, list(classes), spec)
            yield check_class_by(f"{task}_by_station", [station], data)


def window_labels(samples: pd.DataFrame) -> LabelTable:
    """Earthquake labels of each window; a store has no positions, ``check_positions`` uses its catalogue."""
    start = pd.DatetimeIndex(samples["start_utc"])

    def column(name: str, missing: object) -> pd.Series:
        return samples[name] if name in samples else pd.Series([missing] * len(samples), index=samples.index)

    return LabelTable(
        magnitude=column("magnitude", np.nan).to_numpy(dtype=float),
        azimuth_deg=column("azimuth_deg", np.nan).to_numpy(dtype=float),
        magnitude_class=samples["magnitude_class"].to_numpy(dtype=object),
        azimuth_class=samples["azimuth_class"].to_numpy(dtype=object),
        time=samples["start_utc"].to_numpy(),
        hour=start.hour.to_numpy(dtype=float),
        event=column("event_id", None).to_numpy(dtype=object),
        positions=np.full((len(samples), 4), np.nan),
    )
