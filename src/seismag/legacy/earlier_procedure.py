"""The procedure of earlier systems, for comparison: it finds a high accuracy in recordings without any signal.

Its four steps are those of the published systems: Normal windows of one station, slightly changed copies of each window
made before the split, windows assigned to the sets at random, and the epoch chosen on the test set. Its only score is
the accuracy of the magnitude class, most of which are two classes. ``seismag`` does none of this elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.config import AugmentConfig, Config
from seismag.domain import MAGNITUDE_CLASSES, DataError
from seismag.scoring.predictions import evaluated_rows, read_predictions, task_probabilities
from seismag.training.run import run_training
from seismag.windows.store import Store, open_store, read_samples, write_changed_store

COPIES = 2  # of each window besides itself
COPY_NOISE_DB = 0.5  # standard deviation of the change of a copy, in each bin
EPOCHS = 4
_SEED = 17


@dataclass(frozen=True)
class EarlierResult:
    """What the earlier procedure reports, and the table that an audit reads."""

    accuracy: float  # of the magnitude class in the test set
    n_test: int  # windows of the test set, copies included
    store: Path
    predictions: Path


def run_earlier_procedure(config: Config, store_path: Path, out: Path) -> EarlierResult:
    """Copy windows, split at random, train and report the accuracy.

    Args:
        config: that of the study on this store; its network is used.
        store_path: a finished store.
        out: folder of the store of copies, created.

    Raises:
        DataError: the store has no Normal window.
    """
    store = write_copies(open_store(store_path), out)
    run = run_training(earlier_config(config), store)
    rows = evaluated_rows(read_predictions(run.predictions))
    predicted = task_probabilities(rows, "magnitude").argmax(axis=1)
    is_right = np.array(MAGNITUDE_CLASSES)[predicted] == rows["y_magnitude"].to_numpy()
    return EarlierResult(float(is_right.mean()), len(rows), store, run.predictions)


def earlier_config(config: Config) -> Config:
    """The configuration of the earlier procedure: random windows, power, no augmentation, epoch of the test set."""
    changes: dict[str, dict[str, object]] = {
        "split": {"method": "naive", "name": f"{config.split.name}_earlier", "n_folds": 5},
        "model": {"input": "power", "average_rotations": False},
        "train": {"run_name": f"{config.train.run_name}_earlier", "keep": "best", "class_weights": "none",
              "epochs": EPOCHS, "patience": EPOCHS},
    }  # fmt: skip
    sections = {name: getattr(config, name).model_copy(update=update) for name, update in changes.items()}
    return config.model_copy(update={**sections, "augment": AugmentConfig()})


def write_copies(store: Store, out: Path) -> Path:
    """Write a store with the event windows, the Normal windows of one station, and the changed copies of both.

    The station is the one with most Normal windows.

    Raises:
        DataError: the store has no Normal window.
    """
    chosen = np.flatnonzero(_windows_of_earlier_systems(store.samples))
    rng = np.random.default_rng(_SEED)
    power_db = read_samples(store.power, 0, len(store.samples)).astype(np.float32)[chosen]
    rows = store.samples.iloc[chosen]
    tables, arrays = [rows], [power_db]
    for number in range(1, 1 + COPIES):
        tables.append(rows.assign(sample_id=rows["sample_id"] + f"-{number}"))
        arrays.append(power_db + rng.normal(0, COPY_NOISE_DB, power_db.shape).astype(np.float32))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_changed_store(store, out, pd.concat(tables, ignore_index=True), np.concatenate(arrays))
    return out


def _windows_of_earlier_systems(samples: pd.DataFrame) -> pd.Series:
    normal = samples["magnitude_class"] == "Normal"
    if not normal.any():
        raise DataError("the store has no Normal window, so the earlier procedure has no second class. Add controls.")
    station = samples.loc[normal, "station"].value_counts().sort_index(kind="stable").idxmax()
    return ~normal | (samples["station"] == station)
