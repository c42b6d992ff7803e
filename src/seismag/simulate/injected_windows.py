"""Emissions injected into single windows: the day files are prepared as in ``prepare``, with and without an emission.

No file is written. The bytes of the day file are changed in memory (``seismag.recordings.additions``), so rounding,
gaps, artefacts and quality rules affect an injected emission as they would a real one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.survey import assess_stored_day, cut_day, load_day
from seismag.arrays import FloatArray
from seismag.config import DataConfig, EmissionConfig
from seismag.documents import check_columns
from seismag.domain import MINIMUM_MAGNITUDE, DataError, Station, UsageError, magnitude_classes
from seismag.files import path_of_text
from seismag.parallel import Progress
from seismag.recordings import Recording, read_recording
from seismag.recordings.additions import WRITABLE, add_to_file
from seismag.simulate.earthquakes import with_parents
from seismag.simulate.emission import Emission, events_in_range, plan_emissions
from seismag.simulate.inject import emission_of_file
from seismag.simulate.survey import band_power_nt2, reference_nt2
from seismag.spectrograms.decibels import window_spectra
from seismag.windows.inputs import Inputs, checksums
from seismag.windows.store import DAYS_FILE, Store, read_table
from seismag.windows.usable import unusable_windows


@dataclass(frozen=True)
class Target:
    """A window into which an emission is injected.

    Attributes:
        start_utc, end_utc: of the window, within one UTC day.
        paths: the files of that day.
        sha256: of these files, as the store's samples.parquet has it.
    """

    sample_id: str
    station: Station
    start_utc: np.datetime64
    end_utc: np.datetime64
    paths: tuple[Path, ...]
    sha256: str

    @property
    def day(self) -> np.datetime64:
        """UTC date."""
        return self.start_utc.astype("M8[D]")


@dataclass(frozen=True)
class Twins:
    """One window without an emission (index 0) and with it, at several strengths.

    Attributes:
        power_db: (1 + S, 3, F, T) float16, as in a store.
        phasors: (1 + S, 3, 2, F, T) float16, or None where the store has none.
        reasons: why ``prepare`` would reject the window; "" where it would not.
    """

    power_db: NDArray[np.float16]
    phasors: NDArray[np.float16] | None
    reasons: tuple[str, ...]


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
    needed = {"station": "text?", "day": "time?", "format": "text?", "paths": "texts"}
    check_columns(days, needed, store.path / DAYS_FILE, "Prepare the store again.")
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
        paths = tuple(path_of_text(inputs.archive, path) for path in file.paths)
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


def window_stream(seed: int, sample_id: str) -> np.random.Generator:
    """Return the random generator of one window."""
    return np.random.default_rng([seed, 21, zlib.crc32(sample_id.encode())])


def measure_backgrounds(targets: Sequence[Target], emission: EmissionConfig, progress: Progress) -> list[FloatArray]:
    """Measure the horizontal power in the emission's band, nT², in the 600 s segments of the day of each window.

    Returns:
        For each window (4 T,) as in ``band_power_nt2``; NaN where unknown.

    Raises:
        DataError: a file is missing, cannot be read, or differs from that of the store.
    """
    result = []
    for done, target in enumerate(targets):
        progress("background", done, len(targets))
        absent = [path for path in target.paths if not path.is_file()]
        if absent:
            raise DataError(
                f"{absent[0]}: not there, but {target.sample_id} was made of it. --archive names the folder that the "
                "store was prepared from."
            )
        held = load_day(list(target.paths), target.station, target.day)
        if "+".join(held.sha256) != target.sha256:
            raise DataError(
                f"{target.paths[0]}: is not the file that {target.sample_id} was made of (its sha256 differs). "
                "--archive names the folder that the store was prepared from."
            )
        band_hz = emission.low_mhz / 1000, emission.high_mhz / 1000
        result.append(band_power_nt2(held.field_nt, band_hz).ravel())
    progress("background", len(targets), len(targets))
    return result


def emission_over(
    target: Target, event: pd.DataFrame, reference_nt2: float, spec: EmissionConfig, rng: np.random.Generator
) -> Emission:
    """Move an earthquake in time so that its emission covers a window, as far as its duration allows.

    Args:
        event: one row of the catalogue, in range of the station.
        reference_nt2: background of the station, to which ``spec.snr`` refers.
        rng: chooses the part of the emission that the window contains.

    Raises:
        UsageError: an emission would exceed the range of magnetometers.
    """
    lead, duration = (np.timedelta64(round(h * 3600), "s") for h in (spec.lead_h, spec.duration_h))
    start, end = target.start_utc.astype("M8[s]"), target.end_utc.astype("M8[s]")
    first, last = end + lead - duration, start + lead  # origins with which the emission covers the window
    if first >= last:  # shorter than the window: in the middle of it
        origin = start + (end - start) // 2 + lead - duration // 2
    else:
        origin = first + np.timedelta64(int(rng.integers(int((last - first) / np.timedelta64(1, "s")) + 1)), "s")
    settings = spec.model_copy(update={"mainshocks_only": False})
    planned = plan_emissions(settings, event.assign(origin_utc=origin), target.station, reference_nt2)
    if len(planned) != 1:
        raise UsageError(f"{target.sample_id}: {event['event_id'].iloc[0]} has no emission there (out of range).")
    return planned[0]


def make_twins(
    target: Target, emission: Emission, relative: Sequence[float], spec: DataConfig, waves: tuple[EmissionConfig, int]
) -> Twins:
    """Prepare a window without an emission and with it.

    Args:
        emission: its power counts as 1.
        relative: (S,) powers to inject, relative to it.
        waves: section ``simulate.emission`` and the seed of the waveform.

    Raises:
        DataError: a file cannot be read, or the changed values exceed the range of its format.
    """
    recordings = [read_recording(path) for path in target.paths]
    added = [emission_of_file(recording, target.station, (emission,), *waves) for recording in recordings]
    raws = [path.read_bytes() for path in target.paths]
    versions = [recordings]
    for power in relative:
        sources = zip(raws, target.paths, recordings, added, strict=True)
        versions.append([
            add_to_file(raw, path, recording, np.sqrt(power) * field).recording
            for raw, path, recording, field in sources
        ])  # fmt: skip
    prepared = [_prepare(version, target, spec) for version in versions]
    phasors = None if prepared[0][1] is None else np.stack([part[1] for part in prepared if part[1] is not None])
    return Twins(np.stack([part[0] for part in prepared]), phasors, tuple(part[2] for part in prepared))


def _prepare(
    recordings: list[Recording], target: Target, spec: DataConfig
) -> tuple[NDArray[np.float16], NDArray[np.float16] | None, str]:
    held = cut_day(recordings, target.station, target.day)
    slot = int((target.start_utc - target.day.astype("M8[ms]")) // np.timedelta64(spec.window_h, "h"))
    reason = unusable_windows(assess_stored_day(held, target.station, target.day, spec), spec)[slot]
    spectra = window_spectra(held.field_nt, spec, slice(slot, slot + 1), cross=spec.cross_spectra)
    return spectra.power_db[0], None if spectra.phasors is None else spectra.phasors[0], reason
