"""The spectrogram against scipy, naive sums, tones, noise of known density, and gaps."""

import numpy as np
import pytest
from scipy import signal

from seismag.config import DataConfig
from seismag.spectrograms.compute import (
    bridge_short_gaps,
    make_grid,
    masked_frames,
    power_and_phasors,
    power_spectrogram,
    to_decibel,
)

SPEC = DataConfig()
N = 21_600
SECONDS = np.arange(N)
LEVELS = np.array([37_500.0, -30.0, -23_160.0])[:, None]  # main field at ALR, nT


@pytest.fixture(scope="module")
def field_nt():
    """Red noise on the main field, with a storm-like drift of 200 nT: (3, 21600)."""
    rng = np.random.default_rng(3)
    noise = np.cumsum(rng.normal(0, 0.02, (3, N)), axis=1) + rng.normal(0, 0.012, (3, N))
    return LEVELS + noise + np.linspace(0, 200, N)


@pytest.fixture(scope="module")
def power(field_nt):
    return power_spectrogram(field_nt, SPEC)


def three(component):
    return np.stack([component] * 3)


def scipy_segments(field_nt, mode):
    return signal.spectrogram(
        field_nt, fs=1.0, window="hann", nperseg=600, noverlap=506, detrend="linear", scaling="density", mode=mode
    )


def test_six_hours_give_224_rows_and_224_columns(power):
    grid = make_grid(SPEC)
    assert power.shape == (3, 224, 224)
    assert (grid.starts[0], grid.starts[-1]) == (0, 20_962)  # 223 x 94
    assert grid.starts[-1] + 600 == 21_562  # 38 s are left over
    np.testing.assert_allclose(grid.frequency_hz, np.arange(1, 225) / 600)
    np.testing.assert_allclose(grid.frequency_hz[[0, -1]], [0.00166667, 0.37333333], rtol=1e-5)
    np.testing.assert_allclose(grid.time_s, 300 + 94 * np.arange(224))


def test_a_tone_at_20_mhz_peaks_in_its_own_bin():
    field = three(LEVELS[0] + 0.5 * np.sin(2 * np.pi * 0.02 * SECONDS))
    power = power_spectrogram(field, SPEC)
    assert np.all(power[:, :, 5:-5].argmax(axis=1) == 11)  # bin 12 of 1/600 Hz
    assert make_grid(SPEC).frequency_hz[11] == pytest.approx(0.02)


def test_a_tone_of_amplitude_a_at_a_bins_centre_has_density_400_a2_and_integrates_to_half_its_square():
    """Hann: sum w = 300, sum w^2 = 225; |A/2 sum w|^2 x 2/225 = 400 A^2 at the peak, and a quarter of it on
    either side, so the integral over bins of 1/600 Hz is 400 x 1.5 / 600 A^2 / ... = A^2 / 2 after the 2/3."""
    amplitude = 0.7
    power = power_spectrogram(three(amplitude * np.cos(2 * np.pi * 60 / 600 * SECONDS)), SPEC)
    peak = 2 * (amplitude / 2 * 300) ** 2 / 225
    np.testing.assert_allclose(power[:, 59], peak, rtol=1e-3)
    np.testing.assert_allclose(power[:, [58, 60]], peak / 4, rtol=1e-2)
    np.testing.assert_allclose(power.sum(axis=1) / 600, amplitude**2 / 2, rtol=2e-3)


def test_white_noise_of_variance_s2_has_density_2_s2(rng):
    sigma = 0.012
    power = power_spectrogram(rng.normal(0, sigma, (3, N)) + LEVELS, SPEC)
    # 224 bins x about 36 independent columns x 3: the mean is known to better than 1 %; bin 1 loses to the trend
    assert power[:, 2:].mean() == pytest.approx(2 * sigma**2, rel=0.03)


