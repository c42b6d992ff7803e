"""The command line: one verb a stage. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from seismag.cli.models import models_app
from seismag.cli.options import ConfigOption, JsonOption, SetOption, WorkersOption
from seismag.cli.studies import studies_app
from seismag.cli.terminal import log_to_stderr, make_progress, print_json

app = typer.Typer(
    name="seismag",
    help="Ground magnetometers, earthquakes, and what a model may truthfully claim about them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(studies_app)
app.add_typer(models_app, name="models")

StationsOption = Annotated[
    Path | None, typer.Option("--stations", help="Station file; default: the shipped BMKG stations.")
]


@app.callback()
def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Ground magnetometers, earthquakes, and what a model may truthfully claim about them."""


@app.command()
def demo(
    config: Annotated[Path, typer.Option("--config")] = Path("configs/demo.yaml"),
    overrides: SetOption = None,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Run the whole line on a simulated archive."""
    from seismag.config import load_config

    settings = load_config(config, overrides)
    from seismag.cli.demo import run_demo

    log_to_stderr()
    stream = sys.stderr if as_json else sys.stdout
    facts = run_demo(settings, workers, make_progress(), lambda line: print(line, file=stream, flush=True))
    if as_json:
        print_json(facts)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Empty or new folder.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    inject: Annotated[
        Path | None,
        typer.Option("--inject", metavar="ARCHIVE", help="Plant the emissions in these real recordings instead."),
    ] = None,
    workers: WorkersOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write an archive whose truth is known.

    With --inject the recordings of ARCHIVE (FRG-604RC and IAGA-2002) are written again with an emission before
    each earthquake of simulate.earthquakes.catalog, which is needed then. Every station of the archive that is
    listed (simulate.station_file, else the shipped stations) is used; of the section simulate only seed,
    station_file, emission and earthquakes.catalog count, so stations, start and days are ignored.
    """
    from seismag.config import load_config

    spec = load_config(config, overrides).simulate  # before the slow imports, so that a typing error shows at once
    from seismag.archive.listing import archive_summary, describe_simulation
    from seismag.simulate import inject_archive, simulate_archive

    if inject is None:
        simulate_archive(spec, out, workers, make_progress())
    else:
        inject_archive(spec, inject, out, workers, make_progress())
    summary = archive_summary(out)
    if as_json:
        print_json({"out": str(out), **summary})
    else:
        options = ["--config", str(config)] if config is not None else []
        for entry in overrides or []:
            if entry.split("=")[0].split(".")[0] in ("data", "prepare", "size"):  # what prepare reads of them
                options += ["--set", entry]
        print(describe_simulation(summary, options))


@app.command()
def prepare(
    archive: Annotated[Path | None, typer.Option("--archive", help="Folder with <STATION>/<recordings>.")] = None,
    catalog: Annotated[
        list[Path] | None, typer.Option("--catalog", help="Earthquake catalogue; may be given several times.")
    ] = None,
    stations: StationsOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Store to make; default: data.store.")] = None,
    kp: Annotated[Path | None, typer.Option("--kp", help="Kp index.")] = None,
    dst: Annotated[Path | None, typer.Option("--dst", help="Dst index.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    workers: WorkersOption = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDR", help="Dask, e.g. tcp://host:8786.")
    ] = None,
    export_png: Annotated[Path | None, typer.Option("--export-png", help="Also write RGB pictures here.")] = None,
    legacy: Annotated[
        Path | None, typer.Option("--legacy", metavar="DIR", help="Earlier image data set, in place of an archive.")
    ] = None,
    allow_augmented: Annotated[
        bool, typer.Option("--allow-augmented", help="With --legacy: keep augmented copies, marked.")
    ] = False,
    allow_corrupted_azimuth: Annotated[
        bool, typer.Option("--allow-corrupted-azimuth", help="With --legacy: keep rows of corrupted azimuth, marked.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn day files into labelled spectrograms.

    An interrupted run goes on where it stopped when the same command is given again.
    With --legacy DIR --out STORE: an earlier system's pictures and their metadata CSV.
    """
    from seismag.domain import UsageError

    if legacy is not None:
        unused = {
            "--archive": archive, "--catalog": catalog, "--stations": stations, "--kp": kp, "--dst": dst,
            "--config": config, "--set": overrides, "--scheduler": scheduler, "--export-png": export_png,
        }  # fmt: skip
        _prepare_legacy(legacy, out, [name for name, value in unused.items() if value],
                        allow_augmented, allow_corrupted_azimuth, as_json)  # fmt: skip
        return
    if archive is None or not catalog:
        missing = "--archive" if archive is None else "--catalog"
        raise UsageError(f"Missing option {missing}: give --archive DIR and --catalog FILE, or --legacy DIR.")
    if allow_augmented or allow_corrupted_azimuth:
        raise UsageError("--allow-augmented and --allow-corrupted-azimuth belong to --legacy DIR.")
    from seismag.config import load_config
    from seismag.windows.inputs import read_inputs
    from seismag.windows.prepare import prepare_store

    spec = load_config(config, overrides).data
    inputs = read_inputs(archive, stations, catalog, kp, dst)
    result = prepare_store(inputs, out or Path(spec.store), spec, workers, scheduler, make_progress())
    if export_png is not None:
        from seismag.windows.export import export_images
        from seismag.windows.store import open_store

        export_images(open_store(result.store), export_png, make_progress())
    if as_json:
        print_json(result.as_dict())
    else:
        print(result.describe())
        if export_png is not None:
            print(f"pictures    {export_png} (one a sample, and metadata.csv)")


def _prepare_legacy(
    legacy: Path, out: Path | None, unused: list[str], augmented: bool, azimuth: bool, as_json: bool
) -> None:
    from seismag.domain import UsageError

    if unused:
        raise UsageError(f"{', '.join(unused)}: mean nothing with --legacy; the pictures are taken as they are.")
    if out is None:
        raise UsageError("Missing option --out: the store to make of --legacy DIR.")
    from seismag.legacy import prepare_legacy

    result = prepare_legacy(
        legacy, out, allow_augmented=augmented, allow_corrupted_azimuth=azimuth, progress=make_progress()
    )
    if as_json:
        print_json(result.as_dict())
    else:
        print(result.describe())


@app.command("fetch-catalog")
def fetch_catalog(
    start: Annotated[str, typer.Option("--start", help="UTC, e.g. 2018-01-01.")],
    end: Annotated[str, typer.Option("--end", help="UTC, not included.")],
    out: Annotated[Path, typer.Option("--out", help="QuakeML file to write.")],
    service: Annotated[
        str, typer.Option("--service", help="FDSN event service: a name (USGS, GFZ) or its URL.")
    ] = "USGS",
    region: Annotated[
        str | None, typer.Option("--region", metavar="S,N,W,E", help="Degrees; default: the world.")
    ] = None,
    min_magnitude: Annotated[float, typer.Option("--min-magnitude")] = 4.0,
) -> None:
    """Download an earthquake catalogue (extra obspy)."""
    from seismag.archive.catalogs import parse_box, read_catalogs
    from seismag.fetch.fdsn import download_catalog

    box = parse_box(region) if region else None
    path = download_catalog(service, start, end, out, region=box, min_magnitude=min_magnitude)
    catalog = read_catalogs([path])
    dropped = ", ".join(f"{count} {reason}" for reason, count in catalog.dropped.items()) or "none"
    print(f"{path}: {len(catalog.events)} earthquakes; left out when read: {dropped}")
    for sentence in catalog.warnings:
        print(f"warning     {sentence}")


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="A recording, a store or an archive.")],
    stations: StationsOption = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PNG", help="Draw the day; of an archive: one day, planted emissions marked."),
    ] = None,
    station: Annotated[
        str | None, typer.Option("--station", metavar="CODE", help="With --plot and an archive: the station.")
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--day", metavar="DATE", help="Likewise; default: the first with an emission, else the first."),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a recording, a store or an archive holds.

    For a recording: whether it can be the Earth's field at that station. An archive is listed by names and headers.
    """
    from seismag.archive import inspect as inspection
    from seismag.config import load_config
    from seismag.domain import UsageError
    from seismag.windows import inspect as store_inspection

    spec = load_config(config, overrides).data
    if plot is not None:
        from seismag.archive.figure import require_ending

        require_ending(plot)
    is_archive = path.is_dir() and not store_inspection.is_store(path)
    if (station is not None or day is not None) and (plot is None or not is_archive):
        raise UsageError("--station and --day choose the day of an archive that --plot draws.")
    if is_archive:
        from seismag.archive.listing import archive_summary, choose_day, describe_archive

        facts = archive_summary(path)
        text = describe_archive(facts)
        if plot is not None:
            from seismag.archive.figure import draw_day

            recording, planted = choose_day(path, station, day)
            draw_day(recording, spec, plot, planted)
    elif path.is_dir():
        if plot is not None:
            raise UsageError("--plot draws a recording, or a day of an archive; name one of them.")
        facts = store_inspection.inspect_store(path)
        text = store_inspection.describe_store(facts)
    else:
        from seismag.archive.stations import read_stations

        facts = inspection.inspect_recording(path, read_stations(stations), spec)
        text = inspection.describe_recording(facts)
        if plot is not None:
            from seismag.archive.figure import draw_day
            from seismag.recordings import read_recording

            draw_day(read_recording(path), spec, plot)
    if as_json:
        print_json(facts)
    else:
        print(text)
        if plot is not None:
            print(f"picture     {plot}")


@app.command()
def train(
    config: ConfigOption = None,
    data: Annotated[Path | None, typer.Option("--data", help="Store; default: data.store.")] = None,
    overrides: SetOption = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train one run and judge it.

    Writes a run folder: history, model, predictions of validation and test windows, metrics, figures.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError
    from seismag.files import short_path
    from seismag.runs import read_run

    if resume is not None and config is None:
        config = read_run(resume).path / "config.yaml"
    settings = load_config(config, overrides)  # before the slow imports, so that a typing error shows at once
    if data is None and not Path(settings.data.store).exists():
        raise UsageError(
            f"data.store {settings.data.store}: no such store. Make one with 'seismag prepare' (or 'make demo', which "
            "leaves data/test), or name another with --data."
        )
    from seismag.scoring.text import format_summary
    from seismag.training.run import run_training

    log_to_stderr()
    try:
        run = run_training(settings, data or Path(settings.data.store), resume)
    except _Interrupted:
        newest = f"the newest {settings.train.run_name}_... in {settings.train.runs_dir}"
        raise _Interrupted(
            f"Finished epochs are kept: 'seismag train --resume RUN' goes on; RUN is {resume or newest}."
        ) from None
    metrics = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"run": str(run.path), "metrics": metrics})
    else:
        print(format_summary(metrics))
        print(f"\nrun         {short_path(run.path)}")
        print(f"model       {short_path(run.best_model)}")


@app.command()
def predict(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Recordings, or a store.")],
    model: Annotated[Path, typer.Option("--model", help="Checkpoint (.pth).")],
    stations: StationsOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write a table (.csv, .parquet or .json).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Classify the windows of day files or a store.

    An input that cannot be read is reported among the predictions; where none can be read, the exit status is 1.
    """
    from seismag.models import predict as prediction

    if out is not None:
        prediction.require_ending(out)
    result = prediction.predict_inputs(model, inputs, stations, make_progress())
    if out is not None:
        prediction.write_predictions(result, out)
    if as_json:
        print_json(result)
    else:
        print(prediction.describe_predictions(result))
        if out is not None:
            print(f"table       {out}")
    prediction.require_readable(result)


class _Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not a KeyboardInterrupt, which the command-line library ends in silence."""


def _interrupt(*_: object) -> None:
    raise _Interrupted


def main() -> None:
    """Run the command line: errors a user can mend are one message, other failures a line and --debug."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)  # Lightning would end a training with status 0
    try:
        app(arguments, prog_name="seismag", standalone_mode=True)
    except _Interrupted as interruption:
        way_on = str(interruption) or "Finished parts are kept: run the same command again to go on."
        _fail(f"interrupted. {way_on}", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        from seismag.domain import SeismagError

        if isinstance(error, SeismagError):
            _fail(str(error), error.exit_code)
        if isinstance(error, MemoryError):
            _fail(f"too little memory ({error}). Close other programs, or use a smaller store (fewer windows, rows "
                  "or columns).", 1)  # fmt: skip
        if isinstance(error, OSError):
            _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", 1)
        _fail(f"{type(error).__name__}: {error}\nThis is a fault of seismag; --debug shows where.", 1)


def _fail(message: str, code: int) -> None:
    print(f"seismag: {message}", file=sys.stderr)
    sys.exit(code)
