"""Do the earthquakes lie where the labels say? Aftershocks tell.

Two questions. An earthquake that labels windows of several stations has one epicentre: distance and azimuth from each
station must lead to the same point. And of two earthquakes within a day of each other, some are one sequence: such
pairs agree in latitude *and* longitude. When a column of the catalogue has slipped against the others, they agree in
one coordinate and not in the other, far more often than pairs of any other time do. That excess is the statistic; its
null puts the epicentres in another order, so that the places and the bursts of times both stay. Before, each sequence
whose events agree in both is reduced to its first event, as its members would count many times over.

A catalogue whose latitude and longitude slipped together keeps its epicentres and loses its sequences. No excess of
either kind shows it, and with few aftershocks nothing can: then the test is undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seismag.archive.stations import read_stations
from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.windows.criteria import EARTH

CLOSE_D = 1.0
CLOSE_KM, FAR_KM = 33.0, 165.0  # of one coordinate: within a sequence, and beyond nearly every one
MOST_EVENTS = 1500
LEAST_PAIRS = 3  # within a day and close in a coordinate; fewer cannot tell a slip from chance
MINIMUM_EXCESS, MINIMUM_FRACTION = 0.5, 0.1
AGREEMENT_KM, AGREEMENT_SHARE = 2.0, 0.01  # between stations: rounding, and 1 % of the distance for other ellipsoids
PLACEBO_SCATTER_KM = 8.0
LONGITUDE_TOLERANCE_DEG = 0.3  # of local_hour against the station table
_KM_PER_DEG = 111.2


@dataclass(frozen=True)
class Epicentres:
    """Label events in time: origin in days, latitude and longitude (n, 2), largest disagreement of their stations."""

    event_id: list[str]
    origin_d: FloatArray
    place_deg: FloatArray
    disagreement_km: FloatArray
    allowed_km: FloatArray


def check_positions(samples: pd.DataFrame, spec: AuditConfig, catalog: pd.DataFrame | None = None) -> CheckResult:
    """Ask whether the epicentres that the labels point at are those of the earthquakes.

    Args:
        samples: station, event_id, origin_utc, azimuth_deg, distance_km; with local_hour, start_utc and end_utc a
        station
            whose longitude is not that of the shipped table is left out.
        spec: draws, placebos and seed.
        catalog: origin_utc, latitude_deg, longitude_deg, magnitude of all earthquakes (``catalog.parquet`` of a store).
            Without it only the events that label a window are asked, which seldom are enough.

    Returns:
        ``positions``, gating. It fails by its own verdict where stations disagree on an epicentre; else the statistic
        is the number of pairs of events within a day that agree in one coordinate only.
    """
    found = label_epicentres(samples)
    if isinstance(found, Epicentres) and (apart := np.flatnonzero(found.disagreement_km > found.allowed_km)).size:
        return _stations_disagree(found, apart)
    if catalog is not None:
        origin_d, place = _largest_events(catalog)
    elif isinstance(found, Epicentres):
        origin_d, place = found.origin_d, found.place_deg
    else:
        return CheckResult("positions", found, gates=True)
    one, other = pairs_within(origin_d, CLOSE_D)
    place_km = to_kilometres(place)
    both = int(agreement(place_km, one, other)[0].sum())
    keep = first_of_sequences(place_km, one, other)
    origin_d, place_km = origin_d[keep], place_km[keep]
    one, other = pairs_within(origin_d, CLOSE_D)
    _, latitude_only, longitude_only = agreement(place_km, one, other).sum(axis=1).tolist()
    single = latitude_only + longitude_only
    details: dict[str, Any] = {
        "events": len(place), "of": "label events" if catalog is None else "catalogue",
        "sequences": len(place) - len(origin_d),
        "pairs": {"within_a_day": len(one), "both": both, "latitude_only": latitude_only,
                  "longitude_only": longitude_only},
    }  # fmt: skip
    if both + single < LEAST_PAIRS:
        return CheckResult("positions", _too_few(details), gates=True, details=details)
    rng = np.random.default_rng([spec.seed, 21])
    null = np.array([_single(rng.permutation(place_km), one, other) for _ in range(spec.permutations)])
    p_value = (1 + int((null >= single).sum())) / (1 + len(null))
    return CheckResult(
        name="positions",
        sentence=_sentence(details, float(null.mean()), p_value),
        statistic=float(single),
        statistic_name="pairs of events within a day that agree in one coordinate only",
        null={"mean": float(null.mean()), "low": float(np.quantile(null, 0.025)),
              "high": float(np.quantile(null, 0.975))},
        p_value=p_value,
        placebo_rate=_placebo_rate(place_km, origin_d, both, null, spec.placebos, rng),
        material=_is_above_minimum(single, float(null.mean()), both),
        gates=True,
        details=details,
    )  # fmt: skip


def pairs_within(origin_d: FloatArray, reach_d: float) -> tuple[IndexArray, IndexArray]:
    """Number the pairs of events, ascending in time, whose origins lie less than ``reach_d`` days apart."""
    end = np.searchsorted(origin_d, origin_d + reach_d, side="left")
    one = np.repeat(np.arange(len(origin_d)), end - np.arange(len(origin_d)) - 1)
    start = np.cumsum(np.append(0, end - np.arange(len(origin_d)) - 1))[:-1]
    return one, one + 1 + np.arange(len(one)) - np.repeat(start, end - np.arange(len(origin_d)) - 1)


def first_of_sequences(place_km: FloatArray, one: IndexArray, other: IndexArray) -> IndexArray:
    """Link the pairs that agree in both coordinates into sequences; gives the first event of each, ascending."""
    both = agreement(place_km, one, other)[0]
    links = coo_array((np.ones(int(both.sum())), (one[both], other[both])), shape=(len(place_km), len(place_km)))
    _, sequence = connected_components(links, directed=False)
    return np.sort(np.unique(sequence, return_index=True)[1])


def to_kilometres(place_deg: FloatArray) -> FloatArray:
    """Latitude and longitude (n, 2) in degrees as km north of the equator and east of the mean longitude.

    East is stretched as at the place's own latitude, so the difference of two events within a day's sequence is right;
    that of distant ones is not, and need not be.
    """
    longitude = np.radians(place_deg[:, 1])
    middle = np.degrees(np.arctan2(np.sin(longitude).mean(), np.cos(longitude).mean()))
    turn_deg = np.mod(place_deg[:, 1] - middle + 180, 360) - 180
    stretch = np.cos(np.radians(place_deg[:, 0]))
    return _KM_PER_DEG * np.stack([place_deg[:, 0], turn_deg * stretch], axis=1)


def agreement(place_km: FloatArray, one: IndexArray, other: IndexArray) -> NDArray[np.bool_]:
    """Say of each pair whether it agrees in both coordinates, in latitude only, or in longitude only.

    Agreeing is within 33 km, not agreeing beyond 165 km; what lies between counts as neither.

    Args:
        place_km: (n, 2) north and east.
        one, other: (p,) the events of each pair.

    Returns:
        (3, p).
    """
    apart = np.abs(place_km[one] - place_km[other])
    close, far = apart < CLOSE_KM, apart > FAR_KM
    return np.stack([close[:, 0] & close[:, 1], close[:, 0] & far[:, 1], close[:, 1] & far[:, 0]])


def label_epicentres(samples: pd.DataFrame) -> Epicentres | str:
    """Go back from distance and azimuth to the epicentre of each label event; a sentence where that is impossible."""
    needed = ["station", "event_id", "origin_utc", "azimuth_deg", "distance_km"]
    missing = [column for column in needed if column not in samples.columns]
    if missing:
        return f"The table has no {', '.join(missing)}, so epicentres cannot be compared."
    events = samples.loc[samples["event_id"].notna(), :]
    events = events[np.isfinite(events[["azimuth_deg", "distance_km"]].to_numpy(dtype=float)).all(axis=1)]
    positions = _station_positions(samples)
    events = events[events["station"].isin(list(positions))].reset_index(drop=True)
    if events.empty:
        return "No event window lies at a station whose position is known, so epicentres cannot be compared."
    here = np.array([positions[str(code)] for code in events["station"]])
    distance_km = events["distance_km"].to_numpy(dtype=float)
    longitude, latitude, _ = EARTH.fwd(
        here[:, 1], here[:, 0], events["azimuth_deg"].to_numpy(dtype=float), distance_km * 1000
    )
    table = pd.DataFrame({
        "event_id": events["event_id"].astype(str),
        "origin_d": events["origin_utc"].to_numpy().astype("datetime64[ms]").astype(float) / 86_400_000,
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
        place_deg=first[["latitude_deg", "longitude_deg"]].to_numpy(),
        disagreement_km=by_event["apart_km"].max().to_numpy(),
        allowed_km=np.maximum(AGREEMENT_KM, AGREEMENT_SHARE * by_event["distance_km"].max().to_numpy()),
    )  # fmt: skip


def _station_positions(samples: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Latitude and longitude of the shipped stations, except where the table's local hours speak of another one."""
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
    """Origins (n,) in days, ascending, and places (n, 2) of the 1,500 largest events, which bounds the work."""
    chosen = catalog.nlargest(MOST_EVENTS, "magnitude").sort_values("origin_utc", kind="stable")
    origin_d = chosen["origin_utc"].to_numpy().astype("datetime64[ms]").astype(float) / 86_400_000
    return origin_d, chosen[["latitude_deg", "longitude_deg"]].to_numpy(dtype=float)


