"""``prepare``: the same store for any number of workers and any interruption, or an error that says what to do."""

import errno
import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from fixtures.archive_files import (
    FIRST,
    GTO,
    KEEP_ALL,
    day_name,
    prepare_days,
    small_simulation,
    window_counts,
    work_in_threads,
    write_days,
)
from fixtures.study_store import renew_checksums
from seismag.archive.survey import list_files
from seismag.config import DataConfig
from seismag.domain import DataError, SeismagError, UsageError
from seismag.recordings import read_recording
from seismag.spectrograms.decibels import window_spectra
from seismag.windows import prepare as stage
from seismag.windows import store as stores
from seismag.windows.inputs import read_inputs
from seismag.windows.no_sample import describe_no_sample
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store

SPEC = KEEP_ALL.model_copy(update={"cross_spectra": True, "n_bins": 100})  # 100 rows: quicker to write


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """5 days of GTO and ALR with one day missing, a few earthquakes: 9 files, 36 windows, four shards of 10."""
    earthquakes = {"per_station_year": 365.0}
    archive = small_simulation(tmp_path_factory.mktemp("archive") / "sim", days=5, earthquakes=earthquakes)
    (archive / "ALR" / "S210304.ALR.gz").unlink()
    return archive


def inputs_of(archive):
    tables = [archive / name for name in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv")]
    return read_inputs(archive, tables[0], [tables[1]], tables[2], tables[3])


@pytest.fixture(scope="module")
def inputs(archive):
    return inputs_of(archive)


@pytest.fixture(scope="module")
def reference(inputs, tmp_path_factory):
    return prepare_store(inputs, tmp_path_factory.mktemp("reference") / "store", SPEC)


@pytest.fixture(autouse=True, scope="module")
def _many_small_tasks():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stage, "SURVEY_FILES", 4)
        patched.setattr(stores, "SHARD_SAMPLES", 10)
        yield


def assert_same(path, reference):
    ours, theirs = open_store(path), open_store(reference.store)
    assert ours.attributes["dataset_id"] == theirs.attributes["dataset_id"]
    np.testing.assert_array_equal(ours.power[:].view(np.uint16), theirs.power[:].view(np.uint16))
    assert (ours.cross is None) == (theirs.cross is None)
    if theirs.cross is not None:
        np.testing.assert_array_equal(ours.cross[:].view(np.uint16), theirs.cross[:].view(np.uint16))
    pd.testing.assert_frame_equal(ours.samples, theirs.samples)
    for name in ("rejected.csv", "days.parquet"):
        assert (path / name).read_bytes() == (reference.store / name).read_bytes(), name
    assert not (path / ".work").exists()
    assert not list(path.glob("*.partial"))


class Stop:
    """A progress callback that interrupts at a stage, as Ctrl-C does."""

    def __init__(self, stage, done):
        self.at = (stage, done)

    def __call__(self, stage, done, _total):
        if (stage, done) == self.at:
            raise KeyboardInterrupt


# ---- content ----


def test_the_store_holds_the_spectrogram_of_each_window(reference, archive):
    store = open_store(reference.store)
    assert len(store.samples) == reference.n_samples > 30
    assert store.samples["sample_id"].is_unique
    np.testing.assert_array_equal(xr.open_zarr(store.path)["sample"].values, store.samples["sample_id"].to_numpy(str))
    for row in (0, 20, reference.n_samples - 1):
        sample = store.samples.iloc[row]
        day = np.datetime64(sample["start_utc"], "D").astype(object)
        recording = read_recording(archive / sample["station"] / f"S{day:%y%m%d}.{sample['station']}.gz")
        slot = sample["start_utc"].hour // 6
        spectra = window_spectra(recording.field_nt, SPEC, [slot], cross=True)
        np.testing.assert_array_equal(store.power[row], spectra.power_db[0])
        np.testing.assert_array_equal(store.cross[row], spectra.phasors[0])
        assert sample["source_sha256"] == recording.sha256


