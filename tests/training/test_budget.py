"""The estimate of a cross-validation before it starts."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seismag.config import Config
from seismag.domain import SeismagError
from seismag.training import budget as budgets
from seismag.training.budget import Budget, describe_budget, estimate_budget, seconds_per_window


def test_cost_grows_with_epochs_and_is_shared_by_workers(
    store: Any, split: pd.DataFrame, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "seconds_per_window", lambda *_: 0.01)
    monkeypatch.setattr(budgets.os, "cpu_count", lambda: 2)

    def seconds(epochs: int, folds: int, workers: int) -> float:
        train = config.train.model_copy(update={"epochs": epochs})
        return estimate_budget(store, split, config.model_copy(update={"train": train}), folds, workers).seconds

    count = split.groupby("role").size() / split["fold"].nunique()
    assert seconds(6, 1, 1) - seconds(5, 1, 1) == pytest.approx(0.01 * (count["train"] + count["val"] / 3))
    assert seconds(5, 4, 1) == pytest.approx(4 * seconds(5, 1, 1))
    assert seconds(5, 4, 2) == seconds(5, 4, 8) == pytest.approx(1.6 * 2 * seconds(5, 1, 1))


def test_groups_of_the_store_are_counted(store: Any, split: pd.DataFrame, config: Config) -> None:
    found = estimate_budget(store, split, config, 2, 1)
    is_event = store.samples["magnitude_class"] != "Normal"
    assert found.event_clusters == store.samples.loc[is_event, "split_group"].nunique()
    assert found.event_clusters + found.control_blocks == store.samples["split_group"].nunique()
    assert found.memory_bytes > 0


def test_step_of_the_model_is_timed(store: Any, config: Config) -> None:
    assert 0 < seconds_per_window(config, store) < 60


def test_a_grid_that_the_backbone_cannot_process_is_named(config: Config) -> None:
    model = config.model.model_copy(update={"backbone": "convnext_atto"})
    small: Any = SimpleNamespace(power=np.zeros((4, 3, 16, 12)))
    with pytest.raises(SeismagError, match="cannot process spectrograms of 16 x 12"):
        seconds_per_window(config.model_copy(update={"model": model}), small)


def test_too_few_groups_are_named_beforehand() -> None:
    enough = Budget(2300, 500.0, 1.7e9, 10, 40)
    assert enough.shortage is None
    few = dataclasses.replace(enough, control_blocks=9).shortage
    assert few is not None
    assert few.startswith("10 event clusters and 9 control blocks")
    assert "cannot lead to a conclusion" in few


def test_estimate_is_one_line() -> None:
    sentence = describe_budget(Budget(2300, 500.0, 1.7e9, 10, 40), 10, 2)
    assert sentence == (
        "estimate: 10 folds of 2300 training windows, 2 at a time: about 8 minutes and 1.7 GB of memory on this machine"
    )
    assert "about 2.8 hours" in describe_budget(Budget(2300, 10_000.0, 1.7e9, 10, 40), 10, 2)
    assert "about 1 minute and" in describe_budget(Budget(50, 20.0, 1.7e9, 10, 40), 3, 1)
