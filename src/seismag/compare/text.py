"""comparison.json as text for a terminal: scores, differences to the first model, and cost."""

from __future__ import annotations

from typing import Any

from seismag.text import format_table, wrap_text

_SCORES = (
    ("detection", "balanced_accuracy", "detection"),
    ("detection", "auc_within_station", "detection AUC"),
    ("magnitude", "balanced_accuracy", "magnitude"),
    ("azimuth", "balanced_accuracy", "azimuth"),
)


def format_comparison(document: dict[str, Any]) -> str:
    """Write scores, differences to the first model, and cost, in lines of at most 80 columns."""
    models, session = document["models"], document["session"]
    folds = ", ".join(map(str, document["split"]["folds"]))
    return "\n".join([
        wrap_text(
            f"{document['n']} windows, {document['n_event_groups']} event clusters and {document['n_normal_groups']} "
            f"control blocks, folds {folds} of {document['split']['name']}"
        ),
        wrap_text(
            f"balanced accuracy and station-stratified ROC AUC, difference Δ to {models[0]['name']} (the reference), "
            f"{100 * document['confidence']:g} % intervals; *: adjusted p at most 0.05"
        ),
        format_table(
            ["", "score", "value", "low", "high", "Δ", "low", "high"],
            [row for entry in [*models, *document["rules"]] for row in _score_rows(entry)],
        ),
        "",
        wrap_text(f"cost; {session['device']}, {session['processor']}, {session['threads']} threads"),
        format_table(["", "Mparam", "trained", "GFLOP/window", "MB"], [_cost(model) for model in models]),
        *(wrap_text(line, 2) for model in models for line in _latency(model)),
        wrap_text(f"latency: {document['latency_measured']}"),
        *(wrap_text(f"warning: {text}") for text in document["warnings"]),
    ])  # fmt: skip


def _score_rows(entry: Any) -> list[list[str]]:
    """A row for each score that the forecast has; its name in the first row."""
    rows: list[list[str]] = []
    for task, score, label in _SCORES:
        value = entry["scores"].get(task, {}).get(score)
        if value is not None:
            difference = (entry["difference"] or {}).get(task, {}).get(score, {})
            star = "*" if (difference.get("p_adjusted") or 1.0) <= 0.05 else ""
            cells = [_number(value.get(key), ".3f") for key in ("value", "low", "high")]
            cells += [_number(difference.get(key), "+.3f") for key in ("value", "low", "high")]
            rows.append(["" if rows else entry["name"], label, *cells[:3], cells[3] + star, *cells[4:]])
    return rows


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


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
