"""Evaluation of a table of predictions: scores with intervals, skill over the best non-magnetic baseline, parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.baselines import absent_baselines
from seismag.scoring.calibration import Calibrated, NotCalibrated, calibrate, read_out
from seismag.scoring.clusters import Clusters, find_truth
from seismag.scoring.conformal import ConformalScores, score_sets
from seismag.scoring.estimates import CONFUSION_SCORES, Skill, TaskEstimates, score_task
from seismag.scoring.forecasts import BaselineData, score_forecasts
from seismag.scoring.mainshocks import MAINSHOCKS_UNKNOWN, add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.network.compute import NetworkScores, NoNetwork, score_network
from seismag.scoring.predictions import TASK_CLASSES, check_predictions, check_validation, evaluated_rows, is_naive
from seismag.scoring.reliability import Reliability, score_reliability
from seismag.scoring.subsets import SubsetTables, score_subsets
from seismag.scoring.text import rare_classes_sentence
from seismag.splits import NAIVE_WARNING

_SHORT = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "log_score", "brier", "per_class", "confusion",
          "prevalence", "skill_above_best_baseline")  # fmt: skip


@dataclass(frozen=True)
class TaskScores:
    """Scores of one task, and what follows from its probabilities; the latter None in a short evaluation."""

    classes: tuple[str, ...]
    estimates: TaskEstimates
    reliability: Reliability | None = None
    calibration: Calibrated | NotCalibrated | None = None
    conformal: ConformalScores | None = None

    def to_json(self) -> dict[str, object]:
        """The document of a task in metrics.json."""
        parts = dataclasses.asdict(self.estimates)
        document = {"classes": list(self.classes), **parts["scores"]}
        document |= {key: parts[key] for key in ("per_class", "confusion", "prevalence")}
        document["baselines"] = {name: entry.to_json() for name, entry in self.estimates.baselines.items()}
        document["skill_above_best_baseline"] = parts["skill"]
        if self.reliability is None or self.calibration is None:
            return {key: document[key] for key in _SHORT}
        return {
            **document,
            **parts["skill_scores"],
            "reliability": self.reliability.to_json(),
            "calibration": self.calibration.to_json(),
            "conformal": None if self.conformal is None else dataclasses.asdict(self.conformal),
        }


@dataclass(frozen=True)
class Analysis:
    """Scores of one choice of windows; without tables of subsets in a short evaluation."""

    n: int
    n_events: int
    n_event_groups: int
    n_normal_groups: int
    warnings: list[str]
    tasks: dict[str, TaskScores]
    tables: SubsetTables | None

    def to_json(self) -> dict[str, object]:
        """The part of metrics.json on these windows."""
        document = {key: value for key, value in vars(self).items() if key not in ("tasks", "tables")}
        document |= {task: scores.to_json() for task, scores in self.tasks.items()}
        return document if self.tables is None else {**document, "tables": dataclasses.asdict(self.tables)}


@dataclass(frozen=True)
class Metrics:
    """Content of metrics.json.

    Attributes:
        facts: what was evaluated, and how.
        analysis: of mainshocks and Normal windows, where mainshocks are known; else of all.
        all_events: short evaluation of all events; None where ``analysis`` is that of all events.
        network: days with all their stations, of the same windows as ``analysis``.
    """

    facts: dict[str, object]
    analysis: Analysis
    all_events: Analysis | None
    network: NetworkScores | NoNetwork

    def to_json(self) -> dict[str, Any]:
        """The document (no NaN: what is undefined is None, with a sentence in warnings)."""
        all_events = None if self.all_events is None else self.all_events.to_json()
        parts = {"all_events": all_events, "network": self.network.to_json()}
        return {**self.facts, **self.analysis.to_json(), **parts}


def evaluate_predictions(
    predictions: pd.DataFrame,
    samples: pd.DataFrame | None = None,
    split: pd.DataFrame | None = None,
    config: EvaluateConfig | None = None,
    extra: dict[str, pd.DataFrame] | None = None,
) -> Metrics:
    """Evaluate a table of predictions against the truth and against non-magnetic baselines.

    Test rows are evaluated (validation rows only where there is no test row); of these, where it is known, the windows
    before mainshocks and the Normal ones (``config.events``). Intervals are those of the jackknife over whole
    ``split_group``s, event clusters and control blocks apart; one cluster or block alone leaves no interval. Skill is
    the paired difference to the best baseline on these rows (the oracle excluded). Validation rows calibrate, fold by
    fold; those that depend on test rows are refused, and those of a naive split left out.

    Args:
        predictions: a table as ``read_predictions`` returns it.
        samples: the store's samples.parquet: which windows precede mainshocks, magnitudes and distances. With
            ``split`` the baselines are fitted on the training set, otherwise by group k-fold within the table.
        split: sample_id, fold, role.
        config: confidence, bins of reliability, seed, and which events.
        extra: further forecasts by name, see ``BaselineData``.

    Raises:
        DataError: the table is not valid, a sample occurs twice, a validation row depends on a test row, or samples and
            split lack some of its rows.
    """
    config = config or EvaluateConfig.model_validate({})
    check_predictions(predictions)
    rows = add_label_columns(evaluated_rows(predictions), samples)
    validation = predictions[predictions["role"] == "val"]
    if rows["role"].iloc[0] != "test" or is_naive(rows):  # naive: validation rows are test rows
        validation = validation.iloc[:0]
    check_validation(validation, rows)
    validation = add_label_columns(validation, samples)
    data = BaselineData(samples, split, extra)
    mainshocks = config.events == "mainshocks" and knows_mainshocks(rows)
    facts = _describe(rows, data, config, "mainshocks" if mainshocks else "all")
    of_interest = mainshocks_and_normal(rows).to_numpy(dtype=bool) if mainshocks else np.ones(len(rows), dtype=bool)
    network = score_network(rows, of_interest, samples, config)
    if mainshocks:
        everything = _evaluate(rows, validation.iloc[:0], data, config, short=True)
        rows = rows[of_interest]
        validation = validation[mainshocks_and_normal(validation)] if "is_mainshock" in validation else validation
        return Metrics(facts, _evaluate(rows, validation, data.of_mainshocks(), config), everything, network)
    analysis = _evaluate(rows, validation, data, config)
    if config.events == "mainshocks":
        analysis = dataclasses.replace(analysis, warnings=[*analysis.warnings, MAINSHOCKS_UNKNOWN])
    return Metrics(facts, analysis, None, network)


def fold_skill(
    predictions: pd.DataFrame,
    samples: pd.DataFrame | None,
    split: pd.DataFrame | None,
    config: EvaluateConfig,
    classes: Mapping[str, Sequence[str]],
) -> dict[str, Skill]:
    """Skill in balanced accuracy by task, over the given classes, of the rows that ``evaluate_predictions`` scores."""
    rows, data = add_label_columns(evaluated_rows(predictions), samples), BaselineData(samples, split)
    if config.events == "mainshocks" and knows_mainshocks(rows):
        rows, data = rows[mainshocks_and_normal(rows)], data.of_mainshocks()
    truth = find_truth(rows)
    forecasts = score_forecasts(rows, truth, data)
    scored = {
        task: score_task(task, forecasts, truth.clusters, config, ("balanced_accuracy",), names)
        for task, names in classes.items()
    }
    return {task: estimates.skill["balanced_accuracy"] for task, estimates in scored.items()}


def _evaluate(
    rows: pd.DataFrame, validation: pd.DataFrame, data: BaselineData, config: EvaluateConfig, short: bool = False
) -> Analysis:
    """Evaluate one choice of windows; ``short`` leaves out reliability, calibration, sets and tables."""
    truth = find_truth(rows)
    forecasts = score_forecasts(rows, truth, data)
    clusters = truth.clusters
    warnings = _table_warnings(rows, clusters) + absent_baselines(rows if data.samples is None else data.samples)
    tasks = {}
    for task, classes in TASK_CLASSES.items():
        baseline_scores = ("balanced_accuracy",) if short else tuple(CONFUSION_SCORES)
        estimates = score_task(task, forecasts, clusters, config, baseline_scores)
        warnings += _task_warnings(task, estimates)
        if short:
            tasks[task] = TaskScores(classes, estimates)
            continue
        _, p, happened = read_out(task, rows, truth)
        reliability = score_reliability(task, p, happened, clusters, config)
        candidates = {name: forecasts.sums(task, name) for name in forecasts.candidates(task)}
        calibration = calibrate(task, rows, validation, truth, candidates, config)
        conformal = None
        if isinstance(calibration, Calibrated):
            conformal, remarks = score_sets(task, rows, validation, clusters, config)
            warnings += [sentence for sentence in remarks if sentence not in warnings]
        tasks[task] = TaskScores(classes, estimates, reliability, calibration, conformal)
    tables = None
    if not short:
        best = {
            task: {score: entry.baseline for score, entry in scores.estimates.skill.items()}
            for task, scores in tasks.items()
        }
        tables = score_subsets(rows, truth, forecasts, best, config)
    n_events, n_normal_groups = int(rows["event_id"].nunique()), clusters.n - clusters.n_event
    return Analysis(len(rows), n_events, clusters.n_event, n_normal_groups, warnings, tasks, tables)


def _describe(rows: pd.DataFrame, data: BaselineData, config: EvaluateConfig, events: str) -> dict[str, object]:
    """What was evaluated, and how."""
    runs = sorted(rows["run_id"].astype(str).unique())
    return {
        "run_id": runs[0] if len(runs) == 1 else None,
        "run_ids": runs,
        "dataset_id": None if data.samples is None else data.samples.attrs.get("dataset_id"),
        "data_origin": sorted(rows["origin"].dropna().astype(str).unique()) if "origin" in rows else None,
        "role": str(rows["role"].iloc[0]),
        "folds": sorted(rows["fold"].unique().tolist()),
        "settings": config.model_dump(mode="json"),
        "confidence": config.confidence,
        "intervals": {
            "method": "delete-one-group jackknife with Student's t", "unit": "split_group",
            "strata": ["event clusters", "control blocks"],
        },
        "events": events,
        "baselines_fitted": data.described,
        "log_score_floor": m.LOG_SCORE_FLOOR,
    }  # fmt: skip


def _table_warnings(rows: pd.DataFrame, clusters: Clusters) -> list[str]:
    warnings = [NAIVE_WARNING] if is_naive(rows) else []
    if (too_few := clusters.no_interval) is not None:
        warnings.append(too_few)
    if rows["role"].iloc[0] == "val":
        warnings.append(
            "Validation rows were evaluated, as there are no test rows: they have served to choose the epoch."
        )
    disagree = int(((rows["y_magnitude"] == "Normal") != (rows["y_azimuth"] == "Normal")).sum())
    if disagree:
        warnings.append(f"{disagree} windows are Normal by magnitude but not by azimuth, or the reverse.")
    return warnings


def _task_warnings(task: str, estimates: TaskEstimates) -> list[str]:
    warnings, per_class = [], estimates.per_class
    present = [name for name, entry in per_class.items() if entry.n]
    absent = [name for name in TASK_CLASSES[task] if name not in present]
    if len(present) == 1:
        warnings.append(
            f"{task}: the truth is {present[0]} in every window, so balanced accuracy (and skill in it), "
            "macro-F1 and MCC are undefined."
        )
    elif absent:
        warnings.append(
            f"{task}: no window of {', '.join(absent)}; balanced accuracy is the mean over the other classes."
        )
    rare = rare_classes_sentence(task, [entry.n_clusters for entry in per_class.values()])
    return warnings if rare is None else [*warnings, rare]
