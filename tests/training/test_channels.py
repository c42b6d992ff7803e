"""What the network sees: scaled power, and coherency averaged over boxes of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seismag.config import DataConfig, ModelConfig, build_config
from seismag.domain import SeismagError, UsageError
from seismag.spectrograms.compute import power_and_phasors, to_decibel
from seismag.training.channels import CHANNELS, coherency_channels, power_of_decibel, require_cross, window_channels
from seismag.training.scaling import fit_scaling
from seismag.windows.store import LEGACY_IMAGE

SPEC = DataConfig(window_h=1, n_bins=60, cross_spectra=True)
XY, ZX, ZY = (slice(first, first + 2) for first in (0, 2, 4))


def spectra(field_nt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power in dB (n, 3, F, T) and phasors (n, 3, 2, F, T) as a store holds them."""
    power, phasors = power_and_phasors(field_nt, SPEC)
    return to_decibel(power), phasors.astype(np.float16)


def length(coherency: np.ndarray) -> np.ndarray:
    return np.hypot(*coherency.astype(np.float32).swapaxes(0, 1))  # type: ignore[no-any-return]


def slow_coherency(power: np.ndarray, cross: np.ndarray, row: int, column: int, rows: int, columns: int) -> complex:
    """One cell of one pair: power (2, F, T), cross (F, T), NaN masked."""
    sums = np.zeros(3, dtype=complex)
    for r in range(row - rows // 2, row + rows // 2 + 1):
        for c in range(column - columns // 2, column + columns // 2 + 1):
            if 0 <= r < cross.shape[0] and 0 <= c < cross.shape[1] and np.isfinite(cross[r, c]):
                sums += [power[0, r, c], power[1, r, c], cross[r, c]]
    return complex(sums[2] / np.sqrt(sums[0] * sums[1]))


def test_coherency_is_the_averaged_cross_spectrum_over_the_averaged_powers(rng: np.random.Generator) -> None:
    field = rng.normal(size=(1, 3, 3600))
    field[0, 2, 1800:1900] = np.nan  # Z alone
    power_db, phasors = spectra(field)
    result = coherency_channels(power_db, phasors, 5, 3)[0].astype(float)
    power = power_of_decibel(power_db[0])
    unit = phasors[0, 1, 0] + 1j * phasors[0, 1, 1].astype(np.float32)  # ZX
    cross = unit * np.sqrt(power[2] * power[0])
    for row, column in ((0, 0), (1, 4), (30, 12), (59, 31), (20, 20)):
        expected = slow_coherency(power[[2, 0]], cross, row, column, 3, 5) if np.isfinite(cross[row, column]) else 0j
        np.testing.assert_allclose(result[ZX, row, column], [expected.real, expected.imag], atol=2e-3)


def test_cell_masked_in_one_component_is_neutral_in_the_pairs_of_that_component(rng: np.random.Generator) -> None:
    field = rng.normal(size=(1, 3, 3600))
    field[0, 1, 1000:1200] = np.nan  # Y
    power_db, phasors = spectra(field)
    masked = np.isnan(power_db[0, 1, 0])
    assert 0 < masked.sum() < len(masked)
    coherency = coherency_channels(power_db, phasors, 5, 3)[0]
    assert (coherency[XY][..., masked] == 0).all()
    assert (coherency[ZY][..., masked] == 0).all()
    assert (coherency[ZX] != 0).all()


def test_without_averaging_the_coherency_is_the_phasor(rng: np.random.Generator) -> None:
    power_db, phasors = spectra(rng.normal(size=(1, 3, 3600)))
    coherency = coherency_channels(power_db, phasors, 1, 1)
    np.testing.assert_allclose(coherency[0], phasors[0].reshape(6, *phasors.shape[3:]), atol=1e-3)


def test_independent_noise_loses_its_coherence_and_one_source_keeps_it(rng: np.random.Generator) -> None:
    noise = rng.normal(size=(8, 3, 3600))
    power_db, phasors = spectra(noise)
    single, small, large = (
        np.mean(length(coherency_channels(power_db, phasors, *box)[:, XY]) ** 2) for box in ((1, 1), (5, 3), (13, 5))
    )
    assert single == pytest.approx(1.0, abs=0.01)
    assert 0.15 < small < 0.4  # about four independent cells
    assert large < 0.15
    source = np.cos(np.deg2rad(30)) * noise[:, :1], np.sin(np.deg2rad(30)) * noise[:, :1], -0.5 * noise[:, :1]
    coherency = coherency_channels(*spectra(np.concatenate(source, axis=1)), 5, 3).astype(float)
    np.testing.assert_allclose(coherency.mean(axis=(0, 2, 3)), [1, 0, -1, 0, -1, 0], atol=2e-3)


def test_channels_are_scaled_power_then_unscaled_coherency_in_the_order_of_the_card(rng: np.random.Generator) -> None:
    power_db, phasors = spectra(rng.normal(size=(3, 3, 3600)))
    scaling = fit_scaling([power_db])
    model = ModelConfig(input="power_cross", coherency_columns=3, coherency_rows=1)
    x = window_channels(power_db, phasors, scaling, model)
    assert x.shape[1] == len(CHANNELS["power_cross"]) == model.n_channels == 9
    assert CHANNELS["power_cross"][3:6] == ("coherency XY real", "coherency XY imaginary", "coherency ZX real")
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :3], scaling.apply(power_db))
    np.testing.assert_array_equal(x[:, 3:], coherency_channels(power_db, phasors, 3, 1))
    np.testing.assert_array_equal(window_channels(power_db, None, scaling, ModelConfig()), x[:, :3])
    known = coherency_channels(power_db, phasors, 3, 1)
    np.testing.assert_array_equal(window_channels(power_db, None, scaling, model, known), x)


def test_store_without_cross_spectra_is_refused_with_the_way_out(store: Any) -> None:
    require_cross(store, ModelConfig())
    with pytest.raises(SeismagError, match=r"no cross-spectra.*data\.cross_spectra=true, or .*model\.input=power"):
        require_cross(store, ModelConfig(input="power_cross"))
    store.attributes["preprocessing"] = {"kind": LEGACY_IMAGE}
    with pytest.raises(SeismagError, match=r"contains pictures.*Train with model\.input=power, or prepare a store"):
        require_cross(store, ModelConfig(input="power_cross"))


def test_box_without_a_middle_is_refused() -> None:
    with pytest.raises(UsageError, match=r"model\.coherency_columns: .*odd.*3 or 5 will do, not 4"):
        build_config({"model": {"coherency_columns": 4}})
