"""Size, coverage and power of intervals and p-values that seismag prints, from simulated studies.

    python benchmarks/coverage.py [--parts scores alarms calibration] [--studies 300] [--seed 0]

A part is a module ``coverage_<part>.py``, whose first lines describe its studies. Aims: size 0.03 to 0.07 at nominal
0.05, coverage 0.93 to 0.97 of nominal 0.95; a forecast that knows nothing has skill in at most 0.07. Rows outside,
beyond what chance explains, are marked; the exit status is 1 where there is one.

Not covered: intervals of skill against the baselines, whose true value is not known; skill in subsets, calibrated
skill and gains by calibration; intervals of explanations; checks of the audit other than those of
``benchmarks/audit.py``.
"""

from __future__ import annotations

import argparse
import sys

import coverage_alarms
import coverage_calibration
import coverage_scores
from coverage_row import Row, format_rows

PARTS = {
    "scores": coverage_scores.rows, "calibration": coverage_calibration.rows, "alarms": coverage_alarms.rows,
}  # fmt: skip
AIMS = {"size": (0.03, 0.07), "coverage": (0.93, 0.97), "claimed": (0.0, 0.07)}


def misses(row: Row) -> bool:
    """Whether the 95 % interval of the fraction lies outside the aim."""
    if row.measure not in AIMS:
        return False
    (least, most), (low, high) = AIMS[row.measure], row.interval()
    return high < least or low > most


def main() -> None:
    """Print the table of each part, and the rows that miss the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    missed: list[Row] = []
    measured = 0
    for part in arguments.parts:
        rows = list(PARTS[part](arguments.studies, arguments.seed))
        print(f"{part}\n{format_rows(rows)}\n")
        missed += [row for row in rows if misses(row)]
        measured += sum(row.measure in AIMS for row in rows)
    print(f"outside the aim beyond chance: {len(missed)} of {measured} sizes, claims and coverages")
    if missed:
        print(format_rows(missed))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
