"""What is decided before the first day: stations, days, defects; and refusals of what cannot be simulated."""

import itertools

import numpy as np
import pandas as pd
import pytest

from fixtures.measuring import (
    band_power,
    configuration,
    contents,
    day_files,
    flat_kp,
    read_days,
    simulate,
    write_events,
)
from seismag.archive.catalogs import read_catalogs
from seismag.archive.stations import read_stations
from seismag.config import build_config
from seismag.domain import DataError, UsageError
from seismag.recordings import read_recording
from seismag.simulate.collection import STUDY_OTHERS
from seismag.simulate.emission import events_in_range
from seismag.simulate.plan import CHANGED_SENSOR_NOISE, COPIED_FRACTION, make_plan
from seismag.simulate.synthetic_archive import COLUMN_SHIFT, simulate_day, true_day, truth_table

GTO = read_stations()["GTO"]


def days_with_a_window_before(plan, index):
    """The slow way: days on which a window of 6 h ends within 48 h before an event in range."""
    result = set()
    for origin in events_in_range(plan.events, plan.sites[index].station)["origin_utc"]:
        for day in range(plan.spec.days):
            ends = (plan.first + day).astype("M8[ms]") + np.arange(6, 25, 6) * np.timedelta64(1, "h")
            if ((ends <= origin) & (ends + np.timedelta64(48, "h") > origin)).any():
                result.add(day)
    return result


# ---- collected ----


def test_a_study_holds_the_days_before_events_and_three_times_as_many_others():
    plan = make_plan(configuration(days=200, stations=["GTO", "ALR"], collected="study"))
    for index, row in enumerate(plan.written):
        before = days_with_a_window_before(plan, index)
        assert before <= set(np.flatnonzero(row))
        padded = row.sum() / (1 + STUDY_OTHERS)  # the plan counts the day of the event itself as well
        assert len(before) <= padded <= 1.5 * len(before)
    everything = make_plan(configuration(days=200, stations=["GTO", "ALR"]))
    assert everything.written.all()
    assert (everything.source_day == np.arange(200)).all()
    assert not everything.clock_offset_s.any()


def test_missing_days_of_a_study_stay_missing():
    artefacts = configuration().artefacts.model_copy(update={"missing_day_fraction": 0.5}).model_dump()
    plan = make_plan(configuration(days=200, collected="study", artefacts=artefacts))
    for row, history in zip(plan.written, plan.histories, strict=True):
        assert not (row & history.missing).any()


# ---- defects ----


def test_the_fault_clock_shifts_the_second_half_to_local_time(tmp_path):
    """Every second station; ALR at 124.6 degrees east: eight hours ahead, so 8 h of the day before come first."""
    archive = simulate(tmp_path / "a", days=4, stations=["GTO", "ALR"], defect="clock")
    plan = make_plan(configuration(days=4, stations=["GTO", "ALR"], defect="clock"))
    np.testing.assert_array_equal(plan.clock_offset_s, [[0, 0, 0, 0], [0, 0, 28_800, 28_800]])
    true = np.concatenate([true_day(plan, 1, day) for day in range(4)], axis=1)
    field = read_days(archive, "ALR")
    np.testing.assert_allclose(field[:, : 2 * 86_400], true[:, : 2 * 86_400], atol=0.0051)
    shifted = true[:, 2 * 86_400 - 28_800 : 4 * 86_400 - 28_800]
    np.testing.assert_allclose(field[:, 2 * 86_400 :], shifted, atol=0.0051)
    right = np.concatenate([true_day(plan, 0, day) for day in range(4)], axis=1)
    np.testing.assert_allclose(read_days(archive, "GTO"), right, atol=0.0051)


@pytest.mark.parametrize("longitude_h", [-7, 8])
def test_a_clock_can_be_behind_and_ahead(tmp_path, longitude_h):
    (tmp_path / "s.csv").write_text(f"code,latitude_deg,longitude_deg\nXYZ,10,{longitude_h * 15}\n")
    spec = configuration(days=2, stations=["XYZ"], station_file=str(tmp_path / "s.csv"), defect="clock")
    plan = make_plan(spec)
    assert plan.clock_offset_s[0, 1] == 3600 * longitude_h
    true = np.concatenate([true_day(plan, 0, day) for day in range(3)], axis=1)
    start = 86_400 - 3600 * longitude_h  # what was at this second is stamped 00:00 of the second day
    np.testing.assert_array_equal(simulate_day(plan, 0, 1), true[:, start : start + 86_400])


