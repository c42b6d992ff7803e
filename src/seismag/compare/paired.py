"""Scores of several forecasts of the same windows, and paired differences with intervals by event cluster.

The same groups are left out of all forecasts, so variations common to all cancel in the differences.
McNemar's test is not used, because it assumes independent windows, and up to eight windows belong to one event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.estimate import Estimate
from seismag.scoring import metrics as m
from seismag.scoring.clusters import find_truth
from seismag.scoring.estimates import IntervalEstimate, Scored, best_baseline, finite
from seismag.scoring.forecasts import EXTRA_GROUP, MODEL, BaselineData, Forecasts, score_forecasts
from seismag.scoring.mainshocks import MAINSHOCKS_UNKNOWN, add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.predictions import TASK_CLASSES, forecast_table, task_probabilities
from seismag.scoring.text import rare_classes_sentence

COMPARED = {
    "detection": ("balanced_accuracy", "mcc", "log_score", "brier", "auc_within_station"),
    "magnitude": ("balanced_accuracy", "mcc", "log_score"),
    "azimuth": ("balanced_accuracy", "mcc", "log_score"),
}
BEST_BASELINE = "best_no_signal"
TEST = (
    "two-sided p from the paired jackknife by group, adjusted by Holm over all scores and models (and separately over "
    "classical methods and baselines); balanced accuracy is compared over classes in 10 groups or more; McNemar's test "
    "is not valid here, because windows of one group are not independent"
)
_OF_MATRIX = ("balanced_accuracy", "mcc")


@dataclass(frozen=True)
class ComparedScore(Estimate):
    """A score of a forecast with its interval; ``baseline``: its name, for the best non-magnetic baseline."""

    baseline: str | None


@dataclass(frozen=True)
class PairedDifference(IntervalEstimate):
    """Paired difference of a score to the first model over n windows; positive is better.

    ``p_value`` is two-sided and None where undefined, ``p_adjusted`` by Holm, ``baseline`` as of ``ComparedScore``;
    ``classes`` are those that balanced accuracy is compared over, None for other scores.
    """

    p_value: float | None
    p_adjusted: float | None
    n: int
    baseline: str | None
    classes: list[str] | None


@dataclass(frozen=True)
class ComparedForecast:
    """Scores and differences of a forecast, by task and score; no differences for the first model."""

    group: str
    scores: dict[str, dict[str, ComparedScore]]
    difference: dict[str, dict[str, PairedDifference]] | None

    def to_json(self) -> dict[str, object]:
        """Give group, scores and difference."""
        return {"group": self.group, "scores": _json(self.scores), "difference": _json(self.difference)}


@dataclass(frozen=True)
class PairedComparison:
    """Models on the same windows.

    Attributes:
        facts: windows, intervals and test, for comparison.json.
        n_comparisons: number of adjusted p-values, of ``models`` and of ``rules``.
        forecasts: by name: models, classical methods, and the best non-magnetic baseline.
        warnings: sentences.
    """

    facts: dict[str, object]
    n_comparisons: dict[str, int]
    forecasts: dict[str, ComparedForecast]
    warnings: list[str]


def compare_tables(
    tables: Mapping[str, pd.DataFrame], training: BaselineData, config: EvaluateConfig | None = None
) -> PairedComparison:
    """Score several models on the same windows, and compare each with the first.

    Evaluated are control windows and windows before mainshocks, where mainshocks are known (``config.events``). The
    extra forecasts of ``training`` (classical methods) and the best non-magnetic baseline of each score are compared
    as well. p-values are adjusted by Holm over the models, and over the other forecasts.

    Args:
        tables: by name, rows of ``evaluated_rows``, of the same windows in the same folds.
        training: samples and split of the store, and the classical forecasts.
        config: confidence, and which events.

    Raises:
        DataError: windows, folds or labels differ between tables.
    """
    config = config or EvaluateConfig.model_validate({})
    names = list(tables)
    aligned = align_tables(tables)
    rows = add_label_columns(aligned[names[0]], training.samples)
    chosen = config.events == "mainshocks" and knows_mainshocks(rows)
    if chosen:
        kept = mainshocks_and_normal(rows).to_numpy()
        rows, training = rows[kept].reset_index(drop=True), training.of_mainshocks()
    extra = {f"{MODEL} {name}": _forecast(aligned[name]) for name in names[1:]} | dict(training.extra or {})
    truth = find_truth(rows)
    forecasts = score_forecasts(rows, truth, BaselineData(training.samples, training.split, extra))
    warnings = [] if chosen or config.events == "all" else [MAINSHOCKS_UNKNOWN]
    warnings += _few_groups(forecasts)
    facts: dict[str, object] = {
        "events": "mainshocks" if chosen else "all",
        "role": str(rows["role"].iloc[0]),
        "n": len(rows),
        "n_clusters": truth.clusters.n,
        "n_event_groups": truth.clusters.n_event,
        "n_normal_groups": truth.clusters.n - truth.clusters.n_event,
        "confidence": config.confidence,
        "intervals": {"method": "delete-one-group jackknife with Student's t", "unit": "split_group", "paired": True},
        "test": TEST,
        "baselines_fitted": training.described,
        "reference": names[0],
    }
    compared = _compare(forecasts, names, config)
    n_comparisons = {
        "models": _adjust([entry for entry in compared.values() if entry.group == MODEL]),
        "rules": _adjust([entry for entry in compared.values() if entry.group != MODEL]),
    }
    return PairedComparison(facts, n_comparisons, compared, warnings)


def _few_groups(forecasts: Forecasts) -> list[str]:
    """Sentences on fewer groups than an interval needs, in all and of a class."""
    sentences = [forecasts.truth.clusters.no_interval]
    for task in COMPARED:
        contains = forecasts.sums(task, MODEL).cm.sum(axis=-1) > 0  # (n_groups, k)
        sentences.append(rare_classes_sentence(task, contains.sum(axis=0).tolist()))
    return [sentence for sentence in sentences if sentence is not None]


def align_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Put the rows of all tables into the order of the first.

    Raises:
        DataError: windows, folds or labels differ between tables.
    """
    (first, reference), *others = tables.items()
    order = window_keys(reference)
    aligned = {first: reference.reset_index(drop=True)}
    for name, table in others:
        keys = window_keys(table)
        for whose, lacking in ((name, order.difference(keys)), (first, keys.difference(order))):
            if len(lacking):
                fold, sample_id = lacking[0]
                raise DataError(
                    f"{first} and {name} were not evaluated on the same windows: {whose} lacks {len(lacking)} of them, "
                    f"for example {sample_id} in fold {fold}. Models are compared on identical folds only: train both "
                    "with the same section split (split.name, split.fold), or cross-validate both."
                )
        rows = table.iloc[keys.get_indexer(order)].reset_index(drop=True)
        for column in ("y_magnitude", "y_azimuth", "split_group"):
            differs = rows[column].astype(str).to_numpy() != aligned[first][column].astype(str).to_numpy()
            if differs.any():
                raise DataError(
                    f"{first} and {name}: {column} of {int(differs.sum())} windows differs, for example of "
                    f"{rows['sample_id'].iloc[int(np.flatnonzero(differs)[0])]}. The stores differ: train both models "
                    "on the same store."
                )
        aligned[name] = rows
    return aligned


