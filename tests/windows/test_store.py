"""The store on disk: what xarray sees, what is refused, what is left when something goes wrong."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from fixtures.commands import run_seismag
from fixtures.plain_store import plain_attributes, plain_samples
from fixtures.study_store import make_store, replace_samples
from seismag.config import DataConfig
from seismag.domain import DataError
from seismag.files import write_table
from seismag.windows import store as stores
from seismag.windows.inspect import StoreVerification, verify_store
from seismag.windows.store import (
    SAMPLES_FILE,
    create_arrays,
    create_image_arrays,
    finish_store,
    open_store,
    read_samples,
    write_changed_store,
    write_shard,
)

SPEC = DataConfig(window_h=1, cross_spectra=True)  # (3, 224, 32): small
SHAPE = (3, 224, 32)
N = 70  # more than one shard


def ids(n=N):
    return [f"GTO-{i:04d}" for i in range(n)]


def fill(path, spec=SPEC, n=N):
    """Write a whole store of random values; gives power and phasors."""
    rng = np.random.default_rng(1)
    power = rng.normal(-20, 5, (n, *SHAPE)).astype(np.float16)
    power[-1:, 1, :, 5] = np.nan
    phasors = rng.normal(0, 1, (n, 3, 2, 224, 32)).astype(np.float16) if spec.cross_spectra else None
    create_arrays(path, ids(n), spec)
    for first in range(0, n, 64):
        write_shard(path, first, power[first : first + 64], None if phasors is None else phasors[first : first + 64])
    rejected = pd.DataFrame({"station": ["GTO"], "start_utc": [pd.Timestamp("2021-03-01")], "reason": ["gaps"]})
    samples, attributes = plain_samples(pd.DataFrame({"sample_id": ids(n)})), plain_attributes(spec, dataset_id="abc")
    finish_store(path, samples, rejected, pd.DataFrame({"verdict": ["good"]}), attributes)
    return power, phasors


def fill_as_earlier(path, spec=SPEC, n=N):
    """Write a store as a version without checksums did."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stores, "COMPRESSION", ZstdCodec(level=1))
        power, _ = fill(path, spec, n)
    (path / "checksums.json").unlink()
    return power


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "any name"
    return path, *fill(path)


def test_a_store_gives_back_what_was_written(written):
    path, power, phasors = written
    store = open_store(path)
    np.testing.assert_array_equal(store.power[:], power)
    np.testing.assert_array_equal(store.cross[:], phasors)
    assert store.samples["sample_id"].tolist() == ids()
    assert store.samples.attrs["dataset_id"] == "abc"
    assert store.attributes["schema_version"] == 1
    np.testing.assert_allclose(store.frequency_hz, np.arange(1, 225) / 600)
    np.testing.assert_allclose(store.time_s, 300 + 94 * np.arange(32))


def test_xarray_opens_it_with_coordinates_and_units(written, recwarn):
    path, power, phasors = written
    data = xr.open_zarr(path)
    assert data["power"].dims == ("sample", "component", "frequency", "time")
    assert data["cross"].dims == ("sample", "pair", "part", "frequency", "time")
    assert data["power"].attrs["units"] == "dB re 1 nT^2/Hz"
    assert data["frequency"].attrs["units"] == "Hz"
    assert data["time"].attrs["units"] == "s"
    assert data["time"].dtype.kind == "f"  # seconds, not decoded into timedelta
    assert set(data.coords) >= {"sample", "component", "frequency", "time", "pair", "part"}
    assert data["component"].values.tolist() == ["H", "D", "Z"]
    assert data["pair"].values.tolist() == ["XY", "ZX", "ZY"]
    assert data["part"].values.tolist() == ["real", "imaginary"]
    assert data.attrs["dataset_id"] == "abc"
    assert data["power"].dtype == np.float16
    np.testing.assert_array_equal(data["power"].values, power)
    one = data["power"].sel(sample="GTO-0069", component="D", frequency=0.1, method=None)
    np.testing.assert_array_equal(one.values, power[69, 1, 59])
    np.testing.assert_array_equal(data["cross"].isel(sample=64).values, phasors[64])
    assert not [w for w in recwarn if issubclass(w.category, (FutureWarning, DeprecationWarning))
                and "seismag" in str(w.filename)]  # fmt: skip


def test_it_is_zarr_version_3(written):
    meta = json.loads((written[0] / "power" / "zarr.json").read_text())
    assert meta["zarr_format"] == 3
    assert meta["data_type"] == "float16"
    assert meta["dimension_names"] == ["sample", "component", "frequency", "time"]


