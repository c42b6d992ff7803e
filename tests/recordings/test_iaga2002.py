"""IAGA-2002 by small files of our own; the published ones are in test_real_files.py."""

import re

import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings import read_recording
from seismag.recordings.iaga2002 import IAGA2002

HEADER = {
    "Format": "IAGA-2002",
    "Source of Data": "An institute",
    "Station Name": "Somewhere",
    "IAGA CODE": "ABC",
    "Geodetic Latitude": "40.137",
    "Geodetic Longitude": "254.764",
    "Elevation": "1682",
    "Reported": "XYZF",
    "Sensor Orientation": "XYZF",
    "Digital Sampling": "100 Hz",
    "Data Interval Type": "Average 1-Second",
    "Data Type": "variation",
}


def line(time: str, *values: float, day: str = "2014-04-07", doy: int = 97) -> str:
    return f"{day} {time} {doy:03d}    " + "".join(f"{value:10.2f}" for value in values)


LINES = [line(f"00:00:{s:02d}.000", 20_000.5 + s, -86.25, 47_000 - s, 52_000) for s in range(10)]


def text(lines=None, columns="ABCX ABCY ABCZ ABCF", comments=(), newline="\n", end=True, **header: str) -> bytes:
    entries = HEADER | {key.replace("_", " "): value for key, value in header.items()}
    rows = [f" {key:<23}{value:<45}|" for key, value in entries.items()]
    rows += [f" # {comment:<66}|" for comment in comments]
    rows += ["DATE       TIME         DOY     " + "".join(f"{name:<10}" for name in columns.split()).rstrip() + "   |"]
    return newline.join([*rows, *(LINES if lines is None else lines)]).encode() + (newline.encode() if end else b"")


def parse(*arguments, name: str = "day.sec", **keywords):
    return IAGA2002.read(text(*arguments, **keywords), name, "")


def refused(payload: bytes, name: str = "day.sec") -> DataError:
    with pytest.raises(DataError) as caught:
        IAGA2002.read(payload, name, "")
    assert str(caught.value).startswith(name)
    return caught.value


def test_a_small_file_is_read_in_full():
    recording = parse()
    np.testing.assert_array_equal(recording.field_nt[0], 20_000.5 + np.arange(10))
    np.testing.assert_array_equal(recording.field_nt[1], np.full(10, -86.25))
    np.testing.assert_array_equal(recording.field_nt[2], 47_000.0 - np.arange(10))
    assert (recording.station, recording.rate_hz, recording.h_axis_deg) == ("ABC", 1.0, 0.0)
    assert (recording.latitude_deg, recording.longitude_deg) == (40.137, -105.236)
    assert recording.start_utc == np.datetime64("2014-04-07T00:00:00.000")
    assert recording.metadata["warnings"] == []
    assert recording.metadata["header"]["station_name"] == "Somewhere"


ODD_FORMS = {
    "carriage returns": text(newline="\r\n"),
    "no last newline": text(end=False),
    "blank lines at the end": text() + b"\n\n",
    "Ctrl-Z at the end": text() + b"\x1a",
    "trailing blanks in some lines": text([LINES[0] + "  ", *LINES[1:]]),
    "trailing blanks in all lines": text([row + "   " for row in LINES]),
    "an empty line between": text([*LINES[:4], "", *LINES[4:]]),
    "one decimal in a line": text([LINES[0].replace("20000.50", "20000.5"), *LINES[1:]]),
    "a T between date and time": text([LINES[0].replace("07 00", "07T00"), *LINES[1:]]),
    "a byte order mark": b"\xef\xbb\xbf" + text(),
    "signs": text([row.replace("20000", "+20000").replace("    +", "   +") for row in LINES]),
}


@pytest.mark.parametrize("payload", ODD_FORMS.values(), ids=ODD_FORMS.keys())
def test_harmless_deviations_change_nothing(payload):
    assert IAGA2002.detect(payload)
    np.testing.assert_array_equal(IAGA2002.read(payload, "day.sec", "").field_nt, parse().field_nt)


def test_a_file_of_one_line_takes_its_rate_from_the_header():
    assert parse(LINES[:1]).samples == 1
    assert refused(text(LINES[:1], Data_Interval_Type="")).reason == "irregular_sampling"


