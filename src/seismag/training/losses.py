"""Losses: terms of both tasks, L = L_magnitude + azimuth_weight * L_azimuth.

The softmax of the logits are class probabilities (``heads.Outputs``). Labels are class indices (B,) or, for mixed
samples, soft labels (B, k) with sum 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from seismag.arrays import FloatArray, IntArray
from seismag.config import TrainConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.training.heads import N_CARDINALS, Outputs

_SMALLEST_MISS = 1e-12  # of 1 - p: at 0 the focal factor has no derivative for an exponent below 1


def balanced_class_weights(y_true: IntArray, n_classes: int) -> FloatArray:
    """Return class weights n / (k n_c), so that each of the k classes that occur has the same total weight.

    Args:
        y_true, n_classes: (n,) class indices of the training set, and the number of classes of the task.

    Returns:
        (n_classes,) weights; their mean over the n samples is 1. A class that does not occur has weight 0 and does not
        count in k.

    Source: King & Zeng (2001), doi:10.1093/oxfordjournals.pan.a004868, in its multi-class form.
    """
    counts = np.bincount(np.asarray(y_true), minlength=n_classes)
    present = counts > 0
    return np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 0.0)


def as_soft_labels(y_true: Tensor, n_classes: int) -> Tensor:
    """Turn class indices (B,) into soft labels (B, k); soft labels are returned unchanged."""
    return y_true if y_true.is_floating_point() else functional.one_hot(y_true, n_classes).float()


def class_loss(logits: Tensor, labels: Tensor, class_weights: Tensor, gamma: float = 0.0) -> Tensor:
    """Return cross-entropy or focal loss of each sample, -sum_c w_c q_c (1 - p_c)^gamma ln p_c, in nats.

    Args:
        logits: (B, k).
        labels: (B, k) soft labels q.
        class_weights: (k,).
        gamma: 0 is cross-entropy.

    Returns:
        (B,), not averaged.

    Source: focal loss, Lin et al. (2017), arXiv:1708.02002, eq. 5, for each class of a softmax.
    """
    log_p = logits.float().log_softmax(dim=1)
    losses = -class_weights * labels * log_p
    if gamma:
        losses = losses * (-torch.expm1(log_p)).clamp(min=_SMALLEST_MISS).pow(gamma)
    return losses.sum(dim=1)


class TaskLoss(nn.Module):
    """Loss of one task in the form of ``train.loss``; ``y_true`` are the (n,) class indices of the training set.

    Source of the label smoothing: Szegedy et al. (2016), arXiv:1512.00567, section 7; here over the classes that
    occur in training.
    """

    weights: Tensor
    smooth: Tensor

    def __init__(self, y_true: IntArray, n_classes: int, config: TrainConfig) -> None:
        super().__init__()
        balanced = balanced_class_weights(y_true, n_classes)
        buffers = {
            "weights": balanced if config.class_weights == "balanced" else np.ones(n_classes),
            "smooth": (balanced > 0) / (balanced > 0).sum(),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        self.smoothing = config.label_smoothing
        self.gamma = config.focal_gamma if config.loss == "focal" else 0.0
        self.n_classes = n_classes

    def forward(self, logits: Tensor, y_true: Tensor) -> Tensor:
        """Return the loss (B,) of logits (B, k) and labels (B,) or (B, k)."""
        labels = as_soft_labels(y_true, self.n_classes)
        if self.smoothing:
            labels = (1 - self.smoothing) * labels + self.smoothing * labels.sum(dim=1, keepdim=True) * self.smooth
        return class_loss(logits, labels, self.weights, self.gamma)

    def of_set(self, logits: Tensor, y_true: Tensor) -> Tensor:
        """Return the weighted mean of -ln p over a whole set, whatever the form of the training loss."""
        labels = as_soft_labels(y_true, self.n_classes).double()
        weights = self.weights.double()
        return class_loss(logits, labels, weights).sum() / (weights * labels).sum()


class MultiTaskLoss(nn.Module):
    """Loss of a batch, averaged over its samples.

    Weighted terms are divided by the number of samples, not by their total weight as in
    ``torch.nn.CrossEntropyLoss``: then the mean over batches is the loss of the whole training set whatever the batches
    are, and a batch of absent classes alone has loss 0 and not 0/0.

    Args:
        y_magnitude, y_azimuth: (n,) class indices of the training set.
    """

    def __init__(self, y_magnitude: IntArray, y_azimuth: IntArray, config: TrainConfig) -> None:
        super().__init__()
        self.magnitude = TaskLoss(y_magnitude, len(MAGNITUDE_CLASSES), config)
        self.azimuth = TaskLoss(y_azimuth, len(AZIMUTH_CLASSES), config)
        self.levels = HierarchyLoss(y_azimuth, config)
        self.azimuth_weight = config.azimuth_weight
        self.hierarchy_weight = config.hierarchy_weight

    def forward(self, outputs: Outputs, y_magnitude: Tensor, y_azimuth: Tensor) -> Tensor:
        """Return the loss of a batch of outputs, with labels as indices (B,) or soft labels (B, 4) and (B, 9)."""
        magnitude = self.magnitude(outputs.magnitude, y_magnitude).mean()
        azimuth = self.azimuth(outputs.azimuth, y_azimuth).mean()
        if outputs.cardinal is not None and self.hierarchy_weight:
            azimuth = azimuth + self.hierarchy_weight * self.levels(outputs.azimuth, y_azimuth).mean()
        total: Tensor = magnitude + self.azimuth_weight * azimuth
        return total

    def of_set(self, outputs: Outputs, y_magnitude: Tensor, y_azimuth: Tensor) -> Tensor:
        """Return the loss of a whole set: -ln p of the class, weighted, so that it is comparable between losses.

        Each task is divided by the total weight of its samples, and the tasks are added with ``azimuth_weight``. Focal
        factor, smoothing and levels are not included. Class weights are those of training. NaN where no sample has a
        class of the training set.
        """
        magnitude = self.magnitude.of_set(outputs.magnitude, y_magnitude)
        return magnitude + self.azimuth_weight * self.azimuth.of_set(outputs.azimuth, y_azimuth)


class HierarchyLoss(nn.Module):
    """Loss of the levels above the direction: event or Normal, plus the quadrant given an event.

    These terms have class weights of their own and make a wrong quadrant cost more than a wrong neighbour. The
    probabilities of the levels are sums of the nine class probabilities, which is exact for the hierarchy. Without any
    event in the training set (class indices ``y_azimuth``, (n,)) there is no quadrant to learn.

    Source: conditional cross-entropies along a tree, Bertinetto et al. (2020), arXiv:1912.09393, section 3.1.
    """

    def __init__(self, y_azimuth: IntArray, config: TrainConfig) -> None:
        super().__init__()
        of_events = y_azimuth[y_azimuth > 0]
        self.event = TaskLoss((y_azimuth > 0).astype(np.int64), 2, config)
        self.cardinal = TaskLoss((of_events - 1) // 2, N_CARDINALS, config) if len(of_events) else None

    def forward(self, logits: Tensor, y_azimuth: Tensor) -> Tensor:
        """Return the loss (B,) of azimuth logits (B, 9) and labels (B,) or (B, 9)."""
        log_p = logits.float().log_softmax(dim=1)
        labels = as_soft_labels(y_azimuth, len(AZIMUTH_CLASSES))
        cardinal = log_p[:, 1:].unflatten(1, (N_CARDINALS, 2)).logsumexp(dim=2)  # (B, 4)
        of_cardinal = labels[:, 1:].unflatten(1, (N_CARDINALS, 2)).sum(dim=2)
        event = torch.stack([log_p[:, 0], cardinal.logsumexp(dim=1)], dim=1)  # (B, 2)
        loss: Tensor = self.event(event, torch.stack([labels[:, 0], of_cardinal.sum(dim=1)], dim=1))
        return loss if self.cardinal is None else loss + self.cardinal(cardinal, of_cardinal)
