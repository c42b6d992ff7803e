"""Signals at any moment: the command ends as interrupted, whoever drops the exception."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from fixtures.commands import Finished, run_seismag
from seismag import cli
from seismag.cli import interrupt

SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]
ROUNDS = 3_000  # of 10 ms, at most


def run_with(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Finished:
    """Run a command that does ``work`` and nothing else."""
    monkeypatch.setattr(cli, "app", lambda *_, **__: work())
    return run_seismag("config")


def go_on() -> None:
    for _ in range(ROUNDS):
        time.sleep(0.01)
    pytest.fail("the signal was lost")


def require_interrupted(done: Finished) -> None:
    assert done.returncode == 1
    assert "interrupted. Finished" in done.stderr
    for sign in ("Traceback", "Exception ignored"):
        assert sign not in done.stderr


class _Finalised:
    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


def _in_a_finaliser(number: int) -> None:
    _Finalised(number)


def _in_a_weakref_callback(number: int) -> None:
    thing = type("Thing", (), {})()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    assert reference() is None


def _in_a_callback_of_c(number: int) -> None:
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(number))()


def _in_a_library(number: int) -> None:
    for repeat in range(3):
        try:
            if repeat == 0:
                signal.raise_signal(number)
            time.sleep(0.1)
        except BaseException:
            pass


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("drop", [_in_a_finaliser, _in_a_weakref_callback, _in_a_callback_of_c, _in_a_library])
def test_a_dropped_interruption_is_raised_again(
    name: str, drop: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        drop(getattr(signal, name))
        go_on()

    require_interrupted(run_with(work, monkeypatch))


def test_an_interruption_that_a_library_keeps_or_turns_into_an_error_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[BaseException] = []

    def keep() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            kept.append(error)

    def turn() -> None:
        keep()
        raise ValueError("closed")

    def leave() -> None:
        keep()
        sys.exit(0)

    for work in (keep, turn, leave):
        require_interrupted(run_with(work, monkeypatch))


def test_an_interruption_that_is_kept_is_raised_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[BaseException] = []
    monkeypatch.setattr(interrupt, "_LATER_S", 0.05)

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as error:
            kept.append(error)
        go_on()

    require_interrupted(run_with(work, monkeypatch))


def test_a_signal_at_any_line_of_a_command_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At lines chosen at random from those that the command runs."""
    lines = 0

    def count(at: int) -> Callable[[FrameType, str, Any], Any]:
        def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            if lines == at and event == "line":
                signal.raise_signal(signal.SIGTERM)
            return trace

        return trace

    def run(at: int) -> Finished:
        nonlocal lines
        lines = 0
        monkeypatch.setattr("seismag.cli._run_command", lambda *arguments: traced(at, arguments))
        return run_seismag("config")

    run_command = cli._run_command

    def traced(at: int, arguments: tuple[Any, ...]) -> Any:
        before = sys.gettrace()
        sys.settrace(count(at))
        try:
            return run_command(*arguments)
        finally:
            sys.settrace(before)

    for _ in range(2):  # the first one imports
        assert run(0).returncode == 0
    for at in np.random.default_rng(5).integers(1, lines, 30):
        require_interrupted(run(int(at)))


def test_a_hangup_that_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = run_with(lambda: signal.raise_signal(signal.SIGHUP), monkeypatch)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "interrupted" not in done.stderr


def test_a_command_that_ends_gives_the_handlers_back() -> None:
    numbers = [getattr(signal, name) for name in (*SIGNALS, "SIGALRM")]
    before = [signal.getsignal(number) for number in numbers]
    monitor = sys.unraisablehook
    assert run_seismag("config").returncode == 0
    assert [signal.getsignal(number) for number in numbers] == before
    assert sys.unraisablehook in (monitor, sys.__unraisablehook__)


def test_a_forked_process_leaves_ctrl_c_to_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = []

    def work() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if (process := os.fork()) == 0:
                signal.raise_signal(number)
                os._exit(7)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))

    run_with(work, monkeypatch)
    assert statuses == [7, -signal.SIGTERM]


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys\nfrom seismag import cli\nfrom seismag.cli import interrupt\n"
        "interrupt._SAME_PRESS_S = 0\n"
        "def work(*_, **__):\n"
        "    try:\n        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n        signal.raise_signal(signal.SIGINT)\n        open('tidied', 'w')\n"
        "cli.app = work\ncli.main()\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ended at once" in done.stderr
    assert not (tmp_path / "tidied").exists()
