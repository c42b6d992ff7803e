"""``seismag legacy weights``: a checkpoint from weights of an earlier system, ConvNeXt-Tiny of torchvision, two heads.

Tensors are mapped by name; a tensor without counterpart, on either side, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seismag import __version__
from seismag.cards import FORMAT_VERSION, UNKNOWN, card_path
from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, SeismagError, UsageError
from seismag.files import file_sha256
from seismag.folder_lock import one_writer
from seismag.training.checkpoint import FORMAT, load_tensors, save_checkpoint
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling
from seismag.windows.store import IMAGE_CHANNELS, LEGACY_IMAGE, image_preprocessing

BACKBONE = "convnext_tiny"
IMAGE_PIXELS = 224  # height and width of the earlier pictures
# Mean and deviation of R, G, B in levels of 0 to 1. imagenet: of the pretrained weights of torchvision.
NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
_HEAD_LAYERS = (0, 2, 5)  # of our Sequential with weights: LayerNorm, Linear, Linear
_STEM = "0.0.weight"  # below "features."
_STEM_SHAPE = (96, 3, 4, 4)
_WRAPPERS = re.compile(r"^(?:(?:module|_orig_mod)\.)+")  # of DataParallel and torch.compile
_STATE_KEYS = ("model_state_dict", "state_dict", "model_state", "model", "net", "weights")
_TASKS = {"magnitude": ("mag", MAGNITUDE_CLASSES), "azimuth": ("azi", AZIMUTH_CLASSES)}
_BLOCK = {"conv_dw": "block.0", "norm": "block.2", "mlp.fc1": "block.3", "mlp.fc2": "block.5"}


@one_writer(file=True)
def import_weights(
    source: Path, out: Path, orders: Mapping[str, str | None], normalization: str = "imagenet"
) -> dict[str, Any]:
    """Write a checkpoint and its model card from weights of an earlier system.

    Args:
        source: a state dict of torchvision's tensor names, plain or under ``model_state_dict``, ``state_dict``, ...
        orders: by task, the class names in the order of the outputs of the head, separated by commas; None: as in the
            file.
        normalization: ``imagenet`` or ``unit``; it is not in the file, so the model card names it as assumed.

    Returns:
        The model card, with ``file`` and ``sha256``.

    Raises:
        UsageError: ``out`` exists or has another ending; a class order is missing, or contradicts the file; an unknown
            normalization.
        SeismagError: not weights; a tensor is missing, has no counterpart or another shape; an unknown class.
    """
    require_new_weights_file(out)
    if normalization not in NORMALIZATIONS:
        raise UsageError(f"--normalization {normalization}: not known. Known: {', '.join(NORMALIZATIONS)}.")
    if not source.is_file():
        raise SeismagError(f"{source}: no such file. Name the weights of the earlier system (.pth).")
    refusal = (
        f"{source}: not weights that can be read without running code in them. Save the state dict alone, where the "
        "model was made: torch.save(model.state_dict(), FILE)."
    )
    content = load_tensors(source, refusal)
    if isinstance(content, Mapping) and content.get("format") == FORMAT:
        raise UsageError(f"{source}: is a seismag checkpoint already. Use it as it is, with its model card.")
    state = _state_dict(content, source)
    root, backbone = _map_backbone(state, source)
    heads = _map_heads(state, root, source)
    order_facts = {}
    for task, (word, classes) in _TASKS.items():
        order, order_facts[task] = _class_order(content, task, word, orders.get(task), source)
        _reorder(heads[task], order, classes, task, source)
    widths = {task: len(layers[1]["weight"]) for task, layers in heads.items()}
    if len(set(widths.values())) > 1:
        raise SeismagError(
            f"{source}: its heads have widths {widths}; ours have one. It cannot be imported; train a model instead."
        )
    config = _config(head_width=widths["magnitude"])
    model = ConvNeXtMultiTask(config)
    tensors = dict(backbone)
    for task, head in heads.items():
        for place, layer in zip(_HEAD_LAYERS, head, strict=True):
            tensors |= {f"head_{task}.{place}.{parameter}": tensor for parameter, tensor in layer.items()}
    model.load_state_dict(tensors)
    card = _card(source, config, normalization, order_facts)
    mean, deviation = (
        np.repeat(np.array(part, np.float32)[:, None] * 255, IMAGE_PIXELS, axis=1)
        for part in NORMALIZATIONS[normalization]
    )  # (3, rows) in levels of 0 to 255
    try:
        save_checkpoint(out, model.eval(), Scaling(mean, deviation), card)
    except OSError as error:
        raise SeismagError(f"{out}: cannot be written ({error.strerror}). Choose another --out.") from error
    return {**card, "file": str(out), "sha256": file_sha256(out)}


def torchvision_name(timm_name: str) -> str:
    """Return the name below ``features.`` in torchvision of a tensor of convnext_tiny in timm."""
    if match := re.fullmatch(r"stem\.([01])\.(\w+)", timm_name):
        return f"0.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"stages\.([123])\.downsample\.([01])\.(\w+)", timm_name):
        return f"{2 * int(match[1])}.{match[2]}.{match[3]}"
    if match := re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.gamma", timm_name):
        return f"{2 * int(match[1]) + 1}.{match[2]}.layer_scale"
    if match := re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.(conv_dw|norm|mlp\.fc[12])\.(\w+)", timm_name):
        return f"{2 * int(match[1]) + 1}.{match[2]}.{_BLOCK[match[3]]}.{match[4]}"
    raise ValueError(f"{timm_name}: not a tensor of convnext_tiny")


def _config(**heads: Any) -> ModelConfig:
    return ModelConfig.model_validate({"backbone": BACKBONE, "pretrained": False, **heads})


def _state_dict(content: Any, source: Path) -> dict[str, Tensor]:
    candidates = [content]
    if isinstance(content, Mapping):
        candidates += [content[key] for key in _STATE_KEYS if isinstance(content.get(key), Mapping)]
    for candidate in candidates:
        if isinstance(candidate, Mapping) and candidate and all(isinstance(v, Tensor) for v in candidate.values()):
            return {_WRAPPERS.sub("", str(name)): tensor for name, tensor in candidate.items()}
    found = ", ".join(map(str, list(content)[:6])) if isinstance(content, Mapping) else type(content).__name__
    raise SeismagError(
        f"{source}: no state dict in it ({found}). Looked for tensors at the top and under {', '.join(_STATE_KEYS)}."
    )


def _map_backbone(state: dict[str, Tensor], source: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the prefix of ``features`` in the file, and the tensors of our backbone."""
    stems = [name for name, tensor in state.items() if name.endswith(_STEM) and tensor.ndim == 4]
    if not stems:
        raise SeismagError(
            f"{source}: no ConvNeXt with torchvision's names: features.{_STEM} is missing. "
            f"Its tensors begin with {', '.join(list(state)[:3])}."
        )
    stem = stems[0]
    if tuple(state[stem].shape) != _STEM_SHAPE:
        raise SeismagError(
            f"{source}: {stem} has shape {tuple(state[stem].shape)}, in ConvNeXt-Tiny it is {_STEM_SHAPE}. "
            "Only ConvNeXt-Tiny can be imported."
        )
    root = stem.removesuffix(_STEM)
    with torch.device("meta"):  # names and shapes alone
        template = ConvNeXtMultiTask(_config()).backbone.state_dict()
    mapped, used = {}, set()
    for ours, tensor in template.items():
        theirs = root + torchvision_name(ours)
        if theirs not in state:
            raise SeismagError(f"{source}: {theirs} is missing, so it is no whole ConvNeXt-Tiny of torchvision.")
        found = state[theirs]
        value = found.reshape(-1) if theirs.endswith("layer_scale") else found  # (C, 1, 1) there, (C,) here
        if value.shape != tensor.shape:
            raise SeismagError(
                f"{source}: {theirs} has shape {tuple(found.shape)}, in ConvNeXt-Tiny it has {tensor.numel()} numbers "
                f"({tuple(tensor.shape)}). Only ConvNeXt-Tiny can be imported."
            )
        mapped[f"backbone.{ours}"] = _finite(value, theirs, source)
        used.add(theirs)
    left = [name for name in state if name.startswith(root) and name not in used]
    if left:
        raise SeismagError(f"{source}: {left[0]} has no place in ConvNeXt-Tiny ({len(left)} such tensors).")
    return root, mapped


