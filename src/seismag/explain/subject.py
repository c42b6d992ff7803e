"""Which windows are explained, and whether model and store belong together."""

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

PROVENANCE = "provenance.json"
STUDY_LEAST, STUDY_SMALL = 80, 16  # windows of the occlusion at the least; in trials


@dataclass(frozen=True)
class ExplanationPlan:
    """What is asked.

    Attributes:
        samples: pictures.
        method: Grad-CAM or Grad-CAM++.
        label_control: a run that was trained on shuffled labels; None: heads are trained on them here.
        study_least: windows of the occlusion, at the least.

    Raises:
        UsageError: no window is asked for, or the method is not known.
    """

    samples: int = 20
    method: Method = "gradcam"
    label_control: Path | None = None
    study_least: int = STUDY_LEAST

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UsageError(f"--samples {self.samples}: how many windows to draw, at least 1.")
        if self.method not in METHODS:
            raise UsageError(f"--method {self.method}: not known; choose {' or '.join(METHODS)}.")


@dataclass(frozen=True)
class Subject:
    """What is explained.

    Attributes:
        loaded: the model.
        run: its run folder; None for a model that lies alone.
        store: the data.
        indices: places of the windows that may be explained, those which the training has not seen.
    """

    loaded: LoadedModel
    run: Path | None
    store: Store
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class DrawnWindows:
    """Windows of the study; the first ``n_pictures`` are drawn.

    Attributes:
        rows: of the samples, with y_magnitude and y_azimuth.
        windows: their spectra.
        n_pictures: how many of them get a picture.
        without_donor: how many were left out, being the only one of their station.
        n_unseen: how many there were to draw from.
    """

    rows: pd.DataFrame
    windows: Windows
    n_pictures: int
    without_donor: int
    n_unseen: int


def checkpoint_of(model: Path) -> Path:
    """The checkpoint, or that of a run folder."""
    return read_run(model).best_model if model.is_dir() else model


def run_folder_of(model: Path) -> Path | None:
    """The run folder that is named, or that the checkpoint lies in; None where there is none."""
    folder = model if model.is_dir() else model.parent
    return folder if (folder / PROVENANCE).is_file() else None


def open_subject(model: Path, store_path: Path) -> Subject:
    """Open model and store, and find the windows that the training has not seen.

    Raises:
        SeismagError: they do not belong together, the model cannot be explained, or no window is left.
    """
    store = require_samples(open_store(store_path))
    loaded = load_checkpoint(checkpoint_of(model))
    require_explainable(loaded, store)
    indices, _ = unseen_windows(loaded, store)
    indices = np.asarray(indices, dtype=np.int64)
    if not len(indices):
        raise DataError(
            f"{store.path}: no window is left that the training of {loaded.path} has not seen (its fold has no test "
            "window here). Take the model of another fold, or other data."
        )
    kept, _ = scaling_of(loaded, store, indices, None)
    return Subject(loaded, run_folder_of(model), store, np.asarray(kept, dtype=np.int64))


def require_explainable(loaded: LoadedModel, store: Store) -> None:
    """Refuse what has no physical axes, other axes than the model's, or no feature map.

    Raises:
        UsageError: pictures of an earlier system, or a backbone without a feature map.
        DataError: the store's axes are not those of the training.
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
                f"{trained[-1]:.4g} {unit}). Prepare the data as the model's card says, or train on this store."
            )
    require_feature_map(loaded, (len(store.frequency_hz), len(store.time_s)))


def require_feature_map(loaded: LoadedModel, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the last feature map.

    Raises:
        UsageError: the backbone has none.
    """
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
            "no places in time and frequency, so Grad-CAM cannot explain it. Choose a CNN, e.g. convnext_tiny."
        )
    return int(found.shape[2]), int(found.shape[3])


def draw_windows(subject: Subject, n_pictures: int, n_study: int, rng: np.random.Generator) -> DrawnWindows:
    """Draw the windows of the study and read them.

    Raises:
        DataError: no station has two windows, so that nothing can be exchanged.
    """
    samples = subject.store.samples.iloc[subject.indices]
    order = order_windows(samples, rng)[: max(n_pictures, n_study)]
    chosen = samples.iloc[order]
    donors = choose_replacements(chosen["station"].to_numpy(), chosen["split_group"].to_numpy(), rng)
    kept = donors >= 0
    if not kept.any():
        raise DataError(
            f"{subject.store.path}: {len(samples)} windows that the model has not seen, no two of one station: there "
            "is no measured field to exchange for theirs. Use more data."
        )
    indices = subject.indices[order[kept]]
    rows = subject.store.samples.iloc[indices].reset_index(drop=True)
    rows = rows.assign(y_magnitude=rows["magnitude_class"], y_azimuth=rows["azimuth_class"])
    windows = read_windows(subject.loaded, subject.store, indices)
    return DrawnWindows(rows, windows, min(n_pictures, len(rows)), int((~kept).sum()), len(samples))


def order_windows(samples: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.int64]:
    """Order windows so that the first ones are of all classes in turn and of different clusters.

    One window of each ``split_group`` comes first, the magnitude classes in turn as long as they last; then a second
    one of each, and so on. Within that the order is drawn.

    Args:
        samples: n windows: split_group, magnitude_class.
        rng: source of the draw.

    Returns:
        (n,) places.
    """
    drawn = samples.reset_index(drop=True).iloc[rng.permutation(len(samples))]
    round_of_group = drawn.groupby("split_group", observed=True).cumcount()
    turn = drawn.assign(round=round_of_group).groupby(["round", "magnitude_class"], observed=True).cumcount()
    place_of_class = drawn["magnitude_class"].map({name: i for i, name in enumerate(MAGNITUDE_CLASSES)})
    keys = pd.DataFrame({"round": round_of_group, "turn": turn, "class": place_of_class})
    return keys.sort_values(["round", "turn", "class"]).index.to_numpy(dtype=np.int64)
