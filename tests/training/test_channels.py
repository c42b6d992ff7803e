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


def slow_coherency(power: np.ndarray, cross: np.ndarray, row: int, column: int, rows: int, columns: int) -> complex:
    """One cell of ZX or ZY: power (3, F, T), cross (F, T), NaN masked."""
    of_z, of_h, total = 0.0, 0.0, 0j
    for r in range(row - rows // 2, row + rows // 2 + 1):
        for c in range(column - columns // 2, column + columns // 2 + 1):
            if 0 <= r < cross.shape[0] and 0 <= c < cross.shape[1] and np.isfinite(cross[r, c] + power[1, r, c]):
                of_z += power[2, r, c]
                of_h += power[0, r, c] + power[1, r, c]
                total += cross[r, c]
    return complex(total / np.sqrt(of_z * of_h))


def test_coherency_is_the_averaged_cross_spectrum_over_the_averaged_powers(rng: np.random.Generator) -> None:
    field = rng.normal(size=(1, 3, 3600))
    field[0, 2, 1800:1900] = np.nan  # Z alone
    power_db, phasors = spectra(field)
    result = coherency_channels(power_db, phasors, 5, 3)[0].astype(float)
    power = power_of_decibel(power_db[0])
    unit = phasors[0, 1, 0] + 1j * phasors[0, 1, 1].astype(np.float32)  # ZX
    cross = unit * np.sqrt(power[2] * power[0])
    for row, column in ((0, 0), (1, 4), (30, 12), (59, 31), (20, 20)):
        expected = slow_coherency(power, cross, row, column, 3, 5) if np.isfinite(cross[row, column]) else 0j
        np.testing.assert_allclose(result[ZX, row, column], [expected.real, expected.imag], atol=2e-3)


def test_cell_masked_in_a_horizontal_component_is_neutral_in_all_pairs(rng: np.random.Generator) -> None:
    field = rng.normal(size=(1, 3, 3600))
    field[0, 1, 1000:1200] = np.nan  # Y
    power_db, phasors = spectra(field)
    masked = np.isnan(power_db[0, 1, 0])
    assert 0 < masked.sum() < len(masked)
    coherency = coherency_channels(power_db, phasors, 5, 3)[0]
    assert (coherency[..., masked] == 0).all()
    assert (coherency[..., ~masked] != 0).any(axis=0).all()


def test_cell_masked_in_z_keeps_the_pair_of_the_horizontal_components(rng: np.random.Generator) -> None:
    field = rng.normal(size=(1, 3, 3600))
    field[0, 2, 1000:1200] = np.nan
    power_db, phasors = spectra(field)
    masked = np.isnan(power_db[0, 2, 0])
    coherency = coherency_channels(power_db, phasors, 5, 3)[0]
    assert (coherency[XY][..., masked] != 0).any(axis=0).all()
    assert (coherency[2:][..., masked] == 0).all()


def test_in_a_single_bin_the_vector_of_z_has_length_one(rng: np.random.Generator) -> None:
    power_db, phasors = spectra(rng.normal(size=(1, 3, 3600)))
    coherency = coherency_channels(power_db, phasors, 1, 1)[0].astype(np.float32)
    np.testing.assert_allclose(np.sqrt(np.square(coherency[2:]).sum(axis=0)), 1.0, atol=2e-3)
    assert np.hypot(*coherency[XY]).max() <= 1.001  # float16


@pytest.mark.parametrize("azimuth_deg", [10.0, 80.0, 100.0, 190.0, 325.0])
def test_ratio_of_the_pairs_of_z_is_the_direction_of_one_source(azimuth_deg: float, rng: np.random.Generator) -> None:
    source, angle = rng.normal(size=(1, 3600)), np.deg2rad(azimuth_deg)
    field = np.stack([np.cos(angle) * source, np.sin(angle) * source, 0.5 * source], axis=1)
    coherency = coherency_channels(*spectra(field), 5, 3)[0].astype(float)
    np.testing.assert_allclose(coherency[2].mean(), np.cos(angle), atol=2e-3)
    np.testing.assert_allclose(coherency[4].mean(), np.sin(angle), atol=2e-3)
    np.testing.assert_allclose(coherency[0].mean(), np.sin(2 * angle), atol=2e-3)
    np.testing.assert_allclose(coherency[[1, 3, 5]], 0.0, atol=2e-3)


def test_independent_noise_loses_its_coherence_and_one_source_keeps_it(rng: np.random.Generator) -> None:
    noise = rng.normal(size=(8, 3, 3600))
    power_db, phasors = spectra(noise)
    single, small, large = (
        np.mean(np.square(coherency_channels(power_db, phasors, *box)[:, 2:].astype(float)).sum(axis=1))
        for box in ((1, 1), (5, 3), (13, 5))
    )
    assert single == pytest.approx(1.0, abs=0.01)
    assert 0.15 < small < 0.4  # about four independent cells
    assert large < 0.15


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
