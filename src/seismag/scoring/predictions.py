"""Tables of predictions: reading, validation, and their three tasks as arrays."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.documents import Columns, check_columns, damage_explained, read_frame
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.table_files import read_csv, require_parquet
from seismag.text import shortened

TASK_CLASSES: dict[str, tuple[str, ...]] = {
    "magnitude": MAGNITUDE_CLASSES,
    "azimuth": AZIMUTH_CLASSES,
    "detection": ("Normal", "Event"),
}
KEY_COLUMNS = ("run_id", "fold", "role", "sample_id", "split_group", "station", "start_utc", "event_id")
_REPEATING = ("run_id", "role", "split_group", "station", "event_id", "y_magnitude", "y_azimuth", "origin")
_LABEL_FLAGS = ("is_mainshock", "is_aftershock", "in_dobrovolsky", "in_hattori")  # optional columns
_LABEL_NUMBERS = ("magnitude", "distance_km", "azimuth_deg")
_FLAGS = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}
_ROLES = ("train", "val", "test", "sealed")
SUM_TOLERANCE = 1e-3
_SHORTEST_WINDOW, _USUAL_WINDOW = pd.Timedelta(hours=1), pd.Timedelta(hours=6)
_INSTANT = pd.Timedelta(milliseconds=1)
TRAINED_ON_REMEDY = "Use the store that the model was trained on."


def probability_columns(task: str) -> list[str]:
    """Names of the probability columns of a task, in class order."""
    return [f"p_{task}_{name}" for name in TASK_CLASSES[task]]


_STORED_TASKS = ("magnitude", "azimuth")  # detection follows from p_magnitude
_PROBABILITIES = [column for task in _STORED_TASKS for column in probability_columns(task)]
# required columns; origin (observed or simulated) is optional
PREDICTION_COLUMNS = (*KEY_COLUMNS, "y_magnitude", "y_azimuth", *_PROBABILITIES)
_PREDICT_AGAIN = "Restore it, or evaluate the model again."
_NAMES: Columns = dict.fromkeys(
    ("run_id", "role", "sample_id", "split_group", "station", "event_id", "y_magnitude", "y_azimuth"), "name?"
)
_WRITTEN: Columns = {
    **dict.fromkeys(PREDICTION_COLUMNS, "text"), "fold": "whole", "start_utc": "time", "event_id": "text?",
    **dict.fromkeys(_PROBABILITIES, "number"),
}  # fmt: skip


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read a ``.parquet`` or ``.csv`` table with the columns of docs/data-formats.md, PREDICTIONS, and check it.

    Returns:
        The table; ``start_utc`` as naive UTC times, ``event_id`` missing for Normal rows.

    Raises:
        DataError: the file cannot be read, or ``check_predictions`` refuses its content.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise DataError(f"{path}: predictions are a .parquet or .csv file, not {path.suffix!r}.")
    if not path.exists():
        raise DataError(f"{path}: no such file. `seismag train` and `seismag evaluate --out` write such tables.")
    with damage_explained(path, _PREDICT_AGAIN):
        frame = _read(path)
    check_predictions(frame, str(path))
    return _with_typed_labels(_with_naive_utc(frame, str(path)), str(path))


def read_run_predictions(path: Path) -> pd.DataFrame:
    """Read predictions.parquet of a run with the types that it was written with, and check it (DataError)."""
    frame = read_frame(path, _WRITTEN, _PREDICT_AGAIN)
    check_predictions(frame, str(path))
    return frame


def check_predictions(frame: pd.DataFrame, source: str = "predictions") -> None:
    """Refuse a table that cannot be evaluated; ``source`` names it in the message.

    Raises:
        DataError: the table is empty; a column or value is missing; a class, role or probability column is unknown; a
            probability lies outside [0, 1] or those of a row do not sum to 1 within 0.001; a sample occurs twice
            within run, fold and role.
    """
    _check_columns(frame, source)
    if frame.empty:
        raise DataError(f"{source}: the table has no rows. Nothing can be evaluated.")
    _check_names(frame, source)
    _check_probabilities(frame, source)
    repeated = frame.duplicated(["run_id", "fold", "role", "sample_id"])
    if repeated.any():
        row = frame[repeated].iloc[0]
        raise DataError(
            f"{source}: sample_id {row['sample_id']} occurs twice in run {row['run_id']}, fold {row['fold']}, "
            f"role {row['role']} ({int(repeated.sum())} such rows). Keep one row a window."
        )


def evaluated_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """Select the test rows, or the validation rows where there is no test row, each window once.

    Raises:
        DataError: there is neither, or a sample occurs twice (several runs in one table).
    """
    role = "test" if (predictions["role"] == "test").any() else "val"
    rows = predictions[predictions["role"] == role].reset_index(drop=True)
    if rows.empty:
        raise DataError(
            "predictions: no row is of the test or validation set (role test, val). Training rows are not evaluated, "
            "and the locked hold-out set only by `seismag unblind`, which logs each access."
        )
    twice = rows["sample_id"].duplicated(keep=False)
    if twice.any():
        first = rows[rows["sample_id"] == rows.loc[twice, "sample_id"].iloc[0]]
        runs = ", ".join(f"run {run} fold {fold}" for run, fold in zip(first["run_id"], first["fold"], strict=True))
        raise DataError(
            f"predictions: sample_id {first['sample_id'].iloc[0]} occurs {len(first)} times in role {role} "
            f"({runs}). Evaluate one run, or the folds of one cross-validation, at a time."
        )
    return rows


def check_validation(validation: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Refuse validation rows that depend on the evaluated rows of their fold.

    Dependent are rows of the same sample, of windows of one station that overlap, of one earthquake or of its cluster,
    and of one Normal block at one station (splits by station and by region have other stations of a block in two sets).

    Raises:
        DataError: one depends; the message names it.
    """
    columns = ["fold", "sample_id", "station", "start_utc", "event_id", "split_group", "y_magnitude"]
    both = pd.concat([validation[columns], rows[columns]], ignore_index=True)
    is_event, n = (both["y_magnitude"] != "Normal").to_numpy(), len(validation)

    def shared(*keys: str) -> tuple[IndexArray, BoolArray]:
        """Index of equal keys in a fold, and which validation rows have them in common with a test row."""
        index = both.groupby(["fold", *keys], observed=True, sort=False).ngroup().to_numpy()  # -1: a key is missing
        return index, np.isin(index[:n], index[n:]) & (index[:n] >= 0)

    group, of_group = shared("split_group")
    found = {
        "is a test row of it too": shared("sample_id")[1],
        "overlaps a test row at {station} in time ({start_utc})": _overlaps(validation, rows),
        "precedes the earthquake of a test row, {event_id}": shared("event_id")[1],
        "is of the cluster of a test row, {split_group}": of_group & np.isin(group[:n], group[is_event]),
        "is of the Normal block of a test row, {split_group} at {station}": shared("station", "split_group")[1],
    }
    for what, dependent in found.items():
        if dependent.any():
            row = validation[dependent].iloc[0]
            raise DataError(
                f"predictions: validation row {row['sample_id']} of fold {row['fold']} {what.format(**row)} "
                f"({int(dependent.sum())} such rows). Validation rows calibrate the test rows of their fold and have "
                "to be independent of them: leave each window, earthquake and cluster in one set."
            )


