"""Probabilities and the table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from seismag.cards import ModelCard
from seismag.config import Config
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, SeismagError
from seismag.runs import Run
from seismag.training.augmentation import rotate_azimuth, rotate_spectra, rotations
from seismag.training.checkpoint import LoadedModel, build_card
from seismag.training.inference import predict_power, predict_roles, predict_store, predict_with_embeddings
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import fit_scaling

COLUMNS = [
    "run_id", "fold", "role", "sample_id", "split_group", "station", "start_utc", "event_id",
    "y_magnitude", "y_azimuth",
    "p_magnitude_Normal", "p_magnitude_Moderate", "p_magnitude_Medium", "p_magnitude_Large",
    "p_azimuth_Normal", "p_azimuth_N", "p_azimuth_NE", "p_azimuth_E", "p_azimuth_SE", "p_azimuth_S",
    "p_azimuth_SW", "p_azimuth_W", "p_azimuth_NW", "origin",
]  # fmt: skip


@pytest.fixture
def loaded(store: Any, config: Config, run: Run) -> LoadedModel:
    model = ConvNeXtMultiTask(config.model).eval()
    return LoadedModel(
        Path("m.pth"), model, fit_scaling([store.power[:]]), ModelCard.from_json(build_card(store, config, run))
    )


def test_probabilities_sum_to_one_and_follow_the_logits(store: Any, loaded: LoadedModel) -> None:
    power_db = store.power[:7]
    p_magnitude, p_azimuth, embeddings = predict_power(loaded, power_db, batch_size=3)
    assert (p_magnitude.shape, p_azimuth.shape, embeddings.shape) == ((7, 4), (7, 9), (7, 64))
    assert p_magnitude.dtype == np.float64
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(p_magnitude.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(p_azimuth.sum(axis=1), 1.0, atol=1e-12)
    with torch.inference_mode():
        logits = loaded.model(torch.from_numpy(loaded.scaling.apply(power_db))).magnitude.double().numpy()
    np.testing.assert_allclose(p_magnitude, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)


def test_batch_size_does_not_change_the_answer(store: Any, loaded: LoadedModel) -> None:
    one, many = (predict_power(loaded, store.power[:6], batch_size) for batch_size in (1, 6))
    for left, right in zip(one, many, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spectra", ["power", "power_cross"])
def test_averaged_over_turns_the_prediction_turns_with_the_field(
    spectra: str, store: Any, config: Config, run: Run, rng: np.random.Generator
) -> None:
    power_db = store.power[:3].astype(np.float32)
    angles = rng.uniform(0, 2 * np.pi, (3, 3, *power_db.shape[2:]))
    phasors = 0.7 * np.stack([np.cos(angles), np.sin(angles)], axis=2) if spectra == "power_cross" else None
    changed = config.model.model_copy(update={"input": spectra, "average_rotations": True})
    torch.manual_seed(5)
    model = LoadedModel(
        Path("m.pth"), ConvNeXtMultiTask(changed).eval(), fit_scaling([power_db]),
        ModelCard.from_json(build_card(store, config.model_copy(update={"model": changed}), run)),
    )  # fmt: skip
    here = predict_power(model, power_db, phasors=phasors)
    for sectors in rotations(phasors is not None).tolist():
        there_db, there = rotate_spectra(power_db, phasors, sectors)
        turned = predict_power(model, there_db, phasors=there)
        np.testing.assert_allclose(turned[0], here[0], atol=2e-3)
        back = rotate_azimuth(np.arange(9), sectors)
        np.testing.assert_allclose(turned[1][:, back], here[1], atol=2e-3)
    plain = LoadedModel(model.path, ConvNeXtMultiTask(changed.model_copy(update={"average_rotations": False})).eval(),
                        model.scaling, model.card)  # fmt: skip
    plain.model.load_state_dict(model.model.state_dict())
    quarter = rotate_spectra(power_db, phasors, 2)
    differs = (
        predict_power(plain, quarter[0], phasors=quarter[1])[0] - predict_power(plain, power_db, phasors=phasors)[0]
    )
    assert np.abs(differs).max() > 1e-3  # without the average the network itself does not


def test_nothing_in_gives_empty_arrays_of_the_right_width(loaded: LoadedModel) -> None:
    shapes = [part.shape for part in predict_power(loaded, np.empty((0, 3, 32, 40), dtype=np.float16))]
    assert shapes == [(0, 4), (0, 9), (0, 64)]


def test_spectrogram_of_another_grid_is_refused(loaded: LoadedModel) -> None:
    with pytest.raises(SeismagError, match="trained on 3 components and 32 frequency bins"):
        predict_power(loaded, np.zeros((1, 3, 16, 40), dtype=np.float16))


def test_table_has_the_columns_of_the_design_in_the_order_asked_for(store: Any, loaded: LoadedModel, run: Run) -> None:
    indices = np.array([40, 2, 13])
    table, embeddings = predict_with_embeddings(loaded, store, indices, "val", batch_size=2)
    assert list(table.columns) == COLUMNS
    assert table["sample_id"].tolist() == store.samples["sample_id"].iloc[indices].tolist()
    assert set(table["run_id"]) == {run.run_id}
    assert set(table["role"]) == {"val"}
    assert table["y_magnitude"].tolist() == store.samples["magnitude_class"].iloc[indices].tolist()
    p_magnitude, p_azimuth, features = predict_power(loaded, store.power[:][indices])
    np.testing.assert_allclose(table[[f"p_magnitude_{name}" for name in MAGNITUDE_CLASSES]], p_magnitude, rtol=1e-5)
    np.testing.assert_allclose(table[[f"p_azimuth_{name}" for name in AZIMUTH_CLASSES]], p_azimuth, rtol=1e-5)
    np.testing.assert_allclose(embeddings, features, rtol=1e-4, atol=1e-5)


def test_store_with_other_preprocessing_or_classes_is_refused(store: Any, loaded: LoadedModel) -> None:
    store.samples.loc[1, "magnitude_class"] = "Tiny"
    with pytest.raises(DataError, match="unknown class Tiny"):
        predict_store(loaded, store, np.array([0, 1]))
    store.attributes["preprocessing"] = {**store.attributes["preprocessing"], "window_h": 4}
    with pytest.raises(SeismagError, match="window_h 6 in training, 4 here"):
        predict_store(loaded, store, np.array([0]))


def test_no_sample_gives_an_empty_table(store: Any, loaded: LoadedModel) -> None:
    table = predict_store(loaded, store, np.array([], dtype=np.int64))
    assert list(table.columns) == COLUMNS
    assert table.empty


def test_run_without_a_model_cannot_predict(store: Any, split: pd.DataFrame, run: Run) -> None:
    with pytest.raises(SeismagError, match=r"best_model\.pth: no such model"):
        predict_roles(run, store, split)
