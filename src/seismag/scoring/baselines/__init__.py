"""Non-magnetic baselines (and one on data quality), fitted for the three tasks apart.

- ``all_normal``: always Normal.
- ``majority``: class frequencies of the training set; its prediction is the most frequent class.
- ``base_rates``: class frequencies of the evaluated windows themselves, the best constant. Frequencies of other
  windows are worse by chance, and those of the other folds of one table are even anticorrelated with the left-out fold:
  a constant forecast would have skill over them.
- ``station``: class frequencies at the window's station, smoothed towards those of all stations, which a station
  without training windows gets.
- ``clock``, ``space_weather``, ``era``, ``catalogue_rate``, ``all_no_signal``: logistic models on hour and season, Kp
  and Dst, time by station, the rate of past earthquakes, and all of these with the station. A baseline whose columns
  are missing is absent (``absent_baselines``).
- ``<name>_balanced``: the same divided by the overall frequencies: balanced accuracy rewards it as it rewards a
  network trained with balanced class weights.
- ``quality``: a logistic model on gaps, masks, noise floor and source. These are derived from the recordings, so it is
  reported apart.
- ``oracle_detection_constant``: Normal for Normal, the most frequent event class for every event. It **uses the truth**
  of detection and is never the best baseline; it reproduces published headline accuracies.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from seismag.arrays import IndexArray
from seismag.domain import DataError
from seismag.scoring.baselines.frequencies import BASE_RATES, COUNTING_BASELINES, ORACLE, count_and_predict
from seismag.scoring.baselines.inputs import BASELINE_COLUMNS, NON_MAGNETIC_COLUMNS, QUALITY_COLUMNS, baseline_inputs
from seismag.scoring.baselines.logistic import fit_and_predict, group_folds
from seismag.scoring.predictions import TASK_CLASSES, TRAINED_ON_REMEDY, positions_of, truth_index

LOGISTIC_BASELINES = tuple(BASELINE_COLUMNS)
BASELINES = (*COUNTING_BASELINES, *(name for base in LOGISTIC_BASELINES for name in (base, f"{base}_balanced")))
GROUPS = dict.fromkeys(BASELINES, "no_signal") | {
    "all_normal": "constant", "majority": "constant", BASE_RATES: "constant", ORACLE: "oracle",
    "quality": "quality", "quality_balanced": "quality",
}  # fmt: skip
CANDIDATE_GROUPS = ("constant", "no_signal")  # the best baseline is one of these
MAX_FOLDS = 10
_ALLOWED_COLUMNS = sorted({*NON_MAGNETIC_COLUMNS, *QUALITY_COLUMNS})


def absent_baselines(samples: pd.DataFrame) -> list[str]:
    """One sentence on the baselines that a table has no columns for; none where all can be fitted."""
    absent = [name for name in LOGISTIC_BASELINES if not _can_fit(samples, name)]
    if not absent:
        return []
    columns = "; ".join(f"{name} ({', '.join(BASELINE_COLUMNS[name])})" for name in absent)
    return [
        f"Baselines absent for lack of their columns: {columns}. Give the store as well; one of an earlier version, or "
        "made without Kp and Dst, must be prepared anew."
    ]


def baseline_predictions(samples: pd.DataFrame, split: pd.DataFrame, test_ids: pd.Series) -> dict[str, pd.DataFrame]:
    """Fit every baseline on the training set of one fold and apply it to the given windows.

    Args:
        samples: sample_id, station, magnitude_class, azimuth_class of all windows; of the other columns those of
            ``BASELINE_COLUMNS``, where they are present.
        split: sample_id, fold, role, split_group of one fold.
        test_ids: sample_id of the windows to predict, in the order of the result.

    Returns:
        By baseline, a table indexed by sample_id with columns ``p_<task>_<Class>``; the oracle has no columns for
        detection. Baselines whose columns are missing are absent.

    Raises:
        DataError: the split has no training row, or a window is not in samples.
    """
    training = split[split["role"] == "train"]
    if training.empty:
        raise DataError(
            f"split: fold {split['fold'].iloc[0]} has no window in the training set to fit the baselines on."
        )
    ids = pd.Index(samples["sample_id"].astype(str), name="sample_id")
    rows = _labelled(samples, samples["magnitude_class"], samples["azimuth_class"]).set_index(ids)
    train = _rows(rows, training["sample_id"])
    if "split_group" in training:
        train = train.assign(split_group=training["split_group"].to_numpy())
    return _fit_and_predict(train, _rows(rows, test_ids), _fittable(samples))


def folds_within_table(
    predictions: pd.DataFrame, samples: pd.DataFrame | None = None
) -> Iterator[tuple[IndexArray, dict[str, pd.DataFrame]]]:
    """Fit and apply the baselines by group k-fold over ``split_group``, where no training set is known.

    Args:
        predictions: the evaluated rows, one a window; each is predicted by baselines fitted without its group.
        samples: the store's table, where there is one: it contains more of ``BASELINE_COLUMNS``.

    Yields:
        Positions of the rows of a fold, and their forecasts by baseline as of ``baseline_predictions``. With a single
        group nothing can be fitted and there is only ``all_normal``.

    Raises:
        DataError: a window is not in samples.
    """
    table = predictions
    if samples is not None:
        allowed = [name for name in _ALLOWED_COLUMNS if name in samples]
        found = _rows(samples.set_index("sample_id")[allowed], predictions["sample_id"])
        table = predictions.assign(**{name: found[name].to_numpy() for name in allowed})
    rows = _labelled(table, table["y_magnitude"], table["y_azimuth"])
    groups = pd.factorize(table["split_group"], sort=True)[0]
    folds = group_folds(groups, MAX_FOLDS)
    if not folds:
        yield np.arange(len(rows)), {"all_normal": count_and_predict(rows, rows)["all_normal"]}
        return
    names = _fittable(rows)
    rows["split_group"] = groups
    for train, test in folds:
        yield test, _fit_and_predict(rows.iloc[train], rows.iloc[test], names)


def _labelled(table: pd.DataFrame, magnitude: pd.Series, azimuth: pd.Series) -> pd.DataFrame:
    """Class index of each task, station, group, and the allowed columns; nothing else of the table."""
    truth = {task: truth_index(magnitude, azimuth, task).astype(np.int8) for task in TASK_CLASSES}
    rows = table[[name for name in _ALLOWED_COLUMNS if name in table]].assign(**truth)
    rows["station"] = table["station"].astype(str).to_numpy()
    # without groups each window is one
    rows["split_group"] = (table["split_group"] if "split_group" in table else table["sample_id"]).to_numpy()
    return rows.reset_index(drop=True)


def _rows(table: pd.DataFrame, sample_ids: pd.Series) -> pd.DataFrame:
    whose = " of the split or the predictions"
    return table.iloc[positions_of(table.index, sample_ids, whose, "the samples", TRAINED_ON_REMEDY)]


def _can_fit(table: pd.DataFrame, name: str) -> bool:
    columns = set(baseline_inputs(table, name).columns)
    return bool(columns - {"station"}) and (name not in ("clock", "era", "all_no_signal") or "start_utc" in columns)


def _fittable(table: pd.DataFrame) -> list[str]:
    return [name for name in LOGISTIC_BASELINES if _can_fit(table, name)]


def _fit_and_predict(train: pd.DataFrame, test: pd.DataFrame, names: list[str]) -> dict[str, pd.DataFrame]:
    result = count_and_predict(train, test)
    for name in names:
        inputs = baseline_inputs(train, name)
        result |= fit_and_predict(train, test, inputs, test[inputs.columns], name)
    return result
