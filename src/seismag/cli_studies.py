"""The verbs of studies: judging a model or a table. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seismag.cli_options import ConfigOption, JsonOption, SetOption
from seismag.terminal import log_to_stderr, make_progress, print_json

studies_app = typer.Typer(rich_markup_mode=None)


@studies_app.command()
def evaluate(
    model: Annotated[Path | None, typer.Option("--model", help="Checkpoint (.pth); needs --data.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Store; with --predictions: of its windows.")] = None,
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

        metrics = judge_table(predictions, spec, out, make_progress(), data)
    elif model is not None and data is not None and predictions is None:
        from seismag.validation.training_run import judge_model

        metrics, _ = judge_model(model, data, spec, out, make_progress())
    else:
        raise UsageError("Give --model FILE and --data STORE, or --predictions TABLE (and perhaps --data STORE).")
    if as_json:
        print_json(metrics)
    else:
        print(format_summary(metrics))
        if out is not None:
            print(f"\nwritten to  {out}")


@studies_app.command()
def alarms(
    predictions: Annotated[Path, typer.Option("--predictions", help="A table, ours or a stranger's.")],
    data: Annotated[Path | None, typer.Option("--data", help="Store that was predicted, for more references.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for alarms.json and molchan.png.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge predictions as alarms: Molchan diagram, gain, and first what so many events can show."""
    from seismag.config import load_config
    from seismag.evaluation.alarm_report import format_alarms
    from seismag.evaluation.alarm_study import judge_alarms

    log_to_stderr()
    summary = judge_alarms(predictions, data, load_config(config, overrides).evaluate, out)
    if as_json:
        print_json(summary)
    else:
        print(format_alarms(summary))
        if out is not None:
            print(f"\nwritten to  {out}")