def _map_heads(state: dict[str, Tensor], root: str, source: Path) -> dict[str, list[dict[str, Tensor]]]:
    """Return LayerNorm, Linear, Linear of each head, as the tensors of our ``nn.Sequential``."""
    container = root.removesuffix("features.") if root.endswith("features.") else None
    shared: dict[str, Tensor] = {}
    imagenet = False
    layers: dict[str, dict[str, dict[str, Tensor]]] = {task: {} for task in _TASKS}
    for name, tensor in state.items():
        if name.startswith(root):
            continue
        layer, _, parameter = name.rpartition(".")
        own = name.removeprefix(container) if container is not None else name
        tasks = [task for task, (word, _) in _TASKS.items() if _names(layer, word)]
        if len(tasks) == 1 and parameter in ("weight", "bias"):
            layers[tasks[0]].setdefault(layer, {})[parameter] = _finite(tensor, name, source)
        elif container is not None and name.startswith(container) and own.startswith("classifier.0."):
            shared[parameter] = tensor
        elif container is not None and name.startswith(container) and own.startswith("classifier."):
            imagenet = True  # the 1000 classes of the pretrained model
        else:
            raise SeismagError(
                f"{source}: {name} {tuple(tensor.shape)} has no place in our model: a backbone, and for each task a "
                "head of LayerNorm, Linear, Linear. It cannot be imported."
            )
    return {task: _head(task, found, shared, imagenet, state[root + "7.2.block.5.bias"], source)
            for task, found in layers.items()}  # fmt: skip


