"""Third-party tables of labels and metadata: class, groups, features, and columns that state the class."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.tables import decode_text, read_payload
from seismag.audit.checks.class_by import Feature, category_codes
from seismag.audit.checks.labels import NORMAL, LabelTable, count_check
from seismag.audit.checks.out_of_fold import Index
from seismag.audit.checks.permutation import cross_codes
from seismag.audit.columns import ColumnUse, choose_features, derive_features, kind_of, to_numbers, to_times
from seismag.documents import damage_explained, read_frame
from seismag.domain import DataError, UsageError
from seismag.estimate import CheckResult
from seismag.table_files import originals

MAX_CLASSES = 20
_MISSING = ("", "nan", "none", "null", "nat")
_NAME_YOUDEN = 0.5  # fraction of a class's names that contain its word, minus that among the other classes


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
    derived: tuple[Feature, ...]  # what times, order and names contain besides, tested likewise
    columns: dict[str, ColumnUse]  # what every column was used for
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
    frame = read_frame(path, {}, "Write it again.")
    return frame.map(lambda value: "" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value))


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
    with damage_explained(path, "Give a table with one name a column."):
        names = next(csv.reader([header], delimiter=separator, skipinitialspace=True))
    if len(names) == frame.shape[1]:  # pandas renames a name that occurs twice
        frame.columns = names
    return originals(frame)


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
    chosen, columns = choose_features(rows, label, y, groups, features)
    derived = derive_features(rows, columns)
    dropped = {} if has_class.all() else {f"no class in {label}": int((~has_class).sum())}
    return AuditTable(
        rows, label, y, tuple(names), group, tuple(groups), tuple(chosen), tuple(derived), columns, dropped
    )


def label_table(table: AuditTable) -> LabelTable:
    """Earthquake labels of each row, from columns of known names."""
    frame = table.frame
    lower = {column.lower(): column for column in frame.columns}

    def named(*names: str) -> pd.Series:
        for name in names:
            if name in lower and frame[lower[name]].notna().any():
                return frame[lower[name]]
        return pd.Series([None] * len(frame), dtype=object)

    time = to_times(named("start_utc", "date", "datetime", "time", "start_time", "timestamp"))
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
        magnitude=to_numbers(magnitude),
        azimuth_deg=to_numbers(azimuth),
        magnitude_class=named("magnitude_class", "mag_class").to_numpy(dtype=object),
        azimuth_class=named("azimuth_class", "azi_class").to_numpy(dtype=object),
        time=time.to_numpy(),
        hour=to_numbers(named("hour", "hour_utc")),
        event=event.to_numpy(dtype=object),
        positions=np.column_stack([to_numbers(column) for column in positions]),
    )


def check_label_in_name(table: AuditTable) -> CheckResult | None:
    """``label_in_name``: whether file names, paths or identifiers contain the class; None where there are none."""
    columns = [column for column, use in table.columns.items() if use.kind == "name"]
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
    copies = [
        column for column, use in table.columns.items()
        if use.kind == "label" and not use.is_feature and column != table.label
    ]  # fmt: skip
    if not copies:
        return CheckResult("label_copies", "No other column states the class.", 0.0, "columns", verdict="pass")
    sentence = f"Columns that state the class or its earthquake, never used as features: {', '.join(copies)}."
    return CheckResult("label_copies", sentence, float(len(copies)), "columns", verdict="informational")


def _default_groups(rows: pd.DataFrame) -> list[str]:
    filled = [column for column in rows if rows[column].notna().any()]
    first_of_kind = {kind_of(column, rows[column]): column for column in reversed(filled)}
    groups = [first_of_kind[kind] for kind in ("station", "era") if kind in first_of_kind]
    return groups if len(groups) == 2 else []


def _label_hint(frame: pd.DataFrame, label: str) -> str:
    likely = [c for c in frame.columns if c != label and 2 <= frame[c].nunique() <= MAX_CLASSES
              and (kind_of(c, frame[c]) == "label" or "class" in c.lower())]  # fmt: skip
    return f"Name another with --label{', for example ' + ' or '.join(likely[:3]) if likely else ''}."
