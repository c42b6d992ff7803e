"""Inference: from spectrograms to class probabilities, and from a run to its table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from seismag.arrays import Float32Array, FloatArray, IntArray
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.files import atomic_path, write_table
from seismag.parallel import Progress, silent
from seismag.runs import Run
from seismag.training import augmentation
from seismag.training.channels import require_cross, window_channels
from seismag.training.checkpoint import HEAD_CLASSES, LoadedModel, check_preprocessing, load_checkpoint
from seismag.training.dataset import class_indices, read_power, role_indices
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling
from seismag.training.trailing import no_past_reason, past_windows, trailing_scaling
from seismag.windows.store import Store

_SAMPLE_COLUMNS = ("sample_id", "split_group", "station", "start_utc", "event_id")


def predict_power(
    loaded: LoadedModel,
    power_db: NDArray[Any],
    batch_size: int = 64,
    *,
    phasors: NDArray[Any] | None = None,
    scaling: Scaling | None = None,
) -> tuple[FloatArray, FloatArray, Float32Array]:
    """Predict the classes of spectrograms.

    Args:
        loaded: the model; it runs on the device of its parameters.
        power_db: (n, 3, F, T) dB re 1 nT^2/Hz; NaN marks masked time frames.
        phasors: (n, 3, 2, F, T) of the cross-spectra, for a model that needs them (``model.input`` power_cross).
        scaling: of each of these windows; None: that of the training set.

    Returns:
        Probabilities of magnitude (n, 4) and azimuth (n, 9) in class order, each row with sum 1, and the pooled
        features (n, C). With ``model.average_rotations`` the probabilities are means over the rotations of X and Y,
        each azimuth rotated back; the features are those of the window as it is.

    Raises:
        SeismagError: the shape is not the one of the training.
        DataError: a value is infinite.
    """
    model = loaded.model.eval()
    batches = []
    for first in range(0, len(power_db), batch_size):
        part = slice(first, first + batch_size)
        of_batch = (scaling or loaded.scaling).of(np.arange(len(power_db))[part])
        batches.append(_predict_batch(model, power_db[part], None if phasors is None else phasors[part], of_batch))
    if not batches:
        empty = np.empty((0, model.n_features), dtype=np.float32)
        return np.empty((0, len(MAGNITUDE_CLASSES))), np.empty((0, len(AZIMUTH_CLASSES))), empty
    magnitude, azimuth, features = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return magnitude, azimuth, features


@torch.inference_mode()
def _predict_batch(
    model: ConvNeXtMultiTask, power_db: NDArray[Any], phasors: NDArray[Any] | None, scaling: Scaling
) -> tuple[FloatArray, FloatArray, Float32Array]:
    device = next(model.parameters()).device
    rotations = (
        augmentation.rotations(phasors is not None) if model.config.average_rotations else np.zeros(1, dtype=np.int64)
    )
    magnitude, azimuth = (
        np.zeros((len(power_db), len(MAGNITUDE_CLASSES))),
        np.zeros((len(power_db), len(AZIMUTH_CLASSES))),
    )
    for sectors in rotations.tolist():
        turned = augmentation.rotate_spectra(power_db, phasors, sectors) if sectors else (power_db, phasors)
        x = torch.from_numpy(window_channels(*turned, scaling, model.config)).to(device)
        pooled = model.embed(x)  # (B, C)
        if not sectors:
            features = pooled.float().cpu().numpy()
        outputs = model.classify(pooled)
        rotated_back = augmentation.rotate_azimuth(np.arange(len(AZIMUTH_CLASSES)), sectors)
        magnitude += outputs.magnitude.cpu().double().softmax(dim=1).numpy() / len(rotations)
        azimuth += outputs.azimuth.cpu().double().softmax(dim=1).numpy()[:, rotated_back] / len(rotations)
    return magnitude, azimuth, features


def predict_store(loaded: LoadedModel, store: Store, indices: IntArray, progress: Progress = silent) -> pd.DataFrame:
    """Return the table alone of ``predict_with_embeddings``."""
    return predict_with_embeddings(loaded, store, indices, progress=progress)[0]


def predict_with_embeddings(
    loaded: LoadedModel,
    store: Store,
    indices: IntArray,
    role: str = "test",
    batch_size: int = 64,
    progress: Progress = silent,
    *,
    pool: IntArray | None = None,
) -> tuple[pd.DataFrame, Float32Array]:
    """Predict samples of a store as a table of predictions (docs/data-formats.md).

    A model with trailing normalisation leaves out the windows without enough past (``seismag.training.trailing``).

    Args:
        loaded, store: the model and the store of the windows.
        indices: their positions.
        role: value of the column role.
        pool: see ``past_windows``; None: all windows of the store.

    Returns:
        The table, and the pooled features (n, C) of the same rows.

    Raises:
        SeismagError: the store was prepared differently from the model's training data, or lacks the cross-spectra
            that the model needs.
        DataError: a class name in the store is unknown, or a value is infinite.
    """
    check_preprocessing(loaded.card, store.attributes["preprocessing"])
    model = loaded.model.config
    require_cross(store, model)
    indices, scaling = scaling_of(loaded, store, indices, pool)
    rows = store.samples.iloc[indices].reset_index(drop=True)
    for task, classes in HEAD_CLASSES.items():
        class_indices(rows[f"{task}_class"], classes, f"{task}_class")
    batches = []
    progress("windows", 0, len(indices))
    for first in range(0, max(1, len(indices)), batch_size):  # without any window: empty arrays of the right width
        batch = indices[first : first + batch_size]
        cross = read_power(store.cross, batch) if model.input == "power_cross" else None
        rows_of_batch = np.arange(first, first + len(batch))
        power_db = read_power(store.power, batch)
        batches.append(predict_power(loaded, power_db, batch_size, phasors=cross, scaling=scaling.of(rows_of_batch)))
        progress("windows", first + len(batch), len(indices))
    magnitude, azimuth, embeddings = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    table = rows[list(_SAMPLE_COLUMNS)].copy()
    table.insert(0, "run_id", loaded.card.run_id)
    table.insert(1, "fold", loaded.card.fold)
    table.insert(2, "role", role)
    table["y_magnitude"], table["y_azimuth"] = rows["magnitude_class"], rows["azimuth_class"]
    for task, probs in (("magnitude", magnitude), ("azimuth", azimuth)):
        table[[f"p_{task}_{name}" for name in HEAD_CLASSES[task]]] = probs
    if "origin" in rows:
        table["origin"] = rows["origin"]
    if loaded.card.is_naive:
        table["split_method"] = "naive"  # the evaluation warns
    return table, embeddings


def predict_roles(run: Run, store: Store, split: pd.DataFrame, batch_size: int = 64) -> pd.DataFrame:
    """Predict the validation and the test set with the best model of a run.

    Writes ``predictions.parquet`` and ``embeddings.npy`` (float32, same row order) into the run folder.

    Raises:
        SeismagError: the run has no model, or a set is empty.
    """
    loaded = load_checkpoint(run.best_model)
    if torch.cuda.is_available():
        loaded.model.to("cuda")
    indices = {role: role_indices(store.samples, split, loaded.card.fold, role) for role in ("train", "val", "test")}
    pools = {"val": np.concatenate([indices["train"], indices["val"]]), "test": None}  # as in training
    parts = [
        predict_with_embeddings(loaded, store, indices[role], role, batch_size, pool=pools[role]) for role in pools
    ]
    table = pd.concat([part[0] for part in parts], ignore_index=True)
    write_with_embeddings(run.path, table, np.concatenate([part[1] for part in parts]))
    return table


def write_with_embeddings(folder: Path, table: pd.DataFrame, embeddings: Float32Array) -> Path:
    """Write predictions.parquet and embeddings.npy (n, C), both or none; returns the path of the table."""
    path = folder / "predictions.parquet"
    with atomic_path(folder / "embeddings.npy") as temporary:
        np.save(temporary, embeddings)
        write_table(table, path)
    return path


def scaling_of(loaded: LoadedModel, store: Store, indices: IntArray, pool: IntArray | None) -> tuple[IntArray, Scaling]:
    """Return the windows that can be scaled as in the training, and their scaling; ``pool``: see ``past_windows``.

    Raises:
        DataError: there are windows, but none has enough past.
    """
    normalisation = loaded.card.normalisation
    if normalisation.method == "training":
        return indices, loaded.scaling
    everything = np.arange(len(store.samples), dtype=np.int64)
    past = past_windows(store.samples, indices, everything if pool is None else pool, normalisation.trailing_days)
    scaling, has_past = trailing_scaling(store, past, normalisation.trailing_min)
    if len(indices) and not has_past.any():
        raise DataError(f"{store.path}: no window can be predicted: {no_past_reason(normalisation)}", "no_past")
    return indices[has_past], scaling.of(np.flatnonzero(has_past))