def test_samples_have_the_columns_of_the_design(reference):
    samples = open_store(reference.store).samples
    named = {
        "sample_id", "station", "start_utc", "end_utc", "split_group", "event_id", "event_ids", "origin_utc",
        "magnitude", "depth_km", "distance_km", "azimuth_deg", "lead_hours", "magnitude_class", "azimuth_class",
        "in_dobrovolsky", "in_hattori", "es", "kp_max", "dst_min_nt", "gap_fraction", "local_hour", "noise_floor_nt",
        "h_axis_deg", "source_sha256", "origin", "past_rate",
    }  # fmt: skip
    assert named <= set(samples.columns)
    normal = samples["magnitude_class"] == "Normal"
    assert 0 < normal.sum() < len(samples)
    assert samples.loc[normal, "event_id"].isna().all()
    assert samples.loc[~normal, "event_id"].notna().all()
    assert samples["h_axis_deg"].notna().all()
    assert (samples["end_utc"] - samples["start_utc"] == pd.Timedelta(hours=6)).all()


def test_a_simulated_archive_is_marked_as_such(reference, tmp_path):
    assert set(open_store(reference.store).samples["origin"]) == {"simulated"}
    write_days(tmp_path / "archive", GTO, [FIRST])
    _, samples, _ = prepare_days(tmp_path / "archive", tmp_path)
    assert set(samples["origin"]) == {"observed"}


def test_every_window_is_a_sample_or_rejected_with_its_reason_once(reference, archive):
    rejected = pd.read_csv(reference.store / "rejected.csv", parse_dates=["start_utc", "end_utc"])
    counts = window_counts(open_store(reference.store).samples, rejected)
    assert (counts == 1).all()
    files = list_files(archive)
    for station in ("GTO", "ALR"):
        days = sorted(np.datetime64(f"20{p.name[1:3]}-{p.name[3:5]}-{p.name[5:7]}") for p in files if station in p.name)
        assert len(counts[station]) == 4 * ((days[-1] - days[0]).astype(int) + 1)
    assert rejected["reason"].notna().all()
    assert (rejected["reason"] == "no_file").sum() == 4  # ALR, 4 March


def test_every_rejected_window_with_a_file_names_it(reference):
    rejected = pd.read_csv(reference.store / "rejected.csv", parse_dates=["start_utc"])
    held = rejected[rejected["reason"] != "no_file"]
    assert {"guard", "not_a_control"} & set(held["reason"])
    expected = held["station"] + "/S" + held["start_utc"].dt.strftime("%y%m%d") + "." + held["station"] + ".gz"
    assert held["path"].tolist() == expected.tolist()


def test_the_attributes_tell_where_the_store_comes_from(reference, inputs):
    attributes = open_store(reference.store).attributes
    assert attributes["config"]["window_h"] == 6
    assert attributes["preprocessing"]["segment_s"] == 600
    assert attributes["inputs"]["catalogs"] == sorted(inputs.catalog.sources.values())
    assert attributes["inputs"]["kp"] == inputs.kp.sha256
    assert attributes["range_rule"] == "dobrovolsky"
    assert attributes["dataset_id"] == reference.dataset_id
    gto = inputs.stations["GTO"]
    assert attributes["stations"]["GTO"] == {"latitude_deg": gto.latitude_deg, "longitude_deg": gto.longitude_deg}
    assert set(attributes["stations"]) == set(open_store(reference.store).samples["station"])


def test_the_store_keeps_the_earthquakes_that_labelled_it(reference, inputs):
    kept = stores.store_catalog(open_store(reference.store))
    pd.testing.assert_frame_equal(kept, inputs.catalog.events, check_dtype=False)


def test_a_store_from_before_the_catalogue_was_kept_still_opens(reference, tmp_path):
    shutil.copytree(reference.store, tmp_path / "old")
    (tmp_path / "old" / stores.CATALOG_FILE).unlink()
    renew_checksums(tmp_path / "old")
    assert stores.store_catalog(open_store(tmp_path / "old")) is None


def test_the_result_can_be_written_as_json_and_read_by_people(reference):
    facts = json.loads(json.dumps(reference.to_json()))
    assert facts["n_samples"] == reference.n_samples
    text = reference.describe()
    assert "not tested  the clock of the catalogue: a second catalogue (--catalog) would show local times" in text
    assert f"samples     {reference.n_samples}" in text
    assert "rejected.csv" in text


