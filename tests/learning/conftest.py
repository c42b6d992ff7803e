"""A small store as learning sees it (Zarr array and table), a split of it, and a quick configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

from seismag.config import Config, build_config
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.runs import Run, create_run

N_SAMPLES = 48
N_FREQUENCIES = 32
N_TIMES = 40


@dataclass
class SmallStore:
    path: Path
    samples: pd.DataFrame
    power: Any
    frequency_hz: np.ndarray
    time_s: np.ndarray
    attributes: dict[str, Any]
    cross: Any = None


@pytest.fixture(scope="session", autouse=True)
def _single_thread() -> Iterator[None]:
    """Models this small are quickest on one thread, and other test processes have the other cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def store(tmp_path: Path) -> SmallStore:
    """48 spectrograms; the magnitude class raises the level of H, some columns are masked."""
    rng = np.random.default_rng(7)
    magnitude = rng.permutation(np.arange(N_SAMPLES) % 4)
    azimuth = np.where(magnitude == 0, 0, 1 + np.arange(N_SAMPLES) % 8)
    power = rng.normal(-20.0, 5.0, (N_SAMPLES, 3, N_FREQUENCIES, N_TIMES))
    power[:, 0] += 8.0 * magnitude[:, None, None]
    power[::5, :, :, 3:6] = np.nan
    path = tmp_path / "store"
    group = zarr.create_group(path)
    group.create_array("power", data=power.astype(np.float16), chunks=(5, 3, N_FREQUENCIES, N_TIMES))
    start = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(N_SAMPLES) * 6, unit="h")
    samples = pd.DataFrame(
        {
            "sample_id": [f"GTO_{moment:%Y%m%dT%H%M}" for moment in start],
            "station": "GTO",
            "start_utc": start,
            "end_utc": start + pd.Timedelta(hours=6),
            "split_group": [f"g{i // 4}" for i in range(N_SAMPLES)],
            "event_id": [None if m == 0 else f"e{i // 4}" for i, m in enumerate(magnitude)],
            "magnitude_class": np.array(MAGNITUDE_CLASSES)[magnitude],
            "azimuth_class": np.array(AZIMUTH_CLASSES)[azimuth],
            "masked_fraction": 0.0,
            "origin": "simulated",
        }
    )
    attributes = {
        "dataset_id": "d0",
        "schema_version": 1,
        "preprocessing": {"window_h": 6, "segment_s": 600, "frequency_rows": "linear"},
    }
    frequency_hz = np.arange(1, N_FREQUENCIES + 1) / 600
    time_s = 300.0 + 94.0 * np.arange(N_TIMES)
    return SmallStore(path, samples, zarr.open_group(path, mode="r")["power"], frequency_hz, time_s, attributes)


@pytest.fixture
def split(store: SmallStore) -> pd.DataFrame:
    """Fold 1: 28 train, 8 val, 8 test, 4 purged."""
    role = np.repeat(["train", "val", "test", "purged"], [28, 8, 8, 4])
    return pd.DataFrame(
        {
            "sample_id": store.samples["sample_id"],
            "fold": 1,
            "role": role,
            "split_group": store.samples["split_group"],
        }
    ).sample(frac=1, random_state=3)


@pytest.fixture
def config() -> Config:
    return build_config(
        {
            "model": {"backbone": "convnext_atto", "head_width": 32},
            "train": {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3, "warmup_epochs": 0.5, "run_name": "trial"},
        }
    )


@pytest.fixture
def run(tmp_path: Path, config: Config) -> Run:
    return create_run(tmp_path / "runs", "trial", config, dataset_id="d0")
