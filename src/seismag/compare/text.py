"""comparison.json as text for a terminal: scores, differences to the first model, and cost."""

from __future__ import annotations

from typing import Any

from seismag.text import format_table, wrap_text

_COLUMNS = (  # task, score, heading
    ("detection", "balanced_accuracy", "detection"),
    ("detection", "auc_within_station", "AUC"),
    ("magnitude", "balanced_accuracy", "magnitude"),
    ("azimuth", "balanced_accuracy", "azimuth"),
)


def format_comparison(document: dict[str, Any]) -> str:
    """Write scores, differences to the first model, and cost, in lines of at most 80 columns."""
    models, session = document["models"], document["session"]
    forecasts = [*models, *document["rules"]]
    header = ["", *(heading for _, _, heading in _COLUMNS)]
    folds = ", ".join(map(str, document["split"]["folds"]))
    scores = [[entry["name"], *_cells(entry["scores"], ".3f")] for entry in forecasts]
    differences = [[entry["name"], *_cells(entry["difference"], "+.3f")] for entry in forecasts[1:]]
    return "\n".join([
        wrap_text(
            f"{document['n']} windows, {document['n_event_groups']} event clusters and {document['n_normal_groups']} "
            f"control blocks, folds {folds} of {document['split']['name']}"
        ),
        f"balanced accuracy and station-stratified ROC AUC, {100 * document['confidence']:g} % intervals",
        format_table(header, scores),
        "",
        wrap_text(f"difference to {models[0]['name']}, the reference; *: adjusted p at most 0.05"),
        format_table(header, differences),
        "",
        wrap_text(f"cost; {session['device']}, {session['processor']}, {session['threads']} threads"),
        format_table(["", "Mparam", "trained", "GFLOP/window", "MB"], [_cost(model) for model in models]),
        *(line for model in models for line in _latency(model)),
        wrap_text(f"latency: {document['latency_measured']}"),
        *(wrap_text(f"warning: {text}") for text in document["warnings"]),
    ])  # fmt: skip


def _cells(scores: Any, form: str) -> list[str]:
    return [_cell(scores.get(task, {}).get(score), form) for task, score, _ in _COLUMNS]


def _cell(entry: Any, form: str) -> str:
    if entry is None:
        return "-"
    if entry["value"] is None:
        return "undefined"
    star = "*" if (entry.get("p_adjusted") or 1.0) <= 0.05 else ""
    interval = "" if entry["low"] is None else f" [{entry['low']:{form}}, {entry['high']:{form}}]"
    return f"{entry['value']:{form}}{interval}{star}"


def _cost(model: Any) -> list[str]:
    parameters = model["parameters"]
    millions = [f"{parameters[key] / 1e6:.2f}" for key in ("total", "trainable")]
    return [model["name"], *millions, f"{model['flops'] / 1e9:.3f}", f"{model['weights_bytes'] / 1e6:.1f}"]


def _latency(model: Any) -> list[str]:
    return [
        f"{model['name']}, {batch.replace('_', ' ')}: {1e3 * entry['median_s']:.1f} ms "
        f"[{1e3 * entry['q25_s']:.1f}, {1e3 * entry['q75_s']:.1f}], x{entry['ratio_to_first']:.2f}"
        for batch, entry in (model["latency"] or {}).items()
    ]
