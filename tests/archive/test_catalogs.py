from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from seismag.archive import clusters
from seismag.archive.catalogs import CATALOG_COLUMNS, bounding_box, read_catalogs
from seismag.archive.clusters import cluster_window, decluster
from seismag.domain import DataError

OURS = "event_id,origin_utc,latitude_deg,longitude_deg,depth_km,magnitude,magnitude_type,place\n"
USGS = "time,latitude,longitude,depth,mag,magType,id,place,type\n"
BMKG = "No,event_id,datetime,Latitude,Longitude,Magnitude,Depth\n"
BMKG_WEB = '"No","Event ID","Date time","Latitude","Longitude","Magnitude","Mag Type","Depth (km)","Location"\n'


def write(folder: Path, text: str, name: str = "catalog.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def utc(text: str) -> np.datetime64:
    return np.datetime64(text, "ms")


def ours(*rows: str) -> str:
    return OURS + "".join(row + "\n" for row in rows)


GOOD = "a1,2021-01-01T00:00:00Z,-1.5,120,10,5.5,Mw,Palu"


@pytest.mark.parametrize(
    "text",
    [
        ours(GOOD),
        USGS + '2021-01-01T00:00:00.000Z,-1.5,120,10,5.5,Mw,a1,"Palu",earthquake\n',
        USGS + "2021-01-01 07:00:00+07:00,-1.5,120,10,5.5,Mw,a1,Palu,\n",
        BMKG_WEB + '"1","a1","2021-01-01T00:00:00Z","-1.5","120","5.5","Mw","10","Palu"\n',
        ours(GOOD).replace(",", ";").replace("1.5", "1,5").replace("5.5", "5,5"),
        "\ufeff" + ours(GOOD),
    ],
)
def test_every_layout_gives_the_same_event(tmp_path: Path, text: str) -> None:
    events = read_catalogs([write(tmp_path, text)]).events
    assert list(events.columns) == CATALOG_COLUMNS
    assert events["origin_utc"].dtype == "datetime64[ms]"
    assert events.iloc[0].tolist() == ["a1", pd.Timestamp("2021-01-01"), -1.5, 120.0, 10.0, 5.5, "Mw", "Palu"]


def test_bmkg_download_is_utc_and_its_ids_stay_text(tmp_path: Path) -> None:
    text = BMKG + "1,0017,2021-01-01 00:00:01.5,-1.5,120,5.5,\n"
    catalog = read_catalogs([write(tmp_path, text)])
    assert catalog.events["event_id"].tolist() == ["0017"]
    assert catalog.events["origin_utc"].to_numpy()[0] == utc("2021-01-01T00:00:01.500")
    assert np.isnan(catalog.events["depth_km"][0])
    assert any("No event has a depth" in note for note in catalog.warnings)


@pytest.mark.parametrize("stamp", ["2021-01-01 00:00:00", "2021-01-01T00:00"])
def test_times_without_a_zone_are_refused(tmp_path: Path, stamp: str) -> None:
    for text in (
        ours(GOOD, GOOD.replace("2021-01-01T00:00:00Z", stamp)),
        USGS + f"{stamp},-1,120,10,5,Mw,a,b,earthquake\n",
    ):
        with pytest.raises(DataError, match=r"1 times have no zone .*; write them with Z or \+00:00"):
            read_catalogs([write(tmp_path, text)])


def test_a_table_like_bmkg_without_ids_must_state_its_zone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="times have no zone"):
        read_catalogs([write(tmp_path, "datetime,latitude,longitude,magnitude\n2021-01-01 00:00:00,1,120,5\n")])


def test_rows_are_sorted_by_time_then_id(tmp_path: Path) -> None:
    rows = [
        GOOD.replace("a1", "z"),
        GOOD.replace("a1", "b"),
        GOOD.replace("a1", "y").replace("2021-01-01", "2020-12-31"),
    ]
    events = read_catalogs([write(tmp_path, ours(*rows))]).events
    assert events["event_id"].tolist() == ["y", "b", "z"]
    assert events.index.tolist() == [0, 1, 2]


