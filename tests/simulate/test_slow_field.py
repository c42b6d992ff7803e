from __future__ import annotations

import numpy as np
import pytest

from seismag.archive.quality import main_field
from seismag.domain import Station
from seismag.simulate import slow_field as module
from seismag.simulate.sites import make_site
from seismag.simulate.slow_field import slow_field

FIRST = np.datetime64("2021-03-01")
BOU = Station("BOU", 40.137, -105.237)


def test_daily_variation_is_one_of_daytime_and_larger_in_local_summer():
    site = make_site(BOU, 7, 0)
    summer, winter = (module._daily_variation(site, np.datetime64(day)) for day in ("2021-06-21", "2021-12-21"))
    local_h = (np.arange(1441) / 60 + site.station.longitude_deg / 15) % 24
    night = (local_h < 3) | (local_h > 21)
    assert np.abs(summer[:, night]).max() < 0.05 * np.abs(summer).max()
    assert np.ptp(summer[1]) / np.ptp(winter[1]) == pytest.approx(1.25 / 0.75, rel=0.02)
    equinox = module._daily_variation(site, np.datetime64("2021-03-21"))
    assert 65 < np.ptp(equinox[1]) < 90  # of D; seen in April 2014: 72 to 78 nT, activity included


def test_main_field_drifts_through_a_month_to_the_next():
    site = make_site(BOU, 7, 0)
    quiet = np.zeros(1441)
    for day, fraction in ((0, 0.0), (15, 15 / 31), (30, 30 / 31)):
        slow = slow_field(site, FIRST + day, quiet, 7, day)
        sq = module._daily_variation(site, FIRST + day)[:, :1] * module._day_factor(7, day)
        march, april = (np.array(main_field(site.station, np.datetime64(m)).hdz) for m in ("2021-03", "2021-04"))
        expected = march * (1 - fraction) + april * fraction + site.bias_nt
        np.testing.assert_allclose(slow[:, 0] - sq[:, 0], expected, atol=1e-6)
