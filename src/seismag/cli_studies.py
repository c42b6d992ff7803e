"""The verbs of studies: judging a model or a table. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seismag.cli_options import ConfigOption, JsonOption, SetOption, WorkersOption
from seismag.terminal import log_to_stderr, make_progress, print_json

studies_app = typer.Typer(rich_markup_mode=None)


@studies_app.command()
def evaluate(
    model: Annotated[Path | None, typer.Option("--model", help="Checkpoint (.pth); needs --data.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Store.")] = None,
    predictions: Annotated[Path | None, typer.Option("--predictions", help="A table, ours or a stranger's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for metrics.json and figures.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a model or a table of predictions.

    A model is judged on windows that its training has not seen; beside it stand rules that never see the field.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError
    from seismag.evaluation.summary import format_summary

    log_to_stderr()
    spec = load_config(config, overrides).evaluate
    if predictions is not None and model is None:
        from seismag.delivery.prediction import judge_table

        metrics = judge_table(predictions, spec, out, make_progress())
    elif model is not None and data is not None and predictions is None:
        from seismag.validation.training_run import judge_model

        metrics, _ = judge_model(model, data, spec, out, make_progress())
    else:
        raise UsageError("Give --model FILE and --data STORE, or --predictions TABLE.")
    if as_json:
        print_json(metrics)
    else:
        print(format_summary(metrics))
        if out is not None:
            print(f"\nwritten to  {out}")


@studies_app.command()
def crossval(
    config: ConfigOption = None,
    data: Annotated[Path | None, typer.Option("--data", help="Store; default: data.store.")] = None,
    folds: Annotated[
        str | None, typer.Option("--folds", metavar="K,...", help="Which, e.g. 1,3-5, from 1; default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; default: <split.method>_convnext_results.")
    ] = None,
    workers: WorkersOption = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDR", help="Dask, e.g. tcp://host:8786.")
    ] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train and judge every fold of a split: by event, station, region or time.

    Each fold is a run. The same command again goes on with interrupted folds and leaves finished ones. When all are
    finished their test windows are judged together.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError

    settings = load_config(config, overrides)  # before the slow imports, so that a typing error shows at once
    store = data or Path(settings.data.store)
    if not store.exists():
        raise UsageError(
            f"data.store {store}: no such store. Make one with 'seismag prepare' (or 'make demo', which leaves "
            "data/test), or name another with --data."
        )
    from seismag.validation.crossval import crossval_json, describe_crossval, require_folds, run_crossval

    log_to_stderr()
    state = run_crossval(settings, store, folds, out, workers, scheduler, make_progress())
    if as_json:
        print_json(crossval_json(state))
    else:
        print(describe_crossval(state))
    require_folds(state)
