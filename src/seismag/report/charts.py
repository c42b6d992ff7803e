"""Interactive figures of the page for Plotly; every value comes from a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from seismag.domain import MAGNITUDE_CLASSES
from seismag.report.figures.station_map import Places, coastlines, extent_of
from seismag.report.findings import TASKS
from seismag.report.quotation import escape
from seismag.scoring.figure import BLUE, GREEN, GREY, ORANGE
from seismag.text import words_of_key

_GROUP_COLOURS = {"classical": GREEN, "quality": GREY, "oracle": GREY}
_SCORE_NAMES = {"auc_within_station": "station-stratified ROC AUC", "balanced_accuracy": "balanced accuracy",
                "log_score": "log score (nat)", "brier": "Brier score"}  # fmt: skip
_BLUES = [[0, "#f7fbff"], [0.25, "#c6dbef"], [0.5, "#6baed6"], [0.75, "#2171b5"], [1, "#08306b"]]
_ZERO_LINE = {"zeroline": True, "zerolinecolor": "#000"}
_CLASS_COLOURS = {"Moderate": GREEN, "Medium": BLUE, "Large": ORANGE}
_CLASS_SIZES = {"Moderate": 6, "Medium": 9, "Large": 13}
_REFERENCES = {"uniform": "uniform", "station": "station rates", "clustering": "past earthquakes"}
_LINES = ((BLUE, "solid"), (ORANGE, "dash"), (GREEN, "dashdot"))


@dataclass(frozen=True)
class ValueTable:
    """The values of a series as a table, for readers who cannot use the figure."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]  # label; of each cell the source, m.json#/magnitude/mcc/value .3f


@dataclass(frozen=True)
class Chart:
    """One figure, with traces and layout for Plotly."""

    name: str  # HTML id
    title: str  # heading
    note: str  # caption, one or two sentences
    traces: list[dict[str, object]]
    layout: dict[str, Any]
    tables: list[ValueTable] = field(default_factory=list)  # the same values with their sources
    choices: tuple[str, ...] = ()  # names of the traces, if one is shown at a time


@dataclass(frozen=True)
class Point:
    """A value with its interval; None where undefined."""

    position: str | float | None  # on the other axis
    hover: str  # text of the tooltip
    value: float | None
    low: float | None
    high: float | None
    sources: tuple[str, str, str]  # of value, low and high
    label: str = ""  # in a table; "": the position


def point(position: str | float | None, entry: Mapping[str, Any], source: str, hover: str, label: str = "") -> Point:
    """Take value, low and high from a recorded score; ``source``: its document and pointer."""
    sources = (f"{source}/value", f"{source}/low", f"{source}/high")
    return Point(position, hover, entry["value"], entry["low"], entry["high"], sources, label)


def points_trace(
    points: Sequence[Point], name: str, colour: str | list[str], *, sideways: bool = False, symbol: str | None = None
) -> dict[str, object]:
    """Draw points with their intervals; an undefined one is left out. ``sideways``: values along x."""
    known = [k for k, entry in enumerate(points) if entry.value is not None and entry.position is not None]
    shown = [points[k] for k in known]
    axis, other = ("x", "y") if sideways else ("y", "x")
    marker: dict[str, object] = {"color": colour, "size": 8}
    if isinstance(colour, list):
        marker["color"] = [colour[k] for k in known]
    if symbol is not None:
        marker["symbol"] = symbol
    return {
        axis: [entry.value for entry in shown], other: [entry.position for entry in shown], "mode": "markers",
        "name": name, "text": [entry.hover for entry in shown], "customdata": [entry.sources[0] for entry in shown],
        f"error_{axis}": {
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 0,
            "color": GREY if isinstance(colour, list) else colour,
            "array": [_distance(entry.value, entry.high) for entry in shown],
            "arrayminus": [_distance(entry.value, entry.low) for entry in shown],
        },
        "marker": marker,
        "hovertemplate": "%{text}<br><b>%{" + axis + ":.3f}</b><br>%{customdata}<extra></extra>",
    }  # fmt: skip


def points_table(caption: str, points: Sequence[Point]) -> ValueTable:
    """List all points with their intervals."""
    rows = []
    for entry in points:
        rows.append((entry.label or str(entry.position), tuple(f"{source} .3f" for source in entry.sources)))
    return ValueTable(caption, ("value", "low", "high"), tuple(rows))


def title_of(text: str) -> dict[str, object]:
    """Axis title of Plotly."""
    return {"title": {"text": text, "font": {"size": 14}}}


def _distance(value: float | None, limit: float | None) -> float:
    return 0.0 if value is None or limit is None else abs(limit - value)


