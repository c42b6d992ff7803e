"""What a command shows while it works and when it is done: a bar or lines, log messages, one JSON document."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seismag.parallel import Progress


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def log_to_stderr() -> None:
    """Show log messages on standard error, those of chatty libraries from warnings on."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("lightning", "lightning.pytorch", "lightning.fabric", "distributed", "fsspec", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def make_progress() -> Progress:
    """A bar on a terminal, a line every tenth elsewhere; both on standard error."""
    if sys.stderr.isatty():
        return _progress_bar()
    said: dict[str, int] = {}

    def log_line(stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if said.get(stage) != tenth:
            said[stage] = tenth
            print(f"{stage}: {done} of {total}", file=sys.stderr, flush=True)

    return log_line


def _progress_bar() -> Progress:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    bar = Bar(console=Console(stderr=True))
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
            bar.start()
        bar.update(tasks[stage], completed=done, total=total)
        if bar.finished:
            bar.stop()

    return show
