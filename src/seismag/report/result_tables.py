"""The tables of a publication, from the documents of one subject."""

from __future__ import annotations

from collections.abc import Iterable

from seismag.domain import MAGNITUDE_CLASSES
from seismag.report.findings import TASKS, Finding
from seismag.report.quotation import Quoter, as_text, code, escape
from seismag.report.tables import Cell, Quote, Row, Table
from seismag.text import words_of_key

_METRICS, _DATA, _SPLIT, _EXPLANATION = "metrics.json", "data.json", "split_report.json", "explanation.json"
_COMPARISON, _CLAIMS, _TRIED = "comparison.json", "published_claims.json", "configurations.json"
_SKILL_COLUMNS = {"balanced_accuracy": "balanced accuracy", "log_score": "log score (nat)", "brier": "Brier score"}
_SCORE_COLUMNS = {
    "balanced_accuracy": "balanced accuracy", "mcc": "MCC", "macro_f1": "macro F1", "accuracy": "accuracy",
    "log_score": "log score (nat)", "brier": "Brier score",
}  # fmt: skip
_RULE_COLUMNS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "log_score": "log score (nat)"}
_COMPARED_COLUMNS = {
    "detection/auc_within_station": "station-stratified ROC AUC",
    "detection/balanced_accuracy": "detection, balanced accuracy",
    "magnitude/balanced_accuracy": "magnitude, balanced accuracy",
    "azimuth/balanced_accuracy": "azimuth, balanced accuracy",
}
_KINDS = {"constant": "class frequencies", "no_signal": "no magnetic data", "quality": "data quality",
          "classical": "magnetic data", "oracle": "the true class"}  # fmt: skip


def make_tables(quoter: Quoter, findings: dict[str, Finding]) -> dict[str, Table]:
    """Make all tables for which the documents exist, by name."""
    makers = (
        _scores, _sets, _stations, _class_balance, _rejected, _alarms, _folds, _audit, _split, _training, _architecture,
        _band_importance, _compared_scores, _compared_differences, _cost, _claims, _configurations, _windows_by_station,
    )  # fmt: skip
    tables = [_skill(quoter, findings), *(make(quoter) for make in makers)]
    tables += [make(quoter, task) for make in (_rules, _classes) for task in TASKS]
    return {table.name: table for table in tables if table is not None}


def _quotes(
    document: str, pointer: str, keys: Iterable[str], form: str = ".3f", *, interval: bool = False
) -> list[Quote]:
    return [Quote(document, f"{pointer}/{key}", form, interval) for key in keys]


def _skill(quoter: Quoter, findings: dict[str, Finding]) -> Table:
    rows: list[Row] = []
    for task in TASKS:
        base = f"/{task}/skill_above_best_baseline"
        auc: Cell = Quote(_METRICS, f"{base}/auc_within_station", "+.3f", interval=True) if task == "detection" else "-"
        scores = _quotes(_METRICS, base, _SKILL_COLUMNS, "+.3f", interval=True)
        rows.append((task, words_of_key(findings[task].baseline), auc, *scores))
    caption = (
        "Skill: difference to the best non-magnetic baseline, with its interval by group of windows. In each column "
        "a positive value is better. The baseline named is the best one in the primary score."
    ) + _compared_over(quoter)
    columns = ("task", "best non-magnetic baseline", "station-stratified ROC AUC", *_SKILL_COLUMNS.values())
    return Table("skill", caption, columns, rows, quoter)


def _compared_over(quoter: Quoter) -> str:
    """Sentences on classes that balanced accuracy is not compared over; empty where it is over all."""
    sentences = []
    for task in TASKS:
        entries = quoter.value(_METRICS, f"/{task}/per_class")
        compared = quoter.value(_METRICS, f"/{task}/skill_above_best_baseline/balanced_accuracy/classes")
        left_out = [name for name, entry in entries.items() if entry["n"] and name not in compared]
        if left_out:
            counted = [
                f"{name} ({quoter.number(_METRICS, f'/{task}/per_class/{escape(name)}/n_clusters', ',d')})"
                for name in left_out
            ]
            sentences.append(
                f" In balanced accuracy {task} is compared over {', '.join(compared)}, without classes in fewer "
                f"than ten groups: {', '.join(counted)}."
            )
    return "".join(sentences)


