"""Clusters of earthquakes in space and time: a mainshock with its fore- and aftershocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyproj import Geod

from seismag.arrays import FloatArray

_WGS84 = Geod(ellps="WGS84")
_SHORTEST_DEGREE_KM = 110.5  # of latitude on WGS84, at the equator


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
