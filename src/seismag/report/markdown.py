"""Markdown parsed to HTML for the page and to tokens for typst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seismag.domain import SeismagError
from seismag.report.quotation import to_html


def parse_markdown(text: str) -> Sequence[Any]:
    """Parse a text to block tokens (CommonMark with pipe tables)."""
    tokens: Sequence[Any] = _reader().parse(text)
    return tokens


def render_markdown(text: str) -> str:
    """Render a text as an HTML fragment; the sources of its numbers become attributes."""
    return to_html(str(_reader().render(text)))


def _reader() -> Any:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise SeismagError("The page and the PDF need markdown-it-py: pip install 'seismag[report]'.") from error
    reader = MarkdownIt("commonmark").enable("table")
    return reader.disable("html_block")  # a line that begins with a source comment is no HTML
