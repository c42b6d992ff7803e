"""FRG-604RC day files (BMKG / MAGDAS family): ``SYYMMDD.STN``, 144 blocks of ten minutes at 1 Hz.

A block is a 30-byte header and 600 records of 17 bytes; the file ends with the three bytes
``fa f3 20``. Layout established on real files (docs/data-formats.md): ::

    header 2:5    station code, ASCII            record 0:9    H, D, Z: signed 24-bit LE, 0.01 nT
    header 5:8    year - 2000, month, day        record 9:13   tilt IX, IY: int16 LE, 0.1
    header 8:10   hour, minute                   record 13:17  two temperatures: int16 LE, 0.01 degC
    header 18:26  latitude, longitude: int32 LE, NMEA ddmm.mmmm x 1e4, signed
    header 27     battery, 0.1 V

Missing: 0x7FFFFF in H, D, Z and 0x7FFF in the 16-bit fields. D is nT eastward, not an angle. The
header bytes 0, 1, 10:18, 26, 28 and 29 are not established: they are not read, and written as zero. Files made or
changed by seismag have a mark in bytes 10:18; ``metadata["origin"]`` is then ``simulated``.
The azimuth of the H axis is not in the file: ``h_axis_deg`` is NaN.
"""

from __future__ import annotations

import datetime as dt
import re
import statistics
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seismag.domain import DataError
from seismag.recordings.reader import Reader
from seismag.recordings.recording import Recording

HEADER_BYTES = 30
RECORD_BYTES = 17
BLOCK_SAMPLES = 600
BLOCK_BYTES = HEADER_BYTES + BLOCK_SAMPLES * RECORD_BYTES  # 10,230
DAY_BLOCKS = 144
DAY_SAMPLES = DAY_BLOCKS * BLOCK_SAMPLES
TRAILER = b"\xfa\xf3\x20"
MISSING_24BIT = 0x7FFFFF
MISSING_16BIT = 0x7FFF
BATTERY_V, TEMPERATURE_DEGC = 12.5, 27.0  # that the writer states
COUNTS_PER_NT = 100.0  # dividing rounds correctly, multiplying by 0.01 does not

MARK_SIMULATED, MARK_INJECTED = _MARKS = b"SIMULATE", b"INJECTED"  # header bytes 10:18

_FILE_NAME = re.compile(r"S(\d\d)(\d\d)(\d\d)\.([A-Z0-9]{3})(?:\.(?:gz|zip))?", re.IGNORECASE)
_ALPHANUMERIC = np.array([code < 128 and chr(code).isalnum() for code in range(256)])
_HEADER = np.dtype(
    {
        "names": ["station", "date", "time", "mark", "latitude", "longitude", "battery"],
        "formats": ["S3", ("u1", 3), ("u1", 2), "S8", "<i4", "<i4", "u1"],
        "offsets": [2, 5, 8, 10, 18, 22, 27],
        "itemsize": HEADER_BYTES,
    }
)
_BLOCK = np.dtype(
    {"names": ["header", "records"], "formats": [_HEADER, f"V{BLOCK_BYTES - HEADER_BYTES}"], "itemsize": BLOCK_BYTES}
)
_RECORD = np.dtype([("field", "u1", (3, 3)), ("tilt", "<i2", 2), ("temperature", "<i2", 2)])


def _detect(head: bytes) -> bool:
    is_text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head[:64])
    return _is_header(head) and not is_text


