"""Pieces of the enhanced model; ``ModelConfig(attention="cbam", azimuth_head="hierarchical")`` selects them."""

from timm.layers.cbam import CbamModule

from seismag.config import ModelConfig
from seismag.training.heads import AzimuthHead
from seismag.training.losses import HierarchyLoss, class_loss
from seismag.training.model import ConvNeXtMultiTask

__all__ = ["AzimuthHead", "CbamModule", "ConvNeXtMultiTask", "HierarchyLoss", "ModelConfig", "class_loss"]
