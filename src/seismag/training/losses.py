"""The loss: class terms of both tasks, L = L_magnitude + azimuth_weight * L_azimuth or with learnt weights.

Scores are log-scores whose softmax are class probabilities (``heads.Outputs``). Labels are class indices (B,) or, from
mixed samples, shares (B, k) with sum 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from seismag.arrays import FloatArray, IntArray
from seismag.config import TrainConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.training.heads import LONE_PARAMETER_SCALE, N_CARDINALS, Outputs

_SMALLEST_MISS = 1e-12  # of 1 - p: the focal factor has no derivative at 0 for an exponent below 1


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


def logit_adjustment(y_true: IntArray, n_classes: int, tau: float) -> FloatArray:
    """Offsets tau ln pi_c that the scores get in training, pi the class frequencies of the training role.

    Trained with p = softmax(s + tau ln pi), the plain scores s estimate at tau = 1 the posterior under equal class
    frequencies: p(c | x) / pi_c, normalised. That is what inference then reports.

    Args:
        y_true: (n,) class indices of the training role.
        n_classes: number of classes of the task.
        tau: 0 is no adjustment.

    Returns:
        (n_classes,) offsets. A class that does not occur gets the largest of the others, not minus infinity: then
        training presses its score down as plain cross-entropy does, instead of leaving it free.

    Source: Menon et al. (2021), arXiv:2007.07314, eq. 10.
    """
    frequencies = np.bincount(np.asarray(y_true), minlength=n_classes) / len(y_true)
    return tau * np.log(np.where(frequencies > 0, frequencies, frequencies.max()))


def as_soft_labels(y_true: Tensor, n_classes: int) -> Tensor:
    """Class indices (B,) as shares (B, k), one of them 1; shares are handed back as they are."""
    if y_true.is_floating_point():
        return y_true
    shares = torch.zeros(len(y_true), n_classes, device=y_true.device)
    return shares.scatter_(1, y_true[:, None], 1.0)


def class_loss(scores: Tensor, shares: Tensor, class_weights: Tensor, gamma: float = 0.0) -> Tensor:
    """Cross-entropy or focal loss of each sample, -sum_c w_c q_c (1 - p_c)^gamma ln p_c, in nats.

    Args:
        scores: (B, k).
        shares: (B, k) labels q.
        class_weights: (k,).
        gamma: 0 is cross-entropy.

    Returns:
        (B,), one value a sample, so that the caller says over what it averages.

    Source: focal loss, Lin et al. (2017), arXiv:1708.02002, eq. 5, for each class of a softmax.
    """
    log_p = scores.float().log_softmax(dim=1)
    losses = -class_weights * shares * log_p
    if gamma:
        losses = losses * (-torch.expm1(log_p)).clamp(min=_SMALLEST_MISS).pow(gamma)
    return losses.sum(dim=1)


class TaskLoss(nn.Module):
    """Loss of one task in the form of ``train.loss``, with what it needs of the training role's labels.

    Args:
        y_true: (n,) class indices of the training role.
        n_classes: number of classes of the task.
        config: form of the loss, class weights, label smoothing.

    Source of the label smoothing: Szegedy et al. (2016), arXiv:1512.00567, section 7; here over the classes that
    occur in training.
    """

    weights: Tensor
    role_weights: Tensor
    offsets: Tensor
    smooth: Tensor

    def __init__(self, y_true: IntArray, n_classes: int, config: TrainConfig) -> None:
        super().__init__()
        balanced = balanced_class_weights(y_true, n_classes)
        weighted, adjusted = config.class_weights == "balanced", config.loss == "logit_adjusted"
        one = np.ones(n_classes)
        self._keep("weights", balanced if weighted else one)
        self._keep("role_weights", balanced if weighted or adjusted else one)
        self._keep("offsets", logit_adjustment(y_true, n_classes, config.logit_adjustment_tau if adjusted else 0.0))
        self._keep("smooth", (balanced > 0) / (balanced > 0).sum())
        self.smoothing = config.label_smoothing
        self.gamma = config.focal_gamma if config.loss == "focal" else 0.0
        self.n_classes = n_classes

    def forward(self, scores: Tensor, y_true: Tensor) -> Tensor:
        """Loss (B,) of scores (B, k) and labels (B,) or (B, k)."""
        shares = as_soft_labels(y_true, self.n_classes)
        if self.smoothing:
            shares = (1 - self.smoothing) * shares + self.smoothing * shares.sum(dim=1, keepdim=True) * self.smooth
        return class_loss(scores.float() + self.offsets, shares, self.weights, self.gamma)

    def of_role(self, scores: Tensor, y_true: Tensor) -> Tensor:
        """Weighted mean of -ln p over a whole role, whatever the form of the training loss; a scalar."""
        shares = as_soft_labels(y_true, self.n_classes).double()
        weights = self.role_weights.double()
        return class_loss(scores, shares, weights).sum() / (weights * shares).sum()

    def _keep(self, name: str, values: FloatArray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)


class MultiTaskLoss(nn.Module):
    """Loss of a batch, averaged over its samples.

    The sum of weighted terms is divided by the number of samples, not by the sum of their weights as
    ``torch.nn.CrossEntropyLoss`` does: then the mean over batches is the loss over the whole training role whatever
    the batches are, and a batch of nothing but absent classes has loss 0 and not 0/0.

    With ``train.task_weighting: uncertainty`` the tasks' weights are exp(-s) and each adds s / 2, with s the log
    variance of the task, learnt by the optimiser. The weight settles at 1 / (2 L) of the task's own loss L.

    Args:
        y_magnitude: (n,) class indices of the training role.
        y_azimuth: (n,) likewise.
        config: form of the loss and its weights.

    Source: uncertainty weighting, Kendall, Gal & Cipolla (2018), arXiv:1705.07115, eq. 10.
    """

    def __init__(self, y_magnitude: IntArray, y_azimuth: IntArray, config: TrainConfig) -> None:
        super().__init__()
        self.magnitude = TaskLoss(y_magnitude, len(MAGNITUDE_CLASSES), config)
        self.azimuth = TaskLoss(y_azimuth, len(AZIMUTH_CLASSES), config)
        self.levels = HierarchyLoss(y_azimuth, config)
        self.azimuth_weight = config.azimuth_weight
        self.hierarchy_weight = config.hierarchy_weight
        self.scaled_log_variance: nn.Parameter | None = None
        if config.task_weighting == "uncertainty":
            start = torch.tensor([0.0, -math.log(config.azimuth_weight)])
            self.scaled_log_variance = nn.Parameter(start / LONE_PARAMETER_SCALE)

    def forward(self, outputs: Outputs, y_magnitude: Tensor, y_azimuth: Tensor) -> Tensor:
        """Loss of a batch of outputs with labels as indices (B,) or as shares (B, 4) and (B, 9)."""
        magnitude = self.magnitude(outputs.magnitude, y_magnitude).mean()
        azimuth = self.azimuth(outputs.azimuth, y_azimuth).mean()
        if outputs.cardinal is not None and self.hierarchy_weight:
            azimuth = azimuth + self.hierarchy_weight * self.levels(outputs.azimuth, y_azimuth).mean()
        if self.scaled_log_variance is None:
            total: Tensor = magnitude + self.azimuth_weight * azimuth
            return total
        log_variance = LONE_PARAMETER_SCALE * self.scaled_log_variance
        return (torch.exp(-log_variance) * torch.stack([magnitude, azimuth]) + 0.5 * log_variance).sum()

    def of_role(self, outputs: Outputs, y_magnitude: Tensor, y_azimuth: Tensor) -> Tensor:
        """Loss of a whole role: -ln p of the class, weighted, and nothing else, so that it compares across losses.

        Each task is divided by the sum of its samples' weights, and the tasks are added with ``azimuth_weight``.
        Focal factor, smoothing, levels and learnt weights stay out. Class weights are those of training; with
        ``logit_adjusted`` they are the balanced ones, because its probabilities are meant for equal class
        frequencies. For plain cross-entropy this is, on the training role, what ``forward`` averages to. NaN when no
        sample has a class that training knows.
        """
        magnitude = self.magnitude.of_role(outputs.magnitude, y_magnitude)
        return magnitude + self.azimuth_weight * self.azimuth.of_role(outputs.azimuth, y_azimuth)

    def task_weights(self) -> dict[str, float]:
        """Learnt weights of the two tasks by column of history.csv; empty when they are fixed."""
        if self.scaled_log_variance is None:
            return {}
        weights = torch.exp(-LONE_PARAMETER_SCALE * self.scaled_log_variance.detach()).tolist()
        return {"weight_magnitude": weights[0], "weight_azimuth": weights[1]}


class HierarchyLoss(nn.Module):
    """Loss of the levels above the direction: event or Normal, and the quadrant given an event, added.

    The class's own -ln p is the sum of the three levels' along the tree, with the weights of the nine classes. These
    terms give the upper levels class weights of their own and more pull, so that a wrong quadrant costs more than a
    wrong neighbour. They are read from the nine probabilities by adding up, which is exact for the tree.

    Args:
        y_azimuth: (n,) class indices of the training role; without any event there is no quadrant to learn.
        config: form of the loss.

    Source: conditional cross-entropies along a tree, Bertinetto et al. (2020), arXiv:1912.09393, section 3.1.
    """

    def __init__(self, y_azimuth: IntArray, config: TrainConfig) -> None:
        super().__init__()
        of_events = y_azimuth[y_azimuth > 0]
        self.event = TaskLoss((y_azimuth > 0).astype(np.int64), 2, config)
        self.cardinal = TaskLoss((of_events - 1) // 2, N_CARDINALS, config) if len(of_events) else None

    def forward(self, scores: Tensor, y_azimuth: Tensor) -> Tensor:
        """Loss (B,) of azimuth scores (B, 9) and labels (B,) or (B, 9)."""
        log_p = scores.float().log_softmax(dim=1)
        shares = as_soft_labels(y_azimuth, len(AZIMUTH_CLASSES))
        cardinal = log_p[:, 1:].unflatten(1, (N_CARDINALS, 2)).logsumexp(dim=2)  # (B, 4)
        of_cardinal = shares[:, 1:].unflatten(1, (N_CARDINALS, 2)).sum(dim=2)
        event = torch.stack([log_p[:, 0], cardinal.logsumexp(dim=1)], dim=1)  # (B, 2)
        loss: Tensor = self.event(event, torch.stack([shares[:, 0], of_cardinal.sum(dim=1)], dim=1))
        return loss if self.cardinal is None else loss + self.cardinal(cardinal, of_cardinal)
