from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.window_tables import (
    DAY,
    END,
    HOUR,
    MS,
    NORTH_OF_IT,
    START,
    STATION,
    catalog_of,
    quake,
    windows_at,
)
from seismag.archive.catalogs import Catalog
from seismag.archive.indices import SpaceWeatherIndex
from seismag.config import DataConfig
from seismag.domain import Station
from seismag.windows.controls import choose_controls
from seismag.windows.criteria import dobrovolsky_km, energy_index, hattori_km, range_km
from seismag.windows.labels import Labels, daily_windows, events_at_station, label_windows


def label(catalog: Catalog, spec: DataConfig | None = None, windows: pd.DataFrame | None = None, **indices) -> Labels:
    stations = {station.code: station for station in (STATION, NORTH_OF_IT)}
    return label_windows(windows_at(START) if windows is None else windows, catalog, stations,
                         spec or DataConfig(), **indices)  # fmt: skip


def outcome(labels: Labels) -> str:
    """Class of the only window, or the reason why it was rejected."""
    assert len(labels.samples) + len(labels.rejected) == 1
    return str((labels.samples["magnitude_class"] if len(labels.samples) else labels.rejected["reason"]).iloc[0])


def kp_index(value: float = 1.0, days: int = 151) -> SpaceWeatherIndex:
    return SpaceWeatherIndex("kp", np.datetime64("2021-01-01", "ms"), 3, np.full(days * 8, value), "")


# formulas -------------------------------------------------------------------------------------------------------


def test_the_three_rules_at_magnitude_6_give_the_radii_of_the_handbook() -> None:
    six = np.array([6.0])
    assert dobrovolsky_km(six) == pytest.approx([380.19], abs=0.01)  # 10^2.58
    assert hattori_km(six) == pytest.approx([60.0])  # 1.5 / 0.025
    # Es = 10^(4.8 + 9) / r^2 = 1e8 where r^2 = 10^5.8
    assert energy_index(six, np.array([794.328])) == pytest.approx([1e8], rel=1e-5)


def test_hattoris_rule_reaches_nobody_below_magnitude_4_5() -> None:
    assert hattori_km(np.array([4.0, 4.4, 4.5])).tolist() == [0.0, 0.0, 0.0]


def test_the_fixed_rule_does_not_look_at_the_magnitude() -> None:
    spec = DataConfig(range_rule="fixed", range_km=123.0)
    assert range_km(np.array([4.0, 9.0]), spec).tolist() == [123.0, 123.0]


@pytest.mark.parametrize(
    ("rule", "magnitude", "distance_km", "counts"),
    [
        ("dobrovolsky", 6.0, 380.0, True),
        ("dobrovolsky", 6.0, 380.4, False),
        ("hattori", 6.0, 59.9, True),
        ("hattori", 6.0, 60.1, False),
        ("hattori", 4.4, 1.0, False),
        ("fixed", 4.0, 499.9, True),
        ("fixed", 9.0, 500.1, False),
        ("es", 6.0, 794.0, True),
        ("es", 6.0, 795.0, False),
    ],
)
def test_an_earthquake_counts_up_to_the_radius_of_its_rule(
    rule: str, magnitude: float, distance_km: float, counts: bool
) -> None:
    spec = DataConfig(range_rule=rule)  # type: ignore[arg-type]
    events = catalog_of(quake("q", END, magnitude, distance_km, 77.0, depth_km=0.0)).events
    assert ("q" in set(events_at_station(events, STATION, spec)["event_id"])) is counts


def test_dobrovolskys_distance_is_epicentral_and_that_of_es_hypocentral() -> None:
    events = catalog_of(quake("q", END, 6.0, 300.0, depth_km=400.0)).events
    near = events_at_station(events, STATION, DataConfig()).iloc[0]
    assert near["distance_km"] == pytest.approx(300.0, abs=1e-6)
    assert near["hypocentral_km"] == pytest.approx(500.0, abs=1e-6)
    assert near["es"] == pytest.approx(10**13.8 / 500.0**2)


