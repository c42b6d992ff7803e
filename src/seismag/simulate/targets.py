"""Where emissions can be planted: windows of a store with their files, earthquakes in range, and the background."""

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
    """Refuse inputs that a store was not made of: its labels, or its windows, would be others.

    Raises:
        DataError: pictures of an earlier system, or names each input that differs.
    """
    made_of = store.attributes.get("inputs")
    if not isinstance(made_of, dict) or "catalogs" not in made_of:
        raise DataError(
            f"{store.path}: was not made of day files by 'seismag prepare', so nothing can be planted in its windows. "
            "Prepare a store with --archive."
        )
    given = checksums(inputs)
    if inputs.kp is None:
        made_of = {**made_of, "kp": None}
    if inputs.dst is None:
        made_of = {**made_of, "dst": None}
    differ = [name for name in given if given[name] != made_of.get(name)]
    if differ:
        options = {"stations": "--stations", "catalogs": "--catalog", "kp": "--kp", "dst": "--dst"}
        raise DataError(
            f"{store.path}: was prepared from other files than {', '.join(options[name] for name in differ)}. Give "
            "those of its preparation, or prepare a store from these."
        )


def find_targets(store: Store, inputs: Inputs, sample_ids: pd.Series) -> tuple[list[Target], dict[str, int]]:
    """Find the files of windows; windows in formats that cannot be changed are counted by ``format_<name>`` instead."""
    days = read_table(store.path, DAYS_FILE)
    days = days[days["day"].notna() & (days["verdict"] != "refused")].drop_duplicates(["station", "day"])
    files = {(row.station, np.datetime64(row.day, "D")): row for row in days.itertuples()}
    rows = store.samples[store.samples["sample_id"].isin(sample_ids)]
    targets: list[Target] = []
    skipped: dict[str, int] = {}
    for row in rows.itertuples():
        start, end = (np.datetime64(time, "ms") for time in (row.start_utc, row.end_utc))
        held = files[row.station, start.astype("M8[D]")]
        if held.format not in WRITABLE:
            skipped[f"format_{held.format}"] = skipped.get(f"format_{held.format}", 0) + 1
            continue
        paths = tuple(inputs.archive / path for path in held.paths)
        station = inputs.stations[row.station]
        targets.append(Target(row.sample_id, station, start, end, paths, row.source_sha256))
    return targets, skipped


def events_at_stations(inputs: Inputs, emission: EmissionConfig, targets: Sequence[Target]) -> dict[str, pd.DataFrame]:
    """Earthquakes of the catalogue from M 4 on that would have an emission, by station."""
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
    """Choose windows at random, a second one of a UTC day only when every day has given one."""
    order = np.random.default_rng([seed, 20]).permutation(len(targets))
    days = pd.Series([targets[place].day for place in order])
    turn = days.groupby(days).cumcount().to_numpy()
    first = order[np.argsort(turn, kind="stable")][:count]
    return [targets[place] for place in sorted(first)]


def reference_of(targets: Sequence[Target], backgrounds: Sequence[FloatArray], code: str) -> float:
    """Give the background of a station, nT²: the median of the quietest half of its segments; NaN where unknown."""
    parts = [part for target, part in zip(targets, backgrounds, strict=True) if target.station.code == code]
    return reference_nt2(np.concatenate([*parts, []]))


def draw_earthquake(events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a row of a catalogue: the magnitude class first, each alike, so that large ones are not rare."""
    classes = magnitude_classes(events["magnitude"].to_numpy())
    rows = np.flatnonzero(classes == rng.choice(np.unique(classes)))
    return events.iloc[[int(rng.choice(rows))]]
