"""The PREDICTIONS table: reading it, refusing what it must not hold, and its three tasks as arrays."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError

TASK_CLASSES: dict[str, tuple[str, ...]] = {
    "magnitude": MAGNITUDE_CLASSES,
    "azimuth": AZIMUTH_CLASSES,
    "detection": ("Normal", "Event"),
}
KEY_COLUMNS = ("run_id", "fold", "role", "sample_id", "split_group", "station", "start_utc", "event_id")
_REPEATING = ("run_id", "role", "split_group", "station", "event_id", "y_magnitude", "y_azimuth", "origin")
ROLES = ("train", "val", "test", "sealed")
SUM_TOLERANCE = 1e-3


def probability_columns(task: str) -> list[str]:
    """Name the probability columns of a task, in class order."""
    return [f"p_{task}_{name}" for name in TASK_CLASSES[task]]


_STORED_TASKS = ("magnitude", "azimuth")  # detection follows from p_magnitude
_PROBABILITIES = [column for task in _STORED_TASKS for column in probability_columns(task)]
# what a table must hold; the column origin (observed or simulated) is welcome
PREDICTION_COLUMNS = (*KEY_COLUMNS, "y_magnitude", "y_azimuth", *_PROBABILITIES)


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read a table of predictions from parquet or CSV and check it.

    Args:
        path: a ``.parquet`` or ``.csv`` file with the columns of docs/data-formats.md, PREDICTIONS.

    Returns:
        The table; ``start_utc`` as naive UTC times, ``event_id`` missing for Normal rows.

    Raises:
        DataError: the file cannot be read, or ``check_predictions`` refuses its content.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise DataError(f"{path}: predictions are a .parquet or .csv file, not {path.suffix!r}.")
    if not path.is_file():
        raise DataError(f"{path}: no such file. `seismag train` and `seismag evaluate --out` write such tables.")
    try:
        frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError) as error:  # pyarrow's and pandas' parser errors are ValueErrors
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]}: {' '.join(str(error).split())}") from error
    check_predictions(frame, str(path))
    frame = _with_naive_utc(frame, str(path))
    release_memory()
    return frame


def release_memory() -> None:
    """Give freed pages back to the system; after tables of a million windows hundreds of MB would stay with us."""
    for pool in (pa.default_memory_pool(), pa.system_memory_pool()):  # the latter trims what numpy has freed
        pool.release_unused()


def check_predictions(frame: pd.DataFrame, source: str = "predictions") -> None:
    """Refuse a table that cannot be judged; ``source`` names it in the message.

    Raises:
        DataError: empty; a column missing; a class, a role or a probability column unknown; a
            value missing; a probability outside [0, 1] or a row not summing to 1 within 0.001;
            a sample twice within run, fold and role.
    """
    _check_columns(frame, source)
    if frame.empty:
        raise DataError(f"{source}: the table has no rows. Nothing can be judged.")
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
    """Take the rows of the role test, or of val where there is no test, each window once.

    Raises:
        DataError: neither role occurs, or a sample is judged twice (several runs in one table).
    """
    role = "test" if (predictions["role"] == "test").any() else "val"
    rows = predictions[predictions["role"] == role].reset_index(drop=True)
    if rows.empty:
        raise DataError(
            "predictions: no row has the role test or val. Training rows are not judged, and sealed ones only by "
            "`seismag evaluate --sealed`, which counts the looks."
        )
    twice = rows["sample_id"].duplicated(keep=False)
    if twice.any():
        first = rows[rows["sample_id"] == rows.loc[twice, "sample_id"].iloc[0]]
        places = ", ".join(f"run {run} fold {fold}" for run, fold in zip(first["run_id"], first["fold"], strict=True))
        raise DataError(
            f"predictions: sample_id {first['sample_id'].iloc[0]} is judged {len(first)} times in role {role} "
            f"({places}). Evaluate one run, or the folds of one cross-validation, at a time."
        )
    return rows


def truth_index(magnitude: pd.Series, azimuth: pd.Series, task: str) -> NDArray[np.intp]:
    """Number the true class of each row in class order; Detection is Normal (0) against any event (1).

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
    """Take the probabilities (n, k) of a task; for detection P(Event) = 1 - p_magnitude_Normal.

    Args:
        frame: predictions.
        task: a key of ``TASK_CLASSES``.
        rows: positions of the rows to take; all where not given.
    """
    columns = ["p_magnitude_Normal"] if task == "detection" else probability_columns(task)
    taken = [frame[column].to_numpy(dtype=float)[slice(None) if rows is None else rows] for column in columns]
    return np.column_stack([taken[0], 1.0 - taken[0]] if task == "detection" else taken)


def rows_by_fold(frame: pd.DataFrame) -> list[IndexArray]:
    """Positions of the rows of each fold, the folds in order; what is large is computed fold by fold."""
    return [places for _, places in sorted(frame.groupby("fold").indices.items())]


def _read_parquet(path: Path) -> pd.DataFrame:
    # of a million windows each column of repeated text would take 60 MB, and arrow's copy of the table 200 MB
    table = pq.read_table(path, read_dictionary=list(_REPEATING))
    frame = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    # "NA" may be a station and "N" is a class: only an empty field is missing, and identifiers stay text
    text = {name: str for name in (*KEY_COLUMNS, "y_magnitude", "y_azimuth") if name != "fold"}
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])


def _with_naive_utc(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    try:
        start = pd.to_datetime(frame["start_utc"], utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        told = " ".join(str(error).partition("You might")[0].split())  # pandas goes on with advice to programmers
        raise DataError(
            f"{source}: start_utc holds what is no ISO 8601 time ({told}) Write for example 2021-03-01T06:00:00Z."
        ) from error
    return frame.assign(start_utc=start.dt.tz_localize(None))


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
    for column in (*KEY_COLUMNS[:-1], "y_magnitude", "y_azimuth"):  # event_id is missing for Normal
        empty = frame[column].isna().to_numpy()
        if empty.any():
            raise DataError(
                f"{source}: {column} is missing in row {int(np.flatnonzero(empty)[0])} ({int(empty.sum())} such rows)."
            )
    fold = pd.to_numeric(frame["fold"].astype(object), errors="coerce").to_numpy(dtype=float)
    if (broken := np.flatnonzero(~(fold % 1 == 0))).size:  # what is no number is NaN here
        raise DataError(
            f"{source}: fold in row {broken[0]} is {frame['fold'].iloc[broken[0]]!r} ({broken.size} such rows), not a "
            "whole number. Number the folds from 1; a table of one fold holds 1."
        )
    allowed = {"y_magnitude": MAGNITUDE_CLASSES, "y_azimuth": AZIMUTH_CLASSES, "role": ROLES}
    for column, names in allowed.items():
        unknown = ~frame[column].isin(names).to_numpy()
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            kind = "role" if column == "role" else "class"
            raise DataError(
                f"{source}: {column} in row {row} is the unknown {kind} {frame[column].iloc[row]!r}. "
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
