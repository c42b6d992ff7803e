"""The subduction arcs of Indonesia as epicentres of simulated earthquakes.

Trenches and fronts of thrust belts are polylines accurate to about half a degree: each station gets its own prior of
azimuths. Plate boundaries: Bird (2003), doi:10.1029/2001GC000252; slabs: Hayes et al. (2018),
doi:10.1126/science.aat4723.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seismag.arrays import FloatArray
from seismag.windows.criteria import EARTH

_TRENCH_DEPTH_KM = 10.0
_STEP_KM = 20.0  # between the points to which distances are measured


@dataclass(frozen=True)
class Arc:
    """A trench and the slab behind it.

    Attributes:
        nodes: (longitude, latitude) in degrees, in order.
        slab_side: on which side of the line, followed in order, the slab lies: +1 right, -1 left.
        width_km: earthquakes lie up to this far behind the trench.
        rate: relative number of mainshocks.
    """

    name: str
    nodes: tuple[tuple[float, float], ...]
    slab_side: int
    width_km: float
    dip_deg: float
    rate: float


# Rates: percent of the 2,210 mainshocks from M 4.5 on in BMKG's catalogue 2018-2025 by the nearest slab, rounded;
# the three arcs that leave its area (up to 6 degrees north), Andaman, Philippine and Sulu, raised a little.
ARCS = (
    Arc(
        "Andaman and northern Sumatra",
        ((92.0, 14.0), (91.6, 12.0), (91.8, 10.0), (92.2, 8.0), (92.8, 6.0), (93.6, 4.2), (94.6, 2.8), (96.2, 1.0)),
        -1, 280.0, 25.0, 6.0,
    ),
    Arc(
        "southern Sumatra",
        ((96.2, 1.0), (97.0, -0.5), (98.0, -2.0), (99.3, -3.6), (100.6, -5.0), (102.2, -6.6), (104.0, -8.0)),
        -1, 280.0, 25.0, 14.0,
    ),
    Arc(
        "Java",
        ((104.0, -8.0), (105.5, -9.2), (107.5, -10.0), (110.0, -10.6), (113.0, -11.1), (116.0, -11.5)),
        -1, 300.0, 30.0, 13.0,
    ),
    Arc("Sumba", ((116.0, -11.5), (119.0, -11.4), (121.5, -11.3)), -1, 300.0, 35.0, 5.0),
    Arc("Flores thrust", ((115.5, -7.9), (118.0, -8.0), (121.0, -8.0), (123.5, -7.8)), 1, 100.0, 30.0, 5.0),
    Arc(
        "Banda",
        (
            (121.5, -11.3), (124.0, -10.8), (126.5, -9.7), (129.0, -9.0), (131.5, -8.6), (133.2, -7.2), (134.2, -5.5),
            (133.0, -4.0), (131.0, -3.0), (129.0, -2.6), (127.0, -2.8),
        ),
        -1, 300.0, 35.0, 22.0,
    ),
    Arc("northern Sulawesi", ((119.8, 1.5), (121.5, 1.9), (123.5, 2.2), (125.0, 2.6)), 1, 200.0, 30.0, 8.0),
    Arc("Sangihe", ((126.2, -0.5), (126.4, 1.5), (126.6, 3.5), (126.6, 5.5)), -1, 250.0, 40.0, 8.0),
    Arc("Halmahera", ((126.3, -0.5), (126.6, 1.0), (127.0, 3.0)), 1, 200.0, 40.0, 5.0),
    Arc("Philippine", ((128.5, 2.5), (127.8, 4.5), (127.2, 6.5), (126.9, 9.0)), -1, 200.0, 35.0, 5.0),
    Arc("Sulu and Cotabato", ((119.5, 7.0), (121.5, 7.4), (123.2, 6.8), (124.5, 5.3)), -1, 120.0, 35.0, 2.0),
    Arc(
        "Papua",
        ((131.0, -0.3), (133.0, -0.2), (135.0, -0.5), (137.0, -1.1), (139.0, -1.7), (141.0, -2.3), (143.5, -3.0)),
        1, 220.0, 30.0, 11.0,
    ),
)  # fmt: skip


def _segments(arc: Arc) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Longitude and latitude of the start, azimuth in degrees and length in km of each piece of an arc."""
    longitude, latitude = np.array(arc.nodes, dtype=float).T
    azimuth, _, length_m = EARTH.inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    return longitude[:-1], latitude[:-1], azimuth, length_m / 1000


def sample_on_arcs(n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sample epicentres: uniform along each arc, most of them in the shallow third of its slab.

    Returns:
        Longitude and latitude in degrees, depth in km; (n,) each.
    """
    rates = np.array([arc.rate for arc in ARCS])
    pieces = [_segments(arc) for arc in ARCS]
    longitude, latitude, azimuth, length_km = (np.concatenate(column) for column in zip(*pieces, strict=True))
    owner = np.repeat(np.arange(len(ARCS)), [len(piece[3]) for piece in pieces])
    weight = rates[owner] * length_km / np.bincount(owner, length_km)[owner]
    piece = rng.choice(owner.size, n, p=weight / weight.sum())
    side, width_km, dip_deg = (
        np.array([getattr(arc, name) for arc in ARCS])[owner[piece]] for name in ("slab_side", "width_km", "dip_deg")
    )
    along_km = rng.uniform(0, 1, n) * length_km[piece]
    behind_km = rng.beta(1.5, 3.0, n) * width_km
    at = EARTH.fwd(longitude[piece], latitude[piece], azimuth[piece], along_km * 1000)
    place = EARTH.fwd(at[0], at[1], azimuth[piece] + 90.0 * side, behind_km * 1000)
    depth_km = _TRENCH_DEPTH_KM + behind_km * np.tan(np.radians(dip_deg)) + rng.normal(0, 8.0, n)  # a plane slab
    return np.asarray(place[0]), np.asarray(place[1]), np.maximum(depth_km, 5.0)


def distance_to_arcs_km(longitude_deg: FloatArray, latitude_deg: FloatArray) -> FloatArray:
    """Return the distance (n,) of each place from the nearest trench, km, to within a few km."""
    points = []
    for arc in ARCS:
        for longitude, latitude, azimuth, length_km in zip(*_segments(arc), strict=True):
            along_m = np.linspace(0, length_km * 1000, int(length_km / _STEP_KM) + 2)
            same = np.ones_like(along_m)
            points.append(np.stack(EARTH.fwd(longitude * same, latitude * same, azimuth * same, along_m)[:2]))
    line = np.concatenate(points, axis=1)
    n, m = len(longitude_deg), line.shape[1]
    here = np.repeat(longitude_deg, m), np.repeat(latitude_deg, m)
    distance_m = EARTH.inv(here[0], here[1], np.tile(line[0], n), np.tile(line[1], n))[2]
    nearest: FloatArray = np.reshape(distance_m, (n, m)).min(axis=1) / 1000
    return nearest