def _single(place_km: FloatArray, one: IndexArray, other: IndexArray) -> int:
    """Count the pairs that agree in one coordinate only."""
    return int(agreement(place_km, one, other)[1:].sum())


def _is_above_minimum(count: int, expected: float, both: int) -> bool:
    """Whether the excess is more than half of what chance brings, three pairs, and a tenth of the true sequences'."""
    return count - expected > max(MINIMUM_EXCESS * expected, LEAST_PAIRS - 1, MINIMUM_FRACTION * both)


def _placebo_rate(
    place_km: FloatArray, origin_d: FloatArray, sequences: int, null: NDArray[np.int64], placebos: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """Try the question on catalogues whose columns belong together.

    Epicentres are drawn with replacement from those of the catalogue; then as many pairs as agree there are made
    sequences: the later event moves to within some kilometres of the earlier one, in both coordinates.
    """
    one, other = pairs_within(origin_d, CLOSE_D)
    struck = 0
    for _ in range(placebos):
        drawn = place_km[rng.integers(0, len(place_km), len(place_km))]
        chosen = np.sort(rng.permutation(len(one))[:sequences])  # ascending: sequences follow their mainshock
        for pair in chosen:
            drawn[other[pair]] = drawn[one[pair]] + rng.normal(0, PLACEBO_SCATTER_KM, 2)
        keep = first_of_sequences(drawn, one, other)
        kept = pairs_within(origin_d[keep], CLOSE_D)
        struck += (1 + int((null >= _single(drawn[keep], *kept)).sum())) / (1 + len(null)) <= 0.05
    return struck / placebos


def _stations_disagree(found: Epicentres, apart: IndexArray) -> CheckResult:
    worst = int(apart[np.argmax(found.disagreement_km[apart])])
    return CheckResult(
        name="positions",
        sentence=(
            f"{len(apart)} of {len(found.event_id)} earthquakes have no one epicentre: distance and azimuth from their "
            f"stations lead to points up to {found.disagreement_km[worst]:.0f} km apart ({found.event_id[worst]}, "
            f"allowed {found.allowed_km[worst]:.0f} km). Distances or azimuths stand in the wrong rows or columns."
        ),
        statistic=float(found.disagreement_km[worst]),
        statistic_name="largest distance of the epicentres of one earthquake, km",
        gates=True,
        verdict="fail",
        details={"events": len(found.event_id), "events_in_disagreement": [found.event_id[k] for k in apart[:10]]},
    )


def _too_few(details: dict[str, Any]) -> str:
    pairs = details["pairs"]
    return (
        f"Of {details['events']} earthquakes {pairs['within_a_day']} pairs lie within a day of each other, and fewer "
        f"than {LEAST_PAIRS} of them agree in latitude or longitude: too few aftershocks to see a slip of a column."
    )


def _sentence(details: dict[str, Any], expected: float, p_value: float) -> str:
    pairs = details["pairs"]
    return (
        f"{pairs['both']} pairs of earthquakes within a day of each other agree in latitude and longitude, as "
        f"aftershocks do. Of {pairs['within_a_day']} other pairs {pairs['latitude_only']} agree to {CLOSE_KM:g} km in "
        f"latitude only and {pairs['longitude_only']} in longitude only, more than {FAR_KM:g} km apart in the other "
        f"(by chance together {expected:.1f}, p {p_value:.2g}). An excess means that the two columns of the catalogue "
        "have slipped against each other."
    )
