"""Reads the metadata tables of earlier data sets: columns under several names, one row for each picture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.cells import Column, read_time
from seismag.archive.tables import TextTable, decode_text, read_payload, split_text
from seismag.arrays import FloatArray
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError

# The first name is that of the published tables; of several in one table the first filled one counts.
SYNONYMS = {
    "station": ("station", "station_code", "kode_stasiun", "stasiun", "sta"),
    "date": ("date", "tanggal", "event_date", "start_utc"),
    "hour": ("hour", "hour_utc", "jam"),
    "azimuth": ("azimuth", "azimuth_deg", "azimut", "azi"),
    "magnitude": ("magnitude", "magnitudo", "mag"),
    "azimuth_class": ("azimuth_class", "azi_class", "class_azimuth", "azimuth_label", "azi_label"),
    "magnitude_class": ("magnitude_class", "mag_class", "class_magnitude", "magnitude_label", "mag_label"),
    "seconds": ("samples",),  # of the window, at 1 Hz
    "kp": ("kp_index", "kp_max", "kp"),
}
PATHS = (
    "unified_path", "spectrogram_path", "image_path", "filepath", "file_path", "path",
    "filename", "file_name", "spectrogram_file", "image_file", "image", "file",
)  # fmt: skip
AUGMENTATION = (
    "augmentation_type", "aug_type", "augmentation", "augmentation_id", "aug_id", "augmented", "is_augmented",
    "image_type", "dataset_source", "generated",
)  # fmt: skip
_FIRST, _AFTER = np.datetime64("1840-01-01", "ms"), np.datetime64("2101-01-01", "ms")  # dates of recordings
_REQUIRED = ("station", "date", "azimuth_class", "magnitude_class")
_MISSING = ("", "nan", "none", "null", "nat")
_NOT_AUGMENTED = ("0", "0.0", "false", "no", "original", "normal")
_AUGMENTED_NAME = re.compile(r"(?:^|[_\-./])aug(?:ment(?:ed|ation)?)?(?!_\d{8})[_\-]?\d*(?=[_\-./]|$)", re.IGNORECASE)
_HOUR = r"(?i)^h?(\d{1,2})(?:\.0+|:00(?::00)?)?\s*(?:utc|z|h)?$"  # 4, 04, 4.0, H04, 04:00, 4 UTC
_NAME = re.compile(r"^([A-Za-z0-9]{2,5})_(\d{8})(?:_H(\d{2}))?(?=[_.]|$)")


def read_metadata(source: Path) -> tuple[pd.DataFrame, Path, dict[str, str]]:
    """Read every metadata table of a data set.

    Args:
        source: a folder (tables at its top or one level below), or one table.

    Returns:
        The rows, one for each picture, in the order of the tables: station, start_utc, seconds (NaT, NaN where not
        readable), azimuth_text, magnitude_text (as written), magnitude, azimuth_class, magnitude_class (text, None
        where empty), kp, paths (list), name, augmented (the entry that marks a copy, else None), table; the folder;
        the checksum of each table.

    Raises:
        DataError: no table with the columns needed, a damaged table, an unknown class, or a filled cell of magnitude,
            samples or Kp that is not understood.
    """
    if not source.exists():
        raise DataError(f"{source}: no such folder. Name the one that holds the pictures and their metadata CSV.")
    folder = source if source.is_dir() else source.parent
    tables = {*source.glob("*.csv"), *source.glob("*/*.csv")} if source.is_dir() else {source}
    files = sorted(file for file in tables if file == source or not is_litter(file.relative_to(folder)))
    parts, sums, lacking = [], {}, []
    for file in files:
        payload, sha256 = read_payload(file)
        table = split_text(decode_text(payload, file), file)
        missing = [name for name in _REQUIRED if table.find(*SYNONYMS[name]) is None]
        missing += ["filename"] if table.find(*PATHS) is None else []
        if missing:
            lacking.append(f"{file.relative_to(folder)} lacks {', '.join(missing)}")
            continue
        name = str(file.relative_to(folder))
        parts.append(_rows(table, name, file))
        sums[name] = sha256
    if not parts:
        found = "; ".join(lacking[:3]) or "no CSV at its top or one level below"
        raise DataError(f"{source}: no metadata table ({found}). Needed: {', '.join(_REQUIRED)}, filename.")
    rows = pd.concat(parts, ignore_index=True)
    for column, classes in (("magnitude_class", MAGNITUDE_CLASSES), ("azimuth_class", AZIMUTH_CLASSES)):
        unknown = rows.loc[rows[column].notna() & ~rows[column].isin(classes)]
        if len(unknown):
            first = unknown.iloc[0]
            names = ", ".join(sorted(unknown[column].astype(str).unique())[:6])
            raise DataError(
                f"{source}: {column}: unknown class {names} in {len(unknown)} rows, the first of {first['table']} "
                f"for {first['name']}. Known: {', '.join(classes)}. Rename them in the table.",
                "unknown_class",
            )
    return rows, folder, sums


def name_facts(name: str) -> tuple[str, str, int | None] | None:
    """Return station, date (YYYY-MM-DD) and hour in the name of a picture; None where it has another form."""
    match = _NAME.match(name)
    if match is None:
        return None
    day = f"{match[2][:4]}-{match[2][4:6]}-{match[2][6:]}"
    return match[1].upper(), day, None if match[3] is None else int(match[3])


def numbers(text: pd.Series) -> pd.Series:
    """Convert a text column to numbers; NaN where there is none."""
    return pd.to_numeric(text, errors="coerce").astype(float)


def is_litter(relative: Path) -> bool:
    """Return whether a file is one of the system: hidden (``._name`` of a Mac, copies of a notebook) or __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in relative.parts)


