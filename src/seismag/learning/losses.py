"""The loss: weighted cross-entropy of both tasks, L = L_magnitude + azimuth_weight * L_azimuth."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def balanced_class_weights(y_true: IntArray, n_classes: int) -> FloatArray:
    """Weigh classes by n / (k n_c), so that each of the k classes that occur counts the same in total.

    Args:
        y_true: (n,) class indices of the training role, and of no other.
        n_classes: number of classes of the task.

    Returns:
        (n_classes,) weights; their mean over the n samples is 1. A class that does not occur weighs 0: nothing can
        be learnt of it, and the k in the formula leaves it out.

    Raises:
        ValueError: there is no sample.

    Source: King & Zeng (2001), doi:10.1093/oxfordjournals.pan.a004868, in its multi-class form.
    """
    counts = np.bincount(np.asarray(y_true), minlength=n_classes)
    if counts.sum() == 0:
        raise ValueError("class weights need at least one sample")
    present = counts > 0
    return np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 0.0)


def weighted_cross_entropy(logits: Tensor, y_true: Tensor, class_weights: Tensor) -> Tensor:
    """Cross-entropy -w[y] ln p[y] of each sample, in nats.

    Args:
        logits: (B, k).
        y_true: (B,) class indices.
        class_weights: (k,).

    Returns:
        (B,), one value a sample, so that the caller says over what it averages.
    """
    return class_weights[y_true] * functional.cross_entropy(logits.float(), y_true, reduction="none")


class MultiTaskLoss(nn.Module):
    """Loss of a batch, averaged over its samples.

    The sum of weighted entropies is divided by the number of samples, not by the sum of their weights as
    ``torch.nn.CrossEntropyLoss`` does: then the mean over batches is the loss over the whole training role whatever
    the batches are, and a batch of nothing but absent classes has loss 0 and not 0/0.

    Args:
        magnitude_weights: (4,) class weights.
        azimuth_weights: (9,) class weights.
        azimuth_weight: factor of the azimuth's loss.
    """

    magnitude_weights: Tensor
    azimuth_weights: Tensor

    def __init__(self, magnitude_weights: FloatArray, azimuth_weights: FloatArray, azimuth_weight: float) -> None:
        super().__init__()
        self.register_buffer(
            "magnitude_weights", torch.tensor(magnitude_weights, dtype=torch.float32), persistent=False
        )
        self.register_buffer("azimuth_weights", torch.tensor(azimuth_weights, dtype=torch.float32), persistent=False)
        self.azimuth_weight = azimuth_weight

    def forward(self, logits: tuple[Tensor, Tensor], y_magnitude: Tensor, y_azimuth: Tensor) -> Tensor:
        """Loss of a batch: logits (B, 4) and (B, 9), class indices (B,) and (B,)."""
        magnitude = weighted_cross_entropy(logits[0], y_magnitude, self.magnitude_weights)
        azimuth = weighted_cross_entropy(logits[1], y_azimuth, self.azimuth_weights)
        return magnitude.mean() + self.azimuth_weight * azimuth.mean()

    def of_role(self, logits: tuple[Tensor, Tensor], y_magnitude: Tensor, y_azimuth: Tensor) -> Tensor:
        """Loss of a whole role, each task divided by the sum of its samples' weights.

        On the training role this is what ``forward`` averages to, because the weights have mean 1 there. Elsewhere
        it stays comparable between roles and folds of different class shares. NaN when no sample has a class that
        training knows.
        """
        tasks = ((logits[0], y_magnitude, self.magnitude_weights), (logits[1], y_azimuth, self.azimuth_weights))
        magnitude, azimuth = (
            weighted_cross_entropy(scores, y, weights).double().sum() / weights[y].double().sum()
            for scores, y, weights in tasks
        )
        return magnitude + self.azimuth_weight * azimuth
