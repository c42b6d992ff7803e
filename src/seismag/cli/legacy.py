"""Commands that bring the pictures and weights of earlier systems over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seismag.cli.options import JsonOption, example
from seismag.cli.terminal import announce, make_progress, print_json

legacy_app = typer.Typer(help="Bring earlier data sets and weights over.", no_args_is_help=True, rich_markup_mode=None)
ClassesOption = Annotated[str | None, typer.Option(metavar="A,B,...", help="In the order of the head's outputs.")]


@legacy_app.command(epilog=example("seismag legacy pictures old_dataset --out data/old.zarr"))
def pictures(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Pictures and their metadata CSV.")],
    out: Annotated[Path, typer.Option("--out", metavar="STORE", help="Store to make.")],
    allow_augmented: Annotated[bool, typer.Option("--allow-augmented", help="Keep augmented copies, marked.")] = False,
    allow_corrupted_azimuth: Annotated[
        bool, typer.Option("--allow-corrupted-azimuth", help="Keep rows of corrupted azimuth, marked.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a store of an earlier data set of pictures."""
    announce(f"legacy pictures: {folder}")
    from seismag.legacy import prepare_legacy

    result = prepare_legacy(
        folder, out, allow_augmented=allow_augmented, allow_corrupted_azimuth=allow_corrupted_azimuth,
        progress=make_progress(),
    )  # fmt: skip
    if as_json:
        print_json(result.to_json())
    else:
        print(result.describe())


@legacy_app.command(epilog=example("seismag legacy weights old_best.pth --out models/old.pth"))
def weights(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="ConvNeXt-Tiny weights with torchvision's names.")],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="New checkpoint (.pth).")],
    classes_magnitude: ClassesOption = None,
    classes_azimuth: ClassesOption = None,
    normalization: Annotated[
        str, typer.Option("--normalization", metavar="NAME", help="Of its pictures: imagenet, or unit (0 to 1).")
    ] = "imagenet",
    as_json: JsonOption = False,
) -> None:
    """Make a checkpoint with a model card of earlier weights.

    It predicts pictures (stores of 'legacy pictures'), never recordings.
    """
    announce(f"legacy weights: {source}")
    from seismag.legacy.weights import describe_import, import_weights

    orders = {"magnitude": classes_magnitude, "azimuth": classes_azimuth}
    result = import_weights(source, out, orders, normalization)
    print_json(result) if as_json else print(describe_import(result))