@pytest.mark.parametrize(
    ("wrong", "into"),
    [
        ("00:00:04.000", "00:00:64.000"),
        ("00:00:04.000", "24:00:04.000"),
        ("00:00:04.000", "00:0x:04.000"),
        ("00:00:04.000", "00:00-04.000"),
        ("20004.50", "2000x.50"),
        ("20004.50", "20 04.50"),
        ("20004.50", "20004 50"),
        ("20004.50", "2-004.50"),
        ("20004.50", "     nan"),
        ("20004.50", " 0x4E20.5"),
        ("20004.50", "        "),
        ("2014-04-07 00:00:04", "2014-02-30 00:00:04"),
        ("2014-04-07 00:00:04", "2014-04-07 00:00:0\xe4"),
        ("   -86.25  46996.00", "  46996.00"),
        (" 52000.00", " 52000.00  1.00"),
    ],
)
def test_a_line_that_does_not_parse_is_named_by_its_number(wrong, into):
    lines = [row.replace(wrong, into) if "00:00:04" in row else row for row in LINES]
    payload = text(lines).decode().encode("latin-1")
    error = refused(payload)
    assert error.reason == "bad_line"
    assert "line 18 " in str(error)  # 12 header lines, the names, 4 good lines


def test_a_comment_within_the_table_is_refused():
    assert refused(text([*LINES[:3], " # restarted", *LINES[3:]])).reason == "bad_line"


@pytest.mark.parametrize("cut", [1, 5, 12, 40, 69])
def test_a_file_cut_within_its_last_line_is_refused(cut):
    error = refused(text(end=False)[:-cut])
    assert error.reason == "truncated"
    assert "line 23" in str(error)


def test_a_file_cut_between_lines_is_shorter_and_nothing_else():
    assert parse(LINES[:6]).samples == 6


def test_missing_lines_are_nan_at_their_time():
    recording = parse([*LINES[:3], *LINES[6:]])
    assert recording.samples == 10
    assert np.isnan(recording.field_nt[:, 3:6]).all()
    assert np.isfinite(recording.field_nt[:, 6:]).all()
    assert "3 of 10 time stamps are missing" in recording.metadata["warnings"][0]


def test_backward_and_doubled_lines_are_sorted_with_warnings():
    recording = parse([*LINES[5:], *LINES[:6]])
    np.testing.assert_array_equal(recording.field_nt, parse().field_nt)
    assert len(recording.metadata["warnings"]) == 2


def test_contradicting_doubled_lines_are_refused():
    assert refused(text([*LINES, LINES[3].replace("20003", "20009")])).reason == "contradicting_samples"


def test_a_wrong_day_of_year_is_said():
    recording = parse([row.replace(" 097 ", " 098 ") for row in LINES])
    assert recording.metadata["warnings"] == ["10 lines have a day of year that contradicts their date."]


def test_time_runs_on_over_midnight_and_leap_day():
    lines = [
        line("23:59:59.000", 1, 2, 3, 4, day="2020-02-28", doy=59),
        line("00:00:00.000", 5, 6, 7, 8, day="2020-02-29", doy=60),
    ]
    recording = parse(lines)
    assert recording.samples == 2
    assert recording.start_utc == np.datetime64("2020-02-28T23:59:59.000")


def test_fractions_of_a_second_are_kept():
    lines = [line(f"00:00:00.{milli:03d}", milli, 2, 3, 4) for milli in range(50, 1000, 100)]
    recording = parse(lines, Data_Interval_Type="0.1 second")
    assert recording.rate_hz == 10.0
    assert recording.start_utc == np.datetime64("2014-04-07T00:00:00.050")
    assert recording.metadata["warnings"] == []


def test_an_irregular_file_is_refused():
    lines = [line(f"00:00:{second:06.3f}", 1, 2, 3, 4) for second in (0, 1, 2, 3.25, 4.5)]
    assert refused(text(lines)).reason == "irregular_sampling"


@pytest.mark.parametrize("stated", ["1-minite", "", "filtered 1-minute (00:15-01:45)", "Average 1-Minute(00:30-01:29)"])
def test_minutes_are_known_by_their_stamps_whatever_the_header_says(stated):
    lines = [line(f"00:{minute:02d}:47.000", 1, 2, 3, 4) for minute in range(5)]
    recording = parse(lines, Data_Interval_Type=stated)
    assert recording.rate_hz == 1 / 60
    assert recording.start_utc == np.datetime64("2014-04-07T00:00:47.000")
    assert recording.metadata["warnings"] == []


