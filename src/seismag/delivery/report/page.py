"""All texts and figures on one page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seismag.delivery.report.evidence import Evidence
from seismag.delivery.report.figures import Drawn
from seismag.delivery.report.markdown import render
from seismag.runs import write_text_atomic


def write_page(
    title: str, evidence: Evidence, texts: Mapping[str, str], figures: Mapping[str, Drawn], path: Path
) -> None:
    """Write the page (texts alone until its interactive figures are merged)."""
    del evidence, figures
    body = "".join(f"<section>{render(text)}</section>" for text in texts.values())
    write_text_atomic(path, f"<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>{title}</title>{body}</html>")
