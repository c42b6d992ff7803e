"""``seismag simulate``: a synthetic archive in real formats, with its ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from isal import igzip
from numpy.typing import NDArray

from seismag import __version__
from seismag.archive.survey import SIMULATION_FILE, TRUTH_FILE
from seismag.config import SimulateConfig
from seismag.disk_space import KEPT, space_for
from seismag.domain import SeismagError, Station, UsageError
from seismag.files import atomic_path, file_sha256, read_json, write_json_atomic, write_table
from seismag.folder_lock import is_empty, one_writer
from seismag.parallel import Progress, open_pool, silent
from seismag.recordings.days import DAY_S
from seismag.recordings.frg604rc import HEADER_BYTES, MARK_SIMULATED, encode_day
from seismag.simulate.activity import MARGIN_D, day_stream
from seismag.simulate.artefacts import add_artefacts, cultural_noise, cultural_power
from seismag.simulate.background import background_power, simulate_background
from seismag.simulate.emission import TRUTH_COLUMNS, add_emission, window_truth
from seismag.simulate.plan import Plan, make_plan
from seismag.table_files import write_csv

TASK_DAYS = 4  # of all stations: neighbours have the regional noise in common, which is cached for a day
INPUTS = "inputs_sha256"  # of simulation.json: checksums of the files that the settings name
COLUMN_SHIFT = 7  # rows by which the longitudes are displaced with the defect "positions"
DECODER_BASELINES_NT = (38_000.0, 0.0, 32_000.0)  # that a wrong decoder adds, Z with the wrong sign
CATALOGUE_COLUMNS = ["event_id", "origin_utc", "latitude_deg", "longitude_deg", "depth_km", "magnitude"]


@one_writer(whole=True)
def simulate_archive(spec: SimulateConfig, out: Path, workers: int = 1, progress: Progress = silent) -> Path:
    """Write an archive; the same configuration gives the same bytes, whatever the number of workers.

    Args:
        out: folder, created; must be empty, or contain the result of the same call, unfinished or finished, whose days
            are kept.

    Raises:
        UsageError: the folder contains something else, or a setting is impossible.
        DataError: a catalogue or index file cannot be read.
    """
    plan = make_plan(spec)
    facts: dict[str, object] = {"seismag": __version__, "simulate": spec.model_dump(mode="json")}
    named = {"catalog": spec.earthquakes.catalog, "stations": spec.station_file, "kp": spec.kp, "dst": spec.dst}
    if sums := {name: file_sha256(path) for name, path in named.items() if path is not None}:
        facts[INPUTS] = sums
    require_free(out, facts)
    tasks = [(spec, first, min(first + TASK_DAYS, spec.days), out) for first in range(0, spec.days, TASK_DAYS)]
    with open_pool(workers, None) as pool, space_for(out, remedy=KEPT):
        mark(out, facts, complete=False)
        _write_tables(plan, out)
        pool.run(_write_days, tasks, "simulate", progress)
        mark(out, facts, complete=True)
    return out


def require_free(out: Path, settings: Mapping[str, object]) -> bool:
    """Refuse a folder that is not empty, unless the same command was interrupted there, or has finished (True).

    ``settings`` are the entries of simulation.json that identify the command.

    Raises:
        UsageError: the folder is not empty, or is a file.
    """
    if not out.exists() or (out.is_dir() and is_empty(out)):
        return False
    try:
        facts = read_json(out / SIMULATION_FILE)
    except SeismagError:
        facts = {}
    facts = facts if isinstance(facts, dict) else {}
    others = {key for key in (*settings, INPUTS) if facts.get(key) != settings.get(key)}
    if not others and facts.get("complete") in (True, False):
        return facts["complete"] is True
    if facts.get("complete") is not False:
        raise UsageError(f"{out}: is not empty. Choose another --out, or delete it.")
    what = "of other input files, or of files that have changed" if others == {INPUTS} else "with other settings"
    raise UsageError(
        f"{out}: holds an unfinished simulation {what}. Give those again, choose another --out, or delete it."
    )


def mark(out: Path, facts: Mapping[str, object], *, complete: bool) -> None:
    """Write ``simulation.json``; creates the folder."""
    write_json_atomic(out / SIMULATION_FILE, {"complete": complete, **facts})


def simulate_day(plan: Plan, index: int, day: int) -> NDArray[np.float64]:
    """Simulate a day by the clock of a station, without artefacts.

    Returns:
        (3, 86400) H, D, Z in nT, without a missing second.
    """
    offset = int(plan.clock_offset_s[index, day])
    if offset == 0:
        return true_day(plan, index, day)
    whole, rest = divmod(-offset, DAY_S)
    days = [true_day(plan, index, day + whole + extra) for extra in ((0, 1) if rest else (0,))]
    return np.concatenate(days, axis=1)[:, rest : rest + DAY_S]


def true_day(plan: Plan, index: int, day: int) -> NDArray[np.float64]:
    """Simulate a UTC day of a station: background, traffic, precursors, sensor noise."""
    spec, site = plan.spec, plan.sites[index]
    changed = bool(plan.histories[index].changed[min(max(day, 0), spec.days - 1)])
    sensor = plan.sensors[index] if changed else site
    field = simulate_background(site, sensor, index, day, plan.activity, spec.seed, plan.first)
    date = plan.first + day
    if (
        not site.traffic.any()
        and (traffic := cultural_noise(spec, index, date, site.station.longitude_deg)) is not None
    ):
        field += traffic
    for number, emission in enumerate(plan.emissions[index]):
        if emission.start_utc < (date + 1).astype("M8[ms]") and emission.end_utc > date.astype("M8[ms]"):
            now, before = (day_stream(spec.seed, 6, index, number, day=day - back) for back in (0, 1))
            add_emission(field, date, emission, site.h_axis_deg(date), spec.emission, now, before)
    return field


def _write_days(spec: SimulateConfig, first: int, end: int, out: Path) -> None:
    plan = make_plan(spec)
    for day in range(first, end):
        for index in np.flatnonzero(plan.written[:, day]):
            _write_day(plan, int(index), day, out)


def _write_day(plan: Plan, index: int, day: int, out: Path) -> None:
    station = plan.sites[index].station
    date = (plan.first + day).astype(object)  # datetime.date
    path = out / station.code / f"S{date:%y%m%d}.{station.code}.gz"
    if path.exists():  # from an interrupted run; files appear complete
        return
    source = int(plan.source_day[index, day])  # another day where the file is a copy
    field = add_artefacts(simulate_day(plan, index, source), plan.spec, plan.histories[index], index, source)
    place = (station.code, date, station.latitude_deg, station.longitude_deg)
    payload = encode_day(*place, field, mark=MARK_SIMULATED)
    if plan.spec.defect == "decoder":
        # as a wrong decoder: int16 after a 32-byte header, plus invented baselines
        counts = np.frombuffer(payload, "<i2", count=3 * DAY_S, offset=HEADER_BYTES + 2).reshape(DAY_S, 3).T
        field = counts * 0.1 + np.array(DECODER_BASELINES_NT)[:, None]
        payload = encode_day(*place, field, mark=MARK_SIMULATED)
    with atomic_path(path) as temporary:
        temporary.write_bytes(igzip.compress(payload, compresslevel=1, mtime=0))


def write_places(stations: list[Station], events: pd.DataFrame, out: Path) -> None:
    """Write ``stations.csv`` and ``catalogue.csv`` in seismag's own layouts."""
    table = pd.DataFrame([vars(station) for station in stations])
    write_csv(table[["code", "latitude_deg", "longitude_deg", "name"]], out / "stations.csv")
    origin_utc = _iso(events["origin_utc"].to_numpy(), "ms")
    write_csv(events[CATALOGUE_COLUMNS].assign(origin_utc=origin_utc), out / "catalogue.csv")


