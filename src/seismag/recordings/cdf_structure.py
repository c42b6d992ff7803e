"""Checks the record structure of a CDF file before cdflib reads it.

cdflib does not check lengths, counts and pointers: a truncated file is filled up with zeros, and a wrong counter can
take hours. A valid file is a gapless chain of records from the magic number to the stated end of file, its counters
agree with the records, and its pointers lead to records of the right type.

Source: NASA GSFC, CDF Internal Format Description, version 3.9.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from isal import igzip_lib, isal_zlib

from seismag.domain import DataError
from seismag.limits import RECORDING, too_large, unpacks_to_more
from seismag.recordings.regular_grid import GRID_LIMIT

MAGIC_V3 = b"\xcd\xf3\x00\x01"
MAGIC_V2 = b"\xcd\xf2\x60\x02"
_PLAIN = b"\x00\x00\xff\xff"
_COMPRESSED = b"\xcc\xcc\x00\x01"
_CDR, _GDR, _RVDR, _ADR, _AGREDR, _VXR, _VVR, _ZVDR, _AZEDR, _CCR, _CPR, _SPR, _CVVR = range(1, 14)
_KNOWN_TYPES = {*range(1, 14), -1}  # -1: unused space
_DIMENSION_LIMIT = 10  # of the format
_MOST_RECORDS = 200_000
_BLOCK_BYTES = 1 << 24  # unpacked at once


@dataclass(frozen=True)
class _Layout:
    """Bytes of an offset and of a variable's name, which differ between version 2 and version 3."""

    offset: int
    name: int

    def first_record_counts(self) -> int:
        """Where the counters of the GDR begin, after its size, type, three pointers and the end of file."""
        return self.offset + 4 + 4 * self.offset


def check_structure(payload: bytes, where: str) -> bytes:
    """Return the file, unpacked where it is compressed as a whole, after its structure proved sound.

    Raises:
        DataError: ``truncated`` or ``corrupt_file``.
    """
    layout = _Layout(8, 256) if payload.startswith(MAGIC_V3) else _Layout(4, 64)
    if payload[4:8] == _COMPRESSED:
        payload = payload[:4] + _PLAIN + _inflate(payload, layout, where)
    elif payload[4:8] != _PLAIN:
        raise _corrupt(where, "the second magic number is unknown")
    gdr = _integer(payload, 8 + layout.offset + 4, layout.offset)
    if gdr < 8 or gdr + layout.first_record_counts() + 20 > len(payload):
        raise _truncated(where, len(payload))
    end = _integer(payload, gdr + layout.first_record_counts() - layout.offset, layout.offset)
    if end > len(payload):
        raise _truncated(where, len(payload))
    records = list(_records(payload, end, layout, where))
    _check_records(payload, records, layout, where)
    _require_unpacked_size(payload, records, layout, where)
    return payload


def _inflate(payload: bytes, layout: _Layout, where: str) -> bytes:
    """The records inside a compressed file; the gzip stream carries a CRC-32."""
    width = layout.offset
    size = _integer(payload, 8, width)
    parameters = _integer(payload, 8 + width + 4, width)  # the last record of a compressed file
    if size > len(payload) - 8 or not 8 <= parameters <= len(payload) - _integer(payload, parameters, width):
        raise _truncated(where, len(payload))
    unpacked_size = _integer(payload, 8 + 2 * width + 4, width)
    begin = 8 + 3 * width + 8
    if not 0 <= unpacked_size <= RECORDING.unpacked or not payload.startswith(b"\x1f\x8b", begin):
        raise _corrupt(where, "its compression is not the usual one (gzip)")
    stream = isal_zlib.decompressobj(wbits=31)
    try:
        unpacked = stream.decompress(payload[begin : 8 + size], unpacked_size + 1)
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # a class, the stub says otherwise
        raise _corrupt(where, f"its compressed part is damaged ({error})") from error
    if not stream.eof or len(unpacked) != unpacked_size:
        raise _corrupt(where, f"{len(unpacked)} bytes unpacked, {unpacked_size} announced")
    return unpacked


def _records(payload: bytes, end: int, layout: _Layout, where: str) -> Iterator[tuple[int, int, int]]:
    """(offset, size, type) of each record."""
    offset, number = 8, 0
    while offset < end:
        size = _integer(payload, offset, layout.offset)
        kind = _integer(payload, offset + layout.offset, 4)
        if size < layout.offset + 4 or offset + size > end or kind not in _KNOWN_TYPES:
            raise _corrupt(where, f"the record at byte {offset} has size {size} and type {kind}")
        if (number := number + 1) > _MOST_RECORDS:
            raise too_large(where, RECORDING, f"more than {_MOST_RECORDS:,} records of CDF")
        yield offset, size, kind
        offset += size


