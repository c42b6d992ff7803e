"""Independent parts of the demonstration, each in a process of its own, with their lines for people."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from typing import Any

from seismag.domain import SeismagError, UsageError
from seismag.parallel import end_processes, end_with_parent

Part = Callable[..., Any]  # called with its arguments and ``say``
Line = Callable[[str, str], None]  # name of the part, line
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_side_by_side(parts: Mapping[str, tuple[Part, tuple[Any, ...]]], workers: int, line: Line) -> dict[str, Any]:
    """Call each part with its arguments and a function ``say``, two or more at a time; returns the results by name.

    With one worker they run here, one after the other.

    Raises:
        SeismagError: the error of the part that failed first; the others are ended.
    """
    if workers == 1:
        return {name: part(*arguments, _sayer(line, name)) for name, (part, arguments) in parts.items()}
    context = get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // len(parts))
    running: dict[Any, tuple[str, Any]] = {}
    try:
        for name, (part, arguments) in parts.items():
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(part, arguments, theirs, threads))
            with _threads_of_libraries(threads):
                process.start()
            theirs.close()
            running[ours] = (name, process)
        return dict(_collect(running, line))
    finally:
        end_processes([process for _, process in running.values()])


def _collect(running: dict[Any, tuple[str, Any]], line: Line) -> Iterator[tuple[str, Any]]:
    """Pass lines on, and yield results, until every part has ended."""
    while running:
        for ready in connection.wait(list(running)):
            name, process = running[ready]
            pipe: Any = ready
            try:
                kind, content = pipe.recv()
            except EOFError:
                process.join()
                raise SeismagError(
                    f"{name}: its process ended without a message (exit code {process.exitcode}). Mostly that is too "
                    "little memory: use --workers 1."
                ) from None
            if kind == "line":
                line(name, content)
            elif kind == "usage":
                raise UsageError(content)
            elif kind == "error":
                raise SeismagError(content)
            else:
                del running[ready]
                process.join()
                yield name, content


def _child(part: Part, arguments: tuple[Any, ...], answer: Any, threads: int) -> None:
    end_with_parent()
    import torch

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    torch.set_num_threads(threads)
    try:
        message = ("result", part(*arguments, lambda text: answer.send(("line", text))))
    except UsageError as error:
        message = ("usage", str(error))
    except SeismagError as error:
        message = ("error", str(error))
    except Exception as error:
        message = ("error", f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    with suppress(BrokenPipeError):  # the parent was ended
        answer.send(message)


@contextmanager
def _threads_of_libraries(threads: int) -> Iterator[None]:
    """Limit the threads of OpenMP and BLAS in processes that start now: they read it once, when they are imported.

    Two processes with a thread for each core wait for each other, busily.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _sayer(line: Line, name: str) -> Callable[[str], None]:
    return lambda text: line(name, text)