def test_tables_leave_no_partial_files(written):
    assert sorted(path.name for path in written[0].iterdir() if path.is_file()) == [
        ".tried_configurations.lock", "checksums.json", "days.parquet", "rejected.csv", "samples.parquet",
        "tried_configurations.head.json", "tried_configurations.jsonl", "zarr.json",
    ]  # fmt: skip
    assert "2021-03-01T00:00:00Z" in (written[0] / "rejected.csv").read_text()


def test_a_store_without_cross_spectra_has_none(tmp_path):
    fill(tmp_path / "s", DataConfig(window_h=1), 2)
    assert open_store(tmp_path / "s").cross is None
    assert set(xr.open_zarr(tmp_path / "s").data_vars) == {"power"}


def test_an_empty_store_opens(tmp_path):
    fill(tmp_path / "s", SPEC, 0)
    assert open_store(tmp_path / "s").power.shape == (0, *SHAPE)


def test_nothing_there_tells_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match=r"no such store. Make one with 'seismag prepare'"):
        open_store(tmp_path / "none")


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(DataError, match="not a store"):
        open_store(tmp_path)
    (tmp_path / "zarr.json").write_text("{ not json")
    with pytest.raises(DataError, match="not a store"):
        open_store(tmp_path)
    with pytest.raises(DataError, match="not a store"):
        open_store(tmp_path / "x.txt")


def test_a_store_of_another_schema_version_is_refused(tmp_path):
    fill(tmp_path / "s", SPEC, 2)
    zarr.open_group(tmp_path / "s", mode="r+").attrs["schema_version"] = 99
    with pytest.raises(DataError, match="schema version 99, this seismag reads version 1"):
        open_store(tmp_path / "s")


def test_an_unfinished_store_tells_to_run_again(tmp_path):
    """As prepare leaves it when it is interrupted between the arrays and the tables."""
    create_arrays(tmp_path / "s", ids(2), SPEC)
    (tmp_path / "s" / ".work" / "abc").mkdir(parents=True)
    with pytest.raises(DataError, match=r"interrupted\. Run the same 'seismag prepare' again"):
        open_store(tmp_path / "s")
    fill(tmp_path / "t", SPEC, 2)
    (tmp_path / "t" / SAMPLES_FILE).unlink()
    with pytest.raises(DataError, match="interrupted"):
        open_store(tmp_path / "t")


def test_a_table_of_another_length_is_refused(tmp_path):
    fill(tmp_path / "s", SPEC, 2)
    replace_samples(tmp_path / "s", plain_samples(pd.DataFrame({"sample_id": ids(1)})))
    with pytest.raises(DataError, match=r"1 rows in samples\.parquet, 2 spectrograms"):
        open_store(tmp_path / "s")


def test_arrays_laid_out_anew_hold_nothing_of_what_stood_there(tmp_path):
    fill(tmp_path / "s", SPEC, 3)
    with pytest.raises(DataError, match="contains a finished store, which is not written over"):
        create_arrays(tmp_path / "s", ids(2), DataConfig(window_h=1))
    (tmp_path / "s" / SAMPLES_FILE).unlink()
    create_arrays(tmp_path / "s", ids(2), DataConfig(window_h=1))
    group = zarr.open_group(tmp_path / "s", mode="r")
    assert group["power"].shape == (2, *SHAPE)
    assert np.isnan(group["power"][:]).all()
    assert "cross" not in group, "the phasors of three other samples are still there"


def test_a_table_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    write_table(pd.DataFrame({"a": [1]}), path)

    def fail(_table, target, **_):
        target.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="No space left"):
        write_table(pd.DataFrame({"a": [2]}), path)
    assert pd.read_parquet(path)["a"].tolist() == [1]


def test_missing_array_files_are_named_not_read_as_nothing(tmp_path):
    fill(tmp_path / "s", SPEC, 3)
    shard = next(path for path in (tmp_path / "s" / "power" / "c").rglob("*") if path.is_file())
    shard.unlink()
    with pytest.raises(DataError, match=r"1 of 1 files of the array power are missing"):
        open_store(tmp_path / "s")


def shard_of(path, name="power"):
    return next(found for found in sorted((path / name / "c").rglob("*")) if found.is_file())


@pytest.mark.parametrize(("name", "kept"), [("power", 0), ("power", 100_000), ("cross", 500), ("cross", -1)])
def test_a_cut_array_file_is_named_with_the_way_out(name, kept, tmp_path):
    fill(tmp_path / "s", SPEC, 3)
    shard = shard_of(tmp_path / "s", name)
    shard.write_bytes(shard.read_bytes()[:kept])
    size = shard.stat().st_size
    message = rf"{shard}: cut or damaged \({size} bytes\); 1 of 1 .* run the same 'seismag prepare' again"
    with pytest.raises(DataError, match=message) as caught:
        open_store(tmp_path / "s")
    assert caught.value.reason == "damaged_store"


