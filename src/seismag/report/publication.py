"""A publication: a folder of texts, tables, figures, a PDF and a page, from recorded results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seismag.compare.compute import compare_runs, describe_cost
from seismag.documents import damage_explained
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import without_folders, write_json_atomic, write_text_atomic
from seismag.folder_lock import LOCK_NAME, one_writer
from seismag.models.architecture import describe_model
from seismag.report.evidence import Evidence, read_evidence
from seismag.report.figures import draw_report_figures
from seismag.report.findings import find
from seismag.report.page import write_page
from seismag.report.quotation import Documents, Problem, check_html, check_markdown
from seismag.report.result_tables import make_tables
from seismag.report.tables import write_tables
from seismag.report.texts import Texts
from seismag.report.typeset import write_pdf
from seismag.training.tried import list_configurations

MARK = "publication.json"  # marks a folder that a report may replace
SOURCES = "sources"
TEXTS = {
    "MANUSCRIPT_DRAFT.md": "the manuscript; `manuscript.pdf` is typeset from it",
    "ABSTRACT.md": "its abstract",
    "METHODOLOGY.md": "methods, with the rules of the split",
    "MODEL_ARCHITECTURE.md": "the model, block by block",
    "TRAINING_REPORT.md": "each training run",
    "COMPARISON_WITH_OTHER_MODELS.md": "paired differences, size and speed; published accuracies of earlier systems",
    "MODEL_CARD.md": "model card: intended use, scores, caveats",
    "DATASHEET.md": "the data set: composition, collection, excluded windows",
    "REFORMS.md": "the REFORMS checklist, answered from the recorded results",
    "CONFIGURATIONS_TRIED.md": "all runs on this data set",
}
_FILES = {
    "manuscript.pdf": "the manuscript, typeset",
    "report.html": "all texts on one page with interactive figures; needs no network",
    "MCC_ANALYSIS.json": "Matthews correlation from the confusion matrices",
    "references.bib": "cited works",
    "tables": "the tables as CSV and LaTeX, with the source of each cell",
    "figures": "the figures as PNG and PDF",
    SOURCES: "the documents that the numbers are quoted from",
}
_PACKAGES = {"markdown_it": "markdown-it-py", "plotly": "Plotly", "typst": "typst"}
_WORK = ".seismag_report"  # subfolder of an unfinished report
_OURS = {*TEXTS, *_FILES, "README.md", "manuscript.typ", MARK, _WORK}


@one_writer()
def write_publication(
    runs: Sequence[Path],
    out: Path,
    data: Path | None = None,
    extras: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the publication of the first run, with a comparison of the other runs.

    Args:
        runs: folders of runs or of cross-validations, on one data set, by one split.
        out: folder; an earlier publication in it is replaced, once the new one is finished.
        data: the store; None: the one that the run names.
        extras: folders with audit.json, recovery.json or explanation.json of the first run.
        say: called with lines for people.

    Returns:
        Plain values for JSON: out, subject, title, conclusion, outcomes (by task), files, not_drawn and not_recorded
        (reason or command by name).

    Raises:
        UsageError: ``out`` contains other files. DataError: a run cannot be reported, or runs cannot be compared.
        MissingNumberError: a number that a text quotes is not recorded.
    """
    if not runs:
        raise UsageError("No RUN given. Name a run folder (experiments_convnext/RUN) or loeo_convnext_results.")
    if gone := [name for package, name in _PACKAGES.items() if find_spec(package) is None]:
        raise SeismagError(f"A report needs {' and '.join(gone)}: pip install 'seismag[report]'.")
    evidence = read_evidence(runs[0], data, extras)
    with _work_folder(out) as work:
        with damage_explained(f"a record of {evidence.subject}", "Make its documents again."):
            summary = _write(runs, evidence, data, work, say)
        files = sorted([MARK, *(str(path.relative_to(work)) for path in work.rglob("*") if path.is_file())])
        summary = {"out": str(out), **summary, "files": files}
        write_json_atomic(work / MARK, without_folders(summary))
    return summary


