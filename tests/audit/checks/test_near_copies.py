"""Rows that are copies of others after a change, and tables in which none is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.copies import check_copies

N_COPIES = 40


def clean_table(rng: np.random.Generator, n: int = 400, p: int = 7, scatter: float = 0.3, decimals: int = 4):
    """Rows of six stations at different times, with p positive numbers of one activity."""
    slot = np.sort(rng.choice(4 * 1460, n, replace=False))
    time = pd.Timestamp("2018-01-01") + pd.to_timedelta(6 * slot, unit="h")
    measured = np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, scatter, (n, p))).round(decimals)
    return pd.DataFrame(
        {
            "station": rng.choice(list("ABCDEF"), n), "date": time.strftime("%Y-%m-%d"), "hour": time.hour,
            **{f"h_band{k}_std": measured[:, k] for k in range(p)},
        }
    )  # fmt: skip


def numbers_of(table: pd.DataFrame) -> list[str]:
    return [column for column in table if column.startswith("h_")]


def with_copies(table: pd.DataFrame, change, rng: np.random.Generator, n_copies: int = N_COPIES) -> pd.DataFrame:
    """The table and copies of some of its rows 2,000 days later, whose numbers are changed."""
    copies = table.sample(n_copies, random_state=1)
    date = pd.to_datetime(copies["date"]) + pd.Timedelta(days=2000)
    columns = numbers_of(table)
    copies[columns] = np.round(change(copies[columns].to_numpy(), rng), 4)
    return pd.concat([table, copies.assign(date=date.dt.strftime("%Y-%m-%d"))], ignore_index=True)


def audited(table: pd.DataFrame):
    return check_copies(table.astype(object).map(lambda value: None if value != value else str(value)))


def by_row(low: float, high: float):
    return lambda x, rng: rng.uniform(low, high, (len(x), 1))


def one_column(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = x.copy()
    changed[:, 2] *= rng.uniform(0.5, 2, len(x))
    return changed


def two_factors(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    factor = rng.uniform(0.5, 2, (len(x), 2))
    return x * np.repeat(factor, [x.shape[1] // 2, x.shape[1] - x.shape[1] // 2], axis=1)


CHANGES = {
    "no change": (lambda x, _: x, 7, "rows equal another in all 7 measured numbers"),
    "jitter": (lambda x, rng: x * rng.normal(1, 0.01, x.shape), 7, "but for jitter"),
    "little jitter, three columns": (lambda x, rng: x * rng.normal(1, 0.002, x.shape), 3, "but for jitter"),
    "factor": (lambda x, rng: x * by_row(0.5, 2)(x, rng), 7, "but for a factor"),
    "factor, three columns": (lambda x, rng: x * by_row(0.5, 2)(x, rng), 3, "but for a factor"),
    "one factor": (lambda x, _: x * 1.3, 4, "but for a factor"),
    "offset": (lambda x, rng: x + by_row(0.1, 2)(x, rng), 7, "but for an offset"),
    "one offset": (lambda x, _: x + 0.7, 4, "but for an offset"),
    "one column": (one_column, 7, "but for other numbers in some columns"),
    "two columns": (lambda x, _: x * np.where(np.isin(np.arange(7), [1, 4]), 1.7, 1), 7, "in some columns"),
    "two factors": (two_factors, 7, "but for a factor by part of the columns"),
    "reversed columns": (lambda x, _: x[:, ::-1], 7, "but for another order of the columns"),
    "factor and offset": (lambda x, rng: x * by_row(0.5, 2)(x, rng) + 1, 7, "but for a factor and an offset"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copies_are_found_and_counted(name: str, rng: np.random.Generator) -> None:
    change, p, text = CHANGES[name]
    found = audited(with_copies(clean_table(rng, p=p), change, rng))
    assert found.verdict == "fail"
    assert abs(found.statistic - 2 * N_COPIES) <= 4
    assert text in found.sentence


def test_two_copies_in_a_table_are_enough(rng: np.random.Generator) -> None:
    table = with_copies(clean_table(rng), CHANGES["factor"][0], rng, n_copies=2)
    assert audited(table).statistic == 4


def test_an_offset_in_decibels_is_found(rng: np.random.Generator) -> None:
    table = clean_table(rng)
    columns = numbers_of(table)
    table[columns] = (20 * np.log10(table[columns])).round(2)
    assert audited(with_copies(table, lambda x, _: x + 3, rng)).statistic == 2 * N_COPIES


@pytest.mark.parametrize("is_sorted", [True, False])
def test_times_and_indices_do_not_hide_copies(is_sorted: bool, rng: np.random.Generator) -> None:
    table = with_copies(clean_table(rng), CHANGES["no change"][0], rng)
    time = pd.to_datetime(table["date"]) + pd.to_timedelta(table["hour"], unit="h")
    table = table.assign(t0=time.astype("datetime64[s]").astype("int64"))
    table.insert(0, "Unnamed: 0", np.arange(len(table)))
    table.insert(0, "k", rng.permutation(len(table)) + 7000)
    if not is_sorted:
        table = table.sample(frac=1, random_state=2)
    found = audited(table.reset_index(drop=True))
    assert found.details["measured_columns"] == 7
    assert found.statistic == 2 * N_COPIES


def test_a_missing_column_of_the_copies_does_not_hide_them(rng: np.random.Generator) -> None:
    table = with_copies(clean_table(rng), CHANGES["no change"][0], rng)
    table.loc[table.index[-N_COPIES:], "h_band3_std"] = np.nan
    assert audited(table).statistic == 2 * N_COPIES


@pytest.mark.parametrize("p", [3, 7, 12])
def test_no_row_of_independent_ones_is_a_copy(p: int) -> None:
    found = [audited(clean_table(np.random.default_rng([p, seed]), n=250, p=p)).statistic for seed in range(8)]
    assert not np.any(found)


def test_rows_that_are_equal_by_rounding_are_no_copies() -> None:
    n_equal = 0
    for seed in range(8):
        table = clean_table(np.random.default_rng(seed), n=600, p=3, scatter=0.05, decimals=2)
        n_equal += table.duplicated(numbers_of(table)).sum()
        assert audited(table).statistic == 0
    assert n_equal > 0


def test_near_stations_at_equal_times_are_no_copies_but_equal_numbers_are(rng: np.random.Generator) -> None:
    table = clean_table(rng)
    columns = numbers_of(table)
    beside = table.sample(N_COPIES, random_state=1).assign(station="G")
    alike = beside.copy()
    alike[columns] = (alike[columns] * rng.normal(1, 0.02, alike[columns].shape)).round(4)
    assert audited(pd.concat([table, alike], ignore_index=True)).statistic == 0
    assert audited(pd.concat([table, beside], ignore_index=True)).statistic == 2 * N_COPIES


def test_daily_means_are_no_copies_of_each_other_but_of_other_days(rng: np.random.Generator) -> None:
    table = clean_table(rng, n=300).drop_duplicates(["station", "date"])
    table["hour"] = 0
    daily = pd.concat([table, table[:80].assign(hour=6)], ignore_index=True)
    assert audited(daily).statistic == 0
    assert audited(with_copies(daily, CHANGES["no change"][0], rng)).statistic >= 2 * N_COPIES
    few_days_twice = pd.concat([table, table[:20].assign(hour=6)], ignore_index=True)
    assert audited(few_days_twice).statistic == 40


@pytest.mark.parametrize(("change", "copies"), [([1.02, 0.99], 2), ([1.7, 1.7], 2), ([1.7, 0.6], 0)])
def test_two_rows_of_one_window_are_copies_where_their_numbers_or_ratios_agree(change, copies: int) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "station": "GTO", "date": [f"2021-01-{day:02d}" for day in range(1, 13)], "hour": 6,
            "h_std": rng.lognormal(0, 1, 12), "d_std": rng.lognormal(0, 1, 12),
        }
    )  # fmt: skip
    again = table.iloc[[3]].assign(h_std=table["h_std"][3] * change[0], d_std=table["d_std"][3] * change[1])
    frame = pd.concat([table, again], ignore_index=True).astype(str)
    assert check_copies(frame).statistic == copies