def is_naive(rows: pd.DataFrame) -> bool:
    """Whether ``split_method`` declares that the test fold chose the epoch: such rows show no skill."""
    return "split_method" in rows and bool((rows["split_method"] == "naive").any())


def _overlaps(validation: pd.DataFrame, rows: pd.DataFrame) -> BoolArray:
    """Which validation rows (n,) overlap a test row of their fold and station in time.

    The length of a window is not in the table: windows of one set do not overlap, so it is at most the shortest time
    between two of them.
    """
    if validation.empty:
        return np.zeros(0, dtype=bool)
    keys, tables = ["fold", "station"], []
    for table in (validation, rows):
        fold, station = table["fold"].to_numpy(dtype=int), table["station"].astype(str).to_numpy()
        start = table["start_utc"].to_numpy().astype("datetime64[ms]")
        typed = pd.DataFrame({"fold": fold, "station": station, "start_utc": start, "row": range(len(table))})
        tables.append(typed.sort_values("start_utc"))
    steps = pd.concat([table.groupby(keys)["start_utc"].diff() for table in tables])
    shortest = steps[steps > pd.Timedelta(0)].min()
    length = _SHORTEST_WINDOW if pd.isna(shortest) else min(shortest, _USUAL_WINDOW)
    tests = tables[1].assign(of_test=True).drop(columns="row")
    near = pd.merge_asof(tables[0], tests, on="start_utc", by=keys, direction="nearest", tolerance=length - _INSTANT)
    result = np.zeros(len(validation), dtype=bool)
    result[near["row"]] = near["of_test"].notna()
    return result