def test_a_missing_id_is_a_hash_of_time_and_place(tmp_path: Path) -> None:
    rows = [GOOD.replace("a1", " "), GOOD.replace("a1", "").replace("120", "121"), GOOD.replace("a1", "")]
    catalog = read_catalogs([write(tmp_path, ours(*rows))])
    assert catalog.events["event_id"].str.fullmatch("t[0-9a-f]{12}").all()
    assert len(catalog.events) == 2
    assert catalog.dropped == {"duplicate event_id": 1}
    again = read_catalogs([write(tmp_path, ours(*reversed(rows)))])
    assert again.events.equals(catalog.events)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b,,-1.5,120,10,5.5,,", "no time"),
        ("b,2021-01-02T00:00:00Z,,120,10,5.5,,", "no position"),
        ("b,9999-12-31T00:00:00Z,-1.5,120,10,5.5,,", "impossible time"),
        ("b,2021-01-02T00:00:00Z,-1.5,120,10,,,", "no magnitude"),
        ("b,2021-01-02T00:00:00Z,91,120,10,5.5,,", "impossible latitude"),
        ("b,2021-01-02T00:00:00Z,-1.5,361,10,5.5,,", "impossible longitude"),
        ("b,2021-01-02T00:00:00Z,-1.5,120,10,10,,", "impossible magnitude"),
        ("b,2021-01-02T00:00:00Z,-1.5,120,10,-2,,", "impossible magnitude"),
        ("b,2021-01-02T00:00:00Z,-1.5,120", "wrong number of cells"),
        ("b,2021-01-02T00:00:00Z,-1.5,120,10,5.5,Mw,Palu, Indonesia", "wrong number of cells"),
        ("a1,2021-01-01T00:00:50Z,-1.5,120,10,5.4,,", "duplicate event_id"),
    ],
)
def test_an_unusable_row_is_dropped_and_counted(tmp_path: Path, row: str, reason: str) -> None:
    catalog = read_catalogs([write(tmp_path, ours(GOOD, row))])
    assert catalog.dropped == {reason: 1}
    assert catalog.events["event_id"].tolist() == ["a1"]
    lost = [note for note in catalog.warnings if "1 rows of M >= 5 or of no known magnitude are left out" in note]
    assert bool(lost) == (reason != "duplicate event_id")
    assert not lost or f"line 3: {reason}" in lost[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b,yesterday,-1.5,120,10,5.5,,", "line 3, column origin_utc: 'yesterday' is not understood as a time"),
        ("b,2021-01-02,-1.5,120,10,5.5,,", "'2021-01-02' is not understood as a time"),
        ("b,2021-01-02T00:00:00Z,-1.5,120,10,strong,,", "column magnitude: 'strong' is not understood as a magnitude"),
        ("b,2021-01-02T00:00:00Z,1.5 X,120,10,5,,", "column latitude_deg: '1.5 X' is not understood as a latitude"),
        ("b,2021-01-02T00:00:00Z,-1.5,12O,10,5,,", "column longitude_deg: '12O' is not understood as a longitude"),
        ("b,2021-01-02T00:00:00Z,-1.5,120,shallow,5,,", "'shallow' is not understood as a depth. Write kilometres"),
    ],
)
def test_a_filled_cell_that_is_not_understood_refuses_the_file(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_catalogs([write(tmp_path, ours(GOOD, row))])


def test_a_small_row_is_lost_with_its_count_alone(tmp_path: Path) -> None:
    catalog = read_catalogs([write(tmp_path, ours(GOOD, "b,2021-01-02T00:00:00Z,91,120,10,4.5,,"))])
    assert catalog.dropped == {"impossible latitude": 1}
    assert not any("left out" in note for note in catalog.warnings)


def test_an_impossible_depth_is_unknown_and_its_earthquake_stays(tmp_path: Path) -> None:
    rows = ["b,2021-01-02T00:00:00Z,-1.5,120,999,5.5,,", "c,2021-01-03T00:00:00Z,-1.5,120,-11,5.5,,"]
    catalog = read_catalogs([write(tmp_path, ours(GOOD, *rows))])
    assert catalog.events["depth_km"].isna().tolist() == [False, True, True]
    assert any("2 depths outside -10..800 km count as unknown" in note for note in catalog.warnings)


def test_numbers_with_words_and_signs_of_other_alphabets_are_read(tmp_path: Path) -> None:
    row = "b,04 Mar 2021 19:00:00 WIB,8.40 LS,124.80 BT,60 km,Mw 6.1,,"
    other = "c,2021-03-05T24:00:00Z,\u22128.4,124\u00b048'E,60,6.2 mb,,"
    events = read_catalogs([write(tmp_path, ours(row, other))]).events
    assert events["origin_utc"].tolist() == [pd.Timestamp("2021-03-04T12:00"), pd.Timestamp("2021-03-06")]
    assert events["latitude_deg"].tolist() == [-8.4, -8.4]
    assert events["longitude_deg"].tolist() == [124.8, 124.8]
    assert events["magnitude_type"].tolist() == ["Mw", "mb"]
    assert events["depth_km"].tolist() == [60.0, 60.0]


@pytest.mark.parametrize(
    "kind", ["not reported", "unknown", "ke", "se", "suspected", "other event", "Induced_or_triggered event"]
)
def test_a_type_that_excludes_nothing_counts_as_an_earthquake(tmp_path: Path, kind: str) -> None:
    catalog = read_catalogs([write(tmp_path, USGS + f"2021-01-01T00:00:00Z,-1.5,120,10,5.5,Mw,a1,Palu,{kind}\n")])
    assert len(catalog.events) == 1
    assert any("exclude nothing" in note for note in catalog.warnings) == (kind not in ("ke", "se", "suspected"))


@pytest.mark.parametrize("identifier", ["2.02103E+13", "-", "nan", "0", "n/a"])
def test_what_is_no_id_does_not_make_earthquakes_one(tmp_path: Path, identifier: str) -> None:
    rows = [f"{identifier},2021-01-0{day}T00:00:00Z,-1.5,120,10,5.5,," for day in range(1, 5)]
    catalog = read_catalogs([write(tmp_path, ours(*rows))])
    assert catalog.events["event_id"].str.fullmatch("t[0-9a-f]{12}").all()
    assert len(catalog.events) == 4
    assert any("spreadsheet" in note for note in catalog.warnings) == (identifier == "2.02103E+13")


def test_explosions_and_eruptions_are_dropped_by_type(tmp_path: Path) -> None:
    kinds = ["earthquake", "Earthquake", "", "nuclear explosion", "volcanic eruption", "volcanic eruption"]
    rows = [f"2021-01-01T00:0{i}:00Z,1,120,10,5,mb,e{i},x,{kind}\n" for i, kind in enumerate(kinds)]
    catalog = read_catalogs([write(tmp_path, USGS + "".join(rows))])
    assert len(catalog.events) == 3
    assert catalog.dropped == {"type: nuclear explosion": 1, "type: volcanic eruption": 2}


def test_longitudes_up_to_360_are_wrapped(tmp_path: Path) -> None:
    events = read_catalogs([write(tmp_path, ours(GOOD.replace(",120,", ",249.25,")))]).events
    assert events["longitude_deg"].tolist() == [-110.75]


def test_near_duplicates_are_kept_with_a_warning(tmp_path: Path) -> None:
    rows = [
        GOOD,
        "a2,2021-01-01T00:00:01Z,-1.45,120.05,10,5.45,,",
        "a3,2021-01-01T00:00:02.5Z,-1.5,120,10,5.5,,",
        "a4,2021-01-01T00:00:00.5Z,-1.6,120,10,5.5,,",
    ]
    catalog = read_catalogs([write(tmp_path, ours(*rows))])
    assert len(catalog.events) == 4
    assert catalog.warnings[0].startswith("1 pairs of rows have different ids")


def test_files_are_merged_and_contradicting_ids_are_told(tmp_path: Path) -> None:
    first = write(tmp_path, ours(GOOD, "a2,2021-01-03T00:00:00Z,1,120,10,5,,"), "one.csv")
    second = write(
        tmp_path, ours(GOOD, "a2,2021-02-03T00:00:00Z,1,120,10,5,,", "a3,2021-02-04T00:00:00Z,1,120,10,5,,"), "two.csv"
    )
    catalog = read_catalogs([first, second])
    assert len(catalog.events) == 4  # both earthquakes of the id a2
    assert catalog.dropped == {"same earthquake in an earlier catalogue": 1}
    assert set(catalog.sources) == {"one.csv", "two.csv"}
    assert any("1 event_ids name different earthquakes" in note and "a2" in note for note in catalog.warnings)


def test_a_large_magnitude_under_a_repeated_id_is_not_left_out_in_silence(tmp_path: Path) -> None:
    small, large = "a1,2021-01-01T00:00:00Z,-1.5,120,10,3.1,,", "a1,2021-01-01T00:00:30Z,-1.5,120,10,6.1,,"
    catalog = read_catalogs([write(tmp_path, ours(small, large, large))])
    assert catalog.dropped == {"duplicate event_id": 2}
    assert any("2 rows of M >= 5 repeat the event_id" in note and "line 3: a1 is M 6.1" in note
               for note in catalog.warnings)  # fmt: skip
    far = read_catalogs([write(tmp_path, ours(small, large.replace("120", "126")))])
    assert sorted(far.events["magnitude"]) == [3.1, 6.1]  # six degrees of longitude apart: two earthquakes
    across = [row.replace("120", place) for row, place in ((small, "179.9"), (small, "-179.9"))]
    assert len(read_catalogs([write(tmp_path, ours(*across))]).events) == 1


def test_a_row_that_a_second_catalogue_repeats_is_not_another_earthquake(tmp_path: Path) -> None:
    twice = GOOD.replace("a1", "b1")
    catalog = read_catalogs([write(tmp_path, ours(GOOD)), write(tmp_path, ours(twice, twice), "second.csv")])
    assert catalog.events["event_id"].tolist() == ["a1"]
    assert catalog.dropped == {"duplicate event_id": 1, "same earthquake in an earlier catalogue": 1}


def test_of_an_earthquake_in_two_catalogues_the_first_named_counts(tmp_path: Path) -> None:
    first = write(
        tmp_path, ours("a1,2021-01-01T00:00:10Z,-1.5,120,10,5.9,,", "a2,2021-01-01T00:00:20Z,-1.5,120,10,4.2,,")
    )
    second = write(
        tmp_path,
        ours(
            "b1,2021-01-01T00:00:12Z,-1.9,120.3,10,6.1,,",  # 2 s and 55 km from a1
            "b2,2021-01-01T00:00:25Z,-1.5,120,10,4.2,,",  # 5 s from a2
            "b3,2021-01-01T00:00:26Z,-1.5,120.1,10,5.5,,",  # a1 and a2 are taken
            "b4,2021-01-01T00:00:27.1Z,-1.5,120,10,5,,",  # too late for a1
            "b5,2021-01-01T00:00:10Z,-1.5,121,10,5,,",  # 111 km away
        ),
        "second.csv",
    )
    catalog = read_catalogs([first, second])
    assert catalog.events["event_id"].tolist() == ["a1", "b5", "a2", "b3", "b4"]
    assert catalog.dropped == {"same earthquake in an earlier catalogue": 2}
    assert "second.csv: 2 of its 5 earthquakes are in an earlier catalogue too" in catalog.warnings[0]
    assert "50% have the same magnitude, 1 are of another class here" in catalog.warnings[0]
    assert set(read_catalogs([second, first]).events["event_id"]) == {"b1", "b2", "b3", "b4", "b5"}


def test_a_catalogue_from_magnitude_5_on_warns_about_moderate(tmp_path: Path) -> None:
    assert any("Moderate" in note for note in read_catalogs([write(tmp_path, ours(GOOD))]).warnings)
    small = ours(GOOD, "b,2021-01-02T00:00:00Z,1,120,10,4.9,,")
    assert read_catalogs([write(tmp_path, small)]).warnings == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "code,lat,lon\nABC,1,2\n",
            r"not an earthquake catalogue. Columns found: code, lat, lon; needed: datetime, latitude",
        ),
        ("time,latitude,longitude,depth,id\n2021-01-01T00:00:00Z,1,2,3,a\n", r"not an earthquake catalogue.*mag"),
        (OURS, r"a header and no earthquake"),
        ("", r"the file is empty"),
        (ours("a,2021-01-01T00:00:00Z,1,2,3,,,"), r"none of its 1 rows is a usable earthquake \(no magnitude: 1\)"),
        ("<html><body>404</body></html>", r"web page"),
        ('<?xml version="1.0"?><q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><broken', r"broken QuakeML"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_catalogs([write(tmp_path, text)])


def test_no_file_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No catalogue file"):
        read_catalogs([])
    with pytest.raises(DataError, match="cannot be read"):
        read_catalogs([tmp_path / "absent.csv"])


QUAKEML = """<?xml version="1.0" encoding="UTF-8"?>
<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2">
<eventParameters publicID="smi:local/all">{events}</eventParameters></q:quakeml>"""
EVENT = """<event publicID="{id}"><preferredOriginID>smi:local/o2</preferredOriginID>
<type>{type}</type><description><text>Banda Sea</text></description>
<origin publicID="smi:local/o1"><time><value>2000-01-01T00:00:00Z</value></time>
<latitude><value>0</value></latitude><longitude><value>0</value></longitude></origin>
<origin publicID="smi:local/o2"><time><value>2021-01-01T00:00:00.25Z</value></time>
<latitude><value>-5.5</value></latitude><longitude><value>130</value></longitude>
<depth><value>12500</value></depth></origin>
<magnitude publicID="smi:local/m1"><mag><value>{mag}</value></mag><type>Mww</type></magnitude></event>"""


def test_quakeml_gives_the_preferred_origin_in_km(tmp_path: Path) -> None:
    pytest.importorskip("obspy")
    ids = [
        "quakeml:earthquake.usgs.gov/fdsnws/event/1/query?eventid=us7000abcd&amp;format=quakeml",
        "smi:org.gfz-potsdam.de/geofon/gfz2021abcd",
        "smi:local/e3",
    ]
    events = "".join(
        EVENT.format(id=name, type=kind, mag=5.5)
        for name, kind in zip(ids, ["earthquake", "earthquake", "explosion"], strict=True)
    )
    path = tmp_path / "events.xml.gz"
    path.write_bytes(gzip.compress(QUAKEML.format(events=events).encode()))
    catalog = read_catalogs([path])
    assert catalog.dropped == {"type: explosion": 1}
    assert catalog.events["event_id"].tolist() == ["gfz2021abcd", "us7000abcd"]
    expected = [pd.Timestamp("2021-01-01T00:00:00.250"), -5.5, 130.0, 12.5, 5.5, "Mww", "Banda Sea"]
    assert catalog.events.iloc[0].tolist()[1:] == expected


MAGNITUDE = """<magnitude publicID="smi:local/m{number}"><mag><value>{mag}</value></mag><type>{scale}</type>
{status}</magnitude>"""


def quakeml(tmp_path: Path, kind: str, magnitudes: list[tuple[str, float, str]], preferred: str = "") -> Path:
    text = EVENT.format(id="smi:local/e1", type=kind, mag=5)
    text = text[: text.index("<magnitude")]
    for number, (scale, mag, status) in enumerate(magnitudes):
        stated = f"<evaluationStatus>{status}</evaluationStatus>" if status else ""
        text += MAGNITUDE.format(number=number, mag=mag, scale=scale, status=stated)
    return write(tmp_path, QUAKEML.format(events=f"{text}{preferred}</event>"), "events.xml")


@pytest.mark.parametrize(
    ("magnitudes", "preferred", "expected"),
    [
        ([("mb", 5.4, ""), ("MS", 5.7, ""), ("Mw", 6.1, "")], "", 6.1),
        ([("ML", 5.0, ""), ("mb", 5.4, "")], "", 5.4),
        ([("mb", 5.4, ""), ("Mww", 6.2, "rejected")], "", 5.4),
        ([("mb", 5.4, ""), ("Mw", 6.1, "")], "<preferredMagnitudeID>smi:local/m0</preferredMagnitudeID>", 5.4),
        ([("mb", 5.4, "rejected"), ("Mw", 6.1, "")], "<preferredMagnitudeID>smi:local/m0</preferredMagnitudeID>", 6.1),
    ],
)
def test_quakeml_magnitude_is_the_preferred_one_else_by_scale_never_a_rejected_one(
    tmp_path: Path, magnitudes: list[tuple[str, float, str]], preferred: str, expected: float
) -> None:
    pytest.importorskip("obspy")
    catalog = read_catalogs([quakeml(tmp_path, "earthquake", magnitudes, preferred)])
    assert catalog.events["magnitude"].tolist() == [expected]
    several = not preferred and sum(status != "rejected" for *_, status in magnitudes) > 1
    assert any("have several magnitudes and prefer none" in note for note in catalog.warnings) == several


@pytest.mark.parametrize("kind", ["unknown", "", "earthquake", "a type of tomorrow"])
def test_quakeml_events_of_any_type_are_there(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("obspy")
    assert len(read_catalogs([quakeml(tmp_path, kind, [("Mw", 6.1, "")])]).events) == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"Infogempa": {}}', "JSON"),
        ('<?xml version="1.0"?><seiscomp xmlns="x"></seiscomp>', "SeisComP XML"),
        ('<?xml version="1.0"?><Infogempa></Infogempa>', "BMKG's XML feed"),
        ("<?xml version='1.0'?><kml></kml>", "XML that is not QuakeML"),
    ],
)
def test_a_format_that_is_not_read_is_named(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(DataError, match=f"this is {name}, not a catalogue"):
        read_catalogs([write(tmp_path, text)])


def test_text_of_an_fdsn_service_is_read(tmp_path: Path) -> None:
    text = (
        "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType|Magnitude|MagAuthor|"
        "EventLocationName|EventType\ne2|2021-03-04T12:00:00|-8.4|124.8|60.0||XX|XX|e2|Mw|6.1||Alor|earthquake\n"
    )
    events = read_catalogs([write(tmp_path, text)]).events
    assert events.iloc[0].tolist() == ["e2", pd.Timestamp("2021-03-04T12:00"), -8.4, 124.8, 60.0, 6.1, "Mw", "Alor"]


@pytest.mark.parametrize(
    ("written", "spelled", "column", "value"),
    [
        ("2021-01-01T00:00:00.25Z", "2021-03-04T11:59:60.00Z", "origin_utc", pd.Timestamp("2021-03-04T12:00:00")),
        ("2021-01-01T00:00:00.25Z", "2021-03-03t24:00:00z", "origin_utc", pd.Timestamp("2021-03-04T00:00:00")),
        ("<value>-5.5", "<value>\u22125.5", "latitude_deg", -5.5),
        ("<value>-5.5", "<value>5.5 S", "latitude_deg", -5.5),
        ("<value>6.1", "<value>6,1", "magnitude", 6.1),
        ("<value>6.1", "<value>NaN", "magnitude", 5.5),  # of mb, the only one that is stated
        ("<value>6.1</value>", "", "magnitude", 5.5),
    ],
)
def test_values_in_quakeml_are_read_as_cells_of_tables_are(
    tmp_path: Path, written: str, spelled: str, column: str, value: object
) -> None:
    text = quakeml(tmp_path, "earthquake", [("mb", 5.5, ""), ("Mw", 6.1, "")]).read_text()
    assert written in text
    path = write(tmp_path, text.replace(written, spelled), "spelled.xml")
    assert read_catalogs([path]).events[column].tolist() == [value]


def test_values_in_quakeml_that_are_not_understood_are_refused_with_their_line(tmp_path: Path) -> None:
    text = quakeml(tmp_path, "earthquake", [("Mw", 6.1, "")]).read_text()
    for written, spelled, kind in (("6.1", "six", "magnitude"), ("-5.5", "south", "latitude")):
        path = write(tmp_path, text.replace(f"<value>{written}", f"<value>{spelled}"), "spelled.xml")
        with pytest.raises(DataError, match=rf"line \d+, column {kind}: '{spelled}' is not understood"):
            read_catalogs([path])


def test_a_rejected_origin_in_quakeml_does_not_count_where_there_is_another(tmp_path: Path) -> None:
    text = quakeml(tmp_path, "<!-- probably -->earthquake", [("Mw", 6.1, "")]).read_text()
    text = text.replace("<preferredOriginID>smi:local/o2</preferredOriginID>", "")
    assert read_catalogs([write(tmp_path, text, "first.xml")]).events["latitude_deg"].tolist() == [0.0]
    text = text.replace("</origin>", "<evaluationStatus>rejected</evaluationStatus></origin>", 1)
    assert read_catalogs([write(tmp_path, text, "second.xml")]).events["latitude_deg"].tolist() == [-5.5]


def test_quakeml_without_events_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("obspy")
    with pytest.raises(DataError, match="QuakeML without an event"):
        read_catalogs([write(tmp_path, QUAKEML.format(events=""), "events.xml")])


def test_quakeml_without_obspy_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obspy", None)
    with pytest.raises(DataError, match=r'pip install "seismag\[obspy\]"'):
        read_catalogs([write(tmp_path, QUAKEML.format(events=""), "events.xml")])


def table(rows: list[tuple[float, float, float, float]]) -> pd.DataFrame:
    """Events from (day, latitude, longitude, magnitude), named e0, e1, ..."""
    days, latitude, longitude, magnitude = np.array(rows, dtype=float).reshape(-1, 4).T
    return pd.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(len(rows))],
            "origin_utc": utc("2021-01-01") + (days * 86_400_000).astype("timedelta64[ms]"),
            "latitude_deg": latitude, "longitude_deg": longitude, "magnitude": magnitude,
        }
    )  # fmt: skip