def _read(payload: bytes, path: str | Path, sha256: str) -> Recording:
    """Read one UTC day; each block is placed by the time in its header.

    A file name ``SYYMMDD.STN`` must agree with the header; other names are not checked.

    Returns:
        86,400 samples at 1 Hz from 00:00 UTC. Missing blocks and samples are NaN;
        ``metadata["missing_blocks"]`` counts the former.

    Raises:
        DataError: ``truncated``, ``trailing_garbage``, ``bad_header``, ``mixed_headers``,
            ``name_mismatch`` or ``contradicting_blocks``.
    """
    path = Path(path)
    warnings: list[str] = []
    headers = np.frombuffer(payload, _BLOCK, count=_count_blocks(payload, path, warnings))["header"]
    station, date = _station_and_date(headers, path)
    stated = day_in_name(path.name)
    if stated is not None and (stated[0] != station or stated[1].tolist() != [date]):
        raise DataError(
            f"{path}: the header has station {station}, {date}; the file name differs. Rename the file.",
            "name_mismatch",
        )
    hours, minutes = headers["time"].astype(np.int64).T
    slots = hours * 6 + minutes // 10  # ten minutes each
    rows = _rows_to_keep(payload, slots, path, warnings)
    if rows.size < DAY_BLOCKS:
        warnings.append(f"{DAY_BLOCKS - rows.size} of {DAY_BLOCKS} ten-minute blocks are missing.")
    latitude_deg, longitude_deg = _position(headers, warnings)
    return Recording(
        station=station,
        start_utc=np.datetime64(date, "ms"),
        rate_hz=1.0,
        field_nt=_day_field(payload, rows, slots),
        format=FRG604RC.name,
        sha256=sha256,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        metadata={
            "missing_blocks": DAY_BLOCKS - rows.size,
            "battery_min_v": float(headers["battery"].min()) / 10,
            **_housekeeping(payload, slots.size),
            **({"origin": "simulated"} if np.isin(headers["mark"], _MARKS).any() else {}),
            "warnings": warnings,
        },
    )


def _is_marked(head: bytes) -> bool:
    return head[10:18] in _MARKS


def day_in_name(name: str) -> tuple[str, NDArray[np.datetime64]] | None:
    """Return station code and UTC day (empty: no date) of a name ``SYYMMDD.STN``; None: another pattern."""
    found = _FILE_NAME.fullmatch(name)
    if found is None:
        return None
    *date, code = found.groups()
    return code.upper(), _one_day(*map(int, date))


def _read_claim(head: bytes) -> tuple[str, NDArray[np.datetime64]]:
    return head[2:5].decode("ascii").upper(), _one_day(*head[5:8])


def _one_day(year: int, month: int, day: int) -> NDArray[np.datetime64]:
    try:
        return np.array([dt.date(2000 + year, month, day)], dtype="datetime64[D]")
    except ValueError:
        return np.empty(0, dtype="datetime64[D]")


def encode_day(
    station: str,
    date: dt.date,
    latitude: float,
    longitude: float,
    field_nt: ArrayLike,
    mark: bytes = b"",
) -> bytes:
    """Write one UTC day in the format of the instrument, rounded to 0.01 nT.

    Args:
        station: three ASCII letters or digits.
        date: the UTC day, 2000 to 2099.
        longitude: degrees east, -180 to 180.
        field_nt: (3, 86400) H, D, Z in nT; NaN marks a missing second.
        mark: ``MARK_SIMULATED``, ``MARK_INJECTED``, or none for recorded data.

    Raises:
        ValueError: a value does not fit into its field.
    """
    counts = _counts(field_nt)
    blocks = np.zeros(DAY_BLOCKS, _BLOCK)
    header = blocks["header"]
    if len(station) != 3 or not (station.isascii() and station.isalnum()):
        raise ValueError(f"station {station!r}: the format holds three ASCII letters or digits")
    header["station"] = station.upper().encode("ascii")
    if not 2000 <= date.year <= 2099:
        raise ValueError(f"the format holds the years 2000 to 2099, not {date.year}")
    header["date"] = (date.year - 2000, date.month, date.day)
    header["time"] = np.stack(np.divmod(np.arange(DAY_BLOCKS) * 10, 60), axis=1)
    header["latitude"] = _nmea(latitude, 90.0)
    header["longitude"] = _nmea(longitude, 180.0)
    header["battery"] = round(BATTERY_V * 10)
    header["mark"] = mark

    records = np.empty((DAY_BLOCKS, BLOCK_SAMPLES), _RECORD)
    records["field"] = counts.view("u1").reshape(3, DAY_BLOCKS, BLOCK_SAMPLES, 4)[..., :3].transpose(1, 2, 0, 3)
    records["tilt"] = 0
    records["temperature"] = round(TEMPERATURE_DEGC * 100)
    blocks["records"] = records.reshape(-1).view(blocks["records"].dtype)
    return blocks.tobytes() + TRAILER


