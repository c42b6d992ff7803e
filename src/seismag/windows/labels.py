"""Labels of windows by the earthquakes that follow them (docs/method.md).

A window is an event window, a Normal one, or rejected with a reason; none is Normal for lack of information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.catalogs import Catalog, bounding_box
from seismag.archive.clusters import decluster
from seismag.archive.indices import SpaceWeatherIndex
from seismag.config import DataConfig
from seismag.domain import Station, azimuth_classes, magnitude_classes
from seismag.windows.criteria import EARTH, dobrovolsky_km, energy_index, hattori_km, range_km
from seismag.windows.past_rate import past_rate

NORMAL_BLOCK_D = 27  # one solar rotation: quiet periods are common to all stations
_BLOCK_ORIGIN = np.datetime64("2000-01-01")


@dataclass(frozen=True)
class Labels:
    """Labelled and rejected windows.

    Attributes:
        samples: windows with a label, one row each, columns of docs/data-formats.md.
        rejected: station, start_utc, end_utc, reason, detail of every other window.
    """

    samples: pd.DataFrame
    rejected: pd.DataFrame


def daily_windows(days: NDArray[np.datetime64], window_h: int) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Cut UTC days into windows; returns starts and ends, datetime64[ms], in order."""
    slots = np.arange(0, 24, window_h).astype("timedelta64[h]")
    starts = (np.unique(days).astype("datetime64[D]")[:, None] + slots[None, :]).ravel().astype("datetime64[ms]")
    return starts, starts + np.timedelta64(window_h, "h")


def events_at_station(events: pd.DataFrame, station: Station, spec: DataConfig) -> pd.DataFrame:
    """Return the events that count at a station, with distances and azimuths.

    Adds distance_km (epicentral, geodesic), hypocentral_km (epicentral where the depth is unknown),
    azimuth_deg, es, in_dobrovolsky, in_hattori; sorted by origin_utc.
    """
    keep = events["magnitude"].to_numpy() >= spec.min_magnitude
    if spec.max_depth_km is not None:
        keep &= ~(events["depth_km"].to_numpy() > spec.max_depth_km)
    near = events.loc[keep].copy()
    n = len(near)
    azimuth, _, distance_m = EARTH.inv(
        np.full(n, station.longitude_deg), np.full(n, station.latitude_deg),
        near["longitude_deg"].to_numpy(), near["latitude_deg"].to_numpy(),
    )  # fmt: skip
    magnitude = near["magnitude"].to_numpy()
    near["distance_km"] = np.asarray(distance_m) / 1000
    near["azimuth_deg"] = np.mod(azimuth, 360.0)
    near["hypocentral_km"] = np.hypot(near["distance_km"], near["depth_km"].fillna(0.0))
    near["es"] = energy_index(magnitude, near["hypocentral_km"].to_numpy())
    near["in_dobrovolsky"] = near["distance_km"] <= dobrovolsky_km(magnitude)
    near["in_hattori"] = near["distance_km"] < hattori_km(magnitude)
    if spec.range_rule == "es":
        counts = near.groupby(near["origin_utc"].dt.floor("D"))["es"].transform("sum") >= spec.es_threshold
    elif spec.range_rule == "hattori":
        counts = near["in_hattori"]
    else:
        counts = near["distance_km"] <= range_km(magnitude, spec)
    return near[counts.to_numpy()].sort_values(["origin_utc", "event_id"], ignore_index=True)


