"""Injection-recovery test: how strong must an emission be for a model to detect it?

    python benchmarks/learning.py --work build/learning        # archives, stores and runs, once
    python benchmarks/injection.py --work build/learning [--windows 200] [--out injection.json]

Injects emissions into windows that the models of the learning table have not seen, the standard model, by power
alone and by power and cross-spectra:

- trained on the archive with a strong emission, tried on it: efficiency rises from the false alarms to at least 0.9;
- the same model on the archive without any emission: efficiency rises likewise, and the alarms before its earthquakes
  exclude an emission before half of them;
- trained and tried on the archive without any emission: efficiency stays at the false alarms up to SNR 30.

Prints the efficiency at each strength, the strength at 50 and 90 %, the limits, and whether all this holds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path
from typing import Any

from simulated_archive import archive_inputs

from seismag.config import load_config
from seismag.domain import SeismagError
from seismag.files import write_json_atomic
from seismag.recovery.compute import RecoveryPlan, recovery_study, write_recovery
from seismag.runs import git_state

SNR = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
HIGHEST_UNSEEN = 30.0  # a model trained on the null archive detects nothing up to here
FOLDS = (1, 2)  # on another archive the folds share windows, so only the first is used there
STUDIES = (("strong", "strong"), ("strong", "null"), ("null", "null"))  # trained on, tried on
INPUTS = ("power", "power_cross")


def runs_of(work: Path, archive: str, inputs: str, folds: tuple[int, ...]) -> list[Path]:
    """The latest run of each fold of the standard model."""
    runs = []
    for fold in folds:
        found = sorted((work / "experiments_convnext").glob(f"{archive}-standard-{inputs}_fold{fold}_*"))
        if not found:
            raise SeismagError(
                f"{work}: no run {archive}-standard-{inputs}_fold{fold}. Run benchmarks/learning.py first."
            )
        runs.append(found[-1])
    return runs


def study(work: Path, trained_on: str, archive: str, inputs: str, windows: int) -> dict[str, Any]:
    """Recover injected emissions with both folds of a model."""
    scenario = "injected_strong" if archive == "strong" else "null"
    simulate = load_config(Path(__file__).parents[1] / "configs" / "scenarios" / f"{scenario}.yaml").simulate
    plan = RecoveryPlan(SNR, windows, 0.05, simulate.emission, simulate.seed)
    begin = time.perf_counter()
    runs = runs_of(work, trained_on, inputs, FOLDS if trained_on == archive else FOLDS[:1])
    report, injections = recovery_study(runs, work / f"{archive}.zarr", archive_inputs(work / archive), plan)
    write_recovery(report, injections, work / "recovery" / f"{trained_on}-{archive}-{inputs}")
    return report | {
        "trained_on": trained_on,
        "archive": archive,
        "input": inputs,
        "seconds": time.perf_counter() - begin,
    }


def holds(report: dict[str, Any]) -> bool:
    """Whether the efficiency is the expected one for the training archive."""
    rows = report["efficiency"]
    if report["trained_on"] == "strong":
        seen = rows[0]["low"] <= report["false_alarms"]["high"] and max(row["value"] for row in rows) >= 0.9
        limits = [row["value"] for row in report["upper_limits"] if row["value"] is not None]
        return bool(seen and (report["archive"] == "strong" or min(limits) < 0.5))
    quiet = [row for row in rows if row["snr"] <= HIGHEST_UNSEEN]
    return all(row["days_low"] <= report["false_alarms"]["days_high"] for row in quiet)


def print_report(report: dict[str, Any]) -> None:
    """Print one study."""
    print(f"\ntrained on {report['trained_on']}, tried on {report['archive']}, {report['input']}: ", end="")
    print(f"{report['windows']} windows, {report['seconds']:.0f} s")
    limits = {row["snr"]: row["value"] for row in report["upper_limits"]}
    for row in report["efficiency"]:
        limit = limits[row["snr"]]
        print(f"  snr {row['snr']:7.3g}  {row['hits']:4d} of {row['n']}  {row['value']:.2f} [{row['days_low']:.2f}, "
              f"{row['days_high']:.2f}]  limit {'none' if limit is None else f'{limit:.2f}'}")  # fmt: skip
    for key_snr in ("snr_50", "snr_90"):
        found = report["curve"][key_snr]
        value, low, high = ("-" if found[key] is None else f"{found[key]:.3g}" for key in ("value", "low", "high"))
        print(f"  {key_snr}: {value} [{low}, {high}]")
    print(f"  {report['sentence']}")


def main() -> int:
    """Run the studies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/learning"))
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--trained-on", nargs="+", choices=("strong", "null"), default=["strong", "null"])
    parser.add_argument("--tried-on", nargs="+", choices=("strong", "null"), default=["strong", "null"])
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    reports = []
    for trained_on, archive in STUDIES:
        if trained_on not in arguments.trained_on or archive not in arguments.tried_on:
            continue
        for inputs in arguments.inputs:
            reports.append(study(arguments.work, trained_on, archive, inputs, arguments.windows))
            print_report(reports[-1])
    held = sum(holds(report) for report in reports)
    print(f"\n{held} of {len(reports)} hold")
    if arguments.out is not None:
        write_json_atomic(arguments.out, {"git": git_state(Path(__file__)), "studies": reports})
    return 0 if held == len(reports) else 1


if __name__ == "__main__":
    raise SystemExit(main())
