"""Speed and memory of the evaluation: 10,000 bootstrap replicates, and a table of a million windows.

    taskset -c 0 python benchmarks/evaluate.py

Prints processor seconds (which other work on the machine moves less than the clock's) for 10,000 replicates of a table
of 10,000 windows: of sums alone, and of all scores, skills, bins and parts of an evaluation together (limit 10 s on one
core). Then seconds and the largest memory of the evaluation of a table of a million rows, reading included (limit
1 GB). Each evaluation runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

REPLICATES_LIMIT_S, MEMORY_LIMIT_MB = 10.0, 1000.0
STATIONS = [f"S{i:02d}" for i in range(24)]


def build_table(n: int, group_rows: int, seed: int = 1) -> pd.DataFrame:
    """Predictions of n windows in ten folds, half of them before events; a sixth are validation rows."""
    from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

    rng = np.random.default_rng(seed)
    group = np.arange(n) // group_rows
    event = group % 2 == 0
    magnitude, azimuth = np.where(event, 1 + group // 2 % 3, 0), np.where(event, 1 + group // 2 % 8, 0)
    table = pd.DataFrame(
        {
            "run_id": pd.Categorical.from_codes(np.zeros(n, int), ["run"]),
            "fold": 1 + group % 10,
            "role": pd.Categorical.from_codes((np.arange(n) >= n - n // 6).astype(int), ["test", "val"]),
            "sample_id": [f"{STATIONS[i % 24]}-{i:09d}" for i in range(n)],
            "split_group": [f"{'event' if e else 'normal'}:{g}" for g, e in zip(group, event, strict=True)],
            "station": pd.Categorical.from_codes(rng.integers(0, 24, n), STATIONS),
            "start_utc": np.datetime64("2018-01-01", "ms") + (np.arange(n) % 12_000) * np.timedelta64(6, "h"),
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
        for place, name in enumerate(classes):
            table[f"p_{task}_{name}"] = probs[:, place]
    return table


def evaluate_once(path: Path, replicates: int) -> None:
    """Evaluate a table as the command line does; prints seconds and the largest memory in MB."""
    from seismag.config import EvaluateConfig
    from seismag.scoring.study import evaluate_table

    clock = time.process_time()
    metrics = evaluate_table(path, EvaluateConfig(bootstrap=replicates), None)
    seconds = time.process_time() - clock
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds} {memory_mb} {metrics['n']}")


def measure(table: pd.DataFrame, replicates: int) -> tuple[float, float]:
    """Evaluate in a new process, so that neither this one's memory nor its imports count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        table.to_parquet(path, index=False)
        command = [sys.executable, __file__, "--table", str(path), "--replicates", str(replicates)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory_mb, _ = done.stdout.split()[-3:]
    return float(seconds), float(memory_mb)


def time_sums(n_groups: int, columns: int = 200) -> float:
    """Seconds for the replicates of sums alone: 10,000 draws of all groups."""
    from seismag.scoring.metrics import bootstrap_sums

    rng = np.random.default_rng(0)
    values = rng.random((n_groups, columns))
    clock = time.process_time()
    bootstrap_sums(values, np.arange(n_groups) % 2, 10_000, rng)
    return time.process_time() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="Evaluate one table and print time and memory.")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="Windows of the large table.")
    arguments = parser.parse_args()
    if arguments.table is not None:
        evaluate_once(arguments.table, arguments.replicates)
        return
    print("10,000 replicates, one core                             seconds   limit")
    for n_groups in (1_250, 10_000):
        seconds = time_sums(n_groups)
        print(
            f"  sums of 200 columns, {n_groups:>6} groups                    {seconds:>8.2f}   {REPLICATES_LIMIT_S:g}"
        )
    for group_rows in (8, 1):
        table = build_table(10_000, group_rows)
        few, many = (measure(table, replicates)[0] for replicates in (100, 10_000))
        name = f"all of an evaluation, 10,000 rows in groups of {group_rows}"
        print(f"  {name:<52} {many - few:>8.2f}   {REPLICATES_LIMIT_S:g}")
        print(f"    and {few:.1f} s for the rest, mostly the fits of the baselines")
    seconds, memory_mb = measure(build_table(arguments.rows, 8), 1000)
    print(f"\n{arguments.rows} rows, 1000 replicates: {seconds:.0f} s")
    print(f"  largest memory {memory_mb:.0f} MB, limit {MEMORY_LIMIT_MB:g} MB")


if __name__ == "__main__":
    main()
