"""Predictions that were edited after they were made are refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.domain import DataError
from seismag.scoring.agreement import require_agreement

N = 12


@pytest.fixture
def samples() -> pd.DataFrame:
    is_event = np.arange(N) % 2 == 0
    return pd.DataFrame(
        {
            "sample_id": [f"GTO-{number}" for number in range(N)],
            "station": "GTO",
            "start_utc": pd.date_range("2021-03-01", periods=N, freq="6h", unit="ms"),
            "split_group": np.where(is_event, "event:e1", "normal:7"),
            "event_id": np.where(is_event, "e1", None),
            "magnitude_class": np.where(is_event, "Large", "Normal"),
            "azimuth_class": np.where(is_event, "SE", "Normal"),
        }
    )


@pytest.fixture
def split(samples: pd.DataFrame) -> pd.DataFrame:
    roles = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    return samples[["sample_id", "split_group"]].assign(fold=1, role=roles)


@pytest.fixture
def predictions(samples: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
    table = samples.rename(columns={"magnitude_class": "y_magnitude", "azimuth_class": "y_azimuth"})
    table = table.assign(fold=split["fold"], role=split["role"], run_id="run")
    return table[table["role"] != "train"].reset_index(drop=True)


def test_a_table_as_it_was_written_agrees(
    predictions: pd.DataFrame, samples: pd.DataFrame, split: pd.DataFrame
) -> None:
    assert require_agreement(predictions, samples, split) == []
    assert require_agreement(predictions.iloc[::-1], samples, None) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("station", "ALR"), ("start_utc", pd.Timestamp("2021-03-09")), ("split_group", "event:e2"),
        ("event_id", "e9"), ("y_magnitude", "Medium"), ("y_azimuth", "N"),
    ],
)  # fmt: skip
def test_an_edited_column_is_refused_with_an_example(
    predictions: pd.DataFrame, samples: pd.DataFrame, column: str, value: object
) -> None:
    predictions.loc[3, column] = value
    with pytest.raises(DataError, match=rf"{column} of 1 windows is not that of the store, for example .* for GTO-9"):
        require_agreement(predictions, samples, None)


def test_an_event_that_was_removed_is_refused(predictions: pd.DataFrame, samples: pd.DataFrame) -> None:
    predictions.loc[2, "event_id"] = None
    with pytest.raises(DataError, match="event_id of 1 windows is not that of the store"):
        require_agreement(predictions, samples, None)


def test_windows_of_another_store_are_refused(predictions: pd.DataFrame, samples: pd.DataFrame) -> None:
    predictions.loc[0, "sample_id"] = "LUT-0"
    with pytest.raises(DataError, match="1 of 6 windows are not in the store, for example LUT-0"):
        require_agreement(predictions, samples, None)


@pytest.mark.parametrize(("column", "value"), [("role", "test"), ("fold", 2)])
def test_a_row_in_another_set_or_fold_is_refused(
    predictions: pd.DataFrame, samples: pd.DataFrame, split: pd.DataFrame, column: str, value: object
) -> None:
    predictions.loc[0, column] = value
    with pytest.raises(DataError, match="1 rows are in another set than in the split, for example GTO-6"):
        require_agreement(predictions, samples, split)


def test_test_windows_that_were_left_out_are_counted(
    predictions: pd.DataFrame, samples: pd.DataFrame, split: pd.DataFrame
) -> None:
    kept = predictions.drop(index=[3, 5])
    assert require_agreement(kept, samples, split) == [
        "2 of 4 test windows of the split are not among the predictions."
    ]
