"""The stage of the report: from recorded results to a folder of texts, tables, figures, a PDF and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from seismag.delivery.report.evidence import Evidence, read_evidence
from seismag.delivery.report.figures import draw_report_figures
from seismag.delivery.report.findings import find
from seismag.delivery.report.page import write_page
from seismag.delivery.report.quotation import Documents, Problem, check_html, check_markdown
from seismag.delivery.report.result_tables import make_tables
from seismag.delivery.report.tables import write_tables
from seismag.delivery.report.texts import Texts
from seismag.delivery.report.typeset import write_pdf
from seismag.domain import DataError, UsageError
from seismag.learning.architecture import describe_model
from seismag.runs import write_json_atomic, write_text_atomic
from seismag.validation.comparison import compare_runs
from seismag.validation.configurations import list_configurations

MARK = "publication.json"  # a folder with it is ours, and its content may be replaced
SOURCES = "sources"
TEXTS = {
    "MANUSCRIPT_DRAFT.md": "the manuscript; `manuscript.pdf` is typeset from it",
    "ABSTRACT.md": "its abstract",
    "METHODOLOGY.md": "what was done, with the rules of the split",
    "MODEL_ARCHITECTURE.md": "the model, block by block",
    "TRAINING_REPORT.md": "each training run",
    "COMPARISON_WITH_OTHER_MODELS.md": "paired differences, size and speed; what earlier systems claimed",
    "MODEL_CARD.md": "for what the model is, and for what not",
    "DATASHEET.md": "the data set: composition, collection, what was left out",
    "REFORMS.md": "the REFORMS checklist, answered from the record",
    "CONFIGURATIONS_TRIED.md": "every run on this data set",
}
_FILES = {
    "manuscript.pdf": "the manuscript, typeset",
    "report.html": "all of it on one page with interactive figures; needs no network",
    "MCC_ANALYSIS.json": "Matthews correlation from the confusion matrices",
    "references.bib": "what the texts cite",
    "tables": "the tables as CSV and LaTeX, with the source of each cell",
    "figures": "the figures as PNG and PDF",
    SOURCES: "the documents that the numbers are quoted from",
}


def write_publication(
    runs: Sequence[Path],
    out: Path,
    data: Path | None = None,
    extras: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the publication of the first run; the others are compared with it.

    Args:
        runs: folders of runs or of cross-validations, on one data set, by one split.
        out: folder; an earlier publication in it is replaced.
        data: the store; None: the one that the run names.
        extras: folders with audit.json, recovery.json or explanation.json of the first run.
        say: called with lines for people.

    Returns:
        Plain values for JSON: out, subject, conclusion, outcomes (by task), files, not_drawn, not_recorded (reason or
        command by name), seconds are the caller's.

    Raises:
        UsageError: ``out`` holds something else. DataError: a run cannot be reported, or runs cannot be compared.
        MissingNumberError: a number that a text needs is not recorded.
    """
    if not runs:
        raise UsageError("No RUN given. Name a run folder (experiments_convnext/RUN) or loeo_convnext_results.")
    evidence = read_evidence(runs[0], data, extras)
    require_ours(out)
    say("comparison")
    first = evidence.runs[0]
    more = {
        "architecture.json": describe_model(first.best_model),
        "comparison.json": compare_runs(runs, first.config().evaluate, data=data),
        "configurations.json": list_configurations(first.path.parent, evidence.documents["metrics.json"]["dataset_id"]),
        "published_claims.json": json.loads(_shipped("published_claims.json")),
    }
    evidence = _recorded(evidence, more, out)
    findings = find(evidence.quoter)
    say(f"{evidence.subject}: {', '.join(f'{task} {finding.outcome}' for task, finding in findings.items())}")
    say("figures")
    figures = draw_report_figures(evidence, out)
    tables = make_tables(evidence.quoter, findings)
    texts = Texts(evidence, findings, tables, figures)
    say("tables and texts")
    write_tables(list(tables.values()), out / "tables")
    written = {name: texts.render(name) for name in TEXTS}
    not_drawn = {name: drawn.reason for name, drawn in figures.items() if drawn.file is None}
    written["README.md"] = texts.render("README.md", contents={**TEXTS, **_FILES}, not_drawn=not_drawn)
    for name, text in written.items():
        write_text_atomic(out / name, text)
    write_json_atomic(out / "MCC_ANALYSIS.json", evidence.documents["mcc.json"])
    write_text_atomic(out / "references.bib", _shipped("templates/references.bib"))
    say("page and PDF")
    write_pdf(written["MANUSCRIPT_DRAFT.md"], texts.title, out)
    order = ["ABSTRACT.md", *(name for name in written if name not in ("ABSTRACT.md", "README.md"))]
    write_page(texts.title, evidence, {name: written[name] for name in order}, figures, out / "report.html")
    require_sources(out)
    summary = {
        "out": str(out),
        "subject": evidence.subject,
        "title": texts.title,
        "conclusion": texts.conclusion,
        "outcomes": {task: finding.outcome for task, finding in findings.items()},
        "not_drawn": not_drawn,
        "not_recorded": evidence.missing,
        "files": sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()),
    }
    write_json_atomic(out / MARK, summary)
    return summary


