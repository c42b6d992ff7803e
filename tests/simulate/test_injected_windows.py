"""Planted windows are those that ``prepare`` makes of a file with the emission in it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fixtures.archive_files import FIRST, GTO, KEEP_ALL, write_catalogue, write_days
from seismag.config import EmissionConfig
from seismag.domain import DataError
from seismag.parallel import silent
from seismag.recordings import read_recording
from seismag.recordings.additions import add_to_file
from seismag.simulate.emission import events_in_range
from seismag.simulate.inject import emission_of_file
from seismag.simulate.injected_windows import (
    Target,
    emission_over,
    find_targets,
    make_twins,
    measure_backgrounds,
    require_same_inputs,
    sample_earthquake,
    spread_over_days,
    window_stream,
)
from seismag.simulate.survey import mean_between, reference_nt2
from seismag.windows.inputs import Inputs, read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store

SPEC = KEEP_ALL.model_copy(update={"step_s": 600, "cross_spectra": True})
EVENT = pd.DataFrame({"event_id": ["near"], "origin_utc": [np.datetime64("2020-01-01")], "latitude_deg": [1.2],
                      "longitude_deg": [123.6], "depth_km": [20.0], "magnitude": [5.5], "parent_id": [""]})  # fmt: skip


def emission(**values):
    return EmissionConfig.model_validate({"snr": 100.0} | values)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plant") / "archive"
    write_days(folder, GTO, [FIRST, FIRST + 1], packed=True)
    return folder


def prepared(archive, out):
    catalog = write_catalogue(out.parent / "catalogue.csv")
    prepare_store(read_inputs(archive, None, [catalog], None, None), out, SPEC)
    return open_store(out)


@pytest.fixture(scope="module")
def store(archive, tmp_path_factory):
    return prepared(archive, tmp_path_factory.mktemp("store") / "store")


@pytest.fixture(scope="module")
def target(archive, store):
    row = store.samples.iloc[1]
    start, end = (np.datetime64(time, "ms") for time in (row["start_utc"], row["end_utc"]))
    path = next((archive / "GTO").glob("S210301*"))
    return Target(row["sample_id"], GTO, start, end, (path,), row["source_sha256"])


def injected(target, spec, seed=3):
    event = events_in_range(EVENT, GTO)
    return emission_over(target, event, 1e-3, spec, window_stream(seed, target.sample_id))


def test_twins_are_the_windows_that_prepare_makes_without_and_with_the_emission(archive, store, target, tmp_path):
    spec = emission()
    source = injected(target, spec)
    twins = make_twins(target, source, [0.25, 1.0], SPEC, (spec, 3))
    np.testing.assert_array_equal(twins.power_db[0], store.power[1])
    np.testing.assert_array_equal(twins.phasors[0], store.cross[1])
    changed = tmp_path / "changed" / "archive"
    shutil.copytree(archive, changed)
    path = target.paths[0]
    recording = read_recording(path)
    added = emission_of_file(recording, GTO, (source,), spec, 3)
    (changed / "GTO" / path.name).write_bytes(add_to_file(path.read_bytes(), path, recording, added).raw)
    again = prepared(changed, tmp_path / "changed" / "store")
    np.testing.assert_array_equal(twins.power_db[2], again.power[1])
    np.testing.assert_array_equal(twins.phasors[2], again.cross[1])
    assert twins.reasons == ("", "", "")


def test_power_in_the_band_rises_by_the_strength_asked_for(target):
    spec = emission(low_mhz=20, high_mhz=40)
    source = injected(target, spec)
    twins = make_twins(target, source, [0.5], SPEC, (spec, 3))
    frequency_hz = np.arange(1, 225) / 600
    inside = (frequency_hz >= 0.018) & (frequency_hz <= 0.042)
    power = 10 ** (twins.power_db.astype(float) / 10)  # (2, 3, F, T)
    gained_nt2 = np.nanmean(power[1] - power[0], axis=-1)[:, inside].sum(axis=-1) / 600
    assert gained_nt2[:2].sum() == pytest.approx(0.5 * source.power_nt2, rel=0.1)
    assert gained_nt2[2] == pytest.approx(0.25 * gained_nt2[:2].sum(), rel=0.15)  # z_ratio 0.5 in amplitude


def test_a_long_emission_covers_the_window_and_a_short_one_lies_in_its_middle(target):
    for number in range(20):
        long = injected(target, emission(lead_h=30, duration_h=20), seed=number)
        assert long.start_utc <= target.start_utc
        assert long.end_utc >= target.end_utc
        assert long.origin_utc - long.start_utc == np.timedelta64(30, "h")
    short = injected(target, emission(lead_h=30, duration_h=2))
    assert short.start_utc - target.start_utc == target.end_utc - short.end_utc == np.timedelta64(2, "h")


def test_strength_follows_the_law_of_magnitude_and_distance(target):
    spec = emission(magnitude_exponent=1.0, distance_exponent=2.0)
    source = injected(target, spec)
    model = 10 ** (1.0 * 0.5) / (source.distance_km / 100) ** 2
    assert source.power_nt2 == pytest.approx(100 * 1e-3 * model)


def test_the_background_of_a_window_is_that_of_its_own_segments(target):
    (segments,) = measure_backgrounds([target], emission(), silent)
    assert segments.size == 4 * 71
    assert reference_nt2(segments) < segments.max()
    assert mean_between(segments, target.start_utc, target.end_utc) == pytest.approx(segments[71:142].mean())
    hour = target.start_utc + np.timedelta64(1, "h")
    assert mean_between(segments, target.start_utc, hour) == pytest.approx(segments[71:82].mean())  # starts 0 to 3000 s


def test_files_that_are_gone_or_others_are_named(target, tmp_path):
    with pytest.raises(DataError, match=r"S210301\.GTO\.gz: not there, but GTO-2021-03-01T06 was made of it"):
        measure_backgrounds([replace(target, paths=(tmp_path / target.paths[0].name,))], emission(), silent)
    with pytest.raises(DataError, match=r"its sha256 differs.*--archive names the folder"):
        measure_backgrounds([replace(target, sha256="0" * 64)], emission(), silent)


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
