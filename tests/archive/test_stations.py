from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from seismag.archive.stations import read_stations
from seismag.archive.tables import split_text
from seismag.domain import DataError, Station


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "stations.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_shipped_stations_are_the_24_of_bmkg() -> None:
    stations = read_stations()
    assert len(stations) == 24
    assert stations["GTO"] == Station("GTO", 0.555972, 123.141, "Gorontalo")
    assert all(-11 < s.latitude_deg < 6 and 95 < s.longitude_deg < 141 for s in stations.values())


@pytest.mark.real
def test_shipped_stations_equal_the_published_file(real_data: Path) -> None:
    text = (real_data / "bmkg" / "stations.csv").read_bytes().decode("utf-8-sig")
    published = {
        code: (float(latitude), float(longitude))
        for code, latitude, longitude in re.findall(r"([A-Z]{3});\s*([-\d.]+)\s*;\s*([-\d.]+)", text)
    }
    for stations in (read_stations(), read_stations(real_data / "bmkg" / "stations.csv")):
        assert {s.code: (s.latitude_deg, s.longitude_deg) for s in stations.values()} == published
    assert len(published) == 24


@pytest.mark.real
def test_real_tables_of_other_networks_are_read(real_data: Path) -> None:
    observatories = read_stations(real_data / "stations" / "observatories_from_headers.csv")
    assert len(observatories) == 95
    assert observatories["BOU"] == Station("BOU", 40.137, -105.236, "Boulder", 1682.0)
    assert observatories["PAF"].name == "Port-aux-Francais, Kerguelen Islands"
    taiwan = read_stations(real_data / "stations" / "taiwan_cwa_13.csv")
    assert len(taiwan) == 13
    assert taiwan["KMA"].latitude_deg == 24.443


def test_spreadsheet_dirt_is_read_through(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "\ufeffKode Stasiun;Latitude;Longitude\r\n gto ;0,555972\u00a0; 123,141\r\n\r\nALR;−8,14423;124,59;;\r\n;;\r\n",
    )
    assert list(read_stations(path).values()) == [Station("GTO", 0.555972, 123.141), Station("ALR", -8.14423, 124.59)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_delimiter_and_column_name_gives_the_same(tmp_path: Path, delimiter: str) -> None:
    for header in (["code", "latitude_deg", "longitude_deg"], ["IAGA", "lat_deg", "lon_deg_east"]):
        rows = [header, ["TUC", "32.174", "249.267"]]
        station = read_stations(write(tmp_path, "\n".join(delimiter.join(row) for row in rows)))["TUC"]
        assert station.latitude_deg == 32.174
        assert station.longitude_deg == pytest.approx(-110.733)


def test_gzip_is_unpacked_by_content(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_bytes(gzip.compress(b"code,lat,lon\nABC,1,2\n"))
    assert read_stations(path) == {"ABC": Station("ABC", 1.0, 2.0)}


def test_longitudes_end_up_between_minus_180_and_180(tmp_path: Path) -> None:
    path = write(tmp_path, 'code, lat, lon\nA,0,180\n"B", 0, "-180"\nC,0,360\nD,0,179.5\n')
    assert [s.longitude_deg for s in read_stations(path).values()] == [-180.0, -180.0, 0.0, 179.5]


def test_a_row_repeated_at_the_same_place_is_kept_once(tmp_path: Path) -> None:
    path = write(tmp_path, "code,lat,lon\nABC,1,359.9999\nabc,1.0004,-0.0001\n")
    assert list(read_stations(path)) == ["ABC"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,lat,lon\nABC,1,2\nABC,1.5,2\n", r"line 3: station ABC .* another position .*limit 0.001"),
        ("code,lat,lon\nABC,95,2\n", r"line 2: latitude 95 is outside -90\.\.90 .*swapped"),
        ("code,lat,lon\nABC,1,361\n", r"line 2: longitude 361 is outside -180\.\.360"),
        ("code,lat,lon\nABC,nan,2\n", r"line 2: the latitude is missing"),
        ("code,lat,lon\nABC,,2\n", r"line 2: the latitude is missing"),
        ("code,lat,lon\nABC,1\n", r"line 2: the longitude is missing"),
        ("code,lat,lon\nABC,one,2\n", r"line 2, column latitude: 'one' is not understood as a latitude"),
        ("code,lat,lon\n,1,2\n", r"line 2: the station has no code"),
        ("code,lat,lon\n-,1,2\n", r"line 2: the station has no code"),
        ("code,lat,lon\nABC,1,2,3\n", r"line 2: 4 cells, but the header has 3"),
        ("code,lat,lon\n", r"a header and no station"),
        ("\n \n", r"the file is empty"),
        ("station_id,x,y\nABC,1,2\n", r"Columns found: station_id, x, y; needed: code, latitude_deg, longitude_deg"),
        ('code,lat,lon\n"ABC,1,2\n', r"not readable as CSV"),
        ("<!DOCTYPE html><html>not found</html>", r"a web page \(HTML\)"),
        ("code,lat,lon\nAB\0C,1,2\n", r"NUL bytes"),
    ],
)
def test_a_bad_table_is_refused_with_line_value_and_limit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_stations(write(tmp_path, text))


def test_another_encoding_a_missing_file_and_a_cut_gzip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        read_stations(write(tmp_path, "code,lat,lon\nABC,1\u00a0,2\n", "latin-1"))
    with pytest.raises(DataError, match="cannot be read"):
        read_stations(tmp_path / "absent.csv")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"code,lat,lon\nABC,1,2\n" * 50)[:-12])
    with pytest.raises(DataError, match="damaged or truncated gzip"):
        read_stations(cut)


def test_lines_are_counted_over_quoted_line_breaks(tmp_path: Path) -> None:
    table = split_text('a,b\n"1\n2",3\n\n4,5\n', tmp_path)
    assert table.rows == [["1\n2", "3"], ["4", "5"]]
    assert table.lines == [3, 5]


def test_a_station_may_be_called_nil(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text("code,latitude_deg,longitude_deg\nNIL,33.65,73.25\n")
    assert list(read_stations(path)) == ["NIL"]