def test_it_agrees_with_scipy_to_a_twentieth_of_a_decibel(field_nt, power):
    frequency, time, theirs = scipy_segments(field_nt, "psd")
    np.testing.assert_allclose(frequency[1:225], make_grid(SPEC).frequency_hz)
    np.testing.assert_allclose(time, make_grid(SPEC).time_s)
    assert np.abs(10 * np.log10(power / theirs[:, 1:225])).max() < 0.05


def test_one_cell_summed_by_hand(field_nt, power):
    """The definition, without an FFT: detrend by least squares, taper, sum, scale."""
    column, row = 100, 40
    segment = field_nt[0, column * 94 : column * 94 + 600]
    n = np.arange(600)
    line = np.polynomial.Polynomial.fit(n, segment, 1)
    tapered = (segment - line(n)) * (0.5 - 0.5 * np.cos(2 * np.pi * n / 600))
    transform = np.sum(tapered * np.exp(-2j * np.pi * (row + 1) * n / 600))
    assert power[0, row, column] == pytest.approx(2 * abs(transform) ** 2 / 225, rel=2e-3)


@pytest.mark.parametrize(("offset", "slope"), [(40_000.0, 0.01), (-60_000.0, -0.05)])
def test_level_and_trend_leave_no_trace(rng, offset, slope):
    quiet = rng.normal(0, 0.05, (3, N))
    with_both = power_spectrogram(quiet + offset + slope * SECONDS, SPEC)
    # 0.05 nT/s is 1080 nT in the window: its float32 step of 6e-5 nT is 50 dB below this noise
    np.testing.assert_allclose(10 * np.log10(with_both / power_spectrogram(quiet, SPEC)), 0, atol=0.5)
    assert np.median(np.abs(10 * np.log10(with_both / power_spectrogram(quiet, SPEC)))) < 0.01


def test_a_constant_field_has_no_power():
    assert power_spectrogram(three(np.full(N, 40_000.0)), SPEC).max() < 1e-12


def test_a_gap_masks_exactly_the_columns_that_it_touches(field_nt):
    field = field_nt.copy()
    field[1, 9_000:9_064] = np.nan
    expected = np.array([start < 9_064 and start + 600 > 9_000 for start in make_grid(SPEC).starts])
    assert expected.sum() == 7  # (600 + 63) / 94
    missing = np.isnan(power_spectrogram(field, SPEC))
    assert not missing[[0, 2]].any()
    np.testing.assert_array_equal(missing[1], np.broadcast_to(expected, (224, 224)))
    np.testing.assert_array_equal(masked_frames(field, SPEC)[1], expected)


@pytest.mark.parametrize(("sample", "columns"), [(0, [0]), (94, [0, 1]), (21_561, [223]), (21_562, []), (21_599, [])])
def test_the_borders_of_a_segment_belong_to_it(sample, columns):
    field = np.zeros((3, N))
    field[0, sample] = np.nan
    assert np.flatnonzero(masked_frames(field, SPEC)[0]).tolist() == columns


def test_a_gap_changes_nothing_in_other_columns_and_components(field_nt, power):
    field = field_nt.copy()
    field[1, 9_000:9_064] = np.nan
    field[2, :3] = np.nan
    gapped = power_spectrogram(field, SPEC)  # earlier code filled a 64 s gap with zeros: 0.1 nT became 234 nT
    untouched = ~masked_frames(field, SPEC)
    for component in range(3):
        np.testing.assert_array_equal(
            gapped[component][:, untouched[component]], power[component][:, untouched[component]]
        )


def test_windows_in_a_batch_are_those_taken_alone(field_nt, power):
    field = field_nt.copy()
    field[0, 5_000] = np.nan
    both = power_spectrogram(np.stack([field_nt, field]), SPEC)
    assert both.shape == (2, 3, 224, 224)
    np.testing.assert_allclose(both[0], power, rtol=2e-3)
    np.testing.assert_allclose(both[1], power_spectrogram(field, SPEC), rtol=2e-3)
    assert np.isnan(both[1, 0]).any()
    assert not np.isnan(both[0]).any()