@pytest.mark.parametrize("name", ["frequency", "time"])
@pytest.mark.parametrize("kept", [None, 0, 7])
def test_a_damaged_axis_is_named(name, kept, tmp_path):
    """Zarr reads an axis without a file as zeros."""
    fill_as_earlier(tmp_path / "s", SPEC, 3)
    file = shard_of(tmp_path / "s", name)
    file.unlink() if kept is None else file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DataError, match=rf"its array {name} is missing or damaged"):
        open_store(tmp_path / "s")


def test_an_array_that_is_gone_is_named(tmp_path):
    fill_as_earlier(tmp_path / "s", SPEC, 3)
    meta = tmp_path / "s" / "zarr.json"
    text = json.loads(meta.read_text())
    del text["consolidated_metadata"]["metadata"]["power"]
    meta.write_text(json.dumps(text))
    with pytest.raises(DataError, match="its array power is missing or damaged"):
        open_store(tmp_path / "s")


def test_an_array_file_that_is_damaged_after_opening_is_named(tmp_path):
    fill(tmp_path / "s", SPEC, 3)
    store = open_store(tmp_path / "s")
    shard = shard_of(tmp_path / "s")
    shard.write_bytes(shard.read_bytes()[:5_000])
    with pytest.raises(DataError, match=r"s/power/c/0/0/0/0: samples 0 to 2 of .* cannot be read .* Delete that file"):
        read_samples(store.power, 0, 3)


def test_a_damaged_table_is_named(tmp_path):
    fill(tmp_path / "s", SPEC, 3)
    (tmp_path / "s" / "samples.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"samples\.parquet: was changed after the preparation"):
        open_store(tmp_path / "s")


def test_changed_labels_are_named(tmp_path):
    path = make_store(tmp_path / "s")
    samples = pd.read_parquet(path / SAMPLES_FILE)
    samples.assign(magnitude_class="Large").to_parquet(path / SAMPLES_FILE, index=False)
    with pytest.raises(DataError, match=r"samples\.parquet: was changed after the preparation"):
        open_store(path)


# ---- changed bytes ----


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("changed") / "s"
    fill(path, SPEC, 3)
    return path


def read_all(path):
    store = open_store(path)
    for array in (store.power, store.cross):
        read_samples(array, 0, len(store.samples))


def test_any_changed_byte_is_refused_with_the_name_of_the_file(small):
    """Of the access logs, which grow, other tests hold the same."""
    rng = np.random.default_rng(5)
    files = [path for path in sorted(small.rglob("*")) if path.is_file() and "tried" not in path.name]
    assert len(files) == 21
    for path in files:
        content = path.read_bytes()
        for position in rng.integers(0, len(content), 3):
            changed = bytearray(content)
            changed[position] ^= 1 << rng.integers(8)
            path.write_bytes(changed)
            with pytest.raises(DataError) as caught:
                read_all(small)
            place = str(path) if path.name != "zarr.json" or path.parent != small else str(small)
            assert place in str(caught.value)
            assert caught.value.reason in ("damaged_store", "other_version", "unreadable")
        path.write_bytes(content)
    read_all(small)


def test_metadata_that_zarr_cannot_use_are_named(tmp_path):
    fill(tmp_path / "s", SPEC, 2)
    meta = tmp_path / "s" / "zarr.json"
    meta.write_text(meta.read_text().replace('"level"', '"lev%l"', 1))  # Zarr raises a TypeError
    with pytest.raises(DataError, match=r"s/zarr\.json: was changed after the preparation"):
        open_store(tmp_path / "s")


@pytest.mark.parametrize("name", ["catalog.parquet", "sample/c/0", "cross/zarr.json", "checksums.json"])
def test_a_file_that_is_gone_is_named(name, tmp_path):
    write_table(pd.DataFrame({"event_id": ["e1"]}), tmp_path / "catalog.parquet")
    (tmp_path / "s").mkdir()
    (tmp_path / "catalog.parquet").rename(tmp_path / "s" / "catalog.parquet")
    fill(tmp_path / "s", SPEC, 2)
    (tmp_path / "s" / name).unlink()
    with pytest.raises(DataError, match=rf"s/{name}: is missing\. Restore it, or run the same 'seismag prepare' again"):
        open_store(tmp_path / "s")


def test_array_files_that_changed_places_are_refused(tmp_path):
    fill(tmp_path / "s", SPEC, 130)
    first, second = (tmp_path / "s" / "power" / "c" / number / "0/0/0" for number in "01")
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(DataError, match=rf"{first}: was changed after the preparation.*; 2 of 3 files of the array"):
        open_store(tmp_path / "s")


def test_a_table_in_another_order_than_the_arrays_is_refused(tmp_path):
    path = make_store(tmp_path / "s")
    samples = pd.read_parquet(path / SAMPLES_FILE)
    replace_samples(path, samples.iloc[::-1].reset_index(drop=True))  # its checksum is right
    with pytest.raises(DataError, match=r"samples\.parquet: row 1 is .* in another order than the arrays"):
        open_store(path)
    replace_samples(path, samples.drop(columns="sample_id"))
    with pytest.raises(DataError, match=r"samples\.parquet: has no column sample_id"):
        open_store(path)


def test_an_earlier_store_opens_with_one_warning(tmp_path, caplog):
    power = fill_as_earlier(tmp_path / "s", SPEC, 2)
    for _ in range(2):
        np.testing.assert_array_equal(open_store(tmp_path / "s").power[:], power)
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "made by an earlier version, without checksums: a changed byte is not noticed. Prepare it again."
    ]
    samples = pd.read_parquet(tmp_path / "s" / SAMPLES_FILE)
    fill_as_earlier(tmp_path / "t", SPEC, 2)
    samples.iloc[::-1].to_parquet(tmp_path / "t" / SAMPLES_FILE, index=False)
    with pytest.raises(DataError, match="in another order than the arrays"):
        open_store(tmp_path / "t")


