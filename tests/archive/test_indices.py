from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seismag.archive.indices import SpaceWeatherIndex, read_index
from seismag.domain import DataError

HOUR = np.timedelta64(1, "h")


def utc(text: str) -> np.datetime64:
    return np.datetime64(text, "ms")


def write(folder: Path, text: str) -> Path:
    path = folder / "index.txt"
    path.write_text(text, encoding="utf-8")
    return path


def series(column: str, rows: list[tuple[str, object]]) -> str:
    return f"time_utc,{column}\n" + "".join(f"{stamp},{value}\n" for stamp, value in rows)


WDC_DAY = "DST2212*31PPX120   0" + "".join(f"{-h:4d}" for h in range(24)) + " -12"


def make_index(values: list[float], step_h: int = 3) -> SpaceWeatherIndex:
    return SpaceWeatherIndex("kp", utc("2021-01-01"), step_h, np.array(values), "0")


def test_kp_series_of_the_simulator_is_read_on_its_grid(tmp_path: Path) -> None:
    text = series("kp", [("2021-01-01T06:00:00Z", 2.333), ("2021-01-01T00:00:00Z", 1), ("2021-01-01T09:00:00Z", "")])
    index = read_index(write(tmp_path, text), "kp")
    assert (index.name, index.step_h, index.start_utc) == ("kp", 3, utc("2021-01-01"))
    np.testing.assert_array_equal(index.values, [1, np.nan, 7 / 3, np.nan])


def test_times_with_an_offset_are_converted_to_utc(tmp_path: Path) -> None:
    text = series("dst_nt", [("2021-01-01T07:00:00+07:00", -10), ("2021-01-01T08:00:00+07:00", -1)])
    index = read_index(write(tmp_path, text), "dst")
    assert index.start_utc == utc("2021-01-01")
    assert index.values.tolist() == [-10.0, -1.0]  # -1 nT is a value of Dst, not a fill


def test_wdc_line_gives_24_hours_from_midnight_with_its_base_value(tmp_path: Path) -> None:
    index = read_index(write(tmp_path, WDC_DAY.replace("PPX120   0", "PPX120  -2") + "\n"), "dst")
    assert index.start_utc == utc("2022-12-31")
    np.testing.assert_array_equal(index.values, -200.0 - np.arange(24))
    assert index.warnings == ["24 of 24 hours of Dst are provisional, not final."]


def test_wdc_fill_is_missing(tmp_path: Path) -> None:
    index = read_index(write(tmp_path, WDC_DAY[:20] + "9999" + WDC_DAY[24:]), "dst")
    assert np.isnan(index.values[0])
    assert index.values[1] == -1.0


def test_celestrak_tens_become_exact_thirds_and_predictions_are_left_out(tmp_path: Path) -> None:
    header = "DATE," + ",".join(f"KP{i}" for i in range(1, 9)) + ",F10.7_DATA_TYPE\n"
    rows = (
        "2025-03-23,0,3,7,10,33,37,90,87,OBS\n2025-03-24,3,3,3,3,3,3,3,3,INT\n2025-03-25,24,24,24,24,24,24,24,24,PRD\n"
    )
    index = read_index(write(tmp_path, header + rows), "kp")
    np.testing.assert_allclose(index.values[:8] * 3, [0, 1, 2, 3, 10, 11, 27, 26], rtol=1e-15)
    assert index.values.size == 16
    assert index.warnings == ["1 rows of predictions from 2025-03-25 on are left out (F10.7_DATA_TYPE: PRD 1)."]


def test_kp_that_is_no_third_is_kept_with_a_warning(tmp_path: Path) -> None:
    index = read_index(write(tmp_path, series("kp", [("2021-01-01T00:00:00Z", 2.5)])), "kp")
    assert index.values.tolist() == [2.5]
    assert "1 Kp values are not thirds" in index.warnings[0]


@pytest.mark.parametrize("fill", [-1, 99, 9999, 99999])
def test_fill_values_of_kp_are_missing(tmp_path: Path, fill: int) -> None:
    rows = [("2021-01-01T00:00:00Z", 1.0), ("2021-01-01T03:00:00Z", fill)]
    np.testing.assert_array_equal(read_index(write(tmp_path, series("kp", rows)), "kp").values, [1.0, np.nan])


