"""Add a signal to a recording and write it back with the same format, compression and bytes except changed samples.

Only FRG-604RC and IAGA-2002 can be written. A file whose samples change gets a mark, from which ``Recording.origin``
follows; a file whose samples do not change is returned as it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.recordings import decode_recording
from seismag.recordings.components import add_to_recorded
from seismag.recordings.compression import decompress, pack_like
from seismag.recordings.frg604rc import (
    BLOCK_BYTES,
    BLOCK_SAMPLES,
    COUNTS_PER_NT,
    DAY_BLOCKS,
    FRG604RC,
    HEADER_BYTES,
    MARK_INJECTED,
    MISSING_24BIT,
    RECORD_BYTES,
)
from seismag.recordings.iaga2002 import COMMENT_INJECTED, IAGA2002, parse_iaga2002
from seismag.recordings.recording import Recording

WRITABLE = (FRG604RC.name, IAGA2002.name)
_TOKEN = re.compile(rb"\S+")
_NOT_DATA = b"\r\n\t \x1a\0"  # at the end of a line, as in the reader
_COMMENT_WIDTH = 69  # then comes the bar


@dataclass(frozen=True)
class Changed:
    """A file to be written.

    Attributes:
        differs: (n,) samples that have changed.
    """

    raw: bytes
    recording: Recording
    differs: NDArray[np.bool_]


def add_to_file(raw: bytes, path: Path, recording: Recording, added_nt: NDArray[np.float64]) -> Changed:
    """Add a signal to the samples of a file.

    Args:
        recording: as read from it, 1 Hz; its format is one of ``WRITABLE``.
        added_nt: (3, n) H, D, Z on the samples of ``recording``, nT.

    Raises:
        DataError: a value exceeds the range of the format, or the file read back differs from recording + signal by
            more than the rounding of the format.
    """
    payload = decompress(raw, path)
    add = _add_to_frg604rc if recording.format == FRG604RC.name else _add_to_iaga2002
    new, rounding_nt = add(payload, path, recording.start_utc, added_nt)
    if new == payload:
        return Changed(raw, recording, np.zeros(recording.samples, dtype=bool))
    packed = pack_like(new, raw)
    written = decode_recording(packed, path)
    _require_sum(path, recording, written, added_nt, rounding_nt)
    differs = (written.field_nt != recording.field_nt) & np.isfinite(written.field_nt)
    return Changed(packed, written, differs.any(axis=0))


def _require_sum(
    path: Path, before: Recording, after: Recording, added_nt: NDArray[np.float64], rounding_nt: float
) -> None:
    missing = np.isnan(before.field_nt)
    same_frame = np.array_equal([before.h_axis_deg], [after.h_axis_deg], equal_nan=True)
    if same_frame and after.start_utc == before.start_utc and np.array_equal(missing, np.isnan(after.field_nt)):
        error = np.where(missing, 0.0, after.field_nt - before.field_nt - added_nt)
        if float(np.abs(error).max()) <= 1.01 * rounding_nt + 1e-6:
            return
    raise DataError(
        f"{path}: cannot be changed so that the rest of the file stays the same (H axis {before.h_axis_deg:g} "
        f"degrees, then {after.h_axis_deg:g}). Take this file out of the archive."
    )


def _add_to_frg604rc(
    payload: bytes, path: Path, _start_utc: np.datetime64, added_nt: NDArray[np.float64]
) -> tuple[bytes, float]:
    """Change the counts of H, D, Z, and the mark in the header of each block; all other bytes stay."""
    data = bytearray(payload)
    n = len(payload) // BLOCK_BYTES
    blocks = np.frombuffer(data, np.uint8, count=n * BLOCK_BYTES).reshape(n, BLOCK_BYTES)
    slots = blocks[:, 8].astype(int) * 6 + blocks[:, 9] // 10
    records = blocks[:, HEADER_BYTES:].reshape(n, BLOCK_SAMPLES, RECORD_BYTES)
    words = np.zeros((n, BLOCK_SAMPLES, 3, 4), np.uint8)
    words[..., 1:] = records[..., :9].reshape(n, BLOCK_SAMPLES, 3, 3)
    counts = np.right_shift(words.view("<i4")[..., 0], 8)  # the shift keeps the sign
    steps = np.rint(added_nt * COUNTS_PER_NT).astype(np.int64).reshape(3, DAY_BLOCKS, BLOCK_SAMPLES)[:, slots]
    steps = np.where(counts == MISSING_24BIT, 0, np.moveaxis(steps, 0, -1))
    if not steps.any():
        return payload, 0.0
    sums = counts + steps
    if np.any((np.abs(sums) >= MISSING_24BIT) & (steps != 0)):
        raise DataError(f"{path}: a value exceeds ±{(MISSING_24BIT - 1) / COUNTS_PER_NT} nT, the limit of 24 bits.")
    new = np.ascontiguousarray(sums, "<i4").view(np.uint8).reshape(n, BLOCK_SAMPLES, 3, 4)[..., :3]
    blocks[:, HEADER_BYTES:].reshape(n, BLOCK_SAMPLES, RECORD_BYTES)[..., :9] = new.reshape(n, BLOCK_SAMPLES, 9)
    blocks[:, 10:18] = np.frombuffer(MARK_INJECTED, np.uint8)
    return bytes(data), 0.5 / COUNTS_PER_NT


def _add_to_iaga2002(
    payload: bytes, path: Path, start_utc: np.datetime64, added_nt: NDArray[np.float64]
) -> tuple[bytes, float]:
    """Change the numbers, with their decimals and positions; the header gets one more comment."""
    parts = parse_iaga2002(payload, str(path), [])
    recorded = dict(zip(parts.letters, parts.table.values, strict=True))
    at = (parts.table.times_ms - start_utc.astype("datetime64[ms]").astype(np.int64)) // 1000
    added = added_nt[:, at]
    sums = add_to_recorded(recorded, parts.scale, added)
    columns = {parts.letters.index(letter): values.tolist() for letter, values in sums.items()}
    touched = (added != 0).any(axis=0).tolist()
    lines = payload[parts.table_at :].split(b"\n")
    decimals = dict.fromkeys(columns, 99)
    written = [place for place, line in enumerate(lines) if line.strip(_NOT_DATA)]
    for row, place in enumerate(written):
        if touched[row]:
            numbers = {column: values[row] for column, values in columns.items() if not math.isnan(values[row])}
            lines[place] = _with_numbers(lines[place], len(parts.letters), numbers, decimals)
    table = b"\n".join(lines)
    if table == payload[parts.table_at :]:
        return payload, 0.0
    units_nt = {}
    if "D" in sums and not np.isnan(parts.scale.degrees_per_unit):  # an angle: nT of its unit; all others are in nT
        units_nt["D"] = float(np.radians(parts.scale.degrees_per_unit) * np.nanmax(np.abs(recorded["H"])))
    rounding_nt = sum(
        0.5 * 10.0 ** -decimals[column] * units_nt.get(parts.letters[column], 1.0) for column in columns
    )  # of the largest error; each component rounds by less
    head = payload[: parts.names_at]
    if not IAGA2002.is_marked(head):
        newline = b"\r\n" if head.endswith(b"\r\n") else b"\n"
        head += (b" # " + COMMENT_INJECTED).ljust(_COMMENT_WIDTH) + b"|" + newline
    return head + payload[parts.names_at : parts.table_at] + table, rounding_nt


def _with_numbers(line: bytes, columns: int, numbers: dict[int, float], decimals: dict[int, int]) -> bytes:
    """Replace numbers of a line with the same decimals and alignment; updates the fewest ``decimals``."""
    tokens = list(_TOKEN.finditer(line.rstrip(_NOT_DATA)))[-columns - 1 :]
    pieces = [line[: tokens[0].end()]]
    for column, (before, token) in enumerate(pairwise(tokens)):
        field = line[before.end() : token.end()]
        if column in numbers:
            _, point, fraction = token[0].partition(b".")
            text = f"{numbers[column]:z{'#' if point else ''}.{len(fraction)}f}".encode()
            decimals[column] = min(decimals[column], len(fraction))
            if float(text) != float(token[0]):
                field = text.rjust(len(field)) if len(text) < len(field) else b" " + text
        pieces.append(field)
    return b"".join(pieces) + line[tokens[-1].end() :]
