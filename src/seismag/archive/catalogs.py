"""Earthquake catalogues: CSV layouts, FDSN text and QuakeML are read into one table; several files are merged.

CSV layouts, recognised by their columns: BMKG's yearly download (``event_id, datetime, ...``) and its web export
(``Event ID, Date time, ...``), both in UTC by the format; text of FDSN services; USGS (``time, ..., mag, magType, ...,
id``); and seismag's own (``event_id, origin_utc, latitude_deg, ...``, written by the simulator and by users).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.catalog_checks import require_same_clock, require_seismic_places
from seismag.archive.cells import MISSING, Column, is_missing, magnitude_scale
from seismag.archive.coverage import Coverage, coverage_of, lost_month_ends
from seismag.archive.quakeml import read_quakeml
from seismag.archive.same_earthquakes import count_near_duplicates, name_contradictions, with_ids, without_same
from seismag.archive.tables import TextTable, decode_text, read_payload, split_text
from seismag.domain import DataError, UsageError

# our column -> names in the header (lower case, spaces as underscores), of which the first that is there counts
_NAMES = {
    "event_id": ("event_id", "eventid", "id"),
    "origin_utc": ("origin_utc", "time_utc", "datetime", "date_time", "time"),
    "latitude_deg": ("latitude_deg", "latitude"),
    "longitude_deg": ("longitude_deg", "longitude"),
    "depth_km": ("depth_km", "depth", "depth_(km)", "depth/km"),
    "magnitude": ("magnitude", "mag"),
    "magnitude_type": ("magnitude_type", "magtype", "mag_type"),
    "place": ("place", "location", "eventlocationname"),
    "type": ("type", "eventtype"),
}
_NEEDED = ("origin_utc", "latitude_deg", "longitude_deg", "magnitude")
_LAYOUTS = (
    "datetime, latitude, longitude, magnitude (BMKG); date_time, latitude, longitude, magnitude (BMKG, web); "
    "time, latitude, longitude, mag (USGS); origin_utc, latitude_deg, longitude_deg, magnitude"
)
CATALOG_COLUMNS = [
    "event_id", "origin_utc", "latitude_deg", "longitude_deg", "depth_km", "magnitude", "magnitude_type", "place",
]  # fmt: skip
_NUMBERS = {"latitude_deg": "latitude", "longitude_deg": "longitude", "depth_km": "depth", "magnitude": "magnitude"}
_MODERATE_TOP = 5.0
_LEAST_ROWS, _FEW_ROWS = 20, 3  # of a catalogue whose last rows are compared with the others
_LONG_GAP, _TIMES_LONGER = np.timedelta64(3 * 365, "D"), 10
_AFTER_ALL = pd.Timestamp("2100-01-01")  # 9999-12-31 stands for no date
# Types of QuakeML, USGS and ISC that are no earthquakes. A type that is in neither list says nothing against one.
_NO_EARTHQUAKE = {
    "not existing", "duplicate", "false", "false trigger", "anthropogenic event", "explosion", "accidental explosion",
    "chemical explosion", "controlled explosion", "experimental explosion", "industrial explosion", "mining explosion",
    "nuclear explosion", "volcanic explosion", "volcanic eruption", "eruption", "quarry blast", "quarry", "blast",
    "mine", "road cut", "blasting levee", "collapse", "cavity collapse", "mine collapse", "building collapse",
    "rock burst", "crash", "plane crash", "train crash", "boat crash", "atmospheric event", "sonic boom",
    "sonic blast", "acoustic noise", "thunder", "avalanche", "snow avalanche", "debris avalanche",
    "hydroacoustic event", "ice quake", "slide", "landslide", "rock slide", "rockslide", "meteorite",
    "km", "sm", "kh", "sh", "kx", "sx", "kn", "sn", "kr", "sr", "ls",
}  # fmt: skip
_EARTHQUAKE = {"", "earthquake", "eq", "ke", "se", "known earthquake", "suspected earthquake", "suspected"}
_NO_ID = MISSING | {"0"}
_ID_OF_A_SPREADSHEET = re.compile(r"[+-]?\d(?:[.,]\d+)?e[+-]?\d+", re.IGNORECASE)

BoundingBox = tuple[float, float, float, float]  # south, north, west, east; degrees, longitudes in [-180, 180)


@dataclass(frozen=True)
class Catalog:
    """Earthquakes of one or several files.

    Attributes:
        events: event_id, origin_utc (naive UTC, ms), latitude_deg, longitude_deg, depth_km (NaN: unknown),
            magnitude, magnitude_type and place ("": unknown); sorted by origin_utc, event_id; index 0..n-1.
        coverage: time for which the merged table is complete (``coverage_of``).
        dropped: reason -> number of rows left out.
        sources: file name -> sha256 of the file on disk.
    """

    events: pd.DataFrame
    coverage: Coverage
    dropped: dict[str, int]
    sources: dict[str, str]
    warnings: list[str]


def read_catalogs(paths: Sequence[str | Path]) -> Catalog:
    """Read one or several catalogue files and merge them.

    A filled cell that is not understood refuses the file. Rows are left out, and counted in ``dropped`` by reason, if
    they are not earthquakes (explosion, eruption), state no time, position or magnitude, contain an impossible value,
    or are in the table already: by event_id, or as the same earthquake in an earlier file (within 16 s and 100 km, one
    to one; the row of the file that is named first is kept). A warning names rows of M >= 5, or of no known
    magnitude, among them. Rows of one file with different ids that look like one earthquake are kept with a warning.

    Raises:
        DataError: a file is missing, empty, not a catalogue, has a cell that is not understood, times without a zone
            in a format that does not define UTC, or contains no usable row.
    """
    if not paths:
        raise DataError("No catalogue file is named. Give at least one.")
    dropped: Counter[str] = Counter()
    sources: dict[str, str] = {}
    notes: list[str] = []
    merged = pd.DataFrame(columns=CATALOG_COLUMNS)
    for path in map(Path, paths):
        payload, sha256 = read_payload(path)
        sources[str(path) if path.name in sources else path.name] = sha256
        rows, remarks = _read_rows(payload, path)
        table, more = _keep_usable(rows, path, dropped)
        table, shared = _with_unique_ids(table, dropped)  # before a copy of a row looks like another earthquake
        require_seismic_places(table, path)
        if not merged.empty:
            require_same_clock(table, merged, path)
        table, n_same, same = without_same(table, merged, path)
        if n_same:
            dropped["same earthquake in an earlier catalogue"] += n_same
        notes += [*remarks, *more, *shared, *same]
        merged = table if merged.empty else pd.concat([merged, table], ignore_index=True)
    merged, more = _with_unique_ids(merged, dropped)
    events: pd.DataFrame = merged.sort_values(["origin_utc", "event_id"], ignore_index=True)[CATALOG_COLUMNS]
    coverage, coverage_notes = coverage_of(events["origin_utc"].to_numpy())
    notes += more + coverage_notes + _warnings(events, coverage)
    return Catalog(events, coverage, dict(sorted(dropped.items())), sources, notes)


def _with_unique_ids(table: pd.DataFrame, dropped: Counter[str]) -> tuple[pd.DataFrame, list[str]]:
    """Leave out repeated ids; an id of different earthquakes is replaced first, another magnitude is a warning."""
    table, notes = name_contradictions(table)
    repeated = table["event_id"].duplicated()
    if repeated.any():
        dropped["duplicate event_id"] += int(repeated.sum())
    kept_m = table.groupby("event_id")["magnitude"].transform("first")
    other = table[repeated & (table["magnitude"] >= _MODERATE_TOP) & ((table["magnitude"] - kept_m).abs() >= 0.05)]
    if len(other):
        row = other.iloc[0]
        notes.append(
            f"{len(other)} rows of M >= {_MODERATE_TOP:g} repeat the event_id of an earlier row with another magnitude "
            f"and are left out ({row['where']}: {row['event_id']} is M {row['magnitude']:g}, M "
            f"{kept_m[row.name]:g} is kept). Keep the row that is right."
        )
    return table[~repeated].reset_index(drop=True), notes


def _read_rows(payload: bytes, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a file of any known format; rows of whatever type, and sentences for the user."""
    start = payload[:4096].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith(b"<") and b"quakeml" in start:
        return read_quakeml(payload, path)
    for mark, name, remedy in (
        (b"<seiscomp", "SeisComP XML", "Convert it: sccnv -i trunk:FILE -o quakeml:OUT"),
        (b"<infogempa", "BMKG's XML feed", "Save its earthquakes as CSV with datetime, latitude, longitude, magnitude"),
        (b"<alert", "a CAP message", "Save its earthquakes as CSV"),
        (b"{", "JSON", "Download CSV or QuakeML (format=csv, format=xml)"),
        (b"[", "JSON", "Download CSV or QuakeML (format=csv, format=xml)"),
        (b"<?xml", "XML that is not QuakeML", "Download QuakeML or CSV"),
    ):
        if start.startswith(mark) or (start.startswith(b"<?xml") and mark in start and mark != b"<?xml"):
            if b"<html" in start:
                break
            raise DataError(f"{path}: this is {name}, not a catalogue that can be read. {remedy}.")
    return _read_csv(payload, path), []