def describe_publication(summary: Mapping[str, Any]) -> str:
    """Lines for a terminal: what was found, where to look, what is missing."""
    lines = [f"title       {summary['title']}"]
    lines += [
        f"{'outcome' if k == 0 else '':<12}{task}: {outcome}"
        for k, (task, outcome) in enumerate(summary["outcomes"].items())
    ]
    lines += [
        f"page        {summary['out']}/report.html",
        f"manuscript  {summary['out']}/manuscript.pdf, MANUSCRIPT_DRAFT.md",
    ]
    lines += [f"not drawn   {name}: {reason}" for name, reason in summary["not_drawn"].items()]
    lines += [f"missing     {name}; made by: {command}" for name, command in summary["not_recorded"].items()]
    return "\n".join([*lines, f"all in      {summary['out']} ({len(summary['files'])} files)"])


def require_ours(out: Path) -> None:
    """Make the folder, or clear the publication that is in it.

    Raises:
        UsageError: something else is there. DataError: it cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: a file. Name a folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise UsageError(f"--out {out}: holds files that no report made. Choose another folder, or move them.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for entry in list(out.iterdir()):
            if entry.name != MARK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        write_json_atomic(out / MARK, {"unfinished": True})
    except OSError as error:
        raise DataError(f"--out {out}: cannot be written ({error.strerror}). Choose another folder.") from error


def check_folder(folder: Path) -> list[tuple[str, Problem]]:
    """Compare every number of a publication with the documents in its ``sources/``.

    Returns:
        File and problem; empty where all is well.

    Raises:
        DataError: the folder is no finished publication.
    """
    if not (folder / MARK).is_file() or not (folder / SOURCES).is_dir():
        raise DataError(f"{folder}: not a publication. 'seismag report RUN --out {folder}' makes one.")
    documents: Documents = {
        subject.name: {path.name: json.loads(path.read_text("utf-8")) for path in subject.glob("*.json")}
        for subject in (folder / SOURCES).iterdir()
    }
    problems = []
    for path in sorted(folder.glob("*.md")):
        problems += [(path.name, problem) for problem in check_markdown(path.read_text("utf-8"), documents)]
    for path in sorted(folder.glob("*.html")):
        problems += [(path.name, problem) for problem in check_html(path.read_text("utf-8"), documents)]
    return problems


def require_sources(folder: Path) -> None:
    """End with an error where a number of a publication is not what its source says.

    Raises:
        DataError: names the first, and how many there are.
    """
    if problems := check_folder(folder):
        name, first = problems[0]
        raise DataError(f"{folder / name}: {first.shown}: {first.reason} (and {len(problems) - 1} more).")


def _shipped(name: str) -> str:
    return files("seismag.delivery.report").joinpath(name).read_text("utf-8")


def _recorded(evidence: Evidence, more: Mapping[str, Any], out: Path) -> Evidence:
    """Write the documents beside the texts, and quote what was written."""
    folder = out / SOURCES / evidence.subject
    documents = {**evidence.documents, **more}
    for name, document in documents.items():
        write_json_atomic(folder / name, document)
    return replace(evidence, documents={name: json.loads((folder / name).read_text("utf-8")) for name in documents})
