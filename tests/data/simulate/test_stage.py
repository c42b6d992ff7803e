"""Simulated archives: reproducible bytes, real formats, and emissions that are where the truth says."""

import numpy as np
import pandas as pd
import pytest
from archive_fixture import FIRST, GTO, STATIONS, small_simulation
from scipy import signal

from seismag.config import DataConfig, SimulateConfig
from seismag.data.catalogs import read_catalogs
from seismag.data.indices import read_index
from seismag.data.quality import assess_day, main_field
from seismag.data.recordings import read_recording
from seismag.data.simulate import EMISSION_HZ, Emission, band_rms_nt, simulate_archive, simulate_day
from seismag.data.stations import read_stations
from seismag.data.windows import EARTH, dobrovolsky_km
from seismag.domain import UsageError

QUIET_KP = np.full(8, 2.0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return small_simulation(tmp_path_factory.mktemp("sim") / "archive", days=6, missing_day_fraction=0.2)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def day_files(folder):
    return sorted(folder.glob("*/S*.gz"))


def in_band(component):
    """Band-pass 10 to 40 mHz, edges of ten minutes cut off."""
    sos = signal.butter(6, EMISSION_HZ, "bandpass", fs=1.0, output="sos")
    return signal.sosfiltfilt(sos, component - component.mean(axis=-1, keepdims=True))[..., 600:-600]


def one_day(azimuth=None, snr=50.0, seed=1, kp=QUIET_KP, station=GTO):
    start = FIRST.astype("datetime64[ms]")
    emissions = [] if azimuth is None else [
        Emission(station.code, "e", start - np.timedelta64(1, "D"), start + np.timedelta64(2, "D"), azimuth, snr)
    ]  # fmt: skip
    spec = SimulateConfig(seed=seed)
    return simulate_day(spec, station, FIRST, kp, emissions, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(archive, tmp_path):
    two = simulate_archive(
        SimulateConfig(days=6, stations=["GTO", "ALR"], events_per_station=2, emission_snr=20.0,
                       missing_day_fraction=0.2), tmp_path / "two", workers=2,
    )  # fmt: skip
    assert contents(two) == contents(archive)


def test_another_seed_gives_another_archive(archive, tmp_path):
    other = contents(small_simulation(tmp_path / "other", seed=8, days=6, missing_day_fraction=0.2))
    ours = contents(archive)
    assert not any(other[name] == ours[name] for name in set(other) & set(ours) if name.startswith(("GTO", "ALR")))
    assert other["catalogue.csv"] != ours["catalogue.csv"]


def test_day_files_are_read_back_and_fit_the_main_field(archive):
    assert 0 < len(day_files(archive)) < 12  # a fifth of the days is missing
    for path in day_files(archive):
        recording = read_recording(path)
        assert recording.station == path.parent.name
        assert f"S{recording.start_utc.astype('M8[D]').astype(object):%y%m%d}.{recording.station}.gz" == path.name
        expected = main_field(STATIONS[recording.station], recording.start_utc)
        quality = assess_day(recording.field_nt, DataConfig(), expected, path.name)
        assert (quality.verdict, quality.plausible) == ("good", True), quality.reasons


def test_stations_share_the_stated_part_of_their_noise():
    """The same seed of the archive, another generator for the station's own part: 0.7 of the power is common."""
    spec = SimulateConfig(seed=1)
    days = [
        in_band(simulate_day(spec, STATIONS[code], FIRST, QUIET_KP, [], np.random.default_rng(own)))
        for own, code in ((10, "GTO"), (11, "ALR"))
    ]
    for a, b in zip(*days, strict=True):
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.7, abs=0.06)


def test_tables_are_read_by_the_readers_of_the_package(archive):
    stations = read_stations(archive / "stations.csv")
    assert sorted(stations) == ["ALR", "GTO"]
    assert stations["GTO"].latitude_deg == pytest.approx(GTO.latitude_deg, abs=1e-4)
    catalog = read_catalogs([archive / "catalogue.csv"])
    assert catalog.coverage.holes == []
    assert not catalog.dropped
    margin = np.timedelta64(29, "D")
    assert catalog.coverage.covers(FIRST - margin, FIRST + 6 + margin).all()
    first, last = FIRST.astype("datetime64[ms]"), (FIRST + 6).astype("datetime64[ms]")
    kp = read_index(archive / "kp.csv", "kp").maximum(first[None], last[None])
    dst = read_index(archive / "dst.csv", "dst").minimum(first[None], last[None])
    assert 0 <= kp[0] <= 9
    assert -200 < dst[0] < 20


def test_truth_agrees_with_the_catalogue(archive):
    truth = pd.read_parquet(archive / "truth.parquet")
    events = read_catalogs([archive / "catalogue.csv"]).events.set_index("event_id")
    assert len(truth) == 4
    assert list(truth.columns) == ["station", "event_id", "start_utc", "end_utc", "azimuth_deg", "snr"]
    for row in truth.itertuples():
        event, station = events.loc[row.event_id], STATIONS[row.station]
        azimuth, _, metres = EARTH.inv(
            station.longitude_deg, station.latitude_deg, event["longitude_deg"], event["latitude_deg"]
        )
        assert (azimuth - row.azimuth_deg + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
        assert metres / 1000 < dobrovolsky_km(np.array([event["magnitude"]]))[0]
        assert abs(event["origin_utc"] - row.end_utc) < pd.Timedelta(seconds=1)
        assert row.end_utc - row.start_utc == pd.Timedelta(hours=48)
        assert row.snr == 20.0


def test_no_background_earthquake_is_in_range_of_a_station(archive):
    truth = pd.read_parquet(archive / "truth.parquet")
    events = read_catalogs([archive / "catalogue.csv"]).events
    planted = set(truth["event_id"])
    for station in (STATIONS["GTO"], STATIONS["ALR"]):
        for event in events.itertuples():
            _, _, metres = EARTH.inv(
                station.longitude_deg, station.latitude_deg, event.longitude_deg, event.latitude_deg
            )
            if metres / 1000 <= dobrovolsky_km(np.array([event.magnitude]))[0]:
                near = truth["end_utc"] <= event.origin_utc + pd.Timedelta(seconds=1)
                assert event.event_id in planted or near.any()  # an aftershock follows a planted mainshock


@pytest.mark.parametrize("azimuth", [0.0, 30.0, 75.0, 120.0, 200.0, 300.0])
def test_the_planted_emission_is_polarised_along_the_azimuth(azimuth):
    """The axis of the horizontal ellipse in the band, turned from magnetic to geographic north."""
    h, d, _ = in_band(one_day(azimuth))
    axis = 0.5 * np.degrees(np.arctan2(2 * np.mean(h * d), np.mean(h * h) - np.mean(d * d)))
    declination = main_field(GTO, FIRST).declination_deg
    assert (axis + declination - azimuth + 90) % 180 - 90 == pytest.approx(0, abs=5)


@pytest.mark.parametrize("azimuth", [30.0, 120.0, 210.0, 300.0])
def test_z_in_quadrature_tells_a_source_from_its_reverse(azimuth):
    """Z leads the field along the azimuth by 90 degrees, with half its amplitude."""
    h, d, z = in_band(one_day(azimuth))
    angle = np.radians(azimuth - main_field(GTO, FIRST).declination_deg)
    along = signal.hilbert(h * np.cos(angle) + d * np.sin(angle))
    cross = np.mean(np.conj(along) * signal.hilbert(z)) / np.mean(np.abs(along) ** 2)
    assert cross.imag == pytest.approx(0.5, abs=0.05)
    assert cross.real == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("snr", [1.0, 3.0, 10.0])
def test_the_ratio_of_power_in_the_band_is_the_one_asked_for(snr):
    background = in_band(one_day())[0].var()
    assert np.sqrt(background) == pytest.approx(band_rms_nt(), rel=0.15)
    angle = np.radians(60.0 - main_field(GTO, FIRST).declination_deg)
    h, d, _ = in_band(one_day(60.0, snr) - one_day())  # the same background; the sensor's noise differs
    power = (h * np.cos(angle) + d * np.sin(angle)).var()
    assert power / background == pytest.approx(snr, rel=0.2)


def test_the_emission_scales_with_activity_as_the_background_does():
    stormy = np.full(8, 5.0)
    ratio = in_band(one_day(60.0, 10.0, kp=stormy))[0].var() / in_band(one_day(60.0, 10.0))[0].var()
    background = in_band(one_day(kp=stormy))[0].var() / in_band(one_day())[0].var()
    assert ratio == pytest.approx(background, rel=0.1)
    assert background > 2


def test_the_emission_lies_within_its_interval_and_band():
    start = FIRST.astype("datetime64[ms]") + np.timedelta64(6, "h")
    emission = Emission("GTO", "e", start, start + np.timedelta64(6, "h"), 60.0, 1_000.0)
    spec = SimulateConfig()
    field = simulate_day(spec, GTO, FIRST, QUIET_KP, [emission], np.random.default_rng(1))
    quiet = simulate_day(spec, GTO, FIRST, QUIET_KP, [], np.random.default_rng(1))
    difference = (field - quiet)[0]
    inside = difference[21_600:43_200]
    assert np.abs(difference[:21_600]).max() < 0.2  # sensor noise alone, twice
    assert np.abs(difference[43_200:]).max() < 0.2
    assert inside.std() > 0.5
    frequency, power = signal.welch(inside, fs=1.0, nperseg=3_600)
    band = (frequency >= EMISSION_HZ[0]) & (frequency <= EMISSION_HZ[1])
    assert power[band].sum() / power.sum() > 0.95


def test_emissions_of_other_days_leave_no_trace():
    far = FIRST.astype("datetime64[ms]") + np.timedelta64(5, "D")
    emission = Emission("GTO", "e", far, far + np.timedelta64(2, "D"), 60.0, 1_000.0)
    spec = SimulateConfig()
    with_it = simulate_day(spec, GTO, FIRST, QUIET_KP, [emission], np.random.default_rng(1))
    np.testing.assert_array_equal(with_it, simulate_day(spec, GTO, FIRST, QUIET_KP, [], np.random.default_rng(1)))


def test_a_ratio_of_zero_plants_nothing(tmp_path):
    out = small_simulation(tmp_path / "a", days=4, stations=["GTO"], emission_snr=0.0)
    truth = pd.read_parquet(out / "truth.parquet")
    assert len(truth) == 0
    assert "azimuth_deg" in truth.columns
    assert len(read_catalogs([out / "catalogue.csv"]).events) > 10  # the earthquakes are there all the same


def test_a_station_without_events_can_be_simulated(tmp_path):
    out = small_simulation(tmp_path / "a", days=1, stations=["GTO"], events_per_station=0)
    assert len(day_files(out)) == 1
    assert len(pd.read_parquet(out / "truth.parquet")) == 0


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty\. Choose another --out"):
        small_simulation(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is not empty"):
        small_simulation(tmp_path / "thesis.tex")


def test_an_unknown_station_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match=r"simulate.stations: XXX not among ALR, .*"):
        small_simulation(tmp_path / "a", stations=["GTO", "XXX"])
    assert not (tmp_path / "a").exists()


def test_an_interrupted_simulation_is_marked_as_simulated(tmp_path):
    """Its files look real: whatever is there must carry the mark, or prepare takes it for observed."""

    def stop(_stage, done, _total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_archive(SimulateConfig(days=2, stations=["GTO"], missing_day_fraction=0.0), tmp_path / "a", 1, stop)
    assert len(day_files(tmp_path / "a")) == 1
    assert (tmp_path / "a" / "simulation.json").is_file()
