"""Rows that are copies with jitter or a factor, and tables in which none is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.copies import check_copies
from seismag.audit.checks.near_copies import find_near_copies


def measured(rng: np.random.Generator, n: int = 300, p: int = 7) -> np.ndarray:
    """Positive numbers with a common activity and a level by station."""
    station = rng.integers(0, 6, n)
    activity = rng.normal(0, 0.4, (n, 1))
    return np.exp(activity + rng.normal(0, 0.3, (n, p)) + rng.normal(0, 0.5, (6, p))[station]).round(4)


def test_no_row_of_independent_ones_is_a_copy() -> None:
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found.append([rows.any() for rows in find_near_copies(measured(rng), rng)])
    assert not np.any(found)


@pytest.mark.parametrize("kind", ["jitter", "factor"])
def test_copied_rows_are_found_and_no_other(kind: str, rng: np.random.Generator) -> None:
    values = measured(rng)
    changed = rng.normal(1, 0.01, (20, 7)) if kind == "jitter" else rng.uniform(0.5, 2, (20, 1))
    values[:20] = values[-20:] * changed
    jitter, factor = find_near_copies(values, rng)
    found = jitter if kind == "jitter" else jitter | factor
    assert found[np.r_[:20, -20:0]].mean() >= 0.9
    assert found[20:-20].sum() == 0


def test_few_columns_and_few_rows_are_not_searched(rng: np.random.Generator) -> None:
    assert not find_near_copies(measured(rng, p=3), rng)[0].any()
    assert not find_near_copies(measured(rng, n=10), rng)[0].any()


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
