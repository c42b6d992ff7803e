"""What a table can be predicted with by rules that never see the field (and by its quality, reported apart).

Each rule is fitted on one set of labelled windows and applied to another, for the three tasks
apart (so that detection is not a by-product of four magnitude classes):

- ``all_normal``: Normal, always.
- ``majority``: the class frequencies of training, the same for every window; its decision is the
  most frequent class.
- ``station``: the class frequencies of training at the window's station, smoothed towards those of
  all stations; a station that training does not know gets those.
- ``clock``, ``space_weather``, ``era``, ``catalogue_rate``, ``all_no_signal``: learnt from hour and season, Kp and Dst,
  time by station, the rate of the past, and all of these with the station. A rule whose columns are
  missing is absent (``absent_rules`` says so).
- ``<rule>_balanced``: the same divided by the overall frequencies. Balanced accuracy rewards it
  as it rewards a network trained with balanced class weights, so it is the fair opponent there.
- ``quality``: learnt from gaps, masks, noise floor and source. That is derived from the field, so it is reported apart.
- ``oracle_detection_constant``: Normal for Normal, the most frequent event class for every event.
  It **looks at the truth** of detection and can never be "the best no-signal baseline"; it is shown
  because it reproduces published headline accuracies. It has no detection task of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from seismag.arrays import IndexArray
from seismag.domain import DataError
from seismag.scoring.baselines.frequencies import COUNTING_RULES, ORACLE, count_and_predict, station_frequencies
from seismag.scoring.baselines.inputs import NO_SIGNAL_COLUMNS, QUALITY_COLUMNS, RULE_COLUMNS, rule_inputs
from seismag.scoring.baselines.logistic import learn_and_predict
from seismag.scoring.predictions import TASK_CLASSES, truth_index

__all__ = [
    "BASELINES",
    "FITTED_ON_TRAINING",
    "FITTED_WITHIN_TABLE",
    "GROUPS",
    "ORACLE",
    "RIVAL_GROUPS",
    "absent_rules",
    "baseline_predictions",
    "baselines_within_table",
    "folds_within_table",
    "station_frequencies",
]

LEARNT_RULES = tuple(RULE_COLUMNS)
BASELINES = (*COUNTING_RULES, *(name for rule in LEARNT_RULES for name in (rule, f"{rule}_balanced")))
GROUPS = dict.fromkeys(BASELINES, "no_signal") | {
    "all_normal": "constant", "majority": "constant", "quality": "quality", "quality_balanced": "quality",
    ORACLE: "oracle",
}  # fmt: skip
RIVAL_GROUPS = ("constant", "no_signal")  # of which the best is what a model has to beat
FITTED_ON_TRAINING = "training role of the split"
FITTED_WITHIN_TABLE = "out of fold within the table"
_MAX_FOLDS = 10


def absent_rules(samples: pd.DataFrame) -> list[str]:
    """Say in one sentence which learnt rules a table has no columns for; nothing where all can be fitted."""
    absent = [rule for rule in LEARNT_RULES if not _can_learn(samples, rule)]
    if not absent:
        return []
    columns = "; ".join(f"{rule} ({', '.join(RULE_COLUMNS[rule])})" for rule in absent)
    return [
        f"Baselines absent for lack of their columns: {columns}. Give the store as well; one of an earlier version, or "
        "made without Kp and Dst, must be prepared anew."
    ]


def baseline_predictions(samples: pd.DataFrame, split: pd.DataFrame, test_ids: pd.Series) -> dict[str, pd.DataFrame]:
    """Fit every rule on the training role of one fold and apply it to the windows asked for.

    Args:
        samples: sample_id, station, magnitude_class, azimuth_class of all windows; of the other columns those that
            ``RULE_COLUMNS`` allows a rule to see, where they are there.
        split: sample_id, fold, role, split_group of one fold.
        test_ids: sample_id of the windows to predict, in the order of the result.

    Returns:
        By rule, a table indexed by sample_id with columns ``p_<task>_<Class>``; the oracle has no
        columns for detection. Rules whose columns are missing are absent.

    Raises:
        DataError: the split holds several folds or no training row, or a window is not in samples.
    """
    folds = split["fold"].unique()
    if len(folds) != 1:
        raise DataError(f"split: baselines are fitted fold by fold, but {len(folds)} folds were given.")
    training = split[split["role"] == "train"]
    if training.empty:
        raise DataError(f"split: fold {folds[0]} has no window with role train to fit the baselines on.")
    rows = _labelled(samples, samples["magnitude_class"], samples["azimuth_class"]).set_index(_sample_index(samples))
    train = _rows(rows, training["sample_id"])
    if "split_group" in training:
        train = train.assign(split_group=training["split_group"].to_numpy())
    return _fit_and_predict(train, _rows(rows, test_ids), _learnable(samples))


def baselines_within_table(predictions: pd.DataFrame, samples: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """Fit and apply the rules by group k-fold over ``split_group``, where no training role is known.

    Args:
        predictions: the judged rows, one a window; each is predicted by rules fitted without its group.
        samples: the store's table, where there is one: it holds more columns that rules may see.

    Returns:
        As ``baseline_predictions``. With a single group nothing can be fitted and only
        ``all_normal`` comes back.

    Raises:
        DataError: a window is not in samples.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    places: dict[str, list[IndexArray]] = {}
    for positions, tables in folds_within_table(predictions, samples):
        for name, table in tables.items():
            parts.setdefault(name, []).append(table)
            places.setdefault(name, []).append(positions)
    index, result = _sample_index(predictions), {}
    for name in parts:
        positions = np.concatenate(places[name])
        table = pd.concat(parts[name]).set_index(index[positions])
        result[name] = table.iloc[np.argsort(positions)]
    return result


