"""Filling the templates: what they may quote, and the search for numbers without a source at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seismag.report.evidence import Evidence
from seismag.report.figures import Drawn
from seismag.report.findings import HEADLINE_TASK, Finding
from seismag.report.quotation import MissingNumberError, check_markdown, without_sources
from seismag.report.tables import Table

DOCUMENT_NAMES = {  # what the templates call them
    "M": "metrics.json", "D": "data.json", "R": "runs.json", "A": "architecture.json", "T": "configurations.json",
}  # fmt: skip
_TITLES = {
    "skill": "Spectrograms of ground magnetometers before earthquakes: skill above rules without the field",
    "null": "No skill above rules without the field in spectrograms of ground magnetometers before earthquakes",
    "worse": "No skill above rules without the field in spectrograms of ground magnetometers before earthquakes",
    "undecided": "Spectrograms of ground magnetometers before earthquakes: too few earthquakes for a verdict",
    "naive": "What a naive procedure claims of magnetometer spectrograms before earthquakes: for comparison only",
    "faulty": "Spectrograms of ground magnetometers before earthquakes: faulty data or labels, no result",
}
_RULES = {
    "station": "the station", "clock": "the clock", "space_weather": "space weather", "era": "the instrument era",
    "catalogue_rate": "the rate of past earthquakes",
}  # fmt: skip
_METHODS = {
    "loeo": "leaving out whole earthquake clusters (LOEO)",
    "loso": "leaving out whole stations (LOSO)",
    "region": "leaving out whole regions",
    "blocked": "leaving out whole stretches of time",
    "naive": "dividing windows at random, which is for comparison only",
}


class Texts:
    """Renders templates about one subject.

    Args:
        evidence: the subject. findings: of ``find``. tables, figures: by name.
    """

    def __init__(
        self,
        evidence: Evidence,
        findings: Mapping[str, Finding],
        tables: Mapping[str, Table],
        figures: Mapping[str, Drawn],
    ) -> None:
        self.quoter = evidence.quoter
        self.tables, self.figures = tables, figures
        self.conclusion = findings[HEADLINE_TASK].outcome
        self._environment = Environment(
            loader=PackageLoader("seismag.report"), autoescape=False, undefined=StrictUndefined,
            lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        self._environment.filters["code"] = code
        self._environment.globals |= self._context(evidence, findings)

    @property
    def title(self) -> str:
        """Of the manuscript; it says what was found."""
        return _TITLES[self.conclusion] + (" (simulated data)" if self._simulated() else "")

    def render(self, name: str, **context: Any) -> str:
        """Fill the template ``NAME.j2``.

        Raises:
            MissingNumberError: a number that it needs is not recorded.
            AssertionError: the template holds a number without a source.
        """
        text = _tidy(self._environment.get_template(f"{name}.j2").render(**context))
        problems = check_markdown(text, {self.quoter.subject: self.quoter.documents})
        assert not problems, f"{name}: {problems[0].shown}: {problems[0].reason}"
        return text

    def _context(self, evidence: Evidence, findings: Mapping[str, Finding]) -> dict[str, Any]:
        q = self.quoter
        return {
            **DOCUMENT_NAMES,
            "n": q.number, "iv": q.interval, "val": q.value, "quote": q.sentence, "knows": q.knows,
            "table": self._table, "figure": self._figure, "tables": self.tables, "figures": self.figures,
            "documents": q.documents,
            "findings": findings, "conclusion": self.conclusion, "subject": evidence.subject, "kind": evidence.kind,
            "missing": evidence.missing, "simulated": self._simulated(), "title": self.title,
            "rules_present": self._rules_present(),
            "compared": len(q.value("comparison.json", "/models")) > 1,
            "backbone": str(q.value("runs.json", "/runs/0/config/model/backbone")),
            "validated": self._validated(), "split_text": self._split_text(),
        }  # fmt: skip

    def _rules_present(self) -> str:
        """What the recorded rules without the field know, in words; one whose columns were missing is absent."""
        baselines = self.quoter.value("metrics.json", "/detection/baselines")
        known = [words for name, words in _RULES.items() if name in baselines]
        return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known) or "the class frequencies"

    def _simulated(self) -> bool:
        return "simulated" in self.quoter.value("data.json", "/origin")

    def _validated(self) -> str:
        method = self.quoter.value("runs.json", "/runs/0/config/split/method")
        return f"validated by {_METHODS[method]}"

    def _split_text(self) -> str:
        q = self.quoter
        n_runs, n_folds = q.number("runs.json", "/runs", "len"), "/runs/0/config/split/n_folds"
        method = q.value("runs.json", "/runs/0/config/split/method")
        text = f"Validation works by {_METHODS[method]}. "
        if "crossval.json" in q.documents:
            return text + f"All {n_runs} folds were trained and their test windows judged together."
        return text + (
            f"One fold of {q.number('runs.json', n_folds, 'd')} was trained, so the other windows were never tested."
        )

    def _table(self, name: str) -> str:
        if name not in self.tables:
            raise MissingNumberError(f"{self.quoter.subject}: the table {name} of the report cannot be made.")
        table = self.tables[name]
        return f"{table.markdown()}\n\n*Table {name.replace('_', ' ')}.* {table.caption}\n"

    def _figure(self, name: str, caption: str) -> str:
        drawn = self.figures.get(name)
        if drawn is None or drawn.file is None:
            return ""
        return f"![{without_sources(caption)}]({drawn.file})\n"


def _tidy(text: str) -> str:
    """One blank line where templates left several, none within a table or a list, no blanks at the end of a line."""
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"(?<=\S) {2,}(?=\S)", " ", text)
    text = re.sub(r"(?<=\|)\n\n(?=\|)", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def code(text: object) -> str:
    """Write a name as code, in which digits are no results."""
    return f"`{str(text).replace('`', '')}`"
