"""Tables of other models, cost, published claims, and configurations tried."""

from __future__ import annotations

from seismag.report.quotation import Quoter
from seismag.report.tables import Cell, Quote, Row, Table

COMPARISON, CLAIMS, TRIED, DATA = "comparison.json", "published_claims.json", "configurations.json", "data.json"
_SCORES = (
    ("detection", "auc_within_station", "station-stratified ROC AUC"),
    ("detection", "balanced_accuracy", "detection, balanced accuracy"),
    ("magnitude", "balanced_accuracy", "magnitude, balanced accuracy"),
    ("azimuth", "balanced_accuracy", "azimuth, balanced accuracy"),
)


def score_rows(quoter: Quoter, part: str) -> list[Row]:
    """Rows of scores (``part`` = scores) or of differences to the first model: models, then other forecasts."""
    rows: list[Row] = []
    for kind, name in (("models", "id"), ("rules", "name")):
        for k, entry in enumerate(quoter.value(COMPARISON, f"/{kind}")):
            if entry[part] is None:
                continue  # the first model has no difference to itself
            form = ".3f" if part == "scores" else "+.3f"
            cells: list[Cell] = [
                Quote(COMPARISON, f"/{kind}/{k}/{part}/{task}/{score}", form, interval=True)
                if score in (entry[part].get(task) or {})
                else "-"
                for task, score, _ in _SCORES
            ]
            label = str(entry.get("backbone") or entry["group"]).replace("_", " ")
            rows.append((f"`{entry[name]}`", label, *cells))
    return rows


def comparison_tables(quoter: Quoter) -> list[Table]:
    """Scores of all forecasts, and paired differences; empty for one model."""
    if len(quoter.value(COMPARISON, "/models")) < 2:
        return []
    columns = ("forecast", "kind", *(words for *_, words in _SCORES))
    first = quoter.value(COMPARISON, "/reference")
    note = "Paired: each replicate resamples the same groups for all."
    return [
        Table("comparison_scores", "Scores in identical folds.", columns, tuple(score_rows(quoter, "scores")), quoter),
        Table(
            "comparison_differences",
            f"Differences to `{first}`; a positive value is better. {note}",
            columns,
            tuple(score_rows(quoter, "difference")),
            quoter,
        ),
    ]


def cost_table(quoter: Quoter) -> Table:
    """Parameters, operations, file size and latency of each model."""
    rows: list[Row] = []
    for k, model in enumerate(quoter.value(COMPARISON, "/models")):
        pointer = f"/models/{k}"
        times: list[Cell] = ["not measured"] * 3
        if model["latency"] is not None:
            entries = (("batch_1/median_s", ".4f"), ("batch_32/median_s", ".4f"), ("batch_1/ratio_to_first", ".2f"))
            times = [Quote(COMPARISON, f"{pointer}/latency/{place}", form) for place, form in entries]
        rows.append(
            (
                f"`{model['id']}`",
                Quote(COMPARISON, f"{pointer}/parameters/total", ",d"),
                Quote(COMPARISON, f"{pointer}/flops", ",d"),
                Quote(COMPARISON, f"{pointer}/weights_bytes", ",d"),
                *times,
            )
        )
    columns = ("model", "parameters", "operations per window", "bytes of weights", "one window (s)",
               "batch of many (s)", "ratio to the first")  # fmt: skip
    return Table("cost", "Size and speed; medians, measured in one session.", columns, tuple(rows), quoter)


def claim_table(quoter: Quoter) -> Table:
    """Published accuracies, and a constant prediction that reaches each."""
    rows: list[Row] = []
    for k, claim in enumerate(quoter.value(CLAIMS, "/claims")):
        pointer = f"/claims/{k}"
        numbers = [
            Quote(CLAIMS, f"{pointer}/{key}", form)
            for key, form in (
                ("accuracy", ".2%"), ("rule_accuracy", ".2%"), ("rule_balanced_accuracy", ".1%"), ("rule_mcc", ".3f"),
                ("rule_errors", "d"), ("rule_windows", ",d"),
            )
        ]  # fmt: skip
        rows.append((claim["what"], claim["rule"], *numbers))
    columns = (
        "claim",
        "constant prediction",
        "published accuracy",
        "accuracy of the constant",
        "its balanced accuracy",
        "its MCC",
        "its errors",
        "windows",
    )
    return Table(
        "claims",
        "Published accuracies, and constant predictions that reach them; undefined: the class counts are not known.",
        columns,
        tuple(rows),
        quoter,
    )


def tried_table(quoter: Quoter) -> Table:
    """All runs on the data set."""
    rows: list[Row] = []
    for k, run in enumerate(quoter.value(TRIED, "/runs")):
        pointer = f"/runs/{k}"
        loss: Cell = "none" if run["val_loss"] is None else Quote(TRIED, f"{pointer}/val_loss", ".3f")
        skill: Cell = "not evaluated"
        if run["detection"] is not None:
            skill = Quote(TRIED, f"{pointer}/detection/balanced_accuracy", ".3f", interval=True)
        rows.append(
            (
                f"`{run['run_id']}`",
                Quote(TRIED, f"{pointer}/configuration", "d"),
                "-" if run["fold"] is None else Quote(TRIED, f"{pointer}/fold", "d"),
                str(run["status"]),
                f"`{run['backbone']}`",
                loss,
                skill,
            )
        )
    columns = ("run", "configuration", "fold", "status", "backbone", "validation loss", "detection, balanced accuracy")
    return Table("configurations", "All runs on this data set, oldest first.", columns, tuple(rows), quoter)


def windows_by_station_table(quoter: Quoter) -> Table:
    """Windows and event windows of each station in the store."""
    rows: tuple[Row, ...] = tuple(
        (str(code), *(Quote(DATA, f"/by_station/{code}/{key}", ",d") for key in ("windows", "events")))
        for code in quoter.value(DATA, "/by_station")
    )
    return Table(
        "windows_by_station", "Windows of each station.", ("station", "windows", "before events"), rows, quoter
    )
