"""What the audit takes from a third-party table: class, groups, features, and rows made of other rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.copies import check_copies
from seismag.audit.table import check_label_in_name, prepare_table, read_audit_table
from seismag.domain import DataError, SeismagError, UsageError

ROWS = """station,date,hour,class,file,h_mean
GTO,2021-01-01,0,Normal,a.png,40000.1
GTO,2021-01-01,6,Event,b.png,40000.2
ALR,2021-01-01,0,Event,c.png,37000.5
ALR,2021-01-02,0,Normal,d.png,37000.7
ALR,2021-01-02,6,,e.png,37000.9
"""


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    (tmp_path / "t.csv").write_text(ROWS)
    return read_audit_table(tmp_path / "t.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_separator_is_read(tmp_path: Path, frame: pd.DataFrame, separator: str) -> None:
    (tmp_path / "other.csv").write_text(ROWS.replace(",", separator))
    pd.testing.assert_frame_equal(read_audit_table(tmp_path / "other.csv"), frame)


def test_parquet_is_read_like_text(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    again = read_audit_table(tmp_path / "t.parquet")
    assert again["h_mean"].tolist() == frame["h_mean"].tolist()
    assert again["class"].isna().tolist() == frame["class"].isna().tolist()


def test_groups_are_station_and_date_where_nobody_says(frame: pd.DataFrame) -> None:
    table = prepare_table(frame, "class", None)
    assert table.group_columns == ("station", "date")
    assert table.group[0] == table.group[1]
    assert len(np.unique(table.group)) == 3
    assert "station" in {feature.name for feature in table.features}  # although it groups


def test_normal_is_the_first_class_and_rows_without_one_are_counted(frame: pd.DataFrame) -> None:
    table = prepare_table(frame, "class", None)
    assert table.classes == ("Normal", "Event")
    assert table.y.tolist() == [0, 1, 1, 0]
    assert table.dropped == {"no class in class": 1}


def test_rows_of_one_file_or_of_the_same_numbers_are_copies(frame: pd.DataFrame) -> None:
    clean = check_copies(prepare_table(frame, "class", None).frame)
    assert clean.statistic == 0
    twice = pd.concat([frame, frame.iloc[[0]]], ignore_index=True)
    found = check_copies(prepare_table(twice, "class", None).frame)
    assert found.statistic == 2
    assert "2 rows share a file name" in found.sentence


def test_rows_marked_as_augmented_are_copies(frame: pd.DataFrame) -> None:
    marked = frame.assign(augmentation_type=["noise", None, "original", None, None])
    found = check_copies(prepare_table(marked, "class", None).frame)
    assert found.statistic == 1
    assert "1 of 4 rows are augmented copies" in found.sentence


def test_class_that_stands_in_the_file_name_is_found(frame: pd.DataFrame) -> None:
    named = frame.assign(file=[f"{i}_{name or 'x'}.png".lower() for i, name in enumerate(frame["class"])])
    found = check_label_in_name(prepare_table(named, "class", None))
    assert found is not None
    assert found.verdict == "fail"
    other = check_label_in_name(prepare_table(frame, "class", None))
    assert other is None or other.verdict == "pass"


@pytest.mark.parametrize(
    ("change", "label", "groups", "error", "words"),
    [
        ({}, "klass", None, UsageError, "klass: no such column"),
        ({}, "class", ["station", "day"], UsageError, "day: no such column"),
        ({"class": "Event"}, "class", None, DataError, "every row is Event"),
        ({"class": None}, "class", None, DataError, "the column is empty"),
        ({"c": [str(i) for i in range(25)]}, "c", None, UsageError, "25 classes in 25 rows"),
        ({"all": "x"}, "class", ["all"], UsageError, "are one group"),
    ],
)
def test_a_table_that_cannot_be_audited_is_refused(
    frame: pd.DataFrame, change: dict, label: str, groups: list[str] | None, error: type[SeismagError], words: str
) -> None:
    frame = pd.concat([frame] * 5, ignore_index=True).assign(**change)
    with pytest.raises(error, match=words):
        prepare_table(frame, label, groups)


@pytest.mark.parametrize(("content", "words"), [("", "empty"), ("a,b\n", "no rows"), ("a,a\n1,2\n", "a occurs twice")])
def test_table_without_content_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(DataError, match=words):
        read_audit_table(tmp_path / "bad.csv")
