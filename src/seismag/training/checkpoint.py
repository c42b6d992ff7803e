"""Checkpoints: ``NAME.pth`` (weights, scaling, model card) and ``NAME.json`` (the model card with a checksum)."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from seismag import __version__
from seismag.cards import FORMAT_VERSION, ModelCard, Normalisation, card_path, read_card, require_model, write_card
from seismag.config import Config, ModelConfig, SplitConfig
from seismag.disk_space import require_space
from seismag.documents import check_document
from seismag.domain import AZIMUTH_CLASSES, COMPONENTS, MAGNITUDE_CLASSES, SeismagError
from seismag.files import atomic_path, json_ready
from seismag.folder_lock import file_lock
from seismag.machine import raise_if_of_machine
from seismag.runs import Run
from seismag.text import one_line, shortened
from seismag.training.backbones import pretrained_source
from seismag.training.channels import CHANNELS
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling
from seismag.windows.store import LEGACY_IMAGE, Store

_COPY_S = 60.0  # to wait for another command that copies to the same file
FORMAT = "seismag-checkpoint"
_QUALITY_KEYS = ("max_gap_fraction", "max_masked_fraction", "main_field_tolerance")  # which windows are usable
HEAD_CLASSES = {"magnitude": MAGNITUDE_CLASSES, "azimuth": AZIMUTH_CLASSES}
_PARTS = {"model": Mapping, "scaling": Mapping, "card": Mapping, "trained_on": list}
_MAY_CHANGE = ("metrics", "reference")  # added to the JSON file by an evaluation
_CARD_KEYS = ("format_version", "run_id", "model", "magnitude_classes", "azimuth_classes", "preprocessing")
NOT_ARCHITECTURE = (
    "pretrained",
    "head_dropout",
    "head_dropout_inner",
    "average_rotations",
)  # others decide the weights
_DAMAGE = (  # RecursionError is a RuntimeError
    RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, AssertionError,
    ImportError, OSError, pickle.UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for inference, its outputs in the class order of ``seismag.domain``."""

    path: Path  # of the checkpoint
    model: ConvNeXtMultiTask  # in evaluation mode, on the CPU
    scaling: Scaling  # of its training set
    card: ModelCard
    trained_on: tuple[str, ...] = ()  # sample_id of training and validation; the model is not evaluated on these


def build_card(store: Store, config: Config, run: Run) -> dict[str, Any]:
    """Return the model card (JSON) of a training on ``store``, still without epoch, losses and metrics."""
    train = config.train
    normalisation = Normalisation()
    if train.normalisation != "training":
        normalisation = Normalisation(
            method=train.normalisation, trailing_days=train.trailing_days, trailing_min=train.trailing_min
        )
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "seismag_version": __version__,
        "run_id": run.run_id,
        "dataset_id": store.attributes["dataset_id"],
        "data_origin": sorted({str(origin) for origin in store.samples.get("origin", [])}),
        "split": config.split.model_dump(mode="json"),
        "split_name": config.split.name,
        "fold": config.split.fold,
        "split_certificate_sha256": run.provenance().get("split_certificate_sha256"),
        "backbone": config.model.backbone,
        "model": config.model.model_dump(mode="json"),
        "pretrained_weights": pretrained_source(config.model.backbone) if config.model.pretrained else None,
        "magnitude_classes": list(MAGNITUDE_CLASSES),
        "azimuth_classes": list(AZIMUTH_CLASSES),
        "components": list(store.attributes.get("components", COMPONENTS)),
        "channels": list(CHANNELS[config.model.input]),
        "normalisation": normalisation.to_json(),
        "augment": config.augment.model_dump(mode="json"),
        "scope": train.scope,
        "initial_weights": None,
        "preprocessing": dict(store.attributes["preprocessing"]),
        "quality": {key: value for key, value in store.attributes.get("config", {}).items() if key in _QUALITY_KEYS},
        "frequency_hz": np.asarray(store.frequency_hz, dtype=float).tolist(),
        "time_s": np.asarray(store.time_s, dtype=float).tolist(),
        "metrics": {},
    }