# ---- determinism and resumption ----


def test_two_workers_make_the_same_store(inputs, reference, tmp_path, monkeypatch):
    work_in_threads(monkeypatch)
    prepare_store(inputs, tmp_path / "store", SPEC, workers=2)
    assert_same(tmp_path / "store", reference)


@pytest.mark.parametrize("point", [("survey", 2), ("spectrograms", 2)])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_store(point, inputs, reference, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prepare_store(inputs, tmp_path / "store", SPEC, progress=Stop(*point))
    with pytest.raises(DataError):
        open_store(tmp_path / "store")
    todo = {}
    result = prepare_store(inputs, tmp_path / "store", SPEC, progress=lambda s, _, total: todo.setdefault(s, total))
    assert result.warnings == reference.warnings  # work that goes on is none
    assert_same(tmp_path / "store", reference)
    name, done = point
    files = len(list_files(inputs.archive))
    whole = {"survey": -(-files // 4), "spectrograms": -(-reference.n_samples // 10)}
    assert todo[name] == whole[name] - done  # finished parts were kept


@pytest.mark.parametrize("where", ["create_arrays", "write_shard", "finish_store", "rmtree"])
def test_an_interruption_between_the_stages_is_mended(where, inputs, reference, tmp_path, monkeypatch):
    module, name = (shutil, "rmtree") if where == "rmtree" else (stores, where)
    original = getattr(module, name)

    def stopped(*args, **kwargs):
        if where == "write_shard":
            original(*args[:-1], None)  # the phasors of this shard are not on disk yet
        elif where != "rmtree":
            original(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, name, stopped)
        with pytest.raises(KeyboardInterrupt):
            prepare_store(inputs, tmp_path / "store", SPEC)
    prepare_store(inputs, tmp_path / "store", SPEC)
    assert_same(tmp_path / "store", reference)


def test_a_finished_store_of_the_same_inputs_is_left_alone(archive, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    before = {p: p.stat().st_mtime_ns for p in store.rglob("*")}
    calls = []
    again = prepare_store(inputs_of(archive), store, SPEC, progress=lambda *call: calls.append(call))
    assert {stage for stage, _, _ in calls} == {"checksums"}
    assert {p: p.stat().st_mtime_ns for p in store.rglob("*")} == before
    assert again.to_json() == reference.to_json() | {"store": str(store)}


def test_other_settings_never_touch_a_finished_store(inputs, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    with pytest.raises(UsageError, match=r"finished store of other files or settings. Choose another --out"):
        prepare_store(inputs, store, SPEC.model_copy(update={"horizon_h": 24}))
    assert_same(store, reference)


def test_the_default_name_of_the_store_is_no_setting_of_its_content(inputs, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    spec = SPEC.model_copy(update={"store": "data/elsewhere.zarr"})
    assert prepare_store(inputs, store, spec).dataset_id == reference.dataset_id


def test_changed_files_after_an_interruption_start_over(tmp_path):
    archive = tmp_path / "archive"
    write_days(archive, GTO, FIRST + np.arange(3))
    catalogue_days = {"days": 120}
    prepared, samples, _ = prepare_days(archive, tmp_path, **catalogue_days)
    assert len(samples) == 12
    shutil.rmtree(prepared.store)
    inputs = read_inputs(archive, None, [tmp_path / "catalogue.csv"], None, None)
    with pytest.raises(KeyboardInterrupt):
        prepare_store(inputs, tmp_path / "store", KEEP_ALL, progress=Stop("spectrograms", 1))
    (archive / "GTO" / day_name(GTO, FIRST + 1)).write_bytes(b"")
    result = prepare_store(inputs, tmp_path / "store", KEEP_ALL)
    assert result.n_samples == 8
    assert result.dataset_id != prepared.dataset_id
    assert len(open_store(result.store).samples) == 8


def test_a_copied_archive_is_the_same_archive_by_any_name(archive, reference, tmp_path, monkeypatch):
    copy = shutil.copytree(archive, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    for number, path in enumerate(list_files(copy)):
        os.utime(path, (number, number))
    store = shutil.copytree(reference.store, tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    for name in (copy, Path("elsewhere"), Path("store/../elsewhere/")):
        assert prepare_store(inputs_of(name), store, SPEC).dataset_id == reference.dataset_id


def test_content_that_changes_with_equal_size_and_time_is_noticed(archive, reference, tmp_path):
    copy = shutil.copytree(archive, tmp_path / "copy")  # with times
    path = list_files(copy)[0]
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    store = shutil.copytree(reference.store, tmp_path / "store")
    with pytest.raises(UsageError, match="finished store of other files or settings"):
        prepare_store(inputs_of(copy), store, SPEC)


def test_settings_changed_after_an_interruption_leave_no_arrays_of_the_first_attempt(inputs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prepare_store(inputs, tmp_path / "store", SPEC, progress=Stop("spectrograms", 1))
    plain = SPEC.model_copy(update={"cross_spectra": False, "horizon_h": 24})
    prepare_store(inputs, tmp_path / "store", plain)
    assert open_store(tmp_path / "store").cross is None
    assert set(xr.open_zarr(tmp_path / "store").data_vars) == {"power"}


def test_unfinished_work_for_other_settings_is_not_discarded_in_silence(inputs, reference, tmp_path, caplog):
    other = SPEC.model_copy(update={"horizon_h": 24})
    with pytest.raises(KeyboardInterrupt):
        prepare_store(inputs, tmp_path / "store", other, progress=Stop("survey", 2))
    result = prepare_store(inputs, tmp_path / "store", SPEC)
    sentence = f"{tmp_path / 'store'}: unfinished work for other files or settings was discarded (2 parts)"
    assert sentence in caplog.messages
    assert sentence in result.warnings
    assert "warning     " in result.describe()
    assert_same(tmp_path / "store", reference)


def test_a_day_file_that_changes_between_survey_and_spectra_is_noticed(tmp_path):
    archive = tmp_path / "archive"
    write_days(archive, GTO, [FIRST])
    path = archive / "GTO" / day_name(GTO, FIRST)

    def change(stage, done, _total):
        if (stage, done) == ("spectrograms", 0):
            content = bytearray(path.read_bytes())
            content[10_000] ^= 1
            path.write_bytes(content)

    events = prepare_days(archive, tmp_path)[0]
    shutil.rmtree(events.store)
    inputs = read_inputs(archive, None, [tmp_path / "catalogue.csv"], None, None)
    with pytest.raises(DataError, match="GTO 2021-03-01: the day file changed while the store was made"):
        prepare_store(inputs, tmp_path / "store", KEEP_ALL, progress=change)


@pytest.mark.parametrize("change_to", ["another", "cut", "nothing"])
def test_a_day_file_that_changes_before_the_survey_is_noticed_and_restored_all_goes_on(change_to, tmp_path):
    archive = tmp_path / "archive"
    write_days(archive, GTO, FIRST + np.arange(3))
    expected = prepare_days(archive, tmp_path, days=120)[0]
    path = archive / "GTO" / day_name(GTO, FIRST + 1)
    content = path.read_bytes()

    def change(stage, done, _total):
        if (stage, done) == ("survey", 0):
            path.unlink()
            if change_to == "another":
                shutil.copyfile(archive / "GTO" / day_name(GTO, FIRST + 2), path)
            elif change_to == "cut":
                path.write_bytes(content[:10_000])

    inputs, out = read_inputs(archive, None, [tmp_path / "catalogue.csv"], None, None), tmp_path / "again"
    words = rf"archive: 1 of 3 files were changed or removed while the archive was read, the first: GTO.{path.name}\."
    with pytest.raises(DataError, match=words):
        prepare_store(inputs, out, KEEP_ALL, progress=change)
    path.write_bytes(content)
    assert prepare_store(inputs, out, KEEP_ALL).dataset_id == expected.dataset_id


# ---- refusals ----


@pytest.mark.parametrize("content", ["file", "folder with other things", "another program's zarr"])
def test_something_else_at_the_output_is_never_touched(content, inputs, tmp_path):
    out = tmp_path / "out"
    if content == "file":
        out.write_text("mine")
    elif content == "folder with other things":
        out.mkdir()
        (out / "thesis.tex").write_text("mine")
    else:
        xr.Dataset({"time": ("time", np.arange(3.0)), "t2m": ("time", np.arange(3.0))}).to_zarr(out)
    before = {p: p.read_bytes() for p in [out, *out.rglob("*")] if p.is_file()}
    with pytest.raises(UsageError, match=r"exists and is not a store. Choose another --out"):
        prepare_store(inputs, out, SPEC)
    assert {p: p.read_bytes() for p in [out, *out.rglob("*")] if p.is_file()} == before


def test_a_store_of_another_schema_version_is_not_written_over(inputs, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    zarr.open_group(store, mode="r+").attrs["schema_version"] = 0
    with pytest.raises(DataError, match="schema version 0"):
        prepare_store(inputs, store, SPEC)


# ---- two at once ----


def test_a_second_run_on_the_same_folder_is_refused_and_harms_nothing(inputs, reference, tmp_path):
    refused = []

    def second():
        for spec in (SPEC, SPEC.model_copy(update={"horizon_h": 24})):
            with pytest.raises(SeismagError, match=r"store: is being written by '.*' \(process \d+ of ") as caught:
                prepare_store(inputs, tmp_path / "store", spec)
            refused.append(caught.value.exit_code)

    def start_another(*_):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    prepare_store(inputs, tmp_path / "store", SPEC, progress=start_another)
    assert set(refused) == {1}
    assert len(refused) > 4  # of each stage
    assert_same(tmp_path / "store", reference)


# ---- damaged stores ----


def lose_arrays(store):
    shutil.rmtree(store / "power")


def lose_metadata(store):
    (store / "zarr.json").unlink()


def lose_a_table(store):
    (store / stores.DAYS_FILE).unlink()


def lose_samples_table(store):
    (store / stores.SAMPLES_FILE).unlink()


def lose_checksums(store):
    (store / "checksums.json").unlink()


def change_labels(store):
    samples = pd.read_parquet(store / stores.SAMPLES_FILE)
    samples.iloc[::-1].to_parquet(store / stores.SAMPLES_FILE, index=False)


def cut_array_file(store):
    shard = next(path for path in sorted((store / "cross" / "c").rglob("*")) if path.is_file())
    shard.write_bytes(shard.read_bytes()[:100])


DAMAGES = [
    lose_arrays, lose_metadata, lose_a_table, lose_samples_table, lose_checksums, change_labels, cut_array_file,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_same_command_makes_a_damaged_store_anew(damage, inputs, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    log = (store / "tried_configurations.jsonl").read_text()
    damage(store)
    result = prepare_store(inputs, store, SPEC)
    assert_same(store, reference)
    assert f"{store}: the store was damaged and has been made anew" in result.warnings[0]
    assert (store / "tried_configurations.jsonl").read_text().startswith(log)  # what was tried stays on record


@pytest.mark.parametrize("damage", [lose_arrays, lose_checksums])
def test_other_settings_never_touch_a_damaged_store(damage, inputs, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    damage(store)
    before = {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}
    with pytest.raises(DataError, match=r"made of other files or settings: delete the folder .*store, or choose"):
        prepare_store(inputs, store, SPEC.model_copy(update={"horizon_h": 24}))
    assert {p: p.read_bytes() for p in store.rglob("*") if p.is_file()} == before


def test_a_store_that_does_not_say_what_it_was_made_of_has_to_be_deleted(inputs, reference, tmp_path):
    store = shutil.copytree(reference.store, tmp_path / "store")
    for name in ("zarr.json", "checksums.json"):
        (store / name).unlink()
    with pytest.raises(DataError, match=r"what it was made of cannot be read: delete the folder"):
        prepare_store(inputs, store, SPEC)


@pytest.mark.parametrize("lost", ["power", "zarr.json", "sample", "power/c"])
def test_unfinished_work_whose_arrays_are_gone_is_done_again(lost, inputs, reference, tmp_path):
    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepare_store(inputs, store, SPEC, progress=Stop("spectrograms", 2))
    shutil.rmtree(store / lost) if (store / lost).is_dir() else (store / lost).unlink()
    prepare_store(inputs, store, SPEC)
    assert_same(store, reference)


def test_temporary_files_of_dead_runs_are_removed(inputs, reference, tmp_path):
    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepare_store(inputs, store, SPEC, progress=Stop("spectrograms", 2))
    dead = [store / f"power/c/0.{'0' * 32}.partial", store / f".days.parquet.{'0' * 32}.tmp.parquet"]
    for path in dead:
        path.write_text("cut")
    prepare_store(inputs, store, SPEC)
    assert not any(path.exists() for path in dead)
    assert_same(store, reference)


def test_quiet_days_need_kp(archive, tmp_path):
    without = read_inputs(archive, archive / "stations.csv", [archive / "catalogue.csv"], None, None)
    with pytest.raises(UsageError, match=r"data.controls: quiet_days needs --kp"):
        prepare_store(without, tmp_path / "s", KEEP_ALL.model_copy(update={"controls": "quiet_days"}))
    assert not (tmp_path / "s").exists()


def test_windows_that_are_all_rejected_make_no_store(tmp_path):
    """Controls matched to events, and no event: every window is Normal and not needed."""
    write_days(tmp_path / "archive", GTO, [FIRST])
    spec = DataConfig(guard_ahead_d=0, guard_behind_d=0)
    sentence = r"no usable window \(4 not_a_control\)\. No window precedes .* data\.controls=all.*rejected\.csv"
    for _ in range(2):  # the same command again finds the same
        with pytest.raises(DataError, match=sentence):
            prepare_days(tmp_path / "archive", tmp_path, spec)
    assert set(pd.read_csv(tmp_path / "store" / "rejected.csv")["reason"]) == {"not_a_control"}
    with pytest.raises(DataError, match="preparation was interrupted"):
        open_store(tmp_path / "store")
    assert prepare_days(tmp_path / "archive", tmp_path, KEEP_ALL)[0].n_samples == 4  # and the remedy helps


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (["gaps", "guard", "gaps"], r"\(2 gaps, 1 guard\)\. Too many seconds .* data\.max_gap_fraction"),
        (["catalog_hole"], r"\(1 catalog_hole\)\. The catalogue must cover"),
        (["bad_line", "bad_line", "kp_missing"], r"\(2 bad_line, 1 kp_missing\)\. .*'seismag inspect FILE'"),
    ],
)
def test_the_remedy_is_that_of_the_most_frequent_reason(reasons, words):
    rejected = pd.DataFrame({"reason": reasons})
    assert re.search(words, describe_no_sample(rejected, Path("archive"), Path("rejected.csv")))


# ---- a full disk ----


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/disk/part")


@pytest.mark.parametrize("write", ["write_table", "write_shard"])
def test_a_full_disk_is_named_and_the_next_run_finishes(write, inputs, reference, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(stores, write, full)
        with pytest.raises(
            SeismagError, match=r"/full/disk: the disk is full \(.* free now.*run the same command again"
        ):
            prepare_store(inputs, tmp_path / "store", SPEC)
    prepare_store(inputs, tmp_path / "store", SPEC)
    assert_same(tmp_path / "store", reference)


def test_another_failure_of_a_task_is_not_taken_for_a_full_disk(inputs, tmp_path, monkeypatch):
    def broken(*_args, **_kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(stores, "write_shard", broken)
    with pytest.raises(OSError, match="Input/output error"):
        prepare_store(inputs, tmp_path / "store", SPEC)


def test_an_interrupted_simulation_is_said_in_the_summary(tmp_path):
    archive = small_simulation(tmp_path / "a", days=3, stations=["GTO"])
    inputs = read_inputs(archive, archive / "stations.csv", [archive / "catalogue.csv"], None, None)
    spec = DataConfig(controls="all", match_kp=None)
    assert not any("interrupted" in line for line in prepare_store(inputs, tmp_path / "whole", spec).warnings)
    mark = archive / "simulation.json"
    mark.write_text(mark.read_text().replace('"complete": true', '"complete": false'))
    result = prepare_store(inputs, tmp_path / "part", spec)
    assert any("an interrupted simulation: days are missing" in line for line in result.warnings)