def _sets(quoter: Quoter) -> Table | None:
    """Coverage of the conformal prediction sets by true class; classes that every set contains in one row."""
    rows: list[Row] = []
    for task in TASKS:
        if (sets := quoter.value(_METRICS, f"/{task}/conformal")) is None:
            continue
        size = Quote(_METRICS, f"/{task}/conformal/mean_set_size", ".2f")
        always = sets["always_contained"]
        for name in (name for name, entry in sets["by_class"].items() if entry["n"] and name not in always):
            pointer = f"/{task}/conformal/by_class/{escape(name)}"
            counts = _quotes(_METRICS, pointer, ("n", "n_groups"), ",d")
            rows.append((task, name, *counts, Quote(_METRICS, f"{pointer}/coverage", ".2f", interval=True), size))
        if always:
            rows.append((task, ", ".join(always), "-", "-", "in every set", size))
    columns = ("task", "true class", "windows", "groups", "coverage", "mean size of all sets of the task")
    caption = "Conformal prediction sets, by true class. A class with too few validation groups is in every set."
    return Table("sets", caption, columns, rows, quoter) if rows else None


def _scores(quoter: Quoter) -> Table:
    rows: list[Row] = [(task, *_quotes(_METRICS, f"/{task}", _SCORE_COLUMNS, interval=True)) for task in TASKS]
    columns = ("task", *_SCORE_COLUMNS.values())
    return Table("scores", "Scores of the model, with intervals by group.", columns, rows, quoter)


def _rules(quoter: Quoter, task: str) -> Table:
    model = _quotes(_METRICS, f"/{task}", (f"{score}/value" for score in _RULE_COLUMNS))
    rows: list[Row] = [("**model**", _KINDS["classical"], *model)]
    for name, entry in quoter.value(_METRICS, f"/{task}/baselines").items():
        scores = _quotes(_METRICS, f"/{task}/baselines/{escape(name)}", _RULE_COLUMNS)
        rows.append((as_text(words_of_key(name)), _KINDS[entry["group"]], *scores))
    caption = f"{task.capitalize()}: the model, non-magnetic baselines, classical methods and other references."
    return Table(f"rules_{task}", caption, ("forecast", "uses", *_RULE_COLUMNS.values()), rows, quoter)


def _classes(quoter: Quoter, task: str) -> Table:
    rows: list[Row] = []
    for name in quoter.value(_METRICS, f"/{task}/classes"):
        pointer = f"/{task}/per_class/{escape(name)}"
        known = quoter.value(_METRICS, f"{pointer}/n") > 0
        recall: Cell = Quote(_METRICS, f"{pointer}/recall", interval=True) if known else "no window"
        counts = _quotes(_METRICS, pointer, ("n", "n_clusters"), ",d")
        rows.append((name, *counts, recall, *_quotes(_METRICS, pointer, ("precision/value", "f1/value"))))
    columns = ("class", "windows", "groups", "recall", "precision", "F1")
    return Table(f"classes_{task}", f"{task.capitalize()}, by class.", columns, rows, quoter)


def _stations(quoter: Quoter) -> Table:
    rows: list[Row] = []
    for k, entry in enumerate(quoter.value(_METRICS, "/tables/by_station")):
        pointer = f"/tables/by_station/{k}"
        counts = _quotes(_METRICS, pointer, ("n", "n_event_groups", "n_normal_groups"), ",d")
        rows.append(
            (
                as_text(entry["subset"]),
                *counts,
                Quote(_METRICS, f"{pointer}/detection/auc_within_station", interval=True),
            )
        )
    caption = "Detection by station; an interval needs ten event clusters and ten control blocks."
    return Table("stations", caption, ("station", "windows", "event clusters", "control blocks", "AUC"), rows, quoter)


def _class_balance(quoter: Quoter) -> Table:
    rows: list[Row] = [
        (name, *_quotes(_DATA, "", (f"magnitude_windows/{name}", f"magnitude_groups/{name}"), ",d"))
        for name in MAGNITUDE_CLASSES
    ]
    caption = "Windows and their groups in the data set."
    return Table("class_balance", caption, ("class", "windows", "groups"), rows, quoter)


def _rejected(quoter: Quoter) -> Table | None:
    reasons = quoter.value(_DATA, "/rejected_by_reason")
    if not reasons:
        return None
    rows: list[Row] = [
        (as_text(words_of_key(name)), *_quotes(_DATA, "/rejected_by_reason", [escape(name)], ",d")) for name in reasons
    ]
    return Table("rejected", "Excluded windows, by reason.", ("reason", "windows"), rows, quoter)


def _alarms(quoter: Quoter) -> Table | None:
    references = quoter.value(_METRICS, "/alarms/references") if quoter.knows(_METRICS, "/alarms/references") else {}
    rows: list[Row] = []
    for name in (name for name, entry in references.items() if "absent" not in entry):
        pointer = f"/alarms/references/{escape(name)}/area_skill"
        numbers = _quotes(_METRICS, pointer, ("value", "null/mean", "null/low", "null/high"))
        rows.append((words_of_key(name), *numbers, Quote(_METRICS, f"{pointer}/p_moved", ".4f")))
    columns = ("reference", "area skill", "null mean", "null, low", "null, high", "p")
    caption = "Area skill score of the Molchan diagram against each reference; null: randomised events."
    return Table("alarms", caption, columns, rows, quoter) if rows else None