def _write(
    runs: Sequence[Path], evidence: Evidence, data: Path | None, out: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write all files into an empty folder; gives the summary without the paths."""
    say("comparison")
    first = evidence.runs[0]
    more = {
        "architecture.json": describe_model(first.best_model).to_json(),
        "comparison.json": (
            compare_runs(runs, first.config().evaluate, data=data) if len(runs) > 1 else describe_cost(runs[0])
        ),
        "configurations.json": list_configurations(first.path.parent, evidence.store),
        "published_claims.json": json.loads(_shipped("published_claims.json")),
    }
    missing, evidence = evidence.missing, _recorded(evidence, more, out)
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
    if problems := check_folder(out):
        name, problem = problems[0]
        raise DataError(f"{name}: {problem.shown}: {problem.reason} (and {len(problems) - 1} more).")
    return {
        "subject": evidence.subject,
        "title": texts.title,
        "conclusion": texts.conclusion,
        "outcomes": {task: finding.outcome for task, finding in findings.items()},
        "not_drawn": not_drawn,
        "not_recorded": missing,
    }


def describe_publication(summary: Mapping[str, Any]) -> str:
    """Format the summary for a terminal: outcomes, main files, missing documents."""
    outcomes = [f"{task}: {outcome}" for task, outcome in summary["outcomes"].items()]
    lines = [
        f"title       {summary['title']}",
        "outcome     " + "\n            ".join(outcomes),
        f"page        {summary['out']}/report.html",
        f"manuscript  {summary['out']}/manuscript.pdf, MANUSCRIPT_DRAFT.md",
    ]
    lines += [f"not drawn   {name}: {reason}" for name, reason in summary["not_drawn"].items()]
    lines += [f"missing     {name}; made by: {command}" for name, command in summary["not_recorded"].items()]
    return "\n".join([*lines, f"all in      {summary['out']} ({len(summary['files'])} files)"])


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder within ``out``; at the end its content replaces an earlier publication.

    If the report fails or is interrupted, the earlier publication is unchanged.

    Raises:
        UsageError: ``out`` contains other files. DataError: it cannot be written.
    """
    _require_ours(out)
    work = out / _WORK
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        yield work
        _replace_earlier(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _require_ours(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: a file. Name a folder.")
    names = {entry.name for entry in out.iterdir()} - {LOCK_NAME} if out.is_dir() else set()
    if names - {_WORK} and MARK not in names:
        raise UsageError(f"--out {out}: contains files that no report made. Choose another folder, or move them.")
    if strange := sorted(names - _OURS):
        raise UsageError(
            f"--out {out}: contains {strange[0]}, which no report made, and a report replaces the whole folder. "
            "Choose another folder, or move it."
        )


def _replace_earlier(work: Path, out: Path) -> None:
    """Replace the earlier publication by the finished one; the mark is moved last."""
    try:
        for entry in list(out.iterdir()):
            if entry.name not in (MARK, _WORK, LOCK_NAME):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        for entry in sorted(work.iterdir(), key=lambda entry: entry.name == MARK):
            entry.replace(out / entry.name)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> DataError:
    return DataError(f"--out {out}: cannot be written ({error.strerror}). Choose another folder.")


def check_folder(folder: Path) -> list[tuple[str, Problem]]:
    """Compare the numbers of a publication with the documents in its ``sources/``.

    Checked are the numbers of the Markdown texts, report.html and MCC_ANALYSIS.json.

    Returns:
        File and problem; empty if all numbers agree.
    """
    documents: Documents = {
        subject.name: {path.name: json.loads(path.read_text("utf-8")) for path in subject.glob("*.json")}
        for subject in (folder / SOURCES).iterdir()
    }
    problems = []
    for pattern, check in (("*.md", check_markdown), ("*.html", check_html)):
        for path in sorted(folder.glob(pattern)):
            problems += [(path.name, problem) for problem in check(path.read_text("utf-8"), documents)]
    analysis = json.loads((folder / "MCC_ANALYSIS.json").read_text("utf-8"))
    if analysis not in [recorded.get("mcc.json") for recorded in documents.values()]:
        problems.append(("MCC_ANALYSIS.json", Problem("Matthews correlation", f"differs from mcc.json in {SOURCES}/")))
    return problems


def _shipped(name: str) -> str:
    return files("seismag.report").joinpath(name).read_text("utf-8")


def _recorded(evidence: Evidence, more: Mapping[str, Any], out: Path) -> Evidence:
    """Write the documents to ``sources/``, without folders of this machine; gives the evidence as read from there."""
    folder = out / SOURCES / evidence.subject
    documents = without_folders({**evidence.documents, **more})
    for name, document in documents.items():
        write_json_atomic(folder / name, document)
    written = {name: json.loads((folder / name).read_text("utf-8")) for name in documents}
    return replace(evidence, documents=written, missing=without_folders(evidence.missing))