def checkpoint_content(
    model: ConvNeXtMultiTask, scaling: Scaling, card: Mapping[str, Any], trained_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the content of a checkpoint, in types that load with ``weights_only=True``."""
    return {
        "format": FORMAT,
        "model": model.state_dict(),
        "scaling": scaling.to_tensors(),
        "card": dict(card),
        "trained_on": list(trained_on),
    }


def save_checkpoint(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: Mapping[str, Any], trained_on: Sequence[str] = ()
) -> None:
    """Write a checkpoint and its model card, each whole or not at all; for the arguments see ``LoadedModel``."""
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:  # not by name: torch would hide why a write failed
            torch.save(checkpoint_content(model, scaling, card, trained_on), file)
        write_card(path, card, content=temporary)


def copy_checkpoint(source: Path, target: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Copy a checkpoint and its model card, each whole or not at all, and add ``facts`` to the new model card."""
    with file_lock(target, wait_s=_COPY_S), atomic_path(target) as temporary:
        require_space(target.parent, source.stat().st_size)
        shutil.copyfile(source, temporary)
        write_card(target, {**read_card(source).document, **(facts or {})}, content=temporary)


def load_tensors(path: Path, refusal: str) -> Any:
    """Read a file of ``torch.save`` onto the CPU; code in it is never executed.

    Raises:
        SeismagError: ``refusal`` and the reason, where it is damaged or contains more than tensors and plain values.
    """
    require_model(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        raise_if_of_machine(error, path)
        text = one_line(str(error).strip().partition("\n")[0])
        if text.startswith("Weights only load failed"):  # torch goes on with how to run what is in the file
            text = "it contains Python objects besides tensors and plain values"
        raise SeismagError(f"{refusal} ({text})") from error


def card_within(path: Path) -> ModelCard | None:
    """Return the model card inside a file of weights (else SeismagError); None: no seismag checkpoint."""
    content = load_tensors(path, f"{path.name}: not a model: torch cannot read it as weights.")
    is_ours = isinstance(content, dict) and content.get("format") == FORMAT and isinstance(content.get("card"), dict)
    return ModelCard.from_json(content["card"], path.name) if is_ours else None


def read_content(path: str | Path) -> tuple[dict[str, Any], ModelCard]:
    """Read a checkpoint as a dictionary with its tensors on the CPU, and its model card; the checksum is verified.

    Raises:
        SeismagError: file or model card is missing, the checksum differs, or it is no whole seismag checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise SeismagError(
            f"{path}: no such model. `make demo` leaves models/convnext_loeo_best.pth behind; "
            "`seismag train` makes one."
        )
    beside = read_card(path)
    foreign = f"{path}: not a seismag checkpoint. `seismag train` makes one."
    content = load_tensors(path, foreign)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SeismagError(foreign)
    _require_parts(content, path)
    version = ModelCard.from_json(content["card"], path).format_version
    changed = [key for key, value in content["card"].items() if key not in _MAY_CHANGE and _differs(beside, key, value)]
    if changed:
        raise SeismagError(
            f"{card_path(path)}: was changed: {', '.join(changed)} is not what the file of the weights contains. Copy "
            "both files again from where they were made."
        )
    if version > FORMAT_VERSION:
        raise SeismagError(
            f"{path}: written in format {version}, but seismag {__version__} reads up to {FORMAT_VERSION}. "
            "Update seismag."
        )
    return content, beside


def _differs(card: ModelCard, key: str, value: object) -> bool:
    return bool(json_ready(card.document.get(key)) != json_ready(value))


def _require_parts(content: Mapping[str, Any], path: Path) -> None:
    absent = [name for name, kind in _PARTS.items() if not isinstance(content.get(name), kind)]
    if "card" not in absent:
        absent += [f"card.{key}" for key in _CARD_KEYS if key not in content["card"]]
    if absent:
        raise SeismagError(
            f"{path}: damaged, or written by another program: it lacks {', '.join(absent)}. Copy both files "
            "again from where they were made."
        )
    tensors = {**content["model"], **content["scaling"]}
    wrong = [f"{shortened(key)} {shortened(value)}" for key, value in tensors.items() if not _is_plain(key, value)]
    wrong += [f"trained_on {shortened(entry)}" for entry in content["trained_on"] if not isinstance(entry, str)]
    if wrong:
        raise SeismagError(
            f"{path}: damaged, or written by another program: {wrong[0]} ({len(wrong)} such entries), expected are "
            "tensors by name, and names of windows. Copy both files again from where they were made."
        )


def _is_plain(name: object, value: object) -> bool:
    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return False
    return value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized


def load_checkpoint(path: str | Path) -> LoadedModel:
    """Read a model that ``save_checkpoint`` or a training wrote.

    Classes in another order are put into ours by name. ``metrics`` and ``reference`` come from the model card in the
    JSON file, where an evaluation may have added them.

    Raises:
        SeismagError: as ``read_content``; a class unknown to us, or one of ours missing; classes in another order
            where the heads' outputs are not classes; weights that do not fit, or are not finite.
    """
    path = Path(path)
    content, beside = read_content(path)
    card = dict(content["card"])
    state = dict(content["model"])
    config = stored_model_config(card, path).model_copy(update={"pretrained": False})
    for task in HEAD_CLASSES:
        _check_classes(card[f"{task}_classes"], task, config, path)
    card |= {"metrics": beside.metrics, "reference": beside.reference, "sha256": beside.sha256}
    with torch.device("meta"):  # names, shapes and types alone: a damaged card may state any size
        expected = {} if sum(config.depths) > len(state) else ConvNeXtMultiTask(config).state_dict()
    if wrong := misfit(state, expected):
        raise SeismagError(
            f"{path}: its weights do not fit the network in its model card, {describe_architecture(config)}: "
            f"{wrong}. Copy both files again from where they were made."
        )
    for name, tensor in {**state, **content["scaling"]}.items():
        if not bool(torch.isfinite(tensor).all()):  # every score would be NaN, which argmax takes for the first class
            raise SeismagError(
                f"{path}: {name} contains numbers that are not finite: damaged, or its training diverged. "
                "Copy it again, or train again."
            )
    for task, classes in HEAD_CLASSES.items():
        _reorder_classes(state, task, card[f"{task}_classes"])
        card[f"{task}_classes"] = list(classes)
    model = ConvNeXtMultiTask(config)
    model.load_state_dict(state)
    read = ModelCard.from_json(card, path)
    scaling = Scaling.from_tensors(content["scaling"], path)
    if read.frequency_hz and len(read.frequency_hz) != scaling.mean_db.shape[-1]:
        raise SeismagError(
            f"{path}: its scaling has {scaling.mean_db.shape[-1]} frequency bins, its model card "
            f"{len(read.frequency_hz)}. Copy both files again from where they were made."
        )
    return LoadedModel(path, model.eval(), scaling, read, tuple(content["trained_on"]))


def describe_architecture(config: ModelConfig) -> str:
    """Name a network by its backbone and all options that differ from the defaults."""
    default = ModelConfig().model_dump()
    options = [
        f"{key} {value}"
        for key, value in config.model_dump().items()
        if key not in ("backbone", *NOT_ARCHITECTURE) and value != default[key]
    ]
    return ", ".join([config.backbone, *options])


def check_architecture(document: Mapping[str, Any], config: ModelConfig, path: Path) -> None:
    """Refuse a checkpoint (``path``, model card ``document``) of another network than ``config`` (SeismagError)."""
    stored = stored_model_config(document, path)
    if stored.model_dump(exclude={*NOT_ARCHITECTURE}) != config.model_dump(exclude={*NOT_ARCHITECTURE}):
        raise SeismagError(
            f"{path}: its network is {describe_architecture(stored)}, that of the configuration is "
            f"{describe_architecture(config)}. Change the model section, or choose another checkpoint."
        )


def check_preprocessing(card: ModelCard, preprocessing: Mapping[str, Any]) -> None:
    """Refuse data that were prepared differently from the training data of a model.

    Raises:
        SeismagError: names each key of ``preprocessing`` (an attribute of a store) with both values.
    """
    trained = card.preprocessing
    if is_image(trained) != is_image(preprocessing):
        names = ("power spectrograms in dB", f"pictures of an earlier system ({LEGACY_IMAGE})")
        remedies = (
            "Pictures need a model that was trained on pictures.",
            "Pictures come from 'seismag legacy pictures DIR'; recordings need a model trained on a store of them.",
        )
        raise SeismagError(
            f"model {card.run_id} was trained on {names[is_image(trained)]}, but these data are "
            f"{names[is_image(preprocessing)]}: other quantities, not another scale. {remedies[is_image(trained)]}"
        )
    missing = object()
    differences = [
        f"{key} {trained.get(key, '(not set)')!r} in training, {preprocessing.get(key, '(not set)')!r} here"
        for key in sorted({*trained, *preprocessing})
        if json_ready(trained.get(key, missing)) != json_ready(preprocessing.get(key, missing))  # tuples are lists
    ]
    if differences:
        raise SeismagError(
            f"model {card.run_id} was trained on other preprocessing: {'; '.join(differences)}. "
            "Prepare the data with the values of the training (data section), or train on these data."
        )


def is_image(preprocessing: Mapping[str, Any]) -> bool:
    """Tell whether the input is pictures of an earlier system instead of power in dB."""
    return preprocessing.get("kind") == LEGACY_IMAGE


def stored_model_config(document: Mapping[str, Any], path: Path) -> ModelConfig:
    """Return the options of the network in a model card.

    Raises:
        SeismagError: one is not known to this version, or the input was another one then.
    """
    try:
        config = ModelConfig.model_validate(document["model"])
    except ValidationError as error:
        first = error.errors()[0]
        key, written = one_line(".".join(["model", *map(str, first["loc"])]), 80), document.get("seismag_version")
        raise SeismagError(
            f"{path}: {key} in its model card, {shortened(first['input'])}, is not known to seismag {__version__} "
            f"(written by {one_line(written, 40)}). Update seismag."
        ) from None
    if document["format_version"] < 2 and config.input == "power_cross":
        raise SeismagError(
            f"{path}: written in format {document['format_version']}, whose cross-spectra were scaled by single "
            "components; its probabilities would be wrong now. Train it again."
        )
    return config


def stored_split(loaded: LoadedModel) -> SplitConfig:
    """Return the split in a model card (DataError: it is none)."""
    document = loaded.card.split or {}
    return check_document(SplitConfig, document, f"{loaded.path}: split of its model card", "Train the model again.")


def _check_classes(stored: list[str], task: str, config: ModelConfig, path: Path) -> None:
    """Refuse classes that are not ours, or in another order where the head's outputs cannot be put into ours."""
    classes = HEAD_CLASSES[task]
    unknown, absent = sorted(set(stored) - set(classes)), sorted(set(classes) - set(stored))
    if unknown or absent or len(stored) != len(classes):
        raise SeismagError(
            f"{path}: its classes are {one_line(', '.join(stored), 200)}; unknown here: "
            f"{one_line(', '.join(unknown), 200) or 'none'}, "
            f"missing: {', '.join(absent) or 'none'}. Train a model with the classes {', '.join(classes)}."
        )
    form = config.azimuth_head if task == "azimuth" else "flat"
    if list(stored) != list(classes) and (config.detection_head or form != "flat"):
        raise SeismagError(
            f"{path}: its {task} classes are in the order {', '.join(stored)}, but the outputs of its head ({form}"
            f"{', with a detection head' if config.detection_head else ''}) are not classes that could be put into "
            f"the order {', '.join(classes)}. Train it again."
        )


def _reorder_classes(state: dict[str, torch.Tensor], task: str, stored: list[str]) -> None:
    """Put the last layer of a head into our class order."""
    order = [stored.index(name) for name in HEAD_CLASSES[task]]
    if order != sorted(order):
        head = f"head_{task}"
        last = max(int(key.split(".")[1]) for key in state if key.startswith(f"{head}."))
        for name in ("weight", "bias"):
            state[f"{head}.{last}.{name}"] = state[f"{head}.{last}.{name}"][order]


def misfit(state: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Describe in a few words how a state dict differs from the expected one; empty where it fits."""
    absent, surplus = [key for key in expected if key not in state], [key for key in state if key not in expected]
    both = [key for key in expected if key in state]
    shapes = [
        f"{key} {tuple(state[key].shape)} in place of {tuple(expected[key].shape)}"
        for key in both
        if state[key].shape != expected[key].shape
    ]
    types = [f"{key} {state[key].dtype}" for key in both if state[key].dtype != expected[key].dtype]
    kinds = (("missing", absent), ("not expected", surplus), ("of another shape", shapes), ("of another type", types))
    return "; ".join(f"{len(found)} {kind} (first: {one_line(found[0], 120)})" for kind, found in kinds if found)
