"""Download an earthquake catalogue from an FDSN event service into a QuakeML file."""

from __future__ import annotations

import errno
import io
import os
from http.client import HTTPException
from pathlib import Path
from typing import Any

from seismag.archive.catalogs import BoundingBox
from seismag.domain import DataError
from seismag.files import atomic_path
from seismag.folder_lock import one_writer

_BOX_KEYS = ("minlatitude", "maxlatitude", "minlongitude", "maxlongitude")  # in the order of a BoundingBox


@one_writer(lambda given: Path(given["path"]) if Path(given["path"]).parent.is_dir() else None, file=True)
def download_catalog(
    service: str,
    start_utc: str,
    end_utc: str,
    path: str | Path,
    *,
    region: BoundingBox | None = None,
    min_magnitude: float = 4.0,
    timeout_s: float = 120.0,
) -> Path:
    """Request ``[start_utc, end_utc)`` from an FDSN event service and write the answer as QuakeML.

    The file appears only when the answer is complete; ``read_catalogs`` reads it.

    Args:
        service: a base URL (``https://earthquake.usgs.gov``) or a name in ObsPy (``USGS``, ``GFZ``).
        start_utc: ISO 8601, UTC, for example ``2022-01-01``.
        path: file to write; an existing one is replaced.

    Raises:
        DataError: ObsPy is missing, a time or the name of the service is wrong, the service cannot be reached, refuses,
            has no event, or does not answer in QuakeML.
    """
    try:
        from obspy import UTCDateTime
        from obspy.clients.fdsn import Client
        from obspy.clients.fdsn.header import FDSNException
    except ImportError as error:
        raise DataError('Downloading a catalogue needs ObsPy. Run: pip install "seismag[obspy]"') from error
    request = f"{service}: events {start_utc} .. {end_utc}, M >= {min_magnitude:g}"
    try:
        start, end = UTCDateTime(start_utc), UTCDateTime(end_utc)
    except (ValueError, TypeError) as error:
        raise DataError(f"{request}: not a time ({error}). Write it as 2022-01-31 or 2022-01-31T06:00:00.") from error
    if not start < end:
        raise DataError(f"{request}: the start is not before the end. Swap them.")
    box = {} if region is None else dict(zip(_BOX_KEYS, region, strict=True))
    answer = io.BytesIO()
    try:
        client = Client(service, timeout=timeout_s, _discover_services=False)
        client.get_events(starttime=start, endtime=end, minmagnitude=min_magnitude, filename=answer, **box)
    except FDSNException as error:
        raise DataError(f"{request}: {_explain(error)}") from error
    except ValueError as error:  # ObsPy: unknown name of a provider, or not a URL
        raise DataError(
            f"{request}: {' '.join(str(error).split()).rstrip('.')}. Give the base URL of the service."
        ) from error
    except (OSError, EOFError, HTTPException) as error:
        raise DataError(f"{request}: the answer broke off ({error}). Try again, or request a shorter time.") from error
    _store(answer.getvalue(), Path(path), request)
    return Path(path)


def _store(answer: bytes, path: Path, request: str) -> None:
    if b"quakeml" not in answer[:4096].lower():
        raise DataError(
            f"{request}: the answer is not QuakeML, it begins with {answer[:40]!r}. Check the address of the service."
        )
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with atomic_path(path) as temporary:
            temporary.write_bytes(answer)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}). Name a writable file.") from error


def _explain(error: Any) -> str:
    said = " ".join(str(error).split())[:300]
    if error.status_code == 204:
        return "the service has no such event. Request a longer time, a larger region or a smaller magnitude."
    if error.status_code == 413 or (error.status_code == 400 and "exceed" in said.lower()):
        return f"too many events for one request ({said}). Download shorter pieces of time; several files can be read."
    if error.status_code == 400:
        return f"the service does not accept the request ({said}). Check the times, the region and the magnitude."
    if error.status_code is not None and error.status_code >= 500:
        return f"the service failed with status {error.status_code} ({said}). Try again later."
    if "timed out" in said.lower():
        return "no answer in time. Request less, raise timeout_s, or try again later."
    return f"no answer from the service ({said}). Check its address, and that this machine is online."