def _compare(forecasts: Forecasts, names: list[str], config: EvaluateConfig) -> dict[str, ComparedForecast]:
    """Scores and differences of all forecasts, by name."""
    result = {name: ComparedForecast(MODEL, {}, None if name == names[0] else {}) for name in names}
    for task in COMPARED:
        for name, group, score, value, difference in _compare_task(task, forecasts, names, config):
            entry = result.setdefault(name, ComparedForecast(group, {}, {}))
            entry.scores.setdefault(task, {})[score] = value
            if entry.difference is not None:
                entry.difference.setdefault(task, {})[score] = difference
    return result


def _adjust(entries: Sequence[ComparedForecast]) -> int:
    """Set the adjusted p-value of each difference of these forecasts; gives their number."""
    tasks = [task for entry in entries for task in (entry.difference or {}).values()]
    tested = [(task, score, entry.p_value) for task in tasks for score, entry in task.items()]
    defined = [(task, score, p_value) for task, score, p_value in tested if p_value is not None]
    for (task, score, _), adjusted in zip(defined, m.holm([p_value for *_, p_value in defined]), strict=True):
        task[score] = replace(task[score], p_adjusted=adjusted)
    return len(defined)


def _compare_task(
    task: str, forecasts: Forecasts, names: list[str], config: EvaluateConfig
) -> Iterator[tuple[str, str, str, ComparedScore, PairedDifference]]:
    """Name, group and score of each compared forecast, with its value and its difference to the first model."""
    point = {name: Scored.of(forecasts.sums(task, name), None, _OF_MATRIX) for name in forecasts.names(task)}
    best = {score: best_baseline(score, point, forecasts.candidates(task)) for score in COMPARED[task]}
    models = {MODEL: names[0]} | {f"{MODEL} {name}": name for name in names[1:]}
    classical = [name for name in point if forecasts.groups[name] == EXTRA_GROUP and name not in models]
    compared: list[tuple[str, str, str, str, str | None]]
    compared = [(name, shown, MODEL, score, None) for name, shown in models.items() for score in COMPARED[task]]
    compared += [(name, name, EXTRA_GROUP, score, None) for name in classical for score in COMPARED[task]]
    compared += [(name, BEST_BASELINE, "no_signal", score, name) for score, name in best.items() if name]
    needed = sorted({name for name, *_ in compared})
    clusters, n = forecasts.truth.clusters, len(forecasts.truth.stratum)
    scored = {name: Scored.of(forecasts.sums(task, name), clusters.has_event, _OF_MATRIX) for name in needed}
    for name, shown, group, score, baseline in compared:
        estimate = scored[name].estimate(score, config.confidence)
        value, left_out = scored[name].minus(scored[MODEL], score)
        difference = IntervalEstimate.jackknifed(value, left_out, config.confidence)
        p_value = None if left_out is None else finite(left_out.two_sided_p_value(float(value)))
        classes = scored[name].compared_classes(task, score)
        yield (
            shown, group, score, ComparedScore(**vars(estimate), n=n, baseline=baseline),
            PairedDifference(
                **vars(difference), p_value=p_value, p_adjusted=None, n=n, baseline=baseline, classes=classes
            ),
        )  # fmt: skip


def _json(entries: dict[str, dict[str, ComparedScore]] | dict[str, dict[str, PairedDifference]] | None) -> object:
    """Plain values; ``baseline`` and ``classes`` only where they are set."""
    if entries is None:
        return None
    plain = {task: {score: asdict(entry) for score, entry in scores.items()} for task, scores in entries.items()}
    for scores in plain.values():
        for entry in scores.values():
            for key in ("baseline", "classes"):
                if entry.get(key) is None:
                    entry.pop(key, None)
    return plain


def window_keys(rows: pd.DataFrame) -> pd.MultiIndex:
    """Fold and sample_id of each row."""
    return pd.MultiIndex.from_arrays([rows["fold"].astype(int), rows["sample_id"].astype(str)])


def _forecast(rows: pd.DataFrame) -> pd.DataFrame:
    probs = {task: task_probabilities(rows, task) for task in TASK_CLASSES}
    return forecast_table(probs, pd.Index(rows["sample_id"].astype(str), name="sample_id"))
