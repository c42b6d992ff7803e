"""A small model with its card, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.learning.checkpoint import save_checkpoint
from seismag.learning.model import ConvNeXtMultiTask
from seismag.learning.transforms import Scaling

METRICS = {"role": "test", "detection": {"skill_above_best_baseline": {
    "balanced_accuracy": {"value": 0.12, "low": 0.03, "high": 0.21}}}}  # fmt: skip


def write_model(path: Path, **facts: Any) -> Path:
    """Write a checkpoint of convnext_atto; ``facts`` stand on its card."""
    config = ModelConfig.model_validate({"backbone": "convnext_atto", "head_width": 8})
    card = {
        "format": "seismag-checkpoint", "format_version": 1, "run_id": "trial_20210101_000000", "dataset_id": "d0",
        "data_origin": ["observed"], "split": None, "fold": 1, "backbone": "convnext_atto",
        "model": config.model_dump(mode="json"), "magnitude_classes": list(MAGNITUDE_CLASSES),
        "azimuth_classes": list(AZIMUTH_CLASSES), "preprocessing": {"window_h": 6}, "metrics": METRICS, **facts,
    }  # fmt: skip
    scaling = Scaling(np.zeros((3, 32), np.float32), np.ones((3, 32), np.float32))
    save_checkpoint(path, ConvNeXtMultiTask(config).eval(), scaling, card)
    return path