def test_the_field_handed_in_is_left_alone(field_nt):
    field = field_nt.copy()
    field[0, 5_000] = np.nan
    before = field.copy()
    power_and_phasors(field, SPEC)
    np.testing.assert_array_equal(field, before)


def test_fewer_samples_than_a_segment_has_are_an_error():
    with pytest.raises(ValueError, match=r"599 samples at 1 Hz are fewer than those of a segment \(600\)"):
        power_spectrogram(np.zeros((3, 599)), SPEC)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_gaps_up_to_the_limit_are_bridged_by_a_straight_line(length):
    field = three(np.linspace(0, 100, 101))
    field[0, 50 : 50 + length] = np.nan
    bridged = bridge_short_gaps(field, 3)
    np.testing.assert_allclose(bridged, three(np.linspace(0, 100, 101)), atol=1e-12)
    assert np.isnan(field[0]).sum() == length  # the input keeps its gap


def test_longer_gaps_and_gaps_at_the_edges_stay():
    field = three(np.linspace(0, 100, 101))
    field[0, 50:54] = np.nan
    field[1, :2] = np.nan
    field[2, -1:] = np.nan
    np.testing.assert_array_equal(bridge_short_gaps(field, 3), field)


def test_two_gaps_around_one_sample_are_judged_one_by_one():
    field = three(np.arange(20.0))
    field[0, [5, 7]] = np.nan
    field[0, 9:14] = np.nan
    bridged = bridge_short_gaps(field, 3)
    assert np.flatnonzero(np.isnan(bridged[0])).tolist() == [9, 10, 11, 12, 13]
    assert bridged[0, [5, 7]].tolist() == [5.0, 7.0]


def test_bridging_can_be_switched_off_and_copies_nothing_without_a_gap():
    field = three(np.arange(20.0))
    assert bridge_short_gaps(field, 3) is field
    field[0, 5] = np.nan
    assert np.isnan(bridge_short_gaps(field, 0)[0, 5])


def naive_cross(field_nt):
    """S_ab = conj(a) b of each segment, density, from scipy's complex STFT: {pair: (224, 224)}."""
    _, _, spectra = scipy_segments(field_nt, "complex")
    x, y, z = spectra[:, 1:225]
    return {"XY": 2 * np.conj(x) * y, "ZX": 2 * np.conj(z) * x, "ZY": 2 * np.conj(z) * y}


def test_power_and_phasors_give_the_cross_spectrum_back(field_nt, power):
    same, phasors = power_and_phasors(field_nt, SPEC)
    np.testing.assert_allclose(same, power, rtol=1e-6)
    assert phasors.shape == (3, 2, 224, 224)
    cross = naive_cross(field_nt)
    for index, (name, a, b) in enumerate((("XY", 0, 1), ("ZX", 2, 0), ("ZY", 2, 1))):
        ours = (phasors[index, 0] + 1j * phasors[index, 1]) * np.sqrt(same[a] * same[b])
        assert np.abs(ours - cross[name]).max() / np.abs(cross[name]).max() < 1e-3, name
        assert np.median(np.abs(ours - cross[name]) / np.abs(cross[name])) < 1e-3, name


def test_z_that_lags_h_by_90_degrees_has_a_positive_imaginary_zx():
    """h = cos(wt) -> e^{iwt}; z = cos(wt - 90°) -> -i e^{iwt}; conj(z) h = (+i) = phase +90°."""
    phase = 2 * np.pi * 0.02 * SECONDS
    h, d, z = np.cos(phase), -np.cos(phase), np.cos(phase - np.pi / 2)
    _, phasors = power_and_phasors(np.stack([h, d, z]), SPEC)
    at_tone = phasors[:, :, 11].mean(axis=-1)
    np.testing.assert_allclose(at_tone, [[-1, 0], [0, 1], [0, -1]], atol=1e-3)  # XY, ZX, ZY


