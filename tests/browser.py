"""A page in headless Chromium: what it says on the console, and what it asks the network for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_READY_S = 60.0


@dataclass
class PageVisit:
    """What was seen; ``requests``: every address but that of the page itself and data it brings along."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    answer: Any = None


def open_page(path: Path, question: str = "document.title") -> PageVisit:
    """Open a file and answer a question about it, a JavaScript expression; skips where no browser is found."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    to_child, to_browser = os.pipe()
    from_browser, from_child = os.pipe()

    def connect() -> None:  # the protocol speaks on descriptors 3 and 4
        os.dup2(to_child, 3 + 100)
        os.dup2(from_child, 4 + 100)
        os.dup2(103, 3)
        os.dup2(104, 4)

    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "about:blank"]
    process = subprocess.Popen(
        command, preexec_fn=connect, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_child)
    os.close(from_child)
    try:
        return _visit(_Pipe(to_browser, from_browser), path.resolve().as_uri(), question)
    finally:
        process.kill()
        process.wait()
        os.close(to_browser)
        os.close(from_browser)


class _Pipe:
    """Messages of the DevTools protocol, JSON ended by a zero byte."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._rest, self._last = write, read, b"", 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method: str) -> None:
        end = time.monotonic() + _READY_S
        while not any(event.get("method") == method for event in self.events):
            assert time.monotonic() < end, f"no {method} in {_READY_S} s"
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._read, 1 << 16)
            assert block, "the browser ended"
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


def _visit(pipe: _Pipe, address: str, question: str) -> PageVisit:
    target = pipe.ask("Target.createTarget", url="about:blank")["targetId"]
    session = pipe.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Runtime", "Log"):
        pipe.ask(f"{domain}.enable", session)
    pipe.ask("Page.navigate", session, url=address)
    pipe.wait_for("Page.loadEventFired")
    wait = "new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))"
    pipe.ask("Runtime.evaluate", session, expression=wait, awaitPromise=True)
    visit = PageVisit()
    visit.answer = pipe.ask("Runtime.evaluate", session, expression=question, returnByValue=True)["result"].get("value")
    for event in pipe.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            visit.errors.append(str(params["exceptionDetails"].get("exception", {}).get("description", params)))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            visit.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            visit.errors.append(str(params["entry"]["text"]))
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if url != address and not url.startswith(("data:", "blob:")):
                visit.requests.append(url)
    return visit