def _read_csv(payload: bytes, path: Path) -> pd.DataFrame:
    table = split_text(decode_text(payload, path), path)
    found = {ours: table.find(*names) for ours, names in _NAMES.items()}
    if any(found[column] is None for column in _NEEDED):
        raise DataError(
            f"{path}: not an earthquake catalogue. Columns found: {', '.join(table.columns[:30])}; needed: {_LAYOUTS}."
        )
    if not table.rows:
        raise DataError(f"{path}: a header and no earthquake. Copy it again from its source.", "empty_file")
    width = len(table.columns)
    cut = np.array([len(row) < width or any(row[width:]) for row in table.rows])
    # The cells of a row of another length stand in the wrong columns: it counts as a row of no known content.
    cells = {
        ours: ["" if place is None or wrong else row[place] for row, wrong in zip(table.rows, cut, strict=True)]
        for ours, place in found.items()
    }
    texts = ("event_id", "magnitude_type", "place", "type")
    rows = pd.DataFrame({ours: cells[ours] for ours in texts if found[ours] is not None}, dtype=object)
    rows = rows.reindex(range(len(table.rows)))
    for ours in texts:
        if found[ours] is None:
            rows[ours] = ""

    def column(ours: str) -> Column:
        place = found[ours]
        return Column(ours if place is None else table.columns[place], path, table.lines, table.decimal_comma)

    for ours, kind in _NUMBERS.items():
        rows[ours] = column(ours).numbers(cells[ours], kind)
    rows["origin_utc"], zoned = column("origin_utc").times(cells["origin_utc"])
    _require_zones(cells["origin_utc"], zoned, table, path)
    scales = [magnitude_scale(cell) for cell in cells["magnitude"]]
    if any(scales):
        stated = rows["magnitude_type"].astype(object)
        rows["magnitude_type"] = stated.where(stated != "", pd.Series(scales, dtype=object))
    rows["where"] = [f"line {line}" for line in table.lines]
    rows["cut"] = cut
    return rows


