"""Ctrl-C, SIGTERM and SIGHUP end a command with one sentence on how to go on, and none of them is lost.

A handler raises ``Interrupted`` wherever the main thread is. If that is a finaliser, a callback of C code, or the
``except BaseException`` of a library, the exception is dropped there. One that is freed before ``main`` has received
it is raised again a moment later; one that a library keeps, after ``_LATER_S``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import cache
from typing import Any

_SOON_S, _LATER_S = 0.001, 30.0
_SAME_PRESS_S = 0.2  # a wrapper may pass Ctrl-C on that the terminal has sent to this process, too
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_AT_ONCE = b"seismag: ended at once. Finished parts are kept: run the same command again to go on.\n"


class Interrupted(BaseException):
    """A signal to end; not a KeyboardInterrupt, which the command-line library ends in silence."""

    def __del__(self) -> None:
        if _first_s is not None and not _received:
            _raise_again_in(_SOON_S)


_first_s: float | None = None  # when the first signal arrived
_received = True  # main() has the interruption, or the command has ended
_before: dict[int, Any] = {}  # handlers of others


def catch_interrupts() -> None:
    """Raise ``Interrupted`` on each of the signals; Lightning alone would end a training with status 0.

    SIGHUP stays ignored where it is (``nohup``). Processes that this one forks end with it, by SIGTERM.
    """
    global _first_s, _received
    _first_s, _received = None, False
    _before.clear()
    for name in _NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
            continue
        _before[number] = signal.signal(number, _interrupt)
    if hasattr(signal, "setitimer"):
        _before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _raise_again)
    _release_in_children()
    sys.unraisablehook = _show_unraisable


def stop_interrupts() -> None:
    """End it: nothing is raised any more. A second Ctrl-C after an interruption still ends the process."""
    global _received
    _received = True
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    sys.unraisablehook = sys.__unraisablehook__
    if _first_s is None:
        for number, handler in _before.items():
            signal.signal(number, handler)


def was_interrupted() -> bool:
    """Whether a signal arrived since ``catch_interrupts``, also one that a library has dropped."""
    return _first_s is not None


def _interrupt(number: int, _frame: object) -> None:
    global _first_s
    now_s = time.monotonic()
    if _first_s is None:
        _first_s = now_s
        _raise_again_in(_LATER_S)
        raise Interrupted
    if number == signal.SIGINT and now_s - _first_s >= _SAME_PRESS_S:
        os.write(2, _AT_ONCE)
        os._exit(1)


def _raise_again(*_: object) -> None:
    if not _received:
        raise Interrupted


def _raise_again_in(delay_s: float) -> None:
    if hasattr(signal, "setitimer"):  # elsewhere main() sees at the end that there was a signal
        signal.setitimer(signal.ITIMER_REAL, delay_s, _LATER_S)


def _show_unraisable(unraisable: Any) -> None:
    if not issubclass(unraisable.exc_type, Interrupted):  # that one is raised again
        sys.__unraisablehook__(unraisable)


@cache
def _release_in_children() -> None:
    """In forked processes, as those that load data: leave Ctrl-C to the parent, which ends them by SIGTERM."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_release)


def _release() -> None:
    global _received
    if _received:
        return
    _received = True
    for number in _before:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