def _folds(quoter: Quoter) -> Table | None:
    if "crossval.json" not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, fold in enumerate(quoter.value("crossval.json", "/folds")):
        counts = _quotes("crossval.json", f"/folds/{k}", ("n", "n_event_groups"), ",d")
        scores = [f"{task}/balanced_accuracy" for task in TASKS]
        skills = _quotes("crossval.json", f"/folds/{k}/skill_above_best_baseline", scores, "+.3f", interval=True)
        rows.append((f"fold `{fold['fold']}`", *counts, *skills))
    columns = ("fold", "windows", "event clusters", *(f"skill, {task}" for task in TASKS))
    return Table("folds", "Skill in balanced accuracy, by fold." + _compared_over(quoter), columns, rows, quoter)


def _audit(quoter: Quoter) -> Table | None:
    if "audit.json" not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, test in enumerate(quoter.value("audit.json", "/tests")):
        numbers: list[Cell] = [
            "-" if test.get(key) is None else Quote("audit.json", f"/tests/{k}/{key}", ".3g")
            for key in ("statistic", "p_value", "placebo_rate")
        ]
        rows.append((words_of_key(test["name"]), words_of_key(str(test["verdict"])), *numbers))
    caption = "Tests of the audit; placebo: how often p was at most five per cent in data in which nothing is wrong."
    return Table("audit", caption, ("test", "result", "statistic", "p", "placebo"), rows, quoter)


def _split(quoter: Quoter) -> Table | None:
    if _SPLIT not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, fold in enumerate(quoter.value(_SPLIT, "/folds")):
        counts = _quotes(_SPLIT, f"/folds/{k}", ("train", "val", "test", "purged"), ",d")
        rows.append((f"fold `{fold['fold']}`", *counts, Quote(_SPLIT, f"/folds/{k}/purged_share", ".1%")))
    columns = ("fold", "training", "validation", "test", "excluded", "fraction excluded")
    return Table("split", "Windows of each set; excluded windows belong to no set.", columns, rows, quoter)


def _training(quoter: Quoter) -> Table:
    rows: list[Row] = []
    for k, run in enumerate(quoter.value("runs.json", "/runs")):
        pointer = f"/runs/{k}/history"
        epochs = _quotes("runs.json", pointer, ("epochs", "best/epoch"), "d")
        losses = _quotes("runs.json", pointer, ("best/train_loss", "best/val_loss"))
        rows.append((code(run["run_id"]), *epochs, *losses, Quote("runs.json", f"{pointer}/seconds", ",.0f")))
    columns = ("run", "epochs", "selected epoch", "training loss", "validation loss", "seconds")
    return Table("training", "Training runs; losses are those of the selected epoch.", columns, rows, quoter)


def _architecture(quoter: Quoter) -> Table:
    rows: list[Row] = []
    for k, block in enumerate(quoter.value("architecture.json", "/blocks")):
        shape = "-" if block["output"] is None else f"`{' x '.join(map(str, block['output']))}`"
        parameters = Quote("architecture.json", f"/blocks/{k}/parameters", ",d")
        rows.append((code(block["name"]), code(block["kind"]), shape, parameters))
    rows.append(("all", "", "", Quote("architecture.json", "/parameters", ",d")))
    columns = ("block", "kind", "output for one window", "parameters")
    return Table("architecture", "Blocks of the model in order of computation.", columns, rows, quoter)


def _band_importance(quoter: Quoter) -> Table | None:
    if _EXPLANATION not in quoter.documents:
        return None
    rows: list[Row] = []
    for k, part in enumerate(quoter.value(_EXPLANATION, "/band_importance/parts")):
        keys = [f"{task}/log_score" for task in TASKS]
        drops = _quotes(_EXPLANATION, f"/band_importance/parts/{k}", keys, "+.3f", interval=True)
        rows.append((words_of_key(f"{part['band']}, {part['component']}"), *drops))
    caption = (
        "Permutation importance: loss of log score (nat) after a band and component are replaced by those of another "
        "window of the same station. A positive value means that the model uses them."
    )
    return Table("band_importance", caption, ("band, component", *TASKS), rows, quoter)


def _compared_scores(quoter: Quoter) -> Table | None:
    return _compared(quoter, "comparison_scores", "Scores in identical folds.", "scores", ".3f")


