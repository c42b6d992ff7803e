"""A small store with a signal that can be learned, for the tests of studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seismag.config import DataConfig
from seismag.data.store import PREPROCESSING_KEYS, create_arrays, finish_store, write_shard
from seismag.domain import AZIMUTH_CLASSES
from seismag.spectrogram.compute import make_grid

SPEC = DataConfig(window_h=1, segment_s=120, step_s=60, n_bins=40)
CLUSTERS, PER_CLUSTER = 24, 4


def make_store(path: Path, seed: int = 0, dataset_id: str = "one", start: str = "2021-01-01") -> Path:
    """Events shine in the upper rows; clusters and quiet blocks lie ten days apart."""
    rng = np.random.default_rng(seed)
    rows = []
    for cluster in range(2 * CLUSTERS):
        event = cluster % 2 == 0
        for window in range(PER_CLUSTER):
            begin = np.datetime64(start, "ms") + np.timedelta64(10 * cluster, "D") + np.timedelta64(window, "h")
            rows.append(
                {
                    "sample_id": f"GTO-{begin}", "station": "GTO", "start_utc": begin,
                    "end_utc": begin + np.timedelta64(1, "h"),
                    "split_group": f"event:e{cluster}" if event else f"normal:{cluster}",
                    "event_id": f"e{cluster}" if event else None,
                    "event_ids": [f"e{cluster}"] if event else [], "cluster_ids": [f"e{cluster}"] if event else [],
                    "magnitude_class": ("Moderate", "Medium", "Large")[cluster // 2 % 3] if event else "Normal",
                    "azimuth_class": AZIMUTH_CLASSES[1 + cluster // 2 % 8] if event else "Normal",
                    "matched": True, "origin": "simulated", "kp_max": 2.0, "local_hour": (window + 8.2) % 24,
                }
            )  # fmt: skip
    samples = pd.DataFrame(rows)
    path.mkdir(parents=True)
    create_arrays(path, samples["sample_id"].tolist(), SPEC)
    grid = make_grid(SPEC)
    power = rng.normal(-10, 3, (len(samples), 3, len(grid.frequency_hz), len(grid.time_s)))
    power[(samples["magnitude_class"] != "Normal").to_numpy(), :, 20:] += 12
    for first in range(0, len(samples), 64):
        write_shard(path, first, power[first : first + 64].astype(np.float16), None)
    attributes = {
        "dataset_id": dataset_id, "config": SPEC.model_dump(mode="json"), "range_rule": "dobrovolsky",
        "preprocessing": {key: getattr(SPEC, key) for key in PREPROCESSING_KEYS}, "catalog_holes": [],
    }  # fmt: skip
    rejected = pd.DataFrame(columns=["station", "start_utc", "end_utc", "reason", "detail", "path"])
    days = pd.DataFrame({"verdict": ["good"], "paths": [["a"]]})
    finish_store(path, samples, rejected, days, attributes)
    return path
