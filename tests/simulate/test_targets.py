"""Which windows and which earthquakes are chosen for planting."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fixtures.archive_files import GTO
from seismag.domain import DataError
from seismag.simulate.injected_windows import Target
from seismag.simulate.targets import find_targets, require_same_inputs, sample_earthquake, spread_over_days
from seismag.windows.inputs import Inputs


def targets(days):
    start = np.datetime64("2021-01-01", "ms")
    times = [start + np.timedelta64(day, "D") for day in days]
    return [Target(f"w{i}", GTO, time, time + np.timedelta64(6, "h"), (), "") for i, time in enumerate(times)]


def test_a_second_window_of_a_day_comes_when_all_days_have_given_one():
    everything = targets([0, 0, 0, 1, 2, 2])
    assert len({target.day for target in spread_over_days(everything, 3, seed=1)}) == 3
    assert len(spread_over_days(everything, 5, seed=1)) == 5
    assert spread_over_days(everything, 99, seed=1) == everything


def test_another_seed_chooses_other_windows():
    everything = targets(range(50))
    assert spread_over_days(everything, 5, seed=1) != spread_over_days(everything, 5, seed=2)


def test_large_earthquakes_are_drawn_as_often_as_the_many_moderate_ones(rng):
    events = pd.DataFrame({"event_id": np.arange(101), "magnitude": [4.5] * 100 + [6.5]})
    drawn = [sample_earthquake(events, rng)["magnitude"].iloc[0] for _ in range(400)]
    assert 0.4 < np.mean(np.array(drawn) == 6.5) < 0.6


def test_windows_of_files_that_cannot_be_changed_are_counted_by_format(tmp_path):
    day = pd.Timestamp("2021-01-01")
    samples = pd.DataFrame({
        "sample_id": ["a", "b"], "station": "GTO", "start_utc": [day, day + pd.Timedelta(1, "D")],
        "end_utc": [day, day], "source_sha256": ["x", "y"],
    })  # fmt: skip
    days = pd.DataFrame({"station": "GTO", "day": samples["start_utc"], "verdict": "good",
                         "format": ["FRG-604RC", "CDF"], "paths": [["GTO/1"], ["GTO/2"]]})  # fmt: skip
    days.to_parquet(tmp_path / "days.parquet")
    store = SimpleNamespace(path=tmp_path, samples=samples)
    inputs = Inputs(tmp_path, {"GTO": GTO}, None, None, None)
    found, skipped = find_targets(store, inputs, samples["sample_id"])
    assert [(target.sample_id, target.paths) for target in found] == [("a", (tmp_path / "GTO/1",))]
    assert skipped == {"format_CDF": 1}


def test_a_store_of_pictures_has_no_files_to_plant_in(tmp_path):
    store = SimpleNamespace(path=tmp_path, attributes={"inputs": {"metadata": "abc"}})
    with pytest.raises(DataError, match="was not prepared from day files"):
        require_same_inputs(store, Inputs(tmp_path, {}, None, None, None))
