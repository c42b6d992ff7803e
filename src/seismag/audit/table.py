"""Any table of labels and metadata as the audit sees it: what each column is, and copies among its rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.tables import decode_text, read_payload
from seismag.arrays import FloatArray
from seismag.audit.checks.class_by import (
    Feature,
    category_codes,
    era_codes,
    is_constant,
    quantile_codes,
)
from seismag.audit.checks.labels import NORMAL, LabelTable
from seismag.audit.checks.permutation import Index, cross_codes
from seismag.domain import DataError, UsageError
from seismag.estimate import CheckResult

MAX_CLASSES = 20
MAX_LEVELS = 60  # of a category that is no group column
_MISSING = ("", "nan", "none", "null", "nat")
_NUMERIC_SHARE = 0.9
_NAME_YOUDEN = 0.5  # share of a class's names that hold its word, minus that share among the others

# What a column is, by its name in lower case; the first that fits. Families below METADATA are not of the field.
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
METADATA = ("station", "era", "hour", "space_weather", "source", "quality")


@dataclass(frozen=True)
class AuditTable:
    """A table with its class column, its groups and its features.

    Attributes:
        frame: (n) rows that have a class, cells as text.
        label: name of the class column. y: (n,) class. classes: names.
        group: (n,) group number. group_columns: the columns that make it.
        features: columns that may tell the class.
        columns: of every column its kind, and why it is no feature.
        dropped: rows left out, by reason.
    """

    frame: pd.DataFrame
    label: str
    y: Index
    classes: tuple[str, ...]
    group: Index
    group_columns: tuple[str, ...]
    features: tuple[Feature, ...]
    columns: dict[str, str]
    dropped: dict[str, int]


def read_audit_table(path: Path) -> pd.DataFrame:
    """Read delimited text or parquet, every cell as text and missing ones as None.

    Raises:
        DataError: unreadable, empty, without rows, or with a column name twice.
    """
    if path.suffix == ".parquet":
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as parquet ({error}).") from error
        frame = frame.map(lambda cell: "" if cell is None or cell is pd.NaT or cell != cell else str(cell))
    else:
        text = decode_text(read_payload(path)[0], path)
        header = next((line for line in text.splitlines() if line.strip()), "")
        separator = max(",;\t", key=header.count)
        try:
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                index_col=False,
            )
        except ValueError as error:
            raise DataError(f"{path}: not readable as CSV ({' '.join(str(error).split())}).") from error
        names = next(csv.reader([header], delimiter=separator, skipinitialspace=True))
        if len(names) == frame.shape[1]:  # pandas renames a name that occurs twice
            frame.columns = names
    frame.columns = [str(column).strip() for column in frame.columns]
    if frame.columns.duplicated().any():
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{path}: the column {twice} occurs twice. Rename one of them.")
    if frame.empty:
        raise DataError(f"{path}: the table has no rows. Nothing can be audited.")
    frame = frame.map(lambda cell: cell.strip())
    return frame.mask(frame.map(lambda cell: cell.lower() in _MISSING)).astype(object).where(lambda f: f.notna(), None)


def prepare_table(
    frame: pd.DataFrame, label: str, groups: Sequence[str] | None, features: Sequence[str] | None = None
) -> AuditTable:
    """Find class, groups and features in a table.

    Args:
        frame: as ``read_audit_table`` returns it.
        label: column of the class.
        groups: columns whose tuple is the group; None: station and date where they are there, else each row alone.
        features: columns that may tell the class; None: chosen by kind.

    Raises:
        UsageError: a column that is not there, more classes than rows can fill, one group.
        DataError: one class only.
    """
    _require_columns(frame, [label, *(groups or []), *(features or [])])
    has_class = frame[label].notna()
    if not has_class.any():
        raise DataError(f"label {label}: the column is empty. {_label_hint(frame, label)}")
    rows = frame[has_class].reset_index(drop=True)
    names = sorted(rows[label].unique(), key=lambda name: (name != NORMAL, name))
    if len(names) < 2:
        raise DataError(f"label {label}: every row is {names[0]}. An audit needs two classes at least.")
    if len(names) > MAX_CLASSES:
        raise UsageError(
            f"label {label}: {len(names)} classes in {len(rows)} rows, limit {MAX_CLASSES}. "
            f"It looks like a number or a name. {_label_hint(frame, label)}"
        )
    kinds = {column: _kind(column) for column in rows.columns}
    if groups is None:
        by_kind = {kinds[c]: c for c in reversed(rows.columns) if kinds[c] in ("station", "era")}
        groups = [by_kind[kind] for kind in ("station", "era") if kind in by_kind]
        groups = groups if len(groups) == 2 else []
    group = _group_numbers(rows, groups)
    if group.max() == 0:
        raise UsageError(
            f"groups {','.join(groups)}: all {len(rows)} rows share one group, so nothing can be left out. "
            "Name columns that differ, for example --groups station,date."
        )
    y = pd.Index(names).get_indexer(pd.Index(rows[label])).astype(np.intp)
    chosen, columns = _choose_features(rows, label, y, kinds, groups, features)
    dropped = {f"no class in {label}": int((~has_class).sum())} if not has_class.all() else {}
    return AuditTable(rows, label, y, tuple(names), group, tuple(groups), tuple(chosen), columns, dropped)


def label_table(table: AuditTable) -> LabelTable:
    """Take what the columns say of each row's earthquake."""
    frame, n = table.frame, len(table.frame)
    lower = {column.lower(): column for column in frame.columns}

    def named(*names: str) -> pd.Series:
        column = next((lower[name] for name in names if name in lower and frame[lower[name]].notna().any()), None)
        return pd.Series([None] * n, dtype=object) if column is None else frame[column]

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
    """Look for rows that are made of other rows: marked as augmented, of the same file, or of the same numbers."""
    frame = table.frame
    marked = np.zeros(len(frame), dtype=bool)
    for column in frame.columns:
        text = frame[column].fillna("").str.lower()
        if "augment" in column.lower():
            marked |= ~text.isin(["", "original", "false", "0", "0.0", "no"]).to_numpy()
        elif _kind(column) in ("source", "name"):
            marked |= text.str.contains(r"(?:^|[^a-z])aug(?:mented|mentation|\d+)(?:$|[^a-z])", regex=True).to_numpy()
    marks = f"{int(marked.sum())} of {len(frame)} rows are augmented copies by their own columns or names"
    names = [c for c in frame.columns if _kind(c) == "name" and re.search("file|path|url", c.lower())]
    same_name = np.zeros(len(frame), dtype=bool)
    for column in names:
        same_name |= (frame[column].notna() & frame[column].duplicated(keep=False)).to_numpy()
    same_numbers, n_measured = _same_numbers(frame)
    same_window, window = _same_window(frame)
    found = marked | same_name | same_numbers
    parts = [marks] if marked.any() else []
    parts += [f"{int(same_name.sum())} rows share a file name with another"] if same_name.any() else []
    if same_numbers.any():
        parts.append(f"{int(same_numbers.sum())} rows equal another in all {n_measured} measured numbers")
    sentence = f"Copies: {'; '.join(parts)}." if parts else "No row is a copy of another by marks, names or numbers."
    if same_window.any():
        sentence += f" {int(same_window.sum())} rows share ({', '.join(window)}) with another."
    return CheckResult(
        "copies",
        sentence,
        statistic=float(found.sum()),
        statistic_name="rows that are copies",
        gates=True,
        verdict="fail" if found.any() else "pass",
        details={"augmented": int(marked.sum()), "same_file_name": int(same_name.sum()),
                 "same_numbers": int(same_numbers.sum()), "same_window": int(same_window.sum())},
    )  # fmt: skip


