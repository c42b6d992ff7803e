"""The model's forecast and its rivals' on the same rows, judged fold by fold, so that only one fold's are held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray
from seismag.domain import DataError
from seismag.scoring import metrics as m
from seismag.scoring.baselines import (
    FITTED_ON_TRAINING,
    FITTED_WITHIN_TABLE,
    GROUPS,
    RIVAL_GROUPS,
    baseline_predictions,
    folds_within_table,
)
from seismag.scoring.clusters import ClusterSums, Truth, count_cells, sum_scores
from seismag.scoring.mainshocks import mainshocks_and_normal
from seismag.scoring.predictions import (
    TASK_CLASSES,
    probability_columns,
    release_memory,
    rows_by_fold,
    task_probabilities,
)

MODEL = "model"
EXTRA_GROUP = "classical"
Key = tuple[str, str]  # task, forecast


@dataclass(frozen=True)
class Training:
    """What the rules without the field are fitted on; without a split, the judged rows themselves by group k-fold.

    Attributes:
        samples: the store's samples.
        split: sample_id, fold, role.
        extra: further forecasts by name, indexed by sample_id, columns ``p_<task>_<Class>`` of one task or more; shown
            beside the model, never rivals.
    """

    samples: pd.DataFrame | None = None
    split: pd.DataFrame | None = None
    extra: dict[str, pd.DataFrame] | None = None

    @property
    def described(self) -> str:
        """In words."""
        return FITTED_WITHIN_TABLE if self.split is None else FITTED_ON_TRAINING

    def of_mainshocks(self) -> Training:
        """Leave out of the training role what the analysis of mainshocks leaves out of the test role."""
        if self.split is None or self.samples is None or "is_mainshock" not in self.samples:
            return self
        kept = self.samples.loc[mainshocks_and_normal(self.samples, "magnitude_class"), "sample_id"]
        is_kept = (self.split["role"] != "train") | self.split["sample_id"].isin(kept)
        return Training(self.samples, self.split[is_kept], self.extra)


@dataclass(frozen=True)
class Forecasts:
    """All forecasts of one analysis.

    Attributes:
        truth: what they are judged against.
        scores: by task and forecast, what the probabilities score in each cluster (``sum_scores``); in single
            precision, of which 100,000 clusters and a dozen rules fill 60 MB.
        classes: by task and forecast, (n,) class decided for.
        log_scores: by task and forecast, (n,) log score of each row; of the model and its rivals.
        groups: by forecast, its group; ``RIVAL_GROUPS`` are what a model has to beat.
    """

    truth: Truth
    scores: dict[Key, dict[str, NDArray[np.float32]]]
    classes: dict[Key, NDArray[np.int8]]
    log_scores: dict[Key, NDArray[np.float32]]
    groups: dict[str, str]

    def names(self, task: str) -> list[str]:
        """Forecasts of a task, the model first."""
        return [name for key, name in self.scores if key == task]

    def rivals(self, task: str) -> list[str]:
        """Forecasts of a task among which the best one is to be beaten."""
        return [name for name in self.names(task) if self.groups[name] in RIVAL_GROUPS]

    def sums(self, task: str, name: str) -> ClusterSums:
        """What each cluster adds; its cells are counted when asked for, which a million windows have no room for."""
        classes = self.classes[task, name]
        cells = count_cells(self.truth.index[task], classes, self.truth.clusters, len(TASK_CLASSES[task]))
        return ClusterSums(cells, {kind: values.astype(float) for kind, values in self.scores[task, name].items()})


def score_forecasts(rows: pd.DataFrame, truth: Truth, training: Training, by_row: bool = True) -> Forecasts:
    """Judge the model's columns and every rule on the same rows; ``by_row`` false leaves out ``log_scores``.

    Raises:
        DataError: samples and split do not hold the rows, or an extra forecast lacks one.
    """
    extra = training.extra or {}
    forecasts = Forecasts(truth, {}, {}, {}, {MODEL: MODEL})
    judged: dict[Key, int] = {}
    for task in TASK_CLASSES:
        for places in rows_by_fold(rows):
            _evaluate(forecasts, (task, MODEL), task_probabilities(rows, task, places), places, by_row)
    for places, tables in _by_fold(rows, training):
        for name, table in tables.items():
            forecasts.groups[name] = EXTRA_GROUP if name in extra else GROUPS.get(name, "no_signal")
            for task in TASK_CLASSES:
                if probability_columns(task)[0] in table:  # the oracle has no detection
                    key = (task, name)
                    _evaluate(forecasts, key, table[probability_columns(task)].to_numpy(dtype=float), places, by_row)
                    judged[key] = judged.get(key, 0) + len(places)
        release_memory()
    for key, n in judged.items():
        if n < len(rows):  # a rule that could not be fitted in each fold
            for part in (forecasts.scores, forecasts.classes, forecasts.log_scores):
                part.pop(key, None)
    return forecasts


def _evaluate(forecasts: Forecasts, key: Key, probs: FloatArray, places: IndexArray, by_row: bool) -> None:
    """Add the rows ``places`` of a forecast."""
    task, name = key
    n, part = len(forecasts.truth.stratum), forecasts.truth.part(places)
    added = {kind: values.astype(np.float32) for kind, values in sum_scores(task, probs, part).items()}
    before = forecasts.scores.setdefault(key, {})
    before.update({kind: before[kind] + values if kind in before else values for kind, values in added.items()})
    forecasts.classes.setdefault(key, np.zeros(n, dtype=np.int8))[places] = probs.argmax(axis=1)
    if by_row and (name == MODEL or forecasts.groups[name] in RIVAL_GROUPS):
        log_scores = forecasts.log_scores.setdefault(key, np.zeros(n, dtype=np.float32))
        log_scores[places] = m.row_log_scores(probs, part.index[task])


def _by_fold(rows: pd.DataFrame, training: Training) -> Iterator[tuple[IndexArray, dict[str, pd.DataFrame]]]:
    """The rules' forecasts of some rows at a time, then the extra ones of all."""
    if training.split is None:
        yield from folds_within_table(rows, training.samples)
    else:
        yield from _by_training_fold(rows, training.samples, training.split)
    for name, table in (training.extra or {}).items():
        wanted = pd.Index(rows["sample_id"].astype(str))
        missing = wanted.difference(table.index)
        if len(missing):
            raise DataError(f"forecast {name}: {len(missing)} of {len(rows)} windows have none, e.g. {missing[0]}.")
        yield np.arange(len(rows)), {name: table.loc[wanted]}


def _by_training_fold(
    rows: pd.DataFrame, samples: pd.DataFrame | None, split: pd.DataFrame
) -> Iterator[tuple[IndexArray, dict[str, pd.DataFrame]]]:
    if samples is None:
        raise DataError("split: it comes without the samples it divides. Give the store as well.")
    for fold, places in sorted(rows.groupby("fold").indices.items()):
        fold_split = split[split["fold"] == fold]
        if fold_split.empty:
            raise DataError(f"split: fold {fold} of the predictions is not in it. Use the split of the run.")
        yield places, baseline_predictions(samples, fold_split, rows["sample_id"].iloc[places])
