"""Earthquakes of a synthetic archive: mainshocks, aftershocks and a distant background, or a real catalogue.

Magnitudes follow Gutenberg and Richter, aftershocks a branching process (ETAS). Mainshocks lie around the stations
with uniform azimuths, or along the arcs of Indonesia, so that each station has its own prior.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.catalogs import bounding_box, read_catalogs
from seismag.archive.clusters import decluster
from seismag.arrays import FloatArray
from seismag.config import EarthquakeConfig, SimulateConfig
from seismag.domain import MINIMUM_MAGNITUDE, Station, UsageError
from seismag.simulate.activity import MARGIN_D
from seismag.simulate.arcs import distance_to_arcs_km, sample_on_arcs
from seismag.windows.criteria import EARTH, dobrovolsky_km

LEAD_D = 3.0  # first mainshock around a station, days after the recordings begin, so that its lead time is recorded
EARTHQUAKE_COLUMNS = ["event_id", "origin_utc", "latitude_deg", "longitude_deg", "depth_km", "magnitude", "parent_id"]

_YEAR_D = 365.25
_NEAREST_KM = 5.0
_FARTHEST_FRACTION = 0.7  # of the Dobrovolsky radius
_SHALLOW_KM = (10.0, 60.0)
_ALPHA_OVER_B = 0.8  # below 1, so that small events dominate triggering
_KERNEL_Q = 1.8  # decay of the spatial kernel: its density falls as distance^-3.6
_KERNEL_END = 10.0  # in units of its scale
_ARCS_REACH_KM = 1000.0
_BACKGROUND_EVERY_H = 8.0
_BACKGROUND_TOP = 5.4
_BACKGROUND_BOX_DEG = 10.0  # around the stations
_BACKGROUND_CLEAR = 1.2  # Dobrovolsky radii from every station
_SHORTEST_DEGREE_KM = 110.5  # of latitude on WGS84, at the equator
_DAY_MS = 86_400_000


def earthquakes(spec: SimulateConfig, stations: list[Station]) -> pd.DataFrame:
    """Return the earthquakes of an archive: read from ``spec.earthquakes.catalog`` where given, else simulated."""
    choose = simulate_earthquakes if spec.earthquakes.catalog is None else read_earthquakes
    return choose(spec, stations)


def catalog_span(spec: SimulateConfig) -> tuple[np.datetime64, np.datetime64]:
    """Return the interval ``[start, end)`` of the catalogue: that of the recordings with a margin on both sides."""
    first = np.datetime64(spec.start, "ms")
    return first - np.timedelta64(MARGIN_D, "D"), first + np.timedelta64(spec.days + MARGIN_D, "D")


def simulate_earthquakes(spec: SimulateConfig, stations: list[Station]) -> pd.DataFrame:
    """Simulate the catalogue over the recordings and ``MARGIN_D`` days on either side.

    With ``quiet_until``, an event in range of a station (Dobrovolsky) before that fraction of the recordings is left
    out with all its descendants.

    Returns:
        event_id, origin_utc (datetime64[ms], ascending), latitude_deg, longitude_deg, depth_km, magnitude,
        parent_id ("" for mainshocks and the background, else the id of the event that triggered it).

    Raises:
        UsageError: geometry ``arcs`` far from the arcs, or no magnitude to one decimal between the limits.
    """
    quakes = spec.earthquakes
    around = quakes.geometry == "uniform"
    mainshocks = _mainshocks_around_stations(spec, stations) if around else _mainshocks_on_arcs(spec, stations)
    clusters = _add_aftershocks(mainshocks, spec)
    quiet_d = MARGIN_D + quakes.quiet_until * spec.days
    unwanted = (clusters["origin_d"].to_numpy() < quiet_d) & (quakes.quiet_until > 0)
    unwanted[unwanted] = in_range(clusters[unwanted], stations)
    events = pd.concat([clusters, _background(spec, stations)], ignore_index=True)
    parent = clusters["parent"].to_numpy()
    while (new := ~unwanted & (parent >= 0) & unwanted[parent]).any():
        unwanted |= new  # with all their descendants
    dropped = np.zeros(len(events), dtype=bool)
    dropped[: len(clusters)] = unwanted
    return _number(events, dropped, catalog_span(spec)[0])


def read_earthquakes(spec: SimulateConfig, stations: list[Station]) -> pd.DataFrame:
    """Read the catalogue ``spec.earthquakes.catalog`` over the recordings and ``MARGIN_D`` days on either side.

    Clusters are those of ``prepare``, among the rows kept: parent_id is the mainshock of the cluster.

    Returns:
        As ``simulate_earthquakes``, with the catalogue's own ids.

    Raises:
        DataError: the file is no catalogue.
        UsageError: it ends before the recordings or begins after them, a station lies outside its area, or
            ``quiet_until`` is set.
    """
    path = str(spec.earthquakes.catalog)
    if spec.earthquakes.quiet_until > 0:
        raise UsageError(
            f"simulate.earthquakes.quiet_until is {spec.earthquakes.quiet_until}, but nothing is left out of a real "
            f"catalogue. Set it to 0, or simulate.earthquakes.catalog to null."
        )
    events = read_catalogs([path]).events
    start, end = catalog_span(spec)
    margin = np.timedelta64(MARGIN_D, "D")
    origins = events["origin_utc"].to_numpy().astype("datetime64[ms]")
    if not ((origins >= start + margin) & (origins < end - margin)).any():
        raise UsageError(
            f"simulate.earthquakes.catalog: {path} has no event in the {spec.days} days from {spec.start} on; it runs "
            f"from {origins[0]:.10} to {origins[-1]:.10}. Change simulate.start and simulate.days."
        )
    kept = events[(origins >= start) & (origins < end)].reset_index(drop=True)
    south, north, west, east = bounding_box(kept)
    for station in stations:
        if not (south <= station.latitude_deg <= north and west <= station.longitude_deg <= east):
            raise UsageError(
                f"simulate.stations: {station.code} at {station.latitude_deg:g}, {station.longitude_deg:g} lies "
                f"outside the area of {path} in these days ({south:g}..{north:g}, {west:g}..{east:g} degrees), so that "
                f"prepare would reject its windows. Leave it out, or take another catalogue."
            )
    return with_parents(kept)


def with_parents(events: pd.DataFrame) -> pd.DataFrame:
    """Add parent_id to a real catalogue: the mainshock of the cluster, "" for a mainshock."""
    clusters = decluster(events)
    return events.assign(parent_id=clusters["cluster_id"].mask(clusters["is_mainshock"], ""))[EARTHQUAKE_COLUMNS]


def gutenberg_richter(b_value: float, smallest: float, largest: float) -> tuple[FloatArray, FloatArray]:
    """Return the magnitudes of the truncated distribution, to one decimal, and the probability of each.

    Raises:
        UsageError: no magnitude to one decimal lies between the limits.

    Source: Gutenberg and Richter (1944), doi:10.1785/BSSA0340040185: log10 N = a - b M.
    """
    tenths = np.arange(np.ceil(smallest * 10 - 1e-6), np.floor(largest * 10 + 1e-6) + 1)
    if not tenths.size:
        raise UsageError(
            f"simulate.earthquakes.max_magnitude is {largest}, min_magnitude {smallest}: no magnitude to one decimal "
            f"lies between them. Move them at least 0.1 apart."
        )
    weight = np.power(10.0, -b_value * (tenths - tenths[0]) / 10)
    return tenths / 10, weight / weight.sum()


def direct_aftershocks(magnitude: FloatArray, quakes: EarthquakeConfig) -> FloatArray:
    """Return the expected number of direct aftershocks, A 10^(alpha (M - 4)), with the mean ``branching_ratio``.

    The mean is over the magnitudes of ETAS events, M 4.0 to max_magnitude. Below 1 clusters end (subcritical).

    Source: Ogata (1988), doi:10.1080/01621459.1988.10478560; the branching ratio as in Helmstetter and
    Sornette (2002), doi:10.1029/2001JB001580.
    """
    alpha = _ALPHA_OVER_B * quakes.b_value
    values, probability = gutenberg_richter(quakes.b_value, MINIMUM_MAGNITUDE, quakes.max_magnitude)
    mean = float(probability @ np.power(10.0, alpha * (values - MINIMUM_MAGNITUDE)))
    expected: FloatArray = quakes.branching_ratio / mean * np.power(10.0, alpha * (magnitude - MINIMUM_MAGNITUDE))
    return expected


def omori_delay_d(fraction: FloatArray, c_d: float, p: float) -> FloatArray:
    """Return the time after the parent, days, by which a fraction of its direct aftershocks has occurred.

    The inverse of 1 - (1 + t/c)^(1 - p), the integral of the rate (t + c)^-p with p > 1; inf where it overflows.

    Source: Utsu, Ogata and Matsu'ura (1995), doi:10.4294/jpe1952.43.1.
    """
    with np.errstate(over="ignore"):
        delay: FloatArray = c_d * np.expm1(np.log1p(-fraction) / (1 - p))
    return delay


def rupture_length_km(magnitude: FloatArray) -> FloatArray:
    """Return the subsurface rupture length, 10^(-2.44 + 0.59 M) km, all slip types.

    Source: Wells and Coppersmith (1994), table 2A, doi:10.1785/BSSA0840040974.
    """
    return np.power(10.0, -2.44 + 0.59 * magnitude)


def aftershock_distance_km(fraction: FloatArray, parent_magnitude: FloatArray) -> FloatArray:
    """Return the epicentral distance from the parent, km, within which a fraction of its direct aftershocks lies.

    The inverse of 1 - (1 + r²/d²)^(1 - q), the integral over the plane of (r² + d²)^-q, cut at r = 10 d. Its
    scale d is half the rupture length, and at least 2 km, the error of an epicentre; q = 1.8.

    Source: Ogata and Zhuang (2006), doi:10.1016/j.tecto.2005.10.016 (the form; d and q are our choice).
    """
    scale_km = np.maximum(rupture_length_km(parent_magnitude) / 2, 2.0)
    reached = -np.expm1((1 - _KERNEL_Q) * np.log1p(_KERNEL_END**2))  # fraction within the limit
    distance: FloatArray = scale_km * np.sqrt(np.expm1(np.log1p(-fraction * reached) / (1 - _KERNEL_Q)))
    return distance


def spaced_times(n: int, length: float, gap: float, rng: np.random.Generator) -> FloatArray:
    """Sample n times in [0, length), ascending and at least ``gap`` apart, else uniform.

    Where n do not fit, the gap is nine tenths of the even spacing, so that the hour stays random.
    """
    if n > 1 and (n - 1) * gap > length:
        gap = 0.9 * length / (n - 1)
    return np.sort(rng.uniform(0, length - max(n - 1, 0) * gap, n)) + gap * np.arange(n)


def in_range(events: pd.DataFrame, stations: list[Station], fraction: float = 1.0) -> NDArray[np.bool_]:
    """Mark the events with a station within ``fraction`` Dobrovolsky radii of the epicentre."""
    longitude, latitude, magnitude = (events[c].to_numpy() for c in ("longitude_deg", "latitude_deg", "magnitude"))
    reach_km = fraction * dobrovolsky_km(magnitude)
    found = np.zeros(len(events), dtype=bool)
    for station in stations:
        near = np.abs(latitude - station.latitude_deg) * _SHORTEST_DEGREE_KM <= reach_km
        rows = np.flatnonzero(near & ~found)
        here = np.full(rows.size, station.longitude_deg), np.full(rows.size, station.latitude_deg)
        found[rows] = EARTH.inv(*here, longitude[rows], latitude[rows])[2] / 1000 <= reach_km[rows]
    return found


def _mainshocks_around_stations(spec: SimulateConfig, stations: list[Station]) -> pd.DataFrame:
    quakes = spec.earthquakes
    values, probability = gutenberg_richter(quakes.b_value, quakes.min_magnitude, quakes.max_magnitude)
    length_d = max(spec.days - LEAD_D, 0.0)
    tables = []
    for index, station in enumerate(stations):
        rng = np.random.default_rng([spec.seed, 2, 0, index])
        n = int(rng.poisson(quakes.per_station_year * length_d / _YEAR_D))
        origin_d = MARGIN_D + LEAD_D + spaced_times(n, length_d, quakes.spacing_d, rng)
        magnitude = rng.choice(values, n, p=probability)
        farthest_km = np.maximum(_FARTHEST_FRACTION * dobrovolsky_km(magnitude), _NEAREST_KM)
        distance_km = np.sqrt(rng.uniform(_NEAREST_KM**2, farthest_km**2))
        here = np.full(n, station.longitude_deg), np.full(n, station.latitude_deg)
        longitude, latitude, _ = EARTH.fwd(*here, rng.uniform(0, 360, n), distance_km * 1000)
        tables.append(_rows(origin_d, longitude, latitude, rng.uniform(*_SHALLOW_KM, n), magnitude))
    return pd.concat(tables, ignore_index=True)


def _mainshocks_on_arcs(spec: SimulateConfig, stations: list[Station]) -> pd.DataFrame:
    quakes = spec.earthquakes
    places = (np.array([getattr(s, name) for s in stations]) for name in ("longitude_deg", "latitude_deg"))
    away_km = distance_to_arcs_km(*places)
    if away_km.min() > _ARCS_REACH_KM:
        raise UsageError(
            f"simulate.earthquakes.geometry is arcs, but no station lies within {_ARCS_REACH_KM:g} km of an Indonesian "
            f"arc: {stations[int(away_km.argmin())].code}, the nearest, is {away_km.min():.0f} km away. Set it to "
            f"uniform, or choose other stations."
        )
    rng = np.random.default_rng([spec.seed, 2, 0])
    length_d = spec.days + 2.0 * MARGIN_D
    n = int(rng.poisson(quakes.per_year * length_d / _YEAR_D))
    values, probability = gutenberg_richter(quakes.b_value, quakes.min_magnitude, quakes.max_magnitude)
    longitude, latitude, depth_km = sample_on_arcs(n, rng)
    return _rows(rng.uniform(0, length_d, n), longitude, latitude, depth_km, rng.choice(values, n, p=probability))


def _add_aftershocks(mainshocks: pd.DataFrame, spec: SimulateConfig) -> pd.DataFrame:
    """Simulate generation after generation until one is empty; events after the end of the catalogue are left out."""
    quakes = spec.earthquakes
    rng = np.random.default_rng([spec.seed, 2, 1])
    values, probability = gutenberg_richter(quakes.b_value, MINIMUM_MAGNITUDE, quakes.max_magnitude)
    generations, first_row = [mainshocks], 0
    while len(elder := generations[-1]):
        row = np.repeat(np.arange(len(elder)), rng.poisson(direct_aftershocks(elder["magnitude"].to_numpy(), quakes)))
        parent, n = elder.iloc[row], row.size
        magnitude = parent["magnitude"].to_numpy()
        origin_d = parent["origin_d"].to_numpy() + omori_delay_d(rng.random(n), quakes.omori_c_d, quakes.omori_p)
        distance_km = aftershock_distance_km(rng.random(n), magnitude)
        start = parent["longitude_deg"].to_numpy(), parent["latitude_deg"].to_numpy()
        longitude, latitude, _ = EARTH.fwd(*start, rng.uniform(0, 360, n), distance_km * 1000)
        depth_km = parent["depth_km"].to_numpy() + rng.normal(0, 1, n) * np.maximum(rupture_length_km(magnitude) / 8, 2)
        children = _rows(
            origin_d, longitude, latitude, np.maximum(depth_km, 1.0), rng.choice(values, n, p=probability),
            parent=first_row + row,
        )  # fmt: skip
        generations.append(children[origin_d < spec.days + 2 * MARGIN_D])
        first_row += len(elder)
    return pd.concat(generations, ignore_index=True)


def _background(spec: SimulateConfig, stations: list[Station]) -> pd.DataFrame:
    """Small events out of range of all stations, so that the catalogue has no hole; two at the corners of its area."""
    rng = np.random.default_rng([spec.seed, 2, 2])
    places = np.array([(s.longitude_deg, s.latitude_deg) for s in stations])
    limit = np.array([179.9999, 89.0])
    low = np.clip(places.min(axis=0) - _BACKGROUND_BOX_DEG, -limit, limit)
    high = np.clip(places.max(axis=0) + _BACKGROUND_BOX_DEG, -limit, limit)
    length_d = spec.days + 2.0 * MARGIN_D
    n = round(length_d * 24 / _BACKGROUND_EVERY_H)
    values, probability = gutenberg_richter(spec.earthquakes.b_value, MINIMUM_MAGNITUDE, _BACKGROUND_TOP)
    origin_d, depth_km = rng.uniform(0, length_d, n), rng.uniform(*_SHALLOW_KM, n)
    events = _rows(origin_d, np.zeros(n), np.zeros(n), depth_km, rng.choice(values, n, p=probability))
    pending = np.arange(n)
    while pending.size:
        events.loc[pending, ["longitude_deg", "latitude_deg"]] = rng.uniform(low, high, (pending.size, 2)).round(4)
        pending = pending[in_range(events.loc[pending], stations, _BACKGROUND_CLEAR)]
    corners = np.array([low, high])
    ends_d = np.array([0.0, length_d - 1 / _DAY_MS])
    edge = _rows(ends_d, corners[:, 0], corners[:, 1], np.full(2, 33.0), np.full(2, MINIMUM_MAGNITUDE))
    return pd.concat([edge, events], ignore_index=True)


def _rows(
    origin_d: FloatArray, longitude_deg: FloatArray, latitude_deg: FloatArray, depth_km: FloatArray,
    magnitude: FloatArray, parent: NDArray[np.int64] | int = -1,
) -> pd.DataFrame:  # fmt: skip
    """Events without id, rounded as in a catalogue; origin_d in days from its start, parent a row (-1: none)."""
    return pd.DataFrame(
        {
            "origin_d": origin_d,
            "longitude_deg": np.round(longitude_deg, 4),
            "latitude_deg": np.round(latitude_deg, 4),
            "depth_km": np.round(depth_km, 1),
            "magnitude": magnitude,
            "parent": parent,
        }
    ).astype({"parent": np.int64})


def _number(events: pd.DataFrame, dropped: NDArray[np.bool_], start: np.datetime64) -> pd.DataFrame:
    rows = np.flatnonzero(~dropped)
    rows = rows[np.argsort(events["origin_d"].to_numpy()[rows], kind="stable")]
    event_id = np.full(len(events), "", dtype=object)
    event_id[rows] = [f"sim{number:05d}" for number in range(rows.size)]
    parent = events["parent"].to_numpy()
    kept = events.iloc[rows]
    longitude = (kept["longitude_deg"].to_numpy() + 180) % 360 - 180
    elapsed = np.floor(kept["origin_d"].to_numpy() * _DAY_MS).astype("timedelta64[ms]")
    return pd.DataFrame(
        {
            "event_id": event_id[rows],
            "origin_utc": start + elapsed,
            "latitude_deg": kept["latitude_deg"].to_numpy(),
            "longitude_deg": longitude.round(4),
            "depth_km": kept["depth_km"].to_numpy(),
            "magnitude": kept["magnitude"].to_numpy(),
            "parent_id": np.where(parent[rows] >= 0, event_id[parent[rows]], ""),
        }
    )[EARTHQUAKE_COLUMNS]
