"""Third-party tables of labels and metadata: kind of each column, class, groups, features, and copies of rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.tables import decode_text, read_payload
from seismag.arrays import FloatArray
from seismag.audit.checks.class_by import Feature, category_codes, epoch_codes, is_constant, quantile_codes
from seismag.audit.checks.labels import NORMAL, LabelTable, count_check
from seismag.audit.checks.permutation import Index, cross_codes
from seismag.domain import DataError, UsageError
from seismag.estimate import CheckResult

MAX_CLASSES = 20
MAX_LEVELS = 60  # of a category that is no group column
_MISSING = ("", "nan", "none", "null", "nat")
_NUMERIC_FRACTION = 0.9
_NAME_YOUDEN = 0.5  # fraction of a class's names that contain its word, minus that among the other classes

# The kind of a column by its name in lower case; the first match decides.
_KINDS: tuple[tuple[str, str], ...] = (
    ("station", r"station|station_?code|kode_stasiun|stasiun|sta|site|observatory|iaga(_code)?"),
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
METADATA = ("station", "era", "hour", "space_weather", "source", "quality")  # kinds without geomagnetic data


@dataclass(frozen=True)
class AuditTable:
    """A table with its class column, its groups and its features."""

    frame: pd.DataFrame  # (n) rows that have a class, values as text
    label: str  # name of the class column
    y: Index  # (n,) class
    classes: tuple[str, ...]  # names
    group: Index  # (n,) group of each row
    group_columns: tuple[str, ...]  # the columns that define it
    features: tuple[Feature, ...]  # columns that are tested for the class
    columns: dict[str, str]  # kind of every column, and why it is no feature
    dropped: dict[str, int]  # numbers of rows left out, by reason


def read_audit_table(path: Path) -> pd.DataFrame:
    """Read delimited text or parquet, every value as text and missing ones as None.

    Raises:
        DataError: unreadable, empty, without rows, or with a column name twice.
    """
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    frame.columns = [str(column).strip() for column in frame.columns]
    if frame.columns.duplicated().any():
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{path}: the column {twice} occurs twice. Rename one of them.")
    if frame.empty:
        raise DataError(f"{path}: the table has no rows. Nothing can be audited.")
    frame = frame.map(lambda value: value.strip())
    is_missing = frame.map(lambda value: value.lower() in _MISSING)
    return frame.astype(object).mask(is_missing, None)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error}).") from error
    return frame.map(lambda value: "" if value is None or value is pd.NaT or value != value else str(value))


def _read_text(path: Path) -> pd.DataFrame:
    text = decode_text(read_payload(path)[0], path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=header.count)
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False
        )
    except ValueError as error:
        raise DataError(f"{path}: not readable as CSV ({' '.join(str(error).split())}).") from error
    names = next(csv.reader([header], delimiter=separator, skipinitialspace=True))
    if len(names) == frame.shape[1]:  # pandas renames a name that occurs twice
        frame.columns = names
    return frame


def prepare_table(
    frame: pd.DataFrame, label: str, groups: Sequence[str] | None, features: Sequence[str] | None = None
) -> AuditTable:
    """Find class, groups and features in a table.

    Args:
        frame: as ``read_audit_table`` returns it.
        label: column of the class.
        groups: columns that define the group; None: station and date where both exist, else each row is a group.
        features: columns to test for the class; None: chosen by kind.

    Raises:
        UsageError: an unknown column, too many classes, one group.
        DataError: one class only.
    """
    missing = [column for column in [label, *(groups or []), *(features or [])] if column not in frame.columns]
    if missing:
        raise UsageError(f"{', '.join(missing)}: no such column. The table has: {', '.join(map(str, frame.columns))}.")
    has_class = frame[label].notna()
    rows = frame[has_class].reset_index(drop=True)
    names = sorted(rows[label].unique(), key=lambda name: (name != NORMAL, name))
    if not names:
        raise DataError(f"label {label}: the column is empty. {_label_hint(frame, label)}")
    if len(names) == 1:
        raise DataError(f"label {label}: every row is {names[0]}. An audit needs two classes at least.")
    if len(names) > MAX_CLASSES:
        raise UsageError(
            f"label {label}: {len(names)} classes in {len(rows)} rows, limit {MAX_CLASSES}. "
            f"It looks like a number or a name. {_label_hint(frame, label)}"
        )
    groups = _default_groups(rows) if groups is None else groups
    group = np.arange(len(rows), dtype=np.intp)
    if groups:
        group = cross_codes(*(category_codes(rows[column])[0] for column in groups))
    if group.max() == 0:
        raise UsageError(
            f"groups {','.join(groups)}: all {len(rows)} rows are one group, so nothing can be left out. "
            "Name columns that differ, for example --groups station,date."
        )
    y = pd.Index(names).get_indexer(pd.Index(rows[label])).astype(np.intp)
    chosen, columns = _choose_features(rows, label, y, groups, features)
    dropped = {} if has_class.all() else {f"no class in {label}": int((~has_class).sum())}
    return AuditTable(rows, label, y, tuple(names), group, tuple(groups), tuple(chosen), columns, dropped)


def label_table(table: AuditTable) -> LabelTable:
    """Earthquake labels of each row, from columns of known names."""
    frame = table.frame
    lower = {column.lower(): column for column in frame.columns}

    def named(*names: str) -> pd.Series:
        for name in names:
            if name in lower and frame[lower[name]].notna().any():
                return frame[lower[name]]
        return pd.Series([None] * len(frame), dtype=object)

    time = _times(named("start_utc", "date", "datetime", "time", "start_time", "timestamp"))
    magnitude, azimuth = named("magnitude", "mag"), named("azimuth_deg", "azimuth")
    event = named("event_id")
    if event.isna().all():
        event = time.astype(str) + "|" + magnitude.astype(str) + "|" + azimuth.astype(str)
    positions = [
        named("station_latitude_deg", "station_latitude", "station_lat"),
        named("station_longitude_deg", "station_longitude", "station_lon"),
        named("event_latitude_deg", "event_latitude", "eq_lat", "epicenter_lat", "epicentre_latitude_deg"),
        named("event_longitude_deg", "event_longitude", "eq_lon", "epicenter_lon", "epicentre_longitude_deg"),
    ]
    return LabelTable(
        magnitude=_numbers(magnitude),
        azimuth_deg=_numbers(azimuth),
        magnitude_class=named("magnitude_class", "mag_class").to_numpy(dtype=object),
        azimuth_class=named("azimuth_class", "azi_class").to_numpy(dtype=object),
        time=time.to_numpy(),
        hour=_numbers(named("hour", "hour_utc")),
        event=event.to_numpy(dtype=object),
        positions=np.column_stack([_numbers(column) for column in positions]),
    )


def check_copies(table: AuditTable) -> CheckResult:
    """``copies``: rows that are marked as augmented, share a file, or share all measured numbers with another row."""
    frame = table.frame
    marked, same_name = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
    for column in frame.columns:
        kind, text = _kind(column), frame[column].fillna("").str.lower()
        if "augment" in column.lower():
            marked |= ~text.isin(["", "original", "false", "0", "0.0", "no"]).to_numpy()
        elif kind in ("source", "name"):
            marked |= text.str.contains(r"(?:^|[^a-z])aug(?:mented|mentation|\d+)(?:$|[^a-z])", regex=True).to_numpy()
        if kind == "name" and re.search("file|path|url", column.lower()):
            same_name |= (frame[column].notna() & frame[column].duplicated(keep=False)).to_numpy()
    same_numbers, n_measured = _same_numbers(frame)
    same_window, window = _same_window(frame)
    found = marked | same_name | same_numbers
    parts = [
        (marked, f"of {len(frame)} rows are augmented copies by their own columns or names"),
        (same_name, "rows share a file name with another"),
        (same_numbers, f"rows equal another in all {n_measured} measured numbers"),
    ]
    said = [f"{int(rows.sum())} {text}" for rows, text in parts if rows.any()]
    sentence = f"Copies: {'; '.join(said)}." if said else "No row is a copy of another by marks, names or numbers."
    if same_window.any():
        sentence += f" {int(same_window.sum())} rows share ({', '.join(window)}) with another."
    details = {
        "augmented": int(marked.sum()), "same_file_name": int(same_name.sum()),
        "same_numbers": int(same_numbers.sum()), "same_window": int(same_window.sum()),
    }  # fmt: skip
    return count_check("copies", sentence, int(found.sum()), "rows that are copies", details)


def check_label_in_name(table: AuditTable) -> CheckResult | None:
    """``label_in_name``: whether file names, paths or identifiers contain the class; None where there are none."""
    columns = [column for column, text in table.columns.items() if text.startswith("name")]
    if not columns:
        return None
    found = []
    for column in columns:
        words = table.frame[column].fillna("").str.lower().str.split(r"[^a-z]+", regex=True)
        for c, class_name in enumerate(table.classes):
            contains = np.array([class_name.lower() in row for row in words])
            inside, outside = contains[table.y == c], contains[table.y != c]
            if inside.mean() - outside.mean() >= _NAME_YOUDEN:
                found.append(f"{column} contains {class_name} in {inside.sum()} of its {len(inside)} rows and in "
                             f"{outside.sum()} of {len(outside)} others")  # fmt: skip
    sentence = f"Names contain the class: {'; '.join(found)}." if found else "No name contains the class."
    return count_check("label_in_name", sentence, len(found), "columns and classes")


def check_label_copies(table: AuditTable) -> CheckResult:
    """``label_copies``: columns that state the class or its earthquake; informational, since label tables have them."""
    copies = [column for column, text in table.columns.items() if text.startswith("label")]
    if not copies:
        return CheckResult("label_copies", "No other column states the class.", 0.0, "columns", verdict="pass")
    sentence = f"Columns that state the class or its earthquake, never used as features: {', '.join(copies)}."
    return CheckResult("label_copies", sentence, float(len(copies)), "columns", verdict="informational")


def _default_groups(rows: pd.DataFrame) -> list[str]:
    first_of_kind = {_kind(column): column for column in reversed(rows.columns)}
    groups = [first_of_kind[kind] for kind in ("station", "era") if kind in first_of_kind]
    return groups if len(groups) == 2 else []


def _label_hint(frame: pd.DataFrame, label: str) -> str:
    likely = [c for c in frame.columns if c != label and 2 <= frame[c].nunique() <= MAX_CLASSES
              and (_kind(c) == "label" or "class" in c.lower())]  # fmt: skip
    return f"Name another with --label{', for example ' + ' or '.join(likely[:3]) if likely else ''}."


def _kind(column: str) -> str:
    name = column.lower().replace(" ", "_")
    return next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name)), "other")


def _choose_features(
    rows: pd.DataFrame, label: str, y: Index, groups: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[Feature], dict[str, str]]:
    """Features, and of every column its kind and why it is no feature."""
    features: list[Feature] = []
    columns: dict[str, str] = {}
    for column in rows.columns:
        kind = _kind(column)
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


def describe_feature(feature: Feature) -> str:
    """Text of a feature in ``columns`` of audit.json."""
    return f"{feature.family}: feature{'' if feature.blocking else ', informational'}"


def _reason_against(values: pd.Series, kind: str, y: Index) -> str | None:
    if kind in ("name", "end", "position"):
        return f"{kind}: left out, identifies the row"
    if kind == "label" or (kind in ("other", "field") and _is_label_copy(values, y)):
        return "label: states the class or its earthquake"
    if not _is_numeric(values) and kind not in ("era", "station") and values.nunique() > MAX_LEVELS:
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
        times = _times(values)
        if times.notna().sum() >= _NUMERIC_FRACTION * values.notna().sum():
            return Feature(column, "era", epoch_codes(times.to_numpy()), blocking=blocking)
    if kind != "station" and _is_numeric(values):
        n_bins = 8 if kind == "hour" else 6
        return Feature(column, family, quantile_codes(_numbers(values), n_bins), blocking=blocking)
    code, levels = category_codes(values)
    return Feature(column, family, code, levels, blocking)


def _numbers(values: pd.Series) -> FloatArray:
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)


def _is_numeric(values: pd.Series) -> bool:
    text = values[values.notna() & (values != NORMAL)]
    return len(text) > 0 and bool(np.isfinite(_numbers(text)).mean() >= _NUMERIC_FRACTION)


def _times(values: pd.Series) -> pd.Series:
    times = pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
    return times.dt.tz_localize(None).astype("datetime64[s]")


def _same_numbers(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], int]:
    """Rows that equal another in all measured columns, where three have numbers that hardly repeat by chance."""
    measured = {}
    for column in frame.columns:
        if _kind(column) in ("field", "other") and _is_numeric(frame[column]):
            numbers = _numbers(frame[column])
            known = numbers[np.isfinite(numbers)]
            if len(known) and len(np.unique(known)) > 0.2 * len(known):
                measured[column] = numbers
    if len(measured) < 3:
        return np.zeros(len(frame), dtype=bool), len(measured)
    values = pd.DataFrame(measured)
    return (values.notna().all(axis=1) & values.duplicated(keep=False)).to_numpy(), len(measured)


def _same_window(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], list[str]]:
    """Rows that share station and time with another, and the columns compared."""
    kinds = {_kind(column): column for column in reversed(frame.columns)}
    key = [kinds[kind] for kind in ("station", "era", "hour") if kind in kinds]
    has_clock = "hour" in kinds or ("era" in kinds and _times(frame[kinds["era"]]).dt.hour.gt(0).any())
    if "station" not in kinds or "era" not in kinds or not has_clock:
        return np.zeros(len(frame), dtype=bool), key
    return (frame[key].notna().all(axis=1) & frame.duplicated(key, keep=False)).to_numpy(), key