def _require_zones(cells: list[str], zoned: NDArray[np.bool_], table: TextTable, path: Path) -> None:
    """Refuse times without a zone, unless the layout defines UTC: BMKG with its ids, FDSN text, a name with utc."""
    names = set(table.columns)
    bmkg = "event_id" in names and bool(names & {"datetime", "date_time"})
    if bmkg or "time_utc" in names or {"eventid", "eventlocationname"} <= names:
        return
    without = [row for row, cell in enumerate(cells) if cell and not zoned[row] and not is_missing(cell)]
    if without:
        raise DataError(
            f"{path}: line {table.lines[without[0]]}: {len(without)} times have no zone ({cells[without[0]]!r} is "
            f"the first); write them with Z or +00:00."
        )


def _keep_usable(rows: pd.DataFrame, path: Path, dropped: Counter[str]) -> tuple[pd.DataFrame, list[str]]:
    kind = rows["type"].str.strip().str.lower().str.replace("_", " ")
    latitude, longitude, _, magnitude = (rows[column].to_numpy() for column in _NUMBERS)
    reasons = np.where(kind.isin(_NO_EARTHQUAKE), "type: " + kind, "").astype(object)
    cut = rows["cut"].to_numpy() if "cut" in rows else np.zeros(len(rows), dtype=bool)
    for reason, bad in {
        "wrong number of cells": cut,
        "no time": rows["origin_utc"].isna().to_numpy(),
        "impossible time": (rows["origin_utc"] >= _AFTER_ALL).to_numpy(),
        "no position": np.isnan(latitude) | np.isnan(longitude),
        "no magnitude": np.isnan(magnitude),
        "impossible latitude": np.abs(latitude) > 90,
        "impossible longitude": (longitude < -180) | (longitude > 360),
        "impossible magnitude": (magnitude <= -2) | (magnitude >= 10),
    }.items():
        reasons[bad & (reasons == "")] = reason
    left_out = reasons != ""
    counts = Counter(reasons[left_out])
    dropped.update(counts)
    if left_out.all():
        causes = ", ".join(f"{reason}: {n}" for reason, n in sorted(counts.items()))
        raise DataError(f"{path}: none of its {len(rows)} rows is a usable earthquake ({causes}). Check the columns.")
    _refuse_stray_future(rows[~left_out], path)
    notes = _warn_of_lost(rows[left_out & ~kind.isin(_NO_EARTHQUAKE)], reasons, path)
    kept: pd.DataFrame = rows[~left_out].copy()
    unstated = Counter(kind[~left_out & ~kind.isin(_EARTHQUAKE)])
    if unstated:
        listed = ", ".join(f"{name!r} ({n})" for name, n in unstated.most_common(5))
        notes.append(
            f"{path.name}: {unstated.total()} rows of types that exclude nothing count as earthquakes: {listed}."
        )
    impossible = (kept["depth_km"] < -10) | (kept["depth_km"] > 800)
    if impossible.any():
        notes.append(f"{path.name}: {impossible.sum()} depths outside -10..800 km count as unknown.")
        kept["depth_km"] = kept["depth_km"].mask(impossible)
    kept["longitude_deg"] = kept["longitude_deg"].mask(kept["longitude_deg"] >= 180.0, kept["longitude_deg"] - 360.0)
    identifier = kept["event_id"].str.strip()
    damaged = identifier.str.fullmatch(_ID_OF_A_SPREADSHEET)
    if damaged.any():
        notes.append(
            f"{path.name}: a spreadsheet has made numbers of {damaged.sum()} ids ({identifier[damaged].iloc[0]} is the "
            "first); they are replaced by ids of time and place."
        )
    kept["event_id"] = identifier.mask(identifier.str.lower().isin(_NO_ID) | damaged, "")
    return with_ids(kept, kept["event_id"] == ""), notes


