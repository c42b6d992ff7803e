"""Tables of stations: the 24 stations of BMKG, or any table with a code, a latitude and a longitude."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from seismag.archive.cells import Column, is_missing
from seismag.archive.folders import composed
from seismag.archive.tables import decode_text, read_payload, split_text
from seismag.domain import DataError, Station

_CODE = ("code", "kode_stasiun", "kode", "station", "station_code", "stasiun", "iaga", "iaga_code")
_LATITUDE = ("latitude_deg", "latitude", "lat_deg", "lat", "lat_deg_north", "lintang", "station_latitude_deg")
_LONGITUDE = (
    "longitude_deg", "longitude", "lon_deg_east", "lon_deg", "lon", "long", "bujur", "station_longitude_deg",
)  # fmt: skip
_NAME = ("name", "nama", "nama_stasiun", "station_name")
_ELEVATION = ("elevation_m", "elevation", "elevasi", "altitude_m", "station_elevation_m")
_SAME_PLACE_DEG = 1e-3
_LONGEST_CODE = 16
_PLAIN_CODE = re.compile(r"[^\W_][\w. -]{0,15}")


def read_stations(path: str | Path | None = None) -> dict[str, Station]:
    """Read a table of stations.

    Accepts commas, semicolons (then also decimal commas) or tabs, a byte-order mark, stray and non-breaking spaces,
    blank rows, English or Indonesian column names, and longitudes 0..360. A row repeated with the same position
    (within 0.001 degrees) is kept once. Without a path: the 24 stations of BMKG.

    Returns:
        Stations by code (upper case), in the order of the file; longitudes in [-180, 180).

    Raises:
        DataError: not such a table, empty, a coordinate missing or out of range, or one code at two positions.
    """
    if path is None:
        with resources.as_file(resources.files("seismag.archive") / "bmkg_stations.csv") as shipped:
            return read_stations(shipped)
    path = Path(path)
    table = split_text(decode_text(read_payload(path)[0], path), path)
    code, latitude, longitude = (table.find(*names) for names in (_CODE, _LATITUDE, _LONGITUDE))
    if code is None or latitude is None or longitude is None:
        raise DataError(
            f"{path}: not a table of stations. Columns found: {', '.join(table.columns)}; "
            f"needed: code, latitude_deg, longitude_deg (and, if you like, name, elevation_m)."
        )
    optional = table.find(*_NAME), table.find(*_ELEVATION)
    stations: dict[str, Station] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        where = f"{path}: line {line}"
        width = len(table.columns)
        if any(row[width:]):
            raise DataError(f"{where}: {len(row)} cells, but the header has {width}. Quote cells that hold commas.")
        cells = [*row, *[""] * (width - len(row))]
        elevations = Column("elevation", path, [line], table.decimal_comma)
        name, elevation = ("" if column is None else cells[column] for column in optional)
        station = Station(
            composed(cells[code]).upper(),
            _coordinate(Column("latitude", path, [line], table.decimal_comma), cells[latitude], (-90.0, 90.0)),
            _coordinate(Column("longitude", path, [line], table.decimal_comma), cells[longitude], (-180.0, 360.0)),
            name,
            0.0 if is_missing(elevation) else float(elevations.numbers([elevation], "elevation")[0]),
        )
        if not any(sign.isalnum() for sign in station.code):  # "-"; NIL and NAN are codes
            raise DataError(f"{where}: the station has no code. Add it, or delete the row.")
        _require_code(station.code, where)
        _add(stations, station, where)
    if not stations:
        raise DataError(f"{path}: a header and no station. Add at least one row.", "empty_file")
    return stations


def _require_code(code: str, where: str) -> None:
    """Refuse a code that could be a path, a formula or markup: codes become names of folders, cells and texts."""
    if not _PLAIN_CODE.fullmatch(code) or ".." in code:
        shown = f"{code[:_LONGEST_CODE]}..." if len(code) > _LONGEST_CODE else code
        raise DataError(
            f"{where}: {shown!r} is no station code. A code has at most {_LONGEST_CODE} letters, digits and signs of "
            "._- and blanks, and begins with a letter or a digit."
        )


def _coordinate(column: Column, cell: str, limits: tuple[float, float]) -> float:
    where, (low, high) = f"{column.path}: line {column.lines[0]}", limits
    if is_missing(cell):
        raise DataError(f"{where}: the {column.name} is missing. Write it in degrees, or delete the row.")
    value = float(column.numbers([cell], column.name)[0])
    if not low <= value <= high:
        raise DataError(
            f"{where}: {column.name} {cell} is outside {low:g}..{high:g} degrees. Are latitude and longitude swapped, "
            f"or is the decimal sign lost?"
        )
    return value - 360.0 if value >= 180.0 else value


def _add(stations: dict[str, Station], station: Station, where: str) -> None:
    known = stations.setdefault(station.code, station)
    apart_deg = max(
        abs(known.latitude_deg - station.latitude_deg),
        abs((known.longitude_deg - station.longitude_deg + 180.0) % 360.0 - 180.0),
    )
    if apart_deg > _SAME_PLACE_DEG:
        raise DataError(
            f"{where}: station {station.code} is given again at another position "
            f"({station.latitude_deg:g}, {station.longitude_deg:g} instead of {known.latitude_deg:g}, "
            f"{known.longitude_deg:g}; limit {_SAME_PLACE_DEG:g} degrees). Keep one of the two rows."
        )