def test_the_es_rule_adds_up_the_earthquakes_of_a_utc_day_not_of_24_hours() -> None:
    alone = quake("a", np.datetime64("2021-03-10T13:00", "ms"), 6.0, 1000.0, depth_km=0.0)  # Es 6.3e7
    same_day = quake("b", np.datetime64("2021-03-10T23:00", "ms"), 6.0, 1000.0, depth_km=0.0)
    next_day = quake("c", np.datetime64("2021-03-11T01:00", "ms"), 6.0, 1000.0, depth_km=0.0)
    spec = DataConfig(range_rule="es")
    assert len(events_at_station(catalog_of(alone, next_day).events, STATION, spec)) == 0
    assert len(events_at_station(catalog_of(alone, same_day).events, STATION, spec)) == 2


@pytest.mark.parametrize(
    ("azimuth_deg", "sector"),
    [(0, "N"), (22.4, "N"), (22.6, "NE"), (45, "NE"), (90, "E"), (135, "SE"), (180, "S"), (225, "SW"), (270, "W"),
     (315, "NW"), (337.4, "NW"), (337.6, "N"), (359.9, "N")],
)  # fmt: skip
def test_the_azimuth_points_from_the_station_to_the_epicentre(azimuth_deg: float, sector: str) -> None:
    row = label(catalog_of(quake("q", END, 6.0, 200.0, azimuth_deg))).samples.iloc[0]
    assert row["azimuth_deg"] == pytest.approx(azimuth_deg, abs=1e-6)
    assert row["azimuth_class"] == sector


@pytest.mark.parametrize(
    ("latitude", "longitude", "azimuth_deg"),
    [(10.0, 100.0, 0.0), (-10.0, 100.0, 180.0), (0.0, 101.0, 90.0), (0.0, 99.0, 270.0)],
)
def test_an_epicentre_to_the_east_has_azimuth_90(latitude: float, longitude: float, azimuth_deg: float) -> None:
    events = catalog_of(("q", END, latitude, longitude, 10.0, 9.0)).events
    near = events_at_station(events, Station("EQU", 0.0, 100.0), DataConfig())
    assert near.set_index("event_id").at["q", "azimuth_deg"] == pytest.approx(azimuth_deg, abs=1e-9)


def test_a_pair_across_the_date_line_is_close() -> None:
    events = catalog_of(("q", END, -18.0, -179.9, 10.0, 5.0)).events
    near = events_at_station(events, Station("FIJ", -18.0, 179.9), DataConfig())
    assert near["distance_km"].tolist() == pytest.approx([21.2], abs=0.1)  # 0.2 degrees of longitude at 18 S
    assert near["azimuth_deg"].tolist() == pytest.approx([90.0], abs=0.1)


def test_earthquakes_too_small_or_too_deep_are_ignored() -> None:
    rows = quake("small", END, 4.9), quake("deep", END, 6.0, depth_km=150.1), quake("kept", END, 5.0, depth_km=150.0)
    unknown = quake("unknown depth", END, 5.0, depth_km=np.nan)
    spec = DataConfig(min_magnitude=5.0, max_depth_km=150.0)
    near = events_at_station(catalog_of(*rows, unknown).events, STATION, spec)
    assert sorted(near["event_id"]) == ["kept", "unknown depth"]
    assert near["hypocentral_km"].notna().all()


# eligible -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (END, "Large"),
        (END + 48 * HOUR - MS, "Large"),
        (END + 48 * HOUR, "guard"),
        (END - MS, "guard"),
        (START, "guard"),
        (START - 7 * DAY, "guard"),
        (START - 7 * DAY - MS, "Normal"),
        (END + 14 * DAY - MS, "guard"),
        (END + 14 * DAY, "Normal"),
    ],
)
def test_the_origin_decides_between_event_guard_and_normal_with_half_open_edges(
    origin: np.datetime64, expected: str
) -> None:
    assert outcome(label(catalog_of(quake("q", origin, 6.0)))) == expected


