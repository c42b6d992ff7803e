"""Columns of third-party tables: their kinds, and the features that are tested for the class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.audit.checks.class_by import Feature, category_codes, epoch_codes, is_constant, quantile_codes
from seismag.audit.checks.derived_columns import (
    OWN_FAMILIES,
    calendar_features,
    file_time_codes,
    name_features,
    order_features,
    spans_years,
)
from seismag.audit.checks.labels import NORMAL
from seismag.audit.checks.out_of_fold import Index

_MAX_LEVELS = 60  # of a category that is no group column
_NUMERIC_FRACTION = 0.9
_HOURS = 24
_CLOCK = r"\d{1,2}[:.h]\d{2}(:\d{2})?"
_MONTHS_OF_YEAR = 12
_DAY_OR_MONTH_FIRST = r"^\d{1,2}[-/.](\d{1,2})[-/.]\d{2,4}"
_COMPACT_DATE = r"(?:19|20)\d{6}"
_UNIX_S = (3e8, 5e9)  # 1979 to 2128

# Words of column names: English, Indonesian, German.
_FILE = "file|filename|datei|dateiname|berkas"
_NUMBER = "number|num|no|nr|index|idx|id|nomor|nummer"
_TIME = "time|date|utc|timestamp|datetime|waktu|tanggal|tgl|datum|zeit"
_MONTHS = "month|season|quarter|doy|yday|day_of_year|bulan|musim|monat|jahreszeit|quartal"
_PLACE = "lat|lon|lng|latitude|longitude|elevation|altitude|lintang|bujur|breite|laenge"

# The kind of a column by its name, words joined by "_" in lower case; the first match decides.
_KINDS: tuple[tuple[str, str], ...] = (
    ("station", rf"((kode|nama|code|name)_)?(station|stasiun|sta|stn|site|observatory|observatorium|iaga|lokasi"
                rf"|location)(_?(code|name|kode|nama|{_NUMBER}))?"),
    ("position", rf"(.*_)?({_PLACE})(_.*)?"),
    ("label", r"(mag|azi|magnitude|azimuth)(_.*)?|magnitude.*|azimuth.*|.*_class|class|kelas|klasse|label|y_.*"
              r"|p_(magnitude|azimuth)_.*|depth.*|distance.*|lead.*|event.*|eq_.*|gempa.*|beben.*|origin_(utc|time)|es"
              r"|in_(dobrovolsky|hattori)|is_(main|after)shock|epicent.*|split_group|group|fold|role|control_of|matched"
              r"|cluster.*"),
    ("file", rf"(({_FILE})_)?(mtime|ctime|modified|created)(_.*|at)?|(.*_)?({_FILE})_?({_TIME}|{_NUMBER})(_.*)?"
             rf"|(.*_)?({_NUMBER}|{_TIME})_?(of_)?({_FILE})"),
    ("name", rf"(.*_)?({_FILE}|path|url|image_?name|sample_id|window_id|sha256|md5|uuid|hash|checksum)(_.*)?"
             rf"|{_NUMBER}|name|nama|unnamed_.*"),
    ("end", rf"(.*_)?(end|stop|akhir|ende)(_({_TIME}))?"),
    ("hour", r"((utc|local|start)_)?(hour|slot|jam|stunde|uhrzeit)(_(utc|local|of_day))?"),
    ("calendar", rf"(.*_)?(weekday|day_of_week|dow|weekend|week|day_of_month|year|hari|wochentag|wochenende|minggu"
                 rf"|pekan|woche|tahun|jahr|{_MONTHS})(_(utc|local))?|((utc|start)_)?(minute|second)"),
    ("era", rf"(.*_)?({_TIME}|start|begin|mulai|unix|epoch|day)(_.*)?"),
    ("space_weather", r"(kp|dst|ap|ae|sym_?h|f10_?7|solar|imf|bz)(_.*|index)?|.*_(kp|dst)"),
    ("source", r".*(source|instrument|sensor|format|dataset|network|operator|image_(type|size)|augment|generated).*"
               r"|origin|h_axis.*"),
    ("quality", r".*(quality|gap|missing|masked|battery|completeness|coverage|duration|kualitas|durasi).*|samples"
                r"|n_samples|(.*_)?length(_.*)?"),
    ("field", r"[hdzxyf]_.*|.*(pc[1345]|_std|_mean|power|rms|snr|noise|polari[sz]).*"),
)  # fmt: skip
_RANDOM_NAMES = "sha|md5|uuid|hash|checksum"  # numbers in them mean nothing
_OF_EARTHQUAKE = r"event|eq|epicent|quake|gempa|hypocent|source"  # of a position
METADATA = ("station", "era", "hour", "calendar", "space_weather", "source", "quality", "file")  # no geomagnetic data


@dataclass(frozen=True)
class ColumnUse:
    """What a column of a table was used for."""

    kind: str  # or family of the feature
    is_feature: bool
    note: str = ""  # why it is no feature, or "informational"
    is_wanted: bool = True  # not left out by audit.features

    def describe(self) -> str:
        """Text in ``columns`` of audit.json."""
        if self.is_feature:
            return f"{self.kind}: feature{', ' if self.note else ''}{self.note}"
        return f"{self.kind}: {self.note}"

    @classmethod
    def of_feature(cls, feature: Feature) -> ColumnUse:
        """The use of a column that is tested for the class."""
        return cls(feature.family, True, "" if feature.blocking else "informational")


def kind_of(column: str, values: pd.Series) -> str:
    """Kind of a column by its name and its values, which are text.

    A time is what can be read as one; a number is no name, because a name contains "file" or "id"; a text that
    differs from row to row is a name.
    """
    name = _words(column)
    kind = next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name)), "other")
    numeric = is_numeric(values)
    if kind == "name" and numeric:
        is_number = re.fullmatch(rf"{_NUMBER}|unnamed_.*|.*_id", name)
        return "file" if re.fullmatch(_FILE, name) else "number" if is_number else "other"
    if kind in ("era", "calendar", "other") and is_time(values) and (kind == "era" or not numeric or _is_date(values)):
        return "era"
    if kind == "era" and values.dropna().str.fullmatch(_CLOCK).all():
        kind = "hour"
    if kind == "era":
        kind = "calendar" if numeric and _are_whole(values, 366) else "other"
    if kind == "hour" and not (_are_whole(values, 24) if numeric else values.nunique() <= _HOURS):
        return "other"
    if kind == "other" and not numeric and values.nunique() > _MAX_LEVELS:
        return "name"
    return kind


def _words(column: str) -> str:
    return "_".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()))


def choose_features(
    rows: pd.DataFrame, label: str, y: Index, groups: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[Feature], dict[str, ColumnUse]]:
    """Features, and what every column is used for."""
    features: list[Feature] = []
    uses: dict[str, ColumnUse] = {}
    has_years = _has_years(rows)
    for column in rows.columns:
        kind = kind_of(column, rows[column])
        is_wanted = wanted is not None and column in wanted
        if column == label:
            uses[column] = ColumnUse("label", False, "the class")
        elif wanted is not None and not is_wanted and column not in groups:
            uses[column] = ColumnUse(kind, False, "left out, not among audit.features", is_wanted=False)
        elif rows[column].isna().all():
            uses[column] = ColumnUse(kind, False, "left out, empty")
        elif not is_wanted and column not in groups and (use := _use_against(rows[column], kind, y)):
            uses[column] = use
        else:
            feature = _as_feature(rows[column], column, kind, is_wanted, has_years)
            if is_constant(feature.code):
                uses[column] = ColumnUse(kind, False, "left out, one value")
            else:
                features.append(feature)
                uses[column] = ColumnUse.of_feature(feature)
    return features, uses


def derive_features(rows: pd.DataFrame, uses: dict[str, ColumnUse]) -> list[Feature]:
    """Features that several columns contain: calendar, hour and order of times, lengths, names, positions of stations.

    ``uses`` is as ``choose_features`` returns it; a column that is left out on purpose has none.
    """
    found: list[Feature] = []
    used = [column for column in rows.columns if uses[column].is_wanted]
    kinds = {column: kind_of(column, rows[column]) for column in used}
    times = [column for column in used if kinds[column] == "era" and uses[column].is_feature]
    parsed = {column: to_times(rows[column]) for column in times}
    for column, values in parsed.items():
        found += calendar_features(column, values.to_numpy())
        if "hour" not in kinds.values():
            found.append(Feature(f"hour of {column}", "hour", quantile_codes(values.dt.hour.to_numpy(dtype=float), 8)))
    start = parsed[times[0]] if times else None
    for column in used:
        if kinds[column] == "end" and start is not None:
            length_s = (to_times(rows[column]) - start).dt.total_seconds().to_numpy()
            found.append(Feature(f"{column} - {times[0]}", "quality", quantile_codes(length_s)))
        if kinds[column] == "name" and not re.search(_RANDOM_NAMES, column.lower()) and rows[column].notna().any():
            found += name_features(column, rows[column], start)
    if "station" not in kinds.values():
        found += _position_features(rows[[column for column in used if kinds[column] == "position"]])
    if len(used) > 1 and any(use.is_feature for use in uses.values()):
        found += order_features(None if start is None else start.to_numpy(), len(rows), blocking=False)
    return [feature for feature in found if not is_constant(feature.code)]


def _use_against(values: pd.Series, kind: str, y: Index) -> ColumnUse | None:
    if kind in ("name", "end", "position"):
        return ColumnUse(kind, False, "left out, identifies the row")
    if kind == "label" or (kind in ("other", "field") and _is_label_copy(values, y)):
        return ColumnUse("label", False, "states the class or its earthquake")
    if not is_numeric(values) and kind not in ("era", "station", "file") and values.nunique() > _MAX_LEVELS:
        return ColumnUse(kind, False, f"left out, {values.nunique()} different texts")
    return None


def _is_label_copy(values: pd.Series, y: Index) -> bool:
    """Whether values and classes correspond one to one; missing counts as a value."""
    code, _ = category_codes(values)
    pairs = len(np.unique(np.column_stack([code, y]), axis=0))
    return pairs == len(np.unique(code)) == len(np.unique(y))


def _position_features(rows: pd.DataFrame) -> list[Feature]:
    """The positions of few stations, as a station."""
    columns = [column for column in rows if not re.search(_OF_EARTHQUAKE, column.lower())]
    if not columns:
        return []
    place = rows[columns].fillna("").agg(" ".join, axis=1)
    if place.nunique() > _MAX_LEVELS:
        return []
    return [Feature(" and ".join(columns), "station", *category_codes(place))]


def _as_feature(values: pd.Series, column: str, kind: str, is_wanted: bool, has_years: bool) -> Feature:
    blocking = is_wanted or kind in METADATA
    own_name = f"{column}_column" if column in OWN_FAMILIES else column
    family = kind if kind in METADATA else own_name
    if kind == "calendar":
        name = column.lower()
        if re.search(r"year|tahun|jahr$", name):
            family = "era"
        elif re.search(_MONTHS, name) and not has_years and not is_wanted:
            family, blocking = own_name, False
    if kind == "era":
        return Feature(column, "era", epoch_codes(to_times(values).to_numpy()), blocking=blocking)
    if kind == "file" and is_time(values):
        return Feature(column, "file", file_time_codes(to_times(values).to_numpy()), blocking=blocking)
    if kind == "number":
        return Feature(column, "order", quantile_codes(to_numbers(values)), blocking=is_wanted)
    if kind != "station" and is_numeric(values):
        n_bins = {"hour": 8, "calendar": 12}.get(kind, 6)
        return Feature(column, family, quantile_codes(to_numbers(values), n_bins), blocking=blocking)
    code, levels = category_codes(values)
    return Feature(column, family, code, levels, blocking)


def _has_years(rows: pd.DataFrame) -> bool:
    """Whether the times of the table span so many years that a month is more than an instrument epoch."""
    return any(
        spans_years(to_times(rows[column]).to_numpy()) for column in rows if kind_of(column, rows[column]) == "era"
    )


def _is_date(values: pd.Series) -> bool:
    return bool(values.dropna().astype(str).str.fullmatch(_COMPACT_DATE).all())


def _are_whole(values: pd.Series, largest: int) -> bool:
    numbers = to_numbers(values.dropna())
    numbers = numbers[np.isfinite(numbers)]
    return bool(((numbers >= 0) & (numbers <= largest) & (numbers % 1 == 0)).all())


def to_numbers(values: pd.Series) -> FloatArray:
    """Numbers (n,) of texts; NaN where there is none."""
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)


def is_numeric(values: pd.Series) -> bool:
    """Whether nearly all texts (n,) that are not missing are finite numbers."""
    text = values[values.notna() & (values != NORMAL)]
    return len(text) > 0 and bool(np.isfinite(to_numbers(text)).mean() >= _NUMERIC_FRACTION)


def is_time(values: pd.Series) -> bool:
    """Whether nearly all texts (n,) that are not missing are times."""
    text = values[values.notna()]
    return len(text) > 0 and bool(to_times(text).notna().mean() >= _NUMERIC_FRACTION)


def to_times(values: pd.Series) -> pd.Series:
    """Times (n,) of texts, UTC; NaT where there is none. Numbers are dates (20190131) or Unix times in s or ms.

    Of dates such as 3/4/2019 the day is first unless one of the column has a second number above 12.
    """
    text = values.astype(object).where(values.notna(), "").astype(str)
    numbers = pd.to_numeric(text, errors="coerce")
    has_year = text.str.contains(r"\d{4}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}", regex=True)
    is_compact = text.str.fullmatch(_COMPACT_DATE)
    readable = text.where(has_year & (numbers.isna() | is_compact))
    second = pd.to_numeric(text.str.extract(_DAY_OR_MONTH_FIRST)[0])
    times = pd.to_datetime(readable.where(second.isna()), errors="coerce", utc=True, format="mixed")
    day_first = not bool((second > _MONTHS_OF_YEAR).any())
    year_last = readable.where(second.notna())
    times = times.fillna(pd.to_datetime(year_last, errors="coerce", utc=True, format="mixed", dayfirst=day_first))
    for factor in (1, 1000):
        unix = (numbers / factor).where((numbers / factor).between(*_UNIX_S) & ~is_compact)
        times = times.fillna(pd.to_datetime(unix.round(), unit="s", utc=True, errors="coerce"))
    return times.dt.tz_localize(None).astype("datetime64[s]")