def label_windows(
    windows: pd.DataFrame,
    catalog: Catalog,
    stations: dict[str, Station],
    spec: DataConfig,
    kp: SpaceWeatherIndex | None = None,
    dst: SpaceWeatherIndex | None = None,
) -> Labels:
    """Label windows by the earthquakes that follow them.

    Args:
        windows: station, start_utc, end_utc, one row for each window; other columns are kept.
        stations: positions by code; all stations of ``windows``.
        kp, dst: indices; a window that a given index does not cover is rejected.

    Returns:
        Event and Normal windows before the choice of controls, and the rejected rest.
    """
    clusters = decluster(catalog.events)
    mainshock_utc = clusters["cluster_id"].map(catalog.events.set_index("event_id")["origin_utc"])
    events = catalog.events.assign(
        cluster_id=clusters["cluster_id"],
        is_mainshock=clusters["is_mainshock"],
        is_aftershock=catalog.events["origin_utc"] > mainshock_utc,
    )
    area = bounding_box(events) if len(events) else (-90.0, 90.0, -180.0, 360.0)
    labelled, rejected = [], []
    for code, rows in windows.groupby("station", sort=True):
        station = stations[str(code)]
        table = rows.sort_values("start_utc", ignore_index=True)
        starts, ends = _times(table)
        nothing = np.full(len(table), np.nan)
        table["kp_max"] = nothing if kp is None else kp.maximum(starts, ends)
        table["dst_min_nt"] = nothing if dst is None else dst.minimum(starts, ends)
        reason, detail = _uncovered(table, catalog, spec, kp, dst)
        south, north, west, east = area
        if not (south <= station.latitude_deg <= north and west <= station.longitude_deg <= east):
            reason[:] = "outside_catalog_area"
            detail[:] = "the station lies outside the area of the catalogue's events"
        near = events_at_station(events, station, spec)
        table["past_rate"] = past_rate(ends, near, spec)
        first, pairs = _eligible(table, near, spec)
        _exclude_near_events(table, near, spec, catalog, first, reason, detail)
        usable = reason == ""
        labelled.append(
            _describe(table[usable], near, first[usable], [pairs[i] for i in np.flatnonzero(usable)], station)
        )
        rejected.append(table.loc[~usable, ["station", "start_utc", "end_utc"]].assign(
            reason=reason[~usable], detail=detail[~usable]))  # fmt: skip
    if not labelled:
        raise ValueError("no window to label")
    return Labels(pd.concat(labelled, ignore_index=True), pd.concat(rejected, ignore_index=True))


def _times(table: pd.DataFrame) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    return tuple(table[name].to_numpy().astype("datetime64[ms]") for name in ("start_utc", "end_utc"))


