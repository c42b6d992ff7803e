"""Interactive figures of the page for Plotly; every value comes from a document."""

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
_SCORE_NAMES = {"auc_within_station": "station-stratified ROC AUC", "balanced_accuracy": "balanced accuracy",
                "log_score": "log score (nat)", "brier": "Brier score"}  # fmt: skip
_BLUES = [[0, "#f7fbff"], [0.25, "#c6dbef"], [0.5, "#6baed6"], [0.75, "#2171b5"], [1, "#08306b"]]


def make_charts(evidence: Evidence) -> list[Chart]:
    """Make all charts for which the documents exist."""
    metrics, documents = evidence.documents["metrics.json"], evidence.documents
    charts = [skill_chart(metrics), baselines_chart(metrics), confusion_chart(metrics), reliability_chart(metrics)]
    alarms = metrics.get("alarms") or {}
    if any("curve" in entry for entry in (alarms.get("references") or {}).values()):
        charts.append(molchan_chart(alarms))
    if "crossval.json" in documents:
        charts.append(folds_chart(documents["crossval.json"]))
    if "explanation.json" in documents:
        charts.append(bands_chart(documents["explanation.json"]))
    charts.append(training_chart({run.run_id: pd.read_csv(run.path / "history.csv") for run in evidence.runs}))
    with contextlib.suppress(DataError):  # the reason is listed with the figures that could not be drawn
        charts.append(map_chart(places_of(evidence.store)))
    return charts


def skill_chart(metrics: Mapping[str, Any]) -> Chart:
    """Skill over the best non-magnetic baseline in every score, with intervals."""
    traces, tables = [], []
    for task, colour in zip(TASKS, (BLUE, ORANGE, GREEN), strict=True):
        skills = metrics[task]["skill_above_best_baseline"]
        points = [
            point(
                name,
                skills[score],
                f"metrics.json#/{task}/skill_above_best_baseline/{score}",
                f"{task}, {name}<br>over {skills[score]['baseline']}<br>"
                f"n = {skills[score]['n']}, {skills[score]['n_clusters']} groups",
            )
            for score, name in _SCORE_NAMES.items()
            if score in skills
        ]
        traces.append(points_trace(points, task, colour, sideways=True) | {"offsetgroup": task, "orientation": "h"})
        tables.append(points_table(task, points))
    layout = {"xaxis": title_of("skill (positive is better)") | {"zeroline": True, "zerolinecolor": "#000"},
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
            pointer = f"{source}/baselines/{escape(name)}"
            limits = f"{pointer}/intervals/balanced_accuracy"
            label = name.replace("_", " ")
            points.append(
                Point(
                    label,
                    label,
                    rule["balanced_accuracy"],
                    low,
                    high,
                    (f"{pointer}/balanced_accuracy", f"{limits}/0", f"{limits}/1"),
                )
            )
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
            [
                f"{count}<br>{100 * fraction:.0f} %" if fraction else f"{count}"
                for count, fraction in zip(*pair, strict=True)
            ]
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
    sets = [
        ("uncalibrated", result["reliability"], "reliability", BLUE, "circle"),
        ("calibrated (validation set)", result["calibration"].get("reliability"), "calibration/reliability", ORANGE,
         "square"),
    ]  # fmt: skip
    for name, entry, pointer, colour, symbol in sets:
        if not entry:
            continue
        points = [
            point(
                b["mean_probability"],
                b["observed"],
                f"metrics.json#/detection/{pointer}/bins/{k}/observed",
                f"{name}<br>{b['n']} windows, {b['n_groups']} groups",
                f"{name}, bin {k + 1}",
            )
            for k, b in enumerate(entry["bins"])
        ]
        traces.append(points_trace(points, name, colour, symbol=symbol) | {"cliponaxis": False})
        tables.append(points_table(f"{name}: observed frequency", points))
    layout = {"xaxis": title_of("forecast probability") | {"range": [0, 1]},
              "yaxis": title_of("observed frequency") | {"range": [0, 1]}}  # fmt: skip
    note = "On the dotted line the observed frequency equals the forecast probability."
    return Chart("reliability", "Reliability of the event probability", note, traces, layout, tables)


def folds_chart(crossval: Mapping[str, Any]) -> Chart:
    """Skill in balanced accuracy of each fold, one task at a time; accuracy never without balanced accuracy."""
    traces, tables = [], []
    for task in TASKS:
        points = [
            point(
                f"{fold['fold']}",
                fold["skill_above_best_baseline"][task]["balanced_accuracy"],
                f"crossval.json#/folds/{k}/skill_above_best_baseline/{task}/balanced_accuracy",
                f"fold {fold['fold']}, {fold['n']} windows<br>accuracy {_text_of(fold[task]['accuracy']['mean'])}, "
                f"balanced accuracy {_text_of(fold[task]['balanced_accuracy']['mean'])}",
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
    layout = {"xaxis": title_of("loss of log score, nat") | zero, "yaxis": {"autorange": "reversed"},
              "showlegend": False, "height": 160 + 26 * len(parts)}  # fmt: skip
    note = "Loss after a band and component are replaced by those of another window of the same station; a positive "
    note += "value means that the model uses them."
    return Chart("bands", "Permutation importance of bands and components", note, traces, layout, tables, TASKS)


def _text_of(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
