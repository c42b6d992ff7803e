"""Tables of recorded numbers as Markdown, CSV and LaTeX, with the source of each cell.

In CSV each column of numbers is followed by a column ``<column> source``; in LaTeX a comment after each row gives its
sources.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seismag.files import write_text_atomic
from seismag.report.quotation import Quoter, without_sources, without_tags
from seismag.table_files import inert

_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
          "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}  # fmt: skip


@dataclass(frozen=True)
class Quote:
    """A cell quoted from a document; ``interval``: value, low and high below the pointer."""

    document: str
    pointer: str
    form: str = ".3f"
    interval: bool = False


Cell = str | Quote
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header."""

    name: str  # of its files, without suffix
    caption: str  # in Markdown, one or two sentences, with sources where it quotes
    columns: tuple[str, ...]  # header, units in brackets
    rows: list[Row]  # as long as the header
    quoter: Quoter  # of the subject that the cells quote

    def markdown(self) -> str:
        """Write as a pipe table; the first column is aligned left, the others right."""
        lines = [
            "| " + " | ".join(self.columns) + " |",
            "| :-- " + "| --: " * (len(self.columns) - 1) + "|",
            *("| " + " | ".join(self._quoted(cell) for cell in row) + " |" for row in self.rows),
        ]
        return "\n".join(lines)

    def csv(self) -> str:
        """Write the recorded values in full precision, each quoted column followed by its sources."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        header: list[str] = []
        widths = []
        for name, *cells in zip(self.columns, *self.rows, strict=True):
            quotes = [cell for cell in cells if isinstance(cell, Quote)]
            limits = [f"{name} low", f"{name} high"] if any(quote.interval for quote in quotes) else []
            names = [name, *limits, f"{name} source"] if quotes else [name]
            header += names
            widths.append(len(names))
        writer.writerow(map(inert, header))
        for row in self.rows:
            values: list[object] = []
            for cell, width in zip(row, widths, strict=True):
                values += self._csv_cells(cell, width)
            writer.writerow(values)
        return file.getvalue()

    def latex(self) -> str:
        """Write as a table environment for the package booktabs."""
        lines = [
            r"\begin{table}", rf"\caption{{{_latex(without_sources(self.caption))}}}", rf"\label{{tab:{self.name}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}", r"\toprule",
            " & ".join(map(_latex, self.columns)) + r" \\", r"\midrule",
        ]  # fmt: skip
        for row in self.rows:
            lines.append(" & ".join(_latex(without_sources(self._quoted(cell))) for cell in row) + r" \\")
            sources = [f"{c.document}#{c.pointer} {c.form}" for c in row if isinstance(c, Quote)]
            if sources:
                lines.append(f"% src: {self.quoter.subject}: " + "; ".join(sources))
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])

    def _quoted(self, cell: Cell) -> str:
        if isinstance(cell, str):
            return without_tags(cell.replace("|", "/"))
        quote = self.quoter.interval if cell.interval else self.quoter.number
        return quote(cell.document, cell.pointer, cell.form)

    def _csv_cells(self, cell: Cell, width: int) -> list[object]:
        if isinstance(cell, str):
            return [inert(cell), *[""] * (width - 1)]
        source = f"{self.quoter.subject} {cell.document}#{cell.pointer}"
        if cell.interval:
            return [
                *(self.quoter.value(cell.document, f"{cell.pointer}/{part}") for part in ("value", "low", "high")),
                source,
            ]
        return [self.quoter.value(cell.document, cell.pointer), *[""] * (width - 2), source]


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write each table as ``NAME.csv`` and ``NAME.tex``."""
    for table in tables:
        write_text_atomic(folder / f"{table.name}.csv", table.csv())
        write_text_atomic(folder / f"{table.name}.tex", table.latex())


def _latex(text: str) -> str:
    return re.sub(r"[&%$#_{}~^\\]", lambda match: _LATEX[match[0]], text.replace("`", "").replace("\u00a0", " "))
