"""Simulated catalogues: laws recovered from large draws, geometry seen from the stations, files read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seismag.archive.catalogs import bounding_box, read_catalogs
from seismag.archive.clusters import cluster_window
from seismag.archive.stations import read_stations
from seismag.config import EarthquakeConfig, SimulateConfig
from seismag.domain import DataError, Station, UsageError, azimuth_classes
from seismag.simulate.arcs import ARCS, distance_to_arcs_km, sample_on_arcs
from seismag.simulate.earthquakes import (
    EARTHQUAKE_COLUMNS,
    LEAD_D,
    aftershock_distance_km,
    catalog_span,
    direct_aftershocks,
    earthquakes,
    gutenberg_richter,
    in_range,
    omori_delay_d,
    read_earthquakes,
    rupture_length_km,
    simulate_earthquakes,
    spaced_times,
)
from seismag.windows.criteria import EARTH, dobrovolsky_km

SHIPPED = read_stations()
TRT = [SHIPPED["TRT"]]
DAY = np.timedelta64(1, "D")


def spec(days: int = 365, start: str = "2021-03-01", seed: int = 7, **quakes: Any) -> SimulateConfig:
    return SimulateConfig(seed=seed, start=start, days=days, earthquakes=EarthquakeConfig(**quakes))


def seen_from(station: Station, events: pd.DataFrame) -> tuple[Any, Any]:
    """Azimuth in degrees and distance in km."""
    n = len(events)
    azimuth, _, distance_m = EARTH.inv(
        np.full(n, station.longitude_deg), np.full(n, station.latitude_deg),
        events["longitude_deg"].to_numpy(), events["latitude_deg"].to_numpy(),
    )  # fmt: skip
    return np.mod(azimuth, 360), np.asarray(distance_m) / 1000


def reached(events: pd.DataFrame, stations: list[Station], fraction: float = 1.0) -> np.ndarray:
    """In range of a station: the slow way, without a first look at the latitudes."""
    radius = fraction * dobrovolsky_km(events["magnitude"].to_numpy())
    return np.any([seen_from(station, events)[1] <= radius for station in stations], axis=0)


def write(events: pd.DataFrame, path: Path) -> Path:
    text = [f"{t}Z" for t in np.datetime_as_string(events["origin_utc"].to_numpy())]
    events.assign(origin_utc=text)[EARTHQUAKE_COLUMNS[:6]].to_csv(path, index=False)
    return path


def mainshocks_around(station: Station, **quakes: Any) -> pd.DataFrame:
    """Mainshocks of a long archive without aftershocks or background (which keeps farther away)."""
    events = simulate_earthquakes(spec(days=20_000, branching_ratio=0.0, **quakes), [station])
    return events[reached(events, [station])]


def test_gutenberg_richter_has_ten_times_fewer_events_a_magnitude_up() -> None:
    values, probability = gutenberg_richter(1.0, 4.5, 7.5)
    assert values[0] == 4.5
    assert values[-1] == 7.5
    assert len(values) == 31
    assert probability.sum() == pytest.approx(1)
    assert probability[0] / probability[10] == pytest.approx(10)
    assert gutenberg_richter(1.0, 4.52, 4.68)[0].tolist() == [4.6]


def test_simulated_magnitudes_have_the_b_value_and_the_limits_asked_for() -> None:
    magnitude = mainshocks_around(TRT[0], per_station_year=200.0, min_magnitude=5.5, max_magnitude=9.0)["magnitude"]
    magnitude = magnitude[magnitude >= 5.5]  # the background has smaller ones, and is out of range anyway
    assert len(magnitude) > 5_000
    assert np.log10(np.e) / (magnitude.mean() - 5.45) == pytest.approx(1.0, rel=0.05)
    assert magnitude.between(5.5, 9.0).all()


def test_omori_delays_follow_the_integral_of_the_rate() -> None:
    """With p = 2 and c = 1 d, half have come after 1 d (1 - 1/(1+t)); none at 0; numerically for p = 1.2."""
    assert omori_delay_d(np.array([0.0, 0.5, 0.75]), 1.0, 2.0) == pytest.approx([0, 1, 3])
    fraction = np.array([0.1, 0.5, 0.8])
    for delay, expected in zip(omori_delay_d(fraction, 0.05, 1.2), fraction, strict=True):
        t = np.linspace(0, delay, 2_000_001)
        assert np.trapezoid((t + 0.05) ** -1.2, t) * 0.2 * 0.05**0.2 == pytest.approx(expected, rel=1e-3)
    assert omori_delay_d(np.array([0.999]), 0.05, 1.001)[0] == np.inf


def test_simulated_aftershocks_decay_with_the_omori_exponent() -> None:
    """Rate in bins of a tenth decade from 1 to 30 d: its slope is -p. First generation of early, large events."""
    options = {"per_station_year": 60.0, "min_magnitude": 6.0, "branching_ratio": 0.5, "omori_c_d": 0.01}
    events = simulate_earthquakes(spec(days=8000, **options), TRT).set_index("event_id")
    children = events[events["parent_id"] != ""]
    parents = events.loc[children["parent_id"]]
    first = (parents["parent_id"] == "").to_numpy() & (parents["origin_utc"] < "2040-01-01").to_numpy()
    delay_d = (children["origin_utc"].to_numpy() - parents["origin_utc"].to_numpy())[first] / DAY
    edges = np.logspace(0, 1.5, 8)
    counts, _ = np.histogram(delay_d, edges)
    slope = np.polyfit(np.log10(np.sqrt(edges[1:] * edges[:-1])), np.log10(counts / np.diff(edges)), 1)[0]
    assert counts.sum() > 1_000
    assert slope == pytest.approx(-1.2, abs=0.1)


def test_mean_number_of_direct_aftershocks_is_the_branching_ratio(rng: np.random.Generator) -> None:
    quakes = EarthquakeConfig(branching_ratio=0.4)
    values, probability = gutenberg_richter(1.0, 4.0, 7.5)
    assert probability @ direct_aftershocks(values, quakes) == pytest.approx(0.4, rel=1e-12)
    parents = rng.choice(values, 400_000, p=probability)
    assert rng.poisson(direct_aftershocks(parents, quakes)).mean() == pytest.approx(0.4, rel=0.05)
    one_up = direct_aftershocks(np.array([5.0, 6.0]), quakes)
    assert one_up[1] / one_up[0] == pytest.approx(10**0.8)


def test_simulated_offspring_average_to_the_branching_ratio() -> None:
    """Omori with p = 2.5 is over within the catalogue; parents of all generations, magnitudes from 4 on."""
    quakes = {"per_station_year": 300.0, "min_magnitude": 4.0, "branching_ratio": 0.6, "omori_p": 2.5}
    events = simulate_earthquakes(spec(days=40_000, max_magnitude=6.0, **quakes), TRT)
    family = events[reached(events, TRT) | (events["parent_id"] != "")]  # all but the background
    assert (family["parent_id"] != "").sum() / len(family) == pytest.approx(0.6, rel=0.05)


def test_aftershocks_come_after_their_parents_within_ten_kernel_scales() -> None:
    events = simulate_earthquakes(spec(days=2000, per_station_year=100.0), TRT).set_index("event_id")
    children = events[events["parent_id"] != ""]
    parents = events.loc[children["parent_id"]]
    assert len(children) > 300
    assert (children["origin_utc"].to_numpy() >= parents["origin_utc"].to_numpy()).all()
    assert children["magnitude"].between(4.0, 7.5).all()
    distance_m = EARTH.inv(*(t[c].to_numpy() for t in (parents, children) for c in ("longitude_deg", "latitude_deg")))[
        2
    ]
    scale_km = np.maximum(rupture_length_km(parents["magnitude"].to_numpy()) / 2, 2)
    assert (np.asarray(distance_m) / 1000 <= 10.01 * scale_km).all()


def test_rupture_lengths_and_kernel_are_those_of_the_papers() -> None:
    """W&C: M 7.5 gives 10^1.985 = 96.6 km. Half of the uncut kernel lies within d sqrt(2^(1/0.8) - 1) = 1.174 d."""
    assert rupture_length_km(np.array([7.5]))[0] == pytest.approx(96.6, abs=0.05)
    uncut = 1 - 101**-0.8
    assert aftershock_distance_km(np.array([0.5 / uncut]), np.array([7.5]))[0] == pytest.approx(48.3 * 1.174, rel=1e-3)
    assert aftershock_distance_km(np.array([0.0, 1.0]), np.array([4.0, 4.0])) == pytest.approx([0, 20])


def test_most_aftershocks_stay_in_the_cluster_window_of_their_parent(rng: np.random.Generator) -> None:
    for magnitude, least in ((5.0, 0.97), (6.0, 0.95), (7.0, 0.75)):
        distance_km = aftershock_distance_km(rng.random(20_000), np.full(20_000, magnitude))
        assert (distance_km <= cluster_window(np.array([magnitude]))[0]).mean() >= least


def test_spaced_times_keep_the_gap_or_nine_tenths_of_the_even_spacing(rng: np.random.Generator) -> None:
    for n, gap in ((1, 24), (12, 24), (16, 24), (17, 0.9 * 365 / 16), (300, 0.9 * 365 / 299)):
        times = spaced_times(n, 365.0, 24.0, rng)
        assert len(times) == n
        assert times.min() >= 0
        assert times.max() <= 365
        assert np.diff(times).min(initial=np.inf) >= gap - 1e-9
    assert spaced_times(0, 365.0, 24.0, rng).size == 0


def test_mainshocks_around_a_station_lie_at_every_azimuth_alike() -> None:
    for code in ("TRT", "SBG"):
        azimuth, _ = seen_from(SHIPPED[code], mainshocks_around(SHIPPED[code], per_station_year=100.0))
        assert len(azimuth) > 4_000
        assert stats.kstest(azimuth / 360, "uniform").pvalue > 0.01
        assert stats.chisquare(np.bincount((azimuth // 45).astype(int), minlength=8)).pvalue > 0.01


def test_mainshocks_around_a_station_are_uniform_in_area_and_all_in_range() -> None:
    events = mainshocks_around(TRT[0], per_station_year=100.0)
    _, distance = seen_from(TRT[0], events)
    farthest = 0.7 * dobrovolsky_km(events["magnitude"].to_numpy())
    assert (distance <= farthest + 0.02).all()
    assert (distance >= 4.98).all()
    assert stats.kstest((distance**2 - 25) / (farthest**2 - 25), "uniform").pvalue > 0.01


def test_mainshocks_around_stations_come_at_the_rate_asked_for_after_their_lead() -> None:
    stations = [SHIPPED["TRT"], SHIPPED["SBG"], SHIPPED["JYP"]]
    quakes = {"branching_ratio": 0.0, "max_magnitude": 5.5}  # never in range of two of these stations
    events = simulate_earthquakes(spec(days=20_003, per_station_year=6.0, **quakes), stations)
    first = np.datetime64("2021-03-01")
    for station in stations:
        origins = events["origin_utc"].to_numpy()[reached(events, [station])]
        expected = 6 * 20_000 / 365.25
        assert abs(len(origins) - expected) < 4 * np.sqrt(expected)
        assert origins.min() >= first + 3 * DAY
        assert origins.max() < first + 20_003 * DAY
        assert np.diff(origins).min() >= spec().earthquakes.spacing_d * DAY - np.timedelta64(1, "ms")
    assert LEAD_D == 3


def test_background_fills_the_catalogue_out_of_range_of_every_station() -> None:
    stations = list(SHIPPED.values())
    events = simulate_earthquakes(spec(per_station_year=0.0), stations)
    assert (events["parent_id"] == "").all()
    assert not reached(events, stations, 1.19).any()
    assert events["magnitude"].between(4.0, 5.4).all()
    gaps_h = np.diff(events["origin_utc"].to_numpy()) / np.timedelta64(1, "h")
    assert gaps_h.mean() == pytest.approx(8, rel=0.01)
    assert gaps_h.std() / gaps_h.mean() == pytest.approx(1, abs=0.15)  # as of an exponential
    assert (events["origin_utc"].iloc[0], events["origin_utc"].iloc[-1] + pd.Timedelta("1ms")) == catalog_span(spec())


def test_no_mainshock_has_room_in_an_archive_of_three_days() -> None:
    events = simulate_earthquakes(spec(days=3, per_station_year=300.0), TRT)
    assert not reached(events, TRT).any()


def test_arcs_give_stations_different_priors_of_azimuth() -> None:
    """Sector counts of each station against those of all others (chi-square); where the trench lies, by hand."""
    stations = list(SHIPPED.values())
    events = simulate_earthquakes(spec(days=20_000, geometry="arcs", branching_ratio=0.0), stations)
    sectors = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
    counts, most = [], {}
    for station in stations:
        azimuth, distance = seen_from(station, events)
        sector = azimuth_classes(azimuth[distance <= dobrovolsky_km(events["magnitude"].to_numpy())])
        counts.append([int((sector == name).sum()) for name in sectors])
        most[station.code] = sectors[int(np.argmax(counts[-1]))]
    table = np.array(counts)
    assert (table.sum(axis=1) >= 20).all()  # Tanjung Redeb is far from the arcs
    for row in table:
        assert stats.chi2_contingency(np.array([row + 1, table.sum(axis=0) - row + 1])).pvalue < 0.01
    weights = table / table.sum(axis=1, keepdims=True)
    assert np.median(weights.max(axis=1)) > 0.25  # against 0.125 where all sectors are alike
    assert len(set(most.values())) >= 5
    assert most["YOG"] in ("S", "SE", "SW")  # the Java trench
    assert most["KPY"] in ("S", "SW", "W")  # the Sumatran one
    assert most["GTO"] in ("N", "NE", "NW", "E")  # northern Sulawesi and Sangihe


def test_epicentres_on_arcs_lie_behind_their_trench_and_deeper_away_from_it(rng: np.random.Generator) -> None:
    longitude, latitude, depth_km = sample_on_arcs(3_000, rng)
    away_km = distance_to_arcs_km(longitude, latitude)
    assert away_km.max() <= 310
    assert depth_km.min() >= 5
    assert stats.spearmanr(away_km, depth_km).statistic > 0.6
    java = (longitude > 107) & (longitude < 113) & (latitude < -6)
    assert latitude[java].min() > -11.5  # the slab dips north: nothing beyond the trench
    assert latitude[java].max() > -9


def test_distance_to_arcs_agrees_with_a_point_on_a_trench_and_one_beside_it() -> None:
    longitude, latitude = ARCS[2].nodes[3]  # of the Java trench, whose next piece runs nearly east
    assert distance_to_arcs_km(np.array([longitude] * 2), np.array([latitude, latitude - 1])) == pytest.approx(
        [0, 110], abs=5
    )


def test_arcs_have_mainshocks_at_the_rate_asked_for() -> None:
    events = simulate_earthquakes(spec(days=7245, geometry="arcs", branching_ratio=0.0), TRT)
    quiet = simulate_earthquakes(spec(days=7245, geometry="arcs", branching_ratio=0.0, per_year=0.0), TRT)
    assert len(events) - len(quiet) == pytest.approx(20 * 300, abs=4 * np.sqrt(6000))


@pytest.mark.parametrize("geometry", ["uniform", "arcs"])
def test_catalogue_is_read_back_without_a_hole_around_all_stations(tmp_path: Path, geometry: str) -> None:
    stations = list(SHIPPED.values())
    quakes = spec(days=500, geometry=geometry)
    events = simulate_earthquakes(quakes, stations)
    catalog = read_catalogs([write(events, tmp_path / "catalogue.csv")])
    assert catalog.coverage.holes == []
    assert catalog.warnings == []
    assert catalog.dropped == {}
    pd.testing.assert_frame_equal(
        catalog.events[EARTHQUAKE_COLUMNS[:6]], events[EARTHQUAKE_COLUMNS[:6]], check_dtype=False
    )
    start, end = catalog_span(quakes)
    assert catalog.coverage.covers(start, end - np.timedelta64(1, "ms")).all()
    assert all_inside(catalog.events, stations)


def all_inside(events: pd.DataFrame, stations: list[Station]) -> bool:
    south, north, west, east = bounding_box(events)
    return all(south < s.latitude_deg < north and west < s.longitude_deg < east for s in stations)


@pytest.mark.parametrize(
    "places",
    [[(62.0, 12.0)], [(-77.8, 166.7), (-41.2, 175.5)], [(-18.0, 179.5), (-13.8, -171.8)], [(0.0, 179.9)]],
)
def test_stations_anywhere_lie_in_the_area_of_a_short_catalogue(places: list[tuple[float, float]]) -> None:
    stations = [Station(f"X{i}", *place) for i, place in enumerate(places)]
    events = simulate_earthquakes(spec(days=1, per_station_year=0.0), stations)
    assert all_inside(events, stations)
    assert events["longitude_deg"].between(-180, 180, inclusive="left").all()
    assert not reached(events, stations).any()


def test_ids_are_unique_in_order_of_time_and_parents_are_among_them() -> None:
    events = simulate_earthquakes(spec(days=400, per_station_year=100.0, quiet_until=0.4), list(SHIPPED.values()))
    assert list(events.columns) == EARTHQUAKE_COLUMNS
    assert events["event_id"].tolist() == [f"sim{i:05d}" for i in range(len(events))]
    assert events["origin_utc"].dtype == "datetime64[ms]"
    assert events["origin_utc"].is_monotonic_increasing
    start, end = catalog_span(spec(days=400))
    assert (events["origin_utc"] >= start).all()
    assert (events["origin_utc"] < end).all()
    assert set(events["parent_id"]) - {""} <= set(events["event_id"])
    assert (events["parent_id"] != "").sum() > 100


@pytest.mark.parametrize("geometry", ["uniform", "arcs"])
def test_same_seed_gives_the_same_table_and_another_seed_another(geometry: str) -> None:
    stations = list(SHIPPED.values())
    one, two = (simulate_earthquakes(spec(geometry=geometry), stations) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    other = simulate_earthquakes(spec(geometry=geometry, seed=8), stations)
    assert not one["origin_utc"].head(50).equals(other["origin_utc"].head(50))


@pytest.mark.parametrize("geometry", ["uniform", "arcs"])
def test_nothing_in_range_precedes_quiet_until_and_no_aftershock_survives_its_parent(geometry: str) -> None:
    stations = [SHIPPED["TRT"], SHIPPED["GTO"]]
    options = {"geometry": geometry, "per_station_year": 60.0, "per_year": 2000.0, "branching_ratio": 0.7}
    whole = simulate_earthquakes(spec(days=1000, **options), stations)
    quiet = simulate_earthquakes(spec(days=1000, quiet_until=0.5, **options), stations)
    border = np.datetime64("2021-03-01", "ms") + 500 * DAY
    early = quiet[(quiet["origin_utc"] < border).to_numpy()]
    assert len(early) > 500
    assert not reached(early, stations).any()
    bad = set(whole.loc[reached(whole, stations) & (whole["origin_utc"] < border).to_numpy(), "event_id"])
    assert bad
    for event, parent in zip(whole["event_id"], whole["parent_id"], strict=True):  # parents come first
        if parent in bad:
            bad.add(event)
    kept = whole[~whole["event_id"].isin(bad)]
    assert (kept["origin_utc"] >= border).sum() < (whole["origin_utc"] >= border).sum()  # late aftershocks went too
    pd.testing.assert_frame_equal(kept[EARTHQUAKE_COLUMNS[1:6]].reset_index(drop=True), quiet[EARTHQUAKE_COLUMNS[1:6]])


def test_in_range_agrees_with_the_slow_way() -> None:
    stations = list(SHIPPED.values())
    events = simulate_earthquakes(spec(geometry="arcs", per_year=2000.0), stations)
    for fraction in (0.5, 1.0):
        assert (in_range(events, stations, fraction) == reached(events, stations, fraction)).all()


def test_arcs_far_from_all_stations_are_refused() -> None:
    far = [Station("NUR", 60.5, 24.7), Station("KAK", 36.2, 140.2)]
    with pytest.raises(UsageError, match=r"simulate\.earthquakes\.geometry is arcs.*1000 km.*KAK.*Set it to uniform"):
        simulate_earthquakes(spec(geometry="arcs"), far)
    assert len(simulate_earthquakes(spec(geometry="arcs"), [*far, *TRT]))  # one near station is enough


def test_magnitude_limits_without_a_tenth_between_them_are_refused() -> None:
    with pytest.raises(UsageError, match=r"max_magnitude is 4\.58, min_magnitude 4\.52.*at least 0\.1 apart"):
        simulate_earthquakes(spec(min_magnitude=4.52, max_magnitude=4.58), TRT)


@pytest.fixture
def own_catalogue(tmp_path: Path) -> str:
    """A cluster at Tretes (M 6 and two neighbours within days), and a daily background from 2021-01 to 2021-12."""
    days = np.datetime64("2021-01-01", "ms") + np.arange(365) * DAY
    rows = [(f"b{i}", day, -20.0 + 30 * (i % 2), 95.0 + 45 * (i // 2 % 2), 10.0, 4.1) for i, day in enumerate(days)]
    for name, day, magnitude in (("fore", 150, 4.5), ("main", 151, 6.0), ("after", 153, 5.0), ("later", 330, 5.0)):
        rows.append((name, days[day] + np.timedelta64(1, "h"), -7.8, 112.7, 10.0, magnitude))
    return str(write(pd.DataFrame(rows, columns=EARTHQUAKE_COLUMNS[:6]), tmp_path / "own.csv"))


def test_real_catalogue_is_cut_to_the_recordings_and_margins_with_mainshocks_as_parents(own_catalogue: str) -> None:
    quakes = spec(days=90, start="2021-05-01", catalog=own_catalogue)
    events = earthquakes(quakes, TRT)
    assert list(events.columns) == EARTHQUAKE_COLUMNS
    assert len(events) == 90 + 60 + 3  # a day is a row; "later" is out
    assert events["origin_utc"].iloc[0] == pd.Timestamp("2021-04-01")
    assert events["origin_utc"].iloc[-1] == pd.Timestamp("2021-08-28")
    parents = events.set_index("event_id")["parent_id"]
    assert parents["fore"] == parents["after"] == "main"
    assert parents["main"] == ""


def test_real_catalogue_that_does_not_fit_the_archive_is_refused(own_catalogue: str) -> None:
    with pytest.raises(UsageError, match=r"no event in the 90 days from 2025-05-01.*2021-01-01 to 2021-12-31"):
        read_earthquakes(spec(days=90, start="2025-05-01", catalog=own_catalogue), TRT)
    with pytest.raises(UsageError, match=r"simulate\.stations: KAK at 36\.2, 140\.2 lies outside.*Leave it out"):
        read_earthquakes(spec(days=90, catalog=own_catalogue), [*TRT, Station("KAK", 36.2, 140.2)])
    with pytest.raises(UsageError, match=r"quiet_until is 0\.5.*Set it to 0"):
        read_earthquakes(spec(days=90, catalog=own_catalogue, quiet_until=0.5), TRT)
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        read_earthquakes(spec(catalog="nowhere.csv"), TRT)


@pytest.mark.real
def test_bmkg_catalogue_serves_an_archive_of_2024(real_data: Path) -> None:
    path = real_data / "bmkg" / "catalog_2018_2025.csv"
    events = read_earthquakes(spec(days=366, start="2024-01-01", catalog=str(path)), list(SHIPPED.values()))
    whole = read_catalogs([path]).events
    inside = whole["origin_utc"].between("2023-12-02", "2025-01-31", inclusive="left")
    assert events["event_id"].tolist() == whole.loc[inside, "event_id"].tolist()
    followers = events[events["parent_id"] != ""]
    assert 0.3 < len(followers) / len(events) < 0.9
    magnitude = events.set_index("event_id")["magnitude"]
    assert (magnitude[followers["parent_id"]].to_numpy() >= followers["magnitude"].to_numpy()).all()


@pytest.mark.real
def test_arcs_lie_where_bmkg_locates_earthquakes(real_data: Path) -> None:
    events = read_catalogs([real_data / "bmkg" / "catalog_2018_2025.csv"]).events
    large = events[events["magnitude"] >= 5]
    away_km = distance_to_arcs_km(large["longitude_deg"].to_numpy(), large["latitude_deg"].to_numpy())
    assert np.mean(away_km <= 310) > 0.9