def _head(
    task: str,
    found: dict[str, dict[str, Tensor]],
    shared: dict[str, Tensor],
    imagenet: bool,
    last: Tensor,
    source: Path,
) -> list[dict[str, Tensor]]:
    word, classes = _TASKS[task]
    if not found:
        raise SeismagError(
            f"{source}: no head for {task} (tensors with '{word}' in their names). It cannot be imported."
        )
    names = list(found)
    for name, layer in found.items():
        if set(layer) != {"weight", "bias"}:
            raise SeismagError(f"{source}: {name} has only {', '.join(layer)}; weight and bias are needed.")
    parts = list(found.values())
    has_norm = parts[0]["weight"].ndim == 1
    if not has_norm:
        if imagenet or set(shared) != {"weight", "bias"}:
            raise SeismagError(
                f"{source}: {names[0]}.weight: no LayerNorm before it, which our heads have. It cannot be imported."
            )
        parts, names = [shared, *parts], ["classifier.0", *names]
    elif shared and not imagenet:
        raise SeismagError(
            f"{source}: classifier.0.weight is a second LayerNorm before {names[0]}; our heads have one. "
            "It cannot be imported."
        )
    n_features = len(last)
    width = len(parts[1]["weight"]) if len(parts) > 1 else 0
    expected = [(n_features,), (width, n_features), (len(classes), width)]
    for place, (name, part) in enumerate(zip(names, parts, strict=True)):
        shape = tuple(part["weight"].shape)
        if place >= len(expected) or shape != expected[place] or len(part["bias"]) != shape[0]:
            raise SeismagError(
                f"{source}: {name}.weight has shape {shape}; our head for {task} is LayerNorm ({n_features}), Linear, "
                f"Linear to the {len(classes)} classes {', '.join(classes)}. It cannot be imported."
            )
    if len(parts) < len(expected):
        raise SeismagError(
            f"{source}: the head for {task} ends with {names[-1]}; ours is LayerNorm, Linear, Linear. "
            "It cannot be imported."
        )
    return [dict(part) for part in parts]


def _class_order(content: Any, task: str, word: str, text: str | None, source: Path) -> tuple[list[str], str]:
    """Return the class names in the order of the outputs of a head, and their source."""
    found = {tuple(order) for order in _orders_within(content, word)} if isinstance(content, Mapping) else set()
    if text is not None:
        given = [name.strip() for name in text.split(",")]
        if found and found != {tuple(given)}:
            stated = " or ".join(", ".join(order) for order in sorted(found))
            raise UsageError(f"--classes-{task} {text}: the order in the file is {stated}. Omit the option.")
        return given, "given"
    if len(found) != 1:
        why = "has no order of the classes" if not found else "has several orders of the classes"
        raise UsageError(
            f"{source}: {why} of {task}. Name them in the order of the head's outputs: "
            f"--classes-{task} {','.join(_TASKS[task][1])} (in your order; a wrong one swaps the classes)."
        )
    return list(found.pop()), "from the file"


