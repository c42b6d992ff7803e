"""The tables of a publication, from the documents of one subject."""

from __future__ import annotations

from seismag.domain import MAGNITUDE_CLASSES
from seismag.report.comparison_tables import (
    claim_table,
    comparison_tables,
    cost_table,
    tried_table,
    windows_by_station_table,
)
from seismag.report.findings import TASKS, Finding
from seismag.report.quotation import Quoter, escape
from seismag.report.tables import Cell, Quote, Row, Table

_METRICS, _DATA, _SPLIT = "metrics.json", "data.json", "split_report.json"
_SKILL_COLUMNS = {"balanced_accuracy": "balanced accuracy", "log_score": "log score (nat)", "brier": "Brier score"}
_SCORE_COLUMNS = {
    "balanced_accuracy": "balanced accuracy", "mcc": "MCC", "macro_f1": "macro F1", "accuracy": "accuracy",
    "log_score": "log score (nat)", "brier": "Brier score",
}  # fmt: skip
_RULE_COLUMNS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "log_score": "log score (nat)"}


def make_tables(quoter: Quoter, findings: dict[str, Finding]) -> dict[str, Table]:
    """Make all tables for which the documents exist, by name."""
    makers = (
        score_table, station_table, balance_table, rejected_table, alarm_table, fold_table, audit_table, split_table,
        training_table, architecture_table, band_table,
    )  # fmt: skip
    tables: list[Table | None] = [skill_table(quoter, findings), *(make(quoter) for make in makers)]
    tables += [*comparison_tables(quoter), cost_table(quoter), claim_table(quoter), tried_table(quoter)]
    tables.append(windows_by_station_table(quoter))
    tables += [make(quoter, task) for make in (rule_table, class_table) for task in TASKS]
    return {table.name: table for table in tables if table is not None}


def skill_table(quoter: Quoter, findings: dict[str, Finding]) -> Table:
    """Skill over the best non-magnetic baseline, by task."""
    rows: list[Row] = []
    for task in TASKS:
        base = f"/{task}/skill_above_best_baseline"
        auc: Cell = Quote(_METRICS, f"{base}/auc_within_station", "+.3f", interval=True) if task == "detection" else "-"
        scores = [Quote(_METRICS, f"{base}/{score}", "+.3f", interval=True) for score in _SKILL_COLUMNS]
        rows.append((task, _plain(findings[task].baseline), auc, *scores))
    caption = (
        "Skill: difference to the best non-magnetic baseline, with its interval by group of windows. In each column "
        "a positive value is better. The baseline named is the best one in the primary score."
    )
    columns = ("task", "best non-magnetic baseline", "station-stratified ROC AUC", *_SKILL_COLUMNS.values())
    return Table("skill", caption, columns, tuple(rows), quoter)


def score_table(quoter: Quoter) -> Table:
    """Scores of the model."""
    rows: tuple[Row, ...] = tuple(
        (task, *(Quote(_METRICS, f"/{task}/{score}", ".3f", interval=True) for score in _SCORE_COLUMNS))
        for task in TASKS
    )
    return Table(
        "scores", "Scores of the model, with intervals by group.", ("task", *_SCORE_COLUMNS.values()), rows, quoter
    )


def rule_table(quoter: Quoter, task: str) -> Table:
    """Scores of the model, the baselines and the classical methods in one task."""
    rows: list[Row] = [
        ("**model**", _KINDS["classical"], *(Quote(_METRICS, f"/{task}/{score}/value") for score in _RULE_COLUMNS))
    ]
    for name, entry in quoter.value(_METRICS, f"/{task}/baselines").items():
        pointer = f"/{task}/baselines/{escape(name)}"
        rows.append((_plain(name), _KINDS[entry["group"]], *(Quote(_METRICS, f"{pointer}/{s}") for s in _RULE_COLUMNS)))
    caption = f"{task.capitalize()}: the model, non-magnetic baselines, classical methods and other references."
    return Table(f"rules_{task}", caption, ("forecast", "uses", *_RULE_COLUMNS.values()), tuple(rows), quoter)