def _check_records(payload: bytes, records: list[tuple[int, int, int]], layout: _Layout, where: str) -> None:
    found = Counter(kind for _, _, kind in records)
    if found[_CDR] != 1 or found[_GDR] != 1 or records[0][2] != _CDR:
        raise _corrupt(where, "it must begin with one CDR and one GDR")
    kind_at = {offset: kind for offset, _, kind in records}
    for offset, size, kind in records:
        body = offset + layout.offset + 4
        for name, place, limit in _counters(kind, layout, found, (size - 4 - layout.offset) // 4):
            value = _integer(payload, body + place, 4)
            if not -1 <= value <= limit:
                raise _corrupt(where, f"{name} at byte {offset} is {value}, {limit} is the limit")
        for place, targets in _pointers(payload, body, kind, layout):
            target = _integer(payload, body + place, layout.offset)
            if target > 0 and kind_at.get(target) not in targets:
                raise _corrupt(where, f"the record at byte {offset} points to byte {target}, where no such record is")


def _require_unpacked_size(payload: bytes, records: list[tuple[int, int, int]], layout: _Layout, where: str) -> None:
    """Refuse packed values that would fill the memory; what cannot be unpacked is left to the reader's own check."""
    room = RECORDING.unpacked
    for offset, size, kind in records:
        if kind != _CVVR:
            continue
        stream, data = isal_zlib.decompressobj(wbits=31), payload[offset + 2 * layout.offset + 8 : offset + size]
        try:
            while data and not stream.eof:
                room -= len(stream.decompress(data, _BLOCK_BYTES))
                if room < 0:
                    raise unpacks_to_more(where, RECORDING)
                data = stream.unconsumed_tail
        except igzip_lib.IsalError:  # type: ignore[misc]  # a class, the stub says otherwise
            continue


def _counters(kind: int, layout: _Layout, found: Counter[int], room: int) -> list[tuple[str, int, int]]:
    """(name, place behind the record's type, limit) of the counters that a reader uses as loop bounds."""
    width = layout.offset
    if kind == _GDR:
        return [
            ("the number of rVariables", 4 * width, found[_RVDR]),
            ("the number of attributes", 4 * width + 4, found[_ADR]),
            ("the number of dimensions", 4 * width + 12, _DIMENSION_LIMIT),
            ("the number of zVariables", 4 * width + 16, found[_ZVDR]),
        ]
    if kind == _ADR:
        return [
            ("the number of entries", 2 * width + 8, found[_AGREDR]),
            ("the number of z entries", 3 * width + 20, found[_AZEDR]),
        ]
    if kind == _RVDR:
        return [("the last record", width + 4, GRID_LIMIT)]
    if kind == _ZVDR:
        dimensions = 4 * width + 40 + layout.name
        return [("the last record", width + 4, GRID_LIMIT), ("the number of dimensions", dimensions, _DIMENSION_LIMIT)]
    if kind == _VXR:
        return [
            ("the number of index entries", width, room),
            ("the number of used index entries", width + 4, room),
        ]
    return []


def _pointers(payload: bytes, body: int, kind: int, layout: _Layout) -> list[tuple[int, tuple[int, ...]]]:
    """(place behind the record's type, kinds of record it may point to); zero and below point nowhere."""
    width = layout.offset
    if kind == _CDR:
        return [(0, (_GDR,))]
    if kind == _GDR:
        return [(0, (_RVDR,)), (width, (_ZVDR,)), (2 * width, (_ADR,))]
    if kind == _ADR:
        return [(0, (_ADR,)), (width, (_AGREDR,)), (2 * width + 20, (_AZEDR,))]
    if kind in (_AGREDR, _AZEDR):
        return [(0, (kind,))]
    if kind in (_RVDR, _ZVDR):
        return [(0, (kind,)), (width + 8, (_VXR,)), (3 * width + 36, (_CPR, _SPR))]
    if kind == _VXR:
        entries, used = (_integer(payload, body + width + place, 4) for place in (0, 4))
        data = width + 8 + 8 * entries
        return [(0, (_VXR,)), *((data + width * k, (_VXR, _VVR, _CVVR)) for k in range(used))]
    return []


def _integer(payload: bytes, offset: int, width: int) -> int:
    return int.from_bytes(payload[offset : offset + width], "big", signed=True)


def _truncated(where: str, size: int) -> DataError:
    return DataError(
        f"{where}: the CDF file is cut, it has {size} bytes and announces more. Copy it again from its source.",
        "truncated",
    )


def _corrupt(where: str, detail: str) -> DataError:
    return DataError(f"{where}: the CDF file is damaged: {detail}. Copy it again from its source.", "corrupt_file")
