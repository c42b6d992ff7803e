"""Fine-tuning: a training starts from the weights of a checkpoint (``train.init_from``).

Only weights are taken. The input is scaled by the new training set, or by trailing normalisation, as in any training,
because the usual level of other stations or years is another one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from seismag.cards import ModelCard
from seismag.config import Config, ModelConfig
from seismag.domain import UsageError
from seismag.training.checkpoint import (
    HEAD_CLASSES,
    NOT_ARCHITECTURE,
    check_preprocessing,
    describe_architecture,
    misfit,
    read_content,
    stored_model_config,
)
from seismag.training.model import ConvNeXtMultiTask
from seismag.windows.store import Store

log = logging.getLogger(__name__)

_HELD_OUT = {"test": "test", "purged": "excluded", "sealed": "locked"}  # by value of the column role


@dataclass(frozen=True)
class InitialWeights:
    """A checkpoint that a training starts from."""

    path: Path
    state: dict[str, torch.Tensor]  # by name
    card: ModelCard
    trained_on: tuple[str, ...]  # windows of its training and validation, and of the checkpoints that it started from


def read_initial(config: Config, store: Store, split: pd.DataFrame) -> InitialWeights | None:
    """Read ``train.init_from``, if there is one, for a training on a fold of ``split``.

    Raises:
        SeismagError: no such checkpoint, corrupted, other preprocessing, or a held-out window was in its training.
    """
    if config.train.init_from is None:
        return None
    path = Path(config.train.init_from)
    if path.is_dir():
        path = path / "best_model.pth"
    if not path.is_file():
        raise UsageError(
            f"train.init_from {config.train.init_from}: no such checkpoint. `seismag train` makes one, `make demo` "
            "leaves models/convnext_loeo_best.pth behind; name it with --set train.init_from=FILE."
        )
    content, card = read_content(path)
    initial = InitialWeights(path, dict(content["model"]), card, tuple(content["trained_on"]))
    check_preprocessing(card, store.attributes["preprocessing"])
    of_fold = split[(split["fold"] == config.split.fold) & split["role"].isin(_HELD_OUT)]
    seen = of_fold[of_fold["sample_id"].isin(initial.trained_on)]
    if len(seen):
        counts = {word: int((seen["role"] == role).sum()) for role, word in _HELD_OUT.items()}
        what = " and ".join(f"{count} {word} windows" for word, count in counts.items() if count)
        first = seen["sample_id"].min()
        raise UsageError(
            f"train.init_from {path}: {what} of this fold were in its training (first: {first}), so that no score "
            f"would be a test. It was trained on split {card.split_name}, fold {card.fold}: use the same split "
            "(section split), other data, or another checkpoint."
        )
    if card.has_unknown_training:
        log.warning("train.init_from %s: its training data are unknown, test windows may have been among them", path)
    return initial


def take_weights(model: ConvNeXtMultiTask, initial: InitialWeights, reinit_heads: bool) -> None:
    """Load the weights of a checkpoint into a new model; with ``reinit_heads`` those of the backbone alone.

    Raises:
        UsageError: the weights do not fit; names the options that differ.
    """
    own = model.state_dict()
    stored = stored_model_config(initial.card.document, initial.path)
    taken = _of_backbone(initial.state)
    if wrong := misfit(taken, _of_backbone(own)):
        raise UsageError(
            f"train.init_from {initial.path}: its backbone is that of {describe_architecture(stored)}, that of the "
            f"model section {describe_architecture(model.config)}: {wrong}. Set "
            f"model.backbone={stored.backbone} and model.input={stored.input}, or choose another checkpoint."
        )
    if not reinit_heads:
        _require_same_heads(model, stored, initial)
        taken = initial.state
    model.load_state_dict(own | taken)


def _require_same_heads(model: ConvNeXtMultiTask, stored: ModelConfig, initial: InitialWeights) -> None:
    wrong = misfit(initial.state, model.state_dict())
    before, now = stored.model_dump(), model.config.model_dump()
    differing = [key for key in now if key not in NOT_ARCHITECTURE and before[key] != now[key] and key != "backbone"]
    # options that change the meaning of outputs without changing a shape
    if wrong or {"detection_head", "azimuth_head"} & set(differing):
        differences = ", ".join(f"model.{key} {before[key]} there, {now[key]} here" for key in differing)
        raise UsageError(
            f"train.init_from {initial.path}: its heads do not fit ({differences or wrong}). Set these options "
            "as there, or train.reinit_heads=true to take the backbone alone."
        )
    for task, classes in HEAD_CLASSES.items():
        if tuple(initial.card.document[f"{task}_classes"]) != classes:
            raise UsageError(
                f"train.init_from {initial.path}: its {task} classes are in another order than "
                f"{', '.join(classes)}. Set train.reinit_heads=true to take the backbone alone."
            )


def _of_backbone(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}