def _compared_differences(quoter: Quoter) -> Table | None:
    first = quoter.value(_COMPARISON, "/reference")
    note = "Paired: the jackknife leaves the same groups out of all."
    caption = f"Differences to {code(first)}; a positive value is better. {note}{_compared_over(quoter)}"
    return _compared(quoter, "comparison_differences", caption, "difference", "+.3f")


def _compared(quoter: Quoter, name: str, caption: str, part: str, form: str) -> Table | None:
    """Scores, or differences to the first model, of models and then other forecasts; None for one model."""
    if len(quoter.value(_COMPARISON, "/models")) < 2:
        return None
    rows: list[Row] = []
    for kind, identifier in (("models", "id"), ("rules", "name")):
        for k, entry in enumerate(quoter.value(_COMPARISON, f"/{kind}")):
            if entry[part] is None:
                continue  # the first model has no difference to itself
            cells: list[Cell] = []
            for key in _COMPARED_COLUMNS:
                task, score = key.split("/")
                known = score in (entry[part].get(task) or {})
                cells.append(Quote(_COMPARISON, f"/{kind}/{k}/{part}/{key}", form, interval=True) if known else "-")
            kind_of = as_text(words_of_key(str(entry.get("backbone") or entry["group"])))
            rows.append((code(entry[identifier]), kind_of, *cells))
    return Table(name, caption, ("forecast", "kind", *_COMPARED_COLUMNS.values()), rows, quoter)


def _cost(quoter: Quoter) -> Table:
    rows: list[Row] = []
    for k, model in enumerate(quoter.value(_COMPARISON, "/models")):
        pointer = f"/models/{k}"
        times: list[Cell] = ["not measured"] * 3
        if model["latency"] is not None:
            seconds = _quotes(_COMPARISON, f"{pointer}/latency", ("batch_1/median_s", "batch_32/median_s"), ".4f")
            times = [*seconds, Quote(_COMPARISON, f"{pointer}/latency/batch_1/ratio_to_first", ".2f")]
        sizes = _quotes(_COMPARISON, pointer, ("parameters/total", "flops", "weights_bytes"), ",d")
        rows.append((code(model["id"]), *sizes, *times))
    columns = ("model", "parameters", "operations per window", "bytes of weights", "one window (s)",
               "batch of many (s)", "ratio to the first")  # fmt: skip
    return Table("cost", "Size and speed; medians, measured in one session.", columns, rows, quoter)


def _claims(quoter: Quoter) -> Table:
    """Published accuracies, and a constant prediction that reaches each."""
    forms = {
        "accuracy": ".2%", "rule_accuracy": ".2%", "rule_balanced_accuracy": ".1%", "rule_mcc": ".3f",
        "rule_errors": "d", "rule_windows": ",d",
    }  # fmt: skip
    rows: list[Row] = []
    for k, claim in enumerate(quoter.value(_CLAIMS, "/claims")):
        numbers = [Quote(_CLAIMS, f"/claims/{k}/{key}", form) for key, form in forms.items()]
        rows.append((claim["what"], claim["rule"], *numbers))
    columns = ("claim", "constant prediction", "published accuracy", "accuracy of the constant",
               "its balanced accuracy", "its MCC", "its errors", "windows")  # fmt: skip
    caption = (
        "Published accuracies, and constant predictions that reach them; undefined: the class counts are not known."
    )
    return Table("claims", caption, columns, rows, quoter)


def _configurations(quoter: Quoter) -> Table:
    rows: list[Row] = []
    for k, run in enumerate(quoter.value(_TRIED, "/runs")):
        pointer = f"/runs/{k}"
        fold: Cell = "-" if run["fold"] is None else Quote(_TRIED, f"{pointer}/fold", "d")
        loss: Cell = "none" if run["val_loss"] is None else Quote(_TRIED, f"{pointer}/val_loss")
        skill: Cell = "not evaluated"
        if run["detection"] is not None:
            skill = Quote(_TRIED, f"{pointer}/detection/balanced_accuracy", interval=True)
        number = Quote(_TRIED, f"{pointer}/configuration", "d")
        names = code(run["run_id"]), as_text(run["status"]), code(run["backbone"])
        rows.append((names[0], number, fold, names[1], names[2], loss, skill))
    columns = ("run", "configuration", "fold", "status", "backbone", "validation loss", "detection, balanced accuracy")
    return Table("configurations", "All runs on this data set, oldest first.", columns, rows, quoter)


def _windows_by_station(quoter: Quoter) -> Table:
    rows: list[Row] = [
        (as_text(station), *_quotes(_DATA, f"/by_station/{escape(station)}", ("windows", "events"), ",d"))
        for station in quoter.value(_DATA, "/by_station")
    ]
    columns = ("station", "windows", "before events")
    return Table("windows_by_station", "Windows of each station.", columns, rows, quoter)
