"""Readers of recordings: ``read_recording`` recognises compression and format by content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.limits import RECORDING, read_file
from seismag.machine import raise_if_of_machine
from seismag.recordings.cdf import CDF
from seismag.recordings.compression import decompress, read_head
from seismag.recordings.frg604rc import FRG604RC, day_in_name
from seismag.recordings.iaga2002 import IAGA2002
from seismag.recordings.identity import days_in_name
from seismag.recordings.miniseed import MINISEED
from seismag.recordings.reader import NO_DAYS, Reader
from seismag.recordings.recording import Recording

__all__ = ["Recording", "decode_recording", "read_claim", "read_recording", "reader_of"]

YEARS = (1840, 2100)  # of recordings; magnetometers have recorded since 1840
FORMATS = (FRG604RC, IAGA2002, CDF, MINISEED)
# formats that are met and not read: how a file begins (lower case), name, remedy
_OTHER_FORMATS = (
    (rb"ms\x03", "miniSEED 3", "Convert it to miniSEED 2 or IAGA-2002."),
    (rb"[{\[]", "JSON", "Download IAGA-2002, ImagCDF or miniSEED."),
    (rb"(<\?xml[^>]*>\s*)?<seiscomp", "SeisComP XML, which describes stations or events", "Name files of samples."),
    (rb"(<\?xml[^>]*>\s*)?<fdsnstationxml", "StationXML, which describes stations", "Name files of samples."),
    (rb"<\?xml", "XML", "Download IAGA-2002, ImagCDF or miniSEED."),
    (rb"timeseries ", "FDSN text", "Download miniSEED, or write IAGA-2002."),
    (rb"#\s*eventid|#\s*network", "FDSN text, which lists events or stations", "Name files of samples."),
    (rb"[a-z]{3} [a-z]{3}\d{4} \d{3} \d\d [a-z]{4}", "INTERMAGNET IMFV1.22", "Write IAGA-2002."),
    (rb"\x89hdf|cdf[\x01\x02\x05]", "NetCDF or HDF5", "Write IAGA-2002, ImagCDF or miniSEED."),
    (rb"<html|<!doctype html", "a web page (HTML)", "Download the file again."),
    (rb"%pdf", "PDF", "Name files of samples."),
    (rb"\x89png|\xff\xd8\xff", "a picture", "Pictures of an earlier system: seismag legacy pictures."),
    (rb"\xff\xfe|\xfe\xff", "text in UTF-16", "Save it in UTF-8."),
)


def read_recording(path: str | Path) -> Recording:
    """Read one file of any supported format.

    Raises:
        DataError: the file is missing, no regular file, too large, empty, corrupt, of an unknown format, or contradicts
            itself, or its reader fails; ``reason`` is a short word for it.
    """
    path = Path(path)
    return decode_recording(read_file(path, RECORDING), path)


def decode_recording(raw: bytes, path: Path) -> Recording:
    """Read one recording from the bytes of the file ``path``; raises as ``read_recording``."""
    if not raw:
        raise DataError(f"{path}: the file is empty (0 bytes). Copy it again from its source.", "empty_file")
    payload = decompress(raw, path)
    if not payload:
        raise DataError(f"{path}: the archive contains an empty file. Copy it again from its source.", "empty_file")
    sha256 = hashlib.sha256(raw).hexdigest()
    reader = reader_of(payload)
    if reader is None:
        what = "not a format that seismag reads (FRG-604RC, IAGA-2002, ImagCDF, miniSEED 2)"
        head = payload[:512].lstrip().lower()
        for start, name, remedy in _OTHER_FORMATS:
            if re.match(start, head):
                raise DataError(f"{path}: this is {name}, {what}. {remedy}", "unknown_format")
        raise DataError(f"{path}: {what}; it begins with {payload[:16]!r}.", "unknown_format")
    try:
        recording = reader.read(payload, path, sha256)
        _require_years(recording, path)
        return recording
    except MemoryError:
        raise
    except Exception as error:  # one odd file ends neither a preparation nor a prediction
        raise_if_of_machine(error, path)
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: {type(error).__name__}: {error}. This is an error of the reader of {reader.name}; please report "
            "it.",
            "reader_error",
        ) from error


def _require_years(recording: Recording, path: Path) -> None:
    for time in (recording.start_utc, recording.end_utc):
        year = int(time.astype("M8[Y]").astype(int)) + 1970
        if not YEARS[0] <= year <= YEARS[1]:
            raise DataError(
                f"{path}: it states samples of the year {year}, outside {YEARS[0]}..{YEARS[1]}. Correct its header.",
                "impossible_time",
            )


def reader_of(head: bytes) -> Reader | None:
    """Return the reader of a file by its first unpacked bytes."""
    return next((reader for reader in FORMATS if reader.detect(head[:4096])), None)


def read_claim(path: Path) -> tuple[str, NDArray[np.datetime64]]:
    """Return station ("" unknown) and UTC days (empty: unknown) of a file that cannot be read, for reports only.

    They are those of its name; what is missing there comes from its header, if readable.
    """
    code, days = day_in_name(path.name) or days_in_name(path.name)
    if not code or not days.size:
        head = read_head(path)
        reader = reader_of(head)
        stated_code, stated_days = ("", NO_DAYS) if reader is None else reader.read_claim(head)
        code, days = code or stated_code, days if days.size else stated_days
    return code, days
