"""Detectors that know the band: sums by hand, the filter in noise of known covariance, statistics of other days."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seismag.config import DataConfig, EmissionConfig
from seismag.recovery.matched import (
    DETECTORS,
    Background,
    Bands,
    BandSums,
    KnownBand,
    fit_known_band,
    matched_features,
)
from seismag.simulate.emission import _waveform
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra

EMISSION = EmissionConfig(low_mhz=10, high_mhz=40)
SPEC = DataConfig(step_s=600, frequency_rows="log", n_log_rows=48, cross_spectra=True)
FREQUENCY_HZ = make_grid(SPEC).frequency_hz
BANDS = Bands.of(FREQUENCY_HZ, EMISSION)


def windows(n: int, seed: int, snr: float = 0.0, azimuth_deg: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Spectrograms of white noise of 1 nT in each component, with an emission of that SNR in its band."""
    rng = np.random.default_rng(seed)
    power, phasors = [], []
    for _ in range(n):
        field = rng.normal(size=(3, 21_600))
        along, quadrature = _waveform(EMISSION, rng)[:, :21_600]
        in_band = 2 * 0.03 / 0.5  # variance of the noise of H and D in the band of 30 mHz
        angle = np.radians(azimuth_deg)
        wave = np.stack([np.cos(angle) * along, np.sin(angle) * along, EMISSION.z_ratio * quadrature])
        spectra = window_spectra(field + np.sqrt(snr * in_band) * wave, SPEC, cross=True)
        power.append(spectra.power_db[0])
        phasors.append(spectra.phasors[0])
    return np.array(power), np.array(phasors)


@pytest.fixture(scope="module")
def noise() -> tuple[np.ndarray, np.ndarray]:
    return windows(150, 1)


def test_bands_are_those_of_the_emission_and_do_not_mix() -> None:
    mhz = FREQUENCY_HZ * 1000
    assert (BANDS.inside == ((mhz >= 10) & (mhz < 40))).all()
    assert (BANDS.above == ((mhz >= 80) & (mhz < 160))).all()
    used = BANDS.part >= 0
    assert (mhz[used] >= 2.5).all()
    assert (mhz[used] < 160).all()
    assert (BANDS.is_inside[BANDS.part[used]] == BANDS.inside[used]).all()
    values = np.arange(len(mhz), dtype=float)
    means = [values[BANDS.part == k].mean() for k in range(len(BANDS.is_inside))]
    assert BANDS.mean(values) == pytest.approx(means)


def test_sums_of_a_constant_spectrogram_by_hand() -> None:
    power_db = np.zeros((3, len(FREQUENCY_HZ), 4))
    power_db[0] += 10  # H: 10, D and Z: 1 nT²/Hz
    power_db[:2, BANDS.above] += 10
    power_db[1, :, 0] = np.nan
    phasors = np.zeros((3, 2, len(FREQUENCY_HZ), 4))
    phasors[1, 1] = -0.5  # Im S_ZX
    sums = BandSums.of(power_db, phasors, BANDS)
    width = BANDS.width_mhz[BANDS.inside].sum()
    assert sums.power == pytest.approx([40 * width, 3 * width, 4 * width])
    assert sums.ratio == pytest.approx(np.log(43 / 7 / (430 / 7)))
    assert sums.cross.imag == pytest.approx([-0.5 * np.sqrt(10) * 4 * width, 0])
    assert sums.quadrature == pytest.approx(np.arctanh(2 * np.sqrt(10) / np.sqrt(4 * 43)))
    assert sums.detector == sums.quadrature
    assert sums.azimuth_deg == pytest.approx(0)
    plain = BandSums.of(power_db, None, BANDS)
    assert plain.detector == plain.ratio == sums.ratio
    assert plain.azimuth_deg == pytest.approx(np.degrees(np.arctan2(np.sqrt(3), np.sqrt(40))))
    with pytest.raises(ValueError, match="no cross-spectra"):
        _ = plain.quadrature


@pytest.mark.parametrize("azimuth_deg", [20.0, 145.0, 250.0])
def test_the_azimuth_of_a_strong_emission_is_found(azimuth_deg: float) -> None:
    power_db, phasors = windows(1, 3, snr=30.0, azimuth_deg=azimuth_deg)
    sums = BandSums.of(power_db[0], phasors[0], BANDS)
    assert (sums.azimuth_deg - azimuth_deg + 180) % 360 - 180 == pytest.approx(0, abs=5)