def _is_header(head: bytes) -> bool:
    return len(head) >= 10 and bool(_are_headers(np.frombuffer(head, np.uint8, 10)[None])[0])


def _are_headers(heads: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the rows (n, 10) that can begin a block: a code in letters and digits, a date, a ten-minute mark."""
    year, month, day, hour, minute = heads[:, 5:10].T
    in_range = (year <= 99) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (hour <= 23)
    valid: NDArray[np.bool_] = in_range & (minute <= 50) & (minute % 10 == 0) & _ALPHANUMERIC[heads[:, 2:5]].all(axis=1)
    return valid


def _count_blocks(payload: bytes, path: Path, warnings: list[str]) -> int:
    """Number of whole blocks; only the trailer, or nothing, may follow them."""
    count, extra = divmod(len(payload), BLOCK_BYTES)
    heads: NDArray[np.uint8] = np.ndarray((count, 10), np.uint8, buffer=payload, strides=(BLOCK_BYTES, 1))
    for index in np.flatnonzero(~_are_headers(heads)):
        begin = int(index) * BLOCK_BYTES
        if payload.startswith(TRAILER, begin) and index > 0:
            raise _garbage(path, len(payload) - begin - len(TRAILER))
        raise DataError(
            f"{path}: block {index} (byte {begin}) has no valid header: {payload[begin : begin + 10].hex(' ')}.",
            "bad_header",
        )
    rest = payload[count * BLOCK_BYTES :]
    if count and rest == TRAILER:
        return count
    if count and not rest:
        warnings.append("The trailer fa f3 20 is missing: the file may be cut at the end of a block.")
        return count
    if rest.startswith(TRAILER) or count >= DAY_BLOCKS or (extra >= 10 and not _is_header(rest)):
        if TRAILER.startswith(rest):
            raise _truncated(path, extra, "the trailer")
        raise _garbage(path, extra)
    raise _truncated(path, extra, f"block {count}")


def _truncated(path: Path, extra: int, where: str) -> DataError:
    return DataError(f"{path}: the file is cut {extra} bytes into {where}. Copy it again from its source.", "truncated")


def _garbage(path: Path, extra: int) -> DataError:
    return DataError(
        f"{path}: {extra} bytes that are not data follow the last block. Copy it again.", "trailing_garbage"
    )


def _station_and_date(headers: NDArray[np.void], path: Path) -> tuple[str, dt.date]:
    stations = {code.decode("ascii").upper() for code in set(headers["station"].tolist())}
    dates = set(map(tuple, headers["date"].tolist()))
    if len(stations) > 1 or len(dates) > 1:
        written = ", ".join(f"20{year:02d}-{month:02d}-{day:02d}" for year, month, day in sorted(dates)[:4])
        raise DataError(
            f"{path}: blocks of different stations or days in one file ({', '.join(sorted(stations)[:4])}; {written}).",
            "mixed_headers",
        )
    year, month, day = dates.pop()
    try:
        return stations.pop(), dt.date(2000 + year, month, day)
    except ValueError as error:
        raise DataError(
            f"{path}: 20{year:02d}-{month:02d}-{day:02d} in the header is no date.", "bad_header"
        ) from error


def _rows_to_keep(payload: bytes, slots: NDArray[np.int64], path: Path, warnings: list[str]) -> NDArray[np.int64]:
    """File positions of one block per slot; doubled blocks must be identical."""
    if np.any(np.diff(slots) < 0):
        warnings.append("Blocks are out of order; each was placed by the time in its header.")
    kept, first = np.unique(slots, return_index=True)
    if kept.size == slots.size:
        return first.astype(np.int64)
    keeper = first[np.searchsorted(kept, slots)]
    for row in np.flatnonzero(keeper != np.arange(slots.size)):
        if _records(payload, int(row)) != _records(payload, int(keeper[row])):
            hour, slot = divmod(int(slots[row]), 6)
            raise DataError(
                f"{path}: two blocks for {hour:02d}:{slot * 10:02d} UTC hold different samples. "
                "Keep the one you trust, or leave the day out.",
                "contradicting_blocks",
            )
    warnings.append(f"{slots.size - kept.size} blocks are doubled with identical samples; one of each was kept.")
    return first.astype(np.int64)


def _records(payload: bytes, row: int) -> bytes:
    return payload[row * BLOCK_BYTES + HEADER_BYTES : (row + 1) * BLOCK_BYTES]


def _day_field(payload: bytes, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.float64]:
    # An int32 read one byte early contains the 24-bit count in its upper bytes; the shift keeps its sign.
    words: NDArray[np.int32] = np.ndarray(
        (3, slots.size, BLOCK_SAMPLES),
        "<i4",
        buffer=payload,
        offset=HEADER_BYTES - 1,
        strides=(3, BLOCK_BYTES, RECORD_BYTES),
    )
    in_order = rows.size == DAY_BLOCKS == slots.size and bool(np.all(slots == np.arange(DAY_BLOCKS)))
    counts = np.right_shift(words if in_order else words[:, rows], 8, order="C")
    values: NDArray[np.float64] = counts / COUNTS_PER_NT
    values[counts == MISSING_24BIT] = np.nan
    if rows.size < DAY_BLOCKS:
        day = np.full((3, DAY_BLOCKS, BLOCK_SAMPLES), np.nan)
        day[:, slots[rows]] = values
        values = day
    return values.reshape(3, DAY_SAMPLES)


def _position(headers: NDArray[np.void], warnings: list[str]) -> tuple[float, float]:
    """Median position of the blocks in degrees; NaN, NaN where it cannot be one."""
    latitude = _degrees(float(np.median(headers["latitude"])))
    longitude = _degrees(float(np.median(headers["longitude"])))
    if abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0.0, 0.0):
        return latitude, longitude
    warnings.append("The header's position is zero or impossible; it was not used.")
    return np.nan, np.nan


def _degrees(nmea_1e4: float) -> float:
    degrees, minutes = divmod(abs(nmea_1e4) / 1e4, 100.0)
    return float(np.copysign(degrees + minutes / 60, nmea_1e4)) if minutes < 60 else np.nan


def _nmea(angle_deg: float, limit_deg: float) -> int:
    if not abs(angle_deg) <= limit_deg:
        raise ValueError(f"{angle_deg} is outside the limits of ±{limit_deg} degrees")
    degrees, minutes_1e4 = divmod(round(abs(angle_deg) * 600_000), 600_000)
    return int(np.copysign(degrees * 1_000_000 + minutes_1e4, angle_deg))


def _housekeeping(payload: bytes, blocks: int) -> dict[str, list[float]]:
    """Medians of tilt and temperature over the first record of each block."""
    first: NDArray[np.int16] = np.ndarray(
        (blocks, 4), "<i2", buffer=payload, offset=HEADER_BYTES + 9, strides=(BLOCK_BYTES, 2)
    )
    medians = [
        statistics.median(values) / scale if (values := [v for v in column if v != MISSING_16BIT]) else np.nan
        for column, scale in zip(first.T.tolist(), (10.0, 10.0, 100.0, 100.0), strict=True)
    ]
    return {"tilt": medians[:2], "temperature_degc": medians[2:]}


def _counts(field_nt: ArrayLike) -> NDArray[np.int32]:
    field = np.asarray(field_nt, dtype=np.float64)
    if field.shape != (3, DAY_SAMPLES):
        raise ValueError(f"field_nt has shape {field.shape}; a day is (3, {DAY_SAMPLES})")
    missing = np.isnan(field)
    counts = np.rint(field * COUNTS_PER_NT)
    counts[missing] = MISSING_24BIT
    if np.any((np.abs(counts) >= MISSING_24BIT) & ~missing):
        raise ValueError(f"field_nt exceeds ±{(MISSING_24BIT - 1) / COUNTS_PER_NT} nT, the limit of 24 bits")
    return counts.astype("<i4", order="C")


FRG604RC = Reader("FRG-604RC", _detect, _read, _is_marked, _read_claim)
