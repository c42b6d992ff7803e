"""Whose day an unreadable file should have held: its name first, then what its header still says."""

import datetime as dt
import gzip

import numpy as np
import pytest

from seismag.recordings import read_claim
from seismag.recordings.frg604rc import encode_day

IAGA = b" Format                 IAGA-2002                                    |\n" \
       b" IAGA CODE              GUA                                          |\n" \
       b"DATE       TIME         DOY     GUAH      GUAD      GUAZ      GUAF   |\n" \
       b"2014-04-07 00:00:00.000 097     20886.60     -7.09  47539.03\n"  # fmt: skip


@pytest.mark.parametrize(
    ("name", "station", "first", "days"),
    [
        ("S250101.ALR", "ALR", "2025-01-01", 1),
        ("s250101.alr.gz", "ALR", "2025-01-01", 1),
        ("gua20140407vsec.sec.gz", "GUA", "2014-04-07", 1),
        ("BOU201602vmin.min.gz", "BOU", "2016-02-01", 29),
        ("20110901v.min", "", "2011-09-01", 1),
    ],
)
def test_a_name_of_the_usual_patterns_says_station_and_days(name, station, first, days, tmp_path):
    (tmp_path / name).write_bytes(b"damaged")
    code, found = read_claim(tmp_path / name)
    assert code == station
    np.testing.assert_array_equal(found, np.datetime64(first) + np.arange(days))


@pytest.mark.parametrize("name", ["readme.txt", "S250230.ALR", "XYZ20141399v.sec", "day.bin"])
def test_a_name_without_a_date_claims_no_day(name, tmp_path):
    (tmp_path / name).write_bytes(b"damaged")
    assert not read_claim(tmp_path / name)[1].size


def test_a_file_that_is_gone_still_has_its_name(tmp_path):
    assert read_claim(tmp_path / "S250101.ALR")[0] == "ALR"


@pytest.mark.parametrize("pack", [bytes, lambda content: gzip.compress(content)[:-9]])
def test_the_header_of_a_damaged_file_says_what_its_name_does_not(pack, tmp_path):
    frg = encode_day("ALR", dt.date(2025, 1, 1), -8.1, 124.6, np.full((3, 86_400), 40_000.0))[:50_000]
    for content, station, day in ((frg, "ALR", "2025-01-01"), (IAGA, "GUA", "2014-04-07")):
        (tmp_path / "copy.bin").write_bytes(pack(content))
        code, days = read_claim(tmp_path / "copy.bin")
        assert (code, days.tolist()) == (station, [dt.date.fromisoformat(day)])


def test_the_header_adds_the_station_that_a_name_leaves_out(tmp_path):
    (tmp_path / "20140408v.sec").write_bytes(IAGA)
    code, days = read_claim(tmp_path / "20140408v.sec")
    assert (code, days.tolist()) == ("GUA", [dt.date(2014, 4, 8)])


def test_dates_in_a_header_that_are_none_claim_no_day(tmp_path):
    (tmp_path / "copy.bin").write_bytes(IAGA.replace(b"2014-04-07", b"2014-13-77"))
    assert not read_claim(tmp_path / "copy.bin")[1].size
