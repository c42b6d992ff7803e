"""A table of predictions in the shape of docs/data-formats.md, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

MakeTable = Callable[..., pd.DataFrame]


@pytest.fixture
def make_table() -> MakeTable:
    return build_table


@pytest.fixture
def counting_rules_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the learnt rules, for tests that judge many tables and look at none of the rules."""
    monkeypatch.setattr("seismag.evaluation.baselines.LEARNT_RULES", ())


def build_table(
    n_events: int = 12, n_blocks: int = 12, rows_each: int = 4, hit: float = 0.4, seed: int = 0
) -> pd.DataFrame:
    """Groups of rows_each windows; the probabilities are random, with ``hit`` of the mass on the truth."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_events + n_blocks), rows_each)
    is_event = group < n_events
    y_magnitude = np.where(is_event, 1 + group % 3, 0)
    y_azimuth = np.where(is_event, 1 + group % 8, 0)
    n = len(group)
    table = pd.DataFrame(
        {
            "run_id": "run_a",
            "fold": 1,
            "role": "test",
            "sample_id": [f"s{i:04d}" for i in range(n)],
            "split_group": [f"cluster_{g}" if e else f"block_{g}" for g, e in zip(group, is_event, strict=True)],
            "station": rng.choice(["GTO", "ALR", "TRT"], n),
            "start_utc": pd.date_range("2021-03-01", periods=n, freq="6h"),
            "event_id": [f"event_{g}" if e else None for g, e in zip(group, is_event, strict=True)],
            "y_magnitude": np.array(MAGNITUDE_CLASSES)[y_magnitude],
            "y_azimuth": np.array(AZIMUTH_CLASSES)[y_azimuth],
        }
    )
    for task, classes, truth in (
        ("magnitude", MAGNITUDE_CLASSES, y_magnitude),
        ("azimuth", AZIMUTH_CLASSES, y_azimuth),
    ):
        probs = (1 - hit) * rng.dirichlet(np.ones(len(classes)), n) + hit * np.eye(len(classes))[truth]
        table[[f"p_{task}_{name}" for name in classes]] = probs
    return table
