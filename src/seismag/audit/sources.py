"""Files that belong to a table of predictions: the runs behind it, their split and embeddings."""

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
    """Sources of one table of predictions; None where they are not known.

    Attributes:
        runs: the runs behind it.
        model_input: input of their models, ``power`` or ``power_cross``.
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
    """Search the run folder, or the folder of a cross-validation, that contains a table.

    Args:
        path: the table.
        predictions: its content.
        config: ``train.runs_dir`` contains the runs of a cross-validation.
    """
    ids = predictions["run_id"].astype(str).unique()
    folders = [path.parent] if path.parent.name in ids else [Path(config.train.runs_dir) / run for run in ids]
    runs = []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except SeismagError:
            continue  # third-party predictions
    inputs = {run.config().model.input for run in runs}
    datasets = {run.provenance().get("dataset_id") for run in runs}
    splits = {SPLITS_DIR / f"{run.config().split.name}.parquet" for run in runs}
    split = splits.pop() if len(splits) == 1 else None
    embeddings_path = path.parent / "embeddings.npy"
    embeddings = np.load(embeddings_path) if embeddings_path.is_file() else None
    return Sources(
        tuple(runs),
        inputs.pop() if len(inputs) == 1 else None,
        datasets.pop() if len(datasets) == 1 else None,
        split if split is not None and split.is_file() else None,
        embeddings if embeddings is not None and len(embeddings) == len(predictions) else None,
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
