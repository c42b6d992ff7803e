"""Placebo windows: after, long before, or elsewhere, and never a true window before an earthquake."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from fixtures.archive_files import GTO, prepare_days, write_days
from fixtures.window_tables import DAY, HOUR, NORTH_OF_IT, STATION, catalog_of, quake, windows_at
from seismag.archive.stations import read_stations
from seismag.config import DataConfig
from seismag.domain import UsageError
from seismag.windows.labels import Labels, label_windows
from seismag.windows.placebo import label_placebo_windows, move_in_time, swap_positions
from seismag.windows.store import open_store, placebo_of

ORIGIN = np.datetime64("2021-03-20T15:00", "ms")
STATIONS = {station.code: station for station in (STATION, NORTH_OF_IT)}
SPEC = DataConfig(guard_ahead_d=5, guard_behind_d=4)


def all_windows(station: str = "GTO") -> pd.DataFrame:
    return windows_at(
        *np.arange("2021-02-01", "2021-05-01", 6, dtype="datetime64[h]").astype("M8[ms]"), station=station
    )


def label(catalog, windows=None, **settings) -> Labels:
    spec = SPEC.model_copy(update=settings)
    return label_placebo_windows(all_windows() if windows is None else windows, catalog, STATIONS, spec)


def events(labels: Labels) -> pd.DataFrame:
    return labels.samples[labels.samples["magnitude_class"] != "Normal"]


def reasons(labels: Labels) -> pd.Series:
    return labels.rejected.set_index("start_utc")["reason"]


def test_after_event_windows_begin_within_the_horizon_after_the_origin():
    found = events(label(catalog_of(quake("e1", ORIGIN, 6.0)), placebo="after_event"))
    start = found["start_utc"].to_numpy()
    assert len(found) == 8
    assert (start > ORIGIN).all()
    assert (start <= ORIGIN + 48 * HOUR).all()
    assert found["event_id"].tolist() == ["e1"] * 8


def test_shifted_windows_are_the_true_ones_of_so_many_days_earlier():
    catalog = catalog_of(quake("e1", ORIGIN, 6.0))
    true = label_windows(all_windows(), catalog, STATIONS, SPEC)
    found = events(label(catalog, placebo="shifted", placebo_shift_d=20.0))
    assert found["start_utc"].tolist() == (events(true)["start_utc"] - pd.Timedelta(days=20)).tolist()
    assert found["azimuth_class"].tolist() == events(true)["azimuth_class"].tolist()
    assert found["split_group"].tolist() == events(true)["split_group"].tolist()


@pytest.mark.parametrize("kind", ["after_event", "shifted"])
def test_no_true_window_before_an_earthquake_is_among_them(kind):
    # an aftershock a day later; and an earthquake of its own 20 days before
    catalog = catalog_of(quake("e1", ORIGIN, 6.0), quake("e2", ORIGIN + DAY, 5.5), quake("e0", ORIGIN - 20 * DAY, 6.0))
    labels = label(catalog, placebo=kind)
    true = events(label_windows(all_windows(), catalog, STATIONS, SPEC))["start_utc"]
    assert not labels.samples["start_utc"].isin(true).any()
    assert "true_event" in set(reasons(labels))
    details = labels.rejected.loc[labels.rejected["reason"] == "true_event", "detail"]
    assert details.str.fullmatch(r"the true catalogue has e[012] in the horizon of this window").all()


@pytest.mark.parametrize("kind", ["after_event", "shifted", "wrong_station"])
def test_normal_windows_are_normal_by_the_true_labels_too(kind):
    catalog = catalog_of(
        quake("e1", ORIGIN, 6.0), quake("e3", ORIGIN + 15 * DAY, 5.5, 40.0, station=NORTH_OF_IT),
    )  # fmt: skip
    windows = pd.concat([all_windows(), all_windows("TND")], ignore_index=True)
    labels = label(catalog, windows, placebo=kind)
    true = label_windows(windows, catalog, STATIONS, SPEC).samples
    normal = labels.samples[labels.samples["magnitude_class"] == "Normal"]
    truly = true[true["magnitude_class"] == "Normal"]
    assert len(normal) > 50
    assert set(normal["sample_id"]) <= set(truly["sample_id"])
    assert len(labels.samples) + len(labels.rejected) == len(windows)
    assert not labels.rejected.duplicated(["station", "start_utc"]).any()


def test_a_window_that_the_true_catalogue_does_not_cover_is_no_placebo_window():
    catalog = catalog_of(quake("e1", ORIGIN, 6.0), covered=(("2021-01-01", "2021-03-21"),))
    labels = label(catalog, placebo="after_event")
    assert events(labels).empty
    assert reasons(labels)[pd.Timestamp("2021-03-20T18:00")] == "catalog_hole"


def test_a_wrong_station_sees_the_earthquakes_of_another_and_keeps_its_own_hour():
    # TND is 246 km away: an M 5.2 (172 km) 10 km north of TND counts there only
    catalog = catalog_of(quake("e1", ORIGIN, 5.2, 10.0, station=NORTH_OF_IT))
    windows = pd.concat([all_windows(), all_windows("TND")], ignore_index=True)
    labels = label(catalog, windows, placebo="wrong_station")
    found = events(labels)
    assert set(found["station"]) == {"GTO"}
    assert found["distance_km"].to_numpy() == pytest.approx(10.0)
    assert (found["azimuth_class"] == "N").all()
    true = label_windows(windows, catalog, STATIONS, SPEC).samples.set_index("sample_id")["local_hour"]
    shared = labels.samples[labels.samples["sample_id"].isin(true.index)]
    assert shared["local_hour"].to_numpy() == pytest.approx(true[shared["sample_id"]].to_numpy())


def test_no_station_keeps_its_place_and_the_same_seed_gives_the_same_exchange():
    stations = read_stations()
    used = sorted(stations)
    for seed in range(20):
        places = swap_positions(stations, used, seed)
        moved = [(places[code].latitude_deg, places[code].longitude_deg) for code in used]
        own = [(stations[code].latitude_deg, stations[code].longitude_deg) for code in used]
        assert all(a != b for a, b in zip(moved, own, strict=True))
        assert sorted(moved) == sorted(own)
        assert places == swap_positions(stations, used, seed)
    assert [places[code].code for code in used] == used


def test_one_station_cannot_be_exchanged():
    with pytest.raises(UsageError, match=r"only GTO\. Use after_event or shifted"):
        swap_positions(STATIONS, ["GTO"], 1)


def test_a_catalogue_moves_with_its_coverage():
    catalog = catalog_of(quake("e1", ORIGIN, 6.0))
    moved = move_in_time(catalog, 54)
    assert (moved.events["origin_utc"] - catalog.events["origin_utc"] == pd.Timedelta(hours=54)).all()
    start, end = catalog.coverage.intervals[0]
    assert moved.coverage.intervals == ((start + 54 * HOUR, end + 54 * HOUR),)


def test_a_shift_that_overlaps_the_true_windows_is_refused():
    with pytest.raises(ValidationError, match=r"placebo windows would overlap the true ones\. Set it above 2\.25 days"):
        DataConfig(placebo="shifted", placebo_shift_d=2.0)


def test_a_prepared_store_says_that_it_holds_placebo_windows(tmp_path):
    write_days(tmp_path / "archive", GTO, np.arange("2021-03-01", "2021-03-03", dtype="datetime64[D]"))
    spec = DataConfig(controls="all", guard_ahead_d=0.0, guard_behind_d=0.0, placebo="after_event")
    result, samples, _ = prepare_days(tmp_path / "archive", tmp_path, spec)
    assert placebo_of(open_store(result.store)) == "after_event"
    assert any("placebo windows (after_event): to test a model" in sentence for sentence in result.warnings)
    assert len(samples) == 8