def skill_chart(metrics: Mapping[str, Any]) -> Chart:
    """Skill over the best non-magnetic baseline in every score, with intervals."""
    traces, tables = [], []
    for task, colour in zip(TASKS, (BLUE, ORANGE, GREEN), strict=True):
        skills = metrics[task]["skill_above_best_baseline"]
        points = []
        for score, name in _SCORE_NAMES.items():
            if score in skills:
                size = f"n = {skills[score]['n']}, {skills[score]['n_clusters']} groups"
                hover = f"{task}, {name}<br>over {skills[score]['baseline']}<br>{size}"
                source = f"metrics.json#/{task}/skill_above_best_baseline/{score}"
                points.append(point(name, skills[score], source, hover))
        traces.append(points_trace(points, task, colour, sideways=True) | {"offsetgroup": task, "orientation": "h"})
        tables.append(points_table(task, points))
    layout = {"xaxis": title_of("skill (positive is better)") | _ZERO_LINE,
              "yaxis": {"autorange": "reversed"}, "scattermode": "group", "scattergap": 0.4}  # fmt: skip
    note = "Difference to the best non-magnetic baseline; bars are intervals by group of windows."
    return Chart("skill", "Skill over non-magnetic baselines", note, traces, layout, tables)


def baselines_chart(metrics: Mapping[str, Any]) -> Chart:
    """Balanced accuracy of the model and of every baseline, one task at a time."""
    traces, tables = [], []
    for task in TASKS:
        source = f"metrics.json#/{task}"
        points = [point("model", metrics[task]["balanced_accuracy"], f"{source}/balanced_accuracy", "model")]
        colours = [BLUE]
        for name, rule in metrics[task]["baselines"].items():
            low, high = rule["intervals"]["balanced_accuracy"]
            pointer, label = f"{source}/baselines/{escape(name)}", words_of_key(name)
            limits = f"{pointer}/intervals/balanced_accuracy"
            sources = (f"{pointer}/balanced_accuracy", f"{limits}/0", f"{limits}/1")
            points.append(Point(label, label, rule["balanced_accuracy"], low, high, sources))
            colours.append(_GROUP_COLOURS.get(rule["group"], ORANGE))
        traces.append(points_trace(points, task, colours, sideways=True))
        tables.append(points_table(task, points))
    layout = {"xaxis": title_of("balanced accuracy") | {"range": [0, 1]}, "yaxis": {"autorange": "reversed"},
              "showlegend": False, "height": 600}  # fmt: skip
    note = "Orange: non-magnetic baselines; green: classical methods; grey: data quality, or the true class."
    return Chart("rules", "Model and baselines", note, traces, layout, tables, TASKS)


def confusion_chart(metrics: Mapping[str, Any]) -> Chart:
    """Confusion matrices, one task at a time: counts, with the fraction of the true class as colour."""
    traces, tables = [], []
    for task in TASKS:
        counts, classes = metrics[task]["confusion"], metrics[task]["classes"]
        fractions = [[count / sum(row) if sum(row) else None for count in row] for row in counts]
        labels = [
            [f"{n}<br>{100 * fraction:.0f} %" if fraction else f"{n}" for n, fraction in zip(*pair, strict=True)]
            for pair in zip(counts, fractions, strict=True)
        ]
        traces.append(
            {"type": "heatmap", "z": fractions, "x": classes, "y": classes, "text": labels, "texttemplate": "%{text}",
             "colorscale": _BLUES, "zmin": 0, "zmax": 1, "name": task, "xgap": 1, "ygap": 1, "showscale": False,
             "hovertemplate": "true %{y}, predicted %{x}<br>%{text} of the true class<extra></extra>"}
        )  # fmt: skip
        rows = tuple(
            (f"true {name}", tuple(f"metrics.json#/{task}/confusion/{i}/{k} d" for k in range(len(classes))))
            for i, name in enumerate(classes)
        )
        tables.append(ValueTable(f"{task}, predicted", tuple(classes), rows))
    layout = {"xaxis": title_of("predicted") | {"type": "category"}, "height": 480,
              "yaxis": title_of("true") | {"type": "category", "autorange": "reversed"}}  # fmt: skip
    note = "Windows by true and predicted class; the colour and the per cent value are the fraction of the true class."
    return Chart("confusion", "Confusion matrices", note, traces, layout, tables, TASKS)


