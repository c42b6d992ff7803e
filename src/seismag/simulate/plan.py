"""The plan of a synthetic archive: earthquakes, activity, sites, artefacts and precursors.

The plan follows from the configuration alone, so each worker computes it itself and days can be simulated in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.stations import read_stations
from seismag.config import SimulateConfig
from seismag.domain import Station, UsageError
from seismag.simulate.activity import Activity, make_activity
from seismag.simulate.artefacts import StationHistory, plan_history
from seismag.simulate.collection import collected_days, days_before_events
from seismag.simulate.earthquakes import earthquakes
from seismag.simulate.emission import Emission, plan_emissions
from seismag.simulate.sites import Site, make_site, noisier
from seismag.simulate.spectral_model import quiet_band_power

CHANGED_SENSOR_NOISE = 6.0  # power of the sensor noise after a change of instrument
COPIED_FRACTION = 0.4  # of the days before events, with the defect "duplicates"
HIGHEST_LATITUDE_DEG = 89.5


@dataclass(frozen=True)
class Plan:
    """What is to be simulated.

    Attributes:
        sites, sensors: stations, and the same stations with the sensor used after a change of instrument.
        events: the catalogue, with parent_id.
        histories: outages, baselines and clocks, by station.
        emissions: precursors, by station.
        written: (stations, days) whether the day has a file.
        source_day: (stations, days) the day whose samples the file contains; another one where a file is a copy.
        clock_offset_s: (stations, days) by which the time stamps are ahead.
    """

    spec: SimulateConfig
    first: np.datetime64
    sites: list[Site]
    sensors: list[Site]
    activity: Activity
    events: pd.DataFrame
    histories: list[StationHistory]
    emissions: list[list[Emission]]
    written: NDArray[np.bool_]
    source_day: NDArray[np.int64]
    clock_offset_s: NDArray[np.int64]


def make_plan(spec: SimulateConfig) -> Plan:
    """Compute the plan of a configuration.

    Raises:
        UsageError: a station is unknown or its code does not fit the file format, or a setting is impossible.
        DataError: a catalogue or index file cannot be read.
    """
    return _make_plan(spec.model_dump_json())


@lru_cache(maxsize=1)
def _make_plan(document: str) -> Plan:
    spec = SimulateConfig.model_validate_json(document)
    stations = _choose_stations(spec)
    first = np.datetime64(spec.start, "D")
    events = earthquakes(spec, stations)
    histories = [plan_history(spec, index) for index in range(len(stations))]
    sites = [make_site(station, spec.seed, index) for index, station in enumerate(stations)]
    band = spec.emission.low_mhz / 1000, spec.emission.high_mhz / 1000
    emissions = [plan_emissions(spec.emission, events, site.station, quiet_band_power(site, band)) for site in sites]
    before = np.stack([days_before_events(events, station, first, spec.days) for station in stations])
    written = ~np.stack([history.missing for history in histories])
    for index, station in enumerate(stations):
        written[index] &= collected_days(spec, events, station, index, before[index])
    source_day = np.tile(np.arange(spec.days), (len(before), 1))
    if spec.defect == "duplicates":  # files before events are copies of others
        for index, near in enumerate(before):
            days = np.flatnonzero(near)
            rng = np.random.default_rng([spec.seed, 18, index])
            copies = rng.choice(days, int(COPIED_FRACTION * days.size), replace=False)
            kept = np.setdiff1d(days, copies)
            if kept.size:
                source_day[index, copies] = rng.choice(kept, copies.size)
    clock_offset_s = np.stack([history.clock_error_s for history in histories]).astype(np.int64)
    if spec.defect == "clock":  # every second station uses local time
        for index, station in enumerate(stations):
            if index % 2 or len(stations) == 1:
                clock_offset_s[index, spec.days // 2 :] += 3600 * round(station.longitude_deg / 15)
    return Plan(
        spec=spec,
        first=first,
        sites=sites,
        sensors=[noisier(site, CHANGED_SENSOR_NOISE) for site in sites],
        activity=make_activity(spec),
        events=events,
        histories=histories,
        emissions=emissions,
        written=written,
        source_day=source_day,
        clock_offset_s=clock_offset_s,
    )


def _choose_stations(spec: SimulateConfig) -> list[Station]:
    known = read_stations(Path(spec.station_file) if spec.station_file else None)
    unknown = [code for code in spec.stations if code not in known]
    if unknown:
        raise UsageError(
            f"simulate.stations: {', '.join(unknown)} not among {', '.join(sorted(known))}. "
            "Choose from these, or name a table that has it, simulate.station_file."
        )
    if len(set(spec.stations)) < len(spec.stations):
        raise UsageError("simulate.stations: a station is named twice. Name each once.")
    odd = [code for code in spec.stations if len(code) != 3 or not (code.isascii() and code.isalnum())]
    if odd:
        raise UsageError(
            f"simulate.stations: {odd[0]} has not three letters or digits, as the codes in day files. Rename it in "
            "simulate.station_file."
        )
    polar = [code for code in spec.stations if abs(known[code].latitude_deg) > HIGHEST_LATITUDE_DEG]
    if polar:
        raise UsageError(
            f"simulate.stations: {polar[0]} lies at latitude {known[polar[0]].latitude_deg:g}, beyond "
            f"{HIGHEST_LATITUDE_DEG:g} degrees, where north is not defined. Leave it out."
        )
    years = np.datetime64(spec.start, "Y"), (np.datetime64(spec.start) + spec.days - 1).astype("M8[Y]")
    if years[0] < np.datetime64("2000") or years[1] > np.datetime64("2029"):
        raise UsageError(
            f"simulate.start {spec.start} and {spec.days} days: outside 2000 to 2029, where file format and main field "
            "are defined. Choose another period."
        )
    return [known[code] for code in spec.stations]
