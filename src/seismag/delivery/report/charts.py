"""Interactive figures of the page, as plain values that Plotly draws; every value comes from a document."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seismag.delivery.report.evidence import Evidence
from seismag.delivery.report.figures.station_map import coastlines, extent_of, places_of
from seismag.domain import MAGNITUDE_CLASSES, DataError
from seismag.evaluation.figures import BLUE, GREEN, GREY, ORANGE, PINK

TASKS = ("detection", "magnitude", "azimuth")
_CLASS_COLOURS = {"Moderate": GREEN, "Medium": BLUE, "Large": ORANGE}
_REFERENCE_COLOURS = (BLUE, ORANGE, GREEN)
_LINES = ((BLUE, "solid"), (ORANGE, "dash"), (GREEN, "dashdot"), (PINK, "dot"))
_GROUP_COLOURS = {"classical": GREEN, "quality": GREY, "oracle": GREY}
_SCORE_NAMES = {"auc_within_station": "AUC within stations", "balanced_accuracy": "balanced accuracy",
                "log_score": "log score (nat)", "brier": "Brier score"}  # fmt: skip
Trace = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        name: of its element. title: of its part of the page. note: what is to be seen, one sentence.
        traces, layout: for Plotly.
    """

    name: str
    title: str
    note: str
    traces: list[Trace]
    layout: dict[str, Any]


def make_charts(evidence: Evidence) -> list[Chart]:
    """Make every chart that the documents allow."""
    metrics, documents = evidence.documents["metrics.json"], evidence.documents
    charts = [skill_chart(metrics), rules_chart(metrics), confusion_chart(metrics), reliability_chart(metrics)]
    alarms = metrics.get("alarms") or {}
    if any("curve" in entry for entry in (alarms.get("references") or {}).values()):
        charts.append(molchan_chart(alarms))
    if "crossval.json" in documents:
        charts.append(folds_chart(documents["crossval.json"]))
    charts.append(training_chart({run.run_id: pd.read_csv(run.path / "history.csv") for run in evidence.runs}))
    with contextlib.suppress(DataError):  # the reason stands among the figures that could not be drawn
        charts.append(map_chart(evidence))
    return charts


def skill_chart(metrics: Mapping[str, Any]) -> Chart:
    """Skill above the best rule without the field in every score, with intervals."""
    traces = []
    for task, colour in zip(TASKS, (BLUE, ORANGE, GREEN), strict=True):
        skills = metrics[task]["skill_above_best_baseline"]
        rows = [(_SCORE_NAMES[score], skills[score]) for score in _SCORE_NAMES if score in skills]
        known = [(name, entry) for name, entry in rows if entry["value"] is not None]
        hover = [
            f"{task}, {name}<br>above {entry['baseline']}<br>n = {entry['n']}, {entry['n_clusters']} groups"
            for name, entry in known
        ]
        traces.append(
            _points(
                [entry for _, entry in known],
                [name for name, _ in known],
                hover,
                name=task,
                color=colour,
                sideways=True,
            )
        )
    layout = {"xaxis": {"title": {"text": "skill (above 0 is better)"}, "zeroline": True, "zerolinecolor": "#000"},
              "yaxis": {"autorange": "reversed"}, "scattermode": "group", "scattergap": 0.4}  # fmt: skip
    note = "Difference to the best rule that never sees the field; bars are intervals by group of windows."
    return Chart("skill", "Skill above rules without the field", note, traces, layout)


def rules_chart(metrics: Mapping[str, Any]) -> Chart:
    """Balanced accuracy of the model beside every rule; a button for each task."""
    traces = []
    for task in TASKS:
        model = metrics[task]["balanced_accuracy"]
        entries, names, colours = [model], ["model"], [BLUE]
        for name, rule in metrics[task]["baselines"].items():
            low, high = rule["intervals"]["balanced_accuracy"]
            entries.append({"value": rule["balanced_accuracy"], "low": low, "high": high})
            names.append(name.replace("_", " "))
            colours.append(_GROUP_COLOURS.get(rule["group"], ORANGE))
        traces.append(_points(entries, names, names, name=task, color=colours, sideways=True))
    layout = {"xaxis": {"title": {"text": "balanced accuracy"}, "range": [0, 1]}, "yaxis": {"autorange": "reversed"},
              "showlegend": False, "height": 640}  # fmt: skip
    note = "Orange: no field; green: classical methods; grey: quality of the record, or a rule that looks at the truth."
    return Chart("rules", "The model beside rules", note, *_by_task(traces, layout))


