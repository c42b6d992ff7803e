"""comparison.json as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COLUMNS = (  # task, score, heading
    ("detection", "balanced_accuracy", "detection"),
    ("detection", "auc_within_station", "AUC in station"),
    ("magnitude", "balanced_accuracy", "magnitude"),
    ("azimuth", "balanced_accuracy", "azimuth"),
)


def format_comparison(document: Mapping[str, Any]) -> str:
    """Write scores, differences to the first model, and cost, a line a model."""
    models, session = document["models"], document["session"]
    confidence = f"{100 * document['confidence']:g} %"
    width = max(len(entry["name"]) for entry in [*models, *document["rules"]]) + 2
    head = "".join(f"{heading:<24}" for _, _, heading in _COLUMNS)
    lines = [
        f"{document['n']} windows, {document['n_event_groups']} event and {document['n_normal_groups']} Normal groups, "
        f"folds {', '.join(map(str, document['split']['folds']))} of {document['split']['name']}",
        f"scores (balanced accuracy, AUC) with {confidence} intervals by group",
        f"{'':<{width}}{head}".rstrip(),
    ]
    for entry in [*models, *document["rules"]]:
        lines.append(f"{entry['name']:<{width}}{_cells(entry['scores'], 'value', '.3f')}".rstrip())
    lines += ["", f"difference to {models[0]['name']}, the reference; * where p adjusted for all is at most 0.05"]
    for entry in [*models[1:], *document["rules"]]:
        lines.append(f"{entry['name']:<{width}}{_cells(entry['difference'], 'value', '+.3f')}".rstrip())
    lines += ["", f"cost; {session['device']}, {session['processor']}, {session['threads']} threads"]
    lines += [f"{model['name']:<{width}}{_cost(model)}" for model in models]
    lines += [f"latency: {document['latency_measured']}", *(f"warning: {text}" for text in document["warnings"])]
    return "\n".join(lines)


def _cells(scores: Mapping[str, Any], key: str, form: str) -> str:
    return "".join(f"{_cell(scores.get(task, {}).get(score), key, form):<24}" for task, score, _ in _COLUMNS)


def _cell(entry: Mapping[str, Any] | None, key: str, form: str) -> str:
    if entry is None:
        return "-"
    if entry[key] is None:
        return "undefined"
    star = "*" if (entry.get("p_adjusted") or 1.0) <= 0.05 else ""
    interval = "" if entry["low"] is None else f" [{entry['low']:{form}}, {entry['high']:{form}}]"
    return f"{entry[key]:{form}}{interval}{star}"


def _cost(model: Mapping[str, Any]) -> str:
    text = (
        f"{model['parameters']['total'] / 1e6:8.2f} Mparam ({model['parameters']['trainable'] / 1e6:.2f} trained)"
        f"{model['flops'] / 1e9:9.3f} GFLOP a window{model['weights_bytes'] / 1e6:8.1f} MB"
    )
    if model["latency"] is None:
        return f"{text}  latency not measured"
    for batch, entry in model["latency"].items():
        text += (
            f"  {batch.replace('_', ' ')}: {1e3 * entry['median_s']:.1f} ms "
            f"[{1e3 * entry['q25_s']:.1f}, {1e3 * entry['q75_s']:.1f}], x{entry['ratio_to_first']:.2f}"
        )
    return text