def positions_of(known: pd.Series | pd.Index, wanted: pd.Series, whose: str, where: str, remedy: str) -> IndexArray:
    """Position of each wanted sample_id among the known ones, (n,).

    Raises:
        DataError: one is not known; ``whose`` windows they are, ``where`` they are missing, ``remedy``.
    """
    found = pd.Index(known.astype(str)).get_indexer(pd.Index(wanted.astype(str)))
    if (found < 0).any():
        unknown = wanted.to_numpy()[found < 0]
        raise DataError(
            f"{len(unknown)} of {len(found)} windows{whose} are not in {where}, for example {unknown[0]}. {remedy}"
        )
    return found


def truth_index(magnitude: pd.Series, azimuth: pd.Series, task: str) -> NDArray[np.intp]:
    """Index of the true class of each row in class order; detection is Normal (0) against any event (1).

    Raises:
        DataError: a name that is none of the classes.
    """
    names = azimuth if task == "azimuth" else magnitude
    classes = TASK_CLASSES["magnitude" if task == "detection" else task]
    index = pd.Index(classes).get_indexer(pd.Index(names.astype(str)))
    if (index < 0).any():
        unknown = names.iloc[int(np.flatnonzero(index < 0)[0])]
        raise DataError(f"{task}: {unknown!r} is not a class. Classes: {', '.join(classes)}.")
    return np.minimum(index, 1) if task == "detection" else index


def task_probabilities(frame: pd.DataFrame, task: str, rows: IndexArray | None = None) -> FloatArray:
    """Probabilities (n, k) of a task, of some or all rows; for detection P(Event) = 1 - p_magnitude_Normal."""
    columns = ["p_magnitude_Normal"] if task == "detection" else probability_columns(task)
    taken = [frame[column].to_numpy(dtype=float)[slice(None) if rows is None else rows] for column in columns]
    return np.column_stack([taken[0], 1.0 - taken[0]] if task == "detection" else taken)


def forecast_table(probs: dict[str, FloatArray], sample_ids: pd.Index) -> pd.DataFrame:
    """Table of the probabilities (n, k) of some tasks by sample_id, with columns ``p_<task>_<Class>``."""
    columns = [name for task in probs for name in probability_columns(task)]
    return pd.DataFrame(np.hstack(list(probs.values())), columns=columns, index=sample_ids)


def rows_by_fold(frame: pd.DataFrame) -> list[IndexArray]:
    """Positions of the rows of each fold, the folds in order."""
    return [positions for _, positions in sorted(frame.groupby("fold").indices.items())]


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        require_parquet(path)
        # repeated text as categories, in the order of plain text: groups are indexed in it
        table = pq.read_table(path, read_dictionary=list(_REPEATING)).to_pandas()
        coded = [name for name in _REPEATING if name in table and isinstance(table[name].dtype, pd.CategoricalDtype)]
        return table.assign(
            **{name: table[name].cat.reorder_categories(sorted(table[name].cat.categories)) for name in coded}
        )
    # "NA" may be a station and "N" is a class: only an empty field is missing, and identifiers stay text
    text = {name: str for name in (*KEY_COLUMNS, "y_magnitude", "y_azimuth") if name != "fold"}
    return read_csv(path, dtype=text, keep_default_na=False, na_values=[""])


def _with_naive_utc(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    if pd.api.types.is_numeric_dtype(frame["start_utc"].dtype):
        example = "Write for example 2021-03-01T06:00:00Z."
        raise DataError(f"{source}: start_utc is {frame['start_utc'].dtype}, expected are times. {example}")
    try:
        start = pd.to_datetime(frame["start_utc"], utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).partition("You might")[0].split())  # without the advice to programmers
        raise DataError(
            f"{source}: a start_utc is no ISO 8601 time ({reason}) Write for example 2021-03-01T06:00:00Z."
        ) from error
    if start.isna().any():
        row = int(np.flatnonzero(start.isna())[0])
        raise DataError(
            f"{source}: start_utc in row {row} is {shortened(frame['start_utc'].iloc[row])}, no time. Write for "
            "example 2021-03-01T06:00:00Z."
        )
    return frame.assign(start_utc=start.dt.tz_localize(None))


