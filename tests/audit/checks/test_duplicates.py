"""Copies of windows are found; the same storm at two stations is no copy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.geomagnetic_store import FAST, FREQUENCY_HZ, make_field, make_samples, make_store
from seismag.audit.checks.duplicates import (
    check_duplicates,
    fingerprints,
    scatter_correlation,
    similar_pairs,
    spectral_scatter,
)
from seismag.config import DataConfig
from seismag.recordings import read_recording
from seismag.spectrograms.decibels import window_spectra


@pytest.fixture
def samples() -> pd.DataFrame:
    return make_samples(["GTO", "ALR"], 60)


def test_independent_windows_are_no_copies(samples, rng):
    result = check_duplicates(make_store(samples, make_field(samples, rng)), None, FAST)
    assert result.verdict == "pass"
    assert result.blocking
    assert result.statistic < 0.3
    assert result.null.low < result.statistic < result.null.high + 0.05


def test_a_copy_with_another_level_other_gaps_and_rounding_is_found(samples, rng):
    power = make_field(samples, rng)
    power[70] = power[5] + 3.0 + rng.normal(0, 1.0, power[5].shape)  # another level, noise on top
    power[70, :, :, 4:8] = np.nan
    result = check_duplicates(make_store(samples, power), None, FAST)
    assert result.verdict == "fail"
    assert result.details["pairs"] == 1
    assert result.details["exact_pairs"] == 0
    assert result.details["examples"][0]["windows"] == [samples["sample_id"][5], samples["sample_id"][70]]
    assert "2 of 240 windows" in result.sentence


def test_exact_copies_are_counted_once_and_named_by_the_subsets_that_they_join(samples, rng):
    power = make_field(samples, rng)
    power[100] = power[7]
    roles = np.where(np.arange(len(samples)) < 50, "test", "train")
    split = pd.DataFrame({"sample_id": samples["sample_id"], "fold": 1, "role": roles})
    result = check_duplicates(make_store(samples, power), split, FAST)
    assert (result.details["pairs"], result.details["exact_pairs"]) == (1, 1)
    assert result.details["role_pairs"] == {"test and train": 1}
    assert "1 between test and train" in result.sentence


def test_stations_that_share_the_low_frequencies_of_one_time_are_no_copies(samples, rng):
    power = make_field(samples, rng)
    n = len(samples) // 2  # the second station's windows have the times of the first's
    shared = FREQUENCY_HZ < 0.08
    power[n:, :, shared] = power[:n, :, shared] + rng.normal(0, 0.5, power[:n, :, shared].shape)
    assert scatter_correlation(*(spectral_scatter(power[[0, n]]))) > 0.5  # as much as a copy, but not above 80 mHz
    assert check_duplicates(make_store(samples, power), None, FAST).verdict == "pass"


def test_a_file_given_to_two_stations_is_a_copy(samples, rng):
    power = make_field(samples, rng)
    n = len(samples) // 2
    power[n + 3] = power[3] + rng.normal(0, 0.3, power[3].shape)
    result = check_duplicates(make_store(samples, power), None, FAST)
    assert result.details["examples"][0]["windows"] == [samples["sample_id"][3], samples["sample_id"][n + 3]]


def test_windows_without_any_value_are_not_copies_of_each_other(samples, rng):
    power = make_field(samples, rng)
    power[[4, 9]] = np.nan
    assert check_duplicates(make_store(samples, power), None, FAST).verdict == "pass"


def test_pictures_are_compared_byte_for_byte_only(samples, rng):
    picture = np.round(rng.uniform(0, 255, (1, 3, 60, 24)))  # a frame that all pictures share
    power = np.repeat(picture, len(samples), axis=0) + np.round(rng.uniform(0, 3, (len(samples), 3, 60, 24)))
    power[11] = power[30]
    result = check_duplicates(make_store(samples, power, origin="legacy_image"), None, FAST)
    assert (result.details["pairs"], result.details["searched"]) == (1, "exact")


def test_fingerprints_estimate_the_correlation_of_the_scatter(samples, rng):
    power = make_field(samples, rng)[:40]
    mixed = np.sqrt(0.5) * (power[0] + power[1])
    power = np.concatenate([power, mixed[None]])
    prints = fingerprints(make_store(samples.iloc[:41], power), rng).whole
    exact = np.array([scatter_correlation(*spectral_scatter(power[[k, 40]][..., ::3])) for k in range(40)])
    assert np.abs(prints[:40] @ prints[40] - exact).max() < 4 / np.sqrt(512)
    assert np.argsort(exact)[-2:].tolist() in ([0, 1], [1, 0])


def test_similar_pairs_are_those_of_a_full_comparison(rng):
    base = rng.normal(size=(50, 512))
    prints = np.concatenate([base, base[:10] + 0.5 * rng.normal(size=(10, 512))]).astype(np.float32)
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    full = prints @ prints.T
    expected = [(i, j) for i in range(60) for j in range(i + 1, 60) if full[i, j] > 0.5]
    pairs, largest = similar_pairs(prints, 0.5)
    assert pairs.tolist() == [list(pair) for pair in expected]
    assert len(expected) == 10
    assert largest == pytest.approx((full - 2 * np.eye(60)).max())


def test_scatter_has_no_spectrum_no_line_and_no_masked_cell(rng):
    power = 10 * np.log10(rng.standard_exponential((1, 3, 60, 24))) - 2.0 * np.arange(60)[:, None]
    power[:, :, 20] += 30  # a line
    power[..., 3] = np.nan
    scatter = spectral_scatter(power)
    known = np.delete(scatter, 3, axis=-1)
    assert np.all(scatter[..., 3] == 0)
    assert np.allclose(known.mean(axis=-1), 0, atol=1e-4)
    assert np.allclose(known.std(axis=-1), 1, atol=1e-3)


@pytest.mark.real
def test_two_instruments_side_by_side_are_no_copies(real_data: Path):
    """Boulder's observatory and test instruments on one day: one field, two sensors."""
    spec = DataConfig()
    files = [real_data / f"usgs_1s_201404/{code}20140407vsec.sec.gz" for code in ("bou", "bdt")]
    scatter = [spectral_scatter(window_spectra(read_recording(path).field_nt, spec).power_db) for path in files]
    together = [scatter_correlation(a, b) for a, b in zip(*scatter, strict=True)]
    assert 0.05 < max(together) < 0.25
    assert max(scatter_correlation(a[:, 149:], b[:, 149:]) for a, b in zip(*scatter, strict=True)) < 0.05


