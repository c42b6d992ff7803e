"""Interactive figures of the page, as plain values that Plotly draws; every value comes from a document."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from seismag.domain import DataError
from seismag.report.chart_parts import (
    Chart,
    Point,
    ValueTable,
    point,
    points_table,
    points_trace,
    title_of,
)
from seismag.report.curve_charts import map_chart, molchan_chart, training_chart
from seismag.report.evidence import Evidence
from seismag.report.figures.station_map import places_of
from seismag.report.findings import TASKS
from seismag.report.quotation import escape
from seismag.scoring.figure import BLUE, GREEN, GREY, ORANGE

_GROUP_COLOURS = {"classical": GREEN, "quality": GREY, "oracle": GREY}
_SCORE_NAMES = {"auc_within_station": "AUC within stations", "balanced_accuracy": "balanced accuracy",
                "log_score": "log score (nat)", "brier": "Brier score"}  # fmt: skip
_SHARES = [[0, "#f7fbff"], [0.25, "#c6dbef"], [0.5, "#6baed6"], [0.75, "#2171b5"], [1, "#08306b"]]


def make_charts(evidence: Evidence) -> list[Chart]:
    """Make every chart that the documents allow."""
    metrics, documents = evidence.documents["metrics.json"], evidence.documents
    charts = [skill_chart(metrics), rules_chart(metrics), confusion_chart(metrics), reliability_chart(metrics)]
    alarms = metrics.get("alarms") or {}
    if any("curve" in entry for entry in (alarms.get("references") or {}).values()):
        charts.append(molchan_chart(alarms))
    if "crossval.json" in documents:
        charts.append(folds_chart(documents["crossval.json"]))
    if "explanation.json" in documents:
        charts.append(bands_chart(documents["explanation.json"]))
    charts.append(training_chart({run.run_id: pd.read_csv(run.path / "history.csv") for run in evidence.runs}))
    with contextlib.suppress(DataError):  # the reason stands among the figures that could not be drawn
        charts.append(map_chart(places_of(evidence.store)))
    return charts


def skill_chart(metrics: Mapping[str, Any]) -> Chart:
    """Skill above the best rule without the field in every score, with intervals."""
    traces, tables = [], []
    for task, colour in zip(TASKS, (BLUE, ORANGE, GREEN), strict=True):
        skills = metrics[task]["skill_above_best_baseline"]
        points = [
            point(
                name,
                skills[score],
                f"metrics.json#/{task}/skill_above_best_baseline/{score}",
                f"{task}, {name}<br>above {skills[score]['baseline']}<br>"
                f"n = {skills[score]['n']}, {skills[score]['n_clusters']} groups",
            )
            for score, name in _SCORE_NAMES.items()
            if score in skills
        ]
        traces.append(points_trace(points, task, colour, sideways=True) | {"offsetgroup": task, "orientation": "h"})
        tables.append(points_table(task, points))
    layout = {"xaxis": title_of("skill (above 0 is better)") | {"zeroline": True, "zerolinecolor": "#000"},
              "yaxis": {"autorange": "reversed"}, "scattermode": "group", "scattergap": 0.4}  # fmt: skip
    note = "Difference to the best rule that never sees the field; bars are intervals by group of windows."
    return Chart("skill", "Skill above rules without the field", note, traces, layout, tables)


def rules_chart(metrics: Mapping[str, Any]) -> Chart:
    """Balanced accuracy of the model beside every rule, one task at a time."""
    traces, tables = [], []
    for task in TASKS:
        source = f"metrics.json#/{task}"
        points = [point("model", metrics[task]["balanced_accuracy"], f"{source}/balanced_accuracy", "model")]
        colours = [BLUE]
        for name, rule in metrics[task]["baselines"].items():
            low, high = rule["intervals"]["balanced_accuracy"]
            place = f"{source}/baselines/{escape(name)}"
            limits = f"{place}/intervals/balanced_accuracy"
            label = name.replace("_", " ")
            points.append(
                Point(
                    label,
                    label,
                    rule["balanced_accuracy"],
                    low,
                    high,
                    (f"{place}/balanced_accuracy", f"{limits}/0", f"{limits}/1"),
                )
            )
            colours.append(_GROUP_COLOURS.get(rule["group"], ORANGE))
        traces.append(points_trace(points, task, colours, sideways=True))
        tables.append(points_table(task, points))
    layout = {"xaxis": title_of("balanced accuracy") | {"range": [0, 1]}, "yaxis": {"autorange": "reversed"},
              "showlegend": False, "height": 600}  # fmt: skip
    note = "Orange: no field; green: classical methods; grey: quality of the record, or a rule that looks at the truth."
    return Chart("rules", "The model beside rules", note, traces, layout, tables, TASKS)


def confusion_chart(metrics: Mapping[str, Any]) -> Chart:
    """Confusion matrices, one task at a time: counts, and the share of the true class as colour."""
    traces, tables = [], []
    for task in TASKS:
        counts, classes = metrics[task]["confusion"], metrics[task]["classes"]
        shares = [[count / sum(row) if sum(row) else None for count in row] for row in counts]
        words = [
            [f"{count}<br>{100 * share:.0f} %" if share else f"{count}" for count, share in zip(*pair, strict=True)]
            for pair in zip(counts, shares, strict=True)
        ]
        traces.append(
            {"type": "heatmap", "z": shares, "x": classes, "y": classes, "text": words, "texttemplate": "%{text}",
             "colorscale": _SHARES, "zmin": 0, "zmax": 1, "name": task, "xgap": 1, "ygap": 1, "showscale": False,
             "hovertemplate": "true %{y}, predicted %{x}<br>%{text} of the true class<extra></extra>"}
        )  # fmt: skip
        rows = tuple(
            (f"true {name}", tuple(f"metrics.json#/{task}/confusion/{i}/{k} d" for k in range(len(classes))))
            for i, name in enumerate(classes)
        )
        tables.append(ValueTable(f"{task}, predicted", tuple(classes), rows))
    layout = {"xaxis": title_of("predicted") | {"type": "category"}, "height": 480,
              "yaxis": title_of("true") | {"type": "category", "autorange": "reversed"}}  # fmt: skip
    note = "Windows by true and predicted class, with the share of the true class in per cent, which is the colour too."
    return Chart("confusion", "Confusion matrices", note, traces, layout, tables, TASKS)


def reliability_chart(metrics: Mapping[str, Any]) -> Chart:
    """What happened against what was said, before and after calibration."""
    result = metrics["detection"]
    traces: list[dict[str, Any]] = [
        {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": GREY, "dash": "dot", "width": 1},
         "name": "perfect", "hoverinfo": "skip"}
    ]  # fmt: skip
    tables = []
    sets = [
        ("as predicted", result["reliability"], "reliability", BLUE, "circle"),
        ("calibrated on validation", result["calibration"].get("reliability"), "calibration/reliability", ORANGE,
         "square"),
    ]  # fmt: skip
    for name, entry, place, colour, symbol in sets:
        if not entry:
            continue
        points = [
            point(
                b["mean_probability"],
                b["observed"],
                f"metrics.json#/detection/{place}/bins/{k}/observed",
                f"{name}<br>{b['n']} windows, {b['n_groups']} groups",
                f"{name}, bin {k + 1}",
            )
            for k, b in enumerate(entry["bins"])
        ]
        trace = points_trace(points, name, colour)
        traces.append(trace | {"marker": {**trace["marker"], "symbol": symbol}, "cliponaxis": False})
        tables.append(points_table(f"{name}: share that happened", points))
    layout = {"xaxis": title_of("P(event) said") | {"range": [0, 1]},
              "yaxis": title_of("share that happened") | {"range": [0, 1]}}  # fmt: skip
    note = "On the dotted line probabilities mean what they say."
    return Chart("reliability", "Reliability of the probability of an event", note, traces, layout, tables)


def folds_chart(crossval: Mapping[str, Any]) -> Chart:
    """Skill in balanced accuracy of each fold, one task at a time; accuracy never without balanced accuracy."""
    traces, tables = [], []
    for task in TASKS:
        points = [
            point(
                f"{fold['fold']}",
                fold["skill_above_best_baseline"][task]["balanced_accuracy"],
                f"crossval.json#/folds/{k}/skill_above_best_baseline/{task}/balanced_accuracy",
                f"fold {fold['fold']}, {fold['n']} windows<br>accuracy {_said(fold[task]['accuracy']['mean'])}, "
                f"balanced accuracy {_said(fold[task]['balanced_accuracy']['mean'])}",
                f"fold {fold['fold']}",
            )
            for k, fold in enumerate(crossval["folds"])
        ]
        traces.append(points_trace(points, task, ORANGE))
        tables.append(points_table(f"{task}: skill in balanced accuracy", points))
    layout = {"xaxis": title_of("fold") | {"type": "category"}, "showlegend": False,
              "yaxis": title_of("skill, balanced accuracy") | {"zeroline": True, "zerolinecolor": "#000"}}  # fmt: skip
    note = "Accuracy and balanced accuracy of a fold appear when it is pointed at."
    return Chart("folds", "Folds", note, traces, layout, tables, TASKS)


def bands_chart(explanation: Mapping[str, Any]) -> Chart:
    """Loss of log score without each band and component, one task at a time."""
    parts = explanation["band_importance"]["parts"]
    names = [f"{part['band']}, {part['component']}".replace("_", " ") for part in parts]
    traces, tables = [], []
    for task in TASKS:
        points = [
            point(
                name,
                part[task]["log_score"],
                f"explanation.json#/band_importance/parts/{k}/{task}/log_score",
                f"{task}, {name}",
            )
            for k, (name, part) in enumerate(zip(names, parts, strict=True))
        ]
        traces.append(points_trace(points, task, BLUE, sideways=True))
        tables.append(points_table(f"{task}: loss of log score, nat", points))
    zero = {"zeroline": True, "zerolinecolor": "#000"}
    layout = {"xaxis": title_of("loss of log score without it, nat") | zero, "yaxis": {"autorange": "reversed"},
              "showlegend": False, "height": 160 + 26 * len(parts)}  # fmt: skip
    note = "The cells of a band and component exchanged for those of another window of the same station; above zero "
    note += "the model was better with them."
    return Chart("bands", "What bands and components are worth", note, traces, layout, tables, TASKS)


def _said(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
