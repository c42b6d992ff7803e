"""Injected leaks are counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.leakage import check_overlapping_seconds, check_same_utc_day, check_shared_events
from seismag.config import AuditConfig

SPEC = AuditConfig(permutations=999)


@pytest.fixture
def samples() -> pd.DataFrame:
    """Two event windows and two Normal ones at two stations, days apart."""
    start = pd.to_datetime(["2021-01-01T00", "2021-01-11T00", "2021-01-21T00", "2021-02-11T00"])
    return pd.DataFrame(
        {
            "sample_id": list("abcd"), "station": ["GTO", "GTO", "ALR", "ALR"], "start_utc": start,
            "end_utc": start + pd.Timedelta("6h"), "split_group": ["event:1", "event:2", "normal:1", "normal:2"],
            "event_id": ["1", "2", None, None], "event_ids": [["1"], ["2"], [], []],
            "magnitude_class": ["Large", "Medium", "Normal", "Normal"],
        }
    )  # fmt: skip


def split(**roles: str) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": list(roles), "fold": 1, "role": list(roles.values())})


CLEAN = {"a": "train", "b": "test", "c": "train", "d": "test"}


def test_a_clean_split_passes(samples: pd.DataFrame) -> None:
    assert check_shared_events(samples, split(**CLEAN)).verdict == "pass"
    assert check_overlapping_seconds(samples, split(**CLEAN)).verdict == "pass"


def test_a_training_window_that_contains_the_tested_earthquake_is_counted(samples: pd.DataFrame) -> None:
    samples.at[0, "event_ids"] = ["1", "2"]
    result = check_shared_events(samples, split(**CLEAN))
    assert (result.verdict, result.statistic) == ("fail", 1)


def test_a_group_on_two_sides_is_counted(samples: pd.DataFrame) -> None:
    samples["split_group"] = ["event:1", "event:1", "normal:1", "normal:2"]
    assert check_shared_events(samples, split(**CLEAN)).statistic == 1


def test_seconds_are_shared_at_one_station_only(samples: pd.DataFrame) -> None:
    samples["start_utc"] = pd.to_datetime(["2021-01-01T00", "2021-01-01T05", "2021-01-01T00", "2021-01-01T06"])
    samples["end_utc"] = samples["start_utc"] + pd.Timedelta("6h")
    result = check_overlapping_seconds(samples, split(**CLEAN))
    assert (result.verdict, result.statistic) == ("fail", 1)  # c ends where d begins: no second in common


def test_a_hold_out_window_in_another_subset_is_counted(samples: pd.DataFrame) -> None:
    both = pd.concat([split(**CLEAN), split(b="sealed").assign(fold=2)])
    assert "1 of 1 windows of the locked hold-out set" in check_overlapping_seconds(samples, both).sentence


def test_a_shared_utc_day_that_predicts_the_class_is_measured() -> None:
    rng = np.random.default_rng(5)
    day = np.repeat(np.arange(60), 4)
    is_event = rng.integers(0, 2, 60)[day] == 1  # all stations of a day are alike
    start = np.datetime64("2021-01-01", "s") + day * np.timedelta64(1, "D")
    samples = pd.DataFrame(
        {
            "sample_id": np.arange(240).astype(str), "station": np.tile(list("ABCD"), 60), "start_utc": start,
            "split_group": np.arange(240).astype(str), "magnitude_class": np.where(is_event, "Large", "Normal"),
        }
    )  # fmt: skip
    role = np.where(np.arange(240) % 4 == 0, "test", "train")
    roles = pd.DataFrame({"sample_id": samples["sample_id"], "fold": 1, "role": role})
    shared = check_same_utc_day(samples, roles, SPEC)
    assert shared.p_value == 0.001
    assert shared.details["balanced_accuracy"] == 1.0
    assert not shared.blocking
    apart = roles.assign(role=np.where(day < 30, "test", "train"))
    assert check_same_utc_day(samples, apart, SPEC).verdict == "pass"


def test_a_test_fold_that_validates_as_well_is_counted(samples: pd.DataFrame) -> None:
    both = pd.concat([split(**CLEAN), split(b="val", d="val")])  # what a naive split does
    assert check_shared_events(samples, both).verdict == "fail"
    assert check_overlapping_seconds(samples, both).statistic == 2
    assert check_same_utc_day(samples, both, SPEC).verdict == "pass"