def test_cluster_window_has_the_published_reach() -> None:
    # Gardner & Knopoff (1974), table 1, for M 5, 6, 7, 8; the formulas are fits to it.
    distance_km, time_d = cluster_window(np.array([5.0, 6.0, 7.0, 8.0]))
    np.testing.assert_allclose(distance_km, [40, 54, 70, 94], rtol=0.03)
    np.testing.assert_allclose(time_d, [155, 510, 915, 985], rtol=0.08)


def test_aftershocks_and_foreshocks_belong_to_the_largest() -> None:
    # M6: 53.2 km and 499 d. 0.4 degrees are 44 km, 0.6 degrees 66 km.
    events = table(
        [(0, 0, 120, 5), (1, 0, 120, 6), (2, 0.4, 120, 5.5), (400, 0.0, 120.4, 5), (401, 0.6, 120, 5), (600, 0, 120, 5)]
    )
    clusters = decluster(events)
    assert clusters["cluster_id"].tolist() == ["e1", "e1", "e1", "e1", "e4", "e5"]
    assert clusters["is_mainshock"].tolist() == [False, True, False, False, True, True]


def test_of_equal_magnitudes_the_earlier_is_the_mainshock() -> None:
    assert decluster(table([(3, 0, 120, 5), (1, 0, 120, 5)]))["cluster_id"].tolist() == ["e1", "e1"]


