"""Third-party predictions with the store of their windows: labels come from the store, unknown windows are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.study_store import make_store
from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.scoring.study import evaluate_table
from seismag.training.run import evaluate_table_in_store
from seismag.windows.store import open_store

CONFIG = EvaluateConfig(bootstrap=100)


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third event is an aftershock."""
    path = make_store(tmp_path_factory.mktemp("beside") / "store")
    samples = pd.read_parquet(path / "samples.parquet")
    number = samples["event_id"].str[1:].astype(float)
    samples["is_mainshock"], samples["is_aftershock"] = number.notna() & (number % 6 != 0), number % 6 == 0
    samples.to_parquet(path / "samples.parquet")
    return path


def build_table(store_path: Path) -> pd.DataFrame:
    samples = open_store(store_path).samples
    table = samples[["sample_id", "split_group", "station", "start_utc", "event_id"]].assign(
        run_id="theirs", fold=1, role="test", y_magnitude=samples["magnitude_class"], y_azimuth=samples["azimuth_class"]
    )
    rng = np.random.default_rng(0)
    for task, classes in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES)):
        table[[f"p_{task}_{name}" for name in classes]] = rng.dirichlet(np.ones(len(classes)), len(table))
    return table


def test_the_store_says_which_events_are_mainshocks(store_path: Path, tmp_path: Path) -> None:
    build_table(store_path).to_parquet(tmp_path / "p.parquet")
    alone = evaluate_table(tmp_path / "p.parquet", CONFIG, None)
    beside = evaluate_table_in_store(tmp_path / "p.parquet", store_path, CONFIG, None)
    assert (alone["events"], alone["n_events"], alone["all_events"]) == ("all", 24, None)
    assert (beside["events"], beside["n_events"], beside["all_events"]["n_events"]) == ("mainshocks", 16, 24)


def test_a_window_that_the_store_does_not_know_is_named(store_path: Path, tmp_path: Path) -> None:
    table = build_table(store_path)
    table.loc[0, "sample_id"] = "XXX-2001-01-01T00"
    table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"1 of 192 windows .* not in the .*XXX-2001-01-01T00"):
        evaluate_table_in_store(tmp_path / "p.csv", store_path, CONFIG, None)