def test_an_earthquake_out_of_range_does_not_disturb_normal() -> None:
    assert outcome(label(catalog_of(quake("q", END + HOUR, 6.0, 381.0)))) == "Normal"


def test_other_guards_and_horizons_are_obeyed() -> None:
    spec = DataConfig(horizon_h=24, guard_ahead_d=1.5, guard_behind_d=0.0)
    for origin, expected in ((END + 24 * HOUR - MS, "Large"), (END + 24 * HOUR, "guard"), (END + 36 * HOUR, "Normal"),
                             (START, "guard"), (START - MS, "Normal")):  # fmt: skip
        assert outcome(label(catalog_of(quake("q", origin, 6.0)), spec)) == expected


def test_the_label_is_the_eligible_earthquake_with_the_largest_energy_not_the_nearest() -> None:
    near = quake("near", END + HOUR, 4.0, 30.0)  # Es 10^10.8 / 1e3
    strong = quake("strong", END + 40 * HOUR, 7.0, 300.0)  # Es 10^15.3 / 9e4
    labels = label(catalog_of(near, strong, quake("later", END + 48 * HOUR, 8.0)))
    row = labels.samples.iloc[0]
    assert (row["event_id"], row["magnitude_class"]) == ("strong", "Large")
    assert row["event_ids"] == ["near", "strong"]
    assert row["lead_hours"] == pytest.approx(40.0)
    assert row["origin_utc"] == pd.Timestamp(END + 40 * HOUR)


def test_the_energy_is_compared_at_hypocentral_distance() -> None:
    deep = quake("deep", END, 6.0, 10.0, depth_km=600.0)  # Es 10^13.8 / 3.6e5 = 1.8e8
    shallow = quake("shallow", END, 5.5, 100.0, depth_km=10.0)  # Es 10^13.05 / 1.01e4 = 1.1e9
    assert label(catalog_of(deep, shallow)).samples["event_id"].tolist() == ["shallow"]


def test_of_equal_energies_the_earlier_earthquake_is_the_label() -> None:
    rows = quake("b", END + HOUR, 5.0), quake("a", END + 2 * HOUR, 5.0)
    assert label(catalog_of(*rows)).samples["event_id"].tolist() == ["b"]


def test_all_eligible_clusters_are_kept_beside_the_label() -> None:
    rows = quake("main", END, 6.0, 10.0), quake("aftershock", END + HOUR, 4.0, 12.0)
    far = quake("other", END + 2 * HOUR, 6.5, 400.0, 180.0)
    row = label(catalog_of(*rows, far)).samples.iloc[0]
    assert (row["split_group"], bool(row["is_mainshock"])) == ("event:main", True)
    assert row["cluster_ids"] == ["main", "other"]


def test_a_window_before_an_aftershock_belongs_to_the_cluster_of_its_mainshock() -> None:
    rows = quake("main", END - 20 * DAY, 6.0, 10.0), quake("aftershock", END + HOUR, 4.0, 12.0)
    row = label(catalog_of(*rows)).samples.iloc[0]
    assert (row["event_id"], row["split_group"], bool(row["is_mainshock"])) == ("aftershock", "event:main", False)


# coverage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        ((("2021-03-03T06:00", "2021-03-24T12:00"),), "Normal"),  # just the guard times
        ((("2021-03-03T06:01", "2021-03-24T12:00"),), "catalog_hole"),
        ((("2021-03-03T06:00", "2021-03-24T11:59"),), "catalog_hole"),
        ((("2021-01-01", "2021-03-11"), ("2021-03-11T00:01", "2021-06-01")), "catalog_hole"),  # a hole in the horizon
        ((("2021-01-01", "2021-03-20"), ("2021-03-20T00:01", "2021-06-01")), "catalog_hole"),  # ... in the guard ahead
        ((("2021-01-01", "2021-03-05"), ("2021-03-05T00:01", "2021-06-01")), "catalog_hole"),  # ... behind
    ],
)
def test_normal_cannot_be_claimed_without_a_catalogue_of_the_guard_times(
    covered: tuple[tuple[str, str], ...], expected: str
) -> None:
    assert outcome(label(catalog_of(covered=covered))) == expected


