"""The noise floor: a known rms, the same for any rows and any cut of the recording."""

import numpy as np
import pytest

from fixtures.archive_files import FIRST, GTO, quiet_day
from seismag.archive.noise import noise_band_hz, noise_floor_nt, noise_floor_of
from seismag.config import DataConfig
from seismag.recordings import Recording
from seismag.spectrograms.compute import make_grid, power_spectrogram


def test_the_noise_floor_of_white_noise_is_its_rms_in_the_band(rng):
    """Bins 60 to 224 (0.1 to 0.3733 Hz) hold 165/600 Hz of density 2 s^2; the quietest tenth lies a little lower."""
    field = rng.normal(0, 0.012, (3, 21_600))
    expected = np.sqrt(2 * 0.012**2 * 165 / 600)
    assert noise_floor_nt(power_spectrogram(field, DataConfig()), DataConfig()) == pytest.approx(expected, rel=0.12)
    flat = np.full((3, 224, 224), 2 * 0.012**2, np.float32)
    assert noise_floor_nt(flat, DataConfig()) == pytest.approx(expected, rel=1e-5)


def test_the_noise_floor_does_not_depend_on_the_rows():
    linear, log = DataConfig(), DataConfig(frequency_rows="log")
    density = [np.broadcast_to((make_grid(s).frequency_hz**-2)[:, None], (3, len(make_grid(s).frequency_hz), 8))
               for s in (linear, log)]  # fmt: skip
    assert noise_floor_nt(density[1], log) == pytest.approx(noise_floor_nt(density[0], linear), rel=0.05)


def test_masked_columns_do_not_enter_the_noise_floor():
    power = np.full((3, 224, 224), 1e-4, np.float32)
    power[1, :, :100] = np.nan
    assert noise_floor_nt(power, DataConfig()) == pytest.approx(np.sqrt(1e-4 * 165 / 600), rel=1e-5)


def recording(field):
    return Recording("GTO", FIRST.astype("datetime64[ms]"), 1.0, field, "FRG-604RC", "0" * 64)


def test_the_band_is_that_of_the_rows_that_exist():
    assert noise_band_hz(make_grid(DataConfig()).frequency_hz) == pytest.approx((0.1, 224 / 600))
    assert noise_band_hz(make_grid(DataConfig(n_bins=60)).frequency_hz) == pytest.approx((0.1, 0.1))
    assert noise_band_hz(make_grid(DataConfig(n_bins=59)).frequency_hz) is None


def test_a_recording_has_the_median_floor_of_its_windows():
    spec, field = DataConfig(), quiet_day(GTO, FIRST)
    field[:, :21_600] += np.random.default_rng(5).normal(0, 1, (3, 21_600))  # one window of four
    floors = noise_floor_nt(power_spectrogram(field.reshape(3, 4, 21_600).swapaxes(0, 1), spec), spec)
    assert noise_floor_of(recording(field), spec) == pytest.approx(np.median(floors))
    assert noise_floor_of(recording(field[:, :21_600]), spec) == pytest.approx(floors[0])


def test_without_a_component_there_is_no_floor():
    field = quiet_day(GTO, FIRST)
    field[1] = np.nan
    assert np.isnan(noise_floor_of(recording(field), DataConfig()))
