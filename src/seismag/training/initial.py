"""Fine-tuning: a training starts from the weights of a checkpoint (``train.init_from``).

Only weights are taken. The input is scaled by the new training set, or by trailing normalisation, as in any training,
because the usual level of other stations or years is another one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from seismag.cards import UNKNOWN, ModelCard
from seismag.config import Config
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, UsageError
from seismag.files import shown_path
from seismag.training.checkpoint import (
    check_preprocessing,
    describe_architecture,
    misfit,
    read_content,
    stored_model_config,
)
from seismag.training.model import ConvNeXtMultiTask
from seismag.windows.store import Store

log = logging.getLogger(__name__)

HELD_OUT = ("test", "purged", "sealed")  # values of the column role
_WORDS = {"test": "test", "purged": "excluded", "sealed": "locked"}
_BACKBONE = "backbone."


@dataclass(frozen=True)
class InitialWeights:
    """A checkpoint that a training starts from.

    Attributes:
        path: of the checkpoint.
        state: its tensors by name.
        card: its model card.
        trained_on: windows of its training and validation, and those of the checkpoints that it started from.
    """

    path: Path
    state: dict[str, torch.Tensor]
    card: ModelCard
    trained_on: tuple[str, ...]

    def describe(self, reinit_heads: bool) -> dict[str, str]:
        """Return what the model card of the new model records of its start."""
        facts = {"file": shown_path(self.path), "run_id": self.card.run_id, "sha256": self.card.sha256}
        return {**facts, "taken": "backbone" if reinit_heads else "all"}


def read_initial(config: Config, store: Store, held_out: Mapping[str, str]) -> InitialWeights | None:
    """Read ``train.init_from``, if there is one.

    Args:
        config: section train.
        store: of the new training.
        held_out: role (``HELD_OUT``) by sample_id of the windows that must not have been in its training.

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
    seen = sorted(set(held_out) & set(initial.trained_on))
    if seen:
        counts = [(role, sum(held_out[name] == role for name in seen)) for role in HELD_OUT]
        what = " and ".join(f"{count} {_WORDS[role]} windows" for role, count in counts if count)
        raise UsageError(
            f"train.init_from {path}: {what} of this fold were in its training (first: {seen[0]}), so that no score "
            f"would be a test. It was trained on split {card.split_name}, fold {card.fold}: use the same split "
            "(section split), other data, or another checkpoint."
        )
    if card.has_unknown_training:
        log.warning("train.init_from %s: its training data are unknown, test windows may have been among them", path)
    return initial


def take_weights(model: ConvNeXtMultiTask, initial: InitialWeights, reinit_heads: bool) -> None:
    """Load the weights of a checkpoint into a new model.

    Args:
        model: its weights are replaced; with ``reinit_heads`` those of the backbone alone.
        initial: the checkpoint.
        reinit_heads: keep heads, attention and directional features as they are.

    Raises:
        UsageError: the weights do not fit; names the options that differ.
    """
    own = model.state_dict()
    of_backbone = {name: tensor for name, tensor in own.items() if name.startswith(_BACKBONE)}
    stored = stored_model_config(initial.card.document, initial.path)
    taken = {name: tensor for name, tensor in initial.state.items() if name.startswith(_BACKBONE)}
    wrong = misfit(taken, of_backbone)
    if wrong:
        raise UsageError(
            f"train.init_from {initial.path}: its backbone is that of {describe_architecture(stored)}, that of the "
            f"model section {describe_architecture(model.config)}: {wrong}. Set "
            f"model.backbone={stored.backbone} and model.input={stored.input}, or choose another checkpoint."
        )
    if not reinit_heads:
        wrong = misfit(initial.state, own)
        differences = ", ".join(
            f"model.{key} {getattr(stored, key)} there, {value} here"
            for key, value in model.config.model_dump().items()
            if key not in ("backbone", "pretrained", "head_dropout", "head_dropout_inner")
            and getattr(stored, key) != value
        )
        # options that change the meaning of outputs without changing a shape
        other_outputs = any(
            getattr(stored, key) != getattr(model.config, key)
            for key in ("detection_head", "magnitude_head", "azimuth_head")
        )
        if wrong or other_outputs:
            raise UsageError(
                f"train.init_from {initial.path}: its heads do not fit ({differences or wrong}). Set these options "
                "as there, or train.reinit_heads=true to take the backbone alone."
            )
        for task, classes in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES)):
            if tuple(initial.card.document[f"{task}_classes"]) != classes:
                raise UsageError(
                    f"train.init_from {initial.path}: its {task} classes are in another order than "
                    f"{', '.join(classes)}. Set train.reinit_heads=true to take the backbone alone."
                )
        taken = initial.state
    model.load_state_dict(own | taken)


def unknown_training(initial: InitialWeights | None) -> dict[str, str]:
    """Return the key ``training_data`` of the model card where the training data of the start are unknown."""
    return {"training_data": UNKNOWN} if initial is not None and initial.card.has_unknown_training else {}
