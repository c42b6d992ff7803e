"""Dataset, network, training, inference: the only package that imports torch."""

from seismag.training import torch_compat  # noqa: F401  (before timm, Lightning and torchmetrics)
