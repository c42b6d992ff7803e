"""Metadata tables of the earlier data set: columns, classes, marks of augmentation."""

from __future__ import annotations

import pandas as pd
import pytest

from fixtures.legacy_pictures import augmented, event, normal, write_table
from seismag.domain import DataError
from seismag.legacy.metadata import name_facts, read_metadata


def test_the_published_columns_are_read_by_their_names(tmp_path):
    write_table(tmp_path / "metadata.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3), normal("TRD", "2021-01-01", 12)])
    rows, folder, sums = read_metadata(tmp_path)
    assert folder == tmp_path
    assert list(sums) == ["metadata.csv"]
    assert rows["station"].tolist() == ["SCN", "TRD"]
    assert rows["start_utc"].tolist() == [pd.Timestamp("2021-02-03 04:00"), pd.Timestamp("2021-01-01 12:00")]
    assert rows["seconds"].tolist() == [3600, 3600]
    assert rows["azimuth_class"].tolist() == ["NE", "Normal"]
    assert rows["name"].tolist() == ["SCN_20210203_H04_3comp_spec.png", "TRD_20210101_H12_normal_3comp_spec.png"]
    assert rows["augmented"].isna().all()


def test_other_names_of_columns_are_understood(tmp_path):
    (tmp_path / "t.csv").write_text(
        "Kode_Stasiun;tanggal;jam;azimut;mag;azi_class;mag_class;image_path\nscn;20210203;4;47;5.3;NE;Medium;a\\b.png\n"
    )
    rows, _, _ = read_metadata(tmp_path)
    row = rows.iloc[0]
    assert (row["station"], row["azimuth_text"], row["magnitude_class"]) == ("SCN", "47", "Medium")
    assert row["start_utc"] == pd.Timestamp("2021-02-03 04:00")
    assert row["paths"] == ["a/b.png"]


def test_a_station_named_na_and_the_class_n_are_text(tmp_path):
    write_table(tmp_path / "t.csv", [event("NA", "2021-02-03", 4, 3.0, 5.3)])
    rows, _, _ = read_metadata(tmp_path)
    assert (rows["station"].iloc[0], rows["azimuth_class"].iloc[0]) == ("NA", "N")


def test_a_class_stands_in_whichever_of_two_columns_is_filled(tmp_path):
    write_table(tmp_path / "t.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3, azimuth_class="", azi_class="NE")])
    assert read_metadata(tmp_path)[0]["azimuth_class"].tolist() == ["NE"]


def test_an_unknown_class_is_an_error_and_never_class_zero(tmp_path):
    write_table(tmp_path / "t.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3, magnitude_class="Major")])
    with pytest.raises(DataError, match=r"magnitude_class: unknown class Major in 1 rows.*Known: Normal, Moderate"):
        read_metadata(tmp_path)


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"augmentation_type": "noise"}, "augmentation_type is noise"),
        ({"augmentation_id": "2.0"}, "augmentation_id is 2.0"),
        ({"image_type": "augmented"}, "image_type is augmented"),
        ({"unified_path": "spectrograms/augmented/x.png"}, "named x.png"),
        ({"filename": "SCN_20210203_H04_aug3_3comp_spec.png"}, "named SCN_20210203_H04_aug3_3comp_spec.png"),
    ],
)
def test_each_mark_of_an_augmented_copy_is_seen(fields, how, tmp_path):
    write_table(tmp_path / "t.csv", [{**event("SCN", "2021-02-03", 4, 47.0, 5.3), **fields}])
    assert read_metadata(tmp_path)[0]["augmented"].tolist() == [how]


@pytest.mark.parametrize("name", ["AUG_20210203_H04_3comp_spec.png", "august/SCN_20210203_H04.png"])
def test_a_name_that_only_begins_like_one_is_no_augmented_copy(name, tmp_path):
    row = event("SCN", "2021-02-03", 4, 47.0, 5.3, filename="", spectrogram_file="", unified_path=name)
    write_table(tmp_path / "t.csv", [row])
    assert name_facts("AUG_20210203_H04_3comp_spec.png") == ("AUG", "2021-02-03", 4)
    assert read_metadata(tmp_path)[0]["augmented"].isna().all()


@pytest.mark.parametrize(
    ("hour", "date"),
    [("4", "2021-02-03"), ("04:00", "20210203"), ("H04", "2021/02/03"), ("4 UTC", "3 Feb 2021"),
     ("04:00:00", "2021-2-3"),
     ("", "2021-02-03T04:00:00Z")],
)  # fmt: skip
def test_the_usual_spellings_of_a_time_are_read(hour, date, tmp_path):
    write_table(tmp_path / "t.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3) | {"hour": hour, "date": date}])
    assert read_metadata(tmp_path)[0]["start_utc"].tolist() == [pd.Timestamp("2021-02-03T04:00")]


def test_a_magnitude_that_is_not_understood_is_refused_with_its_line(tmp_path):
    write_table(tmp_path / "t.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3) | {"magnitude": "Mw 5.3"}])
    assert read_metadata(tmp_path)[0]["magnitude"].tolist() == [5.3]
    write_table(tmp_path / "t.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3) | {"magnitude": "about 5"}])
    with pytest.raises(DataError, match=r"line 2, column magnitude: 'about 5' is not understood as a magnitude"):
        read_metadata(tmp_path)


@pytest.mark.parametrize(("hour", "date"), [("24", "2021-02-03"), ("x", "2021-02-03"), ("4", "2021-02-30"), ("4", "")])
def test_a_time_that_cannot_be_read_is_missing(hour, date, tmp_path):
    write_table(tmp_path / "t.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3) | {"hour": hour, "date": date}])
    assert read_metadata(tmp_path)[0]["start_utc"].isna().all()


def test_several_tables_are_read_together(tmp_path):
    write_table(tmp_path / "train.csv", [event("SCN", "2021-02-03", 4, 47.0, 5.3)])
    write_table(tmp_path / "metadata" / "test.csv", [augmented(event("SCN", "2021-02-03", 4, 47.0, 5.3), 1)])
    rows, _, sums = read_metadata(tmp_path)
    assert rows["table"].tolist() == ["metadata/test.csv", "train.csv"]
    assert set(sums) == {"metadata/test.csv", "train.csv"}


def test_a_folder_without_a_table_says_what_a_table_needs(tmp_path):
    (tmp_path / "other.csv").write_text("station,date\nSCN,2021-01-01\n")
    with pytest.raises(
        DataError, match=r"no metadata table \(other\.csv lacks azimuth_class, magnitude_class, filename"
    ):
        read_metadata(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_metadata(tmp_path / "nowhere")
