from pathlib import Path

import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings.identity import check_file_name, read_position
from seismag.recordings.recording import Recording


def day(station: str, start: str, samples: int = 86_400) -> Recording:
    return Recording(station, np.datetime64(start, "ms"), 1.0, np.zeros((3, samples)), "IAGA-2002", "")


@pytest.mark.parametrize(
    ("name", "station", "start"),
    [
        ("gua20140407vsec.sec.gz", "GUA", "2014-04-07"),
        ("abg20220115vmin.min.txt", "ABG", "2022-01-15"),
        ("ABG_20260424.iaga2002", "ABG", "2026-04-24"),
        ("bou_20140407_000000_PT1S_4.cdf", "BOU", "2014-04-07"),
        ("BOU20200101_misaligned_vsec.sec", "BOU", "2019-12-31T23:59:31"),
        ("BOU201601vmin.min.gz", "BOU", "2016-01-29"),
        ("20110901v.min", "", "2011-08-31T23:59:47"),
        ("gua20140407vsec.sec", "", "2014-04-07"),
        ("mmb_2011_march.txt", "KAK", "1999-01-01"),
        ("XYZ20141399v.sec", "XYZ", "2014-04-07"),
        ("FGE_S0252_0002_0002_2022-08-03.cdf", "WIC", "2022-08-03"),
    ],
)
def test_names_that_agree_or_say_nothing_pass(name, station, start):
    check_file_name(Path("archive") / name, day(station, start))


@pytest.mark.parametrize(
    ("name", "station", "start"),
    [
        ("gua20140407vsec.sec.gz", "BOU", "2014-04-07"),
        ("gua20140407vsec.sec.gz", "GUA", "2014-04-08"),
        ("gua20140407vsec.sec.gz", "GUA", "2014-04-06"),
        ("ABG_20260424.iaga2002", "ABG", "2026-05-24"),
        ("BOU201601vmin.min.gz", "BOU", "2016-02-01"),
        ("20110901v.min", "", "2011-09-02"),
    ],
)
def test_names_that_contradict_are_refused(name, station, start):
    with pytest.raises(DataError, match="Rename") as caught:
        check_file_name(Path(name), day(station, start))
    assert caught.value.reason == "name_mismatch"


@pytest.mark.parametrize(
    ("stated", "degrees"),
    [
        (("40.137", "254.764"), (40.137, -105.236)),
        (("-8.1", "124.6"), (-8.1, 124.6)),
        (("18.1", "-66.1"), (18.1, -66.1)),
    ],
)
def test_longitudes_east_of_greenwich_to_360_are_understood(stated, degrees):
    warnings: list[str] = []
    assert read_position(*stated, warnings) == degrees
    assert warnings == []


@pytest.mark.parametrize("stated", [("310086.6", "-34833.4"), ("91", "10"), ("10", "361"), ("nan", "1")])
def test_projected_metres_are_no_degrees(stated):
    warnings: list[str] = []
    assert np.isnan(read_position(*stated, warnings)).all()
    assert "not in degrees" in warnings[0]


def test_a_silent_header_gives_nan_without_a_warning():
    warnings: list[str] = []
    for latitude in (None, "", "unknown"):
        assert np.isnan(read_position(latitude, "12.0", warnings)).all()
    assert warnings == []
