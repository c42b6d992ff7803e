"""A model on the small store, trained or not, for the tests of explanations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from seismag.config import build_config
from seismag.data.store import open_store
from seismag.learning.checkpoint import build_card, save_checkpoint
from seismag.learning.model import ConvNeXtMultiTask
from seismag.learning.transforms import fit_scaling
from seismag.runs import Run, create_run


def write_untrained_run(store_path: Path, runs_dir: Path, **model: object) -> Run:
    """A run folder with random weights, whose test windows are those of fold 1."""
    config = build_config(
        {"split": {"n_folds": 3, "name": "small"}, "model": {"backbone": "convnext_atto", "head_width": 16, **model}}
    )
    store = open_store(store_path)
    run = create_run(runs_dir, "untrained", config, dataset_id=store.attributes["dataset_id"])
    torch.manual_seed(3)
    scaling = fit_scaling([np.asarray(store.power[:])])
    save_checkpoint(run.best_model, ConvNeXtMultiTask(config.model).eval(), scaling, build_card(store, config, run))
    return run
