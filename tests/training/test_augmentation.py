"""Augmentation: labels and physics stay right."""

from __future__ import annotations

import numpy as np
import pytest

from seismag.config import AugmentConfig, DataConfig, build_config
from seismag.domain import AZIMUTH_CLASSES, UsageError, azimuth_classes
from seismag.spectrograms.compute import PAIRS, power_and_phasors, to_decibel
from seismag.training import augmentation as augment
from seismag.training.channels import coherency_channels

LINEAR = DataConfig(window_h=1, n_bins=60, cross_spectra=True)
LOG = DataConfig(window_h=1, n_bins=60, cross_spectra=True, frequency_rows="log", n_log_rows=20)


def polarised_field(azimuth_deg: float, rng: np.random.Generator) -> np.ndarray:
    """One hour of a source towards an azimuth, its Z in phase, over weak independent noise: (3, 3600) nT."""
    source = rng.normal(size=3600)
    direction = np.array([np.cos(np.deg2rad(azimuth_deg)), np.sin(np.deg2rad(azimuth_deg)), 0.4])
    return direction[:, None] * source + 0.3 * rng.normal(size=(3, 3600))


def turned_in_time(field_nt: np.ndarray, angle_deg: float) -> np.ndarray:
    """Turn the horizontal field clockwise (north to east) second by second."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.stack([c * field_nt[0] - s * field_nt[1], s * field_nt[0] + c * field_nt[1], field_nt[2]])


def spectra(field_nt: np.ndarray, spec: DataConfig = LINEAR) -> tuple[np.ndarray, np.ndarray]:
    """Power (3, F, T) and cross-spectra (3, F, T) in nT^2/Hz."""
    power, phasors = power_and_phasors(field_nt, spec)
    unit = phasors[:, 0] + 1j * phasors[:, 1]
    return power, np.stack([unit[i] * np.sqrt(power[a] * power[b]) for i, (_, a, b) in enumerate(PAIRS)])


def stored(field_nt: np.ndarray, spec: DataConfig = LINEAR) -> tuple[np.ndarray, np.ndarray]:
    power, phasors = power_and_phasors(field_nt, spec)
    return to_decibel(power), phasors.astype(np.float16)


# Dilution


@pytest.mark.parametrize("fraction", [0.01, 0.3])
def test_diluted_powers_and_cross_spectra_are_weighted_sums(fraction: float, rng: np.random.Generator) -> None:
    own, control = stored(polarised_field(30.0, rng)), stored(polarised_field(200.0, rng))
    inputs = [values[None] for values in own]
    diluted_db, diluted = augment.dilute_spectra(
        inputs[0], inputs[1], (control[0][None], control[1][None]), np.array([fraction])
    )
    assert diluted is not None

    def matrices(power_db: np.ndarray, phasors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        power = 10 ** (power_db.astype(float) / 10)
        unit = phasors[:, 0].astype(float) + 1j * phasors[:, 1].astype(float)
        return power, np.stack([unit[i] * np.sqrt(power[a] * power[b]) for i, (_, a, b) in enumerate(PAIRS)])

    (p, c), (p_control, c_control) = matrices(*own), matrices(*control)
    found_power, found_cross = matrices(diluted_db[0], diluted[0])
    scale = (p + p_control).sum(axis=0)
    np.testing.assert_allclose(found_power / scale, (fraction * p + (1 - fraction) * p_control) / scale, atol=1e-5)
    np.testing.assert_allclose(
        found_cross / scale, (fraction * c + (1 - fraction) * c_control) / scale, atol=1e-4
    )  # of float16
    assert np.hypot(diluted[:, :, 0], diluted[:, :, 1]).max() <= 1 + 1e-3


def test_diluted_bin_is_masked_where_either_window_is(rng: np.random.Generator) -> None:
    own, control = (rng.normal(size=(1, 3, 4, 5)).astype(np.float32) for _ in range(2))
    own[0, 0, 1, 2] = control[0, 1, 3, 4] = np.nan
    diluted, phasors = augment.dilute_spectra(own, None, (control, None), np.array([0.5]))
    assert phasors is None
    np.testing.assert_array_equal(np.isnan(diluted), np.isnan(own) | np.isnan(control))


# Rotation


@pytest.mark.parametrize("spec", [LINEAR, LOG], ids=["linear", "log"])
@pytest.mark.parametrize("angle_deg", [45.0, 180.0, 270.0, 17.0])
def test_turned_spectra_are_those_of_the_field_turned_in_time(
    angle_deg: float, spec: DataConfig, rng: np.random.Generator
) -> None:
    field = polarised_field(30.0, rng)
    power, cross = augment.rotate_field(*spectra(field, spec), angle_deg)
    expected_power, expected_cross = spectra(turned_in_time(field, angle_deg), spec)
    scale = expected_power.sum(axis=0)  # rounding is relative to the whole field
    np.testing.assert_allclose(power / scale, expected_power / scale, atol=1e-4)
    np.testing.assert_allclose(cross / scale, expected_cross / scale, atol=1e-4)


def test_turned_window_of_a_store_gives_the_coherency_of_the_turned_field(rng: np.random.Generator) -> None:
    field = polarised_field(75.0, rng)
    spec = AugmentConfig(rotate=True)
    seen = set()
    for number in range(24):
        power_db, phasors, sectors = augment.augment_spectra(*stored(field), spec, np.random.default_rng(number))
        seen.add(sectors)
        there = stored(turned_in_time(field, 45.0 * sectors))
        assert phasors is not None
        assert np.median(np.abs(power_db - there[0])) < 0.03
        here, expected = (coherency_channels(a[None], b[None], 5, 3) for a, b in ((power_db, phasors), there))
        np.testing.assert_allclose(here.astype(float), expected.astype(float), atol=0.05)
        assert (np.hypot(phasors[:, 0], phasors[:, 1]) <= 1.001).all()  # float16
    assert seen == set(range(8))


def test_component_that_vanishes_when_turned_is_known_to_the_stores_precision_only(rng: np.random.Generator) -> None:
    source = rng.normal(size=3600)
    power_db, phasors = stored(np.stack([source, source, source]))  # towards 45 degrees, turned to a cardinal one
    for number in range(12):
        turned, _, sectors = augment.augment_spectra(
            power_db, phasors, AugmentConfig(rotate=True), np.random.default_rng(number)
        )
        level = turned - power_db
        assert level.min() == pytest.approx(-30.0 if sectors % 2 else 0.0, abs=3.0)


def test_label_turns_with_the_source_by_whole_sectors_and_normal_stays() -> None:
    for sectors in range(8):
        for azimuth_deg in (0.0, 22.4, 22.6, 100.0, 181.0, 337.0, 338.0):
            before, after = (azimuth_classes(azimuth_deg + turn)[0] for turn in (0.0, 45.0 * sectors))
            y = np.array([AZIMUTH_CLASSES.index(before)])
            assert AZIMUTH_CLASSES[augment.rotate_azimuth(y, sectors)[0]] == after
        assert augment.rotate_azimuth(np.array([0]), sectors)[0] == 0


def test_source_towards_the_north_turned_by_two_sectors_points_east(rng: np.random.Generator) -> None:
    power, cross = augment.rotate_field(*spectra(polarised_field(0.0, rng)), 90.0)
    assert power[1].sum() > 5 * power[0].sum()
    assert np.real(cross[2]).sum() > 0  # Z in phase with Y: the source, not its reverse
    assert AZIMUTH_CLASSES[augment.rotate_azimuth(np.array([1]), 2)[0]] == "E"


def test_masked_cell_stays_masked_when_turned(rng: np.random.Generator) -> None:
    field = polarised_field(0.0, rng)
    field[1, 1000:1100] = np.nan
    power, cross = augment.rotate_field(*spectra(field), 45.0)
    masked = np.isnan(spectra(field)[0][1, 0])
    assert np.isnan(power[:2, :, masked]).all()
    assert np.isnan(cross[:, :, masked]).all()
    assert np.isfinite(power[2]).all()


def test_power_alone_turns_by_quarters_which_exchange_h_and_d(rng: np.random.Generator) -> None:
    power_db, _ = stored(polarised_field(20.0, rng))
    seen = set()
    for number in range(24):
        turned, phasors, sectors = augment.augment_spectra(
            power_db, None, AugmentConfig(rotate=True), np.random.default_rng(number)
        )
        seen.add(sectors)
        assert phasors is None
        np.testing.assert_array_equal(turned, power_db[[1, 0, 2]] if sectors in (2, 6) else power_db)
    assert seen == {0, 2, 4, 6}


# Noise, gain, shift


def test_noise_has_the_ratio_asked_for_in_every_row(rng: np.random.Generator) -> None:
    power = np.broadcast_to(10.0 ** np.arange(-2.0, 2.0)[:, None], (3, 4, 4000)).astype(np.float32).copy()
    power[:, :, :50] = np.nan
    noisy, _ = augment.add_noise(power, None, 7.0, rng)
    added = (noisy - power)[..., 50:]
    np.testing.assert_array_equal(np.isnan(noisy), np.isnan(power))
    snr_db = 10 * np.log10(power[..., 50:].mean(axis=-1) / added.mean(axis=-1))
    np.testing.assert_allclose(snr_db, 7.0, atol=0.3)
    np.testing.assert_allclose(added.std(axis=-1) / added.mean(axis=-1), 1.0, atol=0.1)  # exponential
    np.testing.assert_allclose(np.median(added, axis=-1) / added.mean(axis=-1), np.log(2), atol=0.06)


def test_noise_lowers_the_coherence_as_its_ratio_says(rng: np.random.Generator) -> None:
    power = np.ones((3, 40, 400), dtype=np.float32)
    cross = np.full((3, 40, 400), 1j, dtype=np.complex64)  # one source, Y a quarter period off
    snr_db = 3.0
    noisy, crossed = augment.add_noise(power, cross, snr_db, rng)
    assert crossed is not None
    assert (np.abs(crossed) <= np.sqrt(noisy[[0, 2, 2]] * noisy[[1, 0, 1]]) * (1 + 1e-5)).all()
    coherency = crossed.mean(axis=(1, 2)) / np.sqrt(
        noisy.mean(axis=(1, 2))[[0, 2, 2]] * noisy.mean(axis=(1, 2))[[1, 0, 1]]
    )
    ratio = 10 ** (snr_db / 10)
    np.testing.assert_allclose(coherency, 1j * ratio / (1 + ratio), atol=0.02)


def test_silent_row_gets_no_noise_and_masked_row_stays_masked(rng: np.random.Generator) -> None:
    power = np.full((3, 2, 10), np.nan, dtype=np.float32)
    power[:, 1] = 1e-10
    noisy, _ = augment.add_noise(power, None, 10.0, rng)
    assert np.isnan(noisy[:, 0]).all()
    assert (noisy[:, 1] < 1e-9).all()


def test_gain_adds_the_same_decibels_to_all_components_and_leaves_the_phases(rng: np.random.Generator) -> None:
    power_db, phasors = stored(polarised_field(0.0, rng))
    gained, same, sectors = augment.augment_spectra(power_db, phasors, AugmentConfig(gain_db=6.0), rng)
    gain = gained - power_db.astype(np.float32)
    np.testing.assert_allclose(gain, gain[0, 0, 0], atol=1e-4)
    assert 0 < abs(gain[0, 0, 0]) <= 6.0
    np.testing.assert_array_equal(same, phasors)
    assert sectors == 0


@pytest.mark.parametrize("columns", [0, 5, -7, 32, -40])
def test_shift_moves_columns_and_masks_what_comes_in(columns: int) -> None:
    values = np.arange(64, dtype=np.float32).reshape(2, 32)
    shifted = augment.shift_in_time(values, columns)
    for column in range(32):
        source = column - columns
        if 0 <= source < 32:
            np.testing.assert_array_equal(shifted[:, column], values[:, source])
        else:
            assert np.isnan(shifted[:, column]).all()


def test_shift_moves_power_and_phase_alike(rng: np.random.Generator) -> None:
    power_db, phasors = stored(polarised_field(0.0, rng))
    moved, turned, _ = augment.augment_spectra(power_db, phasors, AugmentConfig(shift_columns=8), rng)
    assert turned is not None
    np.testing.assert_array_equal(np.isnan(moved[0, 0]), np.isnan(turned[0, 0, 0]))
    assert np.isnan(moved[0, 0]).any()


def test_nothing_happens_by_default(rng: np.random.Generator) -> None:
    power_db, phasors = stored(polarised_field(0.0, rng))
    same, turned, sectors = augment.augment_spectra(power_db, phasors, AugmentConfig(), rng)
    np.testing.assert_array_equal(same, power_db)
    np.testing.assert_array_equal(turned, phasors)
    assert sectors == 0
    spec = AugmentConfig()
    assert (spec.mixes, spec.masks, spec.changes_spectra) == (False, False, False)
    assert not augment.sample_mask(30, 40, spec, rng).any()


# Masks


def test_time_and_frequency_masks_are_bands_of_at_most_the_width_asked_for(rng: np.random.Generator) -> None:
    widths = set()
    for _ in range(100):
        mask = augment.sample_mask(30, 40, AugmentConfig(time_masks=1, time_mask_columns=6), rng)
        columns = np.flatnonzero(mask.any(axis=0))
        assert (mask[:, columns]).all()
        assert not len(columns) or columns[-1] - columns[0] + 1 == len(columns)
        widths.add(len(columns))
        mask = augment.sample_mask(30, 40, AugmentConfig(frequency_masks=1, frequency_mask_rows=4), rng)
        assert len(np.flatnonzero(mask.any(axis=1))) <= 4
        assert (mask == mask[:, :1]).all()
    assert widths == set(range(7))


@pytest.mark.parametrize("ratio", [0.1, 0.5])
@pytest.mark.parametrize("shape", [(224, 224), (47, 131)])
def test_grid_masks_the_share_that_its_ratio_says(ratio: float, shape: tuple[int, int]) -> None:
    shares = []
    for number in range(30):
        rng = np.random.default_rng(number)
        cells = int(rng.integers(16, 41))
        mask = augment.grid_mask(*shape, cells, ratio, rng)
        shares.append(mask.mean())
        periods = [max(1, round(size / cells)) for size in shape]
        rounding = sum(count / size for count, size in zip(periods, shape, strict=True))  # one row a period
        assert abs(shares[-1] - ratio) < rounding
    assert np.mean(shares) == pytest.approx(ratio, abs=0.01)


# MixUp, CutMix


def batch(rng: np.random.Generator) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Windows that hold their own number in every cell."""
    x = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None, None], (8, 3, 20, 30)).copy()
    magnitude = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    return x, (magnitude, np.where(magnitude == 0, 0, rng.integers(1, 9, 8)))


