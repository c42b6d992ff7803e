"""The scores of ``benchmarks/learning.py`` by hand and in limiting cases."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "learning.py"


@pytest.fixture(scope="module")
def learning() -> ModuleType:
    spec = importlib.util.spec_from_file_location("learning_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with patch.object(sys, "path", [str(BENCHMARK.parent), *sys.path]):
        spec.loader.exec_module(module)
    return module


def windows(learning: ModuleType, n: int = 960) -> pd.DataFrame:
    """Three stations, half event windows; the directions of each station are unlike those of the others."""
    rng = np.random.default_rng(4)
    station = rng.choice(["ALR", "GTO", "TRT"], n)
    weights = {name: rng.dirichlet(np.full(8, 2.0)) for name in ("ALR", "GTO", "TRT")}
    direction = np.array([rng.choice(learning.DIRECTIONS, p=weights[name]) for name in station])
    is_event = rng.random(n) < 0.5
    group = [f"event:{i // 16}" if event else f"normal:{i // 16}" for i, event in enumerate(is_event)]
    return pd.DataFrame(
        {"station": station, "split_group": group, "y_azimuth": np.where(is_event, direction, "Normal")}
    )


def test_ceiling_of_the_truth_by_hand(learning: ModuleType) -> None:
    rows = pd.DataFrame(
        {
            "station": ["ALR"] * 6,
            "split_group": [f"g{i}" for i in range(6)],
            "y_azimuth": ["N", "N", "E", "E", "Normal", "Normal"],
        }
    )
    planted = np.array([True, False, True, True, False, False])
    ceiling = learning.truth_ceiling(rows, planted, "power_cross")
    assert ceiling["direction"] == pytest.approx(((1 + 1 / 8) / 2 + 1) / 2)
    assert ceiling["detection"] == pytest.approx((3 + 0.5) / 4)  # three windows beat both Normal ones, one ties
    assert learning.truth_ceiling(rows, planted, "power")["direction"] == pytest.approx(((0.5 + 1 / 8) / 2 + 0.5) / 2)
    assert learning.truth_ceiling(rows, np.zeros(6, dtype=bool), "power") == {"direction": 1 / 8, "detection": 0.5}


def test_rule_that_knows_the_station_alone_stays_at_chance(learning: ModuleType) -> None:
    rows = windows(learning)
    events = rows[rows["y_azimuth"] != "Normal"]
    favourite = events.groupby("station")["y_azimuth"].agg(lambda names: names.mode()[0])
    predicted = pd.Index(learning.DIRECTIONS).get_indexer(pd.Index(rows["station"].map(favourite)))
    result = learning.score(rows, predicted, np.zeros(len(rows)), rows["station"].to_numpy())
    assert (events["y_azimuth"] == events["station"].map(favourite)).mean() > 0.2  # what accuracy would say
    assert result["direction"]["value"] == pytest.approx(1 / 8)
    assert result["detection"]["value"] == 0.5


def test_perfect_rule_has_all_directions_and_all_pairs(learning: ModuleType) -> None:
    rows = windows(learning)
    y_true = pd.Index(learning.DIRECTIONS).get_indexer(pd.Index(rows["y_azimuth"]))
    is_event = (rows["y_azimuth"] != "Normal").to_numpy()
    result = learning.score(rows, y_true, is_event.astype(float), rows["station"].to_numpy())
    assert result["direction"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert result["detection"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_auc_within_station_is_the_mean_of_the_stations_weighed_by_pairs(learning: ModuleType) -> None:
    rows = windows(learning)
    rng = np.random.default_rng(1)
    is_event = (rows["y_azimuth"] != "Normal").to_numpy()
    scores = np.round(rng.normal(0.8 * is_event + 5.0 * (rows["station"] == "ALR"), 1.0), 1)  # with ties
    result = learning.score(rows, np.zeros(len(rows), dtype=int), scores, rows["station"].to_numpy())
    parts = []
    for name in rows["station"].unique():
        here = (rows["station"] == name).to_numpy()
        pairs = is_event[here].sum() * (~is_event[here]).sum()
        parts.append((roc_auc_score(is_event[here], scores[here]), pairs))
    values, pairs = np.array(parts).T
    assert result["detection"]["value"] == pytest.approx(np.average(values, weights=pairs))
    assert result["detection"]["low"] < result["detection"]["value"] < result["detection"]["high"]


def test_shuffled_directions_contain_what_a_fold_and_station_tell(learning: ModuleType) -> None:
    rows = windows(learning)
    fold = pd.factorize(rows["split_group"])[0] % 2
    model = (rows["station"] + "/" + fold.astype(str)).to_numpy()
    truth = pd.Index(learning.DIRECTIONS).get_indexer(rows["y_azimuth"])
    found = learning.shuffled_direction(rows, np.maximum(truth, 0), model)  # all right, but shuffled
    assert 0.1 < found < 0.4
    of_station = pd.factorize(rows["station"])[0]
    assert learning.shuffled_direction(rows, of_station, model) == pytest.approx(1 / 8)  # one direction a station
    by_fold = np.where(fold == 0, 0, 4)
    assert learning.shuffled_direction(rows, by_fold, model) == pytest.approx(1 / 8, abs=0.04)
