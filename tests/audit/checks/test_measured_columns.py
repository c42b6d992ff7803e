"""Which columns are measured, and to what step their numbers are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.audit.checks.measured_columns import measured_columns, rounding_steps, row_times_h


@pytest.mark.parametrize(
    ("numbers", "steps"),
    [
        ([1.25, 3.5, 10.01], [0.01, 0.01, 0.01]),
        ([20.0, 150.0, 1010.0], [10, 10, 10]),
        ([0.25, 1.75, 3.5], [0.25, 0.25, 0.25]),
        ([0.00123, 4.56, 789.0, 12.3], [0.00001, 0.01, 1, 0.1]),  # three significant digits
    ],
)
def test_the_step_is_found_in_decimals_or_significant_digits(numbers: list[float], steps: list[float]) -> None:
    assert rounding_steps(np.array(numbers)[:, None])[:, 0] == pytest.approx(steps)


def test_numbers_in_full_have_no_step_that_matters(rng: np.random.Generator) -> None:
    assert rounding_steps(rng.lognormal(0, 1, (50, 1))).max() < 1e-4


def test_measured_columns_leave_out_times_indices_and_categories(rng: np.random.Generator) -> None:
    n = 60
    day = pd.Timestamp("2020-03-01") + pd.to_timedelta(np.arange(n) // 4, unit="D")
    frame = pd.DataFrame(
        {
            "station": "GTO", "date": day.strftime("%Y-%m-%d"), "hour": np.tile([0, 6, 12, 18], n // 4),
            "elapsed": 6.5 * np.arange(n) + 3, "shot": rng.permutation(n), "unix_time": rng.integers(0, 10**9, n),
            "two_values": rng.integers(0, 2, n),
            "amplitude": rng.normal(size=n), "counts": rng.integers(0, 10**6, n),
        }
    ).astype(str)  # fmt: skip
    assert list(measured_columns(frame)) == ["amplitude", "counts"]
    assert np.diff(row_times_h(frame)) == pytest.approx(6)
