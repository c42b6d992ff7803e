"""Commands of studies: alarms, audit, recover, explain, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seismag.cli.options import (
    CatalogOption,
    ConfigOption,
    JsonOption,
    OutOption,
    SetOption,
    StationsOption,
    example,
    split_names,
)
from seismag.cli.terminal import announce, make_progress, print_json, say

if TYPE_CHECKING:
    from seismag.config import AuditConfig

studies_app = typer.Typer(rich_markup_mode=None)
PredictionsOption = Annotated[
    Path | None, typer.Option("--predictions", metavar="TABLE", help="Predictions of any origin.")
]


@studies_app.command(epilog=example("seismag alarms --predictions predictions.parquet --data data/test"))
def alarms(
    predictions: Annotated[Path, typer.Option("--predictions", metavar="TABLE", help="Predictions of any origin.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="STORE", help="Store of the windows, for more references.")
    ] = None,
    out: OutOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate predictions as alarms: power, Molchan diagram, gain."""
    from seismag.config import load_config

    spec = load_config(config, overrides).evaluate
    announce(f"alarms: {predictions}")
    from seismag.alarms.compute import evaluate_alarms
    from seismag.alarms.text import format_alarms

    summary = evaluate_alarms(predictions, data, spec, out)
    if as_json:
        print_json(summary)
    else:
        print(format_alarms(summary))
        if out is not None:
            print(f"\nwritten to  {out}")


@studies_app.command(
    epilog=example(
        "seismag audit --data data/test",
        "seismag audit --predictions predictions.parquet --data data/test",
        "seismag audit --table labels.csv --label magnitude_class --groups station",
    )
)
def audit(
    data: Annotated[Path | None, typer.Option("--data", metavar="STORE", help="A store.")] = None,
    predictions: PredictionsOption = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="TABLE", help="Labels and metadata, CSV or parquet.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="With --table: column of the class.")
    ] = None,
    groups: Annotated[
        str | None, typer.Option("--groups", metavar="A,B", help="With --table: rows equal in these stay together.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", help="With --data: splits/NAME.parquet.")
    ] = None,
    out: OutOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the integrity of a table, a store or predictions.

    Leakage, copies, impossible labels, and how well station, clock, instrument epoch, space weather, source or
    quality alone predict the class. Exit status 3 where a blocking check fails. audit.features, audit.placebo and
    audit.claim of the configuration add columns, stores of placebo windows and the claim that the page quotes.
    """
    from seismag.config import load_config

    settings = load_config(config, overrides)
    _require_one_subject(data, predictions, table, label, groups, split, settings.audit)
    announce(f"audit: {table or predictions or data}")
    from seismag.audit import compute
    from seismag.audit.page import write_audit_page
    from seismag.audit.text import format_audit
    from seismag.folder_lock import folder_lock

    with folder_lock(out):
        if table is not None:
            result = compute.audit_labels(table, str(label), split_names(groups), settings.audit)
        elif predictions is not None:
            result = compute.audit_predictions(predictions, data, split, settings)
        else:
            assert data is not None
            result = compute.audit_store(data, split, settings)
        if out is not None:
            compute.write_audit(result, out)
            write_audit_page(result, out, settings.audit.claim)
    if as_json:
        print_json(result.to_json())
    else:
        print(format_audit(result))
        if out is not None:
            print(f"\npage        {out / 'audit.html'}")
    if result.failed:
        raise typer.Exit(3)


@studies_app.command(
    epilog=example(
        "seismag recover --model best.pth --archive archive --data store.zarr \\",
        "    --catalog quakes.csv --set recover.snr=[1,3,10]",
    )
)
def recover(
    model: Annotated[
        list[Path], typer.Option("--model", metavar="MODEL", help="Checkpoint or run; several: folds of one study.")
    ],
    archive: Annotated[Path, typer.Option("--archive", metavar="FOLDER", help="Archive of the store.")],
    data: Annotated[Path, typer.Option("--data", metavar="STORE", help="Its control windows get emissions.")],
    catalog: CatalogOption,
    stations: StationsOption = None,
    out: OutOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Inject emissions of known strength and count detections.

    The injection-recovery test: detection efficiency against strength, and the upper limit from a null result. Of
    the configuration the section recover, simulate.emission (band, lead, spectral model) and simulate.seed count.
    """
    from seismag.config import load_config

    settings = load_config(config, overrides)
    announce(f"recover: {len(model)} model(s), emissions into windows of {data}")
    from seismag.folder_lock import folder_lock
    from seismag.recovery.compute import RecoveryPlan, recovery_study, write_recovery
    from seismag.recovery.result import format_recovery
    from seismag.windows.inputs import read_inputs

    spec, simulation = settings.recover, settings.simulate
    snr = tuple(sorted(set(spec.snr)))
    plan = RecoveryPlan(snr, spec.windows, spec.false_alarm_fraction, simulation.emission, simulation.seed)
    inputs = read_inputs(archive, stations, catalog, None, None)
    with folder_lock(out):
        report, injections = recovery_study(model, data, inputs, plan, make_progress())
        if out is not None:
            write_recovery(report, injections, out)
    if as_json:
        print_json(report)
    else:
        print(format_recovery(report))
        if out is not None:
            print(f"\nwritten to  {out}")


