"""``python -m seismag`` is the command ``seismag``."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line; Ctrl-C during its imports ends the process without a traceback, as SIGTERM does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun yet; the command line catches it from then on
    from seismag.cli import main as run

    run()


if __name__ == "__main__":
    main()
