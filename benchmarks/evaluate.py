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
            "role": pd.Categorical.from_codes((group >= group[-1] - group[-1] // 6).astype(int), ["test", "val"]),
            "sample_id": [f"{STATIONS[i % 24]}-{i:09d}" for i in range(n)],
            "split_group": [f"{'event' if e else 'normal'}:{g}" for g, e in zip(group, event, strict=True)],
            "station": pd.Categorical.from_codes(rng.integers(0, 24, n), STATIONS),
            "start_utc": np.datetime64("2018-01-01", "ms") + np.arange(n) * np.timedelta64(6, "m"),
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


def evaluate_once(path: Path, replicates: int) -> None:
    """Evaluate a table as the command line does; prints seconds and the largest memory in MB."""
    from seismag.config import EvaluateConfig
    from seismag.scoring.study import evaluate_table

    clock = time.process_time()
    metrics = evaluate_table(path, EvaluateConfig(bootstrap=replicates), None)
    seconds = time.process_time() - clock
    print(f"{seconds} {largest_memory_mb()} {metrics['n']}")


def largest_memory_mb() -> float:
    """The largest memory of this program on Linux; ru_maxrss would include the memory of its parent."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def measure(table: pd.DataFrame, replicates: int) -> tuple[float, float]:
    """Evaluate in a new process, so that neither this one's memory nor its imports count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        table.to_parquet(path, index=False)
        command = [sys.executable, __file__, "--table", str(path), "--replicates", str(replicates)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory_mb, _ = done.stdout.split()[-3:]
    return float(seconds), float(memory_mb)


def time_sums(n_groups: int, replicates: int, columns: int = 200) -> float:
    """Seconds for the replicates of sums alone."""
    from seismag.scoring.metrics import bootstrap_sums

    rng = np.random.default_rng(0)
    values = rng.random((n_groups, columns))
    clock = time.process_time()
    bootstrap_sums(values, np.arange(n_groups) % 2, replicates, rng)
    return time.process_time() - clock


def main() -> None:
    """Print both tables, or evaluate one table for them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, help="Evaluate one table and print time and memory.")
    parser.add_argument("--replicates", type=int, default=1000, help="Of --table and of the large table.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="Windows of the large table.")
    parser.add_argument("--timed-rows", type=int, default=10_000, help="Windows of the tables of the first part.")
    parser.add_argument("--timed-replicates", type=int, default=10_000, help="Replicates of the first part.")
    parser.add_argument("--group-rows", type=int, nargs="+", default=[8, 1], help="Windows of a group, likewise.")
    arguments = parser.parse_args()
    if arguments.table is not None:
        evaluate_once(arguments.table, arguments.replicates)
        return
    n, many = arguments.timed_rows, arguments.timed_replicates
    print(f"{f'{many:,} replicates, one core':<56}seconds   limit")
    for n_groups in (n // group_rows for group_rows in arguments.group_rows):
        seconds = time_sums(n_groups, many)
        print(
            f"  sums of 200 columns, {n_groups:>6} groups                    {seconds:>8.2f}   {REPLICATES_LIMIT_S:g}"
        )
    for group_rows in arguments.group_rows:
        table = build_table(n, group_rows)
        with_few, with_many = (measure(table, replicates)[0] for replicates in (100, many))
        name = f"all of an evaluation, {n:,} rows in groups of {group_rows}"
        print(f"  {name:<52} {with_many - with_few:>8.2f}   {REPLICATES_LIMIT_S:g}")
        print(f"    and {with_few:.1f} s for the rest, mostly the fits of the baselines")
    seconds, memory_mb = measure(build_table(arguments.rows, 8), arguments.replicates)
    print(f"\n{arguments.rows} rows, {arguments.replicates} replicates: {seconds:.0f} s")
    print(f"  largest memory {memory_mb:.0f} MB, limit {MEMORY_LIMIT_MB:g} MB")


if __name__ == "__main__":
    main()
