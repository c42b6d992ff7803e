"""Requests to web servers that end: http and https alone, also after a redirect, and a time for the whole answer."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from seismag import __version__
from seismag.domain import SeismagError

SCHEMES = ("http", "https")
FIRST_S, SLOWEST_BYTES_PER_S = 30.0, 20_000  # a server has this time, and a second more for each of these bytes
_BLOCK_BYTES = 1 << 18
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class TooLongError(SeismagError):
    """An answer that takes too long, or is too large."""


def allowed_s(size: int) -> float:
    """Return the seconds that so many bytes may take."""
    return FIRST_S + size / SLOWEST_BYTES_PER_S


@contextmanager
def open_url(url: str, headers: dict[str, str], timeout_s: float, total_s: float) -> Iterator[Any]:
    """Send a request and give the answer; the connection is cut when ``total_s`` is over.

    ``timeout_s`` is the longest wait for the next bytes.

    Raises:
        urllib.error.HTTPError: the server refuses. NETWORK_ERRORS: it cannot be reached, or the connection breaks.
        TooLongError: the time is over before the answer is whole.
        SeismagError: a redirect to something else than http or https, or from https to http.
    """
    watch = _Watch()
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), _Handler(watch), _Redirects(), urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": f"seismag/{__version__}", **headers})
    if "Authorization" in headers:  # not sent to other hosts after a redirect
        request.remove_header("Authorization")
        request.add_unredirected_header("Authorization", headers["Authorization"])
    timer = threading.Timer(total_s, watch.cut)
    timer.daemon = True
    timer.start()
    try:
        with opener.open(request, timeout=timeout_s) as response:
            yield response
            if watch.is_cut:
                raise TooLongError("")
    except (TooLongError, OSError, http.client.HTTPException) as error:
        if watch.is_cut:
            where = urllib.parse.urlsplit(url).hostname
            raise TooLongError(
                f"{where}: the answer is not whole after {total_s:.0f} s, the limit. Try again later."
            ) from error
        raise
    finally:
        timer.cancel()


def read_blocks(response: Any, most: int, clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """Give the bytes of an answer as they come.

    Raises:
        TooLongError: more than ``most`` bytes, or slower than 20 kB a second after the first 30 s.
    """
    done, start = 0, clock()
    while block := response.read1(_BLOCK_BYTES):
        done += len(block)
        if done > most:
            raise TooLongError(f"the server sends more than {most:,} bytes, the limit of this file")
        if (elapsed := clock() - start) > allowed_s(done):
            raise TooLongError(
                f"the server sent {done:,} bytes in {elapsed:.0f} s, less than {SLOWEST_BYTES_PER_S // 1000} kB a "
                "second, the limit"
            )
        yield block


class _Watch:
    """The connections of one request, to cut them from another thread."""

    def __init__(self) -> None:
        self.is_cut = False
        self._connections: list[tuple[http.client.HTTPConnection, list[socket.socket]]] = []

    def follow(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        kept: list[socket.socket] = []
        self._connections.append((connection, kept))
        connect = connection.connect

        def connect_and_keep() -> None:
            connect()
            kept.append(connection.sock)

        connection.connect = connect_and_keep  # type: ignore[method-assign]
        return connection

    def cut(self) -> None:
        self.is_cut = True
        for connection, kept in self._connections:
            for open_socket in [*kept, connection.sock]:
                with suppress(OSError, AttributeError, ValueError):
                    open_socket.shutdown(socket.SHUT_RDWR)


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https on connections that are watched."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(lambda *a, **k: self._watch.follow(http.client.HTTPConnection(*a, **k)), request)

    def https_open(self, request: urllib.request.Request) -> Any:
        context = ssl.create_default_context()
        return self.do_open(
            lambda *a, **k: self._watch.follow(http.client.HTTPSConnection(*a, **k)), request, context=context
        )

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and never from https to http."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = urllib.parse.urljoin(req.full_url, headers.get("location") or headers.get("uri") or "")
        scheme = urllib.parse.urlsplit(target).scheme.lower()
        if scheme not in SCHEMES or (req.type == "https" and scheme == "http"):
            raise SeismagError(
                f"{req.host}: the server redirects from {req.type} to {scheme or 'no address'}, which is not followed. "
                "Give the address of the file itself."
            )
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
