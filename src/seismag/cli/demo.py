"""The command demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seismag.cli.options import JsonOption, SetOption, WorkersOption, example, parse_workers
from seismag.cli.terminal import announce, make_progress, print_json, say

demo_app = typer.Typer(rich_markup_mode=None)


@demo_app.command(epilog=example("seismag demo --workers 2"))
def demo(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The demonstration's configuration.")] = Path(
        "configs/demo.yaml"
    ),
    overrides: SetOption = None,
    workers: WorkersOption = "2",
    as_json: JsonOption = False,
) -> None:
    """Run the complete pipeline on a synthetic archive.

    Simulates, prepares, trains, evaluates, audits and predicts, in about a minute or two. Replaces what an earlier
    demonstration left in demo/ and data/test.
    """
    from seismag.config import load_config

    settings = load_config(config, overrides)
    processes, _ = parse_workers(workers)
    announce("demo: the complete pipeline in six steps")
    from seismag.demonstration import run_demo

    facts = run_demo(settings, processes, make_progress(), lambda line: say(line, as_json=as_json))
    if as_json:
        print_json(facts)
