"""Trailing baseline: of the same station, of the past alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fixtures.training_store import changed
from seismag.cards import ModelCard
from seismag.config import Config
from seismag.domain import DataError, SeismagError
from seismag.runs import Run
from seismag.training.checkpoint import LoadedModel, build_card, load_checkpoint
from seismag.training.inference import predict_roles, predict_store, predict_with_embeddings
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import fit_scaling
from seismag.training.trailing import median_and_spread, past_windows, summarise_windows, trailing_scaling
from seismag.training.train import make_inputs, train_model

EVERYTHING = np.arange(48)


def trailing(config: Config, **values: Any) -> Config:
    return changed(config, **{"normalisation": "trailing", "trailing_days": 4.0, "trailing_min": 4, **values})


def samples(stations: list[str], start_h: list[float], length_h: float = 6.0) -> pd.DataFrame:
    start = pd.Timestamp("2021-03-01") + pd.to_timedelta(start_h, unit="h")
    return pd.DataFrame({"station": stations, "start_utc": start, "end_utc": start + pd.Timedelta(hours=length_h)})


def test_past_holds_windows_of_the_station_that_ended_before_and_no_older_ones() -> None:
    table = samples(["A"] * 6 + ["B"], [48, 0, 42, 45, 48, 54, 12])
    assert past_windows(table, np.array([0]), np.arange(7), 2.0)[0].tolist() == [1, 2]  # 45 h still runs, B is another
    assert past_windows(table, np.array([0]), np.arange(7), 1.9)[0].tolist() == [2]
    assert past_windows(table, np.array([5]), np.array([3, 0, 6]), 2.0)[0].tolist() == [0, 3]
    assert past_windows(table, np.array([1]), np.arange(7), 99.0)[0].tolist() == []


def test_summary_holds_quantiles_of_the_cells_with_a_value(rng: np.random.Generator) -> None:
    power = rng.normal(-20, 5, (2, 3, 4, 50)).astype(np.float16)
    power[0, 1, :, 10:30] = np.nan
    power[1, 2] = np.nan
    octiles = summarise_windows(power)
    assert octiles.shape == (2, 3, 4, 8)
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="All-NaN"):
        expected = np.nanquantile(power.astype(np.float64), (np.arange(8) + 0.5) / 8, axis=-1)
    np.testing.assert_allclose(octiles, np.moveaxis(expected, 0, -1), atol=0.02)


def test_level_and_spread_are_median_and_mad_of_all_cells(rng: np.random.Generator) -> None:
    power = rng.normal(-20, 5, (25, 3, 4, 200)) + rng.normal(0, 3, (25, 3, 4, 1))
    level, spread = median_and_spread(summarise_windows(power))
    cells = np.moveaxis(power, 0, -2).reshape(3, 4, -1)
    median = np.median(cells, axis=-1)
    np.testing.assert_allclose(level, median, atol=0.35)
    np.testing.assert_allclose(spread, 1.4826 * np.median(np.abs(cells - median[..., None]), axis=-1), atol=0.5)


def test_row_that_never_varies_scales_to_zero() -> None:
    level, spread = median_and_spread(summarise_windows(np.full((3, 3, 2, 10), -100.0)))
    np.testing.assert_array_equal(level, -100.0)
    np.testing.assert_array_equal(spread, 1.0)


def test_nothing_later_enters_a_baseline(store: Any) -> None:
    past = past_windows(store.samples, EVERYTHING, EVERYTHING, 4.0)
    before, _ = trailing_scaling(store, past, 4)
    at = 30
    power = store.power[:]
    power[at:] = 77.0  # the window itself, and the future
    store.power = power
    after, has_past = trailing_scaling(store, past, 4)
    np.testing.assert_array_equal(after.mean_db[: at + 1], before.mean_db[: at + 1])
    np.testing.assert_array_equal(after.std_db[: at + 1], before.std_db[: at + 1])
    assert (after.mean_db[at + 1 :] != before.mean_db[at + 1 :]).any()
    assert has_past.tolist() == [False] * 4 + [True] * 44


def test_baseline_needs_values_in_every_component(store: Any) -> None:
    power = store.power[:]
    power[:10, 2] = np.nan
    store.power = power
    _, has_past = trailing_scaling(store, past_windows(store.samples, EVERYTHING, EVERYTHING, 99.0), 4)
    assert np.flatnonzero(has_past)[0] == 14


def test_window_without_enough_past_is_left_out_and_counted(store: Any, config: Config) -> None:
    indices = {"train": np.arange(28), "val": np.arange(28, 36)}
    inputs = make_inputs(store, indices, trailing(config))
    assert inputs.train.indices.tolist() == list(range(4, 28))
    assert inputs.val.indices.tolist() == list(range(28, 36))
    assert len(inputs.notes) == 1
    assert "4 of 28 windows of training left out" in inputs.notes[0]
    with pytest.raises(SeismagError, match=r"none of the 28 windows of training.*data\.controls=all"):
        make_inputs(store, indices, trailing(config, trailing_min=40))


def test_training_reads_no_window_of_another_role_for_its_baseline(
    store: Any, split: pd.DataFrame, config: Config, run: Run
) -> None:
    held_out = store.samples["sample_id"].isin(split.loc[split["role"].isin(["test", "purged"]), "sample_id"])
    power = store.power[:]
    power[held_out.to_numpy()] = np.inf
    store.power = power
    train_model(store, split, trailing(config, epochs=1), run)
    assert "left out" in run.provenance()["warnings"][-1]


def test_trained_model_predicts_the_windows_that_have_a_past(
    store: Any, split: pd.DataFrame, config: Config, run: Run
) -> None:
    train_model(store, split, trailing(config, epochs=1), run)
    loaded = load_checkpoint(run.best_model)
    assert loaded.card.document["normalisation"] == {"method": "trailing", "trailing_days": 4.0, "trailing_min": 4}
    table = predict_store(loaded, store, EVERYTHING)
    assert table["sample_id"].tolist() == store.samples["sample_id"].tolist()[4:]
    roles = predict_roles(run, store, split)
    assert roles["role"].value_counts().to_dict() == {"val": 8, "test": 8}
    with pytest.raises(DataError, match="no window can be predicted: fewer than 4 windows"):
        predict_store(loaded, store, np.arange(3))


@pytest.fixture
def loaded(store: Any, config: Config, run: Run) -> LoadedModel:
    card = ModelCard.from_json(build_card(store, trailing(config), run))
    return LoadedModel(Path("m.pth"), ConvNeXtMultiTask(config.model).eval(), fit_scaling([store.power[:]]), card)


def test_prediction_changes_with_the_past_and_not_with_the_future(store: Any, loaded: LoadedModel) -> None:
    probabilities = [f"p_magnitude_{name}" for name in ("Normal", "Moderate", "Medium", "Large")]

    def predict() -> Any:
        return predict_with_embeddings(loaded, store, np.array([20, 21]))[0][probabilities].to_numpy()

    before, power = predict(), store.power[:]
    store.power = np.where(np.arange(48)[:, None, None, None] > 21, np.float16(5), power)
    np.testing.assert_array_equal(predict(), before)
    store.power = np.where(np.arange(48)[:, None, None, None] < 20, np.float16(5), power)
    assert (predict() != before).any()
