"""The daily wave of geomagnetic power shows whether a clock keeps UTC."""

import numpy as np
import pytest

from fixtures.geomagnetic_store import FAST, LONGITUDE_DEG, make_field, make_samples, make_store
from seismag.audit.checks.clock import (
    check_clock,
    correct_clock,
    largest_change,
    null_of_largest,
    wave_hour,
)


def sums_of(local_h: np.ndarray, power: np.ndarray) -> np.ndarray:
    c, s = np.cos(2 * np.pi / 24 * local_h), np.sin(2 * np.pi / 24 * local_h)
    one = np.ones_like(c)
    return np.stack([one, c, s, power, c * c, s * s, c * s, c * power, s * power, power**2], axis=-1).sum(axis=-2)


@pytest.mark.parametrize("peak", [0.5, 11.0, 19.25])
def test_the_hour_of_a_wave_without_noise_is_exact(peak):
    local_h = np.arange(3, 40, 0.7)  # not whole days: level and wave are fitted together
    hour, error = wave_hour(sums_of(local_h, 5 + 3 * np.cos(2 * np.pi / 24 * (local_h - peak))))
    assert hour == pytest.approx(peak, abs=1e-6)
    assert error == pytest.approx(0, abs=1e-5)


def test_the_error_of_the_hour_is_the_scatter_over_repetitions(rng):
    local_h = np.arange(0, 24 * 8, 1.0)
    power = 3 * np.cos(2 * np.pi / 24 * (local_h - 11)) + rng.normal(0, 2, (4000, local_h.size))
    hour, error = wave_hour(np.stack([sums_of(local_h, row) for row in power]))
    assert error.mean() == pytest.approx(hour.std(), rel=0.05)
    # by hand: sigma / (A sqrt(n/2)) radians
    assert hour.std() == pytest.approx(2 / (3 * np.sqrt(local_h.size / 2)) * 24 / (2 * np.pi), rel=0.05)


def test_hours_that_all_lie_together_leave_the_hour_unknown():
    assert wave_hour(sums_of(np.full(30, 5.0), np.arange(30.0)))[1] == 12


def test_a_correction_is_a_shift_of_the_hours(rng):
    local_h = np.tile(np.arange(24.0), (20, 1)) + 0.3
    shift = np.where(np.arange(20) >= 9, 7.0, 0.0)[:, None]
    power = 4 * np.cos(2 * np.pi / 24 * (local_h - shift - 11)) + rng.normal(0, 1, local_h.shape)
    sums = sums_of(local_h, power)
    change = largest_change(sums)
    assert (round(change.shift_h), change.block) == (7, 9)
    assert change.score > 20
    late = np.arange(20) >= 9
    assert correct_clock(sums)[~late] == pytest.approx(sums[~late])
    assert correct_clock(sums)[late] == pytest.approx(sums_of(local_h[late] - change.shift_h, power[late]))


def test_p_is_uniform_where_the_clock_is_right(rng):
    p_values = []
    for _ in range(60):
        local_h = np.tile(np.arange(24.0), (20, 1))
        power = 3 * np.cos(2 * np.pi / 24 * (local_h - 11)) + rng.normal(0, 4, local_h.shape)
        sums = sums_of(local_h, power)
        p_values.append(null_of_largest([sums], 99, rng).p_value(largest_change(sums).score))
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.05) < 0.15


def test_clocks_in_order_pass(rng):
    samples = make_samples(["GTO", "ALR"], 100)
    result = check_clock(make_store(samples, make_field(samples, rng)), FAST)
    assert result.p_value > 0.01
    assert result.blocking
    assert 0 <= result.placebo_rate <= 0.2
    assert result.details["stations"]["GTO"]["peak_local_h"] == pytest.approx(11, abs=0.5)


def test_a_station_that_changes_to_local_time_is_named_with_the_hours_and_the_date(rng):
    samples = make_samples(["GTO", "ALR"], 100)
    late = (samples["station"] == "ALR") & (samples["start_utc"] >= "2021-02-20")
    power = make_field(samples, rng, shift_h=np.where(late, 8.0, 0.0))
    result = check_clock(make_store(samples, power), FAST)
    assert result.p_value <= 2 / 1000
    assert result.above_minimum
    assert "daily wave of ALR moves by +" in result.sentence
    found = result.details["stations"]["ALR"]
    assert found["largest_shift_h"] == pytest.approx(8, abs=0.5)
    assert abs(np.datetime64(found["from"]) - np.datetime64("2021-02-20")) <= np.timedelta64(10, "D")


def test_a_station_that_never_knew_utc_peaks_at_night(rng):
    samples = make_samples(["GTO", "ALR"], 100)
    wrong = samples["station"] == "GTO"
    power = make_field(samples, rng, shift_h=np.where(wrong, 8.0, 0.0))
    result = check_clock(make_store(samples, power), FAST)
    assert result.p_value < 1e-4
    assert result.details["p_change"] > 0.01
    assert result.above_minimum
    assert "GTO is the farthest from midday, at 19" in result.sentence


def test_a_season_that_makes_the_wave_higher_is_no_error():
    samples = make_samples(["GTO"], 150)
    fraction = (samples["start_utc"] - samples["start_utc"].min()) / (150 * np.timedelta64(1, "D"))
    quiet, loud = (make_field(samples, np.random.default_rng(3), wave_db=height) for height in (2.0, 6.0))
    power = quiet + fraction.to_numpy()[:, None, None, None] * (loud - quiet)
    assert check_clock(make_store(samples, power), FAST).p_value > 0.01


def test_too_few_windows_and_pictures_leave_the_clock_inconclusive(rng):
    samples = make_samples(list(LONGITUDE_DEG), 15)
    result = check_clock(make_store(samples, make_field(samples, rng)), FAST)
    assert result.p_value is None
    assert "no station has 40 windows in 15 blocks" in result.sentence
    pictures = check_clock(make_store(samples, make_field(samples, rng), origin="legacy_image"), FAST)
    assert pictures.p_value is None
    assert "no power at 10 to 45 mHz" in pictures.sentence
