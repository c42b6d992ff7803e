"""Emissions in real files: only what was asked for changes, and the truth says what."""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from fixtures.archive_files import (
    ALR,
    DAY_S,
    FIRST,
    GTO,
    KEEP_ALL,
    day_bytes,
    day_name,
    quiet_day,
    without_empty_blocks,
    work_in_threads,
    write_catalogue,
    write_iaga,
)
from seismag.archive.catalogs import read_catalogs
from seismag.archive.listing import inspect_archive
from seismag.archive.quality import main_field
from seismag.archive.stations import read_stations
from seismag.archive.survey import load_day
from seismag.config import SimulateConfig
from seismag.domain import DataError, UsageError
from seismag.recordings import read_recording
from seismag.simulate import inject_archive
from seismag.simulate.emission import TRUTH_COLUMNS
from seismag.simulate.survey import band_power_nt2, reference_nt2
from seismag.windows.inputs import read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store

EVENT = {"event_id": "near", "origin_utc": "2021-03-02T18:00:00Z", "latitude_deg": 1.2, "longitude_deg": 123.6,
         "depth_km": 20, "magnitude": 5.5}  # fmt: skip


def spec_of(catalog, **emission):
    return SimulateConfig.model_validate(
        {"earthquakes": {"catalog": None if catalog is None else str(catalog)},
         "emission": {"snr": 200.0, "lead_h": 30.0, "duration_h": 30.0} | emission}
    )  # fmt: skip


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """One earthquake near GTO on 2 March, others far from every station."""
    path = write_catalogue(tmp_path_factory.mktemp("quakes") / "catalogue.csv")
    pd.concat([pd.DataFrame([EVENT]), pd.read_csv(path)]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """GTO: four days, one packed, one with gaps; ALR: a day; files that cannot be used."""
    folder = tmp_path_factory.mktemp("real") / "archive"
    (folder / "GTO" / "2021").mkdir(parents=True)
    (folder / "ALR").mkdir()
    for number in range(4):
        field = quiet_day(GTO, FIRST + number)
        if number == 1:
            field[:, 20_000:20_064] = np.nan
            field[:, 30_000:30_600] = np.nan  # a whole block
        payload = without_empty_blocks(day_bytes(GTO, FIRST + number, field))
        name = day_name(GTO, FIRST + number)
        if number == 2:
            (folder / "GTO" / "2021" / name).write_bytes(payload)
        else:
            (folder / "GTO" / f"{name}.gz").write_bytes(gzip.compress(payload, 1))
    (folder / "ALR" / day_name(ALR, FIRST)).write_bytes(day_bytes(ALR, FIRST, quiet_day(ALR, FIRST)))
    (folder / "GTO" / "page.bin").write_bytes(b"<html>")
    minute = quiet_day(GTO, FIRST)[:, ::60]
    write_iaga(folder / "GTO" / "gto20210301vmin.min", "GTO", FIRST, minute, step_s=60)
    (folder / "XXX").mkdir()
    shutil.copy(folder / "ALR" / day_name(ALR, FIRST), folder / "XXX" / "copy.bin")
    (folder / "notes.csv").write_text("mine")
    return folder


@pytest.fixture(scope="module")
def injected(archive, catalog, tmp_path_factory):
    calls = []
    out = inject_archive(
        spec_of(catalog), archive, tmp_path_factory.mktemp("out") / "injected", 1, lambda *call: calls.append(call)
    )
    return out, calls


def files_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


CHANGED = {"GTO/S210302.GTO.gz", "GTO/S210301.GTO.gz"}  # from 12:00 on the first to 18:00 on the second of March


def test_only_the_files_of_the_emission_change_and_the_others_are_byte_identical(archive, injected):
    out, _ = injected
    old, new = files_of(archive), files_of(out)
    old.pop("notes.csv")
    assert set(new) - set(old) == {"catalogue.csv", "stations.csv", "truth.parquet", "simulation.json"}
    assert set(old) <= set(new)
    assert {name for name in old if old[name] != new[name]} == CHANGED


def test_the_reading_differs_by_the_emission_within_the_band_and_time_and_rounding(archive, injected):
    out, _ = injected
    for name in sorted(CHANGED):
        before, after = read_recording(archive / name), read_recording(out / name)
        assert (before.origin, after.origin) == ("observed", "simulated")
        assert after.metadata | {"origin": None} == before.metadata | {"origin": None}
        np.testing.assert_array_equal(np.isnan(before.field_nt), np.isnan(after.field_nt))
        difference = np.nan_to_num(after.field_nt - before.field_nt)
        seconds = (after.start_utc - FIRST.astype("M8[ms]")) / np.timedelta64(1, "s") + np.arange(DAY_S)
        inside = (seconds >= 12 * 3600) & (seconds < 42 * 3600)
        assert not difference[:, ~inside].any()
        quiet = inside & ~np.isnan(before.field_nt).any(axis=0)
        spectrum = np.abs(np.fft.rfft(difference[:2, quiet][:, -10_000:] * np.hanning(10_000))) ** 2
        frequency = np.fft.rfftfreq(10_000)
        band = (frequency >= 0.0095) & (frequency < 0.0405)
        assert spectrum[:, band].sum() > 0.98 * spectrum.sum()


def test_the_emission_points_to_the_epicentre_by_the_axis_of_the_main_field(archive, injected):
    """FRG-604RC does not state its axis: polarisation in the file is the azimuth less the declination."""
    out, _ = injected
    name = "GTO/S210301.GTO.gz"
    h, d, z = read_recording(out / name).field_nt - read_recording(archive / name).field_nt
    row = pd.read_parquet(out / "truth.parquet").iloc[0]
    axis = 0.5 * np.degrees(np.arctan2(2 * np.sum(h * d), np.sum(h * h) - np.sum(d * d)))
    declination = main_field(GTO, FIRST).declination_deg
    assert (axis + declination - row["azimuth_deg"] + 90) % 180 - 90 == pytest.approx(0, abs=1)
    assert z.std() / np.hypot(h.std(), d.std()) == pytest.approx(0.5, rel=0.05)


def test_the_truth_has_the_columns_of_a_simulation_and_measured_backgrounds(archive, injected):
    out, _ = injected
    truth = pd.read_parquet(out / "truth.parquet")
    assert list(truth.columns) == list(TRUTH_COLUMNS)
    assert truth["start_utc"].tolist() == list(pd.date_range("2021-03-01T12:00", "2021-03-02T12:00", freq="6h"))
    assert set(truth["station"]) == {"GTO"}
    assert set(truth["event_id"]) == {"near"}
    field = load_day([archive / "GTO" / "S210301.GTO.gz"], GTO, FIRST).field_nt
    power = band_power_nt2(field, (0.01, 0.04))
    np.testing.assert_allclose(truth["background_nt2"].to_numpy()[:2], power.mean(axis=1)[2:], rtol=1e-6)
    np.testing.assert_allclose(truth["snr"], truth["emission_nt2"] / truth["background_nt2"])


def test_the_power_is_snr_times_the_quietest_half_of_the_stations_background(archive, injected):
    out, _ = injected
    segments = []
    for path in sorted((archive / "GTO").rglob("S*")):
        recording = read_recording(path)
        day = recording.start_utc.astype("M8[D]")
        segments.append(band_power_nt2(load_day([path], GTO, day).field_nt, (0.01, 0.04)))
    expected = reference_nt2(np.stack(segments))
    stated = json.loads((out / "simulation.json").read_text())
    assert stated["background_nt2"]["GTO"] == pytest.approx(expected)
    truth = pd.read_parquet(out / "truth.parquet")
    whole = truth[truth["start_utc"] == "2021-03-01T18:00"].iloc[0]
    assert whole["emission_nt2"] == pytest.approx(200 * expected)
    name = "GTO/S210301.GTO.gz"
    added = (read_recording(out / name).field_nt - read_recording(archive / name).field_nt)[:2, 18 * 3600 :]
    assert added.var(axis=1).sum() == pytest.approx(200 * expected, rel=0.1)


def test_the_tables_are_read_by_the_readers_of_the_package(injected, catalog):
    out, calls = injected
    assert list(read_stations(out / "stations.csv")) == ["ALR", "GTO"]
    events = read_catalogs([out / "catalogue.csv"]).events
    given = read_catalogs([catalog]).events
    assert len(events) < len(given)  # those within 30 days of the recordings
    assert events["origin_utc"].min() >= pd.Timestamp("2021-01-30")
    assert "near" in set(events["event_id"])
    facts = json.loads((out / "simulation.json").read_text())
    assert facts["injected"] is True
    unusable = {"unknown_format": 1, "wrong_sampling_rate": 1}
    assert facts["files"] == {"changed": 2, "copied": 6, "unusable": unusable}
    assert {call[0] for call in calls} == {"checksums", "survey", "inject"}
    assert all(done == total for stage, done, total in calls[-1:])


def test_any_number_of_workers_gives_the_same_bytes(archive, catalog, injected, tmp_path, monkeypatch):
    work_in_threads(monkeypatch)
    two = inject_archive(spec_of(catalog), archive, tmp_path / "two", workers=2)
    assert files_of(two) == files_of(injected[0])


def test_an_interrupted_injection_goes_on_and_ends_with_the_same_bytes(archive, catalog, injected, tmp_path):
    def stop(stage, done, _total):
        if (stage, done) == ("inject", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inject_archive(spec_of(catalog), archive, tmp_path / "a", 1, stop)
    assert json.loads((tmp_path / "a" / "simulation.json").read_text())["complete"] is False
    with pytest.raises(UsageError, match="unfinished simulation with other settings"):
        inject_archive(spec_of(catalog, snr=9.0), archive, tmp_path / "a")
    inject_archive(spec_of(catalog), archive, tmp_path / "a")
    assert files_of(tmp_path / "a") == files_of(injected[0])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")}
    inject_archive(spec_of(catalog), archive, tmp_path / "a")  # finished: perhaps killed before it could say so
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")} == before


def test_an_unfinished_injection_of_other_files_is_refused(archive, catalog, tmp_path):
    copy = shutil.copytree(archive, tmp_path / "archive")

    def stop(stage, done, _total):
        if (stage, done) == ("inject", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inject_archive(spec_of(catalog), copy, tmp_path / "a", 1, stop)
    next((copy / "GTO").rglob("S*")).unlink()
    with pytest.raises(UsageError, match="unfinished simulation of other input files, or of files that have changed"):
        inject_archive(spec_of(catalog), copy, tmp_path / "a")


def test_two_files_that_hold_the_same_seconds_still_agree(catalog, tmp_path):
    """A copy of a day in another format and cut: prepare merges them, before as after."""
    field = quiet_day(GTO, FIRST)
    folder = tmp_path / "archive" / "GTO"
    folder.mkdir(parents=True)
    (folder / day_name(GTO, FIRST)).write_bytes(day_bytes(GTO, FIRST, field))
    noon = np.datetime64("2021-03-01T10:00:00")
    write_iaga(folder / "part.sec", "GTO", noon, field[:, 36_000:72_000])
    out = inject_archive(spec_of(catalog), tmp_path / "archive", tmp_path / "out")
    whole, part = read_recording(out / "GTO" / day_name(GTO, FIRST)), read_recording(out / "GTO" / "part.sec")
    assert part.origin == "simulated"
    assert np.abs(whole.field_nt[:, 36_000:72_000] - part.field_nt).max() <= 0.0101
    truth = pd.read_parquet(out / "truth.parquet")
    assert not truth.duplicated(["station", "start_utc", "event_id"]).any()


def test_a_store_of_injected_files_says_simulated_and_of_the_originals_observed(archive, catalog, injected, tmp_path):
    out, _ = injected
    for folder, origin in ((archive, "observed"), (out, "simulated")):
        inputs = read_inputs(folder, None, [catalog], None, None)
        store = open_store(prepare_store(inputs, tmp_path / origin, KEEP_ALL).store)
        assert store.attributes["origin"] == origin
        assert set(store.samples["origin"]) == {origin}


def test_without_simulation_json_the_files_still_say_what_they_are(injected, catalog, tmp_path):
    shutil.copytree(injected[0], tmp_path / "a")
    (tmp_path / "a" / "simulation.json").unlink()
    inputs = read_inputs(tmp_path / "a", None, [catalog], None, None)
    store = open_store(prepare_store(inputs, tmp_path / "store", KEEP_ALL).store)
    assert store.attributes["origin"] == "mixed"
    days = store.samples.assign(day=store.samples["start_utc"].dt.date.astype(str))
    origins = days.groupby(["station", "day"])["origin"].unique().str.join(",").to_dict()
    assert {key for key, origin in origins.items() if origin == "simulated"} == {
        ("GTO", "2021-03-01"), ("GTO", "2021-03-02")
    }  # fmt: skip
    table = pd.read_parquet(store.path / "days.parquet")
    assert table.loc[table["verdict"] != "refused", "origin"].notna().all()
    assert table.loc[table["reason"] == "unknown_format", "origin"].isna().all()


def refused(kind, match, *arguments, out):
    with pytest.raises(kind, match=match):
        inject_archive(*arguments, out)
    assert not out.exists()


def test_a_catalogue_and_an_emission_are_needed(archive, catalog, tmp_path):
    out = tmp_path / "out"
    refused(UsageError, r"name a catalogue with --catalog FILE", spec_of(None), archive, out=out)
    refused(UsageError, r"simulate\.emission\.snr is 0", spec_of(catalog, snr=0.0), archive, out=out)
    refused(UsageError, r"low_mhz is 0\.5; .* from 1\.67 mHz on", spec_of(catalog, low_mhz=0.5), archive, out=out)


def test_a_catalogue_without_an_event_in_range_writes_nothing(archive, tmp_path):
    far = tmp_path / "far.csv"
    pd.DataFrame([EVENT | {"latitude_deg": 40.0}]).to_csv(far, index=False)
    late = tmp_path / "late.csv"
    pd.DataFrame([EVENT | {"origin_utc": "2022-03-02T18:00:00Z"}]).to_csv(late, index=False)
    for path in (far, late):
        refused(
            DataError, r"no earthquake within its Dobrovolsky radius of a station of .* \(ALR, GTO\) .* 2021-03-01 to "
            r"2021-03-04; nothing was written", spec_of(path), archive, out=tmp_path / "out",
        )  # fmt: skip


def test_an_emission_below_the_rounding_writes_nothing(archive, catalog, tmp_path):
    refused(
        DataError, r"smaller than the rounding of the files", spec_of(catalog, snr=1e-9), archive, out=tmp_path / "o"
    )


def test_folders_that_cannot_serve_are_refused(archive, catalog, injected, tmp_path):
    spec = spec_of(catalog)
    refused(UsageError, r"lies within the archive", spec, archive, out=archive / "out")
    refused(DataError, r"no such folder", spec, tmp_path / "none", out=tmp_path / "out")
    refused(DataError, r"is simulated itself \(simulation\.json\)", spec, injected[0], out=tmp_path / "out")


def test_formats_that_cannot_be_written_are_named_before_anything_is_written(archive, catalog, tmp_path):
    shutil.copytree(archive, tmp_path / "a")
    (tmp_path / "a" / "GTO" / "x.mseed").write_bytes(b"000001D GTO    LFHII" + b"\0" * 500)
    refused(
        DataError, r"1 files are of formats that cannot be written: GTO/x\.mseed \(miniSEED\)\. Convert them to "
        r"FRG-604RC or IAGA-2002, or take them out", spec_of(catalog), tmp_path / "a", out=tmp_path / "out",
    )  # fmt: skip


def test_files_with_an_emission_already_are_refused(injected, catalog, tmp_path):
    shutil.copytree(injected[0], tmp_path / "a")
    (tmp_path / "a" / "simulation.json").unlink()
    refused(
        DataError, r"2 files are simulated or injected already: GTO/S210301\.GTO\.gz", spec_of(catalog),
        tmp_path / "a", out=tmp_path / "out",
    )  # fmt: skip


def test_an_archive_of_minute_means_or_unlisted_stations_is_refused_with_the_way_out(catalog, tmp_path):
    write_iaga(tmp_path / "a" / "GTO" / "gto20210301vmin.min", "GTO", FIRST, quiet_day(GTO, FIRST)[:, ::60], step_s=60)
    refused(
        DataError, r"no file can be used \(1 wrong_sampling_rate\)", spec_of(catalog), tmp_path / "a",
        out=tmp_path / "out",
    )  # fmt: skip
    write_iaga(tmp_path / "b" / "BOU" / "bou20210301vsec.sec", "BOU", FIRST, quiet_day(GTO, FIRST)[:, :3600])
    refused(
        DataError, r"Not in the station file: BOU; name a table, --set simulate\.station_file=FILE", spec_of(catalog),
        tmp_path / "b", out=tmp_path / "out",
    )  # fmt: skip


def test_stations_left_out_for_want_of_a_position_are_named_with_the_way_out(archive, catalog, tmp_path):
    folder = shutil.copytree(archive, tmp_path / "a")
    write_iaga(folder / "BOU" / "bou20210301vsec.sec", "BOU", FIRST, quiet_day(GTO, FIRST)[:, :3600])
    out = inject_archive(spec_of(catalog), folder, tmp_path / "out")
    assert json.loads((out / "simulation.json").read_text())["unlisted_stations"] == ["BOU"]
    text = inspect_archive(out).describe()
    assert "stations not listed: BOU; name a table with them, --set simulate.station_file=FILE" in text


@pytest.mark.real
def test_published_days_of_boulder_and_alor_carry_an_emission(real_data, tmp_path):
    for folder, name in (("BOU", "usgs_1s_201404/bou20140407vsec.sec.gz"), ("ALR", "bmkg/S250101.ALR")):
        (tmp_path / "a" / folder).mkdir(parents=True)
        shutil.copy(real_data / name, tmp_path / "a" / folder)
    stations = tmp_path / "stations.csv"
    stations.write_text("code,latitude_deg,longitude_deg\nBOU,40.137,-105.236\nALR,-8.14,124.59\n")
    quakes = tmp_path / "quakes.csv"
    quakes.write_text(
        "event_id,origin_utc,latitude_deg,longitude_deg,depth_km,magnitude\n"
        "b,2014-04-08T06:00:00Z,39.2,-104.6,10,6.0\na,2025-01-02T06:00:00Z,-8.9,125.6,10,6.0\n"
    )
    spec = spec_of(quakes).model_copy(update={"station_file": str(stations)})
    out = inject_archive(spec, tmp_path / "a", tmp_path / "out")
    truth = pd.read_parquet(out / "truth.parquet")
    assert set(truth["station"]) == {"ALR", "BOU"}
    for name, nt in (("BOU/bou20140407vsec.sec.gz", 0.04), ("ALR/S250101.ALR", 0.005)):
        before, after = read_recording(tmp_path / "a" / name), read_recording(out / name)
        difference = np.nan_to_num(after.field_nt - before.field_nt)
        assert not difference[:, :1].any()
        assert difference.std() > 2 * nt
        azimuth = truth.loc[truth["station"] == name[:3], "azimuth_deg"].iloc[0]
        station = read_stations(stations)[name[:3]]
        axis_deg = before.h_axis_deg
        if np.isnan(axis_deg):
            axis_deg = main_field(station, before.start_utc.astype("M8[D]")).declination_deg
        h, d, _ = difference
        axis = 0.5 * np.degrees(np.arctan2(2 * np.sum(h * d), np.sum(h * h) - np.sum(d * d)))
        assert (axis + axis_deg - azimuth + 90) % 180 - 90 == pytest.approx(0, abs=1.5)
