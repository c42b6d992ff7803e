"""Scores on placebo windows: AUC of models on stores prepared with other labels (``data.placebo``).

Prepare four stores that differ only in data.placebo (none, after_event, shifted, wrong_station), train on the
first, then

    python benchmarks/placebos.py --model RUN/best_model.pth --true true.zarr after.zarr shifted.zarr wrong.zarr

Prints the station-stratified ROC AUC of P(Event) on windows away from the training, and its null. On an
injected archive the true windows must rank above chance and every placebo at chance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seismag.config import AuditConfig
from seismag.scoring.station_auc import permute_labels, rank_windows
from seismag.training.checkpoint import load_checkpoint
from seismag.training.placebo import placebo_scores
from seismag.windows.store import open_store, placebo_of


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, action="append", required=True)
    parser.add_argument("--true", type=Path, required=True)
    parser.add_argument("placebo", type=Path, nargs="+")
    arguments = parser.parse_args()
    models = [load_checkpoint(path) for path in arguments.model]
    print(f"{'windows':<14}{'scored':>8}{'of':>7}{'AUC':>8}{'null, 95 %':>18}")
    for path in (arguments.true, *arguments.placebo):
        store = open_store(path)
        score, n_models = placebo_scores(models, store)
        kept = n_models > 0
        rows = rank_windows(store.samples[kept].reset_index(drop=True), score[kept])
        result = permute_labels("placebo", rows, AuditConfig())
        if result.statistic is None or result.null is None:
            print(f"{placebo_of(store):<14}{kept.sum():>8}{len(kept):>7}  {result.sentence}")
            continue
        null = f"{result.null.low:.3f} to {result.null.high:.3f}"
        kind = "true" if placebo_of(store) == "none" else placebo_of(store)
        print(f"{kind:<14}{kept.sum():>8}{len(kept):>7}{result.statistic:>8.3f}{null:>18}")


if __name__ == "__main__":
    main()