def test_a_value_repeated_for_one_time_is_kept_once(tmp_path: Path) -> None:
    rows = [("2021-01-01T00:00:00Z", 1.0), ("2021-01-01T00:00:00Z", 1.0), ("2021-01-01T00:00:00Z", "")]
    assert read_index(write(tmp_path, series("kp", rows)), "kp").values.tolist() == [1.0]


T0 = "2021-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (series("kp", [(T0, 1), (T0, 2)]), r"two values of kp at 2021-01-01: 1 and 2"),
        (series("kp", [(T0, 9.3)]), r"kp is 9\.3 at 2021-01-01, outside 0\.\.9"),
        (series("kp", [(T0, -0.5)]), r"outside 0\.\.9"),
        (series("kp", [("2021-01-01 00:00:00", 1)]), r"line 2: 1 times have no zone .* write them with Z or \+00:00"),
        (series("kp", [("2021-01-01T01:30:00Z", 1)]), r"2021-01-01T01:30 is no start of a 3-hour interval"),
        (
            series("kp", [("2021-13-01T00:00:00Z", 1)]),
            r"column time_utc: '2021-13-01T00:00:00Z' is not understood as a time",
        ),
        (series("kp", [("9021-01-01T00:00:00Z", 1)]), r"outside 1900\.\.2100"),
        (series("kp", [(T0, "three")]), r"line 2, column kp: 'three' is not understood as a kp"),
        (series("kp", [(T0, "")]), r"contains no value of kp"),
        (series("kp", []), r"contains no value of kp"),
        (series("dst_nt", [(T0, -20)]), r"this is the ring-current index Dst, not the planetary index Kp"),
        (
            "time_utc,kp\n2021-01-01T00:00:00Z,1\n2021-01-01T03\n",
            r"line 3 has 1 cells, the header 2: the file is truncated",
        ),
        ("time_utc,bz\n2021-01-01T00:00:00Z,1\n", r"neither Kp nor Dst.*time_utc and kp"),
        ("Date,K_00,K_03\n2021-01-01,1,1\n", r"without all of the columns"),
        ("1818;01;01;1818.001;  -1; -1.0;   0;1\n", r"sunspot numbers"),
        ("   AAA\n K-index values for 2010  (K9-limit = 300 nT)\n", r"Local K is not the planetary Kp"),
        ("\ufeff\n", r"the file is empty"),
        (series("kp", [("2021-01-01T00:00:00Z", "2,333")]), "line 2 has 3 cells, the header 2"),
        ('{"datetime": ["2021-01-01T00:00:00Z"], "Kp": [2.333]}', "this is JSON"),
        ('[["time_tag", "Kp"], ["2021-01-01 00:00:00", "2.33"]]', "this is JSON"),
    ],
)
def test_a_bad_kp_file_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_index(write(tmp_path, text), "kp")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (series("dst_nt", [(T0, 600)]), r"dst is 600 at 2021-01-01, outside -2000\.\.500"),
        (series("kp", [(T0, 1)]), r"this is the planetary index Kp, not the ring-current index Dst"),
        (WDC_DAY + "\n" + WDC_DAY[:60], r"line 2 is not a day of Dst in WDC format"),
        ("DATE       TIME         DOY     BOUH BOUD   |\n", r"an IAGA-2002 file of BOUH BOUD, not of Dst"),
        ("DATE       TIME         DOY     DST   |\n2018-01-01 00:0", r"line 2 is not an hour of Dst"),
        (series("dst_nt", [("2021-01-01T00:00:00Z", "3-")]), "column dst_nt: '3-' is not understood as a number"),
    ],
)
def test_a_bad_dst_file_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_index(write(tmp_path, text), "dst")


