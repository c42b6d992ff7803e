"""The network, under the file name of earlier systems: ``from src.model import ConvNeXtMultiTask``."""

from seismag.config import ModelConfig
from seismag.training.heads import Outputs
from seismag.training.model import ConvNeXtMultiTask

__all__ = ["ConvNeXtMultiTask", "ModelConfig", "Outputs"]
