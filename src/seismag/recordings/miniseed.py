"""miniSEED (version 2) files of magnetometers, read with ObsPy (extra ``obspy``).

The format has no units and no orientation, only a channel code. Its last letter means:

* X, Y, Z or N, E, Z (SEED's orientation codes): geographic north, east, down: ``h_axis_deg`` 0.
* H, E, Z: along and across the sensor's magnetic north; the axis is NaN.
* U, V, W: the axes of the sensor; the axis is NaN, with a warning.
* F, S, G and all others: not used. D is refused: it may be an angle or nT.

Values are assumed to be nT. SEED's instrument codes of seismometers and accelerometers (H, L, N, G as the
second of three letters) are refused. The rate is left as it is: 10 Hz stays 10 Hz.

Source: FDSN, SEED reference manual 2.4, appendix A.
"""

from __future__ import annotations

import io
import re
import struct
import warnings as python_warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.recordings.components import DeclinationScale, blank_fill_values, to_hdz
from seismag.recordings.reader import Reader
from seismag.recordings.recording import Recording
from seismag.recordings.regular_grid import GRID_LIMIT

_RECORD_HEAD = re.compile(rb"\d{6}[DRQM][ \0][A-Z0-9 ]{5}[A-Z0-9 ]{2}[A-Z0-9 ]{3}[A-Z0-9 ]{2}", re.IGNORECASE)
_SEISMIC_INSTRUMENTS = "HLNG"
_RATE_LIMIT_HZ = 1000.0
_CLOCK_TOLERANCE = 0.05  # of a sample, between the starts of two pieces
_DAY_S = 86_400
# Known errors of ObsPy on damaged files; its own errors derive from these.
_OBSPY_ERRORS = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError, struct.error)


def _detect(head: bytes) -> bool:
    return _RECORD_HEAD.match(head) is not None


def _read(payload: bytes, path: str | Path, sha256: str) -> Recording:
    """Read the three components of one station.

    Returns:
        The recording from the first to the last sample of any component; gaps are NaN.

    Raises:
        DataError: ``missing_dependency``, ``corrupt_file``, ``mixed_headers`` (several stations or
            channels of one component), ``mixed_rates``, ``components_missing``, ``wrong_kind`` (a
            seismometer), ``irregular_sampling``, ``contradicting_samples``,
            ``impossible_value`` or ``no_data``.
    """
    where = str(path)
    warnings: list[str] = []
    traces = _read_traces(payload, where, warnings)
    chosen = _choose_traces(traces, where)
    used = [trace for of_element in chosen.values() for trace in of_element]
    rates = {_rate_hz(trace) for trace in used}
    if len(rates) > 1:
        raise DataError(f"{where}: channels of different rates {sorted(rates)} Hz. Split the file.", "mixed_rates")
    rate_hz = rates.pop()
    if not 0 < rate_hz <= _RATE_LIMIT_HZ:
        raise DataError(f"{where}: a rate of {rate_hz} Hz cannot be.", "irregular_sampling")
    pieces = {element: [_piece(trace, where) for trace in of_element] for element, of_element in chosen.items()}
    start_ms = min(start for piece in pieces.values() for start, _ in piece)
    end_ms = max(start + values.size * 1000 / rate_hz for piece in pieces.values() for start, values in piece)
    length = round((end_ms - start_ms) * rate_hz / 1000)
    if length > GRID_LIMIT:
        raise DataError(
            f"{where}: the pieces span {length} samples, {GRID_LIMIT} is the limit. Split the file.",
            "irregular_sampling",
        )
    recorded = {
        letter: _join(piece, start_ms, rate_hz, length, f"{where}: channel {letter}", warnings)
        for letter, piece in pieces.items()
    }
    horizontal = to_hdz(recorded, DeclinationScale(np.nan), where, warnings)
    return Recording(
        station=str(used[0].stats.station).strip().upper(),
        start_utc=np.datetime64(round(start_ms), "ms"),
        rate_hz=rate_hz,
        field_nt=horizontal.field_nt,
        format=MINISEED.name,
        sha256=sha256,
        h_axis_deg=horizontal.h_axis_deg,
        metadata={"channels": sorted({str(trace.id) for trace in traces}), "warnings": warnings},
    )


def _read_traces(payload: bytes, where: str, warnings: list[str]) -> list[Any]:
    try:
        from obspy.core.util.obspy_types import ObsPyException
        from obspy.io.mseed.core import _read_mseed
    except ImportError as error:
        raise DataError(
            f'{where}: miniSEED files need ObsPy, which is not installed: pip install "seismag[obspy]".',
            "missing_dependency",
        ) from error
    try:
        with python_warnings.catch_warnings(record=True) as caught:
            python_warnings.simplefilter("always")
            traces = list(_read_mseed(io.BytesIO(payload)))
    except (*_OBSPY_ERRORS, ObsPyException) as error:
        raise DataError(f"{where}: the miniSEED file is damaged ({error}). Copy it again.", "corrupt_file") from error
    warnings.extend(f"ObsPy: {warning.message}" for warning in caught)
    traces = [trace for trace in traces if len(trace.data)]
    if not traces:
        raise DataError(f"{where}: the file contains no sample.", "no_data")
    return traces


