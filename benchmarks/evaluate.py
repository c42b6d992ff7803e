"""Speed and memory of the evaluation of predictions: ten thousand windows, and a million.

    taskset -c 0 python benchmarks/evaluate.py

Prints processor seconds (which other work on the machine moves less than the clock's) and the largest memory of an
evaluation, reading included: of 10,000 windows in groups of 8 and of 1, and of a million windows (limit 1 GB). Each
runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

MEMORY_LIMIT_MB = 1000.0
STATIONS = [f"S{i:02d}" for i in range(24)]


def build_table(n: int, group_rows: int, seed: int = 1) -> pd.DataFrame:
    """Predictions of n windows in ten folds, half of them before events; a sixth are validation rows."""
    from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

    rng = np.random.default_rng(seed)
    group = np.arange(n) // group_rows
    event = group % 2 == 0
    validation = group >= group[-1] - group[-1] // 6
    hours = 6 * (np.arange(n) % 12_000 + 12_000 * validation)  # no window overlaps one of the other set
    magnitude, azimuth = np.where(event, 1 + group // 2 % 3, 0), np.where(event, 1 + group // 2 % 8, 0)
    table = pd.DataFrame(
        {
            "run_id": pd.Categorical.from_codes(np.zeros(n, int), ["run"]),
            "fold": 1 + group % 10,
            "role": pd.Categorical.from_codes(validation.astype(int), ["test", "val"]),
            "sample_id": [f"{STATIONS[i % 24]}-{i:09d}" for i in range(n)],
            "split_group": [f"{'event' if e else 'normal'}:{g}" for g, e in zip(group, event, strict=True)],
            "station": pd.Categorical.from_codes(rng.integers(0, 24, n), STATIONS),
            "start_utc": np.datetime64("2018-01-01", "ms") + hours * np.timedelta64(1, "h"),
            "event_id": [f"e{g}" if e else None for g, e in zip(group, event, strict=True)],
            "y_magnitude": pd.Categorical.from_codes(magnitude, MAGNITUDE_CLASSES),
            "y_azimuth": pd.Categorical.from_codes(azimuth, AZIMUTH_CLASSES),
            "is_mainshock": event & (group % 7 > 1),
            "is_aftershock": event & (group % 7 <= 1),
            "magnitude": np.where(event, 3.5 + magnitude + rng.random(n), np.nan),
            "azimuth_deg": np.where(event, 45.0 * (azimuth - 1), np.nan),
            "distance_km": np.where(event, rng.uniform(20, 900, n), np.nan),
        }
    )
    for task, classes, truth in (("magnitude", MAGNITUDE_CLASSES, magnitude), ("azimuth", AZIMUTH_CLASSES, azimuth)):
        probs = rng.dirichlet(np.ones(len(classes)), n)
        probs[np.arange(n), truth] += 0.3
        probs /= probs.sum(axis=1, keepdims=True)
        for index, name in enumerate(classes):
            table[f"p_{task}_{name}"] = probs[:, index]
    return table


def evaluate_once(path: Path) -> None:
    """Evaluate a table as the command line does; prints seconds and the largest memory in MB."""
    from seismag.config import EvaluateConfig
    from seismag.scoring.study import evaluate_table

    clock = time.process_time()
    evaluate_table(path, EvaluateConfig.model_validate({}), None)
    print(f"{time.process_time() - clock} {largest_memory_mb()}")


def largest_memory_mb() -> float:
    """The largest memory of this program on Linux; ru_maxrss would include the memory of its parent."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def measure(table: pd.DataFrame) -> tuple[float, float]:
    """Evaluate in a new process, so that neither this one's memory nor its imports count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        table.to_parquet(path, index=False)
        command = [sys.executable, __file__, "--table", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory_mb = done.stdout.split()[-2:]
    return float(seconds), float(memory_mb)


def main() -> None:
    """Print the table, or evaluate one table of predictions for it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, help="Evaluate one table and print time and memory.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="Windows of the large table.")
    parser.add_argument("--timed-rows", type=int, default=10_000, help="Windows of the small tables.")
    arguments = parser.parse_args()
    if arguments.table is not None:
        evaluate_once(arguments.table)
        return
    print(f"{'windows':>9}  {'of a group':>10}  {'seconds':>8}  {'memory, MB':>10}")
    for n, group_rows in ((arguments.timed_rows, 8), (arguments.timed_rows, 1), (arguments.rows, 8)):
        seconds, memory_mb = measure(build_table(n, group_rows))
        print(f"{n:>9}  {group_rows:>10}  {seconds:>8.1f}  {memory_mb:>10.0f}")
    print(f"limit of the memory: {MEMORY_LIMIT_MB:g} MB")


if __name__ == "__main__":
    main()