def test_phasors_are_masked_where_either_component_is(field_nt):
    field = field_nt.copy()
    field[1, 9_000:9_064] = np.nan  # D
    _, phasors = power_and_phasors(field, SPEC)
    touched = masked_frames(field, SPEC)[1]
    for index, has_d in enumerate((True, False, True)):  # XY, ZX, ZY
        expected = touched if has_d else np.zeros_like(touched)
        np.testing.assert_array_equal(np.isnan(phasors[index]).all(axis=(0, 1)), expected)
        np.testing.assert_array_equal(np.isnan(phasors[index]).any(axis=(0, 1)), expected)


def test_log_rows_average_their_bins(field_nt, power):
    spec = DataConfig(frequency_rows="log", n_log_rows=48)
    grid = make_grid(spec)
    assert (grid.bands[0], grid.bands[-1]) == (0, 224)  # every bin once
    assert np.all(np.diff(grid.bands) >= 1)
    assert len(grid.frequency_hz) == len(grid.bands) - 1 <= 48
    rows = power_spectrogram(field_nt, spec)
    slow = np.stack([power[:, low:high].mean(axis=1) for low, high in zip(grid.bands, grid.bands[1:], strict=False)], 1)
    np.testing.assert_allclose(rows, slow, rtol=1e-4)
    first, last = grid.bands[:-1] + 1, grid.bands[1:]
    np.testing.assert_allclose(grid.frequency_hz, np.sqrt(first * last) / 600)
    assert np.all(np.diff(np.log(grid.frequency_hz)) > 0)


def test_the_length_of_a_phasor_in_a_log_row_is_a_coherence(field_nt):
    spec = DataConfig(frequency_rows="log", n_log_rows=48)
    power, phasors = power_and_phasors(field_nt, spec)
    length = np.hypot(phasors[:, 0], phasors[:, 1])
    widths = np.diff(make_grid(spec).bands)
    assert length.max() <= 1 + 1e-4
    np.testing.assert_allclose(length[:, widths == 1], 1, atol=1e-4)
    assert np.median(length[:, widths >= 10]) < 0.6  # independent components, about 1/sqrt(bins)
    coherent = np.stack([field_nt[0], 2 * field_nt[0], -field_nt[0]])
    _, phasors = power_and_phasors(coherent, spec)
    np.testing.assert_allclose(phasors[0, 0], 1, atol=1e-3)
    np.testing.assert_allclose(phasors[1, 0], -1, atol=1e-3)
    low, high = make_grid(spec).bands[-2:]
    cross = naive_cross(field_nt)["XY"][low:high].mean(axis=0)
    _, phasors = power_and_phasors(field_nt, spec)
    ours = (phasors[0, 0, -1] + 1j * phasors[0, 1, -1]) * np.sqrt(power[0, -1] * power[1, -1])
    np.testing.assert_allclose(ours, cross, atol=2e-3 * np.abs(cross).max())


def test_decibels_are_ten_times_the_logarithm():
    values = np.array([1.0, 10.0, 1e-3, 2.0], dtype=np.float32)
    np.testing.assert_allclose(to_decibel(values), [0, 10, -30, 3.0103], atol=2e-3)
    assert to_decibel(values).dtype == np.float16


def test_decibels_keep_the_mask_and_floor_a_dead_component():
    result = to_decibel(np.array([np.nan, 0.0, 1e-30], dtype=np.float32))
    assert np.isnan(result[0])
    assert result[1:].tolist() == [-100.0, -100.0]


def test_float16_decibels_err_by_less_than_a_fiftieth_of_a_decibel():
    values = np.logspace(-6, 6, 2001, dtype=np.float64).astype(np.float32)
    assert np.abs(to_decibel(values).astype(float) - 10 * np.log10(values.astype(float))).max() < 0.02
