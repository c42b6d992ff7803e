"""What a table can be predicted with by rules that never see the field.

Each rule is fitted on one set of labelled windows and applied to another, for the three tasks
apart (so that detection is not a by-product of four magnitude classes):

- ``all_normal``: Normal, always.
- ``majority``: the class frequencies of training, the same for every window; its decision is the
  most frequent class.
- ``station``: the class frequencies of training at the window's station, smoothed towards those of
  all stations; a station that training does not know gets those.
- ``station_balanced``: the same divided by the overall frequencies. Balanced accuracy rewards it
  as it rewards a network trained with balanced class weights, so it is the fair opponent there.
- ``oracle_detection_constant``: Normal for Normal, the most frequent event class for every event.
  It **looks at the truth** of detection and can never be "the best no-signal baseline"; it is shown
  because it reproduces published headline accuracies. It has no detection task of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from seismag.domain import DataError
from seismag.evaluation.predictions import TASK_CLASSES, probability_columns, truth_index
from seismag.metrics import FloatArray, IndexArray

ORACLE = "oracle_detection_constant"
BASELINES = ("all_normal", "majority", "station", "station_balanced", ORACLE)
FITTED_ON_TRAINING = "training role of the split"
FITTED_WITHIN_TABLE = "out of fold within the table"
GROUPS = dict.fromkeys(BASELINES, "no_signal") | {
    "all_normal": "constant", "majority": "constant", ORACLE: "oracle",
}  # fmt: skip
RIVAL_GROUPS = ("constant", "no_signal")  # of which the best is what a model has to beat
_MAX_FOLDS = 10


def baseline_predictions(samples: pd.DataFrame, split: pd.DataFrame, test_ids: pd.Series) -> dict[str, pd.DataFrame]:
    """Fit every rule on the training role of one fold and apply it to the windows asked for.

    Args:
        samples: sample_id, station, magnitude_class, azimuth_class of all windows.
        split: sample_id, fold, role of one fold.
        test_ids: sample_id of the windows to predict, in the order of the result.

    Returns:
        By rule, a table indexed by sample_id with columns ``p_<task>_<Class>``; the oracle has no
        columns for detection.

    Raises:
        DataError: the split holds several folds or no training row, or a window is not in samples.
    """
    folds = split["fold"].unique()
    if len(folds) != 1:
        raise DataError(f"split: baselines are fitted fold by fold, but {len(folds)} folds were given.")
    train_ids = split.loc[split["role"] == "train", "sample_id"]
    if train_ids.empty:
        raise DataError(f"split: fold {folds[0]} has no window with role train to fit the baselines on.")
    labels = _labels(
        samples["sample_id"].astype(str), samples["station"], samples["magnitude_class"], samples["azimuth_class"]
    )
    return _fit_and_predict(_rows(labels, train_ids), _rows(labels, test_ids))


def baselines_within_table(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Fit and apply the rules by group k-fold over ``split_group``, where no training role is known.

    Args:
        predictions: the judged rows, one a window; each is predicted by rules fitted without its group.

    Returns:
        As ``baseline_predictions``. With a single group nothing can be fitted and only
        ``all_normal`` comes back.
    """
    parts = list(folds_within_table(predictions))
    order = np.argsort(np.concatenate([positions for positions, _ in parts]))
    index = pd.Index(predictions["sample_id"].astype(str), name="sample_id")
    return {name: pd.concat([part[name] for _, part in parts]).iloc[order].set_index(index) for name in parts[0][1]}


def folds_within_table(predictions: pd.DataFrame) -> Iterator[tuple[IndexArray, dict[str, pd.DataFrame]]]:
    """As ``baselines_within_table``, fold by fold: the rows of the fold, and their forecasts.

    A table of a million windows has room for the forecasts of one fold, not of all.
    """
    place = pd.Series(np.arange(len(predictions)))
    labels = _labels(place, predictions["station"], predictions["y_magnitude"], predictions["y_azimuth"])
    groups = pd.factorize(predictions["split_group"], sort=True)[0]
    n_folds = min(_MAX_FOLDS, len(np.unique(groups)))
    if n_folds < 2:
        yield np.arange(len(labels)), {"all_normal": _fit_and_predict(labels, labels)["all_normal"]}
        return
    for train, test in GroupKFold(n_folds).split(labels, groups=groups):
        yield test, _fit_and_predict(labels.iloc[train], labels.iloc[test])


def station_frequencies(
    train_station: IndexArray, train_class: IndexArray, n_stations: int, n_classes: int
) -> tuple[FloatArray, FloatArray]:
    """Estimate class frequencies overall and by station, neither ever 0.

    Overall: Laplace's rule, ``(n_c + 1) / (n + k)``. By station: k pseudo-windows that follow the
    overall frequencies q, ``(n_sc + k q_c) / (n_s + k)``: Laplace's rule where q is uniform, q
    itself for a station without windows.

    Returns:
        (k,) and (n_stations, k).

    Source: Good (1965), The Estimation of Probabilities, chapter 3.
    """
    counts = np.zeros((n_stations, n_classes))
    np.add.at(counts, (train_station, train_class), 1.0)
    overall = (counts.sum(axis=0) + 1) / (counts.sum() + n_classes)
    return overall, (counts + n_classes * overall) / (counts.sum(axis=1, keepdims=True) + n_classes)


def _labels(sample_id: pd.Series, station: pd.Series, magnitude: pd.Series, azimuth: pd.Series) -> pd.DataFrame:
    labels = pd.DataFrame({task: truth_index(magnitude, azimuth, task) for task in TASK_CLASSES})
    labels["station"] = station.astype(str).to_numpy()
    return labels.set_index(pd.Index(sample_id, name="sample_id"))


def _rows(labels: pd.DataFrame, sample_ids: pd.Series) -> pd.DataFrame:
    wanted = pd.Index(sample_ids.astype(str))
    unknown = wanted.difference(labels.index)
    if len(unknown):
        raise DataError(
            f"{len(unknown)} of {len(wanted)} windows of the split or the predictions are not in the samples, "
            f"for example {unknown[0]}. Use the store that the model was trained on."
        )
    return labels.loc[wanted]


def _fit_and_predict(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    stations = pd.Index(train["station"].unique())
    train_station = stations.get_indexer(pd.Index(train["station"]))
    test_station = stations.get_indexer(pd.Index(test["station"]))  # -1: unseen
    result: dict[str, list[pd.DataFrame]] = {name: [] for name in BASELINES}
    for task, classes in TASK_CLASSES.items():
        truth = train[task].to_numpy()
        # one station more than training has: without windows, for the unseen ones (index -1)
        overall, by_station = station_frequencies(train_station, truth, len(stations) + 1, len(classes))
        ratio = np.round(by_station / overall, 9)  # exact ties (an unseen station) stay ties
        probs = {
            "all_normal": np.tile(np.eye(len(classes))[0], (len(test), 1)),
            "majority": np.tile(overall, (len(test), 1)),
            "station": by_station[test_station],
            "station_balanced": (ratio / ratio.sum(axis=1, keepdims=True))[test_station],
        }
        if task != "detection":
            event_class = 1 + int(np.argmax(np.bincount(truth, minlength=len(classes))[1:]))
            is_event = test["detection"].to_numpy() == 1
            probs[ORACLE] = np.eye(len(classes))[np.where(is_event, event_class, 0)]
        for name, values in probs.items():
            result[name].append(pd.DataFrame(values, columns=probability_columns(task), index=test.index))
    return {name: pd.concat(parts, axis=1) for name, parts in result.items()}
