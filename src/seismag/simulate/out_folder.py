"""The folder of a synthetic archive: ``simulation.json`` marks it as simulated, and as complete at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from seismag.archive.survey import SIMULATION_FILE
from seismag.domain import UsageError
from seismag.files import write_json_atomic


def require_free(out: Path, settings: Mapping[str, object]) -> None:
    """Refuse a folder that is not empty, unless the same command was interrupted there.

    Args:
        settings: entries of simulation.json that identify the command.

    Raises:
        UsageError: the folder is not empty, or is a file.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        facts = json.loads((out / SIMULATION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = {}
    if not isinstance(facts, dict) or facts.get("complete") is not False:
        raise UsageError(f"{out}: is not empty. Choose another --out, or delete it.")
    if any(facts.get(key) != value for key, value in settings.items()):
        raise UsageError(
            f"{out}: holds an unfinished simulation with other settings. Give those again, choose another --out, or "
            "delete it."
        )


def mark(out: Path, facts: Mapping[str, object], *, complete: bool) -> None:
    """Write ``simulation.json``; creates the folder."""
    write_json_atomic(out / SIMULATION_FILE, {"complete": complete, **facts})
