"""Model cards: the JSON beside a file of weights, with its checksum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seismag.domain import SeismagError
from seismag.files import file_sha256, read_json, write_json_atomic


def card_path(path: str | Path) -> Path:
    """Name of the card of a file: ``best_model.pth`` has ``best_model.json``."""
    return Path(path).with_suffix(".json")


def write_card(path: str | Path, card: Mapping[str, Any], content: Path | None = None) -> Path:
    """Write the card of a file, with the sum of its content.

    Args:
        path: the file that the card describes.
        card: what is known of it, ready for JSON.
        content: where the content lies now, if it will be moved to ``path`` in the next moment. The card then
            names the sum that it replaces as well, so that a crash between card and file leaves a valid pair.
    """
    path = Path(path)
    content = content or path
    facts = {"file": path.name, "bytes": content.stat().st_size, "sha256": file_sha256(content)}
    replaced = file_sha256(path) if content != path and path.is_file() else None
    write_json_atomic(card_path(path), {**card, **facts, "replaces_sha256": replaced})
    return card_path(path)


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a file and compare the file's sum.

    Raises:
        SeismagError: file or card is missing, or the sum differs.
    """
    path = Path(path)
    beside = card_path(path)
    if not path.is_file():
        raise SeismagError(f"{path}: no such file.")
    if not beside.is_file():
        raise SeismagError(f"{path}: its card {beside.name} is missing, so its content cannot be checked. Copy both.")
    card = read_json(beside)
    if not isinstance(card, dict) or "sha256" not in card:
        raise SeismagError(f"{beside}: not a card (no sha256). Copy file and card again from where they were made.")
    if file_sha256(path) not in (card["sha256"], card.get("replaces_sha256")):
        raise SeismagError(
            f"{path}: corrupted: its sha256 is not the one on its card {beside.name}. "
            "Copy both files again, or train again."
        )
    return card
