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


def derived_window_features(samples: pd.DataFrame, days: pd.DataFrame | None = None) -> list[Feature]:
    """Calendar of the windows' starts, the order of the rows (stations and time), and the edges of their files.

    ``days`` is the table of the days of a store (station, day, verdict, start_utc, end_utc); None: not known.
    """
    times = samples["start_utc"].to_numpy()
    found = calendar_features("start_utc", times) + order_features(times, len(samples), blocking=True)
    if days is not None and {"station", "day", "verdict", "start_utc", "end_utc"} <= set(days):
        found += _day_features(samples, days[days["verdict"] != "refused"])
    return [feature for feature in found if not is_constant(feature.code)]


def _day_features(samples: pd.DataFrame, days: pd.DataFrame) -> list[Feature]:
    """First and last windows of files, days beside a gap, and the format, spikes and steps of the day's file."""
    key = ["station", "day"]
    windows = samples[["station", "start_utc", "end_utc"]].assign(day=samples["start_utc"].dt.floor("D"))
    one_file = days.drop_duplicates(key).rename(columns={"start_utc": "file_start", "end_utc": "file_end"})
    table = windows.merge(one_file, on=key, how="left", validate="many_to_one")
    usable = pd.MultiIndex.from_frame(one_file[key])
    edges = {
        "first window of the file": table["start_utc"] <= table["file_start"],
        "last window of the file": table["end_utc"] >= table["file_end"],
    }
    for name, step in (("day after a gap", -1), ("day before a gap", 1)):
        neighbour = windows.assign(day=windows["day"] + pd.Timedelta(days=step))[key]
        edges[name] = pd.Series(~pd.MultiIndex.from_frame(neighbour).isin(usable))
    found = [Feature(name, "edges", values.to_numpy().astype(np.intp)) for name, values in edges.items()]
    if "format" in table:
        found.append(Feature("format of the file", "source", *category_codes(table["format"])))
    for column in ("spikes", "steps"):
        if column in table:
            name = f"{column} of the day"
            found.append(Feature(name, "quality", quantile_codes(table[column].to_numpy(dtype=float))))
    return found


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
