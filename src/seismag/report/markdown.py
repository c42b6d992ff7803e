"""The one reading of our Markdown: for the page as HTML, for typst as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seismag.domain import SeismagError
from seismag.report.quotation import to_html


def parse(text: str) -> Sequence[Any]:
    """Give the block tokens of a text (CommonMark with pipe tables)."""
    tokens: Sequence[Any] = _reader().parse(text)
    return tokens


def render(text: str) -> str:
    """Give a text as an HTML fragment; the sources of its numbers become attributes."""
    return to_html(str(_reader().render(text)))


def _reader() -> Any:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise SeismagError("The page and the PDF need markdown-it-py: pip install 'seismag[report]'.") from error
    reader = MarkdownIt("commonmark").enable("table")
    return reader.disable("html_block")  # else a line that begins with a source comment is taken as HTML, unescaped
