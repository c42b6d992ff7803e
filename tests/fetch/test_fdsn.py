from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from seismag.archive.catalogs import read_catalogs
from seismag.domain import DataError
from seismag.fetch.fdsn import download_catalog

pytest.importorskip("obspy")

QUAKEML = b"""<?xml version="1.0" encoding="UTF-8"?>
<q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2">
<eventParameters publicID="smi:local/all"><event publicID="smi:local/ev1"><type>earthquake</type>
<origin publicID="smi:local/o1"><time><value>2021-01-15T03:00:00Z</value></time>
<latitude><value>-2.9</value></latitude><longitude><value>118.9</value></longitude>
<depth><value>18000</value></depth></origin>
<magnitude publicID="smi:local/m1"><mag><value>6.2</value></mag><type>Mww</type></magnitude></event>
</eventParameters></q:quakeml>"""
WADL = b"""<?xml version="1.0"?><application xmlns="http://wadl.dev.java.net/2009/02"><resources><resource path="query">
<method id="query" name="GET"><request/></method></resource></resources></application>"""


class EventService(ThreadingHTTPServer):
    """A local FDSN event service; ``answer`` is what a query gets, ``asked`` what it was."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, QUAKEML)
        self.promised_bytes: int | None = None
        self.answers = threading.Event()  # cleared: a query waits
        self.answers.set()
        self.asked: dict[str, list[str]] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: EventService

    def do_GET(self) -> None:
        url = urlparse(self.path)
        status, body = {
            "/fdsnws/event/1/application.wadl": (200, WADL),
            "/fdsnws/event/1/version": (200, b"1.2.3"),
            "/fdsnws/event/1/query": self.server.answer,
        }.get(url.path, (404, b"unknown path"))
        length = len(body)
        if url.path.endswith("query"):
            self.server.asked = parse_qs(url.query)
            self.server.answers.wait()
            length = self.server.promised_bytes or length
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if status != 204:
            with contextlib.suppress(ConnectionError):  # the client that timed out has left
                self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventService]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with EventService() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


def test_a_downloaded_catalogue_is_read_back(service: EventService, tmp_path: Path) -> None:
    path = download_catalog(service.url, "2021-01-01", "2021-02-01", tmp_path / "events.xml")
    catalog = read_catalogs([path])
    assert catalog.events["event_id"].tolist() == ["ev1"]
    assert catalog.events["depth_km"].tolist() == [18.0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.xml"]


def test_the_request_states_time_region_and_magnitude(service: EventService, tmp_path: Path) -> None:
    box = (-11.0, 6.0, 95.0, 141.0)
    download_catalog(
        service.url, "2021-01-01", "2021-02-01T06:00:00", tmp_path / "e.xml", region=box, min_magnitude=4.5
    )
    asked = {key: values[0] for key, values in service.asked.items()}
    assert asked["starttime"].startswith("2021-01-01T00:00:00")
    assert asked["endtime"].startswith("2021-02-01T06:00:00")
    numbers = {key: float(value) for key, value in asked.items() if key.startswith(("min", "max"))}
    assert numbers == {
        "minmagnitude": 4.5, "minlatitude": -11.0, "maxlatitude": 6.0, "minlongitude": 95.0, "maxlongitude": 141.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (204, b"", r"M >= 4: the service has no such event\. Request a longer time"),
        (400, b"Bad starttime", r"does not accept the request \(.*Bad starttime.*\)\. Check the times"),
        (
            400,
            b"14000 matching events exceeds search limit of 20000",
            r"too many events for one request.*shorter pieces",
        ),
        (413, b"too large", r"too many events for one request"),
        (500, b"oops", r"failed with status 500 .*Try again later"),
        (503, b"maintenance", r"failed with status 503 .*Try again later"),
        (404, b"", r"no answer from the service .*Check its address"),
        (200, b"<html>welcome</html>", r"the answer is not QuakeML, it begins with b'<html>welcome"),
        (200, b"", r"the answer is not QuakeML"),
    ],
)
def test_a_refusal_names_the_way_out_and_leaves_no_file(
    service: EventService, tmp_path: Path, status: int, body: bytes, message: str
) -> None:
    service.answer = (status, body)
    with pytest.raises(DataError, match=message):
        download_catalog(service.url, "2021-01-01", "2021-02-01", tmp_path / "events.xml")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_the_older_file(service: EventService, tmp_path: Path) -> None:
    path = download_catalog(service.url, "2021-01-01", "2021-02-01", tmp_path / "events.xml")
    service.answer = (413, b"")
    with pytest.raises(DataError):
        download_catalog(service.url, "2021-01-01", "2021-02-01", path)
    assert path.read_bytes() == QUAKEML


def test_a_service_that_does_not_answer_is_not_waited_for(service: EventService, tmp_path: Path) -> None:
    service.answers.clear()
    with pytest.raises(DataError, match=r"no answer in time\. .*raise timeout_s"):
        download_catalog(service.url, "2021-01-01", "2021-02-01", tmp_path / "e.xml", timeout_s=0.3)


def test_an_answer_that_breaks_off_is_refused(service: EventService, tmp_path: Path) -> None:
    service.promised_bytes = 10 * len(QUAKEML)
    with pytest.raises(DataError, match="the answer broke off"):
        download_catalog(service.url, "2021-01-01", "2021-02-01", tmp_path / "e.xml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "start", "end", "message"),
    [
        ("NOSUCHCENTRE", "2021-01-01", "2021-02-01", r"NOSUCHCENTRE.*Give the base URL"),
        ("http://127.0.0.1:65531", "2021-01-01", "2021-02-01", r"no answer from the service"),
        ("USGS", "soon", "2021-02-01", r"not a time .*Write it as 2022-01-31"),
        ("USGS", "2021-02-01", "2021-01-01", r"the start is not before the end"),
    ],
)
def test_an_impossible_request_is_refused_before_any_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, start: str, end: str, message: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match=message):
        download_catalog(name, start, end, tmp_path / "e.xml")


def test_an_unwritable_place_is_named(service: EventService, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written .*Name a writable file"):
        download_catalog(service.url, "2021-01-01", "2021-02-01", tmp_path / "absent" / "e.xml")


def test_without_obspy_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obspy", None)
    with pytest.raises(DataError, match=r'pip install "seismag\[obspy\]"'):
        download_catalog("USGS", "2021-01-01", "2021-02-01", tmp_path / "e.xml")