def reliability_chart(metrics: Mapping[str, Any]) -> Chart:
    """Observed frequency against forecast probability, before and after calibration."""
    result = metrics["detection"]
    traces: list[dict[str, object]] = [
        {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": GREY, "dash": "dot", "width": 1},
         "name": "perfect", "hoverinfo": "skip"}
    ]  # fmt: skip
    tables = []
    calibrated = result["calibration"].get("reliability")
    for name, entry, pointer, colour, symbol in (
        ("uncalibrated", result["reliability"], "reliability", BLUE, "circle"),
        ("calibrated (validation set)", calibrated, "calibration/reliability", ORANGE, "square"),
    ):
        if not entry:
            continue
        rows = []
        for k in range(len(entry["bins"])):
            source = f"metrics.json#/detection/{pointer}/bins/{k}"
            sources = (f"{source}/mean_probability", f"{source}/observed")
            rows.append((f"{name}, bin {k + 1}", tuple(f"{value} .3f" for value in sources)))
        traces.append(
            _frequencies_trace(entry["bins"], name, pointer) | {"marker": {"color": colour, "symbol": symbol}}
        )
        columns = ("forecast probability", "observed frequency")
        tables.append(ValueTable(f"{name}: observed frequency", columns, tuple(rows)))
    layout = {"xaxis": title_of("forecast probability") | {"range": [0, 1]},
              "yaxis": title_of("observed frequency") | {"range": [0, 1]}}  # fmt: skip
    note = "On the dotted line the observed frequency equals the forecast probability."
    return Chart("reliability", "Reliability of the event probability", note, traces, layout, tables)


def _frequencies_trace(bins: Sequence[Mapping[str, Any]], name: str, pointer: str) -> dict[str, object]:
    """Draw the observed frequency of each bin."""
    sources = [f"metrics.json#/detection/{pointer}/bins/{k}/observed" for k in range(len(bins))]
    return {
        "x": [b["mean_probability"] for b in bins], "y": [b["observed"] for b in bins], "mode": "markers",
        "name": name, "text": [f"{name}<br>{b['n']} windows, {b['n_groups']} groups" for b in bins],
        "customdata": sources, "cliponaxis": False,
        "hovertemplate": "%{text}<br><b>%{y:.3f}</b><br>%{customdata}<extra></extra>",
    }  # fmt: skip


def folds_chart(crossval: Mapping[str, Any]) -> Chart:
    """Skill in balanced accuracy of each fold, one task at a time; accuracy never without balanced accuracy."""
    traces, tables = [], []
    for task in TASKS:
        points = []
        for k, fold in enumerate(crossval["folds"]):
            skill = fold["skill_above_best_baseline"][task]["balanced_accuracy"]
            source = f"crossval.json#/folds/{k}/skill_above_best_baseline/{task}/balanced_accuracy"
            accuracy, balanced = (_text_of(fold[task][score]["mean"]) for score in ("accuracy", "balanced_accuracy"))
            name = f"fold {fold['fold']}"
            hover = f"{name}, {fold['n']} windows<br>accuracy {accuracy}, balanced accuracy {balanced}"
            points.append(point(f"{fold['fold']}", skill, source, hover, name))
        traces.append(points_trace(points, task, ORANGE))
        tables.append(points_table(f"{task}: skill in balanced accuracy", points))
    layout = {"xaxis": title_of("fold") | {"type": "category"}, "showlegend": False,
              "yaxis": title_of("skill, balanced accuracy") | _ZERO_LINE}  # fmt: skip
    note = "Accuracy and balanced accuracy of a fold appear when it is pointed at."
    return Chart("folds", "Folds", note, traces, layout, tables, TASKS)


def bands_chart(explanation: Mapping[str, Any]) -> Chart:
    """Loss of log score without each band and component, one task at a time."""
    parts = explanation["band_importance"]["parts"]
    names = [f"{part['band']}, {part['component']}".replace("_", " ") for part in parts]
    traces, tables = [], []
    for task in TASKS:
        points = []
        for k, (name, part) in enumerate(zip(names, parts, strict=True)):
            source = f"explanation.json#/band_importance/parts/{k}/{task}/log_score"
            points.append(point(name, part[task]["log_score"], source, f"{task}, {name}"))
        traces.append(points_trace(points, task, BLUE, sideways=True))
        tables.append(points_table(f"{task}: loss of log score, nat", points))
    layout = {"xaxis": title_of("loss of log score, nat") | _ZERO_LINE, "yaxis": {"autorange": "reversed"},
              "showlegend": False, "height": 160 + 26 * len(parts)}  # fmt: skip
    note = "Loss after a band and component are replaced by those of another window of the same station; a positive "
    note += "value means that the model uses them."
    return Chart("bands", "Permutation importance of bands and components", note, traces, layout, tables, TASKS)


def molchan_chart(alarms: Mapping[str, Any]) -> Chart:
    """Miss rate against alarm fraction for each reference, with the range of randomised events."""
    present = {name: entry for name, entry in alarms["references"].items() if "curve" in entry}
    first = next(iter(present.values()))["curve"]
    traces: list[dict[str, object]] = [
        {"x": first["tau"], "y": first["chance_low"], "mode": "lines", "line": {"width": 0}, "showlegend": False,
         "hoverinfo": "skip"},
        {"x": first["tau"], "y": first["chance_high"], "mode": "lines", "line": {"width": 0}, "fill": "tonexty",
         "fillcolor": "rgba(120,120,120,0.25)", "name": "randomised events, 95 %", "hoverinfo": "skip"},
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
    note = "A curve inside the grey range is no better than for randomised events."
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


def _text_of(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
