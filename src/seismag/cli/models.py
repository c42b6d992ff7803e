"""``seismag models``: weights and their cards. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seismag.cli.options import JsonOption
from seismag.cli.terminal import make_progress, print_json

models_app = typer.Typer(
    help="Models and their cards: list, verify, fetch, promote, import.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models_app.command("list")
def list_models(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Default: where seismag writes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the models in folders, by what their cards say.

    Without DIR: convnext_production_model, models and experiments_convnext. Sums are compared by `models verify`.
    """
    from seismag.models import registry

    rows = registry.list_models(folders)
    if as_json:
        print_json({"models": rows})
    else:
        print(registry.describe_models(rows))


@models_app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Checkpoints (.pth), or run folders.")],
    as_json: JsonOption = False,
) -> None:
    """Compare each file with its card and load it. Exit status 1 if one fails."""
    from seismag.models import registry

    results = registry.verify_models(files)
    if as_json:
        print_json({"models": results})
    else:
        print(registry.describe_verification(results))
    registry.require_verified(results)


@models_app.command()
def fetch(
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A path, or a URL (http, https).")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File, or existing folder; default: models/<name of the source>.")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="The sum that it must have.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a model and its card here, the sum compared.

    A download that broke goes on where it stopped when the same command is given again.
    """
    from seismag.models import fetch as fetching

    result = fetching.fetch_model(source, out, sha256, make_progress())
    if as_json:
        print_json(result)
    else:
        print(fetching.describe_fetch(result))


@models_app.command()
def promote(
    source: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="A run folder, or a checkpoint (.pth).")],
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Also a model that was trained on simulated data.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a judged model the production model.

    Writes convnext_production_model/best_convnext_model.pth and its card, which records what was replaced.
    """
    from seismag.models import registry

    result = registry.promote_model(source, allow_simulated=allow_simulated)
    if as_json:
        print_json(result)
    else:
        print(registry.describe_promotion(result))


@models_app.command("import-legacy")
def import_legacy(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="ConvNeXt-Tiny weights, tensors named by torchvision.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="NAME.pth", help="Checkpoint to write.")],
    classes_magnitude: Annotated[
        str | None, typer.Option("--classes-magnitude", metavar="A,B,...", help="In the order of the head's outputs.")
    ] = None,
    classes_azimuth: Annotated[
        str | None, typer.Option("--classes-azimuth", metavar="A,B,...", help="In the order of the head's outputs.")
    ] = None,
    normalization: Annotated[
        str, typer.Option("--normalization", help="How its pictures were scaled: imagenet, or unit (0 to 1).")
    ] = "imagenet",
    as_json: JsonOption = False,
) -> None:
    """Turn weights of an earlier system into a checkpoint with a card.

    It reads pictures (stores of `prepare --legacy`), never recordings.
    """
    from seismag.legacy import weights

    orders = {"magnitude": classes_magnitude, "azimuth": classes_azimuth}
    result = weights.import_legacy_model(source, out, orders, normalization)
    if as_json:
        print_json(result)
    else:
        print(weights.describe_import(result))