def test_features_of_an_emission_increase_inside_its_band_alone(noise) -> None:
    features = matched_features(*noise, BANDS)
    strong = matched_features(*windows(20, 2, snr=1.0), BANDS)
    difference = strong.mean(axis=0) - features.mean(axis=0)
    assert difference[0, BANDS.is_inside].min() > 0.3
    assert difference[0, BANDS.is_inside].mean() > difference[1, BANDS.is_inside].mean() > 0.2
    assert np.abs(difference[:2, ~BANDS.is_inside]).max() < 0.2
    direction = np.degrees(np.arctan2(*difference[2:, BANDS.is_inside].mean(axis=1)[::-1]))
    assert direction == pytest.approx(60, abs=6)


def test_the_filter_is_the_best_linear_one_in_noise_of_known_covariance() -> None:
    """The shift of the mean in standard deviations comes near sqrt(s' C^-1 s), that of the matched filter."""
    rng = np.random.default_rng(5)
    is_inside = np.array([False, True, True, True, False, False])
    bands = replace(BANDS, is_inside=is_inside)
    mixing, mean = np.eye(12) + 0.2 * rng.normal(size=(12, 12)), rng.normal(size=12)
    noise, fresh = ((mean + rng.normal(size=(4000, 12)) @ mixing.T).reshape(-1, 2, 6) for _ in range(2))
    background = Background.of(noise, bands)
    emission = np.concatenate([is_inside, 0.25 * is_inside])
    increase = emission * np.exp(-mean)
    shift = background.statistic(fresh + increase.reshape(2, 6)) - background.statistic(fresh)
    best = np.sqrt(increase @ np.linalg.solve(mixing @ mixing.T, increase))
    assert background.statistic(fresh).std() == pytest.approx(1, abs=0.05)
    assert 0.95 * best < shift.mean() <= 1.05 * best


def test_the_filter_finds_weaker_emissions_than_a_comparison_within_the_window(noise) -> None:
    power_db, phasors = noise
    weak = windows(60, 7, snr=0.1)
    area = {}
    for name, parts in (("power", (None, None)), ("cross", (phasors, weak[1]))):
        first = None if parts[0] is None else phasors[:100]
        background = Background.of(matched_features(power_db[:100], first, BANDS), BANDS)
        without, found = (
            background.statistic(matched_features(power, part, BANDS))
            for power, part in ((power_db[100:], None if parts[0] is None else phasors[100:]), (weak[0], parts[1]))
        )
        area[name] = stats.mannwhitneyu(found, without).statistic / len(found) / len(without)
    ratios = [[BandSums.of(power, None, BANDS).ratio for power in each] for each in (power_db[100:], weak[0])]
    within = stats.mannwhitneyu(ratios[1], ratios[0]).statistic / len(ratios[0]) / len(ratios[1])
    assert area["power"] > within
    assert area["power"] > 0.9


class Stored:
    """The parts of a store that are read."""

    def __init__(self, power: np.ndarray, samples: pd.DataFrame) -> None:
        self.power, self.cross, self.samples, self.frequency_hz = power, None, samples, FREQUENCY_HZ


def test_backgrounds_are_those_of_other_days(noise, monkeypatch: pytest.MonkeyPatch) -> None:
    power = noise[0].copy()
    start = np.datetime64("2021-01-01", "ms") + np.arange(150) // 2 * np.timedelta64(1, "D")
    samples = pd.DataFrame({"station": np.where(np.arange(150) % 2, "GTO", "ALR"), "start_utc": start})
    monkeypatch.setattr("seismag.recovery.matched.read_samples", lambda array, first, last: array[first:last])
    first, scores = fit_known_band(Stored(power, samples), np.arange(150), EMISSION, cross=False)
    assert set(scores) == set(DETECTORS)
    assert len(first.backgrounds) == 20  # two stations, ten folds of days
    power[0] += 20  # a loud day changes the statistics of other days, not the background of its own fold
    second, louder = fit_known_band(Stored(power, samples), np.arange(150), EMISSION, cross=False)
    assert np.array_equal(first.backgrounds["ALR", 0].mean, second.backgrounds["ALR", 0].mean)
    assert not np.array_equal(first.backgrounds["ALR", 5].mean, second.backgrounds["ALR", 5].mean)
    assert 0.7 < scores["matched"].std() < 1.6  # 1 on the days it was learnt from
    again = first.score(noise[0][:1], None, "ALR", start[0])
    assert again["matched"][0] == scores["matched"][0]
    assert again["within_window"][0] == scores["within_window"][0]
    assert louder["within_window"][0] == pytest.approx(scores["within_window"][0], abs=1e-2)


def test_a_window_without_a_known_bin_gives_no_alarm(noise) -> None:
    background = Background.of(matched_features(noise[0], None, BANDS), BANDS)
    detectors = KnownBand(BANDS, False, np.array([]), {("GTO", 0): background})
    found = detectors.score(np.full((1, 3, len(FREQUENCY_HZ), 4), np.nan), None, "GTO", np.datetime64("2021-01-01"))
    assert {name: list(values) for name, values in found.items()} == {name: [-np.inf] for name in DETECTORS}
