"""Directional statistics of the input."""

from __future__ import annotations

import torch

from seismag.training.directional import DirectionalFeatures, directional_statistics


def test_statistics_of_power_are_the_band_means_of_both_ratios() -> None:
    x = torch.zeros(1, 3, 64, 10)
    x[:, 0, :4] = 2.0  # H in the four rows of the first band
    x[:, 1, :4, :5] = 1.0  # D in half of the columns
    statistics = directional_statistics(x)
    assert statistics.shape == (1, 2, 16)
    assert float(statistics[0, 0, 0]) == 2.0 - 0.5
    assert float(statistics[0, 1, 0]) == -0.5 * (2.0 + 0.5)
    assert not statistics[0, :, 1:].any()


def test_steady_phasor_has_length_one_and_a_turning_one_none() -> None:
    x = torch.zeros(1, 9, 32, 8)
    x[:, 3] = 1.0  # Re XY
    angle = torch.arange(8) * torch.pi / 4
    x[:, 5], x[:, 6] = angle.cos(), angle.sin()  # ZX, once around in the window
    statistics = directional_statistics(x)
    assert statistics.shape == (1, 8, 16)
    torch.testing.assert_close(statistics[0, 2], torch.ones(16))
    torch.testing.assert_close(statistics[0, 4:6], torch.zeros(2, 16), atol=1e-6, rtol=0)


def test_grid_with_fewer_rows_than_bands_is_taken() -> None:
    assert DirectionalFeatures(9)(torch.randn(2, 9, 10, 12)).shape == (2, 64)