def test_a_header_that_lies_about_the_rate_is_said():
    lines = [line(f"00:{minute:02d}:00.000", 1, 2, 3, 4) for minute in range(5)]
    assert "One sample in 1 s in the header" in parse(lines).metadata["warnings"][0]


@pytest.mark.parametrize("stated", ["1-hour", ""])
def test_hourly_files_and_indices_are_another_kind(stated):
    lines = [line(f"{hour:02d}:00:00.000", 1, 2, 3, 4) for hour in range(5)]
    assert refused(text(lines, Data_Interval_Type=stated)).reason == "wrong_kind"
    dst = [line(f"{hour:02d}:00:00.000", -6) for hour in range(5)]
    assert (
        refused(text(dst, columns="DST", IAGA_CODE="DST", Reported="H", Data_Interval_Type=stated)).reason
        == "wrong_kind"
    )


def test_fill_values_are_nan_component_by_component():
    marks = [99999.00, 88888.00, 99999.99, 99999.90]
    lines = [line(f"00:00:{k:02d}.000", mark, 1, 2, 3) for k, mark in enumerate(marks)]
    recording = parse(lines)
    np.testing.assert_array_equal(np.isnan(recording.field_nt), [[1] * 4, [0] * 4, [0] * 4])


def test_a_value_that_no_field_has_is_refused():
    assert refused(text([LINES[0].replace("47000.00", "4700000."), *LINES[1:]])).reason == "impossible_value"
    recording = parse([LINES[0].replace("52000.00", "5200000."), *LINES[1:]])  # F, which is not needed
    assert np.isfinite(recording.field_nt).all()


def test_relative_d_in_minutes_with_decbas_is_turned_to_nt():
    """bou20140407: D -7.09' from 9.21 degrees; -7.09' at 20886.60 nT is -43.08 nT east."""
    lines = [line(f"00:00:0{s}.000", 20_886.60, -7.09, 47_539.03, 52_460.14) for s in range(3)]
    comments = (
        "DECBAS               5527    (Baseline declination value in",
        "     tenths of minutes East (0-216,000)).",
    )
    recording = parse(lines, "ABCH ABCD ABCZ ABCF", comments, Reported="HDZF")
    assert recording.h_axis_deg == pytest.approx(9.2117, abs=1e-4)
    assert recording.field_nt[1, 0] == pytest.approx(-43.076, abs=0.001)
    assert recording.field_nt[0, 0] == pytest.approx(20_886.5556, abs=0.0001)


