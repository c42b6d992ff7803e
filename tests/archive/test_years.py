"""Wrong years are refused with file and line, before anything is allocated from the first to the last day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.archive.catalogs import read_catalogs
from seismag.archive.indices import read_index
from seismag.domain import DataError
from seismag.recordings import Recording, decode_recording
from seismag.recordings.reader import Reader

HEADER = "event_id,datetime,latitude,longitude,magnitude\n"


def catalogue(folder: Path, *times: str) -> Path:
    path = folder / "quakes.csv"
    path.write_text(HEADER + "".join(f"e{n},{time},-8.4,115.0,5.0\n" for n, time in enumerate(times)))
    return path


@pytest.mark.parametrize("time", ["3018-03-04 05:06:07", "0203-03-04 05:06:07", "1018-03-04 05:06:07"])
def test_a_year_of_a_catalogue_that_cannot_be_is_refused_with_its_line(time: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"quakes\.csv: line 3, column datetime: '{time}' .* outside 1500\.\.2100"):
        read_catalogs([catalogue(tmp_path, "2018-03-04 05:06:07", time)])


@pytest.mark.parametrize("time", ["18-03-04 05:06:07", "018-03-04 05:06:07", "18"])
def test_a_year_of_two_or_three_digits_is_refused_with_its_line(time: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3, column datetime: .* is not understood as a time"):
        read_catalogs([catalogue(tmp_path, "2018-03-04 05:06:07", time)])


def test_a_row_decades_after_all_others_is_refused_with_its_line(tmp_path: Path) -> None:
    times = [f"{day:%Y-%m-%d} 00:00:00" for day in pd.date_range("2018-01-01", periods=30, freq="9D")]
    assert len(read_catalogs([catalogue(tmp_path, *times)]).events) == 30
    with pytest.raises(DataError, match=r"line 12: 2081-01-05 lies 62 years after all earlier rows"):
        read_catalogs([catalogue(tmp_path, *times[:10], "2081-01-05 00:00:00", *times[10:])])


def test_a_historical_catalogue_passes(tmp_path: Path) -> None:
    times = ["1618-01-01 00:00:00", "1755-11-01 10:16:00"]
    times += [f"{day:%Y-%m-%d} 00:00:00" for day in pd.date_range("1960-01-01", periods=60, freq="300D")]
    assert len(read_catalogs([catalogue(tmp_path, *times)]).events) == 62


def test_quakeml_of_the_year_3018_is_refused_with_its_line(tmp_path: Path) -> None:
    pytest.importorskip("obspy")
    path = tmp_path / "quakes.xml"
    path.write_text(
        '<?xml version="1.0"?>\n<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" '
        'xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters publicID="smi:a/b">\n<event publicID="smi:a/c">'
        '<origin publicID="smi:a/d">\n<time><value>3018-01-01T00:00:00Z</value></time></origin></event>'
        "</eventParameters></q:quakeml>"
    )
    with pytest.raises(DataError, match=r"quakes\.xml: line 4, column time: .* is of the year 3018"):
        read_catalogs([path])


def kp_rows(*times: str) -> str:
    return "time_utc,kp\n" + "".join(f"{time},1\n" for time in times)


DAY = [f"2018-03-{day:02d}T{hour:02d}:00:00Z" for day in (4, 5, 6) for hour in range(0, 24, 3)]
GFZ = "{} 03 04 31471 31471.5 2516  1 " + " 1.000" * 8 + "  4 4 4 4 4 4 4 4 4 0 70 70 2"


@pytest.mark.parametrize("year", ["1926", "2081", "3018", "0018"])
def test_one_stray_row_of_an_index_is_refused_with_its_line(year: str, tmp_path: Path) -> None:
    path = tmp_path / "kp.csv"
    path.write_text(kp_rows(*DAY))
    assert read_index(path, "kp").values.size == 24
    path.write_text(kp_rows(*DAY[:5], f"{year}-03-04T15:00:00Z", *DAY[6:]))
    with pytest.raises(DataError, match=r"kp\.csv: line 7"):
        read_index(path, "kp")


@pytest.mark.parametrize("year", ["1926", "3018"])
def test_one_stray_day_of_kp_in_other_layouts_is_refused_with_its_line(year: str, tmp_path: Path) -> None:
    path = tmp_path / "kp.txt"
    path.write_text("\n".join([GFZ.format(2018), GFZ.format(2018).replace(" 04 ", " 05 ", 1), GFZ.format(year)]))
    with pytest.raises(DataError, match=r"kp\.txt: line 3"):
        read_index(path, "kp")
    columns = [f"K_{hour:02d}" for hour in range(0, 24, 3)]
    path.write_text("\n".join([",".join(["Date", *columns]), "2018-03-04" + ",1" * 8, "2018-03-05" + ",1" * 8,
                               f"{year}-03-06" + ",1" * 8]))  # fmt: skip
    with pytest.raises(DataError, match=r"kp\.txt: line 4"):
        read_index(path, "kp")


def test_one_stray_day_of_dst_is_refused_with_its_line(tmp_path: Path) -> None:
    def day(year: int, number: int) -> str:
        century, of = divmod(year, 100)
        return f"DST{of:02d}03*{number:02d}RRX2{century:02d}   0" + "  -5" * 25

    path = tmp_path / "dst.txt"
    path.write_text("\n".join([day(2018, 4), day(2018, 5), day(1958, 6)]))
    with pytest.raises(DataError, match=r"dst\.txt: line 3: 1958-03-06 lies more than a year"):
        read_index(path, "dst")


def test_two_separate_years_of_an_index_pass(tmp_path: Path) -> None:
    path = tmp_path / "kp.csv"
    later = [time.replace("2018", "2021") for time in DAY]
    path.write_text(kp_rows(*DAY, *later))
    assert np.isfinite(read_index(path, "kp").values).sum() == 48


def test_a_day_file_whose_header_states_another_century_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Recording.from_array(np.zeros((3, 60)), "2218-03-04", "ALR")
    reader = Reader("other", lambda _: True, lambda *_: found)
    monkeypatch.setattr("seismag.recordings.FORMATS", (reader,))
    with pytest.raises(DataError, match=r"day: it states samples of the year 2218, outside 1840\.\.2100") as caught:
        decode_recording(b"x", Path("day"))
    assert caught.value.reason == "impossible_time"
