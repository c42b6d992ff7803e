"""Scores of the model's forecast, the baselines and further forecasts on the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import Float32Array, FloatArray, IndexArray
from seismag.domain import DataError
from seismag.scoring import metrics as m
from seismag.scoring.baselines import CANDIDATE_GROUPS, GROUPS, baseline_predictions, folds_within_table
from seismag.scoring.baselines.frequencies import BASE_RATES, base_rates
from seismag.scoring.clusters import Sums, Truth, sum_scores
from seismag.scoring.mainshocks import mainshocks_and_normal
from seismag.scoring.predictions import TASK_CLASSES, probability_columns, rows_by_fold, task_probabilities

MODEL = "model"
EXTRA_GROUP = "classical"
Key = tuple[str, str]  # task, forecast


@dataclass(frozen=True)
class BaselineData:
    """Data to fit baselines on; without a split, the evaluated rows themselves by group k-fold.

    Attributes:
        samples: the store's samples.
        split: sample_id, fold, role.
        extra: further forecasts of all rows by name, indexed by sample_id, columns ``p_<task>_<Class>`` of one task
            or more; they are scored, but are no candidates for the best baseline.
    """

    samples: pd.DataFrame | None = None
    split: pd.DataFrame | None = None
    extra: dict[str, pd.DataFrame] | None = None

    @property
    def described(self) -> str:
        """Phrase for metrics.json."""
        return "out of fold within the table" if self.split is None else "training set of the split"

    def of_mainshocks(self) -> BaselineData:
        """Leave out of the training set what the analysis of mainshocks leaves out of the test set."""
        if self.split is None or self.samples is None or "is_mainshock" not in self.samples:
            return self
        kept = self.samples.loc[mainshocks_and_normal(self.samples, "magnitude_class"), "sample_id"]
        is_kept = (self.split["role"] != "train") | self.split["sample_id"].isin(kept)
        return BaselineData(self.samples, self.split[is_kept], self.extra)


@dataclass(frozen=True)
class Forecasts:
    """All forecasts of one analysis.

    Attributes:
        truth: true classes of the rows.
        scores: by task and forecast, ``sum_scores`` of each cluster, in single precision.
        classes: by task and forecast, (n,) predicted class.
        log_scores: by task and forecast, (n,) log score of each row; of the model and the candidates.
        groups: by forecast, its group; the best baseline is one of ``CANDIDATE_GROUPS``.
    """

    truth: Truth
    scores: dict[Key, dict[str, Float32Array]] = field(default_factory=dict)
    classes: dict[Key, NDArray[np.int8]] = field(default_factory=dict)
    log_scores: dict[Key, Float32Array] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=lambda: {MODEL: MODEL})

    def names(self, task: str) -> list[str]:
        """Forecasts of a task, the model first."""
        return [name for key, name in self.scores if key == task]

    def candidates(self, task: str) -> list[str]:
        """Baselines of a task among which the best one is chosen."""
        return [name for name in self.names(task) if self.groups[name] in CANDIDATE_GROUPS]

    def sums(self, task: str, name: str) -> Sums:
        """Sums of a forecast by cluster."""
        index, k = self.truth.clusters.index, len(TASK_CLASSES[task])
        cm = m.cluster_confusion(self.truth.index[task], self.classes[task, name], index, k)
        return Sums(cm, {kind: values.astype(float) for kind, values in self.scores[task, name].items()})

    def add_rows(self, key: Key, probs: FloatArray, positions: IndexArray) -> None:
        """Add the probabilities of some rows of a forecast; rows that are added together are ranked together."""
        task, name = key
        n, part = len(self.truth.stratum), self.truth.part(positions)
        before = self.scores.setdefault(key, {})
        for kind, values in sum_scores(task, probs, part).items():
            single = values.astype(np.float32)
            before[kind] = before[kind] + single if kind in before else single
        self.classes.setdefault(key, np.zeros(n, dtype=np.int8))[positions] = probs.argmax(axis=1)
        if name == MODEL or self.groups[name] in CANDIDATE_GROUPS:
            log_scores = self.log_scores.setdefault(key, np.zeros(n, dtype=np.float32))
            log_scores[positions] = m.row_log_scores(probs, part.index[task])


def score_forecasts(rows: pd.DataFrame, truth: Truth, data: BaselineData) -> Forecasts:
    """Score the model's columns, the baselines and the extra forecasts on the same rows.

    Raises:
        DataError: samples and split lack some of the rows.
    """
    forecasts = Forecasts(truth)
    for task in TASK_CLASSES:
        for positions in rows_by_fold(rows):
            forecasts.add_rows((task, MODEL), task_probabilities(rows, task, positions), positions)
    for positions, tables in _by_fold(rows, data):
        for name, table in tables.items():
            forecasts.groups[name] = GROUPS.get(name, EXTRA_GROUP)
            for task in TASK_CLASSES:
                columns = probability_columns(task)
                if columns[0] in table:  # the oracle has no detection
                    forecasts.add_rows((task, name), table[columns].to_numpy(dtype=float), positions)
    forecasts.groups[BASE_RATES] = GROUPS[BASE_RATES]
    for task, classes in TASK_CLASSES.items():
        constant = base_rates(truth.index[task], len(classes))
        forecasts.add_rows((task, BASE_RATES), constant, np.arange(len(rows)))
    return forecasts


def _by_fold(rows: pd.DataFrame, data: BaselineData) -> Iterator[tuple[IndexArray, dict[str, pd.DataFrame]]]:
    """The baselines' forecasts of the rows of one fold at a time, then the extra ones of all rows."""
    if data.split is None:
        yield from folds_within_table(rows, data.samples)
    elif data.samples is None:
        raise DataError("split: given without the samples it divides. Give the store as well.")
    else:
        for fold, positions in sorted(rows.groupby("fold").indices.items()):
            split = data.split[data.split["fold"] == fold]
            if split.empty:
                raise DataError(f"split: fold {fold} of the predictions is not in it. Use the split of the run.")
            yield positions, baseline_predictions(data.samples, split, rows["sample_id"].iloc[positions])
    for name, table in (data.extra or {}).items():
        yield np.arange(len(rows)), {name: table.loc[rows["sample_id"].astype(str)]}