def test_a_clock_that_is_ahead_does_not_stop_the_first_day():
    artefacts = configuration().artefacts.model_copy(update={"clock_error_s": 5.0}).model_dump()
    for seed in range(20):
        plan = make_plan(configuration(days=1, stations=["GTO"], artefacts=artefacts, seed=seed))
        if (offset := int(plan.clock_offset_s[0, 0])) > 0:
            day = simulate_day(plan, 0, 0)
            np.testing.assert_array_equal(day[:, offset:], true_day(plan, 0, 0)[:, :-offset])
            return
    pytest.fail("no clock ahead in 20 seeds")


def test_the_fault_duplicates_copies_days_before_events(tmp_path):
    settings = {
        "days": 16,
        "stations": ["GTO"],
        "defect": "duplicates",
        "earthquakes": {"per_station_year": 100.0},
    }
    archive = simulate(tmp_path / "a", **settings)
    plan = make_plan(configuration(**settings))
    copies = np.flatnonzero(plan.source_day[0] != np.arange(16))
    before = days_with_a_window_before(plan, 0)
    assert max(2, int(COPIED_FRACTION * len(before))) <= len(copies) <= 1.5 * COPIED_FRACTION * len(before)
    fields = [read_recording(path).field_nt for path in day_files(archive, "GTO")]
    for day in copies:
        source = plan.source_day[0, day]
        assert plan.source_day[0, source] == source  # copies are of originals
        np.testing.assert_array_equal(fields[day], fields[source])
    originals = [day for day in range(16) if plan.source_day[0, day] == day]
    for a, b in itertools.pairwise(originals):
        assert not np.array_equal(fields[a], fields[b])


def test_copied_days_have_no_truth_of_their_own():
    settings = {
        "days": 16, "stations": ["GTO"], "defect": "duplicates", "emission": {"snr": 5.0},
        "earthquakes": {"per_station_year": 100.0},
    }  # fmt: skip
    plan = make_plan(configuration(**settings))
    days = ((truth_table(plan)["start_utc"].to_numpy().astype("M8[D]") - plan.first).astype(int)).tolist()
    assert days
    assert all(plan.source_day[0, day] == day for day in days)


def test_the_defect_positions_moves_longitudes_against_the_other_columns(tmp_path):
    wrong = simulate(tmp_path / "wrong", days=2, stations=["GTO"], defect="positions")
    right = simulate(tmp_path / "right", days=2, stations=["GTO"])
    tables = [pd.read_csv(folder / "catalogue.csv") for folder in (wrong, right)]
    others = [column for column in tables[0] if column != "longitude_deg"]
    pd.testing.assert_frame_equal(tables[0][others], tables[1][others])
    longitudes = [table["longitude_deg"].to_numpy() for table in tables]
    np.testing.assert_array_equal(longitudes[0], np.roll(longitudes[1], COLUMN_SHIFT))
    assert (longitudes[0] != longitudes[1]).mean() > 0.9
    read_catalogs([wrong / "catalogue.csv"])  # it looks like any other
    ours, theirs = contents(wrong), contents(right)
    assert all(ours[name] == theirs[name] for name in theirs if name.startswith("GTO"))


def test_a_change_of_instrument_makes_the_second_half_noisier(tmp_path):
    """By a factor of 6 where sensor noise alone is left, 250 to 400 mHz; rounding adds 1.7e-5 nT²/Hz to both."""
    artefacts = configuration().artefacts.model_copy(update={"instrument_change": True}).model_dump()
    archive = simulate(
        tmp_path / "a", days=4, stations=["GTO"], artefacts=artefacts, kp=flat_kp(tmp_path / "k.csv", 1.0, 4)
    )
    power = band_power(read_days(archive, "GTO"), 250, 400) - 0.150 * 0.01**2 / 6
    first, second = power[:, : 2 * 144].mean(axis=1), power[:, 2 * 144 :].mean(axis=1)
    np.testing.assert_allclose(second / first, CHANGED_SENSOR_NOISE, rtol=0.04)


# ---- refusals ----