def test_clusters_reach_across_the_antimeridian_and_keep_the_index() -> None:
    events = table([(0, 0, 179.9, 6), (1, 0, -179.9, 5)]).set_axis([7, 3])
    clusters = decluster(events)
    assert clusters["cluster_id"].to_dict() == {7: "e0", 3: "e0"}


def slow_decluster(events: pd.DataFrame) -> list[str]:
    """Every pair, one after the other."""
    geod, owner = Geod(ellps="WGS84"), {}
    for _, main in events.sort_values(["magnitude", "origin_utc"], ascending=[False, True], kind="stable").iterrows():
        if main.event_id in owner:
            continue
        reach_km, reach_d = cluster_window(np.array([main.magnitude]))
        for _, other in events.iterrows():
            lag_d = (other.origin_utc - main.origin_utc).total_seconds() / 86400
            away_m = geod.inv(main.longitude_deg, main.latitude_deg, other.longitude_deg, other.latitude_deg)[2]
            near = away_m <= reach_km[0] * 1000 and -reach_d[0] <= lag_d <= reach_d[0]
            if near and other.event_id not in owner:
                owner[other.event_id] = main.event_id
    return [owner[name] for name in events["event_id"]]


EVENT_ROW = st.tuples(
    st.floats(0, 900), st.floats(-1, 1), st.floats(119, 121), st.sampled_from([4.0, 4.7, 5.2, 6.1, 6.5, 7.3])
)


