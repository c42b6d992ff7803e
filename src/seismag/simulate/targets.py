"""Windows of a store into which emissions can be injected: their files, earthquakes in range, and the background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.config import EmissionConfig
from seismag.domain import MINIMUM_MAGNITUDE, DataError, magnitude_classes
from seismag.parallel import Progress
from seismag.recordings.additions import WRITABLE
from seismag.simulate.earthquakes import with_parents
from seismag.simulate.emission import events_in_range
from seismag.simulate.injected_windows import Target, background_of_day
from seismag.simulate.survey import reference_nt2
from seismag.windows.inputs import Inputs, checksums
from seismag.windows.store import DAYS_FILE, Store, read_table


def require_same_inputs(store: Store, inputs: Inputs) -> None:
    """Refuse inputs other than those that a store was prepared from.

    Raises:
        DataError: pictures of an earlier system, or inputs that differ.
    """
    prepared_from = store.attributes.get("inputs")
    if not isinstance(prepared_from, dict) or "catalogs" not in prepared_from:
        raise DataError(
            f"{store.path}: was not prepared from day files, so nothing can be injected into its windows. "
            "Prepare a store with 'seismag prepare --archive DIR'."
        )
    given = checksums(inputs)
    if inputs.kp is None:
        prepared_from = {**prepared_from, "kp": None}
    if inputs.dst is None:
        prepared_from = {**prepared_from, "dst": None}
    differ = [name for name in given if given[name] != prepared_from.get(name)]
    if differ:
        options = {"stations": "--stations", "catalogs": "--catalog", "kp": "--kp", "dst": "--dst"}
        raise DataError(
            f"{store.path}: was prepared from other files than {', '.join(options[name] for name in differ)}. Give "
            "those of its preparation, or prepare a store from these."
        )


def find_targets(store: Store, inputs: Inputs, sample_ids: pd.Series) -> tuple[list[Target], dict[str, int]]:
    """Find the files of windows; counts windows in formats that cannot be changed, by ``format_<name>``."""
    days = read_table(store.path, DAYS_FILE)
    days = days[days["day"].notna() & (days["verdict"] != "refused")].drop_duplicates(["station", "day"])
    files = {(row.station, np.datetime64(row.day, "D")): row for row in days.itertuples()}
    rows = store.samples[store.samples["sample_id"].isin(sample_ids)]
    targets: list[Target] = []
    skipped: dict[str, int] = {}
    for row in rows.itertuples():
        start, end = (np.datetime64(time, "ms") for time in (row.start_utc, row.end_utc))
        file = files[row.station, start.astype("M8[D]")]
        if file.format not in WRITABLE:
            skipped[f"format_{file.format}"] = skipped.get(f"format_{file.format}", 0) + 1
            continue
        paths = tuple(inputs.archive / path for path in file.paths)
        station = inputs.stations[row.station]
        targets.append(Target(row.sample_id, station, start, end, paths, row.source_sha256))
    return targets, skipped


def events_at_stations(inputs: Inputs, emission: EmissionConfig, targets: Sequence[Target]) -> dict[str, pd.DataFrame]:
    """Return the earthquakes of the catalogue from M 4 on that would have an emission, by station."""
    events = with_parents(inputs.catalog.events)
    if emission.mainshocks_only:
        events = events[events["parent_id"] == ""]
    events = events[events["magnitude"] >= MINIMUM_MAGNITUDE]
    stations = {target.station.code: target.station for target in targets}
    return {code: events_in_range(events, station) for code, station in sorted(stations.items())}


def measure_backgrounds(targets: Sequence[Target], emission: EmissionConfig, progress: Progress) -> list[FloatArray]:
    """Measure the horizontal power in the emission's band on the day of each window; see ``background_of_day``."""
    result = []
    for done, target in enumerate(targets):
        progress("background", done, len(targets))
        result.append(background_of_day(target, (emission.low_mhz / 1000, emission.high_mhz / 1000)))
    progress("background", len(targets), len(targets))
    return result


def spread_over_days(targets: Sequence[Target], count: int, seed: int) -> list[Target]:
    """Choose windows at random, a second one of a UTC day only after one of each day."""
    order = np.random.default_rng([seed, 20]).permutation(len(targets))
    days = pd.Series([targets[place].day for place in order])
    rank = days.groupby(days).cumcount().to_numpy()
    first = order[np.argsort(rank, kind="stable")][:count]
    return [targets[place] for place in sorted(first)]


def reference_of(targets: Sequence[Target], backgrounds: Sequence[FloatArray], code: str) -> float:
    """Return the background of a station, nT²: the median of the quietest half of its segments; NaN where unknown."""
    parts = [part for target, part in zip(targets, backgrounds, strict=True) if target.station.code == code]
    return reference_nt2(np.concatenate([*parts, []]))


def sample_earthquake(events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Sample a row of a catalogue: first the magnitude class, uniformly, so that large ones are not rare."""
    classes = magnitude_classes(events["magnitude"].to_numpy())
    rows = np.flatnonzero(classes == rng.choice(np.unique(classes)))
    return events.iloc[[int(rng.choice(rows))]]
