"""Scaling of spectrograms."""

from __future__ import annotations

import numpy as np
import pytest

from seismag.domain import DataError, SeismagError
from seismag.training.scaling import fit_scaling


def power(rng: np.random.Generator, n: int = 30) -> np.ndarray:
    values = rng.normal(-30.0, 6.0, (n, 3, 5, 7)) + 10.0 * np.arange(5)[:, None]
    values[::4, :, :, 2:5] = np.nan
    return values.astype(np.float16)


def test_chunks_give_the_mean_and_deviation_of_the_whole(rng: np.random.Generator) -> None:
    values = power(rng)
    scaling = fit_scaling([values[:1], values[1:12], values[12:]])
    exact = values.astype(np.float64)
    np.testing.assert_allclose(scaling.mean_db, np.nanmean(exact, axis=(0, 3)), rtol=1e-6)
    np.testing.assert_allclose(scaling.std_db, np.nanstd(exact, axis=(0, 3)), rtol=1e-6)


def test_chunk_without_a_single_value_changes_nothing(rng: np.random.Generator) -> None:
    values = power(rng)
    alone, joined = fit_scaling([values]), fit_scaling([np.full_like(values[:2], np.nan), values])
    np.testing.assert_allclose(alone.mean_db, joined.mean_db)
    np.testing.assert_allclose(alone.std_db, joined.std_db)


def test_masked_cell_becomes_the_training_mean(rng: np.random.Generator) -> None:
    values = power(rng)
    scaling = fit_scaling([values])
    scaled = scaling.apply(values)
    assert (scaled[np.isnan(values)] == 0.0).all()
    at_mean = np.repeat(scaling.mean_db[None, :, :, None], 7, axis=3)
    np.testing.assert_array_equal(scaling.apply(at_mean), 0.0)


def test_constant_row_scales_to_zero() -> None:
    values = np.full((4, 3, 2, 6), -40.0, dtype=np.float16)
    scaling = fit_scaling([values])
    np.testing.assert_array_equal(scaling.std_db, 1.0)
    np.testing.assert_array_equal(scaling.apply(values), 0.0)


def test_row_without_any_value_is_named() -> None:
    values = np.zeros((4, 3, 5, 6), dtype=np.float16)
    values[:, 2, 3] = np.nan
    with pytest.raises(DataError, match="component Z, frequency bin 3: no value in the whole training set"):
        fit_scaling([values])


def test_infinite_power_is_refused_in_fit_and_apply(rng: np.random.Generator) -> None:
    values = power(rng)
    scaling = fit_scaling([values])
    values[3, 1, 1, 6] = -np.inf  # ten times the logarithm of a power of 0
    with pytest.raises(DataError, match="infinite power"):
        fit_scaling([values])
    with pytest.raises(DataError, match="infinite power"):
        scaling.apply(values)


def test_other_frequency_rows_are_refused(rng: np.random.Generator) -> None:
    scaling = fit_scaling([power(rng)])
    with pytest.raises(SeismagError, match="trained on 3 components and 5 frequency bins"):
        scaling.apply(np.zeros((1, 3, 6, 7), dtype=np.float16))
