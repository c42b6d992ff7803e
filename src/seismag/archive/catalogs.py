"""Earthquake catalogues: four CSV layouts and QuakeML are read into one table; earthquake clusters.

CSV layouts, recognised by their columns: BMKG's yearly download (``event_id, datetime, ...``) and its web
export (``Event ID, Date time, ...``), both in UTC by the format; USGS (``time, ..., mag, magType, ..., id``);
and seismag's own (``event_id, origin_utc, latitude_deg, ...``, written by the simulator and by users).
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyproj import Geod

from seismag.archive.coverage import Coverage, coverage_of, lost_month_ends
from seismag.archive.tables import ZONED_TIME, decode_text, read_payload, split_text
from seismag.arrays import FloatArray
from seismag.domain import DataError, UsageError

# layout -> our column -> the file's column (lower case, spaces as underscores)
LAYOUTS = {
    "bmkg": {
        "event_id": "event_id", "origin_utc": "datetime", "latitude_deg": "latitude", "longitude_deg": "longitude",
        "depth_km": "depth", "magnitude": "magnitude",
    },
    "bmkg_web": {
        "event_id": "event_id", "origin_utc": "date_time", "latitude_deg": "latitude", "longitude_deg": "longitude",
        "depth_km": "depth_(km)", "magnitude": "magnitude", "magnitude_type": "mag_type", "place": "location",
    },
    "usgs": {
        "event_id": "id", "origin_utc": "time", "latitude_deg": "latitude", "longitude_deg": "longitude",
        "depth_km": "depth", "magnitude": "mag", "magnitude_type": "magtype", "place": "place", "type": "type",
    },
    "seismag": {
        "event_id": "event_id", "origin_utc": "origin_utc", "latitude_deg": "latitude_deg",
        "longitude_deg": "longitude_deg", "depth_km": "depth_km", "magnitude": "magnitude",
        "magnitude_type": "magnitude_type", "place": "place", "type": "type",
    },
}  # fmt: skip
_UTC_BY_FORMAT = ("bmkg", "bmkg_web")  # with the column event_id of BMKG
_NEEDED = ("origin_utc", "latitude_deg", "longitude_deg", "magnitude")
CATALOG_COLUMNS = [
    "event_id", "origin_utc", "latitude_deg", "longitude_deg", "depth_km", "magnitude", "magnitude_type", "place",
]  # fmt: skip
_NUMBERS = ("latitude_deg", "longitude_deg", "depth_km", "magnitude")
_MODERATE_TOP = 5.0
_WGS84 = Geod(ellps="WGS84")
_SHORTEST_DEGREE_KM = 110.5  # of latitude on WGS84, at the equator

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

    Rows are dropped, and counted in ``dropped`` by reason, if they are not earthquakes (explosion, eruption), have no
    time, position or magnitude, contain an impossible value, or repeat an event_id (the first is kept). Rows with
    different ids that look like one earthquake are kept with a warning.

    Raises:
        DataError: a file is missing, empty, not a catalogue, has times without a zone in a format that does not
            define UTC, or contains no usable row.
    """
    if not paths:
        raise DataError("No catalogue file is named. Give at least one.")
    dropped: Counter[str] = Counter()
    sources: dict[str, str] = {}
    notes: list[str] = []
    tables = []
    for path in map(Path, paths):
        payload, sha256 = read_payload(path)
        sources[str(path) if path.name in sources else path.name] = sha256
        is_xml = payload[:256].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"quakeml" in payload[:4096].lower()
        rows = _read_quakeml(payload, path) if is_xml else _read_csv(payload, path)
        tables.append(_keep_usable(rows, path, dropped))
    merged = pd.concat(tables, ignore_index=True)
    repeated = merged["event_id"].duplicated()
    if repeated.any():
        dropped["duplicate event_id"] += int(repeated.sum())
        shared = merged[merged["event_id"].duplicated(keep=False)]
        spread = shared.groupby("event_id")[["origin_utc", "latitude_deg"]].agg(["min", "max"])
        late = spread["origin_utc"]["max"] - spread["origin_utc"]["min"] > pd.Timedelta(minutes=1)
        far = spread["latitude_deg"]["max"] - spread["latitude_deg"]["min"] > 1.0
        names = list(spread.index[late | far])
        if names:
            notes.append(
                f"{len(names)} event_ids name two different earthquakes (more than 1 min or 1 degree apart; {names[0]} "
                f"is the first); only the first row of each is kept. Make the ids of the files differ."
            )
    events: pd.DataFrame = merged[~repeated].sort_values(["origin_utc", "event_id"], ignore_index=True)[CATALOG_COLUMNS]
    coverage, coverage_notes = coverage_of(events["origin_utc"].to_numpy())
    notes += coverage_notes + _warnings(events, coverage)
    return Catalog(events, coverage, dict(sorted(dropped.items())), sources, notes)


