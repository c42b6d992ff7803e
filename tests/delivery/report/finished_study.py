"""A finished run and a finished cross-validation on a small store, for the tests of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seismag.config import Config, build_config
from seismag.runs import Run
from seismag.validation.crossval import run_crossval
from seismag.validation.training_run import run_training
from validation.study_store import make_store


def settings(method: str = "loeo", **train: Any) -> Config:
    """Two folds, one epoch, few replicates."""
    return build_config(
        {
            "split": {"n_folds": 2, "method": method, "name": method},
            "model": {"backbone": "convnext_atto", "head_width": 16},
            "train": {
                "epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "warmup_epochs": 0.0, "run_name": "small", **train
            },
            "evaluate": {"bootstrap": 100},
        }
    )  # fmt: skip


def make_run(folder: Path, method: str = "loeo", **train: Any) -> Run:
    """Train a run in ``folder``, on the store ``folder/store``, which is made where it is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        store = folder / "store" if (folder / "store").exists() else make_store(folder / "store")
        return run_training(settings(method, **train), store, progress=False)


def make_crossval(folder: Path) -> Path:
    """Train both folds in ``folder``; gives the folder of the results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        store = folder / "store" if (folder / "store").exists() else make_store(folder / "store")
        return folder / run_crossval(settings(), store).results
