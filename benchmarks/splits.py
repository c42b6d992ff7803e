"""Sizes and exclusions of each split of the real labels: BMKG's catalogue, 24 stations, no gap anywhere.

    python benchmarks/splits.py --stations ../shared/data/bmkg/stations.csv \
        --catalog ../shared/data/bmkg/catalog_2018_2025.csv --kp ../shared/data/indices/kp_2018_2026.csv.gz

Upper bounds, as benchmarks/labels.py: event windows and their matched controls. Prints the groups; the result of
chaining all windows with an event, its cluster or a UTC day in common; and, by method, the size of the sets, the
fraction of the windows outside the test fold that each rule excludes (mean over folds, largest fold in brackets; a
window that two rules exclude counts in both), and the fraction of the test windows before an earthquake on whose UTC
day any window trains (day). Ends with a comparison with the counts at the start of the project.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
from labels import all_windows, read_tables, table_parser
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seismag.config import DataConfig, SplitConfig
from seismag.domain import UsageError
from seismag.splits import SplitReport, assign_split, report_split, require_usable_folds
from seismag.windows.controls import choose_controls
from seismag.windows.labels import label_windows

REACH_H = 54.0
SPLITS: dict[str, dict[str, Any]] = {
    "loeo": {},
    "loso": {"n_folds": 24},
    "region": {"n_folds": 24},
    "blocked": {},
    "blocked, 5 folds": {"method": "blocked", "n_folds": 5},
    "naive": {},
    "loeo, 20 % locked": {"method": "loeo", "sealed_fraction": 0.2},
    "blocked, 20 % locked": {"method": "blocked", "sealed_fraction": 0.2},
}


def chained_fraction(events: pd.DataFrame, shared: pd.Series, by_day: bool) -> float:
    """Fraction of the event windows in the largest component when windows with something in common are chained.

    Args:
        events: start_utc of the event windows.
        shared: the list of each of them: eligible events, or their clusters.
        by_day: chain windows of one UTC day as well.
    """
    n, held = len(events), shared.reset_index(drop=True).explode()
    rows, keys = held.index.to_numpy(), pd.factorize(held.astype(str))[0]
    if by_day:
        days = pd.factorize(events["start_utc"].dt.floor("D"))[0]
        rows, keys = np.concatenate([rows, np.arange(n)]), np.concatenate([keys, keys.max() + 1 + days])
    graph = coo_array((np.ones(len(rows)), (rows, n + keys)), shape=(n + keys.max() + 1,) * 2)
    component = connected_components(graph, directed=False)[1][:n]
    return float(np.bincount(component).max() / n)


def fraction_on_days_of_other_folds(events: pd.DataFrame, split: pd.DataFrame) -> float:
    """Fraction of the event windows on whose UTC day another fold tests an event window."""
    fold = events["sample_id"].map(split[split["role"] == "test"].set_index("sample_id")["fold"])
    return float((fold.groupby(events["start_utc"].dt.floor("D")).transform("nunique") > 1).mean())


def describe_split(name: str, samples: pd.DataFrame, changes: dict[str, Any]) -> SplitReport:
    """Make one split and its report, and print its line."""
    spec = SplitConfig(**{"method": name, **changes})
    clock = time.perf_counter()
    split = assign_split(samples, spec, REACH_H)
    report = report_split(samples, split, spec, REACH_H)
    seconds = time.perf_counter() - clock
    folds = report.folds
    usable = "yes"
    try:
        require_usable_folds(samples, split, spec)
    except UsageError as error:
        usable = f"no: {error}"
    outside = np.array([len(samples) - fold.windows["test"] - fold.windows["sealed"] for fold in folds])

    def lost(key: str) -> str:
        if key != "purged" and key not in folds[0].purged_by:
            return f"{'':>14}"
        counts = [fold.windows["purged"] if key == "purged" else fold.purged_by[key] for fold in folds]
        fractions = np.array(counts) / outside
        return f"{100 * fractions.mean():6.1f} [{100 * fractions.max():4.1f}]"

    mean = {role: np.mean([fold.windows[role] for fold in folds]) for role in ("train", "val", "test", "sealed")}
    proof = "none" if report.proof is None else sum(report.proof.values())
    shared = report.counted["share_of_test_events_on_a_training_day"] or 0.0
    print(
        f"{name:<21}{len(folds):>5}{mean['train']:>8.0f}{mean['val']:>7.0f}{mean['test']:>7.0f}{mean['sealed']:>8.0f}  "
        f"{lost('purged')} {lost('events')} {lost('close_windows')} {lost('embargo')} {100 * shared:>8.1f}{proof:>9}"
        f"{seconds:>6.1f}"
    )
    if usable != "yes":
        print(f"{'':<21}{usable}")
    return report


def main() -> None:
    """Print the table."""
    stations, catalog, kp = read_tables(table_parser(__doc__).parse_args())
    labels = label_windows(all_windows(stations, catalog, DataConfig()), catalog, stations, DataConfig(), kp)
    samples = choose_controls(labels, DataConfig(), kp).samples
    sizes = samples["split_group"].value_counts()
    clusters = sizes[sizes.index.str.startswith("event:")]
    events = samples[samples["magnitude_class"] != "Normal"]
    print(f"{len(samples)} windows ({len(events)} before an earthquake), {len(sizes)} groups: {len(clusters)} clusters")
    print(f"largest group: {sizes.index[0]}, {sizes.iloc[0]} windows, {sizes.iloc[0] / len(samples):.1%}")
    print("event windows in the largest chain")
    for what, column in (("events", "event_ids"), ("clusters of events", "cluster_ids")):
        alone, with_days = (chained_fraction(events, events[column], by_day) for by_day in (False, True))
        print(f"  by shared {what:<20}{alone:>6.1%}, and by shared UTC days {with_days:>6.1%}")
    print("\nwindows by set (mean of the folds), % of the windows outside the test fold that each rule excludes")
    print(
        f"{'split':<21}{'folds':>5}{'train':>8}{'val':>7}{'test':>7}{'locked':>8}  {'any rule':>13} {'events':>13} "
        f"{'close in time':>13} {'embargo':>13} {'day, %':>9}{'proof':>9}{'s':>6}"
    )
    found = {name: describe_split(name, samples, changes) for name, changes in SPLITS.items()}
    regions = found["region"].regions or {}
    print(f"\nregions: {', '.join(regions)}")
    shared = fraction_on_days_of_other_folds(events, assign_split(samples, SplitConfig(), REACH_H))
    print("\ncompared with the counts at the start of the project")
    print(f"  clusters                                                        {len(clusters):>6}   778")
    print(f"  event windows in one chain by clusters and UTC days, %          {100 * with_days:>6.1f}   97")
    print(f"  event windows on a day of an event window of another fold, %    {100 * shared:>6.1f}   76")


if __name__ == "__main__":
    main()
