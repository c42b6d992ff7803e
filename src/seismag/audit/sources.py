"""What lies beside a table of predictions: the runs that made it, their split, embeddings, and what else was tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import Config
from seismag.domain import DataError, SeismagError, UsageError
from seismag.runs import Run, read_run
from seismag.training.run import SPLITS_DIR
from seismag.windows.store import Store


@dataclass(frozen=True)
class Sources:
    """Of one table of predictions; None where it is not known.

    Attributes:
        runs: the runs that it came from.
        model_input: what their models take, ``power`` or ``power_cross``.
        dataset_id: of their store.
        split: table of their split.
        embeddings: (n, C) float32, rows as in the table.
    """

    runs: tuple[Run, ...]
    model_input: str | None
    dataset_id: str | None
    split: Path | None
    embeddings: NDArray[np.float32] | None


def find_sources(path: Path, predictions: pd.DataFrame, config: Config) -> Sources:
    """Look into the run folder, or the folder of a cross-validation, that a table lies in.

    Args:
        path: the table.
        predictions: its content.
        config: ``train.runs_dir`` holds the runs of a cross-validation.
    """
    ids = predictions["run_id"].astype(str).unique()
    folders = [path.parent] if path.parent.name in ids else [Path(config.train.runs_dir) / run for run in ids]
    runs = []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except SeismagError:
            continue  # a stranger's table
    inputs = {run.config().model.input for run in runs}
    datasets = {run.provenance().get("dataset_id") for run in runs}
    names = {run.config().split.name for run in runs}
    split = SPLITS_DIR / f"{next(iter(names))}.parquet" if len(names) == 1 else None
    beside = path.parent / "embeddings.npy"
    embeddings = np.load(beside) if beside.is_file() else None
    if embeddings is not None and len(embeddings) != len(predictions):
        embeddings = None
    return Sources(
        tuple(runs),
        next(iter(inputs)) if len(inputs) == 1 else None,
        next(iter(datasets)) if len(datasets) == 1 else None,
        split if split is not None and split.is_file() else None,
        embeddings,
    )


def read_split(path: Path, store: Store) -> pd.DataFrame:
    """Read the table of a split of a store.

    Raises:
        UsageError: there is none. DataError: it is unreadable, or of another store.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such split. Training writes splits/NAME.parquet.")
    try:
        split = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error}).") from error
    wanted = {"sample_id", "fold", "role"}
    if not wanted <= set(split) or not split["sample_id"].isin(store.samples["sample_id"]).all():
        raise DataError(f"{path}: not a split of {store.path} (sample_id, fold, role of its windows). Name its own.")
    return split
