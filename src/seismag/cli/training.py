"""Commands of models: train, crossval, predict, evaluate, unblind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from seismag.cli.interrupt import Interrupted
from seismag.cli.options import (
    ConfigOption,
    JsonOption,
    OutOption,
    SetOption,
    StationsOption,
    WorkersOption,
    example,
    existing_store,
    parse_workers,
)
from seismag.cli.terminal import announce, make_progress, print_json

training_app = typer.Typer(rich_markup_mode=None)
DataOption = Annotated[Path | None, typer.Option("--data", metavar="STORE", help="Default: data.store.")]


@training_app.command(epilog=example("seismag train --config configs/convnext_tiny.yaml"))
def train(
    config: ConfigOption = None,
    data: DataOption = None,
    overrides: SetOption = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model on one fold and evaluate it.

    Writes a run folder: history, model, predictions of validation and test windows, metrics, figures.
    """
    from seismag.config import load_config
    from seismag.files import short_path
    from seismag.runs import read_run

    if resume is not None and config is None:
        config = read_run(resume).path / "config.yaml"
    settings = load_config(config, overrides)
    store = existing_store(settings, data)
    announce(f"train: {settings.model.backbone} on {store}")
    from seismag.scoring.text import format_summary
    from seismag.training.run import run_training

    try:
        run = run_training(settings, store, resume, make_progress())
    except Interrupted:
        newest = f"the newest {settings.train.run_name}_... in {settings.train.runs_dir}"
        raise Interrupted(
            f"Finished epochs are kept: 'seismag train --resume RUN' goes on; RUN is {resume or newest}."
        ) from None
    metrics = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"run": str(run.path), "metrics": metrics})
    else:
        print(format_summary(metrics))
        print(f"\nrun         {short_path(run.path)}")
        print(f"model       {short_path(run.best_model)}")


@training_app.command(epilog=example("seismag crossval --config configs/loeo_validation.yaml"))
def crossval(
    config: ConfigOption = None,
    data: DataOption = None,
    folds: Annotated[
        str | None, typer.Option("--folds", metavar="K,...", help="Which, e.g. 1,3-5, from 1; default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Default: <split.method>_convnext_results.")
    ] = None,
    workers: WorkersOption = "1",
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train and evaluate every fold of a split.

    A split leaves out events, stations, regions or periods. Each fold is a run. The same command again goes on with
    interrupted folds and leaves finished ones. The test windows of all folds are evaluated together at the end.
    """
    from seismag.config import load_config

    settings = load_config(config, overrides)
    store = existing_store(settings, data)
    processes, scheduler = parse_workers(workers)
    announce(f"crossval: {settings.split.method} on {store}")
    from seismag.training.crossval import crossval_json, describe_crossval, require_folds, run_crossval

    state = run_crossval(settings, store, folds, out, processes, scheduler, make_progress())
    if as_json:
        print_json(crossval_json(state))
    else:
        print(describe_crossval(state))
    require_folds(state)


@training_app.command(epilog=example("seismag predict --model models/convnext_loeo_best.pth S250101.ALR"))
def predict(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Recordings, or a store.")],
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Checkpoint (.pth).")],
    stations: StationsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="TABLE", help="Also write .csv, .parquet or .json.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the windows of day files or a store.

    Prints P(event) with its percentile among control windows and the base rate at the station, and magnitude and
    azimuth where an event is likelier than not. An input that cannot be read is a row with its reason; where none can
    be read, the exit status is 1.
    """
    announce(f"predict: loading {model}")
    from seismag.models import predict as prediction
    from seismag.models.predict_text import describe_predictions

    if out is not None:
        prediction.require_table_ending(out)
    result = prediction.predict_inputs(model, inputs, stations, make_progress())
    if out is not None:
        prediction.write_predictions(result, out)
    if as_json:
        print_json(result.to_json())
    else:
        print(describe_predictions(result))
        if out is not None:
            print(f"table       {out}")
    prediction.require_readable(result)


@training_app.command(
    epilog=example(
        "seismag evaluate --model models/convnext_loeo_best.pth --data data/test",
        "seismag evaluate --predictions predictions.csv",
    )
)
def evaluate(
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="Checkpoint (.pth); needs --data.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="STORE", help="Store of the windows that are evaluated.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="TABLE", help="Predictions of any origin.")
    ] = None,
    out: OutOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model, or a table of predictions.

    A model is evaluated on windows that its training has not seen. Scores have intervals by event cluster and are
    compared with those of non-magnetic baselines, which use no magnetic data.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError

    spec = load_config(config, overrides).evaluate
    if (predictions is None) == (model is None) or (model is not None and data is None):
        raise UsageError("Give --model FILE and --data STORE, or --predictions TABLE (and perhaps --data STORE).")
    announce(f"evaluate: {model or predictions}")
    metrics: dict[str, Any]
    if model is not None and data is not None:
        from seismag.training.run import evaluate_model

        metrics, _ = evaluate_model(model, data, spec, out, make_progress())
    elif predictions is not None and data is not None:
        from seismag.training.run import evaluate_table_in_store

        metrics = evaluate_table_in_store(predictions, data, spec, out, make_progress())
    else:
        assert predictions is not None
        from seismag.scoring.study import evaluate_table

        metrics = evaluate_table(predictions, spec, out, make_progress())
    _show_metrics(metrics, out, as_json)


@training_app.command(epilog=example('seismag unblind --model best.pth --data store.zarr --purpose "final test"'))
def unblind(
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Checkpoint (.pth).")],
    data: Annotated[Path, typer.Option("--data", metavar="STORE", help="Store with a locked hold-out set.")],
    purpose: Annotated[str, typer.Option("--purpose", metavar="TEXT", help="Why; written into the access log.")],
    out: OutOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model on the locked hold-out set, on record.

    No fold has trained, validated or tested on these windows. Each unblinding is written into the access log of the
    store before its scores are computed, and every later report counts it.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError

    settings = load_config(config, overrides)
    if not purpose.strip():
        raise UsageError("--purpose is empty: say why the locked hold-out set is evaluated; the access log keeps it.")
    announce(f"unblind: {model} on the locked hold-out set of {data}")
    from seismag.folder_lock import folder_lock
    from seismag.scoring.study import make_output_folder
    from seismag.training import unblinding

    request = unblinding.request_unblinding(model, data, purpose, settings.split)
    with folder_lock(out):
        if out is not None:
            make_output_folder(out)  # before the unblinding is recorded
        result = unblinding.unblind(request, settings.evaluate, make_progress())
        if out is not None:
            unblinding.write_unblinding(result, out)
    _show_metrics(result.metrics, out, as_json)


def _show_metrics(metrics: dict[str, Any], out: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(metrics)
        return
    from seismag.scoring.text import format_summary

    print(format_summary(metrics))
    if out is not None:
        print(f"\nwritten to  {out}")
