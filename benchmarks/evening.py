"""Time, memory and disk of a study on this machine, compared with what prepare and crossval said beforehand.

    python benchmarks/evening.py [--archive DIR] [--work build/evening] [--workers 2] [--parts prepare crossval table]

Prepares the archive (default: six simulated stations, three years) by ``configs/laptop.yaml``, cross-validates it in
all folds, and prints wall time, processor time, largest memory of all processes together and disk, with the estimates.
``table`` multiplies the measured processor times up to other sizes, as the estimates do; ConvNeXt-Tiny at 224 x 224 is
timed by a few steps only.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # folds train side by side, each with one thread

import argparse  # noqa: E402
import resource  # noqa: E402
import shutil  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextlib import chdir  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402
import psutil  # type: ignore[import-untyped]  # noqa: E402
from simulated_archive import archive_inputs  # noqa: E402

from seismag.archive.survey import list_files  # noqa: E402
from seismag.config import Config, load_config  # noqa: E402
from seismag.simulate import simulate_archive  # noqa: E402
from seismag.splits import assign_split  # noqa: E402
from seismag.training.budget import describe_budget, estimate_budget, seconds_per_window  # noqa: E402
from seismag.training.crossval import require_folds, run_crossval  # noqa: E402
from seismag.training.run import reach_h  # noqa: E402
from seismag.windows.budget import describe_preparation, estimate_preparation, window_bytes  # noqa: E402
from seismag.windows.prepare import prepare_store  # noqa: E402
from seismag.windows.store import open_store  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SIZES = {"6 stations x 1 year": 1_000, "6 x 3": 2_950, "12 x 3": 5_900, "24 x 3": 11_800, "24 x 8": 31_000}
FOLDS = 10


@dataclass(frozen=True)
class Cost:
    """Wall and processor time in s, memory of all processes together in bytes."""

    seconds: float
    processor_s: float
    memory_bytes: float


def measure(call: Callable[[], object]) -> Cost:
    """Call a function and measure it with its child processes."""
    largest, stop = [0.0], threading.Event()

    def watch() -> None:
        me = psutil.Process()
        while not stop.wait(0.5):
            total = 0.0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:
                    continue  # it has just ended
            largest[0] = max(largest[0], total)

    watcher = threading.Thread(target=watch)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    started = time.monotonic()
    watcher.start()
    try:
        call()
    finally:
        stop.set()
        watcher.join()
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor_s = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(used, after, strict=True))
    return Cost(time.monotonic() - started, processor_s, largest[0])


def show(name: str, cost: Cost, disk_bytes: float) -> None:
    """Print one line."""
    print(
        f"{name:10}{cost.seconds / 60:6.1f} min wall {cost.processor_s / 60:6.1f} min processor "
        f"{cost.memory_bytes / 1e9:5.1f} GB memory {disk_bytes / 1e6:6.0f} MB disk",
        flush=True,
    )


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def prepare(config: Config, archive: Path, store: Path, workers: int) -> None:
    """Prepare the store anew and print its cost beside the estimate."""
    inputs, files = archive_inputs(archive), list_files(archive)
    print(describe_preparation(estimate_preparation(files, inputs, config.data, workers), workers))
    shutil.rmtree(store, ignore_errors=True)
    cost = measure(lambda: prepare_store(inputs, store, config.data, workers))
    show("prepare", cost, size_of(store))


def cross_validate(config: Config, store: Path, work: Path, workers: int) -> None:
    """Cross-validate in all folds and print the cost beside the estimate."""
    found = open_store(store)
    split = assign_split(found.samples, config.split, reach_h(found))
    folds = int(split["fold"].nunique())
    print(describe_budget(estimate_budget(found, split, config, folds, workers), folds, workers))
    for name in (config.train.runs_dir, "splits", "results"):
        shutil.rmtree(work / name, ignore_errors=True)
    with chdir(work):
        cost = measure(lambda: require_folds(run_crossval(config, store, out=Path("results"), workers=workers)))
    show("crossval", cost, size_of(work / config.train.runs_dir))


def table(config: Config, store: Path, workers: int) -> None:
    """Print minutes and disk for other sizes of an archive."""
    found = open_store(store)
    split = assign_split(found.samples, config.split, reach_h(found))
    budget = estimate_budget(found, split, config, FOLDS, workers)
    tiny = load_config(CONFIGS / "convnext_tiny.yaml")
    step_s = seconds_per_window(config, found)
    rows = []
    for name, windows in SIZES.items():
        minutes = budget.seconds / 60 * windows / len(found.samples)
        disk_mb = [windows * window_bytes(spec) / 1e6 for spec in (config.data, tiny.data)]
        rows.append({"archive": name, "windows": windows, "minutes": minutes, "laptop, MB": disk_mb[0]})
        rows[-1]["224 x 224, MB"] = disk_mb[1]
    print(f"{FOLDS} folds, {workers} at a time; {1e3 * step_s:.1f} ms a window and step")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.0f}"))


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--archive", type=Path, help="default: simulated in the work folder")
    parser.add_argument("--work", type=Path, default=Path("build/evening"), help="folder of archive, store and runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=("prepare", "crossval", "table"))
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE", help="for the study")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    config = load_config(CONFIGS / "laptop.yaml", arguments.overrides)
    archive, store = arguments.archive or work / "archive", work / "store"
    parts = arguments.parts or ["prepare", "crossval", "table"]
    if not (archive / "truth.parquet").exists() and arguments.archive is None:
        years = [
            "size=small",
            "simulate.days=1095",
            "simulate.collected=study",
            "simulate.earthquakes.geometry=uniform",
        ]
        simulation = load_config(CONFIGS / "scenarios" / "injected_strong.yaml", [*years, *arguments.overrides])
        simulate_archive(simulation.simulate, archive, arguments.workers)
    if "prepare" in parts:
        prepare(config, archive.resolve(), store, arguments.workers)
    if "crossval" in parts:
        cross_validate(config, store, work, arguments.workers)
    if "table" in parts:
        table(config, store, arguments.workers)


if __name__ == "__main__":
    main()