def _read_csv(payload: bytes, path: Path) -> pd.DataFrame:
    table = split_text(decode_text(payload, path), path)
    layout = next(
        (name for name, fields in LAYOUTS.items() if all(fields[column] in table.columns for column in _NEEDED)), None
    )
    if layout is None:
        needed = "; or ".join(", ".join(fields[column] for column in _NEEDED) for fields in LAYOUTS.values())
        raise DataError(
            f"{path}: not an earthquake catalogue. Columns found: {', '.join(table.columns[:30])}; needed: {needed}."
        )
    if not table.rows:
        raise DataError(f"{path}: a header and no earthquake. Copy it again from its source.", "empty_file")
    width = len(table.columns)
    cut = [len(row) < width or any(row[width:]) for row in table.rows]
    cells = [row[:width] + [""] * (width - len(row)) for row in table.rows]
    frame = pd.DataFrame(cells, columns=range(width), dtype=object)
    fields = {ours: table.columns.index(theirs) for ours, theirs in LAYOUTS[layout].items() if theirs in table.columns}
    rows = pd.DataFrame({ours: frame[place] for ours, place in fields.items()})
    for column in _NUMBERS:
        text = rows[column] if column in rows else pd.Series("", index=rows.index, dtype=object)
        text = text.str.replace(",", ".") if table.decimal_comma else text
        rows[column] = pd.to_numeric(text, errors="coerce").astype(float)
    rows["origin_utc"] = _parse_times(
        rows["origin_utc"], table.lines, path, layout in _UTC_BY_FORMAT and "event_id" in fields
    )
    for column in ("event_id", "magnitude_type", "place", "type"):
        rows[column] = rows.get(column, "")
    rows["cut"] = cut
    return rows


def _parse_times(text: pd.Series[Any], lines: Sequence[int], path: Path, utc_by_format: bool) -> pd.Series[Any]:
    text = text.str.replace(r"\s*(UTC|GMT)$", "Z", regex=True, case=False)
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    if not utc_by_format:
        without = np.flatnonzero(times.notna() & ~text.str.contains(ZONED_TIME))
        if without.size:
            raise DataError(
                f"{path}: line {lines[without[0]]}: {without.size} times have no zone ({text.iloc[without[0]]!r} is "
                f"the first); write them with Z or +00:00."
            )
    return times.dt.tz_localize(None).astype("datetime64[ms]")


def _read_quakeml(payload: bytes, path: Path) -> pd.DataFrame:
    try:
        from obspy import read_events
    except ImportError as error:
        raise DataError(f'{path}: reading QuakeML needs ObsPy. Run: pip install "seismag[obspy]"') from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd numbers; such rows are counted as dropped
            found = read_events(io.BytesIO(payload), format="QUAKEML")
    except Exception as error:  # ObsPy raises plain Exception for broken XML
        raise DataError(f"{path}: broken QuakeML ({' '.join(str(error).split())}). Download it again.") from error
    if not len(found):
        raise DataError(
            f"{path}: QuakeML without an event. Request a longer time or a smaller magnitude.", "empty_file"
        )
    return pd.DataFrame([_quakeml_row(event) for event in found]).astype({"origin_utc": "datetime64[ms]"})


