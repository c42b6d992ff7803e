"""Interactive Molchan diagram, training curves and station map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from seismag.domain import MAGNITUDE_CLASSES
from seismag.report.chart_parts import Chart, ValueTable, title_of
from seismag.report.figures.station_map import Places, coastlines, extent_of
from seismag.report.quotation import escape
from seismag.scoring.figure import BLUE, GREEN, GREY, ORANGE

_CLASS_COLOURS = {"Moderate": GREEN, "Medium": BLUE, "Large": ORANGE}
_CLASS_SIZES = {"Moderate": 6, "Medium": 9, "Large": 13}
_REFERENCES = {"uniform": "uniform", "station": "station rates", "clustering": "past earthquakes"}
_LINES = ((BLUE, "solid"), (ORANGE, "dash"), (GREEN, "dashdot"))


def molchan_chart(alarms: Mapping[str, Any]) -> Chart:
    """Miss rate against alarm fraction for each reference, with the range of randomised events and binomial bounds."""
    present = {name: entry for name, entry in alarms["references"].items() if "curve" in entry}
    first = next(iter(present.values()))["curve"]
    traces: list[dict[str, object]] = [
        {"x": first["tau"], "y": first["chance_low"], "mode": "lines", "line": {"width": 0}, "showlegend": False,
         "hoverinfo": "skip"},
        {"x": first["tau"], "y": first["chance_high"], "mode": "lines", "line": {"width": 0}, "fill": "tonexty",
         "fillcolor": "rgba(120,120,120,0.25)", "name": "randomised events, 95 %", "hoverinfo": "skip"},
    ]  # fmt: skip
    traces += [
        {"x": first["tau"], "y": first[f"binomial_{alpha}"], "mode": "lines", "hoverinfo": "skip",
         "line": {"color": GREY, "dash": "dot", "width": width}, "name": f"independent events, {alpha} % bound"}
        for alpha, width in (("5", 1), ("1", 2))
    ]  # fmt: skip
    for (name, entry), (colour, dash) in zip(present.items(), _LINES, strict=False):
        label = _REFERENCES.get(name, name)
        hover = f"alarm fraction %{{x:.2f}}, miss rate %{{y:.2f}}<br>metrics.json#/alarms/references/{name}/curve"
        traces.append(
            {"x": entry["curve"]["tau"], "y": entry["curve"]["nu"], "mode": "lines",
             "line": {"color": colour, "dash": dash}, "name": f"reference {label}",
             "hovertemplate": f"{hover}<extra>{label}</extra>"}
        )  # fmt: skip
    layout = {"xaxis": title_of("alarm fraction (of the reference)") | {"range": [0, 1]},
              "yaxis": title_of("miss rate") | {"range": [0, 1]}, "height": 520}  # fmt: skip
    note = "A curve inside the grey range is no better than for randomised events; independent events fall below a "
    note += "dotted line by chance with the probability given."
    rows = []
    for name in present:
        pointer = f"metrics.json#/alarms/references/{escape(name)}/area_skill"
        sources = (f"{pointer}/value .3f", f"{pointer}/null/low .3f", f"{pointer}/null/high .3f")
        rows.append((_REFERENCES.get(name, name), sources))
    table = ValueTable("area skill by reference", ("value", "null, low", "null, high"), tuple(rows))
    return Chart("molchan", "Molchan diagram", note, traces, layout, [table])


def training_chart(histories: Mapping[str, pd.DataFrame]) -> Chart:
    """Losses of every run by epoch; the selected epoch is marked."""
    traces: list[dict[str, object]] = []
    for number, (run_id, history) in enumerate(histories.items()):
        for column, (colour, dash) in zip(("train_loss", "val_loss"), _LINES, strict=False):
            if column in history:
                values = [None if pd.isna(value) else float(value) for value in history[column]]
                kept = history["val_loss"].idxmin() if column == "val_loss" and history[column].notna().any() else None
                traces.append(
                    {"x": history["epoch"].tolist(), "y": values, "mode": "lines+markers", "legendgroup": column,
                     "line": {"color": colour, "dash": dash}, "name": column.replace("_", " "),
                     "marker": {"size": [11 if row == kept else 4 for row in history.index]},
                     "showlegend": number == 0, "opacity": 1.0 if number == 0 else 0.5,
                     "hovertemplate": "epoch %{x}: %{y:.3f}<extra>" + run_id + "</extra>"}
                )  # fmt: skip
    layout = {"xaxis": title_of("epoch"), "yaxis": title_of("loss")}
    note = "The large point is the selected epoch, with the smallest validation loss"
    note += "." if len(histories) == 1 else "; the first fold is dark, the others are pale."
    return Chart("training", "Training", note, traces, layout)


def map_chart(places: Places) -> Chart:
    """Stations, epicentres and coastlines."""
    west, east, south, north = extent_of(places)
    x: list[float | None] = []
    y: list[float | None] = []
    for line in coastlines(west, east, south, north):
        x += [*line[:, 0].tolist(), None]
        y += [*line[:, 1].tolist(), None]
    traces: list[dict[str, object]] = [
        {"x": x, "y": y, "mode": "lines", "line": {"color": "#888", "width": 1}, "hoverinfo": "skip",
         "showlegend": False}
    ]  # fmt: skip
    for name in reversed(MAGNITUDE_CLASSES[1:]):
        for main in (True, False):
            rows = places.events[
                (places.events["magnitude_class"] == name) & (places.events["is_mainshock"].astype(bool) == main)
            ]
            if rows.empty:
                continue
            symbol = "circle" if main else "circle-open"
            traces.append(
                {"x": rows["longitude_deg"].tolist(), "y": rows["latitude_deg"].tolist(), "mode": "markers",
                 "name": name if main else f"{name}, aftershock",
                 "marker": {"color": _CLASS_COLOURS[name], "size": _CLASS_SIZES[name], "symbol": symbol,
                            "line": {"width": 0.5 if main else 1.5, "color": "#fff" if main else _CLASS_COLOURS[name]}},
                 "text": rows["event_id"].astype(str).tolist(),
                 "hovertemplate": "%{text}<br>%{y:.2f}°N, %{x:.2f}°E<extra>" + name + "</extra>"}
            )  # fmt: skip
    stations = places.stations
    traces.append(
        {"x": stations["longitude_deg"].tolist(), "y": stations["latitude_deg"].tolist(), "name": "station",
         "mode": "markers+text", "text": [f"<b>{code}</b>" for code in stations.index], "textposition": "top center",
         "marker": {"symbol": "triangle-up", "color": "#000", "size": 10},
         "hovertemplate": "%{text}<br>%{y:.2f}°N, %{x:.2f}°E<extra></extra>"}
    )  # fmt: skip
    plain = {"showgrid": False, "zeroline": False, "showline": True, "mirror": True, "linecolor": "#444",
             "ticksuffix": "°"}  # fmt: skip
    layout = {"xaxis": title_of("longitude, east") | plain | {"range": [west, east], "constrain": "domain"},
              "yaxis": title_of("latitude, north") | plain | {"range": [south, north], "scaleanchor": "x",
                                                              "constrain": "domain"},
              "height": 560}  # fmt: skip
    return Chart("map", "Stations and epicentres", "Earthquakes that define the labels of the windows.", traces, layout)