def _with_typed_labels(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Read the optional columns as numbers and as true or false; a filled cell that is neither is refused."""
    typed: dict[str, pd.Series] = {}
    for column in (*_LABEL_NUMBERS, *_LABEL_FLAGS):
        if column not in frame:
            continue
        given, kind = frame[column], "a number"
        if column in _LABEL_NUMBERS:
            read = pd.to_numeric(given, errors="coerce").replace([np.inf, -np.inf], np.nan)
        elif pd.api.types.is_numeric_dtype(given.dtype):  # bool is one
            continue
        else:
            read, kind = given.astype(str).str.strip().str.lower().map(_FLAGS), "true or false"
        wrong = np.flatnonzero(given.notna().to_numpy() & read.isna().to_numpy())
        if wrong.size:
            raise DataError(
                f"{source}: {column} in row {wrong[0]} is {shortened(given.iloc[wrong[0]])}, not {kind} ({wrong.size} "
                "such rows). Leave the cell empty where it is not known."
            )
        typed[column] = read
    return frame.assign(**typed)


def _check_columns(frame: pd.DataFrame, source: str) -> None:
    for column in frame.columns:
        if str(column).startswith(("p_magnitude_", "p_azimuth_")) and column not in PREDICTION_COLUMNS:
            _, task, name = str(column).split("_", 2)
            close = difflib.get_close_matches(name, TASK_CLASSES[task], n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise DataError(
                f"{source}: column {column} names an unknown class {name}. "
                f"Classes of {task}: {', '.join(TASK_CLASSES[task])}{hint}"
            )
    missing = [column for column in PREDICTION_COLUMNS if column not in frame.columns]
    if missing:
        raise DataError(f"{source}: columns missing: {', '.join(missing)}. See docs/data-formats.md, PREDICTIONS.")


def _check_names(frame: pd.DataFrame, source: str) -> None:
    check_columns(frame, _NAMES, source, _PREDICT_AGAIN)
    for column in (*KEY_COLUMNS[:-1], "y_magnitude", "y_azimuth"):  # event_id is missing for Normal
        empty = frame[column].isna().to_numpy()
        if empty.any():
            raise DataError(
                f"{source}: {column} is missing in row {int(np.flatnonzero(empty)[0])} ({int(empty.sum())} such rows)."
            )
    fold = pd.to_numeric(frame["fold"].astype(object), errors="coerce").to_numpy(dtype=float)
    if (broken := np.flatnonzero(~(fold % 1 == 0))).size:  # what is no number is NaN here
        raise DataError(
            f"{source}: fold in row {broken[0]} is {shortened(frame['fold'].iloc[broken[0]])} ({broken.size} such "
            "rows), not a whole number. Number the folds from 1; a table of one fold contains 1."
        )
    allowed = {"y_magnitude": MAGNITUDE_CLASSES, "y_azimuth": AZIMUTH_CLASSES, "role": _ROLES}
    for column, names in allowed.items():
        unknown = ~frame[column].isin(names).to_numpy()
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            kind = "role" if column == "role" else "class"
            raise DataError(
                f"{source}: {column} in row {row} is the unknown {kind} {shortened(frame[column].iloc[row])}. "
                f"Known: {', '.join(names)}."
            )


def _check_probabilities(frame: pd.DataFrame, source: str) -> None:
    for task in _STORED_TASKS:
        columns = probability_columns(task)
        try:
            probs = frame[columns].to_numpy(dtype=float, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise DataError(f"{source}: a probability of {task} is not a number: {error}") from error
        bad_rows, bad_columns = np.nonzero(~np.isfinite(probs))
        if bad_rows.size:
            raise DataError(f"{source}: {columns[bad_columns[0]]} is not a number in row {bad_rows[0]}.")
        bad_rows, bad_columns = np.nonzero((probs < -SUM_TOLERANCE) | (probs > 1 + SUM_TOLERANCE))
        if bad_rows.size:
            value = probs[bad_rows[0], bad_columns[0]]
            raise DataError(f"{source}: {columns[bad_columns[0]]} is {value:.6g} in row {bad_rows[0]}, not in [0, 1].")
        sums = probs.sum(axis=1)
        off = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
        if off.size:
            raise DataError(
                f"{source}: the probabilities of {task} in row {off[0]} (sample_id {frame['sample_id'].iloc[off[0]]}) "
                f"sum to {sums[off[0]]:.6g}, not 1 within {SUM_TOLERANCE}. "
                f"{off.size} of {len(frame)} rows are off. Write softmax probabilities, not logits."
            )