def test_an_event_window_needs_the_catalogue_for_its_horizon_only() -> None:
    rows = (quake("q", END + HOUR, 6.0),)
    assert outcome(label(catalog_of(*rows, covered=(("2021-03-10T06:00", "2021-03-12T12:00"),)))) == "Large"
    assert outcome(label(catalog_of(*rows, covered=(("2021-03-10T06:00", "2021-03-12T11:59"),)))) == "catalog_hole"


def test_a_window_without_kp_or_dst_is_rejected_where_the_index_was_given() -> None:
    kp = kp_index()
    kp.values[(np.datetime64("2021-03-10T09:00") - np.datetime64("2021-01-01")) // np.timedelta64(3, "h")] = np.nan
    dst = SpaceWeatherIndex("dst", START, 1, np.array([-5.0, np.nan, 0, 0, 0, 0]), "")
    assert outcome(label(catalog_of(), kp=kp)) == "kp_missing"
    assert outcome(label(catalog_of(), dst=dst)) == "dst_missing"
    assert outcome(label(catalog_of())) == "Normal"


def test_kp_and_dst_are_the_extremes_within_the_window() -> None:
    kp, hours = kp_index(), np.arange(6.0)
    third = int((START - kp.start_utc) // np.timedelta64(3, "h"))
    kp.values[third - 1 : third + 3] = 9.0, 4.0, 5.0, 9.0
    dst = SpaceWeatherIndex("dst", START - HOUR, 1, np.array([-300.0, *(-hours * 10), -300.0]), "")
    row = label(catalog_of(), kp=kp, dst=dst).samples.iloc[0]
    assert (row["kp_max"], row["dst_min_nt"]) == (5.0, -50.0)


def test_a_station_outside_the_area_of_the_catalogue_has_no_normal() -> None:
    far = {"FAR": Station("FAR", 50.0, 10.0)}
    labels = label_windows(windows_at(START, station="FAR"), catalog_of(), far, DataConfig())
    assert labels.rejected["reason"].tolist() == ["outside_catalog_area"]


def test_normal_blocks_last_27_days_and_are_shared_by_stations() -> None:
    starts = START + np.arange(200) * 6 * HOUR
    windows = pd.concat([windows_at(*starts), windows_at(*starts, station="TND")])
    samples = label(catalog_of(), windows=windows).samples
    per_time = samples.groupby("start_utc")["split_group"].nunique()
    assert per_time.eq(1).all()
    spans = samples.groupby("split_group")["start_utc"].agg(["min", "max"])
    assert (spans["max"] - spans["min"] < pd.Timedelta(days=27)).all()
    assert samples["split_group"].str.startswith("normal:").all()
    assert len(spans) in (2, 3)


def test_local_hour_is_the_mean_solar_time_of_the_windows_middle() -> None:
    # middle 09:00 UTC + 123.141 / 15 h = 17.2094 h
    assert label(catalog_of()).samples["local_hour"].tolist() == pytest.approx([17.2094])


def test_days_are_cut_into_windows_that_touch() -> None:
    starts, ends = daily_windows(np.array(["2021-03-02", "2021-03-01", "2021-03-02"], dtype="datetime64[D]"), 8)
    assert starts.astype("datetime64[h]").astype(str).tolist() == [
        "2021-03-01T00", "2021-03-01T08", "2021-03-01T16", "2021-03-02T00", "2021-03-02T08", "2021-03-02T16",
    ]  # fmt: skip
    assert (ends - starts == 8 * HOUR).all()


def test_a_table_in_which_every_window_is_rejected_keeps_text_columns() -> None:
    labels = label(catalog_of(quake("q", START, 6.0)))
    assert len(labels.samples) == 0
    for column in ("sample_id", "split_group"):
        assert not pd.api.types.is_numeric_dtype(labels.samples[column]), f"{column} {labels.samples[column].dtype}"


@settings(max_examples=15)
@given(
    origins_h=st.lists(st.integers(0, 24 * 150), max_size=8),
    magnitudes=st.lists(st.floats(4.0, 7.5), min_size=8, max_size=8),
    distances=st.lists(st.floats(1.0, 900.0), min_size=8, max_size=8),
    hole=st.integers(0, 140),
    order=st.integers(0, 1000),
    rule=st.sampled_from(["dobrovolsky", "hattori", "fixed", "es"]),
)
def test_every_window_is_a_sample_or_rejected_once_whatever_the_catalogue(
    origins_h: list[int], magnitudes: list[float], distances: list[float], hole: int, order: int, rule: str
) -> None:
    first = np.datetime64("2021-01-01", "ms")
    rows = [quake(f"q{i}", first + h * HOUR, magnitudes[i], distances[i], 40.0 * i) for i, h in enumerate(origins_h)]
    covered = (("2021-01-01", str(first + hole * DAY)), (str(first + (hole + 2) * DAY), "2021-06-01"))
    starts, _ = daily_windows(np.arange("2020-12-30", "2021-06-03", dtype="datetime64[D]"), 12)
    spec = DataConfig(range_rule=rule, window_h=12)  # type: ignore[arg-type]
    windows = pd.concat([windows_at(*starts, station=code, window_h=12) for code in ("GTO", "TND")])
    shuffled = windows.sample(frac=1.0, random_state=order)
    catalog, kp = catalog_of(*rows, covered=covered), kp_index(days=160)
    labels = label(catalog, spec, shuffled, kp=kp)
    chosen = choose_controls(labels, spec, kp)
    for result in (labels, chosen):
        keys = [(s, t) for table in (result.samples, result.rejected)
                for s, t in zip(table["station"], table["start_utc"], strict=True)]  # fmt: skip
        assert sorted(keys) == sorted(zip(windows["station"], windows["start_utc"], strict=True))
        assert (result.rejected["reason"] != "").all()
    assert chosen.samples["sample_id"].is_unique
    assert not chosen.samples["split_group"].isna().any()
    assert ((chosen.samples["magnitude_class"] == "Normal") == chosen.samples["event_ids"].str.len().eq(0)).all()


# controls -------------------------------------------------------------------------------------------------------


def samples_of(*rows: tuple[str, str, str, float]) -> Labels:
    """Labelled windows: station, start, class, Kp."""
    table = pd.DataFrame(rows, columns=["station", "start_utc", "magnitude_class", "kp_max"])
    table["start_utc"] = table["start_utc"].astype("datetime64[ms]")
    table["end_utc"] = table["start_utc"] + pd.Timedelta(hours=6)
    names = [f"{s}-{t:%Y-%m-%dT%H}" for s, t in zip(table["station"], table["start_utc"], strict=True)]
    empty = pd.DataFrame(columns=["station", "start_utc", "end_utc", "reason", "detail"])
    return Labels(table.assign(sample_id=names), empty)


def controls_of(labels: Labels, spec: DataConfig | None = None, kp: SpaceWeatherIndex | None = None) -> dict[str, str]:
    chosen = choose_controls(labels, spec or DataConfig(), kp).samples
    normal = chosen[chosen["magnitude_class"] == "Normal"]
    return dict(zip(normal["sample_id"], normal["control_of"], strict=True))


@pytest.mark.parametrize(
    ("row", "matches"),
    [
        (("GTO", "2021-03-20T06:00", 2.0), True),
        (("TND", "2021-03-20T06:00", 2.0), False),  # another station
        (("GTO", "2021-03-20T12:00", 2.0), False),  # another slot
        (("GTO", "2021-03-20T06:00", 3.0), True),  # Kp within 1, both edges included
        (("GTO", "2021-03-20T06:00", 1.0), True),
        (("GTO", "2021-03-20T06:00", 3 + 1 / 3), False),
        (("GTO", "2021-03-20T06:00", 2 / 3), False),
        (("GTO", "2021-04-09T06:00", 2.0), True),  # 30 days later
        (("GTO", "2021-04-10T06:00", 2.0), False),
        (("GTO", "2021-02-08T06:00", 2.0), True),  # 30 days earlier
        (("GTO", "2021-02-07T06:00", 2.0), False),
        (("GTO", "2020-03-10T06:00", 2.0), True),
        (("GTO", "2023-03-10T06:00", 2.0), True),  # 730 days
        (("GTO", "2023-03-14T06:00", 2.0), False),  # 734 days
        (("GTO", "2019-03-05T06:00", 2.0), False),
        (("GTO", "2019-03-15T06:00", 2.0), True),
    ],
)
def test_a_control_has_the_station_the_slot_and_like_kp_season_and_era(
    row: tuple[str, str, float], matches: bool
) -> None:
    station, start, kp_max = row
    labels = samples_of(("GTO", "2021-03-10T06:00", "Large", 2.0), (station, start, "Normal", kp_max))
    chosen = choose_controls(labels, DataConfig())
    event = chosen.samples[chosen.samples["magnitude_class"] == "Large"].iloc[0]
    assert bool(event["matched"]) is matches, "the event window is kept in any case"
    assert len(chosen.samples) == 1 + matches
    assert chosen.rejected["reason"].tolist() == [] if matches else ["not_a_control"]


@pytest.mark.parametrize(
    ("event", "control", "matches"),
    [
        ("2020-12-31", "2021-01-29", True),
        ("2020-12-31", "2021-01-30", True),  # 30 days, after a leap year
        ("2021-12-31", "2022-01-29", True),
        ("2021-12-31", "2022-01-30", True),  # 30 days, after a common year
        ("2021-12-31", "2022-02-01", False),  # 32 days
        ("2022-01-10", "2021-12-11", True),  # 30 days back
        ("2022-01-10", "2021-12-09", False),  # 32 days back
    ],
)
def test_seasons_are_compared_across_new_year(event: str, control: str, matches: bool) -> None:
    labels = samples_of(("GTO", f"{event}T06:00", "Large", 2.0), ("GTO", f"{control}T06:00", "Normal", 2.0))
    assert bool(controls_of(labels)) is matches


def test_kp_does_not_matter_without_an_index_or_where_it_is_not_asked_for() -> None:
    rows = ("GTO", "2021-03-10T06:00", "Large"), ("GTO", "2021-03-11T06:00", "Normal")
    assert controls_of(samples_of((*rows[0], np.nan), (*rows[1], np.nan)))
    assert not controls_of(samples_of((*rows[0], 1.0), (*rows[1], 9.0)))
    assert controls_of(samples_of((*rows[0], 1.0), (*rows[1], 9.0)), DataConfig(match_kp=None))


def busy_station(n_events: int = 6, n_normal: int = 9) -> Labels:
    days = np.datetime64("2021-03-01T06:00", "m") + np.arange(n_events + n_normal) * DAY
    kinds = ["Medium"] * n_events + ["Normal"] * n_normal
    return samples_of(*[(code, str(day), kind, 2.0) for code in ("GTO", "TND")
                        for day, kind in zip(days, kinds, strict=True)])  # fmt: skip


def test_each_control_serves_one_event_window_only() -> None:
    labels = busy_station()
    owners = controls_of(labels)
    assert len(owners) == len(set(owners.values())) == 12
    assert all(control[:3] == owner[:3] for control, owner in owners.items())
    chosen = choose_controls(labels, DataConfig())
    assert len(chosen.rejected) == 18 - 12


def test_several_controls_can_be_asked_for_and_a_short_supply_shows_in_matched() -> None:
    chosen = choose_controls(busy_station(), DataConfig(controls_per_positive=2)).samples
    events = chosen[chosen["magnitude_class"] != "Normal"].set_index("sample_id")
    owners = chosen["control_of"].dropna().value_counts()
    assert len(events) == 12
    assert (owners <= 2).all()
    assert owners.sum() == 18  # 9 Normal windows a station, all of them used
    for name, row in events.iterrows():
        assert bool(row["matched"]) == (owners.get(name, 0) == 2)


def test_a_scarce_control_goes_to_the_event_window_that_fits_nothing_else() -> None:
    rare = ("GTO", "2021-03-10T06:00", "Large", 6.0)
    common = ("GTO", "2021-03-11T06:00", "Large", 5.0)
    both, one = ("GTO", "2021-03-12T06:00", "Normal", 5.5), ("GTO", "2021-03-13T06:00", "Normal", 4.0)
    labels = samples_of(common, rare, both, one)
    assert controls_of(labels) == {"GTO-2021-03-12T06": "GTO-2021-03-10T06", "GTO-2021-03-13T06": "GTO-2021-03-11T06"}


def test_the_draw_depends_on_the_seed_and_on_nothing_else() -> None:
    catalog = catalog_of(*(quake(f"q{d}", np.datetime64("2021-03-10", "ms") + d * HOUR, 6.0) for d in (0, 30)))
    starts, _ = daily_windows(np.arange("2021-01-08", "2021-05-10", dtype="datetime64[D]"), 6)
    windows = pd.concat([windows_at(*starts), windows_at(*starts, station="TND")], ignore_index=True)
    again = windows.sample(frac=1.0, random_state=3)
    one, two = (choose_controls(label(catalog, windows=table), DataConfig()) for table in (windows, again))
    pd.testing.assert_frame_equal(one.samples, two.samples)
    other = choose_controls(label(catalog, windows=windows), DataConfig(seed=1))
    assert set(one.samples["sample_id"]) != set(other.samples["sample_id"])
    alone = choose_controls(label(catalog, windows=windows_at(*starts)), DataConfig()).samples
    assert set(alone["sample_id"]) == set(one.samples.loc[one.samples["station"] == "GTO", "sample_id"])


def test_all_keeps_every_normal_window() -> None:
    chosen = choose_controls(busy_station(), DataConfig(controls="all"))
    assert len(chosen.samples) == 30
    assert len(chosen.rejected) == 0


def test_quiet_days_draws_from_any_station_and_slot_of_days_with_kp_below_2() -> None:
    kp = kp_index(value=2 - 1 / 3)
    kp.values[(np.datetime64("2021-03-08") - np.datetime64("2021-01-01")).astype(int) * 8 + 7] = 2.0  # one evening
    labels = busy_station(n_events=4, n_normal=6)  # Normal: 5 to 10 March
    chosen = controls_of(labels, DataConfig(controls="quiet_days"), kp)
    assert len(chosen) == 8  # one for each event window
    assert not any("-08T" in name for name in chosen)
    few = controls_of(labels, DataConfig(controls="quiet_days", controls_per_positive=3), kp)
    assert len(few) == 10  # all that there are: 5 quiet days at two stations
    assert chosen == controls_of(labels, DataConfig(controls="quiet_days"), kp)


def test_quiet_days_without_kp_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the Kp index"):
        choose_controls(busy_station(), DataConfig(controls="quiet_days"))


def test_other_stations_draws_from_the_two_stations_with_most_normal_windows() -> None:
    labels = busy_station()
    extra = [
        labels.samples.assign(station=code, sample_id=labels.samples["sample_id"] + code) for code in ("AAA", "BBB")
    ]
    fewer = extra[1][extra[1]["magnitude_class"] == "Normal"].iloc[:1]
    samples = pd.concat([labels.samples, extra[0], fewer], ignore_index=True)
    kept = choose_controls(Labels(samples, labels.rejected), DataConfig(controls="other_stations")).samples
    normal = kept[kept["magnitude_class"] == "Normal"]
    assert set(normal["station"]) == {"AAA", "GTO"}  # of equal ones the first by name
    assert not kept["matched"].any()
    assert (kept["magnitude_class"] != "Normal").sum() == (samples["magnitude_class"] != "Normal").sum()
