"""From pictures and their table to a store, and what must not get into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from fixtures.legacy_pictures import (
    augmented,
    event,
    normal,
    png,
    sound_rows,
    write_data_set,
    write_pictures,
    write_table,
)
from seismag.config import SplitConfig
from seismag.domain import DataError, UsageError
from seismag.legacy import prepare_legacy
from seismag.splits import assign_split, report_split
from seismag.windows.inspect import inspect_store
from seismag.windows.store import open_store


def _rejected(store: Path) -> dict[str, str]:
    table = pd.read_csv(store / "rejected.csv")
    return dict(zip(table["path"].str.rpartition("/")[2], table["reason"], strict=True))


def test_a_sound_data_set_becomes_a_store_of_its_pictures(tmp_path):
    rows = sound_rows(4)
    folder = write_data_set(tmp_path / "images", rows)
    result = prepare_legacy(folder, tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert (result.n_samples, result.rejected, result.warnings) == (12, {}, [])
    assert store.power.shape == (12, 3, 32, 32)
    for place, row in enumerate(store.samples.itertuples()):
        pixels = np.asarray(Image.open(folder / row.image_file))
        np.testing.assert_array_equal(store.power[place], pixels.transpose(2, 0, 1))
    assert store.samples["sample_id"].is_unique
    assert list(tmp_path.glob(".*partial")) == []


def test_the_store_says_everywhere_that_it_holds_no_power(tmp_path):
    prepare_legacy(write_data_set(tmp_path / "images", sound_rows(4)), tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert store.attributes["origin"] == "legacy_image"
    assert set(store.samples["origin"]) == {"legacy_image"}
    assert store.attributes["preprocessing"]["kind"] == "legacy_image"
    with xr.open_zarr(tmp_path / "store") as opened:
        assert opened["power"].attrs == {"units": "1", "long_name": "level of a picture, 0 to 255: not power"}
        assert "not a frequency" in opened["frequency"].attrs["long_name"]
        assert "not a time" in opened["time"].attrs["long_name"]
        assert opened["component"].values.tolist() == ["R", "G", "B"]
    facts = inspect_store(open_store(tmp_path / "store"))
    assert (facts.frequency_hz, facts.noise_band_hz) == (None, None)
    assert "no physical axes" in facts.describe()


def test_one_date_is_one_group_at_every_station(tmp_path):
    rows = [*sound_rows(12), normal("GTO", "2021-01-01", 12)]
    prepare_legacy(write_data_set(tmp_path / "images", rows), tmp_path / "store")
    store = open_store(tmp_path / "store")
    groups = store.samples.groupby(store.samples["start_utc"].dt.date)["split_group"].unique()
    assert all(len(names) == 1 for names in groups)
    assert groups[pd.Timestamp("2021-01-01").date()] == ["event:2021-01-01"]
    assert store.samples.loc[store.samples["station"] == "TRD", "split_group"].str.startswith("normal:").all()
    spec = SplitConfig(n_folds=4)
    split = assign_split(store.samples, spec, 25.0)
    report = report_split(store.samples, split, spec, 25.0).to_json()
    assert not any(report["proof"].values())
    assert "UTC date across stations" in report["rules"]["groups"]


def test_augmented_copies_and_corrupted_azimuths_are_refused_with_counts_examples_and_the_way_out(tmp_path):
    rows = sound_rows(4)
    copies = [augmented(rows[0], 1), augmented(rows[1], 2)]
    bad = event("KPY", "2021-07-02", 5, 90.0, 5.2, azimuth_class="N")
    result = prepare_legacy(write_data_set(tmp_path / "images", [*rows, *copies, bad]), tmp_path / "store")
    assert result.rejected == {"augmented_copy": 2, "corrupted_azimuth": 1}
    first, second = result.warnings
    assert first.startswith("augmented copies: 2 refused")
    assert "--allow-augmented" in first
    assert "SCN_20210101_H03_aug1_3comp_spec.png: augmentation_type is augmented" in first
    assert second.startswith("rows of corrupted azimuth: 1 refused")
    assert "--allow-corrupted-azimuth" in second
    assert "azimuth 90.0 degrees is E, not N" in second
    assert _rejected(tmp_path / "store")[bad["filename"]] == "corrupted_azimuth"


def test_what_is_allowed_is_kept_and_marked(tmp_path):
    rows = sound_rows(4)
    bad = event("KPY", "2021-07-02", 5, 90.0, 5.2, azimuth_class="N")
    folder = write_data_set(tmp_path / "images", [*rows, augmented(rows[0], 1), bad])
    result = prepare_legacy(folder, tmp_path / "store", allow_augmented=True, allow_corrupted_azimuth=True)
    samples = open_store(tmp_path / "store").samples.set_index("sample_id")
    assert (result.n_samples, result.rejected) == (14, {})
    assert samples.index[samples["augmented"]].tolist() == ["SCN_20210101_H03_aug1_3comp_spec"]
    assert samples["azimuth_fault"].dropna().to_dict() == {
        "KPY_20210702_H05_3comp_spec": "azimuth 90.0 degrees is E, not N"
    }
    assert samples.loc["KPY_20210702_H05_3comp_spec", "azimuth_class"] == "N"
    assert all("kept by" in sentence for sentence in result.warnings)


def test_a_picture_that_is_byte_for_byte_another_is_refused_or_joins_its_group(tmp_path):
    rows = sound_rows(4)
    folder = write_data_set(tmp_path / "images", rows)
    (folder / rows[3]["unified_path"]).write_bytes((folder / rows[0]["unified_path"]).read_bytes())
    result = prepare_legacy(folder, tmp_path / "store")
    assert result.rejected == {"identical_image": 1}
    assert "the same bytes as SCN_20210101_H03_3comp_spec.png" in result.warnings[0]
    prepare_legacy(folder, tmp_path / "kept", allow_augmented=True)
    samples = open_store(tmp_path / "kept").samples
    twins = samples[samples["source_sha256"].duplicated(keep=False)]
    assert twins["split_group"].nunique() == 1
    assert samples.groupby(samples["start_utc"].dt.date)["split_group"].nunique().eq(1).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing_image"),
        (b"", "unreadable_image"),
        (png(99)[:-900], "unreadable_image"),
        (b"<html>not found</html>", "unreadable_image"),
        (png(99, (16, 32)), "wrong_size"),
        (png(99, mode="L"), "wrong_mode"),
    ],
)
def test_a_picture_that_cannot_be_used_is_a_row_with_its_reason(content, reason, tmp_path):
    rows = sound_rows(4)
    folder = write_data_set(tmp_path / "images", rows)
    path = folder / rows[4]["unified_path"]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    prepare_legacy(folder, tmp_path / "store")
    assert _rejected(tmp_path / "store") == {rows[4]["filename"]: reason}


def test_pictures_are_found_by_name_where_the_path_of_the_table_is_of_another_machine(tmp_path):
    rows = sound_rows(4)
    write_pictures(tmp_path / "images", rows)
    for row in rows:
        row["unified_path"] = f"C:\\data\\{row['filename']}"
    write_table(tmp_path / "images" / "metadata.csv", rows)
    assert prepare_legacy(tmp_path / "images", tmp_path / "store").n_samples == 12


def test_a_path_that_leaves_the_data_set_is_not_followed(tmp_path):
    rows = sound_rows(4)
    folder = write_data_set(tmp_path / "images", rows)
    (tmp_path / "outside.png").write_bytes(png(99))
    write_table(folder / "metadata.csv", [*rows, event("KPY", "2021-07-02", 5, 90.0, 5.2, unified_path="../outside.png",
                                                       filename="", spectrogram_file="")])  # fmt: skip
    prepare_legacy(folder, tmp_path / "store")
    assert _rejected(tmp_path / "store") == {"outside.png": "missing_image"}


def test_the_same_name_in_two_folders_gives_two_samples(tmp_path):
    rows = sound_rows(4)
    rows[1] = rows[0] | {"unified_path": f"spectrograms/other/{rows[0]['filename']}"}
    prepare_legacy(write_data_set(tmp_path / "images", rows), tmp_path / "store")
    identifiers = open_store(tmp_path / "store").samples["sample_id"]
    assert {"SCN_20210101_H03_3comp_spec", "SCN_20210101_H03_3comp_spec-2"} <= set(identifiers)


def test_a_finished_store_is_left_as_it_is_and_another_is_not_written_over(tmp_path):
    folder = write_data_set(tmp_path / "images", sound_rows(4))
    first = prepare_legacy(folder, tmp_path / "store")
    before = (tmp_path / "store" / "samples.parquet").stat().st_mtime_ns
    assert prepare_legacy(folder, tmp_path / "store") == first
    assert (tmp_path / "store" / "samples.parquet").stat().st_mtime_ns == before
    write_data_set(folder, sound_rows(5))
    with pytest.raises(UsageError, match=r"exists, and is not the store of these pictures.*--out"):
        prepare_legacy(folder, tmp_path / "store")


def test_without_a_usable_row_there_is_no_store(tmp_path):
    rows = [augmented(row, 1) for row in sound_rows(2)]
    with pytest.raises(DataError, match=r"no row can be used \(6 augmented_copy\)\. augmented copies: 6 refused"):
        prepare_legacy(write_data_set(tmp_path / "images", rows), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/store: cannot be written .*Choose another --out"):
        prepare_legacy(write_data_set(tmp_path / "images", sound_rows(2)), tmp_path / "file" / "store")