def class_table(quoter: Quoter, task: str) -> Table:
    """Recall, precision and F1 of each class."""
    rows: list[Row] = []
    for name in quoter.value(_METRICS, f"/{task}/classes"):
        pointer = f"/{task}/per_class/{escape(name)}"
        known = quoter.value(_METRICS, f"{pointer}/n") > 0
        recall: Cell = Quote(_METRICS, f"{pointer}/recall", ".3f", interval=True) if known else "no window"
        scores = [Quote(_METRICS, f"{pointer}/{score}/value") for score in ("precision", "f1")]
        rows.append(
            (
                name,
                Quote(_METRICS, f"{pointer}/n", ",d"),
                Quote(_METRICS, f"{pointer}/n_clusters", ",d"),
                recall,
                *scores,
            )
        )
    columns = ("class", "windows", "groups", "recall", "precision", "F1")
    return Table(f"classes_{task}", f"{task.capitalize()}, by class.", columns, tuple(rows), quoter)


def station_table(quoter: Quoter) -> Table:
    """Detection at each station."""
    rows: list[Row] = []
    for k, entry in enumerate(quoter.value(_METRICS, "/tables/by_station")):
        pointer = f"/tables/by_station/{k}"
        counts = [Quote(_METRICS, f"{pointer}/{key}", ",d") for key in ("n", "n_event_groups", "n_normal_groups")]
        auc = Quote(_METRICS, f"{pointer}/detection/auc_within_station", ".3f", interval=True)
        rows.append((str(entry["subset"]), *counts, auc))
    columns = ("station", "windows", "event clusters", "control blocks", "AUC")
    return Table(
        "stations",
        "Detection by station; an interval needs event clusters and control blocks.",
        columns,
        tuple(rows),
        quoter,
    )


def balance_table(quoter: Quoter) -> Table:
    """Windows and groups of each magnitude class in the store."""
    rows: tuple[Row, ...] = tuple(
        (name, *(Quote(_DATA, f"/magnitude_{what}/{name}", ",d") for what in ("windows", "groups")))
        for name in MAGNITUDE_CLASSES
    )
    return Table(
        "class_balance", "Windows and their groups in the data set.", ("class", "windows", "groups"), rows, quoter
    )


def rejected_table(quoter: Quoter) -> Table | None:
    """Excluded windows by reason; None for a store without that record."""
    reasons = quoter.value(_DATA, "/rejected_by_reason")
    if not reasons:
        return None
    rows: tuple[Row, ...] = tuple(
        (_plain(name), Quote(_DATA, f"/rejected_by_reason/{escape(name)}", ",d")) for name in reasons
    )
    return Table("rejected", "Excluded windows, by reason.", ("reason", "windows"), rows, quoter)


def alarm_table(quoter: Quoter) -> Table | None:
    """Area skill scores of the alarms; None where alarms were not evaluated."""
    references = quoter.value(_METRICS, "/alarms/references") if quoter.knows(_METRICS, "/alarms/references") else {}
    present = [name for name, entry in references.items() if "absent" not in entry]
    if not present:
        return None
    rows: list[Row] = []
    for name in present:
        pointer = f"/alarms/references/{escape(name)}/area_skill"
        null = [Quote(_METRICS, f"{pointer}/null/{key}") for key in ("mean", "low", "high")]
        rows.append(
            (_plain(name), Quote(_METRICS, f"{pointer}/value"), *null, Quote(_METRICS, f"{pointer}/p_moved", ".4f"))
        )
    columns = ("reference", "area skill", "null mean", "null, low", "null, high", "p")
    caption = "Area skill score of the Molchan diagram against each reference; null: randomised events."
    return Table("alarms", caption, columns, tuple(rows), quoter)


def fold_table(quoter: Quoter) -> Table | None:
    """Each fold of a cross-validation; None for a single run."""
    if "crossval.json" not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, fold in enumerate(quoter.value("crossval.json", "/folds")):
        pointer = f"/folds/{k}"
        skills = [
            Quote(
                "crossval.json", f"{pointer}/skill_above_best_baseline/{task}/balanced_accuracy", "+.3f", interval=True
            )
            for task in TASKS
        ]
        counts = [Quote("crossval.json", f"{pointer}/{key}", ",d") for key in ("n", "n_event_groups")]
        rows.append((f"fold `{fold['fold']}`", *counts, *skills))
    columns = ("fold", "windows", "event clusters", *(f"skill, {task}" for task in TASKS))
    return Table("folds", "Skill in balanced accuracy, by fold.", columns, tuple(rows), quoter)


