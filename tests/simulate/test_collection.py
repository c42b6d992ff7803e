"""Which days of an archive have files, with ``collected: stretches``."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.measuring import configuration
from seismag.simulate.collection import DAYS_A_STRETCH, STRETCH_D, control_stretches, days_before_events
from seismag.simulate.emission import events_in_range
from seismag.simulate.plan import make_plan

NO_ARTEFACTS = {"missing_day_fraction": 0.0, "missing_blocks_per_year": 0.0}


@pytest.fixture(scope="module")
def plan():
    quakes = {"per_station_year": 8.0, "max_magnitude": 6.0}
    return make_plan(
        configuration(
            days=500, stations=["GTO", "ALR"], collected="stretches", earthquakes=quakes, artefacts=NO_ARTEFACTS
        )
    )


def lengths_of_stretches(days) -> list[int]:
    text = "".join("x" if day else " " for day in days)
    return [len(part) for part in text.split()]


def test_stretches_are_the_days_before_events_and_days_far_from_any(plan) -> None:
    for index, site in enumerate(plan.sites):
        before = days_before_events(plan.events, site.station, plan.first, plan.spec.days)
        written = plan.written[index]
        assert written[before].all()
        others = np.flatnonzero(written & ~before)
        assert 0 < len(others) <= STRETCH_D * (before.sum() // DAYS_A_STRETCH)
        origins = events_in_range(plan.events, site.station)["origin_utc"].to_numpy()
        for day in others:  # the slow way: every window of the day is Normal
            start = (plan.first + day).astype("M8[ms]")
            from_start_d = (origins - start) / np.timedelta64(1, "D")
            assert not ((from_start_d >= -7) & (from_start_d < 15)).any()


def test_control_stretches_are_whole_and_apart() -> None:
    rng = np.random.default_rng(1)
    quiet = rng.random(400) < 0.93
    chosen = control_stretches(quiet, 1000, rng)
    assert not chosen[~quiet].any()
    assert set(lengths_of_stretches(chosen)) == {STRETCH_D}
    assert lengths_of_stretches(control_stretches(quiet, 2, rng)) == [STRETCH_D, STRETCH_D]


def test_no_control_stretch_fits_into_fewer_days() -> None:
    assert not control_stretches(np.ones(STRETCH_D - 1, dtype=bool), 5, np.random.default_rng(0)).any()
