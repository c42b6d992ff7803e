"""Calendar, order, names of files and pairs of columns, as features and as errors that are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.class_by import Feature, is_constant
from seismag.audit.checks.derived_columns import (
    calendar_features,
    file_time_codes,
    name_features,
    number_codes,
    order_features,
    pair_features,
)
from seismag.audit.compute import audit_labels
from seismag.audit.result import Audit
from seismag.config import AuditConfig

SPEC = AuditConfig(permutations=1999, placebos=20, partitions=4)


def four_years(n_groups: int = 400, seed: int = 3) -> pd.DataFrame:
    """Five stations, four years, windows at four hours; a class by group that nothing predicts."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.choice(1460, n_groups, replace=False))
    return pd.DataFrame(
        {
            "station": rng.choice(list("ABCDE"), n_groups),
            "date": (pd.Timestamp("2018-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d"),
            "hour": rng.choice([0, 6, 12, 18], n_groups), "kp_max": rng.uniform(0, 7, n_groups).round(1),
            "magnitude_class": rng.choice(["Normal", "Medium"], n_groups),
        }
    )  # fmt: skip


def with_class(table: pd.DataFrame, is_event: np.ndarray, accuracy: float = 0.8) -> pd.DataFrame:
    """The table with a class that follows a property in a fraction of its rows."""
    rng = np.random.default_rng(4)
    agrees = rng.random(len(table)) < accuracy
    return table.assign(magnitude_class=np.where(is_event == agrees, "Medium", "Normal"))


@pytest.fixture
def audit(tmp_path: Path) -> Callable[[pd.DataFrame], Audit]:
    def run(frame: pd.DataFrame) -> Audit:
        frame.to_csv(tmp_path / "table.csv", index=False)
        return audit_labels(tmp_path / "table.csv", "magnitude_class", ["station", "date"], SPEC)

    return run


def leaks() -> dict[str, tuple[pd.DataFrame, str]]:
    table = four_years()
    date, number = pd.to_datetime(table["date"]), np.arange(len(table))
    high_kp, late = (table["kp_max"] > 3.5).to_numpy(), (table["hour"] > 6).to_numpy()
    early_station = table["station"].isin(["A", "B"]).to_numpy()
    written = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.random.default_rng(5).uniform(0, 9, len(table)), unit="h")
    shuffled = np.random.default_rng(6).permutation(number)
    named = [f"x_{n:04d}.png" for n in shuffled]
    weekday, quiet = date.dt.day_of_week.to_numpy(), np.random.default_rng(7).random(len(table)).round(2)
    half = np.where(np.random.default_rng(8).random(len(table)) < 0.5, 1, 0)
    two = table.assign(gap_fraction=quiet[::-1], masked_fraction=quiet)
    folders = [f"{'ab'[k]}/x{i}.png" for i, k in enumerate(half)]
    ends = pd.to_datetime(table["date"]) + pd.to_timedelta(6 + half, unit="h")
    return {
        "weekday as a column": (with_class(table.assign(wochentag=half), half == 1), "class_by_calendar"),
        "letters of a name": (with_class(_named(table, np.where(half, "E", "N"), ".png"), half == 1), "class_by_file"),
        "folder": (with_class(table.assign(datei=folders), half == 1), "class_by_file"),
        "extension": (with_class(_named(table, "x", np.where(half, ".png", ".jpg")), half == 1), "class_by_file"),
        "length of a window": (with_class(table.assign(end_utc=ends.astype(str)), half == 1), "class_by_quality"),
        "station x weekday": (with_class(table, early_station ^ (weekday >= 4)), "class_by_pairs"),
        "hour x second of quality": (with_class(two, (quiet > 0.5) ^ late), "class_by_pairs"),
        "weekday": (with_class(table, (date.dt.day_of_week >= 4).to_numpy()), "class_by_calendar"),
        "month": (with_class(table, date.dt.month.isin([3, 7, 11]).to_numpy(), 0.9), "class_by_calendar"),
        "season": (with_class(table, (date.dt.month % 12 // 3 >= 2).to_numpy()), "class_by_calendar"),
        "file number": (with_class(table.assign(file_name=named), shuffled > 200), "class_by_file"),
        "file time": (with_class(table.assign(file_time=written.astype(str)), written.hour > 4), "class_by_file"),
        "Kp x hour": (with_class(table, high_kp ^ late), "class_by_pairs"),
        "station x hour": (with_class(table, early_station ^ late), "class_by_pairs"),
    }  # fmt: skip


def _named(table: pd.DataFrame, before: object, after: object) -> pd.DataFrame:
    number = np.random.default_rng(9).permutation(len(table))
    names = pd.Series(before, index=table.index).astype(str) + pd.Series(number).map("{:04d}".format) + after
    return table.assign(file=names)


@pytest.mark.parametrize("name", list(leaks()))
def test_a_leak_is_named_by_its_check(audit: Callable[[pd.DataFrame], Audit], name: str) -> None:
    table, expected = leaks()[name]
    assert expected in {test.name for test in audit(table).failed}


def test_a_table_that_is_sorted_by_its_class_is_noted_and_does_not_fail(audit: Callable[[pd.DataFrame], Audit]) -> None:
    found = audit(four_years().sort_values("magnitude_class"))
    order = found.test("class_by_order")
    assert order is not None
    assert order.verdict == "informational"
    assert not found.failed


def test_the_size_of_a_file_is_no_name(audit: Callable[[pd.DataFrame], Audit]) -> None:
    table = four_years()
    found = audit(table.assign(file_size=np.random.default_rng(1).integers(50, 60, len(table))))
    assert not found.failed
    assert found.columns["file_size"].describe() == "file_size: feature, informational"


def test_a_month_is_a_feature_over_three_years_only() -> None:
    start = np.datetime64("2021-01-01", "s")
    short = calendar_features("date", start + np.arange(700) * np.timedelta64(1, "D"))
    long = calendar_features("date", start + np.arange(1200) * np.timedelta64(1, "D"))
    assert [feature.name for feature in short] == ["weekday of date"]
    assert {"day of the month of date", "month of date", "season of date"} <= {feature.name for feature in long}


def test_rows_of_one_epoch_have_no_order() -> None:
    times = np.datetime64("2021-01-01", "s") + np.arange(90) * np.timedelta64(1, "D")
    assert order_features(times, 90, blocking=True) == []
    assert len(order_features(None, 90, blocking=False)) == 1


def test_numbers_in_names_are_features_and_dates_among_them_are_epochs() -> None:
    dates = pd.date_range("2021-01-01", periods=40)
    names = pd.Series([f"GTO_{day:%Y%m%d}_{i:03d}.png" for i, day in enumerate(dates)])
    found = {feature.name: feature.code for feature in name_features("file", names)}
    assert list(found) == ["number 2 of file"]  # 40 days are one epoch, and all names are equally long
    assert is_constant(number_codes(names.str.extract(r"(\d{8})")[0]))


def test_dates_in_names_are_not_tested_twice() -> None:
    dates = pd.date_range("2023-01-10", periods=60)
    for form in ("S%y%m%d.AT.gz", "S%y%j.AT", "gto%Y%m%dvsec.sec", "GTO_%Y-%m-%d.csv", "GTO_%Y%m%d%H%M.gz"):
        names = pd.Series(dates.strftime(form))
        assert name_features("file", names, pd.Series(dates)) == [], form
        assert name_features("file", names) == [], form  # 60 days are one epoch
    other = pd.Series([f"S{230000 + i}.AT" for i in range(60)])
    assert [feature.name for feature in name_features("file", other, pd.Series(dates))] == ["number 1 of file"]


def test_files_of_one_day_are_told_apart_and_files_as_old_as_their_recordings_by_epochs() -> None:
    start = np.datetime64("2021-01-01T00:00:00", "s")
    assert file_time_codes(start + np.arange(60) * np.timedelta64(1, "m")).max() == 5
    assert file_time_codes(start + np.arange(60) * np.timedelta64(1, "D")).max() == 0


def test_pairs_are_of_different_families_and_coarse() -> None:
    rng = np.random.default_rng(0)
    features = [
        Feature("station", "station", rng.integers(0, 40, 4000), tuple(f"S{i}" for i in range(40))),
        Feature("hour", "hour", rng.integers(0, 8, 4000)),
        Feature("kp_max", "space_weather", rng.integers(0, 6, 4000)),
        Feature("dst_min_nt", "space_weather", rng.integers(0, 6, 4000)),
        Feature("noise", "noise", rng.integers(0, 6, 4000), blocking=False),
    ]
    pairs = pair_features(features)
    assert [pair.name for pair in pairs] == ["station x hour", "hour x kp_max", "hour x dst_min_nt"]
    assert [int(pair.code.max()) + 1 for pair in pairs] == [21 * 4, 4 * 4, 4 * 4]