def test_verifying_reads_everything_and_names_each_damaged_file(tmp_path):
    fill(tmp_path / "s", SPEC, 70)
    store = open_store(tmp_path / "s")
    found = verify_store(store)
    assert found == StoreVerification(18, 4, (), True)
    assert found.describe() == ("verified    18 tables, axes and metadata, 4 files of arrays: none was changed")
    for name in ("power/c/1/0/0/0", "cross/c/0/0/0/0/0"):
        shard = tmp_path / "s" / name
        shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    found = verify_store(open_store(tmp_path / "s"))
    assert [sentence.partition(": ")[0] for sentence in found.damaged] == [
        str(tmp_path / "s" / name) for name in ("power/c/1/0/0/0", "cross/c/0/0/0/0/0")
    ]
    assert "Delete that file and run the same 'seismag prepare' again" in found.damaged[0]
    assert found.describe().startswith("damaged     ")
    fill_as_earlier(tmp_path / "t", SPEC, 2)
    assert "no checksums to compare with" in verify_store(open_store(tmp_path / "t")).describe()


def test_inspect_verifies_a_store(tmp_path):
    path = make_store(tmp_path / "s")
    found = run_seismag("inspect", path, "--verify")
    assert found.returncode == 0
    assert re.search(
        r"^verified    \d+ tables, axes and metadata, 3 files of arrays: none was changed", found.stdout, re.M
    )
    shard = shard_of(path)
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    found = run_seismag("inspect", path, "--verify", "--json")
    assert found.returncode == 1
    (sentence,) = json.loads(found.stdout)["verification"]["damaged"]
    assert sentence.startswith(f"{shard}: samples 0 to ")
    assert run_seismag("inspect", shard, "--verify").returncode == 2


def test_placebo_stores_and_pictures_have_checksums_too(tmp_path):
    source = open_store(make_store(tmp_path / "s"))
    write_changed_store(source, tmp_path / "t", source.samples, np.asarray(source.power[:]))
    create_image_arrays(tmp_path / "u", ids(2), 8, 8)
    write_shard(tmp_path / "u", 0, np.zeros((2, 3, 8, 8), np.float16), None)
    empty = pd.DataFrame({"reason": []})
    samples = plain_samples(pd.DataFrame({"sample_id": ids(2)}))
    finish_store(tmp_path / "u", samples, empty, empty, plain_attributes(SPEC))
    for name in "tu":
        path = tmp_path / name
        samples = open_store(path).samples
        replace_samples(path, samples.iloc[::-1])
        with pytest.raises(DataError, match="in another order than the arrays"):
            open_store(path)
        replace_samples(path, samples)
        shard = shard_of(path)
        shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
        with pytest.raises(DataError, match=r"power/c/0/0/0/0: samples 0 to 1 .*cannot be read"):
            read_samples(open_store(path).power, 0, 2)
