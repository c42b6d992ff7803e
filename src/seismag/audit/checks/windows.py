"""The windows of a store, or the judged rows of predictions, as the audit sees them: class, groups, features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from seismag.audit.checks.class_by import (
    Feature,
    Labelled,
    category_codes,
    check_class_by,
    era_codes,
    is_constant,
    quantile_codes,
)
from seismag.audit.checks.labels import NORMAL, LabelTable
from seismag.config import AuditConfig
from seismag.domain import DataError
from seismag.estimate import CheckResult

EVENT = "Event"
_NUMBERS = {
    "kp_max": "space_weather",
    "dst_min_nt": "space_weather",
    "gap_fraction": "quality",
    "masked_fraction": "quality",
    "noise_floor_nt": "noise_floor",
}
_CATEGORIES = {"station": "station", "origin": "source", "h_axis_source": "source"}
_OF_THE_FIELD = ("noise_floor_nt",)  # an emission may raise it, so it gates nothing


def label_windows(samples: pd.DataFrame, spec: AuditConfig) -> Labelled:
    """Take Normal against Event as the class of each window and its split group as the group.

    Raises:
        DataError: one class only, or one group.
    """
    is_event = (samples["magnitude_class"] != NORMAL).to_numpy()
    if is_event.all() or not is_event.any():
        raise DataError(
            f"all {len(samples)} windows are {EVENT if is_event.all() else NORMAL}: an audit needs both classes. "
            "Prepare controls (data.controls), or a longer archive."
        )
    group = pd.factorize(samples["split_group"].astype(str), sort=True)[0]
    if group.max() == 0:
        raise DataError("all windows are of one split group, so nothing can be left out. Prepare a longer archive.")
    return Labelled.build(is_event.astype(np.intp), group, (NORMAL, EVENT), spec)


def window_features(samples: pd.DataFrame) -> list[Feature]:
    """Code what is known without the field (and the noise floor, which gates nothing); no constant columns."""
    start = pd.DatetimeIndex(samples["start_utc"])
    features = [
        Feature("start_utc", "era", era_codes(samples["start_utc"].to_numpy())),
        Feature("hour of start_utc", "hour", quantile_codes(start.hour.to_numpy(dtype=float), 8)),
    ]
    for column, family in _CATEGORIES.items():
        if column in samples:
            features.append(Feature(column, family, *category_codes(samples[column])))
    for column, family in _NUMBERS.items():
        if column in samples:
            code = quantile_codes(samples[column].to_numpy(dtype=float))
            features.append(Feature(column, family, code, gates=column not in _OF_THE_FIELD))
    return [feature for feature in features if not is_constant(feature.code)]


def check_strength_and_direction(samples: pd.DataFrame, spec: AuditConfig) -> Iterator[CheckResult]:
    """Ask what the station tells of magnitude and azimuth where there is an event: geography, so a note."""
    events = samples[samples["magnitude_class"] != NORMAL]
    group = pd.factorize(events["split_group"].astype(str), sort=True)[0]
    station = Feature("station", "station", *category_codes(events["station"]), gates=False)
    for task in ("magnitude", "azimuth"):
        y, classes = pd.factorize(events[f"{task}_class"], sort=True)
        if len(classes) > 1 and group.max() > 0 and not is_constant(station.code):
            data = Labelled.build(y.astype(np.intp), group, list(classes), spec)
            yield check_class_by("station", [station], data, name=f"{task}_by_station")


def window_labels(samples: pd.DataFrame) -> LabelTable:
    """Take what the samples say of each window's earthquake."""
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
        positions=np.full((len(samples), 4), np.nan),  # a store has none; its own test of positions reads the catalogue
    )
