"""The background of real recordings, to which an injected emission refers."""

import numpy as np
import pytest

from seismag.recordings.days import DAY_S
from seismag.simulate.survey import band_power_nt2, reference_nt2


def test_the_quietest_half_is_the_lower_half_of_what_is_known():
    assert reference_nt2(np.array([[5.0, np.nan, 1.0], [100.0, 3.0, np.nan]])) == 2.0
    assert np.isnan(reference_nt2(np.full((4, 3), np.nan)))


def test_white_noise_has_its_share_of_power_in_the_band(rng):
    """Variance 1 a component spreads evenly over 0.5 Hz; H and D have 0.03 Hz of it each."""
    power = band_power_nt2(rng.normal(0, 1, (3, DAY_S)), (0.01, 0.04))
    assert power.shape == (4, 71)
    assert power.mean() == pytest.approx(2 * 0.03 / 0.5, rel=0.05)


def test_a_gap_leaves_no_background_in_its_segments(rng):
    field = rng.normal(0, 1, (3, DAY_S))
    field[0, 10_000] = field[0, 10_000:10_100] = np.nan
    power = band_power_nt2(field, (0.01, 0.04))
    assert 2 <= np.isnan(power).sum() <= 3
    assert not np.isnan(power[1:]).any()
