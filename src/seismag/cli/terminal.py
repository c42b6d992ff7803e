"""What a command shows: one JSON document, log messages, one progress display that messages do not break."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
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
    say_on_stderr(json.dumps({"error": {"message": message, "exit_code": code}}))


def say_on_stderr(line: str) -> None:
    """Print a line on standard error; where that is a file on a full disk it is lost, and the work goes on."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError as error:
        from seismag.disk_space import is_full_disk

        if not is_full_disk(error):
            raise


def folders_of_output() -> tuple[Path, ...]:
    """Return the folder of the file that standard output is, if it is one, and the present one."""
    with suppress(OSError, ValueError):
        shown = Path(os.readlink(f"/proc/self/fd/{sys.stdout.fileno()}"))  # Linux
        if shown.is_file():
            return shown.parent, Path.cwd()
    return (Path.cwd(),)


def drop_unwritten() -> None:
    """Forget output that cannot be written; Python would try again at its end, and end with status 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def announce(sentence: str) -> None:
    """Say on standard error what begins, before the slow imports, and show log messages from now on."""
    if not _quiet:
        say_on_stderr(f"{sentence} ...")
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
            say_on_stderr(f"{stage}: {done} of {total}")

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
    elif stream is sys.stderr:
        say_on_stderr(line)
    else:
        print(line, file=stream, flush=True)


class _LogHandler(logging.Handler):
    """Log messages on standard error, above a bar that is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        _print(self.format(record), sys.stderr)