@studies_app.command(epilog=example("seismag explain --model models/convnext_loeo_best.pth --data data/test"))
def explain(
    model: Annotated[Path, typer.Option("--model", metavar="MODEL", help="Checkpoint (.pth) or run folder.")],
    data: Annotated[Path, typer.Option("--data", metavar="STORE", help="Windows outside the training are explained.")],
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="Windows to show.")] = 20,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="gradcam or gradcam++.")] = "gradcam",
    label_control: Annotated[
        Path | None,
        typer.Option(
            "--label-control", metavar="RUN", help="A run trained on shuffled labels; else heads are refitted."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Default: explanation/, in the run folder.")
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a model: Grad-CAM, importance of bands, tests.

    Sanity tests show whether the maps are reliable. Of the configuration evaluate.seed and confidence count.
    """
    from seismag.config import load_config

    spec = load_config(config, overrides).evaluate
    announce(f"explain: {model} on {data}")
    from seismag.explain.compute import explain_model
    from seismag.explain.page import format_explanation, prepare_folder, write_explanation
    from seismag.explain.subject import STUDY_LEAST, STUDY_SMALL, ExplanationPlan, open_subject, run_folder_of
    from seismag.folder_lock import folder_lock
    from seismag.runs import SMALL_VARIABLE

    least = STUDY_LEAST
    if os.environ.get(SMALL_VARIABLE) == "1":
        least = STUDY_SMALL
        say(f"{SMALL_VARIABLE}=1: importance on {least} windows or more, not {STUDY_LEAST}", as_json=True)
    plan = ExplanationPlan(samples, method, label_control, least)  # type: ignore[arg-type]  # it refuses other methods
    subject = open_subject(model, data)
    folder = out or (run_folder_of(model) or Path()) / "explanation"
    progress = make_progress()
    with folder_lock(folder, whole=True):
        prepare_folder(folder)  # before the work, not after it
        explanation = explain_model(subject, plan, spec, progress)
        page = write_explanation(explanation, folder, progress)
    if as_json:
        print_json(explanation.document)
    else:
        print(format_explanation(explanation.document))
        print(f"\npage        {page}")


@studies_app.command(epilog=example("seismag report loeo_convnext_results --out publication_convnext"))
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs or results; the first is reported.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="An earlier report in it is replaced.")] = Path(
        "publication_convnext"
    ),
    data: Annotated[
        Path | None, typer.Option("--data", metavar="STORE", help="Default: the store that the run names.")
    ] = None,
    extras: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="FOLDER", help="With audit.json, recovery.json or explanation.json."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write manuscript, figures, tables and page of a study.

    Every number comes from a recorded result. A null result is written as one, with its upper limit. Folders audit/,
    recovery/ and explanation/ beside the first run are quoted too.
    """
    announce(f"report: {runs[0]}")
    from seismag.report.publication import describe_publication, write_publication

    summary = write_publication(runs, out, data, extras or [], lambda line: say(line, as_json=as_json))
    print_json(summary) if as_json else print(describe_publication(summary))


def _require_one_subject(
    data: Path | None, predictions: Path | None, table: Path | None, label: str | None, groups: str | None,
    split: Path | None, spec: AuditConfig,
) -> None:  # fmt: skip
    """Refuse options of ``audit`` that do not belong together."""
    from seismag.domain import UsageError

    if (table is None) == (data is None and predictions is None):
        raise UsageError("Give --table FILE --label COLUMN, or --data STORE, or --predictions TABLE.")
    if table is not None and label is None:
        raise UsageError(f"--table {table}: --label COLUMN names the column of the class.")
    if table is None and not (label is None and groups is None and not spec.features):
        raise UsageError("--label, --groups and audit.features belong to --table FILE.")
    if split is not None and data is None:
        raise UsageError("--split belongs to --data STORE.")
    if spec.placebo and predictions is None:
        raise UsageError("audit.placebo belongs to --predictions TABLE, whose models predict the placebo windows.")