def _choose_traces(traces: list[Any], where: str) -> dict[str, list[Any]]:
    """The traces of each vector element; channels that are not needed (LOG, seismometers, others) are passed over."""
    by_letter: dict[str, list[Any]] = defaultdict(list)
    seismic = set()
    for trace in traces:
        channel = str(trace.stats.channel).upper()
        if not np.issubdtype(np.asarray(trace.data).dtype, np.number):  # text, as of a channel LOG
            continue
        if len(channel) == 3 and channel[1] in _SEISMIC_INSTRUMENTS:
            seismic.add(channel)
        else:
            by_letter[channel[-1:]].append(trace)
    for letters, elements in (("XYZ", "XYZ"), ("NEZ", "XYZ"), ("HEZ", "HEZ"), ("UVW", "UVW")):
        if all(letter in by_letter for letter in letters):
            chosen = {element: by_letter[letter] for element, letter in zip(elements, letters, strict=True)}
            break
    else:
        if seismic:
            raise DataError(f"{where}: channel {min(seismic)} is a seismometer's, not a magnetometer's.", "wrong_kind")
        hint = " (a channel D may be an angle or nT)" if "D" in by_letter else ""
        raise DataError(
            f"{where}: channels ending in X Y Z, N E Z, H E Z or U V W are needed, the file has "
            f"{sorted(by_letter)}{hint}.",
            "components_missing",
        )
    used = [trace for of_element in chosen.values() for trace in of_element]
    stations = {(trace.stats.network, trace.stats.station, trace.stats.location) for trace in used}
    if len(stations) > 1:
        raise DataError(f"{where}: {len(stations)} stations or locations in one file. Split it.", "mixed_headers")
    names = [sorted({str(trace.stats.channel) for trace in of_element}) for of_element in chosen.values()]
    if doubled := [of_element for of_element in names if len(of_element) > 1]:
        raise DataError(f"{where}: several channels of one component {doubled}. Split the file.", "mixed_headers")
    return chosen


def _rate_hz(trace: Any) -> float:
    """Rate of a trace: whole samples a second, or seconds a sample, where it differs by less than 0.05 samples a day.

    Single precision makes 0.99999994 Hz of 1 Hz.
    """
    rate_hz = float(trace.stats.sampling_rate)
    if not 0 < rate_hz <= _RATE_LIMIT_HZ:
        return rate_hz
    nominal = float(round(rate_hz)) if rate_hz >= 1 - 1e-3 else 1 / round(1 / rate_hz)
    return nominal if abs(rate_hz - nominal) * _DAY_S <= _CLOCK_TOLERANCE else rate_hz


def _piece(trace: Any, where: str) -> tuple[float, NDArray[np.float64]]:
    """Start in ms since 1970, and values."""
    values = np.ma.filled(np.ma.asarray(trace.data).astype(np.float64), np.nan)
    blank_fill_values(values, where)
    return trace.stats.starttime.ns / 1e6, values


def _join(
    pieces: list[tuple[float, NDArray[np.float64]]],
    start_ms: float,
    rate_hz: float,
    length: int,
    where: str,
    warnings: list[str],
) -> NDArray[np.float64]:
    """Place the pieces on the common grid; overlapping ones must agree."""
    joined = np.full(length, np.nan)
    overlap = 0
    for piece_ms, values in pieces:
        position = (piece_ms - start_ms) * rate_hz / 1000
        slot = round(position)
        if abs(position - slot) > _CLOCK_TOLERANCE:
            raise DataError(
                f"{where} has a piece that starts {abs(position - slot):.2f} samples off the common grid.",
                "irregular_sampling",
            )
        there = joined[slot : slot + values.size]
        both = ~np.isnan(there) & ~np.isnan(values)
        if np.any(there[both] != values[both]):
            raise DataError(f"{where} has pieces that overlap with different values.", "contradicting_samples")
        overlap += int(np.count_nonzero(both))
        there[:] = np.where(np.isnan(values), there, values)
    if overlap:
        warnings.append(f"{where} has {overlap} samples twice, with identical values.")
    missing = int(np.count_nonzero(np.isnan(joined)))
    if missing:
        warnings.append(f"{where} has {missing} of {length} samples missing.")
    return joined


MINISEED = Reader("miniSEED", _detect, _read)
