"""Requests that end: no other schemes after a redirect, no more bytes than announced, no waiting without end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from seismag.domain import DataError, SeismagError
from seismag.fetch.fdsn import download_catalog
from seismag.models.fetch import download, fetch_model
from seismag.web import TooLongError, allowed_s, open_url, read_blocks


class Server(ThreadingHTTPServer):
    """Answers every request as ``kind`` says; ``released`` ends the answers that wait."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kind = ""
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.endswith(".json"):
            self.send_error(404)
        elif self.server.kind.startswith("to "):
            self.send_response(302)
            self.send_header("Location", self.server.kind[3:])
            self.end_headers()
        elif self.server.kind == "headers that wait":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX-A: ")
            self.wfile.flush()
            self.server.released.wait(20)
        else:
            self.send_response(200)
            if self.server.kind == "announced":
                self.send_header("Content-Length", str(10**10))
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            if self.server.kind == "waits":
                self.server.released.wait(20)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/m.pth", "file:///etc/passwd", "data:,x", ""])
def test_a_redirect_to_another_scheme_is_not_followed(target: str, server: Server, tmp_path: Path) -> None:
    server.kind = f"to {target}"
    if target:
        with pytest.raises(SeismagError, match=r"the server redirects from http to .*not followed"):
            download(f"{server.url}/m.pth", tmp_path / "m.partial")
    with pytest.raises(SeismagError):
        fetch_model(f"{server.url}/m.pth", tmp_path / "m.pth", "0" * 64)
    assert not (tmp_path / "m.pth").exists()


@pytest.mark.parametrize("kind", ["announced", "sent"])
def test_more_bytes_than_the_card_states_are_refused(kind: str, server: Server, tmp_path: Path) -> None:
    server.kind = kind
    with pytest.raises(SeismagError, match=r"bytes, the limit.*Nothing was kept"):
        download(f"{server.url}/m.pth", tmp_path / "m.partial", most=999)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["headers that wait", "waits"])
def test_an_answer_that_is_not_whole_in_time_is_cut(kind: str, server: Server) -> None:
    server.kind = kind
    with (
        pytest.raises(TooLongError, match=r"127\.0\.0\.1: the answer is not whole after 0 s, the limit"),
        open_url(server.url, {}, timeout_s=20, total_s=0.2) as response,
    ):
        for _ in read_blocks(response, 10**6):
            pass


def test_a_slow_server_is_left_and_what_came_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seismag.web.FIRST_S", 0.1)
    server.kind = "waits"
    with pytest.raises(SeismagError, match=r"limit.*1000 bytes are kept\. Run the same command again"):
        download(f"{server.url}/m.pth", tmp_path / "m.partial", most=2000)
    assert (tmp_path / "m.partial").stat().st_size == 1000


class Drip:
    """An answer of one byte at each reading."""

    def read1(self, _size: int) -> bytes:
        return b"x"


def test_a_byte_now_and_then_is_too_slow() -> None:
    times = iter(range(0, 10_000, 2))
    with pytest.raises(TooLongError, match=r"sent 16 bytes in 32 s, less than 20 kB a second, the limit"):
        list(read_blocks(Drip(), 10**6, clock=lambda: next(times)))
    assert allowed_s(15_000_000) == 780


@pytest.mark.parametrize("service", ["ftp://127.0.0.1", "file:///tmp", "/tmp"])
def test_a_catalogue_is_asked_for_by_http_alone(service: str, tmp_path: Path) -> None:
    pytest.importorskip("obspy")
    with pytest.raises(DataError, match="Give the base URL of the service"):
        download_catalog(service, "2021-01-01", "2021-02-01", tmp_path / "e.xml")


def test_a_catalogue_without_end_is_refused(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("obspy")
    from dataclasses import replace

    from seismag.fetch import fdsn

    monkeypatch.setattr(fdsn, "QUAKEML", replace(fdsn.QUAKEML, unpacked=999))
    with pytest.raises(DataError, match=r"more than 999 bytes.*request a shorter time"):
        download_catalog(server.url, "2021-01-01", "2021-02-01", tmp_path / "e.xml")
    assert list(tmp_path.iterdir()) == []