def refuse(match, **settings):
    with pytest.raises(UsageError, match=match):
        make_plan(build_config({"simulate": settings}).simulate)


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("earthquakes.b_value", 0, "greater than 0, not 0"),
        ("earthquakes.branching_ratio", 1, "less than 1, not 1"),
        ("emission.snr", float("inf"), "finite number, not inf"),
        ("emission.high_mhz", 491, "less than or equal to 490, not 491"),
        ("artefacts.gaps_per_day", -0.5, "greater than or equal to 0, not -0.5"),
        ("artefacts.clock_error_s", 1e6, "less than or equal to 86400, not 1000000"),
    ],
)
def test_impossible_numbers_are_refused_with_key_value_and_limit(key, value, limit):
    section, name = key.split(".")
    refuse(rf"simulate\.{key}: input should be .*{limit}", **{section: {name: value}})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"days": 0}, r"simulate\.days: .*greater than or equal to 1, not 0"),
        ({"start": "2021-02-30"}, r"simulate\.start: .*day is out of range"),
        ({"stations": []}, r"simulate\.stations: .*at least 1 item"),
        ({"defect": "mine"}, r"simulate\.defect: .*'clock'"),
        ({"emission": {"low_mhz": 40.0, "high_mhz": 10.0}}, r"high_mhz is 10.0, not above low_mhz 40.0\. Swap them\?"),
        ({"emission": {"low_mhz": 10.0, "high_mhz": 10.05}}, r"band 10.0 to 10.05 mHz is narrower than 0.1 .*Widen it"),
        (
            {"earthquakes": {"min_magnitude": 6.0, "max_magnitude": 5.0}},
            r"max_magnitude is 5.0, not above min_magnitude 6.0",
        ),
        ({"stations": ["GTO", "XXX"]}, r"simulate\.stations: XXX not among ALR, .*Choose from these, or name a table"),
        ({"stations": ["GTO", "GTO"]}, r"simulate\.stations: .*named twice\. Name each once"),
        ({"start": "1999-12-31"}, r"simulate\.start 1999-12-31 and 150 days: outside 2000 to 2029.*Choose another"),
        ({"start": "2029-12-31", "days": 2}, r"outside 2000 to 2029"),
    ],
)
def test_impossible_settings_are_refused_with_the_way_out(settings, match):
    refuse(match, **settings)


@pytest.mark.parametrize(("start", "days"), [("2000-01-01", 1), ("2029-12-30", 2)])
def test_the_first_and_the_last_day_of_the_format_can_be_simulated(tmp_path, capfd, start, days):
    archive = simulate(tmp_path / "a", start=start, days=days, stations=["GTO"])
    assert len(day_files(archive)) == days
    assert np.isfinite(read_days(archive, "GTO")).all()
    assert capfd.readouterr().out == ""  # no warning of the model of the main field


@pytest.mark.parametrize(
    ("row", "error", "match"),
    [
        ("XYZ,91,10", DataError, r"line 2: latitude 91 is outside -90\.\.90 degrees"),
        ("XYZ,10,400", DataError, r"longitude 400 is outside"),
        ("XYZ,nan,10", DataError, r"line 2: the latitude is missing"),
        ("XYZ,90,10", UsageError, r"XYZ lies at latitude 90, beyond 89.5 degrees.*Leave it out"),
        ("WXYZ,10,10", UsageError, r"WXYZ has not three letters or digits.*Rename it"),
        ("XÄZ,10,10", UsageError, r"XÄZ has not three letters or digits"),
    ],
)
def test_impossible_stations_are_refused(tmp_path, row, error, match):
    (tmp_path / "s.csv").write_text(f"code,latitude_deg,longitude_deg\n{row}\n", encoding="utf-8")
    with pytest.raises(error, match=match):
        make_plan(configuration(days=2, stations=[row.split(",")[0]], station_file=str(tmp_path / "s.csv")))


def test_files_that_are_missing_are_named(tmp_path):
    for key in ("station_file", "kp", "dst"):
        with pytest.raises(DataError, match="nowhere"):
            make_plan(configuration(days=2, stations=["GTO"], **{key: str(tmp_path / "nowhere.csv")}))
    with pytest.raises(DataError, match="nowhere"):
        make_plan(configuration(days=2, stations=["GTO"], earthquakes={"catalog": str(tmp_path / "nowhere.csv")}))


def test_a_catalogue_elsewhere_is_refused(tmp_path):
    path = write_events(tmp_path / "own.csv", GTO, [(1.0, 5.0, 50.0, 0.0)])
    with pytest.raises(UsageError, match="lies outside the area"):
        make_plan(configuration(days=2, stations=["GTO", "ALR"], earthquakes={"catalog": path}))
    with pytest.raises(UsageError, match="has no event in the 2 days from 2022-03-01 on"):
        make_plan(configuration(days=2, start="2022-03-01", stations=["GTO"], earthquakes={"catalog": path}))