def confusion_chart(metrics: Mapping[str, Any]) -> Chart:
    """Confusion matrices, colour by the share of the true class, with the counts; a button for each task."""
    traces = []
    for task in TASKS:
        counts = metrics[task]["confusion"]
        shares = [[count / sum(row) if sum(row) else None for count in row] for row in counts]
        classes = metrics[task]["classes"]
        traces.append(
            {"type": "heatmap", "z": shares, "x": classes, "y": classes, "text": counts, "texttemplate": "%{text}",
             "colorscale": "Blues", "reversescale": True, "zmin": 0, "zmax": 1, "name": task,
             "colorbar": {"title": {"text": "share of the true class"}},
             "hovertemplate": "true %{y}, predicted %{x}<br>%{text} windows, share %{z:.2f}<extra></extra>"}
        )  # fmt: skip
    layout = {"xaxis": {"title": {"text": "predicted"}, "type": "category"},
              "yaxis": {"title": {"text": "true"}, "type": "category", "autorange": "reversed"}}  # fmt: skip
    note = "Windows by true and predicted class; each row is coloured by its own shares."
    return Chart("confusion", "Confusion matrices", note, *_by_task(traces, layout))


def reliability_chart(metrics: Mapping[str, Any]) -> Chart:
    """What happened against what was said, before and after calibration."""
    result = metrics["detection"]
    traces: list[Trace] = [
        {
            "x": [0, 1],
            "y": [0, 1],
            "mode": "lines",
            "line": {"color": GREY, "dash": "dot", "width": 1},
            "name": "perfect",
        }
    ]
    sets = [
        ("as predicted", result["reliability"], BLUE),
        ("calibrated on validation", result["calibration"].get("reliability"), ORANGE),
    ]
    for name, entry, colour in sets:
        if entry:
            bins = [b for b in entry["bins"] if b["observed"]["value"] is not None]
            hover = [f"{name}<br>{b['n']} windows, {b['n_groups']} groups" for b in bins]
            traces.append(
                _points(
                    [b["observed"] for b in bins], [b["mean_probability"] for b in bins], hover, name=name, color=colour
                )
            )
    layout = {"xaxis": {"title": {"text": "P(event) said"}, "range": [0, 1]},
              "yaxis": {"title": {"text": "share that happened"}, "range": [0, 1]}}  # fmt: skip
    return Chart(
        "reliability",
        "Reliability of the probability of an event",
        "On the dotted line probabilities mean what they say.",
        traces,
        layout,
    )


def molchan_chart(alarms: Mapping[str, Any]) -> Chart:
    """Miss rate over alarmed fraction for each reference, with the band of moved events."""
    present = {name: entry for name, entry in alarms["references"].items() if "curve" in entry}
    first = next(iter(present.values()))["curve"]
    traces: list[Trace] = [
        {
            "x": first["tau"],
            "y": first["chance_low"],
            "mode": "lines",
            "line": {"width": 0},
            "showlegend": False,
            "hoverinfo": "skip",
        },
        {
            "x": first["tau"],
            "y": first["chance_high"],
            "mode": "lines",
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "rgba(120,120,120,0.25)",
            "name": "events moved in time",
            "hoverinfo": "skip",
        },
    ]
    for (name, entry), colour in zip(present.items(), _REFERENCE_COLOURS, strict=False):
        area = entry["area_skill"]["value"]
        traces.append(
            {
                "x": entry["curve"]["tau"],
                "y": entry["curve"]["nu"],
                "mode": "lines",
                "line": {"color": colour},
                "name": f"{name}: area skill {area:.2f}",
                "hovertemplate": "alarmed %{x:.2f}, missed %{y:.2f}<extra>" + name + "</extra>",
            }
        )
    layout = {
        "xaxis": {"title": {"text": "alarmed fraction of the reference"}, "range": [0, 1]},
        "yaxis": {"title": {"text": "miss rate"}, "range": [0, 1]},
    }
    note = "A curve inside the grey band is no better than events moved in time."
    return Chart("molchan", "Molchan diagram", note, traces, layout)


def folds_chart(crossval: Mapping[str, Any]) -> Chart:
    """Skill in balanced accuracy of each fold; a button for each task."""
    traces = []
    folds = crossval["folds"]
    for task in TASKS:
        entries = [fold["skill_above_best_baseline"][task]["balanced_accuracy"] for fold in folds]
        hover = [
            f"fold {fold['fold']}, {fold['n']} windows<br>accuracy {_said(fold[task]['accuracy']['mean'])}, "
            f"balanced accuracy {_said(fold[task]['balanced_accuracy']['mean'])}"
            for fold in folds
        ]
        traces.append(_points(entries, [str(fold["fold"]) for fold in folds], hover, name=task, color=ORANGE))
    layout = {
        "xaxis": {"title": {"text": "fold"}, "type": "category"},
        "yaxis": {"title": {"text": "skill, balanced accuracy"}},
        "showlegend": False,
    }
    return Chart(
        "folds",
        "Folds",
        "Accuracy and balanced accuracy of a fold appear when it is pointed at.",
        *_by_task(traces, layout),
    )


