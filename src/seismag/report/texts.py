"""Rendered texts of a report, in which every number has a source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seismag.report.evidence import Evidence
from seismag.report.figures import Drawn
from seismag.report.findings import HEADLINE_TASK, Finding
from seismag.report.quotation import MissingNumberError, check_markdown, code, without_sources
from seismag.report.tables import Table

_DOCUMENTS = {  # what the templates call them
    "M": "metrics.json", "D": "data.json", "R": "runs.json", "A": "architecture.json", "T": "configurations.json",
}  # fmt: skip
_TITLES = {
    "skill": "Spectrograms of ground magnetometers before earthquakes: skill over non-magnetic baselines",
    "null": "No skill over non-magnetic baselines in spectrograms of ground magnetometers before earthquakes",
    "worse": "No skill over non-magnetic baselines in spectrograms of ground magnetometers before earthquakes",
    "inconclusive": "Spectrograms of ground magnetometers before earthquakes: inconclusive, too few earthquakes",
    "naive": "Spectrograms of ground magnetometers before earthquakes: a naive split, for comparison only",
    "invalid": "Spectrograms of ground magnetometers before earthquakes: no result, integrity checks failed",
}
_BASELINE_INPUTS = {
    "station": "station", "clock": "hour and season", "space_weather": "space weather", "era": "instrument epoch",
    "catalogue_rate": "rate of past earthquakes",
}  # fmt: skip
_UNBLINDINGS = "/".join(("", "sealed", "looks"))  # pointer in metrics.json
_METHODS = {
    "loeo": "leave-one-event-cluster-out (LOEO) cross-validation",
    "loso": "leave-one-station-out (LOSO) cross-validation",
    "region": "leave-one-region-out cross-validation",
    "blocked": "cross-validation over blocks of time",
    "naive": "a naive split of windows at random, for comparison only",
}


class Texts:
    """Renders templates about one subject."""

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
        """Title of the manuscript, by the outcome of detection."""
        return _TITLES[self.conclusion] + (" (simulated data)" if self._simulated() else "")

    def render(self, name: str, **context: Any) -> str:
        """Fill the template ``NAME.j2``.

        Raises:
            MissingNumberError: a number that it needs is not recorded.
            AssertionError: the template contains a number without a source.
        """
        text = _tidy(self._environment.get_template(f"{name}.j2").render(**context))
        problems = check_markdown(text, {self.quoter.subject: self.quoter.documents})
        assert not problems, f"{name}: {problems[0].shown}: {problems[0].reason}"
        return text

    def _context(self, evidence: Evidence, findings: Mapping[str, Finding]) -> dict[str, object]:
        q = self.quoter
        return {
            **_DOCUMENTS,
            "n": q.number, "iv": q.interval, "val": q.value, "quote": q.sentence, "knows": q.knows,
            "table": self._table, "figure": self._figure, "tables": self.tables, "figures": self.figures,
            "documents": q.documents,
            "findings": findings, "conclusion": self.conclusion, "subject": evidence.subject, "kind": evidence.kind,
            "missing": evidence.missing, "simulated": self._simulated(), "title": self.title,
            "baseline_inputs": self._baseline_inputs(), "unblindings": _UNBLINDINGS,
            "compared": len(q.value("comparison.json", "/models")) > 1,
            "backbone": str(q.value("runs.json", "/runs/0/config/model/backbone")),
            "validated": f"validated by {self._method()}", "split_text": self._split_text(),
        }  # fmt: skip

    def _baseline_inputs(self) -> str:
        baselines = self.quoter.value("metrics.json", "/detection/baselines")
        known = [words for name, words in _BASELINE_INPUTS.items() if name in baselines]
        return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known) or "class frequencies"

    def _simulated(self) -> bool:
        return "simulated" in self.quoter.value("data.json", "/origin")

    def _method(self) -> str:
        return _METHODS[self.quoter.value("runs.json", "/runs/0/config/split/method")]

    def _split_text(self) -> str:
        text = f"The model is validated by {self._method()}. "
        if "crossval.json" in self.quoter.documents:
            n_runs = self.quoter.number("runs.json", "/runs", "len")
            return f"{text}All {n_runs} folds were trained, and their test windows are evaluated together."
        n_folds = self.quoter.number("runs.json", "/runs/0/config/split/n_folds", "d")
        return f"{text}One fold of {n_folds} was trained, so the other windows are not tested."

    def _table(self, name: str) -> str:
        if name not in self.tables:
            raise MissingNumberError(f"{self.quoter.subject}: the table {name} of the report cannot be made.")
        table = self.tables[name]
        return f"{table.markdown()}\n\n*Table {name.replace('_', ' ')}.* {table.caption}\n"

    def _figure(self, name: str, caption: str) -> str:
        drawn = self.figures.get(name)
        return f"![{without_sources(caption)}]({drawn.file})\n" if drawn is not None and drawn.file else ""


def _tidy(text: str) -> str:
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"(?<=\S) {2,}(?=\S)", " ", text)
    text = re.sub(r"(?<=\|)\n\n(?=\|)", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"