def check_label_in_name(table: AuditTable) -> CheckResult | None:
    """Ask whether file names, paths or identifiers spell the class; None where there are none."""
    columns = [c for c in table.frame.columns if table.columns[c].startswith("name")]
    if not columns:
        return None
    found = []
    for column in columns:
        tokens = table.frame[column].fillna("").str.lower().str.split(r"[^a-z]+", regex=True)
        for c, class_name in enumerate(table.classes):
            word = class_name.lower()
            holds = np.array([word in row for row in tokens])
            inside, outside = holds[table.y == c], holds[table.y != c]
            if inside.mean() - outside.mean() >= _NAME_YOUDEN:
                found.append(f"{column} spells {class_name} in {inside.sum()} of its {len(inside)} rows and in "
                             f"{outside.sum()} of {len(outside)} others")  # fmt: skip
    sentence = f"The class can be read off names: {'; '.join(found)}." if found else "No name spells the class."
    return CheckResult(
        "label_in_name", sentence, statistic=float(len(found)), statistic_name="columns and classes spelled",
        gates=True, verdict="fail" if found else "pass",
    )  # fmt: skip


def check_label_copies(table: AuditTable) -> CheckResult:
    """Name the columns that state the class or what it was made from; a note, for a table of labels has them."""
    copies = [column for column, text in table.columns.items() if text.startswith("label")]
    sentence = (
        f"Columns that state the class or its earthquake, never used as features: {', '.join(copies)}."
        if copies
        else "No other column states the class."
    )
    return CheckResult("label_copies", sentence, float(len(copies)), "columns", verdict="note" if copies else "pass")