@pytest.mark.parametrize(
    ("header", "of_sensor"),
    [
        ({"Source_of_Data": "United States Geological Survey (USGS)", "Data_Type": "variation"}, True),
        ({"Source_of_Data": "U.S. Geological Survey", "Data_Type": "provisional"}, True),
        ({"Source_of_Data": "USGS", "Data_Type": "definitive"}, False),
        ({"Source_of_Data": "INPE", "Data_Type": "variation"}, False),
    ],
)
def test_h_beside_relative_d_is_the_sensors_in_variations_of_usgs_alone(header, of_sensor):
    lines = [line(f"00:00:0{s}.000", 20_886.60, -35.5, 47_539.03, 52_460.14) for s in range(3)]
    recording = parse(lines, "ABCH ABCD ABCZ ABCF", ("DECBAS 5527",), Reported="HDZF", **header)
    angle = np.radians(-35.5 / 60)
    expected = (
        (20_886.60, 20_886.60 * np.tan(angle)) if of_sensor else 20_886.60 * np.array([np.cos(angle), np.sin(angle)])
    )
    np.testing.assert_allclose(recording.field_nt[:2, 0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    "stated",
    ["DECBAS               5527    (Baseline declination value in tenths of minutes East (0-216,000)).",
     "DECBAS: 552.7 min", "DECBAS 9.21167 (degrees East)", "decbas = 9.21167 deg", "DECBAS 552.7 arcmin",
     "DECBAS 33162 arcsec", "DECBAS 9,21167 deg", "DECBAS(5527)", "DECBAS in tenths of minutes: 5527",
     "DECBAS 552.7'", "DECBAS 5527 E"],
)  # fmt: skip
def test_decbas_is_read_in_the_unit_that_its_line_states(stated):
    lines = [line(f"00:00:0{s}.000", 20_886.60, -7.09, 47_539.03, 52_460.14) for s in range(3)]
    recording = parse(lines, "ABCH ABCD ABCZ ABCF", (stated,), Reported="HDZF")
    assert recording.h_axis_deg == pytest.approx(9.2117, abs=1e-4)


@pytest.mark.parametrize(
    "stated", ["DECBAS 9 12.7", "DECBAS 9\u00b012.7'", "DECBAS 0.16077 rad", "DECBAS unknown 2014"]
)
def test_a_decbas_line_of_another_form_is_said_and_not_used(stated):
    lines = [line(f"00:00:0{s}.000", 20_886.60, -7.09, 47_539.03, 52_460.14) for s in range(3)]
    recording = parse(lines, "ABCH ABCD ABCZ ABCF", (stated,), Reported="HDZF")
    assert recording.h_axis_deg == 0.0
    assert "A DECBAS line could not be understood" in recording.metadata["warnings"][0]


def test_a_minus_sign_of_a_text_program_is_one_in_a_header():
    recording = parse(LINES, "ABCH ABCE ABCZ ABCF", ("DECBAS \u2212600",), Geodetic_Latitude="\u22128.14")
    assert (recording.h_axis_deg, recording.latitude_deg) == (-1.0, -8.14)


def test_absolute_d_without_decbas_takes_the_whole_degree_as_axis():
    """mmb 2011: D -522.41' is -8.707 degrees; the axis is -9, the rest 0.293 degrees."""
    lines = [line(f"00:0{m}:00.000", -522.41, 26_179.70, 42_208.80, 49_668.70) for m in range(3)]
    recording = parse(lines, "ABCD ABCH ABCZ ABCF", Reported="DHZF", Data_Interval_Type="1-minite")
    assert recording.h_axis_deg == -9.0
    assert recording.field_nt[1, 0] == pytest.approx(26_179.70 * np.sin(np.radians(9 - 522.41 / 60)), abs=1e-9)


def test_a_comment_can_say_that_d_is_in_degrees():
    lines = [line(f"00:00:0{s}.000", 20_000, 9.30, 47_000, 52_000) for s in range(3)]
    assert parse(lines, "ABCH ABCD ABCZ ABCF", ("D in degrees",)).h_axis_deg == 9.0
    assert parse(lines, "ABCH ABCD ABCZ ABCF", ("Declination (D) is given in decimal degrees",)).h_axis_deg == 9.0
    for comment in ("D (deg)", "D: [deg]", "D [\u00b0]", "Angles (D) are in deg."):
        assert parse(lines, "ABCH ABCD ABCZ ABCF", (comment,)).h_axis_deg == 9.0
    for comment in ("D in minutes, not degrees", "Sensor D = 8.2 deg", "Sensor D = 8.2 \u00b0", "D = 8.2\u00b0"):
        assert parse(lines, "ABCH ABCD ABCZ ABCF", (comment,)).h_axis_deg == 0.0
    assert parse(lines, "ABCH ABCD ABCZ ABCF").h_axis_deg == 0.0


def test_sensor_axes_have_no_direction():
    recording = parse(columns="ABCU ABCV ABCW ABCNUL", Reported="UVWNUL")
    assert np.isnan(recording.h_axis_deg)
    assert "sensor" in recording.metadata["warnings"][0]


@pytest.mark.parametrize(("columns", "count"), [("ABCF", 1), ("ABCX ABCY ABCF", 3), ("ABCD ABCI ABCF ABCG", 4)])
def test_files_without_three_components_are_refused(columns, count):
    lines = [line(f"00:00:0{s}.000", *range(count)) for s in range(3)]
    assert refused(text(lines, columns)).reason == "components_missing"


def test_the_headers_code_is_kept_where_the_columns_differ():
    recording = parse(columns="AIAX AIAY AIAZ AIAF")
    assert recording.station == "ABC"
    assert "AIA" in recording.metadata["warnings"][0]


def test_a_blank_code_is_taken_from_the_columns_or_left_blank():
    assert parse(IAGA_CODE="", columns="GUAX GUAY GUAZ GUAF").station == "GUA"
    assert parse(IAGA_CODE="", columns="X Y Z F").station == ""
    assert parse(IAGA_CODE="abc").station == "ABC"


def test_columns_of_two_stations_or_doubled_are_refused():
    assert refused(text(columns="ABCX GUAY ABCZ ABCF")).reason == "bad_header"
    assert refused(text(columns="ABCX ABCX ABCZ ABCF")).reason == "bad_header"


def test_positions_in_metres_are_not_used():
    recording = parse(Geodetic_Latitude="310086.6051", Geodetic_Longitude="-34833.41399")
    assert np.isnan([recording.latitude_deg, recording.longitude_deg]).all()
    assert "not in degrees" in recording.metadata["warnings"][0]
    assert np.isnan(parse(Geodetic_Latitude="", Geodetic_Longitude="").latitude_deg)


def test_positions_with_a_hemisphere_or_a_comma_are_read_and_others_are_said():
    recording = parse(Geodetic_Latitude="8.143 S", Geodetic_Longitude="124,59")
    assert (recording.latitude_deg, recording.longitude_deg) == (-8.143, 124.59)
    recording = parse(Geodetic_Latitude="-08 08.6'", Geodetic_Longitude="124.59")
    assert np.isnan([recording.latitude_deg, recording.longitude_deg]).all()
    assert "is not understood; it was not used" in recording.metadata["warnings"][0]


def test_the_file_name_must_not_contradict():
    assert parse(name="abc20140407vsec.sec").station == "ABC"
    assert refused(text(), "abc20140408vsec.sec").reason == "name_mismatch"
    assert refused(text(), "gua20140407vsec.sec").reason == "name_mismatch"


def test_files_joined_without_a_line_end_between_them_are_read_unless_their_positions_differ():
    later = [line(f"00:00:{s:02d}.000", 20_000.5 + s, -86.25, 47_000 - s, 52_000) for s in range(10, 20)]
    assert IAGA2002.read(text(end=False) + text(later), "day.sec", "").samples == 20
    moved = text(end=False) + text(later, Geodetic_Latitude="12.0")
    assert refused(moved).reason == "mixed_headers"


def test_a_file_without_data_is_refused():
    assert refused(text([])).reason == "no_data"
    assert refused(text([], end=False)).reason == "no_data"
    assert refused(text()[:400]).reason == "bad_header"
    assert refused(text().replace(b"DATE ", b"WHEN ")).reason == "bad_header"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MS\x03\x04" + bytes(60), "this is miniSEED 3"),
        (b'{"type": "Timeseries"}', "this is JSON"),
        (b"<?xml version='1.0'?>\n<seiscomp xmlns='x'>", "this is SeisComP XML"),
        (b"<?xml version='1.0'?><FDSNStationXML>", "this is StationXML"),
        (b"TIMESERIES XX_ABC__BFX_Q, 10 samples, 1 sps, 2021-03-04T00:00:00, SLIST, INTEGER\n1 2", "this is FDSN text"),
        (b"#EventID | Time | Latitude\n", "this is FDSN text"),
        (b"ABC MAR0421 063 00 HDZF R EDI 01231240 000000 RRRRRRRRRRRRRRRR\r\n", "this is INTERMAGNET IMFV1.22"),
        ("Format".encode("utf-16"), "this is text in UTF-16"),
    ],
)
def test_a_file_of_another_format_is_refused_by_its_name(tmp_path, content, words):
    (tmp_path / "x.dat").write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_recording(tmp_path / "x.dat")
    assert caught.value.reason == "unknown_format"


def test_an_error_page_under_a_data_name_is_called_by_its_name(tmp_path):
    path = tmp_path / "ABG_20260424.iaga2002"
    path.write_bytes(b"<html><head><title>Request Rejected</title></head></html>")
    with pytest.raises(DataError, match=re.escape("web page (HTML)")):
        read_recording(path)


def test_an_empty_file_is_called_empty(tmp_path):
    path = tmp_path / "abc20140407vsec.sec"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        read_recording(path)


def test_a_line_without_end_is_refused_at_once():
    assert refused(text() + b"1" * 200_000).reason == "bad_line"
    assert refused(text() + b"2014-04-07 00:00:10.000 097 " + b" 1" * 100_000 + b"x\n").reason == "bad_line"
