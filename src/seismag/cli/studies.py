"""The verbs of studies: judging a model or a table. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from seismag.cli.options import ConfigOption, JsonOption, SetOption, WorkersOption
from seismag.cli.terminal import log_to_stderr, make_progress, print_json

log = logging.getLogger(__name__)
studies_app = typer.Typer(rich_markup_mode=None)


@studies_app.command()
def evaluate(
    model: Annotated[Path | None, typer.Option("--model", help="Checkpoint (.pth); needs --data.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Store; with --predictions: of its windows.")] = None,
    predictions: Annotated[Path | None, typer.Option("--predictions", help="A table, ours or a stranger's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for metrics.json and figures.")] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Judge the sealed windows; the look is recorded for good.")
    ] = False,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Why, for the ledger of --sealed.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a model or a table of predictions.

    A model is judged on windows that its training has not seen; beside it stand rules that never see the field.
    With --sealed: on the windows that no fold has touched. Each look is written into the store's ledger before it
    is given, and every later report counts it.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError
    from seismag.scoring.text import format_summary

    log_to_stderr()
    settings = load_config(config, overrides)
    spec = settings.evaluate
    if sealed or purpose is not None:
        if not sealed or not (purpose or "").strip() or model is None or data is None or predictions is not None:
            raise UsageError('The sealed windows: --model FILE --data STORE --sealed --purpose "WHY".')
        from seismag.training.holdout import look, make_folder, open_question, write_unblinding

        question = open_question(model, data, purpose, settings.split)
        if out is not None:
            make_folder(out)  # before the look is spent
        given = look(question, spec, make_progress())
        if out is not None:
            write_unblinding(given, out)
        metrics = given.metrics
    elif predictions is not None and model is None:
        if data is None:
            from seismag.scoring.study import evaluate_table

            metrics = evaluate_table(predictions, spec, out, make_progress())
        else:
            from seismag.training.run import evaluate_table_in_store

            metrics = evaluate_table_in_store(predictions, data, spec, out, make_progress())
    elif model is not None and data is not None and predictions is None:
        from seismag.training.run import evaluate_model

        metrics, _ = evaluate_model(model, data, spec, out, make_progress())
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
    from seismag.alarms.study import evaluate_alarms
    from seismag.alarms.text import format_alarms
    from seismag.config import load_config

    log_to_stderr()
    summary = evaluate_alarms(predictions, data, load_config(config, overrides).evaluate, out)
    if as_json:
        print_json(summary)
    else:
        print(format_alarms(summary))
        if out is not None:
            print(f"\nwritten to  {out}")


@studies_app.command()
def recover(
    model: Annotated[
        list[Path], typer.Option("--model", help="Checkpoint or run folder; several: folds of one cross-validation.")
    ],
    archive: Annotated[Path, typer.Option("--archive", help="The archive that the store was prepared from.")],
    data: Annotated[Path, typer.Option("--data", help="Store; its Normal windows are planted in.")],
    catalog: Annotated[list[Path], typer.Option("--catalog", help="Earthquake catalogue of the store.")],
    stations: Annotated[Path | None, typer.Option("--stations", help="Station file of the store.")] = None,
    kp: Annotated[Path | None, typer.Option("--kp", help="Kp index of the store, to compare.")] = None,
    dst: Annotated[Path | None, typer.Option("--dst", help="Dst index of the store, to compare.")] = None,
    snr: Annotated[
        str, typer.Option("--snr", metavar="A,B,...", help="Power over the station's quiet background.")
    ] = "0.1,0.3,1,3,10,30",
    windows: Annotated[int, typer.Option("--windows", help="Normal windows to plant in.")] = 200,
    false_alarms: Annotated[
        float, typer.Option("--false-alarms", help="Share of Normal windows that may exceed the threshold.")
    ] = 0.05,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for recovery.json, .csv and .png.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plant emissions in windows that a model has not seen, and count what it finds.

    Says how strong an emission must be, and what the alarms before real earthquakes exclude. Of the configuration
    simulate.emission (band, lead, law of magnitude and distance) and simulate.seed count.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError
    from seismag.recovery.plan import RecoveryPlan

    settings = load_config(config, overrides)
    try:
        values = tuple(sorted({float(value) for value in snr.split(",")}))
    except ValueError:
        raise UsageError(f"--snr {snr}: numbers separated by commas, e.g. --snr 0.3,1,3,10.") from None
    simulation = settings.simulate
    plan = RecoveryPlan(values, windows, false_alarms, simulation.emission, simulation.seed)
    from seismag.recovery.compute import recovery_study, write_recovery
    from seismag.recovery.result import format_recovery
    from seismag.windows.inputs import read_inputs

    log_to_stderr()
    inputs = read_inputs(archive, stations, catalog, kp, dst)
    report, plantings = recovery_study(model, data, inputs, plan, make_progress())
    if out is not None:
        write_recovery(report, plantings, out)
    if as_json:
        print_json(report)
    else:
        print(format_recovery(report))
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
    from seismag.training.crossval import crossval_json, describe_crossval, require_folds, run_crossval

    log_to_stderr()
    state = run_crossval(settings, store, folds, out, workers, scheduler, make_progress())
    if as_json:
        print_json(crossval_json(state))
    else:
        print(describe_crossval(state))
    require_folds(state)


@studies_app.command()
def audit(
    data: Annotated[Path | None, typer.Option("--data", help="Store.")] = None,
    predictions: Annotated[Path | None, typer.Option("--predictions", help="A table, ours or a stranger's.")] = None,
    table: Annotated[Path | None, typer.Option("--table", help="CSV or parquet of labels and metadata.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="With --table: column of the class.")] = None,
    groups: Annotated[
        str | None,
        typer.Option("--groups", metavar="A,B", help="Rows that agree in these stay together; station,date if there."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option("--features", metavar="A,B", help="Columns that must not tell the class; else by kind."),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option("--split", help="With --data: splits/NAME.parquet; default: as section split draws it."),
    ] = None,
    placebo: Annotated[
        list[Path] | None,
        typer.Option("--placebo", help="With --predictions: a store of placebo windows; may be given several times."),
    ] = None,
    claim: Annotated[str | None, typer.Option("--claim", help="What is claimed, in words, for the page.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for audit.json and the page audit.html.")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask what but a signal could explain the labels of a table, a store or predictions.

    Leakage, copies, impossible labels, and whether station, clock, era, space weather, source or quality alone tell the
    class. Exit status 3 where the gate fails.
    """
    from seismag.config import load_config
    from seismag.domain import UsageError

    settings = load_config(config, overrides)
    if (table is None) == (data is None and predictions is None):
        raise UsageError("Give --table FILE --label COLUMN, or --data STORE, or --predictions TABLE.")
    if table is not None and label is None:
        raise UsageError(f"--table {table}: --label COLUMN says which column is the class.")
    if table is None and not (label is None and groups is None and features is None):
        raise UsageError("--label, --groups and --features belong to --table FILE.")
    if split is not None and data is None:
        raise UsageError("--split belongs to --data STORE.")
    if placebo and predictions is None:
        raise UsageError("--placebo belongs to --predictions TABLE, whose models judge it.")
    from seismag.audit import compute as study
    from seismag.audit.text import format_audit

    log_to_stderr()
    metrics = None
    if table is not None:
        document = study.audit_table(table, str(label), _names(groups), _names(features), settings.audit)
    elif predictions is not None:
        document, metrics = study.audit_predictions(predictions, data, split, settings, placebo or [])
    else:
        assert data is not None
        document = study.audit_store(data, split, settings)
    if out is not None:
        from seismag.audit.page import write_audit_page

        study.write_audit(document, out)
        alarms = None if metrics is None else metrics.get("alarms")
        write_audit_page(document, out, metrics=metrics, alarms=alarms, claim=claim)
    if as_json:
        print_json(document)
    else:
        print(format_audit(document))
        if out is not None:
            print(f"\npage        {out / 'audit.html'}")
    if document["gate"] == "fail":
        raise typer.Exit(3)