def _rows(table: TextTable, name: str, file: Path) -> pd.DataFrame:
    width = len(table.columns)
    cells = pd.DataFrame([(row + [""] * width)[:width] for row in table.rows], columns=range(width), dtype=object)

    def column(*names: str) -> pd.Series:
        """Return the first filled cell among these columns; None where all are empty."""
        result = pd.Series([None] * len(cells), dtype=object)
        for place in [table.columns.index(entry) for entry in names if entry in table.columns]:
            filled = cells[place].where(~cells[place].str.lower().isin(_MISSING), None)
            result = result.where(result.notna(), filled)
        return result

    def values(entry: str, kind: str) -> FloatArray:
        cells = column(*SYNONYMS[entry]).fillna("").replace(dict.fromkeys(MAGNITUDE_CLASSES, ""))  # Normal has none
        return Column(entry, file, table.lines, table.decimal_comma).numbers(cells.tolist(), kind)

    paths = [column(entry) for entry in PATHS if entry in table.columns]
    rows = pd.DataFrame(
        {
            "station": column(*SYNONYMS["station"]).str.upper(),
            "start_utc": _start(column(*SYNONYMS["date"]), column(*SYNONYMS["hour"])),
            "seconds": values("seconds", "number"),
            "azimuth_text": column(*SYNONYMS["azimuth"]),
            "magnitude_text": column(*SYNONYMS["magnitude"]),
            "magnitude": values("magnitude", "magnitude"),
            "azimuth_class": column(*SYNONYMS["azimuth_class"]),
            "magnitude_class": column(*SYNONYMS["magnitude_class"]),
            "kp": values("kp", "kp"),
            "paths": [
                list(dict.fromkeys(path.replace("\\", "/") for path in row if path)) for row in zip(*paths, strict=True)
            ],
        }
    )
    rows["name"] = [paths[0].rpartition("/")[2] if paths else None for paths in rows["paths"]]
    stated = {entry: column(entry) for entry in AUGMENTATION if entry in table.columns}
    rows["augmented"] = [
        _augmentation({entry: values.iloc[row] for entry, values in stated.items()}, rows["paths"].iloc[row])
        for row in range(len(rows))
    ]
    return rows.assign(table=name)


def _start(date: pd.Series, hour: pd.Series) -> pd.Series:
    """Start of the window; NaT where date or hour cannot be read. Without an hour, that of the date, or 0."""
    times = {text: read_time(text) or read_time(f"{text} 00:00") for text in date.dropna().unique()}
    stamps = [None if text is None or (time := times[text]) is None else time.utc for text in date]
    stamps = [None if stamp is None or not _FIRST <= stamp < _AFTER else stamp for stamp in stamps]
    day = pd.Series(pd.to_datetime(np.array(stamps, dtype="datetime64[ms]")), index=date.index)
    hours = numbers(hour.str.extract(_HOUR, expand=False))
    bad = hour.notna() & ~hours.between(0, 23)
    moment = day.where(hour.isna(), day.dt.floor("D") + pd.to_timedelta(hours.where(~bad, 0.0).fillna(0.0), unit="h"))
    return moment.where(~bad, pd.NaT).astype("datetime64[ms]")


def _augmentation(stated: dict[str, str | None], paths: list[str]) -> str | None:
    for column, value in stated.items():
        if value is None or value.lower() in _NOT_AUGMENTED:
            continue
        if column in ("image_type", "dataset_source") and "augment" not in value.lower():
            continue
        if column == "generated" and value.lower() not in ("1", "1.0", "true", "yes"):
            continue
        return f"{column} is {value}"
    named = next((path for path in paths if _AUGMENTED_NAME.search(path)), None)
    return None if named is None else f"named {named.rpartition('/')[2]}"
