"""Download an earthquake catalogue from an FDSN event service into a QuakeML file."""

from __future__ import annotations

import errno
import os
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit

from seismag.archive.catalogs import BoundingBox
from seismag.domain import DataError
from seismag.files import atomic_path
from seismag.folder_lock import one_writer
from seismag.limits import QUAKEML
from seismag.web import NETWORK_ERRORS, SCHEMES, TooLongError, allowed_s, open_url, read_blocks

_SAID_BYTES = 4096  # of the reason of a refusal
_SHORTER = "Try again, or request a shorter time."
_LATE = "no answer in time. Request less, raise timeout_s, or try again later."
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
            has no event, does not answer in QuakeML, or sends more than 128 MiB or slower than 20 kB a second.
    """
    try:
        from obspy import UTCDateTime
        from obspy.clients.fdsn.header import URL_MAPPINGS
    except ImportError as error:
        raise DataError('Downloading a catalogue needs ObsPy. Run: pip install "seismag[obspy]"') from error
    request = f"{service}: events {start_utc} .. {end_utc}, M >= {min_magnitude:g}"
    try:
        start, end = UTCDateTime(start_utc), UTCDateTime(end_utc)
    except (ValueError, TypeError) as error:
        raise DataError(f"{request}: not a time ({error}). Write it as 2022-01-31 or 2022-01-31T06:00:00.") from error
    if not start < end:
        raise DataError(f"{request}: the start is not before the end. Swap them.")
    base = URL_MAPPINGS.get(service.upper(), service)
    if urlsplit(base).scheme not in SCHEMES or not urlsplit(base).netloc:
        raise DataError(f"{request}: no service of this name. Give the base URL of the service (http or https).")
    box = {} if region is None else dict(zip(_BOX_KEYS, region, strict=True))
    query = {"starttime": start.isoformat(), "endtime": end.isoformat(), "minmagnitude": min_magnitude, **box}
    url = f"{base.rstrip('/')}/fdsnws/event/1/query?{urlencode(query)}"
    _store(_answer(url, request, timeout_s), Path(path), request)
    return Path(path)


def _answer(url: str, request: str, timeout_s: float) -> bytes:
    """Return the answer of a service, of no more bytes than QuakeML that is read may have."""
    try:
        with open_url(url, {}, timeout_s, timeout_s + allowed_s(QUAKEML.unpacked)) as response:
            announced = int(response.headers.get("Content-Length") or 0)
            answer = b"".join(read_blocks(response, QUAKEML.unpacked))
            status = response.status
    except TooLongError as error:
        raise DataError(f"{request}: {error}. {_SHORTER}") from error
    except HTTPError as error:
        raise DataError(f"{request}: {_explain(error.code, _said(error))}") from error
    except TimeoutError as error:
        raise DataError(f"{request}: {_LATE}") from error
    except URLError as error:
        late = isinstance(error.reason, TimeoutError)
        raise DataError(f"{request}: {_LATE if late else _explain(None, str(error.reason))}") from error
    except NETWORK_ERRORS as error:
        raise DataError(f"{request}: the answer broke off ({error}). {_SHORTER}") from error
    if status == HTTPStatus.NO_CONTENT:
        raise DataError(f"{request}: {_explain(status, '')}")
    if len(answer) < announced:
        raise DataError(
            f"{request}: the answer broke off ({len(answer)} of {announced} bytes). Try again, or request a shorter "
            "time."
        )
    return answer


def _said(error: HTTPError) -> str:
    try:
        return error.read1(_SAID_BYTES).decode("utf-8", "replace")
    except (OSError, HTTPException, AttributeError):
        return ""


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


def _explain(status: int | None, text: str) -> str:
    said = " ".join(text.split())[:300]
    if status == 204:
        return "the service has no such event. Request a longer time, a larger region or a smaller magnitude."
    if status == 413 or (status == 400 and "exceed" in said.lower()):
        return f"too many events for one request ({said}). Download shorter pieces of time; several files can be read."
    if status == 400:
        return f"the service does not accept the request ({said}). Check the times, the region and the magnitude."
    if status is not None and status >= 500:
        return f"the service failed with status {status} ({said}). Try again later."
    answered = f"status {status} {said}".strip() if status is not None else said
    return f"no answer from the service ({answered}). Check its address, and that this machine is online."
