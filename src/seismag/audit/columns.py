"""Columns of third-party tables: their kinds, and the features that are tested for the class."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.audit.checks.class_by import Feature, category_codes, epoch_codes, is_constant, quantile_codes
from seismag.audit.checks.derived_columns import calendar_features, file_time_codes, name_features, order_features
from seismag.audit.checks.labels import NORMAL
from seismag.audit.checks.permutation import Index

_MAX_LEVELS = 60  # of a category that is no group column
_NUMERIC_FRACTION = 0.9
_RANDOM_NAMES = "sha|uuid|hash|checksum"  # numbers in them mean nothing

# The kind of a column by its name in lower case; the first match decides.
_KINDS: tuple[tuple[str, str], ...] = (
    ("station", r"station|station_?code|kode_stasiun|stasiun|sta|site|observatory|iaga(_code)?"),
    ("file", r"(file_?)?(mtime|ctime|modified|created)(_.*|at)?|.*file_?(time|date|number|no|nr|index).*"),
    ("name", r".*(file|path|url|image_?name|sample_id|sha256|uuid).*|id|name"),
    ("era", r"date|day|tanggal|time|datetime|timestamp|start|start_utc|start_time|window_start|utc"),
    ("end", r"end|end_utc|end_time|window_end"),
    ("position", r".*(lat|lon|latitude|longitude|elevation)(_deg)?|(lat|lon).*"),
    ("hour", r"hour|hour_utc|utc_hour|local_hour|slot|jam"),
    ("space_weather", r"(kp|dst|ap|ae|sym_?h|f10_?7|solar|imf|bz)(_.*|index)?|.*_(kp|dst)"),
    ("label", r"(mag|azi|magnitude|azimuth)(_.*)?|magnitude.*|azimuth.*|.*_class|class|label|y_.*"
              r"|p_(magnitude|azimuth)_.*|depth.*|distance.*|lead.*|event.*|eq_.*|origin_(utc|time)|es|in_(dobrovolsky|hattori)"
              r"|is_(main|after)shock|epicent.*|split_group|group|fold|role|control_of|matched|cluster.*"),
    ("source", r".*(source|instrument|sensor|format|dataset|network|operator|image_(type|size)|augment|generated).*"
               r"|origin|h_axis.*"),
    ("quality", r".*(quality|gap|missing|masked|battery|completeness|coverage).*|samples|n_samples"),
    ("field", r"[hdzxyf]_.*|.*(pc[1345]|_std|_mean|power|rms|snr|noise|polari[sz]).*"),
)  # fmt: skip
METADATA = ("station", "era", "hour", "space_weather", "source", "quality", "file")  # kinds without geomagnetic data


def kind_of(column: str, values: pd.Series) -> str:
    """Kind of a column by its name; a number is no name, because a name contains "file" or "id"."""
    name = column.lower().replace(" ", "_")
    kind = next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name)), "other")
    if kind == "name" and is_numeric(values):
        return "number" if re.fullmatch(r"id|.*_id|path|url|name|file|file_?name", name) else "other"
    return kind


def choose_features(
    rows: pd.DataFrame, label: str, y: Index, groups: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[Feature], dict[str, str]]:
    """Features, and of every column its kind and why it is no feature."""
    features: list[Feature] = []
    columns: dict[str, str] = {}
    for column in rows.columns:
        kind = kind_of(column, rows[column])
        is_wanted = wanted is not None and column in wanted
        if column == label:
            columns[column] = "the class"
        elif wanted is not None and not is_wanted and column not in groups:
            columns[column] = f"{kind}: left out, not among audit.features"
        elif rows[column].isna().all():
            columns[column] = f"{kind}: left out, empty"
        elif not is_wanted and column not in groups and (reason := _reason_against(rows[column], kind, y)):
            columns[column] = reason
        else:
            feature = _as_feature(rows[column], column, kind if kind != "label" else "other", is_wanted)
            if is_constant(feature.code):
                columns[column] = f"{kind}: left out, one value"
            else:
                features.append(feature)
                columns[column] = describe_feature(feature)
    return features, columns


def derive_features(rows: pd.DataFrame, columns: dict[str, str]) -> list[Feature]:
    """Features that several columns of a table contain: calendar, hour and order of its times, numbers in its names.

    ``columns`` is as ``choose_features`` returns it; a column that is left out on purpose has none.
    """
    found: list[Feature] = []
    used = [column for column in rows.columns if "not among" not in columns[column]]
    kinds = {column: kind_of(column, rows[column]) for column in used}
    times = None
    for column in (column for column in used if kinds[column] == "era" and "feature" in columns[column]):
        parsed = to_times(rows[column])
        if parsed.notna().mean() >= _NUMERIC_FRACTION:
            times = parsed.to_numpy() if times is None else times
            found += calendar_features(column, parsed.to_numpy())
            if "hour" not in kinds.values():
                hour = quantile_codes(parsed.dt.hour.to_numpy(dtype=float), 8)
                found.append(Feature(f"hour of {column}", "hour", hour))
    for column in used:
        if kinds[column] == "name" and not re.search(_RANDOM_NAMES, column.lower()) and rows[column].notna().any():
            found += name_features(column, rows[column])
    if len(used) > 1 and "feature" in "".join(columns.values()):
        found += order_features(times, len(rows), blocking=False)
    return [feature for feature in found if not is_constant(feature.code)]


def describe_feature(feature: Feature) -> str:
    """Text of a feature in ``columns`` of audit.json."""
    return f"{feature.family}: feature{'' if feature.blocking else ', informational'}"


def _reason_against(values: pd.Series, kind: str, y: Index) -> str | None:
    if kind in ("name", "end", "position"):
        return f"{kind}: left out, identifies the row"
    if kind == "label" or (kind in ("other", "field") and _is_label_copy(values, y)):
        return "label: states the class or its earthquake"
    if not is_numeric(values) and kind not in ("era", "station", "file") and values.nunique() > _MAX_LEVELS:
        return f"{kind}: left out, {values.nunique()} different texts"
    return None


def _is_label_copy(values: pd.Series, y: Index) -> bool:
    """Whether values and classes correspond one to one; missing counts as a value."""
    code, _ = category_codes(values)
    pairs = len(np.unique(np.column_stack([code, y]), axis=0))
    return pairs == len(np.unique(code)) == len(np.unique(y))


def _as_feature(values: pd.Series, column: str, kind: str, is_wanted: bool) -> Feature:
    family = kind if kind in METADATA else column
    blocking = is_wanted or kind in METADATA
    if kind == "era":
        times = to_times(values)
        if times.notna().sum() >= _NUMERIC_FRACTION * values.notna().sum():
            return Feature(column, "era", epoch_codes(times.to_numpy()), blocking=blocking)
    if kind == "file" and not is_numeric(values) and to_times(values).notna().mean() >= _NUMERIC_FRACTION:
        return Feature(column, "file", file_time_codes(to_times(values).to_numpy()), blocking=blocking)
    if kind == "number":
        return Feature(column, "order", quantile_codes(to_numbers(values)), blocking=is_wanted)
    if kind != "station" and is_numeric(values):
        n_bins = 8 if kind == "hour" else 6
        return Feature(column, family, quantile_codes(to_numbers(values), n_bins), blocking=blocking)
    code, levels = category_codes(values)
    return Feature(column, family, code, levels, blocking)


def to_numbers(values: pd.Series) -> FloatArray:
    """Numbers (n,) of texts; NaN where there is none."""
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)


def is_numeric(values: pd.Series) -> bool:
    """Whether nearly all texts (n,) that are not missing are finite numbers."""
    text = values[values.notna() & (values != NORMAL)]
    return len(text) > 0 and bool(np.isfinite(to_numbers(text)).mean() >= _NUMERIC_FRACTION)


def to_times(values: pd.Series) -> pd.Series:
    """Times (n,) of texts, UTC; NaT where there is none."""
    times = pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
    return times.dt.tz_localize(None).astype("datetime64[s]")