def _write_tables(plan: Plan, out: Path) -> None:
    events = plan.events
    if plan.spec.defect == "positions":  # a column displaced against the others, as in a spreadsheet
        events = events.assign(longitude_deg=np.roll(events["longitude_deg"].to_numpy(), COLUMN_SHIFT))
    write_places([site.station for site in plan.sites], events, out)
    start = plan.first.astype("datetime64[s]") - np.timedelta64(MARGIN_D, "D")
    kp, dst = plan.activity.kp, plan.activity.dst_nt
    threes, hours = (start + np.arange(n) * np.timedelta64(h, "h") for n, h in ((kp.size, 3), (dst.size, 1)))
    pd.DataFrame({"time_utc": _iso(threes), "kp": np.round(kp, 3)}).to_csv(out / "kp.csv", index=False)
    pd.DataFrame({"time_utc": _iso(hours), "dst_nt": np.round(dst, 1)}).to_csv(out / "dst.csv", index=False)
    write_table(truth_table(plan), out / TRUTH_FILE)


def truth_table(plan: Plan) -> pd.DataFrame:
    """Return one row for each recorded 6-hour window and emission; columns of docs/data-formats.md.

    Files that are copies of another day have no row.
    """
    spec, rows = plan.spec, []
    band = spec.emission.low_mhz / 1000, spec.emission.high_mhz / 1000
    for index, emissions in enumerate(plan.emissions):
        background: dict[int, NDArray[np.float64]] = {}
        for emission in emissions:
            first, last = ((t.astype("M8[D]") - plan.first).astype(int) for t in (emission.start_utc, emission.end_utc))
            for day in range(max(first, 0), min(last, spec.days - 1) + 1):
                if not plan.written[index, day] or plan.source_day[index, day] != day:
                    continue
                if day not in background:
                    sensor = plan.sensors[index] if plan.histories[index].changed[day] else plan.sites[index]
                    background[day] = background_power(sensor, day, plan.activity, spec.seed, band)
                    if not sensor.traffic.any():
                        longitude = sensor.station.longitude_deg
                        background[day] += cultural_power(spec, index, plan.first + day, longitude, band)
                rows += window_truth(emission, plan.first + day, background[day], spec.emission)
    return pd.DataFrame(rows, columns=list(TRUTH_COLUMNS)).astype(TRUTH_COLUMNS)


def _iso(times: NDArray[np.datetime64], unit: str = "s") -> list[str]:
    return [f"{text}Z" for text in np.datetime_as_string(times.astype(f"datetime64[{unit}]"))]
