"""Which windows are judged, and what the samples say of them."""

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import build_table
from seismag.domain import DataError
from seismag.scoring.mainshocks import add_label_columns, knows_mainshocks, mainshocks_and_normal


def samples_of(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": table["sample_id"], "magnitude": np.arange(float(len(table)))})


def test_labels_come_by_sample_id_whatever_the_order() -> None:
    table = build_table()
    shuffled = samples_of(table).sample(frac=1, random_state=1)
    assert add_label_columns(table, shuffled)["magnitude"].tolist() == list(range(len(table)))
    assert "magnitude" not in add_label_columns(table, None)


def test_a_window_that_the_samples_lack_is_named() -> None:
    table = build_table()
    with pytest.raises(DataError, match=r"2 of 96 windows of the predictions are not in the samples, .* s0003"):
        add_label_columns(table, samples_of(table.drop(index=[3, 7])))


def test_samples_that_call_no_event_mainshock_or_aftershock_do_not_know() -> None:
    table = build_table()
    assert not knows_mainshocks(table)
    unknown = table.assign(is_mainshock=False, is_aftershock=False)
    assert not knows_mainshocks(unknown)
    assert knows_mainshocks(unknown.assign(is_aftershock=table["event_id"].notna()))
    assert knows_mainshocks(table.assign(is_mainshock=table["event_id"].eq("event_1")))


def test_mainshocks_and_all_normal_windows_are_kept() -> None:
    table = build_table()
    kept = mainshocks_and_normal(table.assign(is_mainshock=table["event_id"].isin(["event_1", "event_2"])))
    assert set(table.loc[kept, "event_id"].dropna()) == {"event_1", "event_2"}
    assert (table.loc[~kept, "y_magnitude"] != "Normal").all()
