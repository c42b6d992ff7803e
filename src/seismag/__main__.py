"""``python -m seismag`` is the command ``seismag``."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line; Ctrl-C during its imports ends the process without a traceback, as SIGTERM does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun yet; the command line catches it from then on
    open_closed_streams()
    from seismag.cli import main as run

    run()


def open_closed_streams() -> None:
    """Open the null device as each standard stream that is closed (``2>&-``).

    The next file would get its number, and with it what libraries write into that stream; Python would print errors
    on standard output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