def _orders_within(content: Mapping[Any, Any], word: str, path: str = "", depth: int = 3) -> Iterator[list[str]]:
    """Find lists of class names, or dictionaries of names and indices, under keys that name task and classes."""
    for key, value in content.items():
        here = f"{path}.{key}".lower()
        names = value if isinstance(value, (list, tuple)) else []
        if isinstance(value, Mapping) and value:
            if all(type(place) is int for place in value.values()):
                names = [str(name) for name, _ in sorted(value.items(), key=lambda item: item[1])]
            elif all(type(place) is int for place in value):
                names = [value[place] for place in sorted(value)]
            elif depth and not any(isinstance(entry, Tensor) for entry in value.values()):
                yield from _orders_within(value, word, here, depth - 1)
        says_classes = _names(here, word) and re.search(r"class|label|idx|names", here)
        if says_classes and names and all(isinstance(name, str) for name in names):
            yield [name.strip() for name in names]


def _reorder(
    head: list[dict[str, Tensor]], order: list[str], classes: tuple[str, ...], task: str, source: Path
) -> None:
    unknown = [name for name in order if name not in classes]
    absent = [name for name in classes if name not in order]
    if unknown or absent or len(order) != len(classes):
        raise SeismagError(
            f"{source}: classes of {task} {', '.join(order)}: unknown here: {', '.join(unknown) or 'none'}, "
            f"missing: {', '.join(absent) or 'none'}. Classes are {', '.join(classes)}, each once, in any order."
        )
    places = [order.index(name) for name in classes]
    head[-1] = {parameter: tensor[places] for parameter, tensor in head[-1].items()}


def _names(text: str, word: str) -> bool:
    """Whether a word of ``text`` begins with ``word``: mag_head and head.magnitude, not image_head."""
    return re.search(rf"(?<![a-z]){word}", text.lower()) is not None


def _finite(tensor: Tensor, name: str, source: Path) -> Tensor:
    if not bool(tensor.isfinite().all()):
        raise SeismagError(f"{source}: {name} holds numbers that are not finite: damaged, or its training diverged.")
    return tensor.float()


def _card(source: Path, config: ModelConfig, normalization: str, order_facts: dict[str, str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "seismag_version": __version__,
        "run_id": f"legacy_{source.stem}",
        "origin": "legacy",
        "imported_from": {"file": source.name, "sha256": file_sha256(source)},
        "training_data": UNKNOWN,
        "dataset_id": UNKNOWN,
        "data_origin": [LEGACY_IMAGE],
        "split": None,
        "split_name": None,
        "fold": 0,  # none of ours
        "split_certificate_sha256": None,
        "backbone": config.backbone,
        "model": config.model_dump(mode="json"),
        "magnitude_classes": list(MAGNITUDE_CLASSES),
        "azimuth_classes": list(AZIMUTH_CLASSES),
        "class_order": order_facts,
        "components": list(IMAGE_CHANNELS),
        "preprocessing": image_preprocessing(IMAGE_PIXELS, IMAGE_PIXELS),
        "quality": {},
        "frequency_hz": [],
        "time_s": [],
        "assumed": [f"normalisation of the pictures: {normalization}", "GELU between the layers of a head"],
        "metrics": {},
    }


def describe_import(result: Mapping[str, Any]) -> str:
    """Return lines for a terminal."""
    orders = ", ".join(f"{task} {who}" for task, who in result["class_order"].items())
    return "\n".join(
        [
            f"model       {result['file']} ({result['backbone']}, {result['run_id']})",
            f"classes     {orders}; written in our order",
            *(f"assumed     {sentence}" for sentence in result["assumed"]),
            "unknown     its training data, so no score of it is a test; it has no metrics",
            "input       pictures of the earlier system ('seismag legacy pictures DIR'); recordings are refused",
        ]
    )


def require_new_weights_file(out: Path) -> None:
    """Refuse a file that cannot be a new checkpoint.

    Raises:
        UsageError: another ending, or it exists.
    """
    if out.suffix != ".pth":
        raise UsageError(f"--out {out}: end it in .pth; the model card gets the same name with .json.")
    if out.exists() or card_path(out).exists():
        raise UsageError(f"--out {out}: exists, or its model card does. Choose another name, or remove both.")
