"""Do the results of the demonstration hold for other seeds? Found with the signal, nothing without.

    python benchmarks/demo.py [--seeds 10] [--work WORK] [--set KEY=VALUE ...]

Runs the complete demonstration for each seed, in a folder of its own below WORK, and keeps one row a seed in
WORK/seed-<n>.json; seeds with a row are not run again. Prints a table: conclusion, skill with its interval and p with
and without the signal, accuracy of the earlier procedure, seconds.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

from seismag.config import load_config
from seismag.demonstration.compute import run_demo
from seismag.files import write_json_atomic
from seismag.text import format_table

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"
FIRST_SEED = 101  # the settings were chosen with seeds 1 to 8
HEADER = ["seed", "with signal", "skill", "p", "error, deg", "without", "skill", "p", "earlier", "seconds"]


def run_seed(seed: int, work: Path, changes: list[str]) -> dict[str, Any]:
    """Run the demonstration of a seed, or read its row; its files are removed, but for the page."""
    row = work / f"seed-{seed}.json"
    if row.is_file():
        content: dict[str, Any] = json.loads(row.read_text(encoding="utf-8"))
        return content
    folder = work / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = load_config(CONFIG, [f"simulate.seed={seed}", *changes])
    with chdir(folder):
        found = run_demo(config, 2, lambda line: print(f"    {line}", flush=True)).to_json()
    write_json_atomic(row, {"seed": seed, **found})
    shutil.copy(folder / "demo" / "index.html", work / f"seed-{seed}.html")
    shutil.rmtree(folder)
    return {"seed": seed, **found}


def table_row(row: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a seed."""
    injected, null = row["injected"], row["null"]
    return (
        str(row["seed"]),
        injected["conclusion"],
        skill_text(injected["skill"]),
        p_text(injected["p_value"]),
        f"{injected['direction']['mean_error_deg']:.0f}",
        null["conclusion"],
        skill_text(null["skill"]),
        p_text(null["p_value"]),
        f"{100 * row['earlier_procedure']['accuracy']:.1f} %",
        f"{row['seconds']:.0f}",
    )


def skill_text(skill: dict[str, float | None]) -> str:
    """Value and interval."""
    value, low, high = skill["value"], skill["low"], skill["high"]
    if value is None or low is None or high is None:
        return "-"
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def p_text(p_value: float | None) -> str:
    """P-value with three digits; a dash where there is none."""
    return "-" if p_value is None else f"{p_value:.3f}"


def describe_rows(rows: list[dict[str, Any]]) -> list[str]:
    """The table, and how many seeds gave the expected results."""
    found = sum(row["injected"]["conclusion"] == "skill" for row in rows)
    silent = sum(row["null"]["conclusion"] == "no_skill" for row in rows)
    lines = [format_table(HEADER, [table_row(row) for row in rows]), ""]
    return [*lines, f"with the signal: skill in {found} of {len(rows)}; without: no skill in {silent} of {len(rows)}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--work", type=Path, default=Path("demo_seeds"))
    parser.add_argument("--set", dest="changes", nargs="*", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    logging.getLogger("seismag").setLevel(logging.ERROR)
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
        print(f"seed {seed}", flush=True)
        rows.append(run_seed(seed, arguments.work, arguments.changes))
    print("\n".join(describe_rows(rows)))


if __name__ == "__main__":
    main()
