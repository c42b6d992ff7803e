"""Commands from recordings to a store: simulate, inject, prepare, inspect, export, fetch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from seismag.cli.options import (
    CatalogOption,
    ConfigOption,
    JsonOption,
    SetOption,
    StationsOption,
    WorkersOption,
    example,
    parse_workers,
)
from seismag.cli.terminal import announce, make_progress, print_json

archives_app = typer.Typer(rich_markup_mode=None)
fetch_app = typer.Typer(help="Fetch data from services.", no_args_is_help=True, rich_markup_mode=None)


@archives_app.command(epilog=example("seismag simulate --config configs/demo.yaml --out data/my_archive"))
def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Empty or new folder.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    workers: WorkersOption = "1",
    as_json: JsonOption = False,
) -> None:
    """Write a synthetic archive with known ground truth.

    Of the configuration the section simulate counts.
    """
    from seismag.config import load_config

    spec = load_config(config, overrides).simulate
    processes, _ = parse_workers(workers)
    announce(f"simulate: {len(spec.stations)} stations, {spec.days} days")
    from seismag.simulate import simulate_archive

    simulate_archive(spec, out, processes, make_progress())
    _show_archive(out, config, overrides, as_json)


@archives_app.command(
    epilog=example(
        "seismag inject data/archive --catalog quakes.csv --out data/injected \\", "    --set simulate.emission.snr=10"
    )
)
def inject(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="Real recordings (FRG-604RC or IAGA-2002).")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Empty or new folder.")],
    catalog: Annotated[
        Path | None,
        typer.Option("--catalog", metavar="FILE", help="Earthquakes; default: simulate.earthquakes.catalog."),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    workers: WorkersOption = "1",
    as_json: JsonOption = False,
) -> None:
    """Inject emissions of known strength into real recordings.

    Writes the recordings again, with an emission before each earthquake of the catalogue. Stations are those of
    simulate.station_file, or the BMKG stations. Of the section simulate, seed and emission count too.
    """
    from seismag.config import load_config

    overrides = [*(overrides or []), *([] if catalog is None else [f"simulate.earthquakes.catalog={catalog}"])]
    spec = load_config(config, overrides).simulate
    processes, _ = parse_workers(workers)
    announce(f"inject: emissions into the recordings of {archive}")
    from seismag.simulate import inject_archive

    inject_archive(spec, archive, out, processes, make_progress())
    _show_archive(out, config, overrides, as_json)


@archives_app.command(
    epilog=example("seismag prepare --archive data/archive --catalog quakes.csv \\", "    --out data/store.zarr")
)
def prepare(
    archive: Annotated[Path, typer.Option("--archive", metavar="FOLDER", help="Folder with <STATION>/<recordings>.")],
    catalog: CatalogOption,
    stations: StationsOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="STORE", help="Default: data.store.")] = None,
    kp: Annotated[Path | None, typer.Option("--kp", metavar="FILE", help="Kp index.")] = None,
    dst: Annotated[Path | None, typer.Option("--dst", metavar="FILE", help="Dst index.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    workers: WorkersOption = "1",
    as_json: JsonOption = False,
) -> None:
    """Compute labelled spectrograms of an archive: a store.

    An interrupted preparation goes on where it stopped when the same command is given again.
    """
    from seismag.config import load_config

    spec = load_config(config, overrides).data
    processes, scheduler = parse_workers(workers)
    announce(f"prepare: reading {archive}")
    from seismag.windows.inputs import read_inputs
    from seismag.windows.prepare import prepare_store

    inputs = read_inputs(archive, stations, catalog, kp, dst)
    result = prepare_store(inputs, out or Path(spec.store), spec, processes, scheduler, make_progress())
    if as_json:
        print_json(result.to_json())
    else:
        print(result.describe())


@archives_app.command(epilog=example("seismag inspect S250101.ALR --plot day.png", "seismag inspect data/test"))
def inspect(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A recording, an archive or a store.")],
    stations: StationsOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PICTURE", help="Plot a day (.png, .pdf, .svg ...).")
    ] = None,
    station: Annotated[
        str | None, typer.Option("--station", metavar="CODE", help="Of an archive: the station of --plot.")
    ] = None,
    day: Annotated[
        str | None, typer.Option("--day", metavar="DATE", help="Of an archive: the day of --plot; default: the first.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Of a store: read all of it, by its checksums.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a recording, an archive or a store.

    Compares a recording with the main field (IGRF) at its station. An archive is listed by file names and headers.
    Exit status 1 where --verify finds a change.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError
    from seismag.windows.inspect import is_store

    spec = load_config(config, overrides).data
    if plot is not None:
        from seismag.recordings.figure import require_figure_ending

        require_figure_ending(plot)
    is_archive = path.is_dir() and not is_store(path)
    if (station is not None or day is not None) and (plot is None or not is_archive):
        raise UsageError("--station and --day choose the day of an archive that --plot draws.")
    if verify and (is_archive or path.is_file()):
        raise UsageError("--verify reads a store; name one.")
    facts: Any
    if is_archive:
        facts, text = _inspect_archive(path, station, day, plot, spec)
    elif path.is_dir():
        facts, text = _inspect_store(path, plot, verify)
    else:
        facts, text = _inspect_recording(path, stations, plot, spec)
    if as_json:
        print_json(facts)
    else:
        print(text)
        if plot is not None:
            print(f"picture     {plot}")
    if verify and facts["verification"]["damaged"]:
        raise typer.Exit(1)


@archives_app.command(epilog=example("seismag export data/test --out pictures"))
def export(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A finished store.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the pictures.")],
) -> None:
    """Write the spectrograms of a store as RGB pictures.

    One PNG a sample (H, D, Z as red, green, blue, with the same limits for all), and metadata.csv.
    """
    from seismag.windows.export import export_images
    from seismag.windows.store import open_store

    export_images(open_store(store), out, make_progress())
    print(f"pictures    {out} (one a sample, and metadata.csv)")


@fetch_app.command(
    "catalog", epilog=example("seismag fetch catalog --start 2018-01-01 --end 2019-01-01 --out usgs.xml")
)
def fetch_catalog(
    start: Annotated[str, typer.Option("--start", metavar="DATE", help="UTC, e.g. 2018-01-01.")],
    end: Annotated[str, typer.Option("--end", metavar="DATE", help="UTC, not included.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="QuakeML file to write.")],
    service: Annotated[
        str, typer.Option("--service", metavar="NAME", help="FDSN event service (USGS, GFZ ...) or its URL.")
    ] = "USGS",
    region: Annotated[
        str | None, typer.Option("--region", metavar="S,N,W,E", help="Degrees; default: the world.")
    ] = None,
    min_magnitude: Annotated[float, typer.Option("--min-magnitude", metavar="M", help="Smallest magnitude.")] = 4.0,
    as_json: JsonOption = False,
) -> None:
    """Download an earthquake catalogue as QuakeML (extra obspy)."""
    from seismag.archive.catalogs import parse_box, read_catalogs
    from seismag.fetch.fdsn import download_catalog

    box = parse_box(region) if region else None
    announce(f"fetch catalog: asking {service}")
    path = download_catalog(service, start, end, out, region=box, min_magnitude=min_magnitude)
    catalog = read_catalogs([path])
    if as_json:
        events = {"file": str(path), "events": len(catalog.events), "dropped": dict(catalog.dropped)}
        print_json({**events, "warnings": list(catalog.warnings)})
        return
    dropped = ", ".join(f"{count} {reason}" for reason, count in catalog.dropped.items()) or "none"
    print(f"{path}: {len(catalog.events)} earthquakes; left out when read: {dropped}")
    for sentence in catalog.warnings:
        print(f"warning     {sentence}")


def _show_archive(out: Path, config: Path | None, overrides: list[str] | None, as_json: bool) -> None:
    """Show what an archive contains, and the command that prepares it by the rules of its scenario."""
    from seismag.archive.listing import inspect_archive

    summary = inspect_archive(out)
    if as_json:
        print_json({"out": str(out), **summary.to_json()})
        return
    options = ["--config", str(config)] if config is not None else []
    for entry in overrides or []:
        if entry.split("=")[0].split(".")[0] in ("data", "prepare", "size"):  # sections that prepare reads
            options += ["--set", entry]
    print(summary.describe_simulation(options))


def _inspect_archive(
    path: Path, station: str | None, day: str | None, plot: Path | None, spec: Any
) -> tuple[dict[str, object], str]:
    from seismag.archive.listing import choose_day, inspect_archive

    summary = inspect_archive(path)
    if plot is not None:
        from seismag.recordings.figure import draw_day

        recording, injected = choose_day(path, station, day)
        draw_day(recording, spec, plot, injected)
    return summary.to_json(), summary.describe()


def _inspect_store(path: Path, plot: Path | None, verify: bool) -> tuple[dict[str, object], str]:
    from seismag.domain import UsageError
    from seismag.windows.inspect import inspect_store, verify_store
    from seismag.windows.store import open_store

    if plot is not None:
        raise UsageError("--plot draws a recording, or a day of an archive; name one of them.")
    store = open_store(path)
    summary = inspect_store(store)
    if not verify:
        return summary.to_json(), summary.describe()
    found = verify_store(store, make_progress())
    return summary.to_json() | {"verification": asdict(found)}, f"{summary.describe()}\n{found.describe()}"


def _inspect_recording(
    path: Path, stations: Path | None, plot: Path | None, spec: Any
) -> tuple[dict[str, object], str]:
    from seismag.archive.inspect import inspect_recording
    from seismag.archive.stations import read_stations

    summary = inspect_recording(path, read_stations(stations), spec)
    if plot is not None:
        from seismag.recordings import read_recording
        from seismag.recordings.figure import draw_day

        draw_day(read_recording(path), spec, plot)
    return summary.to_json(), summary.describe()