@given(st.lists(EVENT_ROW, min_size=1, max_size=12, unique_by=lambda row: round(row[0], 3)))
def test_clusters_agree_with_every_pair_compared(rows: list[tuple[float, ...]]) -> None:
    events = table(rows)  # type: ignore[arg-type]
    clusters = decluster(events)
    assert clusters["cluster_id"].tolist() == slow_decluster(events)
    assert (clusters["is_mainshock"] == (clusters["cluster_id"] == events["event_id"])).all()


class CountingGeod:
    """Geodesics as the module computes them, and how many."""

    def __init__(self, geod: Any) -> None:
        self.geod, self.distances = geod, 0

    def inv(self, *places: np.ndarray) -> Any:
        self.distances += len(places[0])
        return self.geod.inv(*places)


@pytest.fixture
def geod(monkeypatch: pytest.MonkeyPatch) -> CountingGeod:
    counting = CountingGeod(clusters._WGS84)
    monkeypatch.setattr(clusters, "_WGS84", counting)
    return counting


def test_declustering_measures_a_few_distances_an_event_and_not_every_pair(
    rng: np.random.Generator, geod: CountingGeod
) -> None:
    n = 20_000
    events = table(
        list(
            zip(
                rng.uniform(0, 9000, n),
                rng.uniform(-11, 6, n),
                rng.uniform(95, 141, n),
                4 + rng.exponential(0.4, n),
                strict=True,
            )
        )
    )
    decluster(events)
    assert n / 2 < geod.distances < 20 * n