def swapped(power: np.ndarray) -> np.ndarray:
    return power[[1, 2, 0]]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda power: power[..., ::-1], "reversed in time"),
        (lambda power: np.roll(power, 1, axis=-1), "shifted by 1 time frame"),
        (lambda power: np.roll(power, -5, axis=-1), "shifted by 5 time frames"),
        (lambda power: np.roll(power, 12, axis=-1), "shifted by 12 time frames"),
        (lambda power: power[[1, 0, 2]], "H and D swapped"),
        (swapped, "components in the order Z, H, D"),
        (lambda power: swapped(power[..., ::-1]) + 3, "reversed in time, components in the order"),
    ],
)
def test_a_disguised_copy_is_found_and_named(samples, rng, change, name: str):
    power = make_field(samples, rng)
    power[150] = change(power[20])
    result = check_duplicates(make_store(samples, power), None, FAST)
    assert result.details["pairs"] == 1
    assert next(iter(result.details["changes"])).startswith(name)
    assert name in result.sentence


@pytest.mark.parametrize("n_shifted", [4, 8, 12, 15])
def test_a_copy_that_has_only_some_frames_in_common_is_found(samples, rng, n_shifted: int):
    power = make_field(samples, rng)
    power[150, ..., n_shifted:] = power[20, ..., : 24 - n_shifted]  # the rest is another recording
    result = check_duplicates(make_store(samples, power), None, FAST)
    assert result.details["windows_with_copy"] == 2
    assert list(result.details["changes"]) == [f"shifted by {n_shifted} time frames"]


@pytest.mark.parametrize("component", [0, 1, 2])
def test_a_copy_of_a_single_component_is_found_and_named(samples, rng, component: int):
    power = make_field(samples, rng)
    power[150, component] = power[20, component] + rng.normal(0, 2, power.shape[2:])
    result = check_duplicates(make_store(samples, power), None, FAST)
    assert result.details["pairs"] == 1
    assert list(result.details["changes"]) == [f"{'HDZ'[component]} only"]


def test_a_component_that_stations_share_at_low_frequencies_of_one_time_is_no_copy(samples, rng):
    power = make_field(samples, rng)
    n = len(samples) // 2
    shared = FREQUENCY_HZ < 0.08
    power[n:, 0, shared] = power[:n, 0, shared]
    assert scatter_correlation(*spectral_scatter(power[[0, n], :1])) > 0.5
    assert check_duplicates(make_store(samples, power), None, FAST).verdict == "pass"


def test_another_stations_copy_with_its_own_sensor_noise_is_found(samples, rng):
    power = make_field(samples, rng)
    noise = make_field(samples, rng)[:1] - 25  # below the field at low frequencies, and in all of its bins 25 dB lower
    noise[:, :, 40:] += 30
    power[180] = 10 * np.log10(10 ** (power[30] / 10) + 10 ** (noise[0] / 10))  # at another time
    result = check_duplicates(make_store(samples, power), None, FAST)
    assert result.details["windows_with_copy"] == 2
