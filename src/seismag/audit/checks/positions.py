"""Check of epicentres: agreement between stations, and aftershocks against slipped catalogue columns.

Earthquakes of one sequence agree in latitude *and* longitude. Where a column of the catalogue has slipped, pairs within
a day agree in one coordinate only, far more often than pairs at other times (docs/method.md). A catalogue whose
latitude and longitude slipped together is not detected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seismag.archive.stations import read_stations
from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.scoring.null import Null
from seismag.windows.criteria import EARTH

CLOSE_D = 1.0
CLOSE_KM, FAR_KM = 33.0, 165.0  # of one coordinate: within a sequence, and beyond nearly every sequence
MAX_CATALOGUE_EVENTS = 1500  # bounds the work
MIN_AGREEING_PAIRS = 3  # within a day and close in a coordinate; fewer do not separate a slip from chance
MINIMUM_EXCESS, MINIMUM_SEQUENCE_FRACTION = 0.5, 0.1
AGREEMENT_KM, AGREEMENT_FRACTION = 2.0, 0.01  # between stations: rounding, and 1 % of the distance for the ellipsoid
PLACEBO_SCATTER_KM = 8.0
LONGITUDE_TOLERANCE_DEG = 0.3  # of local_hour against the station table
_KM_PER_DEG = 111.2
_MS_PER_DAY = 86_400_000


@dataclass(frozen=True)
class Epicentres:
    """Label events in time."""

    event_id: list[str]  # n identifiers
    origin_d: FloatArray  # (n,) days since 1970
    position_deg: FloatArray  # (n, 2) latitude and longitude
    disagreement_km: FloatArray  # (n,) largest distance between the epicentres from different stations
    allowed_km: FloatArray  # (n,) its limit


Pairs = tuple[IndexArray, IndexArray]  # (p,) each: events that are close in time


def check_positions(samples: pd.DataFrame, spec: AuditConfig, catalog: pd.DataFrame | None = None) -> CheckResult:
    """``positions``, blocking: whether the epicentres behind the labels are those of the earthquakes.

    Args:
        samples: station, event_id, origin_utc, azimuth_deg, distance_km; with local_hour, start_utc and end_utc, a
            station whose longitude is not that of the shipped table is left out.
        catalog: origin_utc, latitude_deg, longitude_deg, magnitude of all earthquakes (``catalog.parquet`` of a store);
            without it only the label events are tested, which are seldom enough.
    """
    found = label_epicentres(samples)
    if isinstance(found, Epicentres) and (apart := np.flatnonzero(found.disagreement_km > found.allowed_km)).size:
        return _stations_disagree(found, apart)
    if catalog is not None:
        origin_d, position_deg = _largest_events(catalog)
    elif isinstance(found, Epicentres):
        origin_d, position_deg = found.origin_d, found.position_deg
    else:
        return CheckResult("positions", found, blocking=True)
    position_km = to_kilometres(position_deg)
    pairs = close_pairs(origin_d)
    n_both = int(agreement(position_km, pairs)[0].sum())
    first = first_of_sequences(position_km, pairs)
    origin_d, position_km = origin_d[first], position_km[first]
    pairs = close_pairs(origin_d)
    _, n_latitude, n_longitude = agreement(position_km, pairs).sum(axis=1).tolist()
    n_single, n_pairs, n_events = n_latitude + n_longitude, len(pairs[0]), len(position_deg)
    details = {
        "events": n_events, "of": "label events" if catalog is None else "catalogue",
        "sequences": n_events - len(origin_d),
        "pairs": {"within_a_day": n_pairs, "both": n_both, "latitude_only": n_latitude, "longitude_only": n_longitude},
    }  # fmt: skip
    if n_both + n_single < MIN_AGREEING_PAIRS:
        text = (
            f"inconclusive ({n_both + n_single} of {n_pairs} pairs within a day, among {n_events} earthquakes, agree "
            f"in latitude or longitude; at least {MIN_AGREEING_PAIRS} are needed to detect a slipped column)."
        )
        return CheckResult("positions", text, blocking=True, details=details)
    rng = np.random.default_rng([spec.seed, 21])
    null = Null(np.array([_count_single(rng.permutation(position_km), pairs) for _ in range(spec.permutations)]))
    chance, p_value = null.interval(), null.p_value(n_single)
    return CheckResult(
        name="positions",
        sentence=(
            f"{n_both} pairs of earthquakes within a day of each other agree in latitude and longitude, as aftershocks "
            f"do. Of {n_pairs} other pairs {n_latitude} agree to {CLOSE_KM:g} km in latitude only and {n_longitude} in "
            f"longitude only, more than {FAR_KM:g} km apart in the other (by chance together {chance.mean:.1f}, "
            f"p {p_value:.2g}). An excess means that the two columns of the catalogue have slipped against each other."
        ),
        statistic=float(n_single),
        statistic_name="pairs of events within a day that agree in one coordinate only",
        null=chance,
        p_value=p_value,
        placebo_rate=null.placebo_rate(_placebo_counts(position_km, origin_d, n_both, spec.placebos, rng)),
        above_minimum=n_single - chance.mean
        > max(MINIMUM_EXCESS * chance.mean, MIN_AGREEING_PAIRS - 1, MINIMUM_SEQUENCE_FRACTION * n_both),
        blocking=True,
        details=details,
    )


def close_pairs(origin_d: FloatArray) -> Pairs:
    """Pairs of events, ascending in time, with origins less than a day apart."""
    index = np.arange(len(origin_d))
    n_later = np.searchsorted(origin_d, origin_d + CLOSE_D, side="left") - index - 1
    one = np.repeat(index, n_later)
    first_pair = np.cumsum(n_later) - n_later
    return one, one + 1 + np.arange(len(one)) - np.repeat(first_pair, n_later)


def first_of_sequences(position_km: FloatArray, pairs: Pairs) -> IndexArray:
    """Link the pairs that agree in both coordinates into sequences; the first event of each, ascending."""
    (one, other), both, n = pairs, agreement(position_km, pairs)[0], len(position_km)
    links = coo_array((np.ones(int(both.sum())), (one[both], other[both])), shape=(n, n))
    _, sequence = connected_components(links, directed=False)
    return np.sort(np.unique(sequence, return_index=True)[1])


def to_kilometres(position_deg: FloatArray) -> FloatArray:
    """Latitude and longitude (n, 2) in degrees as km north of the equator and east of the mean longitude.

    Longitudes are scaled at the latitude of each event, so differences are right within a sequence only.
    """
    longitude = np.radians(position_deg[:, 1])
    middle = np.degrees(np.arctan2(np.sin(longitude).mean(), np.cos(longitude).mean()))
    east_deg = np.mod(position_deg[:, 1] - middle + 180, 360) - 180
    scale = np.cos(np.radians(position_deg[:, 0]))
    return _KM_PER_DEG * np.stack([position_deg[:, 0], east_deg * scale], axis=1)


def agreement(position_km: FloatArray, pairs: Pairs) -> NDArray[np.bool_]:
    """Whether each pair agrees in both coordinates, in latitude only, or in longitude only: (3, p).

    Coordinates agree within 33 km and disagree beyond 165 km; pairs between count as neither.
    """
    apart = np.abs(position_km[pairs[0]] - position_km[pairs[1]])
    close, far = apart < CLOSE_KM, apart > FAR_KM
    return np.stack([close[:, 0] & close[:, 1], close[:, 0] & far[:, 1], close[:, 1] & far[:, 0]])


def label_epicentres(samples: pd.DataFrame) -> Epicentres | str:
    """Compute the epicentre of each label event from distance and azimuth; a sentence where that is impossible."""
    needed = ["station", "event_id", "origin_utc", "azimuth_deg", "distance_km"]
    missing = [column for column in needed if column not in samples.columns]
    if missing:
        return f"inconclusive (the table has no {', '.join(missing)}, so epicentres cannot be compared)."
    events = samples.loc[samples["event_id"].notna(), :]
    events = events[np.isfinite(events[["azimuth_deg", "distance_km"]].to_numpy(dtype=float)).all(axis=1)]
    stations = _station_positions(samples)
    events = events[events["station"].isin(list(stations))].reset_index(drop=True)
    if events.empty:
        return "inconclusive (no event window is from a station of known position, so epicentres cannot be compared)."
    here = np.array([stations[str(code)] for code in events["station"]])
    distance_km = events["distance_km"].to_numpy(dtype=float)
    longitude, latitude, _ = EARTH.fwd(
        here[:, 1], here[:, 0], events["azimuth_deg"].to_numpy(dtype=float), distance_km * 1000
    )
    table = pd.DataFrame({
        "event_id": events["event_id"].astype(str), "origin_d": _days(events["origin_utc"]),
        "latitude_deg": latitude, "longitude_deg": longitude, "distance_km": distance_km,
    }).sort_values(["origin_d", "event_id"], kind="stable", ignore_index=True)  # fmt: skip
    first = table.drop_duplicates("event_id").set_index("event_id")
    centre = first.loc[table["event_id"]]
    _, _, apart_m = EARTH.inv(
        centre["longitude_deg"].to_numpy(), centre["latitude_deg"].to_numpy(),
        table["longitude_deg"].to_numpy(), table["latitude_deg"].to_numpy(),
    )  # fmt: skip
    table["apart_km"] = np.asarray(apart_m) / 1000
    by_event = table.groupby("event_id", sort=False)
    return Epicentres(
        event_id=[str(name) for name in first.index],
        origin_d=first["origin_d"].to_numpy(),
        position_deg=first[["latitude_deg", "longitude_deg"]].to_numpy(),
        disagreement_km=by_event["apart_km"].max().to_numpy(),
        allowed_km=np.maximum(AGREEMENT_KM, AGREEMENT_FRACTION * by_event["distance_km"].max().to_numpy()),
    )


def _days(times: pd.Series) -> FloatArray:
    return np.asarray(times.to_numpy().astype("datetime64[ms]").astype(float) / _MS_PER_DAY)


def _station_positions(samples: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Latitude and longitude of the shipped stations, without those whose local hours disagree with the table."""
    positions = {code: (one.latitude_deg, one.longitude_deg) for code, one in read_stations().items()}
    if {"local_hour", "start_utc", "end_utc"} <= set(samples.columns):
        start, end = (samples[c].to_numpy().astype("datetime64[ms]").astype(float) for c in ("start_utc", "end_utc"))
        utc_hour = (start + end) / 2 / 3_600_000
        longitude = np.mod((samples["local_hour"].to_numpy(dtype=float) - utc_hour) * 15 + 180, 360) - 180
        for code, rows in samples.groupby("station").indices.items():
            known = positions.get(str(code))
            off = np.mod(longitude[rows[0]] - known[1] + 180, 360) - 180 if known else 0.0
            if abs(off) > LONGITUDE_TOLERANCE_DEG:
                del positions[str(code)]
    return positions