def test_bounding_box_holds_all_epicentres() -> None:
    box = bounding_box(table([(0, -3, 120, 5), (1, 4, 100, 5)]))
    assert box == (-3.0, 4.0, 100.0, 120.0)


def csv_rows(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text)))


def milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000) // 1000


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "names", "dropped"),
    [
        ("bmkg/catalog_2018_2025.csv", ("event_id", "datetime", "Latitude", "Longitude", "Depth", "Magnitude"), {}),
        ("bmkg/catalog_2026_04.csv", ("Event ID", "Date time", "Latitude", "Longitude", "Depth (km)", "Magnitude"), {}),
        (
            "catalogs/usgs_global_M5_2013_2023.csv.gz",
            ("id", "time", "latitude", "longitude", "depth", "mag"),
            {"type: nuclear explosion": 4, "type: volcanic eruption": 55},
        ),
        ("catalogs/usgs_sumatra_2000_2024.csv.gz", ("id", "time", "latitude", "longitude", "depth", "mag"), {}),
    ],
)
def test_real_catalogues_agree_with_a_slow_reader(
    real_data: Path, file: str, names: tuple[str, ...], dropped: dict[str, int]
) -> None:
    catalog = read_catalogs([real_data / file])
    rows = [row for row in csv_rows(real_data / file) if row.get("type", "earthquake") == "earthquake"]
    expected = sorted(
        (milliseconds(row[names[1]]), row[names[0]], *(float(row[name]) for name in names[2:])) for row in rows
    )
    events = catalog.events
    found = list(
        zip(
            events["origin_utc"].to_numpy().astype("int64").tolist(),
            *(events[column].tolist() for column in ("event_id", *CATALOG_COLUMNS[2:6])),
            strict=True,
        )
    )
    assert len(found) == len(expected)
    assert [row[1:] for row in found] == [row[1:] for row in expected]
    assert max(abs(a[0] - b[0]) for a, b in zip(found, expected, strict=True)) <= 1
    assert catalog.dropped == dropped


