"""How the reading of one input ends, and the memory that it takes."""

from __future__ import annotations

import re
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seismag.domain import SeismagError

LONGEST_S, LONGEST_MESSAGE, MOST_MIB = 60, 5000, 1024


class _TooLongError(Exception):
    """Reading took longer than LONGEST_S."""


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooLongError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)


def outcome(read: Callable[[Path], object], path: Path, expected: object) -> str:
    """Read a damaged file: "read", "refused", or what must not happen."""
    try:
        with _limited():
            found = read(path)
    except SeismagError as error:
        return "refused" if 0 < len(str(error)) <= LONGEST_MESSAGE else f"a message of {len(str(error))} characters"
    except _TooLongError:
        return "hang"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"traceback: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"[:300]
    return "read" if found == expected else f"silently different: {found}"[:200]


def peak_mib() -> float:
    """The largest memory of this process since the last call, MiB (Linux; elsewhere since it began)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return int(found[1]) / 1024 if found else 0.0
