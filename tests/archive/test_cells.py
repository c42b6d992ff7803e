"""Cells that people write are understood or refused; none is taken for a missing one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seismag.archive.cells import MISSING, Column, is_missing, magnitude_scale, plain_text, read_time
from seismag.domain import DataError


def read(cell: str, kind: str, *, decimal_comma: bool = False) -> float:
    return float(Column("x", Path("table.csv"), [7], decimal_comma).numbers([cell], kind)[0])


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("magnitude", "mb_Lg 4.5", 4.5), ("magnitude", "6.1 Ms_20", 6.1),
        ("magnitude", "Mw 6.1", 6.1), ("magnitude", "6.1 Mw", 6.1), ("magnitude", "M6.1", 6.1),
        ("magnitude", "mb=5.2", 5.2), ("magnitude", "ML: 4.3", 4.3), ("magnitude", "6,1", 6.1),
        ("magnitude", "6.1 (Mww)", 6.1), ("magnitude", "Mw(mB) 6.0", 6.0), ("magnitude", "5.6 SR", 5.6),
        ("magnitude", "6.1 \u00b1 0.1", 6.1), ("magnitude", "\uff16.1", 6.1),
        ("depth", "60 km", 60), ("depth", "60km.", 60), ("depth", "12000 m", 12), ("depth", "33 F", 33),
        ("depth", "10N", 10), ("depth", "10 (fixed)", 10), ("depth", "-0.5", -0.5),
        ("latitude", "8.4 S", -8.4), ("latitude", "S8.4", -8.4), ("latitude", "8.40 LS", -8.4),
        ("latitude", "1.5 LU", 1.5), ("latitude", "\u22128.4", -8.4), ("latitude", "\u20138.4", -8.4),
        ("latitude", "8\u00b024'S", -8.4), ("latitude", "8\u00b024'36\"S", -8.41), ("latitude", "-8.4 S", -8.4),
        ("latitude", "8.4\u00b0 S", -8.4), ("latitude", "8,4 Lintang Selatan", -8.4),
        ("longitude", "124.8 E", 124.8), ("longitude", "124.80 BT", 124.8), ("longitude", "70.2W", -70.2),
        ("longitude", "70.2 Bujur Barat", -70.2), ("longitude", "235.5", 235.5),
        ("elevation", "120 m", 120), ("elevation", "1.2 km", 1200),
        ("kp", "2+", 7 / 3), ("kp", "3-", 8 / 3), ("kp", "4o", 4),
        ("number", "1e-3", 1e-3), ("number", ".5", 0.5), ("number", "+7", 7),
    ],
)  # fmt: skip
def test_the_usual_spellings_of_numbers_are_read(kind: str, cell: str, value: float) -> None:
    assert read(cell, kind) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("magnitude", "six"), ("magnitude", "~6"), ("magnitude", "6.1.2"), ("magnitude", "5-6"), ("magnitude", "inf"),
        ("magnitude", "Mw 6.1 mb"), ("magnitude", "1,234.5"), ("depth", "shallow"), ("depth", "60 mi"),
        ("latitude", "8.4 E"), ("latitude", "-8.4 N"), ("latitude", "S 8.4 S"), ("latitude", "8 24"),
        ("latitude", "8\u00b061'S"), ("longitude", "124.8 S"), ("kp", "2*"), ("elevation", "1 ft"),
        ("number", "21,600"), ("depth", "1,000"), ("elevation", "1,234 m"),
    ],
)  # fmt: skip
def test_other_cells_are_refused_with_line_column_and_cell(kind: str, cell: str) -> None:
    with pytest.raises(
        DataError, match=re.escape(f"table.csv: line 7, column x: {cell!r} is not understood as a {kind}")
    ):
        read(cell, kind)


@pytest.mark.parametrize("cell", ["", " ", "-", "--", "NaN", "n/a", "null", "?", "Unknown", "\u2013"])
def test_marks_of_a_missing_value_are_missing(cell: str) -> None:
    assert is_missing(cell)
    assert np.isnan(read(cell, "magnitude"))


@pytest.mark.parametrize(
    ("cell", "utc"),
    [
        ("2021-03-04T11:59:60.00Z", "2021-03-04T12:00"), ("2021-03-04 24:00:00", "2021-03-05"),
        ("2021-12-31T23:59:60z", "2022-01-01"), ("2021-03-04t12:00:00z", "2021-03-04T12:00"),
        ("2021/03/04 12:00", "2021-03-04T12:00"), ("20210304T120000Z", "2021-03-04T12:00"),
        ("04 Mar 2021 12:00:00 UTC", "2021-03-04T12:00"), ("4-Mar-2021 19:00 WIB", "2021-03-04T12:00"),
        ("4 Maret 2021 21:00:00 WIT", "2021-03-04T12:00"), ("March 4, 2021 12:00:00", "2021-03-04T12:00"),
        ("2021-03-04T12:00:00-0530", "2021-03-04T17:30"), ("2021-03-04 19:00:00 GMT+7", "2021-03-04T12:00"),
        ("2021-03-04 12:00:00.1239", "2021-03-04T12:00:00.123"), ("2021-03-04T12:00:00,5Z", "2021-03-04T12:00:00.500"),
        ("2021-03-04 12:60", "2021-03-04T13:00"), ("2020-02-29 00:00", "2020-02-29"),
        ("2021-3-4 1:02:03", "2021-03-04T01:02:03"),
    ],
)  # fmt: skip
def test_the_usual_spellings_of_times_are_read(cell: str, utc: str) -> None:
    time = read_time(cell)
    assert time is not None
    assert time.utc == np.datetime64(utc, "ms")


@pytest.mark.parametrize(
    "cell",
    ["2021-03-04", "04/03/2021 12:00", "2021-13-01 00:00", "2021-02-29 00:00", "2021-03-04 25:00",
     "2021-03-04 24:00:01",
     "2021063T12:00", "2021111T12:00", "2021-03-04T123", "2021-03-04 12.30", "2021-03-04 12:30.05",
     "2021-03-04T12:00+99:00", "yesterday", "1614859200000",
     "2021-03-04T12:61", "2021-03-04T12:00:61", "4 Foo 2021 12:00"],
)  # fmt: skip
def test_times_that_are_not_clear_are_refused(cell: str) -> None:
    assert read_time(cell) is None
    with pytest.raises(DataError, match=r"is not understood as a time\. Write it as 2021-03-04T12:00:00Z"):
        Column("time", Path("t.csv"), [2]).times([cell])


def test_the_scale_beside_a_magnitude_is_found() -> None:
    cells = ["Mw 6.1", "6.1 mb", "6.1", "M(6.1", "5 SR"]
    assert [magnitude_scale(cell) for cell in cells] == ["Mw", "mb", "", "", "SR"]


@settings(max_examples=300)
@given(
    st.text(alphabet="0123456789.,-+\u2212 NSEWLUBTkmMw\u00b0'\"e?:/Z", max_size=9),
    st.sampled_from(["number", "latitude", "longitude", "depth", "magnitude", "elevation", "kp", "time"]),
)
def test_a_filled_cell_is_a_value_or_an_error(cell: str, kind: str) -> None:
    column = Column("x", Path("table.csv"), [1])
    try:
        value = column.times([cell])[0][0] if kind == "time" else column.numbers([cell], kind)[0]
    except DataError:
        assert not is_missing(cell)
    else:
        assert np.isnan(value) == (plain_text(cell).lower() in MISSING)
