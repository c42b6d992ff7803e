"""Detection scores of a table with the columns y and p_event alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, FloatArray
from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters, Sums, Truth, sum_scores
from seismag.scoring.estimates import Score, Scored

_KEY = ("detection", "model")


@dataclass(frozen=True)
class EventScores:
    """Detection scores of a table: n rows, of which n_events with an event, in n_clusters groups.

    Attributes:
        scores: ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``mcc``, ``log_score`` (nat, higher is better),
            ``brier`` (lower is better), ``roc_auc``, and with a column station ``auc_within_station``
            (station-stratified ROC AUC).
        notes: sentences on what limits the intervals.
    """

    n: int
    n_events: int
    n_clusters: int
    scores: dict[str, Score]
    notes: list[str]

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def evaluate_events(table: pd.DataFrame, config: EvaluateConfig | None = None) -> EventScores:
    """Score event probabilities against the truth, with intervals by group.

    Args:
        table: ``y`` (bool, 0 or 1, or class names of which "Normal" is no event) and ``p_event`` (0 to 1). Optional:
            ``split_group``, groups of dependent rows, which are left out as a whole (without it each row is
            a group), and ``station``.
        config: confidence of the intervals.

    Raises:
        DataError: a column or value is missing, ``p_event`` lies outside [0, 1], or ``y`` is not as above.

    Example:
        >>> table = pd.DataFrame({"y": [0, 0, 1, 1], "p_event": [0.1, 0.6, 0.4, 0.9]})
        >>> result = evaluate_events(table)
        >>> result.scores["roc_auc"].value, result.scores["accuracy"].value
        (0.75, 0.5)
        >>> result.notes[0]
        'No column split_group: each row is a group; intervals are too narrow where rows are dependent.'
    """
    config = config or EvaluateConfig.model_validate({})
    is_event, p_event = _read_truth(table), _read_probability(table)
    notes = []
    if "split_group" in table:
        group = pd.factorize(table["split_group"], sort=True)[0]
        if (group < 0).any():
            raise DataError(f"split_group is missing in row {int(np.flatnonzero(group < 0)[0])}.")
    else:
        group = np.arange(len(table))
        notes.append("No column split_group: each row is a group; intervals are too narrow where rows are dependent.")
    clusters = Clusters(group, np.bincount(group, weights=is_event) > 0)
    if (too_few := clusters.no_interval) is not None:
        notes.append(too_few)
    probs = np.column_stack([1 - p_event, p_event])
    strata = {"roc_auc": np.zeros(len(table), dtype=np.intp)}
    if "station" in table:
        strata["auc_within_station"] = pd.factorize(table["station"].astype(str))[0]
    scored, index = {}, is_event.astype(np.intp)
    for name, stratum in strata.items():
        truth = Truth({"detection": index}, None, stratum, clusters)
        cm = m.cluster_confusion(index, probs.argmax(axis=1), clusters.index, 2)
        sums = Sums(cm, sum_scores("detection", probs, truth))
        scored[name] = Scored.of(sums, clusters.has_event)
    names = [name for name in scored["roc_auc"].shown if name != "auc_within_station"]
    entries = {name: scored["roc_auc"].estimate(name, config.confidence) for name in names}
    entries |= {name: part.estimate("auc_within_station", config.confidence) for name, part in scored.items()}
    scores = {name: Score(**vars(entry), n=len(table), n_clusters=clusters.n) for name, entry in entries.items()}
    return EventScores(len(table), int(is_event.sum()), clusters.n, scores, notes)


def _read_truth(table: pd.DataFrame) -> BoolArray:
    """Whether each row has an event, (n,)."""
    y = _column(table, "y")
    if pd.api.types.is_bool_dtype(y) or pd.api.types.is_numeric_dtype(y):
        values = y.to_numpy(dtype=float)
        if not np.isin(values, (0, 1)).all():
            row = int(np.flatnonzero(~np.isin(values, (0, 1)))[0])
            raise DataError(f"y is {values[row]:g} in row {row}. Write 0 or 1, true or false, or names of classes.")
        return values == 1
    names = y.astype(str)
    if not (names == "Normal").any():
        raise DataError(f"y has names of classes, for example {names.iloc[0]}, but no Normal, which is no event.")
    return (names != "Normal").to_numpy()


def _read_probability(table: pd.DataFrame) -> FloatArray:
    values = pd.to_numeric(_column(table, "p_event"), errors="coerce").to_numpy(dtype=float)
    valid = (values >= 0) & (values <= 1)
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        raise DataError(f"p_event is {table['p_event'].iloc[row]} in row {row}, not a probability from 0 to 1.")
    return values


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        raise DataError(f"the table has no column {name}. Columns: {', '.join(map(str, table.columns))}.")
    if table.empty:
        raise DataError("the table has no rows.")
    if table[name].isna().any():
        raise DataError(f"{name} is missing in row {int(np.flatnonzero(table[name].isna())[0])}.")
    return table[name]