def _largest_events(catalog: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Origins (n,) in days, ascending, and positions (n, 2) of the 1,500 largest events."""
    chosen = catalog.nlargest(MAX_CATALOGUE_EVENTS, "magnitude").sort_values("origin_utc", kind="stable")
    return _days(chosen["origin_utc"]), chosen[["latitude_deg", "longitude_deg"]].to_numpy(dtype=float)


def _count_single(position_km: FloatArray, pairs: Pairs) -> int:
    return int(agreement(position_km, pairs)[1:].sum())


def _placebo_counts(
    position_km: FloatArray, origin_d: FloatArray, n_sequences: int, placebos: int, rng: np.random.Generator
) -> list[int]:
    """Statistic for catalogues whose columns belong together.

    Epicentres are sampled with replacement from those of the catalogue; then as many pairs as agree there are made
    sequences: the later event moves to within some kilometres of the earlier one, in both coordinates.
    """
    pairs = one, other = close_pairs(origin_d)
    counts = []
    for _ in range(placebos):
        sampled = position_km[rng.integers(0, len(position_km), len(position_km))]
        chosen = np.sort(rng.permutation(len(one))[:n_sequences])  # ascending: sequences follow their mainshock
        for pair in chosen:
            sampled[other[pair]] = sampled[one[pair]] + rng.normal(0, PLACEBO_SCATTER_KM, 2)
        first = first_of_sequences(sampled, pairs)
        counts.append(_count_single(sampled[first], close_pairs(origin_d[first])))
    return counts


def _stations_disagree(found: Epicentres, apart: IndexArray) -> CheckResult:
    worst = int(apart[np.argmax(found.disagreement_km[apart])])
    return CheckResult(
        name="positions",
        sentence=(
            f"{len(apart)} of {len(found.event_id)} earthquakes have no common epicentre: distance and azimuth from "
            f"their stations lead to points up to {found.disagreement_km[worst]:.0f} km apart "
            f"({found.event_id[worst]}, limit {found.allowed_km[worst]:.0f} km). Distances or azimuths are in the "
            "wrong rows or columns."
        ),
        statistic=float(found.disagreement_km[worst]),
        statistic_name="largest distance of the epicentres of one earthquake, km",
        blocking=True,
        verdict="fail",
        details={"events": len(found.event_id), "events_in_disagreement": [found.event_id[k] for k in apart[:10]]},
    )