@pytest.mark.real
def test_bmkg_catalogue_has_its_two_known_holes_and_no_last_days(real_data: Path) -> None:
    catalog = read_catalogs([real_data / "bmkg" / "catalog_2018_2025.csv"])
    assert len(catalog.events) == 15_781
    assert catalog.coverage.describe_holes() == ["2021-07-01 .. 2021-08-01", "2022-01-01 .. 2023-01-01"]
    starts = np.arange(utc("2018-01-01"), utc("2026-01-01"), np.timedelta64(6, "h"))
    covered = catalog.coverage.covers(starts, starts + np.timedelta64(54, "h"))
    assert 24 * covered.sum() == 230_088  # the windows of 24 stations in the domain handbook
    last_day = catalog.events["origin_utc"].dt.is_month_end
    assert catalog.events.loc[last_day, "origin_utc"].dt.date.astype(str).tolist() == ["2021-02-28"]
    assert any("no event on the last day of 77 months" in note for note in catalog.warnings)


@pytest.mark.real
def test_two_bmkg_files_leave_a_hole_between_them(real_data: Path) -> None:
    files = [real_data / "bmkg" / name for name in ("catalog_2026_04.csv", "catalog_2018_2025.csv")]
    catalog = read_catalogs(files)
    assert len(catalog.events) == 15_781 + 330
    assert catalog.coverage.describe_holes()[-1] == "2025-09-01 .. 2026-04-01"


