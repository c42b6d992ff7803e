"""Model cards: the JSON document next to a file of weights, with the checksum of the file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from seismag.domain import DataError, SeismagError
from seismag.files import file_sha256, read_checked_json, write_checked_json
from seismag.limits import WEIGHTS, require_file

UNKNOWN = "unknown"  # dataset_id and training_data of weights from an earlier system


@dataclass(frozen=True)
class Normalisation:
    """How a model scales its input: by the training set, or by the trailing windows of each station."""

    method: str = "training"
    trailing_days: float = 0.0
    trailing_min: int = 0

    def to_json(self) -> dict[str, str | float]:
        """The key ``normalisation`` of a model card."""
        if self.method == "training":
            return {"method": self.method}
        return {"method": self.method, "trailing_days": self.trailing_days, "trailing_min": self.trailing_min}


@dataclass(frozen=True)
class ModelCard:
    """What the package reads of a model card; ``document`` is all of it (docs/data-formats.md).

    Attributes:
        run_id, dataset_id, split_name, split, fold: the training; ``dataset_id`` is ``unknown`` for legacy weights.
        data_origin: ``observed``, ``simulated`` or ``legacy_image``, as far as they occur in the training data.
        training_data: ``unknown`` where the windows of the training are not known.
        sealed_days_utc: first and last locked day of the study; None where no day is locked.
        sha256: checksum of the weights.
        val_loss: of the best epoch.
        reference: what a prediction is compared with (``seismag.scoring.reference``); None: not recorded.
    """

    run_id: str = ""
    dataset_id: str = ""
    backbone: str = ""
    split_name: str | None = None
    split: dict[str, Any] | None = None
    split_certificate_sha256: str | None = None
    fold: int = 0
    data_origin: list[str] = field(default_factory=list)
    training_data: str | None = None
    sealed_days_utc: list[str] | None = None
    sha256: str = ""
    val_loss: float = float("nan")
    normalisation: Normalisation = Normalisation()
    preprocessing: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    frequency_hz: list[float] = field(default_factory=list)
    time_s: list[float] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] | None = field(default=None, repr=False)
    document: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ModelCard:
        """Read a model card; keys that an older one lacks get their defaults.

        Raises:
            SeismagError: the key ``normalisation`` is damaged.
        """
        stated = {entry.name: document[entry.name] for entry in fields(cls) if entry.name in document}
        try:
            normalisation = Normalisation(**stated.pop("normalisation", {}))
        except TypeError as error:
            raise SeismagError(f"a model card is damaged: its key normalisation: {error}. Copy it again.") from None
        return cls(**stated, normalisation=normalisation, document=document)

    @property
    def is_naive(self) -> bool:
        """Whether the test fold chose the epoch (split method naive)."""
        return (self.split or {}).get("method") == "naive"

    @property
    def has_unknown_training(self) -> bool:
        """Whether any window may have been in the training."""
        return self.training_data == UNKNOWN


def require_model(path: Path) -> None:
    """Refuse a file of weights that is no regular file, is too large, or unpacks to more than it has bytes.

    ``torch.save`` packs nothing; a zip that is packed may stand for any number of bytes.

    Raises:
        DataError: one of these.
    """
    require_file(path, WEIGHTS)
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [info.filename for info in archive.infolist() if info.file_size > info.compress_size]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: damaged or truncated ({error}). Copy it again.") from error
    if packed:
        raise DataError(f"{path}: its part {packed[0]!r} is packed, and no model is. Save the weights with torch.save.")


def card_path(path: str | Path) -> Path:
    """Name the model card of a file: ``best_model.pth`` has ``best_model.json``."""
    return Path(path).with_suffix(".json")


def write_card(path: str | Path, document: Mapping[str, Any], content: Path | None = None) -> Path:
    """Write the model card of a file, with the checksum of its content.

    Args:
        path: the file that the model card describes.
        document: ready for JSON.
        content: where the content is now, if it will be moved to ``path`` next. The model card then also names the
            checksum that it replaces, so that a crash between model card and file leaves a valid pair.
    """
    path = Path(path)
    content = content or path
    facts = {"file": path.name, "bytes": content.stat().st_size, "sha256": file_sha256(content)}
    replaced = file_sha256(path) if content != path and path.is_file() else None
    write_checked_json(card_path(path), {**document, **facts, "replaces_sha256": replaced})
    return card_path(path)


def read_card(path: str | Path) -> ModelCard:
    """Read the model card of a file and verify the checksum of the file.

    Raises:
        SeismagError: file or model card is missing, a checksum differs, or the model card was changed.
    """
    path = Path(path)
    beside = card_path(path)
    if not path.is_file():
        raise SeismagError(f"{path}: no such file.")
    require_file(path, WEIGHTS)
    if not beside.is_file():
        raise SeismagError(f"{path}: model card {beside.name} is missing, so it cannot be verified. Copy both.")
    document = read_checked_json(beside, "Copy both files again from where they were made.")
    if "sha256" not in document:
        raise SeismagError(f"{beside}: not a model card (no sha256). Copy both files again from where they were made.")
    if file_sha256(path) not in (document["sha256"], document.get("replaces_sha256")):
        raise SeismagError(
            f"{path}: corrupted: its sha256 is not the one in {beside.name}. Copy both files again, or train again."
        )
    return ModelCard.from_json(document)