def training_chart(histories: Mapping[str, pd.DataFrame]) -> Chart:
    """Losses of every run by epoch."""
    traces: list[Trace] = []
    for number, (run_id, history) in enumerate(histories.items()):
        for column, (colour, dash) in zip(("train_loss", "val_loss"), _LINES, strict=False):
            if column in history:
                values = [None if pd.isna(value) else float(value) for value in history[column]]
                traces.append(
                    {
                        "x": history["epoch"].tolist(),
                        "y": values,
                        "mode": "lines+markers",
                        "legendgroup": column,
                        "line": {"color": colour, "dash": dash},
                        "marker": {"size": 4},
                        "name": column.replace("_", " "),
                        "showlegend": number == 0,
                        "opacity": 1.0 if number == 0 else 0.5,
                        "hovertemplate": "epoch %{x}: %{y:.3f}<extra>" + run_id + "</extra>",
                    }
                )
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "loss"}}}
    return Chart("training", "Training", "The epoch with the smallest validation loss was kept.", traces, layout)


def map_chart(evidence: Evidence) -> Chart:
    """Stations, epicentres and coastlines.

    Raises:
        DataError: positions are unknown.
    """
    places = places_of(evidence.store)
    west, east, south, north = extent_of(places)
    x: list[float | None] = []
    y: list[float | None] = []
    for line in coastlines(west, east, south, north):
        x += [*line[:, 0].tolist(), None]
        y += [*line[:, 1].tolist(), None]
    traces: list[Trace] = [
        {"x": x, "y": y, "mode": "lines", "line": {"color": "#888", "width": 1}, "hoverinfo": "skip", "name": "coast"}
    ]
    for name in reversed(MAGNITUDE_CLASSES[1:]):
        rows = places.events[places.events["magnitude_class"] == name]
        traces.append(
            {
                "x": rows["longitude_deg"].tolist(),
                "y": rows["latitude_deg"].tolist(),
                "mode": "markers",
                "name": name,
                "marker": {"color": _CLASS_COLOURS[name], "size": {"Moderate": 6, "Medium": 9, "Large": 13}[name]},
                "text": rows["event_id"].astype(str).tolist(),
                "hovertemplate": "%{text}<br>%{y:.2f}°, %{x:.2f}°<extra>" + name + "</extra>",
            }
        )
    traces.append(
        {
            "x": places.stations["longitude_deg"].tolist(),
            "y": places.stations["latitude_deg"].tolist(),
            "name": "station",
            "mode": "markers+text",
            "text": list(places.stations.index),
            "textposition": "top center",
            "marker": {"symbol": "triangle-up", "color": "#000", "size": 10},
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    layout = {
        "xaxis": {"title": {"text": "longitude, °E"}, "range": [west, east]},
        "yaxis": {"title": {"text": "latitude, °N"}, "range": [south, north], "scaleanchor": "x"},
        "height": 520,
    }
    return Chart("map", "Stations and epicentres", "The earthquakes that the windows are labelled by.", traces, layout)


def _points(
    entries: Sequence[Mapping[str, Any]],
    places: Sequence[Any],
    hover: Sequence[str],
    *,
    name: str,
    color: Any,
    sideways: bool = False,
) -> Trace:
    """Values with their intervals; ``sideways``: values along x."""
    values = [entry["value"] for entry in entries]
    above, below = ([_distance(entry, side) for entry in entries] for side in ("high", "low"))
    axis, other = ("x", "y") if sideways else ("y", "x")
    return {
        axis: values,
        other: list(places),
        "mode": "markers",
        "name": name,
        "offsetgroup": name,
        "text": list(hover),
        f"error_{axis}": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "thickness": 1.5,
            "color": color if isinstance(color, str) else "#777",
            "width": 0,
        },
        "marker": {"color": color, "size": 8},
        "hovertemplate": "%{text}<br>%{" + axis + ":.3f}<extra></extra>",
    }


def _distance(entry: Mapping[str, Any], side: str) -> float:
    known = entry["value"] is not None and entry.get(side) is not None
    return abs(entry[side] - entry["value"]) if known else 0.0


def _by_task(traces: list[Trace], layout: dict[str, Any]) -> tuple[list[Trace], dict[str, Any]]:
    """Show one task at a time, chosen by a button."""
    for number, trace in enumerate(traces):
        trace["visible"] = number == 0
    buttons = [
        {"label": task, "method": "restyle", "args": ["visible", [task == other for other in TASKS]]} for task in TASKS
    ]
    menu = {
        "type": "buttons",
        "direction": "right",
        "x": 0,
        "xanchor": "left",
        "y": 1.12,
        "yanchor": "bottom",
        "buttons": buttons,
    }
    return traces, {**layout, "updatemenus": [menu]}


def _said(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