@pytest.mark.real
def test_complete_usgs_catalogues_have_no_holes_and_no_lost_days(real_data: Path) -> None:
    for name in ("usgs_global_M5_2013_2023.csv.gz", "usgs_sumatra_2000_2024.csv.gz"):
        catalog = read_catalogs([real_data / "catalogs" / name])
        assert catalog.coverage.holes == []
        assert not any("last day" in note for note in catalog.warnings)


@pytest.mark.real
def test_bmkg_catalogue_has_its_known_number_of_mainshocks(real_data: Path, geod: CountingGeod) -> None:
    events = read_catalogs([real_data / "bmkg" / "catalog_2018_2025.csv"]).events
    clusters = decluster(events)
    assert int(clusters["is_mainshock"].sum()) == 4616
    assert geod.distances < 20 * len(events)


@pytest.mark.real
def test_the_long_bmkg_catalogue_fills_the_holes_of_the_other(real_data: Path) -> None:
    short, long = real_data / "bmkg" / "catalog_2018_2025.csv", real_data / "bmkg_catalogue"
    long = long / "bmkg_inatews_20081101_20230126.csv"
    alone = read_catalogs([long])
    assert len(alone.events) == 90_153
    assert (alone.events["magnitude"] >= 6).sum() == 256
    both = read_catalogs([short, long])
    assert both.dropped["same earthquake in an earlier catalogue"] == 10_260
    assert len(both.events) == 15_781 + 90_153 - 10_260
    inside = both.coverage.covers(np.array([utc("2022-01-10")]), np.array([utc("2022-12-20")]))
    assert inside.all()