def audit_table(quoter: Quoter) -> Table | None:
    """Tests of the audit; None without an audit."""
    if "audit.json" not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, test in enumerate(quoter.value("audit.json", "/tests")):
        numbers: list[Cell] = [
            "-" if test.get(key) is None else Quote("audit.json", f"/tests/{k}/{key}", form)
            for key, form in (("statistic", ".3g"), ("p_value", ".3g"))
        ]
        rows.append((_plain(test["name"]), str(test["verdict"]).replace("_", " "), *numbers))
    return Table("audit", "Tests of the audit.", ("test", "result", "statistic", "p"), tuple(rows), quoter)


def split_table(quoter: Quoter) -> Table | None:
    """Windows of each set, by fold; None without the split report."""
    if _SPLIT not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, fold in enumerate(quoter.value(_SPLIT, "/folds")):
        counts = [Quote(_SPLIT, f"/folds/{k}/{role}", ",d") for role in ("train", "val", "test", "purged")]
        fraction = Quote(_SPLIT, f"/folds/{k}/purged_share", ".1%")
        rows.append((f"fold `{fold['fold']}`", *counts, fraction))
    columns = ("fold", "training", "validation", "test", "excluded", "fraction excluded")
    return Table("split", "Windows of each set; excluded windows belong to no set.", columns, tuple(rows), quoter)


def training_table(quoter: Quoter) -> Table:
    """Epochs, losses and time of each run."""
    rows: list[Row] = []
    for k, run in enumerate(quoter.value("runs.json", "/runs")):
        entries = (
            ("history/epochs", "d"), ("history/best/epoch", "d"), ("history/best/train_loss", ".3f"),
            ("history/best/val_loss", ".3f"), ("history/seconds", ",.0f"),
        )  # fmt: skip
        rows.append(
            (f"`{run['run_id']}`", *(Quote("runs.json", f"/runs/{k}/{place}", form) for place, form in entries))
        )
    columns = ("run", "epochs", "selected epoch", "training loss", "validation loss", "seconds")
    return Table("training", "Training runs; losses are those of the selected epoch.", columns, tuple(rows), quoter)


def architecture_table(quoter: Quoter) -> Table:
    """Blocks of the model with their parameters."""
    rows: list[Row] = []
    for k, block in enumerate(quoter.value("architecture.json", "/blocks")):
        shape = "-" if block["output"] is None else f"`{' x '.join(map(str, block['output']))}`"
        rows.append(
            (
                f"`{block['name']}`",
                f"`{block['kind']}`",
                shape,
                Quote("architecture.json", f"/blocks/{k}/parameters", ",d"),
            )
        )
    rows.append(("all", "", "", Quote("architecture.json", "/parameters", ",d")))
    columns = ("block", "kind", "output for one window", "parameters")
    return Table("architecture", "Blocks of the model in order of computation.", columns, tuple(rows), quoter)


def band_table(quoter: Quoter) -> Table | None:
    """Permutation importance of each band and component; None without an explanation."""
    if "explanation.json" not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, part in enumerate(quoter.value("explanation.json", "/band_importance/parts")):
        pointer = f"/band_importance/parts/{k}"
        drops = [Quote("explanation.json", f"{pointer}/{task}/log_score", "+.3f", interval=True) for task in TASKS]
        rows.append((f"{_plain(str(part['band']))}, {_plain(str(part['component']))}", *drops))
    caption = (
        "Permutation importance: loss of log score (nat) after a band and component are replaced by those of another "
        "window of the same station. A positive value means that the model uses them."
    )
    columns = ("band, component", *(f"{task}" for task in TASKS))
    return Table("band_importance", caption, columns, tuple(rows), quoter)


_KINDS = {"constant": "class frequencies", "no_signal": "no magnetic data", "quality": "data quality",
          "classical": "magnetic data", "oracle": "the true class"}  # fmt: skip


def _plain(name: str) -> str:
    return name.replace("_", " ")
