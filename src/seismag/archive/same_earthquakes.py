"""Rows of catalogues that are one earthquake, and ids that name several."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyproj import Geod

from seismag.domain import MAGNITUDE_EDGES

_WGS84 = Geod(ellps="WGS84")
_PLACE = ["origin_utc", "latitude_deg", "longitude_deg"]
SAME_S = 16.0  # two catalogues hold one earthquake within this time and distance: the association of USGS's ComCat
SAME_KM = 100.0


def with_ids(table: pd.DataFrame, rows: pd.Series[Any]) -> pd.DataFrame:
    """Name rows by time and place."""
    hashed = []
    for origin_utc, latitude_deg, longitude_deg in table.loc[rows, _PLACE].itertuples(index=False):
        text = f"{origin_utc.isoformat(timespec='milliseconds')} {latitude_deg:.4f} {longitude_deg:.4f}"
        hashed.append("t" + hashlib.sha256(text.encode()).hexdigest()[:12])
    table.loc[rows, "event_id"] = hashed
    return table


def name_contradictions(merged: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give rows ids of time and place whose id names different earthquakes; none of them is lost."""
    shared = merged[merged["event_id"].duplicated(keep=False)]
    first = shared.groupby("event_id")[_PLACE].transform("first")
    late = (shared["origin_utc"] - first["origin_utc"]).abs() > pd.Timedelta(minutes=1)
    far = (shared["latitude_deg"] - first["latitude_deg"]).abs() > 1.0
    far |= ((shared["longitude_deg"] - first["longitude_deg"] + 180.0) % 360.0 - 180.0).abs() > 1.0
    names = list(shared.loc[late | far, "event_id"].unique())
    if not names:
        return merged, []
    note = (
        f"{len(names)} event_ids name different earthquakes (more than 1 min or 1 degree apart; {names[0]} is the "
        "first); their rows are all kept, with ids of time and place. Make the ids differ."
    )
    return with_ids(merged.copy(), merged["event_id"].isin(names)), [note]


def without_same(table: pd.DataFrame, earlier: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, int, list[str]]:
    """Leave out the rows that an earlier catalogue holds with another id: nearest first, one to one.

    Returns:
        The other rows, the number of those left out, and a sentence on them.
    """
    if earlier.empty:
        return table, 0, []
    ordered = earlier.sort_values("origin_utc", ignore_index=True)
    known = ordered["origin_utc"].to_numpy("datetime64[ms]").astype("int64") / 1000
    own = table["origin_utc"].to_numpy("datetime64[ms]").astype("int64") / 1000
    first = np.searchsorted(known, own - SAME_S, side="left")
    counts = np.searchsorted(known, own + SAME_S, side="right") - first
    rows = np.repeat(np.arange(len(table)), counts)
    others = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows]
    place = ["longitude_deg", "latitude_deg"]
    ours, theirs = table[place].to_numpy()[rows], ordered[place].to_numpy()[others]
    distance_km = _WGS84.inv(ours[:, 0], ours[:, 1], theirs[:, 0], theirs[:, 1])[2] / 1000
    misfit = np.abs(own[rows] - known[others]) / SAME_S + distance_km / SAME_KM
    same: dict[int, int] = {}
    taken: set[int] = set()
    for pair in np.argsort(misfit, kind="stable"):
        row, other = int(rows[pair]), int(others[pair])
        if distance_km[pair] <= SAME_KM and row not in same and other not in taken:
            same[row] = other
            taken.add(other)
    if not same:
        return table, 0, []
    ours_m = table["magnitude"].to_numpy()[list(same)]
    theirs_m = ordered["magnitude"].to_numpy()[list(same.values())]
    edges = np.array(MAGNITUDE_EDGES)
    other_class = np.searchsorted(edges, ours_m, side="right") != np.searchsorted(edges, theirs_m, side="right")
    equal = (np.abs(ours_m - theirs_m) < 0.05).mean()
    note = (
        f"{path.name}: {len(same)} of its {len(table)} earthquakes are in an earlier catalogue too (within "
        f"{SAME_S:g} s and {SAME_KM:g} km), which counts; {equal:.0%} have the same magnitude, "
        f"{other_class.sum()} are of another class here."
    )
    return table.drop(table.index[list(same)]).reset_index(drop=True), len(same), [note]


def count_near_duplicates(events: pd.DataFrame) -> int:
    time_ms = events["origin_utc"].to_numpy().astype("int64")
    values = events[["latitude_deg", "longitude_deg", "magnitude"]].to_numpy()
    pairs = 0
    for shift in range(1, len(events)):
        close = time_ms[shift:] - time_ms[:-shift] <= 1000
        if not close.any():
            break
        pairs += int((close & (np.abs(values[shift:] - values[:-shift]) <= 0.05 + 1e-9).all(axis=1)).sum())
    return pairs