def _refuse_stray_future(rows: pd.DataFrame, path: Path) -> None:
    """Refuse a few last rows that lie years after all others of a catalogue that has no such gap: 2081 for 2018."""
    ordered = rows.sort_values("origin_utc", kind="stable")
    times = ordered["origin_utc"].to_numpy("datetime64[ms]")
    if len(times) < _LEAST_ROWS:
        return
    gaps = np.diff(times)
    place = int(np.argmax(gaps[-_FEW_ROWS:])) + max(len(gaps) - _FEW_ROWS, 0)
    if gaps[place] > _LONG_GAP and gaps[place] > _TIMES_LONGER * gaps[:place].max():
        row = ordered.iloc[place + 1]
        raise DataError(
            f"{path}: {row['where']}: {row['origin_utc']:%Y-%m-%d} lies {gaps[place] / np.timedelta64(365, 'D'):.0f} "
            "years after all earlier rows. Correct the date, or take the row out."
        )


def _warn_of_lost(lost: pd.DataFrame, reasons: NDArray[np.object_], path: Path) -> list[str]:
    """Warn of rows that may be earthquakes of M >= 5 and are left out."""
    large = lost[~((lost["magnitude"] > -2) & (lost["magnitude"] < _MODERATE_TOP))]
    if large.empty:
        return []
    shown = "; ".join(
        f"{row.where}: {reasons[row.Index]}, M {'unknown' if np.isnan(row.magnitude) else f'{row.magnitude:g}'}"
        for row in large.head(5).itertuples()
    )
    return [
        f"{path.name}: {len(large)} rows of M >= {_MODERATE_TOP:g} or of no known magnitude are left out ({shown}). "
        "Windows before them may count as Normal; correct the rows."
    ]


def _warnings(events: pd.DataFrame, coverage: Coverage) -> list[str]:
    notes = []
    pairs = count_near_duplicates(events)
    if pairs:
        notes.append(
            f"{pairs} pairs of rows have different ids but agree within 1 s, 0.05 degrees and 0.05 of magnitude; "
            f"both are kept. If the files are of two agencies, avoid an overlap in time."
        )
    lost = lost_month_ends(events["origin_utc"].to_numpy(), coverage)
    if lost:
        notes.append(
            f"no event on the last day of {len(lost)} months ({lost[0][0]:.10} the first), though other days have "
            f"{len(events) / max(events['origin_utc'].dt.normalize().nunique(), 1):.1f} on average: the download lost "
            f"them. They count as covered; windows before such a day may miss their earthquake."
        )
    smallest = events["magnitude"].min()
    if smallest >= _MODERATE_TOP:
        notes.append(
            f"The smallest magnitude is {smallest:g}: Moderate (4 <= M < 5) cannot be labelled, and Normal is doubtful."
        )
    if events["depth_km"].isna().all():
        notes.append("No event has a depth: hypocentral distances cannot be computed.")
    return notes


def bounding_box(events: pd.DataFrame) -> BoundingBox:
    """Return the smallest box of latitudes and longitudes that contains all epicentres."""
    latitude, longitude = events["latitude_deg"], events["longitude_deg"]
    return float(latitude.min()), float(latitude.max()), float(longitude.min()), float(longitude.max())


def parse_box(text: str) -> BoundingBox:
    """Read ``S,N,W,E`` in degrees.

    Raises:
        UsageError: not four numbers, or impossible ones.
    """
    try:
        south, north, west, east = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--region {text}: write four numbers, south,north,west,east in degrees.") from None
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise UsageError(f"--region {text}: south < north within ±90 and west < east within ±180 degrees.")
    return south, north, west, east
