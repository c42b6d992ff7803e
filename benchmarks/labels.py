"""Count labels without any recording: all stations, the whole catalogue, no gap anywhere.

    python benchmarks/labels.py --stations ../shared/data/bmkg/stations.csv \
        --catalog ../shared/data/bmkg/catalog_2018_2025.csv --kp ../shared/data/indices/kp_2018_2026.csv.gz

Upper bounds: an archive with gaps gives fewer. Prints counts by class, clusters, and the fraction of event windows with
a control, for the default magnitude-distance criterion and for the two that differ most. Give --catalog twice to merge
two catalogues, and --period FIRST END to count the windows of some years.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.catalogs import Catalog, read_catalogs
from seismag.archive.indices import SpaceWeatherIndex, read_index
from seismag.archive.stations import read_stations
from seismag.config import DataConfig
from seismag.domain import MAGNITUDE_CLASSES, Station
from seismag.windows.controls import choose_controls
from seismag.windows.labels import daily_windows, label_windows


def all_windows(stations: dict[str, Station], catalog: Catalog, spec: DataConfig) -> pd.DataFrame:
    """Every window of every station over the catalogue's time."""
    first, last = catalog.events["origin_utc"].iloc[[0, -1]].to_numpy().astype("datetime64[D]")
    return windows_between(stations, first, last + 1, spec)


def windows_between(
    stations: dict[str, Station], first: np.datetime64, end: np.datetime64, spec: DataConfig
) -> pd.DataFrame:
    """Every window of every station on the days from first to the one before end."""
    starts, ends = daily_windows(np.arange(first, end), spec.window_h)
    table = pd.DataFrame({"start_utc": starts, "end_utc": ends})
    return pd.concat([table.assign(station=code) for code in sorted(stations)], ignore_index=True)


def table_parser(description: str | None) -> argparse.ArgumentParser:
    """A command line that names stations, catalogues and Kp."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=Path, required=True)
    parser.add_argument("--catalog", type=Path, action="append", required=True)
    parser.add_argument("--kp", type=Path, required=True)
    return parser


def read_tables(arguments: argparse.Namespace) -> tuple[dict[str, Station], Catalog, SpaceWeatherIndex]:
    """Read the stations, the catalogues and Kp that the command line names."""
    return read_stations(arguments.stations), read_catalogs(arguments.catalog), read_index(arguments.kp, "kp")


def main() -> None:
    """Print the table."""
    parser = table_parser(__doc__)
    parser.add_argument("--period", nargs=2, metavar=("FIRST", "END"), help="Days, the second not included.")
    arguments = parser.parse_args()
    stations, catalog, kp = read_tables(arguments)
    print(f"{len(stations)} stations, {len(catalog.events)} events, holes: {catalog.coverage.describe_holes()}")
    print(f"rows left out: {catalog.dropped or 'none'}")
    if arguments.period:
        first, end = np.array(arguments.period, dtype="M8[D]")
        windows = windows_between(stations, first, end, DataConfig())
    else:
        windows = all_windows(stations, catalog, DataConfig())
    horizon = windows["end_utc"].to_numpy() + np.timedelta64(DataConfig().horizon_h, "h")
    covered = int(catalog.coverage.covers(windows["start_utc"].to_numpy(), horizon).sum())
    print(f"{len(windows)} windows, {covered} of them covered by the catalogue with their horizon")
    for rule, guard_ahead_d in (("dobrovolsky", 14.0), ("fixed", 14.0), ("fixed", 30.0), ("hattori", 14.0)):
        spec = DataConfig.model_validate({"range_rule": rule, "guard_ahead_d": guard_ahead_d})
        clock = time.perf_counter()
        labels = label_windows(windows, catalog, stations, spec, kp)
        seconds = time.perf_counter() - clock
        samples, rejected = labels.samples, labels.rejected
        classes = samples["magnitude_class"].value_counts().reindex(MAGNITUDE_CLASSES, fill_value=0)
        events = samples[samples["magnitude_class"] != "Normal"]
        clusters = (
            events.groupby("magnitude_class")["split_group"].nunique().reindex(MAGNITUDE_CLASSES[1:], fill_value=0)
        )
        normal = samples.loc[samples["magnitude_class"] == "Normal", "station"].value_counts()
        normal = normal.reindex(sorted(stations), fill_value=0)
        reasons = rejected["reason"].value_counts()
        print(f"\n{rule}, exclusion interval {guard_ahead_d:g} d ahead and 7 d behind, labelled in {seconds:.1f} s")
        print(f"  classes: {classes.to_dict()}; rejected: {reasons.to_dict()}")
        print(f"  clusters: {events['split_group'].nunique()} in all; by class {clusters.to_dict()}")
        print(f"  Normal, worst station: {normal.idxmin()} {normal.min()}; none: {int((normal == 0).sum())} stations")
        before = ~(events["is_mainshock"] | events["is_aftershock"])
        print(f"  event windows that point at an aftershock: {events['is_aftershock'].mean():.1%}")
        print(f"  ... or at a foreshock: {before.mean():.1%}")
        for years in (2.0, 100.0):
            chosen = choose_controls(labels, spec.model_copy(update={"match_years": years})).samples
            found = chosen.loc[chosen["magnitude_class"] != "Normal", "matched"].mean()
            print(f"  event windows with a control of their own, within {years:g} years: {found:.1%}")


if __name__ == "__main__":
    main()
