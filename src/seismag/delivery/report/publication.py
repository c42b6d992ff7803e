"""The stage of the report: from recorded results to a folder of texts, tables, figures, a PDF and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from seismag.delivery.report.evidence import Evidence, read_evidence
from seismag.delivery.report.figures import draw_figures
from seismag.delivery.report.findings import find
from seismag.delivery.report.page import write_page
from seismag.delivery.report.quotation import check_html, check_markdown
from seismag.delivery.report.result_tables import make_tables
from seismag.delivery.report.tables import Table, write_tables
from seismag.delivery.report.texts import Texts
from seismag.delivery.report.typeset import write_pdf
from seismag.domain import DataError, SeismagError, UsageError
from seismag.learning.architecture import describe_model
from seismag.runs import write_json_atomic, write_text_atomic
from seismag.validation.comparison import compare_runs

MARK = "publication.json"  # a folder with it is ours, and may be replaced
CONTENTS = {
    "MANUSCRIPT_DRAFT.md": "the manuscript; `manuscript.pdf` is typeset from it",
    "ABSTRACT.md": "its abstract",
    "METHODOLOGY.md": "what was done, with the rules of the split",
    "MODEL_ARCHITECTURE.md": "the model, block by block",
    "TRAINING_REPORT.md": "each training run",
    "COMPARISON_WITH_OTHER_MODELS.md": "paired differences, size and speed; earlier claims",
    "MODEL_CARD.md": "for whom the model is, and for what not",
    "DATASHEET.md": "the data set",
    "REFORMS.md": "the REFORMS checklist, filled from the record",
    "CONFIGURATIONS_TRIED.md": "every configuration that was trained on this data set",
}
_ALSO = {
    "MCC_ANALYSIS.json": "Matthews correlation from the confusion matrices",
    "manuscript.pdf": "the manuscript as PDF, made by typst from `manuscript.typ`",
    "report.html": "all of it as one page with interactive figures, no network needed",
    "references.bib": "the references",
    "tables/": "the tables as CSV and LaTeX",
    "figures/": "the figures as PNG and PDF",
    "sources/": "the documents that the numbers are quoted from",
}


def write_publication(
    runs: Sequence[Path],
    out: Path,
    data: Path | None = None,
    extras: Sequence[Path] = (),
    latency: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the publication of the first run; the others are compared with it.

    Args:
        runs: folders of runs or of cross-validations, on one data set, by one split.
        out: folder; an earlier publication there is replaced.
        data: the store; None: the one that the run names.
        extras: folders with audit.json, recovery.json or explanation.json of the first run.
        latency: measure how long each model takes for a window.
        say: called with lines for people.

    Returns:
        Plain values for JSON: out, subject, conclusion, files, figures that could not be drawn, what is not recorded.

    Raises:
        UsageError: ``out`` holds something else. DataError: a run cannot be reported, or runs cannot be compared.
        MissingNumberError: a number that a text needs is not recorded.
    """
    if not runs:
        raise UsageError("No RUN given. Name a run folder (experiments_convnext/RUN) or loeo_convnext_results.")
    evidence = read_evidence(runs[0], data, extras)
    findings = find(evidence.quoter)
    say(f"{evidence.subject}: {', '.join(f'{task} {finding.outcome}' for task, finding in findings.items())}")
    comparison = compare_runs(list(runs), latency=latency, data=data)
    more = {"architecture.json": describe_model(evidence.runs[0].best_model), "comparison.json": comparison}
    documents = {**evidence.documents, **more}
    _make_folder(out)
    for name, document in documents.items():
        write_json_atomic(out / "sources" / evidence.subject / name, document)
    documents = {name: json.loads((out / "sources" / evidence.subject / name).read_text()) for name in documents}
    evidence = _with_documents(evidence, documents)
    say("figures")
    figures = draw_figures(evidence, out / "figures")
    tables = make_tables(evidence.quoter, findings)
    texts = Texts(evidence, findings, tables, figures)
    say("texts, tables")
    written = _write_texts(texts, tables, out, figures)
    write_json_atomic(out / "MCC_ANALYSIS.json", documents["mcc.json"])
    say("page and PDF")
    write_pdf(written["MANUSCRIPT_DRAFT.md"], texts.title, out)
    write_page(texts.title, evidence, written, figures, out / "report.html")
    _check(out)
    summary = {
        "out": str(out),
        "subject": evidence.subject,
        "conclusion": texts.conclusion,
        "files": sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()),
        "not_drawn": {name: drawn.reason for name, drawn in figures.items() if drawn.file is None},
        "not_recorded": evidence.missing,
    }
    write_json_atomic(out / MARK, summary)
    return summary
