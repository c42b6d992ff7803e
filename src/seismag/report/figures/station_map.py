"""Map of stations and epicentres, with stored coastlines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from seismag.archive.stations import read_stations
from seismag.domain import MAGNITUDE_CLASSES, DataError
from seismag.scoring.figure import BLUE, GREEN, ORANGE, PAGE_IN, STYLE, new_figure, save_figure
from seismag.windows.store import Store, store_catalog

MARGIN_DEG = 1.5
_COLOURS = {"Moderate": GREEN, "Medium": BLUE, "Large": ORANGE}
_SIZES = {"Moderate": 8.0, "Medium": 16.0, "Large": 34.0}
_KM_PER_DEG = 111.2
_TRIANGLE_PT = 5.0
_AROUND_PT = tuple(
    (reach * dx, reach * dy, side)
    for reach in (1, 1.6, 2.4)
    for dx, dy, side in (
        (5, 0, "left"), (-5, 0, "right"), (4, 6, "left"), (4, -6, "left"), (-4, 6, "right"), (-4, -6, "right"),
        (0, 8, "center"), (0, -8, "center"),
    )
)  # places of a code about its triangle, the nearest first  # fmt: skip
_SCALE_BARS_KM = (10, 20, 50, 100, 200, 500, 1000, 2000)
_AGAIN = "Prepare it again with this version of seismag."


@dataclass(frozen=True)
class Places:
    """Stations and label events of a map."""

    stations: pd.DataFrame  # index code; latitude_deg, longitude_deg
    events: pd.DataFrame  # one row a label event; latitude_deg, longitude_deg, magnitude_class, is_mainshock


def places_of(store: Store) -> Places:
    """Read the coordinates of the stations and the label events of a store.

    Raises:
        DataError: the store keeps no catalogue, or a station has no known position.
    """
    codes = sorted(store.samples["station"].astype(str).unique())
    known = store.attributes.get("stations") or {
        code: {"latitude_deg": station.latitude_deg, "longitude_deg": station.longitude_deg}
        for code, station in read_stations().items()
    }
    if lost := [code for code in codes if code not in known]:
        raise DataError(f"the positions of {', '.join(lost)} are not in the store. {_AGAIN}")
    stations = pd.DataFrame.from_dict({code: known[code] for code in codes}, orient="index")
    catalog = store_catalog(store)
    if catalog is None:
        raise DataError(f"the store keeps no catalogue (catalog.parquet). {_AGAIN}")
    labels = store.samples.dropna(subset=["event_id"]).drop_duplicates("event_id")
    columns = ["event_id", "magnitude_class", *(["is_mainshock"] if "is_mainshock" in labels else [])]
    events = labels[columns].merge(catalog[["event_id", "latitude_deg", "longitude_deg"]], on="event_id")
    return Places(stations, events.assign(is_mainshock=events.get("is_mainshock", True)))


def draw_station_map(places: Places, path: Path) -> None:
    """Draw stations as triangles with their codes, label events as circles: filled for mainshocks, by class."""
    west, east, south, north = extent_of(places)
    middle = np.cos(np.radians((south + north) / 2))
    height = min(6.5, (PAGE_IN - 0.5) * (north - south) / ((east - west) * middle) + 0.6)
    with mpl.rc_context(STYLE):
        figure = new_figure(height, PAGE_IN)
        axes = figure.subplots()
        axes.add_collection(LineCollection(coastlines(west, east, south, north), colors="#777777", linewidths=0.5))
        _draw_events(axes, places.events)
        axes.plot(
            places.stations["longitude_deg"], places.stations["latitude_deg"], "^", color="black",
            markersize=_TRIANGLE_PT, markeredgecolor="white", markeredgewidth=0.5, zorder=4,
        )  # fmt: skip
        axes.set(xlim=(west, east), ylim=(south, north), aspect=1 / middle)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}°{'E' if x >= 0 else 'W'}")
        axes.yaxis.set_major_formatter(lambda y, _: "0°" if y == 0 else f"{abs(y):g}°{'N' if y > 0 else 'S'}")
        axes.tick_params(direction="in", top=True, right=True)
        _draw_scale_bar(axes, west, east, south, north)
        figure.legend(handles=_legend(places.events), loc="outside lower center", ncols=6, frameon=False,
                      handletextpad=0.2, columnspacing=1.2)  # fmt: skip
        figure.canvas.draw()
        figure.set_layout_engine("none")  # the codes are placed in the present layout
        _write_codes(axes, places)
        save_figure(figure, path)


def extent_of(places: Places) -> tuple[float, float, float, float]:
    """West, east, south, north in degrees: all stations and epicentres with a margin, at least 4 degrees wide."""
    longitude = np.concatenate([places.stations["longitude_deg"], places.events["longitude_deg"]])
    latitude = np.concatenate([places.stations["latitude_deg"], places.events["latitude_deg"]])
    sides = []
    for values in (longitude, latitude):
        middle, half = (values.min() + values.max()) / 2, (values.max() - values.min()) / 2 + MARGIN_DEG
        sides += [float(middle - max(half, 2.0)), float(middle + max(half, 2.0))]
    west, east, south, north = sides
    return west, east, max(south, -89.0), min(north, 89.0)


def coastlines(west: float, east: float, south: float, north: float) -> list[np.ndarray[Any, Any]]:
    """Lines (m, 2) of longitude and latitude that touch a box; finer inside the region of Indonesia."""
    document = json.loads(files("seismag.report.figures").joinpath("coastlines.json").read_text("utf-8"))
    left, right, bottom, top = document["region_deg"]
    inside = left <= west and east <= right and bottom <= south and north <= top
    lines = [np.asarray(line) for line in document["region" if inside else "world"]]
    low, high = (west, south), (east, north)
    return [line for line in lines if (line.max(axis=0) >= low).all() and (line.min(axis=0) <= high).all()]


def _draw_events(axes: Axes, events: pd.DataFrame) -> None:
    for name in reversed(MAGNITUDE_CLASSES[1:]):  # the small ones on top
        for filled in (False, True):
            rows = events[(events["magnitude_class"] == name) & (events["is_mainshock"].astype(bool) == filled)]
            colour = _COLOURS[name]
            axes.scatter(
                rows["longitude_deg"], rows["latitude_deg"], s=_SIZES[name], facecolors=colour if filled else "none",
                edgecolors="white" if filled else colour, linewidths=0.4 if filled else 0.9, zorder=3,
            )  # fmt: skip


def _legend(events: pd.DataFrame) -> list[Line2D]:
    entries: list[Any] = [{"marker": "^", "color": "black", "markersize": 5, "label": "station"}]
    for name in MAGNITUDE_CLASSES[1:]:
        label = f"{name} ({int((events['magnitude_class'] == name).sum())})"
        entries.append({"color": _COLOURS[name], "markersize": _SIZES[name] ** 0.5, "label": label})
    if not events["is_mainshock"].astype(bool).all():
        entries.append({"color": "black", "markerfacecolor": "none", "markersize": 4, "label": "aftershock"})
    return [Line2D([], [], linestyle="", **{"marker": "o", **entry}) for entry in entries]


def _draw_scale_bar(axes: Axes, west: float, east: float, south: float, north: float) -> None:
    km_per_deg = _KM_PER_DEG * np.cos(np.radians(south + 0.06 * (north - south)))
    length = max((km for km in _SCALE_BARS_KM if km <= 0.25 * (east - west) * km_per_deg), default=_SCALE_BARS_KM[0])
    x, y = west + 0.03 * (east - west), south + 0.05 * (north - south)
    axes.plot([x, x + length / km_per_deg], [y, y], color="black", linewidth=1.6, solid_capstyle="butt", zorder=5)
    axes.text(x, y + 0.012 * (north - south), f"{length} km", va="bottom", ha="left", zorder=5)


def _write_codes(axes: Axes, places: Places) -> None:
    """Write each code near its triangle, without overlap of stations and codes and over few epicentres."""
    stations, events = (
        axes.transData.transform(table[["longitude_deg", "latitude_deg"]].to_numpy(dtype=np.float64))
        for table in (places.stations, places.events)
    )
    frame, half = axes.get_window_extent(), _TRIANGLE_PT * axes.figure.dpi / 72 / 2
    taken = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in stations]
    taken += [text.get_window_extent() for text in axes.texts]  # of the scale bar
    for number, (code, row) in enumerate(places.stations.iterrows()):
        text = axes.annotate(
            str(code), (row["longitude_deg"], row["latitude_deg"]), (0, 0), textcoords="offset points", va="center",
            fontsize=7, fontweight="bold", zorder=6, path_effects=[withStroke(linewidth=1.6, foreground="white")],
        )  # fmt: skip
        costs = []
        for rank, place in enumerate(_AROUND_PT):
            _put(text, place)
            box = text.get_window_extent()
            outside = not (frame.contains(*box.min) and frame.contains(*box.max))
            covered = sum(box.overlaps(other) for other in taken) + outside
            strange = int(np.argmin([_distance(box, xy) for xy in stations])) != number
            costs.append(100 * covered + 5 * strange + box.count_contains(events) + 0.2 * rank)
        _put(text, _AROUND_PT[int(np.argmin(costs))])
        taken.append(text.get_window_extent())


def _distance(box: Bbox, xy: np.ndarray[Any, Any]) -> float:
    return float(np.hypot(*np.maximum(0, np.maximum(box.min - xy, xy - box.max))))


def _put(text: Annotation, place: tuple[float, float, str]) -> None:
    dx, dy, side = place
    text.set_position((dx, dy))
    text.set_horizontalalignment(side)  # type: ignore[arg-type]
