"""Tables of stations, as they come from spreadsheets, and the reader of delimited text beneath them.

``read_stations()`` gives the shipped 24 stations of BMKG; ``read_stations(path)`` any table with a code,
a latitude and a longitude.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from seismag.domain import DataError, Station

_CODE = ("code", "kode_stasiun", "kode", "station", "station_code", "stasiun", "iaga", "iaga_code")
_LATITUDE = ("latitude_deg", "latitude", "lat_deg", "lat", "lat_deg_north", "lintang", "station_latitude_deg")
_LONGITUDE = (
    "longitude_deg", "longitude", "lon_deg_east", "lon_deg", "lon", "long", "bujur", "station_longitude_deg",
)  # fmt: skip
_NAME = ("name", "nama", "nama_stasiun", "station_name")
_ELEVATION = ("elevation_m", "elevation", "elevasi", "altitude_m", "station_elevation_m")
_SAME_PLACE_DEG = 1e-3

ZONED_TIME = re.compile(
    r"[T ]\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE
)  # a clock time that ends with Z or an offset


@dataclass(frozen=True)
class TextTable:
    """Delimited text: ``columns`` in lower case with underscores, ``rows`` as stripped text.

    Attributes:
        columns: names of the header line, for example ``kode_stasiun``, ``depth_(km)``.
        rows: cells; a row can be shorter or longer than the header. Blank rows are left out.
        lines: number of the line in the file at which each row ends.
        decimal_comma: the delimiter is not the comma, so 1,5 is a number.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    decimal_comma: bool

    def find(self, *names: str) -> int | None:
        """Give the place of the first of ``names`` that is a column, or None."""
        return next((self.columns.index(name) for name in names if name in self.columns), None)


def read_payload(path: Path) -> tuple[bytes, str]:
    """Read a file, unpacking gzip by content.

    Returns:
        Its bytes, and the sha256 of the file as it lies on disk.

    Raises:
        DataError: missing, empty, or a damaged gzip file.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Name an existing file.") from error
    payload = raw
    if raw.startswith(b"\x1f\x8b"):
        try:
            payload = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: damaged or cut gzip file ({error}). Copy it again from its source.") from error
    if not payload.strip(b"\xef\xbb\xbf \t\r\n"):  # the first three: a byte-order mark alone
        raise DataError(f"{path}: the file is empty. Copy it again from its source.", "empty_file")
    return payload, hashlib.sha256(raw).hexdigest()


def decode_text(payload: bytes, path: Path) -> str:
    """Decode UTF-8 (with or without BOM).

    Raises:
        DataError: binary data, another encoding, or a web page.
    """
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8, so this is not a text table, or one in another encoding. "
            f"Save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise DataError(f"{path}: holds NUL bytes, so this is not a text table. Save it as CSV in UTF-8.")
    if text[:512].lstrip().lower().startswith(("<html", "<!doctype html")):
        raise DataError(f"{path}: this is a web page (HTML), not data. Download the file again.")
    return text


def read_table(text: str, path: Path) -> TextTable:
    """Split delimited text; the delimiter (comma, semicolon or tab) is the commonest in the header line.

    Raises:
        DataError: no header, or a quotation mark that never closes.
    """
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, lines = [], []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if any(row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not readable as CSV ({error}).") from error
    if not rows:
        raise DataError(f"{path}: holds no row. Copy it again from its source.", "empty_file")
    columns = [re.sub(r"\s+", "_", name.lower()) for name in rows[0]]
    return TextTable(columns, rows[1:], lines[1:], delimiter != ",")


def read_stations(path: str | Path | None = None) -> dict[str, Station]:
    """Read a table of stations.

    Accepts commas, semicolons (then also decimal commas) or tabs, a byte-order mark, stray and
    non-breaking spaces, blank rows, English or Indonesian column names, and longitudes 0..360. A row
    repeated with the same place (within 0.001 degrees) is kept once.

    Args:
        path: the table; None gives the 24 stations of BMKG that come with the package.

    Returns:
        Stations by code (upper case), in the order of the file; longitudes in [-180, 180).

    Raises:
        DataError: not such a table, empty, a coordinate missing or out of range, or one code at two places.
    """
    if path is None:
        with resources.as_file(resources.files("seismag.data") / "bmkg_stations.csv") as shipped:
            return read_stations(shipped)
    path = Path(path)
    table = read_table(decode_text(read_payload(path)[0], path), path)
    code, latitude, longitude = (table.find(*names) for names in (_CODE, _LATITUDE, _LONGITUDE))
    if code is None or latitude is None or longitude is None:
        raise DataError(
            f"{path}: not a table of stations. Columns found: {', '.join(table.columns)}; "
            f"needed: code, latitude_deg, longitude_deg (and, if you like, name, elevation_m)."
        )
    stations: dict[str, Station] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        where = f"{path}: line {line}"
        cells = _fit(row, len(table.columns), where)
        station = Station(
            cells[code].upper(),
            _coordinate(cells[latitude], "latitude", (-90.0, 90.0), where, table.decimal_comma),
            _coordinate(cells[longitude], "longitude", (-180.0, 360.0), where, table.decimal_comma),
            _optional(cells, table.find(*_NAME)),
            _elevation(_optional(cells, table.find(*_ELEVATION)), where, table.decimal_comma),
        )
        if not station.code:
            raise DataError(f"{where}: the station has no code. Add it, or delete the row.")
        _add(stations, station, where)
    if not stations:
        raise DataError(f"{path}: a header and no station. Add at least one row.", "empty_file")
    return stations


def _fit(row: Sequence[str], n_columns: int, where: str) -> list[str]:
    if any(row[n_columns:]):
        raise DataError(f"{where}: {len(row)} cells, but the header has {n_columns}. Quote cells that hold commas.")
    return [*row, *[""] * (n_columns - len(row))][:n_columns]


def _optional(cells: Sequence[str], column: int | None) -> str:
    return "" if column is None else cells[column]


def _number(text: str, where: str, name: str, decimal_comma: bool) -> float:
    plain = text.replace("−", "-")
    if decimal_comma:
        plain = plain.replace(",", ".")
    try:
        return float(plain)
    except ValueError:
        raise DataError(f"{where}: {name} is {text!r}, not a number in degrees or metres.") from None


def _coordinate(text: str, name: str, limits: tuple[float, float], where: str, decimal_comma: bool) -> float:
    low, high = limits
    if not text:
        raise DataError(f"{where}: the {name} is missing. Write it in degrees, or delete the row.")
    value = _number(text, where, name, decimal_comma)
    if not low <= value <= high:
        raise DataError(
            f"{where}: {name} {text} is outside {low:g}..{high:g} degrees. Are latitude and longitude swapped, "
            f"or is the decimal sign lost?"
        )
    return value - 360.0 if value >= 180.0 else value


def _elevation(text: str, where: str, decimal_comma: bool) -> float:
    return _number(text, where, "elevation", decimal_comma) if text else 0.0


def _add(stations: dict[str, Station], station: Station, where: str) -> None:
    known = stations.setdefault(station.code, station)
    apart_deg = max(
        abs(known.latitude_deg - station.latitude_deg),
        abs((known.longitude_deg - station.longitude_deg + 180.0) % 360.0 - 180.0),
    )
    if apart_deg > _SAME_PLACE_DEG:
        raise DataError(
            f"{where}: station {station.code} is given again at another place "
            f"({station.latitude_deg:g}, {station.longitude_deg:g} instead of {known.latitude_deg:g}, "
            f"{known.longitude_deg:g}; limit {_SAME_PLACE_DEG:g} degrees). Keep one of the two rows."
        )
