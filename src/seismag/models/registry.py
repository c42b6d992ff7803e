"""Registry of stored models: list, verify, promote to production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seismag.cards import ModelCard, card_path
from seismag.documents import damage_explained
from seismag.domain import SeismagError, UsageError
from seismag.files import file_sha256, read_checked_json, short_path, shown_path, utc_text
from seismag.text import one_line

PRODUCTION = Path("convnext_production_model/best_convnext_model.pth")
_FOLDERS = (PRODUCTION.parent, Path("models"), Path("experiments_convnext"))
_RUN_MODEL = "best_model.pth"
_TRAINER_STATE = "checkpoint_latest.pth"  # only for resuming
WHERE_MODELS_COME_FROM = (
    "'make demo' leaves models/convnext_loeo_best.pth behind, 'seismag train' makes a model of your own data, and "
    "'seismag models fetch URL_OR_PATH' fetches one from your institute."
)


@dataclass(frozen=True)
class StoredModel:
    """A stored model as its model card describes it."""

    file: str
    status: str  # ok, or what is wrong with the model card
    bytes: int
    run_id: str | None
    backbone: str | None
    dataset_id: str | None
    fold: int | None
    sha256: str | None
    promoted: dict[str, Any] | None  # when and from where, for the production model
    data_origin: list[str]
    detection: dict[str, float | None] | None  # skill over the best non-magnetic baseline; None: not evaluated


@dataclass(frozen=True)
class Verification:
    """Result for one file: ``ok``, or the reason."""

    file: str
    ok: bool
    reason: str | None = None
    sha256: str | None = None
    run_id: str | None = None
    backbone: str | None = None


@dataclass(frozen=True)
class Promotion:
    """The new production model; ``promoted``: from, at_utc, replaces (run_id, sha256, metrics; None: nothing)."""

    file: str
    sha256: str
    run_id: str
    data_origin: list[str]
    metrics: dict[str, object]
    promoted: dict[str, Any]


def list_models(folders: list[Path] | None = None) -> list[StoredModel]:
    """List every ``.pth`` below folders that exist (None: where seismag writes) with its model card, unverified."""
    for folder in folders or []:
        if not folder.exists():
            raise UsageError(f"{folder}: no such folder. {WHERE_MODELS_COME_FROM}")
    paths: list[Path] = []
    for folder in folders or _FOLDERS:
        below = sorted(path for path in folder.rglob("*.pth") if path.name != _TRAINER_STATE)
        paths += [folder] if folder.is_file() else [path for path in below if not path.name.startswith(".")]
    return [_describe(path) for path in dict.fromkeys(paths)]


def describe_models(rows: list[StoredModel]) -> str:
    """Write a table of models for a terminal."""
    if not rows:
        return f"no model found. {WHERE_MODELS_COME_FROM}"
    cells = [("model", "run", "backbone", "data", "detection skill", "status")]
    for row in rows:
        names = (row.file, row.run_id or "-", row.backbone or "-", ", ".join(row.data_origin) or "-")
        cells.append((*names, skill_text(row.detection), row.status))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, "detection skill: balanced accuracy over the best non-magnetic baseline"])


def verify_models(files: list[Path]) -> list[Verification]:
    """Verify the checksum of each file, and load it into the network of its model card."""
    from seismag.training.checkpoint import load_checkpoint

    results = []
    for file in files:
        path = model_file(file)
        try:
            with damage_explained(path, "Fetch it again."):  # one file ends not the check of the others
                card = load_checkpoint(path).card
            results.append(Verification(str(path), True, None, card.sha256, card.run_id, card.backbone))
            continue
        except SeismagError as error:
            reason = str(error)
        results.append(Verification(str(path), False, reason))
    return results


def describe_verification(results: list[Verification]) -> str:
    """Write one line a file for a terminal."""
    return "\n".join(
        f"ok      {entry.file} ({entry.backbone}, {entry.run_id}, sha256 {entry.sha256[:12]}...)"
        if entry.sha256
        else f"FAILED  {entry.reason}"
        for entry in results
    )


def require_verified(results: list[Verification]) -> None:
    """Refuse results with a file that failed (SeismagError)."""
    failed = [entry.file for entry in results if not entry.ok]
    if failed:
        raise SeismagError(f"{len(failed)} of {len(results)} models failed the check: {', '.join(failed)}.")


def promote_model(source: Path, allow_simulated: bool = False) -> Promotion:
    """Copy an evaluated model (run folder or checkpoint) and its model card to the production model.

    Raises:
        SeismagError: the model is damaged, was not evaluated, or not trained on observed data.
    """
    from seismag.training.checkpoint import copy_checkpoint, load_checkpoint

    path, target = model_file(source), PRODUCTION
    if path.resolve() == target.resolve():
        raise UsageError(f"{source}: is the production model already. Name a run or another model.")
    card = load_checkpoint(path).card
    _require_promotable(path, card, allow_simulated)
    replaces: dict[str, object] | None = None
    if target.is_file():
        before, _ = _card_or_reason(target)
        facts = {"run_id": None if before is None else before.run_id, "sha256": file_sha256(target)}
        replaces = {**facts, "metrics": {} if before is None else before.metrics}
    promoted = {"from": shown_path(source), "at_utc": utc_text(datetime.now(UTC)), "replaces": replaces}
    try:
        copy_checkpoint(path, target, {"promoted": promoted})
    except OSError as error:
        raise SeismagError(f"{target}: cannot be written ({error.strerror}). Free the folder and try again.") from error
    return Promotion(str(target), card.sha256, card.run_id, card.data_origin, card.metrics, promoted)


def describe_promotion(result: Promotion) -> str:
    """Write lines for a terminal: the new production model and the one that it replaces."""
    replaced = result.promoted["replaces"]
    before = "nothing"
    if replaced is not None:
        skill = skill_text(detection_skill(replaced["metrics"]))
        before = f"{replaced['run_id'] or 'a model without a model card'}, {skill}"
    lines = [
        f"production  {result.file}",
        f"model       {result.run_id}, {skill_text(detection_skill(result.metrics))}",
        f"replaces    {before}",
    ]
    if "simulated" in result.data_origin:
        lines.append("warning     trained on SIMULATED data: on real files its numbers mean nothing")
    return "\n".join(lines)


def model_file(path: Path) -> Path:
    """Return the weights of a path: those of the best epoch where it is a run folder."""
    return path / _RUN_MODEL if path.is_dir() else path


def _describe(path: Path) -> StoredModel:
    card, status = _card_or_reason(path)
    document = {} if card is None else card.document
    return StoredModel(
        file=str(short_path(path)),
        status=status,
        bytes=path.stat().st_size if path.is_file() else 0,
        **{key: document.get(key) for key in ("run_id", "backbone", "dataset_id", "fold", "sha256", "promoted")},
        data_origin=[] if card is None else card.data_origin,
        detection=detection_skill(document.get("metrics")),
    )


def _card_or_reason(path: Path) -> tuple[ModelCard | None, str]:
    """Return the model card (None: none that can be read), and ``ok`` or what is wrong with it."""
    beside = card_path(path)
    if not beside.is_file():
        return None, f"no model card ({beside.name})"
    try:
        document = read_checked_json(beside, "")
        if "sha256" not in document:
            return None, f"not a model card ({beside.name})"
        card = ModelCard.from_json(document, beside.name)
        size = path.stat().st_size
    except (SeismagError, OSError) as error:
        return None, f"damaged or changed model card ({one_line(str(error).replace(str(beside), beside.name), 200)})"
    if document.get("replaces_sha256") is None and document.get("bytes") != size:
        return card, f"{size} bytes, {document.get('bytes')} by its model card"
    return card, "ok"


def _require_promotable(path: Path, card: ModelCard, allow_simulated: bool) -> None:
    if detection_skill(card.metrics) is None:
        raise SeismagError(
            f"{path}: no metrics in its model card, so that it was never evaluated on windows outside its training. "
            "'seismag train' evaluates its model; promote that run."
        )
    if card.is_naive:
        from seismag.splits import NAIVE_WARNING

        raise SeismagError(f"{path}: {NAIVE_WARNING} Promote a model of another split.method.")
    origins = set(card.data_origin)
    if "simulated" in origins and not allow_simulated:
        raise SeismagError(
            f"{path}: was trained on simulated data, so on real files its numbers mean nothing. Train on observed "
            "data, or add --allow-simulated for a test."
        )
    if not origins or not origins <= {"observed", "simulated"}:
        raise SeismagError(
            f"{path}: was trained on data of the origin {', '.join(sorted(origins)) or '(not stated)'}; a production "
            "model needs observed recordings."
        )


def detection_skill(metrics: Any) -> dict[str, float | None] | None:
    """Return the skill in detection (balanced accuracy) of a model card's metrics; None: not evaluated."""
    for key in ("detection", "skill_above_best_baseline", "balanced_accuracy"):
        metrics = metrics.get(key) if isinstance(metrics, dict) else None
    return metrics if isinstance(metrics, dict) and "value" in metrics else None


def skill_text(skill: Mapping[str, float | None] | None) -> str:
    """Write a skill with its interval, where there is one."""
    if skill is None or skill["value"] is None:
        return "not evaluated"
    low, high = (skill.get(key) for key in ("low", "high"))
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{skill['value']:+.3f}{interval}"
