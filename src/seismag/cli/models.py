"""Commands of stored models: list, verify, fetch, promote."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from seismag.cli.options import JsonOption, example
from seismag.cli.terminal import make_progress, print_json

models_app = typer.Typer(
    help="List, verify, fetch and promote models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models_app.command("list", epilog=example("seismag models list"))
def list_models(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR...", help="Default: where seismag writes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models in folders by their model cards.

    Without DIR: convnext_production_model, models and experiments_convnext. 'models verify' checks the checksums.
    """
    from seismag.models import registry

    rows = registry.list_models(folders)
    if as_json:
        print_json({"models": [asdict(row) for row in rows]})
    else:
        print(registry.describe_models(rows))


@models_app.command(epilog=example("seismag models verify models/convnext_loeo_best.pth"))
def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Checkpoints (.pth), or run folders.")],
    as_json: JsonOption = False,
) -> None:
    """Verify the checksum of each model and load it.

    Exit status 1 if one fails.
    """
    from seismag.models import registry

    results = registry.verify_models(files)
    if as_json:
        print_json({"models": [asdict(entry) for entry in results]})
    else:
        print(registry.describe_verification(results))
    registry.require_verified(results)


@models_app.command(epilog=example("seismag models fetch https://host/best.pth --sha256 SUM"))
def fetch(
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A path, or a URL (http, https).")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="File or existing folder; default: models/<name>.")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="DIGITS", help="Expected checksum.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a model and its model card, and verify the checksum.

    A download that broke goes on where it stopped when the same command is given again.
    """
    from seismag.models import fetch as fetching

    result = fetching.fetch_model(source, out, sha256, make_progress())
    if as_json:
        print_json(result.to_json())
    else:
        print(fetching.describe_fetch(result))


@models_app.command(epilog=example("seismag models promote experiments_convnext/loeo_20260205_100924"))
def promote(
    source: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="A run folder, or a checkpoint (.pth).")],
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Also a model that was trained on simulated data.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an evaluated model the production model.

    Writes convnext_production_model/best_convnext_model.pth and its model card, which records what was replaced.
    """
    from seismag.models import registry

    result = registry.promote_model(source, allow_simulated=allow_simulated)
    if as_json:
        print_json(asdict(result))
    else:
        print(registry.describe_promotion(result))