@pytest.mark.parametrize("method", ["mixup_alpha", "cutmix_alpha"])
def test_labels_of_both_tasks_are_mixed_in_the_share_of_the_cells(method: str, rng: np.random.Generator) -> None:
    x, labels = batch(rng)
    for number in range(20):
        generator = np.random.default_rng(number)
        mixed, *targets = augment.mix_batch(x, labels, AugmentConfig(**{method: 1.0}), generator)
        for target, y in zip(targets, labels, strict=True):
            assert target.dtype == np.float32
            np.testing.assert_allclose(target.sum(axis=1), 1.0, atol=1e-6)
            # windows are numbered, so the mean cell says which partner has which share
            values = {int(value): (mixed[0] == value).mean() for value in np.unique(mixed[0])}
            if method == "cutmix_alpha":
                expected = np.zeros(target.shape[1])
                for number_of_window, share in values.items():
                    expected[y[number_of_window]] += share
                np.testing.assert_allclose(target[0], expected, atol=1e-5)
        np.testing.assert_allclose(targets[0][:, 0], targets[1][:, 0], atol=1e-6)  # Normal in both tasks alike


def test_mixup_takes_cells_and_labels_from_the_same_partner() -> None:
    x = np.zeros((4, 1, 2, 2), dtype=np.float32)
    x[np.arange(4), 0, 0, 0] = 1.0
    y = np.arange(4)
    x_one_hot = np.zeros((4, 4, 1, 1), dtype=np.float32)
    x_one_hot[y, y] = 1.0
    mixed, magnitude, _ = augment.mix_batch(x_one_hot, (y, y), AugmentConfig(mixup_alpha=0.5), np.random.default_rng(3))
    np.testing.assert_array_equal(mixed[:, :, 0, 0], magnitude)
    assert (magnitude > 0).sum() > 4


def test_batches_that_are_not_mixed_still_hold_shares(rng: np.random.Generator) -> None:
    x, labels = batch(rng)
    spec = AugmentConfig(mixup_alpha=0.2, mix_probability=1e-9)
    same, magnitude, azimuth = augment.mix_batch(x, labels, spec, rng)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(magnitude.argmax(axis=1), labels[0])
    np.testing.assert_array_equal(azimuth.argmax(axis=1), labels[1])


def test_ranges_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(UsageError, match=r"augment\.noise_snr_low_db is 40\.0, above .*30\.0\. Swap them"):
        build_config({"augment": {"noise_snr_low_db": 40.0}})
