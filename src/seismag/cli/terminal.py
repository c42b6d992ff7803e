"""What a command shows: one JSON document, log messages, one progress display that messages do not break."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as ProgressBar

    from seismag.parallel import Progress

_quiet = False
_bar: ProgressBar | None = None


def set_quiet(quiet: bool) -> None:
    """Show errors and warnings only, or progress and log messages too."""
    global _quiet
    _quiet = quiet


def print_json(document: dict[str, Any]) -> None:
    """Print one ASCII JSON document on standard output; NaN becomes null."""
    from seismag.files import json_ready

    print(json.dumps(json_ready(document), indent=2, allow_nan=False))


def print_error_json(message: str, code: int) -> None:
    """Print an error as one JSON document on standard error."""
    print(json.dumps({"error": {"message": message, "exit_code": code}}), file=sys.stderr)


def announce(sentence: str) -> None:
    """Say on standard error what begins, before the slow imports, and show log messages from now on."""
    if not _quiet:
        print(f"{sentence} ...", file=sys.stderr, flush=True)
    logging.basicConfig(
        level=logging.WARNING if _quiet else logging.INFO, format="%(message)s", handlers=[_LogHandler()]
    )
    for noisy in ("lightning", "lightning.pytorch", "lightning.fabric", "distributed", "fsspec", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def say(line: str, *, as_json: bool = False) -> None:
    """Print a line for people: on standard output, or on standard error where JSON is requested."""
    if as_json and _quiet:
        return
    _print(line, sys.stderr if as_json else sys.stdout)


def make_progress() -> Progress:
    """A bar with counts on a terminal, a line every tenth elsewhere; both on standard error."""
    if _quiet:
        return _show_nothing
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return _show_bar()
    return _show_lines()


def _show_nothing(stage: str, done: int, total: int) -> None:
    pass


def _show_lines() -> Progress:
    tenths: dict[str, int] = {}

    def show(stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if tenths.get(stage) != tenth:
            tenths[stage] = tenth
            print(f"{stage}: {done} of {total}", file=sys.stderr, flush=True)

    return show


def _show_bar() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = ProgressBar(*columns, console=_console(), redirect_stdout=False)
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int) -> None:
        global _bar
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
            bar.start()
            _bar = bar
        bar.update(tasks[stage], completed=done, total=total)
        if bar.finished:
            bar.stop()
            _bar = None

    return show


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _print(line: str, stream: Any) -> None:
    """Print a line above a bar that is shown."""
    if _bar is not None and stream.isatty():
        _bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        print(line, file=stream, flush=True)


class _LogHandler(logging.Handler):
    """Log messages on standard error, above a bar that is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        _print(self.format(record), sys.stderr)
