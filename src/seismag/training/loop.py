"""Steps and epochs of a training, and its optimiser.

All that is random in an epoch (order of the samples, dropout) depends on seed and epoch alone, so that on a CPU an
interrupted and resumed training ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, distributed, nn

from seismag.config import TrainConfig
from seismag.domain import SeismagError
from seismag.scoring.metrics import balanced_accuracy, confusion_matrix
from seismag.training.backbones import parameter_depths
from seismag.training.checkpoint import checkpoint_content
from seismag.training.frozen import FrozenPart
from seismag.training.heads import Outputs
from seismag.training.losses import MultiTaskLoss
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling

Batch = list[Tensor] | tuple[Tensor, ...]
EpochRecord = dict[str, float]  # a row of history.csv


class TrainingLoop(lightning.LightningModule):
    """Hooks that Lightning calls in each step and epoch.

    Args:
        model, loss, config: the network, its loss and section train.
        n_samples: windows that each process trains on in an epoch.
        frozen: the part of the network that is not trained; its cached features are the input where
            ``config.keeps_features``.
        scaling, card, trained_on: for the checkpoints, see ``LoadedModel``.
    """

    def __init__(
        self,
        model: ConvNeXtMultiTask,
        loss: MultiTaskLoss,
        config: TrainConfig,
        n_samples: int,
        *,
        frozen: FrozenPart | None = None,
        scaling: Scaling,
        card: dict[str, Any],
        trained_on: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.scaling = scaling
        self.card = card
        self.trained_on = trained_on
        self.config = config
        self.n_samples = n_samples
        self.frozen = frozen
        self.history: list[EpochRecord] = []
        self.val_scores: EpochRecord = {}
        self._val_batches: list[tuple[Tensor, ...]] = []

    def configure_optimizers(self) -> Any:
        config = self.config
        groups = parameter_groups(self.model, config.weight_decay, config.learning_rate, config.layer_decay)
        steps = -(-self.n_samples // (config.batch_size * config.accumulate))
        total = config.epochs * steps
        # at most half of the steps, so that even a trial of one epoch reaches the full rate and decays
        warmup = min(round(config.warmup_epochs * steps), total // 2)
        optimizer = torch.optim.AdamW(groups)  # each group has its rate
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, x: Tensor) -> Outputs:
        """Return the outputs for scaled input (B, C, F, T), or for cached features of it."""
        if self.frozen is None or not self.config.keeps_features:
            outputs: Outputs = self.model(x)
            return outputs
        return self.model.classify_frozen(x, self.frozen.rest)

    def on_train_epoch_start(self) -> None:
        if self.frozen is not None:
            self.frozen.layers.eval()
        entropy = [self.config.seed, self.current_epoch, *([self.global_rank] if self.global_rank else [])]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self._n_trained = 0
        self._started = time.monotonic()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y_magnitude, y_azimuth = batch
        loss: Tensor = self.loss(self(x), y_magnitude, y_azimuth)
        value = loss.detach().double()
        self._check_finite(value, f"step {batch_idx + 1}: the training loss")
        self._loss_sum += value * len(y_magnitude)
        self._n_trained += len(y_magnitude)
        self._learning_rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss * self._weight(batch_idx, len(y_magnitude))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        x, y_magnitude, y_azimuth = batch
        outputs = self(x)
        self._val_batches.append((outputs.magnitude, outputs.azimuth, y_magnitude, y_azimuth))

    def on_validation_epoch_end(self) -> None:
        parts = [torch.cat(parts) for parts in zip(*self._val_batches, strict=True)]
        self._val_batches.clear()
        magnitude, azimuth, y_magnitude, y_azimuth = _of_all_processes(parts)
        loss = self.loss.of_set(Outputs(magnitude, azimuth), y_magnitude, y_azimuth)
        self._check_finite(loss, "the validation loss")
        self.val_scores = {
            "val_loss": float(loss),
            "val_balanced_accuracy_magnitude": _balanced_accuracy(magnitude, y_magnitude),
            "val_balanced_accuracy_azimuth": _balanced_accuracy(azimuth, y_azimuth),
        }

    def epoch_record(self) -> EpochRecord:
        """Return the row of history.csv of the epoch that just ended."""
        total = torch.stack([self._loss_sum, torch.full_like(self._loss_sum, self._n_trained)])
        if distributed.is_initialized():
            distributed.all_reduce(total)
        return {
            "epoch": self.current_epoch + 1,
            "learning_rate": self._learning_rate,
            "train_loss": float(total[0] / total[1]),
            **self.val_scores,
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= checkpoint_content(self.model, self.scaling, self.card, self.trained_on)
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["history"])

    def _weight(self, batch_idx: int, size: int) -> float:
        """Return the factor of the loss of a batch, so that a step is the mean over all windows of its batches.

        Lightning divides by the number of batches in a step, whatever their size, and averages over the processes.
        Without ``train.accumulate`` this is 1: each process has as many windows.
        """
        accumulate = self.config.accumulate
        in_a_step = self.config.batch_size * accumulate
        before = batch_idx // accumulate * in_a_step
        return size * accumulate / min(in_a_step, self.n_samples - before)

    def _check_finite(self, loss: Tensor, name: str) -> None:
        if not torch.isfinite(loss):
            precision = self.config.precision
            coarse = "" if precision == "32-true" else f", or set train.precision=32-true (now {precision})"
            raise SeismagError(
                f"epoch {self.current_epoch + 1}, {name} is {float(loss)}. Lower train.learning_rate "
                f"(now {self.config.learning_rate:g}) or train.gradient_clip (now {self.config.gradient_clip:g})"
                f"{coarse}."
            )


def _of_all_processes(parts: list[Tensor]) -> list[Tensor]:
    """Concatenate the parts of all processes (of any length) along the first axis."""
    if not distributed.is_initialized():
        return parts
    gathered: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, [part.cpu() for part in parts])
    return [torch.cat(of_all).to(parts[0].device) for of_all in zip(*gathered, strict=True)]


def _balanced_accuracy(logits: Tensor, y_true: Tensor) -> float:
    predicted = logits.argmax(dim=1).cpu().numpy()
    return float(balanced_accuracy(confusion_matrix(y_true.cpu().numpy(), predicted, logits.shape[1])))


def parameter_groups(
    model: ConvNeXtMultiTask, weight_decay: float, learning_rate: float, layer_decay: float = 1.0
) -> list[dict[str, object]]:
    """Split the parameters with gradient: matrices and kernels decay, parameters of one dimension do not.

    The latter are biases, norms and layer scales. This is the practice of ConvNeXt, arXiv:2201.03545 (Loshchilov &
    Hutter, 2019, arXiv:1711.05101, leave the choice open).

    Args:
        model: the network.
        weight_decay: of the first kind.
        learning_rate: of everything behind the backbone.
        layer_decay: factor for each stage of the backbone, counted from the heads.

    Source of the layer-wise decay: Clark et al. (2020), arXiv:2003.10555; for ConvNeXt arXiv:2201.03545, table 6.
    """
    factors = {name: 1.0 for name, _ in model.named_parameters()}
    if layer_decay != 1.0:
        depths = parameter_depths(model.backbone)
        heads = max(depths.values()) + 1
        factors |= {f"backbone.{name}": layer_decay ** (heads - depth) for name, depth in depths.items()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for factor in sorted(set(factors.values()), reverse=True):  # the full rate first
        groups |= {(factor, True): [], (factor, False): []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[factors[name], parameter.ndim > 1].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decays else 0.0, "lr": learning_rate * factor}
        for (factor, decays), parameters in groups.items()
        if parameters or layer_decay == 1.0
    ]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Return the fraction of the learning rate at a step (from 0): linear warm-up to 1, then a half cosine to 0.

    Source: Loshchilov & Hutter (2017), arXiv:1608.03983, eq. 5, without restarts; warm-up: arXiv:1706.02677.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
