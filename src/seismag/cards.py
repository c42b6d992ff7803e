"""Model cards: the JSON document next to a file of weights, with the checksum of the file."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from seismag.documents import Document, check_document
from seismag.domain import DataError, SeismagError
from seismag.files import file_sha256, read_checked_json, write_checked_json
from seismag.limits import WEIGHTS, require_file
from seismag.machine import raise_if_of_machine

FORMAT_VERSION = 2  # 1: cross-spectra were divided by the power of one horizontal component
_AGAIN = "Copy both files again from where they were made."
_OrNan = Annotated[float, BeforeValidator(lambda value: float("nan") if value is None else value)]
_Day = Annotated[str, AfterValidator(lambda text: str(datetime.date.fromisoformat(text)))]
UNKNOWN = "unknown"  # dataset_id and training_data of weights from an earlier system


class Normalisation(Document):
    """How a model scales its input: by the training set, or by the trailing windows of each station."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["training", "trailing"] = "training"
    trailing_days: float = 0.0
    trailing_min: int = 0

    def to_json(self) -> dict[str, str | float]:
        """The key ``normalisation`` of a model card."""
        if self.method == "training":
            return {"method": self.method}
        return {"method": self.method, "trailing_days": self.trailing_days, "trailing_min": self.trailing_min}


class _Estimate(Document):
    value: float | None
    low: float | None = None
    high: float | None = None


class _Skill(Document):
    balanced_accuracy: _Estimate | None = None


class _Detection(Document):
    skill_above_best_baseline: _Skill | None = None


class _Metrics(Document):
    detection: _Detection | None = None


class _Promoted(Document):
    replaces: Mapping[str, Any] | None = None


class _OtherKeys(Document):
    """Keys of a model card that are read where it is listed, promoted or fetched."""

    metrics: _Metrics | None = None
    promoted: _Promoted | None = None
    bytes: int | None = None
    replaces_sha256: str | None = None


class ModelCard(Document):
    """What the package reads of a model card; ``document`` is all of it (docs/data-formats.md).

    Its types are those of the JSON document; other keys, as of a later version, are kept in ``document``.

    Attributes:
        format_version: of the file of the weights.
        run_id, dataset_id, split_name, split, fold: the training; ``dataset_id`` is ``unknown`` for legacy weights.
        data_origin: ``observed``, ``simulated`` or ``legacy_image``, as far as they occur in the training data.
        training_data: ``unknown`` where the windows of the training are not known.
        sealed_days_utc: first and last locked day of the study; None where no day is locked.
        sha256: checksum of the weights.
        val_loss: of the best epoch.
        model, magnitude_classes, azimuth_classes: options of the network, and the order of its outputs.
        reference: what a prediction is compared with (``seismag.scoring.reference``); None: not recorded.
    """

    model_config = ConfigDict(extra="ignore")

    format_version: int = FORMAT_VERSION
    run_id: str = ""
    dataset_id: str = ""
    backbone: str = ""
    split_name: str | None = None
    split: dict[str, Any] | None = None
    split_certificate_sha256: str | None = None
    fold: int = 0
    data_origin: list[str] = Field(default_factory=list)
    training_data: str | None = None
    sealed_days_utc: Annotated[list[_Day], Field(min_length=2, max_length=2)] | None = None
    sha256: str = ""
    val_loss: _OrNan = Field(float("nan"), allow_inf_nan=True)
    normalisation: Normalisation = Normalisation()
    preprocessing: dict[str, Any] = Field(default_factory=dict)
    quality: dict[str, Any] = Field(default_factory=dict)
    frequency_hz: list[float] = Field(default_factory=list)
    time_s: list[float] = Field(default_factory=list)
    metrics: dict[str, Any] = Field(default_factory=dict)
    model: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    magnitude_classes: list[str] = Field(default_factory=list, repr=False)
    azimuth_classes: list[str] = Field(default_factory=list, repr=False)
    reference: Mapping[str, Any] | None = Field(default=None, repr=False)
    document: dict[str, Any] = Field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, document: object, source: str | Path = "a model card") -> ModelCard:
        """Read a model card; keys that an older one lacks get their defaults.

        Raises:
            DataError: it does not fit the schema of a model card; ``source`` names the file.
        """
        plain = check_document(dict[str, Any], document, source, _AGAIN)
        check_document(_OtherKeys, plain, source, _AGAIN)
        return check_document(cls, {**plain, "document": plain}, source, _AGAIN)

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
        raise_if_of_machine(error, path)
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
    document = read_checked_json(beside, _AGAIN)
    if "sha256" not in document:
        raise SeismagError(f"{beside}: not a model card (no sha256). {_AGAIN}")
    card = ModelCard.from_json(document, f"{beside}, model card of {path.name}")
    if file_sha256(path) not in (card.sha256, document.get("replaces_sha256")):
        raise SeismagError(
            f"{path}: corrupted: its sha256 is not the one in {beside.name}. Copy both files again, or train again."
        )
    return card
