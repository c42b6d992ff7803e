"""Models at rest: what lies where, whether it is whole, which one is in production."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seismag.cards import card_path
from seismag.domain import SeismagError, UsageError
from seismag.files import file_sha256, short_path

PRODUCTION = Path("convnext_production_model/best_convnext_model.pth")
FOLDERS = (PRODUCTION.parent, Path("models"), Path("experiments_convnext"))
RUN_MODEL = "best_model.pth"
_TRAINER_STATE = "checkpoint_latest.pth"  # to resume from, no model to use
WHERE_MODELS_COME_FROM = (
    "'make demo' leaves models/convnext_loeo_best.pth behind, 'seismag train' makes a model of your own data, and "
    "'seismag models fetch URL_OR_PATH' brings one that your institute keeps."
)


def list_models(folders: list[Path] | None = None) -> list[dict[str, Any]]:
    """Describe every ``.pth`` below some folders by its card; nothing is loaded, no sum compared.

    Args:
        folders: None: those where seismag writes, as far as they exist.

    Returns:
        By model: file, status (``ok``; else what is wrong with its card), bytes, run_id, backbone, data_origin,
        detection (skill above the best rule without the field, with interval; None: not judged), promoted.

    Raises:
        UsageError: a folder that was named does not exist.
    """
    for folder in folders or []:
        if not folder.exists():
            raise UsageError(f"{folder}: no such folder. {WHERE_MODELS_COME_FROM}")
    paths = [path for folder in folders or FOLDERS for path in _weights_below(folder)]
    return [_row(path) for path in dict.fromkeys(paths)]


def describe_models(rows: list[dict[str, Any]]) -> str:
    """Write a table of models for a terminal."""
    if not rows:
        return f"no model found. {WHERE_MODELS_COME_FROM}"
    head = ("model", "run", "backbone", "data", "detection skill above no-signal", "status")
    cells = [head] + [
        (
            row["file"], row["run_id"] or "-", row["backbone"] or "-", ", ".join(row["data_origin"]) or "-",
            _skill_text(row["detection"]), row["status"],
        )
        for row in rows
    ]  # fmt: skip
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
                     for line in cells)  # fmt: skip


def verify_models(files: list[Path]) -> list[dict[str, Any]]:
    """Compare each file's sum with its card, and load it into the network that the card names.

    Returns:
        By file: file, ok, reason (None where ok), sha256, run_id, backbone.
    """
    from seismag.training.checkpoint import load_checkpoint

    results = []
    for file in files:
        path = model_file(file)
        entry = {"file": str(path), "ok": False, "reason": None, "sha256": None, "run_id": None, "backbone": None}
        try:
            card = load_checkpoint(path).card
            entry |= {"ok": True} | {key: card.get(key) for key in ("sha256", "run_id", "backbone")}
        except SeismagError as error:
            entry["reason"] = str(error)
        except OSError as error:
            entry["reason"] = f"{path}: cannot be read ({error.strerror})."
        except (KeyError, TypeError, ValueError) as error:  # a card that lacks what we wrote, or holds something else
            entry["reason"] = f"{path}: its card is damaged ({type(error).__name__}: {error}). Fetch it again."
        results.append(entry)
    return results


def describe_verification(results: list[dict[str, Any]]) -> str:
    """Lines for a terminal, one a file."""
    return "\n".join(
        f"ok      {entry['file']} ({entry['backbone']}, {entry['run_id']}, sha256 {entry['sha256'][:12]}...)"
        if entry["ok"]
        else f"FAILED  {entry['reason']}"
        for entry in results
    )


def require_verified(results: list[dict[str, Any]]) -> None:
    """Fail where a file failed.

    Raises:
        SeismagError: it counts them; the reasons are in the results.
    """
    failed = [entry["file"] for entry in results if not entry["ok"]]
    if failed:
        raise SeismagError(f"{len(failed)} of {len(results)} models failed the check: {', '.join(failed)}.")


def promote_model(source: Path, allow_simulated: bool = False, target: Path = PRODUCTION) -> dict[str, Any]:
    """Copy a judged model and its card to the place of the production model.

    Args:
        source: a run folder, or a checkpoint.
        allow_simulated: take a model that was trained on simulated data.
        target: where it goes.

    Returns:
        file, sha256, run_id, data_origin, promoted (from, at_utc, replaces: run_id, sha256, metrics, or None).

    Raises:
        SeismagError: the model is not whole, was not judged, or not trained on observed data.
    """
    from seismag.training.checkpoint import copy_checkpoint, load_checkpoint

    path = model_file(source)
    if path.resolve() == target.resolve():
        raise UsageError(f"{source}: is the production model already. Name a run or another model.")
    card = load_checkpoint(path).card
    _require_promotable(path, card, allow_simulated)
    at_utc = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    promoted = {"from": str(source), "at_utc": at_utc, "replaces": _replaced(target)}
    try:
        copy_checkpoint(path, target, {"promoted": promoted})
    except OSError as error:
        raise SeismagError(f"{target}: cannot be written ({error.strerror}). Free the folder and try again.") from error
    facts = {key: card[key] for key in ("sha256", "run_id", "data_origin", "metrics")}
    return {"file": str(target), **facts, "promoted": promoted}


def describe_promotion(result: Mapping[str, Any]) -> str:
    """Lines for a terminal: what is in production now, and what was before."""
    replaced = result["promoted"]["replaces"]
    before = (
        "nothing"
        if replaced is None
        else f"{replaced['run_id'] or 'a model without a card'}, " + _skill_text(_detection_skill(replaced["metrics"]))
    )
    lines = [
        f"production  {result['file']}",
        f"model       {result['run_id']}, {_skill_text(_detection_skill(result['metrics']))}",
        f"replaces    {before}",
    ]
    if "simulated" in result["data_origin"]:
        lines.append("warning     trained on SIMULATED data: on real files its numbers mean nothing")
    return "\n".join(lines)


def model_file(path: Path) -> Path:
    """Give the weights that a path means: those of the best epoch where it is a run folder."""
    return path / RUN_MODEL if path.is_dir() else path


def _weights_below(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    hidden = (path for path in folder.rglob("*.pth") if path.name != _TRAINER_STATE)
    return sorted(path for path in hidden if not path.name.startswith("."))


def _row(path: Path) -> dict[str, Any]:
    card, status = _card_or_reason(path)
    origin = card.get("data_origin")
    return {
        "file": str(short_path(path)),
        "status": status,
        "bytes": path.stat().st_size,
        **{key: card.get(key) for key in ("run_id", "backbone", "dataset_id", "fold", "sha256", "promoted")},
        "data_origin": origin if isinstance(origin, list) else [],
        "detection": _detection_skill(card.get("metrics")),
    }


def _card_or_reason(path: Path) -> tuple[dict[str, Any], str]:
    """Give the card of a model (empty: none that can be read), and ``ok`` or what is wrong with it."""
    beside = card_path(path)
    if not beside.is_file():
        return {}, f"no card ({beside.name})"
    try:
        card = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, f"damaged card ({beside.name})"
    if not isinstance(card, dict) or "sha256" not in card:
        return {}, f"not a card ({beside.name})"
    size = path.stat().st_size
    if card.get("replaces_sha256") is None and card.get("bytes") != size:
        return card, f"{size} bytes, {card.get('bytes')} on its card"
    return card, "ok"


def _require_promotable(path: Path, card: Mapping[str, Any], allow_simulated: bool) -> None:
    if _detection_skill(card.get("metrics")) is None:
        raise SeismagError(
            f"{path}: its card has no metrics, so nobody has judged it on windows that it has not seen. "
            "'seismag train' judges its model and writes them; promote that run."
        )
    if (card.get("split") or {}).get("method") == "naive":
        from seismag.splits import NAIVE_WARNING

        raise SeismagError(f"{path}: {NAIVE_WARNING} Promote a model of another split.method.")
    origins = set(card.get("data_origin") or [])
    if "simulated" in origins and not allow_simulated:
        raise SeismagError(
            f"{path}: was trained on simulated data, so on real files its numbers mean nothing. Train on observed "
            "data, or add --allow-simulated for a rehearsal."
        )
    if not origins or not origins <= {"observed", "simulated"}:
        raise SeismagError(
            f"{path}: was trained on data of the origin {', '.join(sorted(origins)) or '(not stated)'}; a production "
            "model classifies recordings, so it is trained on observed ones."
        )


def _replaced(target: Path) -> dict[str, Any] | None:
    if not target.is_file():
        return None
    card, _ = _card_or_reason(target)
    return {"run_id": card.get("run_id"), "sha256": file_sha256(target), "metrics": card.get("metrics", {})}


def _detection_skill(metrics: Any) -> dict[str, Any] | None:
    """Take the skill of detection in balanced accuracy from a card's metrics; None where it is not there."""
    for key in ("detection", "skill_above_best_baseline", "balanced_accuracy"):
        metrics = metrics.get(key) if isinstance(metrics, dict) else None
    return metrics if isinstance(metrics, dict) and "value" in metrics else None


def _skill_text(skill: Mapping[str, Any] | None) -> str:
    if skill is None or skill["value"] is None:
        return "not judged"
    low, high = (skill.get(key) for key in ("low", "high"))
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{skill['value']:+.3f}{interval}"
