"""Markdown as HTML for the page and as typst source, and typst's PDF of the manuscript.

Supported are the elements of our templates: headings, paragraphs, emphasis, code, quotes, lists, pipe tables, pictures
with a caption, links, and citations ``[@key]``. Any other element is an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seismag.domain import SeismagError
from seismag.files import atomic_path, write_text_atomic
from seismag.report.quotation import to_html, without_sources

_SPECIAL = re.compile(r"([\\#*_`$<>@=~\[\]/+-])")
_CITATION = re.compile(r"\[@([\w-]+)((?:; @[\w-]+)*)\]")
_IGNORED = {
    "paragraph_open", "list_item_close", "thead_open", "thead_close", "tbody_open", "tbody_close", "tr_close",
    "th_open", "th_close", "td_open", "td_close",
}  # fmt: skip
_PREAMBLE = """#set document(title: {title})
#set page(paper: "a4", margin: 2.4cm, numbering: "1")
#set text(font: ("Libertinus Serif", "New Computer Modern"), size: 10.5pt, lang: "en")
#set par(justify: true)
#set heading(numbering: none)
#show table: set text(size: 7.5pt)
#show figure.caption: set text(size: 9pt)
#set table(stroke: none, inset: (x: 4pt, y: 2.5pt))
#show quote: set block(fill: luma(240), inset: 8pt)
"""
_TITLE = '\n#align(center, text(size: 16pt, weight: "bold")['
_REFERENCES = '\n#bibliography("references.bib", title: none, style: "american-psychological-association")\n'


def render_markdown(text: str) -> str:
    """Render a text as an HTML fragment; the sources of its numbers become attributes."""
    return to_html(str(_reader().render(text)))


def write_pdf(markdown: str, title: str, folder: Path) -> None:
    """Typeset a Markdown text of ``folder``, where its pictures lie, to ``manuscript.typ`` and ``manuscript.pdf``.

    Raises:
        SeismagError: typst is not installed, or rejects the source.
    """
    try:
        import typst
    except ImportError as error:
        raise SeismagError("The PDF needs typst: pip install 'seismag[report]'.") from error
    source = folder / "manuscript.typ"

    def vector_form(match: re.Match[str]) -> str:
        return f"({match[1]}.pdf)" if (folder / f"{match[1]}.pdf").is_file() else match[0]

    drawn = re.sub(r"\(([\w/]+)\.png\)", vector_form, markdown)
    body = "".join(_blocks(_reader().parse(without_sources(drawn))))  # the first heading becomes the title
    cited = _CITATION.search(drawn) is not None
    write_text_atomic(source, _PREAMBLE.format(title=_string(title)) + body + (_REFERENCES if cited else ""))
    try:
        with atomic_path(folder / "manuscript.pdf") as temporary:
            typst.compile(str(source), output=str(temporary))
    except RuntimeError as error:
        raise SeismagError(f"{source}: typst rejects it ({error}).") from error


def _reader() -> Any:
    """CommonMark with pipe tables."""
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise SeismagError("The page and the PDF need markdown-it-py: pip install 'seismag[report]'.") from error
    reader = MarkdownIt("commonmark").enable("table")
    return reader.disable("html_block")  # a line that begins with a source comment is no HTML


def _blocks(tokens: Sequence[Any]) -> list[str]:
    out: list[str] = []
    lists: list[str] = []
    table: list[list[str]] | None = None
    for token in tokens:
        match token.type:
            case "heading_open":
                level = int(token.tag[1])
                out.append(_TITLE if level == 1 else "\n" + "=" * (level - 1) + " ")
            case "heading_close":
                out.append("])\n" if token.tag == "h1" else "\n")
            case "paragraph_close":
                out.append("\n" if lists else "\n\n")
            case "inline" if table is not None:
                table[-1].append("".join(_inline(token.children)))
            case "inline":
                out.append("".join(_inline(token.children)))
            case "bullet_list_open":
                lists.append("- ")
            case "ordered_list_open":
                lists.append("+ ")
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
                out.append("\n")
            case "list_item_open":
                out.append("  " * (len(lists) - 1) + lists[-1])
            case "blockquote_open":
                out.append("#quote(block: true)[")
            case "blockquote_close":
                out.append("]\n\n")
            case "table_open":
                table = []
            case "tr_open":
                assert table is not None
                table.append([])
            case "table_close":
                assert table is not None
                out.append(_table(table))
                table = None
            case "fence" | "code_block":
                out.append(f"#raw({_string(token.content)}, block: true)\n\n")
            case "hr":
                out.append("#line(length: 100%)\n\n")
            case "html_block" if not token.content.strip():
                pass
            case other if other in _IGNORED:
                pass
            case other:
                raise SeismagError(f"the manuscript contains {other}, which its typesetting does not support.")
    return out


def _table(rows: list[list[str]]) -> str:
    width = len(rows[0])
    align = "(" + ", ".join(["left", *["right"] * (width - 1)]) + ",)"
    head = ", ".join(f"[*{cell}*]" for cell in rows[0])
    body = "".join("  " + ", ".join(f"[{cell}]" for cell in row) + ",\n" for row in rows[1:])
    return (
        f"#align(center, table(columns: {width}, align: {align},\n  table.hline(stroke: 0.8pt), table.header({head}),\n"
        f"  table.hline(stroke: 0.4pt),\n{body}  table.hline(stroke: 0.8pt),\n))\n\n"
    )


def _inline(children: Sequence[Any]) -> list[str]:
    out: list[str] = []
    for child in children:
        match child.type:
            case "text":
                out.append(_cited(child.content))
            case "softbreak" | "hardbreak":
                out.append(" ")
            case "strong_open":
                out.append("#strong[")
            case "em_open":
                out.append("#emph[")
            case "strong_close" | "em_close":
                out.append("]")
            case "code_inline":
                out.append(f"#raw({_string(child.content)})")
            case "link_open":
                out.append(f"#link({_string(str(child.attrs['href']))})[")
            case "link_close":
                out.append("]")
            case "image":
                picture = _string(str(child.attrs["src"]))
                out.append(f"#figure(image({picture}), caption: [{_escape(child.content)}])")
            case other:
                raise SeismagError(f"the manuscript contains {other}, which its typesetting does not support.")
    return out


def _cited(text: str) -> str:
    parts, end = [], 0
    for match in _CITATION.finditer(text):
        keys = [match[1], *re.findall(r"@([\w-]+)", match[2])]
        parts += [_escape(text[end : match.start()]), " ".join(f"#cite(<{key}>)" for key in keys)]
        end = match.end()
    return "".join([*parts, _escape(text[end:])])


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