@studies_app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders or loeo_convnext_results; the first is reported."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder; an earlier report in it is replaced.")] = Path(
        "publication_convnext"
    ),
    data: Annotated[Path | None, typer.Option("--data", help="Store; default: the one that the run names.")] = None,
    extras: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", metavar="FOLDER", help="Holds audit.json, recovery.json or explanation.json of the run."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write manuscript, figures, tables and a page about a finished run, every number from its record.

    What was found decides the text: a null result is written as one, with its upper limit. Folders audit/,
    recovery/ and explanation/ in that of the first run are quoted too.
    """
    from seismag.report.publication import describe_publication, write_publication

    log_to_stderr()
    say = (lambda _: None) if as_json else print
    summary = write_publication(runs, out, data, extras or [], say)
    print_json(summary) if as_json else print(describe_publication(summary))


@studies_app.command()
def explain(
    model: Annotated[Path, typer.Option("--model", help="Checkpoint (.pth) or run folder.")],
    data: Annotated[Path, typer.Option("--data", help="Store; windows that the training has not seen are explained.")],
    samples: Annotated[int, typer.Option("--samples", help="Windows to draw.")] = 20,
    method: Annotated[str, typer.Option("--method", help="gradcam or gradcam++.")] = "gradcam",
    label_control: Annotated[
        Path | None,
        typer.Option("--label-control", help="A run trained on shuffled labels; else heads are trained on them here."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder; default: explanation/, in the model's run folder if it has one."),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model looks at: Grad-CAM on axes of time and frequency, and what each band and component is worth.

    Tests that can fail say whether the maps can be believed. Of the configuration evaluate.seed, bootstrap and
    confidence count.
    """
    from seismag.config import load_config

    spec = load_config(config, overrides).evaluate
    from seismag.explain.compute import explain_model
    from seismag.explain.page import format_explanation, prepare_folder, write_explanation
    from seismag.explain.windows import (
        STUDY_LEAST,
        STUDY_SMALL,
        ExplanationPlan,
        open_subject,
        run_folder_of,
    )
    from seismag.runs import SMALL_VARIABLE

    log_to_stderr()
    least = STUDY_LEAST
    if os.environ.get(SMALL_VARIABLE) == "1":
        least = STUDY_SMALL
        log.warning("%s=1: band importance on %d windows or more, not %d", SMALL_VARIABLE, least, STUDY_LEAST)
    plan = ExplanationPlan(samples, method, label_control, least)  # type: ignore[arg-type]  # it refuses other methods
    subject = open_subject(model, data)
    folder = out or (run_folder_of(model) or Path()) / "explanation"
    prepare_folder(folder)  # before the work, not after it
    progress = make_progress()
    explanation = explain_model(subject, plan, spec, progress)
    page = write_explanation(explanation, folder, progress)
    if as_json:
        print_json(explanation.document)
    else:
        print(format_explanation(explanation.document))
        print(f"\npage        {page}")


def _names(listed: str | None) -> list[str] | None:
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