def _quakeml_row(event: Any) -> dict[str, object]:
    origin = event.preferred_origin() or next(iter(event.origins), None)
    magnitude = event.preferred_magnitude() or next(iter(event.magnitudes), None)
    identifier = str(event.resource_id.id) if event.resource_id else ""
    stated = re.search(r"eventid=([^&]+)", identifier)  # USGS writes a query, others end with /ID
    return {
        "event_id": stated.group(1) if stated else identifier.rstrip("/").rsplit("/", 1)[-1],
        "origin_utc": np.datetime64(origin.time.ns // 1_000_000, "ms")
        if origin and origin.time
        else np.datetime64("NaT"),
        "latitude_deg": _float(origin and origin.latitude),
        "longitude_deg": _float(origin and origin.longitude),
        "depth_km": _float(origin and origin.depth) / 1000.0,
        "magnitude": _float(magnitude and magnitude.mag),
        "magnitude_type": (magnitude and magnitude.magnitude_type) or "",
        "place": next((text.text or "" for text in event.event_descriptions), ""),
        "type": event.event_type or "",
        "cut": False,
    }


def _float(value: Any) -> float:
    return np.nan if value is None else float(value)


def _keep_usable(rows: pd.DataFrame, path: Path, dropped: Counter[str]) -> pd.DataFrame:
    kind = rows["type"].str.strip().str.lower()
    latitude, longitude, depth, magnitude = (rows[column].to_numpy() for column in _NUMBERS)
    reasons = np.where(kind.isin(["", "earthquake"]), "", "type: " + kind).astype(object)
    for reason, bad in {
        "wrong number of cells": rows["cut"].to_numpy(),
        "no time": rows["origin_utc"].isna().to_numpy(),
        "no position": np.isnan(latitude) | np.isnan(longitude),
        "no magnitude": np.isnan(magnitude),
        "impossible latitude": np.abs(latitude) > 90,
        "impossible longitude": (longitude < -180) | (longitude > 360),
        "impossible magnitude": (magnitude <= -2) | (magnitude >= 10),
        "impossible depth": (depth < -10) | (depth > 800),
    }.items():
        reasons[bad & (reasons == "")] = reason
    counts = Counter(reasons[reasons != ""])
    dropped.update(counts)
    kept: pd.DataFrame = rows[reasons == ""].copy()
    if kept.empty:
        causes = ", ".join(f"{reason}: {n}" for reason, n in sorted(counts.items()))
        raise DataError(f"{path}: none of its {len(rows)} rows is a usable earthquake ({causes}). Check the columns.")
    kept["longitude_deg"] = kept["longitude_deg"].mask(kept["longitude_deg"] >= 180.0, kept["longitude_deg"] - 360.0)
    nameless = kept["event_id"].str.strip() == ""
    hashed = []
    for origin_utc, latitude_deg, longitude_deg in kept.loc[nameless, CATALOG_COLUMNS[1:4]].itertuples(index=False):
        text = f"{origin_utc.isoformat(timespec='milliseconds')} {latitude_deg:.4f} {longitude_deg:.4f}"
        hashed.append("t" + hashlib.sha256(text.encode()).hexdigest()[:12])
    kept.loc[nameless, "event_id"] = hashed
    return kept


def _warnings(events: pd.DataFrame, coverage: Coverage) -> list[str]:
    notes = []
    time_ms = events["origin_utc"].to_numpy().astype("int64")
    values = events[["latitude_deg", "longitude_deg", "magnitude"]].to_numpy()
    pairs = 0
    for shift in range(1, len(events)):
        close = time_ms[shift:] - time_ms[:-shift] <= 1000
        if not close.any():
            break
        pairs += int((close & (np.abs(values[shift:] - values[:-shift]) <= 0.05 + 1e-9).all(axis=1)).sum())
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


def cluster_window(magnitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the size of the cluster of an earthquake, in km and in days, by its magnitude.

    Source: Gardner and Knopoff (1974), BSSA 64(5), 1363, in the form of van Stiphout et al. (2012),
    doi:10.5078/corssa-52382934.
    """
    distance_km = 10.0 ** (0.1238 * magnitude + 0.983)
    time_d = np.where(magnitude >= 6.5, 10.0 ** (0.032 * magnitude + 2.7389), 10.0 ** (0.5409 * magnitude - 0.547))
    return distance_km, time_d


def decluster(events: pd.DataFrame) -> pd.DataFrame:
    """Group earthquakes into clusters by the windows of Gardner and Knopoff.

    In the order of decreasing magnitude (ties: the earlier first), each event that is not yet in a cluster becomes a
    mainshock. Its cluster consists of all events not yet in a cluster with an epicentre within ``distance_km``
    (geodesic) and an origin within ``time_d`` before or after it.

    Args:
        events: with event_id, origin_utc, latitude_deg, longitude_deg, magnitude; in any order.

    Returns:
        cluster_id (event_id of the mainshock) and is_mainshock, with the index of ``events``.
    """
    by_time = np.argsort(events["origin_utc"].to_numpy(), kind="stable")
    table = events.iloc[by_time]
    time_d = table["origin_utc"].to_numpy().astype("datetime64[ms]").astype("int64") / 86_400_000
    latitude, longitude, magnitude = (table[c].to_numpy() for c in ("latitude_deg", "longitude_deg", "magnitude"))
    reach_km, reach_d = cluster_window(magnitude)
    first = np.searchsorted(time_d, time_d - reach_d, side="left")
    last = np.searchsorted(time_d, time_d + reach_d, side="right")
    mainshock = np.full(len(table), -1)
    for i in np.lexsort((time_d, -magnitude)):
        if mainshock[i] >= 0:
            continue
        mainshock[i] = i
        near = np.abs(latitude[first[i] : last[i]] - latitude[i]) * _SHORTEST_DEGREE_KM <= reach_km[i]
        free = first[i] + np.flatnonzero(near & (mainshock[first[i] : last[i]] < 0))
        if free.size:
            start = np.full(free.size, longitude[i]), np.full(free.size, latitude[i])
            distance_m = _WGS84.inv(*start, longitude[free], latitude[free])[2]
            mainshock[free[distance_m <= reach_km[i] * 1000.0]] = i
    in_file_order = np.empty(len(table), dtype=int)
    in_file_order[by_time] = by_time[mainshock]
    return pd.DataFrame(
        {
            "cluster_id": events["event_id"].to_numpy()[in_file_order],
            "is_mainshock": in_file_order == np.arange(len(events)),
        },
        index=events.index,
    )
