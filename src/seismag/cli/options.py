"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seismag.config import Config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML or JSON; see configs/ and 'seismag config'.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. train.epochs=3.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Also write files into this folder.")]
WorkersOption = Annotated[
    str, typer.Option("--workers", metavar="N|ADDRESS", help="Processes here, or a Dask scheduler (tcp://host:8786).")
]
StationsOption = Annotated[
    Path | None, typer.Option("--stations", metavar="CSV", help="Station file; default: the BMKG stations.")
]
CatalogOption = Annotated[
    list[Path], typer.Option("--catalog", metavar="FILE", help="Earthquake catalogue; may be given several times.")
]


def example(*lines: str) -> str:
    """Word the example at the end of a command's help, line by line as given."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def parse_workers(workers: str) -> tuple[int, str | None]:
    """Read --workers: the number of processes, and the address of a Dask scheduler or None.

    Raises:
        UsageError: neither a whole number above 0 nor an address.
    """
    from seismag.domain import UsageError

    if "://" in workers:
        return 1, workers
    if not workers.isdecimal() or int(workers) < 1:
        raise UsageError(f"--workers {workers}: give a number of processes (1 or more), or tcp://HOST:PORT of Dask.")
    return int(workers), None


def existing_store(settings: Config, data: Path | None) -> Path:
    """Give the store that --data or data.store names.

    Raises:
        UsageError: it is the default one and does not exist.
    """
    from seismag.domain import UsageError

    store = data or Path(settings.data.store)
    if data is None and not store.exists():
        raise UsageError(
            f"data.store {store}: no such store. Make one with 'seismag prepare' (or 'make demo', which leaves "
            "data/test), or name another with --data."
        )
    return store


def split_names(listed: str | None) -> list[str] | None:
    """Read names that are separated by commas; None where the option was not given."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