def test_extremes_take_every_interval_that_the_window_touches() -> None:
    index = make_index([1, 5, 2, np.nan, 0])
    start = utc("2021-01-01")
    windows = [(0, 3), (0, 6), (5.99, 6.01), (6, 9), (8, 10), (12, 15), (14, 16), (-1, 2), (20, 21)]
    starts = [start + np.timedelta64(round(a * 3_600_000), "ms") for a, _ in windows]
    ends = [start + np.timedelta64(round(b * 3_600_000), "ms") for _, b in windows]
    nan = np.nan
    np.testing.assert_array_equal(index.maximum(starts, ends), [1, 5, 5, 2, nan, 0, nan, nan, nan])
    np.testing.assert_array_equal(index.minimum(starts, ends), [1, 1, 2, 2, nan, 0, nan, nan, nan])


def test_a_window_that_ends_before_it_starts_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        make_index([1, 2]).maximum([utc("2021-01-02")], [utc("2021-01-01")])


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan]), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(-5, 40), st.integers(1, 40)), max_size=20),
)
def test_extremes_agree_with_a_loop(values: list[float], windows: list[tuple[int, int]]) -> None:
    index = make_index(values, step_h=1)
    starts = np.array([index.start_utc + a * HOUR for a, _ in windows], dtype="datetime64[ms]")
    ends = np.array([index.start_utc + (a + n) * HOUR for a, n in windows], dtype="datetime64[ms]")
    inside = [a >= 0 and a + n <= len(values) for a, n in windows]
    for found, choose in ((index.maximum(starts, ends), np.max), (index.minimum(starts, ends), np.min)):
        expected = [choose(values[a : a + n]) if ok else np.nan for (a, n), ok in zip(windows, inside, strict=True)]
        np.testing.assert_array_equal(found, expected)


KP_FILES = ["kp_2018_2026.csv.gz", "GFZ_Potsdam_Kp.csv.gz", "SW-All.csv.gz"]


def lines_of(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def slow_kp(path: Path) -> dict[np.datetime64, float]:
    """An independent reader: one Kp file as a dictionary, without predictions."""
    header, *rows = (line.split(",") for line in lines_of(path))
    values = {}
    for row in rows:
        if len(header) == 4:
            values[utc(row[0][:19].replace(" ", "T"))] = round(float(row[1]) * 3) / 3
        elif "F10.7_DATA_TYPE" not in header or row[header.index("F10.7_DATA_TYPE")] in ("OBS", "INT"):
            first = 3 if "KP1" in header else 1
            for i in range(8):
                value = float(row[first + i]) / (10 if "KP1" in header else 1)
                values[utc(row[0]) + 3 * i * HOUR] = round(value * 3) / 3
    return values


@pytest.mark.real
@pytest.mark.parametrize("file", KP_FILES)
def test_real_kp_files_agree_with_a_slow_reader(real_data: Path, file: str) -> None:
    index = read_index(real_data / "indices" / file, "kp")
    expected = slow_kp(real_data / "indices" / file)
    assert index.values.size == len(expected)
    times = index.start_utc + np.arange(index.values.size) * 3 * HOUR
    np.testing.assert_allclose(index.values, [expected[moment] for moment in times], rtol=1e-12)


@pytest.mark.real
def test_three_publishers_give_the_same_kp(real_data: Path) -> None:
    ours, gfz, celestrak = (read_index(real_data / "indices" / file, "kp") for file in KP_FILES)
    days = np.arange(utc("2018-01-01"), utc("2023-01-01"), 6 * HOUR)
    np.testing.assert_array_equal(ours.maximum(days, days + 6 * HOUR), gfz.maximum(days, days + 6 * HOUR))
    np.testing.assert_array_equal(ours.minimum(days, days + 6 * HOUR), celestrak.minimum(days, days + 6 * HOUR))
    assert "F10.7_DATA_TYPE: PRD 44, PRM 197" in celestrak.warnings[0]


@pytest.mark.real
def test_real_dst_files_agree_with_a_slow_reader(real_data: Path) -> None:
    folder = real_data / "indices"
    for file in ("dst_2018_2024.txt.gz", "Dst_012022.txt.gz"):
        rows = [re.fullmatch(r"(\S{10}) (\S{12}) \d{3}\s+(\S+)", line) for line in lines_of(folder / file)]
        expected = {utc(f"{row[1]}T{row[2]}"): float(row[3]) for row in rows if row}
        index = read_index(folder / file, "dst")
        times = index.start_utc + np.arange(index.values.size) * HOUR
        assert index.values.tolist() == [expected[moment] for moment in times]
    assert index.values.size == 744
    assert index.warnings == ["744 of 744 hours of Dst are real-time, not final."]


@pytest.mark.real
def test_wdc_and_iaga_files_give_the_same_dst(real_data: Path) -> None:
    wdc = read_index(real_data / "indices" / "WDC_Kyoto.dat.gz", "dst")
    iaga = read_index(real_data / "indices" / "dst_2018_2024.txt.gz", "dst")
    assert (wdc.start_utc, wdc.values.size) == (utc("2006-01-01"), 6209 * 24)
    hours = np.arange(utc("2018-01-01"), utc("2023-01-01"), HOUR)
    np.testing.assert_array_equal(wdc.minimum(hours, hours + HOUR), iaga.minimum(hours, hours + HOUR))
    assert iaga.values.min() == -406.0  # 11 May 2024


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("indices/SIDC_SILSO.csv.gz", "sunspot"),
        ("magpy_formats/kvalue.dka", "local K"),
        ("usgs_1s_201404/gua20140407vsec.sec.gz", "GUAH GUAD GUAZ GUAF"),
        ("bmkg/S250101.ALR", "not a text table"),
        ("bmkg/catalog_2018_2025.csv", "neither Kp nor Dst"),
    ],
)
def test_real_files_of_other_kinds_are_refused(real_data: Path, file: str, message: str) -> None:
    for name in ("kp", "dst"):
        with pytest.raises(DataError, match=message):
            read_index(real_data / file, name)  # type: ignore[arg-type]


