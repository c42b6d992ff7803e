"""``seismag inject``: emissions injected into real recordings, in an archive of otherwise identical files.

``simulate.emission.snr`` refers to one background value of each station (``seismag.simulate.survey``), as in a
synthetic archive, so a storm does not raise an emission.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag import __version__
from seismag.archive.catalogs import read_catalogs
from seismag.archive.content import content_sha256, file_contents
from seismag.archive.stations import read_stations
from seismag.archive.survey import SIMULATION_FILE, TRUTH_FILE, cut_day, is_simulated, list_files
from seismag.arrays import FloatArray
from seismag.config import EmissionConfig, SimulateConfig
from seismag.domain import DataError, Station, UsageError
from seismag.files import atomic_path, file_sha256, write_table
from seismag.folder_lock import one_writer
from seismag.parallel import Pool, Progress, open_pool, silent
from seismag.recordings import Recording, read_recording
from seismag.recordings.additions import add_to_file
from seismag.recordings.days import DAY_S, days_of
from seismag.simulate.activity import MARGIN_D
from seismag.simulate.earthquakes import with_parents
from seismag.simulate.emission import (
    TRUTH_COLUMNS,
    WINDOW_H,
    Emission,
    add_emission,
    emission_envelope,
    plan_emissions,
    window_truth,
)
from seismag.simulate.survey import (
    LOWEST_MHZ,
    TASK_FILES,
    reference_nt2,
    require_usable,
    survey_archive,
    unlisted_stations,
    window_means,
)
from seismag.simulate.synthetic_archive import INPUTS, mark, require_free, write_places

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Job:
    """A file to be written with its emissions, or copied where it has none.

    Attributes:
        station: of the file; None where the file cannot be used.
        background_nt2: (4,) mean horizontal power in the band of each window, by day.
    """

    path: str
    station: Station | None
    emissions: tuple[Emission, ...]
    background_nt2: dict[np.datetime64, FloatArray]


@one_writer(whole=True)
def inject_archive(
    spec: SimulateConfig, archive: Path, out: Path, workers: int = 1, progress: Progress = silent
) -> Path:
    """Write an archive of real recordings with an emission before each earthquake of ``earthquakes.catalog``.

    Files that cannot be used (unreadable, not 1 Hz, station not listed, a component missing) and files without an
    emission are copied byte for byte.

    Args:
        spec: section ``simulate``; ``seed``, ``station_file``, ``emission`` and ``earthquakes.catalog`` are used.
        out: folder, created; must be empty, or contain the result of the same call: an unfinished one is made again, a
            finished one is not changed.

    Raises:
        UsageError: no catalogue, no emission, or a folder that cannot be used.
        DataError: files in formats that cannot be written, or already simulated; nothing to inject.
    """
    _require_usable(spec, archive, out)
    files = list_files(archive)
    stations = read_stations(Path(spec.station_file) if spec.station_file else None)
    catalog = read_catalogs([str(spec.earthquakes.catalog)])
    content = content_sha256(file_contents(archive, files, workers, progress))
    settings = _identity(spec, content, sorted(catalog.sources.values()))
    if require_free(out, settings):
        return out
    band = spec.emission.low_mhz / 1000, spec.emission.high_mhz / 1000
    with tempfile.TemporaryDirectory(prefix="seismag-") as folder, open_pool(workers, None) as pool:
        survey = survey_archive(pool, files, archive, stations, band, Path(folder), progress)
        require_usable(survey, archive)
        usable = survey[survey["why_not"] == ""]
        here = [stations[code] for code in sorted(usable["station"].unique())]
        events = _events(catalog.events, usable["day"].to_numpy().astype("M8[D]"), spec)
        reference = {}
        for station in here:
            rows = usable.loc[usable["station"] == station.code, "segments"]
            reference[station.code] = reference_nt2(np.concatenate([np.asarray(row, dtype=float) for row in rows]))
        jobs = _plan(survey, here, events, reference, spec)
        if not any(job.emissions for job in jobs):
            raise DataError(_nothing_in_range(spec, archive, usable))
        facts = settings | {"archive": str(archive), "background_nt2": reference}
        mark(out, facts, complete=False)
        write_places(here, events, out)
        truth, changed = _write_files(pool, jobs, archive, out, spec, Path(folder), progress)
    if truth.empty:
        _remove(jobs, out)
        raise DataError(
            f"{archive}: the emissions are smaller than the rounding of the files, or fall on missing samples; nothing "
            f"was written. Raise simulate.emission.snr ({spec.emission.snr:g})."
        )
    write_table(truth, out / TRUTH_FILE)
    skipped = survey.drop_duplicates("path").loc[lambda rows: rows["why_not"] != "", "why_not"].value_counts()
    counts = {"changed": changed, "copied": len(files) - changed, "unusable": skipped.to_dict()}
    mark(out, facts | {"files": counts, "unlisted_stations": unlisted_stations(survey)}, complete=True)
    return out


def _identity(spec: SimulateConfig, archive_sha256: str, catalog_sha256: list[str]) -> dict[str, object]:
    """Return the entries of simulation.json that identify an injection."""
    counting: Any = {"seed": True, "station_file": True, "emission": True, "earthquakes": {"catalog"}}
    return {
        "seismag": __version__,
        "injected": True,
        "simulate": spec.model_dump(mode="json", include=counting),
        INPUTS: {
            "archive": archive_sha256,
            "catalog": catalog_sha256,
            "stations": file_sha256(spec.station_file) if spec.station_file else None,
        },
    }


def emission_of_file(
    recording: Recording, station: Station, emissions: tuple[Emission, ...], spec: EmissionConfig, seed: int
) -> FloatArray:
    """Return the emissions (3, n) at the samples of a recording, nT.

    The waveform depends on seed, station, earthquake and day, so two files with the same seconds get the same values.
    """
    added = np.zeros((3, recording.samples))
    for day in days_of(recording):
        axis_deg = cut_day([recording], station, day).h_axis_deg
        field = np.zeros((3, DAY_S))
        for emission in emissions:
            now, before = (_stream(seed, emission, date) for date in (day, day - 1))
            add_emission(field, day, emission, axis_deg, spec, now, before)
        offset = int((recording.start_utc - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
        low, high = max(0, offset), min(DAY_S, offset + recording.samples)
        added[:, low - offset : high - offset] = field[:, low:high]
    return added


def _stream(seed: int, emission: Emission, day: np.datetime64) -> np.random.Generator:
    names = (zlib.crc32(text.encode()) for text in (emission.station, emission.event_id))
    since_1800 = int((day - np.datetime64("1800-01-01")) // _DAY)  # stream numbers must not be negative
    return np.random.default_rng([seed, 6, *names, since_1800])


def _require_usable(spec: SimulateConfig, archive: Path, out: Path) -> None:
    if spec.earthquakes.catalog is None:
        raise UsageError(
            "inject needs real earthquakes: name a catalogue with --catalog FILE (for example a file of "
            "'seismag fetch catalog')."
        )
    if spec.emission.snr == 0:
        raise UsageError("simulate.emission.snr is 0, so nothing would be injected. Set it above 0.")
    if spec.emission.low_mhz < LOWEST_MHZ:
        raise UsageError(
            f"simulate.emission.low_mhz is {spec.emission.low_mhz:g}; the background is measured from "
            f"{LOWEST_MHZ:.2f} mHz on. Raise it."
        )
    if out.resolve().is_relative_to(archive.resolve()):
        raise UsageError(f"--out {out}: lies within the archive {archive}. Choose a folder outside.")
    if is_simulated(archive):
        raise DataError(
            f"{archive}: is simulated itself ({SIMULATION_FILE}), and its own truth would be lost. Name real "
            "recordings, or add emissions with 'seismag simulate --set simulate.emission.snr=...'."
        )


def _events(events: pd.DataFrame, days: NDArray[np.datetime64], spec: SimulateConfig) -> pd.DataFrame:
    """Cut the catalogue to the recordings, 30 days on either side and the lead time; adds parent_id."""
    margin = np.timedelta64(MARGIN_D, "D")
    lead = np.timedelta64(round(spec.emission.lead_h), "h")
    origins = events["origin_utc"].to_numpy().astype("M8[ms]")
    kept = (origins >= days.min() - margin) & (origins < days.max() + _DAY + margin + lead)
    return with_parents(events[kept].reset_index(drop=True))


def _plan(
    survey: pd.DataFrame, stations: list[Station], events: pd.DataFrame, reference: dict[str, float],
    spec: SimulateConfig,
) -> list[Job]:  # fmt: skip
    known = {station.code: station for station in stations}
    emissions = {
        code: plan_emissions(spec.emission, events, known[code], level)
        for code, level in reference.items()
        if np.isfinite(level)
    }
    background: dict[tuple[str, np.datetime64], list[FloatArray]] = {}
    usable = survey[survey["why_not"] == ""]
    for row in usable.itertuples():
        key = (str(row.station), np.datetime64(row.day, "D"))
        background.setdefault(key, []).append(np.asarray(row.segments, dtype=float).reshape(24 // WINDOW_H, -1))
    jobs = []
    for path, rows in survey.groupby("path", sort=True):
        code = str(rows["station"].iloc[0])
        days = rows["day"].dropna().to_numpy().astype("M8[D]")
        here: tuple[Emission, ...] = ()
        if days.size:
            first, end = days.min(), days.max() + _DAY
            here = tuple(e for e in emissions.get(code, []) if e.start_utc < end and e.end_utc > first)
        means = {day: window_means(background[code, day]) for day in days} if here else {}
        jobs.append(Job(str(path), known.get(code), here, means))
    return jobs


def _nothing_in_range(spec: SimulateConfig, archive: Path, usable: pd.DataFrame) -> str:
    first, last = (str(np.datetime64(day, "D")) for day in (usable["day"].min(), usable["day"].max()))
    codes = sorted(usable["station"].unique())
    emission = spec.emission
    return (
        f"{spec.earthquakes.catalog}: no earthquake within its Dobrovolsky radius of a station of {archive} "
        f"({', '.join(codes[:10])}{', ...' if len(codes) > 10 else ''}) has its emission (from {emission.lead_h:g} h "
        f"before the origin on, for {emission.duration_h:g} h) on a recorded day, {first} to {last}; nothing was "
        "written. Take a catalogue of that time and place."
    )


def _write_files(
    pool: Pool, jobs: list[Job], archive: Path, out: Path, spec: SimulateConfig, folder: Path, progress: Progress
) -> tuple[pd.DataFrame, int]:
    batches = [jobs[first : first + TASK_FILES] for first in range(0, len(jobs), TASK_FILES)]
    rows = pool.run_parts(_write_part, batches, (archive, out, spec), folder / "truth", "inject", progress)
    changed = rows["path"].nunique()
    truth = rows[list(TRUTH_COLUMNS)].drop_duplicates(["station", "start_utc", "event_id"])
    return truth.sort_values(["station", "start_utc", "event_id"], ignore_index=True), changed


def _remove(jobs: list[Job], out: Path) -> None:
    """Remove what was written, and nothing else that lies there; the mark last."""
    for name in (*(job.path for job in jobs), "stations.csv", "catalogue.csv", SIMULATION_FILE):
        (out / name).unlink(missing_ok=True)
        for folder in (out / name).parents:
            if folder == out or any(folder.iterdir()):
                break
            folder.rmdir()


def _write_part(jobs: list[Job], archive: Path, out: Path, spec: SimulateConfig, part: Path) -> None:
    rows = [row for job in jobs for row in _write_file(job, archive, out, spec)]
    columns = TRUTH_COLUMNS | {"path": "str"}
    write_table(pd.DataFrame(rows, columns=list(columns)).astype(columns), part)


def _write_file(job: Job, archive: Path, out: Path, spec: SimulateConfig) -> list[dict[str, object]]:
    source, target = archive / job.path, out / job.path
    if job.station is None or not job.emissions:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return []
    recording = read_recording(source)
    added = emission_of_file(recording, job.station, job.emissions, spec.emission, spec.seed)
    changed = add_to_file(source.read_bytes(), source, recording, added)
    with atomic_path(target) as temporary:
        temporary.write_bytes(changed.raw)
    return [
        {**row, "path": job.path}
        for day, background in job.background_nt2.items()
        for emission in job.emissions
        for row in window_truth(emission, day, np.repeat(background, WINDOW_H * 60), spec.emission)
        if _differs_within(changed.differs, recording, emission, row, spec.emission)
    ]


def _differs_within(
    differs: NDArray[np.bool_], recording: Recording, emission: Emission, row: dict[str, object], spec: EmissionConfig
) -> bool:
    start = np.datetime64(str(row["start_utc"]), "ms")
    day = start.astype("M8[D]")
    emitting = emission_envelope(day, emission, spec) > 0
    shift = int((recording.start_utc - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
    first = int((start - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
    seconds = np.flatnonzero(emitting[first : first + WINDOW_H * 3600]) + first - shift
    seconds = seconds[(seconds >= 0) & (seconds < differs.size)]
    return bool(differs[seconds].any())
