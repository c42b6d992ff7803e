"""Ctrl-C and SIGTERM end a command with one sentence on how to go on."""

from __future__ import annotations

import signal


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not a KeyboardInterrupt, which the command-line library ends in silence."""


def catch_interrupts() -> None:
    """Raise ``Interrupted`` on both signals; Lightning alone would end a training with status 0."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    raise Interrupted
