"""The earlier procedure: which windows it takes, how it copies them, and how it is configured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.plain_store import plain_attributes, plain_samples
from seismag.config import DataConfig, build_config
from seismag.domain import DataError
from seismag.legacy.earlier_procedure import COPIES, COPY_NOISE_DB, earlier_config, write_copies
from seismag.windows.store import create_arrays, finish_store, open_store, write_shard

SPEC = DataConfig(n_bins=8)
CLASSES = ["Medium", "Normal", "Normal", "Normal", "Medium", "Large"]
STATIONS = ["ALR", "ALR", "GTO", "GTO", "GTO", "ALR"]


def make_store(path: Path, classes: list[str]):
    ids = [f"{code}-{number}" for number, code in enumerate(STATIONS)]
    create_arrays(path, ids, SPEC)
    n_times = open_group_shape(path)
    power = np.random.default_rng(0).normal(-20, 5, (len(ids), 3, 8, n_times)).astype(np.float16)
    write_shard(path, 0, power, None)
    samples = pd.DataFrame({"sample_id": ids, "station": STATIONS, "magnitude_class": classes, "origin": "simulated"})
    tables = pd.DataFrame({"reason": []}), pd.DataFrame({"verdict": []})
    finish_store(path, plain_samples(samples), *tables, plain_attributes(SPEC))
    return open_store(path)


def open_group_shape(path: Path) -> int:
    import zarr

    return int(zarr.open_group(path, mode="r")["power"].shape[-1])


def test_event_windows_and_normal_windows_of_one_station_are_copied(tmp_path) -> None:
    store = make_store(tmp_path / "store", CLASSES)
    copied = open_store(write_copies(store, tmp_path / "out" / "copies"))
    kept = ["ALR-0", "GTO-2", "GTO-3", "GTO-4", "ALR-5"]  # not the Normal window of ALR, which has fewer
    assert copied.samples["sample_id"].tolist()[:5] == kept
    assert len(copied.samples) == (1 + COPIES) * len(kept)
    power = np.asarray(copied.power[:], dtype=np.float64).reshape(1 + COPIES, len(kept), -1)
    original = np.asarray(store.power[:], dtype=np.float64)[[0, 2, 3, 4, 5]].reshape(len(kept), -1)
    assert (power[0] == original).all()
    change = (power[1:] - original).std()
    assert change == pytest.approx(COPY_NOISE_DB, rel=0.05)


def test_without_normal_windows_there_is_no_second_class(tmp_path) -> None:
    store = make_store(tmp_path / "store", ["Medium"] * len(STATIONS))
    with pytest.raises(DataError, match="no Normal window"):
        write_copies(store, tmp_path / "copies")


def test_the_configuration_divides_windows_at_random_and_chooses_the_epoch_on_the_test_set() -> None:
    config = build_config(
        {
            "split": {"name": "demo_null"},
            "model": {"input": "power_cross"},
            "train": {"keep": "last"},
            "augment": {"dilution": 0.5},
        }
    )
    earlier = earlier_config(config)
    assert (earlier.split.method, earlier.split.name) == ("naive", "demo_null_earlier")
    assert (earlier.model.input, earlier.train.keep, earlier.train.class_weights) == ("power", "best", "none")
    assert (earlier.data, earlier.augment.is_on) == (config.data, False)
