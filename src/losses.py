"""Loss functions, under the file name of earlier systems; ``class_loss`` with ``gamma`` is the focal loss."""

from seismag.training.losses import HierarchyLoss, MultiTaskLoss, TaskLoss, balanced_class_weights, class_loss

__all__ = ["HierarchyLoss", "MultiTaskLoss", "TaskLoss", "balanced_class_weights", "class_loss"]