GFZ = {
    "three hours a line": (
        "# PURPOSE: the index\n#YYY MM DD hh.h hh._m        days      days_m     Kp   ap D\n"
        "2021 01 01 00.0 01.50 32508.00000 32508.06250  0.000    0 1\n"
        "2021 01 01 03.0 04.50 32508.12500 32508.18750  2.333    9 1\n"
        "2021 01 01 06.0 07.50 32508.25000 32508.31250  4.667   39 1\n"
        "2021 01 01 09.0 10.50 32508.37500 32508.43750 -1.000   -1 0\n"
    ),
    "a day a line": (
        "#YYY MM DD  days  days_m  Bsr dB    Kp1    Kp2 ...\n"
        "2021 01 01 32508 32508.5 2556  7  0.000  2.333  4.667 -1.000  0.333  0.667  1.000  1.333     0     9    39"
        "    -1     2     3     4     5    10  25     79.9     77.3 2\n"
    ),
    "tab": "210101  0o 2+ 5- 3o  0+ 1- 1o 1+   14-    8 0.4\n",
}


@pytest.mark.parametrize("layout", ["three hours a line", "a day a line"])
def test_kp_as_gfz_gives_it_out_is_read(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "Kp.txt"
    path.write_text(GFZ[layout])
    index = read_index(path, "kp")
    assert index.start_utc == np.datetime64("2021-01-01")
    np.testing.assert_allclose(index.values[:3], [0, 7 / 3, 14 / 3])
    assert np.isnan(index.values[3:4]).all()


def test_kp_of_gfz_as_thirds_with_signs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "Kp.tab"
    path.write_text(GFZ["tab"])
    thirds = [0, 7, 14, 9, 1, 2, 3, 4]
    np.testing.assert_allclose(read_index(path, "kp").values, np.array(thirds) / 3)


def test_kp_of_gfz_in_tenths_is_read(tmp_path: Path) -> None:
    path = tmp_path / "Kp.wdc"
    path.write_text("2101012556 7 0234730 3 71013133  0  9 39 15  2  3  4  5 100.41\n")
    thirds = [0, 7, 14, 9, 1, 2, 3, 4]
    np.testing.assert_allclose(read_index(path, "kp").values, np.array(thirds) / 3)


def test_a_damaged_line_of_gfz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "Kp.txt"
    path.write_text(GFZ["three hours a line"] + "2021 01 01 12.0 13.50 32508\n")
    with pytest.raises(DataError, match="line 7 is no line of Kp as GFZ writes it"):
        read_index(path, "kp")