def _uncovered(
    table: pd.DataFrame, catalog: Catalog, spec: DataConfig, kp: SpaceWeatherIndex | None, dst: SpaceWeatherIndex | None
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Reasons to reject windows that the catalogue or an index does not cover ("" elsewhere)."""
    starts, ends = _times(table)
    reason = np.full(len(table), "", dtype=object)
    detail = np.full(len(table), "", dtype=object)
    for name, index, column in (("dst", dst, "dst_min_nt"), ("kp", kp, "kp_max")):
        if index is not None:
            absent = table[column].isna().to_numpy()
            reason[absent], detail[absent] = f"{name}_missing", f"{name} has no value for part of this window"
    hole = ~catalog.coverage.covers(starts, ends + np.timedelta64(spec.horizon_h, "h"))
    reason[hole] = "catalog_hole"
    detail[hole] = f"the catalogue does not cover the window and the {spec.horizon_h} h after it"
    return reason, detail


def _eligible(
    table: pd.DataFrame, near: pd.DataFrame, spec: DataConfig
) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Indices of the label event of each window (largest Es; -1: none) and of all its eligible events."""
    _, ends = _times(table)
    origins = near["origin_utc"].to_numpy().astype("datetime64[ms]")
    es = near["es"].to_numpy()
    # eligible: end <= origin < end + horizon, so for an event the windows with origin - horizon < end <= origin
    low = np.searchsorted(origins, ends, side="left")
    high = np.searchsorted(origins, ends + np.timedelta64(spec.horizon_h, "h"), side="left")
    first = np.full(len(table), -1, dtype=np.int64)
    members: list[tuple[int, ...]] = [()] * len(table)
    for window in np.flatnonzero(high > low):
        events = range(low[window], high[window])
        first[window] = low[window] + int(np.argmax(es[low[window] : high[window]]))
        members[window] = tuple(events)
    return first, members


def _exclude_near_events(
    table: pd.DataFrame,
    near: pd.DataFrame,
    spec: DataConfig,
    catalog: Catalog,
    first: NDArray[np.int64],
    reason: NDArray[np.object_],
    detail: NDArray[np.object_],
) -> None:
    """Reject windows without a label event that have an event within the exclusion intervals."""
    starts, ends = _times(table)
    origins = near["origin_utc"].to_numpy().astype("datetime64[ms]")
    behind = starts - np.timedelta64(round(spec.guard_behind_d * 86_400_000), "ms")
    ahead = ends + np.timedelta64(round(spec.guard_ahead_d * 86_400_000), "ms")
    low = np.searchsorted(origins, behind, side="left")
    high = np.searchsorted(origins, ahead, side="left")
    candidates = (first < 0) & (reason == "")
    excluded = candidates & (high > low)
    if excluded.any():
        events = near["event_id"].to_numpy()
        magnitudes = near["magnitude"].to_numpy()
        largest = [low[i] + int(np.argmax(magnitudes[low[i] : high[i]])) for i in np.flatnonzero(excluded)]
        reason[excluded] = "guard"
        detail[excluded] = [f"M{magnitudes[e]:.1f} {events[e]} at {origins[e]}Z" for e in largest]
    unknown = candidates & ~excluded & ~catalog.coverage.covers(behind, ahead)
    reason[unknown] = "catalog_hole"
    detail[unknown] = "the catalogue does not cover the exclusion intervals, so the window may not be Normal"


def window_id(station: str, start_utc: np.datetime64) -> str:
    """Name a window by station and hour: its sample_id."""
    return f"{station}-{np.datetime_as_string(start_utc, 'h')}"


def _describe(
    table: pd.DataFrame, near: pd.DataFrame, first: NDArray[np.int64], members: list[tuple[int, ...]], station: Station
) -> pd.DataFrame:
    starts, ends = _times(table)
    is_event = first >= 0
    label = near.iloc[np.where(is_event, first, 0)] if len(near) else near.reindex(np.zeros(len(table), int))
    label = label.reset_index(drop=True)
    ids, cluster_ids = near["event_id"].to_numpy(), near["cluster_id"].to_numpy()
    origins = label["origin_utc"].to_numpy().astype("datetime64[ms]")
    middle = starts + (ends - starts) // 2
    utc_hour = (middle - middle.astype("datetime64[D]")) / np.timedelta64(1, "h")
    block = ((starts - _BLOCK_ORIGIN) // np.timedelta64(NORMAL_BLOCK_D, "D")).astype(int)
    magnitude_class = np.full(len(table), "Normal", dtype=object)
    azimuth_class = magnitude_class.copy()
    if is_event.any():
        magnitude_class[is_event] = magnitude_classes(label["magnitude"][is_event])
        azimuth_class[is_event] = azimuth_classes(label["azimuth_deg"][is_event])
    result = table.reset_index(drop=True).assign(
        sample_id=[window_id(station.code, start) for start in starts],
        split_group=np.where(is_event, [f"event:{c}" for c in label["cluster_id"]], [f"normal:{b}" for b in block]),
        event_id=label["event_id"].where(is_event, None),
        event_ids=[[str(ids[e]) for e in events] for events in members],
        cluster_ids=[sorted({str(cluster_ids[e]) for e in events}) for events in members],
        is_mainshock=label["is_mainshock"].where(is_event, False).astype(bool),
        is_aftershock=label["is_aftershock"].where(is_event, False).astype(bool),
        origin_utc=np.where(is_event, origins, np.datetime64("NaT")),
        lead_hours=np.where(is_event, (origins - ends) / np.timedelta64(1, "h"), np.nan),
        magnitude_class=magnitude_class,
        azimuth_class=azimuth_class,
        in_dobrovolsky=label["in_dobrovolsky"].where(is_event, False).astype(bool),
        in_hattori=label["in_hattori"].where(is_event, False).astype(bool),
        local_hour=np.mod(utc_hour + station.longitude_deg / 15, 24),  # mean solar time
    )
    for column in ("magnitude", "depth_km", "distance_km", "azimuth_deg", "es"):
        result[column] = label[column].where(is_event, np.nan).astype(float)
    texts = ("sample_id", "split_group", "event_id", "event_ids", "cluster_ids")
    return result.astype(dict.fromkeys(texts, object))  # empty lists would make columns of floats