def folds_within_table(
    predictions: pd.DataFrame, samples: pd.DataFrame | None = None
) -> Iterator[tuple[IndexArray, dict[str, pd.DataFrame]]]:
    """As ``baselines_within_table``, fold by fold and rule by rule: the rows of the fold, and their forecasts.

    A table of a million windows has room for the forecasts of one fold, not of all.
    """
    table = predictions if samples is None else with_sample_columns(predictions, samples)
    rows = _labelled(table, table["y_magnitude"], table["y_azimuth"])
    groups = pd.factorize(table["split_group"], sort=True)[0]
    n_folds = min(_MAX_FOLDS, len(np.unique(groups)))
    if n_folds < 2:
        yield np.arange(len(rows)), {"all_normal": count_and_predict(rows, rows)["all_normal"]}
        return
    rules = _learnable(rows)
    rows["split_group"] = groups
    for train, test in GroupKFold(n_folds).split(rows, groups=groups):
        yield test, count_and_predict(rows.iloc[train], rows.iloc[test])
        for rule in rules:
            yield test, _learn(rows.iloc[train], rows.iloc[test], rule)


def with_sample_columns(predictions: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Put the columns that rules may see beside the rows of a table of predictions."""
    allowed = [name for name in {*NO_SIGNAL_COLUMNS, *QUALITY_COLUMNS} if name in samples]
    known = samples.set_index(pd.Index(samples["sample_id"].astype(str)))[allowed]
    found = _rows(known, predictions["sample_id"])
    return predictions.assign(**{name: found[name].to_numpy() for name in sorted(allowed)})


def _labelled(table: pd.DataFrame, magnitude: pd.Series, azimuth: pd.Series) -> pd.DataFrame:
    """Class numbers of each task, station, group, and the columns that rules may see; nothing else of the table."""
    kept = [name for name in sorted({*NO_SIGNAL_COLUMNS, *QUALITY_COLUMNS}) if name in table]
    truth = {task: truth_index(magnitude, azimuth, task).astype(np.int8) for task in TASK_CLASSES}
    rows = table[kept].assign(**truth)
    rows["station"] = table["station"].astype(str).to_numpy()
    # without groups each window is one
    rows["split_group"] = (table["split_group"] if "split_group" in table else table["sample_id"]).to_numpy()
    return rows.reset_index(drop=True)


def _sample_index(table: pd.DataFrame) -> pd.Index:
    return pd.Index(table["sample_id"].astype(str), name="sample_id")


def _rows(table: pd.DataFrame, sample_ids: pd.Series) -> pd.DataFrame:
    wanted = pd.Index(sample_ids.astype(str))
    unknown = wanted.difference(table.index)
    if len(unknown):
        raise DataError(
            f"{len(unknown)} of {len(wanted)} windows of the split or the predictions are not in the samples, "
            f"for example {unknown[0]}. Use the store that the model was trained on."
        )
    return table.loc[wanted]


def _can_learn(table: pd.DataFrame, rule: str) -> bool:
    held = set(rule_inputs(table, rule).columns)
    return bool(held - {"station"}) and (rule not in ("clock", "era", "all_no_signal") or "start_utc" in held)


def _learnable(table: pd.DataFrame) -> list[str]:
    return [rule for rule in LEARNT_RULES if _can_learn(table, rule)]


def _fit_and_predict(train: pd.DataFrame, test: pd.DataFrame, rules: list[str]) -> dict[str, pd.DataFrame]:
    result = count_and_predict(train, test)
    for rule in rules:
        result |= _learn(train, test, rule)
    return result


def _learn(train: pd.DataFrame, test: pd.DataFrame, rule: str) -> dict[str, pd.DataFrame]:
    inputs = rule_inputs(train, rule)
    return learn_and_predict(train, test, inputs, test[inputs.columns], rule)
