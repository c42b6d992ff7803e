"""Model, store and windows of an explanation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from seismag.domain import MAGNITUDE_CLASSES, DataError, SeismagError, UsageError
from seismag.explain.gradcam import METHODS, Method
from seismag.explain.replacement import Windows, choose_replacements, read_windows
from seismag.runs import read_run
from seismag.training.checkpoint import LoadedModel, check_preprocessing, is_image, load_checkpoint
from seismag.training.inference import scaling_of
from seismag.training.run import require_samples, unseen_windows
from seismag.windows.store import Store, open_store

STUDY_LEAST, STUDY_SMALL = 80, 16  # least number of windows of the permutation importance; of trials


@dataclass(frozen=True)
class ExplanationPlan:
    """Settings of an explanation.

    Raises:
        UsageError: no window is requested, or the method is unknown.
    """

    samples: int = 20  # windows with a picture
    method: Method = "gradcam"  # Grad-CAM or Grad-CAM++
    label_control: Path | None = None  # a run trained on shuffled labels; None: heads are retrained on them
    study_least: int = STUDY_LEAST  # least number of windows of the permutation importance

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UsageError(f"--samples {self.samples}: the number of windows must be at least 1.")
        if self.method not in METHODS:
            raise UsageError(f"--method {self.method}: unknown; choose {' or '.join(METHODS)}.")


@dataclass(frozen=True)
class Subject:
    """Model and data of an explanation."""

    loaded: LoadedModel  # the model
    run: Path | None  # its run folder; None for a single checkpoint
    store: Store  # the data
    indices: NDArray[np.int64]  # of the windows that were not used in training


@dataclass(frozen=True)
class StudyWindows:
    """Sampled windows; the first ``n_pictures`` get a picture."""

    rows: pd.DataFrame  # of the samples, with y_magnitude and y_azimuth
    windows: Windows  # their spectra
    n_pictures: int  # number of windows with a picture
    n_alone: int  # number of excluded windows, which are the only one of their station
    n_unseen: int  # number of windows sampled from


def checkpoint_of(model: Path) -> Path:
    """Path of the checkpoint, also for a run folder."""
    return read_run(model).best_model if model.is_dir() else model


def run_folder_of(model: Path) -> Path | None:
    """The run folder of a run folder or checkpoint; None if there is none."""
    folder = model if model.is_dir() else model.parent
    return folder if (folder / "provenance.json").is_file() else None


def open_subject(model: Path, store_path: Path) -> Subject:
    """Open model and store, and find the windows that were not used in training.

    Raises:
        SeismagError: they do not fit together, the model cannot be explained, or no window is left.
    """
    store = require_samples(open_store(store_path))
    loaded = load_checkpoint(checkpoint_of(model))
    require_explainable(loaded, store)
    indices, _ = unseen_windows(loaded, store)
    indices = np.asarray(indices, dtype=np.int64)
    if not len(indices):
        raise DataError(
            f"{store.path}: no window is left that the training of {loaded.path} has not seen (its fold has no test "
            "window here). Use the model of another fold, or other data."
        )
    kept, _ = scaling_of(loaded, store, indices, None)
    return Subject(loaded, run_folder_of(model), store, np.asarray(kept, dtype=np.int64))


def require_explainable(loaded: LoadedModel, store: Store) -> None:
    """Check the physical axes of the store, and that the model has a feature map.

    Raises:
        UsageError: pictures of an earlier system, or a backbone without a feature map.
        DataError: the axes of the store differ from those of the training.
    """
    if is_image(store.attributes["preprocessing"]):
        raise UsageError(
            f"{store.path}: pictures of an earlier system have no axes in time and frequency to explain on. Prepare a "
            "store from day files and train on it."
        )
    check_preprocessing(loaded.card, store.attributes["preprocessing"])
    for name, values, unit in (("frequency_hz", store.frequency_hz, "Hz"), ("time_s", store.time_s, "s")):
        trained = np.asarray(loaded.card.document.get(name, values), dtype=float)
        if trained.shape != values.shape or not np.allclose(trained, values, rtol=1e-6, atol=0):
            raise DataError(
                f"{store.path}: its axis {name} ({len(values)} values, {values[0]:.4g} to {values[-1]:.4g} {unit}) is "
                f"not that of the training of {loaded.path} ({len(trained)} values, {trained[0]:.4g} to "
                f"{trained[-1]:.4g} {unit}). Prepare the data as stated in the model card, or train on this store."
            )
    _require_feature_map(loaded, (len(store.frequency_hz), len(store.time_s)))


def _require_feature_map(loaded: LoadedModel, size: tuple[int, int]) -> None:
    model = loaded.model
    try:
        with torch.no_grad():
            found = model.feature_map(model.blank_input(*size))
    except (RuntimeError, AssertionError) as error:
        raise SeismagError(
            f"{loaded.path}: {model.config.backbone} does not take spectrograms of {size[0]} x {size[1]}: {error}."
        ) from error
    if found.ndim != 4 or found.shape[1] != model.backbone.num_features:
        raise UsageError(
            f"{loaded.path}: the last layer of model.backbone {model.config.backbone}, {tuple(found.shape[1:])}, has "
            "no axes of time and frequency, so Grad-CAM cannot explain it. Choose a CNN, e.g. convnext_tiny."
        )


def sample_windows(subject: Subject, n_pictures: int, n_study: int, rng: np.random.Generator) -> StudyWindows:
    """Sample the windows of the study and read them.

    Raises:
        DataError: no station has two windows, so there is no replacement window.
    """
    samples = subject.store.samples.iloc[subject.indices]
    order = order_windows(samples, rng)[:n_study]
    chosen = samples.iloc[order]
    replacements = choose_replacements(chosen["station"].to_numpy(), chosen["split_group"].to_numpy(), rng)
    kept = replacements >= 0
    if not kept.any():
        raise DataError(
            f"{subject.store.path}: {len(samples)} unseen windows, no two of the same station, so there are no "
            "replacement windows. Use more data."
        )
    indices = subject.indices[order[kept]]
    rows = subject.store.samples.iloc[indices].reset_index(drop=True)
    rows = rows.assign(y_magnitude=rows["magnitude_class"], y_azimuth=rows["azimuth_class"])
    windows = read_windows(subject.loaded, subject.store, indices)
    return StudyWindows(rows, windows, min(n_pictures, len(rows)), int((~kept).sum()), len(samples))


def order_windows(samples: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.int64]:
    """Order windows so that the first ones cover all magnitude classes and different groups.

    First one window of each ``split_group``, alternating the magnitude classes, then a second one of each, and so on;
    otherwise at random. Returns indices (n,).
    """
    shuffled = samples.reset_index(drop=True).iloc[rng.permutation(len(samples))]
    round_of_group = shuffled.groupby("split_group", observed=True).cumcount()
    turn = shuffled.assign(round=round_of_group).groupby(["round", "magnitude_class"], observed=True).cumcount()
    index_of_class = shuffled["magnitude_class"].map({name: i for i, name in enumerate(MAGNITUDE_CLASSES)})
    keys = pd.DataFrame({"round": round_of_group, "turn": turn, "class": index_of_class})
    return keys.sort_values(["round", "turn", "class"]).index.to_numpy(dtype=np.int64)
