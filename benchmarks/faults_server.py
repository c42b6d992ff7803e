"""A server in a process of its own: the files of a folder, and an FDSN event service with one earthquake."""

from __future__ import annotations

import multiprocessing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path

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
ANSWERS = {"application.wadl": WADL, "version": b"1.2.3", "query": QUAKEML}


class Handler(SimpleHTTPRequestHandler):
    """Answers in the folder of the study, and below /fdsnws/event/1/."""

    def do_GET(self) -> None:
        """Answer a request."""
        head, _, name = self.path.partition("?")[0].rpartition("/")
        if head != "/fdsnws/event/1":
            super().do_GET()
            return
        body = ANSWERS.get(name, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def serve(study: Path) -> BaseProcess:
    """Serve a study; its address is written into it. Returns the process, which lives until it is killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(study)))
    (study / "address").write_text(f"http://127.0.0.1:{server.server_address[1]}", encoding="utf-8")
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    server.server_close()
    return process
