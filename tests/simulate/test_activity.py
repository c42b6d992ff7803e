"""Kp and Dst: drawn with the habits of the real ones, or followed from files."""

import numpy as np
import pytest

from fixtures.measuring import configuration, flat_kp, write_index
from seismag.config import SimulateConfig
from seismag.domain import UsageError
from seismag.simulate.activity import (
    MARGIN_D,
    ROTATION_D,
    Activity,
    day_stream,
    dst_from_kp,
    make_activity,
    simulate_kp,
)


def test_kp_is_in_thirds_from_0_to_9_over_recordings_and_margins():
    kp = simulate_kp(configuration(days=100))
    assert kp.size == (100 + 2 * MARGIN_D) * 8
    np.testing.assert_allclose(kp * 3, np.round(kp * 3))
    assert kp.min() >= 0
    assert kp.max() <= 9


def test_kp_is_as_high_and_as_stormy_as_the_real_one():
    """1932-2020: mean 2.3 (GFZ), Kp of 5 and more in 6 % of the intervals; ours over 30 seeds of 400 days."""
    kp = np.concatenate([simulate_kp(SimulateConfig(days=400, seed=seed)) for seed in range(30)])
    assert 1.8 < kp.mean() < 2.8
    assert 0.02 < (kp >= 5).mean() < 0.10
    assert np.corrcoef(kp[:-1], kp[1:])[0, 1] > 0.7


def test_kp_returns_with_the_suns_rotation():
    """Autocorrelation at 27 days over that at 13 and 20 days, mean of 20 seeds."""
    lags = {}
    for lag_d in (13, 20, ROTATION_D):
        shift = int(lag_d * 8)
        kps = [simulate_kp(SimulateConfig(days=600, seed=seed)) for seed in range(20)]
        lags[lag_d] = np.mean([np.corrcoef(kp[:-shift], kp[shift:])[0, 1] for kp in kps])
    assert lags[ROTATION_D] > 0.1
    assert lags[ROTATION_D] > max(lags[13], lags[20]) + 0.1


def test_dst_of_steady_kp_is_the_balance_of_injection_and_decay():
    """Kp 2: none, +5 nT. Kp 6: -1.2 * 3.5^1.5 an hour over 1 - exp(-1/12)."""
    assert (dst_from_kp(np.full(80, 2.0)) == 5).all()
    expected = 5 - 1.2 * 3.5**1.5 / (1 - np.exp(-1 / 12))
    assert dst_from_kp(np.full(80, 6.0))[-1] == pytest.approx(expected, abs=0.6)


def test_the_ring_current_decays_to_1_over_e_in_12_hours():
    dst = dst_from_kp(np.array([8.0] * 8 + [0.0] * 16)) - 5
    assert dst[24 + 12 - 1] / dst[24 - 1] == pytest.approx(np.exp(-1), rel=0.03)


def test_indices_are_linear_between_the_middles_of_their_intervals():
    kp = np.zeros(62 * 8)
    kp[MARGIN_D * 8 : MARGIN_D * 8 + 2] = (3.0, 6.0)
    dst = np.zeros(62 * 24)
    dst[MARGIN_D * 24] = -50.0
    activity = Activity(kp, dst)
    np.testing.assert_allclose(activity.kp_at(np.array([5400.0, 10_800.0, 16_200.0])), [3, 4.5, 6])
    np.testing.assert_allclose(activity.dst_at(np.array([1800.0, 3600.0])), [-50, -25])


def test_files_are_followed(tmp_path):
    hours = 62 * 24
    dst = np.round(-20 + 10 * np.sin(np.arange(hours) / 9))
    kp_values = np.round(np.random.default_rng(1).uniform(0, 27, 62 * 8)) / 3
    activity = make_activity(
        configuration(
            days=2, kp=write_index(tmp_path / "k.csv", "kp", kp_values), dst=write_index(tmp_path / "d.csv", "dst", dst)
        )
    )
    np.testing.assert_allclose(activity.kp, kp_values, atol=1e-3)
    np.testing.assert_array_equal(activity.dst_nt, dst)


def test_without_a_dst_file_the_storms_of_the_kp_file_make_it(tmp_path):
    activity = make_activity(configuration(days=2, kp=flat_kp(tmp_path / "k.csv", 6.0, 2)))
    assert (activity.kp == 6).all()
    assert activity.dst_nt[-1] < -80


@pytest.mark.parametrize("name", ["kp", "dst"])
@pytest.mark.parametrize(("days", "start"), [(40, "2021-03-01"), (2, "2021-02-25")])
def test_a_file_that_does_not_cover_the_margins_is_refused(tmp_path, name, days, start):
    values = np.full((2 + 60) * (8 if name == "kp" else 24), 2.0)
    path = write_index(tmp_path / "index.csv", name, values)
    with pytest.raises(UsageError, match=rf"simulate\.{name} .*does not cover {start} and {days} days with 30.*Choose"):
        make_activity(configuration(days=days, start=start, **{name: path}))


def test_a_file_with_a_hole_is_refused(tmp_path):
    values = np.full(62 * 8, 2.0)
    values[100] = 99.0  # a fill value
    with pytest.raises(UsageError, match=r"simulate\.kp .*does not cover"):
        make_activity(configuration(days=2, kp=write_index(tmp_path / "k.csv", "kp", values)))


def test_days_before_the_first_have_streams_of_their_own():
    draws = {day: day_stream(7, 14, day=day).random() for day in (-1, 0, 1)}
    assert len(set(draws.values())) == 3
