"""What survives kills, commands at the same time, full disks and damaged files?

    python benchmarks/faults.py [--size full] [--parts kills pairs disks mutations large] [--work WORK] [--workers 2]

Makes a small study in WORK/study (archive, store, folds, report), and tries its commands: killed at a random time or
before a random change of a file; two at the same time on one folder; on a disk of 30 sizes; and every reader on damaged
files, and on large or endless ones. One row a trial is kept in WORK/rows.jsonl; a trial that has a row is not tried
again. Prints tables of what was seen; the exit status is 1 where something is left that must not be. A disk of a
limited size needs the right to mount one. --data names a folder of real files, whose recordings are damaged as well.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # a fork has no threads of its parent
os.environ["HF_HUB_OFFLINE"] = "1"

import argparse  # noqa: E402
import json  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import pandas as pd  # noqa: E402
from faults_large import large_inputs, large_trial  # noqa: E402
from faults_mutations import mutation_trial, subjects  # noqa: E402
from faults_server import serve  # noqa: E402
from faults_study import COMMANDS, FORK, SETTINGS, TABLES, Running, import_everything  # noqa: E402
from faults_trials import (  # noqa: E402
    KILLED,
    LEVELS,
    PAIRS,
    Reference,
    can_mount,
    disk_trial,
    kill_trial,
    killed_command,
    mount_tmpfs,
    pair_trial,
    read_reference,
)

from seismag.text import format_table  # noqa: E402

Trial = tuple[str, Callable[[Path], dict[str, Any]]]
PARTS = ("kills", "pairs", "disks", "mutations", "large")
REAL_DAY = "bmkg/S250101.ALR"  # below the folder of real files
_MOST_SHOWN = 40


@dataclass(frozen=True)
class Size:
    """How much is tried; ``days`` of the archive of the study, and of the one that ``simulate`` writes."""

    kills: int
    pairs: int
    levels: int
    mutations: int
    large: int | None = None  # None: each
    days: tuple[int, int] = (160, 12)
    killed: tuple[str, ...] = tuple(KILLED)
    on_full_disks: tuple[str, ...] = tuple(COMMANDS)


SIZES = {
    "smoke": Size(4, 2, 2, 100, 1, (140, 6), ("simulate", "models fetch"), ("simulate", "predict")),
    "small": Size(100, 25, 6, 5_000),
    "full": Size(1_000, 200, LEVELS, 100_000),
}


def make_study(study: Path, days: tuple[int, int], data: Path | None) -> None:
    """Make the study whose commands are tried; of the real files, a day for ``inject``."""
    if (study / "made").exists():
        return
    shutil.rmtree(study, ignore_errors=True)
    study.mkdir(parents=True)
    (study / "study.yaml").write_text(SETTINGS.format(days=days[0], collected="stretches"), encoding="utf-8")
    (study / "days.yaml").write_text(SETTINGS.format(days=days[1], collected="all"), encoding="utf-8")
    for words in (
        "simulate --config days.yaml --out days",
        "simulate --config study.yaml --out archive",
        f"prepare --archive archive {TABLES.format('archive')} --config study.yaml --out store",
        "crossval --config study.yaml --data store --out results",
    ):
        ended = Running([*words.split(), "--quiet"], study).wait()
        if ended.code != 0:
            raise SystemExit(f"seismag {words}:\n{ended.text}")
    pd.read_parquet(study / "results" / "predictions.parquet").to_csv(study / "predictions.csv", index=False)
    if data is not None:
        (study / "real" / "ALR").mkdir(parents=True)
        shutil.copy(data / REAL_DAY, study / "real" / "ALR")
    (study / "made").touch()


def trials(part: str, size: Size, study: Path, references: dict[str, Reference], data: Path | None) -> Iterator[Trial]:
    """The trials of a part: name, and the function that tries it in a folder."""
    if part == "kills":
        for number in range(size.kills):
            name = killed_command(number, size.killed)
            yield f"kill {number}, {name}", partial(kill_trial, number, name, study, references)
    elif part == "pairs":
        for number in range(size.pairs):
            name = PAIRS[number % len(PAIRS)]
            yield f"pair {number}, {name}", partial(pair_trial, number, name, study, references)
    elif part == "disks":
        for name in size.on_full_disks:
            if name == "inject" and data is None:
                continue  # it adds to real recordings alone
            for level in range(0, LEVELS, LEVELS // size.levels):
                yield f"disk {level}, {name}", partial(disk_trial, name, level, study, references, mount_tmpfs)
    elif part == "large":
        for name in list(large_inputs(study))[: size.large]:
            yield f"large {name}", partial(large_trial, name, study)
    else:
        found = subjects(study, data)
        for number in range(size.mutations):
            yield f"mutation {number}", partial(mutation_trial, number, found)


def run_trials(part: str, todo: list[Trial], work: Path, workers: int) -> None:
    """Try them in ``workers`` processes; each row is written when its trial has ended."""
    processes = []
    for worker in range(workers):
        mine = (part, todo[worker::workers], work, work / f"trial-{worker}")
        processes.append(FORK.Process(target=try_each, args=mine))
        processes[-1].start()
    for process in processes:
        process.join()
    if failed := sum(process.exitcode != 0 for process in processes):
        raise SystemExit(f"{part}: {failed} of {workers} processes failed; the rows so far are kept.")


def try_each(part: str, todo: list[Trial], work: Path, here: Path) -> None:
    """Try some trials, one after the other."""
    for name, run in todo:
        row = json.dumps({"part": part, "trial": name, **run(here)}, default=str) + "\n"
        with open(work / "rows.jsonl", "a", encoding="utf-8") as file:
            file.write(row)
    shutil.rmtree(here, ignore_errors=True)


def read_rows(work: Path) -> list[dict[str, Any]]:
    """Read the rows so far; a line that was cut by a kill is left out."""
    rows = []
    path = work / "rows.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def describe(rows: list[dict[str, Any]]) -> tuple[list[str], int]:
    """The tables, what went wrong, and in how many trials."""
    lines: list[str] = []
    for part, stopped in (("kills", "killed"), ("pairs", "one refused"), ("disks", "refused")):
        table = []
        for name in sorted({row["command"] for row in rows if row["part"] == part}):
            mine = [row for row in rows if row["part"] == part and row["command"] == name]
            table.append(
                [name, len(mine), sum(row["stopped"] for row in mine), sum(bool(row["wrong"]) for row in mine)]
            )
        lines += [format_table([part, "trials", stopped, "wrong"], table), ""] if table else []
    table = [[row["kind"], row["ended"], f"{row['peak']:.0f}"] for row in rows if row["part"] == "large"]
    lines += [format_table(["large or endless", "ended", "MiB"], table), ""] if table else []
    table = []
    for kind in sorted({row["kind"] for row in rows if row["part"] == "mutations"}):
        ends = Counter(row["ended"] for row in rows if row.get("kind") == kind)
        table.append([kind, ends.total(), ends["refused"], ends["read"], ends.total() - ends["refused"] - ends["read"]])
    lines += [format_table(["damaged", "files", "refused", "read", "wrong"], table), ""] if table else []
    bad = [sentence for row in rows for sentence in _wrong(row)]
    return [*lines, *(f"wrong  {line}" for line in bad[:_MOST_SHOWN]), f"{len(rows)} trials, {len(bad)} wrong"], len(
        bad
    )


def _wrong(row: dict[str, Any]) -> Iterator[str]:
    if row.get("wrong"):
        yield f"{row['trial']} ({row['how']}): {'; '.join(row['wrong'])}"
    if row.get("ended", "read") not in ("read", "refused"):
        yield f"{row['trial']}, {row['file']} ({row['way']}): {row['ended']}"


def main() -> int:
    """Try what has no row yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--work", type=Path, default=Path("build/disturbed"))
    parser.add_argument("--data", type=Path, help="folder of real files")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    work, size = arguments.work.resolve(), SIZES[arguments.size]
    work.mkdir(parents=True, exist_ok=True)
    study = work / "study"
    import_everything()
    make_study(study, size.days, arguments.data)
    server = serve(study)
    try:
        for part in arguments.parts:
            if part == "disks" and not can_mount(work / "mounted"):
                print("disks: not tried, since this user may not mount a file system", flush=True)
                continue
            done = {row["trial"] for row in read_rows(work)}
            references: dict[str, Reference] = {}
            todo = [trial for trial in trials(part, size, study, references, arguments.data) if trial[0] not in done]
            names = {name.split(", ")[1] for name, _ in todo if part in PARTS[:3]}
            references |= {name: read_reference(name, study, work / "reference") for name in sorted(names)}
            print(f"{part}: {len(todo)} trials", flush=True)
            run_trials(part, todo, work, arguments.workers)
    finally:
        server.kill()
    lines, bad = describe(read_rows(work))
    print("\n".join(lines))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