def _require_columns(frame: pd.DataFrame, wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise UsageError(f"{', '.join(missing)}: no such column. The table has: {', '.join(map(str, frame.columns))}.")


def _label_hint(frame: pd.DataFrame, label: str) -> str:
    likely = [c for c in frame.columns if c != label and 2 <= frame[c].nunique() <= MAX_CLASSES
              and (_kind(c) == "label" or "class" in c.lower())]  # fmt: skip
    return f"Name another with --label{', for example ' + ' or '.join(likely[:3]) if likely else ''}."


def _group_numbers(rows: pd.DataFrame, groups: Sequence[str]) -> Index:
    if not groups:
        return np.arange(len(rows), dtype=np.intp)
    return cross_codes(*(category_codes(rows[column])[0] for column in groups))


def _kind(column: str) -> str:
    name = column.lower().replace(" ", "_")
    return next((kind for kind, pattern in _KINDS if re.fullmatch(pattern, name)), "other")


def _choose_features(
    rows: pd.DataFrame, label: str, y: Index, kinds: dict[str, str], groups: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[Feature], dict[str, str]]:
    features: list[Feature] = []
    columns: dict[str, str] = {}
    for column in rows.columns:
        kind = kinds[column]
        asked = wanted is not None and column in wanted
        if column == label:
            columns[column] = "the class"
        elif wanted is not None and not asked and column not in groups:
            columns[column] = f"{kind}: left out, not among --features"
        elif rows[column].isna().all():
            columns[column] = f"{kind}: left out, empty"
        elif not asked and column not in groups and (reason := _reason_against(rows[column], kind, y)):
            columns[column] = reason
        else:
            feature = _as_feature(rows[column], column, kind if kind != "label" else "other", asked)
            if is_constant(feature.code):
                columns[column] = f"{kind}: left out, one value"
            else:
                features.append(feature)
                columns[column] = f"{feature.family}: feature{'' if feature.gates else ', does not gate'}"
    return features, columns


def _reason_against(values: pd.Series, kind: str, y: Index) -> str | None:
    if kind in ("name", "end", "position"):
        return f"{kind}: left out, identifies the row"
    if kind == "label" or (kind in ("other", "field") and _is_label_copy(values, y)):
        return "label: states the class or its earthquake"
    if not _is_numeric(values) and kind not in ("era", "station") and values.nunique() > MAX_LEVELS:
        return f"{kind}: left out, {values.nunique()} different texts"
    return None


def _is_label_copy(values: pd.Series, y: Index) -> bool:
    """Whether values and classes name each other one to one (missing counts as a value)."""
    code, _ = category_codes(values)
    pairs = len(np.unique(np.column_stack([code, y]), axis=0))
    return pairs == len(np.unique(code)) == len(np.unique(y))


def _as_feature(values: pd.Series, column: str, kind: str, asked: bool) -> Feature:
    family = kind if kind in METADATA else column
    gates = asked or kind in METADATA
    if kind == "era":
        times = _times(values)
        if times.notna().sum() >= _NUMERIC_SHARE * values.notna().sum():
            return Feature(column, "era", era_codes(times.to_numpy()), gates=gates)
    if kind != "station" and _is_numeric(values):
        n_bins = 8 if kind == "hour" else 6
        return Feature(column, family, quantile_codes(_numbers(values), n_bins), gates=gates)
    code, levels = category_codes(values)
    return Feature(column, family, code, levels, gates)


def _numbers(values: pd.Series) -> FloatArray:
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)


def _is_numeric(values: pd.Series) -> bool:
    text = values[values.notna() & (values != NORMAL)]
    return len(text) > 0 and bool(np.isfinite(_numbers(text)).mean() >= _NUMERIC_SHARE)


def _times(values: pd.Series) -> pd.Series:
    times = pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
    return times.dt.tz_localize(None).astype("datetime64[s]")


def _same_numbers(frame: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Rows that equal another in all measured columns: at least three whose numbers hardly repeat by chance."""
    numeric = {c: _numbers(frame[c]) for c in frame.columns if _kind(c) in ("field", "other") and _is_numeric(frame[c])}
    measured = {c: v for c, v in numeric.items() if np.isfinite(v).any()
                and len(np.unique(v[np.isfinite(v)])) > 0.2 * np.isfinite(v).sum()}  # fmt: skip
    if len(measured) < 3:
        return np.zeros(len(frame), dtype=bool), len(measured)
    values = pd.DataFrame(measured)
    return (values.notna().all(axis=1) & values.duplicated(keep=False)).to_numpy(), len(measured)


def _same_window(frame: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    kinds = {_kind(column): column for column in reversed(frame.columns)}
    key = [kinds[kind] for kind in ("station", "era", "hour") if kind in kinds]
    has_clock = "hour" in kinds or ("era" in kinds and _times(frame[kinds["era"]]).dt.hour.gt(0).any())
    if "station" not in kinds or "era" not in kinds or not has_clock:
        return np.zeros(len(frame), dtype=bool), key
    return (frame[key].notna().all(axis=1) & frame.duplicated(key, keep=False)).to_numpy(), key
